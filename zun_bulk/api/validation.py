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

"""Validating requests, with error messages that name the field."""

import contextlib
import json

import jsonschema
from neutronclient.common import exceptions as neutron_exceptions
import webob.exc
from zun.api.validation import validators
from zun.common import exception

from zun_bulk.network import errors


#: Maximum size of a request body in bytes.
MAX_BODY_SIZE = 1024 * 1024
#: The same for requests with a field that is a long list.
MAX_LARGE_SIZE = 16 * 1024 * 1024
#: Characters of a validator's message that are shown, as it quotes values.
_MAX_MESSAGE = 500


def read_body(req, schema, large=None):
    """Read a request's JSON object and check it.

    :param large: a field for which the body may have MAX_LARGE_SIZE bytes;
        without it, MAX_BODY_SIZE applies as usual.
    :returns: the object.
    :raises: HTTPUnsupportedMediaType (415), HTTPRequestEntityTooLarge (413),
        SchemaValidationError (400).
    """
    if req.content_type != 'application/json':
        raise webob.exc.HTTPUnsupportedMediaType(
            'The Content-Type header must be application/json.'
        )
    max_size = MAX_LARGE_SIZE if large else MAX_BODY_SIZE
    # The server enforces Content-Length; chunked requests have none.
    raw = b''
    if (req.content_length or 0) <= max_size:
        raw = req.body_file.read(max_size + 1)
    if (req.content_length or len(raw)) > max_size:
        raise webob.exc.HTTPRequestEntityTooLarge(
            'The request body exceeds %d bytes.' % max_size
        )
    try:
        body = json.loads(raw, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as exc:
        raise exception.SchemaValidationError(
            detail='The request body is not valid JSON: %s' % exc
        ) from exc
    if len(raw) > MAX_BODY_SIZE and isinstance(body, dict):
        rest = {key: value for key, value in body.items() if key != large}
        if len(json.dumps(rest)) > MAX_BODY_SIZE:
            raise webob.exc.HTTPRequestEntityTooLarge(
                'The request body exceeds %d bytes without %s.'
                % (MAX_BODY_SIZE, large)
            )
    check(body, schema, 'the request body')
    return body


def read_no_body(req):
    """Check that a request has no body, or an empty object.

    :raises: as ``read_body``.
    """
    if req.content_length or req.headers.get('Transfer-Encoding'):
        read_body(req, {'type': 'object', 'additionalProperties': False})


def read_query(req, schema):
    """Read a request's query parameters and check them.

    :returns: the parameters as a dict.
    :raises: SchemaValidationError (400).
    """
    try:
        query = req.GET.mixed()
    except UnicodeDecodeError as exc:
        raise exception.SchemaValidationError(
            detail='The query string is not UTF-8.'
        ) from exc
    check(query, schema, 'the query')
    return query


def check(value, schema, name):
    """Check a value against a schema.

    :param name: name of the value in errors about the whole value.
    :raises: SchemaValidationError (400) with the path of the best match among
        the faults.
    """
    # Zun's validator also checks the bounds of numbers in strings.
    validator = validators.SchemaValidator(schema).validator
    error = jsonschema.exceptions.best_match(validator.iter_errors(value))
    if error is not None:
        raise exception.SchemaValidationError(
            detail='Invalid input for %s: %s'
            % (path(error.absolute_path) or name, error.message[:_MAX_MESSAGE])
        )


def path(parts):
    """Format a fault's path for error messages: ``nets[0].port``."""
    text = ''.join(
        '[%d]' % part if isinstance(part, int) else '.%s' % part
        for part in parts
    )
    return text.lstrip('.')


def refuse(field, text):
    """Refuse a request because of a field.

    :param field: its path in the body, as ``template.nets[0].port``.
    :param text: error text, or an exception that has one.
    :raises: ValidationError (400)
    """
    raise exception.ValidationError(detail='%s: %s' % (field, text)) from None


@contextlib.contextmanager
def blame_field(field):
    """Name the template's field in errors of Zun's and Neutron's checks.

    Not found and ambiguous (404, 409) become 400: the value is wrong, not the
    URL.

    :param field: a field of the template, as ``nets``.
    :raises: ValidationError (400)
    """
    try:
        yield
    except exception.ZunException as exc:
        if exc.code not in (400, 404, 409):
            raise
        refuse('template.' + field, exc)
    except neutron_exceptions.NeutronClientNoUniqueMatch as exc:
        refuse('template.' + field, exc)
    except neutron_exceptions.NeutronClientException as exc:
        if not 400 <= exc.status_code < 500:
            raise
        refuse('template.' + field, errors.message(exc))


def _refuse_constant(name):
    raise ValueError('%s is not a number' % name)
