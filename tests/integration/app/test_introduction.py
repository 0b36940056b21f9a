"""A member's first entry, made by its node; and readings by the parameters of the height asked about."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from consensus.messages import FLAG_EPOCH_END
from consensus.types import Digest, Epoch, Height, View
from node.app.introduction import Introducer
from node.app.readings import ReadingsByHeight
from node.errors import RequestError
from node.ledger.changes import SetParameters
from node.ledger.genesis import Genesis
from node.ledger.governance import Request, encode_reference
from node.ledger.roster import Parameters
from node.ledger.transaction import Kind, SignedTransaction
from node.lineage.readings import Readings
from node.replica.overview import Overview
from node.storage.chain import ChainStore, create_chain, open_chain
from node.storage.execution import execute_block
from node.storage.index import IndexStore, create_index, open_index
from node.wire.ids import FeedTip, MemberId
from tests.support.chains import ChainBuilder
from tests.support.clocks import FixedClock
from tests.support.networks import build_batch, build_genesis, build_key, build_transaction


class Node:
    """A chain with its index, and an engine that takes what is submitted, or does not."""

    def __init__(self, genesis: Genesis, chain: ChainStore, index: IndexStore) -> None:
        self.genesis, self.chain, self.index = genesis, chain, index
        self.builder = ChainBuilder(genesis)
        self.submitted: list[SignedTransaction] = []
        self.refusal: RequestError | None = None
        self.sync_target: Height | None = None

    def overview(self) -> Overview:
        return Overview(
            epoch=Epoch(0),
            view=View(1),
            leader=MemberId("firm-0"),
            final_height=Height(0),
            final_digest=Digest(bytes(32)),
            executed_height=Height(0),
            sync_target=self.sync_target,
            peers=(),
            feeds=(),
            uncut_batches=0,
            open_requests=0,
            waiting_for=None,
        )

    def submit(self, transactions: tuple[SignedTransaction, ...]) -> asyncio.Future[FeedTip]:
        future: asyncio.Future[FeedTip] = asyncio.get_running_loop().create_future()
        if self.refusal is not None:
            future.set_exception(self.refusal)
        else:
            self.submitted.extend(transactions)
            future.set_result(build_batch(self.genesis, *transactions, member="firm-4").tip)
        return future

    def introducer(self, member: str, key_of: str | None = None) -> Introducer:
        key = build_key(key_of or member).public_key
        return Introducer(self, self.index, MemberId(member), key, FixedClock())

    def execute(self, *signed: SignedTransaction, **changes: object) -> None:
        batches = [build_batch(self.genesis, one, member=one.transaction.member) for one in signed]
        block = self.builder.finalize(self.chain, *batches, **changes)
        execute_block(self.index, block, batches)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    genesis = build_genesis(validators=4, members=1, observers=1)
    create_chain(tmp_path / "chain", genesis)
    create_index(tmp_path / "index", genesis)
    chain, index = open_chain(tmp_path / "chain", genesis), open_index(tmp_path / "index", genesis)
    yield Node(genesis, chain, index)
    index.close()
    chain.close()


def test_a_member_with_an_empty_feed_enters_nothing_once(node: Node) -> None:
    """Then others see that its node runs."""

    async def scenario() -> None:
        introducer = node.introducer("firm-4")
        assert introducer.look()
        assert not introducer.look()

    asyncio.run(scenario())
    (noop,) = node.submitted
    assert (noop.transaction.kind, noop.transaction.member, noop.transaction.payload) == (Kind.NOOP, "firm-4", b"")


@pytest.mark.parametrize(
    ("member", "key_of"), [("firm-0", None), ("firm-5", None), ("dairy", None), ("firm-4", "another key")]
)
def test_who_has_no_reason_or_no_right_enters_nothing(node: Node, member: str, key_of: str | None) -> None:
    """A validator, an observer, a stranger, and a node whose key is not in force."""

    async def scenario() -> None:
        assert not node.introducer(member, key_of).look()

    asyncio.run(scenario())
    assert node.submitted == []


def test_a_member_that_has_entered_something_or_is_behind_enters_nothing(node: Node) -> None:
    """What it entered on another machine is known once it has caught up."""

    async def scenario() -> None:
        node.sync_target = Height(9)
        assert not node.introducer("firm-4").look()
        node.sync_target = None
        node.execute(build_transaction(node.genesis, member="firm-4"))
        assert not node.introducer("firm-4").look()

    asyncio.run(scenario())
    assert node.submitted == []


def test_what_was_not_taken_is_tried_again(node: Node) -> None:
    """A node that rejoins takes nothing for a while."""

    async def scenario() -> None:
        introducer = node.introducer("firm-4")
        node.refusal = RequestError("busy", "later")
        assert introducer.look()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        node.refusal = None
        assert introducer.look()

    asyncio.run(scenario())
    assert len(node.submitted) == 1


def test_a_question_about_an_earlier_height_is_read_as_it_was_then(node: Node) -> None:
    """The same answer at the same height, whatever was voted since."""
    change = SetParameters(Parameters(clock_tolerance_ms=5, contact_window_hours=8, inbound_steps=("urn:x:landing",)))
    proposal = build_transaction(
        node.genesis, member="firm-0", kind=Kind.PROPOSE, payload=Request((change,), "").encode()
    )
    approvals = [
        build_transaction(node.genesis, member=member, kind=Kind.APPROVE, payload=encode_reference(proposal.id))
        for member in ("firm-1", "firm-2")
    ]
    node.execute(proposal, *approvals)
    with node.index.reader() as reader:
        due = reader.governance.due_digest
    node.execute(flags=FLAG_EPOCH_END, executed_height=Height(1), next_epoch_digest=due)
    readings = ReadingsByHeight(node.index)
    then, now = readings.at(Height(1)), readings.at(Height(2))
    assert readings.at(Height(0)) == then == Readings()
    assert (then.clock_tolerance_ms, now.clock_tolerance_ms) == (900_000, 5)
    assert (then.contact_window_ms, now.contact_window_ms) == (24 * 3_600_000, 8 * 3_600_000)
    assert now.inbound_steps == then.inbound_steps | {"urn:x:landing"}
