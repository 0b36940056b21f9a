"""What validators say to one another about agreement, and the digest of a block header.

A header is hashed in a fixed layout (`Header.encode`), so that this package needs hashlib alone; votes are
signed in the fixed layout of `scheme.vote_signing_bytes`. Certificates are not part of any digest: two honest
nodes may hold different, equally valid certificates for one thing.
"""

import hashlib
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from consensus.types import DIGEST_BYTES, U64_MAX, ZERO_DIGEST, Digest, Epoch, Height, ValidatorIndex, View

HEADER_VERSION: Final = 1
BLOCK_DOMAIN: Final = b"lotvine/block/v1"

FLAG_EPOCH_END: Final = 1
FLAG_HEARTBEAT: Final = 2

_HEADER: Final = struct.Struct(">B32sQQQI32sQ32s32s32sIIQ32sB32s")


@dataclass(frozen=True, slots=True)
class Header:
    """The agreed part of a block. The cut itself travels beside it, as the payload of the proposal.

    timestamp_ms: Unix time, above the parent's. history_root: RFC 9162 root over the digests of the blocks
    0 … height - 1. executed_height names a final block that the proposer had executed, state_digest the
    running state digest after it. next_epoch_digest: zero unless FLAG_EPOCH_END.
    """

    network_id: Digest
    epoch: Epoch
    height: Height
    view: View
    proposer: ValidatorIndex
    parent_digest: Digest
    timestamp_ms: int
    cut_digest: Digest
    batch_root: Digest
    history_root: Digest
    batch_count: int
    transaction_count: int
    executed_height: Height
    state_digest: Digest
    flags: int
    next_epoch_digest: Digest

    def encode(self) -> bytes:
        """Return the one encoding of this header, `HEADER_BYTES` long."""
        return _HEADER.pack(
            HEADER_VERSION,
            self.network_id,
            self.epoch,
            self.height,
            self.view,
            self.proposer,
            self.parent_digest,
            self.timestamp_ms,
            self.cut_digest,
            self.batch_root,
            self.history_root,
            self.batch_count,
            self.transaction_count,
            self.executed_height,
            self.state_digest,
            self.flags,
            self.next_epoch_digest,
        )

    def digest(self) -> Digest:
        """Return SHA-256 of the domain and the encoding: the name of the block."""
        return Digest(hashlib.sha256(BLOCK_DOMAIN + self.encode()).digest())


HEADER_BYTES: Final = _HEADER.size


def decode_header(encoded: bytes) -> Header:
    """Return the header in `encoded`. Raises ValueError for a wrong length or version, and nothing else."""
    if len(encoded) != HEADER_BYTES:
        raise ValueError(f"header of {len(encoded)} bytes, not {HEADER_BYTES}")
    version, *fields = _HEADER.unpack(encoded)
    if version != HEADER_VERSION:
        raise ValueError(f"header version {version}, not {HEADER_VERSION}")
    return Header(*fields)


CUT_DOMAIN: Final = b"lotvine/cut/v1\0\0"


def payload_digest(payload: bytes) -> Digest:
    """Return what a header's cut_digest must be for this payload."""
    return Digest(hashlib.sha256(CUT_DOMAIN + payload).digest())


@dataclass(frozen=True, slots=True)
class Block:
    """A header with the payload (the encoded cut) that it commits to by its cut digest, unread by the core."""

    header: Header
    payload: bytes


class VoteKind(IntEnum):
    """What a vote says about its view."""

    NOTARIZE = 1
    NULLIFY = 2
    FINALIZE = 3


@dataclass(frozen=True, slots=True)
class Subject:
    """What a vote or a certificate is about. For nullify, parent_view is 0 and digest is zero.

    For finalize, parent_view is 0: the notarization of the view has fixed it.
    """

    kind: VoteKind
    epoch: Epoch
    view: View
    parent_view: View
    digest: Digest


def fault_of_subject(subject: Subject) -> str | None:
    """Return what is wrong with the shape of `subject`, or None. The epoch is not looked at."""
    if not 1 <= subject.view < U64_MAX:
        return "view out of range"
    if not 0 <= subject.parent_view < subject.view:
        return "the parent's view is not below"
    if len(subject.digest) != DIGEST_BYTES:
        return "digest of a wrong length"
    if subject.kind != VoteKind.NOTARIZE and subject.parent_view != 0:
        return "only a notarize vote names the parent's view"
    if subject.kind == VoteKind.NULLIFY and subject.digest != ZERO_DIGEST:
        return "a nullify vote names a block"
    return None


@dataclass(frozen=True, slots=True)
class Vote:
    """One validator's signed word on a subject. signature: 64 bytes."""

    subject: Subject
    signer: ValidatorIndex
    signature: bytes


@dataclass(frozen=True, slots=True)
class Certificate:
    """At least a quorum of votes on one subject. signatures: (signer, 64 bytes), signers strictly rising."""

    subject: Subject
    signatures: tuple[tuple[ValidatorIndex, bytes], ...]


@dataclass(frozen=True, slots=True)
class Proposal:
    """A leader's block for `view`, with everything that justifies it.

    view: of the proposal; equal to block.header.view but for the re-proposal of an epoch's last block.
    parent_certificate: notarization or finalization at parent_view; None only when the parent is the anchor.
    nullifications: one for each view strictly between parent_view and view, newest first, at most
    `JUSTIFICATION_MAX` inline. executed_certificate: a finalization at or above the block's executed height,
    when that is above its parent's. leader_vote: the leader's own notarize vote, which signs the proposal.
    """

    view: View
    block: Block
    parent_view: View
    parent_certificate: Certificate | None
    nullifications: tuple[Certificate, ...]
    executed_certificate: Certificate | None
    leader_vote: Vote


JUSTIFICATION_MAX: Final = 32


@dataclass(frozen=True, slots=True)
class Status:
    """Where a node stands; whoever is ahead answers with what the sender lacks.

    final_height: of the highest final block whose body it has. notarized_view: the highest view it holds a
    notarization of.
    """

    epoch: Epoch
    view: View
    final_view: View
    final_height: Height
    notarized_view: View


@dataclass(frozen=True, slots=True)
class CertificateRequest:
    """Ask for the certificates of the views first … last, at most `CERTIFICATE_REQUEST_MAX` of them."""

    epoch: Epoch
    first: View
    last: View


CERTIFICATE_REQUEST_MAX: Final = 64

CoreMessage = Vote | Certificate | Proposal | Status | CertificateRequest
"""All that one core sends to another. What carries data (batches, blocks) is the replica's."""
