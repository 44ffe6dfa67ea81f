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

"""How long Horizon takes for its pages of bulks with many containers.

Nothing is started: zun-compute is stopped, and the containers are put into
their states, on hosts that there are not, by SQL. It fails if the page of a
bulk takes too long, or its refresh more than one call of Zun's API. How long
it takes to delete the bulk is measured with its containers back in the queue.
"""

import contextlib
import dataclasses
import os
import re
import statistics
import time

import requests

from tests.bench import exceptions
from tests.bench import lab
from tests.bench import loads
from tests.bench import report
from tests.lab.real import labapi


#: Seconds that the page of a bulk may take, whatever its size.
LIMIT = 2.0
#: Seconds that a bulk may take to go.
PATIENCE = 600
#: Whose CPU time a page takes.
PROCESSES = ('horizon', 'zun-api', 'mariadb')
#: A line of zun-api's log about a request.
CALL = re.compile(r'"([A-Z]+) (/v1/\S*) HTTP/1\.1" status: .* time: ([\d.]+)')
TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="(\w+)"')
#: Between a tag and its text.
SPACE = re.compile(r'\s*([<>])\s*')

#: Of a hundred members, how many are in each state.
STATES = {'running': 80, 'starting': 5, 'placed': 5, 'failed': 10}

MEMBERS = """
    UPDATE zun_bulk_member
    SET state = %(state)s, attempt = 1, placed_at = NOW(), started_at = NOW(),
        finished_at = IF(%(state)s IN ('running', 'failed'), NOW(), NULL),
        host = CONCAT('node-', 1 + member_index DIV 100 %% %(nodes)s),
        reason = IF(%(state)s = 'failed',
                    CONCAT('no such thing: ', member_index DIV 100 %% 20),
                    NULL),
        reason_class = IF(%(state)s = 'failed', 'permanent', NULL)
    WHERE member_index %% 100 BETWEEN %(first)s AND %(last)s
"""
EVENTS = """
    INSERT INTO zun_bulk_event
        (created_at, bulk_id, member_index, container_uuid, event, host,
         attempt, reason)
    SELECT NOW(), bulk_id, member_index, container_uuid, %s, host, attempt,
        reason
    FROM zun_bulk_member WHERE state IN %s ORDER BY id
"""
#: Of the states above, which have had an event.
HISTORY = (
    ('placed', tuple(STATES)),
    ('starting', ('starting', 'running', 'failed')),
    ('running', ('running',)),
    ('failed', ('failed',)),
)
#: As if they had never had a host, so that none is asked to delete them.
BACK = """
    UPDATE zun_bulk_member
    SET state = 'queued', host = NULL, attempt = 0, reason = NULL,
        reason_class = NULL, placed_at = NULL, started_at = NULL,
        finished_at = NULL
"""


def add_arguments(parser):
    lab.add_small_lab_arguments(parser)
    for option, default, what in (
        ('count', 10000, 'containers a bulk'),
        ('bulks', 20, 'bulks of as many in a list, which shows 20'),
        ('nodes', 100, 'hosts that they are on'),
        ('repeat', 5, 'times that each page is asked for'),
    ):
        parser.add_argument(
            f'--{option}',
            type=int,
            default=default,
            metavar='N',
            help=f'{what} (%(default)s)',
        )


def calls(text):
    """Return [(method and path, seconds)] of a log of zun-api's."""
    return [
        (f'{method} {path}', float(seconds))
        for method, path, seconds in CALL.findall(text)
    ]


