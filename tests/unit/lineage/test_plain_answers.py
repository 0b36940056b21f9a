"""Answers about lots with plain histories are those that their ledgers would have given, byte for byte."""

import json
import random

import msgspec
import pytest
from msgspec import structs

from bench.foodnet import Network, ends_of
from consensus.types import Height
from node.epcis.reader import read_event
from node.lineage import assemble
from node.lineage.plain import read_plain
from node.lineage.records import EventRow
from node.lineage.trace import Direction, Question, trace
from tests.support.events import build_row
from tests.support.memory_index import MemoryIndex

WIDTH, LAYERS = 6, 7


def build_rows(seed: int, *, is_sound: bool) -> list[EventRow]:
    """A food network; unless it is sound, a tenth of it is missing, told by another member, or of another amount."""
    chance = random.Random(seed)
    rows = []
    for number, event in enumerate(Network(seed=seed).world(0, width=WIDTH, layers=LAYERS), 1):
        fate = 1.0 if is_sound else chance.random()
        if fate < 0.05:
            continue
        text = json.dumps(event)
        if fate < 0.1:
            text = text.replace("1000", chance.choice(["990", "1000.5", "0", "10"]))
        row = build_row(read_event(text.encode(), b""), number)
        rows.append(structs.replace(row, member="other") if 0.1 <= fate < 0.15 else row)
    return rows


def ask(rows: list[EventRow]) -> list[bytes]:
    world, index, middle = ends_of(0, width=WIDTH, layers=LAYERS), MemoryIndex(rows), rows[len(rows) // 2]
    return [
        msgspec.json.encode(trace(index, Question(start, direction, **limits)))
        for start, direction in ((world.last, Direction.BACK), (world.first, Direction.FORWARD))
        for limits in ({}, {"as_of_ms": middle.event.time.lo_ms}, {"known_at": Height(middle.ref.height)})
    ]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("is_sound", [True, False], ids=["sound", "rough"])
def test_answers_are_those_of_the_ledgers(monkeypatch: pytest.MonkeyPatch, seed: int, *, is_sound: bool) -> None:
    """Holders, amounts, unknowns and warnings; as of a time and known at a height, too."""
    rows = build_rows(seed, is_sound=is_sound)
    taken: list[bool] = []

    def note(*asked: object) -> object:
        plain = read_plain(*asked)  # type: ignore[arg-type]  # As it is called.
        taken.append(plain is not None)
        return plain

    monkeypatch.setattr(assemble, "read_plain", note)
    by_plain = ask(rows)
    monkeypatch.setattr(assemble, "read_plain", lambda *_: None)
    assert ask(rows) == by_plain
    assert any(taken)
    assert is_sound or not all(taken)
