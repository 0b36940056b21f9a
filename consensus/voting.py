"""The one place where votes are signed, each behind its rule and recorded before anybody can see it."""

from consensus.effects import Effect, Persist
from consensus.messages import Subject, Vote, VoteKind
from consensus.recovery import GUARD_CLOSED, NO_GUARD, Setup
from consensus.rules import may_finalize, may_notarize, may_nullify
from consensus.scheme import Signer, vote_signing_bytes
from consensus.types import ZERO_DIGEST, Digest, View
from consensus.view_state import ViewState


class Voter:
    """Our vote. An observer has none: every rule then says no.

    Each method returns the vote to send, or None where a rule forbids it; its record is then already in `out`.
    """

    def __init__(self, setup: Setup, signer: Signer | None, guard: View) -> None:
        self._setup = setup
        self._signer = signer
        self._floor = NO_GUARD if guard == GUARD_CLOSED else guard
        self._guard = guard

    def set_guard(self, view: View) -> None:
        """Vote only above `view` from now on, and never below a guard that was set before."""
        if view != GUARD_CLOSED:
            self._floor = view = max(self._floor, view)
        self._guard = view

    def retire(self) -> None:
        """Sign nothing any more: the epoch is over."""
        self._signer = None

    def may_notarize(self, state: ViewState, *, current: View) -> bool:
        """Return whether the view still has our notarize vote to give."""
        return self._signer is not None and may_notarize(state, current=current, guard=self._guard)

    def notarize(
        self, state: ViewState, *, current: View, parent_view: View, digest: Digest, out: list[Effect]
    ) -> Vote | None:
        """Vote for a block of the current view."""
        if not self.may_notarize(state, current=current):
            return None
        subject = Subject(VoteKind.NOTARIZE, self._setup.epoch, state.view, parent_view, digest)
        return self._sign(state, subject, out)

    def nullify(self, state: ViewState, *, current: View, out: list[Effect]) -> Vote | None:
        """Vote to give the current view up."""
        if not may_nullify(state, current=current, guard=self._guard):
            return None
        return self._sign(state, Subject(VoteKind.NULLIFY, self._setup.epoch, state.view, View(0), ZERO_DIGEST), out)

    def may_finalize(self, state: ViewState, digest: Digest, *, current: View, final_view: View) -> bool:
        """Return whether we may say that a view we left is final, once its chain is local."""
        return self._signer is not None and may_finalize(
            state, digest, current=current, final_view=final_view, guard=self._guard
        )

    def finalize(
        self, state: ViewState, digest: Digest, *, current: View, final_view: View, out: list[Effect]
    ) -> Vote | None:
        """Vote that the notarized block of a view we left is final. Its chain must be local."""
        if not self.may_finalize(state, digest, current=current, final_view=final_view):
            return None
        return self._sign(state, Subject(VoteKind.FINALIZE, self._setup.epoch, state.view, View(0), digest), out)

    def _sign(self, state: ViewState, subject: Subject, out: list[Effect]) -> Vote | None:
        if self._signer is None or self._setup.own_index is None:
            return None
        signature = self._signer.sign(vote_signing_bytes(self._setup.network_id, subject))
        vote = Vote(subject, self._setup.own_index, signature)
        state.own[subject.kind] = vote
        # Safety: the record stands before anything that shows the vote; Core.step keeps records first.
        out.append(Persist(vote))
        state.add(vote)
        state.mark_verified(vote)
        return vote
