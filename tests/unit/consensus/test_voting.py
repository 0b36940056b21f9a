"""The one place that signs."""

from consensus.effects import Effect, Persist
from consensus.messages import Vote
from consensus.types import ValidatorIndex, View
from consensus.view_state import ViewState
from consensus.voting import Voter
from tests.support.core_builders import (
    FINALIZE,
    NOTARIZE,
    NULLIFY,
    build_digest,
    build_setup,
    build_subject,
    certify,
    sign,
)
from tests.support.fake_keys import FakeSigner

A = build_digest("a")
THREE = View(3)


def build_voter(guard: int = 0) -> Voter:
    return Voter(build_setup(), FakeSigner(ValidatorIndex(0)), View(guard))


def build_notarized() -> ViewState:
    state = ViewState(THREE)
    state.certificates[NOTARIZE] = certify(build_subject(NOTARIZE, 3, A))
    return state


def notarize(voter: Voter, state: ViewState, out: list[Effect]) -> Vote | None:
    return voter.notarize(state, current=THREE, parent_view=View(2), digest=A, out=out)


def finalize(voter: Voter, state: ViewState, out: list[Effect]) -> Vote | None:
    return voter.finalize(state, A, current=View(4), final_view=View(0), out=out)


def test_each_vote_is_recorded_counted_and_given_once() -> None:
    """The record is in the effects before anybody has the vote to send."""
    voter, state, out = build_voter(), build_notarized(), list[Effect]()
    vote = notarize(voter, state, out)
    assert vote == sign(build_subject(NOTARIZE, 3, A, parent_view=2), 0)
    assert out == [Persist(vote)]
    assert state.own[NOTARIZE] is vote
    assert state.is_verified(vote)
    assert notarize(voter, state, out) is None
    final = finalize(voter, state, out)
    assert final == sign(build_subject(FINALIZE, 3, A), 0)
    assert finalize(voter, state, out) is None
    assert voter.nullify(state, current=THREE, out=out) is None
    assert len(out) == 2


def test_nullify_excludes_finalize() -> None:
    """Lemma B, where the signature is made."""
    voter, state, out = build_voter(), build_notarized(), list[Effect]()
    assert voter.nullify(state, current=THREE, out=out) == sign(build_subject(NULLIFY, 3), 0)
    assert finalize(voter, state, out) is None


def test_a_guard_silences_all_kinds() -> None:
    """We may have voted there and forgotten."""
    voter, state, out = build_voter(guard=3), build_notarized(), list[Effect]()
    assert notarize(voter, state, out) is None
    assert voter.nullify(state, current=THREE, out=out) is None
    assert finalize(voter, state, out) is None
    assert out == []


def test_an_observer_has_no_vote() -> None:
    """It has no key to sign with."""
    voter, state, out = Voter(build_setup(None), None, View(0)), build_notarized(), list[Effect]()
    assert notarize(voter, state, out) is None
    assert voter.nullify(state, current=THREE, out=out) is None
    assert finalize(voter, state, out) is None
    assert out == []
    assert state.own == {}
