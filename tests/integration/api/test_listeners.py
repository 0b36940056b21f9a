"""The two listeners with real sockets on loopback, reached by our client and by raw HTTP."""

import asyncio
import gc
import json
import socket
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import pytest

from node.api.catalog import OPERATIONS
from node.api.client import RpcError, UnreachableError, open_client, open_pipeline
from node.api.dispatch import Dispatcher
from node.api.listeners import OperationsListener, RpcLimits, RpcListener, listen_http
from node.api.schema.network import StatusResult
from node.api.schema.traces import TraceResult
from node.api.schema.transactions import TransactionResult
from node.config.addresses import Address
from node.errors import ConfigError
from node.telemetry.health import Health, PartHealth, State
from node.telemetry.metrics import Metrics
from tests.support.api_backends import FakeNode
from tests.support.meshes import until

DEEP = b'{"jsonrpc":"2.0","id":1,"method":"network.status","params":' + b"[" * 30_000 + b"]" * 30_000 + b"}"
MALFORMED = "malformed_transaction"
ANY_PORT = Address("127.0.0.1", 0)


@dataclass
class Served:
    """A listener over fakes."""

    address: Address
    node: FakeNode
    metrics: Metrics
    listener: RpcListener
    failures: list[BaseException] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://{self.address}/rpc"


@asynccontextmanager
async def serve(
    *, body_bytes_max: int = 65_536, inflight_max: int = 100, connections_max: int = 10
) -> AsyncIterator[Served]:
    node, metrics, failures = FakeNode(), Metrics(), list[BaseException]()
    dispatcher = Dispatcher(
        OPERATIONS, node.backends(), batch_requests_max=3, metrics=metrics, on_failure=failures.append
    )
    listener = RpcListener(dispatcher, RpcLimits(body_bytes_max, inflight_max, connections_max))
    served = Served(ANY_PORT, node, metrics, listener, failures)
    async with listen_http(listener.build_app, ANY_PORT, key="rpc.listen") as address:
        served.address = address
        yield served


async def post(url: str, body: bytes, **headers: str) -> tuple[int, object]:
    sent = {"Content-Type": "application/json"} | {name.replace("_", "-"): value for name, value in headers.items()}
    async with aiohttp.ClientSession() as session, session.post(url, data=body, headers=sent) as response:
        text = await response.text()
        return response.status, json.loads(text) if text else None


def request(method: str, params: object = None, request_id: object = 1) -> dict[str, object]:
    envelope: dict[str, object] = {"jsonrpc": "2.0", "id": request_id, "method": method}
    return envelope if params is None else envelope | {"params": params}


async def error_of(served: Served, body: bytes) -> tuple[object, dict[str, object]]:
    status, answer = await post(served.url, body)
    assert status == 200
    assert isinstance(answer, dict)
    assert answer["jsonrpc"] == "2.0"
    error = answer["error"]
    assert isinstance(error, dict)
    return answer["id"], error


