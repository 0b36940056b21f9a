"""What of the votes and certificates of others is taken in, and what they prove against their senders.

Votes come only from their signer's own channel; certificates may come from anyone. What is old, far ahead or known
is dropped unread: a correct peer may send it, so it is no fault.
"""

import struct
from dataclasses import dataclass, field
from enum import IntEnum

from consensus.certificates import Notary
from consensus.chain import Chain, DisagreementError
from consensus.effects import Effect, ReportEvidence, ReportFault
from consensus.evidence import Equivocation, are_conflicting
from consensus.messages import Certificate, Proposal, Subject, Vote, VoteKind, fault_of_subject
from consensus.proposal_rules import fault_of_shape
from consensus.scheme import SIGNATURE_BYTES
from consensus.types import ZERO_DIGEST, ValidatorIndex, View
from consensus.view_state import AHEAD_VIEWS_MAX, RETAINED_VIEWS, VOTE_VIEWS_MAX, Views, ViewState

_RIVALS = {
    VoteKind.NOTARIZE: (VoteKind.FINALIZE,),
    VoteKind.NULLIFY: (VoteKind.FINALIZE,),
    VoteKind.FINALIZE: (VoteKind.NULLIFY, VoteKind.NOTARIZE),
}


class Admitted(IntEnum):
    """What came of a certificate: good and new; nothing new, unread; or bad, and reported."""

    NEW = 1
    KNOWN = 2
    BAD = 3


