"""node.wire.messages."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus.messages import (
    Block,
    Certificate,
    CertificateRequest,
    Header,
    Proposal,
    Status,
    Subject,
    Vote,
    VoteKind,
)
from consensus.types import Digest, Epoch, Height, ValidatorIndex, View
from node.wire.codec import MalformedError, pack, unpack
from node.wire.ids import FeedId, FeedNumber, FeedTip, MemberId, Seq
from node.wire.messages import (
    KINDS,
    BatchData,
    BatchRequest,
    BlockData,
    BlockRequest,
    ChainData,
    ChainRequest,
    EvidenceData,
    Have,
    Hello,
    Message,
    Priority,
    Rejoin,
    RejoinAnswer,
    StatusReport,
    decode,
    encode,
    priority_of,
    tag_of,
)
from node.wire.tags import Tag

DIGEST = Digest(bytes(range(32)))
HEADER = Header(
    network_id=DIGEST, epoch=Epoch(0), height=Height(2), view=View(3), proposer=ValidatorIndex(1), parent_digest=DIGEST,
    timestamp_ms=5, cut_digest=DIGEST, batch_root=DIGEST, history_root=DIGEST, batch_count=6, transaction_count=7,
    executed_height=Height(1), state_digest=DIGEST, flags=0, next_epoch_digest=Digest(bytes(32)),
)  # fmt: skip
BLOCK = Block(HEADER, b"payload")
VOTE = Vote(Subject(VoteKind.NOTARIZE, Epoch(0), View(3), View(2), DIGEST), ValidatorIndex(1), bytes(64))
CERTIFICATE = Certificate(VOTE.subject, ((ValidatorIndex(0), bytes(64)), (ValidatorIndex(2), b"\x01" * 64)))
TIP = FeedTip(FeedId(MemberId("mill"), FeedNumber(0)), Seq(3), DIGEST)
REPORT = StatusReport(Status(Epoch(0), View(3), View(2), Height(2), View(2)), Height(1), (TIP,), bytes(16), 9)
MESSAGES: list[Message] = [
    VOTE,
    CERTIFICATE,
    Proposal(View(3), BLOCK, View(2), CERTIFICATE, (CERTIFICATE,), None, VOTE),
    Proposal(View(3), BLOCK, View(0), None, (), CERTIFICATE, VOTE),
    CertificateRequest(Epoch(0), View(1), View(64)),
    Hello(DIGEST, 1, MemberId("mill"), ("chain",), Height(4)),
    REPORT,
    Have(Height(1), (TIP,)),
    BatchData(b"batch"),
    BatchRequest(TIP),
    BlockData(BLOCK),
    BlockRequest(DIGEST),
    ChainRequest(Height(1), Height(500)),
    ChainData(Height(1), (BLOCK,), CERTIFICATE),
    ChainData(Height(1), (), None),
    Rejoin(Epoch(2), b"n" * 16),
    RejoinAnswer(Epoch(2), b"n" * 16, CERTIFICATE, VOTE, (TIP,), (TIP,), other_boot=False),
    RejoinAnswer(Epoch(2), b"n" * 16, None, None, (), (), other_boot=True),
    EvidenceData(b"two votes"),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_comes_back(message: Message) -> None:
    """Round trip of every kind."""
    assert decode(encode(message)) == message


def test_every_tag_has_a_message_and_a_limit() -> None:
    """Nothing is declared that nobody can send."""
    assert {tag_of(encode(message)) for message in MESSAGES} == set(Tag) == set(KINDS)


def test_votes_never_wait_behind_data() -> None:
    """The queue is the kind's."""
    assert priority_of(VOTE) is Priority.CONSENSUS
    assert priority_of(BatchData(b"")) is Priority.DATA
    assert priority_of(ChainRequest(Height(1), Height(2))) is Priority.BULK


@given(st.binary(max_size=300))
def test_any_bytes_are_decoded_or_refused_by_name(frame: bytes) -> None:
    """T-38: decode raises MalformedError and nothing else."""
    with pytest.raises(MalformedError):
        decode(frame)


@given(st.sampled_from(MESSAGES), st.data())
def test_a_changed_byte_is_refused_or_another_message(message: Message, data: st.DataObject) -> None:
    """T-38: no two frames decode to the same message."""
    frame = bytearray(encode(message))
    place = data.draw(st.integers(0, len(frame) - 1))
    frame[place] ^= data.draw(st.integers(1, 255))
    try:
        changed = decode(bytes(frame))
    except MalformedError:
        return
    assert changed != message


@given(st.sampled_from(MESSAGES), st.data())
def test_a_field_of_another_type_is_refused(message: Message, data: st.DataObject) -> None:
    """T-38: every field is typed."""
    fields = list(unpack(encode(message), what="frame"))
    place = data.draw(st.integers(2, len(fields) - 1))
    # True where a byte string or an array belongs, and an array where True would be right.
    fields[place] = True if type(fields[place]) is not bool else ()
    with pytest.raises(MalformedError):
        decode(pack(tuple(fields)))  # type: ignore[arg-type]  # Fields of an unpacked frame are packable.


def test_unknown_versions_and_tags_are_refused() -> None:
    """By the first bytes alone."""
    with pytest.raises(MalformedError, match="unknown wire version"):
        decode(pack((2, 1)))
    with pytest.raises(MalformedError, match="unknown tag 99"):
        decode(pack((1, 99)))
    with pytest.raises(MalformedError, match="unknown wire version"):
        decode(b"")


def test_a_frame_over_the_limit_of_its_kind_is_refused_unread() -> None:
    """A vote is never as large as a batch."""
    with pytest.raises(MalformedError, match="more than 256 of its kind"):
        decode(pack((1, int(Tag.VOTE), bytes(300))))


def test_signers_must_rise() -> None:
    """One vote counted twice is no quorum."""
    twice = dataclasses.replace(CERTIFICATE, signatures=(CERTIFICATE.signatures[0], CERTIFICATE.signatures[0]))
    with pytest.raises(MalformedError, match="signers do not rise"):
        decode(encode(twice))


def test_a_damaged_header_is_refused() -> None:
    """Its version is inside the encoding."""
    fields = (1, int(Tag.BLOCK), b"\x09" + HEADER.encode()[1:], b"")
    with pytest.raises(MalformedError, match="header version 9"):
        decode(pack(fields))
