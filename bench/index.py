"""Execution, index, reindex and trace in one process, on real stores, beside SQLite with the same events."""

import gc
import hashlib
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.network import capture_payload
from bench.sqlite import SqliteTrace
from bench.synthetic import Chain, build_chains
from consensus.messages import Block, Certificate, Header, Subject, VoteKind
from consensus.types import ZERO_DIGEST, Digest, Epoch, Height, ValidatorIndex, View
from node.app.run import COLLECTOR_THRESHOLDS
from node.crypto.keys import SigningKey
from node.crypto.merkle import merkle_root
from node.ledger.batch import Batch, decode_batch, seal_batch
from node.ledger.cut import cut_digest, encode_cut
from node.ledger.genesis import GENESIS_FORMAT, Genesis, GenesisDocument, GenesisMember, decode_genesis, encode_genesis
from node.ledger.roster import Role
from node.ledger.transaction import Kind, Transaction, sign_transaction
from node.lineage.trace import Direction, Question, trace
from node.storage.chain import ChainStore, ChainWrite, create_chain, open_chain
from node.storage.execution import execute_block
from node.storage.index import IndexStore, create_index, open_index
from node.storage.reindex import reindex
from node.wire.ids import FeedId, FeedNumber, MemberId, Seq

CREATED_MS: Final = 1_760_000_000_000
BATCHES_A_BLOCK: Final = 4
EVENTS_A_TRANSACTION: Final = 100
TRANSACTIONS_A_BATCH: Final = 10


@dataclass(frozen=True, slots=True)
class TraceFigure:
    """p50 in milliseconds of a backward trace, and of SQLite's recursive query over the same lots."""

    lots: int
    items: int
    trace_ms: float
    sqlite_items: int
    sqlite_ms: float


@dataclass(frozen=True, slots=True)
class IndexFigures:
    """Events a second of execution with the index, of reindex, of SQLite's inserts; traces; sizes in MB."""

    events: int
    execute_per_second: float
    reindex_per_second: float
    sqlite_per_second: float
    traces: tuple[TraceFigure, ...]


def build_network() -> tuple[Genesis, SigningKey]:
    """Return a network of one firm."""
    key = SigningKey(hashlib.sha256(b"bench").digest())
    member = GenesisMember(
        id="plant", name="Plant", role=Role.VALIDATOR, node_key=key.public_key.hex(), address="127.0.0.1:4000"
    )
    document = GenesisDocument(
        format=GENESIS_FORMAT, network="bench", incarnation=0, created_ms=CREATED_MS, members=(member,)
    )
    return decode_genesis(encode_genesis(document)), key


def build_batches(genesis: Genesis, key: SigningKey, events: Sequence[dict[str, object]]) -> list[Batch]:
    """Seal events into batches of 1,000."""
    feed = FeedId(MemberId("plant"), FeedNumber(0))
    payloads = [
        capture_payload(events[place : place + EVENTS_A_TRANSACTION])
        for place in range(0, len(events), EVENTS_A_TRANSACTION)
    ]
    batches: list[Batch] = []
    previous = ZERO_DIGEST
    for place in range(0, len(payloads), TRANSACTIONS_A_BATCH):
        signed = tuple(
            sign_transaction(
                Transaction(Kind.CAPTURE, feed.member, None, CREATED_MS, (place + i).to_bytes(16, "big"), payload),
                genesis.network_id,
                None,
            )
            for i, payload in enumerate(payloads[place : place + TRANSACTIONS_A_BATCH])
        )
        batch = seal_batch(
            network_id=genesis.network_id, feed=feed, seq=Seq(len(batches)), previous=previous,
            time_ms=CREATED_MS, transactions=signed, key=key,
        )  # fmt: skip
        previous = batch.digest
        batches.append(batch)
    return batches