@dataclasses.dataclass
class Page:
    """What a page cost, each time it was asked for.

    :ivar seconds: until Horizon's answer was there
    :ivar calls: [(method and path, seconds)] of the API, for each time
    :ivar cpu: CPU seconds of a time, by process
    :ivar size: bytes of the last answer
    """

    name: str
    seconds: list
    calls: list
    cpu: dict
    size: int

    @property
    def api_seconds(self):
        return [sum(each for _call, each in made) for made in self.calls]

    @property
    def api_calls(self):
        return max(len(made) for made in self.calls)

    def row(self):
        return [
            self.name,
            f'{statistics.median(self.seconds):.2f}',
            f'{max(self.seconds):.2f}',
            self.api_calls,
            f'{statistics.median(self.api_seconds):.2f}',
            *(f'{self.cpu[process]:.2f}' for process in PROCESSES),
            f'{self.size / 1000:.0f}',
        ]


class Horizon:
    """Horizon as a browser has it that runs no script."""

    def __init__(self):
        self.url = os.environ['LAB_HORIZON_URL']
        self.session = requests.Session()
        self.log = lab.log_file('zun-api')

    def log_in(self):
        """Log in to Horizon.

        :raises BenchError: if Horizon does not accept name and password
        """
        form = self.session.get(f'{self.url}auth/login/', timeout=60)
        found = TOKEN.search(form.text)
        answer = self.session.post(
            f'{self.url}auth/login/',
            {
                'csrfmiddlewaretoken': found and found[1],
                'region': 'default',
                'username': os.environ['OS_USERNAME'],
                'password': os.environ['OS_PASSWORD'],
            },
            timeout=60,
        )
        if answer.status_code != 200 or '/auth/' in answer.url:
            raise exceptions.BenchError(f'no login: {answer.status_code}')

    def get(self, path):
        """Return (seconds, text, calls of the API)."""
        already = self.log.stat().st_size
        began = time.monotonic()
        answer = self.session.get(f'{self.url}{path}', timeout=300)
        seconds = time.monotonic() - began
        if answer.status_code != 200 or '/auth/' in answer.url:
            raise exceptions.BenchError(f'{path}: {answer.status_code}')
        # The API writes of a call once it has been answered.
        time.sleep(0.2)
        with self.log.open(errors='replace') as log:
            log.seek(already)
            made = calls(log.read())
        return seconds, SPACE.sub(r'\1', answer.text), made

    def measure(self, name, path, shows, repeat):
        """Ask for a page, once more than is measured.

        :param shows: what has to be in it
        :param repeat: how often it is measured
        :raises BenchError: if it is not
        """
        self.get(path)
        before = labapi.cpu_by_process()
        asked = [self.get(path) for _time in range(repeat)]
        after = labapi.cpu_by_process()
        text = asked[-1][1]
        if shows not in text:
            raise exceptions.BenchError(f'{name}: it does not show {shows}')
        return Page(
            name,
            [seconds for seconds, _text, _calls in asked],
            [made for _seconds, _text, made in asked],
            {
                process: (after[process] - before[process]) / repeat
                for process in PROCESSES
            },
            len(text.encode()),
        )


def list_pages(uuid):
    """Yield (name, path, what it shows) of lists that have a bulk."""
    yield 'list', 'project/bulks/', uuid
    yield 'list, refresh', 'project/bulks/refresh/', uuid
    yield 'list of all projects', 'admin/bulks/', uuid


def bulk_pages(uuid, name, count):
    """Yield (name, path, what it shows) of the pages of a bulk.

    :param name: what its members are called, before their numbers
    """
    bulk = f'project/bulks/{uuid}/'
    members = f'{bulk}?tab=bulk_details__members'
    events = f'{bulk}?tab=bulk_details__events'
    middle, end = count // 2, count - 20
    yield 'bulk', bulk, 'bulk-live'
    yield 'bulk, refresh', f'{bulk}refresh/', 'bulk-live'
    yield 'containers', members, f'{name}-1<'
    yield (
        'containers, in the middle',
        f'{members}&members_marker={middle}',
        f'{name}-{middle + 1}<',
    )
    yield (
        'containers, last page',
        f'{members}&members_marker={end}',
        f'{name}-{count}<',
    )
    yield 'containers, failed', f'{members}&state=failed', 'no such thing'
    yield 'containers, of a host', f'{members}&host=node-7', 'node-7<'
    yield (
        'containers, failed, of a host',
        f'{members}&state=failed&host=node-7',
        'no such thing',
    )
    yield 'containers, by number', f'{members}&q={count}', f'{name}-{count}<'
    yield 'containers, by name', f'{members}&q=-{count}', f'{name}-{count}<'
    yield 'containers, no such name', f'{members}&q=no-such', 'No items'
    yield 'events', events, '<table'
    yield 'events of a container', f'{events}&index={middle}', f'>{middle}<'


