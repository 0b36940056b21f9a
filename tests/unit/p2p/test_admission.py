"""Strangers cannot use up our sockets."""

from node.p2p.admission import Admission
from node.p2p.limits import Limits


def test_one_source_has_a_share_and_all_have_a_total() -> None:
    """Before the first frame, a source is all that is known of a connection."""
    admission = Admission(Limits(pending_total=3, pending_per_source=2))
    assert [admission.admit("a") for _ in range(3)] == [True, True, False]
    assert admission.admit("b")
    assert not admission.admit("c"), "the total is used up"


def test_a_place_is_given_back() -> None:
    """Who said who it is, or left, no longer counts; a refused one never did."""
    admission = Admission(Limits(pending_total=1, pending_per_source=1))
    for _ in range(3):
        assert admission.admit("a")
        assert not admission.admit("a")
        admission.release("a")
