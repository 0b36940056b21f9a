"""`python -m bench.trace`: closures and traces of a generated food network in a node's stores, beside what else walks.

The same runs stand in our index, in SQLite and DuckDB files, in a PostgreSQL server of its own and in an in-memory
graph. All are asked for the same closures, answered with the code and the quantity of each lot, and must find the same
lots; what our answer has beyond that (units around goods) is left out of the comparison, not of our time. Cold: the
first time in a fresh process, after the system was asked to forget the files; warm: after that. Absolute figures are
this machine's: ratios compare.
"""

import argparse
import asyncio
import gc
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from bench.foodnet import Event, Made, Network, World, ends_of
from bench.peers import Edges, Walk, edges_of, find_postgres, open_duckdb, open_postgres, open_rustworkx, open_sqlite
from bench.stores import build_network, seal_batches, store_and_execute
from bench.trace_rpc import measure_rpc
from node.app.run import COLLECTOR_THRESHOLDS
from node.lineage.trace import Direction
from node.query.service import QueryService
from node.storage.chain import create_chain, open_chain
from node.storage.index import create_index, open_index
from node.storage.stores import StorePaths, open_stores
from node.storage.vote_log import create_vote_log

SIZES: Final = {"small": (4, 6), "medium": (40, 28), "large": (2_000, 57)}
"""Lots a layer and layers of the worlds asked about, with closures of about 20, 1,000 and 100,000 lots."""
FILLERS: Final = ((4, 6), (40, 28), (4, 6), (12, 9))
WARM_RUNS: Final = {"small": 101, "medium": 41, "large": 7}
TRACE_RUNS: Final = {"small": 41, "medium": 7, "large": 1}
_HERE: Final = Path(__file__).resolve().parents[1]


@dataclass(slots=True)
class Figure:
    """One question to one system. Times in milliseconds; found: digest of the codes of the lots found."""

    size: str
    direction: str
    lots: int
    cold_ms: float
    p50_ms: float
    p95_ms: float
    found: str


@dataclass(slots=True)
class Figures:
    """All of one system. open_s: until the first question can be asked. rss_mb: most memory of the process then."""

    system: str
    open_s: float | None = None
    rss_mb: int | None = None
    questions: list[Figure] = field(default_factory=list)


