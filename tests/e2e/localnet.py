"""A localnet of real processes, seen only through the command line, the API and signals.

Every process that a test starts is killed when its localnet is left, whatever happens; every wait has an end.
"""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

from node.api.client import RpcError, UnreachableError, open_client
from node.config.addresses import Address
from node.crypto.keys import load_key
from node.ledger.genesis import Genesis, decode_genesis
from node.wire.ids import MemberId
from tests.support.ports import is_free

REPOSITORY: Final = Path(__file__).parents[2]
LOTVINE: Final = (sys.executable, "-c", "from node.cli import main; main()")
PORTS_A_NODE: Final = 10
READY_SECONDS: Final = 30.0
STOP_SECONDS: Final = 15.0
_PROBED_PORTS: Final = (0, 1, 2, 3)


def run_cli(*words: str | Path, seconds: float = 30, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run one command to its end and return what it said; fails if it takes longer."""
    return subprocess.run(
        [*LOTVINE, *map(str, words)],
        cwd=REPOSITORY,
        env={**os.environ, "NO_COLOR": "1", **environment},
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def free_base_port(nodes: int) -> int:
    """Return a port from which a localnet of this size finds all its ports free."""
    for _ in range(200):
        base = random.randrange(20_000, 32_000, PORTS_A_NODE)
        ports = [base + node * PORTS_A_NODE + offset for node in range(nodes) for offset in _PROBED_PORTS]
        if all(is_free(port) for port in ports):
            return base
    raise AssertionError("no free ports for a localnet")


async def wait_until(holds: Callable[[], Awaitable[bool]], what: str, *, seconds: float = READY_SECONDS) -> None:
    """Return once it holds; fails after that many seconds, saying what was waited for."""
    deadline = time.monotonic() + seconds
    while True:
        if await holds():
            return
        if time.monotonic() > deadline:
            raise AssertionError(f"waited in vain until {what}")
        await asyncio.sleep(0.1)


@dataclass
class NodeProcess:
    """One node: its home, where it listens, and the process if it runs.

    prefix: words before the command, such as strace. program: what runs as `lotvine`.
    """

    index: int
    home: Path
    base_port: int
    member: MemberId
    process: subprocess.Popen[bytes] | None = None
    log: IO[bytes] | None = None
    starts: int = 0
    prefix: tuple[str, ...] = ()
    program: tuple[str, ...] = LOTVINE
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def p2p_port(self) -> int:
        """Where other nodes reach it."""
        return self.base_port + self.index * PORTS_A_NODE

    @property
    def rpc(self) -> Address:
        """Where its API listens."""
        return Address("127.0.0.1", self.p2p_port + 1)

    @property
    def log_path(self) -> Path:
        """What it said on standard error, over all starts."""
        return self.home.parent / f"{self.home.name}.log"

    @property
    def is_running(self) -> bool:
        """Whether its process lives."""
        return self.process is not None and self.process.poll() is None

    def cpu_seconds(self) -> float:
        """Return how much processor time its process has used, 0 if it is gone."""
        if self.process is None:
            return 0.0
        try:
            fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def start(self) -> None:
        """Start the process; it is not ready yet."""
        assert not self.is_running
        self.close_log()
        self.starts += 1
        self.log = self.log_path.open("ab")
        self.process = subprocess.Popen(
            [*self.prefix, *self.program, "start", "--home", str(self.home)],
            cwd=REPOSITORY,
            env={**os.environ, **self.environment},
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
            # A group of its own, so that what runs it (strace) goes with it.
            start_new_session=True,
        )

    def kill(self) -> None:
        """End it as a power cut would: no handler runs, nothing is flushed."""
        self.signal(signal.SIGKILL)
        if self.process is not None:
            self.process.wait(timeout=STOP_SECONDS)

    def stop(self) -> int:
        """End it as an operator would; return its exit code."""
        self.ask_to_stop()
        return self.wait_stopped()

    def ask_to_stop(self) -> None:
        """Send the signal that an operator or init system sends."""
        self.signal(signal.SIGTERM)

    def wait_stopped(self) -> int:
        """Return the exit code once it has ended."""
        assert self.process is not None
        return self.process.wait(timeout=STOP_SECONDS)

    def close_log(self) -> None:
        """Close our end of its log."""
        if self.log is not None:
            self.log.close()
            self.log = None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to its process, if that lives."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, number)

    def tail(self) -> str:
        """Return the end of its log, for a message."""
        return self.log_path.read_bytes()[-4000:].decode(errors="replace") if self.log_path.exists() else ""

    async def call(self, method: str, **params: object) -> Any:
        """Ask its API once. Raises RpcError, UnreachableError."""
        async with open_client(self.rpc) as client:
            return json.loads(await client.call_raw(method, params))

    async def find_status(self, *, seconds: float = READY_SECONDS) -> dict[str, Any] | None:
        """Return its status, or None if it does not answer in that time."""
        try:
            async with asyncio.timeout(seconds):
                answer: dict[str, Any] = await self.call("network.status")
        except (UnreachableError, RpcError, TimeoutError):
            return None
        return answer

    async def wait_for_height(self, height: int, *, peers: int = 0, seconds: float = READY_SECONDS) -> dict[str, Any]:
        """Return its status once it is ready, has executed that height and has that many peers."""
        deadline = time.monotonic() + seconds
        while True:
            status = await self.find_status()
            if status is not None and status["ready"] and status["executed_height"] >= height:
                connected = sum(peer["connected"] for peer in status["peers"])
                if connected >= peers:
                    return status
            if not self.is_running:
                raise AssertionError(f"{self.member} has ended:\n{self.tail()}")
            if time.monotonic() > deadline:
                raise AssertionError(f"{self.member} is not at height {height} in time: {status}\n{self.tail()}")
            await asyncio.sleep(0.05)


@dataclass
class Localnet:
    """The network: its folder, its genesis and its nodes by index."""

    root: Path
    genesis: Genesis
    nodes: list[NodeProcess] = field(default_factory=list)

    def leader_index(self, view: int) -> int:
        """Return which node leads a view: round robin, begun at a place that the anchor decides."""
        validators = self.genesis.roster.validators
        place = (view - 1 + int.from_bytes(self.genesis.anchor_digest[:8], "big")) % len(validators)
        return next(node.index for node in self.nodes if node.member == validators[place])

    async def wait_ready(self, nodes: Sequence[NodeProcess] | None = None) -> None:
        """Return once all are ready and connected to one another."""
        for node in nodes or self.nodes:
            await node.wait_for_height(0, peers=len(self.nodes) - 1)

    async def wait_equal(self, *, seconds: float = READY_SECONDS) -> list[dict[str, Any]]:
        """Return all statuses once nothing is pending and all nodes are at one height."""
        deadline = time.monotonic() + seconds
        while True:
            statuses = [await node.find_status() for node in self.nodes]
            answered = [status for status in statuses if status is not None]
            if len(answered) == len(self.nodes):
                heights = {(status["height"], status["executed_height"], status["transactions"]) for status in answered}
                if len(heights) == 1 and all(status["pending"] == 0 and status["lag"] == 0 for status in answered):
                    return answered
            if time.monotonic() > deadline:
                raise AssertionError(f"the nodes do not come to rest at one height: {statuses}")
            await asyncio.sleep(0.1)

    def stop(self) -> list[int]:
        """Stop all nodes as an operator would; return their exit codes."""
        for node in self.nodes:
            node.ask_to_stop()
        return [node.wait_stopped() for node in self.nodes]


def create_localnet(root: Path, *, validators: int = 4) -> Localnet:
    """Make the homes of a localnet; nothing runs yet."""
    base_port = free_base_port(validators)
    made = run_cli("localnet", "create", root, "--validators", str(validators), "--base-port", str(base_port))
    assert made.returncode == 0, made.stderr
    genesis = decode_genesis((root / "genesis.json").read_bytes())
    members = {member.node_key: member.id for member in genesis.roster.members.values()}
    nodes = []
    for index in range(validators):
        home = root / f"node-{index}"
        key = load_key(home / "keys" / "node.key").public_key
        nodes.append(NodeProcess(index, home, base_port, members[key]))
    return Localnet(root, genesis, nodes)


@asynccontextmanager
async def running_localnet(root: Path, *, validators: int = 4) -> AsyncIterator[Localnet]:
    """Yield a localnet whose nodes run and are connected; none of its processes outlives it."""
    net = create_localnet(root, validators=validators)
    async with cleaned_up(net):
        for node in net.nodes:
            node.start()
        await net.wait_ready()
        yield net


@asynccontextmanager
async def cleaned_up(net: Localnet) -> AsyncIterator[Localnet]:
    """Kill whatever of the localnet still runs when the block is left."""
    try:
        yield net
    finally:
        for node in net.nodes:
            node.kill()
            node.close_log()
