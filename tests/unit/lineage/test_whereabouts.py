"""node/lineage/whereabouts: at whom an item may have been, where goods are named by product alone."""

from collections.abc import Callable

import pytest

from tests.support.chronicle import Chronicle, goods_of, reasons_of
from tests.support.events import at, lot, party, place, product_class, unit

FLOUR, BREAD = lot("1", "F1"), lot("3", "B")
CLASS = product_class("1")


def in_a_unit(story: Chronicle) -> None:
    story.pack(unit(1), {FLOUR: 5}, at(1, "09:00"))
    story.pack(unit(2), [unit(1)], at(1, "09:30"))
    story.ship([unit(2)], at(1, "10:00"), to=2)
    story.receive([unit(2)], at(2, "08:00"))
    story.unpack(unit(2), (), at(2, "08:30"), at=2)


def class_in_a_unit(story: Chronicle) -> None:
    story.pack(unit(1), {CLASS: 5}, at(1, "09:00"))
    story.ship([unit(1)], at(1, "10:00"), to=2)
    story.receive([unit(1)], at(2, "08:00"))


def sent_and_not_received(story: Chronicle) -> None:
    story.ship({FLOUR: 5}, at(1, "10:00"), to=2)


def sent_by_class_and_not_received(story: Chronicle) -> None:
    story.ship({CLASS: 5}, at(1, "10:00"), to=2)


def received_by_class_and_not_sent(story: Chronicle) -> None:
    story.name_place(1, 1)
    story.receive({CLASS: 5}, at(2, "08:00"), source=1)


def sent_to_nobody_named(story: Chronicle) -> None:
    story.ship({CLASS: 5}, at(1, "10:00"))
    story.receive({CLASS: 5}, at(2, "08:00"))


WAYS = [
    in_a_unit,
    class_in_a_unit,
    sent_and_not_received,
    sent_by_class_and_not_received,
    received_by_class_and_not_sent,
    sent_to_nobody_named,
]


@pytest.mark.parametrize("move", WAYS)
def test_goods_without_lot_may_be_what_came_there_in_any_way(move: Callable[[Chronicle], None]) -> None:
    """Used by its GTIN at place 2: the lot came there by a unit, a shipment or a receipt. Nothing came to place 3."""
    story = Chronicle()
    story.make({FLOUR: 100}, at(1, "08:00"))
    move(story)
    story.run({CLASS: 5}, {BREAD: 5}, at(2, "09:00"), at=2)
    story.run({CLASS: 5}, {lot("3", "else"): 5}, at(2, "09:00"), at=3)
    assert goods_of(story.back(BREAD)) == {CLASS, FLOUR}
    assert goods_of(story.forward(FLOUR)) == {CLASS, BREAD}
    assert goods_of(story.back(lot("3", "else"))) == {CLASS}
    assert (CLASS, "no_lot") in reasons_of(story.back(lot("3", "else")))


def test_what_came_after_the_use_is_none_of_it() -> None:
    """Any lot that the custodian had *then*."""
    story = Chronicle()
    story.make({FLOUR: 100}, at(1, "08:00"))
    story.run({CLASS: 5}, {BREAD: 5}, at(1, "09:00"), at=2)
    story.pack(unit(1), {FLOUR: 5}, at(1, "10:00"))
    story.receive([unit(1)], at(3, "08:00"))
    assert goods_of(story.back(BREAD)) == {CLASS}
    assert goods_of(story.forward(FLOUR)) == set()


def test_custodian_is_met_by_party_or_by_site() -> None:
    """A shipment names the party and the place, the use only the place, whose party nobody stated."""
    story = Chronicle()
    story.make({FLOUR: 100}, at(1, "08:00"))
    story.ship({FLOUR: 5}, at(1, "10:00"), to=2)
    story.run({CLASS: 5}, {BREAD: 5}, at(2, "09:00"), at=2)
    event = next(event for event in story.back(BREAD).events if event.step == "shipping")
    assert event.receiver == party(2)
    assert event.place == place(1)
    assert FLOUR in goods_of(story.back(BREAD))
