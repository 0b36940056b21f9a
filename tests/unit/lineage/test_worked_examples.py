"""The sixteen worked examples of docs/lineage.md, numbers and all."""

from decimal import Decimal

import pytest
from msgspec.structs import replace

from node.epcis.model import Action, EventType, Goods, Interval, MasterKind, MasterRecord
from node.lineage.facts import open_facts
from node.lineage.hazards import Hazard
from node.lineage.ledger import build_ledger
from node.lineage.portions import LotLedger
from node.lineage.readings import Readings
from node.lineage.runs import build_run
from node.lineage.scope_question import RunRule, Seed
from node.lineage.units import convert
from tests.support.chronicle import Chronicle
from tests.support.events import at, build_event, lot, party, place, serial, unit
from tests.support.memory_index import build_master
from tests.support.scopes import Asked, of_event, spell

L, MADE, BASE = lot("1", "L"), lot("2", "O"), lot("3", "B")
O1, O2, O3 = lot("2", "O1"), lot("2", "O2"), lot("2", "O3")


def ledger_of(story: Chronicle, item: str) -> LotLedger:
    reader = story.index()
    return build_ledger(item, open_facts(reader, Readings(), as_of_ms=None, known_at=reader.height))


def holdings(story: Chronicle, item: str) -> dict[tuple[str | None, str], tuple[str, str | None]]:
    """Return (place, unit) to (least, most) held; in transit under the receiver."""
    return {
        (one.holder.place, one.unit): (spell(one.lo), None if one.hi is None else spell(one.hi))
        for one in ledger_of(story, item).held
    }


def codes(story: Chronicle, item: str) -> list[str]:
    return sorted({finding.code for finding in ledger_of(story, item).findings})


def test_01_topping_up() -> None:
    """The seed is Monday's portion: what left before Tuesday is all of it, what left after may be."""
    story = Chronicle()
    made = story.make({L: 100}, at(1, "08:00"))
    first = story.ship({L: 60}, at(1, "12:00"), to=2)
    story.make({L: 100}, at(2, "08:00"))
    second = story.ship({L: 90}, at(3, "08:00"), to=2)
    asked = Asked(story, of_event(L, made))
    one, two = asked.find(L, "shipped", first), asked.find(L, "shipped", second)
    rest = asked.find(L, "held")
    assert (asked.content(one), asked.affected(one), asked.status(one)) == (("60", "60"), ("60", "60"), "certain")
    assert (asked.content(two), asked.status(two)) == (("0", "40"), "possible")
    assert (asked.content(rest), asked.status(rest)) == (("0", "40"), "possible")
    assert asked.content(two, rest) == ("40", "40")
    by_code = Asked(story, Seed(item=L))
    portions = [by_code.find(L, "shipped", first), by_code.find(L, "shipped", second), by_code.find(L, "held")]
    assert by_code.content(*portions) == ("200", "200")
    assert {by_code.status(one) for one in portions} == {"certain"}


def test_01_by_a_plain_making_the_second_may_be_made_of_the_first() -> None:
    """Reach (b): the second 100 may be made of the first 40, for its making is no primary step."""
    story = Chronicle()
    made = story.make({L: 100}, at(1, "08:00"))
    story.ship({L: 60}, at(1, "12:00"), to=2)
    second = story.make({L: 100}, at(2, "08:00"))
    story.ship({L: 90}, at(3, "08:00"), to=2)
    asked = Asked(story, of_event(L, made), readings=Readings())
    again = asked.find(L, "made", second)
    assert asked.status(again) == "possible, open"
    assert asked.content(again) == ("0", "40")
    assert asked.affected(again) == ("0", "100")


