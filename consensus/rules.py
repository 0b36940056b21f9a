"""May I vote? Each predicate names the lemma that leans on it.

Agreement rests on two vote-once rules and one ancestry check:

A. Each honest validator notarizes once in a view, hence one block at most is notarized in it (two quorums share an
   honest validator).
B. No honest validator both nullifies and finalizes one view, hence a finalized view is never nullified.
C. An honest validator notarizes only where every view between the block and its parent is nullified, hence by B a
   notarized block above a finalized one descends from it.

Source: Chan and Pass, "Simplex Consensus" (TCC 2023), section 3.
"""

from consensus.messages import VoteKind
from consensus.types import Digest, View
from consensus.view_state import RECENT_VIEWS_MAX, ViewState


def may_notarize(state: ViewState, *, current: View, guard: View) -> bool:
    """Lemma A. Allowed after our own nullify: it saves a view when one node gave up early.

    guard: we may have voted in views up to it and forgotten.
    """
    return state.view == current and state.view > guard and VoteKind.NOTARIZE not in state.own


def may_nullify(state: ViewState, *, current: View, guard: View) -> bool:
    """Lemma B. Once: repeats are the recorded vote."""
    return (
        state.view == current
        and state.view > guard
        and VoteKind.NULLIFY not in state.own
        and VoteKind.FINALIZE not in state.own
    )


def may_finalize(state: ViewState, digest: Digest, *, current: View, final_view: View, guard: View) -> bool:
    """Lemmas A and B. Only in a view we have left and hold the notarization of, maybe several views later.

    The body of the block and those of its ancestors must be durable: that is asked of the chain, not here.
    """
    notarization = state.notarization
    notarized = state.own.get(VoteKind.NOTARIZE)
    return (
        notarization is not None
        and notarization.subject.digest == digest
        # Safety: of an older view our own votes may be forgotten, one to nullify it among them.
        and max(final_view, current - RECENT_VIEWS_MAX - 1) < state.view < current
        and state.view > guard
        and VoteKind.FINALIZE not in state.own
        # Safety: having nullified, we may be part of a nullification; to finalize as well would allow both.
        and VoteKind.NULLIFY not in state.own
        and (notarized is None or notarized.subject.digest == digest)
    )
