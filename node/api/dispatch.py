"""From the bytes of a JSON-RPC request to the bytes of its answer, whatever carries them.

Source: JSON-RPC 2.0. Parameters are by name; a batch is bounded; ids are strings or integers (or null).
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, Literal

import msgspec
from prometheus_client import Counter, Histogram

from node.api.backends import Backends
from node.api.callers import Caller
from node.api.errors import NUMBERS, ErrorData, ErrorObject, describe_error
from node.api.operations import Operation, decode_params
from node.errors import RequestError
from node.telemetry.metrics import Metrics
from node.validation import explain_fault

Reply = Callable[[bytes | None], None]
"""Called once with the answer, None where the request wants none."""

Failure = Callable[[BaseException], None]

_UNKNOWN_METHOD: Final = "unknown"


class _Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    jsonrpc: Literal["2.0"]
    method: str
    params: msgspec.Raw = msgspec.Raw(b"")
    id: int | str | msgspec.UnsetType | None = msgspec.UNSET


class _Answer(msgspec.Struct, frozen=True):
    jsonrpc: str
    id: int | str | None
    result: Any


class _Refusal(msgspec.Struct, frozen=True):
    jsonrpc: str
    id: int | str | None
    error: ErrorObject


_REQUEST: Final = msgspec.json.Decoder(_Request)
_BATCH: Final = msgspec.json.Decoder(list[msgspec.Raw])
_ENCODER: Final = msgspec.json.Encoder()


def encode_refusal(error: RequestError, request_id: int | str | None = None) -> bytes:
    """Return a whole response that refuses a request."""
    return _ENCODER.encode(_Refusal("2.0", request_id, describe_error(error)))


class Dispatcher:
    """Finds the operation, reads its parameters, runs it and encodes what came of it.

    on_failure: told of an exception that is our own fault; the caller gets `internal_error` without its text.
    """

    def __init__(
        self,
        operations: Mapping[str, Operation],
        backends: Backends,
        *,
        batch_requests_max: int,
        metrics: Metrics,
        on_failure: Failure,
    ) -> None:
        self._operations = operations
        self._backends = backends
        self._batch_requests_max = batch_requests_max
        self._on_failure = on_failure
        self._counter = metrics.counter("api_requests_total")
        self._histogram = metrics.histogram("api_request_seconds")
        self._counters: dict[tuple[str, str], Counter] = {}
        self._histograms: dict[str, Histogram] = {}

    def dispatch(self, body: bytes, caller: Caller, reply: Reply) -> None:
        """Answer one request or batch. caller: owns what takes time. Never raises for what a caller sent."""
        if body.lstrip()[:1] != b"[":
            self._start(body, caller, reply)
            return
        try:
            parts = _BATCH.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            reply(encode_refusal(RequestError("parse_error", f"not JSON: {error}")))
            return
        if not 1 <= len(parts) <= self._batch_requests_max:
            words = f"a batch of {len(parts)} requests; 1 to {self._batch_requests_max} are taken"
            reply(encode_refusal(RequestError("invalid_request", words)))
            return
        _Batch(len(parts), reply).run(lambda part, one: self._start(part, caller, one), parts)

    def _start(self, raw: bytes, caller: Caller, reply: Reply) -> None:
        try:
            request = _REQUEST.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            self._count(_UNKNOWN_METHOD, "refused")
            reply(encode_refusal(_explain_envelope(error)))
            return
        call = _Call(self, request, reply)
        if (one := self._operations.get(request.method)) is None:
            call.method = _UNKNOWN_METHOD
            hint = "rpc.discover lists the methods"
            call.refuse(RequestError("method_not_found", f"no method {request.method!r}", field="method", hint=hint))
            return
        try:
            outcome = one.call(self._backends, decode_params(one, bytes(request.params)))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            call.refuse(_explain_params(error))
        except RequestError as error:
            call.refuse(error)
        except Exception as error:  # noqa: BLE001 - the API's outer edge: answered, and handed on to app/
            call.fail(error)
        else:
            if isinstance(outcome, asyncio.Future):
                outcome.add_done_callback(call.on_done)
            elif asyncio.iscoroutine(outcome):
                caller.start(call.run(outcome), name=f"rpc {one.name}", is_question=one.is_question)
            else:
                call.answer(outcome)

    def _count(self, method: str, outcome: str) -> None:
        counter = self._counters.get((method, outcome))
        if counter is None:
            counter = self._counters[method, outcome] = self._counter.labels(method, outcome)
        counter.inc()

    def _observe(self, method: str, seconds: float) -> None:
        histogram = self._histograms.get(method)
        if histogram is None:
            histogram = self._histograms[method] = self._histogram.labels(method)
        histogram.observe(seconds)


class _Call:
    """One request on its way to an answer."""

    __slots__ = ("_began", "_owner", "_reply", "_request", "method")

    def __init__(self, owner: Dispatcher, request: _Request, reply: Reply) -> None:
        self._owner = owner
        self._request = request
        self._reply = reply
        self._began = time.perf_counter()
        self.method = request.method

    async def run(self, coroutine: Any) -> None:
        """Await a handler and answer."""
        try:
            result = await coroutine
        except RequestError as error:
            self.refuse(error)
        except Exception as error:  # noqa: BLE001 - the API's outer edge: answered, and handed on to app/
            self.fail(error)
        else:
            self.answer(result)

    def on_done(self, future: asyncio.Future[Any]) -> None:
        """Answer with what became of a future."""
        if future.cancelled():
            self.refuse(RequestError("not_ready", "the node is stopping", hint="ask again once it is back"))
        elif (error := future.exception()) is None:
            self.answer(future.result())
        elif isinstance(error, RequestError):
            self.refuse(error)
        else:
            self.fail(error)

    def answer(self, result: Any) -> None:
        """Send the result."""
        request_id = self._request.id
        try:
            encoded = None if request_id is msgspec.UNSET else _ENCODER.encode(_Answer("2.0", request_id, result))
        except Exception as error:  # noqa: BLE001 - a result that cannot be encoded is our fault
            self.fail(error)
            return
        self._finish("answered", encoded)

    def refuse(self, error: RequestError) -> None:
        """Send an error of the caller's making."""
        self._finish("refused", self._encode_error(describe_error(error)))

    def fail(self, error: BaseException) -> None:
        """Send that we failed, and hand the error on."""
        data = ErrorData(code="internal_error", hint="the node's log has the details")
        self._finish("failed", self._encode_error(ErrorObject(NUMBERS["internal_error"], "the node failed", data)))
        self._owner._on_failure(error)

    def _encode_error(self, error: ErrorObject) -> bytes | None:
        request_id = self._request.id
        if isinstance(request_id, msgspec.UnsetType):
            return None
        return _ENCODER.encode(_Refusal("2.0", request_id, error))

    def _finish(self, outcome: str, encoded: bytes | None) -> None:
        self._owner._count(self.method, outcome)
        if self.method != _UNKNOWN_METHOD:
            self._owner._observe(self.method, time.perf_counter() - self._began)
        self._reply(encoded)


