"""One feed above its final cut: links, forks, the window, and what finality drops."""

import random

import pytest

from node.feed.branches import BRANCHES_MAX, WINDOW_BYTES, FeedBranches
from node.feed.records import BatchRecord
from tests.support.feeds import build_digest, build_feed_id, build_record, build_tip


def build_branches(*records: BatchRecord, final: str = "", final_seq: int = -1) -> FeedBranches:
    """The branches of firm-0 that hold these."""
    branches = FeedBranches(build_feed_id(), build_tip(final_seq, final) if final else None)
    for place, record in enumerate(records):
        branches.add(record, place)
    return branches


CHAIN = (build_record(0, "a"), build_record(1, "b", "a"), build_record(2, "c", "b"))
FORK = (*CHAIN, build_record(1, "B", "a"), build_record(2, "C", "B"), build_record(3, "D", "C"))


def test_a_feed_without_batches_ends_before_its_first() -> None:
    """Nothing is held, nothing is final: no tip, and the first batch names zero."""
    branches = build_branches()
    assert branches.tips() == ()
    assert (branches.limit_seq, branches.final_seq, branches.reach_bytes) == (-1, -1, 0)
    assert branches.is_connected(build_digest(""))


def test_batches_in_order_are_connected_one_by_one() -> None:
    """The tip is the newest, and it reaches as far as all together."""
    branches = build_branches(*CHAIN)
    assert branches.tips() == (build_tip(2, "c"),)
    assert branches.limit_seq == 2
    assert branches.reach_bytes == 300
    assert branches.held_bytes == 300
    assert branches.at(1) == CHAIN[1]
    assert branches.since_ms(1) == 1
    assert tuple(branches.records()) == CHAIN


def test_a_batch_without_its_link_floats_until_the_link_comes() -> None:
    """Fetched from the top down, they become connected in rising order, all at once."""
    branches = build_branches(CHAIN[2], CHAIN[1])
    assert branches.tips() == ()
    assert not branches.is_connected(CHAIN[2].tip.digest)
    added = branches.add(CHAIN[0], 7)
    assert added.connected == CHAIN
    assert added.forks == ()
    assert branches.tips() == (build_tip(2, "c"),)


def test_the_newest_batches_that_float_are_told_apart() -> None:
    """Whoever asks for all that is left of its own feed learns of them, the two newest, from their upper ends."""
    branches = build_branches(CHAIN[0], build_record(3, "d", "c"), build_record(4, "e", "d"), build_record(9, "j", "i"))
    assert branches.floating_tips() == (build_tip(9, "j"), build_tip(4, "e"))
    branches.add(build_record(7, "h", "g"), 0)
    assert branches.floating_tips() == (build_tip(9, "j"), build_tip(7, "h"))
    for record in CHAIN[1:]:
        branches.add(record, 0)
    assert branches.tips() == (build_tip(4, "e"),)


def test_two_batches_of_one_seq_are_a_fork_once_both_are_connected() -> None:
    """What floats may be all that is left of what a member had signed before it lost its disk: it proves nothing."""
    branches = build_branches(CHAIN[0], build_record(2, "C", "B"))
    for record in CHAIN[1:]:
        assert branches.add(record, 0).forks == ()
    assert not branches.is_forked
    added = branches.add(build_record(1, "B", "a"), 0)
    assert added.forks == ((build_tip(1, "b"), build_tip(1, "B")), (build_tip(2, "c"), build_tip(2, "C")))
    assert branches.is_forked


def test_a_batch_that_names_a_wrong_seq_never_connects() -> None:
    """Seqs are gapless along the links."""
    branches = build_branches(CHAIN[0])
    assert branches.add(build_record(2, "x", "a"), 0).connected == ()
    assert branches.add(build_record(0, "y", "a"), 0).connected == ()
    assert branches.limit_seq == 0


def test_both_branches_of_a_fork_are_kept_and_cut_no_further_than_below_it() -> None:
    """Two tips are told, the longest first; a careful leader stops below the fork; the pair is evidence."""
    branches = build_branches(*CHAIN)
    added = branches.add(FORK[3], 0)
    assert added.forks == ((build_tip(1, "b"), FORK[3].tip),)
    for record in FORK[4:]:
        branches.add(record, 0)
    assert branches.is_forked
    assert branches.limit_seq == 0
    assert branches.tips() == (build_tip(3, "D"), build_tip(2, "c"))
    assert branches.reach_bytes == 400


def test_at_most_two_branches_are_told_and_kept_unasked() -> None:
    """A third batch of one seq is refused if nobody names it, and told to nobody if it was taken."""
    branches = build_branches(*CHAIN, build_record(2, "x", "b"))
    assert not branches.takes_unasked(seq=2, size_bytes=1, waiting_bytes=0)
    assert branches.takes_unasked(seq=3, size_bytes=1, waiting_bytes=0)
    branches.add(build_record(2, "y", "b"), 0)
    assert len(branches.tips()) == BRANCHES_MAX


def test_what_comes_unasked_is_taken_within_the_window_above_the_final_cut() -> None:
    """T-48: a flood on one feed fills its own window and nothing else."""
    branches = build_branches(build_record(0, "a", size=WINDOW_BYTES - 100))
    assert branches.takes_unasked(seq=1, size_bytes=100, waiting_bytes=0)
    assert not branches.takes_unasked(seq=1, size_bytes=101, waiting_bytes=0)
    assert not branches.takes_unasked(seq=1, size_bytes=50, waiting_bytes=51)
    branches.finalize(build_tip(0, "a"))
    assert branches.takes_unasked(seq=1, size_bytes=101, waiting_bytes=0)
    assert not branches.takes_unasked(seq=0, size_bytes=1, waiting_bytes=0)


