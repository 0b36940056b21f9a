"""node/lineage/seeds.py: what an event that is named as a seed is about. None is a silent nothing."""

import pytest

from node.epcis.model import Event, Interval
from node.lineage.hazards import Hazard
from node.lineage.scope_question import Seed
from tests.support.chronicle import Chronicle
from tests.support.events import at, lot, place, product_class, serial, unit
from tests.support.scopes import Asked, of_event

A, M = lot("1", "A"), lot("2", "M")
S, T = serial("1", "S"), serial("1", "T")
HAZARDS = [Hazard.ORIGIN, Hazard.MICROBE]


def _statuses(asked: Asked, item: str) -> dict[str, str]:
    """Return the status of each portion of an item, by its kind; of several at other places, of the last."""
    shown = (*asked.scope.reached, *asked.scope.unreached)
    return {one.kind.value: asked.status(one) for one in shown if one.item == item}


@pytest.mark.parametrize("hazard", HAZARDS)
@pytest.mark.parametrize("item", [A, S])
def test_commissioning_of_what_a_run_put_out_names_what_it_put_out(item: str, hazard: Hazard) -> None:
    story = Chronicle()
    amount = 1 if item == S else 40
    story.make({M: amount}, at(1, "07:00"))
    story.run({M: amount}, {item: amount}, at(1, "08:00"))
    named = story.make({item: amount}, at(1, "09:00"))
    story.ship({item: amount}, at(2, "08:00"), to=2)
    story.receive({item: amount}, at(3, "08:00"), at=2)
    asked = Asked(story, of_event(item, named), hazard=hazard)
    expected = dict.fromkeys(("output", "shipped", "received", "held"), "certain")
    assert _statuses(asked, item) == expected


@pytest.mark.parametrize("hazard", HAZARDS)
def test_commissioning_of_part_of_what_runs_put_out_names_any_of_it(hazard: Hazard) -> None:
    story = Chronicle()
    story.make({M: 60}, at(1, "06:00"))
    story.run({M: 20}, {A: 20}, at(1, "07:00"))
    story.run({M: 40}, {A: 40}, at(1, "08:00"))
    named = story.make({A: 60}, at(1, "09:00"))
    story.ship({A: 10}, at(2, "08:00"), to=2)
    asked = Asked(story, of_event(A, named), hazard=hazard)
    assert _statuses(asked, A) == dict.fromkeys(("output", "shipped", "in_transit", "held"), "possible")


@pytest.mark.parametrize("hazard", HAZARDS)
def test_lot_that_was_reworked_on_the_day_of_its_making_is_no_silent_nothing(hazard: Hazard) -> None:
    """Of the run only the date is known: the making may be read as the commissioning of what it put out."""
    story = Chronicle()
    made = story.make({A: 40}, at(1, "07:01"))
    story.run({A: 40}, {A: 40}, Interval(at(1, "00:00"), at(2, "00:00") - 1))
    asked = Asked(story, of_event(A, made), hazard=hazard)
    assert _statuses(asked, A) == {"output": "certain", "used": "certain"}


def _packed() -> tuple[Chronicle, dict[str, Event]]:
    story = Chronicle()
    story.make({A: 40}, at(1, "07:00"))
    events = {"packed": story.pack(unit(1), {A: 30}, at(1, "08:00"))}
    story.ship([unit(1)], at(1, "09:00"), to=2)
    story.receive([unit(1)], at(2, "08:00"), at=2)
    events["unpacked"] = story.unpack(unit(1), {}, at(2, "09:00"), at=2)
    events["used"] = story.run({A: 10}, {M: 10}, at(2, "10:00"), at=2)
    return story, events


@pytest.mark.parametrize("hazard", HAZARDS)
@pytest.mark.parametrize("kind", ["packed", "unpacked", "used"])
def test_event_that_packs_unpacks_or_uses_a_lot_names_that_part(kind: str, hazard: Hazard) -> None:
    story, events = _packed()
    asked = Asked(story, of_event(A, events[kind]), hazard=hazard)
    assert asked.status(asked.find(A, kind)) == "certain"
    assert asked.status(asked.find(M, "output")) == "certain"
    assert asked.status(asked.find(A, "made")).startswith("excluded")
    assert asked.status(asked.find(A, "held", place=place(1))).startswith("excluded")


@pytest.mark.parametrize("hazard", HAZARDS)
def test_inspection_names_any_of_the_lot_that_was_there_then(hazard: Hazard) -> None:
    story = Chronicle()
    story.make({A: 100}, at(1, "07:00"))
    story.ship({A: 40}, at(1, "08:00"), to=2)
    story.receive({A: 40}, at(2, "08:00"), at=2)
    seen = story.see({A: 10}, at(2, "10:00"), at=2)
    used = story.run({A: 40}, {M: 40}, at(2, "12:00"), at=2)
    asked = Asked(story, of_event(A, seen), hazard=hazard)
    assert asked.status(asked.find(A, "used", used)) == "possible"
    assert asked.content(asked.find(M, "output")) == ("0", "40")
    assert asked.status(asked.find(A, "held", place=place(1))) == "excluded: other_portion"
    assert not asked.scope.answer().warnings


def test_inspection_of_a_piece_names_the_piece() -> None:
    story = Chronicle()
    story.make({S: 1}, at(1, "07:00"))
    seen = story.see({S: 1}, at(1, "10:00"))
    story.ship({S: 1}, at(1, "12:00"), to=2)
    asked = Asked(story, of_event(S, seen))
    assert asked.status(asked.find(S, "shipped")) == "certain"


