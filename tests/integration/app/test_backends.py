"""What the API answers from real stores, and how a submission becomes accepted and final."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from consensus.types import Digest
from node.api.errors import BusyError, NotFoundError
from node.api.schema.events import EventEntry
from node.api.schema.transactions import Wait
from node.app.backends.capture import PART_TRANSACTIONS_MAX, Captures, OnTheWay
from node.app.backends.ledger import LedgerQueries, event_as_sent
from node.app.backends.pools import QuestionPool
from node.app.backends.recall import recall
from node.app.backends.transactions import PENDING_MAX, Pending, Transactions
from node.crypto.keys import SigningKey
from node.errors import RequestError
from node.ledger.genesis import Genesis
from node.ledger.governance import genesis_governance
from node.ledger.transaction import Capture, Kind, SignedTransaction
from node.query.find import FindRequest
from node.query.service import QueryService
from node.storage.chain import ChainWrite
from node.storage.vote_records import START_POSITION
from node.wire.ids import FeedTip, MemberId
from tests.support.app_stores import CONTEXT, SHIPPED, UNREADABLE, FakeEngine, Stores, build_document
from tests.support.clocks import FixedClock
from tests.support.networks import CREATED_MS, build_batch, build_genesis, build_key, build_transaction


def build_capture(genesis: Genesis, *events: bytes, nonce: int = 0) -> SignedTransaction:
    payload = Capture(CONTEXT, events, ()).encode()
    return build_transaction(genesis, kind=Kind.CAPTURE, payload=payload, nonce=nonce)


def build_transactions(stores: Stores, engine: FakeEngine, pending: Pending | None = None) -> Transactions:
    return Transactions(
        engine,
        stores.index,
        stores.genesis.network_id,
        MemberId("firm-0"),
        governance=lambda: genesis_governance(stores.genesis),
        pending=Pending() if pending is None else pending,
        clock=FixedClock(),
        final_wait_ms=20,
    )


def test_an_event_comes_back_as_it_was_sent(stores: Stores) -> None:
    """By transaction and index and by eventID; a duplicate and an unreadable one bear their verdicts."""
    first = build_capture(stores.genesis, SHIPPED, UNREADABLE)
    second = build_capture(stores.genesis, SHIPPED, nonce=1)
    stores.execute(first)
    stores.execute(second, build_transaction(stores.genesis, nonce=2), seq=1)

    async def scenario() -> None:
        with ThreadPoolExecutor(1) as executor:
            ledger = LedgerQueries(stores.chain, stores.index, QuestionPool(executor))
            both = (await ledger.events_at(first.id.hex(), None)).events
            assert [entry.verdict for entry in both] == ["accepted", "unreadable"]
            (one,) = (await ledger.events_at(first.id.hex(), 0)).events
            assert (bytes(one.event), bytes(one.context)) == (SHIPPED, CONTEXT)
            (again,) = (await ledger.events_at(second.id.hex(), 0)).events
            assert again.verdict == "duplicate"
            (called,) = (await ledger.events_called("urn:x:1")).events
            assert called == one
            assert isinstance(called, EventEntry)
            assert json.loads(bytes(called.event))["ext:note"] == "Käse"
            for index in (2, 99):
                with pytest.raises(NotFoundError, match="has 2 events"):
                    await ledger.events_at(first.id.hex(), index)
            with pytest.raises(NotFoundError, match="no executed transaction"):
                await ledger.events_at("ab" * 32, None)
            with pytest.raises(NotFoundError, match="no event with eventID"):
                await ledger.events_called("urn:x:2")

    asyncio.run(scenario())


def test_an_item_is_found_by_a_date_that_only_the_event_as_sent_has(stores: Stores) -> None:
    """Its expiry, read from the chain."""
    made = {
        "type": "ObjectEvent",
        "eventTime": "2025-10-01T08:00:00.000+02:00",
        "eventTimeZoneOffset": "+02:00",
        "action": "ADD",
        "bizStep": "commissioning",
        "quantityList": [{"epcClass": "https://id.gs1.org/01/09520001000003/10/A1", "quantity": 5, "uom": "KGM"}],
        "ilmd": {"cbvmda:itemExpirationDate": "2026-03-12"},
    }
    other = made | {"ilmd": {"cbvmda:itemExpirationDate": "2026-03-13"}}
    other["quantityList"] = [{"epcClass": "https://id.gs1.org/01/09520001000003/10/A2", "quantity": 5, "uom": "KGM"}]
    stores.execute(build_capture(stores.genesis, json.dumps(other).encode(), json.dumps(made).encode()))
    service = QueryService(stores.index.reader, None, event_as_sent(stores.chain))
    (found,) = service.find(FindRequest(text="A?", date="260312")).found
    assert found.code == "A1"
    assert found.reasons[-1] == "itemExpirationDate 2026-03-12"


def test_a_block_names_exactly_the_transactions_that_it_newly_covers(stores: Stores) -> None:
    """Its own batches, not those of the blocks below."""
    first, second, third = (build_transaction(stores.genesis, nonce=nonce) for nonce in range(3))
    stores.execute(first)
    stores.execute(second, third, seq=1)

    async def scenario() -> None:
        with ThreadPoolExecutor(1) as executor:
            ledger = LedgerQueries(stores.chain, stores.index, QuestionPool(executor))
            newest = await ledger.block(None)
            assert (newest.height, newest.transactions) == (2, (second.id.hex(), third.id.hex()))
            assert (await ledger.block(1)).transactions == (first.id.hex(),)
            assert newest.parent == (await ledger.block(1)).digest
            assert newest.state_digest == stores.index.state_digest.hex()
            for height in (0, 3):
                with pytest.raises(NotFoundError, match="no executed block"):
                    await ledger.block(height)

    asyncio.run(scenario())


def test_a_submission_is_accepted_when_durable_and_final_when_executed(stores: Stores) -> None:
    """Each promise at its own moment; in between tx.get says accepted, with the holders."""

    async def scenario() -> None:
        engine, pending = FakeEngine(), Pending()
        transactions = build_transactions(stores, engine, pending)
        signed = build_transaction(stores.genesis)
        accepted = transactions.submit(signed.encode(), wait=Wait.ACCEPTED)
        final = transactions.submit(build_transaction(stores.genesis, nonce=1).encode(), wait=Wait.FINAL)
        await asyncio.sleep(0)
        assert not accepted.done()
        with pytest.raises(NotFoundError):
            transactions.get(signed.id.hex())
        batch = build_batch(stores.genesis, signed)
        for _, future in engine.submitted:
            future.set_result(batch.tip)
        assert (await accepted).state == "accepted"
        answered = transactions.get(signed.id.hex())
        assert (answered.state, answered.holders, answered.seq) == ("accepted", 2, 0)
        assert not final.done()
        write_set = stores.execute(signed, engine.submitted[1][0][0])
        pending.on_executed(write_set.height, write_set.transactions)
        result = await final
        assert (result.state, result.verdict, result.height, result.position) == ("final", "accepted", 1, 1)
        assert transactions.get(signed.id.hex()).state == "final"
        assert len(pending) == 0

    asyncio.run(scenario())


def test_a_final_that_takes_too_long_says_that_it_stays_accepted(stores: Stores) -> None:
    """Nothing is withdrawn; the waiting is forgotten."""

    async def scenario() -> None:
        engine, pending = FakeEngine(), Pending()
        signed = build_transaction(stores.genesis).encode()
        answer = build_transactions(stores, engine, pending).submit(signed, wait=Wait.FINAL)
        engine.submitted[0][1].set_result(build_batch(stores.genesis, *engine.submitted[0][0]).tip)
        with pytest.raises(RequestError, match="accepted, and not final") as caught:
            await answer
        assert caught.value.code == "not_final_in_time"
        assert len(pending) == 1

    asyncio.run(scenario())


def test_what_the_engine_refuses_or_drops_reaches_who_asked(stores: Stores) -> None:
    """And is not remembered as accepted."""

    async def scenario() -> None:
        engine, pending = FakeEngine(), Pending()
        transactions = build_transactions(stores, engine, pending)
        first, second = (build_transaction(stores.genesis, nonce=nonce).encode() for nonce in range(2))
        refused, dropped = transactions.submit(first, wait=Wait.FINAL), transactions.submit(second, wait=Wait.FINAL)
        engine.submitted[0][1].set_exception(BusyError("full"))
        engine.submitted[1][1].cancel()
        with pytest.raises(BusyError):
            await refused
        with pytest.raises(asyncio.CancelledError):
            await dropped
        assert len(pending) == 0

    asyncio.run(scenario())


def spoiled(genesis: Genesis) -> list[tuple[bytes, str]]:
    actor, stranger = build_key("actor-0"), SigningKey(bytes(32))
    good = build_transaction(genesis, actor=actor)
    forged = SignedTransaction(good.transaction, good.encoded, bytes(64), good.id)
    return [
        (b"", "malformed_transaction"),
        (good.encode()[:-1], "malformed_transaction"),
        (good.encode() + b"\0", "malformed_transaction"),
        (build_transaction(genesis, member="firm-1").encode(), "wrong_member"),
        (build_transaction(genesis, actor=stranger).encode(), "actor_unknown"),
        (forged.encode(), "bad_signature"),
        (build_transaction(build_genesis(validators=5), actor=actor).encode(), "bad_signature"),
        (build_transaction(genesis, created_ms=CREATED_MS - 86_400_001).encode(), "expired"),
        (build_transaction(genesis, created_ms=CREATED_MS + 86_400_001).encode(), "expired"),
    ]


def test_what_no_validator_would_take_is_refused_at_the_door(stores: Stores) -> None:
    """Undecodable, another member's, an unknown actor's, forged, another network's, too old, too new."""

    async def scenario() -> None:
        engine = FakeEngine()
        transactions = build_transactions(stores, engine)
        for signed, code in spoiled(stores.genesis):
            with pytest.raises(RequestError) as caught:
                transactions.submit(signed, wait=Wait.ACCEPTED)
            assert (caught.value.code, caught.value.field) == (code, "params.signed")
        assert engine.submitted == []
        good = build_transaction(stores.genesis, actor=build_key("actor-0"))
        transactions.submit(good.encode(), wait=Wait.ACCEPTED)
        assert engine.submitted[0][0] == (good,)

    asyncio.run(scenario())


