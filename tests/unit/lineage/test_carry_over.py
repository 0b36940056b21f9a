"""node/lineage/carry_over.py: how far what a site declares is carried over, and what counts as rinsed."""

import pytest

from node.epcis.model import EventType, MasterKind, MasterRecord
from node.lineage.hazards import Hazard
from node.lineage.scope_question import Seed
from tests.support.chronicle import Chronicle
from tests.support.events import at, build_event, lot, place
from tests.support.memory_index import build_master
from tests.support.scopes import Asked

BAD, CLEAN = lot("1", "BAD"), lot("1", "CLEAN")
FIRST, NEXT, LAST = (lot("2", code) for code in ("FIRST", "NEXT", "LAST"))
LINE = f"{place(1)}/254/1"
RECORD = "record=urn:validation:7; by=qa"


def declare(story: Chronicle, text: str, *, member: str = "mill") -> None:
    record = MasterRecord(MasterKind.LOCATION, LINE, (("carryOver", text),))
    story.masters.append(build_master(record, 1, member=member))


def works(text: str) -> Chronicle:
    """BAD runs at 8 o'clock on a line of which this is declared."""
    story = Chronicle()
    for item in (BAD, CLEAN):
        story.make({item: 1000}, at(1, "01:00"))
    declare(story, f"{text}; {RECORD}")
    run(story, BAD, FIRST, "08:00")
    return story


def run(
    story: Chronicle,
    inputs: str,
    outputs: str,
    hour: str,
    *,
    member: str = "mill",
    event_id: str | None = None,
    location: str = place(1),
    line: str | None = LINE,
) -> None:
    event = build_event(
        EventType.TRANSFORMATION,
        at(1, hour),
        inputs={inputs: 10},
        outputs={outputs: 10},
        read_point=line,
        location=location,
        event_id=event_id,
    )
    story.add(event, member=member)


def reached(story: Chronicle) -> set[str]:
    return {one.item for one in Asked(story, Seed(item=BAD), hazard=Hazard.CHEMICAL).scope.reached}


@pytest.mark.parametrize(
    ("hour", "member", "is_reached"),
    [
        ("08:30", "mill", True),
        ("08:31", "mill", False),
        ("09:00", "carrier", True),
        ("09:01", "carrier", False),
    ],
)
def test_window_of_a_carry_over_ends_by_the_clock_of_who_told_of_the_next_run(
    hour: str, member: str, is_reached: bool
) -> None:
    """30 minutes by one clock; another may be half an hour ahead of it."""
    story = works("30 MIN")
    run(story, CLEAN, NEXT, hour, member=member)
    assert (NEXT in reached(story)) is is_reached


def test_run_that_was_declared_void_rinsed_nothing() -> None:
    """Nor did the declaration."""
    for is_void in (False, True):
        story = works("10 KGM")
        run(story, CLEAN, NEXT, "09:00", event_id="urn:uuid:9")
        if is_void:
            story.void(story.rows[-1].event, at(2, "08:00"))
        run(story, CLEAN, LAST, "10:00")
        assert (LAST in reached(story)) is is_void


@pytest.mark.parametrize("member", ["mill", "carrier"])
def test_run_that_was_told_twice_rinsed_once(member: str) -> None:
    """By two witnesses, or by one under two ids."""
    story = works("20 KGM")
    run(story, CLEAN, NEXT, "09:00", event_id="urn:uuid:1")
    run(story, CLEAN, NEXT, "09:00", event_id="urn:uuid:2", member=member)
    run(story, CLEAN, LAST, "10:00")
    assert LAST in reached(story)


@pytest.mark.parametrize(
    ("member", "location", "is_reached"),
    [("mill", place(1), False), ("carrier", place(1), True), ("mill", f"{place(1)}/254/2", True)],
)
def test_rinse_counts_by_the_word_of_who_declares_it_and_on_that_line_alone(
    member: str, location: str, is_reached: bool
) -> None:
    """Nobody else's word narrows; what names a second line may have come off that."""
    story = works("10 KGM")
    run(story, CLEAN, NEXT, "09:00", member=member, location=location)
    run(story, CLEAN, LAST, "10:00")
    assert (LAST in reached(story)) is is_reached


