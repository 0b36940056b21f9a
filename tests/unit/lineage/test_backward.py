"""node/lineage/backward: where an item came from, each item with the latest time of its use."""

from decimal import Decimal

from msgspec.structs import replace

from node.epcis.model import EventType, Goods
from tests.support.chronicle import Chronicle, carriers_of, codes_of, edges_of, goods_of, holders_of, reasons_of
from tests.support.events import at, build_event, lot, party, place, product_class, serial, unit

FLOUR, OTHER_FLOUR, DOUGH, BREAD, CAKE = lot("1", "F1"), lot("1", "F2"), lot("2", "D"), lot("3", "B"), lot("4", "C")


def test_two_lots_of_one_ingredient_in_one_run_both_appear() -> None:
    """All inputs count."""
    story = Chronicle()
    story.make({FLOUR: 5}, at(1, "08:00"))
    story.make({OTHER_FLOUR: 5}, at(1, "08:30"))
    story.run({FLOUR: 5, OTHER_FLOUR: 5}, {BREAD: 10}, at(1, "09:00"))
    answer = story.back(BREAD)
    assert answer.origins == (FLOUR, OTHER_FLOUR)
    assert {edge.source: edge.quantity for edge in answer.edges} == {FLOUR: "5", OTHER_FLOUR: "5"}


def test_input_that_came_in_after_the_draw_is_excluded() -> None:
    """The way back of an output drawn at 09:00 ends at what had come in by then."""
    story = Chronicle()
    story.run({FLOUR: 50}, (), at(1, "08:00"), name="tank")
    story.run((), {lot("2", "O1"): 30}, at(1, "09:00"), name="tank")
    story.run({OTHER_FLOUR: 50}, (), at(1, "10:00"), name="tank")
    story.run((), {lot("2", "O2"): 30}, at(1, "11:00"), name="tank")
    assert goods_of(story.back(lot("2", "O1"))) == {FLOUR}
    second = story.back(lot("2", "O2"))
    assert goods_of(second) == {FLOUR, OTHER_FLOUR}
    assert all(edge.input_event is not None for edge in second.edges)


def test_making_after_the_use_is_no_ancestor_where_one_before_it_is() -> None:
    """The same lot code made again after the use: that portion did not go in."""
    story = Chronicle()
    story.run({FLOUR: 5}, {DOUGH: 5}, at(1, "08:00"))
    story.run({DOUGH: 5}, {BREAD: 5}, at(1, "09:00"))
    story.run({OTHER_FLOUR: 5}, {DOUGH: 5}, at(1, "10:00"))
    answer = story.back(BREAD)
    assert goods_of(answer) == {DOUGH, FLOUR}
    assert next(item for item in answer.items if item.id == DOUGH).until == "2026-01-05T09:00:00.000Z"


def test_item_made_only_after_its_use_is_followed_and_flagged() -> None:
    """Contradictory times widen the answer, never narrow it."""
    story = Chronicle()
    story.run({FLOUR: 5}, {DOUGH: 5}, at(2, "08:00"))
    story.run({DOUGH: 5}, {BREAD: 5}, at(1, "09:00"))
    answer = story.back(BREAD)
    assert FLOUR in goods_of(answer)
    assert "used_before_made" in codes_of(answer)
    assert (DOUGH, "used_before_made") in reasons_of(answer)


def test_item_first_seen_as_an_input_is_an_unknown_and_no_origin() -> None:
    """With the party who had it to be asked."""
    story = Chronicle()
    story.name_place(1, 7)
    story.run({FLOUR: 5}, {BREAD: 5}, at(1, "09:00"))
    answer = story.back(BREAD)
    assert answer.origins == ()
    assert (FLOUR, "no_origin") in reasons_of(answer)
    assert next(one.ask for one in answer.unknowns if one.reason == "no_origin") == party(7)


def test_unknown_of_a_received_item_asks_its_sender() -> None:
    """Where the first event is a receipt, the sender knows more."""
    story = Chronicle()
    story.receive({FLOUR: 5}, at(1, "08:00"), at=1, source=9)
    story.run({FLOUR: 5}, {BREAD: 5}, at(1, "09:00"))
    assert ("no_origin", party(9)) in {(one.reason, one.ask) for one in story.back(BREAD).unknowns}


def test_voided_making_leaves_an_unknown() -> None:
    """Unknown never counts as clean: the item has no origin any more, and says why."""
    story = Chronicle()
    made = story.make({FLOUR: 5}, at(1, "08:00"), event_id="urn:uuid:1")
    story.run({FLOUR: 5}, {BREAD: 5}, at(1, "09:00"))
    assert story.back(BREAD).origins == (FLOUR,)
    story.void(made, at(2, "08:00"))
    answer = story.back(BREAD)
    assert answer.origins == ()
    assert (FLOUR, "making_voided") in reasons_of(answer)


