"""How many connections one listener has, counted from their acceptance, and which of them has to go.

A connection that has no whole request under way costs a file of the process and brings nothing. At the bound the one
that has waited longest so makes room, so that clients that send nothing, or half of something, lock nobody out; if none
has waited for a while, the new one is answered with 503.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from node.api.dispatch import encode_refusal
from node.api.errors import BusyError

GRACE_SECONDS: Final = 1.0
"""How long a connection may be without a request under way before it has to make room."""
REFUSING_MAX: Final = 16
"""Connections above the bound that are kept until they have been told so."""
REFUSING_SECONDS: Final = 1.0


class Connections:
    """The connections of one listener, at most connections_max and REFUSING_MAX that are being refused."""

    def __init__(self, connections_max: int) -> None:
        self._connections_max = connections_max
        self._open: set[_Connection] = set()
        # In the order in which they began to wait: the first has to go first.
        self._waiting: dict[asyncio.BaseProtocol, _Connection] = {}
        self._refusing: set[_Refusal] = set()

    @property
    def count(self) -> int:
        """How many connections are open."""
        return len(self._open)

    def bounded(self, make: Callable[[], asyncio.Protocol]) -> Callable[[], asyncio.Protocol]:
        """Return `make` within the bound: what an asyncio server makes a protocol of each accepted connection with."""

        def accept() -> asyncio.Protocol:
            if len(self._open) >= self._connections_max and not self._make_room():
                return _Refusal(self._refusing, f"{self._connections_max} clients are connected already")
            connection = _Connection(make(), self._forget)
            self._open.add(connection)
            self._waiting[connection.handler] = connection
            return connection

        return accept

    @contextmanager
    def serving(self, handler: asyncio.BaseProtocol) -> Iterator[None]:
        """Keep a connection while the context lasts: it has a whole request under way."""
        connection = self._waiting.pop(handler, None)
        try:
            yield
        finally:
            if connection is not None and connection in self._open:
                connection.since = time.monotonic()
                self._waiting[handler] = connection

    def _make_room(self) -> bool:
        first = next(iter(self._waiting.values()), None)
        if first is None or time.monotonic() - first.since < GRACE_SECONDS:
            return False
        self._forget(first)
        first.abort()
        return True

    def _forget(self, connection: "_Connection") -> None:
        self._open.discard(connection)
        self._waiting.pop(connection.handler, None)


class _Connection(asyncio.Protocol):
    """Passes everything on to the protocol that handles it, and tells of the end."""

    def __init__(self, handler: asyncio.Protocol, on_end: Callable[["_Connection"], None]) -> None:
        self.handler = handler
        self.since = time.monotonic()
        self._on_end = on_end
        self._transport: asyncio.BaseTransport | None = None

    def abort(self) -> None:
        """Close it at once."""
        if isinstance(self._transport, asyncio.Transport):
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self.handler.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        self.handler.data_received(data)

    def eof_received(self) -> bool | None:
        return self.handler.eof_received()

    def pause_writing(self) -> None:
        self.handler.pause_writing()

    def resume_writing(self) -> None:
        self.handler.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._on_end(self)
        self.handler.connection_lost(exc)


class _Refusal(asyncio.Protocol):
    """Tells a client that there is no room, once it has begun to ask: an answer before would be lost with a reset."""

    def __init__(self, refusing: "set[_Refusal]", words: str) -> None:
        self._refusing = refusing
        body = encode_refusal(BusyError(words))
        self._answer = (
            b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nConnection: close\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        self._transport: asyncio.Transport | None = None
        self._end: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        if len(self._refusing) >= REFUSING_MAX:
            transport.abort()
            return
        self._refusing.add(self)
        self._transport = transport
        self._end = asyncio.get_running_loop().call_later(REFUSING_SECONDS, transport.abort)

    def data_received(self, _data: bytes) -> None:
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.write(self._answer)
            transport.close()

    def connection_lost(self, _exc: Exception | None) -> None:
        self._refusing.discard(self)
        if self._end is not None:
            self._end.cancel()
