"""What is kept of old views without finality: which may be skipped, and the proof."""

import pickle

from hypothesis import given
from hypothesis import strategies as st

from consensus.archive import PROOFS_MAX, Archive, Runs
from consensus.types import View
from tests.support.core_builders import NOTARIZE, build_digest, build_subject, nullification

views = st.integers(1, 30)


@given(st.lists(views), st.integers(0, 30), views, views)
def test_runs_answer_as_a_plain_set_would(added: list[int], forgotten: int, above: int, below: int) -> None:
    """In whatever order views come, twice or not, and after the lowest were forgotten."""
    runs = Runs()
    for view in added:
        runs.add(view)
    runs.forget(forgotten)
    plain = {view for view in added if view > forgotten}
    assert {view for view in range(40) if view in runs} == plain
    missing = [view for view in range(above + 1, below) if view not in plain]
    assert runs.first_missing(above=above, below=below) == (missing[0] if missing else None)
    expected = None
    if missing:
        first = last = missing[-1]
        while first - 1 in missing:
            first -= 1
        expected = (first, last)
    assert runs.last_missing(above=above, below=below) == expected


@given(st.permutations(range(1, 20)))
def test_runs_that_meet_become_one(order: list[int]) -> None:
    """Else a set that fills up would grow for ever."""
    runs = Runs()
    for view in order:
        runs.add(view)
    assert len(runs) == 1
    runs.forget(7)
    assert 7 not in runs
    assert 8 in runs
    runs.forget(19)
    assert len(runs) == 0


def test_an_archived_nullification_comes_back_as_it_was() -> None:
    """Any good one will do, but there is no reason to change it."""
    archive = Archive()
    assert archive.find_nullification(View(3)) is None
    archive.add_nullification(nullification(3, 0, 2, 3))
    archive.add_nullification(nullification(5))
    assert archive.find_nullification(View(3)) == nullification(3, 0, 2, 3)
    assert archive.find_nullification(View(4)) is None
    archive.forget(View(3))
    assert archive.find_nullification(View(3)) is None
    assert archive.find_nullification(View(5)) == nullification(5)


def test_what_is_below_the_final_view_is_forgotten() -> None:
    """Nobody may build there again."""
    archive = Archive()
    archive.forget(View(1))
    archive.add_notarization(build_subject(NOTARIZE, 3, build_digest("a"), parent_view=1))
    archive.add_notarization(build_subject(NOTARIZE, 4, build_digest("b"), parent_view=3))
    archive.forget(View(3))
    assert archive.notarized == {View(4): build_digest("b")}


def test_the_proofs_are_bounded_and_the_facts_outlive_them() -> None:
    """The oldest proof goes first; that the view may be skipped stays known."""
    archive = Archive()
    proof = nullification(1)
    for view in range(1, PROOFS_MAX + 11):
        archive.add_nullification(
            type(proof)(build_subject(proof.subject.kind, view), proof.signatures),
        )
    assert archive.find_nullification(View(10)) is None
    assert archive.find_nullification(View(11)) is not None
    assert 10 in archive.nullified
    assert len(archive.nullified) == 1
    assert len(pickle.dumps(archive)) < PROOFS_MAX * 250
