"""`python -m bench`: measure all of it on this machine and print one table, with the machine's own limits beside.

Absolute figures are this machine's; what compares is the ratio to its signature checks, its disk syncs and SQLite.
"""

import argparse
import asyncio
import json
import platform
import sys
from pathlib import Path
from typing import Final

import msgspec

from bench.core import CoreFigures, measure_latency, measure_load
from bench.flags import measure_flags
from bench.index import measure_index
from bench.network import (
    NODES,
    Localnet,
    cpu_seconds,
    hundred_event_payloads,
    idle_share,
    latencies,
    run_localnet,
    single_event_payloads,
    throughput,
)
from bench.primitives import sync_milliseconds, verifications_per_second

STEADY_PER_SECOND: Final = 500
"""A rate that is the same in each run, so that its figures compare from run to run."""
SECONDS: Final = 6

CORE_BLOCKS: Final = {4: 100, 7: 50, 13: 20, 31: 6}
"""How many validators the core is measured with, and for how many blocks."""
DELAYS_MS: Final = (1.0, 25.0)
"""One way between two validators: in one place, and across a continent."""


def _line(what: str, figure: str) -> None:
    print(f"{what:<68}{figure:>24}", flush=True)


def _percentile(values: list[float], share: float) -> float:
    return values[min(len(values) - 1, int(len(values) * share))]


class _Cpu:
    """What each node took of the processors since this was made."""

    def __init__(self, net: Localnet) -> None:
        self._net = net
        self._before = cpu_seconds(net)

    def us_each(self, count: int) -> float:
        """Return microseconds a node for each of `count` things, and print them."""
        each = (cpu_seconds(self._net) - self._before) / NODES / count * 1e6
        _line("    processor time for each, a node", f"{each:.0f} us")
        return each


async def _measure_load(net: Localnet, figures: dict[str, float], name: str, rate: float) -> None:
    """Submit one by one at `rate` a second for six seconds, and print how long each took to be final."""
    cpu = _Cpu(net)
    taken = await latencies(net, rate=rate, count=int(rate * SECONDS))
    figures[f"{name}_p50_ms"], figures[f"{name}_p95_ms"] = _percentile(taken, 0.5), _percentile(taken, 0.95)
    _line(
        f"final after submission at {name.replace('_', ' ')} ({rate:.0f} /s), p50 / p95",
        f"{figures[f'{name}_p50_ms']:.0f} / {figures[f'{name}_p95_ms']:.0f} ms",
    )
    figures[f"{name}_cpu_us"] = cpu.us_each(len(taken))


async def _measure_network(submissions: int, transactions: int) -> dict[str, float]:
    figures: dict[str, float] = {}
    async with run_localnet() as net:
        figures["idle_cpu_percent"] = await idle_share(net)
        _line("processor time of an idle node", f"{figures['idle_cpu_percent']:.1f} %")
        idle = await latencies(net, rate=0, count=40)
        figures["idle_p50_ms"], figures["idle_p95_ms"] = _percentile(idle, 0.5), _percentile(idle, 0.95)
        _line(
            "final after submission, idle network, p50 / p95",
            f"{figures['idle_p50_ms']:.0f} / {figures['idle_p95_ms']:.0f} ms",
        )
        share = submissions // NODES
        cpu = _Cpu(net)
        figures["submissions_per_second"] = await throughput(
            net, [single_event_payloads(share, chain=800_000 + number) for number in range(NODES)]
        )
        _line(
            "submissions of one event, each with an actor's signature, final on all 4",
            f"{figures['submissions_per_second']:.0f} /s",
        )
        figures["submission_cpu_us"] = cpu.us_each(share * NODES)
        await _measure_load(net, figures, "steady_load", STEADY_PER_SECOND)
        await _measure_load(net, figures, "half_load", figures["submissions_per_second"] / 2)
        share = transactions // NODES
        cpu = _Cpu(net)
        rate = await throughput(
            net, [hundred_event_payloads(share, first_chain=100_000 * (number + 1)) for number in range(NODES)]
        )
        figures["events_per_second"] = rate * 100
        _line("events at 100 a transaction, executed on all 4", f"{rate * 100:.0f} /s")
        figures["event_cpu_us"] = cpu.us_each(share * NODES * 100)
    return figures


