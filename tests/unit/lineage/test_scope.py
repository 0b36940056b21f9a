"""node/lineage/scope: real bugs of other products as oracles, and what each class of hazard may exclude."""

from decimal import Decimal
from functools import partial

import pytest
from msgspec.structs import replace

from node.epcis.model import Action, EventType, Goods, Interval
from node.lineage.hazards import RULES, Hazard
from node.lineage.portions import PortionKind
from node.lineage.readings import Readings
from node.lineage.scope import compute_scope
from node.lineage.scope_answer import ScopeAnswer
from node.lineage.scope_question import RunRule, ScopeQuestion, Seed
from tests.support.chronicle import Chronicle
from tests.support.events import at, build_event, lot, party, place, product_class, serial, unit
from tests.support.scopes import Asked, of_event

A, B, C, D, E = (lot("1", code) for code in "ABCDE")
SPREADING = [hazard for hazard, rule in RULES.items() if not rule.by_amount]
BY_AMOUNT = [hazard for hazard, rule in RULES.items() if rule.by_amount]


def items(asked: Asked) -> set[str]:
    return {one.item for one in asked.scope.reached}


# Real bugs of other products.


def test_two_lots_of_one_ingredient_in_one_run_both_reach_its_output() -> None:
    """ERPNext #50279: of two batches of one item only one was traced."""
    story = Chronicle()
    for item in (A, B):
        story.make({item: 10}, at(1, "08:00"))
    story.run({A: 10, B: 10}, {C: 20}, at(1, "09:00"))
    for seed in (A, B):
        assert C in items(Asked(story, Seed(item=seed)))


def test_split_shipment_shows_the_amount_of_each_part() -> None:
    """Odoo #6839: a split delivery showed the whole amount on each part."""
    story = Chronicle()
    story.make({A: 100}, at(1, "08:00"))
    parts = [story.ship({A: amount}, at(1, f"1{number}:00"), to=number + 2) for number, amount in enumerate((30, 45))]
    asked = Asked(story, Seed(item=A))
    assert [asked.content(asked.find(A, "shipped", part)) for part in parts] == [("30", "30"), ("45", "45")]
    assert asked.content(asked.find(A, "held")) == ("25", "25")


@pytest.mark.parametrize("how", ["by-product", "relabel", "return"])
def test_ancestry_is_kept_through(how: str) -> None:
    """Odoo #17702, #16410, #17884: by-product, relabel and customer return lost it."""
    story = Chronicle()
    story.make({A: 10}, at(1, "08:00"))
    if how == "by-product":
        story.run({A: 10}, {B: 8, C: 2}, at(1, "09:00"))
    elif how == "relabel":
        story.run({A: 10}, {C: 10}, at(1, "09:00"))
    else:
        story.ship({A: 10}, at(1, "09:00"), to=2)
        story.receive({A: 10}, at(1, "10:00"), at=2)
        story.ship({A: 10}, at(2, "09:00"), at=2, to=1)
        story.receive({A: 10}, at(2, "10:00"), at=1)
        story.run({A: 10}, {C: 10}, at(2, "12:00"))
    asked = Asked(story, Seed(item=A))
    assert asked.status(asked.find(C, "output")) == "certain"


def test_return_of_half_touches_half() -> None:
    """What stayed with the customer is not what came back."""
    story = Chronicle()
    story.make({A: 10}, at(1, "08:00"))
    story.ship({A: 10}, at(1, "09:00"), to=2)
    story.receive({A: 10}, at(1, "10:00"), at=2)
    back = story.ship({A: 5}, at(2, "09:00"), at=2, to=1)
    story.receive({A: 5}, at(2, "10:00"), at=1)
    asked = Asked(story, of_event(A, back))
    assert asked.content(asked.find(A, "held", place=place(1))) == ("5", "5")
    assert asked.status(asked.find(A, "held", place=place(2))) == "excluded: other_portion"