def test_02_content_is_not_affected() -> None:
    """5 kg may be anywhere in 1,000."""
    story = Chronicle()
    seed = story.make({L: 5}, at(1, "08:00"))
    story.make({BASE: 995}, at(1, "08:00"))
    run = story.run({L: 5, BASE: 995}, {O1: 600, O2: 400}, at(1, "10:00"))
    asked = Asked(story, of_event(L, seed))
    one, two = asked.find(O1, "output"), asked.find(O2, "output")
    assert (asked.content(one), asked.affected(one)) == (("0", "5"), ("0", "600"))
    assert (asked.content(two), asked.affected(two)) == (("0", "5"), ("0", "400"))
    assert (asked.content(one, two), asked.affected(one, two)) == (("5", "5"), ("5", "1000"))
    assert {asked.status(one), asked.status(two)} == {"possible"}
    assert asked.scope.answer().set_status == "certain"
    mixed = Asked(story, of_event(L, seed), rules=(RunRule(run.event_digest.hex(), "mixed", "urn:validation:1", "qa"),))
    one, two = mixed.find(O1, "output"), mixed.find(O2, "output")
    assert (mixed.content(one), mixed.affected(one)) == (("3", "3"), ("600", "600"))
    assert (mixed.content(two), mixed.affected(two)) == (("2", "2"), ("400", "400"))
    assert {mixed.status(one), mixed.status(two)} == {"certain"}


def build_catch() -> tuple[Chronicle, dict[str, object]]:
    story = Chronicle()
    vessel, farmed, mixed, fillet = lot("5", "V"), lot("5", "A"), lot("6", "M"), lot("7", "F")
    catch = story.make({vessel: 9876}, at(1, "08:00"))
    story.make({farmed: 12000}, at(1, "08:00"))
    story.run({vessel: 10000, farmed: 12000}, {mixed: 22000}, at(1, "10:00"))
    story.run({mixed: 9876}, {fillet: 5000}, at(1, "12:00"))
    return story, {"V": vessel, "M": mixed, "F": fillet, "catch": catch}


def test_03_unknown_on_both_sides() -> None:
    """124 of V come from nowhere known: they are tainted for the most, and clean for the least."""
    story, of = build_catch()
    vessel, mixed, fillet = str(of["V"]), str(of["M"]), str(of["F"])
    assert codes(story, vessel) == ["overdrawn"]
    asked = Asked(story, of_event(vessel, of["catch"]))  # type: ignore[arg-type]  # Told as any event.
    drawn, rest = asked.find(mixed, "used"), asked.find(mixed, "held")
    assert spell(drawn.portion.lo) == "9876"
    assert spell(rest.portion.lo) == "12124"
    assert asked.content(drawn) == ("0", "9876")
    assert (asked.content(rest), asked.known(rest), asked.status(rest)) == (("0", "10000"), "9876", "possible")
    assert asked.content(asked.find(fillet, "output")) == ("0", "5000")
    by_code = Asked(story, Seed(item=vessel))
    drawn, rest = by_code.find(mixed, "used"), by_code.find(mixed, "held")
    assert (by_code.content(rest), by_code.status(rest)) == (("124", "10000"), "certain")
    assert by_code.content(drawn) == ("0", "9876")


DATE = Interval(at(1, "00:00"), at(1, "23:59"))


def draw_run(when: int | Interval, member: str = "mill") -> tuple[Chronicle, str]:
    story = Chronicle()
    a, b = lot("5", "A"), lot("5", "B")
    story.make({a: 50}, at(1, "06:00"))
    story.make({b: 50}, at(1, "06:00"))
    story.run({a: 50}, {}, at(1, "08:00"), name="urn:run:T")
    story.run({}, {O1: 30}, at(1, "09:00"), name="urn:run:T")
    story.run({b: 50}, {}, when, name="urn:run:T", member=member)
    story.run({}, {O2: 30}, at(1, "11:00"), name="urn:run:T")
    story.run({}, {O3: 40}, at(1, "12:00"), name="urn:run:T")
    return story, b


def test_04_interleaved_draws() -> None:
    """What was drawn before the bad input came in is excluded."""
    story, b = draw_run(at(1, "10:00"))
    asked = Asked(story, Seed(item=b))
    one, two, three = (asked.find(item, "output") for item in (O1, O2, O3))
    assert asked.status(one) == "excluded: before"
    assert (asked.content(two), asked.status(two)) == (("10", "30"), "certain")
    assert (asked.content(three), asked.status(three)) == (("20", "40"), "certain")
    assert asked.content(two, three) == ("50", "50")