@dataclass(frozen=True, slots=True)
class Admission:
    """The door of one core: it fills the views, and reports faults and evidence into `out`."""

    notary: Notary
    views: Views
    chain: Chain
    _newest: dict[ValidatorIndex, Vote] = field(default_factory=dict)

    def note_seen(self, vote: Vote) -> None:
        """Remember the newest vote of each validator, as it came: its channel proves whose it is."""
        newest = self._newest.get(vote.signer)
        if newest is None or vote.subject.view >= newest.subject.view:
            self._newest[vote.signer] = vote

    def newest_vote_of(self, signer: ValidatorIndex) -> Vote | None:
        """Return the well-signed vote of the highest view that was seen of `signer`, alone or in a certificate."""
        found = [
            Vote(certificate.subject, signer, signature)
            for state in self.views
            for certificate in state.certificates.values()
            for other, signature in certificate.signatures
            if other == signer
        ]
        seen = self._newest.get(signer)
        if seen is not None and self.notary.is_signed(seen):
            found.append(seen)
        # Of votes of one view the one last seen: it is the likeliest to be missing in an old log.
        return max(reversed(found), key=lambda vote: vote.subject.view, default=None)

    def fault_of_vote(self, peer: ValidatorIndex | None, vote: Vote) -> str | None:
        """Return what is wrong with a vote by itself, or None. The signature is not looked at."""
        if vote.signer != peer or not 0 <= vote.signer < self.notary.validator_count:
            return "a vote that is not its sender's"
        if len(vote.signature) != SIGNATURE_BYTES:
            return "signature of a wrong length"
        return fault_of_subject(vote.subject)

    def fault_of_proposal(self, peer: ValidatorIndex | None, proposal: Proposal, leader: ValidatorIndex) -> str | None:
        """P1: return what is wrong with the proposal by itself, or None. The leader's signature is verified."""
        if peer != leader:
            return "not from the leader of its view"
        vote = proposal.leader_vote
        fault = self.fault_of_vote(peer, vote) or fault_of_shape(proposal, leader=leader)
        if fault is not None:
            return fault
        try:
            digest = proposal.block.header.digest()
        except struct.error:
            return "header out of range"
        if digest != vote.subject.digest:
            return "the leader's vote is for another block"
        state = self.views.find(proposal.view)
        if state is not None and state.is_verified(vote):
            return None
        return None if self.notary.is_signed(vote) else "badly signed"

    def is_wanted(self, subject: Subject, current: View) -> bool:
        """Return whether votes of that view are kept at all."""
        view = subject.view
        final_view = self.chain.final_view
        if subject.epoch != self.notary.epoch or not final_view - RETAINED_VIEWS <= view <= current + AHEAD_VIEWS_MAX:
            return False
        return view <= final_view or view >= current - VOTE_VIEWS_MAX

    def admit_vote(self, vote: Vote, out: list[Effect]) -> bool:
        """Put a well-formed vote into its slot if that is empty; return whether it is new there."""
        state = self.views.at(vote.subject.view)
        held = state.find_vote(vote.subject.kind, vote.signer)
        if held is not None:
            if held.subject == vote.subject:
                return False
            self._weigh(state, held, vote, out)
            if state.find_vote(vote.subject.kind, vote.signer) is not None:
                return False
        state.add(vote)
        for kind in _RIVALS[vote.subject.kind]:
            rival = state.find_vote(kind, vote.signer)
            if rival is not None and are_conflicting(rival, vote):
                self._weigh(state, rival, vote, out)
        return state.find_vote(vote.subject.kind, vote.signer) is vote

    def _weigh(self, state: ViewState, held: Vote, vote: Vote, out: list[Effect]) -> None:
        """Two votes that exclude one another: verify both; the pair is evidence only if both are good."""
        if not self._holds(state, vote, out):
            return
        if not self._holds(state, held, out):
            return
        self._report(state, held, vote, out)

    def _report(self, state: ViewState, held: Vote, vote: Vote, out: list[Effect]) -> None:
        """Give the pair out, once for each rule that the signer breaks in a view."""
        pair = Equivocation.pair(held, vote)
        evidence = (*pair.kinds, pair.signer)
        if evidence not in state.reported:
            state.reported[evidence] = None
            out.append(ReportEvidence(pair.first, pair.second))

    def _holds(self, state: ViewState, vote: Vote, out: list[Effect]) -> bool:
        """Return whether the vote is well signed; a badly signed one leaves its slot and is its sender's fault."""
        if state.is_verified(vote):
            return True
        is_kept = state.find_vote(vote.subject.kind, vote.signer) is vote
        if self.notary.is_signed(vote):
            if is_kept:
                state.mark_verified(vote)
            return True
        if is_kept:
            state.drop(vote)
        out.append(ReportFault(vote.signer, "badly signed vote", provable=True))
        return False

    def tally(self, subject: Subject, out: list[Effect]) -> Certificate | None:
        """Return the certificate on `subject` if a quorum of good votes has come together and none is held."""
        state = self.views.find(subject.view)
        if state is None or subject.kind in state.certificates or subject.view <= self.chain.final_view:
            return None
        certificate, bad = self.notary.certify(state, subject)
        out.extend(ReportFault(signer, "badly signed vote", provable=True) for signer in bad)
        return certificate

    def admit_certificate(self, peer: ValidatorIndex | None, certificate: Certificate, out: list[Effect]) -> Admitted:
        """Say whether the certificate is good and tells something new. It is not yet taken in.

        Raises DisagreementError if it is good and excludes one that we hold.
        """
        subject = certificate.subject
        if subject.epoch != self.notary.epoch:
            return Admitted.KNOWN
        state = self.views.find(subject.view)
        is_new = subject.view > self.chain.final_view and not self.views.has_certificate(subject.kind, subject.view)
        if not is_new and self._rival_of(subject) is None:
            # Dropped before any signature is verified: replays of good certificates cost nothing.
            return Admitted.KNOWN
        fault = self.notary.fault_of(certificate, state)
        if fault is not None:
            out.append(ReportFault(peer, f"bad certificate: {fault}", provable=peer is not None))
            return Admitted.BAD
        self.check_rivals(certificate)
        self._weigh_signers(certificate, state, out)
        return Admitted.NEW

    def _weigh_signers(self, certificate: Certificate, state: ViewState | None, out: list[Effect]) -> None:
        """Hold the votes that came from their signers against those inside a good certificate.

        A liar that tells one half of the network this and the other half that is found out here: each half sees only
        one of its votes by itself.
        """
        if state is None or not state.has_votes:
            return
        subject = certificate.subject
        for signer, signature in certificate.signatures:
            for kind in (subject.kind, *_RIVALS[subject.kind]):
                held = state.find_vote(kind, signer)
                if held is None or held.subject == subject:
                    continue
                vote = Vote(subject, signer, signature)
                if are_conflicting(held, vote) and self._holds(state, held, out):
                    self._report(state, held, vote, out)

    def check_rivals(self, certificate: Certificate) -> None:
        """Raise DisagreementError if a good certificate excludes one that we hold."""
        subject = certificate.subject
        held = self._rival_of(subject)
        if held is not None:
            raise DisagreementError(
                f"view {subject.view} has certificates that exclude one another: "
                f"{held.kind.name} {held.digest.hex()} and {subject.kind.name} {subject.digest.hex()}",
                certificate,
            )

    def _rival_of(self, subject: Subject) -> Subject | None:
        """Return what a certificate held of that view is on, if it cannot stand beside one on `subject`."""
        kind, view = subject.kind, subject.view
        state = self.views.find(view)
        held = [] if state is None else [certificate.subject for certificate in state.certificates.values()]
        for other in held:
            kinds = (other.kind, kind)
            if other.kind == kind:
                if other != subject:
                    return other
            elif VoteKind.FINALIZE in kinds and (VoteKind.NULLIFY in kinds or other.digest != subject.digest):
                return other
        if view > self.chain.final_view:
            # An old view: of a notarization the digest is all that counts, of a nullification that it was.
            digest = self.views.find_notarized(view)
            if digest is not None and kind != VoteKind.NULLIFY and digest != subject.digest:
                return Subject(VoteKind.NOTARIZE, subject.epoch, view, View(0), digest)
            if kind == VoteKind.FINALIZE and self.views.has_certificate(VoteKind.NULLIFY, view):
                return Subject(VoteKind.NULLIFY, subject.epoch, view, View(0), ZERO_DIGEST)
        return None
