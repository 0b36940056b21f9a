"""A vote never waits behind data, and every queue says what happens when it is full."""

import pytest

from node.p2p.framing import CHUNK_BYTES_MAX, ChunkReader, Frame
from node.p2p.limits import Budget, Limits
from node.p2p.outbox import BULK_TURN, Outbox, Put
from node.wire.messages import tag_of
from node.wire.tags import Tag
from tests.support.frames import build_batch, build_chain, build_status, build_vote

SMALL = Limits(
    consensus_out=Budget(bytes_max=1000, count_max=3),
    data_out=Budget(bytes_max=1000, count_max=3),
    bulk_out=Budget(bytes_max=1000, count_max=3),
)


def build_outbox(limits: Limits = SMALL) -> Outbox:
    return Outbox(limits, lambda tag, size: None)


def put(outbox: Outbox, frame: bytes) -> Put:
    return outbox.put(tag_of(frame), frame)


def frames_of(stream: bytes) -> list[Frame]:
    reader = ChunkReader()
    frames = []
    for start in range(0, len(stream), CHUNK_BYTES_MAX):
        part = stream[start : start + CHUNK_BYTES_MAX]
        reader.get_buffer()[: len(part)] = part
        frames += reader.received(len(part))
    return frames


def test_votes_are_taken_before_a_status_that_before_data_and_bulk_last() -> None:
    """The order of priorities; a status comes after the votes that wait."""
    outbox = build_outbox()
    for frame in (build_chain(), build_batch(), build_status(), build_vote()):
        put(outbox, frame)
    tags = [frame.tag for frame in frames_of(outbox.take(100_000))]
    assert tags == [Tag.VOTE, Tag.STATUS, Tag.BATCH, Tag.CHAIN]
    assert not outbox


def test_a_vote_leaves_before_the_rest_of_a_batch_that_is_half_sent() -> None:
    """The wait is bounded by one chunk, not by one batch."""
    outbox = build_outbox(Limits())
    put(outbox, build_batch(1024 * 1024))
    first = outbox.take(CHUNK_BYTES_MAX)
    put(outbox, build_vote())
    second = outbox.take(1)
    assert [frame.tag for frame in frames_of(first + second)] == [Tag.VOTE]


def test_an_older_status_that_still_waits_is_replaced() -> None:
    """Only the newest says anything."""
    outbox = build_outbox()
    assert put(outbox, build_status(1)) is Put.QUEUED
    assert put(outbox, build_status(2)) is Put.REPLACED
    assert [frame.data for frame in frames_of(outbox.take(10_000))] == [build_status(2)]


@pytest.mark.parametrize(
    ("frame", "full"),
    [(build_vote(), Put.OVERFLOW), (build_batch(), Put.DROPPED), (build_chain(), Put.DROPPED)],
)
def test_a_queue_is_full_by_count(frame: bytes, full: Put) -> None:
    """T-36: votes that do not leave end the session; data is dropped, since the peer asks for what it misses."""
    outbox = build_outbox()
    assert [put(outbox, frame) for _ in range(4)] == [Put.QUEUED, Put.QUEUED, Put.QUEUED, full]


def test_a_queue_is_full_by_bytes() -> None:
    """Few large frames are bounded as well."""
    outbox = build_outbox()
    assert put(outbox, build_batch(600)) is Put.QUEUED
    assert put(outbox, build_batch(600)) is Put.DROPPED
    assert put(outbox, build_batch(100)) is Put.QUEUED


def test_one_frame_larger_than_the_budget_passes_an_empty_queue() -> None:
    """Else it could never be sent at all."""
    outbox = build_outbox()
    assert put(outbox, build_batch(5000)) is Put.QUEUED


def test_full_data_queues_leave_room_for_votes() -> None:
    """The budgets are apart."""
    outbox = build_outbox()
    while put(outbox, build_batch()) is Put.QUEUED:
        pass
    assert put(outbox, build_vote()) is Put.QUEUED


def test_bulk_gets_its_turn_while_data_never_ends() -> None:
    """A busy network cannot starve a peer that catches up."""
    outbox = build_outbox(Limits())
    for number in range(1, 100):
        put(outbox, build_batch())
        put(outbox, build_chain(number))
    tags = [frame.tag for frame in frames_of(outbox.take(8 * 100))]
    assert Tag.CHAIN in tags[:BULK_TURN]


def test_room_is_given_back_as_frames_leave() -> None:
    """The budget counts what waits, and the callback what has left."""
    left: list[tuple[Tag, int]] = []
    outbox = Outbox(SMALL, lambda tag, size: left.append((tag, size)))
    frame = build_batch(900)
    for _ in range(5):
        assert put(outbox, frame) is Put.QUEUED
        assert outbox.bytes_waiting == len(frame)
        outbox.take(10_000)
        assert outbox.bytes_waiting == 0
    assert left == [(Tag.BATCH, len(frame))] * 5
