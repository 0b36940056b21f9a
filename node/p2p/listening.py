"""The listening socket, and taking connections from it without waiting."""

import asyncio
import socket
from typing import Final

from node.errors import ConfigError

_BACKLOG: Final = 128


def accept_from(listener: socket.socket) -> tuple[socket.socket, str]:
    """Return a connection that waits and the host that it comes from. Raises BlockingIOError if none does."""
    sock, address = listener.accept()
    sock.settimeout(0)
    return sock, str(address[0])


async def listen_on(address: tuple[str, int]) -> socket.socket:
    """Return a listening socket. Raises ConfigError: no such address, not allowed, or in use."""
    host, port = address
    sock: socket.socket | None = None
    try:
        found = await asyncio.get_running_loop().getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, kind, protocol, _name, bind_to = found[0]
        sock = socket.socket(family, kind, protocol)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(bind_to)
        sock.listen(_BACKLOG)
        sock.settimeout(0)
    except OSError as error:
        if sock is not None:
            sock.close()
        raise ConfigError([f"p2p.listen {host}:{port}: {error.strerror or error}"]) from error
    return sock
