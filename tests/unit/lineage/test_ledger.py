"""node/lineage/ledger: who holds an item at last, and what did not add up."""

import re
from pathlib import Path

import pytest

import node.lineage
from node.epcis.model import Action, EventType, Interval
from node.lineage.facts import open_facts
from node.lineage.findings import REMEDIES
from node.lineage.ledger import build_ledger
from node.lineage.portions import LotLedger
from node.lineage.readings import Readings
from tests.support.chronicle import Chronicle, codes_of, goods_of, holders_of, reasons_of
from tests.support.events import HOUR_MS, Amounts, at, build_event, lot, party, place, serial, unit

FLOUR, BREAD, CAKE = lot("1", "F1"), lot("3", "B"), lot("4", "C")


def test_partial_shipment_leaves_the_rest() -> None:
    """Sender and receiver both hold a part; what is used up is held by nobody."""
    story = Chronicle()
    story.make({FLOUR: 100}, at(1, "08:00"))
    story.ship({FLOUR: 40}, at(1, "09:00"), to=2)
    story.receive({FLOUR: 40}, at(1, "12:00"), at=2)
    answer = story.forward(FLOUR)
    assert holders_of(answer, FLOUR) == [(place(1), "held"), (place(2), "held")]
    assert not answer.warnings
    story.ship({FLOUR: 60}, at(2, "09:00"), to=2)
    story.receive({FLOUR: 60}, at(2, "12:00"), at=2)
    story.run({FLOUR: 100}, {BREAD: 100}, at(3, "08:00"), at=2)
    answer = story.forward(FLOUR)
    assert holders_of(answer, FLOUR) == []
    assert holders_of(answer, BREAD) == [(place(2), "held")]


@pytest.mark.parametrize("is_receipt_dated", [False, True])
def test_goods_whose_making_nobody_recorded_do_not_come_from_their_own_receipt(*, is_receipt_dated: bool) -> None:
    """One side of a hand-over knows only the day: what the sender lacks is not taken from what was received of it."""
    day = Interval(at(1, "00:00"), at(2, "00:00") - 1)
    story = Chronicle()
    story.ship({FLOUR: 40}, at(1, "12:00") if is_receipt_dated else day, to=2)
    story.receive({FLOUR: 40}, day if is_receipt_dated else at(1, "14:00"), at=2)
    assert holders_of(story.forward(FLOUR), FLOUR) == [(place(2), "held")]


def test_holders_say_how_much_they_have() -> None:
    """Of each part: what is left, what is on its way, what came; loose and packed together."""
    story = Chronicle()
    story.make({FLOUR: 100}, at(1, "08:00"))
    story.ship({FLOUR: 40}, at(1, "09:00"), to=2)
    story.receive({FLOUR: 25}, at(1, "12:00"), at=2)
    story.pack(unit(1), {FLOUR: 10}, at(1, "13:00"))
    amounts = [
        (one.place, one.status, one.quantity_min, one.quantity_max, one.uom) for one in story.forward(FLOUR).holders
    ]
    assert amounts == [
        (place(1), "held", "60", "60", "KGM"),
        (place(2), "held", "25", "25", "KGM"),
        (place(2), "in_transit", "15", "15", "KGM"),
    ]


def test_one_hand_over_told_five_times_is_one() -> None:
    """Loading, departing, the carrier's departing, two receipts, all with one bill of lading: 40 moved, once."""
    story = Chronicle()
    story.make({FLOUR: 100}, at(1, "08:00"))
    story.ship({FLOUR: 40}, at(1, "09:00"), step="loading", bill="urn:bol:7")
    story.ship({FLOUR: 40}, at(1, "10:00"), step="departing", bill="urn:bol:7")
    story.ship({FLOUR: 40}, at(1, "10:00"), step="departing", bill="urn:bol:7", member="carrier")
    story.receive({FLOUR: 40}, at(1, "14:00"), step="receiving", bill="urn:bol:7")
    story.receive({FLOUR: 40}, at(1, "15:00"), step="accepting", bill="urn:bol:7", member="warehouse")
    answer = story.forward(FLOUR)
    assert holders_of(answer, FLOUR) == [(place(1), "held"), (place(2), "held")]
    assert not answer.warnings
    assert not answer.unknowns