@pytest.mark.parametrize("hazard", HAZARDS)
@pytest.mark.parametrize("kind", ["made", "shipped"])
def test_event_that_made_or_shipped_pieces_of_a_lot_names_these(kind: str, hazard: Hazard) -> None:
    story = Chronicle()
    made = story.make({S: 1, T: 1}, at(1, "07:00"), lot_code="A")
    shipped = story.ship({S: 1}, at(1, "08:00"), to=2)
    story.receive({A: 1}, at(2, "08:00"), at=2)
    asked = Asked(story, of_event(A, {"made": made, "shipped": shipped}[kind]), hazard=hazard)
    assert asked.status(asked.find(S, kind)) == "certain"
    assert (T in {one.item for one in asked.scope.reached}) is (kind == "made")
    assert asked.status(asked.find(A, "received")) == "possible"


@pytest.mark.parametrize("hazard", HAZARDS)
def test_event_that_names_a_product_alone_may_be_about_any_of_its_lots_there(hazard: Hazard) -> None:
    story = Chronicle()
    story.make({A: 40}, at(1, "07:00"))
    seen = story.see({product_class("1"): 10}, at(1, "08:00"))
    story.ship({A: 40}, at(1, "09:00"), to=2)
    asked = Asked(story, of_event(A, seen), hazard=hazard)
    assert asked.status(asked.find(A, "shipped")) == "possible"


def test_event_about_lots_of_a_product_names_just_these() -> None:
    story = Chronicle()
    story.make({A: 40, lot("1", "B"): 40}, at(1, "07:00"))
    sent = story.ship({A: 40}, at(1, "09:00"), to=2)
    asked = Asked(story, of_event(product_class("1"), sent))
    assert {one.item for one in asked.scope.reached} == {A}


def test_event_that_names_other_goods_is_said_to_come_to_nothing() -> None:
    story = Chronicle()
    story.make({A: 40}, at(1, "07:00"))
    other = story.make({M: 40}, at(1, "08:00"))
    asked = Asked(story, of_event(A, other), Seed(item=M))
    assert "seed_came_to_nothing" in asked.scope.answer().warnings
    assert {one.item for one in asked.scope.reached} == {M}


CASE, PALLET, TRAILER = unit(1), unit(9), unit(10)


def _trailer() -> tuple[Chronicle, dict[str, Event]]:
    story = Chronicle()
    story.make({S: 1, T: 1, A: 40}, at(1, "06:00"))
    story.pack(CASE, {S: 1, A: 10}, at(1, "07:00"))
    story.pack(PALLET, {CASE: 1}, at(1, "08:00"))
    story.pack(TRAILER, {PALLET: 1}, at(1, "09:00"))
    events = {"packed": story.pack(TRAILER, {T: 1}, at(1, "10:00"))}
    events["shipped"] = story.ship([TRAILER], at(1, "11:00"), to=2)
    events["received"] = story.receive([TRAILER], at(2, "08:00"), at=2)
    events["inspected"] = story.see([TRAILER], at(2, "09:00"), at=2)
    events["unpacked"] = story.unpack(TRAILER, {}, at(2, "10:00"), at=2)
    story.unpack(PALLET, {}, at(2, "11:00"), at=2)
    story.unpack(CASE, {S: 1, A: 10}, at(2, "12:00"), at=2)
    return story, events


@pytest.mark.parametrize("hazard", HAZARDS)
@pytest.mark.parametrize("kind", ["packed", "shipped", "received", "inspected", "unpacked"])
def test_event_of_a_unit_names_all_that_was_in_it_then_at_every_depth(kind: str, hazard: Hazard) -> None:
    story, events = _trailer()
    asked = Asked(story, of_event(TRAILER, events[kind]), hazard=hazard)
    for item in (A, S, T, CASE, PALLET, TRAILER):
        assert asked.status(asked.find(item, "held", place=place(2))) == "certain"
    assert asked.content(asked.find(A, "held", place=place(2))) == ("10", "10")
    assert asked.status(asked.find(A, "held", place=place(1))).startswith("excluded")


@pytest.mark.parametrize("hazard", HAZARDS)
def test_event_of_a_unit_names_not_what_had_left_it_nor_what_came_later(hazard: Hazard) -> None:
    story = Chronicle()
    story.make({S: 1, T: 1, A: 40}, at(1, "06:00"))
    story.pack(CASE, {S: 1, A: 30}, at(1, "07:00"))
    story.unpack(CASE, {S: 1, A: 10}, at(1, "08:00"))
    seen = story.see([CASE], at(1, "10:00"))
    story.pack(CASE, {T: 1}, at(1, "12:00"))
    asked = Asked(story, of_event(CASE, seen), hazard=hazard)
    assert {one.item for one in asked.scope.reached} >= {A, CASE}
    assert not {S, T} & {one.item for one in asked.scope.reached}
    inside = next(one for one in asked.scope.reached if one.kind.value == "held" and one.portion.unit == CASE)
    assert asked.status(inside) != "certain"  # Some of what was packed had left again: which, nobody recorded.


@pytest.mark.parametrize("hazard", HAZARDS)
def test_event_of_a_unit_is_not_about_a_piece_that_had_left_it(hazard: Hazard) -> None:
    story = Chronicle()
    story.make({S: 1, T: 1}, at(1, "06:00"), lot_code="A")
    story.pack(CASE, {S: 1, T: 1}, at(1, "07:00"))
    story.unpack(CASE, {T: 1}, at(1, "08:00"))
    seen = story.see([CASE], at(1, "10:00"))
    asked = Asked(story, of_event(A, seen), Seed(item=M), hazard=hazard)
    assert {one.item for one in asked.scope.reached} == {S}
    asked = Asked(story, of_event(T, seen), Seed(item=M), hazard=hazard)
    assert not asked.scope.reached
    assert "seed_came_to_nothing" in asked.scope.answer().warnings