def test_rework_loop_ends() -> None:
    """An output that becomes an input of the same code, again and again."""
    story = Chronicle()
    story.make({A: 100}, at(1, "00:00"))
    story.run({A: 100}, {B: 100}, at(1, "01:00"))
    for hour in range(2, 22):
        story.run({B: 50}, {B: 50}, at(1, f"{hour:02}:00"))
    asked = Asked(story, Seed(item=A))
    assert asked.content(asked.find(B, "held")) == ("100", "100")


def test_loop_of_wide_times_counts_as_unsourced_on_both_sides() -> None:
    """Two dates that allow each before the other: what runs round comes from nowhere, so nothing is certain."""
    day = Interval(at(1, "00:00"), at(1, "23:59"))
    story = Chronicle()
    story.make({A: 10}, at(1, "00:00"))
    story.make({C: 10}, at(1, "00:00"))
    story.run({A: 10, C: 10}, {B: 20}, day)
    story.run({B: 20}, {A: 10, D: 10}, day)
    asked = Asked(story, Seed(item=C))
    assert asked.content(asked.find(D, "output"))[0] == "0"
    assert D in items(asked)


def test_vessel_of_20_000_draws_is_walked_without_recursion() -> None:
    """One input, many draws: portions and flows grow with the draws, never with credits times draws."""
    story = Chronicle()
    story.make({A: 20_000}, at(1, "00:00"))
    story.run({A: 20_000}, (), at(1, "01:00"), name="urn:run:V")
    for number in range(2_000):
        story.run((), {lot("2", f"O{number}"): 10}, at(1, "02:00") + number, name="urn:run:V")
    asked = Asked(story, Seed(item=A))
    assert len(items(asked)) == 2_001
    assert len(asked.scope.graph.edges) < 12 * 2_000


def test_resolving_an_unknown_removes_its_placeholder() -> None:
    """FoodChain-Lab #1082: the shipment is entered later, and nothing unknown is left."""
    story = Chronicle()
    story.make({A: 10}, at(1, "08:00"))
    story.receive({A: 10}, at(1, "12:00"), at=2)
    answer = Asked(story, Seed(item=A)).scope.answer()
    assert [one.reason for one in answer.unknowns] == ["moved_without_record"]
    story.ship({A: 10}, at(1, "09:00"), to=2)
    answer = Asked(story, Seed(item=A)).scope.answer()
    assert answer.unknowns == ()
    assert answer.flags == ()


def test_list_of_n_lots_arrives_as_n() -> None:
    """#957: a list of lots lost one on the way."""
    story = Chronicle()
    lots = [lot("1", f"L{number}") for number in range(40)]
    for item in lots:
        story.make({item: 1}, at(1, "08:00"))
    answer = Asked(story, *(Seed(item=item) for item in lots)).scope.answer()
    assert answer.seeds == tuple(sorted(lots))
    assert len(answer.lots) == 40


def test_same_facts_give_one_answer_in_any_order_of_arrival() -> None:
    """By the digest, for every class of hazard."""
    story = Chronicle()
    story.make({A: 50}, at(1, "06:00"))
    story.make({B: 50}, at(1, "06:00"))
    story.run({A: 30, B: 20}, {C: 50}, at(1, "08:00"))
    story.receive({C: 10}, at(1, "12:00"), at=2)
    story.make({D: 5}, at(1, "13:00"), at=2)
    story.ship({C: 20}, at(1, "14:00"))
    for hazard in Hazard:
        question = ScopeQuestion((Seed(item=A),), hazard)
        digests = {compute_scope(story.shuffled(seed), question).digest for seed in range(4)}
        assert digests == {compute_scope(story.index(), question).digest}, hazard


# What may exclude.


def used_up() -> Chronicle:
    """Bad A was shipped to the last kilogram before good A of the same lot came."""
    story = Chronicle()
    story.make({A: 10}, at(1, "08:00"))
    story.ship({A: 10}, at(1, "09:00"), to=2)
    story.make({A: 10}, at(1, "10:00"))
    story.run({A: 10}, {C: 10}, at(1, "11:00"))
    return story


