"""How many connections may be open before they have said who they are. Without I/O."""

import ipaddress
from collections import Counter
from typing import Final

from node.p2p.limits import Limits

_SITE_BITS: Final = 64
"""An IPv6 site has so many bits of its own to vary (RFC 4291 section 2.5.4): all of its addresses are one source."""


def find_origin(source: str) -> str:
    """Return what a host is counted as: an IPv4 address itself, an IPv6 address as its network of 64 bits."""
    try:
        address = ipaddress.ip_address(source)
    except ValueError:
        return source
    if isinstance(address, ipaddress.IPv4Address):
        return source
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(address) >> _SITE_BITS << _SITE_BITS, _SITE_BITS)))


class Admission:
    """Counts connections without a first frame, in total and by origin, so that strangers cannot use up our sockets."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._pending: Counter[str] = Counter()

    def admit(self, source: str) -> bool:
        """Count a new connection from the host `source`; False, and not counted, if there are too many."""
        origin = find_origin(source)
        if (
            self._pending.total() >= self._limits.pending_total
            or self._pending[origin] >= self._limits.pending_per_source
        ):
            return False
        self._pending[origin] += 1
        return True

    def release(self, source: str) -> None:
        """The connection has said who it is, or is gone."""
        origin = find_origin(source)
        self._pending[origin] -= 1
        if not self._pending[origin]:
            del self._pending[origin]
