"""The rules of a session: Hello first and right, then frames; silence and stalling end it."""

import pytest

from consensus.types import Digest
from node.p2p.errors import ProtocolFaultError, Refusal, SessionError
from node.p2p.framing import ChunkReader, Frame
from node.p2p.limits import Budget, Limits
from node.p2p.outbox import Put
from node.p2p.session import Session
from node.wire.ids import MemberId
from node.wire.messages import FRAME_BYTES_MAX, Hello, encode
from node.wire.tags import Tag
from tests.support.frames import build_batch, build_hello, build_status, build_vote, chunks, chunks_of

LIMITS = Limits(handshake_ms=100, idle_ms=1000, stall_ms=500, consensus_out=Budget(bytes_max=10_000, count_max=2))


def build_session() -> Session:
    return Session(
        own=build_hello("beta"), member=MemberId("alpha"), limits=LIMITS, now_ms=0, on_taken=lambda tag, size: None
    )


def receive(session: Session, stream: bytes, now_ms: int = 0) -> list[Frame]:
    session.get_buffer()[: len(stream)] = stream
    return session.received(len(stream), now_ms)


def open_session() -> Session:
    session = build_session()
    receive(session, chunks_of(build_hello()))
    session.take(10_000)
    return session


def refusal(stream: bytes) -> Refusal:
    with pytest.raises(SessionError) as refused:
        receive(build_session(), stream)
    return refused.value.reason


def test_our_hello_is_the_first_thing_sent() -> None:
    """Both sides speak first; neither waits for the other."""
    session = build_session()
    assert session.has_output
    stream = session.take(10_000)
    reader = ChunkReader()
    reader.get_buffer()[: len(stream)] = stream
    assert reader.received(len(stream)) == [Frame(Tag.HELLO, encode(build_hello("beta")))]


def test_a_peer_counts_only_once_its_hello_has_arrived() -> None:
    """A TLS 1.3 client believes that it is connected even after it was refused."""
    session = build_session()
    assert session.hello is None
    assert receive(session, chunks_of(build_hello(height=7)) + chunks(build_vote(), 0)) == [
        Frame(Tag.VOTE, build_vote())
    ]
    assert session.hello == build_hello(height=7)


@pytest.mark.parametrize(
    ("hello", "reason"),
    [
        (build_hello(network_id=Digest(b"m" * 32)), Refusal.WRONG_NETWORK),
        (build_hello(protocol=2), Refusal.WRONG_PROTOCOL),
        (build_hello("gamma"), Refusal.WRONG_MEMBER),
    ],
)
def test_a_hello_of_another_network_version_or_member_is_refused(hello: Hello, reason: Refusal) -> None:
    """Each with its own reason: the operator has to act on it."""
    assert refusal(chunks_of(hello)) is reason


def test_anything_before_hello_is_a_fault() -> None:
    """There is one way to begin."""
    assert refusal(chunks(build_vote(), 0)) is Refusal.MALFORMED


def test_a_second_hello_is_a_fault() -> None:
    """What was agreed at the beginning stays."""
    with pytest.raises(ProtocolFaultError, match="second Hello"):
        receive(open_session(), chunks_of(build_hello()))


def test_a_hello_that_does_not_decode_is_a_fault() -> None:
    """Its kind is right, its fields are not."""
    bad = encode(build_hello())[:-1] + b"\xc0"
    assert refusal(chunks(bad, 0)) is Refusal.MALFORMED


def test_no_hello_in_time_ends_the_session() -> None:
    """A peer that only finishes the handshake holds no place."""
    session = build_session()
    session.check(99, is_paused=False)
    with pytest.raises(SessionError) as ended:
        session.check(100, is_paused=False)
    assert ended.value.reason is Refusal.TIMEOUT


def test_a_silent_peer_is_given_up_and_a_whole_frame_counts_as_life() -> None:
    """A status comes every two seconds; half a frame for ever is silence."""
    session = open_session()
    receive(session, chunks(build_status(), 0), now_ms=900)
    session.check(1899, is_paused=False)
    receive(session, chunks(build_batch(), 1)[:-1], now_ms=1899)
    with pytest.raises(SessionError) as ended:
        session.check(1900, is_paused=False)
    assert ended.value.reason is Refusal.IDLE


def test_silence_counts_from_when_we_read_again() -> None:
    """While we do not read, silence is our own doing."""
    session = open_session()
    session.check(5000, is_paused=True)
    session.check(5999, is_paused=False)
    with pytest.raises(SessionError):
        session.check(6000, is_paused=False)


def test_a_peer_that_takes_nothing_is_given_up() -> None:
    """Its queue would stay full for ever."""
    session = open_session()
    session.set_blocked(is_blocked=True, now_ms=100)
    receive(session, chunks(build_status(), 0), now_ms=599)
    session.check(599, is_paused=False)
    with pytest.raises(SessionError) as ended:
        session.check(600, is_paused=False)
    assert ended.value.reason is Refusal.STALLED


def test_a_peer_that_takes_again_is_not_given_up() -> None:
    """Slow is not stalled."""
    session = open_session()
    session.set_blocked(is_blocked=True, now_ms=100)
    session.set_blocked(is_blocked=False, now_ms=500)
    session.check(900, is_paused=False)


def test_votes_that_do_not_leave_end_the_session() -> None:
    """A reconnect begins with a status that repairs every gap; a gap unnoticed would not be."""
    session = open_session()
    assert session.send(build_vote()) is Put.QUEUED
    assert session.send(build_vote()) is Put.QUEUED
    with pytest.raises(SessionError) as ended:
        session.send(build_vote())
    assert ended.value.reason is Refusal.OVERFLOW


@pytest.mark.parametrize("frame", [encode(build_hello()), b"\x92\x01\x08" + bytes(FRAME_BYTES_MAX)])
def test_what_is_not_for_sending_is_our_own_bug(frame: bytes) -> None:
    """A second Hello, or a frame that every peer would refuse."""
    with pytest.raises(ValueError, match="not for sending"):
        open_session().send(frame)
