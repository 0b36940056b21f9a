"""The choice of a cut: fair across feeds, within the bounds of a block."""

from node.feed.branches import FeedBranches
from node.feed.cutting import Offer, choose_batches
from tests.support.feeds import build_feed_id, build_record


def build_offer(member: str, length: int, *, size: int = 100, after: int = -1) -> Offer:
    """A feed of so many batches, all of which may be cut but those up to `after`."""
    branches = FeedBranches(build_feed_id(member), None)
    for seq in range(length):
        previous = f"{member} {seq - 1}" if seq else ""
        branches.add(build_record(seq, f"{member} {seq}", previous, member=member, size=size), 0)
    return Offer(branches, after, length - 1)


def lengths(*offers: Offer, batches: int = 100, size: int = 1_000_000, turn: int = 0) -> dict[str, int]:
    """How many batches of each feed are chosen."""
    chosen = choose_batches(offers, batches_max=batches, bytes_max=size, turn=turn)
    return {records[0].tip.feed.member: len(records) for records in chosen}


def test_all_that_may_be_cut_is_cut_when_it_fits() -> None:
    """From above the parent's cut up to what is safe, in order."""
    offers = (build_offer("a", 3), build_offer("b", 4, after=1), build_offer("c", 2, after=1))
    assert lengths(*offers) == {"a": 3, "b": 2}
    chosen = choose_batches(offers, batches_max=100, bytes_max=10_000, turn=0)
    assert [[record.tip.seq for record in records] for records in chosen] == [[0, 1, 2], [2, 3]]


def test_a_flood_on_one_feed_leaves_room_for_the_small_ones() -> None:
    """One of each in turn, until the block is full."""
    assert lengths(build_offer("a", 50), build_offer("b", 2), build_offer("c", 1), batches=8) == {
        "a": 5,
        "b": 2,
        "c": 1,
    }


def test_the_feed_that_begins_changes_from_block_to_block() -> None:
    """With room for one batch, each feed has its turn."""
    offers = (build_offer("a", 2), build_offer("b", 2), build_offer("c", 2))
    assert [list(lengths(*offers, batches=1, turn=turn)) for turn in range(4)] == [["a"], ["b"], ["c"], ["a"]]


def test_a_batch_that_does_not_fit_holds_up_its_own_feed_alone() -> None:
    """Nothing jumps the queue within a feed, and small ones of others go on."""
    assert lengths(build_offer("a", 3, size=600), build_offer("b", 9, size=100), size=1_000) == {"a": 1, "b": 4}


def test_without_offers_nothing_is_chosen() -> None:
    """An empty block covers nothing."""
    assert choose_batches((), batches_max=1, bytes_max=1, turn=3) == ()