@pytest.mark.parametrize("hazard", list(Hazard))
def test_amounts_exclude_only_where_the_hazard_allows(hazard: Hazard) -> None:
    """Dilution and book stock exclude nothing of what grows or spreads."""
    story = used_up()
    asked = Asked(story, of_event(A, story.rows[0].event), hazard=hazard)
    if RULES[hazard].by_amount:
        assert asked.status(asked.find(A, "used")) == "excluded: quantity"
        assert C not in items(asked)
    else:
        assert asked.status(asked.find(A, "used")) == "possible"
        assert asked.status(asked.find(C, "output")) == "possible"


def line_of(number: int) -> str:
    return f"{place(1)}/254/{number}"


def on_line(story: Chronicle, inputs: str, outputs: str, hour: str, line: int | None) -> None:
    event = build_event(
        EventType.TRANSFORMATION,
        at(1, hour),
        inputs={inputs: 10},
        outputs={outputs: 10},
        read_point=None if line is None else line_of(line),
        location=place(1),
    )
    story.add(event)


def clean(story: Chronicle, hour: str, line: int | None, disposition: str | None = "conformant") -> None:
    event = build_event(
        EventType.OBJECT,
        at(1, hour),
        action=Action.OBSERVE,
        goods=["urn:machine:1"],
        step="https://example.org/voc/cleaning",
        disposition=disposition,
        read_point=None if line is None else line_of(line),
        location=place(1),
    )
    story.add(event)


def contact_story(
    line: int | None, other: int | None, *, cleaned: str | None = None, verified: bool = True
) -> Chronicle:
    story = Chronicle()
    for item in (A, B, E):
        story.make({item: 10}, at(1, "01:00"))
    on_line(story, E, lot("2", "E"), "07:00", other)
    on_line(story, A, C, "08:00", line)
    if cleaned is not None:
        clean(story, cleaned, line, "conformant" if verified else None)
    on_line(story, B, D, "10:00", other)
    return story


@pytest.mark.parametrize("hazard", list(Hazard))
def test_contact_spreads_along_a_line_where_the_hazard_does(hazard: Hazard) -> None:
    """Named equipment links; what was drawn before the taint came is excluded."""
    asked = Asked(contact_story(1, 1), Seed(item=A), hazard=hazard)
    spreads = RULES[hazard].by_contact
    assert (D in items(asked)) is spreads
    if spreads:
        assert asked.status(asked.find(D, "output")) == "possible"
    assert lot("2", "E") not in items(asked)


def test_contact_on_unnamed_equipment_is_open_and_on_another_line_is_none() -> None:
    """A run that names no line is taken to share one; two that name different lines share none."""
    asked = Asked(contact_story(None, None), Seed(item=A), hazard=Hazard.ALLERGEN)
    assert asked.status(asked.find(D, "output")) == "possible, open"
    asked = Asked(contact_story(1, 2), Seed(item=A), hazard=Hazard.ALLERGEN)
    assert D not in items(asked)


@pytest.mark.parametrize(
    ("hazard", "verified", "resident", "excluded"),
    [
        (Hazard.ALLERGEN, True, False, True),
        (Hazard.ALLERGEN, False, False, False),
        (Hazard.MICROBE, True, False, True),
        (Hazard.MICROBE, True, True, False),
        (Hazard.UNKNOWN, True, False, False),
    ],
)
def test_only_a_verified_cleaning_ends_contact(hazard: Hazard, verified: bool, resident: bool, excluded: bool) -> None:
    """And none does for what is resident, or for a hazard of no known class."""
    story = contact_story(1, 1, cleaned="09:00", verified=verified)
    asked = Asked(story, Seed(item=A), hazard=hazard, resident=resident)
    if excluded:
        answer = asked.scope.answer()
        assert [one.reason for one in answer.excluded if one.item == D] == ["clean_break"]
    assert (D in items(asked)) is not excluded


