"""Clients that connect and ask nothing, or half of something."""

import asyncio
import json

import pytest

from node.api import connections, listeners
from node.api.client import open_client, open_pipeline
from node.api.listeners import OperationsListener, listen_http
from node.api.schema.network import StatusResult
from node.config.addresses import Address
from node.telemetry.health import Health
from node.telemetry.metrics import Metrics
from tests.integration.api.test_listeners import ANY_PORT, Served, serve
from tests.support.meshes import until

HALF = b"POST /rpc HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
Connected = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def connect(address: Address, sent: bytes = b"") -> Connected:
    reader, writer = await asyncio.open_connection(address.host, address.port)
    writer.write(sent)
    return reader, writer


async def close(*connected: Connected) -> None:
    for _, writer in connected:
        writer.close()


async def is_status_told(served: Served) -> bool:
    async with open_client(served.address) as client:
        return (await client.call("network.status", {}, StatusResult)).height == 7


@pytest.mark.parametrize("sent", [b"", b"POST /rpc HT", HALF], ids=["nothing", "half a head", "half a body"])
def test_clients_that_send_no_whole_request_lock_nobody_out(monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    """The one that has waited longest makes room."""
    monkeypatch.setattr(connections, "GRACE_SECONDS", 0.0)

    async def scenario() -> None:
        async with serve(connections_max=4) as served:
            silent = [await connect(served.address, sent) for _ in range(12)]
            assert await is_status_told(served)
            assert await asyncio.wait_for(silent[0][0].read(), 10) == b""
            await close(*silent)

    asyncio.run(scenario())


def test_connections_are_counted_from_their_acceptance() -> None:
    """However little they send; those above the bound are told so as soon as they ask, and closed."""

    async def scenario() -> None:
        async with serve(connections_max=3) as served:
            silent = [await connect(served.address) for _ in range(3)]
            counted = served.listener._connections
            await until(lambda: counted.count == 3, "all are accepted")
            above = await connect(served.address, HALF)
            answer = await asyncio.wait_for(above[0].read(), 10)
            assert answer.startswith(b"HTTP/1.1 503")
            assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["data"]["code"] == "busy"
            assert counted.count == 3
            await close(*silent, above)
            await until(lambda: counted.count == 0, "all have gone")

    asyncio.run(scenario())


def test_of_those_above_the_bound_few_are_kept_until_they_have_been_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them has a file open too."""
    monkeypatch.setattr(connections, "REFUSING_MAX", 1)
    monkeypatch.setattr(connections, "REFUSING_SECONDS", 0.05)

    async def scenario() -> None:
        async with serve(connections_max=1) as served:
            inside = await connect(served.address)
            await until(lambda: served.listener._connections.count == 1, "it is accepted")
            above = [await connect(served.address) for _ in range(3)]
            for reader, _ in above:
                with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                    await asyncio.wait_for(reader.readexactly(1), 10)
            await close(inside, *above)

    asyncio.run(scenario())


@pytest.mark.parametrize("sent", [b"", b"POST /rpc HT"], ids=["nothing", "half a head"])
def test_a_connection_without_a_request_is_closed_in_time(monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    """Also where there is room."""
    monkeypatch.setattr(listeners, "IDLE_SECONDS", 0.05)

    async def scenario() -> None:
        async with serve() as served:
            reader, writer = await connect(served.address, sent)
            assert await asyncio.wait_for(reader.read(), 10) == b""
            writer.close()

    asyncio.run(scenario())


def test_a_body_that_does_not_come_is_answered_and_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """408, in words."""
    monkeypatch.setattr(listeners, "BODY_SECONDS", 0.05)

    async def scenario() -> None:
        async with serve() as served:
            reader, writer = await connect(served.address, HALF)
            assert b" 408 " in await asyncio.wait_for(reader.readline(), 10)
            writer.close()

    asyncio.run(scenario())


def test_a_body_that_comes_fast_enough_may_take_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A large document over a slow tunnel."""
    monkeypatch.setattr(listeners, "BODY_SECONDS", 0.2)
    monkeypatch.setattr(listeners, "BODY_BYTES_A_SECOND", 1)

    async def scenario() -> None:
        async with serve() as served:
            body = b'{"jsonrpc":"2.0","id":1,"method":"network.status"}'
            reader, writer = await connect(served.address, HALF.replace(b"100", b"%d" % len(body)))
            await asyncio.sleep(0.3)
            writer.write(body[1:])
            assert b" 200 " in await asyncio.wait_for(reader.readline(), 10)
            writer.close()

    asyncio.run(scenario())


def test_websockets_leave_room_for_those_that_ask_once() -> None:
    """They stay: all of them together must not keep out `lotvine status`."""

    async def scenario() -> None:
        limit = listeners.POSTS_RESERVED + 1
        async with serve(connections_max=limit) as served, open_pipeline(served.address):
            status, writer = await connect(
                served.address,
                b"GET /rpc HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
            )
            assert b" 503 " in await asyncio.wait_for(status.readline(), 10)
            assert await is_status_told(served)
            writer.close()

    asyncio.run(scenario())


def test_the_operations_listener_is_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its port is as easily reached."""
    monkeypatch.setattr(listeners, "OPERATIONS_CONNECTIONS_MAX", 2)

    async def scenario() -> None:
        operations = OperationsListener(Health(), Metrics())
        async with listen_http(operations.build_app, ANY_PORT, key="operations.listen") as address:
            silent = [await connect(address) for _ in range(2)]
            reader, writer = await connect(address, b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert b" 503 " in await asyncio.wait_for(reader.readline(), 10)
            writer.close()
            await close(*silent)

    asyncio.run(scenario())
