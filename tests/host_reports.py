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

"""What an agent reports of its host, and the API's view of a host.

Complete, so that a test sets only the values that it is about. A test of the
agent compares the keys with those of a real report.
"""


def make_paced(**changes):
    """What a pacer shows of starts or deletes, with the waiting threads."""
    return {
        'limit': 4,
        'in_flight': 3,
        'waiting': 0,
        'interval': 0.0,
        'per_second': 0.35,
        'median': 0.84,
        'p95': 1.12,
        'seconds': 191.5,
        'ended': {'done': 210, 'soft': 1, 'hard': 2, 'neutral': 0},
        'breaker': 'closed',
        'last_cut': {'ago': 722.4, 'why': 'overload'},
        **changes,
    }


def make_report(**changes):
    """The report of an agent."""
    return {
        'starts': make_paced(),
        'deletes': make_paced(in_flight=0),
        'held_by': {},
        'settings': {
            'mode': 'fixed',
            'max_in_flight': 4,
            'start_interval': 0.0,
        },
        'settle': {'median': 5.1, 'p95': 5.4},
        'queued': 17,
        'deleting': 0,
        **changes,
    }


def make_view(name='host-1', **changes):
    """A host as the API shows it to operators."""
    return {
        'host': name,
        'state': 'ok',
        'held': False,
        'hold_reason': None,
        'mode': None,
        'max_in_flight': None,
        'start_interval': None,
        'updated_at': None,
        'source': 'live',
        'age': 0.0,
        'pace': make_report(),
        'links': [],
        **changes,
    }