def test_shipment_of_a_later_larger_amount_counts_that_amount() -> None:
    """Of several outbound steps of one hand-over the largest stated amount moved."""
    story = Chronicle()
    story.make({FLOUR: 40}, at(1, "08:00"))
    story.ship({FLOUR: 30}, at(1, "09:00"), step="loading", to=2)
    story.ship({FLOUR: 40}, at(1, "10:00"), step="departing", to=2)
    story.receive({FLOUR: 40}, at(1, "14:00"))
    assert holders_of(story.forward(FLOUR), FLOUR) == [(place(2), "held")]


def test_receipt_without_shipment_is_flagged_and_debits_the_only_holder() -> None:
    """A makes 100, B receives 30: A keeps 70, the hand-over is unknown, both are asked about."""
    story = Chronicle()
    story.make({FLOUR: 100}, at(1, "08:00"))
    story.receive({FLOUR: 30}, at(1, "12:00"))
    answer = story.forward(FLOUR)
    assert holders_of(answer, FLOUR) == [(place(1), "held"), (place(2), "held")]
    assert {"receipt_without_shipment", "moved_without_record"} <= codes_of(answer)
    assert (FLOUR, "moved_without_record") in reasons_of(answer)


def test_receipt_that_several_holders_may_have_sent_is_overdrawn_by_nobody() -> None:
    """With two other holdings no one is debited: the source is unknown, and both stay listed."""
    story = Chronicle()
    story.make({FLOUR: 100}, at(1, "08:00"), at=1)
    story.make({FLOUR: 50}, at(1, "08:00"), at=3)
    story.receive({FLOUR: 30}, at(1, "12:00"), at=2)
    answer = story.forward(FLOUR)
    assert holders_of(answer, FLOUR) == [(place(number), "held") for number in (1, 2, 3)]
    assert "overdrawn" in codes_of(answer)


def test_receipt_after_the_use_carries_nothing_to_it() -> None:
    """Used at the farm in January, shipped and received in February: moved without record, then overdrawn."""
    story = Chronicle()
    story.make({FLOUR: 100}, at(1, "08:00"), at=1)
    story.run({FLOUR: 100}, {BREAD: 90}, at(10, "08:00"), at=2)
    story.ship({FLOUR: 100}, at(20, "08:00"), at=1)
    story.receive({FLOUR: 100}, at(20, "12:00"), at=2)
    answer = story.back(BREAD)
    assert goods_of(answer) == {FLOUR}
    assert {"moved_without_record", "overdrawn", "used_before_receipt"} == codes_of(answer)
    assert holders_of(answer, FLOUR) == [(place(2), "held")]


def test_unknown_amounts_keep_every_possible_holder() -> None:
    """Where nobody says how much was sent, the sender may still have some."""
    story = Chronicle()
    story.make([FLOUR], at(1, "08:00"))
    story.ship([FLOUR], at(1, "09:00"), to=2)
    story.receive([FLOUR], at(1, "12:00"))
    assert holders_of(story.forward(FLOUR), FLOUR) == [(place(1), "held"), (place(2), "held")]


def test_serial_is_where_it_was_seen_last() -> None:
    """One piece is at one place: seen elsewhere, it moved there without a record."""
    story = Chronicle()
    pump = serial("5", "P")
    story.make([pump], at(1, "08:00"), at=1)
    story.see([pump], at(1, "09:00"), at=1)
    story.see([pump], at(1, "10:00"), at=4)
    answer = story.forward(pump)
    assert holders_of(answer, pump) == [(place(4), "held")]
    assert codes_of(answer) == {"moved_without_record"}


