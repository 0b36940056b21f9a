"""Evidence that the engine met is brought onto the ledger once, by whoever may."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from consensus.types import Digest
from node.app.evidence import BROUGHT_MAX, EvidenceReporter
from node.errors import RequestError
from node.ledger.evidence import decode_evidence
from node.ledger.genesis import Genesis
from node.ledger.transaction import Kind, SignedTransaction
from node.replica.effects import ReportEvidence
from node.storage.chain import ChainStore, ChainWrite, create_chain, open_chain
from node.storage.execution import execute_block
from node.storage.index import IndexStore, create_index, open_index
from node.storage.vote_records import START_POSITION
from node.wire.ids import FeedTip, MemberId
from tests.support.chains import ChainBuilder
from tests.support.clocks import FixedClock
from tests.support.networks import build_batch, build_genesis, build_transaction


class Node:
    """A member's stores and feed."""

    def __init__(self, genesis: Genesis, chain: ChainStore, index: IndexStore) -> None:
        self.genesis, self.chain, self.index = genesis, chain, index
        self.submitted: list[SignedTransaction] = []
        self.refusal: RequestError | None = None

    def submit(self, transactions: tuple[SignedTransaction, ...]) -> asyncio.Future[FeedTip]:
        future: asyncio.Future[FeedTip] = asyncio.get_running_loop().create_future()
        if self.refusal is not None:
            future.set_exception(self.refusal)
        else:
            self.submitted.extend(transactions)
            future.set_result(build_batch(self.genesis, *transactions).tip)
        return future

    def reporter(self, member: str = "firm-0") -> EvidenceReporter:
        return EvidenceReporter(self.submit, self.chain, self.index, MemberId(member), FixedClock())

    def meet_fork(self, seq: int = 0, *, is_stored: bool = True) -> ReportEvidence:
        """Two batches of firm-3 for one place of its feed."""
        batches = [
            build_batch(
                self.genesis,
                build_transaction(self.genesis, member="firm-3", nonce=nonce),
                member="firm-3",
                seq=seq,
                previous=Digest(bytes(32)) if seq == 0 else Digest(b"\1" * 32),
            )
            for nonce in (1, 2)
        ]
        if is_stored:
            self.chain.commit(ChainWrite(batches=batches), START_POSITION)
        return ReportEvidence(MemberId("firm-3"), batches[0].tip, batches[1].tip)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    genesis = build_genesis(validators=4, observers=1)
    create_chain(tmp_path / "chain", genesis)
    create_index(tmp_path / "index", genesis)
    chain, index = open_chain(tmp_path / "chain", genesis), open_index(tmp_path / "index", genesis)
    yield Node(genesis, chain, index)
    index.close()
    chain.close()


def test_evidence_is_brought_once(node: Node) -> None:
    """Met again, in any order, it is known."""

    async def scenario() -> None:
        reporter, met = node.reporter(), node.meet_fork()
        assert reporter.bring(met)
        assert not reporter.bring(met)
        assert not reporter.bring(ReportEvidence(met.member, met.second, met.first))
        assert reporter.bring(node.meet_fork(seq=1))

    asyncio.run(scenario())
    first, _ = node.submitted
    assert (first.transaction.kind, first.transaction.member) == (Kind.EVIDENCE, "firm-0")
    assert decode_evidence(first.transaction.payload).find_signer(node.genesis.roster) == "firm-3"


def test_evidence_that_stands_on_the_ledger_is_not_brought_again(node: Node) -> None:
    """Whoever brought it: the index knows."""

    async def scenario() -> None:
        met = node.meet_fork()
        assert node.reporter().bring(met)
        (signed,) = node.submitted
        batch = build_batch(node.genesis, signed)
        block = ChainBuilder(node.genesis).finalize(node.chain, batch)
        write_set = execute_block(node.index, block, (batch,))
        assert len(write_set.evidence) == 1
        assert not node.reporter("firm-1").bring(met)

    asyncio.run(scenario())


def test_an_observer_brings_nothing(node: Node) -> None:
    """It has no feed."""

    async def scenario() -> None:
        assert not node.reporter("firm-4").bring(node.meet_fork())
        assert not node.reporter("dairy").bring(node.meet_fork())

    asyncio.run(scenario())
    assert node.submitted == []


def test_evidence_whose_batches_are_gone_is_not_brought(node: Node) -> None:
    """Half of it proves nothing."""

    async def scenario() -> None:
        assert not node.reporter().bring(node.meet_fork(is_stored=False))

    asyncio.run(scenario())


def test_evidence_that_was_not_taken_is_brought_when_it_is_met_again(node: Node) -> None:
    """A full feed refuses for a while."""

    async def scenario() -> None:
        reporter, met = node.reporter(), node.meet_fork()
        node.refusal = RequestError("busy", "later")
        assert reporter.bring(met)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        node.refusal = None
        assert reporter.bring(met)
        assert len(node.submitted) == 1

    asyncio.run(scenario())


def test_a_node_that_misbehaves_without_end_fills_no_memory(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many misdeeds are brought in one run, and no more."""
    assert BROUGHT_MAX == 1_024
    monkeypatch.setattr("node.app.evidence.BROUGHT_MAX", 2)

    async def scenario() -> None:
        reporter = node.reporter()
        assert [reporter.bring(node.meet_fork(seq=seq)) for seq in range(4)] == [True, True, False, False]

    asyncio.run(scenario())
