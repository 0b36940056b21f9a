"""The tuna chain of the Open Traceability project: feed mill, hatchery, farm, vessel, processor, importer; 21 events.

Its events disagree with each other as real ones do: the feed is shipped two weeks after it was fed, 9,876 kg are
landed and 10,000 kg used, five eventIDs are reused.
"""

import json
import random

from node.lineage.answer import Answer
from node.lineage.facts import open_facts
from node.lineage.ledger import build_ledger
from node.lineage.portions import PortionKind
from node.lineage.readings import Readings
from node.lineage.records import EventRow
from node.lineage.runs import build_run
from node.lineage.trace import Direction, Question, trace
from tests.support.documents import index_of, load_example, masters_of, rows_of
from tests.support.events import build_row
from tests.support.memory_index import MemoryIndex

CHAIN = "opentraceability-seafood/traceback_tests.jsonld"
LOTS = "urn:gdst:example.org:product:lot:class:"
FEED = f"{LOTS}feedmill.1u.ff11252021"
HATCHERY = f"{LOTS}hatchery.1u.tf12012021"
FARMED = f"{LOTS}fishfarm.1u.farmed-tuna-01192022"
VESSEL = f"{LOTS}fisherman01.tunau.v1-0122-2022"
MIXED = f"{LOTS}processor.10u.commingle-01232022"
FILLET = f"{LOTS}processor.2u.v1-0122-2022"
CASE = "urn:epc:id:sscc:08600031303.0004"
PALLET = "urn:epc:id:sscc:08600031303.0005"
PARTY = "urn:gdst:example.org:party:"
PLACE = "urn:gdst:example.org:location:loc:"


def ask(item: str, direction: Direction) -> Answer:
    return trace(index_of(load_example(CHAIN)), Question(item, direction))


def goods(answer: Answer) -> set[str]:
    return {item.id for item in answer.items if item.role == "goods"}


def carriers(answer: Answer) -> set[str]:
    return {item.id for item in answer.items if item.role == "carrier"}


def test_fillet_has_exactly_three_origins() -> None:
    """Feed, hatchery and vessel lots; farm and commingled lots between. Unknowns stand beside origins, not among."""
    answer = ask(FILLET, Direction.BACK)
    assert answer.origins == tuple(sorted((FEED, HATCHERY, VESSEL)))
    assert goods(answer) == {FEED, HATCHERY, VESSEL, FARMED, MIXED, FILLET}
    assert answer.destinations == (FILLET,)


def test_feed_shipped_after_it_was_fed_is_odd_and_adds_no_lot() -> None:
    """A receipt dated after the use carries nothing to it; its receiver stays a possible holder of the feed."""
    answer = ask(FILLET, Direction.BACK)
    odd = [warning for warning in answer.warnings if FEED in warning.items]
    assert {"used_before_receipt", "moved_without_record", "overdrawn"} == {warning.code for warning in odd}
    shipped = next(event for event in answer.events if event.step == "shipping" and "feedmill" in str(event.place))
    received = next(
        event
        for event in answer.events
        if event.step == "receiving" and event.time > "2022-02" and "fishfarm" in str(event.place)
    )
    reported = {event for warning in odd for event in warning.events}
    assert shipped.id in reported
    assert received.id in reported
    holders = [(holder.party, holder.place) for holder in answer.holders if holder.item == FEED]
    assert holders == [(f"{PARTY}fishfarm.1u", f"{PLACE}fishfarm.1u")]
    assert ("moved_without_record", f"{PARTY}fishfarm.1u") in {
        (unknown.reason, unknown.ask) for unknown in answer.unknowns if unknown.item == FEED
    }


def test_vessel_lot_reaches_fillet_both_units_and_importer() -> None:
    """The fillet lot, the case and the pallet while it was in them, and the importer who received the pallet."""
    answer = ask(VESSEL, Direction.FORWARD)
    assert goods(answer) == {VESSEL, MIXED, FILLET}
    assert carriers(answer) == {CASE, PALLET}
    assert answer.destinations == (FILLET,)
    held = [(holder.party, holder.place, holder.status) for holder in answer.holders if holder.item == FILLET]
    assert held == [(f"{PARTY}importer.1u", f"{PLACE}importer.123u", "held")]
    packed = next(edge for edge in answer.edges if edge.target == CASE)
    events = {event.id: event for event in answer.events}
    assert packed.until_event is not None
    assert events[packed.until_event].step == "unpacking"
    assert any(event.step == "receiving" and event.party == f"{PARTY}importer.1u" for event in answer.events)


