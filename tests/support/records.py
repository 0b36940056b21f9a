"""Builders of votes, certificates and blocks with signatures that nobody checks."""

from consensus.messages import Block, Certificate, Header, Subject, Vote, VoteKind, payload_digest
from consensus.types import ZERO_DIGEST, Digest, Epoch, Height, ValidatorIndex, View
from node.crypto.digests import sha256
from node.wire.ids import FeedId, FeedNumber, FeedTip, MemberId, Seq


def build_subject(view: int, kind: VoteKind = VoteKind.NOTARIZE, digest: bytes | None = None) -> Subject:
    """A subject of epoch 0; a nullification has no digest."""
    named = ZERO_DIGEST if kind is VoteKind.NULLIFY else Digest(digest or bytes([view % 256]) * 32)
    return Subject(kind, Epoch(0), View(view), View(0), named)


def build_vote(view: int, kind: VoteKind = VoteKind.NOTARIZE, signer: int = 0) -> Vote:
    """A vote with a made-up signature."""
    return Vote(build_subject(view, kind), ValidatorIndex(signer), bytes([view % 256]) * 64)


def build_certificate(view: int, kind: VoteKind = VoteKind.FINALIZE, digest: bytes | None = None) -> Certificate:
    """A certificate of three made-up signatures."""
    return Certificate(
        build_subject(view, kind, digest), tuple((ValidatorIndex(index), bytes([index]) * 64) for index in range(3))
    )


def build_tip(seq: int, member: str = "firm-0", digest: bytes | None = None) -> FeedTip:
    """A tip with a made-up digest."""
    return FeedTip(
        FeedId(MemberId(member), FeedNumber(0)), Seq(seq), Digest(digest or sha256(f"{member} {seq}".encode()))
    )


def build_block(
    height: int,
    *,
    parent_digest: Digest,
    network_id: Digest,
    payload: bytes = b"\x90",
    view: int | None = None,
    timestamp_ms: int | None = None,
    batch_count: int = 0,
    transaction_count: int = 0,
) -> Block:
    """A block whose links and cut digest are right, and whose roots are not."""
    return Block(
        Header(
            network_id=network_id,
            epoch=Epoch(0),
            height=Height(height),
            view=View(height if view is None else view),
            proposer=ValidatorIndex(0),
            parent_digest=parent_digest,
            timestamp_ms=1_760_000_000_000 + height if timestamp_ms is None else timestamp_ms,
            cut_digest=payload_digest(payload),
            batch_root=ZERO_DIGEST,
            history_root=ZERO_DIGEST,
            batch_count=batch_count,
            transaction_count=transaction_count,
            executed_height=Height(0),
            state_digest=ZERO_DIGEST,
            flags=0,
            next_epoch_digest=ZERO_DIGEST,
        ),
        payload,
    )
