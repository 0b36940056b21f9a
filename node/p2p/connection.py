"""One TLS connection: carries bytes between asyncio's transport and a `Session`, and decides nothing itself.

A protocol with a buffer of its own instead of streams: no task a direction, no copy a read, and one write for all
frames that wait.
"""

import asyncio
import socket
import ssl
import struct
from collections.abc import Sequence
from typing import Final, Protocol, cast

from node.clock import Clock
from node.crypto.keys import PublicKey
from node.errors import PeerError
from node.p2p.context import authenticate
from node.p2p.errors import Refusal, SessionError
from node.p2p.framing import Frame
from node.p2p.limits import Limits
from node.p2p.metrics import P2pMetrics
from node.p2p.outbox import Put
from node.p2p.session import Session
from node.wire.ids import MemberId
from node.wire.messages import Hello, tag_of

_WRITE_BYTES: Final = 64 * 1024
_FLUSH_BYTES: Final = 256 * 1024
"""At most so much is encrypted in one turn of the loop, about a millisecond."""
_BUFFER_HIGH: Final = 128 * 1024
_BUFFER_LOW: Final = 32 * 1024
_UNSENT_BYTES: Final = 128 * 1024
"""What the kernel may hold unsent: the less, the sooner a vote overtakes data on a slow line."""
_SCRATCH_BYTES: Final = 4096
_TCP_INFO_RTT: Final = struct.Struct("=68xI")
"""struct tcp_info of linux/tcp.h: tcpi_rtt, in microseconds, after 8 bytes and 15 words."""


class ConnectionOwner(Protocol):
    """What a connection asks of the network that owns it."""

    def identify(self, key: PublicKey, expected: MemberId | None) -> MemberId:
        """Return whose node key this is. Raises SessionError if no session with it is wanted."""
        ...

    def admit_unknown(self, key: PublicKey) -> None:
        """Look at the key of a node that was dialled without knowing it. Raises SessionError if it is not wanted."""
        ...

    def own_hello(self) -> Hello:
        """Return our first frame."""
        ...

    def on_open(self, connection: "Connection") -> None:
        """The peer's Hello has arrived. Raises SessionError if the session is not wanted after all."""
        ...

    def on_frames(self, connection: "Connection", frames: Sequence[Frame]) -> None:
        """Frames have arrived on an open session."""
        ...

    def on_lost(self, connection: "Connection") -> None:
        """The connection is gone; called once for each that was made."""
        ...