@pytest.mark.parametrize(("when", "member"), [(DATE, "mill"), (at(1, "09:10"), "carrier")])
def test_04_unsure_times_exclude_nothing(when: int | Interval, member: str) -> None:
    """Of the input only the day is known; or another member entered it, within the tolerance of the first draw."""
    story, b = draw_run(when, member)
    asked = Asked(story, Seed(item=b))
    one, two, three = (asked.find(item, "output") for item in (O1, O2, O3))
    assert [asked.content(portion) for portion in (one, two, three)] == [("0", "30"), ("0", "30"), ("0", "40")]
    assert {asked.status(portion) for portion in (one, two, three)} == {"possible"}
    assert asked.content(two, three) == ("20", "50")


def test_05_one_hand_over_five_reports() -> None:
    """Two outbound steps, their carrier's copy, two inbound steps: 40 moved, once."""
    story = Chronicle()
    story.make({L: 100}, at(1, "08:00"))
    story.ship({L: 40}, at(1, "09:00"), step="loading", bill="urn:bol:7")
    story.ship({L: 40}, at(1, "10:00"), step="departing", bill="urn:bol:7")
    story.ship({L: 40}, at(1, "10:00"), step="departing", bill="urn:bol:7", member="carrier")
    story.receive({L: 40}, at(1, "14:00"), bill="urn:bol:7")
    story.receive({L: 40}, at(1, "14:00"), bill="urn:bol:7", member="warehouse")
    assert holdings(story, L) == {(place(1), ""): ("60", "60"), (place(2), ""): ("40", "40")}
    assert codes(story, L) == []


def test_06_receipt_without_shipment() -> None:
    """The only other holding is debited; of several each may have less."""
    story = Chronicle()
    story.make({L: 100}, at(1, "08:00"))
    story.receive({L: 30}, at(1, "12:00"))
    assert holdings(story, L) == {(place(1), ""): ("70", "70"), (place(2), ""): ("30", "30")}
    assert codes(story, L) == ["moved_without_record", "receipt_without_shipment"]
    asks = {finding.ask.place for finding in ledger_of(story, L).findings}
    also = {finding.also.place for finding in ledger_of(story, L).findings if finding.also}
    assert asks | also == {place(1), place(2)}
    story.make({L: 50}, at(1, "08:00"), at=3)
    assert holdings(story, L) == {
        (place(1), ""): ("70", "100"),
        (place(2), ""): ("30", "30"),
        (place(3), ""): ("20", "50"),
    }
    asked = Asked(story, Seed(holder=place(1)))
    received = asked.find(L, "held", place=place(2))
    assert (asked.content(received), asked.status(received)) == (("0", "30"), "possible, open")


def test_07_two_trailers() -> None:
    """Without documents either receipt may be the bad trailer; with them each is its own."""
    story = Chronicle()
    story.make({L: 80}, at(1, "06:00"))
    monday = story.ship({L: 40}, at(1, "08:00"), to=2)
    story.ship({L: 40}, at(2, "08:00"), to=2)
    wednesday = story.receive({L: 40}, at(3, "08:00"))
    thursday = story.receive({L: 40}, at(4, "08:00"))
    asked = Asked(story, of_event(L, monday))
    one, two = asked.find(L, "received", wednesday), asked.find(L, "received", thursday)
    assert [asked.content(one), asked.content(two)] == [("0", "40"), ("0", "40")]
    assert [asked.status(one), asked.status(two)] == ["possible", "possible"]
    assert asked.content(one, two) == ("40", "40")
    papers = Chronicle()
    papers.make({L: 80}, at(1, "06:00"))
    monday = papers.ship({L: 40}, at(1, "08:00"), to=2, bill="urn:bol:1")
    papers.ship({L: 40}, at(2, "08:00"), to=2, bill="urn:bol:2")
    wednesday = papers.receive({L: 40}, at(3, "08:00"), bill="urn:bol:1")
    thursday = papers.receive({L: 40}, at(4, "08:00"), bill="urn:bol:2")
    asked = Asked(papers, of_event(L, monday))
    one, two = asked.find(L, "received", wednesday), asked.find(L, "received", thursday)
    assert (asked.content(one), asked.status(one)) == (("40", "40"), "certain")
    assert asked.status(two) == "excluded: other_portion"


