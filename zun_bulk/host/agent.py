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

"""The agent of a host: starts and deletes the members placed on it.

It runs as a thread inside zun-compute, beside the driver. It takes members
from the database as its pacer grants and casts Zun's own container_create to
this very host, so that all that Zun does around a create stays Zun's. How a
member goes on is seen in the database and in Docker, never assumed: nothing
that this process remembers is needed after its death.
"""

import collections
import contextlib
import functools
import itertools
import math
import random
import threading
import time

from oslo_concurrency import lockutils
from oslo_log import log as logging
from oslo_utils import timeutils
from zun import objects
from zun.common import consts
from zun.common import context as zun_context
from zun.common import exception

from zun_bulk import disclosure
from zun_bulk import pausing
from zun_bulk import rpc
from zun_bulk.conf import CONF
from zun_bulk.db import api as db
from zun_bulk.db import hosts as db_hosts
from zun_bulk.db import tables
from zun_bulk.db import zun_rows
from zun_bulk.db.models import OPERATOR
from zun_bulk.db.models import BulkStatus
from zun_bulk.db.models import MemberState
from zun_bulk.host import events
from zun_bulk.host import failures
from zun_bulk.host import gates
from zun_bulk.host import pacer
from zun_bulk.host import seldom
from zun_bulk.host import throttle
from zun_bulk.host import verification
from zun_bulk.volume import mounts


LOG = logging.getLogger(__name__)

#: How many members are read ahead, so that a start costs no SELECT of its own.
READ_AHEAD = 20
#: Seconds between two looks at the rows of what is under way.
CHECK_INTERVAL = 1.0
#: Seconds without any work of the driver after which a start or a delete is
#: lost and asked for again. Zun claims in between and saves its row.
LOST = 45.0
#: Seconds after which Zun is done with a claim that zun-compute refused.
CLAIM_GOES = 5.0
RETRY_BASE = 2.0
RETRY_MAX = 60.0
#: Seconds until volumes that could not be detached are tried again.
VOLUMES_AGAIN = 10.0
#: Images that are pulled at the same time: as many as Docker downloads layers
#: at a time, unless told otherwise.
PULLS = 3
#: Seconds between two looks at the host's own row without a message.
ROW_INTERVAL = 60.0
#: Of how many members the time to settle is shown.
SETTLED_KNOWN = 200


class Cast:
    """A member that was cast to zun-compute, to be created or deleted.

    :ivar since: when that was.
    :ivar looked: when it was looked into, as it took long.
    :ivar working: whether the driver is at it just now.
    :ivar seen: when the driver was last at it.
    :ivar refused: when it was seen that its claim was refused.
    """

    def __init__(self, member, now):
        self.member = member
        self.since = self.looked = self.seen = now
        self.working = False
        self.refused = None


class Settling(collections.namedtuple('Settling', 'member since due')):
    """A member started at ``since`` that has to be up at ``due``."""


ENGINE_RESTARTED = 'its engine was restarted'

#: What is not read holds nothing.
UNREAD = functools.partial(gates.Readings, ping=0.0)
#: States of members whose containers have run, and may run no more or again.
HAVE_RUN = (MemberState.RUNNING, MemberState.STOPPED, MemberState.FAILED)


