"""JSON bytes to values under bounds that hold at every node: size, depth, numbers as exact decimals.

One value has one canonical text: keys sorted, no white space, numbers by value (10, 10.0 and 1e1 are one number). Of
a key that stands twice in an object, the last counts; at the door such a document is refused.
"""

import re
from decimal import Decimal
from functools import lru_cache
from typing import Final

import msgspec

from node.epcis.errors import UnreadableEventError

JsonValue = None | bool | int | Decimal | str | list["JsonValue"] | dict[str, "JsonValue"]

EVENT_BYTES_MAX: Final = 256 * 1024
DEPTH_MAX: Final = 64
NUMBER_LENGTH_MAX: Final = 4000
EXPONENT_MAX: Final = 9999

_STRING: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_NOT_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))
_ONE_BRACKET: Final = bytes.maketrans(b"{}", b"[]")
_LONG_NUMBER: Final = re.compile(rb"[0-9]{%d}" % NUMBER_LENGTH_MAX)
_INTEGER_DIGITS: Final = 18


def _read_number(text: str) -> int | Decimal:
    """Return a number with fraction or exponent: an int if it is a whole one of at most 18 digits.

    So equal numbers are equal values with one text, however they were written.
    """
    if len(text) > NUMBER_LENGTH_MAX:
        raise ValueError("a number is too long")
    mantissa, _, exponent_text = text.lower().partition("e")
    exponent = int(exponent_text) if len(exponent_text) <= 6 and exponent_text else 0 if not exponent_text else None
    if exponent is None or abs(exponent) > EXPONENT_MAX:
        raise ValueError("a number's exponent is too large")
    whole, _, fraction = mantissa.partition(".")
    fraction = fraction.rstrip("0")
    sign = whole[:1] == "-"
    digits = (whole + fraction).lstrip("-").lstrip("0")
    exponent -= len(fraction)
    stripped = digits.rstrip("0")
    exponent += len(digits) - len(stripped)
    if not stripped:
        return 0
    if exponent >= 0 and len(stripped) + exponent <= _INTEGER_DIGITS:
        number = int(stripped + "0" * exponent)
        return -number if sign else number
    # The constructor is exact whatever the context, unlike arithmetic.
    return Decimal(f"{'-' if sign else ''}{stripped}E{exponent}")


# The same few amounts come again and again. A thousand of the longest texts are 4 MB.
_DECODER: Final = msgspec.json.Decoder(float_hook=lru_cache(maxsize=1024)(_read_number))
_ENCODER: Final = msgspec.json.Encoder(order="sorted", decimal_format="number")


def check_depth(raw: bytes) -> None:
    """Raise UnreadableEventError if arrays and objects nest deeper than `DEPTH_MAX`, or do not close.

    Counted here, and not left to the parser, whose own limit hangs on how deep the caller's stack is.
    """
    if raw.count(b"{") + raw.count(b"[") <= DEPTH_MAX:
        return
    brackets = _STRING.sub(b"", raw).translate(_ONE_BRACKET, _NOT_BRACKETS)
    for _ in range(DEPTH_MAX):
        # One pass takes off the innermost pairs; a deep nest outlives all passes.
        shorter = brackets.replace(b"[]", b"")
        if len(shorter) == len(brackets):
            break
        brackets = shorter
    if b"[]" in brackets:
        raise UnreadableEventError("too_deep", "", f"nested deeper than {DEPTH_MAX}")
    if brackets:
        raise UnreadableEventError("not_json", "", "not JSON: brackets do not close")


def decode_value(raw: bytes, *, bytes_max: int = EVENT_BYTES_MAX) -> JsonValue:
    """Return the JSON value in `raw`, whole numbers as int, others as Decimal.

    Raises UnreadableEventError, and nothing else: for size, depth, bytes that are not UTF-8 or not JSON, lone
    surrogates, NaN, and numbers of more than `NUMBER_LENGTH_MAX` digits.
    """
    if len(raw) > bytes_max:
        raise UnreadableEventError("too_large", "", f"{len(raw)} bytes, more than {bytes_max}")
    check_depth(raw)
    if len(raw) >= NUMBER_LENGTH_MAX and _LONG_NUMBER.search(raw):
        # Python's limit on digits is a setting of the process: this one is ours, and equal at every node.
        raise UnreadableEventError("number", "", f"{NUMBER_LENGTH_MAX} digits in a row")
    try:
        value: JsonValue = _DECODER.decode(raw)
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise UnreadableEventError("not_json", "", "not JSON") from error
    return value


def encode_canonical(value: object) -> bytes:
    """Return the one text of a JSON value; numbers must come from `decode_value`."""
    return _ENCODER.encode(value)
