"""node/lineage/trace, assemble and answer: limits, order, digest, and what every answer keeps to."""

import hashlib
import json

import msgspec
import pytest
from msgspec.structs import replace

from consensus.types import Height
from node.epcis.model import Action, EventType
from node.lineage.answer import Answer, by_content, digest_of
from node.lineage.trace import Direction, Question, trace
from tests.support.chronicle import Chronicle, codes_of, goods_of
from tests.support.events import at, build_event, lot, place, unit

FLOUR, DOUGH, BREAD, CAKE = lot("1", "F1"), lot("2", "D"), lot("3", "B"), lot("4", "C")


def bakery() -> Chronicle:
    """Flour, dough, bread with rework and a cake, packed and shipped."""
    story = Chronicle()
    story.name_place(1, 1)
    story.make({FLOUR: 100}, at(1, "08:00"), event_id="urn:uuid:flour")
    story.run({FLOUR: 60}, {DOUGH: 60}, at(1, "09:00"))
    story.run({DOUGH: 50}, {BREAD: 40, CAKE: 10}, at(1, "10:00"))
    story.run({BREAD: 5, DOUGH: 10}, {DOUGH: 15}, at(1, "11:00"))
    story.pack(unit(1), {BREAD: 35}, at(1, "12:00"))
    story.ship([unit(1)], at(1, "13:00"), to=2)
    story.receive([unit(1)], at(2, "08:00"), at=2)
    return story


def test_depth_limit_is_honoured_and_said() -> None:
    """Never a silent end."""
    answer = bakery().forward(FLOUR, depth_max=1)
    assert goods_of(answer) == {DOUGH}
    assert "depth_limit" in codes_of(answer)
    assert "depth_limit" in codes_of(bakery().back(BREAD, depth_max=1))
    assert "depth_limit" not in codes_of(bakery().forward(FLOUR, depth_max=9))


def test_item_limit_is_honoured_and_said() -> None:
    """With how many links were not followed."""
    answer = bakery().forward(FLOUR, items_max=2)
    assert len(answer.items) == 2
    assert "item_limit" in codes_of(answer)
    assert any("not followed" in warning.message and warning.message[0] != "{" for warning in answer.warnings)
    assert len(bakery().back(BREAD, items_max=2).items) == 2


def test_item_that_no_event_names_is_an_unknown() -> None:
    """An answer of itself alone."""
    answer = bakery().back(lot("9", "none"))
    assert [item.id for item in answer.items] == [lot("9", "none")]
    assert [unknown.reason for unknown in answer.unknowns] == ["never_seen"]
    assert answer.events == ()


def test_item_whose_every_event_was_voided_is_an_unknown() -> None:
    """It is not that nobody named it."""
    story = Chronicle()
    story.void(story.make({FLOUR: 5}, at(1, "08:00"), event_id="urn:uuid:1"), at(2, "08:00"))
    assert [unknown.reason for unknown in story.back(FLOUR).unknowns] == ["making_voided"]


@pytest.mark.parametrize("direction", list(Direction))
@pytest.mark.parametrize("item", [FLOUR, DOUGH, BREAD, CAKE, unit(1)])
def test_same_facts_in_any_order_of_arrival_give_the_same_digest(item: str, direction: Direction) -> None:
    """Places on the ledger are not in what the digest is over."""
    story = bakery()
    asked = Question(item, direction)
    first = trace(story.index(), asked)
    for seed in range(5):
        other = trace(story.shuffled(seed), asked)
        assert other.digest == first.digest
        assert {event.id for event in other.events}.isdisjoint(event.id for event in first.events)


@pytest.mark.parametrize("direction", list(Direction))
def test_whose_report_of_one_event_came_first_never_matters(direction: Direction) -> None:
    """Two members entered the same bytes, without a place: whose it is would else be told by the block."""
    story = Chronicle()
    made = story.add(build_event(EventType.OBJECT, at(1, "08:00"), action=Action.ADD, goods={FLOUR: 9}, event_id="e:1"))
    story.add(made, member="baker")
    story.void(made, at(2, "08:00"))
    story.void(made, at(2, "08:00"), member="baker")
    story.void(made, at(2, "08:00"), member="shop")
    used = build_event(EventType.TRANSFORMATION, at(1, "09:00"), inputs={FLOUR: 5}, outputs={BREAD: 5})
    for member in ("mill", "baker", "shop"):
        story.add(used, member=member)
    for item in (FLOUR, BREAD):
        digests = {trace(story.shuffled(seed), Question(item, direction)).digest for seed in range(12)}
        assert len(digests) == 1


def test_one_altered_event_changes_the_digest() -> None:
    """Even where it changes nothing that the walk reads."""
    story, other = bakery(), bakery()
    altered = Chronicle().make({FLOUR: 100}, at(1, "08:00"), event_id="urn:uuid:flour", note="altered")
    other.rows[0] = replace(other.rows[0], event=altered)
    assert story.forward(FLOUR).digest != other.forward(FLOUR).digest
    assert len(story.forward(FLOUR).items) == len(other.forward(FLOUR).items)