def _rss_mb() -> int:
    """Return the most memory that this process held (proc(5), status), or now holds where the system does not say."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines())
    return int(fields.get("VmHWM", fields["VmRSS"]).split()[0]) // 1024


def _digest(codes: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(sorted(codes)).encode()).hexdigest()[:12]


def _measure(ask: Callable[[], list[str]], runs: int) -> tuple[list[str], float, float, float]:
    """Return what was found, and the time of the first run, the median and the 95th percentile of the others."""
    begin = time.perf_counter()
    found = ask()
    cold = (time.perf_counter() - begin) * 1000
    taken: list[float] = []
    for _ in range(runs):
        begin = time.perf_counter()
        found = ask()
        taken.append((time.perf_counter() - begin) * 1000)
    taken.sort()
    return found, cold, taken[len(taken) // 2], taken[min(len(taken) - 1, len(taken) * 95 // 100)]


def _ask_all(worlds: dict[str, World], ask: Callable[[str, bool], list[str]], runs: dict[str, int]) -> Iterator[Figure]:
    """Ask both ways of each world. ask: from a code, backward or not, to the codes of the lots found."""
    for size, world in worlds.items():
        for direction, code in (("back", world.last), ("forward", world.first)):
            is_back = direction == "back"
            found, cold, p50, p95 = _measure(partial(ask, code, is_back), runs[size])
            yield Figure(size, direction, len(found), cold, p50, p95, _digest(found))


def _events(network: Network, count: int, made: list[Made]) -> Iterator[Event]:
    """Yield the worlds that are asked about and then others, until there are about `count` events."""
    given, number = 0, 0
    asked = list(SIZES.values())
    while number < len(asked) or given < count:
        width, layers = asked[number] if number < len(asked) else FILLERS[number % len(FILLERS)]
        for event in network.world(number, width=width, layers=layers):
            given += 1
            yield event
        made += network.made
        network.made = []
        number += 1


def _asked() -> dict[str, World]:
    return {
        size: ends_of(number, width=width, layers=layers)
        for number, (size, (width, layers)) in enumerate(SIZES.items())
    }


def _paths(root: Path) -> StorePaths:
    return StorePaths(root / "chain", root / "index", root / "votes")


def _build(root: Path, count: int) -> tuple[Edges, int, float]:
    """Make the stores of a node with all events executed; return the edges, the events and how many a second."""
    genesis, key = build_network()
    paths, made = _paths(root), list[Made]()
    create_vote_log(paths.votes, network_id=genesis.network_id, public_key=key.public_key)
    create_chain(paths.chain, genesis)
    create_index(paths.index, genesis)
    chain, index = open_chain(paths.chain, genesis), open_index(paths.index, genesis)
    try:
        gc.collect()
        gc.freeze()
        gc.set_threshold(*COLLECTOR_THRESHOLDS)
        seconds = store_and_execute(chain, index, genesis, seal_batches(genesis, key, _events(Network(), count, made)))
        with index.reader() as reader:
            events = reader.count_executed()[1]
    finally:
        gc.unfreeze()
        index.close()
        chain.close()
    return edges_of(made), events, events / seconds


def _forget(folder: Path) -> None:
    """Ask the system to drop the files of a folder from its memory; it may not."""
    for file in folder.rglob("*"):
        if file.is_file():
            handle = os.open(file, os.O_RDONLY)
            try:
                os.fsync(handle)
                os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(handle)


def _child(system: str, root: Path, worlds: dict[str, World]) -> Figures:
    """Measure one system in this process, which has done nothing else."""
    begin = time.perf_counter()
    figures = Figures(system)
    with ExitStack() as opened:
        if system in ("Lotvine closure", "Lotvine trace"):
            genesis, key = build_network()
            stores = open_stores(_paths(root), genesis, public_key=key.public_key)
            opened.callback(stores.close)
            figures.open_s = time.perf_counter() - begin
            gc.collect()
            gc.freeze()
            gc.set_threshold(*COLLECTOR_THRESHOLDS)
            service = QueryService(stores.index.reader)
            ask, runs = (
                (_closure_of(service), WARM_RUNS) if system == "Lotvine closure" else (_trace_of(service), TRACE_RUNS)
            )
        else:
            open_file = open_sqlite if system == "SQLite" else open_duckdb
            walk = opened.enter_context(open_file(root / system.lower()))
            figures.open_s, ask, runs = time.perf_counter() - begin, _codes_of(walk), WARM_RUNS
        figures.questions = list(_ask_all(worlds, ask, runs))
        figures.rss_mb = _rss_mb()
    return figures


def _closure_of(service: QueryService) -> Callable[[str, bool], list[str]]:
    def ask(code: str, is_back: bool) -> list[str]:  # noqa: FBT001 - as Walk
        answer = service.closure(code, Direction.BACK if is_back else Direction.FORWARD)
        return [one.id for one in answer.items if not one.is_carrier]

    return ask


def _trace_of(service: QueryService) -> Callable[[str, bool], list[str]]:
    def ask(code: str, is_back: bool) -> list[str]:  # noqa: FBT001 - as Walk
        answer = service.trace(code, Direction.BACK if is_back else Direction.FORWARD)
        return [one.id for one in answer.items if one.role == "goods"]

    return ask


def _codes_of(walk: Walk) -> Callable[[str, bool], list[str]]:
    return lambda code, is_back: [row[0] for row in walk(code, is_back)]


def _in_child(system: str, root: Path, events: int) -> Figures:
    _forget(root)
    command = [sys.executable, "-m", "bench.trace", "--events", str(events), "--child", system, "--folder", str(root)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=_HERE, text=True)
    fields = json.loads(done.stdout)
    return Figures(**fields | {"questions": [Figure(**one) for one in fields["questions"]]})


def _in_process(system: str, opened: AbstractContextManager[Walk], worlds: dict[str, World]) -> Figures:
    with opened as walk:
        return Figures(system, questions=list(_ask_all(worlds, _codes_of(walk), WARM_RUNS)))


def _compare(root: Path, edges: Edges, events: int, *, traces: bool) -> Iterator[Figures]:
    """Yield each system's figures; say of one that is not to be had that it is not."""
    worlds = _asked()
    yield _in_child("Lotvine closure", root, events)
    if traces:
        yield _in_child("Lotvine trace", root, events)
    with open_sqlite(root / "sqlite", edges):
        pass
    yield _in_child("SQLite", root, events)
    try:
        with open_duckdb(root / "duckdb", edges):
            pass
        yield _in_child("DuckDB", root, events)
        yield _in_process("rustworkx", open_rustworkx(edges), worlds)
        programs = find_postgres()
        if programs is None:
            print("PostgreSQL: no server programs that can be started on this machine; not measured")
        else:
            yield _in_process("PostgreSQL", open_postgres(programs, edges), worlds)
    except ImportError as error:
        print(f"not measured, and what follows it: {error}; install the extra `bench`")


