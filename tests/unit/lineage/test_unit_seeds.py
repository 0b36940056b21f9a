"""node/lineage/seeds.py: a recall of a logistic unit is one of all that was in it."""

import pytest

from node.lineage.hazards import Hazard
from node.lineage.scope_question import Seed
from tests.support.chronicle import Chronicle
from tests.support.events import at, lot, place, unit
from tests.support.scopes import Asked, of_event

X, Y, Z = lot("1", "X"), lot("2", "Y"), lot("3", "Z")
CASE, OTHER, PALLET = unit(1), unit(2), unit(3)
HAZARDS = [Hazard.PIECE, Hazard.MICROBE]


def packed() -> Chronicle:
    story = Chronicle()
    for item in (X, Y, Z):
        story.make({item: 10}, at(1, "06:00"))
    story.pack(CASE, {X: 10}, at(1, "08:00"))
    story.pack(OTHER, {Y: 10}, at(1, "08:00"))
    return story


@pytest.mark.parametrize("hazard", HAZARDS)
def test_goods_in_the_cases_of_a_pallet_are_what_was_on_it(hazard: Hazard) -> None:
    story = packed()
    story.pack(PALLET, [CASE], at(1, "09:00"))
    story.ship([PALLET], at(1, "10:00"), to=2)
    story.receive([PALLET], at(1, "15:00"))
    asked = Asked(story, Seed(item=PALLET), hazard=hazard)
    assert asked.status(asked.find(X, "held")) == "certain"
    assert {Y, Z}.isdisjoint(one.item for one in asked.scope.reached)


def test_what_was_in_a_case_only_after_it_had_left_the_pallet_was_not_on_it() -> None:
    story = packed()
    story.pack(PALLET, [CASE], at(1, "09:00"))
    story.unpack(PALLET, [CASE], at(1, "11:00"))
    story.pack(CASE, {Z: 10}, at(1, "13:00"))
    asked = Asked(story, Seed(item=PALLET), hazard=Hazard.PIECE)
    assert asked.status(asked.find(X, "held")) == "certain"
    assert Z not in {one.item for one in asked.scope.reached}


@pytest.mark.parametrize("hazard", HAZARDS)
@pytest.mark.parametrize("which", ["packed", "loaded", "departed", "received"])
def test_event_of_a_pallet_is_one_of_the_goods_in_its_cases(which: str, hazard: Hazard) -> None:
    """It broke its cold chain: the seed is the shipment, told of by two steps, or the receipt."""
    story = packed()
    events = {
        "packed": story.pack(PALLET, [CASE], at(1, "09:00")),
        "loaded": story.ship([PALLET], at(1, "10:00"), to=2, step="loading"),
        "departed": story.ship([PALLET], at(1, "10:30"), to=2, step="departing"),
        "received": story.receive([PALLET], at(1, "15:00")),
    }
    asked = Asked(story, of_event(PALLET, events[which]), hazard=hazard)
    assert asked.status(asked.find(X, "held", place=place(2))) == "certain"
    assert Y not in {one.item for one in asked.scope.reached}
