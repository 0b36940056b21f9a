"""Every message between nodes: its fields, their bounds, its size limit, and its one encoding.

A frame is the msgpack array `[wire version, tag, field, …]`. `decode` is total: it raises MalformedError, and nothing
else. Batches, cuts and transactions are bytes here; `ledger/` reads them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from consensus.messages import (
    HEADER_BYTES,
    JUSTIFICATION_MAX,
    Block,
    Certificate,
    CertificateRequest,
    Header,
    Proposal,
    Status,
    Subject,
    Vote,
    VoteKind,
    decode_header,
)
from consensus.types import U32_MAX, Digest, Epoch, Height, ValidatorIndex, View
from node.wire.codec import (
    MalformedError,
    Packable,
    pack,
    read_array,
    read_bool,
    read_bytes,
    read_digest,
    read_int,
    read_text,
    unpack,
)
from node.wire.ids import FeedTip, MemberId, read_feed_tip, read_member_id
from node.wire.tags import Tag

WIRE_VERSION: Final = 1
FRAME_BYTES_MAX: Final = 2 * 1024 * 1024
BATCH_BYTES_MAX: Final = 1024 * 1024 + 4096
"""An encoded batch: its transactions (1 MiB at most), its header and its signature."""
PAYLOAD_BYTES_MAX: Final = 128 * 1024
HAVE_ENTRIES_MAX: Final = 1024
CHAIN_BLOCKS_MAX: Final = 500
SIGNATURE_BYTES: Final = 64
NONCE_BYTES: Final = 16
VALIDATORS_MAX: Final = 256
REJOIN_TIPS_MAX: Final = 2
"""As many branches of one feed as are kept of it."""
EVIDENCE_BYTES_MAX: Final = 2048
"""Two votes, or two batch headers with their signatures."""


class Priority(IntEnum):
    """Which queue of a session a message travels in: a vote never waits behind data."""

    CONSENSUS = 0
    DATA = 1
    BULK = 2


@dataclass(frozen=True, slots=True)
class Hello:
    """The first frame of a session, in both directions. height: final at the sender."""

    network_id: Digest
    protocol: int
    member: MemberId
    capabilities: tuple[str, ...]
    height: Height


@dataclass(frozen=True, slots=True)
class StatusReport:
    """A core's status with what its replica holds.

    have: for each feed the newest contiguous batch held durably, at most two tips a feed. boot_nonce: new at each
    start, so that two processes with one key notice one another. clock_ms: the sender's wall clock.
    """

    status: Status
    executed_height: Height
    have: tuple[FeedTip, ...]
    boot_nonce: bytes
    clock_ms: int


@dataclass(frozen=True, slots=True)
class Have:
    """What the sender has come to hold since it last said so; executed_height as in StatusReport."""

    executed_height: Height
    have: tuple[FeedTip, ...]


@dataclass(frozen=True, slots=True)
class BatchData:
    """One encoded batch."""

    batch: bytes


@dataclass(frozen=True, slots=True)
class BatchRequest:
    """Ask for one batch by its place and digest."""

    tip: FeedTip


@dataclass(frozen=True, slots=True)
class BlockData:
    """One block: header and payload, without its batches."""

    block: Block


@dataclass(frozen=True, slots=True)
class BlockRequest:
    """Ask for one block by its digest."""

    digest: Digest


@dataclass(frozen=True, slots=True)
class ChainRequest:
    """Ask for the final blocks first … last, at most `CHAIN_BLOCKS_MAX`; the answer may hold fewer."""

    first: Height
    last: Height


@dataclass(frozen=True, slots=True)
class ChainData:
    """Consecutive final blocks from `first` on; certificate finalizes the last one. No blocks: the sender has none."""

    first: Height
    blocks: tuple[Block, ...]
    certificate: Certificate | None


@dataclass(frozen=True, slots=True)
class Rejoin:
    """Ask a validator what it knows of the sender, before the sender votes or seals after a start.

    epoch: the sender's own. nonce: the sender's boot nonce; the answer repeats both.
    """

    epoch: Epoch
    nonce: bytes


@dataclass(frozen=True, slots=True)
class RejoinAnswer:
    """What the sender knows of the one who asks. epoch, nonce: of the question, which was of the answering one's epoch.

    certificate: the highest one held, None while that is the anchor. vote: the newest one seen that the asking node
    signed. tips: its present feed as held here, the longest branches first. floating: the newest batches held of it
    whose way down to those is not complete here. other_boot: whether another process speaks in its name at the same
    time.
    """

    epoch: Epoch
    nonce: bytes
    certificate: Certificate | None
    vote: Vote | None
    tips: tuple[FeedTip, ...]
    floating: tuple[FeedTip, ...]
    other_boot: bool


@dataclass(frozen=True, slots=True)
class EvidenceData:
    """Proof that a member's node signed two things of which an honest one signs one; `ledger/` reads it."""

    evidence: bytes