class _Batch:
    """Gathers the answers to the requests of one batch, in their order."""

    def __init__(self, count: int, reply: Reply) -> None:
        self._answers: list[bytes | None] = [None] * count
        self._missing = count
        self._reply = reply

    def run(self, start: Callable[[bytes, Reply], None], parts: list[msgspec.Raw]) -> None:
        """Start every part."""
        for index, part in enumerate(parts):
            start(bytes(part), partial(self._on_answer, index))

    def _on_answer(self, index: int, answer: bytes | None) -> None:
        self._answers[index] = answer
        self._missing -= 1
        if self._missing == 0:
            answers = [one for one in self._answers if one is not None]
            self._reply(b"[" + b",".join(answers) + b"]" if answers else None)


def _explain_envelope(error: Exception) -> RequestError:
    if isinstance(error, msgspec.ValidationError):
        fault = explain_fault(error)
        field = fault.path.lstrip(".") or None
        return RequestError("invalid_request", f"not a JSON-RPC 2.0 request: {fault.words}", field=field)
    return RequestError("parse_error", f"not JSON: {error}" if str(error) else "not JSON")


def _explain_params(error: Exception) -> RequestError:
    if isinstance(error, RecursionError):
        return RequestError("invalid_params", "nested too deep", field="params")
    fault = explain_fault(error)
    return RequestError("invalid_params", fault.words, field=f"params{fault.path}")