def test_a_question_by_post_is_answered_typed() -> None:
    """The client reads what the node wrote with the same Structs."""

    async def scenario() -> None:
        async with serve() as served, open_client(served.address) as client:
            status = await client.call("network.status", {}, StatusResult)
            assert status.height == 7
            trace = await client.call("trace.back", {"item": "x"}, TraceResult)
            assert trace.direction == "back"

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("body", "number", "code", "place"),
    [
        (b"{", -32700, "parse_error", None),
        (b"\xff\xfe", -32700, "parse_error", None),
        (b"[" * 5000, -32700, "parse_error", None),
        (DEEP, -32700, "parse_error", None),
        (b"{}", -32600, "invalid_request", None),
        (b'{"jsonrpc":"1.0","id":1,"method":"network.status"}', -32600, "invalid_request", "jsonrpc"),
        (b'{"jsonrpc":"2.0","id":1.5,"method":"network.status"}', -32600, "invalid_request", "id"),
        (b"[]", -32600, "invalid_request", None),
        (b"[1,2,3,4]", -32600, "invalid_request", None),
        (json.dumps(request("no.such")).encode(), -32601, "method_not_found", "method"),
        (json.dumps(request("tx.get", {"id": 5})).encode(), -32602, "invalid_params", "params.id"),
        (json.dumps(request("tx.get", {"id": "AB" * 32})).encode(), -32602, "invalid_params", "params.id"),
        (json.dumps(request("tx.get", {})).encode(), -32602, "invalid_params", "params"),
        (json.dumps(request("tx.get", ["x"])).encode(), -32602, "invalid_params", "params"),
        (json.dumps(request("block.get", {"height": 2**64})).encode(), -32602, "invalid_params", "params.height"),
        (json.dumps(request("trace.back", {"item": "x", "as_of": "2026-03-01T00:00:00"})).encode(),
         -32602, "invalid_params", "params.as_of"),
        (json.dumps(request("network.status", {"more": 1})).encode(), -32602, "invalid_params", "params"),
        (json.dumps(request("event.get", {})).encode(), -32602, "invalid_params", "params"),
        (json.dumps(request("tx.submit", {"signed": "!!"})).encode(), -32602, "invalid_params", "params.signed"),
        (json.dumps(request("tx.submit", {"signed": "YmFk"})).encode(), -32000, MALFORMED, "params.signed"),
        (json.dumps(request("tx.get", {"id": "ab" * 32})).encode(), -32001, "not_found", "params.id"),
        (json.dumps(request("block.get")).encode(), -32603, "internal_error", None),
    ],
)  # fmt: skip
def test_what_is_wrong_gets_its_number_code_and_field(body: bytes, number: int, code: str, place: str | None) -> None:
    """JSON-RPC 2.0 section 5.1, and our own stable table."""

    async def scenario() -> None:
        async with serve() as served:
            _, error = await error_of(served, body)
            data = error["data"]
            assert isinstance(data, dict)
            assert (error["code"], data["code"], data.get("field")) == (number, code, place)
            # Our own fault is handed on, and its text stays here.
            assert len(served.failures) == (code == "internal_error")
            assert "bug of ours" not in json.dumps(error)

    asyncio.run(scenario())


def test_a_body_that_does_not_decode_is_the_clients_fault() -> None:
    """What claims to be gzip and is not gets 400 and a reason; nothing is handed on as a failure of ours."""

    async def scenario() -> None:
        async with serve() as served:
            status, answer = await post(served.url, b"\x1f\x8bnot gzip", Content_Encoding="gzip")
            assert status == 400
            assert isinstance(answer, dict)
            assert answer["error"]["data"]["code"] == "invalid_request"
            assert not served.failures

    asyncio.run(scenario())


def test_a_client_that_leaves_within_its_request_is_no_error_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """It happens every day, and nobody has to act on it."""

    async def scenario() -> None:
        async with serve() as served:
            _, writer = await asyncio.open_connection(served.address.host, served.address.port)
            head = (
                "POST /rpc HTTP/1.1",
                "Host: localhost",
                "Content-Type: application/json",
                "Content-Length: 9",
                "",
                "{",
            )
            writer.write("\r\n".join(head).encode())
            await until(lambda: served.listener.posts_under_way == 1, "the request has begun")
            writer.transport.abort()
            await until(lambda: served.listener.posts_under_way == 0, "the request has ended")

    asyncio.run(scenario())
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


@pytest.mark.parametrize("path", ["/rpc", "/nothing-here"])
def test_a_body_that_does_not_decode_is_no_error_in_the_log(caplog: pytest.LogCaptureFixture, path: str) -> None:
    """Nor where nobody wanted to read it."""

    async def scenario() -> None:
        async with serve() as served:
            url = served.url.replace("/rpc", path)
            async with aiohttp.ClientSession() as session:
                sent = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
                async with session.post(url, data=b"garbage!", headers=sent) as response:
                    assert response.status in {400, 404}
                    await response.read()

    with caplog.at_level("INFO", logger="aiohttp.server.rpc"):
        asyncio.run(scenario())
    assert not caplog.records


