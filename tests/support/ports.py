"""Ports for networks of processes."""

import os
import socket

SPAN = 40
_FIRST, _LAST = 20_000, 32_000


def free_base_port() -> int:
    """A port below the ephemeral range from which SPAN are free now; other workers begin to look elsewhere."""
    start = _FIRST + os.getpid() * 997 % (_LAST - _FIRST)
    for offset in range(0, _LAST - _FIRST, SPAN):
        base = _FIRST + (start - _FIRST + offset) % (_LAST - _FIRST - SPAN)
        if all(is_free(base + number) for number in range(SPAN)):
            return base
    raise RuntimeError("no free ports")


def is_free(port: int) -> bool:
    """Return whether a server could listen on this port of the loopback now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