def test_run_that_lists_no_inputs_is_an_unknown() -> None:
    """A draw from a vessel whose fillings nobody recorded."""
    story = Chronicle()
    story.run((), {BREAD: 5}, at(1, "09:00"), name="tank")
    assert (BREAD, "run_without_inputs") in reasons_of(story.back(BREAD))


def test_runs_of_two_custodians_under_one_name_are_two_runs() -> None:
    """Events with one (transformationID, custodian) are one run."""
    story = Chronicle()
    story.name_place(1, 1)
    story.name_place(2, 2)
    story.run({FLOUR: 5}, (), at(1, "08:00"), at=1, name="run-1")
    story.run({OTHER_FLOUR: 5}, (), at(1, "08:00"), at=2, name="run-1")
    story.run((), {BREAD: 5}, at(1, "09:00"), at=1, name="run-1")
    assert goods_of(story.back(BREAD)) == {FLOUR}


def test_run_of_one_member_at_places_of_unknown_parties_is_one_run() -> None:
    """What no record tells apart may be one custodian's: a missing party never hides an ingredient."""
    story = Chronicle()
    story.run({FLOUR: 5}, (), at(1, "08:00"), at=1, name="run-1")
    story.add(build_event(EventType.TRANSFORMATION, at(1, "08:30"), inputs={OTHER_FLOUR: 5}, run="run-1"))
    story.run((), {BREAD: 5}, at(1, "09:00"), at=2, name="run-1")
    story.run({lot("8", "X"): 5}, (), at(1, "08:00"), at=3, name="run-1", member="another")
    assert goods_of(story.back(BREAD)) == {FLOUR, OTHER_FLOUR}
    assert goods_of(story.forward(OTHER_FLOUR)) == {BREAD}


def test_goods_without_lot_made_by_a_run_come_from_its_inputs() -> None:
    """A run may put out goods named by GTIN alone; what uses them there may hold all that went in."""
    story = Chronicle()
    dough = product_class("7")
    story.make({FLOUR: 5}, at(1, "08:00"))
    story.run({FLOUR: 5}, {dough: 5}, at(1, "09:00"))
    story.run({dough: 5}, {BREAD: 5}, at(1, "10:00"))
    assert goods_of(story.back(BREAD)) == {dough, FLOUR}
    assert story.back(BREAD).origins == (FLOUR,)
    assert goods_of(story.forward(FLOUR)) == {dough, BREAD}


def test_commissioning_after_a_run_is_no_origin() -> None:
    """An ADD of a run's output at the same custodian, a piece or of equal amount, makes nothing."""
    story = Chronicle()
    wing = serial("9", "W")
    story.make({FLOUR: 5}, at(1, "08:00"))
    story.run({FLOUR: 5}, {BREAD: 5}, at(1, "09:00"))
    story.make({BREAD: 5}, at(1, "10:00"))
    story.run({BREAD: 5}, [wing], at(1, "11:00"))
    story.make([wing], at(1, "12:00"))
    answer = story.back(wing)
    assert answer.origins == (FLOUR,)
    assert "made_twice" not in codes_of(answer)
    assert holders_of(answer, wing) == [(place(1), "held")]


def test_second_making_of_another_amount_is_an_origin_beside_the_run() -> None:
    """Two portions of one code, one of them from nowhere but itself."""
    story = Chronicle()
    story.make({FLOUR: 5}, at(1, "08:00"))
    story.run({FLOUR: 5}, {BREAD: 5}, at(1, "09:00"))
    story.make({BREAD: 3}, at(1, "10:00"))
    assert story.back(BREAD).origins == tuple(sorted((FLOUR, BREAD)))


def test_serial_comes_from_where_its_lot_comes_from() -> None:
    """The lot number in ilmd makes a serial an instance of its lot."""
    story = Chronicle()
    bars, bar = lot("5", "L"), serial("5", "1")
    story.make({FLOUR: 5}, at(1, "08:00"))
    story.run({FLOUR: 5}, {bars: 2}, at(1, "09:00"))
    story.make([bar], at(1, "10:00"), lot_code="L")
    answer = story.back(bar)
    assert answer.origins == (FLOUR,)
    assert (bars, bar, "instance") in edges_of(answer)
    assert answer.items[0].lot == "L"


def test_lot_known_only_by_its_serials_comes_from_what_made_them() -> None:
    """A run puts out serials under a lot code: asked about the code, their inputs answer."""
    story = Chronicle()
    story.make({FLOUR: 5}, at(1, "08:00"))
    story.run({FLOUR: 5}, [serial("5", "1"), serial("5", "2")], at(1, "09:00"), lot_code="L")
    assert story.back(lot("5", "L")).origins == (FLOUR,)


