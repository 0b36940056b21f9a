"""What enough other validators are known to hold."""

import pytest

from node.feed.acknowledged import Acknowledged, acknowledgements_needed
from node.feed.branches import FeedBranches
from node.wire.ids import MemberId
from tests.support.feeds import build_feed_id, build_record, build_tip

OTHERS = (MemberId("firm-1"), MemberId("firm-2"), MemberId("firm-3"))


def build_branches(length: int) -> FeedBranches:
    """A feed of batches named by their seq."""
    branches = FeedBranches(build_feed_id(), None)
    for seq in range(length):
        branches.add(build_record(seq, f"{seq}", f"{seq - 1}" if seq else ""), 0)
    return branches


@pytest.mark.parametrize(("count", "needed"), [(1, 0), (2, 1), (3, 1), (4, 2), (5, 2), (7, 3), (10, 4)])
def test_a_batch_needs_one_more_holder_than_may_be_faulty_if_there_are_so_many(count: int, needed: int) -> None:
    """min(f + 1, n - 1) besides us."""
    assert acknowledgements_needed(count) == needed


def test_the_safe_seq_is_what_the_needed_number_of_others_holds() -> None:
    """The k-th best of what they have said; nobody who does not vote counts."""
    acknowledged, branches = Acknowledged(OTHERS), build_branches(5)
    for member, seq in zip(OTHERS, (4, 2, 0), strict=True):
        acknowledged.learn(member, branches.feed, (build_tip(seq, f"{seq}"),))
    acknowledged.learn(MemberId("firm-9"), branches.feed, (build_tip(4, "4"),))
    assert [acknowledged.safe_seq(branches, needed) for needed in (0, 1, 2, 3)] == [4, 4, 2, 0]
    assert [acknowledged.holders(branches, seq) for seq in (0, 1, 3)] == [3, 2, 1]
    # Also of what is final, only those count that have said so.
    branches.finalize(build_tip(3, "3"))
    assert [acknowledged.holders(branches, seq) for seq in (0, 1, 3, 4)] == [3, 2, 1, 1]


def test_a_peer_ahead_of_us_holds_what_we_hold_unless_the_feed_forks() -> None:
    """Links are contiguous, so on a feed with one branch a newer tip covers ours."""
    acknowledged, branches = Acknowledged(OTHERS), build_branches(2)
    acknowledged.learn(OTHERS[0], branches.feed, (build_tip(9, "unknown"),))
    assert acknowledged.safe_seq(branches, 1) == 1
    branches.add(build_record(1, "rival", "0"), 0)
    assert acknowledged.safe_seq(branches, 1) == -1


def test_a_peer_on_another_branch_holds_nothing_above_the_final_cut() -> None:
    """Its tip is not linked to ours as far as we know."""
    acknowledged, branches = Acknowledged(OTHERS), build_branches(3)
    acknowledged.learn(OTHERS[0], branches.feed, (build_tip(1, "other"),))
    assert acknowledged.safe_seq(branches, 1) == -1
    branches.finalize(build_tip(1, "1"))
    assert acknowledged.safe_seq(branches, 1) == 1


def test_who_pushes_a_batch_holds_it_and_is_not_set_back_by_an_older_one() -> None:
    """A push is as good as a word; it never replaces a newer one."""
    acknowledged, branches = Acknowledged(OTHERS), build_branches(3)
    acknowledged.learn_pushed(OTHERS[0], build_tip(1, "1"))
    acknowledged.learn_pushed(OTHERS[0], build_tip(0, "0"))
    acknowledged.learn_pushed(MemberId("firm-9"), build_tip(2, "2"))
    assert acknowledged.safe_seq(branches, 1) == 1
    acknowledged.learn(OTHERS[0], branches.feed, ())
    assert acknowledged.safe_seq(branches, 1) == -1


def test_both_tips_of_a_fork_show_that_what_is_below_it_is_held() -> None:
    """At a fork the safe cut ends below it, for whoever holds either branch."""
    acknowledged, branches = Acknowledged(OTHERS), build_branches(3)
    branches.add(build_record(2, "rival", "1"), 0)
    acknowledged.learn(OTHERS[0], branches.feed, (build_tip(2, "rival"),))
    acknowledged.learn(OTHERS[1], branches.feed, (build_tip(2, "2"), build_tip(2, "rival"), build_tip(2, "third")))
    assert acknowledged.safe_seq(branches, 2) == 1


def test_who_has_told_of_a_batch_is_asked_before_its_author_and_by_turn() -> None:
    """Who does not have it would stay silent, and cost a wait."""
    acknowledged, branches = Acknowledged(OTHERS), build_branches(1)
    for member, seq in zip(OTHERS, (4, 2, 0), strict=True):
        acknowledged.learn(member, branches.feed, (build_tip(seq, f"{seq}"),))
    author = branches.feed.member
    assert acknowledged.find_holders(build_tip(9, "x")) == (author,)
    assert acknowledged.find_holders(build_tip(2, "2")) == (OTHERS[0], OTHERS[1], author)
    assert acknowledged.find_holders(build_tip(1, "1")) == (OTHERS[1], OTHERS[0], author)
    assert acknowledged.find_holders(build_tip(0, "z", member="firm-1")) == (OTHERS[0],)
