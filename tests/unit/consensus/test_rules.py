"""The two vote-once rules."""

from consensus.messages import VoteKind
from consensus.rules import may_finalize, may_notarize, may_nullify
from consensus.types import View
from consensus.view_state import RECENT_VIEWS_MAX, ViewState
from tests.support.core_builders import FINALIZE, NOTARIZE, NULLIFY, build_digest, build_subject, certify, sign

A, B = build_digest("a"), build_digest("b")
ZERO = View(0)


def build_state(*own: VoteKind, digest: bytes = A, notarized: bytes | None = A) -> ViewState:
    state = ViewState(View(3))
    for kind in own:
        subject = build_subject(kind, 3) if kind == NULLIFY else build_subject(kind, 3, type(A)(digest))
        state.own[kind] = sign(subject, 0)
    if notarized is not None:
        state.certificates[NOTARIZE] = certify(build_subject(NOTARIZE, 3, type(A)(notarized)))
    return state


def test_one_notarize_vote_in_the_current_view_even_after_giving_up() -> None:
    """Lemma A, and a nullify vote does not stand in its way."""
    assert may_notarize(build_state(), current=View(3), guard=ZERO)
    assert may_notarize(build_state(NULLIFY), current=View(3), guard=ZERO)
    assert not may_notarize(build_state(NOTARIZE), current=View(3), guard=ZERO)
    assert not may_notarize(build_state(), current=View(4), guard=ZERO)
    assert not may_notarize(build_state(), current=View(3), guard=View(3))


def test_one_nullify_vote_in_the_current_view_and_never_after_finalize() -> None:
    """Lemma B from the side of nullify."""
    assert may_nullify(build_state(NOTARIZE), current=View(3), guard=ZERO)
    assert not may_nullify(build_state(NULLIFY), current=View(3), guard=ZERO)
    assert not may_nullify(build_state(FINALIZE), current=View(3), guard=ZERO)
    assert not may_nullify(build_state(), current=View(4), guard=ZERO)
    assert not may_nullify(build_state(), current=View(3), guard=View(3))


def may(state: ViewState, *, current: int = 4, final: int = 2, guard: int = 0, digest: bytes = A) -> bool:
    return may_finalize(state, type(A)(digest), current=View(current), final_view=View(final), guard=View(guard))


def test_a_view_is_finalized_once_after_it_is_left_and_never_after_nullify() -> None:
    """Lemma B from the side of finalize, however late."""
    assert may(build_state(NOTARIZE))
    assert may(build_state(), current=40)
    assert not may(build_state(), current=3)
    assert not may(build_state(), final=3)
    assert not may(build_state(), guard=3)
    assert not may(build_state(NULLIFY))
    assert not may(build_state(FINALIZE))


def test_a_view_whose_own_votes_may_be_forgotten_is_not_finalized() -> None:
    """Lemma B: a vote to nullify it may have been among them."""
    assert may(build_state(), current=3 + RECENT_VIEWS_MAX)
    assert not may(build_state(), current=4 + RECENT_VIEWS_MAX)


def test_only_the_notarized_block_and_only_if_we_notarized_no_other() -> None:
    """Lemma A once more."""
    assert not may(build_state(notarized=None))
    assert not may(build_state(), digest=B)
    assert not may(build_state(NOTARIZE, digest=B))
