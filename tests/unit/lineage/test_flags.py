"""Every code of a flag: where it stands, and where what is like it adds up."""

from decimal import Decimal

from msgspec.structs import replace

from node.epcis.model import Action, Event, EventType, Goods, Interval, MasterKind, MasterRecord
from node.lineage.facts import Facts, open_facts
from node.lineage.flag_codes import CODES
from node.lineage.flag_model import Evaluated, Flag, FlagSettings
from node.lineage.flags import flags_of_event_id, flags_of_item, flags_of_run
from node.lineage.geography import chord_squared_km
from node.lineage.readings import Readings
from tests.support.chronicle import Chronicle
from tests.support.events import DAY_MS, HOUR_MS, at, build_event, lot, party, place, serial, unit
from tests.support.memory_index import MemoryIndex, build_master

FLOUR, BREAD, DOUGH = lot("1", "F"), lot("2", "B"), lot("3", "D")
PIECE, OTHER = serial("4", "S1"), serial("4", "S2")
PALLET, CAGE = unit(1), unit(2)
MORNING, NOON, EVENING = at(1, "08:00"), at(1, "12:00"), at(1, "18:00")


def facts_of(told: Chronicle | MemoryIndex) -> Facts:
    reader = told.index() if isinstance(told, Chronicle) else told
    return open_facts(reader, Readings(), as_of_ms=None, known_at=reader.height)


def evaluate(told: Chronicle, item: str = FLOUR, *, now: int = EVENING, **settings: int) -> Evaluated:
    return flags_of_item(item, facts_of(told), FlagSettings(**settings), now_ms=now)


def flags(told: Chronicle, item: str = FLOUR, *, now: int = EVENING, **settings: int) -> dict[str, Flag]:
    """Flags by code."""
    found = {flag.code: flag for flag in evaluate(told, item, now=now, **settings).flags}
    assert set(found) <= set(CODES)
    return found


def run_flags(told: Chronicle, name: str, *, now: int = EVENING) -> dict[str, Flag]:
    return {flag.code: flag for flag in flags_of_run(name, facts_of(told), FlagSettings(), now_ms=now).flags}


def sound() -> Chronicle:
    """100 made, shipped and received."""
    told = Chronicle()
    told.make({FLOUR: 100}, MORNING)
    told.ship({FLOUR: 100}, at(1, "09:00"), to=2)
    told.receive({FLOUR: 100}, NOON)
    return told


def test_sound_history_has_no_flags() -> None:
    """And nothing is due."""
    assert evaluate(sound()) == Evaluated((), None)


def test_unknown_item_has_no_flags() -> None:
    """Nobody named it."""
    assert evaluate(sound(), BREAD) == Evaluated((), None)


# Quantity.


def test_overdrawn_holding_is_flagged_with_what_lacks() -> None:
    """60 of 50 were used."""
    told = Chronicle()
    told.make({FLOUR: 50}, MORNING)
    told.run({FLOUR: 60}, {BREAD: 60}, NOON)
    flag = flags(told)["overdrawn"]
    assert (flag.amount, flag.uom, len(flag.refs), flag.members) == (Decimal(10), "KGM", 1, ("mill",))
    enough = Chronicle()
    enough.make({FLOUR: 60}, MORNING)
    enough.run({FLOUR: 60}, {BREAD: 60}, NOON)
    assert flags(enough) == {}


def test_goods_from_nowhere_are_flagged() -> None:
    """Used, and never made or received."""
    told = Chronicle()
    told.run({FLOUR: 60}, {BREAD: 60}, NOON)
    assert set(flags(told)) == {"no_source"}


def test_units_that_do_not_convert_are_flagged() -> None:
    """Made in cases, shipped in kilograms."""
    told = Chronicle()
    made = build_event(EventType.OBJECT, MORNING, action=Action.ADD, goods=(FLOUR,), location=place(1))
    told.add(in_cases(made, FLOUR, 5))
    told.ship({FLOUR: 50}, NOON, to=2)
    assert "unit_mismatch" in flags(told)
    told.masters.append(
        build_master(MasterRecord(MasterKind.PRODUCT, FLOUR.partition("/10/")[0], (("unitFact", "1 CS = 10 KGM"),)), 1)
    )
    assert "unit_mismatch" not in flags(told)


