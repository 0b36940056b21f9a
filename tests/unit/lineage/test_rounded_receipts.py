"""node/lineage/matching.py: a shipment that is received in another unit of measure, rounded as it was written down."""

from decimal import Decimal

import pytest
from msgspec.structs import replace

from node.epcis.model import Action, EventType, Goods
from node.lineage.facts import open_facts
from node.lineage.plain import read_plain
from node.lineage.readings import Readings
from node.lineage.scope_question import Seed
from tests.support.chronicle import Chronicle
from tests.support.events import at, build_event, lot, party, place
from tests.support.scopes import Asked
from tests.unit.lineage.test_worked_examples import codes, holdings

A = lot("1", "A")
TO_TWO = (("location", place(2)), ("possessing_party", party(2)))


def told(sent: tuple[str, str], *received: tuple[str, str]) -> Chronicle:
    story = Chronicle()
    for number, (step, (amount, uom)) in enumerate(
        (("commissioning", sent), ("shipping", sent), *(("receiving", one) for one in received))
    ):
        event = build_event(
            EventType.OBJECT,
            at(1, "08:00") + number * 3_600_000,
            action=Action.ADD if step == "commissioning" else Action.OBSERVE,
            goods={A: amount},
            step=step,
            location=place(2 if step == "receiving" else 1),
            destinations=TO_TWO if step == "shipping" else (),
        )
        story.add(replace(event, goods=(Goods(A, Decimal(amount), uom),)))
    return story


@pytest.mark.parametrize(
    ("sent", "received"),
    [
        (("100", "LBR"), ("45359.237", "GRM")),
        (("100", "LBR"), ("45359.2", "GRM")),
        (("100", "LBR"), ("45359", "GRM")),
        (("100", "LBR"), ("45360", "GRM")),
        (("3", "LBR"), ("1360.777", "GRM")),
        (("7", "LBR"), ("3175.1", "GRM")),
        (("12", "ONZ"), ("0.3402", "KGM")),
        (("45359", "GRM"), ("100.0", "LBR")),
    ],
)
def test_shipment_received_in_another_unit_leaves_no_dust(sent: tuple[str, str], received: tuple[str, str]) -> None:
    story = told(sent, received)
    assert {holder for (holder, _unit) in holdings(story, A)} == {place(2)}
    assert codes(story, A) == []
    asked = Asked(story, Seed(item=A))
    assert "in_transit" not in {one.kind for one in asked.scope.reached}
    assert asked.status(asked.find(A, "held")) == "certain"


@pytest.mark.parametrize(("received", "is_plain"), [("45359.237", True), ("45359.2", False)])
def test_rounded_receipt_is_no_plain_history(received: str, *, is_plain: bool) -> None:
    """The short way to a lot's stock knows nothing of rounding."""
    index = told(("100", "LBR"), (received, "GRM")).index()
    facts = open_facts(index, Readings(), as_of_ms=None, known_at=index.height)
    assert (read_plain(A, facts.timelines.of_item(A), facts) is not None) is is_plain


def test_parts_of_a_shipment_may_each_be_rounded() -> None:
    story = told(("100", "LBR"), ("15119", "GRM"), ("15119", "GRM"), ("15119", "GRM"))
    asked = Asked(story, Seed(item=A))
    assert "in_transit" not in {one.kind for one in asked.scope.reached}
    assert codes(story, A) == []


@pytest.mark.parametrize("received", [("45357", "GRM"), ("45.3", "KGM")])
def test_rest_that_the_receipt_could_have_stated_is_a_rest(received: tuple[str, str]) -> None:
    story = told(("45.359237", "KGM"), ("45.3", "KGM")) if received[1] == "KGM" else told(("100", "LBR"), received)
    asked = Asked(story, Seed(item=A))
    assert "in_transit" in {one.kind for one in asked.scope.reached}