def test_piece_made_twice_is_flagged() -> None:
    """A serial has one making."""
    story = Chronicle()
    pump = serial("5", "P")
    story.make([pump], at(1, "08:00"), at=1)
    story.make([pump], at(1, "09:00"), at=2)
    answer = story.forward(pump)
    assert "made_twice" in codes_of(answer)
    assert holders_of(answer, pump) == [(place(2), "held")]


def test_what_was_destroyed_or_sold_is_held_by_nobody() -> None:
    """Object DELETE, and OBSERVE with an ending step, end what they name."""
    story = Chronicle()
    story.make({FLOUR: 5, BREAD: 5}, at(1, "08:00"))
    story.end({FLOUR: 5}, at(1, "09:00"))
    story.see({BREAD: 5}, at(1, "09:00"), step="retail_selling")
    assert holders_of(story.forward(FLOUR), FLOUR) == []
    assert holders_of(story.forward(BREAD), BREAD) == []


def test_unit_that_is_destroyed_takes_its_contents_along_and_one_that_ends_lets_them_loose() -> None:
    """The end of a pallet number is not the end of what was on it."""
    for step, held in (("destroying", []), ("decommissioning", [(place(1), "held")])):
        story = Chronicle()
        story.make({FLOUR: 5}, at(1, "08:00"))
        story.pack(unit(1), {FLOUR: 5}, at(1, "09:00"))
        story.end([unit(1)], at(1, "10:00"), step=step)
        assert holders_of(story.forward(FLOUR), FLOUR) == held, step


def test_goods_listed_beside_their_unit_leave_in_it() -> None:
    """A despatch that lists the pallet and its contents moves them once."""
    story = Chronicle()
    story.make({FLOUR: 5}, at(1, "08:00"))
    story.pack(unit(1), {FLOUR: 5}, at(1, "09:00"))
    story.ship({unit(1): None, FLOUR: 5}, at(1, "10:00"), to=2)
    story.receive({unit(1): None, FLOUR: 5}, at(1, "14:00"))
    answer = story.forward(FLOUR)
    assert holders_of(answer, FLOUR) == [(place(2), "held")]
    assert not answer.warnings


def test_unit_received_by_an_aggregation_brings_its_contents() -> None:
    """Steps are read on every event type: a pallet may be received by Aggregation OBSERVE."""
    story = Chronicle()
    story.make({FLOUR: 25}, at(1, "13:35"))
    story.pack(unit(1), {FLOUR: 25}, at(1, "13:35"))
    story.ship([unit(1)], at(1, "13:35"), to=2)
    story.observe_unit(unit(1), {FLOUR: 25}, at(1, "16:00"), at=2)
    story.unpack(unit(1), {FLOUR: 10}, at(1, "17:00"), at=2)
    answer = story.forward(FLOUR)
    assert holders_of(answer, FLOUR) == [(place(2), "held")]
    assert not answer.warnings


def test_presence_at_the_destination_closes_the_shipment() -> None:
    """Seen at the receiver's: it has arrived, though nobody wrote a receipt."""
    story = Chronicle()
    story.make({FLOUR: 5}, at(1, "08:00"))
    story.ship({FLOUR: 5}, at(1, "09:00"), to=2)
    story.see({FLOUR: 5}, at(1, "15:00"), at=2)
    answer = story.forward(FLOUR)
    assert holders_of(answer, FLOUR) == [(place(2), "held")]
    assert not answer.unknowns


def test_one_shipment_may_be_received_in_parts() -> None:
    """What is not yet received stays on its way."""
    story = Chronicle()
    story.make({FLOUR: 5}, at(1, "08:00"))
    story.ship({FLOUR: 5}, at(1, "09:00"), to=2)
    story.receive({FLOUR: 2}, at(1, "15:00"))
    assert holders_of(story.forward(FLOUR), FLOUR) == [(place(2), "held"), (place(2), "in_transit")]