def test_what_is_no_http_is_no_error_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """An error in the log is for the operator to act on; garbage on the port is not."""

    async def scenario() -> None:
        async with serve() as served:
            await post(served.url, json.dumps(request("tx.get", {})).encode())
            reader, writer = await asyncio.open_connection(served.address.host, served.address.port)
            writer.write(b"FOO /rpc HTTP/1.1\r\n\r\n")
            assert (await reader.readline()).startswith(b"HTTP/1.0 400")
            writer.close()

    asyncio.run(scenario())
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_an_unknown_item_comes_with_near_matches() -> None:
    """The error's data names what the caller may have meant."""

    async def scenario() -> None:
        async with serve() as served, open_client(served.address) as client:
            with pytest.raises(RpcError) as caught:
                await client.call_raw("item.get", {"item": "x"})
            assert caught.value.near == ("https://id.gs1.org/01/09521234543213/10/A",)
            assert caught.value.code == "not_found"

    asyncio.run(scenario())


def test_a_batch_is_answered_in_order_and_notifications_not_at_all() -> None:
    """JSON-RPC 2.0 sections 4.1 and 6."""

    async def scenario() -> None:
        async with serve() as served:
            silent = {"jsonrpc": "2.0", "method": "network.status"}
            body = json.dumps([request("trace.back", {"item": "x"}, "a"), silent, request("member.list", None, 9)])
            status, answers = await post(served.url, body.encode())
            assert isinstance(answers, list)
            assert (status, [answer["id"] for answer in answers]) == (200, ["a", 9])
            assert await post(served.url, json.dumps([silent]).encode()) == (204, None)
            assert await post(served.url, json.dumps(silent).encode()) == (204, None)

    asyncio.run(scenario())


def test_a_body_over_the_limit_is_refused_by_name() -> None:
    """The limit holds before anything is read as JSON."""

    async def scenario() -> None:
        async with serve() as served:
            status, answer = await post(served.url, b" " * 70_000)
            assert isinstance(answer, dict)
            assert (status, answer["error"]["code"], answer["error"]["data"]["code"]) == (413, -32004, "too_large")

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content_Type": "text/plain"}, 415),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "rebound.example:7001"}, 403),
        ({"Origin": "http://127.0.0.1:9"}, 200),
        ({"Host": "localhost"}, 200),
    ],
)
def test_pages_of_other_sites_cannot_reach_the_listener(headers: dict[str, str], status: int) -> None:
    """A browser can be made to send to loopback: by a form, by a foreign origin, by a rebound name."""

    async def scenario() -> None:
        async with serve() as served:
            answered, _ = await post(served.url, json.dumps(request("network.status")).encode(), **headers)
            assert answered == status

    asyncio.run(scenario())


def test_a_websocket_answers_by_id_as_things_are_done() -> None:
    """A slow request does not hold up a fast one."""

    async def scenario() -> None:
        async with serve() as served, open_pipeline(served.address) as client:
            served.node.is_holding = True
            slow = await client.start("tx.submit", {"signed": "AAAA"})
            status = await client.call("network.status", {}, StatusResult)
            assert status.member == "mill"
            assert not slow.done()
            (await served.node.held.get()).set_result(TransactionResult(id="00" * 32, state="accepted", member="mill"))
            assert json.loads(await slow)["state"] == "accepted"
            refused = await client.start("tx.get", {"id": "ab" * 32})
            with pytest.raises(RpcError, match="no such transaction"):
                await refused

    asyncio.run(scenario())


