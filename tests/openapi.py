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

"""The API's OpenAPI document, and checks of responses against it.

Paths, requests and policies come from the code; responses are described here.
``python -m tests.openapi`` (``tox -e openapi``) writes the document, a unit
test fails when it is out of date, and the functional tests check all responses
of the API against it.
"""

import functools
import pathlib
import re
import urllib.parse

import jsonschema
import yaml

from zun_bulk import policies
from zun_bulk.api import handler
from zun_bulk.api import microversion
from zun_bulk.api import rates
from zun_bulk.api.schemas import bulk
from zun_bulk.api.schemas import event
from zun_bulk.api.schemas import floating_ips
from zun_bulk.api.schemas import host
from zun_bulk.api.schemas import member
from zun_bulk.api.views import bulk as bulk_view
from zun_bulk.api.views import plan as plan_view
from zun_bulk.consts import EventName
from zun_bulk.host import metrics
from zun_bulk.pacing.outcome import Outcome
from zun_bulk.states import BulkStatus
from zun_bulk.states import FloatingIpState
from zun_bulk.states import MemberState


FILE = (
    pathlib.Path(__file__).parents[1]
    / 'doc'
    / 'source'
    / 'user'
    / 'openapi.yaml'
)

#: Names in the document of the parameters in the routes' paths.
_PARAMETERS = {
    '/v1/bulks/{ident}': '/v1/bulks/{bulk_ident}',
    '/v1/bulk_hosts/{name}': '/v1/bulk_hosts/{host}',
}

_STRING = {'type': 'string'}
_TEXT = {'type': ['string', 'null']}
_BOOLEAN = {'type': 'boolean'}
_NUMBER = {'type': 'number', 'minimum': 0}
_SECONDS = {'type': ['number', 'null'], 'minimum': 0}
_COUNT = {'type': 'integer', 'minimum': 0}
_UUID = {
    'type': 'string',
    'pattern': '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$',
}
_TIME = {
    'type': 'string',
    'pattern': '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$',
}
_NEXT = {
    'type': ['string', 'null'],
    'description': 'URL of the next page; null on the last page.',
}


def _or_null(schema):
    return {'anyOf': [schema, {'type': 'null'}]}


def _ref(name, kind='schemas'):
    return {'$ref': '#/components/%s/%s' % (kind, name)}


def _object(properties, optional=(), **kwargs):
    """Make the schema of an object without other properties."""
    return {
        'type': 'object',
        'properties': properties,
        'required': [name for name in properties if name not in optional],
        'additionalProperties': False,
        **kwargs,
    }


def _list(items, **kwargs):
    return {'type': 'array', 'items': items, **kwargs}


def _links(*relations):
    return _list(
        _object({'rel': {'enum': list(relations)}, 'href': _STRING}),
        minItems=len(relations),
        maxItems=len(relations),
    )


def _summary():
    return {
        'uuid': _UUID,
        'name': _STRING,
        'project_id': _STRING,
        'user_id': _STRING,
        'status': {'enum': list(BulkStatus.ALL)},
        'status_reason': _TEXT,
        'count': {
            'type': 'integer',
            'minimum': 0,
            'description': 'The sum of the numbers in members.',
        },
        'run': _BOOLEAN,
        'max_attempts': bulk.create['properties']['max_attempts'],
        'on_failure': bulk.create['properties']['on_failure'],
        'image': _STRING,
        'client_token': _or_null(bulk.client_token),
        'placement': dict(
            bulk.create['properties']['placement'],
            required=['policy', 'allow_partial'],
        ),
        'members': _object({state: _COUNT for state in MemberState.ALL}),
        'created_at': _TIME,
        'updated_at': _or_null(_TIME),
        'finished_at': _or_null(_TIME),
        'links': _links('self', 'members', 'events'),
    }


