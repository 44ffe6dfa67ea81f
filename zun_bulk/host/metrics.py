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

"""Serves the pace of a host to Prometheus, read at each scrape."""

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
#: Seconds after which an unresponsive client is disconnected.
CLIENT_TIMEOUT = 10


class Collector:
    """Makes metrics of the state that the agent shows."""

    def __init__(self, show, holders):
        """Create it.

        :param show: HostAgent.show, or a function that returns the same.
        :param holders: names of everything that may hold the host.
        """
        self._show = show
        self._holders = holders

    def collect(self):
        """Yield the metrics; called by the Prometheus client."""
        try:
            shown = self._show()
        except Exception as error:
            LOG.warning('Failed to read metrics: %s', error)
            return
        for name, text in (
            ('limit', 'Maximum number of starts or deletes in flight.'),
            ('in_flight', 'Number of starts or deletes in flight.'),
            ('waiting', 'Number of single containers that wait for a slot.'),
        ):
            metric = core.GaugeMetricFamily(
                PREFIX + name, text, labels=['kind']
            )
            for kind in KINDS:
                metric.add_metric([kind], shown[kind][name])
            yield metric
        for name, text in (
            ('queued', 'Members of bulks that wait for their start.'),
            ('deleting', 'Members of bulks that wait for their deletion.'),
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
            'Whether this gate, or the operator, holds the host.',
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
            'Starts or deletes ended since zun-compute started, by outcome.',
            labels=['kind', 'outcome'],
        )
        for kind in KINDS:
            for outcome, number in shown[kind]['ended'].items():
                metric.add_metric([kind, outcome], number)
        return metric

    @staticmethod
    def _seconds(shown):
        """Make a summary by hand, as the client's own has no quantiles."""
        name = PREFIX + 'seconds'
        metric = core.Metric(
            name, 'Durations of successful starts or deletes.', 'summary'
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
            'Seconds from start to running, of the last members.',
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
        # Not serve_forever: its poll blocks a process that uses eventlet,
        # while accept lets the other greenthreads run.
        while True:
            try:
                self.process_request(*self.get_request())
            except OSError as error:
                if self.socket.fileno() < 0:
                    return
                LOG.warning('Failed to serve metrics to a client: %s', error)


def serve(address, port, show, operator):
    """Start to serve metrics.

    A failure is logged only, because a host also works without metrics.

    :param address: IP address to listen on.
    :param port: port to listen on.
    :param show: HostAgent.show, or a function that returns the same.
    :param operator: the name of the hold that is not by a gate.
    :returns: the server; None if it could not be started.
    """
    registry = prometheus_client.CollectorRegistry()
    registry.register(Collector(show, (*gates.NAMES, operator)))
    try:
        server = _Server((address, port), _Handler)
    except OSError as error:
        LOG.error(
            'Failed to serve metrics at %(address)s port %(port)d: %(error)s',
            {'address': address, 'port': port, 'error': error},
        )
        return None
    server.set_app(prometheus_client.make_wsgi_app(registry))
    threading.Thread(
        target=server.serve, daemon=True, name='zun-bulk-metrics'
    ).start()
    return server