class HostAgent:
    def __init__(
        self,
        host,
        inspect,
        remove,
        probe=UNREAD,
        list_states=dict,
        watch=None,
        forget_volumes=lambda container_uuid: None,
    ):
        """:param host: this host's name.

        :param inspect: function of a container's uuid that returns Docker's
            inspect of it, or None if there is none.
        :param remove: function of a container's uuid that removes it from
            Docker.
        :param probe: function that returns the host's gates.Readings.
        :param list_states: function that returns {container uuid: Docker's
            state} of the containers of bulks.
        :param watch: function of a time that yields Docker's events; see
            ``events.follow``.
        :param forget_volumes: function of a container's uuid that detaches
            what an earlier start of it has left attached to this host.
        """
        self._host = host
        self._inspect = inspect
        self._remove = remove
        self._read_host = probe
        self._list_states = list_states
        self._watch = watch
        self._forget_volumes = forget_volumes
        #: What holds the host: {gate: text}.
        self._held = {}
        #: Why the operator holds it, None if he does not.
        self._hold = None
        self._probed = float('-inf')
        self._context = zun_context.get_admin_context(all_projects=True)
        self._starts = {}
        self._settling = []
        #: [(when to try again, Member)]
        self._delayed = []
        self._ready = collections.deque()
        self._deletes = {}
        # Told by the driver from other threads.
        self._started = collections.deque()
        # Told by the thread that follows Docker's events.
        self._changed = collections.deque()
        self._missed = False
        # As long as nobody listens, any may have ended with its engine.
        self._engine_back = math.inf
        #: {container uuid: when to look at it}
        self._looks = {}
        #: {id: (Bulk, rpc.ComputeAPI)}
        self._bulks = {}
        self._woken = threading.Event()
        self._settings = throttle.Settings.configured()
        #: What creates and starts, and what stops and deletes, goes through.
        self.starts = self._new_throttle(
            'starts', self._settings.start_interval
        )
        self.deletes = self._new_throttle('deletes')
        self.pulls = throttle.of_calls('pulls', host, PULLS)
        # Whether the database may hold more than has been read.
        self._more_to_start = self._more_to_delete = True
        self._checked = self._looked = 0.0
        # Whether the host's row has to be read, and when it was.
        self._row_wanted = True
        self._row_read = float('-inf')
        self._reports = seldom.Reports()
        self._wake_ups = seldom.Seldom()
        # How many wait at a host that starts none, and when it was counted.
        self._queued = 0
        self._counted = float('-inf')
        #: Seconds from the start to the running of the last members.
        self._settled = collections.deque(maxlen=SETTLED_KNOWN)

    def _new_throttle(self, kind, interval=0.0):
        return throttle.Throttle(
            kind,
            throttle.new_pacer(kind, self._host, self._settings, interval),
            self._woken.set,
        )

    def start(self):
        threading.Thread(
            target=self._run, daemon=True, name='zun-bulk-agent'
        ).start()
        if self._watch:
            threading.Thread(
                target=events.follow,
                args=(self._watch, self.changed, self.missed, self.lost),
                daemon=True,
                name='zun-bulk-events',
            ).start()
        rpc.serve_host(self.wake, self.show)
        if CONF.zun_bulk.metrics_port:
            # What it wants need not be there where nobody asks for it.
            from zun_bulk.host import metrics

            metrics.serve(
                CONF.zun_bulk.metrics_address,
                CONF.zun_bulk.metrics_port,
                self.show,
                OPERATOR,
            )

    def wake(self):
        """Look into the database now."""
        self._more_to_start = self._more_to_delete = True
        self._row_wanted = True
        self._woken.set()

    def show(self):
        """What an operator wants to know, as a dict. Asked by any thread."""
        return self._with_counts(self._show(time.monotonic()))

    def report(self):
        """What it has in hand, as a dict, for who looks for a fault.

        Without the database, which may be the fault. Asked by any thread.
        """
        now = time.monotonic()
        return dict(
            self._show(now),
            pulls=self.pulls.show(now),
            starting=self._report_casts(self._starts, now),
            being_deleted=self._report_casts(self._deletes, now),
            settling=len(self._settling),
            read_ahead=len(self._ready),
            tried_again_later=len(self._delayed),
        )

    def _report_casts(self, casts, now):
        return {
            uuid: {
                'name': cast.member.name,
                'bulk': self._uuid_of_bulk(cast.member.bulk_id),
                'attempt': cast.member.attempt,
                'seconds': round(now - cast.since, 1),
                'driver_is_at_it': cast.working,
            }
            for uuid, cast in list(casts.items())
        }

    def _uuid_of_bulk(self, bulk_id):
        bulk, _api = self._bulks.get(bulk_id, (None, None))
        return bulk and bulk.uuid

    # ------------------------------------------------- called by the driver

    # Each may be told of any container, of a bulk or not.

    def is_starting(self, container_uuid):
        return container_uuid in self._starts

    @contextlib.contextmanager
    def working(self, container_uuid):
        """Within it the driver creates, starts or deletes a member."""
        cast = self._starts.get(container_uuid) or self._deletes.get(
            container_uuid
        )
        if cast is None:
            # Just now another thread has seen its end.
            yield
            return
        cast.working = True
        try:
            yield
        finally:
            cast.seen = time.monotonic()
            cast.working = False

    def is_deleting(self, container_uuid):
        return container_uuid in self._deletes

    def is_new(self, container_uuid):
        """Whether Docker cannot have a container: this is its first try."""
        start = self._starts.get(container_uuid)
        return (
            start is not None
            and start.member.attempt == 1
            # One that its user has tried again keeps what it failed of.
            and not start.member.reason
        )

    def created(self, container_uuid):
        start = self._starts.get(container_uuid)
        if start is not None and not self._bulks[start.member.bulk_id][0].run:
            self.started(container_uuid)

    def started(self, container_uuid):
        if container_uuid in self._starts:
            self._started.append(container_uuid)
            self._woken.set()

    # ------------------------------------------- called by Docker's events

    def changed(self, action, container_uuid):
        """A container of a bulk has started or died."""
        if action == 'start' and (
            container_uuid in self._starts
            or any(
                item.member.container_uuid == container_uuid
                for item in self._settling
            )
        ):
            # As it was asked to.
            return
        self._changed.append(container_uuid)
        self._woken.set()

    def missed(self, back):
        """Containers may have started or died without being told.

        :param back: when the engine was found to answer, in seconds since the
            epoch.
        """
        self._engine_back = back
        self._missed = True
        self._woken.set()

    def lost(self):
        """Nothing is told of containers until ``missed`` is called."""
        self._engine_back = math.inf

    # ---------------------------------------------------------- the loop

    def _run(self):
        recovered = False
        while True:
            try:
                if not recovered:
                    self._recover(time.monotonic())
                    recovered = True
                self._turn(time.monotonic())
                patience = self._patience(time.monotonic())
            except Exception as error:
                # What that turn had in hand is known to the database only.
                recovered = False
                patience = CHECK_INTERVAL
                if not tables.explains(error):
                    LOG.exception(
                        'The agent of %s could not go on; it tries again',
                        self._host,
                    )
            self._woken.wait(patience)
            self._woken.clear()

    def _patience(self, now):
        """Seconds until there is something to do without being woken."""
        patience = CONF.zun_bulk.poll_interval
        if self._starts or self._deletes:
            patience = min(patience, CHECK_INTERVAL)
        if self._settling:
            patience = min(
                patience, min(item.due for item in self._settling) - now
            )
        if self._delayed:
            patience = min(
                patience, min(when for when, _member in self._delayed) - now
            )
        if self._looks:
            patience = min(patience, min(self._looks.values()) - now)
        for throttled, more in (
            (self.starts, self._ready or self._more_to_start),
            (self.deletes, self._more_to_delete),
        ):
            wait = throttled.wait(now) if more else None
            if wait is not None:
                patience = min(patience, wait)
        if self._held:
            patience = min(patience, self._next_probe() - now)
        if self._is_busy():
            patience = min(patience, seldom.AT_WORK)
        for rare in (self._reports, self._wake_ups):
            wait = rare.wait(now)
            if wait is not None:
                patience = min(patience, wait)
        return max(0.01, patience)

    def _turn(self, now):
        if now - self._looked >= CONF.zun_bulk.poll_interval:
            self._looked = now
            self._more_to_start = self._more_to_delete = True
        if self._row_wanted or now - self._row_read >= ROW_INTERVAL:
            self._read_row(now)
        self._take_started(now)
        self._follow_changes(now)
        self._settle(now)
        if now - self._checked >= CHECK_INTERVAL:
            self._checked = now
            self._check_starts(now)
            self._check_deletes(now)
        self._start_members(now)
        self._delete_members(now)
        if not self._is_busy():
            self._bulks.clear()
        if self._wake_ups.take(now):
            self._wake_conductor()
        self._report(now)

    def _is_busy(self):
        return bool(
            self._starts
            or self._settling
            or self._ready
            or self._delayed
            or self._deletes
        )

    def _recover(self, now):
        """Take up members in starting that this process does not know of.

        An earlier life of it left them, or a turn that was cut short.
        """
        # That turn may have had these in hand, too.
        self._row_wanted = True
        self._reports = seldom.Reports()
        known = {cast.member.id for cast in self._starts.values()}
        known.update(item.member.id for item in self._settling)
        for member in db.list_members_in(
            MemberState.STARTING, host=self._host
        ):
            if member.id in known:
                continue
            state = (self._inspect(member.container_uuid) or {}).get('State')
            if state and state.get('Running'):
                self._settling.append(
                    Settling(member, now, now + CONF.zun_bulk.settle_time)
                )
            else:
                self._again(member, 'its start was cut short')

    # ---------------------------------------------------------- starting

    def _start_members(self, now):
        due = [member for when, member in self._delayed if when <= now]
        self._delayed = [item for item in self._delayed if item[0] > now]
        self._ready.extend(due)
        room = self.starts.room(now)
        if len(self._ready) < room and self._more_to_start:
            self._read_ahead()
        if self._ready or self._held:
            self._probe(now)
            room = self.starts.room(now)
        batch = [
            self._ready.popleft() for _ in range(min(room, len(self._ready)))
        ]
        if batch:
            self._start_batch(batch, now)

    def _next_probe(self):
        return self._probed + CONF.zun_bulk_pacing.probe_interval

    def _probe(self, now):
        """See what holds the host, unless that was seen just now."""
        if now < self._next_probe():
            return
        self._probed = now
        before = self._held
        readings = self._read_host()
        self._held = gates.held(
            readings, CONF.zun_bulk_pacing, frozenset(before)
        )
        self._hold_starts()
        self.starts.pinged(now, readings.ping)
        for name in self._held.keys() - before.keys():
            LOG.warning(
                '%(host)s starts no more containers: %(text)s',
                {'host': self._host, 'text': self._held[name]},
            )
        for name in before.keys() - self._held.keys():
            LOG.info(
                '%(host)s is no longer held by %(gate)s, which was: %(text)s',
                {'host': self._host, 'gate': name, 'text': before[name]},
            )

    def _read_ahead(self):
        known = {member.id for member in self._ready}
        known.update(member.id for _when, member in self._delayed)
        limit = READ_AHEAD + len(known)
        members = db.list_members_in(
            MemberState.PLACED, host=self._host, limit=limit, building=True
        )
        self._more_to_start = len(members) == limit
        self._ready.extend(
            member for member in members if member.id not in known
        )

    def _start_batch(self, batch, now):
        began = time.monotonic()
        self._know_bulks(batch)
        ready, up = self._with_volumes(batch, now)
        members = db.start_members(ready)
        # Volumes may take long, and a start is lost when it is old.
        now += time.monotonic() - began
        for member in members:
            if member.container_uuid in up:
                self._settling.append(
                    Settling(member, now, now + CONF.zun_bulk.settle_time)
                )
        members = [
            member for member in members if member.container_uuid not in up
        ]
        # Zun's rows may still say how the last attempt ended.
        again = [
            member.container_uuid for member in members if member.attempt > 1
        ]
        if again:
            zun_rows.reset_containers(again)
        containers = self._containers(members)
        for member in members:
            container = containers.get(member.container_uuid)
            if container is None:
                self._fail(
                    member,
                    'the container was deleted outside its '
                    'bulk before it started',
                    'deleted',
                )
                continue
            self._starts[member.container_uuid] = Cast(member, now)
            self.starts.started(member.container_uuid, now)
            self._cast_create(member, container)

    def _with_volumes(self, batch, now):
        """Clear the volumes of earlier starts.

        Zun deletes the new ones of a start that fails, so a conductor looks
        after those before the next.

        :returns: the members that can start now, and the uuids of those that
            run already: an earlier start of theirs has come late.
        """
        ready, up, bare = [], set(), []
        for member in batch:
            if member.bulk_id not in self._bulks:
                # It was deleted after the member had been read.
                continue
            bulk, _api = self._bulks[member.bulk_id]
            if not mounts.of(bulk, member):
                ready.append(member)
                continue
            if member.attempt or member.reason:
                runs = self._clear_volumes(member, now)
                if runs is None:
                    continue
                if runs:
                    up.add(member.container_uuid)
                    ready.append(member)
                    continue
            if mounts.lacks(bulk, member):
                bare.append(member)
            else:
                ready.append(member)
        if db.move_members(bare, MemberState.QUEUED):
            self._wake_conductor()
        return ready, up

    def _clear_volumes(self, member, now):
        """Detach what earlier starts have left, unless its container runs.

        :returns: whether it runs, or None if this has to be tried again.
        """
        uuid = member.container_uuid
        try:
            # Else they would be taken from a start that goes on.
            with _zun_done(uuid):
                state = (self._inspect(uuid) or {}).get('State') or {}
                if not state.get('Running'):
                    self._forget_volumes(uuid)
                return bool(state.get('Running'))
        except lockutils.AcquireLockFailedException:
            LOG.info('Zun is still at container %s, which waits for it', uuid)
        except Exception as error:
            LOG.warning(
                'Could not clear the volumes of container %(uuid)s, which is '
                'tried again: %(error)s',
                {'uuid': uuid, 'error': error},
            )
        self._delayed.append((now + VOLUMES_AGAIN, member))
        return None

    def _cast_create(self, member, container):
        bulk, api = self._bulks[member.bulk_id]
        api.container_create(
            api._context,
            self._host,
            container,
            member.limits or {},
            [dict(network) for network in member.networks],
            {container.uuid: self._volumes(api._context, bulk, member)},
            bulk.run,
            None,
        )

    @staticmethod
    def _volumes(context, bulk, member):
        """Zun's volume mappings for the mounts of a member."""
        mappings = []
        new = mounts.volume_ids(member)
        for number, mount in enumerate(mounts.of(bulk, member)):
            is_file = mount.get('type') == 'bind'
            values = {
                'cinder_volume_id': new.get(str(number)),
                # Zun deletes it with the container.
                'auto_remove': str(number) in new,
                'volume_provider': 'local' if is_file else 'cinder',
                'contents': mount.get('source', '') if is_file else None,
                'user_id': bulk.user_id,
                'project_id': bulk.project_id,
            }
            if not is_file and not values['cinder_volume_id']:
                values['cinder_volume_id'] = mount['source']
            volume = objects.Volume(context, **values)
            volume.create(context)
            mappings.append(
                objects.VolumeMapping(
                    context,
                    volume_id=volume.id,
                    container_uuid=member.container_uuid,
                    container_path=mount['destination'],
                    **values,
                )
            )
        return mappings

    def _know_bulks(self, members):
        """Read the bulks of members that are not known yet."""
        wanted = {member.bulk_id for member in members}
        for bulk_id, bulk in db.get_bulks_by_id(
            wanted - set(self._bulks)
        ).items():
            # Zun sends the context that its client was made with. It has no
            # token, so that it is good however long the member waited.
            context = zun_context.RequestContext(
                is_admin=True,
                project_id=bulk.project_id,
                user_id=bulk.user_id,
                request_id=bulk.request_id,
            )
            self._bulks[bulk_id] = bulk, rpc.ComputeAPI(context)

    def _containers(self, members):
        if not members:
            return {}
        return {
            container.uuid: container
            for container in objects.Container.list(
                self._context,
                filters={
                    'uuid': [member.container_uuid for member in members]
                },
            )
        }

    # --------------------------------------------------------- verifying

    def _take_started(self, now):
        while self._started:
            uuid = self._started.popleft()
            start = self._starts.pop(uuid, None)
            if start is not None:
                self.starts.finished(uuid, now, pacer.Outcome.DONE)
                self._settling.append(
                    Settling(
                        start.member, now, now + CONF.zun_bulk.settle_time
                    )
                )

    def _settle(self, now):
        """Decide on members that have been up for long enough."""
        due = [item for item in self._settling if item.due <= now]
        if not due:
            return
        self._know_bulks([item.member for item in due])
        self._settling = [item for item in self._settling if item.due > now]
        verified = []
        for member, since, _due in due:
            try:
                found = self._inspect(member.container_uuid)
            except Exception as error:
                # The engine does not answer, which says nothing of the
                # container.
                LOG.warning(
                    'Could not look at container %(uuid)s: %(error)s',
                    {'uuid': member.container_uuid, 'error': error},
                )
                self._settling.append(
                    Settling(member, since, now + CHECK_INTERVAL)
                )
                continue
            problem = verification.problem(
                found, self._bulks[member.bulk_id][0].run
            )
            if (
                problem
                and member.attempt
                < self._bulks[member.bulk_id][0].max_attempts
                and verification.ended_with_engine(found, self._engine_back)
            ):
                self._again(member, ENGINE_RESTARTED)
                self._more_to_start = True
            elif problem:
                self._fail(
                    member,
                    disclosure.on_host(self._host, problem),
                    'application',
                )
            else:
                verified.append(member)
                self._settled.append(now - since)
        if verified:
            db.move_members(
                verified,
                MemberState.RUNNING,
                reason=None,
                reason_class=None,
                finished_at=timeutils.utcnow(),
            )
            self._wake_conductor_if_idle()

    # ------------------------------------------------- what has run since

    def _follow_changes(self, now):
        """Look at what Docker's events have told of."""
        try:
            if self._missed:
                self._changed.extend(self._list_changed())
                self._missed = False
            while self._changed:
                self._looks[self._changed.popleft()] = now
            # One that dies while it settles has not settled.
            self._settling = [
                item
                if self._looks.pop(item.member.container_uuid, None) is None
                else item._replace(due=now)
                for item in self._settling
            ]
            self._look_again(now)
        except Exception as error:
            # An engine that is down is no reason to do nothing else.
            LOG.warning(
                'Could not look at containers that have changed: %s', error
            )
            self._looks = {
                uuid: max(due, now + CHECK_INTERVAL)
                for uuid, due in self._looks.items()
            }

    def _list_changed(self):
        """Containers that are not what their members say."""
        states = self._list_states()
        self._remove_strays(list(states))
        found = []
        for state in HAVE_RUN:
            for member in db.list_members_in(state, host=self._host):
                uuid = member.container_uuid
                if state == MemberState.RUNNING:
                    # What was only to be created is "created".
                    changed = states.get(uuid) not in ('running', 'created')
                else:
                    changed = states.get(uuid) == 'running'
                if changed:
                    found.append(uuid)
        return found

    def _remove_strays(self, uuids):
        """Remove containers whose members are another host's by now.

        They were taken back from this host when it was forced down. What has
        no rows at all is left alone, as the database may be an old one.
        """
        unknown = set(uuids)
        for member in db.list_members_of(uuids):
            unknown.discard(member.container_uuid)
            if member.host != self._host:
                LOG.warning(
                    'Container %(uuid)s is removed from %(host)s, as its '
                    'member has gone to %(other)s',
                    {
                        'uuid': member.container_uuid,
                        'host': self._host,
                        'other': member.host or 'no host yet',
                    },
                )
                self._remove(member.container_uuid)
        unknown -= zun_rows.container_states(list(unknown)).keys()
        if unknown:
            LOG.warning(
                'Docker on %(host)s has %(number)d containers of bulks that '
                'Zun does not know, such as zun-%(uuid)s; remove them by hand '
                'if they are not wanted',
                {
                    'host': self._host,
                    'number': len(unknown),
                    'uuid': min(unknown),
                },
            )

    def _look_again(self, now):
        """Bring members up to date with containers that started or died."""
        # Some at a time: when an engine comes back, all may have died.
        uuids = list(
            itertools.islice(
                (uuid for uuid, due in self._looks.items() if due <= now),
                READ_AHEAD,
            )
        )
        if not uuids:
            return
        rows = zun_rows.container_states(uuids)
        members = {
            member.container_uuid: member
            for member in db.list_members_of(uuids)
            if member.host == self._host and member.state in HAVE_RUN
        }
        for uuid in uuids:
            if uuid in members and not self._look_at(
                members[uuid], rows.get(uuid)
            ):
                self._looks[uuid] = now + CHECK_INTERVAL
            else:
                del self._looks[uuid]

    def _look_at(self, member, row):
        """Returns whether what the container is now is known."""
        inspect = self._inspect(member.container_uuid)
        found = verification.since(inspect, row and (row[0], row[2]))
        if found is None:
            return False
        if (
            member.state == MemberState.RUNNING
            and self._may_try_again(member)
            and verification.ended_with_engine(inspect, self._engine_back)
        ):
            self._again(member, ENGINE_RESTARTED)
            self._more_to_start = True
        else:
            self._record(member, *found)
        return True

    @staticmethod
    def _may_try_again(member):
        bulk = _bulk_of(member)
        return (
            bulk is not None
            and bulk.status == BulkStatus.BUILDING
            and member.attempt < bulk.max_attempts
        )

    def _record(self, member, state, reason_class, reason):
        """A container that has run is in another state than it was."""
        if state == member.state:
            return
        uuid = member.container_uuid
        reason = reason and disclosure.on_host(self._host, reason)
        if not db.move_members(
            [member], state, reason=reason, reason_class=reason_class
        ):
            return
        db.review_bulk(member.bulk_id)
        if state == MemberState.RUNNING:
            LOG.info('Container %s runs again', uuid)
            return
        zun_rows.stop_container(uuid, reason or 'It has ended.')
        bulk = _bulk_of(member)
        LOG.warning(
            'Container %(uuid)s of bulk %(bulk)s has ended: %(reason)s',
            {
                'uuid': uuid,
                'bulk': bulk and bulk.uuid,
                'reason': disclosure.shown(reason)
                or 'it was done, or was stopped',
            },
        )
        if state == MemberState.FAILED:
            self._pause_if_hopeless(bulk, reason)

    # ------------------------------------------------------- what failed

    def _check_starts(self, now):
        """Find starts that ended without the driver having started them."""
        if not self._starts:
            return
        rows = zun_rows.container_states(list(self._starts))
        for uuid, start in list(self._starts.items()):
            row = rows.get(uuid)
            if row is None:
                self._ended(uuid, now)
                self._fail(
                    start.member,
                    'the container was deleted outside '
                    'its bulk while it started',
                    'deleted',
                )
                continue
            status, reason, task_state, _host = row
            if status == consts.ERROR and task_state is None:
                failure = failures.classify(reason)
                if failure is failures.FailureClass.CLAIM:
                    # Zun takes its claim away once it has written that down,
                    # and it must not be the next one.
                    start.refused = start.refused or now
                    if now - start.refused < CLAIM_GOES:
                        continue
                self._ended(uuid, now, failure.outcome)
                self._retry_or_fail(start.member, reason, now)
            elif now - start.looked > min(
                self.starts.deadline(), LOST, CONF.zun_bulk.create_timeout
            ):
                start.looked = now
                self._look_into(uuid, start, status, task_state, now)

    def _ended(self, uuid, now, outcome=pacer.Outcome.NEUTRAL):
        self._starts.pop(uuid, None)
        self.starts.finished(uuid, now, outcome)

    def _retry_or_fail(self, member, reason, now):
        bulk, _api = self._bulks[member.bulk_id]
        row = failures.find(reason)
        reason = disclosure.on_host(
            self._host, failures.in_its_words(reason or 'no reason given')
        )
        if row.hint:
            reason = '%s (%s)' % (reason, row.hint)
        refused = row.failure is failures.FailureClass.CLAIM
        # Without a claim it is no longer this host's.
        values = {'host': None} if refused else {}
        if not row.failure.retried:
            self._fail(member, reason, 'permanent')
        elif member.attempt >= bulk.max_attempts:
            self._fail(member, reason, 'transient', **values)
        elif refused:
            self._again(member, reason, MemberState.QUEUED, **values)
            self._wake_conductor()
        else:
            delay = min(RETRY_MAX, RETRY_BASE * 2 ** (member.attempt - 1))
            LOG.info(
                '%(host)s starts container %(uuid)s again in at most '
                '%(delay)d s, after attempt %(attempt)d: %(reason)s',
                {
                    'host': self._host,
                    'uuid': member.container_uuid,
                    'delay': delay,
                    'attempt': member.attempt,
                    'reason': disclosure.shown(reason),
                },
            )
            if row.failure is failures.FailureClass.BUSY:
                self._remove_from_docker(member.container_uuid)
            if self._again(member, reason):
                self._delayed.append((now + random.uniform(0, delay), member))

    def _again(self, member, reason, state=MemberState.PLACED, **values):
        """Turn a member back to placed or queued, to be started anew.

        :returns: whether it was.
        """
        moved = db.move_members(
            [member],
            state,
            told={'host': self._host},
            reason=reason,
            reason_class='transient',
            **values,
        )
        if moved:
            zun_rows.reset_containers([member.container_uuid])
        return moved

    def _look_into(self, uuid, start, status, task_state, now):
        """A start takes long: see what became of it, start none twice."""
        state = (self._inspect(uuid) or {}).get('State')
        if state and state.get('Running'):
            self.started(uuid)
        elif self._is_lost(uuid, start, now):
            # The message never arrived, or Zun's thread has ended of an error
            # that it could not write down. Should it come after all, Zun does
            # one after the other, and the driver finds what is there.
            LOG.warning(
                'Nothing is done about container %(uuid)s, in %(task)s on '
                '%(host)s; it is started again',
                {
                    'uuid': uuid,
                    'task': task_state or status,
                    'host': self._host,
                },
            )
            self._ended(uuid, now)
            self._again(start.member, 'its start was lost')
            self._more_to_start = True
        else:
            LOG.warning(
                'Container %(uuid)s has been in %(task)s on %(host)s '
                'for %(seconds)d s',
                {
                    'uuid': uuid,
                    'task': task_state or status,
                    'host': self._host,
                    'seconds': now - start.since,
                },
            )

    @staticmethod
    def _is_lost(uuid, start, now):
        """Whether nobody does anything about a start any more."""
        patience = min(LOST, CONF.zun_bulk.create_timeout)
        if start.working or now - start.seen <= patience:
            return False
        try:
            with _zun_done(uuid):
                return True
        except lockutils.AcquireLockFailedException:
            # It pulls the image, for one, or waits for who does.
            return False

    def _fail(self, member, reason, reason_class, **values):
        if db.move_members(
            [member],
            MemberState.FAILED,
            reason=reason,
            reason_class=reason_class,
            finished_at=timeutils.utcnow(),
            **values,
        ):
            bulk = _bulk_of(member)
            LOG.warning(
                'Container %(uuid)s of bulk %(bulk)s failed: %(reason)s',
                {
                    'uuid': member.container_uuid,
                    'bulk': bulk and bulk.uuid,
                    'reason': disclosure.shown(reason),
                },
            )
            self._pause_if_hopeless(bulk, reason)
        self._wake_conductor_if_idle()

    @staticmethod
    def _pause_if_hopeless(bulk, reason):
        """See whether a failure says that more of the bulk will fail."""
        if bulk is None or bulk.status != BulkStatus.BUILDING:
            return
        why = failures.why_pause(
            bulk, db.count_outcomes(bulk.id), reason, CONF.zun_bulk
        )
        if why:
            pausing.pause(bulk, why)

    # ---------------------------------------------------------- deleting

    def _delete_members(self, now):
        room = self.deletes.room(now)
        if not room or not self._more_to_delete:
            return
        limit = room + len(self._deletes)
        members = db.list_members_in(
            MemberState.DELETING, host=self._host, limit=limit
        )
        self._more_to_delete = len(members) == limit
        members = [
            member
            for member in members
            if member.container_uuid not in self._deletes
        ]
        self._know_bulks(members)
        containers = self._containers(members)
        for member in members:
            uuid = member.container_uuid
            self._deletes[uuid] = Cast(member, now)
            self.deletes.started(uuid, now)
            if uuid in containers:
                self._cast_delete(member, containers[uuid])

    def _cast_delete(self, member, container):
        _bulk, api = self._bulks[member.bulk_id]
        api.container_delete_on(api._context, self._host, container)

    def _check_deletes(self, now):
        if not self._deletes:
            return
        rows = zun_rows.container_states(list(self._deletes))
        gone = [
            delete.member
            for uuid, delete in self._deletes.items()
            if uuid not in rows and self._remove_from_docker(uuid)
        ]
        for member in gone:
            del self._deletes[member.container_uuid]
            self.deletes.finished(
                member.container_uuid, now, pacer.Outcome.DONE
            )
        if gone:
            db.move_members(gone, MemberState.DELETED)
            self._more_to_delete = True
            self._wake_conductor_if_idle()
        for uuid, delete in list(self._deletes.items()):
            if not delete.working and now - delete.seen > LOST:
                LOG.warning(
                    'Container %(uuid)s is not deleted from %(host)s '
                    'after %(seconds)d s; asking again',
                    {
                        'uuid': uuid,
                        'host': self._host,
                        'seconds': now - delete.since,
                    },
                )
                del self._deletes[uuid]
                self.deletes.finished(uuid, now, pacer.Outcome.NEUTRAL)
                self._more_to_delete = True

    def _remove_from_docker(self, uuid):
        """Remove what Docker still has. Returns whether it has nothing.

        Zun deletes the row of a container that Docker would not remove.
        """
        try:
            if self._inspect(uuid) is not None:
                LOG.info('Container %s is left in Docker and is removed', uuid)
                self._remove(uuid)
        except Exception as error:
            LOG.warning(
                'Could not remove container %(uuid)s, which is tried '
                'again: %(error)s',
                {'uuid': uuid, 'error': error},
            )
            return False
        return True

    def _wake_conductor_if_idle(self):
        """The last of a bulk's members may have ended here."""
        if not self._is_busy():
            self._wake_ups.wish()

    def _wake_conductor(self):
        try:
            rpc.wake_conductors(self._context)
        except Exception as error:
            LOG.warning(
                'Could not wake a conductor, which will look by itself: %s',
                error,
            )

    # ------------------------------------------- what the operator wishes

    def _read_row(self, now):
        """Do as the operator wishes, who has written it into the host's row.

        It is what is remembered of his wishes: this process is told nothing
        that it would have to keep.
        """
        # Before the look, so that what comes meanwhile is not missed.
        self._row_wanted = False
        try:
            row = db_hosts.get_host(self._host)
        except exception.ResourceNotFound:
            db_hosts.add_host(self._host)
            row = db_hosts.get_host(self._host)
        self._row_read = now
        self._adjust(
            throttle.Settings.configured().overridden(
                mode=row.mode,
                max_in_flight=row.max_in_flight,
                start_interval=row.start_interval,
            )
        )
        hold = (row.held_reason or 'no reason given') if row.held else None
        if hold != self._hold:
            self._hold = hold
            self._hold_starts()
            LOG.warning(
                '%(host)s: %(what)s',
                {
                    'host': self._host,
                    'what': 'the operator lets it start containers again'
                    if hold is None
                    else 'the operator lets it start nothing: ' + hold,
                },
            )

    def _adjust(self, settings):
        """Go on at another pace, with what is in flight."""
        if settings == self._settings:
            return
        before, self._settings = self._settings, settings
        LOG.warning(
            'Pace of %(host)s is set to %(settings)s',
            {'host': self._host, 'settings': settings._asdict()},
        )
        # A limit begins anew, so only where it has to.
        if settings[:2] != before[:2]:
            for kind in ('starts', 'deletes'):
                getattr(self, kind).adjust(
                    limit=throttle.new_limit(kind, self._host, settings)
                )
        self.starts.adjust(interval=settings.start_interval)

    def _holds(self):
        """Who holds the host: why."""
        if self._hold is None:
            return self._held
        return dict(self._held, **{OPERATOR: self._hold})

    def _hold_starts(self):
        self.starts.hold(self._holds())

    # --------------------------------------------- what the operator sees

    def _show(self, now):
        # Others may append while it is looked at.
        settled = list(self._settled)
        return {
            'starts': self.starts.show(now),
            'deletes': self.deletes.show(now),
            'held_by': self._holds(),
            'settings': self._settings._asdict(),
            'settle': {
                'median': pacer.quantile(settled, 0.5),
                'p95': pacer.quantile(settled, 0.95),
            },
        }

    def _with_counts(self, shown):
        counts = db_hosts.count_members_on(self._host)
        return dict(
            shown,
            queued=counts.get(MemberState.PLACED, 0),
            deleting=counts.get(MemberState.DELETING, 0),
        )

    def _report(self, now):
        """Write down how the host does, if that tells anything new."""
        shown = self._show(now)
        paced = shown['starts'], shown['deletes']
        at_work = self._is_busy() or any(
            one['in_flight'] or one['waiting'] for one in paced
        )
        state = (
            at_work,
            self._settings,
            sorted(shown['held_by']),
            [one['breaker'] for one in paced],
            # Down to none a minute after the last.
            [one['per_second'] > 0 for one in paced],
            self._count_queued(shown, now),
        )
        if self._reports.look(now, state, at_work):
            db_hosts.report_host(self._host, self._with_counts(shown))

    def _count_queued(self, shown, now):
        """How many wait at a host that starts none, 0 at any other.

        Such a host reads no members, so that nothing else tells of them.
        """
        if not shown['held_by'] and shown['starts']['breaker'] != 'open':
            self._queued = 0
        elif now - self._counted >= seldom.SELDOM:
            self._counted = now
            self._queued = db_hosts.count_members_on(self._host).get(
                MemberState.PLACED, 0
            )
        return self._queued


def _bulk_of(member):
    """:returns: a member's Bulk as it is now; None if it is gone."""
    return db.get_bulks_by_id([member.bulk_id]).get(member.bulk_id)


def _zun_done(container_uuid):
    """Have a container for oneself, as Zun's threads have it one by one.

    :raises: AcquireLockFailedException if one of them has it now.
    """
    return lockutils.lock(container_uuid, do_log=False, blocking=False)
