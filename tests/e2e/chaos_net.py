"""A localnet whose nodes meet through the relay, with clients that write down what they were promised.

What must hold at the end, however the nodes were treated, is in `check`: accepted means final everywhere, no two
nodes have different blocks at a height, nobody has voted twice.
"""

import asyncio
import json
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from consensus.messages import Certificate
from node.api.client import RpcError, open_pipeline
from tests.e2e.clocks import WrongClock, give_wrong_clock
from tests.e2e.localnet import PORTS_A_NODE, Localnet, NodeProcess, cleaned_up, create_localnet
from tests.e2e.stream import Journal, submit_for_ever
from tests.support.relay import Relay, Route
from tests.support.vote_scan import find_double_votes, find_rival_certificates, read_log

REAL_PORT_OFFSET: Final = 3
"""Where a node really listens, beside the port that the others are told, which is the relay's."""
HEALED_SECONDS: Final = 10.0
"""How soon agreement must go on by itself once nothing hinders it. Source: the milestone's bound."""
PROBE_SECONDS: Final = 2.0
CALLS_AT_ONCE: Final = 256


@dataclass
class ChaosNet:
    """The localnet, the relay between its nodes, and what its clients were promised, a journal a node.

    misbehaving: indices of the nodes that are not honest; nothing is asked of them. kept_logs: copies of vote logs,
    by node, made before a test destroyed them.
    """

    net: Localnet
    relay: Relay
    journals: list[Journal]
    misbehaving: set[int] = field(default_factory=set)
    kept_logs: dict[int, list[Path]] = field(default_factory=dict)
    clocks: dict[int, WrongClock] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    timeline: list[str] = field(default_factory=list)

    @property
    def nodes(self) -> list[NodeProcess]:
        """All nodes by index."""
        return self.net.nodes

    @property
    def honest(self) -> list[NodeProcess]:
        """The nodes of which something may be asked."""
        return [node for node in self.nodes if node.index not in self.misbehaving]

    @property
    def faulty_max(self) -> int:
        """How many validators may fail."""
        return (len(self.nodes) - 1) // 3

    def misbehave(self, index: int, *kinds: str) -> None:
        """Have a node that is not running start as a Byzantine one from now on; no kind: as an honest one."""
        node = self.nodes[index]
        assert not node.is_running
        self.misbehaving.add(index)
        node.program = (sys.executable, "-m", "tests.support.byzantine_node", ",".join(kinds))

    # Traffic.

    @asynccontextmanager
    async def traffic(
        self, nodes: Iterable[NodeProcess] | None = None, *, pause_seconds: float = 0.1
    ) -> AsyncIterator[None]:
        """Submit to these nodes, the honest ones by default, while the block runs."""
        stop = asyncio.Event()
        chosen = list(self.honest if nodes is None else nodes)
        async with asyncio.TaskGroup() as tasks:
            for node in chosen:
                journal = self.journals[node.index]
                first = len(journal.accepted) + 1_000_000 * len(journal.retried)
                tasks.create_task(
                    submit_for_ever(self.net, node, journal, stop, pause_seconds=pause_seconds, first=first),
                    name=f"submit to {node.member}",
                )
            try:
                yield
            finally:
                stop.set()

    # Looking.

    async def final_heights(self, nodes: Iterable[NodeProcess] | None = None) -> dict[int, int]:
        """Return the final height of each of these nodes that answers, by index."""
        chosen = list(self.honest if nodes is None else nodes)
        statuses = await asyncio.gather(*(node.find_status(seconds=PROBE_SECONDS) for node in chosen))
        return {
            node.index: status["height"] for node, status in zip(chosen, statuses, strict=True) if status is not None
        }

    async def top(self, nodes: Iterable[NodeProcess] | None = None) -> int:
        """Return the highest final height of these nodes."""
        return max((await self.final_heights(nodes)).values(), default=0)

    async def seconds_until_progress(
        self, above: int, nodes: Sequence[NodeProcess] | None = None, *, seconds: float = HEALED_SECONDS
    ) -> float:
        """Return how long it took until a height above that one is final at all of these nodes, within a bound."""
        began = time.monotonic()
        chosen = list(self.honest if nodes is None else nodes)
        self.timeline.clear()
        while True:
            heights = await self.final_heights(chosen)
            passed = time.monotonic() - began
            if passed >= len(self.timeline):
                used = {node.index: round(node.cpu_seconds(), 1) for node in chosen}
                self.timeline.append(
                    f"{passed:.1f} s: heights {heights}, CPU seconds {used}, {await self._lagging(chosen)}"
                )
            if len(heights) == len(chosen) and min(heights.values()) > above:
                return passed
            if passed > seconds:
                raise AssertionError(
                    f"not above height {above} everywhere after {passed:.1f} s: {heights}\n{await self.describe()}"
                )
            await asyncio.sleep(0.05)

    async def _lagging(self, nodes: Sequence[NodeProcess]) -> str:
        """Return how the lowest of these nodes is, for the timeline."""
        statuses = await asyncio.gather(*(node.find_status(seconds=PROBE_SECONDS) for node in nodes))
        answered = [status for status in statuses if status is not None]
        if not answered:
            return "nobody answers"
        status = min(answered, key=lambda one: int(one["height"]))
        held = sum(feed["held"] for feed in status["feeds"])
        return (
            f"{status['member']}: view {status['view']}, executed {status['executed_height']}, {held} batches held, "
            f"{sum(peer['connected'] for peer in status['peers'])} peers, ready {status['ready']}"
        )

    async def assert_standstill(self, nodes: Sequence[NodeProcess], *, seconds: float, blocks: int = 1) -> None:
        """Fail if more than that many blocks, which were on their way, become final at these nodes in that time."""
        before = await self.top(nodes)
        await asyncio.sleep(seconds)
        after = await self.top(nodes)
        assert after <= before + blocks, f"from height {before} to {after} without a quorum"

    async def wait_level(self, *, seconds: float, nodes: Sequence[NodeProcess] | None = None) -> float:
        """Return how long it took until each of these nodes has executed what was final anywhere at the call."""
        began = time.monotonic()
        chosen = list(self.honest if nodes is None else nodes)
        wanted = await self.top(chosen)
        behind = {node.index for node in chosen}
        while behind:
            for node in chosen:
                if node.index in behind:
                    status = await node.find_status(seconds=PROBE_SECONDS)
                    if status is not None and status["ready"] and status["executed_height"] >= wanted:
                        behind.discard(node.index)
            passed = time.monotonic() - began
            if behind and passed > seconds:
                raise AssertionError(
                    f"nodes {sorted(behind)} are not at height {wanted} after {passed:.1f} s\n{await self.describe()}"
                )
            await asyncio.sleep(0.1)
        return time.monotonic() - began

    async def describe(self) -> str:
        """Return where every node stands, for a message."""
        lines = []
        for node in self.nodes:
            status = await node.find_status(seconds=PROBE_SECONDS)
            if status is None:
                lines.append(f"{node.index}: no answer, running: {node.is_running}")
                continue
            peers = [peer["member"] for peer in status["peers"] if peer["connected"]]
            lines.append(
                f"{node.index} {node.member}: view {status['view']}, height {status['height']}, executed "
                f"{status['executed_height']}, pending {status['pending']}, ready {status['ready']}, "
                f"{len(peers)} peers, waits for {status['waiting_for']}, parts {status['parts']}, feeds "
                f"{[(feed['member'], feed['held'], feed['final']) for feed in status['feeds']]}"
            )
        lines.append(f"logs: {self.net.root}/*.log")
        return "\n".join(lines)

    # Faults on processes; those between them are the relay's.

    def freeze(self, nodes: Iterable[NodeProcess]) -> None:
        """Suspend these processes."""
        for node in nodes:
            node.signal(signal.SIGSTOP)

    def thaw(self, nodes: Iterable[NodeProcess]) -> None:
        """Wake these processes."""
        for node in nodes:
            node.signal(signal.SIGCONT)

    def keep_log(self, node: NodeProcess) -> None:
        """Copy a node's vote log as it is, before a test destroys it: its votes count at the end."""
        copies = self.kept_logs.setdefault(node.index, [])
        copy = self.net.root / "kept" / f"{node.index}-{len(copies)}"
        shutil.copytree(node.home / "data" / "votes", copy)
        copies.append(copy)

    async def give_up_disk(self, victim: NodeProcess, witness: NodeProcess) -> None:
        """Note what is lost with the disk of a node that does not run, before the test destroys it.

        Accepted is durable on the own disk: what had not left it may be gone. What is final at the witness is not.
        """
        for each in self.journals[victim.index].read():
            try:
                answer = await witness.call("tx.get", id=each)
            except RpcError:
                self.lost.add(each)
            else:
                if answer["state"] != "final":
                    self.lost.add(each)
        self.keep_log(victim)

    async def wait_regained(self, node: NodeProcess, *, seconds: float) -> float:
        """Return how long it took until a node says that it does its part again."""
        began = time.monotonic()
        while True:
            status = await node.find_status(seconds=PROBE_SECONDS)
            if status is not None and status["ready"] and not status["waiting_for"]:
                return time.monotonic() - began
            if time.monotonic() - began > seconds:
                raise AssertionError(f"{node.member} has not rejoined\n{await self.describe()}")
            await asyncio.sleep(0.1)

    # What must hold at the end.

    async def check(self) -> "Outcome":
        """Bring the honest nodes to rest and hold them against one another and against the promises."""
        await self._rest()
        chains = {node.index: await scan_chain(node) for node in self.honest}
        height = compare_chains(chains)
        promised = [each for node in self.honest for each in self.journals[node.index].read()]
        for node in self.honest:
            await check_promises(node, [each for each in promised if each not in self.lost])
        self.check_votes()
        named = self.find_named()
        assert not named & {node.member for node in self.honest}, (
            f"evidence against honest nodes: {self.evidence()[:5]}"
        )
        return Outcome(height, len(promised), sum(len(journal.retried) for journal in self.journals))

    async def _rest(self, *, seconds: float = 30.0) -> None:
        """Return once nothing of the honest nodes is pending and all of them are at one height."""
        deadline = time.monotonic() + seconds
        while True:
            statuses = await asyncio.gather(*(node.find_status(seconds=PROBE_SECONDS) for node in self.honest))
            answered = [status for status in statuses if status is not None]
            if len(answered) == len(self.honest):
                places = {(status["height"], status["executed_height"], status["state_digest"]) for status in answered}
                if len(places) == 1 and all(status["pending"] == 0 for status in answered):
                    return
            if time.monotonic() > deadline:
                raise AssertionError(f"the nodes do not come to rest\n{await self.describe()}")
            await asyncio.sleep(0.2)

    def evidence(self) -> list[str]:
        """Return what the honest nodes' logs say of evidence, a line a piece."""
        lines = []
        for node in self.honest:
            said = node.log_path.read_text(encoding="utf-8", errors="replace").splitlines()
            lines += [line for line in said if "] evidence" in line]
        return lines

    def find_named(self) -> set[str]:
        """Return the members that there is evidence against."""
        evidence = self.evidence()
        return {node.member for node in self.nodes if any(f"peer={node.member} " in line for line in evidence)}

    def check_votes(self) -> None:
        """Fail if an honest node's vote logs hold two votes that exclude each other. No block is final twice."""
        certificates: list[Certificate] = []
        for node in self.honest:
            votes, held = read_log([node.home / "data" / "votes", *self.kept_logs.get(node.index, ())])
            found = find_double_votes(votes)
            assert not found, f"{node.member} has signed twice: {found[:5]}"
            assert votes, f"no votes found of {node.member}: the check shows nothing"
            certificates += held
        rivals = find_rival_certificates(certificates)
        assert not rivals, f"certificates that exclude each other: {rivals[:5]}"