def fill(bulks, count, nodes, events=()):
    """Create bulks, and set the states of their members.

    :param events: [(event, states of those that have had it)] to tell of
    :returns: the bulks
    """
    made = [loads.Bulk() for _each in range(bulks)]
    for bulk in made:
        bulk.create(count)
    first = 0
    with contextlib.closing(labapi.database()) as db:
        for state, number in STATES.items():
            values = {
                'state': state,
                'nodes': nodes,
                'first': first,
                'last': first + number - 1,
            }
            with db.cursor() as cursor:
                cursor.execute(MEMBERS, values)
            first += number
        for event, states in events:
            labapi.rows(db, EVENTS, event, states)
        # It comes by itself, some time after so many changes.
        labapi.rows(db, 'ANALYZE TABLE zun_bulk_member, zun_bulk_event')
    return made


def delete(bulk):
    """Delete a bulk of which nothing was started.

    :returns: seconds (of the answer, until it is gone)
    """
    began = time.monotonic()
    bulk.zun.request('DELETE', bulk.path)
    answered = time.monotonic() - began
    while bulk.zun.request('GET', bulk.path)[0] != 404:
        if time.monotonic() > began + PATIENCE:
            raise exceptions.BenchError('the bulk would not go')
        time.sleep(0.1)
    return answered, time.monotonic() - began


def run(args):
    with lab.fresh(args, horizon=True):
        computes = [f'zun-compute-{number}' for number in labapi.hosts()]
        lab.run('stop', *computes)
        horizon = Horizon()
        horizon.log_in()

        (bulk,) = fill(1, args.count, args.nodes, HISTORY)
        name = bulk.show()['name']
        lab.wait_until_quiet()
        measured = [
            horizon.measure(*page, args.repeat)
            for page in bulk_pages(bulk.uuid, name, args.count)
        ]

        with contextlib.closing(labapi.database()) as db:
            labapi.rows(db, BACK)
        # Or the conductor would begin to place them.
        bulk.zun.request('POST', f'{bulk.path}/pause')
        for compute in computes:
            lab.run('start', compute)
        deleted = delete(bulk)

        lab.run('stop', *computes)
        bulks = fill(args.bulks, args.count, args.nodes)
        lab.wait_until_quiet()
        measured += [
            horizon.measure(*page, args.repeat)
            for page in list_pages(bulks[-1].uuid)
        ]
    return tell(measured, deleted)


def tell(measured, deleted):
    """Print what was measured.

    :returns: the exit status
    """
    header = ['page', 'median s', 'slowest s', 'calls', 'of them s']
    header += [f'{process} CPU s' for process in PROCESSES] + ['kB']
    print('\n'.join(report.table(header, [page.row() for page in measured])))
    by_name = {page.name: page for page in measured}
    bulk = [page for name, page in by_name.items() if name.startswith('bulk')]
    slowest = max(second for page in bulk for second in page.seconds)
    refresh_calls = by_name['bulk, refresh'].api_calls
    failed = int(slowest > LIMIT) + int(refresh_calls != 1)
    print(
        report.json_line(
            {
                'bench': 'panel',
                'failed': failed,
                'bulk_s': round(slowest, 3),
                'refresh_calls': refresh_calls,
                'slowest_s': round(
                    max(max(page.seconds) for page in measured), 3
                ),
                'delete_answer_s': round(deleted[0], 3),
                'delete_s': round(deleted[1], 3),
            }
        )
    )
    return failed
