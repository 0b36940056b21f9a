"""The story is the same each time, well-formed, and as hard as it claims to be."""

import json
from collections import Counter
from datetime import UTC, datetime
from typing import Any

from node.app.sandbox.story import tell_story
from node.app.sandbox.trade import FIRMS, PARTIES, PRODUCTS, SITES, sscc
from node.epcis.checkdigits import is_checked
from node.epcis.reader import read_event

FIRST_DAY = datetime(2026, 3, 2, tzinfo=UTC)


def events_of_story() -> list[dict[str, Any]]:
    chapters = tell_story(FIRST_DAY).chapters
    return [event for chapter in chapters for event in json.loads(chapter.document)["epcisBody"]["eventList"]]


def test_the_same_day_gives_the_same_bytes() -> None:
    """So two runs differ in nothing but their time."""
    assert tell_story(FIRST_DAY) == tell_story(FIRST_DAY)


def test_it_has_about_two_hundred_events_of_four_firms() -> None:
    """Each firm enters its own at its own node."""
    story = tell_story(FIRST_DAY)
    assert 180 <= sum(chapter.events for chapter in story.chapters) <= 220
    assert {chapter.member for chapter in story.chapters} == {party.member for party in FIRMS}


def test_every_identifier_has_its_check_digit_under_the_example_prefix() -> None:
    """GS1's prefix 952 is for examples; no number belongs to anyone."""
    ids = [thing.id.partition("/254/")[0] for thing in (*PRODUCTS, *SITES, *PARTIES)] + [sscc("9521101", 7)]
    keys = [one.rpartition("/")[2] for one in ids]
    for key in keys:
        assert is_checked(key)
        assert "952" in key[:4]
    assert len({thing.id for thing in (*PRODUCTS, *SITES, *PARTIES)}) == len(ids) - 1


def test_execution_can_read_every_event() -> None:
    """By the network's own numbered rules."""
    for event in events_of_story():
        assert read_event(json.dumps(event).encode(), b"[]").time_text == event["eventTime"]


def test_the_plot_has_what_makes_a_trace_hard() -> None:
    """A run that lasts, partial shipments, rework, by-product, nesting, a correction."""
    story, events = tell_story(FIRST_DAY), events_of_story()
    runs = Counter(event.get("transformationID") for event in events if event.get("transformationID"))
    assert list(runs.values()) == [2]
    declarations = [event for event in events if "errorDeclaration" in event]
    (declaration,) = declarations
    original = next(e for e in events if e["eventID"] == declaration["eventID"] and "errorDeclaration" not in e)
    assert original == {key: value for key, value in declaration.items() if key != "errorDeclaration"}
    assert declaration["errorDeclaration"]["correctiveEventIDs"][0] in {event["eventID"] for event in events}
    # Crumb of the second dough's bread is an input of the fourth dough, whose flour is clean.
    rework = [e for e in events if any("/10/R1" in lot["epcClass"] for lot in e.get("inputQuantityList", ()))]
    assert [lot["epcClass"].rpartition("/")[2] for lot in rework[0]["outputQuantityList"]] == ["D04"]
    assert story.finished.endswith("/10/L04")
    pallets = [e for e in events if e["type"] == "AggregationEvent" and e["action"] == "ADD" and e.get("childEPCs")]
    assert len(pallets) == 12


def test_every_dough_weighs_what_went_into_it() -> None:
    """Water, too: a gain of weight would be flagged, and a newcomer would look for the fault."""
    doughs = [
        e for e in events_of_story() if any("/10/D" in lot["epcClass"] for lot in e.get("outputQuantityList", ()))
    ]
    assert len(doughs) == 10
    for event in doughs:
        weights = [sum(lot["quantity"] for lot in event[f"{side}putQuantityList"]) for side in ("in", "out")]
        assert weights == [1000, 1000]


def test_quantities_add_up_for_every_lot() -> None:
    """Nothing is used that was not made or received: the story's only oddity is the one it tells."""
    made: Counter[str] = Counter()
    used: Counter[str] = Counter()
    for event in events_of_story():
        for lot in event.get("outputQuantityList", ()):
            made[lot["epcClass"]] += lot["quantity"]
        for lot in event.get("inputQuantityList", ()):
            used[lot["epcClass"]] += lot["quantity"]
        if event.get("bizStep") == "receiving" or event.get("action") == "ADD":
            for lot in event.get("quantityList", ()):
                made[lot["epcClass"]] += lot["quantity"]
    assert all(used[lot] <= made[lot] for lot in used)