def test_finality_moves_the_floor_and_keeps_what_descends_from_it() -> None:
    """What is below is dropped; the rest counts from the new floor."""
    branches = build_branches(*CHAIN)
    branches.finalize(build_tip(1, "b"))
    assert branches.final == build_tip(1, "b")
    assert branches.find(build_digest("a")) is None
    assert branches.find(build_digest("c")) == CHAIN[2]
    assert (branches.limit_seq, branches.reach_bytes, branches.held_count, branches.held_bytes) == (2, 100, 1, 100)
    branches.finalize(build_tip(2, "c"))
    assert branches.tips() == (build_tip(2, "c"),)
    assert (branches.held_count, branches.held_bytes) == (0, 0)


@pytest.mark.parametrize(("seq", "name", "left"), [(1, "b", ["c"]), (1, "B", ["C", "D"]), (2, "C", ["D"])])
def test_finality_ends_a_fork_and_drops_the_other_branch(seq: int, name: str, left: list[str]) -> None:
    """One branch is in the cut: the batches of the other can never become final."""
    branches = build_branches(*FORK)
    branches.finalize(build_tip(seq, name))
    assert not branches.is_forked
    assert [record.tip.digest for record in branches.records()] == [build_digest(other) for other in left]
    assert branches.limit_seq == seq + len(left)


def test_a_fork_above_the_final_cut_remains_one() -> None:
    """Finality below the fork does not settle it."""
    branches = build_branches(*FORK)
    branches.finalize(build_tip(0, "a"))
    assert branches.is_forked
    assert branches.limit_seq == 0
    floating = build_record(9, "z", "y")
    branches.add(floating, 0)
    branches.finalize(build_tip(1, "B"))
    assert branches.find(floating.tip.digest) == floating


def test_a_walk_down_gives_the_batches_or_what_is_missing_or_why_there_is_no_way() -> None:
    """Valid, not yet, and never are three answers."""
    branches = build_branches(*CHAIN)
    assert branches.walk(build_tip(2, "c"), build_tip(0, "a")).records == CHAIN[1:]
    assert branches.walk(build_tip(2, "c"), None).records == CHAIN
    assert branches.walk(build_tip(3, "d"), None).missing == build_tip(3, "d")
    branches.add(build_record(5, "f", "e"), 0)
    assert branches.walk(build_tip(5, "f"), None).missing == build_tip(4, "e")
    assert "is 2" in (branches.walk(build_tip(3, "c"), None).broken or "")
    assert "does not follow" in (branches.walk(build_tip(2, "c"), build_tip(0, "x")).broken or "")


def test_an_invalid_batch_is_remembered_until_the_cut_moves() -> None:
    """No copy of it can be good, so it is not fetched again; the table is bounded."""
    branches = build_branches(*CHAIN)
    for number in range(100):
        branches.mark_invalid(build_digest(f"bad {number}"), "wrong")
    assert branches.find_invalid(build_digest("bad 0")) == "wrong"
    assert branches.find_invalid(build_digest("bad 99")) is None
    assert "wrong" in (branches.walk(build_tip(3, "bad 0"), None).broken or "")
    branches.finalize(build_tip(0, "a"))
    assert branches.find_invalid(build_digest("bad 0")) is None


def test_what_floats_on_a_dropped_seq_goes_with_it() -> None:
    """A floating rival at or below the new final tip is of no use to anyone, nor is what stands on it."""
    branches = build_branches(*CHAIN, build_record(1, "p", "o"), build_record(2, "q", "p"), build_record(3, "r", "q"))
    branches.finalize(build_tip(1, "b"))
    assert [record.tip.digest for record in branches.records()] == [build_digest("c")]


def test_a_batch_that_claims_the_seq_of_the_one_it_follows_is_dropped_with_it() -> None:
    """Nonsense that floats beside a rival goes when the rival goes, once."""
    branches = build_branches(CHAIN[0], build_record(0, "r"), build_record(0, "s", "r"))
    branches.finalize(build_tip(0, "a"))
    assert branches.held_count == 0
    assert not branches.is_forked


@pytest.mark.parametrize("seed", range(12))
def test_what_is_missing_below_a_tip_is_what_a_walk_would_miss(seed: int) -> None:
    """The shortcuts down a long branch change nothing: not with forks, wrong seqs, bad batches or a moving cut."""
    chance = random.Random(seed)
    chain = [build_record(0, "0")] + [build_record(seq, f"{seq}", f"{seq - 1}") for seq in range(1, 30)]
    fork = [build_record(seq, f"f{seq}", f"f{seq - 1}" if seq > 12 else "11") for seq in range(12, 20)]
    records = [*chain, *fork, build_record(7, "wrong", "3"), build_record(25, "f25", "f19")]
    chance.shuffle(records)
    branches = build_branches()
    branches.mark_invalid(build_tip(9, "bad").digest, "bad")
    tips = [record.tip for record in records] + [build_tip(9, "bad"), build_tip(31, "31"), build_tip(8, "wrong")]
    for record in records:
        if record.tip.seq > branches.final_seq:
            branches.add(record, 0)
        if branches.limit_seq > branches.final_seq and chance.randrange(8) == 0:
            branches.finalize(branches.at(chance.randint(branches.final_seq + 1, branches.limit_seq)).tip)
        for tip in tips:
            if tip.seq > branches.final_seq:
                assert branches.missing_below(tip) == branches.walk(tip, branches.final).missing
            else:
                assert branches.missing_below(tip) is None
