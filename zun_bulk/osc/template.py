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


"""Container templates made from the options of Zun's create command."""

import argparse
import types

from zunclient import api_versions
from zunclient.osc.v1 import containers as zun_commands
from zunclient.v1 import containers as zun_containers

from zun_bulk.consts import NetKey
from zun_bulk.osc import nets


#: A template is the body of a container create request of this microversion,
#: whichever one the client has negotiated with the container API.
TEMPLATE_VERSION = '1.40'


class _TemplateManager(zun_containers.ContainerManager):
    """Zun's container manager, which keeps requests instead of sending."""

    def __init__(self):
        super().__init__(
            types.SimpleNamespace(
                api_version=api_versions.APIVersion(TEMPLATE_VERSION)
            )
        )
        self.body = None

    def _create(self, url, body):
        self.body = body
        return self.resource_class(self, body)


def from_options(parsed_args):
    """Make a container template from options as Zun's own command does.

    Zun's command does this in one function that ends in a call of the API.
    So this runs it with a client that keeps the request.
    """
    manager = _TemplateManager()
    app = types.SimpleNamespace(
        client_manager=types.SimpleNamespace(
            container=types.SimpleNamespace(containers=manager)
        )
    )
    for_zun, ranges = nets.split(parsed_args.net)
    options = argparse.Namespace(
        **{**vars(parsed_args), 'wait': False, 'net': for_zun}
    )
    zun_commands.CreateContainer(app, None).take_action(options)
    for net, addresses in zip(
        manager.body.get('nets', []), ranges, strict=False
    ):
        if addresses is not None:
            net[NetKey.V4_RANGE] = addresses
    return manager.body
