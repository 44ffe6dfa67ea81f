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

"""What volumes the members of a bulk have: pure.

A mount is as Zun's API takes it, with the id of the volume that was named. One
with a size stands for a new volume, one for each member: the member's own.
"""


def of(bulk, member):
    """The mounts of a member: those of all, and those it has of its own."""
    return [*bulk.spec.mounts, *member.wanted.mounts]


def own(bulk, member):
    """:returns: {number of the mount, as text: size in GB}."""
    return {
        str(number): mount['size']
        for number, mount in enumerate(of(bulk, member))
        if mount.get('size')
    }


def given(bulk, member):
    """:returns: ids of the volumes that the user gave."""
    return {
        mount['source']
        for mount in of(bulk, member)
        if mount.get('type', 'volume') == 'volume' and mount.get('source')
    }


def made_for_any(bulk):
    """Whether members of a bulk may have volumes of their own."""
    return bulk.spec.trust_id is not None


def noted(member, volumes):
    """What ``Member.volumes`` is to be of a member with new volumes.

    :param volumes: {number of the mount: id of the volume}.
    """
    return {'of': _start(member), 'ids': volumes}


def volume_ids(member):
    """The volumes that were noted of a member, as ``noted`` takes them."""
    return _noted(member).get('ids') or {}


def lacks(bulk, member):
    """Whether a conductor has to look for volumes before the next start.

    Zun deletes the new volumes of a start that fails, so those that were noted
    for the one before are no good.
    """
    needed = own(bulk, member)
    return bool(needed) and (
        _noted(member).get('of') != _start(member)
        or needed.keys() != volume_ids(member).keys()
    )


def _noted(member):
    return member.volumes or {}


def _start(member):
    """Tell starts apart: the attempts begin anew where a user tries again."""
    return [member.attempt, str(member.started_at)]