def test_08_unit_at_equal_times() -> None:
    """Packed and shipped in one second, received by a sighting: the tie is no flag, and Y comes from nowhere known."""
    story = Chronicle()
    tick = at(1, "13:35") + 18_000
    x, y, s = lot("1", "X"), lot("1", "Y"), unit(1)
    story.make({x: 25}, at(1, "08:00"))
    story.pack(s, {x: 25, y: 25}, tick)
    story.ship([s], tick, to=2)
    story.observe_unit(s, {x: 25, y: 25}, at(2, "08:00"), at=2)
    story.unpack(s, {x: 10}, at(2, "09:00"), at=2)
    assert holdings(story, x) == {(place(2), ""): ("10", "10"), (place(2), s): ("15", "15")}
    assert holdings(story, y) == {(place(2), s): ("25", "25")}
    assert codes(story, x) == []
    assert codes(story, y) == ["no_source"]
    asked = Asked(story, Seed(item=x), hazard=Hazard.PIECE)
    assert y not in {one.item for one in asked.scope.reached}
    touching = Asked(story, Seed(item=x), hazard=Hazard.ALLERGEN, colocation=True)
    assert touching.status(touching.find(y, "held")) == "possible"


def void_story(by: str | None) -> tuple[Chronicle, object]:
    story = Chronicle()
    made = story.make({L: 100}, at(1, "08:00"))
    shipped = story.ship({L: 40}, at(1, "09:00"), to=2, event_id="urn:uuid:1")
    story.receive({L: 40}, at(1, "12:00"))
    story.run({L: 40}, {MADE: 40}, at(1, "13:00"), at=2)
    if by is not None:
        story.void(shipped, at(2, "08:00"), member=by)
    return story, made


def test_09_void_and_by_whom() -> None:
    """What took from a voided shipment stays in scope, open; another member's void changes nothing."""
    story, made = void_story(None)
    asked = Asked(story, of_event(L, made))  # type: ignore[arg-type]  # Told as any event.
    assert asked.status(asked.find(MADE, "output")) == "certain"
    story, made = void_story("mill")
    asked = Asked(story, of_event(L, made))  # type: ignore[arg-type]  # Told as any event.
    assert asked.status(asked.find(MADE, "output")) == "possible, open"
    assert holdings(story, L) == {(place(1), ""): ("60", "60")}
    story, made = void_story("stranger")
    asked = Asked(story, of_event(L, made))  # type: ignore[arg-type]  # Told as any event.
    assert asked.status(asked.find(MADE, "output")) == "certain"
    notes = story.forward(L).warnings
    assert "counter_statement" in {warning.code for warning in notes}


def cases(amount: int) -> tuple[Goods, ...]:
    return (Goods(L, Decimal(amount), "CS"),)


