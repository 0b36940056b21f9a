"""An `EventRow` as bytes and back: nested arrays of msgpack, built and read field by field in C.

Decoding trusts nothing but costs one pass: an array of the wrong shape, or with a value that no field can hold, is a
MalformedError. Equal rows have equal bytes.
"""

from typing import Final

import msgspec

from node.lineage.records import EventRow
from node.wire.codec import MalformedError

_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(EventRow)


def encode_row(row: EventRow) -> bytes:
    """Return the one encoding of `row`."""
    return _ENCODER.encode(row)


def decode_row(encoded: bytes) -> EventRow:
    """Return the row in `encoded`. Raises MalformedError, and nothing else."""
    try:
        return _DECODER.decode(encoded)
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise MalformedError(f"event row: {error}") from error