@dataclass(frozen=True)
class Outcome:
    """What a scenario came to: blocks in common, transactions promised, calls that were cut off and sent again."""

    height: int
    promised: int
    retried: int

    def __str__(self) -> str:
        return f"{self.promised} accepted and final everywhere, {self.retried} calls sent again, {self.height} blocks"


def flip_a_bit(votes: Path) -> None:
    """Change one bit in the middle of the newest segment of a vote log."""
    path = max(votes.glob("*.votes"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    path.write_bytes(bytes(data))


async def scan_chain(node: NodeProcess, *, first: int = 1) -> dict[int, tuple[str, str]]:
    """Return digest and state digest of each block of a node from a height on, as its API tells them."""
    async with open_pipeline(node.rpc) as client:
        newest = json.loads(await (await client.start("block.get", {})))["height"]
        blocks: dict[int, tuple[str, str]] = {}
        for start in range(first, newest + 1, CALLS_AT_ONCE):
            heights = range(start, min(start + CALLS_AT_ONCE, newest + 1))
            futures = [await client.start("block.get", {"height": height}) for height in heights]
            for height, future in zip(heights, futures, strict=True):
                block = json.loads(await future)
                blocks[height] = (block["digest"], block["state_digest"])
        return blocks


def compare_chains(chains: Mapping[int, Mapping[int, tuple[str, str]]]) -> int:
    """Return the highest height that all have; fails if two nodes have different blocks or states at one height."""
    seen: dict[int, tuple[str, str]] = {}
    for index, chain in chains.items():
        for height, place in chain.items():
            assert seen.setdefault(height, place) == place, f"node {index} has another block at height {height}"
    return min((max(chain, default=0) for chain in chains.values()), default=0)


async def check_promises(node: NodeProcess, promised: Sequence[str]) -> None:
    """Fail if a node does not call one of these final and accepted."""
    answers: Counter[tuple[str, str | None]] = Counter()
    wrong: list[str] = []
    async with open_pipeline(node.rpc) as client:
        for start in range(0, len(promised), CALLS_AT_ONCE):
            ids = promised[start : start + CALLS_AT_ONCE]
            futures = [await client.start("tx.get", {"id": each}) for each in ids]
            for each, future in zip(ids, futures, strict=True):
                answer: dict[str, Any] = json.loads(await future)
                place = (answer["state"], answer.get("verdict"))
                answers[place] += 1
                if place != ("final", "accepted"):
                    wrong.append(each)
    assert not wrong, f"{node.member} does not have {len(wrong)} of {len(promised)} promised: {answers}, {wrong[:3]}"


def create_chaos_net(root: Path, *, validators: int) -> ChaosNet:
    """Make a localnet whose nodes reach one another through a relay; nothing runs yet."""
    net = create_localnet(root, validators=validators)
    routes = []
    for node in net.nodes:
        real = node.base_port + node.index * PORTS_A_NODE + REAL_PORT_OFFSET
        node.environment = {"LOTVINE_P2P__LISTEN": f"127.0.0.1:{real}"}
        routes.append(Route(node.index, node.p2p_port, real))

    def find_processes() -> dict[int, int]:
        return {node.index: node.process.pid for node in net.nodes if node.process is not None}

    journals = [Journal(root / f"journal-{node.index}") for node in net.nodes]
    for journal in journals:
        journal.path.touch()
    return ChaosNet(net, Relay(routes, find_processes), journals)


@asynccontextmanager
async def running_chaos_net(
    root: Path,
    *,
    validators: int,
    misbehaving: Mapping[int, Sequence[str]] | None = None,
    has_clocks: bool = False,
) -> AsyncIterator[ChaosNet]:
    """Yield a chaos net whose nodes run and are connected. misbehaving: how, by index. has_clocks: that can be set."""
    chaos = create_chaos_net(root, validators=validators)
    if has_clocks:
        chaos.clocks = {node.index: give_wrong_clock(node) for node in chaos.nodes}
    async with cleaned_up(chaos.net):
        with chaos.relay:
            for index, kinds in (misbehaving or {}).items():
                chaos.misbehave(index, *kinds)
            for node in chaos.nodes:
                node.start()
            for node in chaos.honest:
                await node.wait_for_height(0, peers=len(chaos.honest) - 1)
            yield chaos
