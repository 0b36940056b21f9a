"""node/api/listeners: what one WebSocket may take of the node."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import pytest
from aiohttp import WSMessage, WSMsgType, web

from node.api import listeners
from node.api.callers import Caller
from node.api.catalog import OPERATIONS
from node.api.client import SHORT_METHODS
from node.api.dispatch import Dispatcher
from node.api.listeners import RpcLimits
from node.api.operations import NoParams

ANSWER = b"x" * 1_000


class FakeSocket:
    """A client that has sent so many messages at once, and reads nothing until `reads` is set."""

    closed = False

    def __init__(self, count: int) -> None:
        self.count = count
        self.reads = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[WSMessage]:
        for _ in range(self.count):
            yield WSMessage(WSMsgType.TEXT, b"?", None)

    async def send_frame(self, _answer: bytes, _kind: WSMsgType) -> None:
        await self.reads.wait()


class AnsweringDispatcher:
    """Answers each request on the spot."""

    def __init__(self) -> None:
        self.dispatched = 0

    def dispatch(self, _body: bytes, _caller: Caller, reply: Callable[[bytes | None], None]) -> None:
        self.dispatched += 1
        reply(ANSWER)


def converse(socket: FakeSocket, dispatcher: AnsweringDispatcher, *, bytes_max: int) -> Any:
    return listeners._Conversation(
        cast(web.WebSocketResponse, socket), cast(Dispatcher, dispatcher), RpcLimits(bytes_max, 4_096, 10)
    ).run()


def test_answers_that_nobody_reads_stop_the_reading_of_more_requests() -> None:
    """An answer is far larger than its question: both count against the bound in bytes."""

    async def scenario() -> None:
        socket, dispatcher = FakeSocket(10), AnsweringDispatcher()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(converse(socket, dispatcher, bytes_max=3 * len(ANSWER)))
            for _ in range(20):
                await asyncio.sleep(0)
            assert dispatcher.dispatched == 3
            socket.reads.set()
        assert dispatcher.dispatched == 10

    asyncio.run(scenario())


def test_a_burst_on_one_websocket_leaves_others_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Votes are carried by the same loop, and must not wait until a client has said all it has to say."""
    monkeypatch.setattr(listeners, "TURN_SECONDS", 0.0, raising=False)

    async def scenario() -> None:
        socket, dispatcher = FakeSocket(50), AnsweringDispatcher()
        socket.reads.set()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(converse(socket, dispatcher, bytes_max=10**6))
            await asyncio.sleep(0)
            assert dispatcher.dispatched < 50

    asyncio.run(scenario())


def test_the_description_of_the_api_is_made_once() -> None:
    """Making it takes milliseconds of the loop that carries the votes."""
    discover = OPERATIONS["rpc.discover"]
    assert discover.call(cast(Any, None), NoParams()) is discover.call(cast(Any, None), NoParams())


def test_the_methods_that_are_given_up_soon_exist() -> None:
    """A method that was renamed would be waited for for minutes."""
    assert OPERATIONS.keys() >= SHORT_METHODS