def test_a_websocket_stops_reading_when_too_much_is_unanswered() -> None:
    """Memory is bounded by the requests in flight, not by the client's speed."""

    async def scenario() -> None:
        async with serve(inflight_max=3) as served, open_pipeline(served.address) as client:
            served.node.is_holding = True
            futures = [await client.start("tx.submit", {"signed": "AAAA"}) for _ in range(6)]
            read = [await served.node.held.get() for _ in range(3)]
            await asyncio.sleep(0.05)  # All six would be read by now, were there no bound.
            assert served.node.held.empty()
            for one in read:
                one.set_result(TransactionResult(id="00" * 32, state="accepted", member="mill"))
            for _ in range(3):
                one = await served.node.held.get()
                one.set_result(TransactionResult(id="00" * 32, state="accepted", member="mill"))
            await asyncio.gather(*futures)

    asyncio.run(scenario())


def test_what_is_unanswered_on_a_websocket_is_bounded_in_bytes_too() -> None:
    """Three large requests stop the reading as many small ones do."""

    async def scenario() -> None:
        async with serve(body_bytes_max=3_000) as served, open_pipeline(served.address) as client:
            served.node.is_holding = True
            futures = [await client.start("tx.submit", {"signed": "AAAA" * 250}) for _ in range(5)]
            read = [await served.node.held.get() for _ in range(3)]
            await asyncio.sleep(0.05)  # All five would be read by now, were there no bound.
            assert served.node.held.empty()
            for one in read:
                one.set_result(TransactionResult(id="00" * 32, state="accepted", member="mill"))
            for _ in range(2):
                one = await served.node.held.get()
                one.set_result(TransactionResult(id="00" * 32, state="accepted", member="mill"))
            await asyncio.gather(*futures)

    asyncio.run(scenario())


def test_a_message_over_the_limit_ends_the_websocket() -> None:
    """With close code 1009; the node goes on."""

    async def scenario() -> None:
        async with serve(body_bytes_max=3_000) as served:
            async with aiohttp.ClientSession() as session, session.ws_connect(served.url) as socket:
                await socket.send_str("x" * 4_000)
                message = await socket.receive(timeout=10)
                assert (message.type, socket.close_code) == (aiohttp.WSMsgType.CLOSE, 1009)
            async with open_client(served.address) as client:
                assert (await client.call("network.status", {}, StatusResult)).height == 7

    asyncio.run(scenario())


def test_more_clients_than_allowed_are_told_that_the_node_is_busy() -> None:
    """Memory is bounded by clients times what each may send."""

    async def scenario() -> None:
        async with serve(connections_max=1) as served, open_pipeline(served.address):
            status, answer = await post(served.url, json.dumps(request("network.status")).encode())
            assert isinstance(answer, dict)
            assert (status, answer["error"]["code"]) == (503, -32003)
            with pytest.raises(UnreachableError):
                async with open_pipeline(served.address):
                    pass

    asyncio.run(scenario())


def test_a_node_that_stops_says_so_and_a_client_learns_it() -> None:
    """Futures that the node drops are answered, and a lost connection ends every waiting call."""

    async def scenario() -> None:
        async with serve() as served, open_pipeline(served.address) as client:
            served.node.is_holding = True
            dropped = await client.start("tx.submit", {"signed": "AAAA"})
            lost = await client.start("tx.submit", {"signed": "AAAA"})
            (await served.node.held.get()).cancel()
            unanswered = await served.node.held.get()
            with pytest.raises(RpcError, match="stopping"):
                await dropped
            await client.close()
            with pytest.raises(UnreachableError):
                await lost
            unanswered.cancel()

    asyncio.run(scenario())


def test_where_no_node_answers_the_client_says_so() -> None:
    """One named error, whatever the socket said."""

    async def scenario() -> None:
        async with serve() as served:
            gone = served.address
        async with open_client(gone) as client:
            with pytest.raises(UnreachableError):
                await client.call_raw("network.status", {})
        with pytest.raises(UnreachableError):
            async with open_pipeline(gone):
                pass

    asyncio.run(scenario())


