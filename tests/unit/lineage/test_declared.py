"""node/lineage/declared.py and plug_flow.py: what sites declare, and how far it narrows a scope."""

import json
from pathlib import Path

import pytest

from consensus.types import Digest
from node.epcis.model import EventType, MasterKind, MasterRecord
from node.epcis.reader import read_master
from node.intake.capture import prepare
from node.ledger.transaction import decode_capture
from node.lineage.declared import Topic, read_rule
from node.lineage.hazards import Hazard
from node.lineage.scope_answer import ScopeAnswer
from node.lineage.scope_question import Seed
from node.wire.ids import MemberId
from tests.support.chronicle import Chronicle
from tests.support.events import at, build_event, lot, place
from tests.support.memory_index import build_master
from tests.support.scopes import Asked

A, B, C, D, E = (lot("1", code) for code in "ABCDE")
SILO = f"{place(1)}/254/SILO"
RECORD = "record=urn:validation:7; by=qa"
EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "declarations.jsonld"


def declare(story: Chronicle, topic: str, text: str, *, at_place: str = SILO, member: str = "mill") -> None:
    record = MasterRecord(MasterKind.LOCATION, at_place, ((topic, text),))
    story.masters.append(build_master(record, 1, member=member))


def step(
    story: Chronicle,
    hour: str,
    *,
    inputs: dict[str, object] | None = None,
    outputs: dict[str, object] | None = None,
    run: str | None = "run:1",
    member: str = "mill",
    disposition: str | None = None,
) -> None:
    event = build_event(
        EventType.TRANSFORMATION,
        at(1, hour),
        inputs=inputs or {},
        outputs=outputs or {},
        run=run,
        read_point=SILO,
        location=place(1),
        disposition=disposition,
    )
    story.add(event, member=member)


def silo(*, member: str = "mill", amount: object = 20) -> Chronicle:
    """A 20 (bad), then B 20 go in; C 10, D 10 and E 20 come out, in this order."""
    story = Chronicle()
    for item in (A, B):
        story.make({item: 20}, at(1, "05:00"))
    step(story, "06:00", inputs={A: 20}, member=member)
    step(story, "07:00", inputs={B: amount}, member=member)
    step(story, "08:00", outputs={C: 10}, member=member)
    step(story, "09:00", outputs={D: 10}, member=member)
    step(story, "10:00", outputs={E: 20}, member=member)
    return story


def asked(story: Chronicle, *, hazard: Hazard = Hazard.ORIGIN, **more: object) -> ScopeAnswer:
    return Asked(story, Seed(item=A), hazard=hazard, **more).scope.answer()  # type: ignore[arg-type]  # Names are its own.


def items(answer: ScopeAnswer) -> set[str]:
    return {portion.item for portion in answer.portions} - {A}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (None, {C, D, E}),
        (f"fifo; {RECORD}", {C, D}),
        (f"fifo; heel=5 KGM; {RECORD}", {C, D, E}),
        (f"fifo; heel=0.005 TNE; {RECORD}; from=2026-01-05; to=2026-01-05", {C, D, E}),
    ],
)
def test_declared_fifo_excludes_what_had_another_turn(text: str | None, found: set[str]) -> None:
    """E is drawn when all of A has come out: without a heel it holds none, with one of 5 it may."""
    story = silo()
    if text is not None:
        declare(story, "mixingRule", text)
    answer = asked(story)
    assert items(answer) == found
    if E not in found:
        (rule,) = answer.declared
        excluded = [portion for portion in answer.excluded if portion.item == E]
        assert {portion.reason for portion in excluded} == {"fifo"}
        assert (rule.rule, rule.record, rule.by, rule.place, rule.member) == (
            "fifo", "urn:validation:7", "qa", SILO, "mill",
        )  # fmt: skip
        assert rule.excluded == len(excluded) > 0
        assert [portion.rule for portion in excluded] == [0] * len(excluded)


def drawn_by_turns(*amounts: int, member: str = "mill") -> Chronicle:
    """20 of A, then 20 of B go into the silo; C, D and E come out at 8, 9 and 10 o'clock, each so much."""
    story = Chronicle()
    for item in (A, B):
        story.make({item: 20}, at(1, "05:00"))
    step(story, "06:00", inputs={A: 20})
    step(story, "07:00", inputs={B: 20}, member=member)
    for item, hour, amount in zip((C, D, E), ("08:00", "09:00", "10:00"), amounts, strict=False):
        step(story, hour, outputs={item: amount})
    for by in {"mill", member}:
        declare(story, "mixingRule", f"fifo; {RECORD}", member=by)
    return story