def test_10_units() -> None:
    """500 cases made, 2,500 kg shipped: how many cases are left is unknown, unless a fact says what a case weighs."""
    story = Chronicle()
    made = build_event(EventType.OBJECT, at(1, "08:00"), action=Action.ADD, goods={L: 1}, location=place(1))
    story.add(replace(made, goods=cases(500)))
    story.ship({L: 2500}, at(1, "09:00"), to=2)
    story.receive({L: 2500}, at(1, "12:00"))
    held = {
        (one.holder.place, one.uom): (spell(one.lo), spell(one.hi or Decimal(-1))) for one in ledger_of(story, L).held
    }
    assert held == {(place(1), "CS"): ("0", "500"), (place(2), "KGM"): ("2500", "2500")}
    assert codes(story, L) == ["unit_mismatch"]
    fact = MasterRecord(MasterKind.PRODUCT, L.split("/10/")[0], (("unitFact", "1 CS = 10 KGM"),))
    story.masters.append(build_master(fact, 1))
    held = {
        (one.holder.place, one.uom): (spell(one.lo), spell(one.hi or Decimal(-1))) for one in ledger_of(story, L).held
    }
    assert held == {(place(1), "KGM"): ("2500", "2500"), (place(2), "KGM"): ("2500", "2500")}
    assert convert(Decimal(2500), "KGM", "KGM") == 250 * 10
    assert codes(story, L) == []


def test_11_rework_into_the_same_code() -> None:
    """Two portions of D: what was shipped before the rework is all seed, what came after is mixed with F2."""
    story = Chronicle()
    f1, f2, d = lot("1", "F1"), lot("1", "F2"), lot("2", "D")
    seed = story.make({f1: 100}, at(1, "06:00"))
    story.make({f2: 60}, at(1, "06:00"))
    story.run({f1: 100}, {d: 100}, at(1, "08:00"))
    first = story.ship({d: 60}, at(1, "09:00"), to=2)
    story.run({d: 40, f2: 60}, {d: 100}, at(1, "10:00"))
    second = story.ship({d: 100}, at(1, "11:00"), to=2)
    asked = Asked(story, of_event(f1, seed))
    one, two = asked.find(d, "shipped", first), asked.find(d, "shipped", second)
    assert (asked.content(one), asked.status(one)) == (("60", "60"), "certain")
    assert (asked.content(two), asked.affected(two), asked.status(two)) == (("40", "40"), ("40", "100"), "certain")


def yarn_story(*, second: bool, beside: bool = False) -> Chronicle:
    story = Chronicle()
    y1, y2, f, w = lot("1", "Y1"), lot("1", "Y2"), lot("2", "F"), serial("3", "W")
    outputs = [f, lot("2", "G")] if beside else [f]
    story.make([y1], at(1, "06:00"))
    story.make([y2], at(1, "06:00"))
    story.run([y1, y2] if second else [y1], outputs, at(1, "08:00"))
    story.run([f], [w], at(1, "09:00"))
    story.make([w], at(1, "09:01"))
    return story


def test_12_no_amounts_at_all() -> None:
    """A run without amounts: its one output holds some of what is nothing but seed material."""
    y1, f, g, w = lot("1", "Y1"), lot("2", "F"), lot("2", "G"), serial("3", "W")
    story = yarn_story(second=True)
    asked = Asked(story, Seed(item=y1))
    assert asked.status(asked.find(f, "output")) == "certain"
    assert asked.content(asked.find(f, "output")) == ("0", None)
    piece = asked.find(w, "output")
    assert asked.status(piece) == "possible"
    assert spell(piece.portion.lo) == "1"
    assert codes(story, w) == []
    asked = Asked(yarn_story(second=False), Seed(item=y1))
    assert asked.status(asked.find(f, "output")) == "certain"
    assert asked.status(asked.find(w, "output")) == "certain"
    asked = Asked(yarn_story(second=True, beside=True), Seed(item=y1))
    assert asked.status(asked.find(f, "output")) == "possible"
    assert asked.status(asked.find(g, "output")) == "possible"


def test_13_used_before_it_came() -> None:
    """The receipt of February carries nothing to the run of January; contradictory times exclude nothing."""
    story = Chronicle()
    story.make({L: 100}, at(1, "08:00"))
    story.run({L: 100}, {MADE: 90}, at(10, "08:00"), at=2)
    shipped = story.ship({L: 100}, at(20, "08:00"), at=1)
    story.receive({L: 100}, at(20, "12:00"), at=2)
    assert codes(story, L) == ["moved_without_record", "overdrawn", "used_before_receipt"]
    assert holdings(story, L) == {(place(2), ""): ("100", "100")}
    assert {item.id for item in story.back(MADE).items} == {MADE, L}
    asked = Asked(story, of_event(L, shipped))
    assert asked.status(asked.find(MADE, "output")) == "possible, open"


