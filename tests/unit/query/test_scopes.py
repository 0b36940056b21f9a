"""node/query/scopes and scope_text: a scope as it is asked for, and as people read it."""

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import pytest

from node.epcis.model import Action, EventType, MasterKind, MasterRecord
from node.errors import RequestError
from node.lineage.reader import LineageReader
from node.lineage.trace import Direction
from node.query.errors import UnknownHeightError, UnknownItemError, UnknownRuleError, UnknownSeedError
from node.query.scope_text import render_scope
from node.query.scopes import ScopeRequest, SeedRequest, read_request
from node.query.service import QueryService
from tests.support.chronicle import Chronicle
from tests.support.events import at, build_event, lot, place
from tests.support.memory_index import build_master

FLOUR, BREAD, CAKE = lot("1", "F"), lot("2", "B"), lot("3", "C")


def build_story() -> Chronicle:
    story = Chronicle()
    story.name_place(1, 7)
    story.make({FLOUR: 100}, at(1, "08:00"))
    story.run({FLOUR: 60}, {BREAD: 60}, at(1, "10:00"), name="urn:run:1")
    story.ship({BREAD: 20}, at(1, "12:00"), to=2)
    story.make({CAKE: 5}, at(1, "07:00"))
    return story


def service(story: Chronicle) -> QueryService:
    @contextmanager
    def open_reader() -> Iterator[LineageReader]:
        yield story.index()

    return QueryService(open_reader)


def request(text: str) -> ScopeRequest:
    return msgspec.json.decode(text, type=ScopeRequest)


def test_scope_is_asked_for_by_item_event_run_or_holder() -> None:
    """Each finds the bread."""
    story = build_story()
    made = f"{story.rows[0].transaction_id.hex()}:0"
    seeds = (
        f'{{"item": "{FLOUR}"}}',
        f'{{"item": "{FLOUR}", "event": "{made}"}}',
        '{"run": "urn:run:1"}',
        f'{{"holder": "{place(1)}", "from": "2026-01-05T07:30:00Z", "to": "2026-01-05T09:00:00Z"}}',
    )
    for seed in seeds:
        answer = service(story).scope(request(f'{{"seeds": [{seed}], "hazard": "origin"}}'))
        assert BREAD in {one.item for one in answer.portions}, seed
        assert answer.set_status == "certain"


def test_answer_names_events_by_their_place_and_has_one_digest_for_the_same_facts() -> None:
    """The events of an answer can be asked for; arrival order changes their names and not the digest."""
    story = build_story()
    asked = request(f'{{"seeds": [{{"item": "{FLOUR}"}}]}}')
    answer = service(story).scope(asked)
    names = {f"{row.transaction_id.hex()}:0" for row in story.rows}
    assert {one.event for one in answer.portions} <= names
    assert {event for one in answer.portions for event in one.because} <= names
    shuffled = Chronicle()
    shuffled.rows = list(story.shuffled(3).iterate_events())
    shuffled.masters = story.masters
    other = service(shuffled).scope(asked)
    assert other.digest == answer.digest
    assert {one.event for one in other.portions}.isdisjoint(names)


@pytest.mark.parametrize(
    ("seed", "code", "field"),
    [
        (f'{{"item": "{FLOUR}", "from": "2026-01-05T07:30:00Z"}}', "invalid_params", "params.seeds[0]"),
        ("{}", "invalid_params", "params.seeds[0]"),
        ('{"item": "x", "run": "y"}', "invalid_params", "params.seeds[0]"),
        ('{"run": "y", "event": "z"}', "invalid_params", "params.seeds[0]"),
        ('{"item": "x", "event": "z"}', "invalid_params", "params.seeds[0].event"),
        (f'{{"item": "x", "event": "{"0" * 64}:0"}}', "not_found", "params.seeds[0].event"),
        ('{"holder": "p", "from": "yesterday"}', "invalid_params", "params.seeds[0].from"),
        ('{"holder": "p", "to": "2026-01-05T00:00:00"}', "invalid_params", "params.seeds[0].to"),
    ],
)
def test_seed_that_cannot_be_read_is_refused_by_its_field(seed: str, code: str, field: str) -> None:
    """With a stable code."""
    with pytest.raises(RequestError) as caught:
        read_request(request(f'{{"seeds": [{seed}]}}'), build_story().index())
    assert (caught.value.code, caught.value.field) == (code, field)


def test_event_beyond_its_transaction_is_not_found() -> None:
    """A transaction has as many events as it has."""
    story = build_story()
    name = f"{story.rows[0].transaction_id.hex()}:9"
    with pytest.raises(RequestError, match="no event"):
        read_request(request(f'{{"seeds": [{{"item": "{FLOUR}", "event": "{name}"}}]}}'), story.index())


