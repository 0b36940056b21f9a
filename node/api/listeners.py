"""The two listeners for this machine: `/rpc` by POST and WebSocket, and the operations routes.

There are no access tokens yet, so a listener binds loopback alone, and what a browser could be tricked into sending
is refused: a page of another site can reach a loopback port, but only with a foreign Host or Origin, or with a content
type that is not JSON.
"""

import asyncio
import contextlib
import errno
import logging
import os
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

import msgspec
from aiohttp import WSMsgType, web
from aiohttp.http_exceptions import HttpProcessingError

from node.api.callers import Caller
from node.api.connections import Connections
from node.api.dispatch import Dispatcher, encode_refusal
from node.api.errors import BusyError
from node.config.addresses import Address, is_loopback, parse_address
from node.errors import ConfigError, RequestError
from node.telemetry.health import Health, State
from node.telemetry.metrics import Metrics

RPC_PATH: Final = "/rpc"
STOP_SECONDS: Final = 3.0
HEARTBEAT_SECONDS: Final = 30.0
TURN_SECONDS: Final = 0.005
"""How long one WebSocket may keep the loop before others have a turn."""
IDLE_SECONDS: Final = 30.0
"""How long a connection is kept without a request, or until the head of one is whole."""
BODY_SECONDS: Final = 10.0
BODY_BYTES_A_SECOND: Final = 65_536
"""A body takes BODY_SECONDS, and longer only as it comes at least as fast as this."""
OPERATIONS_CONNECTIONS_MAX: Final = 32
POSTS_RESERVED: Final = 8
"""Connections that WebSockets, which stay, leave to those that ask once: `lotvine status` is one of them."""
LOOK_SECONDS: Final = 0.25
"""How often a POST that is being answered looks whether its caller is still there."""
_BACKLOG: Final = 128
_JSON: Final = "application/json"


_CLIENT_FAULTS: Final = (HttpProcessingError, web.RequestPayloadError, ConnectionError)
_http_log = logging.getLogger("aiohttp.server.rpc")


def _lower_client_faults(record: logging.LogRecord) -> bool:
    """Log at debug what a client did: aiohttp calls it an error, and an error is for the operator to act on.

    That is bytes that are no HTTP, a body that does not decode, and a connection that ends within a request.
    """
    if record.exc_info and isinstance(record.exc_info[1], _CLIENT_FAULTS):
        record.levelno, record.levelname = logging.DEBUG, "DEBUG"
        record.exc_info = None
    return record.levelno >= _http_log.getEffectiveLevel()


_http_log.addFilter(_lower_client_faults)


@dataclass(frozen=True, slots=True)
class RpcLimits:
    """Bounds of the RPC listener; see `node.toml`."""

    body_bytes_max: int
    inflight_requests_max: int
    connections_max: int


_CONNECTIONS: Final = web.AppKey("connections", Connections)


class _TooLargeError(Exception):
    """A body is larger than allowed."""


