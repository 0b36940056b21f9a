"""When is a certificate good, and how is one made of votes.

Votes are not verified on arrival but when those on one subject reach a quorum: then only a quorum is verified, and
nothing after the certificate exists. The channel proves who sent a bad one. A signature verified as a vote is not
verified again in a certificate, if and only if all the bytes are the same.
"""

from dataclasses import dataclass

from consensus.messages import Certificate, Subject, Vote, fault_of_subject
from consensus.quorum import quorum_size
from consensus.scheme import SIGNATURE_BYTES, Verifier, vote_signing_bytes
from consensus.types import Digest, Epoch, ValidatorIndex
from consensus.view_state import ViewState


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