def _detail():
    some_states = {
        'type': 'object',
        'properties': {state: _COUNT for state in MemberState.ALL},
        'additionalProperties': False,
    }
    return {
        **_summary(),
        'template': {
            'type': 'object',
            'description': 'As in the request that created the bulk.',
        },
        'hosts': {
            'type': ['object', 'null'],
            'additionalProperties': some_states,
            'description': 'Null for users who may not see hosts.',
        },
        'failures': _list(
            _object({'class': _TEXT, 'reason': _TEXT, 'count': _COUNT}),
            maxItems=bulk_view.MAX_FAILURES,
        ),
        'floating_ips': _object(
            {
                'network': _TEXT,
                'pool': _COUNT,
                'on_delete': floating_ips.create['properties']['on_delete'],
                **{state: _COUNT for state in FloatingIpState.ALL},
            },
            description='Only for bulks with floating IPs.',
        ),
        'own_fields': {
            'type': ['array', 'null'],
            'items': {'enum': sorted(member.own)},
            'uniqueItems': True,
            'description': 'Since 1.1. Fields with per-member values when the '
            'bulk was created; null if unknown.',
        },
        'rates': _ref('Rates'),
    }


def _rates():
    return {
        'start': _TIME,
        'end': _TIME,
        'step': {'type': 'integer', 'minimum': 1},
        **{
            state: _list(_COUNT, minItems=1, maxItems=rates.MAX_STEPS)
            for state in MemberState.ENDED
        },
    }


def _member():
    return {
        'index': {'type': 'integer', 'minimum': 1},
        'name': _STRING,
        'container_uuid': _UUID,
        'state': {'enum': list(MemberState.ALL)},
        'host': _TEXT,
        'attempt': _COUNT,
        'reason_class': _TEXT,
        'reason': _TEXT,
        'addresses': {'type': ['array', 'null'], 'items': _STRING},
        'floating_ip': _TEXT,
        'floating_ip_state': {'enum': [*FloatingIpState.ALL, None]},
        'floating_ip_reason': _TEXT,
        'created_at': _TIME,
        'updated_at': _or_null(_TIME),
        'started_at': _or_null(_TIME),
        'finished_at': _or_null(_TIME),
    }


def _event():
    return {
        'id': {'type': 'integer', 'minimum': 1},
        'created_at': _TIME,
        'event': {'enum': list(dict.fromkeys(EventName.ALL))},
        'index': {'type': ['integer', 'null'], 'minimum': 1},
        'container_uuid': _or_null(_UUID),
        'host': _TEXT,
        'attempt': {'type': ['integer', 'null'], 'minimum': 0},
        'reason': _TEXT,
    }


def _plan():
    row = _object(
        {
            'host': _STRING,
            'zone': _TEXT,
            'members': _COUNT,
            'room': _COUNT,
            'bound_by': _TEXT,
        }
    )
    return {
        'count': {'type': 'integer', 'minimum': 1},
        'fits': _COUNT,
        'missing': _COUNT,
        'explanation': _STRING,
        'hosts': {
            'type': ['array', 'null'],
            'items': row,
            'maxItems': plan_view.MAX_HOSTS,
        },
        'hosts_omitted': {'type': ['integer', 'null'], 'minimum': 0},
    }


def _pace():
    return {
        'limit': _COUNT,
        'in_flight': _COUNT,
        'waiting': _COUNT,
        'interval': _NUMBER,
        'per_second': _NUMBER,
        'median': _SECONDS,
        'p95': _SECONDS,
        'seconds': _NUMBER,
        'ended': _object({o.value: _COUNT for o in Outcome}),
        'breaker': {'enum': list(metrics.BREAKER_STATES)},
        'last_cut': _or_null(_object({'ago': _NUMBER, 'why': _STRING})),
    }


def _host():
    wishes = host.update['properties']
    pace = _object(
        {
            'starts': _ref('Pace'),
            'deletes': _ref('Pace'),
            'held_by': {
                'type': 'object',
                'additionalProperties': _TEXT,
                'description': 'The gates, or operator, that hold the '
                'host, each with its reason.',
            },
            'settings': _object(
                {
                    'mode': {'enum': ['adaptive', 'fixed']},
                    'max_in_flight': _COUNT,
                    'start_interval': _NUMBER,
                }
            ),
            'settle': _object({'median': _SECONDS, 'p95': _SECONDS}),
            'queued': _COUNT,
            'deleting': _COUNT,
        }
    )
    return {
        'host': _STRING,
        'state': {'enum': ['ok', 'held', 'breaker open', 'unknown']},
        'held': _BOOLEAN,
        'hold_reason': _TEXT,
        'mode': wishes['mode'],
        'max_in_flight': wishes['max_in_flight'],
        'start_interval': wishes['start_interval'],
        'updated_at': _or_null(_TIME),
        'source': {'enum': ['live', 'report', None]},
        'age': _SECONDS,
        'pace': _or_null(pace),
        'links': _links('self'),
    }


