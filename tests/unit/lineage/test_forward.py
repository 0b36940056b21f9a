"""node/lineage/forward: where an item went, each item with the earliest time of its taint."""

from msgspec.structs import replace

from node.epcis.model import Action, EventType, Interval
from tests.support.chronicle import Chronicle, carriers_of, codes_of, edges_of, goods_of, holders_of, reasons_of
from tests.support.events import DAY_MS, at, build_event, lot, place, product_class, serial, unit

FLOUR, OTHER_FLOUR, DOUGH, BREAD, CAKE = lot("1", "F1"), lot("1", "F2"), lot("2", "D"), lot("3", "B"), lot("4", "C")


TEN = at(1, "10:00")


def vessel(bad_time: int | Interval = TEN, member: str = "mill") -> Chronicle:
    """Interleaved draws: good flour 08:00, O1 09:00, bad flour 10:00, O2 11:00, O3 12:00."""
    story = Chronicle()
    story.run({FLOUR: 50}, (), at(1, "08:00"), name="tank")
    story.run((), {lot("2", "O1"): 30}, at(1, "09:00"), name="tank")
    story.run({OTHER_FLOUR: 50}, (), bad_time, name="tank", member=member)
    story.run((), {lot("2", "O2"): 30}, at(1, "11:00"), name="tank")
    story.run((), {lot("2", "O3"): 40}, at(1, "12:00"), name="tank")
    return story


def test_output_drawn_before_the_bad_input_came_in_is_excluded() -> None:
    """Time flows: a draw that was certainly before the input cannot hold it."""
    assert goods_of(vessel().forward(OTHER_FLOUR)) == {lot("2", "O2"), lot("2", "O3")}
    assert goods_of(vessel().forward(FLOUR)) == {lot("2", "O1"), lot("2", "O2"), lot("2", "O3")}


def test_output_is_possible_where_only_the_day_of_the_input_is_known() -> None:
    """A time that is only a date excludes nothing on that day."""
    day = Interval(at(1, "00:00"), at(1, "00:00") + DAY_MS - 1)
    assert lot("2", "O1") in goods_of(vessel(day).forward(OTHER_FLOUR))


def test_clocks_of_two_members_tell_nothing_apart_within_their_tolerance() -> None:
    """09:10 by one member's clock may be before 09:00 by another's; by one clock it is after."""
    assert lot("2", "O1") in goods_of(vessel(at(1, "09:10"), member="haulier").forward(OTHER_FLOUR))
    assert lot("2", "O1") not in goods_of(vessel(at(1, "09:10")).forward(OTHER_FLOUR))
    assert lot("2", "O1") not in goods_of(vessel(at(1, "09:40"), member="haulier").forward(OTHER_FLOUR))


def test_time_after_its_own_block_excludes_nothing() -> None:
    """Whoever writes tomorrow's date today cannot be believed: the event may have been at any time."""
    story = vessel()
    late = story.rows[2]
    story.rows[2] = replace(late, ledger_time_ms=at(1, "10:00") - 20 * 60_000)
    answer = story.forward(OTHER_FLOUR)
    assert lot("2", "O1") in goods_of(answer)
    assert "time_in_future" in codes_of(answer)
    story.rows[2] = replace(late, ledger_time_ms=at(1, "10:00") - 10 * 60_000)
    assert lot("2", "O1") not in goods_of(story.forward(OTHER_FLOUR))


def test_use_before_the_taint_is_excluded_along_the_chain() -> None:
    """What was made of a lot before it was topped up with bad dough is not affected."""
    story = Chronicle()
    story.make({DOUGH: 5}, at(1, "08:00"))
    story.make({FLOUR: 10}, at(1, "08:00"))
    story.run({DOUGH: 5}, {CAKE: 5}, at(1, "09:00"))
    story.run({FLOUR: 10}, {DOUGH: 10}, at(1, "10:00"))
    story.run({DOUGH: 5}, {BREAD: 5}, at(1, "11:00"))
    answer = story.forward(FLOUR)
    assert goods_of(answer) == {DOUGH, BREAD}
    dough = next(item for item in answer.items if item.id == DOUGH)
    assert dough.since == "2026-01-05T10:00:00.000Z"


