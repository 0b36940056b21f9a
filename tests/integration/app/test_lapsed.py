"""What was accepted on a feed that ended before it was final: told as such, and entered again (T-47)."""

import asyncio
from dataclasses import replace

from consensus.types import Digest
from node.api.schema.transactions import Wait
from node.app.backends.recall import is_over, recall
from node.app.backends.transactions import Pending
from node.epcis.reader import read_event
from node.ledger.transaction import Capture, Kind
from node.storage.chain import ChainWrite
from node.storage.vote_records import START_POSITION
from node.wire.ids import FeedId, FeedNumber, MemberId
from tests.integration.app.test_capture_final import open_door
from tests.support.app_stores import CONTEXT, SHIPPED, UNREADABLE, Stores, build_document
from tests.support.networks import build_batch, build_transaction

OBSERVER = MemberId("firm-4")


def test_what_lapsed_is_told_and_is_new_when_it_comes_again(stores: Stores) -> None:
    """T-47: without a restart. What is entered again in part still counts; in whole, it does no more."""

    async def scenario() -> None:
        async with open_door(stores) as door:
            pending, transactions = door.node.pending, door.transactions
            (lost,) = (await door.captures.capture(build_document(3), wait=Wait.ACCEPTED)).transactions
            await asyncio.sleep(0)  # This engine accepts at once: what is remembered is remembered next.
            assert (transactions.get(lost).state, len(pending), pending.lapsed) == ("accepted", 1, 0)
            door.node.drop()
            pending.on_epoch(has_feed=False)
            assert (transactions.get(lost).state, len(pending), pending.lapsed) == ("lapsed", 0, 1)
            pending.on_epoch(has_feed=True)
            part = await door.captures.capture(build_document(2), wait=Wait.ACCEPTED)
            assert (part.counts.accepted, part.counts.duplicate, pending.lapsed) == (2, 0, 1)
            again = await door.captures.capture(build_document(3), wait=Wait.FINAL)
            assert (again.counts.accepted, again.counts.duplicate) == (1, 2)
            assert (len(pending), pending.lapsed, len(door.node.on_the_way)) == (0, 0, 0)

    asyncio.run(scenario())


def test_an_acceptance_that_is_heard_of_after_the_end_of_its_feed_has_lapsed(stores: Stores) -> None:
    """The epoch begins in the same step in which the batch was sealed. Execution alone takes it back."""
    signed = build_transaction(stores.genesis)
    pending = Pending()
    pending.on_epoch(has_feed=False)
    pending.add((signed.id,), build_batch(stores.genesis, signed).tip)
    assert (len(pending), pending.lapsed) == (0, 1)
    written = stores.execute(signed)
    pending.on_executed(written.height, written.transactions)
    assert pending.lapsed == 0


def test_what_lapsed_is_known_after_a_restart(stores: Stores) -> None:
    """Of captures: until all their events are on the ledger. An empty transaction is nothing to enter again."""
    genesis = stores.genesis
    payload = Capture(CONTEXT, (SHIPPED, UNREADABLE), ()).encode()
    signed = build_transaction(genesis, member=OBSERVER, kind=Kind.CAPTURE, payload=payload)
    spoilt = build_transaction(genesis, member=OBSERVER, kind=Kind.CAPTURE, payload=b"x", nonce=1)
    noop = build_transaction(genesis, member=OBSERVER, nonce=2)
    batch = build_batch(genesis, signed, spoilt, noop, member=OBSERVER)
    stores.chain.commit(ChainWrite(batches=[batch], finals=[], certificates=[]), START_POSITION)
    recalled = recall(stores.chain, stores.index, OBSERVER, genesis.network_id)
    assert (len(recalled.pending), recalled.pending.lapsed) == (0, 1)
    assert recalled.pending.find_lapsed(signed.id) == batch.tip
    known = recalled.on_the_way.find(Digest(read_event(SHIPPED, CONTEXT).event_digest))
    assert known is not None
    assert known.transaction == signed.id


def test_a_feed_is_over_once_the_next_one_holds_anything_or_there_is_none(stores: Stores) -> None:
    """Until then what is uncut on it is to be sealed again."""
    first, second = (FeedId(MemberId("firm-0"), FeedNumber(number)) for number in range(2))
    with stores.index.reader() as reader:
        roster = reader.governance.roster
        own = roster.find(first.member)
        assert own is not None
        rotated = replace(own, feed_number=FeedNumber(1))
        assert not is_over(first, own, [first], reader)
        assert not is_over(first, rotated, [first], reader)
        assert is_over(first, rotated, [first, second], reader)
        assert not is_over(second, rotated, [first, second], reader)
        assert is_over(FeedId(OBSERVER, FeedNumber(0)), roster.find(OBSERVER), [], reader)
