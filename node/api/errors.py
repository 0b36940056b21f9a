"""JSON-RPC error objects: numbers, stable codes, and what the caller did wrong.

The number tells a program which kind of error it is; `data.code` is the precise reason in lower-case words,
`data.field` where in the request, `data.hint` what to do next. Source: JSON-RPC 2.0, section 5.1.
"""

from typing import Final

import msgspec

from node.errors import RequestError

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
INTERNAL_ERROR: Final = -32603
REFUSED: Final = -32000

NUMBERS: Final = {
    "parse_error": PARSE_ERROR,
    "invalid_request": INVALID_REQUEST,
    "method_not_found": METHOD_NOT_FOUND,
    "invalid_params": INVALID_PARAMS,
    "internal_error": INTERNAL_ERROR,
    "not_found": -32001,
    "not_final_in_time": -32002,
    "busy": -32003,
    "too_large": -32004,
    "not_ready": -32005,
    "too_much_work": -32006,
}
"""Number of each code that has its own; every other code comes with REFUSED."""


class ErrorData(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The `data` of an error. near: spellings that exist, when something was not found."""

    code: str
    field: str | None = None
    hint: str | None = None
    near: tuple[str, ...] = ()


class ErrorObject(msgspec.Struct, frozen=True):
    """The `error` of a response."""

    code: int
    message: str
    data: ErrorData


class NotFoundError(RequestError):
    """What was asked for is not on this node. near: what the caller may have meant."""

    def __init__(
        self, message: str, *, field: str | None = None, hint: str | None = None, near: tuple[str, ...] = ()
    ) -> None:
        super().__init__("not_found", message, field=field, hint=hint, near=near)


class BusyError(RequestError):
    """The node has more to do than it may hold; the same request can be sent again."""

    def __init__(self, message: str) -> None:
        super().__init__("busy", message, hint="send it again a little later")


def describe_error(error: RequestError) -> ErrorObject:
    """Return the error object that answers a refused request."""
    data = ErrorData(code=error.code, field=error.field, hint=error.hint, near=error.near)
    return ErrorObject(code=NUMBERS.get(error.code, REFUSED), message=error.message, data=data)