def test_earlier_taint_found_later_widens_the_answer() -> None:
    """An item is looked at again when a longer way shows that it was tainted earlier."""
    story = Chronicle()
    first, second = lot("5", "X"), lot("5", "Y")
    story.run({FLOUR: 1}, {DOUGH: 1}, at(2, "08:00"))
    story.run({FLOUR: 1}, {first: 1}, at(1, "08:00"))
    story.run({first: 1}, {second: 1}, at(1, "09:00"))
    story.run({second: 1}, {DOUGH: 1}, at(1, "10:00"))
    story.run({DOUGH: 1}, {BREAD: 1}, at(1, "12:00"))
    assert BREAD in goods_of(story.forward(FLOUR))


def test_split_by_product_relabel_and_return_keep_ancestry() -> None:
    """Every output of a run, a new name, and goods that came back are followed."""
    story = Chronicle()
    bran, renamed, toast = lot("6", "BRAN"), lot("7", "NEW"), lot("8", "T")
    story.make({FLOUR: 100}, at(1, "08:00"))
    story.run({FLOUR: 100}, {DOUGH: 80, bran: 20}, at(1, "09:00"))
    story.run({DOUGH: 80}, {renamed: 80}, at(1, "10:00"))
    story.ship({renamed: 80}, at(1, "11:00"), to=2)
    story.receive({renamed: 80}, at(1, "12:00"), at=2)
    story.ship({renamed: 30}, at(2, "08:00"), at=2, to=1)
    story.receive({renamed: 30}, at(2, "09:00"), at=1)
    story.run({renamed: 30}, {toast: 30}, at(2, "10:00"))
    answer = story.forward(FLOUR)
    assert goods_of(answer) == {DOUGH, bran, renamed, toast}
    assert holders_of(answer, renamed) == [(place(2), "held")]
    assert answer.destinations == tuple(sorted((bran, toast)))


def test_rework_into_the_same_lot_code_terminates() -> None:
    """A loop between lots is walked once."""
    story = Chronicle()
    story.run({FLOUR: 100}, {DOUGH: 100}, at(1, "08:00"))
    story.ship({DOUGH: 60}, at(1, "09:00"), to=2)
    story.run({DOUGH: 40, OTHER_FLOUR: 60}, {DOUGH: 100}, at(1, "10:00"))
    story.run({DOUGH: 50}, {BREAD: 50}, at(1, "11:00"))
    story.run({BREAD: 10}, {DOUGH: 10}, at(1, "12:00"))
    answer = story.forward(FLOUR)
    assert goods_of(answer) == {DOUGH, BREAD}
    assert (DOUGH, DOUGH, "made") in edges_of(answer)
    assert goods_of(story.back(BREAD)) == {FLOUR, OTHER_FLOUR, DOUGH}


def test_unit_carries_its_contents_while_they_are_in_it() -> None:
    """What happens to a pallet happens to what is in it then, and what lies beside it is not affected."""
    story = Chronicle()
    story.run({FLOUR: 5}, {BREAD: 5}, at(1, "08:00"))
    story.make({CAKE: 5}, at(1, "08:00"))
    story.pack(unit(1), {BREAD: 5, CAKE: 5}, at(1, "09:00"))
    story.pack(unit(2), [unit(1)], at(1, "10:00"))
    story.ship([unit(2)], at(1, "11:00"), to=2)
    story.receive([unit(2)], at(2, "08:00"), at=2)
    story.unpack(unit(2), (), at(2, "09:00"), at=2)
    story.unpack(unit(1), {BREAD: 5}, at(2, "10:00"), at=2)
    story.ship([unit(2)], at(3, "08:00"), at=2, to=3)
    answer = story.forward(FLOUR)
    assert goods_of(answer) == {BREAD}
    assert carriers_of(answer) == {unit(1), unit(2)}
    assert holders_of(answer, BREAD) == [(place(2), "held")]
    # The empty pallet's later journey is none of ours.
    assert not any(event.time == str(at(3, "08:00")) for event in answer.events)
    packed = {edge.target: edge for edge in answer.edges if edge.kind == "packed"}
    ends = {event.id: event.step for event in answer.events}
    assert ends[str(packed[unit(1)].until_event)] == "unpacking"
    assert packed[unit(1)].quantity == "5"


