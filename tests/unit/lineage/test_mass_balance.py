"""node/lineage/mass_balance.py: what a party had, got, gave and has, and what no record explains of it."""

from dataclasses import replace
from decimal import Decimal

import pytest
from msgspec.structs import replace as replace_struct

from node.epcis.model import Action, EventType, Goods, Interval
from node.lineage.facts import open_facts
from node.lineage.mass_balance import NONE, Account, Span, Verdict, balance_of, totals_of
from node.lineage.readings import Readings
from tests.support.chronicle import Chronicle
from tests.support.events import at, build_event, lot, place, product_class, serial
from tests.support.memory_index import MemoryIndex

FLOUR, OTHER, BREAD, PIECE = lot("1", "F"), lot("1", "G"), lot("2", "B"), serial("4", "S1")
MILL, BAKERY = place(1), place(2)
MAY, JUNE = at(5, "00:00"), at(9, "00:00")


def accounts(
    told: Chronicle | MemoryIndex, *items: str, where: str = BAKERY, from_ms: int = MAY, to_ms: int = JUNE
) -> list[Account]:
    reader = told.index() if isinstance(told, Chronicle) else told
    before, until = (
        open_facts(reader, Readings(), as_of_ms=as_of_ms, known_at=reader.height) for as_of_ms in (from_ms - 1, to_ms)
    )
    return list(
        balance_of(items or (FLOUR,), before, until, lambda one: one.site == where, from_ms=from_ms, to_ms=to_ms)
    )


def one(told: Chronicle, **how: int) -> Account:
    (account,) = accounts(told, **how)  # type: ignore[arg-type]  # The names are its own.
    return account


def exact(amount: int | str) -> Span:
    return Span(Decimal(amount), Decimal(amount))


def judge(account: Account) -> Verdict:
    return account.judge(gain_permille=5, loss_permille=50)


def bakery() -> Chronicle:
    """100 received and 30 used on day 1 and 2, 60 received and 50 used within the period, 20 shipped after it."""
    told = Chronicle()
    told.make({FLOUR: 200}, at(1, "08:00"))
    told.ship({FLOUR: 100}, at(1, "09:00"), to=2)
    told.receive({FLOUR: 100}, at(1, "12:00"))
    told.run({FLOUR: 30}, {BREAD: 30}, at(2, "08:00"), at=2)
    told.ship({FLOUR: 60}, at(5, "09:00"), to=2)
    told.receive({FLOUR: 60}, at(6, "09:00"))
    told.run({FLOUR: 50}, {BREAD: 50}, at(7, "09:00"), at=2)
    told.end({FLOUR: 5}, at(7, "10:00"), at=2)
    told.ship({FLOUR: 20}, at(10, "09:00"), at=2, to=3)
    return told


def test_recorded_goods_balance_in_any_period() -> None:
    """Opening and what came are what went and closing; the next period opens with what this one closed with."""
    account = one(bakery())
    assert account == Account(
        FLOUR, "KGM", opening=exact(70), received=exact(60), used=exact(50), ended=exact(5), closing=exact(75)
    )
    assert (account.difference, judge(account)) == (NONE, Verdict.BALANCED)
    later = one(bakery(), from_ms=JUNE, to_ms=at(20, "00:00"))
    assert (later.opening, later.shipped, later.closing) == (exact(75), exact(20), exact(55))
    for hour in range(0, 240, 7):
        account = one(bakery(), from_ms=at(1, "10:00"), to_ms=at(1, "12:00") + hour * 3_600_000)
        assert account.difference == NONE


def test_other_end_balances_too_and_who_had_nothing_has_no_account() -> None:
    """The mill made 200, and shipped 100 before the period and 60 in it."""
    (mill,) = accounts(bakery(), where=MILL)
    assert (mill.opening, mill.shipped, mill.closing, mill.difference) == (exact(100), exact(60), exact(40), NONE)
    assert accounts(bakery(), where=place(9)) == []
    assert accounts(bakery(), OTHER) == []


def test_events_at_the_ends_of_the_period_are_in_it() -> None:
    """Both ends included, by the millisecond."""
    inside = one(bakery(), from_ms=at(6, "09:00"), to_ms=at(7, "09:00"))
    assert (inside.received, inside.used) == (exact(60), exact(50))
    outside = one(bakery(), from_ms=at(6, "09:00") + 1, to_ms=at(7, "09:00") - 1)
    assert (outside.received, outside.used, outside.opening) == (NONE, NONE, exact(130))


def test_goods_that_came_without_a_record_are_a_gain() -> None:
    """90 used, 70 there: 20 that nobody recorded the coming of."""
    told = bakery()
    del told.rows[4:]
    told.run({FLOUR: 170}, {BREAD: 170}, at(7, "09:00"), at=2)
    account = one(told)
    assert account.used == exact(170)
    assert account.difference.lo is not None
    assert account.difference.lo > 0
    assert judge(account) is Verdict.GAIN