Message = (
    Vote
    | Certificate
    | Proposal
    | CertificateRequest
    | Hello
    | StatusReport
    | Have
    | BatchData
    | BatchRequest
    | BlockData
    | BlockRequest
    | ChainRequest
    | ChainData
    | Rejoin
    | RejoinAnswer
    | EvidenceData
)
"""All that one node sends to another. A core's Status travels inside StatusReport."""


def _subject_fields(subject: Subject) -> Packable:
    return (int(subject.kind), subject.epoch, subject.view, subject.parent_view, subject.digest)


def _read_subject(value: object, what: str) -> Subject:
    kind, epoch, view, parent_view, digest = read_array(value, what, length=5)
    return Subject(
        kind=VoteKind(read_int(kind, f"{what}.kind", lowest=1, highest=3)),
        epoch=Epoch(read_int(epoch, f"{what}.epoch")),
        view=View(read_int(view, f"{what}.view", lowest=1)),
        parent_view=View(read_int(parent_view, f"{what}.parent_view")),
        digest=read_digest(digest, f"{what}.digest"),
    )


def _read_signer(value: object, what: str) -> ValidatorIndex:
    return ValidatorIndex(read_int(value, what, highest=VALIDATORS_MAX - 1))


def vote_fields(vote: Vote) -> Packable:
    """Return the array of a vote, as it stands in frames and in the vote log."""
    return (_subject_fields(vote.subject), vote.signer, vote.signature)


def read_vote(value: object, what: str) -> Vote:
    """Return `value` as a vote. Raises MalformedError."""
    subject, signer, signature = read_array(value, what, length=3)
    return Vote(
        _read_subject(subject, f"{what}.subject"),
        _read_signer(signer, f"{what}.signer"),
        read_bytes(signature, f"{what}.signature", length=SIGNATURE_BYTES),
    )


def certificate_fields(certificate: Certificate) -> Packable:
    """Return the array of a certificate, as it stands in frames, in the vote log and in the chain."""
    return (
        _subject_fields(certificate.subject),
        tuple((signer, signature) for signer, signature in certificate.signatures),
    )


def read_certificate(value: object, what: str) -> Certificate:
    """Return `value` as a certificate with strictly rising signers. Raises MalformedError."""
    subject, signatures = read_array(value, what, length=2)
    entries = []
    last = -1
    for entry in read_array(signatures, f"{what}.signatures", length_max=VALIDATORS_MAX):
        signer_field, signature = read_array(entry, f"{what}.signature", length=2)
        signer = _read_signer(signer_field, f"{what}.signer")
        if signer <= last:
            raise MalformedError(f"{what}: signers do not rise")
        last = signer
        entries.append((signer, read_bytes(signature, f"{what}.signature", length=SIGNATURE_BYTES)))
    return Certificate(_read_subject(subject, f"{what}.subject"), tuple(entries))


def _optional_certificate_fields(certificate: Certificate | None) -> Packable:
    return None if certificate is None else certificate_fields(certificate)


def _read_optional_certificate(value: object, what: str) -> Certificate | None:
    return None if value is None else read_certificate(value, what)


def read_header(value: object, what: str) -> Header:
    """Return `value`, encoded bytes, as a header. Raises MalformedError."""
    try:
        return decode_header(read_bytes(value, what, length=HEADER_BYTES))
    except ValueError as error:
        raise MalformedError(f"{what}: {error}") from error


def block_fields(block: Block) -> Packable:
    """Return the array of a block, as it stands in frames and in the chain."""
    return (block.header.encode(), block.payload)


def read_block(value: object, what: str) -> Block:
    """Return `value` as a block. Raises MalformedError."""
    header, payload = read_array(value, what, length=2)
    return Block(
        read_header(header, f"{what}.header"), read_bytes(payload, f"{what}.payload", length_max=PAYLOAD_BYTES_MAX)
    )