def build_block(genesis: Genesis, parent: Digest, height: int, batches: Sequence[Batch]) -> Block:
    """Return the next block over these batches."""
    payload = encode_cut((batches[-1].tip,))
    return Block(
        Header(
            network_id=genesis.network_id, epoch=Epoch(0), height=Height(height), view=View(height),
            proposer=ValidatorIndex(0), parent_digest=parent, timestamp_ms=CREATED_MS + height,
            cut_digest=cut_digest(payload), batch_root=merkle_root([batch.digest for batch in batches]),
            history_root=ZERO_DIGEST, batch_count=len(batches),
            transaction_count=sum(len(batch.transactions) for batch in batches), executed_height=Height(height - 1),
            state_digest=genesis.state_digest, flags=0, next_epoch_digest=ZERO_DIGEST,
        ),
        payload,
    )  # fmt: skip


def _fill(chain: ChainStore, index: IndexStore, genesis: Genesis, batches: list[Batch]) -> float:
    """Store and execute blocks of four batches; return the seconds of decoding, execution and index alone."""
    parent = genesis.anchor_digest
    seconds = 0.0
    for place in range(0, len(batches), BATCHES_A_BLOCK):
        covered = batches[place : place + BATCHES_A_BLOCK]
        block = build_block(genesis, parent, place // BATCHES_A_BLOCK + 1, covered)
        parent = block.header.digest()
        subject = Subject(VoteKind.FINALIZE, Epoch(0), block.header.view, View(0), parent)
        write = ChainWrite(
            batches=list(covered),
            blocks=[block],
            finals=[(block, parent)],
            certificates=[(block.header.height, Certificate(subject, ()))],
        )
        chain.commit(write, chain.log_position())
        begin = time.perf_counter()
        decoded = [decode_batch(batch.encoded, genesis.network_id) for batch in covered]
        execute_block(index, block, decoded)
        seconds += time.perf_counter() - begin
    return seconds


def _p50(times: list[float]) -> float:
    return sorted(times)[len(times) // 2] * 1000


def _trace_figure(index: IndexStore, sqlite: SqliteTrace, chains: list[Chain], lots: int) -> TraceFigure:
    ours: list[float] = []
    theirs: list[float] = []
    items = found = 0
    for chain in chains:
        begin = time.perf_counter()
        with index.reader() as reader:
            items = len(trace(reader, Question(chain.last, Direction.BACK)).items)
        ours.append(time.perf_counter() - begin)
        begin = time.perf_counter()
        found = sqlite.back(chain.last)
        theirs.append(time.perf_counter() - begin)
    return TraceFigure(lots, items, _p50(ours), found, _p50(theirs))


def measure_index(*, events: int = 100_000) -> IndexFigures:
    """Return the figures over a set of about `events` events."""
    large = (1_700, 17_000)
    chains = list(build_chains(events=events, large_lots=large))
    rows = [event for chain in chains for event in chain.events]
    genesis, key = build_network()
    batches = build_batches(genesis, key, rows)
    with tempfile.TemporaryDirectory(prefix="lotvine-bench-") as folder:
        root = Path(folder)
        create_chain(root / "chain", genesis)
        create_index(root / "index", genesis)
        chain_store, index = open_chain(root / "chain", genesis), open_index(root / "index", genesis)
        sqlite = SqliteTrace(root / "sqlite")
        try:
            # As a node does; and what the benchmark itself holds is no part of what is measured.
            gc.collect()
            gc.freeze()
            gc.set_threshold(*COLLECTOR_THRESHOLDS)
            seconds = _fill(chain_store, index, genesis, batches)
            inserted = sqlite.load(chains)
            small = chains[len(large) : len(large) + 101]
            traces = tuple(
                _trace_figure(index, sqlite, picked, lots)
                for lots, picked in ((20, small), (large[0], chains[:1] * 5), (large[1], chains[1:2] * 3))
            )
            begin = time.perf_counter()
            reindex(chain_store, root / "again", genesis)
            again = time.perf_counter() - begin
        finally:
            gc.unfreeze()
            sqlite.close()
            index.close()
            chain_store.close()
    return IndexFigures(len(rows), len(rows) / seconds, len(rows) / again, inserted, traces)