def _print(figures: Figures, lots: dict[tuple[str, str], tuple[int, str]]) -> bool:
    """Print one system; return whether it found the same lots as those before it."""
    notes = [] if figures.open_s is None else [f"ready after {figures.open_s:.2f} s"]
    notes += [] if figures.rss_mb is None else [f"{figures.rss_mb} MB"]
    print(f"\n{figures.system}{'  (' + ', '.join(notes) + ')' if notes else ''}")
    same = True
    for one in figures.questions:
        expected = lots.setdefault((one.size, one.direction), (one.lots, one.found))
        is_same = expected == (one.lots, one.found)
        same = same and is_same
        words = "" if is_same else f"   OTHER LOTS: {one.lots}, not {expected[0]}"
        print(
            f"  {one.direction:<8}{one.lots:>8} lots   cold {one.cold_ms:>9.2f} ms   "
            f"p50 {one.p50_ms:>9.2f}   p95 {one.p95_ms:>9.2f}{words}",
            flush=True,
        )
    return same


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.trace", description=__doc__)
    parser.add_argument("--events", type=int, default=100_000, help="about how many events: 100,000 or 1,000,000")
    parser.add_argument("--no-traces", action="store_true", help="measure closures alone, not whole answers")
    parser.add_argument("--no-rpc", action="store_true", help="start no node")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; write `bench/results/trace.json`. Return 1 if two systems found different lots."""
    options = _parse(arguments)
    if options.child:
        print(json.dumps(asdict(_child(options.child, options.folder, _asked()))))
        return 0
    lots: dict[tuple[str, str], tuple[int, str]] = {}
    same = True
    with tempfile.TemporaryDirectory(prefix="lotvine-bench-") as folder:
        root = Path(folder)
        edges, events, rate = _build(root, options.events)
        print(f"{events} events, {len(edges.items)} lots, {len(edges.edges)} edges; executed with index {rate:.0f} /s")
        results: list[object] = [{"events": events, "execute_per_second": rate}]
        for figures in _compare(root, edges, options.events, traces=not options.no_traces):
            same = _print(figures, lots) and same
            results.append(asdict(figures))
        if not options.no_rpc:
            results.append(asyncio.run(measure_rpc(SIZES["medium"])))
    print(f"\nall found {'the same lots' if same else 'OTHER LOTS, see above'}")
    out = Path(__file__).parent / "results"
    out.mkdir(exist_ok=True)
    (out / "trace.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
