"""Any bytes at all: the reader gives frames or a ProtocolFaultError, and nothing else."""

from hypothesis import given
from hypothesis import strategies as st

from node.p2p.errors import ProtocolFaultError
from node.p2p.framing import CHUNK_BYTES_MAX, ChunkReader, Frame
from node.p2p.limits import Limits
from node.p2p.outbox import Outbox, Put
from node.wire.messages import KINDS, tag_of
from tests.support.frames import build_batch, build_chain, build_status, build_vote, chunks

FRAMES = st.one_of(
    st.integers(1, 2**40).map(build_vote),
    st.builds(build_batch, st.integers(0, 3 * CHUNK_BYTES_MAX), st.integers(0, 255)),
    st.integers(1, 2**40).map(build_chain),
)


def read(stream: bytes, cuts: list[int]) -> list[Frame]:
    reader = ChunkReader()
    frames: list[Frame] = []
    start = 0
    for cut in [*cuts, len(stream)]:
        while start < len(stream):
            buffer = reader.get_buffer()
            count = min(max(1, cut), len(stream) - start, len(buffer))
            buffer[:count] = stream[start : start + count]
            start += count
            frames += reader.received(count)
            if cut != len(stream):
                break
    return frames


@given(st.binary(max_size=2000), st.lists(st.integers(1, 500), max_size=8))
def test_garbage_is_refused_or_waits_for_more(stream: bytes, cuts: list[int]) -> None:
    """Total over peer input."""
    try:
        frames = read(stream, cuts)
    except ProtocolFaultError:
        return
    assert all(len(frame.data) <= KINDS[frame.tag].bytes_max for frame in frames)


@given(FRAMES, st.data())
def test_a_changed_byte_never_raises_anything_else(frame: bytes, data: st.DataObject) -> None:
    """A bit flip in a good stream is refused, or is another stream."""
    stream = bytearray(chunks(frame, int(KINDS[tag_of(frame)].priority)))
    stream[data.draw(st.integers(0, len(stream) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        read(bytes(stream), [])
    except ProtocolFaultError:
        return


@given(st.lists(FRAMES, max_size=12), st.lists(st.integers(1, 100_000), min_size=1, max_size=6), st.booleans())
def test_what_an_outbox_gives_a_reader_gets(frames: list[bytes], takes: list[int], status: bool) -> None:
    """Nothing is lost or changed, and within one priority the order stays."""
    outbox = Outbox(Limits(), lambda tag, size: None)
    for frame in frames:
        assert outbox.put(tag_of(frame), frame) is Put.QUEUED
    if status:
        outbox.put(tag_of(build_status()), build_status())
    stream = b""
    turn = 0
    while outbox:
        stream += outbox.take(takes[turn % len(takes)])
        turn += 1
    assert outbox.bytes_waiting == 0
    arrived = read(stream, takes)
    expected = [*frames, *([build_status()] if status else [])]
    for priority in range(3):
        assert [frame.data for frame in arrived if KINDS[frame.tag].priority == priority] == [
            frame for frame in expected if KINDS[tag_of(frame)].priority == priority
        ]