def in_cases(event: Event, item: str, amount: int) -> Event:
    return replace(event, goods=(Goods(item, Decimal(amount), "CS"),))


def test_count_below_the_book_is_a_note() -> None:
    """A count that agrees is none."""
    told = Chronicle()
    told.make({FLOUR: 50}, MORNING)
    told.see({FLOUR: 45}, NOON, step="cycle_counting")
    assert flags(told)["counted_below_book"].amount == 5
    agreeing = Chronicle()
    agreeing.make({FLOUR: 50}, MORNING)
    agreeing.see({FLOUR: 50}, NOON, step="cycle_counting")
    assert flags(agreeing) == {}


def bakes(given: int, taken: int = 1_000) -> Chronicle:
    told = Chronicle()
    told.make({FLOUR: taken}, MORNING)
    told.run({FLOUR: taken}, {BREAD: given}, NOON)
    return told


def test_run_gain_is_flagged_beyond_its_tolerance() -> None:
    """5 of 1,000 is what two scales differ by; the flag is of the run's first output, and found by its inputs."""
    assert flags(bakes(1_005), BREAD) == {}
    flag = flags(bakes(1_006), BREAD)["run_gain"]
    assert flag.amount == 6
    assert flag.items == (BREAD, FLOUR)
    assert flags(bakes(1_006), FLOUR) == {}
    assert flags(bakes(1_006), BREAD, run_gain_permille=6) == {}


def test_run_loss_is_flagged_beyond_its_tolerance() -> None:
    """5 % by default; a network of fillers sets more."""
    assert flags(bakes(950), BREAD) == {}
    assert flags(bakes(940), BREAD)["run_loss"].amount == 60
    assert flags(bakes(940), BREAD, run_loss_permille=100) == {}


def test_loss_of_a_run_of_several_events_is_flagged_once_it_is_over() -> None:
    """Something may still come out until nothing was entered for a week of block time."""
    told = Chronicle()
    told.make({FLOUR: 1_000}, MORNING)
    told.run({FLOUR: 1_000}, {}, at(1, "09:00"), name="R")
    told.run({}, {BREAD: 500}, NOON, name="R")
    assert run_flags(told, "R") == {}
    waits = flags_of_run("R", facts_of(told), FlagSettings(), now_ms=EVENING).due_ms
    assert waits == NOON + 7 * DAY_MS
    flag = run_flags(told, "R", now=waits)["run_loss"]
    assert (str(flag.amount), flag.since_ms) == ("500", waits)


# Serial.


def test_piece_made_twice_is_flagged() -> None:
    """At two places; a commissioning of what a run put out is none."""
    told = Chronicle()
    told.make(PIECE, MORNING)
    told.make(PIECE, NOON, at=2)
    assert "made_twice" in flags(told, PIECE)
    once = Chronicle()
    once.run({FLOUR: 5}, PIECE, MORNING)
    once.make(PIECE, NOON)
    assert flags(once, PIECE) == {}


def test_piece_seen_after_its_end_is_flagged_unless_it_was_returned() -> None:
    """Sold, then shipped."""
    told = Chronicle()
    told.make(PIECE, MORNING)
    told.end(PIECE, NOON, step="retail_selling")
    told.see(PIECE, EVENING)
    assert len(flags(told, PIECE)["used_after_end"].refs) == 2
    back = Chronicle()
    back.make(PIECE, MORNING)
    back.end(PIECE, NOON, step="retail_selling")
    back.see(PIECE, EVENING, step="returning")
    assert "used_after_end" not in flags(back, PIECE)


def test_piece_seen_after_a_run_used_it_up_is_flagged() -> None:
    """A piece that is in and out goes on."""
    told = Chronicle()
    told.make(PIECE, MORNING)
    told.run(PIECE, {BREAD: 1}, NOON)
    told.see(PIECE, EVENING)
    assert "used_after_input" in flags(told, PIECE)
    going_on = Chronicle()
    going_on.make(PIECE, MORNING)
    going_on.run(PIECE, PIECE, NOON)
    going_on.see(PIECE, EVENING)
    assert flags(going_on, PIECE) == {}