class Connection(asyncio.BufferedProtocol):
    """One connection from the finished handshake to its end.

    expected: the member that we dialled; None on the accepting side, and where we know only an address.
    is_sync_only: the peer's key is not known; its Hello says who it is. address: for status and logs.
    """

    def __init__(
        self,
        owner: ConnectionOwner,
        *,
        expected: MemberId | None,
        is_sync_only: bool = False,
        address: str,
        limits: Limits,
        clock: Clock,
        metrics: P2pMetrics,
    ) -> None:
        loop = asyncio.get_running_loop()
        self._owner = owner
        self._expected = expected
        self.is_sync_only = is_sync_only
        self.address = address
        self._limits = limits
        self._clock = clock
        self._metrics = metrics
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._session: Session | None = None
        self._is_write_blocked = False
        self._is_flush_due = False
        self._scratch = memoryview(bytearray(_SCRATCH_BYTES))
        self.is_reading_paused = False
        self.is_open = False
        self.since_ms = clock.wall_ms()
        # Both end with a result always, so that nobody has to fetch an exception from them.
        self._opened: asyncio.Future[None] = loop.create_future()
        self._closed: asyncio.Future[None] = loop.create_future()
        self._fault: Exception | None = None

    @property
    def is_dialled(self) -> bool:
        """Whether we dialled, rather than accepted."""
        return self._expected is not None or self.is_sync_only

    @property
    def member(self) -> MemberId | None:
        """Whom the handshake proved the peer to be, if it got so far."""
        return self._session.member if self._session else self._expected

    @property
    def hello(self) -> Hello | None:
        """The peer's first frame, if it has arrived."""
        return self._session.hello if self._session else None

    @property
    def bytes_waiting(self) -> int:
        """How many bytes wait to be sent."""
        return self._session.bytes_waiting if self._session else 0

    @property
    def gone(self) -> asyncio.Future[None]:
        """Done once the connection is gone, for whatever reason."""
        return self._closed

    async def wait_opened(self) -> None:
        """Return once the peer's Hello has arrived. Raises SessionError or OSError if it never will."""
        await self._opened
        self._raise_fault()

    async def wait_closed(self) -> None:
        """Return once the connection is gone. Raises what ended it: SessionError or OSError, or our own bug."""
        await self._closed
        self._raise_fault()

    def _raise_fault(self) -> None:
        if self._fault is not None:
            raise self._fault

    def send(self, frame: bytes) -> bool:
        """Queue an encoded frame; return whether it is on its way. A full consensus queue ends the session."""
        if self._session is None or not self.is_open:
            return False
        try:
            put = self._session.send(frame)
        except SessionError as fault:
            self.fail(fault)
            return False
        if put is not Put.QUEUED:
            self._metrics.on_dropped(tag_of(frame))
        if not self._is_flush_due and not self._is_write_blocked:
            # Once per turn of the loop: what is sent in one turn leaves in one write.
            self._is_flush_due = True
            self._loop.call_soon(self._flush)
        return put is not Put.DROPPED

    def fail(self, fault: Exception) -> None:
        """End the connection at once, for this reason; the first reason counts."""
        if self._fault is None:
            self._fault = fault
        self.is_open = False
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """End the connection politely: what the socket has taken is still delivered."""
        if self._fault is None:
            self._fault = SessionError(Refusal.STOPPED, "this node stops")
        self.is_open = False
        if self._transport is not None:
            self._transport.close()

    def check(self) -> None:
        """End the session if the peer has been silent, or has taken nothing, for too long."""
        if self._session is not None and self._fault is None:
            try:
                self._session.check(self._clock.monotonic_ms(), is_paused=self.is_reading_paused)
            except SessionError as fault:
                self.fail(fault)

    def pause_reading(self) -> None:
        """Leave further bytes in the socket."""
        self.is_reading_paused = True
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        self.is_reading_paused = False
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def rtt_us(self) -> int | None:
        """Return the kernel's smoothed round-trip time in microseconds, if it tells."""
        sock: socket.socket | None = self._transport.get_extra_info("socket") if self._transport else None
        if sock is None or not hasattr(socket, "TCP_INFO"):
            return None
        try:
            (rtt,) = _TCP_INFO_RTT.unpack_from(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104))
        except (OSError, struct.error):
            return None
        return int(rtt)

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The handshake is done: find out with whom."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=_BUFFER_HIGH, low=_BUFFER_LOW)
        tls: ssl.SSLObject = transport.get_extra_info("ssl_object")
        _tune(transport.get_extra_info("socket"))
        try:
            key = authenticate(tls)
            if self.is_sync_only:
                self._owner.admit_unknown(key)
                member = None
            else:
                member = self._owner.identify(key, self._expected)
        except PeerError as fault:
            self.fail(fault)
            return
        self._session = Session(
            own=self._owner.own_hello(),
            member=member,
            limits=self._limits,
            now_ms=self._clock.monotonic_ms(),
            on_taken=self._metrics.on_sent,
        )
        self._flush()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's signature
        """Return where the next bytes go."""
        if self._session is None:
            return self._scratch  # The peer was refused: what it still says is not read.
        return self._session.get_buffer()

    def buffer_updated(self, nbytes: int) -> None:
        """Bytes have arrived."""
        session = self._session
        if session is None or self._fault is not None:
            return
        try:
            frames = session.received(nbytes, self._clock.monotonic_ms())
            if not self.is_open and session.hello is not None:
                self._owner.on_open(self)
                self.is_open = True
                if not self._opened.done():
                    self._opened.set_result(None)
            if frames:
                for frame in frames:
                    self._metrics.on_received(frame.tag, len(frame.data))
                self._owner.on_frames(self, frames)
        except PeerError as fault:
            self.fail(fault)

    def eof_received(self) -> None:
        """The peer closes: so do we."""

    def connection_lost(self, exc: Exception | None) -> None:
        """All is over. `exc` is an OSError, or our own bug, which then ends the task that owns this connection."""
        if self._fault is None:
            self._fault = self._explain_loss(exc)
        self.is_open = False
        self._transport = None
        for future in (self._opened, self._closed):
            if not future.done():
                future.set_result(None)
        self._owner.on_lost(self)

    def _explain_loss(self, exc: Exception | None) -> Exception:
        is_unheard = self._session is not None and self._session.hello is None
        if is_unheard and self.is_dialled and (exc is None or isinstance(exc, ConnectionError | ssl.SSLError)):
            # A TLS 1.3 client is done before it is refused, and asyncio's server closes without the alert that says
            # why: after our certificate and before its first frame, a peer hangs up on a key that it does not know.
            return SessionError(Refusal.UNKNOWN_THERE, "the peer hung up on our node key: it is no member's there")
        return exc or SessionError(Refusal.LOST, "the peer closed the connection")

    def pause_writing(self) -> None:
        """The socket takes no more for now."""
        self._set_write_blocked(is_blocked=True)

    def resume_writing(self) -> None:
        """The socket takes again."""
        self._set_write_blocked(is_blocked=False)
        self._flush()

    def _set_write_blocked(self, *, is_blocked: bool) -> None:
        self._is_write_blocked = is_blocked
        if self._session is not None:
            self._session.set_blocked(is_blocked=is_blocked, now_ms=self._clock.monotonic_ms())

    def _flush(self) -> None:
        self._is_flush_due = False
        session, transport = self._session, self._transport
        if session is None or transport is None or self._fault is not None:
            return
        written = 0
        while session.has_output and not self._is_write_blocked:
            if written >= _FLUSH_BYTES:
                self._is_flush_due = True
                self._loop.call_soon(self._flush)
                return
            chunks = session.take(_WRITE_BYTES)
            transport.write(chunks)
            written += len(chunks)


def _tune(sock: socket.socket | None) -> None:
    """Set what the kernel should know of a session's socket; a kernel that does not know it goes without."""
    if sock is None:
        return
    options = [
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        (socket.IPPROTO_TCP, getattr(socket, "TCP_NOTSENT_LOWAT", None), _UNSENT_BYTES),
    ]
    for level, option, value in options:
        if option is not None:
            try:
                sock.setsockopt(level, option, value)
            except OSError:
                continue
