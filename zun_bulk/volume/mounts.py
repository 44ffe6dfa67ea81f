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

"""The mounts of the members of a bulk: pure.

A mount is as in Zun's API, with the id of the volume. A mount with a size
stands for a new volume of each member: the member's own.
"""


def of(bulk, member):
    """List the mounts of a member: those of the bulk, and its own."""
    return [*bulk.spec.mounts, *member.wanted.mounts]


def own(bulk, member):
    """List the new volumes that a member needs.

    :returns: {number of the mount, as text: size in GB}.
    """
    return {
        str(number): mount['size']
        for number, mount in enumerate(of(bulk, member))
        if mount.get('size')
    }


def given(bulk, member):
    """List the user's own volumes that a member mounts.

    :returns: {volume id}.
    """
    return {
        mount['source']
        for mount in of(bulk, member)
        if mount.get('type', 'volume') == 'volume' and mount.get('source')
    }


def made_for_any(bulk):
    """Whether members of a bulk may need new volumes."""
    return bulk.spec.trust_id is not None


def noted(member, volumes):
    """Make the value of ``Member.volumes`` for a member with new volumes.

    :param volumes: {number of the mount: id of the volume}.
    """
    return {'of': _start(member), 'ids': volumes}


def volume_ids(member):
    """Return a member's new volumes, as passed to ``noted``."""
    return _noted(member).get('ids') or {}


def lacks(bulk, member):
    """Whether a conductor has to find volumes before the next start.

    Zun deletes the new volumes of a failed start, so those noted for an
    earlier start are not valid.
    """
    needed = own(bulk, member)
    return bool(needed) and (
        _noted(member).get('of') != _start(member)
        or needed.keys() != volume_ids(member).keys()
    )


def _noted(member):
    return member.volumes or {}


def _start(member):
    """Identify a start; a user's retry resets the number of attempts."""
    return [member.attempt, str(member.started_at)]
