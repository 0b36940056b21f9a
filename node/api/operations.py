"""One declaration per operation: its name, its parameters, its result and its handler.

A handler is a function of the backends and the parameters. An `async def` handler runs as a task of its connection.
A plain `def` handler returns its result, or an asyncio.Future of it: that costs no task, and is for what is called
thousands of times a second.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar, get_type_hints

import msgspec

from node.api.backends import Backends

P = TypeVar("P", bound=msgspec.Struct)
R = TypeVar("R")

Handler = Callable[[Backends, Any], Any]


@dataclass(frozen=True, slots=True)
class Operation:
    """A method of the API. params: a frozen Struct. result: what is encoded. words: one line for people.

    is_question: it changes nothing, so it ends when its caller leaves.
    """

    name: str
    words: str
    params: type[msgspec.Struct]
    result: Any
    call: Handler
    is_question: bool
    decoder: msgspec.json.Decoder[Any]


class NoParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """No parameters."""


_EMPTY: Final = b"{}"


def operation(name: str, *, is_question: bool = False) -> Callable[[Callable[[Backends, P], R]], Operation]:
    """Make an operation of a handler; its docstring's first line is the description.

    The types come from the handler's annotations. name: `noun.verb`. is_question: see Operation.
    """

    def declare(handler: Callable[[Backends, P], R]) -> Operation:
        hints = get_type_hints(handler)
        result = hints.pop("return")
        params = hints["params"]
        if getattr(result, "__origin__", None) in (asyncio.Future, Awaitable):
            result = result.__args__[0]
        words = (handler.__doc__ or "").strip().splitlines()[0]
        return Operation(
            name=name,
            words=words,
            params=params,
            result=result,
            call=handler,
            is_question=is_question,
            decoder=msgspec.json.Decoder(params),
        )

    return declare


def decode_params(one: Operation, raw: bytes | memoryview) -> Any:
    """Return the parameters in `raw` (empty: none given). Raises msgspec.ValidationError or DecodeError."""
    return one.decoder.decode(raw or _EMPTY)