def test_cleaning_of_unsure_time_excludes_nothing() -> None:
    """Only its date is known: the run may have been before it."""
    story = contact_story(1, 1)
    date = Interval(at(1, "00:00"), at(1, "23:59"))
    event = build_event(
        EventType.OBJECT, date, action=Action.OBSERVE, goods=["urn:machine:1"], step="cleaning",
        disposition="conformant", read_point=line_of(1), location=place(1),
    )  # fmt: skip
    story.add(event)
    assert D in items(Asked(story, Seed(item=A), hazard=Hazard.ALLERGEN))


@pytest.mark.parametrize(
    ("agent", "passed", "excluded"),
    [("Salmonella", True, True), ("Salmonella", False, False), ("Bacillus", True, False), (None, True, False)],
)
def test_kill_step_ends_the_agents_that_its_record_names(agent: str | None, passed: bool, excluded: bool) -> None:
    """Only with a passing record of this very run."""
    story = Chronicle()
    story.make({A: 10}, at(1, "08:00"))
    event = build_event(
        EventType.TRANSFORMATION, at(1, "10:00"), inputs={A: 10}, outputs={C: 10},
        disposition="conformant" if passed else None, location=place(1),
    )  # fmt: skip
    story.add(event)
    rule = RunRule(event.event_digest.hex(), "kill_step", "urn:validation:7", "qa", agents=("Salmonella",))
    asked = Asked(story, Seed(item=A), hazard=Hazard.MICROBE, agent=agent, rules=(rule,))
    assert (C in items(asked)) is not excluded
    declared = asked.scope.answer().declared
    assert [(one.rule, one.record, one.by) for one in declared] == [("kill_step", "urn:validation:7", "qa")]
    assert (declared[0].excluded > 0) is excluded


def test_rule_by_a_name_that_several_firms_use_is_of_no_run() -> None:
    """Two firms call a run alike, and one cooks: the other's goods are not cooked. By an event, it is that one's."""
    story = Chronicle()
    events = []
    for number, output in ((1, C), (2, D)):
        story.name_place(number, owner=number)
        story.make({A: 10}, at(1, "08:00"), at=number)
        events.append(
            build_event(
                EventType.TRANSFORMATION, at(1, "10:00"), inputs={A: 10}, outputs={output: 10}, run="r1",
                disposition="conformant", location=place(number),
            )
        )  # fmt: skip
        story.add(events[-1], member=f"firm{number}")
    for run, found, warned in (("r1", {C, D}, True), (events[0].event_digest.hex(), {D}, False)):
        rule = RunRule(run, "kill_step", "urn:validation:7", "qa", agents=("Salmonella",))
        asked = Asked(story, Seed(item=A), hazard=Hazard.MICROBE, agent="Salmonella", rules=(rule,))
        assert items(asked) & {C, D} == found
        assert ("run_of_several" in asked.scope.answer().warnings) is warned


def test_assigned_map_is_no_excuse_for_what_spreads() -> None:
    """Glass does not keep to a pick list."""
    story = Chronicle()
    for item in (A, B):
        story.make({item: 10}, at(1, "08:00"))
    run = story.run({A: 10, B: 10}, {C: 10, D: 10}, at(1, "10:00"))
    rule = RunRule(run.event_digest.hex(), "assigned", "urn:list:1", "qa", ((A, C), (B, D)))
    asked = Asked(story, Seed(item=A), hazard=Hazard.ORIGIN, rules=(rule,))
    assert asked.status(asked.find(C, "output")) == "certain"
    assert D not in items(asked)
    assert D in items(Asked(story, Seed(item=A), hazard=Hazard.FRAGMENT, rules=(rule,)))


# Names and unknowns.