def _error():
    return {
        'request_id': _STRING,
        'code': {'type': 'string', 'pattern': r'^container\.'},
        'status': {'type': 'integer', 'minimum': 400, 'maximum': 599},
        'title': _STRING,
        'detail': _STRING,
        'links': _list(_STRING, maxItems=0),
    }


def _create():
    """Make the schema of a create, describing Zun's part of the template."""
    properties = dict(bulk.create['properties'])
    properties['template'] = dict(
        properties['template'],
        description="The body of Zun's POST /v1/containers, microversion "
        '1.40, with these additional limits; v4-range is an addition.',
    )
    properties['members'] = dict(
        properties['members'],
        items={
            'type': 'object',
            'properties': member.own,
            'additionalProperties': False,
        },
    )
    return dict(bulk.create, properties=properties)


def _schemas():
    return {
        'BulkRequest': _create(),
        'ScaleRequest': bulk.scale,
        'HostRequest': host.update,
        'Bulk': _object(
            _detail(), optional=['floating_ips', 'own_fields', 'rates']
        ),
        'Rates': _object(
            _rates(),
            description='Since 1.1, with rate_window: number of members whose '
            'start ended in each step; step is in seconds.',
        ),
        'Bulks': _object({'bulks': _list(_object(_summary())), 'next': _NEXT}),
        'Plan': _object(_plan()),
        'Members': _object(
            {'members': _list(_object(_member())), 'next': _NEXT}
        ),
        'Events': _object({'events': _list(_object(_event())), 'next': _NEXT}),
        'Pace': _object(_pace()),
        'Host': _object(_host()),
        'Hosts': _object({'hosts': _list(_ref('Host')), 'next': _NEXT}),
        'Errors': _object(
            {'errors': _list(_object(_error()), minItems=1, maxItems=1)}
        ),
        # keystonemiddleware runs first, and has its own format.
        'Unauthorized': {
            'anyOf': [
                _object(
                    {
                        'error': _object(
                            {
                                'code': {'const': 401},
                                'title': _STRING,
                                'message': _STRING,
                            }
                        )
                    }
                ),
                _ref('Errors'),
            ]
        },
    }


#: {status: description} of errors.
_ERRORS = {
    400: 'The body, the query or a header is not valid.',
    401: 'The request has no valid token.',
    403: 'A policy forbids the request, or a quota is exceeded.',
    404: 'The bulk or host does not exist, or the user may not see it.',
    406: 'The requested version does not exist.',
    409: 'The state of the bulk or the host does not allow the request.',
    413: 'The request body is too large.',
    415: 'The request body is not application/json.',
    500: 'Internal error; the log of zun-api has the details.',
    503: 'A service that is needed is not available, or the database has to be'
    ' upgraded.',
}
_ALWAYS = (400, 401, 403, 406, 500, 503)
_WITH_BODY = (413, 415)

#: {function of a route: (schemas of its responses by status, errors besides
#: _ALWAYS, schema of its query, schema of its body)}
_OPERATIONS = {
    'list_bulks': ({200: 'Bulks'}, (), bulk.list_query, None),
    'create_bulk': (
        {200: 'Plan', 202: 'Bulk'},
        (*_WITH_BODY, 409),
        None,
        'BulkRequest',
    ),
    'get_bulk': ({200: 'Bulk'}, (404, 409), bulk.get_query, None),
    'delete_bulk': ({202: None}, (404, 409), bulk.delete_query, None),
    **dict.fromkeys(
        ('pause_bulk', 'resume_bulk', 'cancel_bulk', 'retry_bulk'),
        ({202: 'Bulk'}, (404, 409, *_WITH_BODY), None, None),
    ),
    'scale_bulk': (
        {202: 'Bulk'},
        (404, 409, *_WITH_BODY),
        None,
        'ScaleRequest',
    ),
    'list_members': ({200: 'Members'}, (404, 409), member.list_query, None),
    'list_events': ({200: 'Events'}, (404, 409), event.list_query, None),
    'list_hosts': ({200: 'Hosts'}, (), host.list_query, None),
    'get_host': ({200: 'Host'}, (404,), None, None),
    'update_host': (
        {200: 'Host'},
        (404, 409, *_WITH_BODY),
        None,
        'HostRequest',
    ),
}