def test_documents_match_a_receipt_to_its_shipment() -> None:
    """Of two trailers the one with the bill of lading arrived; the other is still asked for."""
    story = Chronicle()
    story.make({FLOUR: 80}, at(1, "08:00"))
    monday = story.ship({FLOUR: 40}, at(1, "09:00"), to=2, bill="urn:bol:1")
    story.ship({FLOUR: 40}, at(2, "09:00"), to=2, bill="urn:bol:2")
    story.receive({FLOUR: 40}, at(3, "09:00"), bill="urn:bol:2")
    answer = story.forward(FLOUR)
    open_event = next(one.event for one in answer.unknowns if one.reason == "not_received")
    assert next(event.digest for event in answer.events if event.id == open_event) == monday.event_digest.hex()


def test_voided_shipment_becomes_a_shortfall_and_the_goods_stay_in_scope() -> None:
    """A ships 40 of 100 and voids it; B, who received and used it, moved it without a record."""
    story = Chronicle()
    story.make({FLOUR: 100}, at(1, "08:00"))
    shipped = story.ship({FLOUR: 40}, at(1, "09:00"), to=2, event_id="urn:uuid:1")
    story.receive({FLOUR: 40}, at(1, "12:00"))
    story.run({FLOUR: 40}, {BREAD: 40}, at(1, "13:00"), at=2)
    assert not story.forward(FLOUR).unknowns
    story.void(shipped, at(2, "08:00"))
    answer = story.forward(FLOUR)
    assert goods_of(answer) == {BREAD}
    assert (FLOUR, "moved_without_record") in reasons_of(answer)
    assert holders_of(answer, FLOUR) == [(place(1), "held")]


def test_possessing_party_holds_before_the_party_of_the_place() -> None:
    """The custodian is first who is stated in source or destination, then the place's by master data."""
    story = Chronicle()
    story.name_place(2, 99)
    story.make({FLOUR: 5}, at(1, "08:00"))
    story.receive({FLOUR: 5}, at(1, "12:00"))
    assert [one.party for one in story.forward(FLOUR).holders] == [party(99)]
    assert [one.place_name for one in story.forward(FLOUR).holders] == ["Site 2"]


def test_receiver_named_by_a_later_report_of_one_shipment_is_taken() -> None:
    """Loading names nobody; departing names the receiver, who is then asked."""
    story = Chronicle()
    story.make({FLOUR: 5}, at(1, "08:00"))
    story.ship({FLOUR: 5}, at(1, "09:00"), step="loading")
    story.ship({FLOUR: 5}, at(1, "10:00"), step="departing", to=2)
    assert holders_of(story.forward(FLOUR), FLOUR) == [(place(2), "in_transit")]


def test_steps_far_apart_are_two_shipments() -> None:
    """A hand-over lasts no longer than 72 hours."""
    story = Chronicle()
    story.make({FLOUR: 80}, at(1, "08:00"))
    story.ship({FLOUR: 40}, at(1, "09:00"), step="loading", to=2)
    story.ship({FLOUR: 40}, at(9, "09:00"), step="departing", to=2)
    assert holders_of(story.forward(FLOUR), FLOUR) == [(place(2), "in_transit")] * 2


def test_piece_on_its_way_to_nobody_named_that_turns_up_has_arrived() -> None:
    """Seen elsewhere while in transit: it moved there without a receipt."""
    story = Chronicle()
    pump = serial("5", "P")
    story.make([pump], at(1, "08:00"))
    story.ship([pump], at(1, "09:00"))
    story.see([pump], at(2, "09:00"), at=4)
    answer = story.forward(pump)
    assert holders_of(answer, pump) == [(place(4), "held")]
    assert codes_of(answer) == {"moved_without_record"}


def test_shortfall_larger_than_the_only_holding_has_no_known_source() -> None:
    """5 were made and 8 received elsewhere: nobody had so much."""
    story = Chronicle()
    story.make({FLOUR: 5}, at(1, "08:00"))
    story.receive({FLOUR: 8}, at(1, "12:00"))
    answer = story.forward(FLOUR)
    assert "overdrawn" in codes_of(answer)
    assert holders_of(answer, FLOUR) == [(place(1), "held"), (place(2), "held")]


