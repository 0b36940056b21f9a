"""The reader's rules of version 1 are frozen: what an event means may not change under a network's feet."""

import json
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from node.epcis.reader import RULES_VERSION, read_event

VECTORS: Final[dict[str, Any]] = json.loads(
    (Path(__file__).parents[2] / "vectors" / "reader_v1.json").read_text(encoding="ascii")
)


def plain(value: object) -> object:
    """Return a value as it stands in the vectors: fields by name, decimals and enums as text, digests in hex."""
    match value:
        case Enum():
            return value.value
        case Decimal():
            return str(value)
        case bytes():
            return value.hex()
        case tuple():
            return [plain(entry) for entry in value]
        case msgspec.Struct():
            return {name: plain(getattr(value, name)) for name in value.__struct_fields__}
        case _:
            return value


def test_the_vectors_are_of_these_rules() -> None:
    """A new number of rules has vectors of its own, beside these."""
    assert VECTORS["rules"] == RULES_VERSION


@pytest.mark.parametrize("vector", VECTORS["events"], ids=lambda vector: vector["read"]["type"])
def test_events_are_read_as_in_the_vectors(vector: dict[str, Any]) -> None:
    """Every field and both digests; a change of a library or of Python that alters one is caught here."""
    assert plain(read_event(vector["raw"].encode(), b"null")) == vector["read"]
