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

"""Database servers of the tests' own, each in a directory that goes away.

They listen on a socket in that directory only.
"""

import glob
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time

import fixtures
import sqlalchemy as sa
from sqlalchemy import exc


#: Where Debian keeps what is not for everyone's PATH.
SEARCH_PATH = os.pathsep.join(
    [
        os.environ.get('PATH', os.defpath),
        '/usr/sbin',
        '/usr/local/sbin',
        *sorted(glob.glob('/usr/lib/postgresql/*/bin'), reverse=True),
    ]
)


class Server(fixtures.Fixture):
    """A running server.

    :raises: RuntimeError with the server's log if it does not come up.
    """

    #: What it takes; none of it has a path.
    BINARIES = ()

    @classmethod
    def missing(cls):
        """Return the binaries that this machine does not have."""
        return [
            name
            for name in cls.BINARIES
            if not shutil.which(name, path=SEARCH_PATH)
        ]

    def _setUp(self):
        # Not under TMPDIR: a socket's path must be shorter than 108 bytes.
        self.directory = tempfile.mkdtemp(prefix='zb-', dir='/tmp')
        self.addCleanup(shutil.rmtree, self.directory)
        self.data = os.path.join(self.directory, 'data')
        self.databases = 0
        self.prepare()
        with open(self.log, 'ab') as log:
            self.process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.directory,
            )
        self.addCleanup(self._stop)
        self._wait()

    @property
    def log(self):
        return os.path.join(self.directory, 'log')

    def _stop(self):
        self.process.send_signal(self.STOP)
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _wait(self):
        engine = sa.create_engine(self.url(self.MAINTENANCE))
        deadline = time.monotonic() + 60
        while True:
            try:
                with engine.connect():
                    break
            except exc.OperationalError:
                if (
                    self.process.poll() is not None
                    or time.monotonic() > deadline
                ):
                    with open(self.log) as log:
                        raise RuntimeError(
                            '%s does not come up: %s'
                            % (self.process.args, log.read())
                        ) from None
                time.sleep(0.1)
        engine.dispose()

    def run(self, *command):
        """Run a command to its end."""
        done = subprocess.run(
            command,
            cwd=self.directory,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        if done.returncode:
            raise RuntimeError('%s: %s' % (command, done.stdout))

    def make_database(self):
        """Create an empty database and return its URL."""
        self.databases += 1
        name = 'zun%d' % self.databases
        engine = sa.create_engine(
            self.url(self.MAINTENANCE), isolation_level='AUTOCOMMIT'
        )
        with engine.connect() as connection:
            connection.exec_driver_sql('CREATE DATABASE ' + name)
        engine.dispose()
        return self.url(name)


def _binary(name):
    return shutil.which(name, path=SEARCH_PATH)


class MariaDB(Server):
    BINARIES = ('mariadbd', 'mariadb-install-db')
    MAINTENANCE = 'mysql'
    STOP = signal.SIGTERM

    def prepare(self):
        self.user = pwd.getpwuid(os.getuid()).pw_name
        self.run(
            _binary('mariadb-install-db'),
            '--no-defaults',
            '--auth-root-authentication-method=normal',
            '--skip-test-db',
            '--user=' + self.user,
            '--datadir=' + self.data,
        )

    def command(self):
        return [
            _binary('mariadbd'),
            '--no-defaults',
            '--user=' + self.user,
            '--datadir=' + self.data,
            '--skip-networking',
            '--socket=' + os.path.join(self.directory, 'socket'),
            '--pid-file=' + os.path.join(self.directory, 'pid'),
            '--innodb-flush-log-at-trx-commit=0',
        ]

    def url(self, name):
        return 'mysql+pymysql://root@localhost/%s?unix_socket=%s/socket' % (
            name,
            self.directory,
        )


class PostgreSQL(Server):
    BINARIES = ('initdb', 'postgres')
    MAINTENANCE = 'postgres'
    # Not SIGTERM, which waits for clients to leave.
    STOP = signal.SIGINT

    def prepare(self):
        self.as_user = []
        if os.getuid() == 0:
            # It refuses to run as root; Debian's package makes this user.
            user = pwd.getpwnam('postgres')
            os.chown(self.directory, user.pw_uid, user.pw_gid)
            self.as_user = [
                _binary('setpriv'),
                '--reuid=postgres',
                '--regid=%d' % user.pw_gid,
                '--clear-groups',
            ]
        self.run(
            *self.as_user,
            _binary('initdb'),
            '--pgdata=' + self.data,
            '--username=zun',
            '--auth=trust',
            '--encoding=UTF8',
            '--no-locale',
            '--no-sync',
        )

    def command(self):
        return [
            *self.as_user,
            _binary('postgres'),
            '-D',
            self.data,
            '-k',
            self.directory,
            '-c',
            'listen_addresses=',
            '-c',
            'fsync=off',
        ]

    def url(self, name):
        return 'postgresql+psycopg2://zun@/%s?host=%s' % (name, self.directory)
