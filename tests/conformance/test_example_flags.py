"""Flags of the published examples: what disagrees in the tuna chain is found, and no document is beyond us."""

from typing import Any

import pytest

from node.lineage.facts import open_facts
from node.lineage.flag_codes import CODES
from node.lineage.flag_model import Flag, FlagSettings
from node.lineage.flags import flags_of_event_id, flags_of_item, flags_of_run
from node.lineage.readings import Readings
from node.lineage.records import PostingKind
from tests.conformance.material import needs_material
from tests.conformance.test_example_scopes import documents
from tests.conformance.test_seafood_chain import CHAIN, FARMED, FEED, FILLET, MIXED, VESSEL
from tests.support.documents import index_of, load_example
from tests.support.memory_index import MemoryIndex

LATER_MS = 4_000_000_000_000


def flags_in(index: MemoryIndex) -> dict[str, list[Flag]]:
    """All flags by their subject."""
    facts = open_facts(index, Readings(), as_of_ms=None, known_at=index.height)
    items, runs, ids = set(), set(), set()
    for row in index.iterate_events():
        event = row.event
        items |= {goods.item for goods in (*event.goods, *event.inputs, *event.outputs)} | {event.parent or ""}
        runs |= {event.transformation_id or ""}
        ids |= {event.event_id or ""}
    found: dict[str, list[Flag]] = {}
    for item in sorted(items - {""}):
        found[item] = [*flags_of_item(item, facts, FlagSettings(), now_ms=LATER_MS).flags]
    for run in sorted(runs - {""}):
        found[run] = [*flags_of_run(run, facts, FlagSettings(), now_ms=LATER_MS).flags]
    for event_id in sorted(ids - {""}):
        found.setdefault(event_id, []).extend(flags_of_event_id(event_id, facts).flags)
    return {subject: flags for subject, flags in found.items() if flags}


def amounts(flags: list[Flag], code: str) -> list[str]:
    return [str(flag.amount) for flag in flags if flag.code == code]


@needs_material
def test_tuna_chain_is_flagged_where_its_events_disagree() -> None:
    """9,876 kg landed and 10,000 used; feed shipped after it was fed; a run that gains 1,000; three eventIDs reused."""
    found = flags_in(index_of(load_example(CHAIN)))
    assert "124" in amounts(found[VESSEL], "overdrawn")
    assert {"moved_without_record", "receipt_without_shipment"} <= {flag.code for flag in found[VESSEL]}
    assert {"used_before_receipt", "overdrawn", "moved_without_record"} <= {flag.code for flag in found[FEED]}
    runs = {flag.code: flag.amount for flags in found.values() for flag in flags if flag.code.startswith("run_")}
    assert {code: str(amount) for code, amount in runs.items()} == {"run_gain": "1000", "run_loss": "4876"}
    owners = {flag.code: subject for subject, flags in found.items() for flag in flags if flag.code.startswith("run_")}
    assert owners["run_gain"] in (FARMED, *index_runs())
    assert owners["run_loss"] in (FILLET, *index_runs())
    assert MIXED not in owners.values()
    assert sum(flag.code == "event_id_reused" for flags in found.values() for flag in flags) == 3


def index_runs() -> set[str]:
    return {row.event.transformation_id or "" for row in index_of(load_example(CHAIN)).iterate_events()} - {""}


@needs_material
@pytest.mark.parametrize(("name", "document"), documents(), ids=[name for name, _ in documents()])
def test_every_example_gets_flags_that_have_words(name: str, document: dict[str, Any]) -> None:
    """No document fails, and every flag names its events."""
    index = index_of(document)
    for subject, flags in flags_in(index).items():
        for flag in flags:
            assert flag.code in CODES, (name, subject)
            assert flag.refs
            assert flag.members
    assert index.postings_of(PostingKind.ITEM, "nothing") == ()
