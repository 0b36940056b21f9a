"""Every published example as a chain of its own: ledgers that balance, and scopes that do not fail."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest

from node.epcis.errors import UnreadableEventError
from node.lineage.facts import open_facts
from node.lineage.hazards import Hazard
from node.lineage.ledger import build_ledger
from node.lineage.portions import LotLedger, PortionKind
from node.lineage.readings import Readings
from node.lineage.scope import compute_scope
from node.lineage.scope_question import ScopeQuestion, Seed
from tests.conformance.material import EXAMPLES, needs_material
from tests.support.documents import masters_of, rows_of
from tests.support.memory_index import MemoryIndex

ITEMS_MAX: Final = 5
"""Items of one document that are asked about: some documents list hundreds of serials alike."""


def documents() -> list[tuple[str, dict[str, Any]]]:
    """Return the documents that our reader reads."""
    found = []
    for path in sorted(EXAMPLES.rglob("*.json*")):
        document = _load(path)
        if document is not None:
            found.append((str(path.relative_to(EXAMPLES)), document))
    return found


def _load(path: Path) -> dict[str, Any] | None:
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
        body = document["epcisBody"]
        if "eventList" not in body:
            return None
        rows_of(document)
    except (ValueError, KeyError, TypeError, AttributeError, UnreadableEventError):
        return None  # The door refuses these; test_examples counts them.
    return dict(document)


def unbalanced(ledger: LotLedger) -> list[str]:
    """Return portions out of which more flows than into them, in a ledger whose amounts are all known."""
    states = (PortionKind.POOL, PortionKind.WAY)
    if any(one.lo != one.hi for one in ledger.portions if one.kind not in states):
        return []  # Of an unknown amount each draw is bounded by all of it.
    into: dict[int, Decimal | None] = {}
    out: dict[int, Decimal | None] = {}
    for flow in ledger.flows:
        for place, sums in ((flow.target, into), (flow.source, out)):
            known = sums.get(place, Decimal(0))
            sums[place] = None if known is None or flow.hi is None else known + flow.hi
    odd = []
    for portion in ledger.portions:
        given, taken = into.get(portion.number), out.get(portion.number)
        is_exact = portion.kind is PortionKind.POOL and given is not None and taken is not None
        if is_exact and given is not None and taken is not None and taken > given:
            odd.append(f"{portion.kind} {portion.number}: {given} in, {taken} out")
    return odd


@needs_material
@pytest.mark.parametrize(("name", "document"), documents() if EXAMPLES.is_dir() else [])
def test_example_is_read_as_portions_and_scopes(name: str, document: dict[str, Any]) -> None:
    """No crash; stock that is given out was there; each item is in the scope of itself."""
    reader = MemoryIndex(rows_of(document), masters_of(document))
    facts = open_facts(reader, Readings(), as_of_ms=None, known_at=reader.height)
    items: dict[str, None] = {}
    for row in reader.iterate_events():
        event = row.event
        for goods in (*event.goods, *event.inputs, *event.outputs):
            items[goods.item] = None
        if event.parent is not None:
            items[event.parent] = None
    for item in list(items)[:ITEMS_MAX]:
        ledger = build_ledger(item, facts)
        assert unbalanced(ledger) == [], (name, item)
        for hazard in (Hazard.ORIGIN, Hazard.UNKNOWN):
            answer = compute_scope(reader, ScopeQuestion((Seed(item=item),), hazard))
            if ledger.portions:
                assert item in answer.seeds, (name, item)
            for one in answer.portions:
                for amount in (one.content, one.affected):
                    assert amount.max is None or Decimal(amount.min) <= Decimal(amount.max), (name, one)