def test_piece_in_two_units_is_flagged() -> None:
    """Packed into the second without leaving the first; with an unpacking between, it is a move."""
    told = Chronicle()
    told.make(PIECE, MORNING)
    told.pack(PALLET, PIECE, at(1, "09:00"))
    told.pack(CAGE, PIECE, NOON)
    assert flags(told, PIECE)["in_two_units"].items == (PALLET, CAGE)
    moved = Chronicle()
    moved.make(PIECE, MORNING)
    moved.pack(PALLET, PIECE, at(1, "09:00"))
    moved.unpack(PALLET, PIECE, at(1, "10:00"))
    moved.pack(CAGE, PIECE, NOON)
    assert flags(moved, PIECE) == {}


def test_unit_whose_contents_do_not_fit_its_packings_is_flagged() -> None:
    """Something is taken out that was never put in; it is seen with less than was packed."""
    told = Chronicle()
    told.make([PIECE, OTHER], MORNING)
    told.pack(PALLET, PIECE, at(1, "09:00"))
    told.unpack(PALLET, OTHER, NOON)
    assert "unpacked_without_packing" in flags(told, PALLET)
    seen = Chronicle()
    seen.make([PIECE, OTHER], MORNING)
    seen.pack(PALLET, [PIECE, OTHER], at(1, "09:00"))
    seen.observe_unit(PALLET, PIECE, NOON, step="inspecting")
    assert set(flags(seen, PALLET)) == {"contents_differ"}
    seen.rows.pop()
    seen.observe_unit(PALLET, [PIECE, OTHER], NOON, step="inspecting")
    assert flags(seen, PALLET) == {}


# Custody.


def test_shipment_is_flagged_once_it_lay_unreceived_too_long() -> None:
    """By the time of blocks: until then it is due."""
    told = Chronicle()
    told.make({FLOUR: 100}, MORNING)
    told.ship({FLOUR: 100}, NOON, to=2)
    due = NOON + 72 * HOUR_MS
    assert evaluate(told, now=due - 1, unmatched_ms=72 * HOUR_MS) == Evaluated((), due)
    flag = flags(told, now=due, unmatched_ms=72 * HOUR_MS)["shipment_unmatched"]
    assert flag.parties == (f"the party at {place(1)}", party(2))
    assert (str(flag.amount), flag.since_ms) == ("100", due)
    told.receive({FLOUR: 60}, EVENING)
    assert flags(told, now=due, unmatched_ms=72 * HOUR_MS)["shipment_unmatched"].amount == 40


def test_shipments_of_which_each_may_have_been_received_are_flagged_by_what_lacks_of_them_all() -> None:
    """A receipt without a document fits both, the next bears the bill of one: all came, and none lacks for certain."""
    told = Chronicle()
    told.make({FLOUR: 100}, MORNING)
    told.ship({FLOUR: 47}, at(1, "09:00"), to=2)
    told.ship({FLOUR: 21}, at(1, "10:00"), to=2, bill="urn:bol:2")
    told.receive({FLOUR: 47}, at(1, "11:00"))
    told.receive({FLOUR: 21}, NOON, bill="urn:bol:2")
    assert flags(told, now=EVENING, unmatched_ms=0) == {}
    told.rows.pop()
    told.receive({FLOUR: 11}, NOON, bill="urn:bol:2")
    (flag,) = flags(told, now=EVENING, unmatched_ms=0).values()
    assert (flag.code, flag.amount) == ("shipment_unmatched", Decimal(10))
    told.ship({FLOUR: 5}, at(1, "13:00"), to=3)
    assert {str(one.amount) for one in evaluate(told, now=EVENING, unmatched_ms=0).flags} == {"10", "5"}


def test_shipment_of_an_unknown_amount_is_flagged_where_nothing_came() -> None:
    """Where something did, all of it may have."""
    told = Chronicle()
    told.make([FLOUR], MORNING)
    told.ship([FLOUR], at(1, "09:00"), to=2)
    assert flags(told, now=EVENING, unmatched_ms=0)["shipment_unmatched"].amount is None
    told.receive({FLOUR: 10}, NOON)
    assert flags(told, now=EVENING, unmatched_ms=0) == {}


