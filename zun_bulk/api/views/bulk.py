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

"""Bulks as clients see them."""

import collections
import urllib.parse

from zun_bulk import disclosure
from zun_bulk.api.schemas import bulk as schema
from zun_bulk.consts import FloatingIpState
from zun_bulk.consts import MemberState


#: Kinds of failure that a bulk's view tells apart.
MAX_FAILURES = 10
#: As many as are read, as those of several hosts may become one.
MAX_FAILURES_READ = 1000
#: Hosts that are named with one, those with the most of it.
MAX_HOSTS_TOLD = 3


def summary(req, bulk, counts, with_hosts):
    """A bulk in a list.

    :param counts: {state: number} of its members.
    :param with_hosts: whether the user may know hosts.
    """
    return {
        'uuid': bulk.uuid,
        'name': bulk.name,
        'project_id': bulk.project_id,
        'user_id': bulk.user_id,
        'status': bulk.status,
        'status_reason': disclosure.render(bulk.status_reason, with_hosts),
        # Not what the bulk was read with, as it may have been scaled since.
        'count': sum(counts.values()),
        'run': bulk.run,
        'max_attempts': bulk.max_attempts,
        'on_failure': bulk.on_failure,
        'image': bulk.template['image'],
        'client_token': _client_token(req, bulk),
        # Those of earlier releases have a policy only.
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
    """A bulk by itself.

    :param hosts: {host: {state: number}}, or None if the user must not know.
    :param failures: [(reason class, reason, number)], MAX_FAILURES_READ at
        most.
    :param floating_ips: {state: number} of those that its members want.
    """
    with_hosts = hosts is not None
    view = dict(
        summary(req, bulk, counts, with_hosts),
        template=bulk.template,
        hosts=hosts,
        failures=_failures(failures, with_hosts),
    )
    if req.version.matches((1, 1)):
        # Those of earlier releases do not say.
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
    """The most common ones. What differs in hosts only is one."""
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
    told = ', '.join(hosts[:MAX_HOSTS_TOLD])
    if len(hosts) > MAX_HOSTS_TOLD:
        told += ' and %d more' % (len(hosts) - MAX_HOSTS_TOLD)
    return '%s: %s' % (told, text)


def rates(span, counts):
    """How many members came to the end of their start, by time.

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
    """A bulk's token, for its project only: it is of no use to others."""
    if req.context.project_id == bulk.project_id:
        return bulk.client_token
    return None


def url(req, bulk):
    return '%s/v1/bulks/%s' % (req.application_url, bulk.uuid)


def next_url(req, query, marker):
    """The address of the page after the one that ends with the marker."""
    return '%s?%s' % (
        req.path_url,
        urllib.parse.urlencode(dict(query, marker=marker)),
    )


def time(value):
    """A UTC time as ISO 8601 in seconds."""
    return value and value.isoformat(timespec='seconds') + 'Z'