_STATUSES = {
    200: 'Done.',
    202: 'Accepted; the work continues in the background.',
}


def _content(schema):
    return {'application/json': {'schema': schema}}


def _headers(**more):
    names = (
        'OpenStack-API-Version',
        'OpenStack-API-Minimum-Version',
        'OpenStack-API-Maximum-Version',
    )
    return {**{name: _ref(name, 'headers') for name in names}, **more}


def _response(function, status, name):
    response = {'description': _STATUSES[status], 'headers': _headers()}
    if (function, status) == ('create_bulk', 202):
        response['headers']['Location'] = {
            'required': True,
            'description': 'URL of the bulk.',
            'schema': _STRING,
        }
    if (function, status) == ('create_bulk', 200):
        response['description'] = 'With dry_run: where the members would go.'
    if name:
        response['content'] = _content(_ref(name))
    return response


def _policies():
    """List the policies of operations.

    :returns: {(method, path): [name of a policy]}.
    """
    found = {}
    for rule in policies.list_rules():
        for operation in rule.operations:
            path = operation['path'].partition('?')[0]
            found.setdefault((operation['method'], path), []).append(rule.name)
    return found


def _path(route):
    for prefix, replaced in _PARAMETERS.items():
        if route.startswith(prefix):
            return replaced + route[len(prefix) :]
    return route


def _operation(function, rules):
    answers, errors, query, body = _OPERATIONS[function.__name__]
    operation = {
        'operationId': function.__name__,
        'summary': function.__doc__.partition('\n')[0],
        'description': 'Policies: %s.' % ', '.join(rules),
    }
    if query:
        operation['parameters'] = [
            {'name': name, 'in': 'query', 'schema': schema}
            for name, schema in query['properties'].items()
        ]
    if body:
        operation['requestBody'] = {
            'required': True,
            'content': _content(_ref(body)),
        }
    operation['responses'] = {
        **{
            str(status): _response(function.__name__, status, name)
            for status, name in answers.items()
        },
        **{
            str(status): _ref('%d' % status, 'responses')
            for status in sorted({*_ALWAYS, *errors})
        },
    }
    return operation


def _paths():
    rules = _policies()
    paths = {}
    for route, targets in handler.ROUTE_DECLARATIONS.items():
        path = _path(route)
        paths[path] = {
            'parameters': [
                _ref('OpenStack-API-Version', 'parameters'),
                *(
                    {
                        'name': name,
                        'in': 'path',
                        'required': True,
                        'schema': {'type': 'string', 'maxLength': 255},
                    }
                    for name in re.findall(r'{(\w+)}', path)
                ),
            ],
            **{
                method.lower(): _operation(function, rules[method, path])
                for method, function in targets.items()
            },
        }
    return paths


def _components():
    latest = '%s %s' % (microversion.SERVICE_TYPE, microversion.VERSIONS[-1])
    version = {
        'type': 'string',
        'pattern': r'^%s \d+\.\d+$' % microversion.SERVICE_TYPE,
    }
    return {
        'securitySchemes': {
            'token': {
                'type': 'apiKey',
                'in': 'header',
                'name': 'X-Auth-Token',
                'description': 'A Keystone token with a project.',
            }
        },
        'parameters': {
            'OpenStack-API-Version': {
                'name': 'OpenStack-API-Version',
                'in': 'header',
                'description': 'The version to use; the oldest by default.',
                'schema': {'type': 'string', 'examples': [latest]},
            }
        },
        'headers': {
            'OpenStack-API-Version': {
                'description': 'The version that was used; missing if the '
                'request was refused before its version was known.',
                'schema': version,
            },
            'OpenStack-API-Minimum-Version': {
                'required': True,
                'schema': version,
            },
            'OpenStack-API-Maximum-Version': {
                'required': True,
                'schema': version,
            },
        },
        'responses': {
            str(status): {
                'description': text,
                'headers': _headers(),
                'content': _content(
                    _ref('Unauthorized' if status == 401 else 'Errors')
                ),
            }
            for status, text in _ERRORS.items()
        },
        'schemas': _schemas(),
    }


