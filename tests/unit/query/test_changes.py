"""node/query/changes: what moved between two answers."""

from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from node.cli.diff import command
from node.lineage.answer import Answer
from node.lineage.hazards import Hazard
from node.lineage.scope import compute_scope
from node.lineage.scope_answer import ScopeAnswer
from node.lineage.scope_question import ScopeQuestion, Seed
from node.query.changes import diff_answers, read_answer, render_changes
from node.query.service import TraceBoth
from tests.support.chronicle import Chronicle
from tests.support.events import at, lot, place

FLOUR, BREAD = lot("1", "F"), lot("2", "B")


def build_story() -> tuple[Chronicle, Answer, ScopeAnswer]:
    story = Chronicle()
    story.make({FLOUR: 100}, at(1, "08:00"))
    story.run({FLOUR: 60}, {BREAD: 60}, at(1, "10:00"))
    return story, story.forward(FLOUR), scope(story)


def scope(story: Chronicle) -> ScopeAnswer:
    return compute_scope(story.index(), ScopeQuestion((Seed(item=FLOUR),), Hazard.ORIGIN))


def test_later_entry_shows_what_it_moved_in_trace_and_scope() -> None:
    """A shipment that is entered later adds a holder; a void takes the bread out."""
    story, before, scope_before = build_story()
    story.ship({BREAD: 20}, at(1, "12:00"), to=2)
    changes = diff_answers(before, story.forward(FLOUR))
    assert changes.same_question
    moved = {(one.kind, one.name): (one.before, one.after) for one in changes.changes}
    assert moved["holder", f"{BREAD} at {place(2)}"] == (None, "in_transit, 20 kg")
    assert moved["holder", f"{BREAD} at {place(1)}"] == ("held, 60 kg", "held, 40 kg")
    assert moved["unknown", f"{BREAD}: not_received"][0] is None
    assert not any(one.kind == "lot" for one in changes.changes)
    lines = list(render_changes(diff_answers(scope_before, scope(story))))
    assert any(line.startswith("+ holder") for line in lines)
    assert any(line.startswith("~ holder") for line in lines)
    story.void(story.rows[1].event, at(2, "08:00"))
    voided = diff_answers(scope_before, scope(story))
    assert any(one.name == BREAD or place(1) in one.name for one in voided.changes)


def test_a_correction_moves_answers_and_known_at_shows_the_earlier_one() -> None:
    """A wrong shipment is voided and told anew: lots and holders that it moved are listed, and the past stays."""
    story, _before, _scope = build_story()
    wrong = story.ship({BREAD: 20}, at(1, "12:00"), to=2, event_id="urn:x:1")
    mixed = lot("3", "M")
    story.run({BREAD: 10}, {mixed: 10}, at(1, "13:00"), at=1)
    height = len(story.rows)
    before = story.forward(FLOUR)
    story.void(wrong, at(2, "08:00"))
    story.ship({BREAD: 20}, at(1, "12:00"), to=3)
    after = story.forward(FLOUR)
    moved = {one.name: (one.before, one.after) for one in diff_answers(before, after).changes}
    assert moved[f"{BREAD} at {place(2)}"] == ("in_transit, 20 kg", None)
    assert moved[f"{BREAD} at {place(3)}"] == (None, "in_transit, 20 kg")
    assert story.forward(FLOUR, known_at=height).digest == before.digest
    assert diff_answers(before, story.forward(FLOUR, known_at=height)).changes == ()


def test_lots_that_came_in_or_went_out_are_listed() -> None:
    """A run that was entered later, and one that was voided."""
    story, before, _scope = build_story()
    story.run({FLOUR: 20}, {lot("2", "C"): 20}, at(1, "14:00"), event_id="urn:x:2")
    more = story.forward(FLOUR)
    assert [(one.kind, one.name) for one in diff_answers(before, more).changes if one.kind == "lot"] == [
        ("lot", lot("2", "C"))
    ]
    story.void(story.rows[2].event, at(2, "08:00"))
    gone = diff_answers(more, story.forward(FLOUR))
    assert {one.name for one in gone.changes if one.kind == "lot" and one.after is None} >= {lot("2", "C")}


def test_both_ways_compare_with_both_ways() -> None:
    """Each change says in which of them."""
    story, before, _scope = build_story()
    one = TraceBoth("both", 2, story.back(BREAD), story.forward(BREAD))
    story.ship({BREAD: 20}, at(1, "12:00"), to=2)
    two = TraceBoth("both", 3, story.back(BREAD), story.forward(BREAD))
    changes = diff_answers(one, two)
    assert changes.same_question
    assert any("forward, in_transit" in str(change.after) for change in changes.changes)
    with pytest.raises(ValueError, match="nor one direction with both"):
        diff_answers(before, two)
    assert read_answer(msgspec.json.encode(one)) == one


def test_equal_answers_have_no_difference() -> None:
    """By their digests."""
    _story, before, scope_before = build_story()
    assert list(render_changes(diff_answers(before, before))) == ["Nothing moved: the digests are equal."]
    assert diff_answers(scope_before, scope_before).changes == ()


def test_answers_to_two_questions_say_so_and_a_trace_is_no_scope() -> None:
    """What compares is said first."""
    story, before, scope_before = build_story()
    assert next(iter(render_changes(diff_answers(before, story.forward(BREAD))))).startswith("These answers")
    with pytest.raises(ValueError, match="does not compare"):
        diff_answers(before, scope_before)


def test_command_reads_what_the_others_wrote(tmp_path: Path) -> None:
    """Files of `--json`; what is none is refused by name."""
    story, before, _scope = build_story()
    story.ship({BREAD: 20}, at(1, "12:00"), to=2)
    one, two, bad = (str(tmp_path / name) for name in ("a.json", "b.json", "bad.json"))
    Path(one).write_bytes(msgspec.json.encode(before))
    Path(two).write_bytes(msgspec.json.encode(story.forward(FLOUR)))
    Path(bad).write_bytes(b"{}")
    runner = CliRunner()
    result = runner.invoke(command, [one, two])
    assert result.exit_code == 0
    assert "\n+ holder" in result.output
    as_json = runner.invoke(command, [one, two, "--json"])
    assert msgspec.json.decode(as_json.output)["same_question"] is True
    refused = runner.invoke(command, [one, bad])
    assert refused.exit_code == 2
    assert "bad.json is no answer" in refused.output
