"""A client of a node's API, by POST for single questions and by WebSocket for streams of them.

Used by the command line, the sandbox, the tests and the benchmarks. What a node answers is typed by the same
Structs that the node encodes.
"""

import asyncio
import itertools
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, TypeVar

import aiohttp
import msgspec

from node.api.errors import ErrorObject
from node.config.addresses import Address
from node.errors import RequestError

T = TypeVar("T")

ANSWER_BYTES_MAX: Final = 1024 * 1024 * 1024
CONNECT_SECONDS: Final = 5.0
CALL_SECONDS: Final = 600.0
SHORT_SECONDS: Final = 10.0
SHORT_METHODS: Final = frozenset(
    {"network.status", "network.validators", "member.list", "govern.list", "evidence.list", "block.get", "tx.get"}
)
"""What a node answers from memory or by a few reads: silence after SHORT_SECONDS means that something is wrong."""


class RpcError(RequestError):
    """The node refused a request. number: JSON-RPC's."""

    def __init__(self, error: ErrorObject) -> None:
        data = error.data
        super().__init__(data.code, error.message, field=data.field, hint=data.hint, near=data.near)
        self.number = error.code


class UnreachableError(Exception):
    """No node answers at the address, or it went away before the answer."""


class SilentError(UnreachableError):
    """Something listens at the address, and has not answered in time."""


class _Response(msgspec.Struct, frozen=True):
    jsonrpc: str
    id: int | str | None = None
    result: msgspec.Raw = msgspec.Raw(b"")
    error: ErrorObject | None = None


_RESPONSE: Final = msgspec.json.Decoder(_Response)


def encode_request(method: str, params: object, request_id: int) -> bytes:
    """Return a JSON-RPC request. params: a Struct or mapping."""
    return msgspec.json.encode({"jsonrpc": "2.0", "id": request_id, "method": method, "params": params})


class RpcClient:
    """Calls by POST; each is one HTTP request on a kept connection."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url
        self._ids = itertools.count(1)

    async def call(self, method: str, params: object, result: type[T]) -> T:
        """Return the result. Raises RpcError, UnreachableError."""
        return msgspec.json.decode(await self.call_raw(method, params), type=result)

    async def call_raw(self, method: str, params: object) -> bytes:
        """Return the result's JSON as the node wrote it. Raises RpcError, UnreachableError."""
        body = encode_request(method, params, next(self._ids))
        seconds = SHORT_SECONDS if method in SHORT_METHODS else CALL_SECONDS
        timeout = aiohttp.ClientTimeout(total=seconds, sock_connect=CONNECT_SECONDS)
        try:
            async with self._session.post(
                self._url, data=body, headers={"Content-Type": "application/json"}, timeout=timeout
            ) as response:
                answer = await response.read()
        except aiohttp.ConnectionTimeoutError as error:
            raise UnreachableError(f"no connection to {self._url} within {CONNECT_SECONDS:g} s") from error
        except TimeoutError as error:
            raise SilentError(f"{self._url} has not answered within {seconds:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise UnreachableError(f"no answer from {self._url}: {_describe(error)}") from error
        return _read_result(_decode_response(answer, self._url))


@asynccontextmanager
async def open_client(address: Address) -> AsyncIterator[RpcClient]:
    """Yield a client of the node at `address`; nothing is sent before the first call."""
    async with aiohttp.ClientSession() as session:
        yield RpcClient(session, f"http://{address}/rpc")


class PipelinedClient:
    """Calls by WebSocket: any number at once, answered in any order."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse[bool], name: str) -> None:
        self._socket = socket
        self._name = name
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[bytes]] = {}

    @property
    def waiting(self) -> int:
        """How many calls are not answered yet."""
        return len(self._waiting)

    async def start(self, method: str, params: object) -> asyncio.Future[bytes]:
        """Send a call; the future gets the result's JSON, or RpcError or UnreachableError."""
        request_id = next(self._ids)
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[request_id] = future
        try:
            await self._socket.send_frame(encode_request(method, params, request_id), aiohttp.WSMsgType.TEXT)
        except (ConnectionError, aiohttp.ClientError) as error:
            self._waiting.pop(request_id, None)
            raise UnreachableError(f"{self._name} has closed the connection") from error
        return future

    async def call(self, method: str, params: object, result: type[T]) -> T:
        """Return the result of one call. Raises RpcError, UnreachableError."""
        return msgspec.json.decode(await (await self.start(method, params)), type=result)

    async def close(self) -> None:
        """Close the connection; calls not answered yet end with UnreachableError."""
        await self._socket.close()

    async def read_answers(self) -> None:
        """Hand out answers until the connection closes; the owner of the client runs this."""
        try:
            async for message in self._socket:
                if message.type not in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                    break
                response = _decode_response(message.data, self._name)
                future = self._waiting.pop(response.id, None) if isinstance(response.id, int) else None
                if future is None or future.done():
                    continue
                try:
                    future.set_result(_read_result(response))
                except RpcError as error:
                    future.set_exception(error)
        finally:
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(UnreachableError(f"{self._name} went away before it answered"))
                    future.exception()  # Retrieved: an owner that gave up shall cause no complaint.
            self._waiting.clear()


@asynccontextmanager
async def open_pipeline(address: Address) -> AsyncIterator[PipelinedClient]:
    """Yield a WebSocket client of the node at `address`. Raises UnreachableError if none answers."""
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        try:
            socket = await session.ws_connect(
                f"http://{address}/rpc", max_msg_size=ANSWER_BYTES_MAX, compress=0, decode_text=False
            )
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise UnreachableError(f"no node answers at {address}: {_describe(error)}") from error
        async with socket:
            client = PipelinedClient(socket, str(address))
            # Owned by this context; a TaskGroup would wrap the caller's own exceptions.
            reader = asyncio.get_running_loop().create_task(client.read_answers(), name=f"rpc client {address}")
            try:
                yield client
            finally:
                await socket.close()
                await reader


def _describe(error: BaseException) -> str:
    if isinstance(error, aiohttp.ClientConnectorError) and error.os_error.strerror is not None:
        # asyncio puts the address into its text, which the sentence has already.
        number = error.os_error.errno
        return os.strerror(number).lower() if number is not None else error.os_error.strerror
    return str(error) or type(error).__name__


def _decode_response(answer: bytes, name: str) -> _Response:
    try:
        return _RESPONSE.decode(answer)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UnreachableError(f"what answers at {name} is no node: {error}") from error


def _read_result(response: _Response) -> bytes:
    if response.error is not None:
        raise RpcError(response.error)
    return bytes(response.result)