def document():
    """Generate the document from the code."""
    return _portable(
        {
            'openapi': '3.1.0',
            'info': {
                'title': 'Bulks of containers',
                'summary': 'What zun_bulk adds to the API of Zun',
                'version': microversion.VERSIONS[-1],
                'license': {'name': 'Apache-2.0', 'identifier': 'Apache-2.0'},
            },
            'servers': [
                {
                    'url': 'http://zun.example.org:9517',
                    'description': 'The endpoint of type container in the '
                    'service catalogue, without /v1.',
                }
            ],
            'security': [{'token': []}],
            'paths': _paths(),
            'components': _components(),
        }
    )


def _portable(value):
    """Copy a value, converting regular expressions to JSON Schema's."""
    if isinstance(value, dict):
        return {
            key: item.replace(r'\Z', '$')
            if key == 'pattern' and isinstance(item, str)
            else _portable(item)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_portable(item) for item in value]
    return value


class _Dumper(yaml.SafeDumper):
    """Writes values that occur twice in full, without YAML aliases."""

    def ignore_aliases(self, data):
        return True


def dump(value):
    return '# Made by "tox -e openapi" of tests/openapi.py.\n' + yaml.dump(
        value, Dumper=_Dumper, sort_keys=False, width=79
    )


# ------------------------------------------------ answers against the document


@functools.cache
def written():
    """Read the document in the tree."""
    return yaml.safe_load(FILE.read_text(encoding='utf-8'))


def is_ours(path):
    """Whether a path, from /v1 on, belongs to the API of the document."""
    return re.match(r'/v1/bulk(s|_hosts)(/|\Z)', path) is not None


@functools.cache
def validator(name):
    """Make a JSON Schema validator for one of the document's schemas."""
    return jsonschema.Draft202012Validator(
        {**_ref(name), 'components': written()['components']}
    )


def check(method, path, status, headers, body):
    """Check a response of the API against the document in the tree.

    :param path: from /v1 on; it may have a query.
    :param headers: dict, or None if unknown.
    :param body: parsed; None if empty.
    :raises: AssertionError that describes the difference.
    """
    what = '%s %s: %d' % (method, path, status)
    response = _documented(method, urllib.parse.urlsplit(path).path, status)
    if response is None:
        raise AssertionError('%s is not in %s' % (what, FILE.name))
    content = response.get('content')
    if not content:
        assert not body, '%s has a body: %s' % (what, body)
    else:
        name = content['application/json']['schema']['$ref'].split('/')[-1]
        for error in validator(name).iter_errors(body):
            raise AssertionError(
                '%s is no %s of %s at %s: %s'
                % (what, name, FILE.name, error.json_path, error.message)
            )
    if headers is not None:
        _check_headers(what, response, headers)


def _check_headers(what, response, headers):
    found = {name.lower(): value for name, value in headers.items()}
    for name, header in response['headers'].items():
        header = _resolved(header)
        if name.lower() in found:
            jsonschema.validate(found[name.lower()], header['schema'])
        else:
            assert not header.get('required'), '%s has no %s' % (what, name)


def _documented(method, path, status):
    """Find the description of a response; None if there is none."""
    operation = None
    for template, item in written()['paths'].items():
        if re.fullmatch(re.sub(r'{\w+}', '[^/]+', template), path):
            operation = item.get(method.lower())
            break
    if operation:
        return _resolved(operation['responses'].get(str(status)))
    if status in (401, 404, 405, 406):
        # OpenAPI cannot describe paths and methods that do not exist.
        return written()['components']['responses']['404']
    return None


def _resolved(value):
    if value and '$ref' in value:
        kind, name = value['$ref'].split('/')[-2:]
        return written()['components'][kind][name]
    return value


if __name__ == '__main__':
    FILE.write_text(dump(document()), encoding='utf-8')
