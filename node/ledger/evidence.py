"""Proof that a node signed two things of which an honest one signs one: how it is written, judged and counted once.

Two votes of one view, or two batches of one place in a feed. Both signed things stand in it whole, so whoever knows
the roster of the epoch can judge it alone. The ledger counts a misdeed once, whoever reports it and however often; it
expels nobody: governance decides.

Source: Haeberlen, Kouznetsov and Druschel, "PeerReview" (SOSP 2007), for evidence that convinces a third party.
"""

import struct
from dataclasses import dataclass
from typing import Final

from consensus.evidence import Equivocation, are_conflicting, fault_of_equivocation
from consensus.messages import fault_of_subject
from consensus.types import U64_MAX, Digest, Epoch, ValidatorIndex
from node.crypto.digests import sha256
from node.crypto.keys import SIGNATURE_BYTES, PublicKey, verify_signature
from node.ledger.batch import HEADER_FIELDS, Batch, BatchHeader, read_batch_header
from node.ledger.roster import EpochRecord, Roster
from node.wire.codec import MalformedError, Packable, pack, read_array, read_bytes, read_int, unpack
from node.wire.ids import FeedId, MemberId, Seq
from node.wire.messages import EVIDENCE_BYTES_MAX, read_vote, vote_fields

_VOTES: Final = 1
_FORK: Final = 2
_VOTES_KEY: Final = struct.Struct(">BBB")
_PLACE: Final = struct.Struct(">QQ")
_FORK_PLACE: Final = struct.Struct(">IQ")


@dataclass(frozen=True, slots=True)
class VoteEvidence:
    """Two votes of one validator in one view."""

    pair: Equivocation

    @property
    def epoch(self) -> Epoch:
        """The epoch whose validators are meant."""
        return self.pair.epoch

    def find_signer(self, roster: Roster) -> MemberId | None:
        """Return who signed, by the roster of the epoch, or None if there is no such validator."""
        index = self.pair.signer
        return roster.validators[index] if index < len(roster.validators) else None

    def key(self, signer: MemberId) -> bytes:
        """Return what the misdeed is counted once by: the two kinds, signer, epoch, view."""
        return (
            _VOTES_KEY.pack(_VOTES, *self.pair.kinds)
            + signer.encode()
            + b"\0"
            + _PLACE.pack(self.epoch, self.pair.view)
        )

    def encode(self) -> bytes:
        """Return the one encoding."""
        return pack((_VOTES, vote_fields(self.pair.first), vote_fields(self.pair.second)))


@dataclass(frozen=True, slots=True)
class SignedHeader:
    """A batch without its transactions: enough to show who signed what."""

    header: BatchHeader
    signature: bytes

    @property
    def digest(self) -> Digest:
        """The batch's."""
        return sha256(self.header.signing_bytes())


@dataclass(frozen=True, slots=True)
class ForkEvidence:
    """Two batches at one place of one feed; make it with `pair_batches`, which puts them in order.

    epoch: one in which that feed was its member's, so that the key is found. The misdeed does not expire.
    """

    epoch: Epoch
    first: SignedHeader
    second: SignedHeader

    @property
    def feed(self) -> FeedId:
        """The feed that forks."""
        return self.first.header.feed

    @property
    def seq(self) -> Seq:
        """Where it forks."""
        return self.first.header.seq

    def find_signer(self, roster: Roster) -> MemberId | None:
        """Return whose feed it is, if it was the member's in the epoch of `roster`, or None."""
        member = roster.find(self.feed.member)
        return None if member is None or member.feed != self.feed else member.id

    def key(self, signer: MemberId) -> bytes:
        """Return what the misdeed is counted once by: member, feed number, seq."""
        return fork_key(FeedId(signer, self.feed.number), self.seq)

    def encode(self) -> bytes:
        """Return the one encoding."""
        return pack((_FORK, self.epoch, *_header_pair(self.first), *_header_pair(self.second)))


Evidence = VoteEvidence | ForkEvidence


def fork_key(feed: FeedId, seq: Seq) -> bytes:
    """Return what a fork of a feed at this place is counted once by."""
    return bytes((_FORK,)) + feed.member.encode() + b"\0" + _FORK_PLACE.pack(feed.number, seq)


def _header_pair(signed: SignedHeader) -> tuple[Packable, bytes]:
    return (signed.header.to_fields(), signed.signature)


