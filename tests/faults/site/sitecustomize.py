#    Licensed under the Apache License, Version 2.0 (the "License"); you may
#    not use this file except in compliance with the License. You may obtain
#    a copy of the License at
#
#         http://www.apache.org/licenses/LICENSE-2.0
#
#    Unless required by applicable law or agreed to in writing, software
#    distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
#    WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
#    License for the specific language governing permissions and limitations
#    under the License.

"""Loaded by each Python that starts with this folder in its PYTHONPATH."""

import importlib.util
import pathlib


def _install():
    path = pathlib.Path(__file__).parents[1] / 'points.py'
    spec = importlib.util.spec_from_file_location('zun_bulk_points', path)
    points = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(points)
    points.install()


_install()