def test_rule_may_name_its_run_by_an_event() -> None:
    """As `event.get` takes it; then it is known by the digest of what it says."""
    story = build_story()
    row = story.rows[1]
    rule = f'{{"run": "{row.transaction_id.hex()}:0", "rule": "mixed", "record": "r", "by": "qa"}}'
    question = read_request(request(f'{{"seeds": [{{"item": "{FLOUR}"}}], "rules": [{rule}]}}'), story.index())
    assert question.rules[0].run == row.event.event_digest.hex()


def test_item_that_no_event_names_and_height_to_come_are_refused() -> None:
    """As by a trace."""
    with pytest.raises(UnknownItemError):
        service(build_story()).scope(request('{"seeds": [{"item": "urn:nothing"}]}'))
    with pytest.raises(UnknownHeightError):
        service(build_story()).scope(request(f'{{"seeds": [{{"item": "{FLOUR}"}}], "height": 99}}'))


def test_scope_in_words_says_sets_amounts_holders_and_questions() -> None:
    """What a quality manager reads first."""
    story = build_story()
    story.receive({BREAD: 30}, at(2, "08:00"), at=2)
    answer = service(story).scope(request(f'{{"seeds": [{{"item": "{FLOUR}"}}], "hazard": "origin"}}'))
    text = "\n".join(render_scope(answer))
    assert "hazard: origin" in text
    assert "certain: must hold it" in text
    assert "Site 1" in text
    assert "not known, most useful question first:" in text
    assert "moved_without_record (high)" in text
    assert answer.digest in text
    few = list(render_scope(answer, listed_max=1))
    assert any("more (--json has all)" in line for line in few)


def test_what_was_known_at_a_time_is_what_the_ledger_held_then() -> None:
    """By the time of the blocks, for scope and trace alike; of a height and a time the earlier counts."""
    story = Chronicle()
    story.make({FLOUR: 100}, at(1, "08:00"))
    story.run({FLOUR: 60}, {BREAD: 60}, at(2, "10:00"))
    for known_at, reached in (("2026-01-05T12:00:00Z", False), ("2026-01-07T00:00:00Z", True)):
        scope = service(story).scope(request(f'{{"seeds": [{{"item": "{FLOUR}"}}], "known_at": "{known_at}"}}'))
        assert (BREAD in {one.item for one in scope.portions}) is reached
    trace = service(story).trace(FLOUR, Direction.FORWARD, known_at_ms=at(1, "12:00"))
    assert {one.id for one in trace.items} == {FLOUR}
    both = request(f'{{"seeds": [{{"item": "{FLOUR}"}}], "known_at": "2026-01-07T00:00:00Z", "height": 1}}')
    assert service(story).scope(both).height == 1


@pytest.mark.parametrize(
    ("seed", "field", "words"),
    [
        ('{"run": "urn:run:nine"}', "params.seeds[0].run", "no run is called urn:run:nine"),
        (f'{{"holder": "{place(9)}"}}', "params.seeds[0].holder", "no event names"),
        (
            f'{{"holder": "{place(1)}", "from": "2020-01-01T00:00:00Z", "to": "2020-01-02T00:00:00Z"}}',
            "params.seeds",
            "was there then",
        ),
    ],
)
def test_a_seed_that_comes_to_nothing_is_refused(seed: str, field: str, words: str) -> None:
    """Mistyped, it would give a recall of nothing, and look like an answer."""
    with pytest.raises(UnknownSeedError, match=words) as caught:
        service(build_story()).scope(request(f'{{"seeds": [{seed}]}}'))
    assert (caught.value.code, caught.value.field) == ("not_found", field)
    assert caught.value.hint


def test_a_mistyped_seed_among_others_is_refused_too() -> None:
    """What it should have named would be missing from the recall."""
    seeds = f'{{"item": "{FLOUR}"}}, {{"run": "zz"}}'
    with pytest.raises(UnknownSeedError) as caught:
        service(build_story()).scope(request(f'{{"seeds": [{seeds}]}}'))
    assert caught.value.field == "params.seeds[1].run"


def test_a_run_that_has_put_out_nothing_points_to_what_it_took_in() -> None:
    """It is known, and there is nothing of it to follow."""
    story = build_story()
    story.run({FLOUR: 5}, {}, at(1, "11:00"), name="urn:run:open")
    with pytest.raises(UnknownSeedError, match="put out nothing"):
        service(story).scope(request('{"seeds": [{"run": "urn:run:open"}]}'))


def test_different_questions_never_share_a_digest() -> None:
    """Though they find the same: the answer holds what was asked."""
    flour = f'{{"item": "{FLOUR}"}}'
    asked = [
        f'{{"seeds": [{flour}], "hazard": "microbe"}}',
        f'{{"seeds": [{flour}], "hazard": "microbe", "resident": true}}',
        f'{{"seeds": [{flour}], "hazard": "microbe", "agent": "Salmonella"}}',
        f'{{"seeds": [{flour}], "hazard": "microbe", "distrusted": ["fifo"]}}',
        f'{{"seeds": [{flour}, {{"run": "urn:run:1"}}], "hazard": "microbe"}}',
        f'{{"seeds": [{flour}, {{"item": "{BREAD}"}}], "hazard": "microbe"}}',
    ]
    answers = [service(build_story()).scope(request(text)) for text in asked]
    assert len({one.digest for one in answers}) == len(asked)
    assert {one.run for one in answers[4].asked.seeds} == {None, "urn:run:1"}


