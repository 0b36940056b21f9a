"""node/lineage/movements.py, ledger.py: Aggregation OBSERVE that lists goods which no packing put into their unit."""

import pytest

from node.epcis.model import Action, Event, EventType, Interval
from tests.support.chronicle import Chronicle, Time
from tests.support.events import Amounts, at, build_event, lot, party, place, unit
from tests.support.scopes import Asked, of_event
from tests.unit.lineage.test_worked_examples import codes, holdings

A = lot("1", "A")
S, T = unit(1), unit(2)
DAY_ONE = Interval(at(1, "00:00"), at(1, "23:59"))


def list_in(
    story: Chronicle, parent: str | None, goods: Amounts, when: Time, *, step: str, here: int, to: int | None = None
) -> Event:
    return story.add(
        build_event(
            EventType.AGGREGATION,
            when,
            action=Action.OBSERVE,
            goods=goods,
            parent=parent,
            step=step,
            location=place(here),
            destinations=() if to is None else (("location", place(to)), ("possessing_party", party(to))),
        )
    )


@pytest.mark.parametrize("parent", [S, None])
def test_goods_shipped_loose_and_received_in_a_unit_are_received(parent: str | None) -> None:
    story = Chronicle()
    made = story.make({A: 100}, at(1, "08:00"))
    story.ship({A: 100}, at(1, "10:00"), to=2)
    list_in(story, parent, {A: 100}, at(1, "15:00"), step="receiving", here=2)
    assert holdings(story, A) == {(place(2), parent or ""): ("100", "100")}
    assert codes(story, A) == []
    asked = Asked(story, of_event(A, made))
    assert asked.status(asked.find(A, "held")) == "certain"


def test_delivery_received_as_two_units_on_one_date_is_received_once() -> None:
    story = Chronicle()
    story.make({A: 100}, at(1, "08:00"))
    story.ship({A: 100}, at(1, "10:00"), to=2)
    list_in(story, S, {A: 60}, DAY_ONE, step="receiving", here=2)
    list_in(story, T, {A: 40}, DAY_ONE, step="receiving", here=2)
    assert holdings(story, A) == {(place(2), S): ("60", "60"), (place(2), T): ("40", "40")}
    assert codes(story, A) == []


@pytest.mark.parametrize("clock", ["15:00", "15:30"])
def test_goods_received_by_an_event_of_their_own_too_are_received_once(clock: str) -> None:
    """One document for the goods and one for the pallet, in the same minute or after."""
    story = Chronicle()
    story.make({A: 100}, at(1, "08:00"))
    story.ship({A: 100}, at(1, "10:00"), to=2)
    story.receive({A: 100}, at(1, "15:00"))
    list_in(story, S, {A: 100}, at(1, clock), step="receiving", here=2)
    assert holdings(story, A) == {(place(2), S): ("100", "100")}
    assert codes(story, A) == []


@pytest.mark.parametrize("parent", [S, None])
def test_goods_that_are_shipped_by_a_sighting_of_their_unit_leave(parent: str | None) -> None:
    story = Chronicle()
    story.make({A: 100}, at(1, "08:00"))
    list_in(story, parent, {A: 60}, at(1, "10:00"), step="shipping", here=1, to=2)
    list_in(story, parent, {A: 60}, at(1, "15:00"), step="receiving", here=2)
    assert holdings(story, A) == {(place(1), ""): ("40", "40"), (place(2), parent or ""): ("60", "60")}
    assert codes(story, A) == []


@pytest.mark.parametrize("step", ["packing", "inspecting"])
def test_goods_that_are_first_seen_in_a_unit_go_with_it(step: str) -> None:
    story = Chronicle()
    made = story.make({A: 100}, at(1, "08:00"))
    list_in(story, S, {A: 60}, at(1, "09:00"), step=step, here=1)
    story.ship([S], at(1, "10:00"), to=2)
    story.receive([S], at(1, "15:00"))
    assert holdings(story, A) == {(place(1), ""): ("40", "40"), (place(2), S): ("60", "60")}
    assert codes(story, A) == []
    asked = Asked(story, of_event(A, made))
    assert asked.status(asked.find(A, "held", place=place(2))) == "certain"


def test_goods_seen_in_a_unit_where_they_were_sent_have_come() -> None:
    story = Chronicle()
    story.make({A: 100}, at(1, "08:00"))
    story.ship({A: 100}, at(1, "10:00"), to=2)
    list_in(story, S, {A: 100}, at(1, "15:00"), step="storing", here=2)
    assert holdings(story, A) == {(place(2), S): ("100", "100")}
    assert codes(story, A) == []


def test_listing_of_what_was_packed_packs_nothing_again() -> None:
    story = Chronicle()
    story.make({A: 100}, at(1, "08:00"))
    story.pack(S, {A: 60}, at(1, "09:00"))
    for step, here in (("inspecting", 1), ("shipping", 1), ("receiving", 2), ("storing", 2)):
        list_in(story, S, {A: 60}, at(1, "10:00") + here * 3_600_000, step=step, here=here, to=2)
    assert holdings(story, A) == {(place(1), ""): ("40", "40"), (place(2), S): ("60", "60")}
    assert codes(story, A) == []