def test_height_is_beside_the_digest() -> None:
    """Two nodes at different heights that know the same facts of an item can be compared."""
    story = bakery()
    before = story.forward(FLOUR)
    story.make({lot("8", "z"): 1}, at(9, "08:00"))
    after = story.forward(FLOUR)
    assert after.height == before.height + 1
    assert after.digest == before.digest


def test_question_is_in_the_digest() -> None:
    """As of another time, or the other way, is another answer even if it lists the same."""
    story = bakery()
    later = story.forward(FLOUR, as_of_ms=at(9, "08:00"))
    assert len({story.forward(FLOUR).digest, later.digest, story.back(FLOUR).digest}) == 3


def test_digest_can_be_checked_from_the_json_alone() -> None:
    """SHA-256 over the domain and the sorted JSON, events named by their digests; no height, digest or flags."""
    answer = json.loads(msgspec.json.encode(bakery().forward(FLOUR)))
    names = {event["id"]: event["digest"] for event in answer["events"]}

    def rename(value: object) -> object:
        if isinstance(value, dict):
            return {key: rename(one) for key, one in value.items()}
        if isinstance(value, list):
            return [rename(one) for one in value]
        return names.get(value, value) if isinstance(value, str) else value

    kept = rename({key: value for key, value in answer.items() if key not in ("height", "digest", "open_flags")})
    canonical = json.dumps(kept, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert hashlib.sha256(b"lotvine/answr/v1" + canonical).hexdigest() == answer["digest"]


def test_sealed_answer_can_be_named_by_content_again() -> None:
    """`by_content` gives what the digest is over."""
    answer = bakery().back(BREAD)
    assert digest_of(by_content(answer)) == answer.digest
    assert by_content(answer).digest == answer.digest


def test_every_name_in_an_answer_resolves() -> None:
    """Edges, holders, unknowns, warnings and reasons speak of items and events that are listed."""
    story = bakery()
    story.receive({CAKE: 3}, at(3, "08:00"), at=5)
    for item in (FLOUR, BREAD, CAKE, unit(1)):
        for answer in (story.back(item), story.forward(item)):
            _check_names(answer)


def test_reason_is_a_shortest_chain() -> None:
    """Each item but the first names the item before it, one edge nearer."""
    answer = bakery().forward(FLOUR)
    depths = {item.id: item.depth for item in answer.items}
    for item in answer.items:
        if item.id == FLOUR:
            assert item.because is None
        else:
            assert item.because is not None
            assert depths[item.because.item] == item.depth - 1


def test_same_question_twice_gives_equal_answers() -> None:
    """Nothing depends on what was asked before."""
    story = bakery()
    assert story.forward(DOUGH) == story.forward(DOUGH)


def test_known_at_above_the_snapshot_is_the_snapshot() -> None:
    """Nobody answers from blocks that are not executed."""
    story = bakery()
    assert story.forward(FLOUR, known_at=Height(10**6)).height == story.index().height


def test_quantities_are_exact_decimals_in_plain_digits() -> None:
    """Text, not floating point: 0.10 is 0.1, 1E+3 is 1000."""
    story = Chronicle()
    story.make({FLOUR: "0.10"}, at(1, "08:00"))
    story.make({BREAD: "1E+3"}, at(1, "08:00"))
    story.make([CAKE], at(1, "08:00"), at=2)
    assert story.forward(FLOUR).items[0].quantity == "0.1"
    assert story.forward(BREAD).items[0].quantity == "1000"
    assert story.forward(CAKE).items[0].quantity is None
    assert story.forward(BREAD).holders[0].place == place(1)


def _check_names(answer: Answer) -> None:
    items = {item.id for item in answer.items}
    events = {event.id for event in answer.events}
    assert {edge.source for edge in answer.edges} | {edge.target for edge in answer.edges} <= items
    assert {holder.item for holder in answer.holders} <= items
    assert {*answer.origins, *answer.destinations} <= items
    named = {edge.event for edge in answer.edges}
    named |= {event for edge in answer.edges for event in (edge.input_event, edge.until_event) if event}
    named |= {holder.event for holder in answer.holders}
    named |= {unknown.event for unknown in answer.unknowns if unknown.event}
    named |= {event for warning in answer.warnings for event in warning.events}
    named |= {item.because.event for item in answer.items if item.because}
    assert named <= events
    assert all(goods.item in items for event in answer.events for goods in event.goods)


def test_dock_without_a_name_of_its_own_is_called_as_its_site() -> None:
    """Master data name the site; an extension of its GLN is part of it."""
    story = bakery()
    dock = f"{place(1)}/254/dock-1"
    story.add(build_event(EventType.OBJECT, at(1, "07:00"), action=Action.OBSERVE, goods={FLOUR: 100}, location=dock))
    seen = next(event for event in story.forward(FLOUR).events if event.place == dock)
    assert seen.place_name == "Site 1"