def test_amounts_in_two_units_are_never_subtracted() -> None:
    """500 pieces made, 200 kg shipped: how many are left is unknown, so the maker stays a holder."""
    story = Chronicle()
    story.add(build_event(EventType.OBJECT, at(1, "08:00"), action=Action.ADD, goods=[FLOUR], location=place(1)))
    story.ship({FLOUR: 200}, at(1, "09:00"), to=2)
    story.receive({FLOUR: 200}, at(1, "12:00"))
    assert holders_of(story.forward(FLOUR), FLOUR) == [(place(1), "held"), (place(2), "held")]


def test_unit_that_a_run_used_leaves_nothing_of_its_contents() -> None:
    """The run took the unit whole."""
    story = Chronicle()
    story.make({FLOUR: 5}, at(1, "08:00"))
    story.pack(unit(1), {FLOUR: 5}, at(1, "09:00"))
    story.run([unit(1)], {BREAD: 5}, at(1, "10:00"))
    assert holders_of(story.forward(FLOUR), FLOUR) == []


def test_contents_first_named_at_unpacking_are_held_from_then() -> None:
    """Nobody packed them; the unpacker has them."""
    story = Chronicle()
    story.unpack(unit(1), {FLOUR: 5}, at(1, "10:00"), at=2)
    answer = story.forward(FLOUR)
    assert holders_of(answer, FLOUR) == [(place(2), "held")]
    assert "no_source" in codes_of(answer)


def to_party(number: int) -> tuple[tuple[str, str], ...]:
    return (("possessing_party", party(number)),)


@pytest.mark.parametrize("goods", [[serial("5", "1")], {FLOUR: 9}])
def test_receipt_where_nobody_told_whose_place_it_is_fits_the_one_shipment_to_a_party(goods: Amounts) -> None:
    """The same piece is a fact; of a lot nothing tells the party from the one at that place."""
    story = Chronicle()
    item = next(iter(goods))
    story.make(goods, at(1, "08:00"))
    story.add(
        build_event(
            EventType.OBJECT,
            at(1, "09:00"),
            action=Action.OBSERVE,
            goods=goods,
            step="shipping",
            location=place(1),
            destinations=to_party(2),
        )
    )
    story.receive(goods, at(2, "08:00"), at=2)
    answer = story.forward(item)
    assert holders_of(answer, item) == [(place(2), "held")]
    assert not answer.warnings
    assert not answer.unknowns


def test_receipt_that_shipments_to_two_parties_fit_closes_neither() -> None:
    """Which of them is the party at that place nobody told: both may be on their way still."""
    story = Chronicle()
    story.make({FLOUR: 9}, at(1, "08:00"))
    for number in (2, 3):
        story.add(
            build_event(
                EventType.OBJECT,
                at(1, "09:00"),
                action=Action.OBSERVE,
                goods={FLOUR: 4},
                step="shipping",
                location=place(1),
                destinations=to_party(number),
            )
        )
    story.receive({FLOUR: 4}, at(2, "08:00"), at=2)
    assert [status for _place, status in holders_of(story.forward(FLOUR), FLOUR)] == ["held", "held"] + 2 * [
        "in_transit"
    ]


@pytest.mark.parametrize("children", [{FLOUR: 40}, ()])
def test_unit_opened_without_a_receipt_has_come(children: Amounts) -> None:
    """A unit is one thing: what was on its way in it is where it is opened."""
    story = Chronicle()
    story.make({FLOUR: 100}, at(1, "08:00"))
    story.pack(unit(1), {FLOUR: 40}, at(1, "09:00"))
    story.ship([unit(1)], at(1, "10:00"), to=2)
    story.unpack(unit(1), children, at(2, "08:00"), at=2)
    answer = story.forward(FLOUR)
    assert holders_of(answer, FLOUR) == [(place(1), "held"), (place(2), "held")]
    assert not answer.unknowns