def test_reused_unit_taints_nothing_between_two_loads() -> None:
    """A pallet number that comes back carries only what is in it then."""
    story = Chronicle()
    story.make({FLOUR: 5}, at(1, "08:00"))
    story.pack(unit(1), {FLOUR: 5}, at(1, "09:00"))
    story.unpack(unit(1), (), at(1, "10:00"))
    story.pack(unit(1), {CAKE: 5}, at(1, "11:00"))
    story.run([unit(1)], {BREAD: 5}, at(1, "12:00"))
    assert goods_of(story.forward(FLOUR)) == set()
    assert goods_of(story.forward(CAKE)) == {BREAD}


def test_unit_that_is_used_passes_its_contents_on() -> None:
    """A run that lists a unit takes what is in it, through every layer."""
    story = Chronicle()
    story.make({FLOUR: 5}, at(1, "08:00"))
    story.pack(unit(1), {FLOUR: 5}, at(1, "09:00"))
    story.pack(unit(2), [unit(1)], at(1, "10:00"))
    story.run([unit(2)], {BREAD: 5}, at(1, "11:00"))
    answer = story.forward(FLOUR)
    assert goods_of(answer) == {BREAD}
    assert answer.destinations == (BREAD,)
    assert holders_of(answer, FLOUR) == []


def test_traced_unit_passes_to_what_was_in_it() -> None:
    """Asked about a unit, the walk follows its contents, from when they were in it."""
    story = Chronicle()
    story.run({FLOUR: 5}, {CAKE: 5}, at(1, "08:00"))
    story.pack(unit(1), {FLOUR: 5}, at(1, "09:00"))
    story.unpack(unit(1), {FLOUR: 5}, at(1, "10:00"))
    story.run({FLOUR: 5}, {BREAD: 5}, at(1, "11:00"))
    assert goods_of(story.forward(unit(1))) == {FLOUR, BREAD}


def test_same_serial_in_and_out_goes_on_and_is_not_made_twice() -> None:
    """A piece that a run takes in and puts out is the same piece, and passes on what it touched."""
    story = Chronicle()
    pump, oil = serial("5", "P1"), lot("6", "OIL")
    story.make([pump], at(1, "08:00"))
    story.run([pump, oil], [pump], at(1, "09:00"))
    assert edges_of(story.forward(oil)) == [(oil, pump, "made")]
    assert edges_of(story.forward(pump)) == []


def test_lot_reaches_the_serials_made_of_it_and_a_serial_the_draws_of_its_lot() -> None:
    """Serials with the lot's code are the lot; a draw by the lot's code may have taken any of them."""
    story = Chronicle()
    bars, bar, other = lot("5", "L"), serial("5", "1"), serial("5", "2")
    story.run({FLOUR: 5}, {bars: 2}, at(1, "08:00"))
    story.make([bar, other], at(1, "09:00"), lot_code="L")
    story.run({bars: 1}, {CAKE: 1}, at(1, "10:00"))
    assert goods_of(story.forward(FLOUR)) == {bars, bar, other, CAKE}
    answer = story.forward(bar)
    assert goods_of(answer) == {bars, CAKE}
    assert "serial_in_lot_stock" in codes_of(answer)


def test_goods_named_without_lot_may_be_of_any_lot_there() -> None:
    """A GTIN alone is any lot of it that the custodian had then; at another custodian it is none of ours."""
    story = Chronicle()
    story.make({FLOUR: 5}, at(1, "08:00"), at=1)
    story.run([product_class("1")], {BREAD: 5}, at(1, "09:00"), at=1)
    story.run([product_class("1")], {CAKE: 5}, at(1, "09:00"), at=3)
    answer = story.forward(FLOUR)
    assert goods_of(answer) == {product_class("1"), BREAD}
    assert "class_without_lot" in codes_of(answer)


def test_goods_without_lot_are_followed_to_whom_they_were_sent() -> None:
    """Shipped by GTIN alone, then used by the receiver."""
    story = Chronicle()
    story.make({FLOUR: 5}, at(1, "08:00"), at=1)
    story.ship([product_class("1")], at(1, "09:00"), at=1, to=2)
    story.name_place(2, 2)
    story.run([product_class("1")], {BREAD: 5}, at(1, "12:00"), at=2)
    assert BREAD in goods_of(story.forward(FLOUR))