def test_feed_lot_reaches_the_same() -> None:
    """By way of the farmed lot."""
    answer = ask(FEED, Direction.FORWARD)
    assert goods(answer) == {FEED, FARMED, MIXED, FILLET}
    assert carriers(answer) == {CASE, PALLET}
    assert f"{PARTY}importer.1u" in {holder.party for holder in answer.holders}


def test_late_feed_shipment_is_no_way_forward() -> None:
    """Forward from the feed nothing is reached by the shipment of 3 February but the farm that got it."""
    answer = ask(FEED, Direction.FORWARD)
    assert {edge.target for edge in answer.edges if edge.source == FEED} == {FARMED}


def test_commingled_rest_stays_with_the_processor() -> None:
    """9,876 kg of 22,000 were drawn: the processor is still listed."""
    answer = ask(VESSEL, Direction.FORWARD)
    held = [(holder.party, holder.place) for holder in answer.holders if holder.item == MIXED]
    assert held == [(f"{PARTY}processor.1u", f"{PLACE}processor.plant1u")]


def test_every_item_gives_one_digest_in_any_order_of_arrival() -> None:
    """The digest names events by content: blocks, transactions and their order do not enter it."""
    document = load_example(CHAIN)
    rows = rows_of(document)
    masters = list(masters_of(document))
    items = sorted({item for row in rows for item in _items(row)})
    first = MemoryIndex(rows, masters)
    for seed in range(3):
        shuffled = [row.event for row in rows]
        random.Random(seed).shuffle(shuffled)
        other = MemoryIndex([build_row(event, number) for number, event in enumerate(shuffled, 50)], masters)
        for item in items:
            for direction in Direction:
                asked = Question(item, direction)
                assert trace(first, asked).digest == trace(other, asked).digest, (seed, item, direction)


def test_one_altered_event_changes_the_digest() -> None:
    """Even in a field that no rule reads: events enter the digest by the digest of all they say."""
    document = load_example(CHAIN)
    before = trace(index_of(document), Question(FILLET, Direction.BACK)).digest
    event = document["epcisBody"]["eventList"][0]
    event["gdst:productOwner"] = json.loads(json.dumps(event["gdst:productOwner"])) + "x"
    assert trace(index_of(document), Question(FILLET, Direction.BACK)).digest != before


def _items(row: EventRow) -> set[str]:
    event = row.event
    listed = {goods.item for goods in (*event.goods, *event.inputs, *event.outputs)}
    return listed | ({event.parent} if event.parent else set())


def test_ledgers_say_what_moved_unrecorded_came_from_nowhere_and_is_held() -> None:
    """Worked example 16 of docs/lineage.md: every number of the chain that does not add up, and what is left where."""
    reader = index_of(load_example(CHAIN))
    facts = open_facts(reader, Readings(), as_of_ms=None, known_at=reader.height)
    ledgers = {item: build_ledger(item, facts) for item in (FEED, HATCHERY, FARMED, VESSEL, MIXED, FILLET)}

    def amounts(item: str, kind: PortionKind) -> list[int]:
        return [int(portion.lo) for portion in ledgers[item].of_kind(kind)]

    assert amounts(VESSEL, PortionKind.MOVED) == [9876, 9876, 9876]
    assert amounts(VESSEL, PortionKind.UNKNOWN) == [124]
    assert amounts(FEED, PortionKind.MOVED) == [10000]
    assert amounts(FEED, PortionKind.UNKNOWN) == [10000]
    assert [amounts(item, PortionKind.HELD) for item in (FEED, MIXED, FILLET)] == [[10000], [12124], [5000]]
    assert [amounts(item, PortionKind.HELD) for item in (HATCHERY, FARMED, VESSEL)] == [[], [], []]
    codes = {item: {finding.code for finding in ledger.findings} for item, ledger in ledgers.items()}
    assert codes[VESSEL] == {"moved_without_record", "receipt_without_shipment", "overdrawn"}
    assert codes[FEED] == {"moved_without_record", "overdrawn", "used_before_receipt"}
    runs = [build_run(row, facts) for row in reader.iterate_events() if row.event.inputs]
    gains = [int(run.portions[gain].lo) for run in runs for gain in run.gains]
    losses = [int(one.lo) for run in runs for one in run.portions if one.kind is PortionKind.HELD]
    assert (gains, losses) == ([1000], [4876])
    assert [finding.code for run in runs for finding in run.findings] == ["run_gain"]
