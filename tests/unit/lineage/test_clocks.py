"""Two members' clocks in what a scope links by readings: within their tolerance nothing is before the other."""

import pytest

from node.epcis.model import Action, EventType
from node.lineage.hazards import Hazard
from node.lineage.scope_question import Seed
from tests.support.chronicle import Chronicle
from tests.support.events import at, build_event, lot, party, place, product_class, serial
from tests.support.scopes import Asked, of_event

A, B = lot("1", "A"), lot("1", "B")
PIECE = serial("1", "1")
AROUND = [("09:50", "carrier", True), ("09:29", "carrier", False), ("09:50", "mill", False)]
"""When, and by whom told, against what the mill told of at 10 o'clock: and whether it may have been later."""


def items(asked: Asked) -> set[str]:
    return {one.item for one in asked.scope.reached}


@pytest.mark.parametrize(("clock", "member", "is_reached"), AROUND)
def test_pieces_may_be_of_stock_that_came_within_two_clocks(clock: str, member: str, *, is_reached: bool) -> None:
    """Commissioned of the lot where the bad part of it came in."""
    story = Chronicle()
    story.make({A: 10}, at(1, "06:00"))
    story.run({A: 1}, {B: 1}, at(1, "07:00"))
    bad = story.make({A: 10}, at(1, "10:00"))
    story.make([PIECE], at(1, clock), lot_code="A", member=member)
    assert (PIECE in items(Asked(story, of_event(A, bad), hazard=Hazard.MICROBE))) is is_reached


@pytest.mark.parametrize(("clock", "member", "is_reached"), AROUND)
def test_draw_on_a_lot_may_have_drawn_a_piece_that_came_within_two_clocks(
    clock: str, member: str, *, is_reached: bool
) -> None:
    """The piece is part of the lot's stock."""
    story = Chronicle()
    story.make({A: 10}, at(1, "06:00"))
    bad = story.make([PIECE], at(1, "10:00"), lot_code="A")
    story.run({A: 5}, {B: 5}, at(1, clock), member=member)
    assert (B in items(Asked(story, of_event(PIECE, bad)))) is is_reached


@pytest.mark.parametrize(("clock", "member", "is_reached"), AROUND)
def test_goods_named_by_product_may_be_of_a_lot_that_came_within_two_clocks(
    clock: str, member: str, *, is_reached: bool
) -> None:
    """Used without a lot."""
    story = Chronicle()
    story.make({A: 10}, at(1, "10:00"))
    story.run({product_class("1"): 5}, {lot("2", "O"): 5}, at(1, clock), member=member)
    assert (lot("2", "O") in items(Asked(story, Seed(item=A)))) is is_reached


@pytest.mark.parametrize(("first", "then"), [("10:00", "10:10"), ("10:10", "10:00")])
def test_stock_that_two_members_told_of_is_looked_at_by_each_clock(first: str, then: str) -> None:
    """Bread without inputs, by the mill's clock ten to ten: before the mill's flour, but perhaps not the carrier's."""
    story = Chronicle()
    bread = lot("9", "BREAD")
    for code, clock, member in (("A", first, "mill"), ("B", then, "carrier")):
        story.make({lot("1", code): 10}, at(1, "06:00"), at=3)
        story.ship({lot("1", code): 10}, at(1, "07:00"), at=3, to=1)
        story.receive({lot("1", code): 10}, at(1, clock), at=1, member=member)
    story.add(
        build_event(
            EventType.OBJECT, at(1, "09:50"), action=Action.ADD, goods={bread: 5}, step="producing", location=place(1),
            sources=(("possessing_party", party(1)),),
        )
    )  # fmt: skip
    asked = Asked(story, Seed(item=A), Seed(item=B), hazard=Hazard.MICROBE)
    assert bread in items(asked)


def test_events_of_another_member_widen_no_order_at_a_place_that_its_own_member_describes() -> None:
    """The rival tells of six things at the mill: what the mill shipped ten minutes before its bad goods is clean."""
    story = Chronicle()
    story.name_place(1, owner=1)
    story.make({A: 10}, at(1, "06:00"))
    early = story.ship({A: 5}, at(1, "09:50"), to=2)
    bad = story.make({A: 10}, at(1, "10:00"))
    for minute in range(6):
        story.receive({A: 1}, at(1, f"16:0{minute}"), at=1, member="rival")
    asked = Asked(story, of_event(A, bad))
    assert asked.status(asked.find(A, "shipped", early)).startswith("excluded")


def test_events_of_another_member_widen_no_order_in_a_run_at_such_a_place() -> None:
    """It told of four more inputs; the output that the mill drew before its own bad input is clean."""
    story = Chronicle()
    story.name_place(1, owner=1)
    story.make({A: 10}, at(1, "06:00"))
    story.make({B: 100}, at(1, "06:00"))
    early, late = lot("2", "EARLY"), lot("2", "LATE")
    story.run({B: 10}, {}, at(1, "08:00"), name="r1")
    story.run({}, {early: 5}, at(1, "09:50"), name="r1")
    story.run({A: 10}, {}, at(1, "10:00"), name="r1")
    story.run({}, {late: 5}, at(1, "11:00"), name="r1")
    for minute in range(6):
        story.run({B: 1}, {}, at(1, f"12:0{minute}"), name="r1", member="rival")
    reached = items(Asked(story, Seed(item=A)))
    assert late in reached
    assert early not in reached