def _proposal_fields(proposal: Proposal) -> tuple[Packable, ...]:
    return (
        proposal.view,
        block_fields(proposal.block),
        proposal.parent_view,
        _optional_certificate_fields(proposal.parent_certificate),
        tuple(certificate_fields(nullification) for nullification in proposal.nullifications),
        _optional_certificate_fields(proposal.executed_certificate),
        vote_fields(proposal.leader_vote),
    )


def _read_proposal(fields: tuple[object, ...]) -> Proposal:
    view, block, parent_view, parent, nullifications, executed, vote = read_array(fields, "proposal", length=7)
    return Proposal(
        view=View(read_int(view, "proposal.view", lowest=1)),
        block=read_block(block, "proposal.block"),
        parent_view=View(read_int(parent_view, "proposal.parent_view")),
        parent_certificate=_read_optional_certificate(parent, "proposal.parent_certificate"),
        nullifications=tuple(
            read_certificate(entry, "proposal.nullification")
            for entry in read_array(nullifications, "proposal.nullifications", length_max=JUSTIFICATION_MAX)
        ),
        executed_certificate=_read_optional_certificate(executed, "proposal.executed_certificate"),
        leader_vote=read_vote(vote, "proposal.leader_vote"),
    )


def _have_fields(have: tuple[FeedTip, ...]) -> Packable:
    return tuple(tip.to_fields() for tip in have)


def _read_have(value: object, what: str) -> tuple[FeedTip, ...]:
    return tuple(read_feed_tip(entry, what) for entry in read_array(value, what, length_max=HAVE_ENTRIES_MAX))


def _status_fields(report: StatusReport) -> tuple[Packable, ...]:
    status = report.status
    return (
        (status.epoch, status.view, status.final_view, status.final_height, status.notarized_view),
        report.executed_height,
        _have_fields(report.have),
        report.boot_nonce,
        report.clock_ms,
    )


def _read_status(fields: tuple[object, ...]) -> StatusReport:
    status, executed, have, nonce, clock = read_array(fields, "status", length=5)
    epoch, view, final_view, final_height, notarized_view = read_array(status, "status.status", length=5)
    return StatusReport(
        status=Status(
            epoch=Epoch(read_int(epoch, "status.epoch")),
            view=View(read_int(view, "status.view", lowest=1)),
            final_view=View(read_int(final_view, "status.final_view")),
            final_height=Height(read_int(final_height, "status.final_height")),
            notarized_view=View(read_int(notarized_view, "status.notarized_view")),
        ),
        executed_height=Height(read_int(executed, "status.executed_height")),
        have=_read_have(have, "status.have"),
        boot_nonce=read_bytes(nonce, "status.boot_nonce", length=NONCE_BYTES),
        clock_ms=read_int(clock, "status.clock_ms"),
    )


def _read_hello(fields: tuple[object, ...]) -> Hello:
    network_id, protocol, member, capabilities, height = read_array(fields, "hello", length=5)
    return Hello(
        network_id=read_digest(network_id, "hello.network_id"),
        protocol=read_int(protocol, "hello.protocol", highest=U32_MAX),
        member=read_member_id(member, "hello.member"),
        capabilities=tuple(
            read_text(entry, "hello.capability", length_max=32)
            for entry in read_array(capabilities, "hello.capabilities", length_max=32)
        ),
        height=Height(read_int(height, "hello.height")),
    )


def _read_request(fields: tuple[object, ...]) -> CertificateRequest:
    epoch, first, last = read_array(fields, "certificate_request", length=3)
    return CertificateRequest(
        Epoch(read_int(epoch, "certificate_request.epoch")),
        View(read_int(first, "certificate_request.first", lowest=1)),
        View(read_int(last, "certificate_request.last", lowest=1)),
    )


def _read_have_message(fields: tuple[object, ...]) -> Have:
    executed, have = read_array(fields, "have", length=2)
    return Have(Height(read_int(executed, "have.executed_height")), _read_have(have, "have.have"))


def _read_chain_request(fields: tuple[object, ...]) -> ChainRequest:
    first, last = read_array(fields, "chain_request", length=2)
    return ChainRequest(
        Height(read_int(first, "chain_request.first", lowest=1)),
        Height(read_int(last, "chain_request.last", lowest=1)),
    )


