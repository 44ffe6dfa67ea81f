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

"""Where a process may die: before and after each of its effects.

An effect is what others see of a process: a commit, and a request over HTTP
that changes something, at Docker, Neutron, Placement or Keystone. Each is
named by the function of zun_bulk's or Zun's that it is made for, so that the
points name themselves and no code of theirs knows of it.

``sitecustomize`` installs it in the processes of a lab. It imports nothing of
its own accord, as Zun patches the standard library first.
"""

import datetime
import functools
import importlib.abc
import importlib.util
import json
import os
import random
import signal
import sys
import threading
import time


#: The file that says what is to happen, see ``Trigger``.
VARIABLE = 'ZUN_BULK_FAULT_FILE'
#: What comes by the clock and is no part of the work.
_BY_THE_CLOCK = ('report_state', 'update_service', 'renew_lease')
#: Requests that change nothing.
_UNCHANGING = ('GET', 'HEAD', 'OPTIONS')


class Trigger:
    """Reads at each point what is to happen there.

    The file is JSON: ``{"record": path}`` has the points written there, one a
    line; ``{"point": name, "hit": N, "signal": S}`` has the process that comes
    to that point for the Nth time send itself the signal S, and takes the file
    away; with ``"clock": N, "seconds": S`` instead of a signal its clock is
    N seconds wrong for S seconds; ``{"drop": part, "seed": N}`` loses all
    messages of zun_bulk's and this part of Zun's, those that are not answered.
    Without a file nothing happens.

    :ivar clock: the Clock of this process.
    """

    def __init__(self, path):
        self._path = path
        self._lock = threading.Lock()
        self._read = None
        self._order = {}
        self._left = 0
        self._rng = random.Random(0)
        self.clock = Clock()

    def reached(self, point):
        with self._lock:
            self._look()
            record = self._order.get('record')
            if record:
                with open(record, 'a') as file:
                    file.write(point + '\n')
            if self._order.get('point') != point:
                return
            self._left -= 1
            if self._left:
                return
            order, self._order = self._order, {}
            try:
                os.unlink(self._path)
            except FileNotFoundError:
                # Another process was the first.
                return
        if 'clock' in order:
            self.clock.step(order['clock'], order['seconds'])
        else:
            os.kill(os.getpid(), signal.Signals[order['signal']])

    def drops(self, method):
        """Whether a message is to be lost."""
        with self._lock:
            self._look()
            part = self._order.get('drop')
            if part is None:
                return False
            return method == 'wake' or self._rng.random() < part

    def _look(self):
        try:
            read = os.stat(self._path).st_mtime_ns
        except FileNotFoundError:
            self._read, self._order = None, {}
            return
        if read != self._read:
            self._read = read
            with open(self._path) as file:
                self._order = json.load(file)
            self._left = self._order.get('hit', 0)
            self._rng.seed(self._order.get('seed'))


class Clock:
    """What time it is, as Python's ``time`` and oslo.utils say it."""

    def __init__(self):
        self._wrong = 0
        self._until = 0.0

    def step(self, wrong, seconds):
        """Be so many seconds wrong, for so many seconds."""
        self._until = time.monotonic() + seconds
        self._wrong = wrong

    def wrong(self):
        """Return the error of the clock, in seconds."""
        if self._wrong and time.monotonic() > self._until:
            self._wrong = 0
        return self._wrong

    def install(self):
        right = time.time
        time.time = lambda: right() + self.wrong()


def _maker():
    """The innermost function of zun_bulk's or Zun's that is being called."""
    frame = sys._getframe(2)
    while frame is not None:
        module = frame.f_globals.get('__name__', '')
        if module.startswith(('zun_bulk.', 'zun.')):
            return '%s.%s' % (module, frame.f_code.co_name)
        frame = frame.f_back
    return None


def _around(trigger, effect, name, *args, **kwargs):
    maker = _maker()
    if maker is None or maker.endswith(_BY_THE_CLOCK):
        return effect(*args, **kwargs)
    trigger.reached('%s %s before' % (maker, name))
    try:
        return effect(*args, **kwargs)
    finally:
        trigger.reached('%s %s after' % (maker, name))


def _patch_requests(module, trigger):
    send = module.Session.send

    def around(self, request, **kwargs):
        if request.method in _UNCHANGING or '/auth/' in request.url:
            return send(self, request, **kwargs)
        return _around(trigger, send, request.method, self, request, **kwargs)

    module.Session.send = around


def _patch_sqlalchemy(module, trigger):
    commit = module.DefaultDialect.do_commit

    def around(self, connection):
        return _around(trigger, commit, 'COMMIT', self, connection)

    module.DefaultDialect.do_commit = around


def _patch_messaging(module, trigger):
    cast = module._CallContext.cast

    def around(self, context, method, **kwargs):
        if not trigger.drops(method):
            cast(self, context, method, **kwargs)

    module._CallContext.cast = around


def _patch_timeutils(module, trigger):
    utcnow = module.utcnow

    def around(*args, **kwargs):
        return utcnow(*args, **kwargs) + datetime.timedelta(
            seconds=trigger.clock.wrong()
        )

    # What oslo.utils has besides hangs on the function.
    functools.update_wrapper(around, utcnow)
    module.utcnow = around


_PATCHES = {
    'oslo_messaging.rpc.client': _patch_messaging,
    'oslo_utils.timeutils': _patch_timeutils,
    'requests.sessions': _patch_requests,
    'sqlalchemy.engine.default': _patch_sqlalchemy,
}


class _Finder(importlib.abc.MetaPathFinder):
    """Patches a module once it has been imported."""

    def __init__(self, trigger):
        self._trigger = trigger
        self._busy = set()

    def find_spec(self, name, path=None, target=None):
        if name not in _PATCHES or name in self._busy:
            return None
        self._busy.add(name)
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self._busy.discard(name)
        load = spec.loader.exec_module

        def load_and_patch(module):
            load(module)
            _PATCHES[name](module, self._trigger)

        spec.loader.exec_module = load_and_patch
        return spec


def install():
    path = os.environ.get(VARIABLE)
    if path:
        trigger = Trigger(path)
        trigger.clock.install()
        sys.meta_path.insert(0, _Finder(trigger))