def test_the_api_describes_itself_completely() -> None:
    """rpc.discover has every operation with its parameters and result, built from the declarations."""

    async def scenario() -> None:
        async with serve() as served, open_client(served.address) as client:
            described = json.loads(await client.call_raw("rpc.discover", {}))
            assert described["openrpc"].startswith("1.")
            methods = {method["name"]: method for method in described["methods"]}
            assert set(methods) == set(OPERATIONS)
            assert {param["name"] for param in methods["tx.submit"]["params"]} == {"signed", "encoding", "wait"}
            assert all(method["summary"] for method in methods.values())

    asyncio.run(scenario())


def test_a_port_in_use_and_a_public_address_are_configuration_errors() -> None:
    """One clear line each, with the key."""

    async def scenario() -> None:
        async with serve() as served:
            with pytest.raises(ConfigError, match=r"rpc\.listen = .* cannot listen"):
                async with listen_http(aiohttp.web.Application, served.address, key="rpc.listen"):
                    pass
        with pytest.raises(ConfigError, match="reached from other machines"):
            async with listen_http(aiohttp.web.Application, Address("0.0.0.0", 0), key="rpc.listen"):
                pass

    asyncio.run(scenario())


def test_operations_routes_tell_live_ready_and_healthy_apart() -> None:
    """/livez never depends on peers; /readyz names what is missing; /healthz speaks of each part."""

    async def scenario() -> None:
        health = Health()
        state = [PartHealth(State.STARTING, "12 blocks behind")]
        health.add("engine", lambda: state[0], is_needed=True)
        health.add("peers", lambda: PartHealth(State.DEGRADED, "2 of 3 connected"), is_needed=False)
        metrics = Metrics()
        metrics.sample("consensus_view", lambda: 12)
        listener = OperationsListener(health, metrics)
        async with (
            listen_http(listener.build_app, ANY_PORT, key="operations.listen") as address,
            aiohttp.ClientSession(f"http://{address}") as session,
        ):

            async def get(path: str) -> tuple[int, str]:
                async with session.get(path) as response:
                    return response.status, await response.text()

            assert await get("/livez") == (200, "alive\n")
            assert await get("/readyz") == (503, "engine: starting: 12 blocks behind\n")
            state[0] = PartHealth(State.OK, "caught up")
            assert await get("/readyz") == (200, "ready\n")
            status, body = await get("/healthz")
            assert (status, json.loads(body)["peers"]["words"]) == (200, "2 of 3 connected")
            state[0] = PartHealth(State.FAILED, "the store is damaged")
            assert (await get("/healthz"))[0] == 503
            assert "consensus_view 12.0" in (await get("/metrics"))[1]

    asyncio.run(scenario())


def test_requests_are_counted_by_method_and_outcome() -> None:
    """An unknown method's name never becomes a label."""

    async def scenario() -> None:
        async with serve() as served, open_client(served.address) as client:
            await client.call_raw("network.status", {})
            for method in ("no.such.method", "tx.get"):
                with pytest.raises(RpcError):
                    await client.call_raw(method, {})
            text = served.metrics.render().decode()
            assert 'api_requests_total{method="network.status",outcome="answered"} 1.0' in text
            assert 'api_requests_total{method="tx.get",outcome="refused"} 1.0' in text
            assert 'api_requests_total{method="unknown",outcome="refused"} 1.0' in text
            assert "no.such.method" not in text

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("params", "ok"),
    [
        ({"transaction": "ab" * 32}, True),
        ({"transaction": "ab" * 32, "index": 1}, True),
        ({"event_id": "urn:x:1"}, True),
        ({}, False),
        ({"transaction": "ab" * 32, "event_id": "urn:x:1"}, False),
        ({"event_id": "urn:x:1", "index": 1}, False),
        ({"transaction": "ab" * 32, "index": -1}, False),
        ({"event_id": ""}, False),
    ],
)
def test_an_event_is_asked_for_in_one_way_at_a_time(params: dict[str, object], ok: bool) -> None:
    """By transaction, with or without index, or by eventID."""

    async def scenario() -> None:
        async with serve() as served, open_client(served.address) as client:
            if ok:
                assert json.loads(await client.call_raw("event.get", params)) == {"events": []}
            else:
                with pytest.raises(RpcError) as caught:
                    await client.call_raw("event.get", params)
                assert caught.value.code == "invalid_params"

    asyncio.run(scenario())


