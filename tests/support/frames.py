"""Frames of each kind as they travel, and streams of chunks as a peer may send them."""

from consensus.messages import Status, Subject, Vote, VoteKind
from consensus.types import Digest, Epoch, Height, ValidatorIndex, View
from node.p2p.framing import CHUNK_BYTES_MAX, chunk_header
from node.wire.ids import MemberId
from node.wire.messages import BatchData, ChainData, Hello, StatusReport, encode, priority_of
from node.wire.messages import Message as WireMessage

NETWORK_ID = Digest(b"n" * 32)


def build_vote(view: int = 1) -> bytes:
    """The frame of a vote."""
    subject = Subject(VoteKind.NOTARIZE, Epoch(0), View(view), View(view - 1), Digest(bytes(32)))
    return encode(Vote(subject, ValidatorIndex(1), bytes(64)))


def build_batch(size: int = 100, fill: int = 0) -> bytes:
    """The frame of a batch of so many bytes."""
    return encode(BatchData(bytes([fill]) * size))


def build_chain(first: int = 1) -> bytes:
    """The frame of a bulk answer."""
    return encode(ChainData(Height(first), (), None))


def build_status(clock_ms: int = 0) -> bytes:
    """The frame of a status."""
    return encode(
        StatusReport(Status(Epoch(0), View(1), View(0), Height(0), View(0)), Height(0), (), bytes(16), clock_ms)
    )


def build_hello(member: str = "alpha", *, network_id: Digest = NETWORK_ID, protocol: int = 1, height: int = 0) -> Hello:
    """A first frame."""
    return Hello(network_id, protocol, MemberId(member), (), Height(height))


def chunks_of(message: WireMessage) -> bytes:
    """The chunks of a message, as a peer writes them."""
    return chunks(encode(message), int(priority_of(message)))


def chunks(frame: bytes, priority: int) -> bytes:
    """The chunks of a frame at this priority."""
    parts = [frame[start : start + CHUNK_BYTES_MAX] for start in range(0, len(frame), CHUNK_BYTES_MAX)]
    return b"".join(
        chunk_header(priority, len(part), more=number < len(parts) - 1) + part for number, part in enumerate(parts)
    )
