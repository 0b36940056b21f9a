"""node/lineage/matching.py: shipments that are taken back, and receipts that several steps tell of; ties."""

import pytest

from node.epcis.model import Action, EventType, Interval
from tests.support.chronicle import Chronicle, Time
from tests.support.events import at, build_event, lot, place, serial, unit
from tests.support.scopes import Asked, of_event
from tests.unit.lineage.test_worked_examples import codes, holdings

A = lot("1", "A")
S = unit(1)
PIECE = serial("1", "1")


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


def _date(day: int) -> Interval:
    """Return a day of an unstated zone."""
    return Interval(at(day, "00:00") - 14 * HOUR_MS, at(day, "00:00") + 36 * HOUR_MS)


HOUR_MS = 3_600_000
SAME_TIME = (at(1, "08:00"), at(1, "08:00"))
SAME_DAY, NEXT_DAY = (_date(1), _date(1)), (_date(1), _date(2))
TWO_CLOCKS = (at(1, "08:00"), at(1, "07:50"))
TIMES = pytest.mark.parametrize("times", [SAME_TIME, SAME_DAY, NEXT_DAY, TWO_CLOCKS])


def _hand_over(times: tuple[Time, Time], goods: str, *, is_made: bool, is_packed: bool) -> Chronicle:
    """Make and pack at one time what is shipped then, and receive it at another, as its receiver tells."""
    sent, received = times
    story = Chronicle()
    story.make([PIECE], sent)
    if is_made and goods != PIECE:
        story.add(
            build_event(
                EventType.OBJECT, sent, action=Action.ADD, goods=[goods], step="commissioning", location=place(1)
            )
        )
    if is_packed:
        story.pack(goods, [PIECE], sent)
    story.ship([goods], sent, to=2)
    story.receive([goods], received, at=2, member="shop")
    return story


@TIMES
@pytest.mark.parametrize("is_made", [False, True])
def test_unit_that_is_packed_shipped_and_received_at_one_time_has_no_flag(
    times: tuple[Time, Time], *, is_made: bool
) -> None:
    story = _hand_over(times, S, is_made=is_made, is_packed=True)
    assert codes(story, S) == codes(story, PIECE) == []
    assert holdings(story, S) == {(place(2), ""): ("1", "1")}


@TIMES
def test_piece_that_is_made_shipped_and_received_at_one_time_is_made_once(times: tuple[Time, Time]) -> None:
    story = _hand_over(times, PIECE, is_made=True, is_packed=False)
    assert codes(story, PIECE) == []
    assert holdings(story, PIECE) == {(place(2), ""): ("1", "1")}


def test_unit_that_is_seen_where_it_is_shipped_from_again_came_back_unrecorded() -> None:
    story = _hand_over(SAME_TIME, S, is_made=True, is_packed=True)
    story.see([S], at(3, "08:00"))
    story.ship([S], at(3, "08:00"), to=2)
    story.receive([S], at(4, "08:00"), at=2, member="shop")
    assert codes(story, S) == ["moved_without_record"]