def test_shipment_that_nobody_received_is_an_unknown() -> None:
    """With the party to ask, and the goods on their way."""
    story = Chronicle()
    story.make({FLOUR: 5}, at(1, "08:00"))
    story.ship({FLOUR: 5}, at(1, "09:00"), to=2)
    answer = story.forward(FLOUR)
    assert reasons_of(answer) == {(FLOUR, "not_received")}
    assert answer.unknowns[0].ask == "https://id.gs1.org/417/" + place(2).rpartition("/")[2]
    assert holders_of(answer, FLOUR) == [(place(2), "in_transit")]


def test_output_of_a_voided_run_stays_as_an_unknown() -> None:
    """What later events took from a voided one never vanishes from an answer."""
    story = Chronicle()
    story.make({FLOUR: 5}, at(1, "08:00"))
    wrong = story.run({FLOUR: 5}, {BREAD: 5}, at(1, "09:00"), event_id="urn:uuid:1")
    story.ship({BREAD: 5}, at(1, "10:00"), to=2)
    story.void(wrong, at(2, "08:00"))
    answer = story.forward(FLOUR)
    assert goods_of(answer) == {BREAD}
    assert (BREAD, "run_voided") in reasons_of(answer)


def test_voided_run_whose_output_nobody_saw_is_gone() -> None:
    """If no other event names the output, there is nothing to ask about."""
    story = Chronicle()
    story.make({FLOUR: 5}, at(1, "08:00"))
    story.void(story.run({FLOUR: 5}, {BREAD: 5}, at(1, "09:00"), event_id="urn:uuid:1"), at(2, "08:00"))
    assert goods_of(story.forward(FLOUR)) == set()


def test_goods_in_an_asset_ride_on_it() -> None:
    """An association puts a part into a product: the product is a holder, and its other parts are not affected."""
    story = Chronicle()
    pump, seal, screw = serial("5", "P"), serial("6", "S"), serial("7", "X")
    story.add(build_event(EventType.ASSOCIATION, at(1, "08:00"), action=Action.ADD, goods=[seal, screw], parent=pump))
    story.ship([pump], at(1, "09:00"), to=2)
    answer = story.forward(seal)
    assert carriers_of(answer) == {pump}
    assert goods_of(answer) == set()


def test_hundred_thousand_draws_need_no_recursion() -> None:
    """One vessel, many draws: the walk is a loop. (Scaled down here; the bench has the full number.)"""
    story = Chronicle()
    story.run({FLOUR: 5_000}, (), at(1, "08:00"), name="tank")
    for number in range(5_000):
        story.run((), {lot("2", f"O{number}"): 1}, at(1, "09:00") + number * 1000, name="tank")
    index = story.index()
    assert len(goods_of(story.forward(FLOUR))) == 5_000
    index.reads = 0
    answer = story.back(lot("2", "O4999"))
    assert answer.origins == ()
    assert goods_of(answer) == {FLOUR}


def test_chain_of_thousands_of_steps_needs_no_recursion() -> None:
    """A sour dough fed every day: as deep as it is long."""
    story = Chronicle()
    for number in range(3_000):
        story.run({lot("2", f"D{number}"): 1}, {lot("2", f"D{number + 1}"): 1}, at(1, "08:00") + number * 1000)
    assert max(item.depth for item in story.forward(lot("2", "D0")).items) == 3_000
    assert len(story.back(lot("2", "D3000")).items) == 3_001


def test_what_was_packed_of_a_lot_before_its_taint_is_clean() -> None:
    """The pallet left with dough of the morning; the bad flour went into the same lot code at ten."""
    story = Chronicle()
    story.make({DOUGH: 10}, at(1, "08:00"))
    story.pack(unit(1), {DOUGH: 5}, at(1, "09:00"))
    story.run({FLOUR: 5}, {DOUGH: 5}, at(1, "10:00"))
    story.pack(unit(2), {DOUGH: 5}, at(1, "11:00"))
    story.ship([unit(1)], at(1, "12:00"), to=2)
    assert carriers_of(story.forward(FLOUR)) == {unit(2)}
    story.pack(unit(1), {DOUGH: 1}, at(1, "11:30"))
    assert carriers_of(story.forward(FLOUR)) == {unit(1), unit(2)}


