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
"""What holds a host, so that it starts no more containers for now."""

from oslo_log import log as logging

from zun_bulk.conf import CONF
from zun_bulk.consts import OPERATOR
from zun_bulk.host import gates


LOG = logging.getLogger(__name__)


class Holds:
    """The gates that are shut, and the operator's word."""

    def __init__(self, host, engine, starts):
        """:param host: this host's name.

        :param engine: its Engine.
        :param starts: the Throttle of what is held.
        """
        self._host = host
        self._engine = engine
        self._starts = starts
        #: What holds the host: {gate: text}.
        self.gates = {}
        #: Why the operator holds it, None if he does not.
        self._operator = None
        self._probed = float('-inf')

    def reasons(self):
        """:returns: {who holds the host: why}."""
        if self._operator is None:
            return self.gates
        return dict(self.gates, **{OPERATOR: self._operator})

    def wait(self, now):
        """Seconds until the next probe; None if no gate is shut."""
        return self._next_probe() - now if self.gates else None

    def probe(self, now):
        """See which gates are shut, unless that was seen just now."""
        if now < self._next_probe():
            return
        self._probed = now
        before = self.gates
        readings = self._engine.probe()
        self.gates = gates.held(
            readings, CONF.zun_bulk_pacing, frozenset(before)
        )
        self._starts.hold(self.reasons())
        self._starts.pinged(now, readings.ping)
        for name in self.gates.keys() - before.keys():
            LOG.warning(
                '%(host)s starts no more containers: %(text)s',
                {'host': self._host, 'text': self.gates[name]},
            )
        for name in before.keys() - self.gates.keys():
            LOG.info(
                '%(host)s is no longer held by %(gate)s, which was: %(text)s',
                {'host': self._host, 'gate': name, 'text': before[name]},
            )

    def _next_probe(self):
        return self._probed + CONF.zun_bulk_pacing.probe_interval

    def set_operator_hold(self, why):
        """Hold the host for its operator.

        :param why: what he gave as a reason, None to let it go.
        """
        if why == self._operator:
            return
        self._operator = why
        self._starts.hold(self.reasons())
        LOG.warning(
            '%(host)s: %(what)s',
            {
                'host': self._host,
                'what': 'the operator lets it start containers again'
                if why is None
                else 'the operator lets it start nothing: ' + why,
            },
        )
