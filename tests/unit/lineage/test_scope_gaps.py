"""node/lineage: what worlds of known truth (tests/support/truth.py) once found left out of scopes, each in short."""

import pytest

from node.lineage.hazards import Hazard
from tests.support.chronicle import Chronicle
from tests.support.events import at, lot, product_class
from tests.support.scopes import Asked, of_event

A, B, C, D, E = (lot("1", code) for code in "ABCDE")
M = lot("2", "M")
CLASS = product_class("1")


@pytest.mark.parametrize("is_addressed", [True, False])
@pytest.mark.parametrize("hazard", [Hazard.ORIGIN, Hazard.MICROBE])
def test_goods_sent_by_their_products_name_and_never_received_may_go_on_by_their_lots(
    hazard: Hazard, *, is_addressed: bool
) -> None:
    """World 35924: a bad lot was sent back under its product's name, and used there under its own."""
    story = Chronicle()
    story.make({A: 20}, at(1, "08:00"), at=2)
    sent = story.ship({A: None}, at(1, "09:00"), at=2, to=1)
    story.receive({A: 1}, at(1, "10:00"), at=1, source=2)
    story.ship({CLASS: 1}, at(1, "11:00"), at=1, to=2 if is_addressed else None)
    used = story.run({A: 1}, {M: 1}, at(1, "12:00"), at=2)
    asked = Asked(story, of_event(A, sent), hazard=hazard)
    assert asked.status(asked.find(A, "used", used)) == "possible, open"
    assert M in {one.item for one in asked.scope.reached}


def test_what_spreads_gets_into_goods_that_came_by_their_products_name_without_a_record() -> None:
    """World 36838: they lie beside the bad ones of their lot."""
    story = Chronicle()
    story.make({A: 53}, at(1, "08:00"), at=1)
    sent = story.ship({A: 29}, at(1, "09:00"), at=1, to=2, bill="1")
    story.receive({A: 29}, at(1, "10:00"), at=2, bill="1")
    story.ship({CLASS: 16}, at(1, "11:00"), at=1, to=2)
    asked = Asked(story, of_event(A, sent), hazard=Hazard.MICROBE)
    assert asked.status(asked.find(CLASS, "in_transit")) == "possible, open"
    asked = Asked(story, of_event(A, sent), hazard=Hazard.ORIGIN)
    assert CLASS not in {one.item for one in asked.scope.reached}
