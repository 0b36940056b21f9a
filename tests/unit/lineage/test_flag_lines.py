"""Runs and cleanings of one line: what cannot both be, and what is ordinary."""

import pytest

from node.epcis.model import Action, Event, EventType, Interval
from node.lineage.facts import open_facts
from node.lineage.flag_model import Flag, FlagSettings
from node.lineage.flags import flags_of_item, flags_of_run
from node.lineage.readings import Readings
from tests.support.chronicle import Chronicle, Time
from tests.support.events import Amounts, at, build_event, build_row, lot, place
from tests.support.memory_index import MemoryIndex

MILK, CURD, WHEY = lot("1", "M"), lot("2", "C"), lot("2", "W")
LINE, OTHER_LINE = f"{place(1)}/254/1", f"{place(1)}/254/2"
NAME = "urn:run:1"
LATER = at(40, "00:00")


def clean(told: Chronicle, when: Time, *, passed: bool | None = True, line: str | None = LINE, **more: str) -> Event:
    word = {True: "conformant", False: "non_conformant", None: None}[passed]
    event = build_event(
        EventType.OBJECT, when, action=Action.OBSERVE, goods=["urn:machine:1"], step=more.get("step", "cleaning"),
        disposition=word, read_point=line, location=place(1), event_id=more.get("event_id"),
    )  # fmt: skip
    return told.add(event, member=more.get("member"))


def run(
    told: Chronicle, taken: Amounts, given: Amounts, when: Time, *, name: str | None = NAME, line: str | None = LINE,
    member: str | None = None,
) -> None:  # fmt: skip
    event = build_event(
        EventType.TRANSFORMATION, when, inputs=taken, outputs=given, read_point=line, location=place(1), run=name
    )
    told.add(event, member=member)


def found(told: Chronicle | MemoryIndex, item: str | None = None) -> dict[str, Flag]:
    """What the run, or the item, is flagged for."""
    reader = told.index() if isinstance(told, Chronicle) else told
    facts = open_facts(reader, Readings(), as_of_ms=None, known_at=reader.height)
    if item is None:
        flags = flags_of_run(NAME, facts, FlagSettings(), now_ms=LATER).flags
    else:
        flags = flags_of_item(item, facts, FlagSettings(), now_ms=LATER).flags
    return {flag.code: flag for flag in flags if flag.code in ("run_across_cleaning", "used_dirty")}


def across(**cleaning: object) -> Chronicle:
    told = Chronicle()
    run(told, {MILK: 100}, {}, at(1, "08:00"))
    clean(told, at(1, "10:00"), **cleaning)  # type: ignore[arg-type]  # The names are those of `clean`.
    run(told, {}, {CURD: 100}, at(1, "12:00"))
    return told


def test_goods_that_were_in_a_line_while_it_was_cleaned_are_flagged() -> None:
    """The flag names input, cleaning and output, and is found by the goods."""
    flag = found(across())["run_across_cleaning"]
    assert [ref.height for ref in flag.refs] == [1, 2, 3]
    assert flag.items == (MILK, CURD)
    assert flag.parties == (f"the party at {place(1)}",)


@pytest.mark.parametrize(
    "cleaning",
    [{"passed": None}, {"passed": False}, {"line": OTHER_LINE}, {"line": None}, {"step": "inspecting"}],
    ids=["not verified", "failed", "another line", "the site", "no cleaning"],
)
def test_only_a_verified_cleaning_of_the_very_line_tells(cleaning: dict[str, object]) -> None:
    """Of one that names the site alone nobody knows that it was this line."""
    assert "run_across_cleaning" not in found(across(**cleaning))


def test_run_that_was_filled_anew_after_the_cleaning_is_not_flagged() -> None:
    """What came out then may be of that."""
    told = across()
    run(told, {MILK: 50}, {}, at(1, "11:00"))
    assert found(told) == {}


def test_run_before_a_cleaning_and_one_after_it_are_ordinary() -> None:
    """So is a run of one event, of whatever time."""
    told = Chronicle()
    run(told, {MILK: 100}, {}, at(1, "08:00"))
    run(told, {}, {CURD: 100}, at(1, "09:00"))
    clean(told, at(1, "10:00"))
    assert found(told) == {}
    run(told, {MILK: 100}, {WHEY: 100}, at(1, "12:00"), name=None)
    assert found(told, WHEY) == {}


def test_times_that_do_not_tell_flag_nothing() -> None:
    """A date, two clocks within their tolerance, and an output of which nobody says that it came off the line."""
    dated = Chronicle()
    run(dated, {MILK: 100}, {}, at(1, "08:00"))
    clean(dated, Interval(at(1, "00:00"), at(1, "23:59")))
    run(dated, {}, {CURD: 100}, at(1, "12:00"))
    assert found(dated) == {}
    near = Chronicle()
    run(near, {MILK: 100}, {}, at(1, "08:00"), member="lab")
    clean(near, at(1, "08:20"))
    run(near, {}, {CURD: 100}, at(1, "12:00"))
    assert found(near) == {}
    off = Chronicle()
    run(off, {MILK: 100}, {}, at(1, "08:00"))
    clean(off, at(1, "10:00"))
    run(off, {}, {CURD: 100}, at(1, "12:00"), line=None)
    assert found(off) == {}


def test_output_long_after_the_cleaning_is_not_looked_at() -> None:
    """A week is as far as a cleaning is looked for."""
    told = Chronicle()
    run(told, {MILK: 100}, {}, at(1, "08:00"))
    clean(told, at(1, "10:00"))
    run(told, {}, {CURD: 100}, at(8, "10:00"))
    assert set(found(told)) == {"run_across_cleaning"}
    told.rows.pop()
    run(told, {}, {CURD: 100}, at(8, "10:01"))
    assert found(told) == {}


