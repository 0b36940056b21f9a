"""A four-process localnet on this machine, driven through WebSocket as an integrator would drive it.

All clients run in this one process, beside four nodes on the same cores: what is measured is the whole, clients
included. Transactions are built and signed beforehand.
"""

import asyncio
import base64
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from bench.synthetic import CONTEXT, build_chain
from node.api.client import PipelinedClient, RpcError, UnreachableError, open_client, open_pipeline
from node.api.schema.network import StatusResult
from node.config.addresses import Address
from node.crypto.keys import SigningKey, load_key
from node.ledger.genesis import Genesis, decode_genesis
from node.ledger.transaction import Capture, Kind, Transaction, sign_transaction
from node.wire.ids import MemberId

NODES: Final = 4
_TICKS_PER_SECOND: Final = os.sysconf("SC_CLK_TCK")
PIPELINE_MAX: Final = 512


@dataclass(frozen=True, slots=True)
class Firm:
    """One node of the localnet, seen from outside."""

    member: MemberId
    address: Address
    actor: SigningKey


@dataclass(frozen=True, slots=True)
class Localnet:
    """The running network."""

    genesis: Genesis
    firms: tuple[Firm, ...]
    processes: tuple[subprocess.Popen[bytes], ...]


def _command(*words: str) -> list[str]:
    return [sys.executable, "-c", "from node.cli import main; main()", *words]


def _create(root: Path, base_port: int, nodes: int) -> None:
    words = ("localnet", "create", str(root), "--validators", str(nodes), "--base-port", str(base_port))
    subprocess.run(_command(*words), check=True, stdout=subprocess.DEVNULL)


def _start(home: Path, log: BinaryIO) -> subprocess.Popen[bytes]:
    return subprocess.Popen(_command("start", "--home", str(home)), stdout=log, stderr=log)


async def status_of(firm: Firm) -> StatusResult:
    """Return the status of one node."""
    async with open_client(firm.address) as client:
        return await client.call("network.status", {}, StatusResult)