def _read_chain(fields: tuple[object, ...]) -> ChainData:
    first, blocks, certificate = read_array(fields, "chain", length=3)
    return ChainData(
        first=Height(read_int(first, "chain.first", lowest=1)),
        blocks=tuple(
            read_block(entry, "chain.block")
            for entry in read_array(blocks, "chain.blocks", length_max=CHAIN_BLOCKS_MAX)
        ),
        certificate=_read_optional_certificate(certificate, "chain.certificate"),
    )


def _read_rejoin(fields: tuple[object, ...]) -> Rejoin:
    epoch, nonce = read_array(fields, "rejoin", length=2)
    return Rejoin(
        Epoch(read_int(epoch, "rejoin.epoch")),
        read_bytes(nonce, "rejoin.nonce", length=NONCE_BYTES),
    )


def _read_rejoin_answer(fields: tuple[object, ...]) -> RejoinAnswer:
    epoch, nonce, certificate, vote, tips, floating, other_boot = read_array(fields, "rejoin_answer", length=7)
    return RejoinAnswer(
        epoch=Epoch(read_int(epoch, "rejoin_answer.epoch")),
        nonce=read_bytes(nonce, "rejoin_answer.nonce", length=NONCE_BYTES),
        certificate=_read_optional_certificate(certificate, "rejoin_answer.certificate"),
        vote=None if vote is None else read_vote(vote, "rejoin_answer.vote"),
        tips=_read_rejoin_tips(tips, "rejoin_answer.tips"),
        floating=_read_rejoin_tips(floating, "rejoin_answer.floating"),
        other_boot=read_bool(other_boot, "rejoin_answer.other_boot"),
    )


def _read_rejoin_tips(value: object, what: str) -> tuple[FeedTip, ...]:
    return tuple(read_feed_tip(entry, what) for entry in read_array(value, what, length_max=REJOIN_TIPS_MAX))


def _single(fields: tuple[object, ...], what: str) -> object:
    return read_array(fields, what, length=1)[0]


@dataclass(frozen=True, slots=True)
class MessageKind:
    """What is fixed for one tag: its limit in bytes of the whole frame, its queue, and its reader."""

    bytes_max: int
    priority: Priority
    read: Callable[[tuple[object, ...]], Message]


_CERTIFICATE_BYTES: Final = 128 + 70 * VALIDATORS_MAX

KINDS: Final[dict[Tag, MessageKind]] = {
    Tag.HELLO: MessageKind(2048, Priority.CONSENSUS, _read_hello),
    Tag.VOTE: MessageKind(256, Priority.CONSENSUS, lambda fields: read_vote(fields, "vote")),
    Tag.CERTIFICATE: MessageKind(
        _CERTIFICATE_BYTES, Priority.CONSENSUS, lambda fields: read_certificate(fields, "certificate")
    ),
    Tag.PROPOSAL: MessageKind(
        PAYLOAD_BYTES_MAX + 1024 + (JUSTIFICATION_MAX + 2) * _CERTIFICATE_BYTES, Priority.CONSENSUS, _read_proposal
    ),
    Tag.STATUS: MessageKind(64 * 1024 + HAVE_ENTRIES_MAX * 96, Priority.CONSENSUS, _read_status),
    Tag.CERTIFICATE_REQUEST: MessageKind(64, Priority.CONSENSUS, _read_request),
    Tag.HAVE: MessageKind(64 * 1024 + HAVE_ENTRIES_MAX * 96, Priority.CONSENSUS, _read_have_message),
    Tag.BATCH: MessageKind(
        BATCH_BYTES_MAX + 16,
        Priority.DATA,
        lambda fields: BatchData(read_bytes(_single(fields, "batch"), "batch", length_max=BATCH_BYTES_MAX)),
    ),
    Tag.BATCH_REQUEST: MessageKind(
        128, Priority.DATA, lambda fields: BatchRequest(read_feed_tip(fields, "batch_request"))
    ),
    Tag.BLOCK: MessageKind(
        PAYLOAD_BYTES_MAX + 1024, Priority.DATA, lambda fields: BlockData(read_block(fields, "block"))
    ),
    Tag.BLOCK_REQUEST: MessageKind(
        64, Priority.DATA, lambda fields: BlockRequest(read_digest(_single(fields, "block_request"), "block_request"))
    ),
    Tag.CHAIN_REQUEST: MessageKind(64, Priority.BULK, _read_chain_request),
    Tag.CHAIN: MessageKind(FRAME_BYTES_MAX, Priority.BULK, _read_chain),
    Tag.REJOIN: MessageKind(64, Priority.CONSENSUS, _read_rejoin),
    Tag.REJOIN_ANSWER: MessageKind(_CERTIFICATE_BYTES + 1024, Priority.CONSENSUS, _read_rejoin_answer),
    Tag.EVIDENCE: MessageKind(
        EVIDENCE_BYTES_MAX + 16,
        Priority.CONSENSUS,
        lambda fields: EvidenceData(read_bytes(_single(fields, "evidence"), "evidence", length_max=EVIDENCE_BYTES_MAX)),
    ),
}