def test_goods_without_lot_may_be_of_any_lot_there_and_are_never_certain() -> None:
    """A GTIN alone is read as any lot of it at that custodian."""
    story = Chronicle()
    story.make({A: 10}, at(1, "08:00"))
    story.run({product_class("1"): 5}, {C: 5}, at(1, "10:00"))
    asked = Asked(story, Seed(item=A))
    assert asked.status(asked.find(C, "output")) in ("possible", "possible, open")


def test_unreceived_shipment_may_be_in_a_later_stock_of_its_receiver() -> None:
    """Reach (c): on both sides of the bounds, so that nothing there is certain."""
    story = Chronicle()
    first = story.make({A: 10}, at(1, "06:00"))
    story.ship({A: 10}, at(1, "08:00"), to=2)
    story.make({A: 10}, at(1, "09:00"), at=3)
    story.ship({A: 10}, at(1, "10:00"), at=3, to=2, bill="urn:bol:1")
    story.receive({A: 10}, at(1, "12:00"), at=2, bill="urn:bol:1")
    story.run({A: 10}, {C: 10}, at(1, "13:00"), at=2)
    asked = Asked(story, of_event(A, first))
    assert asked.status(asked.find(C, "output")) == "possible, open"
    assert asked.content(asked.find(C, "output")) == ("0", "10")


def test_document_that_no_shipment_bears_is_only_a_reading() -> None:
    """Possible, never certain."""
    story = Chronicle()
    story.make({A: 10}, at(1, "06:00"))
    story.ship({A: 10}, at(1, "08:00"), to=2)
    story.receive({A: 10}, at(1, "12:00"), at=2, bill="urn:bol:9")
    asked = Asked(story, of_event(A, story.rows[0].event))
    assert asked.status(asked.find(A, "received")) == "possible"


def test_piece_of_a_lot_is_the_lot() -> None:
    """Serials that bear the lot's code are seed material by their label."""
    story = Chronicle()
    pieces = [serial("1", f"S{number}") for number in range(3)]
    story.make(pieces, at(1, "08:00"), lot_code="LOT")
    story.run([pieces[0]], {C: 1}, at(1, "09:00"))
    asked = Asked(story, Seed(item=lot("1", "LOT")))
    assert set(pieces) <= items(asked)
    assert asked.status(asked.find(C, "output")) == "certain"


def test_unit_as_a_seed_is_what_was_in_it() -> None:
    """A pallet that broke its cold chain touches its contents only."""
    story = Chronicle()
    story.make({A: 10}, at(1, "06:00"))
    story.pack(unit(1), {A: 4}, at(1, "07:00"))
    story.ship([unit(1)], at(1, "08:00"), to=2)
    story.receive([unit(1)], at(1, "12:00"), at=2)
    story.unpack(unit(1), {A: 4}, at(1, "13:00"), at=2)
    asked = Asked(story, Seed(item=unit(1)))
    assert asked.content(asked.find(A, "held", place=place(2))) == ("4", "4")
    assert asked.status(asked.find(A, "held", place=place(1))) == "excluded: other_portion"


def test_declared_mixed_run_that_lacks_amounts_stays_any() -> None:
    """A share needs amounts of one unit."""
    story = Chronicle()
    story.make({A: 10}, at(1, "08:00"))
    story.make({B: 10}, at(1, "08:00"))
    run = story.run({A: 10, B: None}, {C: 10, D: 10}, at(1, "09:00"))
    rule = RunRule(run.event_digest.hex(), "mixed", "r", "qa")
    asked = Asked(story, Seed(item=A), rules=(rule,))
    assert asked.content(asked.find(C, "output")) == ("0", "10")


def test_scope_that_is_full_says_what_it_left_out() -> None:
    """A limit is never silent."""
    story = Chronicle()
    story.make({A: 10}, at(1, "08:00"))
    story.run({A: 10}, {C: 10}, at(1, "09:00"))
    story.run({C: 10}, {D: 10}, at(1, "10:00"))
    answer = Asked(story, Seed(item=A), vertices_max=4).scope.answer()
    assert answer.not_followed > 0
    assert "item_limit" in answer.warnings


