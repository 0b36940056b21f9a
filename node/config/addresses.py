"""Addresses as `host:port`, and which of them stay on this machine."""

import ipaddress
from dataclasses import dataclass

PORT_MAX = 65_535


@dataclass(frozen=True, slots=True)
class Address:
    """A TCP address. host: a name or IP without brackets. port: 1 … 65535, or 0 for any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """Return the address in `text`: `127.0.0.1:7000`, `node.example:7000`, `[::1]:7000`. Raises ValueError."""
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError(f"{text!r}: put an IPv6 address in brackets, as [::1]:7000")
    if not colon or not host or any(letter.isspace() for letter in host):
        raise ValueError(f"{text!r} is not host:port")
    if not (port.isascii() and port.isdigit() and int(port) <= PORT_MAX):
        raise ValueError(f"{text!r}: the port is not a number up to {PORT_MAX}")
    return Address(host, int(port))


def is_loopback(address: Address) -> bool:
    """Return whether only this machine can reach the address. A name other than localhost is never trusted to."""
    if address.host == "localhost":
        return True
    try:
        return ipaddress.ip_address(address.host).is_loopback
    except ValueError:
        return False