def test_receipt_of_more_than_was_shipped_is_flagged() -> None:
    """The rest is of a shipment that nobody entered."""
    told = Chronicle()
    told.make({FLOUR: 100}, MORNING)
    told.ship({FLOUR: 80}, at(1, "09:00"), to=2)
    told.receive({FLOUR: 90}, NOON)
    assert flags(told)["amounts_differ"].amount == 10


def test_receipt_without_shipment_is_flagged_to_both_ends() -> None:
    """It names its sender."""
    told = Chronicle()
    told.make({FLOUR: 100}, MORNING)
    told.receive({FLOUR: 30}, NOON, source=1)
    flag = flags(told)["receipt_without_shipment"]
    assert flag.parties == (f"the party at {place(2)}", party(1))
    assert "moved_without_record" in flags(told)


def test_use_before_the_receipt_is_flagged() -> None:
    """Feed that was fed in January came in February."""
    told = Chronicle()
    told.make({FLOUR: 100}, MORNING)
    told.run({FLOUR: 100}, {BREAD: 100}, at(2, "08:00"), at=2)
    told.ship({FLOUR: 100}, at(3, "08:00"), to=2)
    told.receive({FLOUR: 100}, at(3, "12:00"))
    assert {"used_before_receipt", "moved_without_record", "overdrawn"} <= set(flags(told))


def test_receipt_before_its_shipment_is_flagged() -> None:
    """Beyond what two clocks may err; within it nothing is odd."""
    told = Chronicle()
    told.make({FLOUR: 100}, MORNING)
    told.receive({FLOUR: 100}, at(1, "09:00"))
    told.ship({FLOUR: 100}, NOON, to=2)
    assert len(flags(told)["received_before_shipped"].refs) == 2
    near = Chronicle()
    near.make({FLOUR: 100}, MORNING)
    near.receive({FLOUR: 100}, at(1, "09:00"), member="bakery")
    near.ship({FLOUR: 100}, at(1, "09:20"), to=2)
    assert flags(near) == {}


def test_sender_that_never_held_the_goods_is_flagged() -> None:
    """Of who had some, and ships more, that is not said."""
    told = Chronicle()
    told.make({FLOUR: 100}, MORNING)
    told.ship({FLOUR: 100}, NOON, at=3, to=2)
    assert "sender_never_held" in flags(told)
    told.rows.pop()
    told.ship({FLOUR: 120}, NOON, at=1, to=2)
    assert set(flags(told)) == {"overdrawn"}


def test_piece_shipped_by_another_while_on_its_way_is_flagged() -> None:
    """From a third place; from where it was sent it has arrived, though nobody said so."""
    told = Chronicle()
    told.make(PIECE, MORNING)
    told.ship(PIECE, at(1, "09:00"), to=2)
    told.ship(PIECE, NOON, at=3, to=4)
    assert "shipped_in_transit" in flags(told, PIECE)
    onward = Chronicle()
    onward.make(PIECE, MORNING)
    onward.ship(PIECE, at(1, "09:00"), to=2)
    onward.ship(PIECE, NOON, at=2, to=4)
    assert "shipped_in_transit" not in flags(onward, PIECE)


# Time and place.


def test_event_of_the_future_is_flagged() -> None:
    """Later than its block by more than clocks err."""
    told = sound()
    told.see({FLOUR: 100}, EVENING, at=2)
    assert flags(told) == {}
    late = Chronicle()
    late.make({FLOUR: 100}, MORNING)
    late.rows[0] = replace(late.rows[0], ledger_time_ms=MORNING - HOUR_MS)
    assert "time_in_future" in flags(late)


def test_event_entered_long_after_is_a_note() -> None:
    """A month by default; one flag for all events of an item."""
    told = sound()
    told.rows = [replace(row, ledger_time_ms=NOON + 31 * DAY_MS) for row in told.rows]
    assert len(flags(told)["back_dated"].refs) == 3
    assert flags(told, back_dated_ms=32 * DAY_MS) == {}


def coordinates(number: int, latitude: str, longitude: str) -> MasterRecord:
    return MasterRecord(MasterKind.LOCATION, place(number), (("latitude", latitude), ("longitude", longitude)))