def test_fifo_bounds_an_output_that_two_inputs_reach() -> None:
    """D of 20 drawn after 10 of A were: it has the other 10 of A and 10 of B."""
    scope = Asked(drawn_by_turns(10, 20, 10), Seed(item=A))
    assert scope.content(scope.find(C, "output")) == ("10", "10")
    assert scope.content(scope.find(D, "output")) == ("10", "10")


def test_fifo_excludes_no_input_that_comes_early_because_others_were_lost() -> None:
    """10 of 40 never came out. Were they of A, spilled before D was drawn, D is all of B."""
    for amounts, found in (((10, 10, 20), {E}), ((10, 10, 10), {D, E}), ((20, 20), {D})):
        story = drawn_by_turns(*amounts)
        reached = {portion.item for portion in Asked(story, Seed(item=B)).scope.answer().portions}
        assert reached - {B} == found
    scope = Asked(drawn_by_turns(10, 20), Seed(item=A))
    assert scope.content(scope.find(D, "output")) == ("0", "10")


@pytest.mark.parametrize(("minute", "found"), [("06:10", {C, D}), ("06:31", {D})])
def test_fifo_orders_no_inputs_that_two_members_told_within_their_clocks(minute: str, found: set[str]) -> None:
    """B may have gone in before A: then C is B. More than both slacks apart, the times tell."""
    story = Chronicle()
    for item in (A, B):
        story.make({item: 20}, at(1, "05:00"))
    step(story, "06:00", inputs={A: 20})
    step(story, minute, inputs={B: 20}, member="carrier")
    step(story, "08:00", outputs={C: 20})
    step(story, "09:00", outputs={D: 20})
    for member in ("mill", "carrier"):
        declare(story, "mixingRule", f"fifo; {RECORD}", member=member)
    answer = Asked(story, Seed(item=B)).scope.answer()
    assert {portion.item for portion in answer.portions} - {B} == found
    assert answer.declared


def test_fifo_links_no_output_to_what_went_in_after_it() -> None:
    """However long the heel."""
    story = Chronicle()
    for item in (A, B):
        story.make({item: 20}, at(1, "05:00"))
    step(story, "06:00", inputs={B: 20})
    step(story, "07:00", outputs={C: 20})
    step(story, "08:00", inputs={A: 20})
    step(story, "09:00", outputs={D: 20})
    declare(story, "mixingRule", f"fifo; heel=50 KGM; {RECORD}")
    assert items(asked(story)) == {D}


@pytest.mark.parametrize("hazard", [Hazard.MICROBE, Hazard.ALLERGEN, Hazard.UNKNOWN])
def test_no_vessel_rule_excludes_what_spreads(hazard: Hazard) -> None:
    """The safety rule: only for what travels with the material."""
    story = silo()
    declare(story, "mixingRule", f"fifo; {RECORD}")
    answer = asked(story, hazard=hazard)
    assert items(answer) == {C, D, E}
    assert answer.declared == ()


def test_fifo_says_nothing_of_a_run_with_an_unknown_amount() -> None:
    """Its positions are not known."""
    story = silo(amount=None)
    declare(story, "mixingRule", f"fifo; {RECORD}")
    assert items(asked(story)) == {C, D, E}


@pytest.mark.parametrize(
    ("text", "member", "at_place", "excludes"),
    [
        (f"fifo; {RECORD}", "mill", SILO, True),
        (f"fifo; {RECORD}", "mill", place(1), True),
        (f"fifo; {RECORD}", "rival", SILO, False),
        (f"fifo; {RECORD}", "mill", place(2), False),
        (f"fifo; {RECORD}; from=2026-01-05T07:00:00Z", "mill", SILO, False),
        (f"fifo; {RECORD}; to=2026-01-04", "mill", SILO, False),
        (f"fifo; {RECORD}; from=2026-01-05; to=2026-01-05", "mill", SILO, True),
    ],
)
def test_declaration_counts_for_the_runs_of_its_member_in_its_period(
    text: str, member: str, at_place: str, excludes: bool
) -> None:
    """Of the line or the site; wholly within the period."""
    story = silo()
    declare(story, "mixingRule", text, at_place=at_place, member=member)
    assert (E not in items(asked(story))) is excludes


