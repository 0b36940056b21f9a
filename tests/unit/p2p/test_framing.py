"""Chunks become frames again; what breaks a bound is refused before memory is taken for it."""

import struct

import pytest

from node.p2p.errors import ProtocolFaultError
from node.p2p.framing import CHUNK_BYTES_MAX, HEADER, MORE, ChunkReader, Frame, chunk_header
from node.wire.messages import KINDS, Priority
from node.wire.tags import Tag
from tests.support.frames import build_batch, build_chain, build_vote, chunks

VOTE = build_vote()


def read(reader: ChunkReader, stream: bytes, *, step: int = 64 * 1024) -> list[Frame]:
    frames: list[Frame] = []
    while stream:
        buffer = reader.get_buffer()
        count = min(step, len(stream), len(buffer))
        buffer[:count] = stream[:count]
        stream = stream[count:]
        frames += reader.received(count)
    return frames


@pytest.mark.parametrize("step", [1, 2, 3, 5, 64, 100_000])
def test_frames_come_out_as_they_went_in_however_the_socket_cuts_them(step: int) -> None:
    """TCP keeps no boundaries."""
    batch = build_batch(3 * CHUNK_BYTES_MAX if step > 3 else 100, fill=7)
    stream = chunks(VOTE, 0) + chunks(batch, 1) + chunks(VOTE, 0)
    assert read(ChunkReader(), stream, step=step) == [
        Frame(Tag.VOTE, VOTE),
        Frame(Tag.BATCH, batch),
        Frame(Tag.VOTE, VOTE),
    ]


def test_a_vote_overtakes_a_batch_that_is_half_sent() -> None:
    """Chunks of different priorities alternate; the frame that is complete first comes first."""
    batch = build_batch(2 * CHUNK_BYTES_MAX)
    sent = chunks(batch, 1)
    cut = HEADER.size + CHUNK_BYTES_MAX
    frames = read(ChunkReader(), sent[:cut] + chunks(VOTE, 0) + sent[cut:])
    assert [frame.tag for frame in frames] == [Tag.VOTE, Tag.BATCH]
    assert frames[1].data == batch


def test_two_unfinished_frames_of_different_priorities_stay_apart() -> None:
    """Each priority has its own place for the frame that is growing."""
    batch, chain = build_batch(CHUNK_BYTES_MAX + 5, fill=1), build_chain()
    first, rest = batch[:10], batch[10:]
    stream = (
        chunk_header(1, len(first), more=True)
        + first
        + chunk_header(2, 5, more=True)
        + chain[:5]
        + chunk_header(2, len(chain) - 5, more=False)
        + chain[5:]
        + chunk_header(1, CHUNK_BYTES_MAX, more=True)
        + rest[:CHUNK_BYTES_MAX]
        + chunk_header(1, len(rest) - CHUNK_BYTES_MAX, more=False)
        + rest[CHUNK_BYTES_MAX:]
    )
    assert read(ChunkReader(), stream) == [Frame(Tag.CHAIN, chain), Frame(Tag.BATCH, batch)]


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        (HEADER.pack(CHUNK_BYTES_MAX + 1), "chunk of"),
        (HEADER.pack(MORE - 1), "chunk of"),
        (HEADER.pack(0), "chunk of 0"),
        (chunk_header(3, 3, more=False) + VOTE[:3], "unknown priority"),
        (chunk_header(1, len(VOTE), more=False) + VOTE, "VOTE at priority 1"),
        (chunk_header(0, 3, more=False) + bytes([0x92, 1, 127]), "unknown kind"),
        (chunk_header(0, 2, more=True) + VOTE[:2], "unknown kind"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "chunk of"),
    ],
)
def test_a_stream_that_breaks_the_rules_is_refused(stream: bytes, message: str) -> None:
    """Every byte from a peer is bounded, or refused by name."""
    with pytest.raises(ProtocolFaultError, match=message):
        read(ChunkReader(), stream)


def test_an_oversized_length_is_refused_before_its_bytes_arrive() -> None:
    """The header alone is enough: no memory is taken for what it announces."""
    reader = ChunkReader()
    header = HEADER.pack(CHUNK_BYTES_MAX + 1)
    reader.get_buffer()[:4] = header
    with pytest.raises(ProtocolFaultError):
        reader.received(4)


@pytest.mark.parametrize("tag", list(Tag))
def test_a_frame_may_not_grow_past_the_limit_of_its_kind(tag: Tag) -> None:
    """The kind is known from the first chunk; the sum is checked at each."""
    kind = KINDS[tag]
    head = bytes([0x92, 1, tag])
    fill = bytes(CHUNK_BYTES_MAX)
    stream = chunk_header(kind.priority, 3, more=True) + head
    size = 3
    reader = ChunkReader()
    assert read(reader, stream) == []
    more = chunk_header(kind.priority, CHUNK_BYTES_MAX, more=True) + fill
    while size + CHUNK_BYTES_MAX <= kind.bytes_max:
        assert read(reader, more) == []
        size += CHUNK_BYTES_MAX
    left = kind.bytes_max - size
    if left:
        assert read(reader, chunk_header(kind.priority, left, more=True) + fill[:left]) == []
    with pytest.raises(ProtocolFaultError, match=f"{tag.name} of more than"):
        read(reader, chunk_header(kind.priority, 1, more=False) + b"\0")


def test_the_buffer_always_has_room() -> None:
    """An empty buffer would read as the end of the stream."""
    reader = ChunkReader()
    stream = chunks(build_batch(CHUNK_BYTES_MAX - 20), 1)
    for _ in range(40):
        read(reader, stream[:-1])
        assert len(reader.get_buffer()) > CHUNK_BYTES_MAX
        assert len(read(reader, stream[-1:])) == 1


def test_a_chunk_header_is_the_layout_of_the_protocol_page() -> None:
    """Golden bytes: two bits, one bit, 29 bits, big-endian."""
    assert chunk_header(Priority.DATA, 5, more=True) == struct.pack(">I", 0x6000_0005)
    assert chunk_header(Priority.BULK, 32768, more=False) == struct.pack(">I", 0x8000_8000)
