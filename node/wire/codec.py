"""msgpack arrays with one encoding each, and checks for every field that came from outside.

Only nil, bool, int, bytes, str and arrays are used: no floats, no maps, no extension types, so that equal values
have equal bytes. `unpack` is total: it raises MalformedError, and nothing else.
"""

from collections.abc import Sequence
from typing import Final

import msgpack

from consensus.types import DIGEST_BYTES, U64_MAX, Digest
from node.errors import PeerError

Packable = None | bool | int | bytes | str | Sequence["Packable"]

_DEPTH_NOTE: Final = "nested too deep"


class MalformedError(PeerError, ValueError):
    """Bytes that are not what they should be; the message names the field."""


def pack(value: Packable) -> bytes:
    """Return the one encoding of `value`. Raises ValueError or TypeError for what has none: our own bug."""
    packed: bytes = msgpack.packb(value, use_bin_type=True)
    return packed


def unpack(encoded: bytes, *, what: str) -> tuple[object, ...]:
    """Return the array in `encoded`, nested arrays as tuples. Raises MalformedError, and nothing else.

    what: the name of the thing for the message. Refuses any other than the canonical encoding: else one thing
    would have two digests.
    """
    try:
        value = msgpack.unpackb(encoded, use_list=False, raw=False, strict_map_key=True)
    except (ValueError, TypeError, RecursionError, msgpack.exceptions.UnpackException) as error:
        raise MalformedError(f"{what}: not msgpack") from error
    if type(value) is not tuple:
        raise MalformedError(f"{what}: not an array")
    try:
        canonical = msgpack.packb(value, use_bin_type=True)
    except (ValueError, TypeError, RecursionError, OverflowError) as error:
        raise MalformedError(f"{what}: {_DEPTH_NOTE}") from error
    if canonical != encoded:
        raise MalformedError(f"{what}: not in its canonical encoding")
    return value


def read_array(
    value: object, what: str, *, length: int | None = None, length_max: int | None = None
) -> tuple[object, ...]:
    """Return `value` as a tuple of the given length, or of at most `length_max`. Raises MalformedError."""
    if type(value) is not tuple:
        raise MalformedError(f"{what}: not an array")
    if length is not None and len(value) != length:
        raise MalformedError(f"{what}: {len(value)} fields, not {length}")
    if length_max is not None and len(value) > length_max:
        raise MalformedError(f"{what}: {len(value)} entries, more than {length_max}")
    return value


def read_int(value: object, what: str, *, lowest: int = 0, highest: int = U64_MAX) -> int:
    """Return `value` as an int in lowest … highest; True is not one. Raises MalformedError."""
    if type(value) is not int:
        raise MalformedError(f"{what}: not an integer")
    if not lowest <= value <= highest:
        raise MalformedError(f"{what}: {value} is outside {lowest} … {highest}")
    return value


def read_bytes(value: object, what: str, *, length: int | None = None, length_max: int | None = None) -> bytes:
    """Return `value` as bytes of that length, or of at most `length_max`. Raises MalformedError."""
    if type(value) is not bytes:
        raise MalformedError(f"{what}: not bytes")
    if length is not None and len(value) != length:
        raise MalformedError(f"{what}: {len(value)} bytes, not {length}")
    if length_max is not None and len(value) > length_max:
        raise MalformedError(f"{what}: {len(value)} bytes, more than {length_max}")
    return value


def read_digest(value: object, what: str) -> Digest:
    """Return `value` as 32 bytes. Raises MalformedError."""
    return Digest(read_bytes(value, what, length=DIGEST_BYTES))


def read_text(value: object, what: str, *, length_max: int) -> str:
    """Return `value` as text of 1 … length_max characters. Raises MalformedError."""
    if type(value) is not str:
        raise MalformedError(f"{what}: not text")
    if not 1 <= len(value) <= length_max:
        raise MalformedError(f"{what}: {len(value)} characters, not 1 … {length_max}")
    return value


def read_bool(value: object, what: str) -> bool:
    """Return `value` as a bool. Raises MalformedError."""
    if type(value) is not bool:
        raise MalformedError(f"{what}: not true or false")
    return value
