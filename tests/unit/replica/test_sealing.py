"""node.replica.sealing: what stands uncut when our feed ends goes onto the next one, once."""

import dataclasses

from consensus.certificates import Notary
from consensus.timing import Timing
from consensus.types import ZERO_DIGEST, Epoch, View
from node.feed.branches import FeedBranches
from node.feed.feeds import Feeds
from node.feed.own import OwnFeed
from node.feed.records import BatchRecord, record_of
from node.ledger.batch import SEAL_DELAY_MS, Batch, seal_batch
from node.ledger.roster import Role
from node.replica.effects import LoadOwn, StoreBatch
from node.replica.fetching import Fetcher
from node.replica.inputs import Submitted
from node.replica.membership import Membership
from node.replica.moment import Moment
from node.replica.rejoin import Rejoining
from node.replica.sealing import Sealing
from node.wire.ids import FeedId, FeedNumber, FeedTip, MemberId, Seq
from tests.support.fake_keys import FakeVerifier
from tests.support.networks import build_genesis, build_key, build_transaction
from tests.support.replica_rig import of_type

OWN = MemberId("firm-0")


class Rig:
    """The feeds of a network's only validator, which nothing is told by others. number: of its feed now."""

    def __init__(self, *, number: int = 0) -> None:
        self.genesis = build_genesis(validators=1)
        self.moment = Moment(0, 0)
        self.feeds = Feeds((), (), 0)
        membership = self.membership(number)
        rejoining = Rejoining(
            self.moment, nonce=bytes(16), timing=Timing(), loss=None, logged_epoch=Epoch(0), is_decided=False
        )
        notary = Notary(self.genesis.network_id, Epoch(0), 1, FakeVerifier())
        rejoining.enter(membership, notary, epoch=Epoch(0), votes=(), is_covered=False)
        rejoining.start()
        rejoining.advance(View(0))
        self.sealing = Sealing(
            self.moment,
            membership=membership,
            feeds=self.feeds,
            own=self.own_feed(number),
            fetcher=Fetcher(is_needed=lambda _: True),
            rejoining=rejoining,
            hold=self._hold,
        )

    def _hold(self, record: BatchRecord) -> None:
        self.feeds.add(record, 0)

    def membership(self, number: int | None) -> Membership:
        """Who is who once our feed has this number. None: we are an observer."""
        roster = self.genesis.roster
        us = dataclasses.replace(
            roster.members[OWN],
            feed_number=FeedNumber(number or 0),
            role=Role.OBSERVER if number is None else Role.VALIDATOR,
        )
        return Membership(dataclasses.replace(roster, members={OWN: us}), OWN)

    def own_feed(self, number: int) -> OwnFeed:
        """Our feed of this number, where nothing is sealed yet."""
        feed = FeedId(OWN, FeedNumber(number))
        return OwnFeed(network_id=self.genesis.network_id, feed=feed, key=build_key(OWN))

    def ended(self, number: int, *, batches: int, final: int) -> tuple[FeedBranches, tuple[Batch, ...]]:
        """A feed of ours with so many batches, the first of which are final; with those that are not."""
        sealed: list[Batch] = []
        feed = FeedId(OWN, FeedNumber(number))
        for seq in range(batches):
            sealed.append(
                seal_batch(
                    network_id=self.genesis.network_id,
                    feed=feed,
                    seq=Seq(seq),
                    previous=sealed[-1].digest if sealed else ZERO_DIGEST,
                    time_ms=seq,
                    transactions=(build_transaction(self.genesis, nonce=seq),),
                    key=build_key(OWN),
                )
            )
        branches = FeedBranches(feed, sealed[final - 1].tip if final else None)
        for batch in sealed[final:]:
            branches.add(record_of(batch), 0)
        return branches, tuple(sealed[final:])

    def enter(self, number: int | None, *ended: FeedBranches) -> None:
        """Begin an epoch with this feed of ours; with the one there is if it is of that number."""
        own = self.sealing.own
        if own is None or own.feed.number != number:
            own = None if number is None else self.own_feed(number)
        self.sealing.enter(self.membership(number), own, ended)

    def settle(self, *, is_chain_here: bool = True) -> tuple[FeedTip, ...]:
        """One step's look at where the feed goes on; return what is read from disk for it."""
        self.sealing.settle(is_chain_here=is_chain_here)
        return tuple(tip for load in of_type(LoadOwn, self.taken()) for tip in load.tips)

    def taken(self) -> list[object]:
        """What was asked for since the last call."""
        out, self.moment.out = self.moment.out, []
        return list(out)

    def submit(self) -> None:
        """A client enters something."""
        self.sealing.submit(Submitted(1, (build_transaction(self.genesis, nonce=99),)))

    def seal(self) -> list[tuple[int, int]]:
        """What is sealed now: the number of each batch's feed, and its seq."""
        self.sealing.seal_due()
        return self.sealed()

    def sealed(self) -> list[tuple[int, int]]:
        """What has been sealed since the last call."""
        stored = of_type(StoreBatch, self.taken())
        return [(effect.batch.header.feed.number, effect.batch.header.seq) for effect in stored]


