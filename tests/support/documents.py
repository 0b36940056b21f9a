"""Reads the example documents of `../shared` as rows of an index, each event by the reader that execution uses."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from node.epcis.reader import read_event, read_master
from node.lineage.records import EventRow, MasterRow
from tests.support.events import build_row
from tests.support.memory_index import MemoryIndex, build_master

EXAMPLES = Path(__file__).resolve().parents[3] / "shared" / "epcis" / "examples"


def load_example(name: str) -> dict[str, Any]:
    """Return the document at `name` under the examples; skips the test if they are not there."""
    path = EXAMPLES / name
    if not path.is_file():
        pytest.skip(f"the example documents are not at {EXAMPLES}")
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8-sig"))
    return document


def rows_of(document: dict[str, Any], *, first: int = 1, member: str = "mill") -> list[EventRow]:
    """Return the document's events as rows, each in a block of its own from `first` on."""
    events = document["epcisBody"]["eventList"]
    return [
        build_row(read_event(json.dumps(event).encode(), b"[]"), number, member=member)
        for number, event in enumerate(events, start=first)
    ]


def masters_of(document: dict[str, Any], *, member: str = "mill") -> Iterator[MasterRow]:
    """Yield the document's master data."""
    header = document.get("epcisHeader", {}).get("epcisMasterData", {})
    for vocabulary in header.get("vocabularyList", ()):
        for record in read_master(json.dumps(vocabulary).encode()):
            yield build_master(record, 1, member=member)


def index_of(document: dict[str, Any]) -> MemoryIndex:
    """Return an index of the document's events and master data."""
    return MemoryIndex(rows_of(document), masters_of(document))
