"""What the API adds: questions to a running node over HTTP, beside the same ones to an index in this process."""

import asyncio
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Final

from bench.foodnet import Event, Network, World, ends_of
from bench.network import Localnet, build_submissions, capture_payload, run_localnet, status_of
from bench.stores import build_network, seal_batches, store_and_execute
from node.api.client import RpcClient, open_client
from node.lineage.trace import Direction
from node.query.service import QueryService
from node.storage.index import create_index, open_index

WORLDS: Final = 3
RUNS: Final = 9
_EVENTS_A_TRANSACTION: Final = 100


def _events(size: tuple[int, int]) -> list[Event]:
    network = Network()
    return [event for number in range(WORLDS) for event in network.world(number, width=size[0], layers=size[1])]


def _p50(taken: Sequence[float]) -> float:
    return sorted(taken)[len(taken) // 2] * 1000


async def measure_rpc(size: tuple[int, int]) -> dict[str, float]:
    """Print and return medians in milliseconds. size: lots a layer and layers of the world that is asked about."""
    events, world = _events(size), ends_of(1, width=size[0], layers=size[1])
    figures = _measure_here(events, world)
    async with run_localnet(base_port=24700, nodes=1) as net:
        figures |= await _measure_node(net, events, world)
    print(f"\nA running node with {len(events)} events, beside its index alone")
    for method in ("closure", "trace"):
        here, there = figures[f"{method}_ms"], figures[f"{method}_rpc_ms"]
        print(f"  {method:<8} back   in process p50 {here:>9.2f} ms   over HTTP p50 {there:>9.2f} ms")
    return figures


async def _measure_node(net: Localnet, events: list[Event], world: World) -> dict[str, float]:
    firm = net.firms[0]
    given = iter(events)
    payloads: list[bytes] = []
    while some := list(islice(given, _EVENTS_A_TRANSACTION)):
        payloads.append(capture_payload(some))
    async with open_client(firm.address) as client:
        for signed in build_submissions(net, firm, payloads):
            await client.call_raw("tx.submit", {"signed": signed, "wait": "final"})
        async with asyncio.timeout(60):
            # Final is not yet executed.
            while (await status_of(firm)).transactions < len(payloads):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.05)
        return {
            "closure_rpc_ms": await _time_calls(client, "trace.closure", {"item": world.last, "direction": "back"}),
            "trace_rpc_ms": await _time_calls(client, "trace.back", {"item": world.last}),
        }


async def _time_calls(client: RpcClient, method: str, params: dict[str, object]) -> float:
    taken: list[float] = []
    for _ in range(RUNS):
        begin = time.perf_counter()
        await client.call_raw(method, params)
        taken.append(time.perf_counter() - begin)
    return _p50(taken)


def _measure_here(events: list[Event], world: World) -> dict[str, float]:
    genesis, key = build_network()
    with tempfile.TemporaryDirectory(prefix="lotvine-bench-") as folder:
        create_index(Path(folder) / "index", genesis)
        index = open_index(Path(folder) / "index", genesis)
        try:
            store_and_execute(None, index, genesis, seal_batches(genesis, key, events))
            service = QueryService(index.reader)
            asked: dict[str, Callable[[], object]] = {
                "closure_ms": lambda: service.closure(world.last, Direction.BACK),
                "trace_ms": lambda: service.trace(world.last, Direction.BACK),
            }
            return {name: _time_here(ask) for name, ask in asked.items()}
        finally:
            index.close()


def _time_here(ask: Callable[[], object]) -> float:
    taken: list[float] = []
    for _ in range(RUNS):
        begin = time.perf_counter()
        ask()
        taken.append(time.perf_counter() - begin)
    return _p50(taken)
