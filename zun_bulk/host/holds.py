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
"""The holds of a host: while there is one, it starts no containers."""

from oslo_log import log as logging

from zun_bulk.conf import CONF
from zun_bulk.consts import OPERATOR
from zun_bulk.host import gates


LOG = logging.getLogger(__name__)


class Holds:
    """The holds by gates and by the operator.

    :ivar gates: {gate: text} of the gates that hold the host.
    """

    def __init__(self, host, engine, starts):
        """Create it without holds.

        :param host: the name of this host.
        :param engine: its Engine.
        :param starts: the Throttle of starts.
        """
        self._host = host
        self._engine = engine
        self._starts = starts
        self.gates = {}
        #: Why the operator holds the host; None if they do not.
        self._operator_reason = None
        self._probed_at = float('-inf')

    def reasons(self):
        """Return {what holds the host: why}: gates and the operator."""
        if self._operator_reason is None:
            return self.gates
        return dict(self.gates, **{OPERATOR: self._operator_reason})

    def wait(self, now):
        """Return the seconds until the next probe; None if no gate holds."""
        return self._next_probe() - now if self.gates else None

    def probe(self, now):
        """Find out which gates hold the host, unless probed recently."""
        if now < self._next_probe():
            return
        self._probed_at = now
        before = self.gates
        readings = self._engine.probe()
        self.gates = gates.held(
            readings, CONF.zun_bulk_pacing, frozenset(before)
        )
        self._starts.hold(self.reasons())
        self._starts.pinged(now, readings.ping)
        for name in self.gates.keys() - before.keys():
            LOG.warning(
                'Host %(host)s starts no more containers: %(text)s',
                {'host': self._host, 'text': self.gates[name]},
            )
        for name in before.keys() - self.gates.keys():
            LOG.info(
                'Gate %(gate)s no longer holds host %(host)s; it was: '
                '%(text)s',
                {'host': self._host, 'gate': name, 'text': before[name]},
            )

    def _next_probe(self):
        return self._probed_at + CONF.zun_bulk_pacing.probe_interval

    def set_operator_hold(self, why):
        """Hold or release the host for its operator.

        :param why: the operator's reason; None to release it.
        """
        if why == self._operator_reason:
            return
        self._operator_reason = why
        self._starts.hold(self.reasons())
        if why is None:
            LOG.warning('The operator released host %s', self._host)
        else:
            LOG.warning(
                'The operator holds host %(host)s: %(why)s',
                {'host': self._host, 'why': why},
            )