def pair_batches(epoch: Epoch, one: Batch, other: Batch) -> ForkEvidence:
    """Return the evidence that two batches are, in its one order. epoch: one in which the feed was its member's."""
    first, second = sorted((one, other), key=lambda batch: batch.digest)
    return ForkEvidence(
        epoch, SignedHeader(first.header, first.signature), SignedHeader(second.header, second.signature)
    )


def decode_evidence(encoded: bytes) -> Evidence:
    """Return the evidence in `encoded`; signatures are not verified. Raises MalformedError, and nothing else.

    Both things are about one place of one signer, differ, and stand in their order: one misdeed by two given things has
    one encoding.
    """
    if len(encoded) > EVIDENCE_BYTES_MAX:
        raise MalformedError(f"evidence: {len(encoded)} bytes, more than {EVIDENCE_BYTES_MAX}")
    fields = unpack(encoded, what="evidence")
    if not fields or type(fields[0]) is not int:
        raise MalformedError("evidence: of an unknown kind")
    match fields:
        case (1, first, second):
            return _check_votes(Equivocation(read_vote(first, "evidence.first"), read_vote(second, "evidence.second")))
        case (2, epoch, first, first_signature, second, second_signature):
            return _check_fork(
                ForkEvidence(
                    Epoch(read_int(epoch, "evidence.epoch", highest=U64_MAX)),
                    _read_signed(first, first_signature),
                    _read_signed(second, second_signature),
                )
            )
        case _:
            raise MalformedError("evidence: of an unknown kind")


def _read_signed(header: object, signature: object) -> SignedHeader:
    return SignedHeader(
        read_batch_header(read_array(header, "evidence.header", length=HEADER_FIELDS)),
        read_bytes(signature, "evidence.signature", length=SIGNATURE_BYTES),
    )


def _check_votes(pair: Equivocation) -> VoteEvidence:
    for vote in (pair.first, pair.second):
        fault = fault_of_subject(vote.subject)
        if fault is not None:
            raise MalformedError(f"evidence.vote: {fault}")
    if not are_conflicting(pair.first, pair.second):
        raise MalformedError("evidence: the votes do not exclude each other")
    if pair != Equivocation.pair(pair.first, pair.second):
        raise MalformedError("evidence: not in order")
    return VoteEvidence(pair)


def _check_fork(evidence: ForkEvidence) -> ForkEvidence:
    first, second = evidence.first, evidence.second
    if (first.header.network_id, first.header.feed, first.header.seq) != (
        second.header.network_id,
        second.header.feed,
        second.header.seq,
    ):
        raise MalformedError("evidence: the batches are of two places")
    if first.digest >= second.digest:
        raise MalformedError("evidence: not in order")
    return evidence


@dataclass(frozen=True, slots=True)
class RosterVerifier:
    """The core's Verifier over the validators' keys of one epoch."""

    keys: tuple[PublicKey, ...]

    def verify(self, signer: ValidatorIndex, message: bytes, signature: bytes) -> bool:
        """Return whether `signature` is that validator's of `message`; False for an unknown one."""
        return signer < len(self.keys) and verify_signature(self.keys[signer], message, signature)


def find_fault(evidence: Evidence, network_id: Digest, record: EpochRecord) -> str | None:
    """Return why the evidence proves nothing, or None if it does. Slow: two verifications.

    record: of the epoch that the evidence names.
    """
    match evidence:
        case VoteEvidence(pair):
            return fault_of_equivocation(
                pair,
                network_id=network_id,
                epoch=record.epoch,
                validator_count=len(record.roster.validators),
                verifier=RosterVerifier(record.roster.validator_keys()),
            )
        case ForkEvidence(epoch, first, second):
            signer = evidence.find_signer(record.roster)
            if record.epoch != epoch or signer is None:
                return "not the member's feed in that epoch"
            if first.header.network_id != network_id:
                return "of another network"
            node_key = record.roster.members[signer].node_key
            for signed in (first, second):
                if not verify_signature(node_key, signed.header.signing_bytes(), signed.signature):
                    return "a signature that is not the signer's"
            return None


def describe_kind(evidence: Evidence) -> str:
    """Return in a word what was done twice: `fork`, or the kinds of the two votes."""
    match evidence:
        case VoteEvidence(pair):
            return "+".join(kind.name for kind in pair.kinds).lower()
        case ForkEvidence():
            return "fork"
