"""The listening socket, and taking connections from it without waiting."""

import asyncio
import socket
from collections.abc import Callable
from typing import Final

from node.errors import ConfigError

_BACKLOG: Final = 128
_ACCEPTS_AT_ONCE: Final = 32
_ACCEPT_PAUSE_SECONDS: Final = 0.5


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


async def accept_for_ever(
    listener: socket.socket,
    on_accepted: Callable[[socket.socket, str], None],
    on_failed: Callable[[OSError], None],
) -> None:
    """Hand every connection to `on_accepted` with the host that it comes from, until cancelled.

    on_failed: told that none can be taken for now.
    """
    # Not loop.sock_accept: on 3.11 a cancellation at the wrong moment loses a connection and logs a traceback.
    loop = asyncio.get_running_loop()
    acceptable = asyncio.Event()
    try:
        while True:
            loop.add_reader(listener, acceptable.set)
            await acceptable.wait()
            acceptable.clear()
            try:
                _accept_waiting(listener, on_accepted)
            except OSError as error:
                # Out of file descriptors, or the like: the clients wait in the backlog meanwhile.
                on_failed(error)
                loop.remove_reader(listener)
                await asyncio.sleep(_ACCEPT_PAUSE_SECONDS)
    finally:
        loop.remove_reader(listener)


def _accept_waiting(listener: socket.socket, on_accepted: Callable[[socket.socket, str], None]) -> None:
    """Hand on what waits in the backlog, a bounded number at a time."""
    for _ in range(_ACCEPTS_AT_ONCE):
        try:
            sock, source = accept_from(listener)
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        on_accepted(sock, source)
