"""Four nodes as four processes of this machine, started and stopped with the sandbox."""

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from node.api.client import RpcClient, UnreachableError, open_client
from node.api.schema.network import StatusResult
from node.app.provision import Firm, create_localnet, ports_of
from node.app.sandbox.trade import FIRMS
from node.clock import Clock
from node.config.home import Home
from node.errors import RequestError

READY_SECONDS: Final = 45.0
STOP_SECONDS: Final = 10.0
POLL_SECONDS: Final = 0.05
_LOG_TAIL_BYTES: Final = 2_000


@dataclass(frozen=True, slots=True)
class RunningFirm:
    """A firm's node: its name, home, and a client of its API."""

    member: str
    name: str
    home: Home
    client: RpcClient


class SandboxError(RequestError):
    """The sandbox cannot go on: a node ended or did not get ready."""

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__("sandbox_failed", message, hint=hint)


@asynccontextmanager
async def run_firms(folder: Path, *, base_port: int, clock: Clock) -> AsyncIterator[tuple[RunningFirm, ...]]:
    """Yield four running nodes that are ready; on leaving, they are stopped.

    Raises ConfigError if the folder or the ports cannot be used, SandboxError if a node does not get ready.
    """
    members = [Firm(party.member, party.name, party.id) for party in FIRMS if party.member is not None]
    homes = create_localnet(folder, members, network="sandbox", base_port=base_port, clock=clock)
    async with AsyncExitStack() as stack:
        firms, processes = [], []
        for index, (firm, home) in enumerate(zip(members, homes, strict=True)):
            processes.append(await stack.enter_async_context(_run_node(home)))
            client = await stack.enter_async_context(open_client(ports_of(base_port, index).rpc))
            firms.append(RunningFirm(firm.id, firm.name, home, client))
        await _wait_ready(firms, processes)
        yield tuple(firms)


def log_of(home: Home) -> Path:
    """Return the file that a sandbox node's log goes to."""
    return home.root / "log"


@asynccontextmanager
async def _run_node(home: Home) -> AsyncIterator[asyncio.subprocess.Process]:
    with log_of(home).open("wb") as log:
        # -P: a folder named node where the reader happens to stand shall not be taken for our package.
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "node.cli", "start", "--home", str(home.root),
            stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        yield process
    finally:
        await _stop(process)


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


async def _wait_ready(firms: Sequence[RunningFirm], processes: Sequence[asyncio.subprocess.Process]) -> None:
    waiting = dict(zip((firm.member for firm in firms), zip(firms, processes, strict=True), strict=True))
    try:
        async with asyncio.timeout(READY_SECONDS):
            while waiting:
                for member, (firm, process) in tuple(waiting.items()):
                    if process.returncode is not None:
                        raise SandboxError(
                            f"the node of {member} ended with code {process.returncode}: {_tail(log_of(firm.home))}",
                            hint=f"with --dir the homes and their logs are kept; this one was {log_of(firm.home)}",
                        )
                    if await _is_ready(firm):
                        del waiting[member]
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError as error:
        firm, _ = next(iter(waiting.values()))
        raise SandboxError(
            f"not ready after {READY_SECONDS:.0f} s: {', '.join(waiting)}", hint=f"see {log_of(firm.home)}"
        ) from error


async def _is_ready(firm: RunningFirm) -> bool:
    try:
        status = await firm.client.call("network.status", {}, StatusResult)
    except UnreachableError:
        return False
    return status.ready and all(peer.connected for peer in status.peers)


def _tail(log: Path) -> str:
    """Return the last line of a log."""
    lines = log.read_bytes()[-_LOG_TAIL_BYTES:].decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else "no word in its log"
