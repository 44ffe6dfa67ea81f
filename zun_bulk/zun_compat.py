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

"""All uses of private names of Zun and of its client libraries.

Any release may rename them, so each function names the releases that have
the one it uses. ``tests/unit/test_zun_compat.py`` checks them against the
installed release, and ruff (SLF001) refuses private names of other objects
elsewhere in ``zun_bulk``.

The following private methods are overridden or called by a subclass and
therefore stay there; Zun 16, 17 and 18 have all of them:

* ``zun.common.rpc_service.API._cast``, called by ``rpc.ComputeAPI``;
* ``zun.container.docker.driver.DockerDriver._provision_network`` and
  ``_create_container_in_capsule``, overridden by
  ``container.driver.ThrottledDockerDriver``, and ``_populate_container``,
  called by it;
* ``zun.container.driver.BaseDriver._get_volume_driver``, called by
  ``volume.attaching.Attaching``.

Zun's API controllers are passed in, not imported: their schemas read options
at import, and only zun-api has set them by then.
"""

from zun import objects
from zun.common import rpc_service


# ------------------------------------------------------------------ zun-api


def set_default_resource_limit(controller, fields):
    """Fill in the CPU and memory that a request leaves out.

    ``ContainersController._set_default_resource_limit`` of Zun 16, 17 and 18.
    A bulk's containers get the same defaults as single ones.

    :param controller: a ``ContainersController``.
    :param fields: {column: value} of a container, changed in place.
    """
    controller._set_default_resource_limit(fields)


def create_sriov_requests(controller, context, networks):
    """Find out which requested networks need SR-IOV devices.

    ``ContainersController._create_pci_requests_for_sriov_ports`` of Zun 16,
    17 and 18. Bulks refuse what needs such devices.

    :param controller: a ``ContainersController``.
    :param networks: requested networks as Zun builds them.
    :returns: a ``ContainerPCIRequests``.
    """
    return controller._create_pci_requests_for_sriov_ports(context, networks)


def container_from_row(context, values):
    """Make Zun's object of a row that is not in the database.

    ``objects.Container._from_db_object`` of Zun 16, 17 and 18. A dry run has
    rows that are never written, and the scheduler takes objects.

    :param values: {column: value} of all columns.
    :returns: an ``objects.Container``.
    """
    return objects.Container._from_db_object(
        objects.Container(context), values
    )


# --------------------------------------------------------------- scheduling


def get_services_by_host(scheduler, context):
    """List the zun-compute services.

    ``FilterScheduler._get_services_by_host`` of Zun 16, 17 and 18. Zun's only
    public method, ``select_destinations``, runs a whole scheduling.

    :param scheduler: a ``FilterScheduler``.
    :returns: {host: ``objects.ZunService``}.
    """
    return scheduler._get_services_by_host(context)


def get_filtered_hosts(scheduler, states, container, extra_spec):
    """Run the scheduler's enabled filters over hosts.

    ``FilterScheduler._get_filtered_hosts`` of Zun 16, 17 and 18. Zun's only
    public method, ``select_destinations``, returns a single host.

    :param scheduler: a ``FilterScheduler``.
    :param states: the ``HostState`` objects to filter.
    :returns: the ``HostState`` objects that pass, or None if there are none.
    """
    return scheduler._get_filtered_hosts(states, container, extra_spec)


def remove_candidate_limit(resources):
    """Make Placement list all candidates, not max_placement_results of them.

    ``ResourceRequest._limit`` of Zun 16, 17 and 18. Zun cuts the list because
    it needs a single host; a bulk needs all.

    :param resources: a ``ResourceRequest``, changed in place.
    """
    resources._limit = None


# ---------------------------------------------------------------- messaging


def make_rpc_serializer():
    """Make the serializer that Zun's services use for messages.

    ``rpc_service._init_serializer`` of Zun 16, 17 and 18. It carries Zun's
    objects, the request context and, where osprofiler is installed, the
    trace.

    :returns: an ``oslo_messaging.Serializer``.
    """
    return rpc_service._init_serializer()


def get_rpc_context(api):
    """Return the request context that an RPC client was made with.

    ``rpc_service.API._context`` of Zun 16, 17 and 18. ``container_create``
    needs it again as its first argument.

    :param api: a ``zun.compute.rpcapi.API``.
    :returns: a ``RequestContext``.
    """
    return api._context


# ------------------------------------------------------------------ clients


def use_keystone_session(keystone_client, session):
    """Replace the session that Zun's other clients are built on.

    ``KeystoneClientV3._session`` of Zun 16, 17 and 18. Zun makes sessions of
    users and of its own, none of a trust.

    :param keystone_client: a ``zun.common.keystone.KeystoneClientV3``.
    :param session: a session of keystoneauth1.
    """
    keystone_client._session = session


def disable_rate_limit(adapter):
    """Turn off the rate limit of a client.

    ``Adapter._rate_semaphore`` of keystoneauth1 5.12 to 5.15, which come with
    Zun 16 to 18. keystoneauth1 limits an adapter's rate by the time of day
    even where no limit is set: after the clock is set back by an hour, each
    request would wait for an hour.

    :param adapter: an Adapter of keystoneauth1.
    """
    adapter._rate_semaphore = None


# ------------------------------------------------------------------ volumes


def unmount_device(volume_driver, mapping):
    """Unmount a volume from this host without detaching it in Cinder.

    ``zun.volume.driver.Cinder._unmount_device`` of Zun 16, 17 and 18. The
    public ``detach`` then also detaches in Cinder, which fails if the volume
    is not attached there.

    :param volume_driver: a ``zun.volume.driver.Cinder``.
    :param mapping: an ``objects.VolumeMapping``.
    :raises: FileNotFoundError if the volume was never mounted.
    """
    volume_driver._unmount_device(mapping)


def force_detach(cinder, volume_id, attachment_id):
    """Detach a volume from a host that is gone.

    ``VolumeManager._action`` of python-cinderclient 9.8 to 9.9, which come
    with Zun 16 to 18. cinderclient has no public method for the action
    ``os-force_detach``.

    :param cinder: a client of cinderclient.
    :param attachment_id: of the attachment; None if Cinder lists none.
    :raises: what cinderclient and keystoneauth1 raise.
    """
    return cinder.volumes._action(
        'os-force_detach',
        volume_id,
        {'attachment_id': attachment_id, 'connector': None},
    )