_TAGS: Final[dict[type[Message], Tag]] = {
    Hello: Tag.HELLO,
    Vote: Tag.VOTE,
    Certificate: Tag.CERTIFICATE,
    Proposal: Tag.PROPOSAL,
    StatusReport: Tag.STATUS,
    CertificateRequest: Tag.CERTIFICATE_REQUEST,
    Have: Tag.HAVE,
    BatchData: Tag.BATCH,
    BatchRequest: Tag.BATCH_REQUEST,
    BlockData: Tag.BLOCK,
    BlockRequest: Tag.BLOCK_REQUEST,
    ChainRequest: Tag.CHAIN_REQUEST,
    ChainData: Tag.CHAIN,
    Rejoin: Tag.REJOIN,
    RejoinAnswer: Tag.REJOIN_ANSWER,
    EvidenceData: Tag.EVIDENCE,
}


def _to_fields(message: Message) -> Packable:
    match message:
        case Vote():
            return vote_fields(message)
        case Certificate():
            return certificate_fields(message)
        case Proposal():
            return _proposal_fields(message)
        case StatusReport():
            return _status_fields(message)
        case CertificateRequest(epoch, first, last):
            return (epoch, first, last)
        case Have(executed, have):
            return (executed, _have_fields(have))
        case BatchData(batch):
            return (batch,)
        case BatchRequest(tip):
            return tip.to_fields()
        case BlockData(block):
            return block_fields(block)
        case BlockRequest(digest):
            return (digest,)
        case ChainRequest(first_height, last_height):
            return (first_height, last_height)
        case ChainData(first_height, blocks, certificate):
            return (
                first_height,
                tuple(block_fields(block) for block in blocks),
                _optional_certificate_fields(certificate),
            )
        case Rejoin(epoch, nonce):
            return (epoch, nonce)
        case RejoinAnswer():
            return (
                message.epoch,
                message.nonce,
                _optional_certificate_fields(message.certificate),
                None if message.vote is None else vote_fields(message.vote),
                _have_fields(message.tips),
                _have_fields(message.floating),
                message.other_boot,
            )
        case EvidenceData(evidence):
            return (evidence,)
        case Hello():
            return (
                message.network_id,
                message.protocol,
                message.member,
                message.capabilities,
                message.height,
            )


def encode(message: Message) -> bytes:
    """Return the frame of `message`."""
    fields = _to_fields(message)
    assert isinstance(fields, tuple)
    return pack((WIRE_VERSION, int(_TAGS[type(message)]), *fields))


def tag_of(frame: bytes) -> Tag:
    """Return the tag of an encoded frame by its third byte, unchecked beyond that. Raises MalformedError.

    Every tag and the version are below 128, hence one byte each after the one-byte array head.
    """
    if len(frame) < 3 or frame[1] != WIRE_VERSION:
        raise MalformedError("frame: unknown wire version")
    try:
        return Tag(frame[2])
    except ValueError as error:
        raise MalformedError(f"frame: unknown tag {frame[2]}") from error


def priority_of(message: Message) -> Priority:
    """Return the queue that a message travels in."""
    return KINDS[_TAGS[type(message)]].priority


def decode(frame: bytes) -> Message:
    """Return the message in `frame`. Raises MalformedError, and nothing else."""
    kind = KINDS[tag_of(frame)]
    if len(frame) > kind.bytes_max:
        raise MalformedError(f"frame: {len(frame)} bytes, more than {kind.bytes_max} of its kind")
    version, _tag, *fields = read_array(unpack(frame, what="frame"), "frame", length_max=32)
    if version != WIRE_VERSION:
        raise MalformedError("frame: unknown wire version")
    return kind.read(tuple(fields))