def test_unit_used_without_a_receipt_has_come() -> None:
    """Nothing of it is on its way any more."""
    story = Chronicle()
    story.make({FLOUR: 40}, at(1, "08:00"))
    story.pack(unit(1), {FLOUR: 40}, at(1, "09:00"))
    story.ship([unit(1)], at(1, "10:00"), to=2)
    story.run([unit(1)], {BREAD: 1}, at(2, "08:00"), at=2)
    assert holders_of(story.forward(FLOUR), FLOUR) == []


def test_unit_opened_elsewhere_than_it_was_sent_came_unrecorded() -> None:
    """It is there all the same, flagged."""
    story = Chronicle()
    story.make({FLOUR: 40}, at(1, "08:00"))
    story.pack(unit(1), {FLOUR: 40}, at(1, "09:00"))
    story.ship([unit(1)], at(1, "10:00"), to=2)
    story.unpack(unit(1), (), at(2, "08:00"), at=3)
    answer = story.forward(FLOUR)
    assert holders_of(answer, FLOUR) == [(place(3), "held")]
    assert codes_of(answer) == {"moved_without_record"}


def test_unit_packed_to_leave_leaves_and_opened_as_it_comes_comes() -> None:
    """Aggregations with an outbound or inbound step move the unit and the goods listed, too."""
    story = Chronicle()
    story.make({FLOUR: 40}, at(1, "08:00"))
    packing = build_event(
        EventType.AGGREGATION,
        at(1, "09:00"),
        action=Action.ADD,
        goods={FLOUR: 40},
        parent=unit(1),
        step="shipping",
        location=place(1),
        destinations=(("location", place(2)),),
    )
    story.add(packing)
    assert holders_of(story.forward(FLOUR), FLOUR) == [(place(2), "in_transit")]
    story.add(
        build_event(
            EventType.AGGREGATION,
            at(2, "09:00"),
            action=Action.DELETE,
            goods={FLOUR: 40},
            parent=unit(1),
            step="receiving",
            location=place(2),
        )
    )
    answer = story.forward(FLOUR)
    assert holders_of(answer, FLOUR) == [(place(2), "held")]
    assert not answer.warnings
    assert not answer.unknowns


def test_packing_a_new_unit_is_nothing_odd() -> None:
    """A unit begins where it is first packed: nobody records its making."""
    story = Chronicle()
    story.make({FLOUR: 40}, at(1, "08:00"))
    story.pack(unit(1), {FLOUR: 40}, at(1, "09:00"))
    answer = story.forward(unit(1))
    assert holders_of(answer, unit(1)) == [(place(1), "held")]
    assert not answer.warnings


@pytest.mark.parametrize("goods", [{FLOUR: 9}, {FLOUR: None}, [serial("5", "1")]])
@pytest.mark.parametrize("in_unit", [False, True])
def test_shipment_of_a_date_is_not_after_a_receipt_of_the_next(goods: Amounts, in_unit: bool) -> None:
    """Midnight UTC is a date of unsure zone: the days overlap, and a tie that the order settles is no flag."""

    def day(number: int) -> Interval:
        return Interval(at(number, "00:00") - 14 * HOUR_MS, at(number + 1, "12:00"))

    story = Chronicle()
    item = next(iter(goods))
    story.make(goods, day(1))
    if in_unit:
        story.pack(unit(1), goods, day(1))
    moved = [unit(1)] if in_unit else goods
    story.ship(moved, day(1), to=2)
    story.receive(moved, day(2), at=2)
    story.ship(moved, day(3), at=2, to=3)
    story.receive(moved, day(4), at=3)
    answer = story.forward(item)
    assert (place(3), "held") in holders_of(answer, item)
    assert not answer.warnings
    assert not answer.unknowns
    if goods != {FLOUR: None}:
        assert holders_of(answer, item) == [(place(3), "held")]


