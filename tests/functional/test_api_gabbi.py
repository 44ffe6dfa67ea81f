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

"""The API's document, run: see gabbits/."""

import os

from gabbi import driver
from oslotest import output
import wsgi_intercept

from tests.functional import api_fixture


# Header values have to be native strings.
wsgi_intercept.STRICT_RESPONSE_HEADERS = True


def load_tests(loader, tests, pattern):
    """Make the tests: for unittest's discovery."""
    return driver.build_tests(
        os.path.join(os.path.dirname(__file__), 'gabbits'),
        loader,
        host=None,
        test_loader_name=__name__,
        intercept=api_fixture.setup_app,
        inner_fixtures=[output.CaptureOutput],
        fixture_module=api_fixture,
    )
