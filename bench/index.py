"""Execution, index, reindex and trace in one process, on real stores, beside SQLite with the same events."""

import gc
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bench.sqlite import SqliteTrace
from bench.stores import build_network, seal_batches, store_and_execute
from bench.synthetic import Chain, build_chains
from node.app.run import COLLECTOR_THRESHOLDS
from node.lineage.trace import Direction, Question, trace
from node.storage.chain import create_chain, open_chain
from node.storage.index import IndexStore, create_index, open_index
from node.storage.reindex import reindex


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
    batches = list(seal_batches(genesis, key, rows))
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
            seconds = store_and_execute(chain_store, index, genesis, batches)
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