def test_unit_comes_from_what_was_in_it_when_it_was_used() -> None:
    """A pallet used at noon passes on its load of noon, through every layer, and no earlier one."""
    story = Chronicle()
    story.make({CAKE: 5}, at(1, "07:00"))
    story.make({FLOUR: 5}, at(1, "07:00"))
    story.pack(unit(1), {CAKE: 5}, at(1, "08:00"))
    story.unpack(unit(1), (), at(1, "09:00"))
    story.pack(unit(1), {FLOUR: 5}, at(1, "10:00"))
    story.pack(unit(2), [unit(1)], at(1, "11:00"))
    story.run([unit(2)], {BREAD: 5}, at(1, "12:00"))
    answer = story.back(BREAD)
    assert answer.origins == (FLOUR,)
    assert goods_of(answer) == {FLOUR, unit(1), unit(2)}


def test_unit_asked_about_comes_from_all_it_ever_held() -> None:
    """Without a time of use, every load counts; commissioning the unit makes no goods."""
    story = Chronicle()
    story.make({CAKE: 5}, at(1, "07:00"))
    story.make({FLOUR: 5}, at(1, "07:00"))
    story.make([unit(1)], at(1, "07:30"))
    story.pack(unit(1), {CAKE: 5}, at(1, "08:00"))
    story.unpack(unit(1), (), at(1, "09:00"))
    story.pack(unit(1), {FLOUR: 5}, at(1, "10:00"))
    assert story.back(unit(1)).origins == tuple(sorted((FLOUR, CAKE)))


def test_unit_without_recorded_contents_is_an_unknown() -> None:
    """An SSCC that was only shipped: what was in it, its packer knows."""
    story = Chronicle()
    story.make([unit(1)], at(1, "08:00"))
    story.run([unit(1)], {BREAD: 5}, at(1, "09:00"))
    answer = story.back(BREAD)
    assert answer.origins == ()
    assert (unit(1), "no_contents") in reasons_of(answer)


def test_units_that_brought_an_ingredient_are_shown() -> None:
    """They tell where it was; what else lay in them is not drawn in."""
    story = Chronicle()
    story.make({FLOUR: 5, CAKE: 5}, at(1, "07:00"), at=1)
    story.pack(unit(1), {FLOUR: 5, CAKE: 5}, at(1, "08:00"), at=1)
    story.ship([unit(1)], at(1, "09:00"), at=1, to=2)
    story.receive([unit(1)], at(1, "12:00"), at=2)
    story.unpack(unit(1), {FLOUR: 5, CAKE: 5}, at(1, "13:00"), at=2)
    story.run({FLOUR: 5}, {BREAD: 5}, at(1, "14:00"), at=2)
    story.ship([unit(1)], at(3, "09:00"), at=2, to=3)
    answer = story.back(BREAD)
    assert carriers_of(answer) == {unit(1)}
    assert goods_of(answer) == {FLOUR}
    steps = [event.step for event in answer.events]
    assert steps.count("receiving") == 1
    assert not any(event.time == str(at(3, "09:00")) for event in answer.events)


def test_ingredient_without_lot_may_be_of_every_lot_there() -> None:
    """A GTIN alone as an input: each lot of it that the user held by then, possible."""
    story = Chronicle()
    late = lot("1", "F3")
    story.make({FLOUR: 5}, at(1, "08:00"), at=1)
    story.make({OTHER_FLOUR: 5}, at(1, "08:00"), at=2)
    story.run([product_class("1")], {BREAD: 5}, at(1, "09:00"), at=1)
    story.make({late: 5}, at(1, "10:00"), at=1)
    answer = story.back(BREAD)
    assert goods_of(answer) == {product_class("1"), FLOUR}
    assert "class_without_lot" in codes_of(answer)


def test_ingredient_without_lot_and_without_stock_is_an_unknown() -> None:
    """No lot of the product was ever at the user."""
    story = Chronicle()
    story.run([product_class("1")], {BREAD: 5}, at(1, "09:00"), at=1)
    assert (product_class("1"), "no_lot") in reasons_of(story.back(BREAD))


def test_product_asked_about_is_any_lot_of_it() -> None:
    """A trace of a GTIN begins at every lot, and says so."""
    story = Chronicle()
    story.make({FLOUR: 5}, at(1, "08:00"))
    story.run({FLOUR: 5}, {BREAD: 5}, at(1, "09:00"))
    assert BREAD in goods_of(story.forward(product_class("1")))
    assert FLOUR in goods_of(story.back(product_class("3")))
    assert "class_without_lot" in codes_of(story.back(product_class("3")))
    assert [item.id for item in story.back(product_class("3"), known_at=1).items] == [product_class("3")]


