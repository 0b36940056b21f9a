"""Which two votes of one signer cannot both come from an honest validator, and the pair as proof for a third party.

An honest validator notarizes one block in a view, finalizes one, finalizes only what it would have notarized, and
never both nullifies and finalizes one view. Notarize and nullify together are legal: it may time out early and still
help the block along.

Source: Chan and Pass, "Simplex Consensus" (TCC 2023), section 2.
"""

from dataclasses import dataclass
from typing import Self

from consensus.messages import Vote, VoteKind, fault_of_subject
from consensus.scheme import SIGNATURE_BYTES, Verifier, vote_signing_bytes
from consensus.types import Digest, Epoch, ValidatorIndex, View


def are_conflicting(first: Vote, second: Vote) -> bool:
    """Return whether the pair proves that its signer is faulty, given that both signatures are good."""
    a, b = first.subject, second.subject
    if first.signer != second.signer or a.epoch != b.epoch or a.view != b.view:
        return False
    if a.kind == b.kind:
        # The whole subject, not the digest alone: the parent view is signed too, and nobody votes twice.
        return a != b
    kinds = {a.kind, b.kind}
    if kinds == {VoteKind.NULLIFY, VoteKind.FINALIZE}:
        return True
    if kinds == {VoteKind.NOTARIZE, VoteKind.FINALIZE}:
        return a.digest != b.digest
    return False


@dataclass(frozen=True, slots=True)
class Equivocation:
    """Two votes that exclude one another, the lower one first (see `pair`): one pair has one form.

    It stands by itself: with the keys of its epoch's validators, anybody can check it with `fault_of_equivocation`.
    """

    first: Vote
    second: Vote

    @classmethod
    def pair(cls, one: Vote, other: Vote) -> Self:
        """Return the two votes in the order of their kind, digest, parent's view and signature."""
        return cls(*sorted((one, other), key=_order))

    @property
    def signer(self) -> ValidatorIndex:
        """Who signed both, as an index into the validator set of the epoch."""
        return self.first.signer

    @property
    def epoch(self) -> Epoch:
        """The epoch of both votes."""
        return self.first.subject.epoch

    @property
    def view(self) -> View:
        """The view of both votes."""
        return self.first.subject.view

    @property
    def kinds(self) -> tuple[VoteKind, VoteKind]:
        """Which rule was broken; a signer is counted once for each in a view."""
        return self.first.subject.kind, self.second.subject.kind


def _order(vote: Vote) -> tuple[int, bytes, int, bytes]:
    subject = vote.subject
    return subject.kind, subject.digest, subject.parent_view, vote.signature


def fault_of_equivocation(
    pair: Equivocation, *, network_id: Digest, epoch: Epoch, validator_count: int, verifier: Verifier
) -> str | None:
    """Return why `pair` proves nothing against its signer, or None for good evidence.

    Total over well-typed pairs, whoever made them. epoch: the one that validator_count and verifier belong to.
    """
    votes = (pair.first, pair.second)
    for vote in votes:
        if vote.subject.epoch != epoch:
            return "a vote of another epoch"
        if not 0 <= vote.signer < validator_count:
            return "a signer out of range"
        if len(vote.signature) != SIGNATURE_BYTES:
            return "signature of a wrong length"
        fault = fault_of_subject(vote.subject)
        if fault is not None:
            return fault
    if not are_conflicting(*votes):
        return "an honest validator may have signed both"
    if pair != Equivocation.pair(*votes):
        return "not in the order of a pair"
    for vote in votes:
        if not verifier.verify(vote.signer, vote_signing_bytes(network_id, vote.subject), vote.signature):
            return "a signature that is not the signer's"
    return None
