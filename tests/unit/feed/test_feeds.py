"""All feeds together: what was recovered, what is being checked, what is taken and what is chased."""

from node.feed.branches import WINDOW_BYTES
from node.feed.feeds import CHASE_SEQS_MAX, CHECKS_PER_FEED_MAX, Feeds, UnderCheck
from node.wire.ids import MemberId
from tests.support.feeds import build_digest, build_feed_id, build_record, build_tip


def build_check(seq: int, name: str, previous: str = "", *, size: int = 100, asked: bool = False) -> UnderCheck:
    """A check of a batch that firm-1 sent."""
    return UnderCheck(build_tip(seq, name), build_digest(previous), size, MemberId("firm-1"), asked)


def test_held_batches_are_recovered_in_any_order_above_the_final_tips() -> None:
    """What is at or below the final cut, and what stands there twice, is left out."""
    held = (build_record(3, "d", "c"), build_record(2, "c", "b"), build_record(1, "b", "a"), build_record(3, "d", "c"))
    feeds = Feeds([build_tip(1, "b"), build_tip(4, "z", member="firm-1")], held, 0)
    assert feeds.all_tips() == (build_tip(3, "d"), build_tip(4, "z", member="firm-1"))
    assert feeds.uncut() == [build_feed_id()]
    assert feeds.branches(build_feed_id()).held_count == 2


def test_a_feed_is_uncut_as_long_as_something_connected_is_above_its_final_cut() -> None:
    """Floating batches are no work; a settled feed is none; one that forks may become some."""
    feeds = Feeds((), (), 0)
    feeds.add(build_record(1, "b", "a"), 0)
    assert feeds.uncut() == []
    feeds.add(build_record(0, "a"), 0)
    assert feeds.uncut() == [build_feed_id()]
    feeds.finalize(build_tip(0, "a"))
    assert feeds.uncut() == [build_feed_id()]
    feeds.finalize(build_tip(1, "b"))
    assert feeds.uncut() == []


def test_a_batch_is_here_when_no_copy_of_it_is_of_use() -> None:
    """Held, final, being checked, or known to be bad."""
    feeds = Feeds([build_tip(1, "b")], (build_record(2, "c", "b"),), 0)
    feeds.begin_check(build_check(3, "d", "c"))
    feeds.branches(build_feed_id()).mark_invalid(build_digest("x"), "wrong")
    assert all(feeds.is_here(build_tip(*place)) for place in ((2, "c"), (3, "d"), (1, "other"), (4, "x")))
    assert not feeds.is_here(build_tip(4, "e"))
    assert not feeds.is_here(build_tip(0, "a", member="firm-1"))


def test_the_next_batch_of_a_feed_is_taken_also_while_the_one_before_is_checked() -> None:
    """Pushes follow one another faster than checks; a gap is not taken, it is fetched."""
    feeds = Feeds((), (), 0)
    assert feeds.takes_pushed(build_tip(0, "a"), build_digest(""), 100)
    assert not feeds.takes_pushed(build_tip(1, "b"), build_digest("a"), 100)
    feeds.begin_check(build_check(0, "a"))
    assert feeds.takes_pushed(build_tip(1, "b"), build_digest("a"), 100)
    assert not feeds.takes_pushed(build_tip(1, "b", member="firm-1"), build_digest("a"), 100)


def test_checks_of_what_came_unasked_are_bounded_in_number_and_bytes() -> None:
    """T-37: a flood of pushes makes no queue; what is left out will be fetched."""
    feeds = Feeds((), (), 0)
    previous = ""
    for seq in range(CHECKS_PER_FEED_MAX):
        assert feeds.takes_pushed(build_tip(seq, f"{seq}"), build_digest(previous), 100)
        feeds.begin_check(build_check(seq, f"{seq}", previous))
        previous = f"{seq}"
    assert not feeds.takes_pushed(build_tip(CHECKS_PER_FEED_MAX, "x"), build_digest(previous), 100)
    for seq in range(CHECKS_PER_FEED_MAX):
        assert feeds.end_check(build_digest(f"{seq}")) == build_check(seq, f"{seq}", f"{seq - 1}" if seq else "")
    assert feeds.takes_pushed(build_tip(0, "a"), build_digest(""), 100)
    feeds.begin_check(build_check(0, "big", size=WINDOW_BYTES))
    assert not feeds.takes_pushed(build_tip(0, "a"), build_digest(""), 100)


def test_a_check_ends_once_and_what_was_asked_for_takes_no_window() -> None:
    """What a proposal names is checked whatever else waits."""
    feeds = Feeds((), (), 0)
    feeds.begin_check(build_check(0, "a", size=WINDOW_BYTES, asked=True))
    assert feeds.takes_pushed(build_tip(0, "b"), build_digest(""), 100)
    assert feeds.end_check(build_digest("a")) == build_check(0, "a", size=WINDOW_BYTES, asked=True)
    assert feeds.end_check(build_digest("a")) is None


def test_only_near_batches_are_chased_and_no_heap_of_floating_ones_is_made() -> None:
    """A have-vector is nobody's proof: it moves us a little way at a time."""
    feeds = Feeds((), (), 0)
    assert feeds.is_worth_chasing(build_tip(CHASE_SEQS_MAX - 1, "x"))
    assert not feeds.is_worth_chasing(build_tip(CHASE_SEQS_MAX, "x"))
    feeds.add(build_record(9, "y", "?", size=2 * WINDOW_BYTES), 0)
    assert not feeds.is_worth_chasing(build_tip(3, "x"))
    assert not feeds.is_worth_chasing(build_tip(9, "y"))