def test_more_than_the_node_can_remember_is_refused_as_busy(stores: Stores) -> None:
    """A network that stands still must not fill the memory."""

    async def scenario() -> None:
        engine, pending = FakeEngine(), Pending()
        signed = build_transaction(stores.genesis)
        tip = build_batch(stores.genesis, signed).tip
        pending.add((Digest(number.to_bytes(32, "big")) for number in range(PENDING_MAX)), tip)
        with pytest.raises(BusyError):
            build_transactions(stores, engine, pending).submit(signed.encode(), wait=Wait.ACCEPTED)

    asyncio.run(scenario())


def test_after_a_restart_what_was_accepted_is_still_known(stores: Stores) -> None:
    """Read from the own feed above what is executed."""
    executed = build_transaction(stores.genesis)
    stores.execute(executed)
    waiting = build_transaction(stores.genesis, nonce=1)
    assert stores.tip is not None
    batch = build_batch(stores.genesis, waiting, seq=1, previous=stores.tip.digest)
    stores.chain.commit(ChainWrite(batches=[batch], finals=[], certificates=[]), START_POSITION)
    pending = recall(stores.chain, stores.index, MemberId("firm-0"), stores.genesis.network_id).pending
    assert pending.find(waiting.id) == batch.tip
    assert pending.find(executed.id) is None
    assert pending.lapsed == 0