def test_scope_as_it_was_known_before_a_declaration_knows_none() -> None:
    """So one sees what a late declaration took out."""
    story = silo()
    before = len(story.rows)
    story.make({lot("9", "later"): 1}, at(2, "05:00"))
    record = MasterRecord(MasterKind.LOCATION, SILO, (("mixingRule", f"fifo; {RECORD}"),))
    story.masters.append(build_master(record, before + 1))
    assert E not in items(asked(story))
    assert E in items(asked(story, known_at=before))


def test_line_stands_before_its_site() -> None:
    """`any` of the silo takes back what the site declares."""
    story = silo()
    declare(story, "mixingRule", f"fifo; {RECORD}", at_place=place(1))
    declare(story, "mixingRule", "any")
    answer = asked(story)
    assert E in items(answer)
    assert answer.declared == ()


def test_members_of_one_run_that_declare_otherwise_leave_any_and_it_is_said() -> None:
    """So does one that says nothing where the other does."""
    for texts in ((f"fifo; {RECORD}", f"mixed; {RECORD}"), (f"fifo; {RECORD}",)):
        story = silo()
        step(story, "11:00", inputs={}, outputs={}, member="carrier")
        step(story, "11:30", outputs={lot("1", "F"): 0.5}, member="carrier")
        for member, text in zip(("mill", "carrier"), texts, strict=False):
            declare(story, "mixingRule", text, member=member)
        answer = asked(story)
        assert E in items(answer)
        assert "rules_differ" in answer.warnings
        assert [(one.rule, one.place) for one in answer.declared] == [("any", SILO)]


def test_declaration_that_cannot_be_read_counts_for_nothing_and_it_is_said() -> None:
    """A wrong word must not narrow, nor be passed over in silence."""
    story = silo()
    declare(story, "mixingRule", "fifo; heel=much; record=r; by=qa")
    answer = asked(story)
    assert E in items(answer)
    assert "rule_unreadable" in answer.warnings


@pytest.mark.parametrize("distrusted", ["fifo", "urn:validation:7", SILO])
def test_case_may_distrust_a_rule(distrusted: str) -> None:
    """By name, record or place: where the vessel is what is suspected."""
    story = silo()
    declare(story, "mixingRule", f"fifo; {RECORD}")
    assert E not in items(asked(story))
    assert E in items(asked(story, distrusted=(distrusted,)))


def test_declared_mixed_gives_every_output_its_share() -> None:
    """20 of 40 are bad: half of each."""
    story = silo()
    declare(story, "mixingRule", f"mixed; {RECORD}")
    scope = Asked(story, Seed(item=A))
    assert scope.content(scope.find(E, "output")) == ("10", "10")


@pytest.mark.parametrize("hazard", [Hazard.MICROBE, Hazard.ALLERGEN, Hazard.FRAGMENT, Hazard.UNKNOWN])
def test_declared_mixed_makes_certain_also_what_spreads(hazard: Hazard) -> None:
    """Every output drawn while bad stock is in holds some: the rule excludes nothing, so it holds for every class."""
    for text, status in ((f"mixed; {RECORD}", "certain"), (None, "possible")):
        story = silo()
        if text is not None:
            declare(story, "mixingRule", text)
        scope = Asked(story, Seed(item=A), hazard=hazard)
        assert {scope.status(scope.find(item, "output")) for item in (C, D, E)} == {status}
        assert [one.rule for one in scope.scope.answer().declared] == ([] if text is None else ["mixed"])


def test_nothing_is_certain_of_a_mixed_run_whose_kill_step_passed() -> None:
    """C is touched on the line by what ran before it; of what it was made of nothing is alive."""
    story = Chronicle()
    story.make({A: 20}, at(1, "05:00"))
    step(story, "06:00", inputs={A: 10}, outputs={D: 10}, run=None)
    step(story, "08:00", inputs={A: 10}, outputs={C: 10}, run=None, disposition="conformant")
    declare(story, "mixingRule", f"mixed; {RECORD}")
    declare(story, "killStep", f"Salmonella; {RECORD}")
    scope = Asked(story, Seed(item=A), hazard=Hazard.MICROBE, agent="Salmonella")
    assert scope.content(scope.find(C, "output")) == ("0", "10")
    assert scope.status(scope.find(C, "output")) == "possible"


