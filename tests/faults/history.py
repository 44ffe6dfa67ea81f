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

"""What has to hold of a bulk whatever died meanwhile, seen from outside."""

import collections


class Broken(Exception):
    """A promise was broken; the message says which."""


class World(
    collections.namedtuple(
        'World', 'docker ports allocations containers floating_ips'
    )
):
    """What there is, of whomever.

    :ivar docker: {something that names it: name} of the engines' containers.
    :ivar ports: {port id: device id}
    :ivar allocations: set of the uuids that have a claim.
    :ivar containers: set of the uuids of Zun's rows.
    :ivar floating_ips: {floating IP id: device id of the port it is bound to}
    """

    def without(self, others):
        """What is there besides that of another look."""
        return World(
            _less(self.docker, others.docker),
            _less(self.ports, others.ports),
            self.allocations - others.allocations,
            self.containers - others.containers,
            _less(self.floating_ips, others.floating_ips),
        )

    def is_empty(self):
        return not any(self)


def _less(found, others):
    return {key: one for key, one in found.items() if key not in others}


class Findings(collections.Counter):
    """What was found, by kind: all 0 where every promise was kept."""

    KINDS = (
        'lost',
        'duplicate',
        'orphans',
        'restart_errors',
        'foreign_touched',
    )

    def __init__(self):
        super().__init__(dict.fromkeys(self.KINDS, 0))
        self.texts = []

    def add(self, kind, number, text):
        if number:
            self[kind] += number
            self.texts.append('%s: %d %s' % (kind, number, text))


def check_bulk(found, bulk, members, wanted, world, foreign):
    """Compare a finished bulk with what there is of it.

    :param found: the Findings to add to.
    :param bulk: the bulk as zun-api shows it, and so ``members``.
    :param wanted: how many containers have to run; None if any number may,
        because it was cancelled.
    :param world: the World as it is.
    :param foreign: the World as it was before there was a bulk.
    """
    ours = world.without(foreign)
    running = {
        member['container_uuid']
        for member in members
        if member['state'] == 'running'
    }
    failed = [member for member in members if member['state'] == 'failed']
    found.add(
        'restart_errors',
        len(failed),
        'members failed: %s' % {member['reason'] for member in failed},
    )
    if wanted is not None:
        found.add(
            'lost',
            max(0, wanted - len(running)),
            'of %d do not run: %s' % (wanted, bulk['members']),
        )
    count = collections.Counter(
        name.removeprefix('zun-') for name in ours.docker.values()
    )
    names = set(count)
    found.add(
        'duplicate',
        sum(number - 1 for number in count.values()),
        'containers are the second of a member',
    )
    found.add('lost', len(running - names), 'that run are not in Docker')
    found.add(
        'orphans', len(names - running), 'in Docker belong to none that runs'
    )
    kinds = {'claims': ours.allocations}
    for kind in ('ports', 'floating_ips'):
        devices = collections.Counter(getattr(ours, kind).values())
        found.add(
            'duplicate',
            sum(number - 1 for number in devices.values()),
            '%s are the second of a container' % kind,
        )
        kinds[kind] = set(devices)
    if 'floating_ips' not in bulk or wanted is None:
        # Who cancels a bulk waits for none of them.
        kinds['floating_ips'] |= running
    for kind, uuids in kinds.items():
        found.add('lost', len(running - uuids), 'that run have no ' + kind)
        found.add(
            'orphans',
            len(uuids - running),
            '%s belong to none that runs' % kind,
        )
    check_foreign(found, world, foreign)


def check_gone(found, world, foreign):
    """After all bulks were deleted."""
    for kind, left in world.without(foreign)._asdict().items():
        found.add('orphans', len(left), '%s left after all' % kind)
    check_foreign(found, world, foreign)


def check_foreign(found, world, foreign):
    for kind, left in foreign.without(world)._asdict().items():
        found.add('foreign_touched', len(left), '%s of others are gone' % kind)
