"""What a capture that waits for the end is told: what took effect, whenever it was executed."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from consensus.types import Digest
from node.api.schema.transactions import TransactionResult, Wait
from node.app.backends.capture import PART_TRANSACTIONS_MAX, Captures, OnTheWay
from node.app.backends.transactions import Pending, Transactions
from node.intake.capture import EVENTS_PER_TRANSACTION
from node.intake.results import Verdict
from node.ledger.governance import genesis_governance
from node.ledger.transaction import SignedTransaction
from node.wire.ids import FeedTip, MemberId
from tests.support.app_stores import FakeEngine, Stores, build_document
from tests.support.clocks import FixedClock
from tests.support.networks import CREATED_MS, build_batch, build_transaction

DAYS_2_MS = 2 * 86_400_000


class WaitedFor(Pending):
    """Has all executed once someone waits."""

    def __init__(self, execute: Callable[[], None]) -> None:
        super().__init__()
        self._execute = execute

    def wait(self, transaction_id: Digest) -> asyncio.Future[TransactionResult]:
        asyncio.get_running_loop().call_soon(self._execute)
        return super().wait(transaction_id)


class Node(FakeEngine):
    """Accepts all at once; executes what it has before it accepts more, and when someone waits."""

    def __init__(self, stores: Stores) -> None:
        super().__init__()
        self.stores = stores
        self.pending, self.on_the_way, self.clock = WaitedFor(self.execute), OnTheWay(), FixedClock()
        self._executed = self._seq = 0

    def submit(self, transactions: tuple[SignedTransaction, ...]) -> asyncio.Future[FeedTip]:
        self.execute()
        future = super().submit(transactions)
        future.set_result(build_batch(self.stores.genesis, *transactions).tip)
        return future

    def drop(self) -> None:
        """Never execute what was accepted so far."""
        self._executed = len(self.submitted)

    def execute(self) -> None:
        while self._executed < len(self.submitted):
            self.run(*self.submitted[self._executed][0])
            self._executed += 1

    def run(self, *transactions: SignedTransaction) -> None:
        written = self.stores.execute(*transactions, seq=self._seq)
        self._seq += 1
        self.pending.on_executed(written.height, written.transactions)
        self.on_the_way.on_executed(written)


@dataclass
class Door:
    node: Node
    transactions: Transactions
    captures: Captures


@asynccontextmanager
async def open_door(stores: Stores) -> AsyncIterator[Door]:
    node = Node(stores)
    transactions = Transactions(
        node,
        stores.index,
        stores.genesis.network_id,
        MemberId("firm-0"),
        governance=lambda: genesis_governance(stores.genesis),
        pending=node.pending,
        clock=node.clock,
        final_wait_ms=2_000,
    )
    with ThreadPoolExecutor(1) as executor:
        yield Door(
            node,
            transactions,
            Captures(
                transactions,
                stores.index,
                stores.genesis,
                MemberId("firm-0"),
                on_the_way=node.on_the_way,
                clock=node.clock,
                executor=executor,
            ),
        )


@pytest.mark.parametrize(("offset_ms", "code"), [(-DAYS_2_MS, "expired"), (DAYS_2_MS, "too_early")])
def test_what_a_wrong_clock_makes_is_told_as_refused_and_can_be_entered_again(
    stores: Stores, offset_ms: int, code: str
) -> None:
    """The clock two days behind or ahead; put right, the same document is new."""

    async def scenario() -> None:
        async with open_door(stores) as door:
            door.node.run(build_transaction(stores.genesis))
            door.node.clock.now_ms = CREATED_MS + offset_ms
            refused = await door.captures.capture(build_document(3), wait=Wait.FINAL)
            assert (refused.state, refused.verdict) == ("final", Verdict.REJECTED)
            assert (refused.counts.accepted, refused.counts.rejected) == (0, 3)
            assert [final.verdict for final in refused.final] == [code]
            (error,) = refused.events[0].errors
            assert error.code == code
            assert "clock" in error.message
            assert "enter it again" in error.message
            assert len(door.node.on_the_way) == 0
            door.node.clock.now_ms = CREATED_MS
            again = await door.captures.capture(build_document(3), wait=Wait.FINAL)
            assert (again.verdict, again.counts.accepted, again.counts.duplicate) == (Verdict.ACCEPTED, 3, 0)

    asyncio.run(scenario())


def test_a_retry_names_and_waits_for_the_transaction_that_is_on_its_way(stores: Stores) -> None:
    """What a duplicate is a duplicate of may not be final yet; once it is, nothing need be named."""

    async def scenario() -> None:
        async with open_door(stores) as door:
            first = await door.captures.capture(build_document(2), wait=Wait.ACCEPTED)
            named = await door.captures.capture(build_document(2), wait=Wait.ACCEPTED)
            assert [(one.verdict, one.transaction, one.position) for one in named.events] == [
                (Verdict.DUPLICATE, first.transactions[0], position) for position in (0, 1)
            ]
            retry = await door.captures.capture(build_document(2), wait=Wait.FINAL)
            assert (retry.state, retry.counts.duplicate, retry.transactions) == ("nothing", 2, ())
            assert [(one.id, one.verdict) for one in retry.final] == [(first.transactions[0], "accepted")]
            known = await door.captures.capture(build_document(2), wait=Wait.FINAL)
            assert (known.counts.duplicate, known.final, known.events[0].transaction) == (2, (), None)

    asyncio.run(scenario())


def test_a_retry_of_what_the_network_then_refuses_is_told_so(stores: Stores) -> None:
    """It is no duplicate of anything."""

    async def scenario() -> None:
        async with open_door(stores) as door:
            door.node.run(build_transaction(stores.genesis))
            door.node.clock.now_ms = CREATED_MS - DAYS_2_MS
            await door.captures.capture(build_document(2), wait=Wait.ACCEPTED)
            retry = await door.captures.capture(build_document(2), wait=Wait.FINAL)
            assert (retry.verdict, retry.counts.rejected, retry.counts.duplicate) == (Verdict.REJECTED, 2, 0)

    asyncio.run(scenario())


def test_a_long_document_is_final_though_its_first_part_was_executed_before_its_last_was_accepted(
    stores: Stores,
) -> None:
    """A wait looks at what is executed already: no later block would wake it."""

    async def scenario() -> None:
        async with open_door(stores) as door:
            document = build_document(EVENTS_PER_TRANSACTION * PART_TRANSACTIONS_MAX + 1)
            answer = await door.captures.capture(document, wait=Wait.FINAL)
            assert len(door.node.submitted) == 2
            assert (answer.state, len(answer.final)) == ("final", PART_TRANSACTIONS_MAX + 1)
            assert {final.verdict for final in answer.final} == {"accepted"}
            assert len(door.node.on_the_way) == 0

    asyncio.run(scenario())