def test_shipment_entered_by_a_slow_clock_is_not_after_its_receipt() -> None:
    """Within the tolerance of both clocks; beyond it, goods were received that nobody had shipped."""
    for clock, flags in (("10:05", set()), ("11:00", {"receipt_without_shipment", "moved_without_record"})):
        story = Chronicle()
        story.make({FLOUR: 9}, at(1, "08:00"))
        story.receive({FLOUR: 9}, at(1, "10:00"), at=2, member="shop")
        story.ship({FLOUR: 9}, at(1, clock), to=2)
        answer = story.forward(FLOUR)
        assert codes_of(answer) == flags
        assert flags or holders_of(answer, FLOUR) == [(place(2), "held")]


def test_two_shipments_of_a_date_close_the_receipts_of_their_receivers() -> None:
    """In parts, too."""
    story = Chronicle()
    date = Interval(at(1, "00:00"), at(1, "23:59"))
    story.make({FLOUR: 9}, at(1, "08:00"))
    story.ship({FLOUR: 6}, date, to=2)
    story.ship({FLOUR: 3}, date, to=3)
    story.receive({FLOUR: 2}, at(1, "10:00"), at=2)
    story.receive({FLOUR: 3}, at(1, "11:00"), at=3)
    answer = story.forward(FLOUR)
    assert holders_of(answer, FLOUR) == [(place(2), "held"), (place(3), "held"), (place(2), "in_transit")]
    assert not answer.warnings


def test_count_below_the_book_is_flagged_and_sets_nothing() -> None:
    """ADR 0016: what lacks went somewhere, and stays in scope where the book has it."""
    story = Chronicle()
    story.make({FLOUR: 100}, at(1, "08:00"))
    story.see({FLOUR: 90}, at(1, "09:00"), step="cycle_counting")
    ledger = ledger_of(story, FLOUR)
    assert [(one.code, str(one.amount)) for one in ledger.findings] == [("counted_below_book", "10")]
    assert [str(one.lo) for one in ledger.held] == ["100"]


def test_sighting_of_more_than_the_book_is_a_shortfall() -> None:
    """The rest came from the only other holding, or from nowhere known."""
    story = Chronicle()
    story.make({FLOUR: 100}, at(1, "08:00"))
    story.see({FLOUR: 110}, at(1, "09:00"))
    ledger = ledger_of(story, FLOUR)
    assert [(one.code, str(one.amount)) for one in ledger.findings] == [("overdrawn", "10")]
    assert [str(one.lo) for one in ledger.held] == ["110"]


def test_draws_and_credits_make_flows_in_proportion_to_their_number() -> None:
    """A pool is a chain of states: never credits times draws."""
    story = Chronicle()
    for number in range(300):
        story.make({FLOUR: 10}, at(1, "00:00") + 2 * number)
        story.end({FLOUR: 5}, at(1, "00:00") + 2 * number + 1)
    ledger = ledger_of(story, FLOUR)
    assert len(ledger.flows) < 4 * 600
    assert [str(one.lo) for one in ledger.held] == ["1500"]


def test_findings_say_how_they_close_and_who_can_settle_them() -> None:
    """Every code that a ledger or run gives has a severity and a remedy."""
    story = Chronicle()
    story.make({FLOUR: 100}, at(1, "08:00"))
    story.receive({FLOUR: 30}, at(1, "12:00"))
    for finding in ledger_of(story, FLOUR).findings:
        assert REMEDIES[finding.code].closes
        assert finding.ask.key
    source = "".join(path.read_text() for path in Path(node.lineage.__path__[0]).glob("*.py"))
    codes = set(re.findall(r'Finding\(\s*"(\w+)"', source)) | {"amounts_differ", "receipt_without_shipment"}
    assert codes == set(REMEDIES)


def ledger_of(story: Chronicle, item: str) -> LotLedger:
    reader = story.index()
    return build_ledger(item, open_facts(reader, Readings(), as_of_ms=None, known_at=reader.height))