def test_what_a_feed_between_has_made_final_is_not_sealed_on_a_third_one() -> None:
    """Sealed on feed 0, again on feed 1 and final there; a crash, and feed 2 begins before the node has settled."""
    rig = Rig(number=1)
    first, _ = rig.ended(0, batches=4, final=3)
    rig.sealing.recover(None)
    rig.sealing.take_over((first,))
    assert rig.settle(is_chain_here=False) == ()
    second, _ = rig.ended(1, batches=1, final=1)
    rig.enter(2, second)
    assert rig.settle() == ()
    rig.submit()
    assert rig.seal() == [(2, 0)]


def test_what_stands_uncut_on_two_feeds_is_sealed_once_from_the_newer_one() -> None:
    """All of the older one was sealed again on the newer one before anything else was."""
    rig = Rig(number=2)
    older, _ = rig.ended(0, batches=2, final=0)
    newer, uncut = rig.ended(1, batches=3, final=1)
    rig.sealing.recover(None)
    rig.sealing.take_over((newer, older))
    assert rig.settle() == tuple(batch.tip for batch in uncut)


def test_what_waits_from_a_feed_is_sealed_on_the_next_but_one_if_that_between_held_nothing() -> None:
    """Two feeds in a row began while the node was still catching up."""
    rig = Rig(number=1)
    first, uncut = rig.ended(0, batches=4, final=2)
    rig.sealing.recover(None)
    rig.sealing.take_over((first,))
    rig.settle(is_chain_here=False)
    rig.enter(2)
    assert rig.settle() == tuple(batch.tip for batch in uncut)
    rig.submit()
    assert rig.seal() == [], "nothing goes before what was sealed earlier"
    rig.sealing.on_loaded(uncut)
    assert rig.sealed() == [(2, 0), (2, 1)]
    rig.moment.now_ms += SEAL_DELAY_MS
    assert rig.seal() == [(2, 2)]


def test_what_is_read_from_disk_while_the_feed_ends_again_is_sealed_only_where_the_next_one_has_settled() -> None:
    """Nobody knows yet what others hold of the feed that begins: whatever is sealed there may fork it."""
    rig = Rig(number=1)
    first, uncut = rig.ended(0, batches=3, final=1)
    rig.sealing.recover(None)
    rig.sealing.take_over((first,))
    assert rig.settle() == tuple(batch.tip for batch in uncut)
    rig.enter(2)
    rig.sealing.on_loaded(uncut)
    assert rig.sealed() == []
    rig.submit()
    rig.settle(is_chain_here=False)
    assert rig.seal() == []
    assert rig.settle() == tuple(batch.tip for batch in uncut)
    rig.sealing.on_loaded(uncut)
    assert rig.sealed() == [(2, 0), (2, 1)]


def test_a_member_that_comes_back_seals_again_although_it_lost_its_feed_while_that_was_read() -> None:
    """Made an observer between the question to the disk and the answer, then a member with a feed again."""
    rig = Rig(number=1)
    first, uncut = rig.ended(0, batches=2, final=1)
    rig.sealing.recover(None)
    rig.sealing.take_over((first,))
    assert rig.settle() == tuple(batch.tip for batch in uncut)
    rig.enter(None)
    rig.sealing.on_loaded(uncut)
    assert rig.sealed() == []
    rig.enter(2)
    assert rig.settle() == tuple(batch.tip for batch in uncut)
    rig.sealing.on_loaded(uncut)
    assert rig.sealed() == [(2, 0)]
    rig.submit()
    rig.moment.now_ms += SEAL_DELAY_MS
    assert rig.seal() == [(2, 1)]