def test_a_document_reaches_intake_as_it_was_written() -> None:
    """Blanks, escapes and the order of keys: the event is kept losslessly."""

    async def scenario() -> None:
        async with serve() as served:
            document = '{ "b" : 1.50, "a":"\\u00e9" }'
            body = '{"jsonrpc":"2.0","id":1,"method":"event.capture","params":{"document": ' + document + "}}"
            status, answer = await post(served.url, body.encode())
            assert isinstance(answer, dict)
            assert (status, answer["result"]["state"]) == (200, "accepted")
            assert served.node.captured == [document.encode()]

    asyncio.run(scenario())


def test_a_failing_future_is_our_fault_and_a_hex_submission_is_read() -> None:
    """The caller learns that we failed, app/ learns why."""

    async def scenario() -> None:
        async with serve() as served, open_pipeline(served.address) as client:
            served.node.is_holding = True
            answer = await client.start("tx.submit", {"signed": "abcd", "encoding": "hex"})
            (await served.node.held.get()).set_exception(ZeroDivisionError("a bug of ours"))
            with pytest.raises(RpcError) as caught:
                await answer
            assert caught.value.code == "internal_error"
            assert [type(error) for error in served.failures] == [ZeroDivisionError]
            assert served.node.submitted[0][0] == b"\xab\xcd"

    asyncio.run(scenario())


@pytest.mark.parametrize("body", [b"[1", b"[\xff]"])
def test_a_batch_that_is_no_json_is_a_parse_error(body: bytes) -> None:
    """One answer without an id."""

    async def scenario() -> None:
        async with serve() as served:
            request_id, error = await error_of(served, body)
            assert (request_id, error["code"]) == (None, -32700)

    asyncio.run(scenario())


def test_a_notification_that_fails_stays_silent() -> None:
    """JSON-RPC 2.0 section 4.1: not even errors are answered."""

    async def scenario() -> None:
        async with serve() as served:
            silent = json.dumps({"jsonrpc": "2.0", "method": "tx.get", "params": {"id": "ab" * 32}})
            assert await post(served.url, silent.encode()) == (204, None)

    asyncio.run(scenario())


def test_what_answers_but_is_no_node_is_said() -> None:
    """Another server on the port is not taken for a node."""

    async def scenario() -> None:
        app = aiohttp.web.Application()
        async with listen_http(lambda: app, ANY_PORT, key="rpc.listen") as address, open_client(address) as client:
            with pytest.raises(UnreachableError, match="is no node"):
                await client.call_raw("network.status", {})

    asyncio.run(scenario())


@pytest.mark.filterwarnings("always::ResourceWarning")
def test_a_listener_that_closes_just_as_it_accepts_closes_what_it_has_accepted() -> None:
    """The loop has taken the connection and has not made its transport yet when the listener is told to stop."""

    async def scenario() -> None:
        async with listen_http(aiohttp.web.Application, ANY_PORT, key="rpc.listen") as address:
            dialled = socket.create_connection((address.host, address.port))
            # In the first pass the loop sees the connection; in the second it would make the transport.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        with dialled:
            dialled.settimeout(5)
            assert dialled.recv(1) == b""

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        asyncio.run(scenario())
        gc.collect()
        assert [str(each.message) for each in caught if issubclass(each.category, ResourceWarning)] == []
