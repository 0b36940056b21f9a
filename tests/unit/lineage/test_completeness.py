"""How much of an item the record accounts for, on chains whose figures are reckoned by hand."""

from node.lineage.completeness import Completeness, completeness_of
from node.lineage.facts import open_facts
from node.lineage.readings import Readings
from tests.support.chronicle import Chronicle
from tests.support.events import at, lot, serial, unit

FLOUR, SALT, DOUGH, BREAD = lot("1", "F"), lot("2", "S"), lot("3", "D"), lot("4", "B")


def score(told: Chronicle, item: str, *, items_max: int = 2_000) -> Completeness:
    index = told.index()
    facts = open_facts(index, Readings(), as_of_ms=None, known_at=index.height)
    return completeness_of(item, facts, items_max=items_max)


def reasons(found: Completeness) -> set[tuple[str, str]]:
    return {(gap.item, gap.reason) for gap in found.gaps}


def test_item_that_is_made_and_held_is_complete() -> None:
    """It begins there, by the record."""
    told = Chronicle()
    told.make({FLOUR: 100}, at(1, "08:00"))
    assert score(told, FLOUR) == Completeness(100, 100, (FLOUR,), (), 1, complete=True)


def test_share_is_weighed_by_amount_through_runs() -> None:
    """90 of flour that was made and 10 of salt from nowhere: 90 of 100, in the dough and in the bread of it."""
    told = Chronicle()
    told.make({FLOUR: 90}, at(1, "08:00"))
    told.run({FLOUR: 90, SALT: 10}, {DOUGH: 100}, at(1, "09:00"))
    told.run({DOUGH: 100}, {BREAD: 80}, at(1, "10:00"))
    found = score(told, BREAD)
    assert (found.upstream, found.origins, found.items) == (90, (FLOUR,), 4)
    assert reasons(found) == {(SALT, "no_source")}
    assert score(told, FLOUR).upstream == 100
    assert score(told, SALT).upstream == 0


def test_overdraft_counts_as_untraced() -> None:
    """100 were made and 125 used: a fifth is from nowhere."""
    told = Chronicle()
    told.make({FLOUR: 100}, at(1, "08:00"))
    told.run({FLOUR: 125}, {BREAD: 125}, at(1, "09:00"))
    assert score(told, BREAD).upstream == 80


def test_unknown_amounts_weigh_alike() -> None:
    """Two inputs without amounts, one of them from nowhere."""
    told = Chronicle()
    told.make([FLOUR], at(1, "08:00"))
    told.run([FLOUR, SALT], [BREAD], at(1, "09:00"))
    assert score(told, BREAD).upstream == 50


def test_run_without_inputs_traces_nothing() -> None:
    """What it put out came from somewhere."""
    told = Chronicle()
    told.run({}, {BREAD: 10}, at(1, "09:00"))
    found = score(told, BREAD)
    assert found.upstream == 0
    assert (BREAD, "run_without_inputs") in reasons(found)


def test_goods_on_their_way_are_not_accounted_for() -> None:
    """30 of 100 are shipped and not received."""
    told = Chronicle()
    told.make({FLOUR: 100}, at(1, "08:00"))
    told.ship({FLOUR: 30}, at(1, "09:00"), to=2)
    found = score(told, FLOUR)
    assert (found.upstream, found.downstream) == (100, 70)
    assert reasons(found) == {(FLOUR, "not_received")}


def test_hand_over_that_nobody_recorded_is_a_gap_and_no_lost_source() -> None:
    """Who made it is known all the same."""
    told = Chronicle()
    told.make({FLOUR: 100}, at(1, "08:00"))
    told.receive({FLOUR: 100}, at(1, "09:00"))
    found = score(told, FLOUR)
    assert found.upstream == 100
    assert (FLOUR, "moved_without_record") in reasons(found)


def test_unit_is_as_complete_as_what_was_in_it() -> None:
    """One piece that was made, one from nowhere."""
    told = Chronicle()
    told.make(serial("5", "1"), at(1, "08:00"))
    told.pack(unit(1), [serial("5", "1"), serial("5", "2")], at(1, "09:00"))
    assert score(told, unit(1)).upstream == 50


def test_serial_is_as_complete_as_its_lot() -> None:
    """Which a run put out."""
    told = Chronicle()
    told.run({}, {lot("5", "L"): 10}, at(1, "08:00"))
    told.make(serial("5", "1"), at(1, "09:00"), lot_code="L")
    assert score(told, serial("5", "1")).upstream == 0


def test_rework_into_the_same_code_ends() -> None:
    """What goes round is as complete as what came in."""
    told = Chronicle()
    told.make({FLOUR: 100}, at(1, "08:00"))
    told.run({FLOUR: 50}, {DOUGH: 50}, at(1, "09:00"))
    told.run({DOUGH: 20, FLOUR: 50}, {DOUGH: 70}, at(1, "10:00"))
    assert score(told, DOUGH).upstream == 100


def test_walk_is_bounded_and_says_so() -> None:
    """A chain of 40 runs, of which ten items are looked at."""
    told = Chronicle()
    told.make({lot("1", "0"): 10}, at(1, "08:00"))
    for number in range(40):
        told.run({lot("1", str(number)): 10}, {lot("1", str(number + 1)): 10}, at(2 + number, "08:00"))
    assert score(told, lot("1", "40"), items_max=10)[4:] == (10, False)
    assert score(told, lot("1", "40"))[4:] == (41, True)