class RpcListener:
    """Serves `/rpc`."""

    def __init__(self, dispatcher: Dispatcher, limits: RpcLimits) -> None:
        self._dispatcher = dispatcher
        self._limits = limits
        self._sockets: set[web.WebSocketResponse] = set()
        self._posts = 0
        self._connections = Connections(limits.connections_max)

    @property
    def open_websockets(self) -> int:
        """How many WebSockets are open."""
        return len(self._sockets)

    @property
    def posts_under_way(self) -> int:
        """How many POST requests are being read or answered."""
        return self._posts

    def build_app(self) -> web.Application:
        """Return the aiohttp application."""
        app = web.Application(middlewares=[_refuse_foreign_pages])
        app[_CONNECTIONS] = self._connections
        app.router.add_post(RPC_PATH, self._serve_post)
        app.router.add_get(RPC_PATH, self._serve_websocket)
        app.on_shutdown.append(self._close_sockets)
        return app

    async def _close_sockets(self, _app: web.Application) -> None:
        for socket in tuple(self._sockets):
            await socket.close(code=1001, message=b"the node is stopping")

    async def _serve_post(self, request: web.Request) -> web.Response:
        if request.content_type != _JSON:
            return _refuse(415, RequestError("invalid_request", f"send Content-Type: {_JSON}"))
        self._posts += 1
        try:
            return await self._answer_post(request)
        finally:
            self._posts -= 1

    async def _answer_post(self, request: web.Request) -> web.Response:
        try:
            body = await self._read_body(request)
        except _TooLargeError:
            words = f"the body is larger than {self._limits.body_bytes_max} bytes"
            return _refuse(413, RequestError("too_large", words, hint="send it in parts, or raise rpc.body_bytes_max"))
        except TimeoutError:
            words = f"the body did not come within {BODY_SECONDS:g} s and a second for each {BODY_BYTES_A_SECOND} bytes"
            response = _refuse(408, RequestError("invalid_request", words))
            response.force_close()
            return response
        except (web.RequestPayloadError, HttpProcessingError) as error:
            # A Content-Encoding or chunk that does not decode: the client's fault, not ours.
            return _refuse(400, RequestError("invalid_request", f"the body cannot be read: {type(error).__name__}"))
        with self._connections.serving(request.protocol):
            return await self._answer(request, body)

    async def _read_body(self, request: web.Request) -> bytes:
        """Return the body. Raises _TooLargeError, TimeoutError, and what aiohttp raises of one that does not decode."""
        body = bytearray()
        began = asyncio.get_running_loop().time()
        async with asyncio.timeout_at(began + BODY_SECONDS) as limit:
            while chunk := await request.content.readany():
                body += chunk
                if len(body) > self._limits.body_bytes_max:
                    raise _TooLargeError
                limit.reschedule(began + BODY_SECONDS + len(body) / BODY_BYTES_A_SECOND)
        return bytes(body)

    async def _answer(self, request: web.Request, body: bytes) -> web.Response:
        answer: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        async with asyncio.TaskGroup() as tasks:
            caller = Caller(tasks)
            self._dispatcher.dispatch(body, caller, answer.set_result)
            while not answer.done():
                await asyncio.wait((answer,), timeout=LOOK_SECONDS)
                if request.transport is None and not answer.done():
                    caller.leave()
                    return web.Response(status=204)  # Nobody reads it.
        encoded = answer.result()
        if encoded is None:
            return web.Response(status=204)
        return web.Response(body=encoded, content_type=_JSON)

    async def _serve_websocket(self, request: web.Request) -> web.StreamResponse:
        if len(self._sockets) >= max(1, self._limits.connections_max - POSTS_RESERVED):
            return _refuse(503, BusyError(f"{len(self._sockets)} WebSockets are open already"))
        socket = web.WebSocketResponse(
            max_msg_size=self._limits.body_bytes_max, compress=False, heartbeat=HEARTBEAT_SECONDS, decode_text=False
        )
        await socket.prepare(request)
        self._sockets.add(socket)
        try:
            with self._connections.serving(request.protocol):
                await _Conversation(socket, self._dispatcher, self._limits).run()
        finally:
            self._sockets.discard(socket)
        return socket


class _Conversation:
    """One WebSocket: requests are answered as they are done, by id, in any order.

    A request counts as in flight until its answer is written, so a client that does not read stops being read; and
    what is in flight is bounded in bytes too, of requests and answers together.
    """

    def __init__(self, socket: web.WebSocketResponse, dispatcher: Dispatcher, limits: RpcLimits) -> None:
        self._socket = socket
        self._dispatcher = dispatcher
        self._limits = limits
        self._inflight = 0
        self._inflight_bytes = 0
        self._answers: deque[tuple[bytes, int]] = deque()
        self._is_due = asyncio.Event()
        self._has_room = asyncio.Event()

    async def run(self) -> None:
        """Serve until the client or the node closes."""
        async with asyncio.TaskGroup() as tasks, asyncio.TaskGroup() as requests:
            writer = tasks.create_task(self._write(), name="rpc websocket writer")
            caller = Caller(requests)
            turn_began = time.monotonic()
            try:
                async for message in self._socket:
                    if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                        break
                    size = len(message.data)
                    self._inflight += 1
                    self._inflight_bytes += size
                    self._dispatcher.dispatch(message.data, caller, partial(self._on_answer, size))
                    while self._is_full and not self._socket.closed:
                        self._has_room.clear()
                        await self._has_room.wait()
                    if time.monotonic() - turn_began >= TURN_SECONDS:
                        # Messages that wait already come without a pause: a burst would hold up the votes.
                        await asyncio.sleep(0)
                        turn_began = time.monotonic()
            finally:
                caller.leave()
                writer.cancel()

    @property
    def _is_full(self) -> bool:
        limits = self._limits
        return self._inflight >= limits.inflight_requests_max or self._inflight_bytes >= limits.body_bytes_max

    def _on_answer(self, size: int, answer: bytes | None) -> None:
        """Take the answer to a request of `size` bytes."""
        if answer is None:
            self._forget(size)
        else:
            # An answer is far larger than its question: what nobody reads would fill our memory.
            self._inflight_bytes += len(answer)
            size += len(answer)
            self._answers.append((answer, size))
            self._is_due.set()

    def _forget(self, size: int) -> None:
        self._inflight -= 1
        self._inflight_bytes -= size
        self._has_room.set()

    async def _write(self) -> None:
        while True:
            await self._is_due.wait()
            self._is_due.clear()
            while self._answers:
                answer, size = self._answers.popleft()
                # A client that is gone is the reader's to notice. What it asked for is done all the same.
                with contextlib.suppress(ConnectionError, RuntimeError):
                    await self._socket.send_frame(answer, WSMsgType.TEXT)
                self._forget(size)


