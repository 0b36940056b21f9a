"""node/lineage/matching.py: shipments that are taken back, and receipts that several steps tell of."""

import pytest

from tests.support.chronicle import Chronicle
from tests.support.events import at, lot, place, unit
from tests.support.scopes import Asked, of_event
from tests.unit.lineage.test_worked_examples import codes, holdings

A = lot("1", "A")
S = unit(1)


@pytest.mark.parametrize("is_packed", [False, True])
@pytest.mark.parametrize("sent", [100, 60])
def test_void_shipping_brings_goods_back_to_their_sender(sent: int, *, is_packed: bool) -> None:
    story = Chronicle()
    made = story.make({A: 100}, at(1, "08:00"))
    if is_packed:
        story.pack(S, {A: sent}, at(1, "08:30"))
    goods = [S] if is_packed else {A: sent}
    story.ship(goods, at(1, "09:00"), to=2, bill="7")
    story.see(goods, at(1, "10:00"), step="void_shipping")
    story.ship(goods, at(1, "11:00"), to=3)
    story.receive(goods, at(1, "15:00"), at=3)
    rest = {} if sent == 100 else {(place(1), ""): ("40", "40")}
    assert holdings(story, A) == rest | {(place(3), S if is_packed else ""): (str(sent), str(sent))}
    assert codes(story, A) == codes(story, S) == []
    asked = Asked(story, of_event(A, made))
    assert asked.status(asked.find(A, "held", place=place(3))) == "certain"


def test_shipment_that_was_received_is_not_taken_back_in_silence() -> None:
    story = Chronicle()
    story.make({A: 100}, at(1, "08:00"))
    story.ship({A: 100}, at(1, "09:00"), to=2)
    story.receive({A: 100}, at(1, "12:00"))
    story.see({A: 100}, at(1, "13:00"), step="void_shipping")
    assert codes(story, A) == ["moved_without_record"]


def test_receipt_that_two_steps_tell_of_is_of_the_larger_amount() -> None:
    story = Chronicle()
    story.make({A: 100}, at(1, "08:00"))
    story.ship({A: 100}, at(1, "09:00"), to=2, bill="7")
    for step, amount, clock in (("arriving", 60, "12:00"), ("unloading", 90, "13:00"), ("receiving", 100, "14:00")):
        story.receive({A: amount}, at(1, clock), step=step, bill="7")
    story.receive({A: 80}, at(1, "15:00"), step="accepting", bill="7")
    assert holdings(story, A) == {(place(2), ""): ("100", "100")}
    assert codes(story, A) == []
