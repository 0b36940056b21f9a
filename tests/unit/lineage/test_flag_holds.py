"""Goods on hold: what certainly went on without a release, and what need not have been of the held goods."""

import pytest

from node.epcis.model import Action, EventType
from node.lineage.facts import open_facts
from node.lineage.flag_model import Flag, FlagSettings
from node.lineage.flags import flags_of_item
from node.lineage.readings import Readings
from tests.support.chronicle import Chronicle
from tests.support.events import Amounts, at, build_event, lot, place, serial
from tests.support.memory_index import MemoryIndex

FLOUR, BREAD, PIECE = lot("1", "F"), lot("2", "B"), serial("4", "S1")
NINE, NOON, EVENING = at(1, "09:00"), at(1, "12:00"), at(1, "18:00")


def say(
    told: Chronicle, goods: Amounts, when: int, word: str | None = None, *, step: str = "inspecting", where: int = 1,
    member: str | None = None,
) -> None:  # fmt: skip
    event = build_event(
        EventType.OBJECT, when, action=Action.OBSERVE, goods=goods, step=step, disposition=word, location=place(where)
    )
    told.add(event, member=member)


def hold(told: Chronicle, goods: Amounts, when: int = NINE, *, where: int = 1) -> None:
    say(told, goods, when, step="holding", where=where)


def held(told: Chronicle | MemoryIndex, item: str = FLOUR) -> list[Flag]:
    reader = told.index() if isinstance(told, Chronicle) else told
    facts = open_facts(reader, Readings(), as_of_ms=None, known_at=reader.height)
    found = flags_of_item(item, facts, FlagSettings(), now_ms=EVENING).flags
    return [flag for flag in found if flag.code == "used_on_hold"]


def flour(amount: int = 100) -> Chronicle:
    told = Chronicle()
    told.make({FLOUR: amount}, at(1, "08:00"))
    return told


@pytest.mark.parametrize("goods", [FLOUR, {FLOUR: 100}])
def test_lot_that_is_used_while_all_of_it_is_on_hold_is_flagged(goods: Amounts) -> None:
    """By its code alone or with all of its amount; the flag names the use, the hold and who had the goods."""
    told = flour()
    hold(told, goods)
    told.run({FLOUR: 40}, {BREAD: 40}, NOON)
    (flag,) = held(told)
    assert [ref.height for ref in flag.refs] == [3, 2]
    assert flag.parties == (f"the party at {place(1)}",)


def test_release_before_the_use_ends_a_hold_and_one_after_it_does_not() -> None:
    """Within what two clocks may err, it may have been before."""
    for when, member, count in (
        (at(1, "11:00"), "mill", 0),
        (at(1, "12:01"), "mill", 1),
        (at(1, "12:20"), "lab", 0),
        (at(1, "12:40"), "lab", 1),
    ):
        told = flour()
        hold(told, FLOUR)
        told.run({FLOUR: 40}, {BREAD: 40}, NOON)
        say(told, FLOUR, when, "conformant", member=member)
        assert len(held(told)) == count, (when, member)


def test_release_before_the_hold_releases_nothing() -> None:
    """It was held again."""
    told = flour()
    say(told, FLOUR, at(1, "08:30"), "conformant")
    hold(told, FLOUR)
    told.ship({FLOUR: 40}, NOON, to=2)
    assert len(held(told)) == 1


def test_lot_that_did_not_pass_an_inspection_is_on_hold() -> None:
    """With a piece that is another flag."""
    told = flour()
    say(told, FLOUR, NINE, "non_conformant")
    told.ship({FLOUR: 40}, NOON, to=2)
    assert len(held(told)) == 1
    piece = Chronicle()
    piece.make(PIECE, at(1, "08:00"))
    say(piece, PIECE, NINE, "non_conformant")
    piece.ship(PIECE, NOON, to=2)
    assert held(piece, PIECE) == []


def test_part_on_hold_is_flagged_once_more_went_than_lies_beside_it() -> None:
    """60 of 100 are held: 40 may go, the 41st is of the held ones. What went before the hold was beside them, too."""
    for went, count in ((40, 0), (41, 1)):
        told = flour()
        told.run({FLOUR: 15}, {BREAD: 15}, at(1, "08:30"))
        hold(told, {FLOUR: 60})
        told.run({FLOUR: went - 15}, {BREAD: went - 15}, NOON)
        assert len(held(told)) == count


def test_one_shipment_told_by_two_steps_is_not_counted_twice() -> None:
    """Loaded and departed: 40 went, not 80."""
    told = flour()
    hold(told, {FLOUR: 60})
    told.ship({FLOUR: 40}, NOON, to=2, step="loading")
    told.ship({FLOUR: 40}, at(1, "13:00"), to=2, step="departing")
    assert held(told) == []


def test_hold_says_nothing_of_goods_that_came_later_or_lie_elsewhere() -> None:
    """Another delivery of the lot, the same lot at another firm, and a source that nobody recorded."""
    later = flour()
    hold(later, FLOUR)
    later.make({FLOUR: 50}, at(1, "10:00"))
    later.run({FLOUR: 40}, {BREAD: 40}, NOON)
    assert held(later) == []
    elsewhere = flour()
    elsewhere.ship({FLOUR: 50}, at(1, "08:10"), to=2)
    elsewhere.receive({FLOUR: 50}, at(1, "08:20"))
    hold(elsewhere, FLOUR, where=2)
    elsewhere.run({FLOUR: 40}, {BREAD: 40}, NOON)
    assert held(elsewhere) == []
    unknown = Chronicle()
    hold(unknown, FLOUR)
    unknown.run({FLOUR: 40}, {BREAD: 40}, NOON)
    assert held(unknown) == []


def test_return_and_destruction_of_held_goods_are_no_use() -> None:
    """That is what a hold is for."""
    told = flour()
    hold(told, FLOUR)
    told.ship({FLOUR: 40}, NOON, to=2, step="returning")
    told.end({FLOUR: 60}, at(1, "13:00"))
    assert held(told) == []
    counted = flour()
    hold(counted, {FLOUR: 60})
    counted.end({FLOUR: 60}, at(1, "10:00"))
    counted.run({FLOUR: 40}, {BREAD: 40}, NOON)
    assert held(counted) == []


def test_piece_on_hold_is_flagged_wherever_it_is_used_next() -> None:
    """It is one thing; whoever has it may release it."""
    told = Chronicle()
    told.make(PIECE, at(1, "08:00"))
    hold(told, PIECE)
    told.ship(PIECE, NOON, to=2)
    assert len(held(told, PIECE)) == 1
    say(told, PIECE, at(1, "10:00"), "sellable_accessible")
    assert held(told, PIECE) == []


def test_void_hold_holds_nothing() -> None:
    """Its member declared it to be in error."""
    told = flour()
    event = build_event(
        EventType.OBJECT, NINE, action=Action.OBSERVE, goods=(FLOUR,), step="holding", location=place(1),
        event_id="urn:uuid:1",
    )  # fmt: skip
    told.add(event)
    told.run({FLOUR: 40}, {BREAD: 40}, NOON)
    assert len(held(told)) == 1
    told.void(event, EVENING)
    assert held(told) == []


def test_hold_is_flagged_alike_in_any_order_of_arrival() -> None:
    """The same flag by its id."""
    told = flour()
    hold(told, {FLOUR: 80})
    told.run({FLOUR: 40}, {BREAD: 40}, NOON)
    told.ship({FLOUR: 40}, at(1, "13:00"), to=2)
    (flag,) = held(told)
    assert {one.id for seed in range(6) for one in held(told.shuffled(seed))} == {flag.id}