def scope_of(story: Chronicle, **how: object) -> ScopeAnswer:
    return Asked(story, Seed(item=A), **how).scope.answer()  # type: ignore[arg-type]  # Names are its own.


def test_as_of_and_known_at_leave_out_what_they_say() -> None:
    """As of a time, what cannot have happened by then; known at a height, what later blocks entered."""
    story = Chronicle()
    story.make({A: 10}, at(1, "08:00"))
    story.run({A: 10}, {C: 10}, at(2, "09:00"))
    assert C not in {one.item for one in scope_of(story, as_of_ms=at(1, "12:00")).portions}
    assert C not in {one.item for one in scope_of(story, known_at=1).portions}
    assert C in {one.item for one in scope_of(story).portions}


def test_pieces_of_no_stated_unit_do_not_mix() -> None:
    """10 cases in, 10 out: what one bad case is in is one case."""
    story = Chronicle()
    for item, amount in ((A, 1), (B, 9)):
        event = build_event(EventType.OBJECT, at(1, "08:00"), action=Action.ADD, goods={item: 1}, location=place(1))
        story.add(replace(event, goods=(Goods(item, Decimal(amount), None),)))
    run = build_event(EventType.TRANSFORMATION, at(1, "09:00"), inputs={A: 1}, outputs={C: 1}, location=place(1))
    ins = (Goods(A, Decimal(1), None), Goods(B, Decimal(9), None))
    story.add(replace(run, inputs=ins, outputs=(Goods(C, Decimal(10), None),)))
    asked = Asked(story, Seed(item=A), hazard=Hazard.PIECE, readings=Readings())
    assert asked.affected(asked.find(C, "output")) == ("1", "1")
    assert asked.find(C, "output").kind is PortionKind.OUTPUT


def test_questions_are_ranked_by_what_a_clean_answer_removes() -> None:
    """30 that nobody sent may be bad and are used whole; 10 more are missing at the seed's own place."""
    story = Chronicle()
    story.make({A: 10}, at(1, "06:00"))
    story.receive({A: 30}, at(1, "12:00"), at=2)
    story.run({A: 30}, {C: 30}, at(1, "13:00"), at=2)
    story.run({A: 15}, {D: 15}, at(1, "14:00"))
    answer = Asked(story, of_event(A, story.rows[0].event)).scope.answer()
    first, *others = answer.unknowns
    assert [(amount.max, amount.uom) for amount in first.removes] == [("30", "KGM")]
    assert first.ask.endswith(place(2))
    assert all(Decimal(amount.max or 0) < 30 for one in others for amount in one.removes)


def test_reason_of_a_portion_is_a_shortest_chain_of_events() -> None:
    """From the seed to it, each event once."""
    story = Chronicle()
    story.make({A: 20}, at(1, "06:00"))
    story.run({A: 5}, {B: 5}, at(1, "07:00"))
    story.run({B: 5}, {C: 5}, at(1, "08:00"))
    direct = story.run({A: 5, C: 2}, {D: 7}, at(1, "09:00"))
    answer = Asked(story, Seed(item=A)).scope.answer()
    made = next(one for one in answer.portions if one.item == D and one.kind == "output")
    rows = {f"{row.transaction_id.hex()}:0": row.event for row in story.rows}
    assert [rows[event].event_digest for event in made.because] == [
        story.rows[0].event.event_digest,
        direct.event_digest,
    ]