def test_piece_that_travels_faster_than_anything_is_flagged() -> None:
    """From Lisbon to Helsinki, 3,360 km, in two hours; in four a freight aircraft makes it."""
    told = Chronicle()
    told.masters += [
        build_master(coordinates(1, "38.7", "-9.1"), 1),
        build_master(coordinates(2, "60.2", "24.9"), 1),
    ]
    told.make(PIECE, MORNING)
    told.ship(PIECE, at(1, "09:00"), to=2)
    told.receive(PIECE, at(1, "11:00"))
    assert "impossible_speed" in flags(told, PIECE)
    told.rows.pop()
    told.receive(PIECE, at(1, "13:00"))
    assert flags(told, PIECE) == {}


def test_coordinates_that_are_none_or_differ_say_nothing() -> None:
    """Text that is no angle, an angle beyond the pole, and two members that disagree."""
    for latitude in ("north", "91", "1e1", "--1", "9" * 40, ""):
        told = Chronicle()
        told.masters += [build_master(coordinates(1, latitude, "0"), 1), build_master(coordinates(2, "60", "24"), 1)]
        told.make(PIECE, MORNING)
        told.ship(PIECE, at(1, "08:01"), to=2)
        told.receive(PIECE, at(1, "08:02"))
        assert flags(told, PIECE) == {}
    told.masters[0] = build_master(coordinates(1, "10", "0"), 1)
    assert set(flags(told, PIECE)) == {"impossible_speed"}
    told.masters.append(build_master(coordinates(1, "11", "0"), 2, member="other"))
    assert flags(told, PIECE) == {}


def test_chord_is_right_and_never_longer_than_the_way() -> None:
    """A quarter of the globe, half of it, and no way at all."""
    pole, nowhere, far = (Decimal(90), Decimal(0)), (Decimal(0), Decimal(0)), (Decimal(0), Decimal(180))
    assert round(chord_squared_km(pole, nowhere)) == 2 * 6357**2
    assert round(chord_squared_km(nowhere, far)) == (2 * 6357) ** 2
    assert chord_squared_km(far, far) == 0
    assert round(chord_squared_km(far, (Decimal(0), Decimal(-180)))) == 0


# Process and quality.


def test_output_before_the_first_input_is_flagged() -> None:
    """Certainly before: dates that overlap tell nothing."""
    told = Chronicle()
    told.make({FLOUR: 100}, MORNING)
    told.run({}, {BREAD: 50}, at(1, "09:00"), name="R")
    told.run({FLOUR: 50}, {}, NOON, name="R")
    assert "output_before_input" in run_flags(told, "R")
    dated = Chronicle()
    dated.make({FLOUR: 100}, MORNING)
    dated.run({}, {BREAD: 50}, Interval(MORNING, EVENING), name="R")
    dated.run({FLOUR: 50}, {}, NOON, name="R")
    assert "output_before_input" not in run_flags(dated, "R")


def say(told: Chronicle, item: str, when: int, disposition: str) -> None:
    told.add(
        build_event(
            EventType.OBJECT, when, action=Action.OBSERVE, goods=(item,), step="inspecting", disposition=disposition,
            location=place(1),
        )
    )  # fmt: skip


def test_goods_used_after_a_recall_are_flagged_until_they_are_released() -> None:
    """Of a lot a damaged part blocks nothing, of a piece it does."""
    for item, word, is_flagged in (
        (FLOUR, "recalled", True),
        (FLOUR, "expired", True),
        (FLOUR, "damaged", False),
        (PIECE, "damaged", True),
    ):
        told = Chronicle()
        told.make(item, MORNING)
        say(told, item, at(1, "09:00"), word)
        told.run(item, {BREAD: 1}, NOON)
        assert ("used_while_blocked" in flags(told, item)) is is_flagged
        say(told, item, at(1, "10:00"), "conformant")
        assert "used_while_blocked" not in flags(told, item)