def test_piece_that_is_tainted_inside_a_product_taints_the_product() -> None:
    """Oil is filled into a pump that sits in a machine."""
    story = Chronicle()
    pump, machine, oil = serial("5", "P"), serial("6", "M"), lot("7", "OIL")
    story.add(build_event(EventType.ASSOCIATION, at(1, "08:00"), action=Action.ADD, goods=[pump], parent=machine))
    story.run([pump, oil], [pump], at(1, "09:00"))
    story.ship([machine], at(1, "10:00"), to=2)
    assert carriers_of(story.forward(oil)) == {machine}


def test_unit_unpacked_after_its_taint_passes_on_what_it_held_before() -> None:
    """A product that a run put out, with parts that were inside all along."""
    story = Chronicle()
    part, machine = serial("5", "P"), serial("6", "M")
    story.add(build_event(EventType.ASSOCIATION, at(1, "08:00"), action=Action.ADD, goods=[part], parent=machine))
    story.run([lot("7", "OIL"), machine], [machine], at(1, "09:00"))
    assert part in goods_of(story.forward(lot("7", "OIL")))


def test_use_before_any_making_contradicts_itself_and_excludes_nothing() -> None:
    """The dough was used on Wednesday and, by the record, made on Friday: it may be of that flour all the same."""
    story = Chronicle()
    dough, piece, other = lot("2", "D"), serial("5", "1"), lot("6", "O")
    story.make({FLOUR: 5}, at(1, "08:00"))
    story.run({dough: 1}, {BREAD: 1}, at(3, "08:00"))
    story.pack(unit(1), [piece], at(3, "08:00"))
    story.run([unit(1)], {other: 1}, at(3, "09:00"))
    story.run({FLOUR: 5}, {dough: 5}, at(5, "08:00"))
    story.run({FLOUR: 5}, [piece], at(5, "08:00"))
    story.run({BREAD: 1}, {CAKE: 1}, at(4, "08:00"))
    answer = story.forward(FLOUR)
    assert goods_of(answer) == {dough, BREAD, CAKE, piece, other}
    assert "used_before_made" in codes_of(answer)
    for reached in (BREAD, CAKE, other):
        assert FLOUR in goods_of(story.back(reached))
    story.make({dough: 1}, at(2, "08:00"))
    assert BREAD not in goods_of(story.forward(FLOUR))


def test_only_the_part_of_a_lot_that_was_tainted_is_followed() -> None:
    """Monday's half of a lot went to a shop and into a pie; Tuesday's half is bad, and was made under the same code."""
    story = Chronicle()
    bad, good, dough, pie, cake = lot("1", "BAD"), lot("1", "GOOD"), lot("2", "D"), lot("3", "PIE"), lot("3", "CAKE")
    story.make({bad: 10, good: 10}, at(1, "06:00"))
    story.run({good: 10}, {dough: 10}, at(1, "08:00"))
    story.ship({dough: 10}, at(1, "09:00"), to=2)
    story.receive({dough: 10}, at(1, "12:00"), at=2)
    story.run({bad: 10}, {dough: 10}, at(2, "08:00"))
    story.run({dough: 5}, {pie: 5}, at(3, "08:00"), at=2)
    story.run({dough: 10}, {cake: 10}, at(3, "08:00"), at=1)
    answer = story.forward(bad)
    assert goods_of(answer) == {dough, cake}
    assert holders_of(answer, dough) == []
    assert pie in goods_of(story.forward(good))


def test_part_of_a_lot_that_nobody_recorded_the_coming_of_is_followed() -> None:
    """The shop's half came without a record: it may be the bad one."""
    story = Chronicle()
    bad, good, dough, pie = lot("1", "BAD"), lot("1", "GOOD"), lot("2", "D"), lot("3", "PIE")
    story.make({bad: 10, good: 10}, at(1, "06:00"))
    story.run({good: 10}, {dough: 10}, at(1, "08:00"))
    story.run({bad: 10}, {dough: 10}, at(2, "08:00"))
    story.run({dough: 5}, {pie: 5}, at(3, "08:00"), at=2)
    assert pie in goods_of(story.forward(bad))