def test_line_as_a_seed_is_what_its_runs_put_out_in_the_window() -> None:
    """An equipment run between two cleanings; what the line made before and after is not seed material."""
    story = Chronicle()
    for item in (A, B, E):
        story.make({item: 10}, at(1, "01:00"))
    on_line(story, E, lot("2", "E"), "07:00", 1)
    on_line(story, A, C, "08:00", 1)
    on_line(story, B, D, "08:30", 2)
    asked = Asked(story, Seed(holder=line_of(1), from_ms=at(1, "07:30"), to_ms=at(1, "09:00")))
    assert asked.scope.answer().seeds == (C,)


def test_party_and_product_as_a_seed_are_its_stock_of_that_product() -> None:
    """Within the window, and nothing else that it had."""
    story = Chronicle()
    story.name_place(1, 7)
    cake = lot("9", "CAKE")
    story.make({A: 10, cake: 10}, at(1, "06:00"))
    story.make({B: 10}, at(2, "06:00"))
    seed = Seed(holder=place(1), product=product_class("1"), to_ms=at(1, "12:00"))
    assert Asked(story, seed).scope.answer().seeds == (A,)


def test_party_as_a_seed_had_what_its_places_had() -> None:
    """Events name the place alone; master data say whose it is. Found by its other names, it would be left out."""
    story = Chronicle()
    story.name_place(1, 7)
    story.make({A: 10}, at(1, "06:00"))
    assert Asked(story, Seed(holder=party(7))).scope.answer().seeds == (A,)


def test_place_as_a_seed_had_what_came_in_units() -> None:
    """Shipped and received by the SSCC alone: no event of the lot names the place."""
    story = Chronicle()
    story.make({A: 10}, at(1, "06:00"), at=1)
    story.pack(unit(1), {A: 10}, at(1, "07:00"), at=1)
    story.pack(unit(2), [unit(1)], at(1, "08:00"), at=1)
    story.ship([unit(2)], at(1, "09:00"), at=1, to=2)
    story.receive([unit(2)], at(1, "12:00"), at=2)
    assert A in Asked(story, Seed(holder=place(2))).scope.answer().seeds


def test_contact_with_a_run_that_was_voided_as_a_whole_is_with_nothing() -> None:
    """Its events stand at the site, and no longer tell of a run."""
    story = contact_story(None, None)
    voided = story.run({B: 5}, {lot("2", "V"): 5}, at(1, "09:30"), name="urn:run:1", event_id="urn:uuid:9")
    story.void(voided, at(2, "08:00"))
    reached = items(Asked(story, Seed(item=A), hazard=Hazard.ALLERGEN))
    assert D in reached
    assert lot("2", "V") not in reached


def test_amounts_that_contradict_each_other_bound_nothing() -> None:
    """5 came out of a run whose one input, of unstated amount, can have been 1 at most."""
    story = Chronicle()
    story.make({A: 1}, at(1, "06:00"))
    story.run({A: None}, {C: 5}, at(1, "08:00"))
    asked = Asked(story, of_event(A, story.rows[0].event))
    assert asked.content(asked.find(C, "output")) == ("0", "5")


def test_what_spreads_reaches_all_of_a_lot_in_one_place_also_what_nobody_counted() -> None:
    """10 bad and an unknown amount of good under one code, in one place: amounts tell them apart, contact does not."""
    story = Chronicle()
    bad = story.make({A: 10}, at(1, "06:00"))
    good = story.make({A: None}, at(1, "08:00"))
    for hazard in (Hazard.ORIGIN, Hazard.MICROBE):
        asked = Asked(story, of_event(A, bad), hazard=hazard)
        held = [one for one in asked.scope.reached if one.kind.value == "held"]
        assert len(held) == (1 if hazard is Hazard.ORIGIN else 2)
        assert asked.status(asked.find(A, "made", good)).startswith("excluded")