async def _wait_ready(firm: Firm, *, peers: int, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            status = await status_of(firm)
            if status.ready and sum(peer.connected for peer in status.peers) == peers:
                return
        except (UnreachableError, RpcError):
            pass
        if time.monotonic() > end:
            raise TimeoutError(f"{firm.member} is not ready after {seconds} s")
        await asyncio.sleep(0.1)


@asynccontextmanager
async def run_localnet(*, base_port: int = 23600, nodes: int = NODES) -> AsyncIterator[Localnet]:
    """Yield a ready localnet; its processes and its folder are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="lotvine-bench-") as folder:
        root = Path(folder) / "net"
        _create(root, base_port, nodes)
        homes = [root / f"node-{number}" for number in range(nodes)]
        genesis = decode_genesis((homes[0] / "config" / "genesis.json").read_bytes())
        members = {member.node_key: member.id for member in genesis.roster.members.values()}
        firms = tuple(
            Firm(
                members[load_key(home / "keys" / "node.key").public_key],
                Address("127.0.0.1", base_port + 10 * number + 1),
                load_key(home / "keys" / "actor.key"),
            )
            for number, home in enumerate(homes)
        )
        with (Path(folder) / "log").open("wb") as log:
            processes = tuple(_start(home, log) for home in homes)
            try:
                for firm in firms:
                    await _wait_ready(firm, peers=nodes - 1)
                yield Localnet(genesis, firms, processes)
            finally:
                for process in processes:
                    process.send_signal(signal.SIGTERM)
                for process in processes:
                    try:
                        process.wait(timeout=15)
                    except subprocess.TimeoutExpired:
                        process.kill()


def cpu_seconds(net: Localnet) -> float:
    """Return what all nodes together have taken of the processors so far, user and system time (proc(5), stat).

    Unlike seconds on the wall, it hardly depends on what else the machine does.
    """
    ticks = 0
    for process in net.processes:
        # The second field is the command in parentheses, and may hold spaces.
        fields = Path(f"/proc/{process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / _TICKS_PER_SECOND


async def idle_share(net: Localnet, *, seconds: float = 5) -> float:
    """Return the share of one core that a node without work takes, in per cent."""
    before = cpu_seconds(net)
    await asyncio.sleep(seconds)
    return (cpu_seconds(net) - before) / NODES / seconds * 100


def build_submissions(net: Localnet, firm: Firm, payloads: list[bytes]) -> list[str]:
    """Return signed transactions as `tx.submit` takes them, one for each payload, each with an actor's signature."""
    created_ms = time.time_ns() // 1_000_000
    return [
        base64.b64encode(
            sign_transaction(
                Transaction(
                    kind=Kind.CAPTURE,
                    member=firm.member,
                    actor_key=firm.actor.public_key,
                    created_ms=created_ms,
                    nonce=os.urandom(16),
                    payload=payload,
                ),
                net.genesis.network_id,
                firm.actor,
            ).encode()
        ).decode()
        for payload in payloads
    ]


def capture_payload(events: Sequence[dict[str, object]]) -> bytes:
    """Return the payload of a capture of these events."""
    context = json.dumps([CONTEXT]).encode()
    return Capture(context, tuple(json.dumps(event).encode() for event in events), ()).encode()


def single_event_payloads(count: int, *, chain: int) -> list[bytes]:
    """Return payloads of one event each."""
    events = build_chain(lots=2 * count + 8, chain=chain).events[:count]
    return [capture_payload((event,)) for event in events]


def hundred_event_payloads(count: int, *, first_chain: int) -> list[bytes]:
    """Return payloads of 100 events each."""
    events: list[dict[str, object]] = []
    number = first_chain
    while len(events) < count * 100:
        events.extend(build_chain(lots=20, chain=number).events)
        number += 1
    return [capture_payload(events[place : place + 100]) for place in range(0, count * 100, 100)]


async def _submit_all(client: PipelinedClient, submissions: list[str], *, wait: str = "accepted") -> None:
    window = asyncio.Semaphore(PIPELINE_MAX)
    futures: list[asyncio.Future[bytes]] = []
    for signed in submissions:
        await window.acquire()
        future = await client.start("tx.submit", {"signed": signed, "wait": wait})
        future.add_done_callback(lambda _: window.release())
        futures.append(future)
    await asyncio.gather(*futures)


async def _wait_counts(net: Localnet, *, transactions: int, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while True:
        counts = [(await status_of(firm)).transactions for firm in net.firms]
        if min(counts) >= transactions:
            return
        if time.monotonic() > end:
            raise TimeoutError(f"transactions executed after {seconds} s: {counts}, not {transactions}")
        await asyncio.sleep(0.02)


async def throughput(net: Localnet, payloads: list[list[bytes]]) -> float:
    """Return transactions a second until all are executed on all four; payloads: a list for each firm."""
    submissions = [build_submissions(net, firm, mine) for firm, mine in zip(net.firms, payloads, strict=True)]
    before = (await status_of(net.firms[0])).transactions
    total = sum(len(mine) for mine in submissions)
    begin = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for firm, mine in zip(net.firms, submissions, strict=True):
            tasks.create_task(_drive(firm, mine), name=f"drive {firm.member}")
    await _wait_counts(net, transactions=before + total)
    return total / (time.perf_counter() - begin)


async def _drive(firm: Firm, submissions: list[str]) -> None:
    async with open_pipeline(firm.address) as client:
        await _submit_all(client, submissions)


def _record(taken: list[float], sent: float) -> Callable[[asyncio.Future[bytes]], None]:
    return lambda _: taken.append((time.perf_counter() - sent) * 1000)


async def latencies(net: Localnet, *, rate: float, count: int) -> list[float]:
    """Return milliseconds from submission to final, open loop at `rate` a second over all firms, sorted.

    rate 0: one after the other on an idle network, with a pause between.
    """
    taken: list[float] = []
    per_firm = count // NODES
    work = [
        build_submissions(net, firm, single_event_payloads(per_firm, chain=900_000 + number + int(rate) * 10))
        for number, firm in enumerate(net.firms)
    ]

    async def drive(firm: Firm, submissions: list[str]) -> None:
        async with open_pipeline(firm.address) as client:
            begin = time.perf_counter()
            futures: list[asyncio.Future[bytes]] = []
            for number, signed in enumerate(submissions):
                if rate:
                    await asyncio.sleep(max(0.0, begin + number * NODES / rate - time.perf_counter()))
                else:
                    await asyncio.sleep(0.15)
                sent = time.perf_counter()
                future = await client.start("tx.submit", {"signed": signed, "wait": "final"})
                future.add_done_callback(_record(taken, sent))
                futures.append(future)
                if not rate:
                    await future
            await asyncio.gather(*futures)

    if rate:
        async with asyncio.TaskGroup() as tasks:
            for firm, mine in zip(net.firms, work, strict=True):
                tasks.create_task(drive(firm, mine), name=f"drive {firm.member}")
    else:
        for firm, mine in zip(net.firms, work, strict=True):
            await drive(firm, mine)
    return sorted(taken)
