"""What becomes of requests whose caller has left: questions end, whatever changes something is done."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from node.api.backends import LineageBackend
from node.api.catalog import OPERATIONS
from node.api.client import encode_request
from node.api.dispatch import Dispatcher
from node.api.listeners import RpcLimits, RpcListener, listen_http
from node.api.schema.events import CaptureAnswer
from node.api.schema.scopes import ScopeParams, ScopeResult
from node.api.schema.transactions import Wait
from node.config.addresses import Address
from node.telemetry.metrics import Metrics
from tests.support.api_backends import FakeNode

LONG_SECONDS = 20.0
SCOPE = encode_request("scope.compute", {"seeds": [{"item": "x"}]}, 1)
CAPTURE = encode_request("event.capture", {"document": {}}, 2)


class SlowNode(FakeNode):
    """Answers no scope, and captures when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.left = asyncio.Event(), asyncio.Event()
        self.go_on, self.done = asyncio.Event(), asyncio.Event()

    async def scope(self, asked: ScopeParams) -> ScopeResult:
        self.asked.set()
        try:
            await asyncio.Event().wait()
            raise AssertionError
        finally:
            self.left.set()

    async def capture(self, document: bytes, *, wait: Wait) -> CaptureAnswer:
        self.asked.set()
        await self.go_on.wait()
        self.done.set()
        return await super().capture(document, wait=wait)


@asynccontextmanager
async def serve() -> AsyncIterator[tuple[SlowNode, str]]:
    node = SlowNode()
    lineage: LineageBackend = node
    backends = dataclasses.replace(node.backends(), lineage=lineage)
    dispatcher = Dispatcher(OPERATIONS, backends, batch_requests_max=3, metrics=Metrics(), on_failure=lambda _: None)
    listener = RpcListener(dispatcher, RpcLimits(65_536, 100, 10))
    async with listen_http(listener.build_app, Address("127.0.0.1", 0), key="rpc.listen") as address:
        yield node, f"http://{address}/rpc"


async def leave_post(url: str, body: bytes, asked: asyncio.Event) -> None:
    """Send a request and go away once it is under way."""
    headers = {"Content-Type": "application/json"}
    async with asyncio.TaskGroup() as tasks, aiohttp.ClientSession() as session:

        async def ask() -> None:
            async with session.post(url, data=body, headers=headers):
                raise AssertionError("answered")

        request = tasks.create_task(ask())
        await asked.wait()
        request.cancel()


def test_a_question_by_post_ends_when_its_client_has_gone() -> None:
    """Its answer has no reader."""

    async def scenario() -> None:
        async with serve() as (node, url), asyncio.timeout(LONG_SECONDS):
            await leave_post(url, SCOPE, node.asked)
            await node.left.wait()

    asyncio.run(scenario())


def test_a_question_by_websocket_ends_when_its_client_has_gone() -> None:
    """Closed, or cut off."""

    async def scenario() -> None:
        async with serve() as (node, url), asyncio.timeout(LONG_SECONDS):
            async with aiohttp.ClientSession() as session:
                socket = await session.ws_connect(url)
                await socket.send_bytes(SCOPE)
                await node.asked.wait()
                await socket.close()
            await node.left.wait()

    asyncio.run(scenario())


def test_what_was_to_be_captured_is_captured_though_its_client_has_gone() -> None:
    """Half of a document would be worse than an answer that nobody reads."""

    async def scenario() -> None:
        async with serve() as (node, url), asyncio.timeout(LONG_SECONDS):
            await leave_post(url, CAPTURE, node.asked)
            await asyncio.sleep(0)
            node.go_on.set()
            await node.done.wait()

    asyncio.run(scenario())


def test_a_node_that_stops_ends_the_questions_under_way() -> None:
    """Within the time that a stop may take."""

    async def scenario() -> None:
        async with asyncio.timeout(LONG_SECONDS), aiohttp.ClientSession() as session:
            async with serve() as (node, url):
                socket = await session.ws_connect(url)
                await socket.send_bytes(SCOPE)
                await node.asked.wait()
            assert node.left.is_set()

    asyncio.run(scenario())
