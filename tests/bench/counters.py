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

"""What a run asks of the database, of other services and of the messages."""

import collections
import contextlib
import os
import pathlib
import re
import subprocess

import pymysql

from tests.bench import lab


SERVICES = ('keystone', 'neutron', 'placement')

# What uwsgi logs of a request, as the lab has it do.
REQUEST = re.compile(
    r'^\[pid: \d+\] (GET|POST|PUT|PATCH|DELETE) (/\S*) => \d+ in \d+ ms '
    r'for (\S*)',
    re.M,
)
# Of a path, what differs from one resource to the next; kuryr's tags too.
IDENT = re.compile(r'(?<=[/:])[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}')

# What RabbitMQ says of all messages that were published to it.
PUBLISHED = re.compile(r'\bmessages_received_total => (\d+)')


class Counters:
    """Context that counts from when it is entered.

    The database counts statements by user, so that Zun's are told from the
    other services'; BEGIN, COMMIT and the like are left out.
    """

    def __enter__(self):
        self.db = pymysql.connect(
            unix_socket=os.path.join(os.environ['LAB_RUN'], 'mariadb.sock'),
            user='root',
            autocommit=True,
        )
        self.sql('SET GLOBAL userstat = 1')
        self.start = self.read()
        return self

    def __exit__(self, *_exception):
        self.sql('SET GLOBAL userstat = 0')
        self.db.close()

    def count(self):
        """Return a Counter of what has happened since the start."""
        # Not the operator, which would leave out what is 0.
        now = self.read()
        now.subtract(self.start)
        return now

    def read(self):
        found = collections.Counter(messages=messages())
        for service in SERVICES:
            found[f'http {service}'] = requests(
                lab.log_file(service).read_text(errors='replace')
            )
        found.update(
            {
                'neutron: ' + ' '.join(call): number
                for call, number in requests_by_caller(
                    lab.log_file('neutron').read_text(errors='replace')
                ).items()
            }
        )
        for user, selects, updates in self.sql(
            'SELECT user, select_commands, update_commands '
            'FROM information_schema.user_statistics'
        ):
            if user != 'root':
                found[f'sql {user}'] = selects + updates
        return found

    def sql(self, statement):
        with contextlib.closing(self.db.cursor()) as cursor:
            cursor.execute(statement)
            return cursor.fetchall()


def requests(text):
    """Count the requests in a uwsgi log."""
    return len(REQUEST.findall(text))


def requests_by_caller(text):
    """Return a Counter of (client, method, path) of a uwsgi log.

    Neither what a query asks for counts, nor what resource it is.
    """
    return collections.Counter(
        (agent, method, IDENT.sub('{id}', uri.partition('?')[0]))
        for method, uri, agent in REQUEST.findall(text)
    )


def messages():
    """Return how many messages RabbitMQ has taken so far."""
    pid = (
        pathlib.Path(os.environ['LAB_RUN'], 'rabbitmq.pid')
        .read_text()
        .split()[0]
    )
    environment = dict(
        pair.partition('=')[::2]
        for pair in pathlib.Path(f'/proc/{pid}/environ')
        .read_text()
        .split('\0')
        if pair
    )
    # Meant for the server: with it the client would want its port too.
    environment.pop('RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS', None)
    text = subprocess.run(
        [
            '/usr/lib/rabbitmq/bin/rabbitmqctl',
            '-q',
            'eval',
            'rabbit_global_counters:overview().',
        ],
        env=environment,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
    return published(text)


def published(text):
    """Count the messages that RabbitMQ reports as published."""
    return sum(int(number) for number in PUBLISHED.findall(text))


def per_member(counted, idle, seconds, members):
    """Return what each member cost, without what runs anyway.

    :param counted: Counter of the run
    :param idle: {name: how many a second when nothing is asked}
    :param seconds: how long the run was
    :param members: how many containers it made
    """
    return {
        name: round(
            max(0.0, value - idle.get(name, 0.0) * seconds) / members, 2
        )
        for name, value in counted.items()
    }
