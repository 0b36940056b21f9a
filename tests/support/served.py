"""The API over any backends, served on loopback from a thread of its own, and the commands that ask it."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from click.testing import CliRunner, Result

from node.api.backends import Backends
from node.api.catalog import OPERATIONS
from node.api.dispatch import Dispatcher
from node.api.listeners import RpcLimits, RpcListener, listen_http
from node.cli.entry import program
from node.config.addresses import Address
from node.config.home import Home
from node.telemetry.metrics import Metrics


@contextmanager
def serving(backends: Backends, *, body_bytes_max: int = 1 << 20) -> Iterator[Address]:
    """Serve the API from a thread of its own."""
    ready, loop, stop = threading.Event(), asyncio.new_event_loop(), asyncio.Event()
    bound: list[Address] = []

    async def serve() -> None:
        dispatcher = Dispatcher(
            OPERATIONS, backends, batch_requests_max=3, metrics=Metrics(), on_failure=lambda _: None
        )
        listener = RpcListener(dispatcher, RpcLimits(body_bytes_max, 100, 10))
        async with listen_http(listener.build_app, Address("127.0.0.1", 0), key="rpc.listen") as address:
            bound.append(address)
            ready.set()
            await stop.wait()

    def work() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(serve())
        loop.close()

    thread = threading.Thread(target=work)
    thread.start()
    assert ready.wait(10)
    try:
        yield bound[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)


class Desk:
    """A home whose commands ask the node at `address`."""

    def __init__(self, folder: Path, address: Address) -> None:
        self.address = address
        made = CliRunner().invoke(program, ["localnet", "create", str(folder), "--validators", "1"])
        assert made.exit_code == 0, made.output
        self.home = Home(folder / "node-0")
        self._environment = {"LOTVINE_HOME": str(self.home.root), "LOTVINE_RPC__LISTEN": str(address)}

    def run(self, *words: str | Path) -> Result:
        """Run a command with this home."""
        result = CliRunner(env=self._environment).invoke(program, list(map(str, words)))
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result
