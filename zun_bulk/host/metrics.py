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

"""What a host's pace is, for Prometheus: read when it is asked for."""

import socket
import socketserver
import threading
from wsgiref import simple_server

from oslo_log import log as logging
import prometheus_client
from prometheus_client import core

from zun_bulk.host import gates


LOG = logging.getLogger(__name__)

PREFIX = 'zun_bulk_host_'
KINDS = ('starts', 'deletes')
BREAKER_STATES = ('closed', 'half-open', 'open')
#: Seconds after which a client is given up that says or takes nothing.
CLIENT_TIMEOUT = 10


class Collector:
    """Makes metrics of what the agent shows."""

    def __init__(self, show, holders):
        """:param show: function that returns what HostAgent.show does.

        :param holders: names of all that may hold the host.
        """
        self._show = show
        self._holders = holders

    def collect(self):
        try:
            shown = self._show()
        except Exception as error:
            LOG.warning('There is nothing to measure: %s', error)
            return
        for name, text in (
            ('limit', 'How many may be in flight.'),
            ('in_flight', 'How many are in flight.'),
            ('waiting', 'How many single ones wait for their turn.'),
        ):
            metric = core.GaugeMetricFamily(
                PREFIX + name, text, labels=['kind']
            )
            for kind in KINDS:
                metric.add_metric([kind], shown[kind][name])
            yield metric
        for name, text in (
            ('queued', 'Members of bulks that wait to be started here.'),
            ('deleting', 'Members of bulks that are to be deleted here.'),
        ):
            yield core.GaugeMetricFamily(
                PREFIX + name, text, value=shown[name]
            )
        yield self._held(shown)
        yield self._breaker(shown)
        yield self._ended(shown)
        yield self._seconds(shown)
        yield self._settle_seconds(shown)

    def _held(self, shown):
        metric = core.GaugeMetricFamily(
            PREFIX + 'held',
            'Whether a gate or the operator lets nothing start.',
            labels=['gate'],
        )
        for holder in self._holders:
            metric.add_metric([holder], int(holder in shown['held_by']))
        return metric

    @staticmethod
    def _breaker(shown):
        metric = core.GaugeMetricFamily(
            PREFIX + 'breaker',
            'Whether the breaker is in this state.',
            labels=['kind', 'state'],
        )
        for kind in KINDS:
            for state in BREAKER_STATES:
                metric.add_metric(
                    [kind, state], int(state == shown[kind]['breaker'])
                )
        return metric

    @staticmethod
    def _ended(shown):
        metric = core.CounterMetricFamily(
            PREFIX + 'ended',
            'How many have ended since zun-compute started, by outcome.',
            labels=['kind', 'outcome'],
        )
        for kind in KINDS:
            for outcome, number in shown[kind]['ended'].items():
                metric.add_metric([kind, outcome], number)
        return metric

    @staticmethod
    def _seconds(shown):
        """A summary by hand: the client's own takes no quantiles."""
        name = PREFIX + 'seconds'
        metric = core.Metric(
            name, 'Seconds that those took which ended well.', 'summary'
        )
        for kind in KINDS:
            paced = shown[kind]
            for quantile, value in (
                ('0.5', paced['median']),
                ('0.95', paced['p95']),
            ):
                if value is not None:
                    metric.add_sample(
                        name, {'kind': kind, 'quantile': quantile}, value
                    )
            labels = {'kind': kind}
            metric.add_sample(name + '_sum', labels, paced['seconds'])
            metric.add_sample(name + '_count', labels, paced['ended']['done'])
        return metric

    @staticmethod
    def _settle_seconds(shown):
        metric = core.GaugeMetricFamily(
            PREFIX + 'settle_seconds',
            'Seconds from the start of the last members until they counted '
            'as running.',
            labels=['quantile'],
        )
        for quantile, name in (('0.5', 'median'), ('0.95', 'p95')):
            if shown['settle'][name] is not None:
                metric.add_metric([quantile], shown['settle'][name])
        return metric


class _Handler(simple_server.WSGIRequestHandler):
    timeout = CLIENT_TIMEOUT

    def log_message(self, format, *args):
        LOG.debug(format, *args)


class _Server(socketserver.ThreadingMixIn, simple_server.WSGIServer):
    daemon_threads = True

    def __init__(self, address, handler):
        if ':' in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, handler)

    def serve(self):
        # Not serve_forever: its poll stops all of a process that is run by
        # eventlet, while accept lets the others go on.
        while True:
            try:
                self.process_request(*self.get_request())
            except OSError as error:
                if self.socket.fileno() < 0:
                    return
                LOG.warning('No metrics for a client: %s', error)


def serve(address, port, show, operator):
    """Serve metrics. Returns the server, None if it cannot be.

    Without metrics a host works just as well.

    :param show: function that returns what HostAgent.show does.
    :param operator: who holds the host where it is no gate.
    """
    registry = prometheus_client.CollectorRegistry()
    registry.register(Collector(show, (*gates.NAMES, operator)))
    try:
        server = _Server((address, port), _Handler)
    except OSError as error:
        LOG.error(
            'No metrics at %(address)s port %(port)d: %(error)s',
            {'address': address, 'port': port, 'error': error},
        )
        return None
    server.set_app(prometheus_client.make_wsgi_app(registry))
    threading.Thread(
        target=server.serve, daemon=True, name='zun-bulk-metrics'
    ).start()
    return server
