"""The rules of one session above TLS, without I/O: first frames, framing, queues, and when it counts as dead.

A session begins when the handshake has proved the peer's node key. Both sides send `Hello` first. A TLS 1.3 client
believes that it is connected even after it was refused, so a peer counts only once its Hello has arrived.
"""

from collections.abc import Callable

from node.p2p.errors import ProtocolFaultError, Refusal, SessionError
from node.p2p.framing import ChunkReader, Frame
from node.p2p.limits import Limits
from node.p2p.outbox import Outbox, Put
from node.wire.codec import MalformedError
from node.wire.ids import MemberId
from node.wire.messages import FRAME_BYTES_MAX, Hello, decode, encode, tag_of
from node.wire.tags import Tag


class Session:
    """One authenticated session. Its methods raise SessionError when it is over; the caller closes it then.

    own: the Hello that we send. member: whom the handshake has proved the peer to be; None if its key is not known
    here, and its Hello is to be believed. now_ms: monotonic. on_taken: as for `Outbox`.
    """

    def __init__(
        self,
        *,
        own: Hello,
        member: MemberId | None,
        limits: Limits,
        now_ms: int,
        on_taken: Callable[[Tag, int], None],
    ) -> None:
        self.member = member
        self._own = own
        self._limits = limits
        self._opened_by_ms = now_ms + limits.handshake_ms
        self._heard_ms = now_ms
        self._blocked_since_ms: int | None = None
        self._hello: Hello | None = None
        self._reader = ChunkReader()
        self._outbox = Outbox(limits, on_taken)
        self._outbox.put(Tag.HELLO, encode(own))

    @property
    def hello(self) -> Hello | None:
        """The peer's first frame; None until it has arrived."""
        return self._hello

    @property
    def has_output(self) -> bool:
        """Whether `take` would return anything."""
        return bool(self._outbox)

    @property
    def bytes_waiting(self) -> int:
        """How many bytes wait to be sent."""
        return self._outbox.bytes_waiting

    def get_buffer(self) -> memoryview:
        """Return where the next received bytes go."""
        return self._reader.get_buffer()

    def received(self, count: int, now_ms: int) -> list[Frame]:
        """Take note of `count` received bytes; return the frames that are now whole, without the Hello."""
        frames = self._reader.received(count)
        if frames:
            self._heard_ms = now_ms
            if self._hello is None:
                self._on_hello(frames.pop(0))
            if any(frame.tag is Tag.HELLO for frame in frames):
                raise ProtocolFaultError("a second Hello")
        return frames

    def send(self, frame: bytes) -> Put:
        """Queue an encoded frame. Raises SessionError if the consensus queue is full, and ValueError if it is none.

        A Hello is none: the session sends its own.
        """
        tag = tag_of(frame)
        if tag is Tag.HELLO or len(frame) > FRAME_BYTES_MAX:
            raise ValueError(f"{tag.name} of {len(frame)} bytes is not for sending")
        put = self._outbox.put(tag, frame)
        if put is Put.OVERFLOW:
            raise SessionError(Refusal.OVERFLOW, "the peer does not take our votes")
        return put

    def take(self, bytes_max: int) -> bytes:
        """Return about `bytes_max` bytes to write; empty if nothing waits."""
        return self._outbox.take(bytes_max)

    def set_blocked(self, *, is_blocked: bool, now_ms: int) -> None:
        """Take note that the socket takes no more, or takes again."""
        self._blocked_since_ms = now_ms if is_blocked else None

    def check(self, now_ms: int, *, is_paused: bool) -> None:
        """Raise SessionError if the peer has been silent, or has taken nothing, for too long.

        is_paused: we do not read at present, so silence is our own doing.
        """
        if self._hello is None:
            if now_ms >= self._opened_by_ms:
                raise SessionError(Refusal.TIMEOUT, "no Hello in time")
        elif is_paused:
            self._heard_ms = now_ms
        elif now_ms - self._heard_ms >= self._limits.idle_ms:
            raise SessionError(Refusal.IDLE, f"silent for {now_ms - self._heard_ms} ms")
        if self._blocked_since_ms is not None and now_ms - self._blocked_since_ms >= self._limits.stall_ms:
            raise SessionError(Refusal.STALLED, f"takes nothing for {now_ms - self._blocked_since_ms} ms")

    def _on_hello(self, frame: Frame) -> None:
        if frame.tag is not Tag.HELLO:
            raise ProtocolFaultError(f"{frame.tag.name} before Hello")
        try:
            hello = decode(frame.data)
        except MalformedError as error:
            raise ProtocolFaultError(f"Hello: {error}") from error
        assert isinstance(hello, Hello)
        verify_hello(hello, own=self._own, member=self.member)
        self.member = hello.member
        self._hello = hello


def verify_hello(hello: Hello, *, own: Hello, member: MemberId | None) -> None:
    """Check a peer's Hello against ours and against whom its certificate proved, if it did. Raises SessionError."""
    if hello.network_id != own.network_id:
        raise SessionError(
            Refusal.WRONG_NETWORK,
            f"the peer's network is {hello.network_id.hex()}, ours {own.network_id.hex()}: compare genesis.json",
        )
    if hello.protocol != own.protocol:
        raise SessionError(
            Refusal.WRONG_PROTOCOL,
            f"the peer speaks protocol version {hello.protocol}, we {own.protocol}: run the same release",
        )
    if hello.member == own.member:
        raise SessionError(Refusal.WRONG_MEMBER, f"the peer says that it is {hello.member}, as we are")
    if member is not None and hello.member != member:
        raise SessionError(Refusal.WRONG_MEMBER, f"the peer says that it is {hello.member}, its certificate {member}")