def test_14_pieces() -> None:
    """One bad board makes at most one device bad, and each may be it."""
    story = Chronicle()
    boards = [serial("1", f"B{number}") for number in range(10)]
    devices = [serial("2", f"D{number}") for number in range(5)]
    story.make(boards, at(1, "08:00"))
    run = story.run(boards, devices, at(1, "10:00"))
    asked = Asked(story, Seed(item=boards[3]), hazard=Hazard.PIECE)
    outputs = [asked.find(device, "output") for device in devices]
    assert {asked.status(one) for one in outputs} == {"possible"}
    assert {asked.affected(one) for one in outputs} == {("0", "1")}
    assert asked.affected(*outputs) == ("0", "1")
    rule = RunRule(
        run.event_digest.hex(), "assigned", "urn:picklist:1", "qa", tuple(zip(boards[:5], devices, strict=True))
    )
    asked = Asked(story, Seed(item=boards[3]), hazard=Hazard.PIECE, rules=(rule,))
    statuses = [asked.status(asked.find(device, "output")) for device in devices]
    assert statuses == ["excluded: assigned"] * 3 + ["certain", "excluded: assigned"]


def bakery(*, run: bool = False, sold: bool = False) -> tuple[Chronicle, str, object]:
    story = Chronicle()
    k, m = lot("8", "K"), lot("9", "M")
    story.make({L: 100}, at(1, "06:00"), at=1)
    story.ship({L: 100}, at(1, "07:00"), at=1, to=2)
    received = story.receive({L: 100}, at(1, "08:00"), at=2)
    early = build_event(
        EventType.OBJECT, at(1, "05:00"), action=Action.ADD, goods={lot("8", "EARLY"): 1}, location=place(2)
    )
    story.add(early)
    if run:
        story.run({L: 100}, {m: 100}, at(1, "09:00"), at=2)
    bread = build_event(EventType.OBJECT, at(1, "10:00"), action=Action.ADD, goods={k: 1}, location=place(2))
    story.add(replace(bread, goods=(Goods(k, Decimal(500), None),)))
    if sold:
        story.end({m: 100}, at(1, "12:00"), at=2, step="retail_selling")
    return story, k, received


@pytest.mark.parametrize("run", [False, True])
def test_15_no_run_record(run: bool) -> None:
    """Bread made beside flour in scope may be made of it, until all the flour is accounted for."""
    story, k, _received = bakery(run=run)
    asked = Asked(story, Seed(item=L))
    bread = asked.find(k, "made")
    assert asked.status(bread) == "possible, open"
    assert asked.content(bread) == ("0", "100")
    assert asked.affected(bread) == ("0", "500")
    unknown = next(one for one in asked.scope.answer().unknowns if one.item == k)
    assert unknown.ask == party(2) or place(2) in unknown.ask
    assert ("M" if run else "L") in unknown.question
    assert lot("8", "EARLY") not in {one.item for one in asked.scope.reached}


def test_15_all_flour_accounted_for() -> None:
    """By amount the bread is excluded where amounts may exclude; a microbe may have come all the same."""
    story, k, _received = bakery(run=True, sold=True)
    asked = Asked(story, Seed(item=L))
    assert k not in {one.item for one in asked.scope.reached}
    microbe = Asked(story, Seed(item=L), hazard=Hazard.MICROBE)
    assert microbe.status(microbe.find(k, "made")) == "possible, open"
    assert lot("8", "EARLY") not in {one.item for one in microbe.scope.reached}


def test_run_ledger_of_example_03_has_no_gain() -> None:
    """22,000 in, 22,000 out."""
    story, _of = build_catch()
    reader = story.index()
    facts = open_facts(reader, Readings(), as_of_ms=None, known_at=reader.height)
    assert build_run(story.rows[2], facts).gains == ()