def _measure_core(sync_ms: float) -> list[dict[str, object]]:
    """Measure the core alone at each size, with and without signatures, and how long a block takes to be final."""
    found: list[dict[str, object]] = []
    for size, blocks in CORE_BLOCKS.items():
        real: CoreFigures = measure_load(size, blocks=blocks, is_real=True)
        bare: CoreFigures = measure_load(size, blocks=blocks, is_real=False)
        latency = [measure_latency(size, blocks=5, delay_ms=delay, sync_ms=sync_ms) for delay in DELAYS_MS]
        _line(
            f"core, {size} validators: processor time a final block / without Ed25519",
            f"{real.cpu_ms:.2f} / {bare.cpu_ms:.2f} ms",
        )
        _line(
            "    views a second / without Ed25519",
            f"{real.views_per_second:.0f} / {bare.views_per_second:.0f} /s",
        )
        _line(
            f"    messages a second, {real.messages:.0f} a view / without Ed25519",
            f"{real.messages_per_second:.0f} / {bare.messages_per_second:.0f} /s",
        )
        _line(
            f"    final after work, syncs as above, {DELAYS_MS[0]:.0f} / {DELAYS_MS[1]:.0f} ms one way, p50",
            f"{latency[0]:.1f} / {latency[1]:.1f} ms",
        )
        found.append({"real": msgspec.to_builtins(real), "bare": msgspec.to_builtins(bare), "latency_ms": latency})
    return found


def main() -> int:
    """Measure, print, and write `bench/results/latest.json`."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--events", type=int, default=100_000, help="events of the index and trace figures")
    parser.add_argument("--submissions", type=int, default=12_000, help="submissions of the throughput figure")
    parser.add_argument("--transactions", type=int, default=400, help="transactions of 100 events")
    parser.add_argument("--only", choices=["core", "network", "index", "flags"], help="measure this part alone")
    options = parser.parse_args()
    figures: dict[str, object] = {"python": sys.version.split()[0], "machine": platform.machine()}
    one, two = verifications_per_second(threads=1), verifications_per_second(threads=2)
    sync_p50, sync_p99 = sync_milliseconds()
    figures["verifications_per_second"] = [one, two]
    figures["sync_ms"] = [sync_p50, sync_p99]
    _line("this machine: Ed25519 verifications, one thread / two", f"{one:.0f} / {two:.0f} /s")
    _line("this machine: fdatasync of 256 bytes, p50 / p99", f"{sync_p50:.1f} / {sync_p99:.1f} ms")
    if options.only in (None, "core"):
        figures["core"] = _measure_core(sync_p50)
    if options.only in (None, "network"):
        figures["network"] = asyncio.run(_measure_network(options.submissions, options.transactions))
    if options.only in (None, "flags"):
        flags = measure_flags(events=options.events)
        figures["flags"] = msgspec.to_builtins(flags)
        _line(f"flags, a step behind each block, one core, {flags.events} events", f"{flags.behind_each_block:.0f} /s")
        _line(f"flags, catching up: {flags.flags} of them", f"{flags.catching_up:.0f} /s")
        _line(f"flags, hardly a lot adds up: {flags.unsound_flags} of them", f"{flags.unsound:.0f} /s")
    if options.only in (None, "index"):
        index = measure_index(events=options.events)
        figures["index"] = msgspec.to_builtins(index)
        _line(f"execution with index, one core, {index.events} events", f"{index.execute_per_second:.0f} /s")
        _line("reindex", f"{index.reindex_per_second:.0f} /s")
        _line("SQLite: the same events inserted, edges only", f"{index.sqlite_per_second:.0f} /s")
        for figure in index.traces:
            _line(f"trace back, {figure.items} items, p50 (the whole answer)", f"{figure.trace_ms:.2f} ms")
            _line(
                f"SQLite recursive query, {figure.sqlite_items} items, p50 (ids and rows)", f"{figure.sqlite_ms:.2f} ms"
            )
    folder = Path(__file__).parent / "results"
    folder.mkdir(exist_ok=True)
    (folder / "latest.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
