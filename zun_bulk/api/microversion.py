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

"""Microversions of this API, which are independent of Zun's."""

import microversion_parse
import webob.exc


SERVICE_TYPE = 'container-bulk'

#: From the oldest to the newest.
VERSIONS = [
    # Create, list, show, pause, resume, cancel, retry, scale and delete bulks;
    # list members and events; list, show and set hosts.
    '1.0',
    # Rates of a bulk, the fields of its per-member values, and members by
    # name.
    '1.1',
]


def extract(req):
    """Find the version that a request asks for; the oldest by default.

    :raises: HTTPNotAcceptable (406) for an unknown version, HTTPBadRequest
        (400) for an invalid header.
    """
    header = microversion_parse.STANDARD_HEADER
    try:
        return microversion_parse.extract_version(
            req.headers, SERVICE_TYPE, VERSIONS
        )
    except ValueError as exc:
        raise webob.exc.HTTPNotAcceptable(
            'Header %s: %s for %s' % (header, exc, SERVICE_TYPE)
        ) from exc
    except TypeError as exc:
        raise webob.exc.HTTPBadRequest(
            'Header %s: %s for %s' % (header, exc, SERVICE_TYPE)
        ) from exc


def add_headers(response, version):
    """Add the used and the available versions to a response.

    :param version: the used one, None if the request failed before it was
        known.
    """
    for name, value in (
        ('OpenStack-API-Version', version),
        ('OpenStack-API-Minimum-Version', VERSIONS[0]),
        ('OpenStack-API-Maximum-Version', VERSIONS[-1]),
    ):
        if value is not None:
            response.headers[name] = '%s %s' % (SERVICE_TYPE, value)
    response.headers.add('Vary', 'OpenStack-API-Version')