def test_equipment_that_cleanings_name_is_no_goods() -> None:
    """It has no source, and may be cleaned at two places; of what is seen otherwise, too, that is asked."""
    told = Chronicle()
    clean(told, at(1, "08:00"))
    clean(told, at(2, "08:00"), line=f"{place(2)}/254/1", passed=None)
    facts = open_facts(told.index(), Readings(), as_of_ms=None, known_at=told.index().height)
    assert flags_of_item("urn:machine:1", facts, FlagSettings(), now_ms=LATER).flags == ()
    told.see("urn:machine:1", at(3, "08:00"))
    facts = open_facts(told.index(), Readings(), as_of_ms=None, known_at=told.index().height)
    assert flags_of_item("urn:machine:1", facts, FlagSettings(), now_ms=LATER).flags != ()


def dirty(**more: object) -> Chronicle:
    told = Chronicle()
    clean(told, at(1, "08:00"), passed=False, event_id="urn:uuid:1")
    run(told, {MILK: 100}, {CURD: 100}, at(1, "12:00"), name=None, **more)  # type: ignore[arg-type]  # As above.
    return told


def test_line_that_is_used_after_its_cleaning_failed_is_flagged() -> None:
    """Of a run of one event the flag is its first output's; of a named one the run's."""
    flag = found(dirty(), CURD)["used_dirty"]
    assert [ref.height for ref in flag.refs] == [2, 1]
    named = Chronicle()
    clean(named, at(1, "08:00"), passed=False)
    run(named, {MILK: 100}, {}, at(1, "09:00"))
    run(named, {}, {CURD: 100}, at(1, "12:00"))
    assert set(found(named)) == {"used_dirty"}


def test_verified_cleaning_that_may_lie_between_ends_it() -> None:
    """Of the line, or of all its site; one after the run does not, nor one of another line."""
    for when, line, is_flagged in (
        (at(1, "10:00"), LINE, False),
        (at(1, "10:00"), None, False),
        (at(1, "10:00"), OTHER_LINE, True),
        (at(1, "07:00"), LINE, True),
        (at(1, "13:00"), LINE, True),
        (Interval(at(1, "00:00"), at(1, "23:59")), LINE, False),
    ):
        told = dirty()
        clean(told, when, line=line)
        assert ("used_dirty" in found(told, CURD)) is is_flagged, when


def test_failed_cleaning_of_another_line_or_long_ago_or_within_the_clocks_flags_nothing() -> None:
    """And one that its member declared void."""
    assert found(dirty(line=OTHER_LINE), CURD) == {}
    assert found(dirty(line=None), CURD) == {}
    told = Chronicle()
    clean(told, at(1, "08:00"), passed=False)
    run(told, {MILK: 100}, {CURD: 100}, at(8, "08:01"), name=None)
    assert found(told, CURD) == {}
    near = Chronicle()
    clean(near, at(1, "08:00"), passed=False, member="lab")
    run(near, {MILK: 100}, {}, at(1, "08:30"))
    run(near, {}, {CURD: 100}, at(1, "12:00"), member="lab")
    assert found(near) == {}
    near.rows[1] = build_row(near.rows[1].event, 2, member="lab")
    assert set(found(near)) == {"used_dirty"}
    void = dirty()
    void.void(void.rows[0].event, at(1, "14:00"))
    assert found(void, CURD) == {}


def test_strangers_word_makes_no_line_dirty_and_no_run_odd() -> None:
    """Only a member that entered an event of the run tells of its line; that it was cleaned anybody may say."""
    assert found(across(member="rival")) == {}
    told = Chronicle()
    clean(told, at(1, "08:00"), passed=False, member="rival")
    run(told, {MILK: 100}, {CURD: 100}, at(1, "12:00"), name=None)
    assert found(told, CURD) == {}
    cleaned = dirty()
    clean(cleaned, at(1, "10:00"), member="contractor")
    assert found(cleaned, CURD) == {}


def test_counter_statement_of_a_cleaning_or_of_a_named_runs_event_sets_the_flag_aside() -> None:
    """By another member: two statements stand. Its own member's declaration closes the flag."""
    told = across(event_id="urn:uuid:1")
    assert not found(told)["run_across_cleaning"].is_countered
    told.void(told.rows[1].event, at(2, "08:00"), member="rival")
    assert found(told)["run_across_cleaning"].is_countered
    told.void(told.rows[1].event, at(2, "08:00"))
    assert found(told) == {}
    failed = dirty()
    failed.void(failed.rows[0].event, at(2, "08:00"), member="rival")
    assert found(failed, CURD)["used_dirty"].is_countered
    named = Chronicle()
    given = build_event(
        EventType.TRANSFORMATION, at(1, "12:00"), outputs={CURD: 100}, read_point=LINE, location=place(1), run=NAME,
        event_id="urn:uuid:2",
    )  # fmt: skip
    run(named, {MILK: 100}, {}, at(1, "08:00"))
    clean(named, at(1, "10:00"))
    named.add(given)
    named.void(given, at(2, "08:00"), member="rival")
    assert found(named)["run_across_cleaning"].is_countered


def test_lines_are_flagged_alike_in_any_order_of_arrival() -> None:
    """The same flags by their ids."""
    told = across()
    clean(told, at(1, "07:00"), passed=False)
    wanted = {code: flag.id for code, flag in found(told).items()}
    assert set(wanted) == {"run_across_cleaning", "used_dirty"}
    for seed in range(6):
        assert {code: flag.id for code, flag in found(told.shuffled(seed)).items()} == wanted