class AcceptingEngine(FakeEngine):
    """Accepts at once, as many submissions as it is told."""

    def __init__(self, genesis: Genesis, *, submissions_max: int = 1_000) -> None:
        super().__init__()
        self._genesis = genesis
        self._left = submissions_max

    def submit(self, transactions: tuple[SignedTransaction, ...]) -> asyncio.Future[FeedTip]:
        future = super().submit(transactions)
        self._left -= 1
        if self._left < 0:
            future.set_exception(RequestError("feed_full", "the feed is full"))
        else:
            future.set_result(build_batch(self._genesis, transactions[0]).tip)
        return future


def build_captures(stores: Stores, engine: FakeEngine, executor: ThreadPoolExecutor, on_the_way: OnTheWay) -> Captures:
    return Captures(
        build_transactions(stores, engine),
        stores.index,
        stores.genesis,
        MemberId("firm-0"),
        on_the_way=on_the_way,
        clock=FixedClock(),
        executor=executor,
    )


def test_a_document_sent_twice_is_recognised_before_the_first_is_final(stores: Stores) -> None:
    """Between accepted and executed the index does not know the events yet."""

    async def scenario() -> None:
        with ThreadPoolExecutor(1) as executor:
            engine, on_the_way = AcceptingEngine(stores.genesis), OnTheWay()
            captures = build_captures(stores, engine, executor, on_the_way)
            first = await captures.capture(build_document(3), wait=Wait.ACCEPTED)
            assert (first.state, first.counts.accepted) == ("accepted", 3)
            again = await captures.capture(build_document(4), wait=Wait.ACCEPTED)
            assert (again.counts.duplicate, again.counts.accepted) == (3, 1)
            nothing = await captures.capture(build_document(3), wait=Wait.ACCEPTED)
            assert (nothing.state, nothing.counts.duplicate, nothing.transactions) == ("nothing", 3, ())
            write_set = stores.execute(*engine.submitted[0][0])
            on_the_way.on_executed(write_set)
            assert not any(on_the_way.find(digest) for _, digest in write_set.event_digests)
            known = await captures.capture(build_document(3), wait=Wait.ACCEPTED)
            assert known.counts.duplicate == 3

    asyncio.run(scenario())


def test_a_long_document_goes_to_the_feed_in_parts(stores: Stores) -> None:
    """And what was entered before the feed was full is said, and recognised when it comes again."""

    async def scenario() -> None:
        with ThreadPoolExecutor(1) as executor:
            engine = AcceptingEngine(stores.genesis, submissions_max=1)
            captures = build_captures(stores, engine, executor, OnTheWay())
            document = build_document(100 * PART_TRANSACTIONS_MAX + 1)
            with pytest.raises(BusyError, match=f"only {PART_TRANSACTIONS_MAX} of {PART_TRANSACTIONS_MAX + 1}"):
                await captures.capture(document, wait=Wait.ACCEPTED)
            assert [len(transactions) for transactions, _ in engine.submitted] == [PART_TRANSACTIONS_MAX, 1]

    asyncio.run(scenario())
