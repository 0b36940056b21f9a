"""When is a certificate good, and how is one made of votes.

Votes are not verified on arrival but when those on one subject reach a quorum: then only a quorum is verified, and
nothing after the certificate exists. The channel proves who sent a bad one. A signature verified as a vote is not
verified again in a certificate, if and only if all the bytes are the same.
"""

from dataclasses import dataclass

from consensus.messages import Certificate, Subject, Vote, VoteKind
from consensus.quorum import quorum_size
from consensus.scheme import Verifier, vote_signing_bytes
from consensus.types import DIGEST_BYTES, U64_MAX, ZERO_DIGEST, Digest, Epoch, ValidatorIndex
from consensus.view_state import ViewState

SIGNATURE_BYTES = 64


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
class Notary:
    """Verifies for one epoch of one network."""

    network_id: Digest
    epoch: Epoch
    validator_count: int
    verifier: Verifier

    def is_signed(self, vote: Vote) -> bool:
        """Return whether the vote's signature is its signer's."""
        return self.verifier.verify(vote.signer, vote_signing_bytes(self.network_id, vote.subject), vote.signature)

    def fault_of(self, certificate: Certificate, state: ViewState | None) -> str | None:
        """Return what is wrong with `certificate`, or None for a good one.

        state: what is known of its view, for the signatures verified before.
        """
        subject = certificate.subject
        fault = fault_of_subject(subject)
        if fault is not None:
            return fault
        if subject.epoch != self.epoch:
            return "another epoch"
        # Distinct signers in range, before any signature: others have crashed on indexes they had not checked.
        last = -1
        for signer, signature in certificate.signatures:
            if not last < signer < self.validator_count:
                return "signers out of order or range"
            if len(signature) != SIGNATURE_BYTES:
                return "signature of a wrong length"
            last = signer
        if len(certificate.signatures) < quorum_size(self.validator_count):
            return "less than a quorum"
        message = vote_signing_bytes(self.network_id, subject)
        for signer, signature in certificate.signatures:
            if state is not None and state.has_verified(subject, signer, signature):
                continue
            if not self.verifier.verify(signer, message, signature):
                return f"bad signature of validator {signer}"
        return None

    def certify(self, state: ViewState, subject: Subject) -> tuple[Certificate | None, tuple[ValidatorIndex, ...]]:
        """Return the certificate on `subject` if a quorum of good votes is there, and the senders of bad ones.

        Bad votes leave their slots.
        """
        quorum = quorum_size(self.validator_count)
        if state.vote_count(subject) < quorum:
            return None, ()
        message = vote_signing_bytes(self.network_id, subject)
        votes = state.votes_on(subject)
        good = [(vote.signer, vote.signature) for vote in votes if state.is_verified(vote)]
        bad: list[ValidatorIndex] = []
        for vote in votes:
            if len(good) == quorum:
                break
            if state.is_verified(vote):
                continue
            if self.verifier.verify(vote.signer, message, vote.signature):
                state.mark_verified(vote)
                good.append((vote.signer, vote.signature))
            else:
                state.drop(vote)
                bad.append(vote.signer)
        if len(good) < quorum:
            return None, tuple(bad)
        return Certificate(subject, tuple(sorted(good)[:quorum])), tuple(bad)
