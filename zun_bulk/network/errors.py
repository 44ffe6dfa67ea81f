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

"""What Neutron's errors mean, and how they are worded for users."""

import contextlib
import enum
import http.client
import ipaddress
import re

from keystoneauth1 import exceptions as ks_exc
from neutronclient.common import exceptions as neutron_exceptions


#: Statuses of an overloaded Neutron or proxy, and of a request that is too
#: large for it.
_BUSY = (408, 413, 429, 502, 503, 504)
#: What may be an IP address in a text.
_ADDRESS = re.compile(r'[0-9A-Fa-f:.]*[0-9A-Fa-f]')


class Kind(enum.Enum):
    """Why Neutron refuses to make ports.

    :cvar TAKEN: another port has an address that was asked for.
    :cvar ADDRESSES: no address is left.
    :cvar QUOTA: the project's quota of ports is exhausted.
    :cvar WHOLE: the cause applies to all ports of the bulk.
    """

    TAKEN = 'taken'
    ADDRESSES = 'addresses'
    QUOTA = 'quota'
    WHOLE = 'whole'
    OTHER = 'other'


class Refused(Exception):
    """Neutron refuses to make these ports, and would refuse again.

    :ivar kind: a Kind.
    :ivar addresses: the IP addresses in Neutron's message.
    """

    def __init__(self, text, kind=Kind.OTHER):
        super().__init__(text)
        self.kind = kind
        self.addresses = _addresses_in(text)


class Busy(Exception):
    """Neutron is overloaded or gave no answer; the call may take effect."""


def message(error):
    """Return Neutron's message without the ids of requests.

    With them, each member would fail for a reason of its own.

    :param error: a NeutronClientException.
    """
    return str(error).partition('\nNeutron server returns request_ids')[0]


def describe(error):
    """Word an error for the reason of a member or a bulk.

    :param error: a NeutronClientException or one of keystoneauth1.
    """
    return 'Neutron: %s' % message(error)


@contextlib.contextmanager
def of_ports():
    """Translate errors of calls that make ports.

    :raises: Refused, Busy, or the error itself where neither fits.
    """
    try:
        yield
    except ks_exc.ConnectionError as error:
        raise Busy(describe(error)) from error
    except neutron_exceptions.NeutronClientException as error:
        text = describe(error)
        if error.status_code in _BUSY or isinstance(
            error, neutron_exceptions.ConnectionFailed
        ):
            # The status too, for a proxy's text may be anything.
            status = http.client.responses.get(error.status_code)
            raise Busy(
                '%s (%s)' % (text, status) if status else text
            ) from error
        # An invalid token of Zun's own user is not the members' fault.
        if error.status_code == 401 or not (400 <= error.status_code < 500):
            raise
        raise Refused(text, _kind(error)) from error


def _kind(error):
    if isinstance(
        error,
        (
            neutron_exceptions.IpAddressInUseClient,
            neutron_exceptions.IpAddressAlreadyAllocatedClient,
        ),
    ):
        return Kind.TAKEN
    if isinstance(error, neutron_exceptions.IpAddressGenerationFailureClient):
        return Kind.ADDRESSES
    if isinstance(error, neutron_exceptions.OverQuotaClient):
        return Kind.QUOTA
    # A policy; a network or a security group that does not exist.
    if error.status_code in (403, 404):
        return Kind.WHOLE
    return Kind.OTHER


def _addresses_in(text):
    found = set()
    for word in _ADDRESS.findall(text):
        with contextlib.suppress(ValueError):
            found.add(str(ipaddress.ip_address(word)))
    return found
