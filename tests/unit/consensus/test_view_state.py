"""Slots of a view, and the search for a parent."""

from consensus.messages import JUSTIFICATION_MAX, Vote
from consensus.types import View
from consensus.view_state import RECENT_VIEWS_MAX, RETAINED_VIEWS, VOTE_VIEWS_MAX, Gap, Parent, Views, ViewState
from tests.support.core_builders import (
    FINALIZE,
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


def fill(views: Views, first: int, last: int, *, notarized: tuple[int, ...] = ()) -> None:
    """Pass the views first … last: nullified, or notarized where said so."""
    for view in range(first, last + 1):
        if view in notarized:
            views.put(notarization(build_block(view)))
        else:
            views.put(nullification(view))
        views.prune(final_view=View(0), current=View(view + 1))


def test_old_views_without_finality_are_archived_and_still_answer() -> None:
    """What may be skipped and what was notarized is known, and nullifications can be shown, however old."""
    views = Views()
    fill(views, 1, 1_000, notarized=(300, 400))
    assert len(views) <= RECENT_VIEWS_MAX + 2
    assert views.find(View(100)) is None
    assert views.has_certificate(NULLIFY, View(100))
    assert not views.has_certificate(NULLIFY, View(300))
    assert views.has_certificate(NOTARIZE, View(300))
    assert not views.has_certificate(FINALIZE, View(100))
    assert views.find_notarized(View(300)) == build_block(300).header.digest()
    assert views.certificate(NULLIFY, View(100)) == nullification(100)
    assert views.certificates_of(View(100)) == (nullification(100),)
    assert views.find_gap(above=View(400), below=View(1_001)) is None
    assert views.find_gap(above=View(299), below=View(1_001)) == Gap(View(300), View(400))
    assert views.find_gap(above=View(0), below=View(300)) is None
    assert set(views.notarized_digests) == {build_block(view).header.digest() for view in (300, 400)}


def test_the_highest_notarized_view_stays_to_be_built_on_however_old() -> None:
    """The next leader shows its certificate."""
    views = Views()
    fill(views, 1, 1_000, notarized=(300, 400))
    parent = views.find_parent(below=View(1_001), final_view=View(0), final_certificate=None)
    assert parent == Parent(View(400), notarization(build_block(400)))
    # A later notarization of an old view takes its place, an earlier one does not.
    views.put(notarization(build_block(500)))
    views.put(notarization(build_block(350)))
    assert views.find_parent(below=View(1_001), final_view=View(0), final_certificate=None) == Parent(
        View(500), notarization(build_block(500))
    )
    assert views.find(View(400)) is None
    assert views.find_notarized(View(350)) == build_block(350).header.digest()
    views.put(nullification(500))
    assert views.find(View(500)) is not None
    assert views.has_certificate(NULLIFY, View(500))


def test_a_gap_among_archived_views_is_found_and_closed() -> None:
    """A node that jumped ahead asks for what it missed, the highest run first."""
    views = Views()
    fill(views, 1, 5)
    fill(views, 600, 600)
    views.prune(final_view=View(0), current=View(601))
    found = views.find_parent(below=View(601), final_view=View(0), final_certificate=None)
    assert found == Gap(View(601 - RECENT_VIEWS_MAX), View(599))
    for view in range(601 - RECENT_VIEWS_MAX, 600):
        views.put(nullification(view))
    found = views.find_parent(below=View(601), final_view=View(0), final_certificate=None)
    assert found == Gap(View(6), View(600 - RECENT_VIEWS_MAX))
    assert views.find_gap(above=View(0), below=View(601)) == found
    for view in range(6, 601 - RECENT_VIEWS_MAX):
        assert views.find_gap(above=View(0), below=View(601)) == Gap(View(view), View(600 - RECENT_VIEWS_MAX))
        views.put(nullification(view))
    assert views.find_gap(above=View(0), below=View(601)) is None
    assert views.find_parent(below=View(601), final_view=View(0), final_certificate=None) == Parent(View(0), None)


def test_finality_empties_the_archive() -> None:
    """Nothing below a final view is ever needed again."""
    views = Views()
    fill(views, 1, 1_000, notarized=(400,))
    views.prune(final_view=View(995), current=View(1_001))
    assert len(views) < 20
    assert views.find_parent(below=View(1_001), final_view=View(995), final_certificate=None) == Parent(View(995), None)
    assert not views.has_certificate(NULLIFY, View(100))
