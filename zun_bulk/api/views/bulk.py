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

"""Bulks in responses."""

import collections
import urllib.parse

from zun_bulk import disclosure
from zun_bulk.api.schemas import bulk as schema
from zun_bulk.states import FloatingIpState
from zun_bulk.states import MemberState


#: Failures that a bulk's view shows.
MAX_FAILURES = 10
#: Failures that are read, as those of several hosts may be merged to one.
MAX_FAILURES_READ = 1000
#: Hosts named per failure: those with the most members that have it.
MAX_HOSTS_NAMED = 3


def summary(req, bulk, counts, with_hosts):
    """Make the view of a bulk in a list.

    :param counts: {state: number} of its members.
    :param with_hosts: whether the user may see hosts.
    """
    return {
        'uuid': bulk.uuid,
        'name': bulk.name,
        'project_id': bulk.project_id,
        'user_id': bulk.user_id,
        'status': bulk.status,
        'status_reason': disclosure.render(bulk.status_reason, with_hosts),
        # Not bulk.count, as the bulk may have been scaled since it was read.
        'count': sum(counts.values()),
        'run': bulk.run,
        'max_attempts': bulk.max_attempts,
        'on_failure': bulk.on_failure,
        'image': bulk.template['image'],
        'client_token': _client_token(req, bulk),
        # Bulks of earlier releases have only a policy.
        'placement': dict(schema.PLACEMENT, **bulk.placement),
        'members': {state: counts.get(state, 0) for state in MemberState.ALL},
        'created_at': time(bulk.created_at),
        'updated_at': time(bulk.updated_at),
        'finished_at': time(bulk.finished_at),
        'links': [
            {'rel': 'self', 'href': url(req, bulk)},
            {'rel': 'members', 'href': url(req, bulk) + '/members'},
            {'rel': 'events', 'href': url(req, bulk) + '/events'},
        ],
    }


def detail(req, bulk, counts, hosts, failures, floating_ips):
    """Make the view of a single bulk.

    :param counts: {state: number} of its members.
    :param hosts: {host: {state: number}}, or None if the user may not see
        hosts.
    :param failures: [(reason class, reason, number)], at most
        MAX_FAILURES_READ.
    :param floating_ips: {state: number} of its members' floating IPs.
    """
    with_hosts = hosts is not None
    view = dict(
        summary(req, bulk, counts, with_hosts),
        template=bulk.template,
        hosts=hosts,
        failures=_failures(failures, with_hosts),
    )
    if req.version.matches((1, 1)):
        # Unknown for bulks of earlier releases.
        view['own_fields'] = bulk.spec.own_fields
    spec = bulk.spec.floating_ips
    if spec:
        view['floating_ips'] = {
            'network': spec.network,
            'pool': len(spec.pool),
            'on_delete': spec.on_delete,
            **{
                state: floating_ips.get(state, 0)
                for state in FloatingIpState.ALL
            },
        }
    return view


def _failures(failures, with_hosts):
    """List the most common failures, merging those that differ by host."""
    numbers = collections.Counter()
    hosts = collections.defaultdict(list)
    for kind, reason, number in failures:
        host, text = disclosure.split_host(reason)
        key = kind, disclosure.render(text, with_hosts)
        numbers[key] += number
        if host and with_hosts:
            hosts[key].append(host)
    return [
        {
            'class': kind,
            'reason': _on_hosts(hosts[kind, text], text),
            'count': number,
        }
        for (kind, text), number in numbers.most_common(MAX_FAILURES)
    ]


def _on_hosts(hosts, text):
    if not hosts:
        return text
    named = ', '.join(hosts[:MAX_HOSTS_NAMED])
    if len(hosts) > MAX_HOSTS_NAMED:
        named += ' and %d more' % (len(hosts) - MAX_HOSTS_NAMED)
    return '%s: %s' % (named, text)


def rates(span, counts):
    """Make the view of the number of members whose start ended, by step.

    :param span: a rates.Span.
    :param counts: {(number of the step, state): number}.
    """
    return {
        'start': time(span.start),
        'end': time(span.end),
        'step': span.step,
        **{
            state: [
                counts.get((number, state), 0)
                for number in range(len(span.ends))
            ]
            for state in MemberState.ENDED
        },
    }


def _client_token(req, bulk):
    """Show a bulk's token to its project only; others cannot use it."""
    if req.context.project_id == bulk.project_id:
        return bulk.client_token
    return None


def url(req, bulk):
    return '%s/v1/bulks/%s' % (req.application_url, bulk.uuid)


def next_url(req, query, marker):
    """Make the URL of the page that follows a marker."""
    return '%s?%s' % (
        req.path_url,
        urllib.parse.urlencode(dict(query, marker=marker)),
    )


def time(value):
    """Format a UTC time as ISO 8601 with seconds; None stays None."""
    return value and value.isoformat(timespec='seconds') + 'Z'
