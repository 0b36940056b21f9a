"""node/lineage/balance.py, sightings.py: goods that were first seen shortly before they went on."""

import pytest

from node.epcis.model import Interval
from node.lineage.portions import PortionKind
from node.lineage.scope_question import Seed
from tests.support.chronicle import Chronicle
from tests.support.events import at, lot, place, unit
from tests.support.scopes import Asked, of_event
from tests.unit.lineage.test_worked_examples import codes, holdings

A, B = lot("1", "A"), lot("2", "B")
S = unit(1)
DAY_ONE = Interval(at(1, "00:00"), at(1, "23:59"))


@pytest.mark.parametrize("is_packed", [False, True])
def test_goods_that_were_seen_on_the_day_that_they_left_were_there_then(*, is_packed: bool) -> None:
    """Only the day of the sighting is known: they did not come back from whom they went to."""
    story = Chronicle()
    made = story.make({A: 100}, at(1, "08:00"))
    if is_packed:
        story.pack(S, {A: 100}, at(1, "09:00"))
    goods = [S] if is_packed else {A: 100}
    story.see(goods, DAY_ONE)
    story.ship(goods, at(1, "10:10"), to=2)
    story.receive(goods, at(1, "15:00"))
    assert holdings(story, A) == {(place(2), S if is_packed else ""): ("100", "100")}
    assert codes(story, A) == codes(story, S) == []
    asked = Asked(story, of_event(A, made))
    assert asked.status(asked.find(A, "held")) == "certain"


def test_more_than_was_there_on_any_moment_of_a_day_came_from_nowhere_known() -> None:
    """Two at once would have been enough, one after the other is not."""
    story = Chronicle()
    story.make({A: 60}, at(1, "08:00"))
    story.see({A: 100}, DAY_ONE)
    story.end({A: 60}, at(1, "10:00"))
    story.make({A: 60}, at(1, "11:00"))
    assert codes(story, A) == ["overdrawn"]
    story.make({A: 40}, at(1, "12:00"))
    assert codes(story, A) == []


BY = ["mill", "carrier"]
"""Who enters the shipment: the member of the rest, or another, whose clock may err."""


@pytest.mark.parametrize("by", BY)
@pytest.mark.parametrize("sent", [100, 60])
@pytest.mark.parametrize("is_packed", [False, True])
@pytest.mark.parametrize("first", ["make", "run", "receive", "see", "day", "pack", "unpack"])
def test_goods_first_told_of_ten_minutes_before_they_are_shipped_are_told_of_once(
    first: str, by: str, sent: int, *, is_packed: bool
) -> None:
    story = Chronicle()
    match first:
        case "make":
            story.make({A: 100}, at(1, "10:00"))
        case "run":
            story.run({B: 100}, {A: 100}, at(1, "10:00"))
        case "receive":
            story.receive({A: 100}, at(1, "10:00"), at=1)
        case "see" if by == "mill":
            story.see({A: 100}, at(1, "10:00"))
        case "see":
            # By another clock, nobody knows whether more than what went was there before or after.
            story.see({A: sent}, at(1, "10:00"))
        case "day":
            story.see({A: sent}, DAY_ONE)
        case "unpack":
            story.unpack(unit(9), {A: 100}, at(1, "10:00"))
        case _:
            is_packed, sent = True, 100
    if is_packed:
        story.pack(S, {A: sent}, at(1, "10:05"))
    goods = [S] if is_packed else {A: sent}
    story.ship(goods, at(1, "10:10"), to=2, member=by)
    story.receive(goods, at(1, "15:00"))
    has_rest = sent < 100 and first != "day" and (first != "see" or by == "mill")
    rest = {(place(1), ""): ("40", "40")} if has_rest else {}
    assert holdings(story, A) == rest | {(place(2), S if is_packed else ""): (str(sent), str(sent))}
    assert codes(story, A) == {"make": [], "run": [], "receive": ["receipt_without_shipment"]}.get(first, ["no_source"])


@pytest.mark.parametrize("by", BY)
@pytest.mark.parametrize("is_packed", [False, True])
@pytest.mark.parametrize("first", ["receive", "see", "use"])
def test_goods_do_not_come_from_what_another_site_ships_only_later(first: str, by: str, *, is_packed: bool) -> None:
    """They were elsewhere at ten: what goes at ten past ten, open to receipts before, is not where they came from."""
    story = Chronicle()
    match first:
        case "receive":
            told = story.receive({A: 100}, at(1, "10:00"), at=3)
        case "see":
            told = story.see({A: 100}, at(1, "10:00"), at=3)
        case _:
            told = story.run({A: 100}, {B: 100}, at(1, "10:00"), at=3)
    if is_packed:
        story.pack(S, {A: 100}, at(1, "10:05"))
    goods = [S] if is_packed else {A: 100}
    story.ship(goods, at(1, "10:10"), to=2, member=by)
    story.receive(goods, at(1, "15:00"))
    assert sum(float(high or 0) for _low, high in holdings(story, A).values()) == 100
    asked = Asked(story, Seed(item=A))
    kind = {"receive": "received", "see": "found", "use": "used"}[first]
    came = asked.find(A, kind, told).number
    ledger = asked.scope.graph.items[A].ledger
    moved = {flow.source for flow in ledger.flows if flow.target == came}
    assert {ledger.portions[number].kind for number in moved} == {PortionKind.UNKNOWN}