def test_goods_used_after_their_expiry_are_flagged() -> None:
    """Certainly after; of several makings the latest date counts, and a shipment is no use."""
    told = Chronicle()
    told.make({FLOUR: 100}, MORNING)
    told.run({FLOUR: 50}, {BREAD: 50}, NOON)
    told.ship({FLOUR: 50}, EVENING, to=2)
    assert flags(told) == {}

    def expiring(when: int) -> None:
        told.rows[0] = replace(told.rows[0], event=replace(told.rows[0].event, expires_ms=when))

    expiring(NOON)
    assert flags(told) == {}
    expiring(NOON - 1)
    assert len(flags(told)["used_after_expiry"].refs) == 2
    assert flags(told)["used_after_expiry"].refs[0].height == 2


# Identity and correction.


def test_wrong_check_digit_is_flagged() -> None:
    """Of the item and of a place; a name of no GS1 scheme is none of our business."""
    wrong = "https://id.gs1.org/01/09521234543214/10/L"
    told = Chronicle()
    told.make({wrong: 1}, MORNING)
    assert set(flags(told, wrong)) == {"malformed_id"}
    foreign = Chronicle()
    foreign.make({"urn:example:lot:1": 1}, MORNING)
    assert flags(foreign, "urn:example:lot:1") == {}
    at_place = Chronicle()
    event = build_event(
        EventType.OBJECT, MORNING, action=Action.ADD, goods={FLOUR: 1}, location="https://id.gs1.org/414/9521234543214"
    )
    at_place.add(event)
    assert flags(at_place)["malformed_id"].items == ("https://id.gs1.org/414/9521234543214",)


def test_event_id_of_two_contents_is_flagged() -> None:
    """The same event by two members is one with a witness."""
    told = Chronicle()
    told.make({FLOUR: 1}, MORNING, event_id="urn:uuid:1")
    told.make({FLOUR: 1}, MORNING, event_id="urn:uuid:1", member="bakery")
    assert flags_of_event_id("urn:uuid:1", facts_of(told)) == Evaluated((), None)
    told.make({FLOUR: 2}, MORNING, event_id="urn:uuid:1")
    (flag,) = flags_of_event_id("urn:uuid:1", facts_of(told)).flags
    assert (flag.code, flag.items) == ("event_id_reused", (FLOUR,))


def test_event_told_twice_by_one_member_is_a_note() -> None:
    """Under two eventIDs."""
    told = Chronicle()
    told.make({FLOUR: 1}, MORNING, event_id="urn:uuid:1")
    told.make({FLOUR: 1}, MORNING, event_id="urn:uuid:2")
    assert set(flags(told)) == {"told_twice"}


def test_declaration_without_its_original_is_flagged() -> None:
    """It voids an event that its member never reported so."""
    told = Chronicle()
    told.make({FLOUR: 1}, MORNING)
    event = build_event(
        EventType.OBJECT, NOON, action=Action.ADD, goods={FLOUR: 2}, location=place(1), event_id="urn:uuid:9"
    )
    told.void(event, EVENING)
    assert set(flags(told)) == {"void_without_original"}


def test_counter_statement_sets_the_flags_of_its_event_aside() -> None:
    """By the member that entered it, it is a correction, and closes them."""
    told = Chronicle()
    received = told.receive({FLOUR: 30}, NOON, event_id="urn:uuid:1")
    told.void(received, EVENING, member="bakery")
    found = flags(told)
    assert {code: flag.is_countered for code, flag in found.items()} == {
        "receipt_without_shipment": True,
        "counter_statement": False,
    }
    told.void(received, EVENING)
    assert "receipt_without_shipment" not in flags(told)


def test_arrival_order_changes_no_flag_but_its_places() -> None:
    """The same ids, amounts and parties."""
    told = Chronicle()
    told.make({FLOUR: 50}, MORNING)
    told.ship({FLOUR: 60}, at(1, "09:00"), to=2)
    told.receive({FLOUR: 70}, NOON)
    told.run({FLOUR: 80}, {BREAD: 80}, EVENING, at=2)
    wanted = [(flag.id, flag.code, flag.amount, flag.parties) for flag in evaluate(told).flags]
    assert len(wanted) > 2
    for seed in range(6):
        shuffled = flags_of_item(FLOUR, facts_of(told.shuffled(seed)), FlagSettings(), now_ms=EVENING)
        assert [(flag.id, flag.code, flag.amount, flag.parties) for flag in shuffled.flags] == wanted