@pytest.mark.parametrize("minute", ["07:45", "08:15"])
def test_declared_mixed_makes_nothing_certain_where_two_clocks_do_not_tell_what_was_in(minute: str) -> None:
    """A goes in by the carrier's clock about when the mill draws C: C may hold none, or half; D has its share."""
    story = Chronicle()
    for item in (A, B):
        story.make({item: 20}, at(1, "05:00"))
    step(story, "06:00", inputs={B: 20})
    step(story, minute, inputs={A: 20}, member="carrier")
    step(story, "08:00", outputs={C: 10})
    step(story, "10:00", outputs={D: 10})
    for member in ("mill", "carrier"):
        declare(story, "mixingRule", f"mixed; {RECORD}", member=member)
    scope = Asked(story, Seed(item=A))
    assert scope.content(scope.find(C, "output")) == ("0", "10")
    assert scope.status(scope.find(C, "output")) == "possible"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (None, {C}),
        (f"5 KGM; {RECORD}", {C, D}),
        (f"11 KGM; {RECORD}", {C, D, E}),
        (f"60 MIN; {RECORD}", {C, D}),
        (f"0 MIN; {RECORD}", {C}),
    ],
)
def test_chemical_is_carried_over_as_far_as_its_site_declares(text: str | None, found: set[str]) -> None:
    """A runs at 8, then B's 10 kg at 9 and at 10 on the same line."""
    story = Chronicle()
    story.make({A: 10}, at(1, "05:00"))
    story.make({B: 20}, at(1, "05:00"))
    step(story, "08:00", inputs={A: 10}, outputs={C: 10}, run=None)
    step(story, "09:00", inputs={B: 10}, outputs={D: 10}, run=None)
    step(story, "10:00", inputs={B: 10}, outputs={E: 10}, run=None)
    if text is not None:
        declare(story, "carryOver", text)
    assert items(asked(story, hazard=Hazard.CHEMICAL)) == found
    assert items(asked(story)) == {C}


@pytest.mark.parametrize(
    ("agent", "disposition", "excluded"),
    [("salmonella", "conformant", True), ("Bacillus", "conformant", False), ("Salmonella", None, False)],
)
def test_declared_kill_step_ends_its_agents_in_runs_that_passed(
    agent: str, disposition: str | None, excluded: bool
) -> None:
    """By the name of the agent, and by this very run's record."""
    story = Chronicle()
    story.make({A: 10}, at(1, "05:00"))
    step(story, "08:00", inputs={A: 10}, outputs={C: 10}, run=None, disposition=disposition)
    declare(story, "killStep", f"Salmonella, Listeria; {RECORD}")
    answer = asked(story, hazard=Hazard.MICROBE, agent=agent)
    assert (C not in items(answer)) is excluded
    assert [one.rule for one in answer.declared] == ["kill_step"]


@pytest.mark.parametrize(
    ("topic", "text"),
    [
        (Topic.MIXING, "fifo"),
        (Topic.MIXING, "fifo; record=r"),
        (Topic.MIXING, f"lifo; {RECORD}"),
        (Topic.MIXING, f"mixed; heel=5 KGM; {RECORD}"),
        (Topic.MIXING, f"fifo; heel=-5 KGM; {RECORD}"),
        (Topic.MIXING, f"fifo; heel; {RECORD}"),
        (Topic.MIXING, f"fifo; {RECORD}; by=another"),
        (Topic.MIXING, f"fifo; {RECORD}; from=2026-02-30"),
        (Topic.MIXING, f"fifo; {RECORD}; to=2026-02-03T10:00:00"),
        (Topic.CARRY_OVER, f"long; {RECORD}"),
        (Topic.CARRY_OVER, f"-5 MIN; {RECORD}"),
        (Topic.KILL_STEP, f" , ; {RECORD}"),
    ],
)
def test_rule_that_is_not_one_is_refused(topic: Topic, text: str) -> None:
    """Whoever misspells a rule must not have another."""
    with pytest.raises(ValueError, match=r"."):
        read_rule(topic, text)


def test_example_of_the_page_is_entered_and_read() -> None:
    """docs/scope.md names it."""
    prepared = prepare(
        EXAMPLE.read_bytes(),
        member=MemberId("mill"),
        network_id=Digest(b"n" * 32),
        now_ms=1_772_600_000_000,
        known=type("Known", (), {"find_known_event": lambda *_: None})(),
    )
    (signed,) = prepared.transactions
    records = [record for raw in decode_capture(signed.transaction.payload).vocabulary for record in read_master(raw)]
    rules = [read_rule(Topic(name), text).rule for record in records for name, text in record.attributes]
    assert sorted(rules) == ["carry_over", "fifo", "kill_step"]
    assert all("/254/" in record.id for record in records)
    assert json.loads(EXAMPLE.read_bytes())["epcisBody"]["eventList"] == []
