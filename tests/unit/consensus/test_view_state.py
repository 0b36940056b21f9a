"""Slots of a view, and the search for a parent."""

from consensus.messages import JUSTIFICATION_MAX, Vote
from consensus.types import View
from consensus.view_state import RETAINED_VIEWS, VOTE_VIEWS_MAX, Gap, Parent, Views, ViewState
from tests.support.core_builders import (
    NOTARIZE,
    NULLIFY,
    build_block,
    build_digest,
    build_subject,
    notarization,
    nullification,
    sign,
)

A, B = build_digest("a"), build_digest("b")


def test_slots_count_by_subject_and_empty_again() -> None:
    """A dropped vote frees its slot and leaves no count behind."""
    state = ViewState(View(2))
    first, second = sign(build_subject(NOTARIZE, 2, A), 1), sign(build_subject(NULLIFY, 2), 1)
    state.add(first)
    state.add(second)
    assert state.vote_count(first.subject) == 1
    assert state.votes_on(first.subject) == [first]
    assert state.nullify_count == 1
    state.drop(second)
    assert state.nullify_count == 0
    assert state.find_vote(NULLIFY, second.signer) is None
    state.drop(first)
    assert state.vote_count(first.subject) == 0
    assert state.vote_count(build_subject(NOTARIZE, 2, B)) == 0


def test_the_memory_of_good_signatures_is_bound_to_all_bytes() -> None:
    """One good vote must not vouch for another of the same signer."""
    state = ViewState(View(2))
    vote = sign(build_subject(NOTARIZE, 2, A), 1)
    state.add(vote)
    assert not state.is_verified(vote)
    state.mark_verified(vote)
    assert state.is_verified(vote)
    assert not state.is_verified(Vote(vote.subject, vote.signer, bytes(64)))
    assert not state.has_verified(build_subject(NOTARIZE, 2, B), vote.signer, vote.signature)
    assert not state.has_verified(vote.subject, sign(vote.subject, 2).signer, vote.signature)


def build_views(*, notarized: tuple[int, ...] = (), nullified: tuple[int, ...] = ()) -> Views:
    views = Views()
    for view in notarized:
        views.at(View(view)).certificates[NOTARIZE] = notarization(build_block(view))
    for view in nullified:
        views.at(View(view)).certificates[NULLIFY] = nullification(view)
    return views


def find(views: Views, below: int, final: int = 0) -> Parent | Gap:
    return views.find_parent(below=View(below), final_view=View(final), final_certificate=None)


def test_the_parent_is_the_highest_notarized_view_above_nullified_ones() -> None:
    """Every view in between must be nullified."""
    found = find(build_views(notarized=(2,), nullified=(3, 4)), 5)
    assert isinstance(found, Parent)
    assert found.view == 2
    assert find(build_views(nullified=(1, 2)), 3) == Parent(View(0), None)
    assert find(build_views(), 1) == Parent(View(0), None)


def test_a_notarization_is_preferred_to_a_nullification_of_the_same_view() -> None:
    """Others may hold only the notarization."""
    found = find(build_views(notarized=(4,), nullified=(3, 4)), 5)
    assert isinstance(found, Parent)
    assert found.view == 4


def test_a_gap_is_named_down_to_what_is_known() -> None:
    """Only views of which neither outcome is known are worth asking for."""
    assert find(build_views(nullified=(6,)), 7) == Gap(View(1), View(5))
    assert find(build_views(notarized=(2,), nullified=(6,)), 7) == Gap(View(3), View(5))
    assert find(build_views(nullified=(3, 6)), 7) == Gap(View(4), View(5))


def test_a_justification_is_newest_first_and_bounded() -> None:
    """At most so many stand inline; the rest is fetched."""
    views = build_views(nullified=tuple(range(1, 50)))
    found = views.justification(above=View(10), below=View(50))
    assert [certificate.subject.view for certificate in found] == list(range(49, 49 - JUSTIFICATION_MAX, -1))
    assert views.find_gap(above=View(10), below=View(50)) is None
    assert views.find_gap(above=View(48), below=View(52)) == Gap(View(50), View(51))


def test_old_views_go_and_old_votes_go_sooner() -> None:
    """Memory is bounded by how far the final view lags, and for votes not even by that."""
    views = Views()
    for number in range(1, 101):
        views.at(View(number)).add(sign(build_subject(NULLIFY, number), 1))
    views.at(View(21)).own[NULLIFY] = sign(build_subject(NULLIFY, 21), 0)
    views.prune(final_view=View(20), current=View(100))
    assert min(state.view for state in views) == 20 - RETAINED_VIEWS
    assert views.at(View(20)).has_votes
    assert views.at(View(20)).finalization is None
    assert not views.at(View(100 - VOTE_VIEWS_MAX - 1)).has_votes
    assert views.at(View(100 - VOTE_VIEWS_MAX)).has_votes
    assert NULLIFY in views.at(View(21)).own
    assert len(views) == 100 - 20 + RETAINED_VIEWS + 1