def test_count_below_the_book_is_a_loss_beyond_its_tolerance() -> None:
    """The last count counts: it says anew what the one before it found. 5 % by default."""
    told = bakery()
    told.see({FLOUR: 60}, at(8, "09:00"), at=2, step="cycle_counting")
    assert one(told).counted_short == exact(15)
    assert judge(one(told)) is Verdict.LOSS
    told.see({FLOUR: 70}, at(8, "12:00"), at=2, step="cycle_counting")
    account = one(told)
    assert (account.counted_short, account.difference, judge(account)) == (exact(5), exact(-5), Verdict.BALANCED)


def test_unknown_amounts_make_it_unsure() -> None:
    """A use of an unknown amount: nothing is told to be gained or lost."""
    told = bakery()
    told.run({FLOUR: None}, {BREAD: 10}, at(7, "12:00"), at=2)
    account = one(told)
    assert account.used.lo is not None
    assert judge(account) is Verdict.UNSURE


def test_amount_that_is_unknown_may_be_in_any_unit_of_its_lot() -> None:
    """Made without an amount before the period, shipped by weight in it: no gain."""
    told = Chronicle()
    told.make([FLOUR], at(1, "08:00"), at=2)
    told.ship({FLOUR: 44}, at(6, "08:00"), at=2, to=3)
    account = one(told)
    assert (account.uom, account.shipped, account.opening) == ("KGM", exact(44), Span(Decimal(0), None))
    assert judge(account) is Verdict.UNSURE


def test_units_that_do_not_convert_are_no_gain_and_no_loss() -> None:
    """Received in cases, shipped by weight; the sum of all lots is unsure with it."""
    told = Chronicle()
    event = told.receive({FLOUR: 5}, at(6, "08:00"))
    told.rows[0] = replace_struct(told.rows[0], event=replace_struct(event, goods=(Goods(FLOUR, Decimal(5), "CS"),)))
    told.ship({FLOUR: 50}, at(7, "08:00"), at=2, to=3)
    assert {(account.uom, judge(account)) for account in accounts(told)} == {
        ("CS", Verdict.UNSURE), ("KGM", Verdict.UNSURE),
    }  # fmt: skip
    assert {judge(total) for total in totals_of(accounts(told))} == {Verdict.UNSURE}


def test_day_that_an_end_of_the_period_cuts_makes_it_unsure() -> None:
    """Shipped on a day of which nobody noted the hour, made at noon: until ten o'clock nothing is gained."""
    told = Chronicle()
    told.ship({FLOUR: 10}, Interval(at(6, "00:00"), at(6, "23:59")), at=2, to=3)
    told.make({FLOUR: 10}, at(6, "12:00"), at=2)
    cut = one(told, to_ms=at(6, "10:00"))
    assert cut.shipped == Span(Decimal(0), Decimal(10))
    assert judge(cut) is Verdict.UNSURE
    assert one(told, from_ms=at(6, "13:00")).shipped == Span(Decimal(0), Decimal(10))
    assert judge(one(told)) is Verdict.BALANCED


def test_receipt_elsewhere_whose_hour_is_unknown_takes_nothing_away_here() -> None:
    """By the start of its day it is before the shipment: until then the goods are here."""
    told = Chronicle()
    told.make({FLOUR: 10}, at(5, "08:00"), at=2)
    told.ship({FLOUR: 10}, at(6, "12:00"), at=2, to=3)
    told.receive({FLOUR: 10}, Interval(at(6, "00:00"), at(6, "23:59")), at=3)
    assert judge(one(told, to_ms=at(6, "10:00"))) is Verdict.UNSURE
    assert one(told).shipped == exact(10)
    assert judge(one(told)) is Verdict.BALANCED


def test_event_of_a_time_that_its_block_belies_makes_it_unsure() -> None:
    """Nothing tells whether it was in the period."""
    told = bakery()
    told.rows[6] = replace_struct(told.rows[6], ledger_time_ms=at(7, "00:00"))
    assert judge(one(told)) is Verdict.UNSURE


def test_move_that_nobody_recorded_is_no_loss_of_who_had_the_goods_for_sure() -> None:
    """Seen at a third place: they came from one of two holders, and from which nobody knows."""
    told = bakery()
    told.receive({FLOUR: 10}, at(7, "15:00"), at=3)
    bounds = one(told).difference
    assert bounds.lo is not None
    assert bounds.lo < 0
    assert judge(one(told)) is Verdict.UNSURE


def certify(told: Chronicle, place_in: int) -> None:
    row = told.rows[place_in]
    told.rows[place_in] = replace_struct(row, event=replace_struct(row.event, certificates=("urn:example:cert:1",)))