def test_cleaning_before_a_run_is_over_ends_no_contact() -> None:
    """A vessel is filled with bad goods, cleaned by the book, emptied, and filled again."""
    story = Chronicle()
    for item in (A, B):
        story.make({item: 10}, at(1, "01:00"))
    for run, inputs, outputs, hour in (
        ("r1", {A: 10}, {}, "07:00"),
        ("r1", {}, {C: 10}, "09:00"),
        ("r2", {B: 10}, {D: 10}, "10:00"),
    ):
        story.add(
            build_event(
                EventType.TRANSFORMATION, at(1, hour), inputs=inputs, outputs=outputs, run=run,
                read_point=line_of(1), location=place(1),
            )
        )  # fmt: skip
    clean(story, "08:00", 1)
    assert D in items(Asked(story, Seed(item=A), hazard=Hazard.ALLERGEN))


def test_least_of_a_sum_counts_no_goods_twice() -> None:
    """40 were sent and never received, and 30 of the lot are used where they went: at least 100 in all, not 130."""
    story = Chronicle()
    story.make({A: 100}, at(1, "06:00"))
    story.ship({A: 40}, at(1, "08:00"), to=2)
    story.run({A: 30}, {C: 30}, at(1, "12:00"), at=2)
    answer = Asked(story, Seed(item=A)).scope.answer()
    total = next(one for one in answer.lots if one.name == A)
    assert Decimal(total.content[0].min) <= 100


def test_goods_whose_making_nobody_recorded_may_be_made_of_what_their_sender_had() -> None:
    """B is received, sent on and seen again: by times it can be read as fed by itself, and it came from site 1."""
    story = Chronicle()
    story.make({A: 10}, at(1, "06:00"))
    story.name_place(1, owner=1)
    story.receive({B: 10}, Interval(at(1, "00:00"), at(1, "23:59")), at=2, source=1)
    story.ship({B: 10}, at(1, "20:00"), at=2, to=3)
    assert B in items(Asked(story, Seed(item=A)))


def test_bad_answer_to_a_question_confirms_what_came_from_there() -> None:
    """30 that nobody sent went into C whole: if they are bad, 30 kg more are."""
    story = Chronicle()
    story.make({A: 10}, at(1, "06:00"))
    story.receive({A: 30}, at(1, "12:00"), at=2)
    story.run({A: 30}, {C: 30}, at(1, "13:00"), at=2)
    story.run({A: 15}, {D: 15}, at(1, "14:00"))
    answer = Asked(story, of_event(A, story.rows[0].event)).scope.answer()
    assert [(amount.min, amount.max, amount.uom) for amount in answer.unknowns[0].confirms] == [("30", "30", "KGM")]


def test_line_in_a_window_has_put_out_also_what_events_that_name_no_line_drew() -> None:
    """The run was on the line: its draws are the line's, within the window."""
    story = Chronicle()
    story.make({A: 30}, at(1, "01:00"))
    build = partial(build_event, EventType.TRANSFORMATION, run="run:1", location=place(1))
    story.add(build(at(1, "08:00"), inputs={A: 30}, read_point=line_of(1)))
    story.add(build(at(1, "09:00"), outputs={B: 10}))
    story.add(build(at(1, "10:00"), outputs={C: 10}))
    story.add(build(at(1, "12:00"), outputs={D: 10}))
    asked = Asked(story, Seed(holder=line_of(1), from_ms=at(1, "09:30"), to_ms=at(1, "11:00")))
    assert asked.status(asked.find(C, "output")) == "certain"
    assert {B, D}.isdisjoint(items(asked))


def test_goods_of_nobody_stated_are_counted() -> None:
    """B came to site 1 from nobody, made by nobody; D has a sender, C a maker."""
    story = Chronicle()
    story.make({A: 10}, at(1, "06:00"))
    story.receive({B: 10}, at(1, "08:00"), at=1)
    story.receive({D: 10}, at(1, "09:00"), at=1, source=3)
    story.make({C: 10}, at(1, "06:00"), at=3)
    story.receive({C: 10}, at(1, "10:00"), at=1)
    answer = Asked(story, Seed(item=A)).scope.answer()
    assert answer.unstated == 1
    assert B not in {one.item for one in answer.portions}
