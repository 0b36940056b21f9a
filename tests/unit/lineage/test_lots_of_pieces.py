"""node/lineage/spread.py, balance.py: a lot whose pieces have serial numbers, drawn on by its code (ADR 0016)."""

from decimal import Decimal

import pytest
from msgspec.structs import replace

from node.epcis.model import Action, Event, EventType, Goods
from node.lineage.hazards import Hazard
from node.lineage.scope_question import Seed
from tests.support.chronicle import Chronicle
from tests.support.events import at, build_event, lot, place, serial, unit
from tests.support.scopes import Asked
from tests.unit.lineage.test_worked_examples import codes

L, OUT = lot("4", "L"), lot("5", "O")
ONE, TWO = serial("4", "a"), serial("4", "b")
S = unit(1)
HAZARDS = [Hazard.PIECE, Hazard.ORIGIN, Hazard.MICROBE]


def told() -> Chronicle:
    story = Chronicle()
    story.make([ONE, TWO], at(1, "08:00"), lot_code="L")
    return story


def pieces(count: int) -> tuple[Goods, ...]:
    return (Goods(L, Decimal(count), None),)


def run(story: Chronicle, count: int, *, here: int = 1, day: int = 2) -> Event:
    event = build_event(EventType.TRANSFORMATION, at(day, "10:00"), inputs=[L], outputs={OUT: 1}, location=place(here))
    return story.add(replace(event, inputs=pieces(count)))


@pytest.mark.parametrize("hazard", HAZARDS)
@pytest.mark.parametrize("count", [1, 2])
def test_run_that_draws_on_a_lot_may_have_taken_any_of_its_pieces(hazard: Hazard, count: int) -> None:
    story = told()
    used = run(story, count)
    for piece in (ONE, TWO):
        asked = Asked(story, Seed(item=piece), hazard=hazard)
        assert asked.status(asked.find(L, "used", used)) == "possible"
        assert asked.status(asked.find(OUT, "held")) == "possible"


def test_draw_on_a_lot_of_pieces_has_a_source_while_pieces_are_left() -> None:
    story = told()
    run(story, 2)
    assert codes(story, L) == []
    run(story, 1, day=3)
    assert codes(story, L) == ["no_source"]


def test_draw_on_a_lot_of_pieces_is_no_move_from_its_stock_elsewhere() -> None:
    story = told()
    event = build_event(
        EventType.OBJECT, at(1, "08:00"), action=Action.ADD, goods=[L], step="commissioning", location=place(3)
    )
    story.add(replace(event, goods=pieces(5)))
    used = run(story, 1)
    assert codes(story, L) == []
    asked = Asked(story, Seed(item=L))
    assert asked.status(asked.find(L, "used", used)) == "certain"


@pytest.mark.parametrize("hazard", HAZARDS)
def test_piece_shipped_by_its_number_may_be_in_what_is_received_by_its_lot(hazard: Hazard) -> None:
    """The sender scans each piece, the receiver counts the lot."""
    story = told()
    story.ship([ONE, TWO], at(1, "10:00"), to=2)
    event = build_event(
        EventType.OBJECT, at(1, "15:00"), action=Action.OBSERVE, goods=[L], step="receiving", location=place(2)
    )
    received = story.add(replace(event, goods=pieces(2)))
    run(story, 2, here=2)
    asked = Asked(story, Seed(item=ONE), hazard=hazard)
    assert asked.status(asked.find(L, "received", received)) == "possible"
    assert asked.status(asked.find(OUT, "held")) == "possible"


@pytest.mark.parametrize("hazard", HAZARDS)
def test_piece_may_be_in_what_is_packed_by_its_lot(hazard: Hazard) -> None:
    story = told()
    event = build_event(
        EventType.AGGREGATION,
        at(1, "09:00"),
        action=Action.ADD,
        goods=[L],
        parent=S,
        step="packing",
        location=place(1),
    )
    story.add(replace(event, goods=pieces(2)))
    assert codes(story, L) == []
    asked = Asked(story, Seed(item=ONE), hazard=hazard)
    assert asked.status(asked.find(L, "held")) == "possible"