def test_more_shipped_as_certified_than_received_so_is_told() -> None:
    """By all the record until the end of the period; what a firm made counts as certified."""
    told = bakery()
    told.ship({FLOUR: 60}, at(8, "09:00"), at=2, to=3)
    certify(told, 9)
    assert one(told).certified_excess == 60
    certify(told, 5)
    assert one(told).certified_excess == 0
    told.ship({FLOUR: 10}, at(8, "10:00"), at=2, to=3)
    certify(told, 10)
    assert one(told).certified_excess == 10
    certify(told, 1)
    (mill,) = accounts(told, where=MILL)
    assert mill.certified_out == exact(100)
    assert mill.certified_excess == 0


def test_totals_are_by_unit_and_sum_up_what_the_lots_say() -> None:
    """Pieces and kilograms stay apart."""
    told = bakery()
    told.make({OTHER: 40}, at(6, "08:00"), at=2)
    told.add(
        build_event(
            EventType.OBJECT, at(6, "08:00"), action=Action.ADD, goods=(PIECE,), location=BAKERY, step="commissioning"
        )
    )
    pieces, weighed = totals_of(accounts(told, FLOUR, OTHER, PIECE))
    assert (pieces.item, pieces.uom, pieces.made, pieces.closing) == ("", None, exact(1), exact(1))
    assert (weighed.uom, weighed.made, weighed.closing) == ("KGM", exact(40), exact(115))


@pytest.mark.parametrize(
    ("closing", "verdict"),
    [
        (exact(1000), Verdict.BALANCED),
        (exact(1005), Verdict.BALANCED),
        (exact(1006), Verdict.GAIN),
        (exact(950), Verdict.BALANCED),
        (exact(949), Verdict.LOSS),
        (Span(Decimal(940), Decimal(960)), Verdict.UNSURE),
        (Span(Decimal(1006), None), Verdict.GAIN),
        (Span(None, Decimal(1000)), Verdict.UNSURE),
    ],
)
def test_verdict_is_certain_or_none(closing: Span, verdict: Verdict) -> None:
    """0.5 % above and 5 % below by default, of all there was to account for."""
    account = Account(FLOUR, "KGM", opening=exact(600), received=exact(400), closing=closing)
    assert judge(account) is verdict
    assert judge(replace(account, opening=Span(Decimal(0), None))) in (Verdict.UNSURE, Verdict.LOSS)


def test_arrival_order_changes_no_amount() -> None:
    """The same account from the same events."""
    told = bakery()
    told.see({FLOUR: 60}, at(8, "09:00"), at=2, step="cycle_counting")
    told.run({FLOUR: 100}, {BREAD: 100}, at(8, "09:30"), at=2)
    wanted = accounts(told, FLOUR, BREAD)
    assert len(wanted) == 2
    for seed in range(6):
        assert accounts(told.shuffled(seed), FLOUR, BREAD) == wanted


def test_goods_that_left_under_another_of_their_names_are_no_gain() -> None:
    """Received by the lot, used by the product's name: 40 are still there by the record. Beyond that it is one."""
    for used, verdicts in ((40, {Verdict.BALANCED, Verdict.UNSURE}), (90, {Verdict.BALANCED, Verdict.GAIN})):
        told = Chronicle()
        told.make({FLOUR: 40}, at(1, "08:00"))
        told.ship({FLOUR: 40}, at(5, "09:00"), to=2)
        told.receive({FLOUR: 40}, at(6, "09:00"))
        told.run({product_class("1"): used}, {BREAD: used}, at(7, "09:00"), at=2)
        found = accounts(told, FLOUR, product_class("1"))
        assert {judge(account) for account in found} == verdicts
        (total,) = totals_of(found)
        assert judge(total) is (Verdict.UNSURE if used == 40 else Verdict.GAIN)


def test_pieces_that_left_by_their_lot_are_no_gain() -> None:
    """Made as pieces of a lot, shipped by the lot's code."""
    told = Chronicle()
    pieces = [serial("1", str(number)) for number in range(4)]
    told.make(pieces, at(5, "08:00"), at=2, lot_code="L")
    event = told.ship({lot("1", "L"): 4}, at(6, "09:00"), at=2, to=3)
    in_pieces = replace_struct(event, goods=(Goods(lot("1", "L"), Decimal(4), None),))
    told.rows[-1] = replace_struct(told.rows[-1], event=in_pieces)
    found = accounts(told, *pieces, lot("1", "L"))
    assert Verdict.GAIN not in {judge(account) for account in found}


def test_no_stock_is_less_than_nothing() -> None:
    """An end that cuts several days leaves what was there in doubt, but not below zero."""
    told = Chronicle()
    told.make({FLOUR: 200}, Interval(at(5, "00:00"), at(5, "23:59")), at=2)
    told.ship({FLOUR: 60}, Interval(at(6, "00:00"), at(6, "23:59")), at=2, to=3)
    account = one(told, to_ms=at(6, "12:00"))
    assert account.closing.lo is not None
    assert account.closing.lo >= 0