class OperationsListener:
    """Serves `/livez`, `/readyz`, `/healthz` and `/metrics`."""

    def __init__(self, health: Health, metrics: Metrics) -> None:
        self._health = health
        self._metrics = metrics

    def build_app(self) -> web.Application:
        """Return the aiohttp application."""
        app = web.Application(middlewares=[_refuse_foreign_pages])
        app[_CONNECTIONS] = Connections(OPERATIONS_CONNECTIONS_MAX)
        for path, serve in OPERATIONS_ROUTES.items():
            app.router.add_get(path, partial(serve, self))
        return app

    async def _serve_live(self, _request: web.Request) -> web.Response:
        return web.Response(text="alive\n")

    async def _serve_ready(self, _request: web.Request) -> web.Response:
        unready = self._health.find_unready()
        if not unready:
            return web.Response(text="ready\n")
        lines = [f"{part}: {one.state}: {one.words}" for part, one in unready.items()]
        return web.Response(status=503, text="\n".join(lines) + "\n")

    async def _serve_health(self, _request: web.Request) -> web.Response:
        report = self._health.report()
        body = msgspec.json.encode({part: {"state": one.state, "words": one.words} for part, one in report.items()})
        failed = any(one.state is State.FAILED for one in report.values())
        return web.Response(status=503 if failed else 200, body=body, content_type=_JSON)

    async def _serve_metrics(self, _request: web.Request) -> web.Response:
        headers = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        return web.Response(body=self._metrics.render(), headers=headers)


OPERATIONS_ROUTES: Final = {
    "/livez": OperationsListener._serve_live,
    "/readyz": OperationsListener._serve_ready,
    "/healthz": OperationsListener._serve_health,
    "/metrics": OperationsListener._serve_metrics,
}


@asynccontextmanager
async def listen_http(
    build_app: Callable[[], web.Application], address: Address, *, key: str
) -> AsyncIterator[Address]:
    """Serve an application while the context lasts; yields the address bound. key: named if it cannot be.

    Raises ConfigError: the address is taken, is not ours, or can be reached from other machines.
    """
    if not is_loopback(address):
        raise ConfigError([f"{key} = {address} can be reached from other machines: use 127.0.0.1 or [::1]"])
    app = build_app()
    # An application that says nothing of its bound gets the small one.
    connections = app.get(_CONNECTIONS) or Connections(OPERATIONS_CONNECTIONS_MAX)
    runner = web.AppRunner(
        app,
        access_log=None,
        shutdown_timeout=STOP_SECONDS,
        handle_signals=False,
        logger=_http_log,
        keepalive_timeout=IDLE_SECONDS,
    )
    await runner.setup()
    assert runner.server is not None
    try:
        try:
            server = await asyncio.get_running_loop().create_server(
                connections.bounded(runner.server), address.host, address.port, backlog=_BACKLOG
            )
        except OSError as error:
            why = os.strerror(error.errno) if error.errno else str(error)
            advice = "is another node running? choose another port" if error.errno == errno.EADDRINUSE else "check it"
            raise ConfigError([f"{key} = {address}: cannot listen: {why}: {advice}"]) from error
        try:
            bound = server.sockets[0].getsockname()
            yield Address(str(bound[0]), int(bound[1]))
        finally:
            await _close_server(server)
    finally:
        await runner.cleanup()


async def _close_server(server: asyncio.Server) -> None:
    """Stop to listen, and leave none of the connections just accepted without a handler that closes it.

    On CPython 3.11 a server that is closed between accepting a connection and making its transport fails in that
    task without a word, and the socket stays open until it is collected.
    """
    loop = asyncio.get_running_loop()
    for listening in server.sockets:
        loop.remove_reader(listening.fileno())
    try:
        # One pass of the loop makes the transports, the next tells their handlers, which the runner then closes.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    finally:
        server.close()


@web.middleware
async def _refuse_foreign_pages(request: web.Request, handler: Callable[[web.Request], object]) -> web.StreamResponse:
    """Refuse what a web page of another site sent: a foreign Origin, or a name that was rebound to loopback."""
    origin = request.headers.get("Origin")
    host_of_origin = None if origin is None else origin.partition("://")[2]
    for host in (request.host, host_of_origin):
        if host is not None and not _is_this_machine(host):
            words = "this listener answers this machine only, and takes no requests from web pages of other sites"
            return _refuse(403, RequestError("forbidden", words))
    response = await handler(request)  # type: ignore[misc]  # aiohttp's handler type is wider than the middleware's
    assert isinstance(response, web.StreamResponse)
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def _is_this_machine(host: str) -> bool:
    try:
        return is_loopback(parse_address(host if host.rpartition(":")[2].isdigit() else f"{host}:0"))
    except ValueError:
        return False


def _refuse(status: int, error: RequestError) -> web.Response:
    return web.Response(status=status, body=encode_refusal(error), content_type=_JSON)