def test_the_same_question_in_another_order_has_the_same_digest() -> None:
    """Seeds are a set."""
    seeds = [f'{{"item": "{FLOUR}"}}', f'{{"item": "{BREAD}"}}']
    one, other = (
        service(build_story()).scope(request(f'{{"seeds": [{", ".join(order)}]}}')).digest
        for order in (seeds, seeds[::-1])
    )
    assert one == other


def test_a_seed_that_comes_to_nothing_beside_others_is_said() -> None:
    """A line that no event names, in a site that is known; naming goods twice is no fault."""
    flour = f'{{"item": "{FLOUR}"}}'
    line = place(1) + "/254/no-such-line"
    answer = service(build_story()).scope(request(f'{{"seeds": [{flour}, {{"holder": "{line}"}}]}}'))
    assert "seed_came_to_nothing" in answer.warnings
    made = f"{build_story().rows[0].transaction_id.hex()}:0"
    twice = f'{{"seeds": [{flour}, {{"item": "{FLOUR}", "event": "{made}"}}]}}'
    assert "seed_came_to_nothing" not in service(build_story()).scope(request(twice)).warnings


@pytest.mark.parametrize("holder", [FLOUR, "(01)00000000000017(10)F", FLOUR.rpartition("/10/")[0]])
def test_an_item_named_as_a_holder_is_refused_as_an_item(holder: str) -> None:
    """It had nothing, and the recall would be empty; beside another seed, too, and by a trace as well."""
    seeds = f'[{{"item": "{FLOUR}"}}, {{"holder": "{holder}"}}]'
    with pytest.raises(RequestError) as caught:
        service(build_story()).scope(request(f'{{"seeds": {seeds}}}'))
    asked = msgspec.json.decode(seeds, type=tuple[SeedRequest, ...])
    with pytest.raises(RequestError) as traced:
        service(build_story()).trace(asked, Direction.FORWARD)
    for error in (caught.value, traced.value):
        assert (error.code, error.field) == ("invalid_params", "params.seeds[1].holder")
        assert "no place or party" in error.message
        assert error.hint == "ask about it as an item"


def test_an_agent_is_of_a_microbe() -> None:
    """With another class it would be passed over, and the asker would take a kill step for counted."""
    for hazard in ("", ', "hazard": "origin"'):
        asked = f'{{"seeds": [{{"item": "{FLOUR}"}}], "agent": "Salmonella"{hazard}}}'
        with pytest.raises(RequestError, match="an agent is a microbe's") as caught:
            service(build_story()).scope(request(asked))
        assert (caught.value.code, caught.value.field) == ("invalid_params", "params.agent")
        assert caught.value.hint == "ask with the hazard microbe, or leave the agent out"


def test_a_distrusted_rule_that_nobody_declares_is_refused() -> None:
    """Mistyped, the very rule that is suspected would be relied on, and the recall be too small."""
    story = build_story()
    text = "fifo; record=urn:validation:7; by=qa"
    story.masters.append(build_master(MasterRecord(MasterKind.LOCATION, place(1), (("mixingRule", text),)), 1))

    def ask(distrusted: str) -> None:
        seeds = f'[{{"item": "{FLOUR}"}}]'
        asked = f'{{"seeds": {seeds}, "hazard": "origin", "distrusted": ["fifo", "{distrusted}"]}}'
        service(story).scope(request(asked))

    for known in ("fifo", "kill_step", "urn:validation:7", place(1), place(1).replace("id.gs1.org", "mill.example")):
        ask(known)
    for unknown in ("nonsense", "urn:validation:8", place(2)):
        with pytest.raises(UnknownRuleError, match=unknown) as caught:
            ask(unknown)
        assert (caught.value.code, caught.value.field) == ("not_found", "params.distrusted[1]")
        assert caught.value.hint is not None
        assert f"fifo at {place(1)}, record urn:validation:7" in caught.value.hint


def test_a_cleaning_of_the_scope_may_be_distrusted_and_no_other() -> None:
    """By its line, its eventID, or all of them by name."""
    story = build_story()
    line = f"{place(1)}/254/1"
    cleaning = build_event(
        EventType.OBJECT, at(2, "20:00"), action=Action.OBSERVE, step="cleaning", disposition="conformant",
        read_point=line, location=place(1), event_id="urn:uuid:9",
    )  # fmt: skip
    story.add(cleaning)

    def ask(distrusted: str) -> None:
        seeds = f'[{{"item": "{FLOUR}"}}]'
        service(story).scope(request(f'{{"seeds": {seeds}, "hazard": "allergen", "distrusted": ["{distrusted}"]}}'))

    for known in ("cleaning", line, "urn:uuid:9"):
        ask(known)
    with pytest.raises(UnknownRuleError):
        ask("urn:uuid:8")