@pytest.mark.parametrize(
    ("hour", "rinsed", "member", "is_reached"),
    [("10:00", "09:40", "mill", False), ("10:00", "09:40", "carrier", True), ("10:11", "09:40", "carrier", False)],
)
def test_rinse_is_before_the_next_run_only_if_both_clocks_say_so(
    hour: str, rinsed: str, member: str, is_reached: bool
) -> None:
    """10 kg came off in between, unless the next was first."""
    story = works("10 KGM")
    run(story, CLEAN, NEXT, rinsed)
    run(story, CLEAN, LAST, hour, member=member)
    assert (LAST in reached(story)) is is_reached


@pytest.mark.parametrize("text", ["10 KGM", "30 MIN"])
def test_what_a_carry_over_does_not_reach_is_excluded_by_it(text: str) -> None:
    """With whose rule it is."""
    story = works(text)
    run(story, CLEAN, NEXT, "09:00")
    run(story, CLEAN, LAST, "10:00")
    answer = Asked(story, Seed(item=BAD), hazard=Hazard.CHEMICAL).scope.answer()
    (excluded,) = [one for one in answer.excluded if one.item == LAST]
    assert excluded.reason == "carry_over"
    assert excluded.rule is not None
    rule = answer.declared[excluded.rule]
    assert (rule.rule, rule.place, rule.by) == ("carry_over", LINE, "qa")


@pytest.mark.parametrize(
    ("text", "distrusted", "warning"),
    [
        (f"5 kg; {RECORD}", (), "rule_unreadable"),
        (f"10 KGM; {RECORD}", ("carry_over",), None),
        (f"10 KGM; {RECORD}", ("urn:validation:7",), None),
    ],
)
def test_carry_over_in_doubt_goes_as_far_as_the_next_cleaning(
    text: str, distrusted: tuple[str, ...], warning: str | None
) -> None:
    """It widens a scope: to drop it, as any other rule in doubt, would leave goods out."""
    story = works("10 KGM")
    declare(story, text)
    run(story, CLEAN, NEXT, "09:00")
    run(story, CLEAN, LAST, "12:00")
    asked = Asked(story, Seed(item=BAD), hazard=Hazard.CHEMICAL, distrusted=distrusted)
    assert {NEXT, LAST} <= {one.item for one in asked.scope.reached}
    assert warning is None or warning in asked.scope.answer().warnings


def test_carry_over_that_members_of_one_run_declare_differently_goes_to_the_next_cleaning() -> None:
    """The mill says 10 kg, the carrier 20: neither bounds what both told of."""
    story = works("10 KGM")
    declare(story, f"20 KGM; {RECORD}", member="carrier")
    for inputs, outputs, hour, member in ((BAD, None, "08:10", "mill"), (None, FIRST, "08:20", "carrier")):
        event = build_event(
            EventType.TRANSFORMATION, at(1, hour), inputs={} if inputs is None else {inputs: 10},
            outputs={} if outputs is None else {outputs: 10}, read_point=LINE, location=place(1), run="r1",
        )  # fmt: skip
        story.add(event, member=member)
    for number in range(9, 13):
        run(story, CLEAN, NEXT, f"{number:02d}:00")
    run(story, CLEAN, LAST, "13:00")
    asked = Asked(story, Seed(item=BAD), hazard=Hazard.CHEMICAL)
    assert LAST in {one.item for one in asked.scope.reached}
    assert "rules_differ" in asked.scope.answer().warnings


def test_carry_over_counts_for_a_run_that_another_member_told_of() -> None:
    """Nobody else's word narrows a scope; this one widens it."""
    story = Chronicle()
    for item in (BAD, CLEAN):
        story.make({item: 1000}, at(1, "01:00"))
    declare(story, f"60 MIN; {RECORD}")
    run(story, BAD, FIRST, "08:00", member="carrier")
    run(story, CLEAN, NEXT, "08:30", member="carrier")
    assert NEXT in reached(story)


def test_carry_over_of_a_line_is_open_after_a_run_that_names_no_line() -> None:
    """It may have been on that line; and a run of two lines is on the one that declares."""
    for line, location, status in ((None, place(1), "possible, open"), (LINE, f"{place(1)}/254/2", "possible")):
        story = Chronicle()
        for item in (BAD, CLEAN):
            story.make({item: 1000}, at(1, "01:00"))
        declare(story, f"60 MIN; {RECORD}")
        run(story, BAD, FIRST, "08:00", line=line, location=location)
        run(story, CLEAN, NEXT, "08:30")
        asked = Asked(story, Seed(item=BAD), hazard=Hazard.CHEMICAL)
        assert asked.status(asked.find(NEXT, "output")) == status