def test_hub_is_read_no_further_than_its_making() -> None:
    """An ingredient with a long history adds its making and a warning, not its history."""
    story = Chronicle()
    story.make({FLOUR: 500}, at(1, "08:00"))
    for number in range(50):
        story.run({FLOUR: 1}, {lot("3", f"B{number}"): 1}, at(1, "09:00") + number)
    answer = story.back(lot("3", "B7"), history_max=20)
    assert answer.origins == (FLOUR,)
    assert "history_left_out" in codes_of(answer)
    assert len(answer.events) == 2
    assert "history_left_out" not in codes_of(story.back(lot("3", "B7")))


def test_several_lines_of_one_input_are_one_link_of_their_sum() -> None:
    """Two sacks of one lot on one run; of two units, the amount is unknown."""
    story = Chronicle()
    event = build_event(EventType.TRANSFORMATION, at(1, "09:00"), inputs={FLOUR: 2}, outputs={BREAD: 5})
    two = replace(event, inputs=(*event.inputs, Goods(FLOUR, Decimal(3), "KGM")))
    story.add(two)
    assert [edge.quantity for edge in story.back(BREAD).edges] == ["5"]
    other = Chronicle()
    other.add(replace(event, inputs=(*event.inputs, Goods(FLOUR, Decimal(3), "EA"))))
    assert [edge.quantity for edge in other.back(BREAD).edges] == [None]


def test_ingredient_without_lot_is_followed_to_its_sender() -> None:
    """Received by GTIN alone: any lot of it that the sender had."""
    story = Chronicle()
    story.name_place(1, 1)
    story.name_place(2, 2)
    story.make({FLOUR: 5}, at(1, "08:00"), at=1)
    story.ship([product_class("1")], at(1, "08:30"), at=1, to=2)
    story.receive([product_class("1")], at(1, "09:00"), at=2, source=1)
    story.run([product_class("1")], {BREAD: 5}, at(1, "10:00"), at=2)
    assert story.back(BREAD).origins == (FLOUR,)


def test_lot_made_by_its_serials_alone_has_them_as_its_making() -> None:
    """Pieces commissioned under a lot code that nothing else tells of: an origin."""
    story = Chronicle()
    story.make([serial("5", "1")], at(1, "08:00"), lot_code="L")
    assert story.back(lot("5", "L")).origins == (lot("5", "L"),)
    assert story.back(serial("5", "1")).origins == (serial("5", "1"),)


def test_void_and_counter_statements_are_shown_on_the_way_back() -> None:
    """A note about an ingredient's event is part of the answer."""
    story = Chronicle()
    made = story.make({FLOUR: 5}, at(1, "08:00"), event_id="urn:uuid:1")
    story.run({FLOUR: 5}, {BREAD: 5}, at(1, "09:00"))
    story.void(made, at(2, "08:00"), member="rival")
    answer = story.back(BREAD)
    assert answer.origins == (FLOUR,)
    assert "counter_statement" in codes_of(answer)


def test_contents_of_a_used_unit_that_nobody_packed_are_inferred() -> None:
    """Named only when the unit was unpacked later: they were inside at the use, a reading."""
    story = Chronicle()
    story.make({FLOUR: 5}, at(1, "07:00"))
    story.see([unit(1)], at(1, "08:00"))
    story.run([unit(1)], {BREAD: 5}, at(1, "09:00"))
    story.unpack(unit(1), {FLOUR: 5}, at(1, "10:00"))
    answer = story.back(BREAD)
    assert answer.origins == (FLOUR,)
    assert {"contents_inferred", "unpacked_without_packing"} <= codes_of(answer)


def test_only_makings_that_can_have_fed_the_use_are_ancestors() -> None:
    """The shop had Monday's half of the lot; what was made on Tuesday under the same code never went there."""
    story = Chronicle()
    late, early, dough, pie = lot("1", "LATE"), lot("1", "EARLY"), lot("2", "D"), lot("3", "PIE")
    story.make({late: 10, early: 10}, at(1, "06:00"))
    story.run({early: 10}, {dough: 10}, at(1, "08:00"))
    story.ship({dough: 10}, at(1, "09:00"), to=2)
    story.receive({dough: 10}, at(1, "12:00"), at=2)
    story.run({late: 10}, {dough: 10}, at(2, "08:00"))
    story.run({dough: 5}, {pie: 5}, at(3, "08:00"), at=2)
    assert goods_of(story.back(pie)) == {dough, early}
