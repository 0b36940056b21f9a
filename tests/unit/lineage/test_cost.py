"""The cost of a trace grows with its answer: no list in an event, and no history, is gone through twice.

Counted in reads and links, not in seconds: what a hostile member can write is bounded by what an answer may hold.
"""

from node.lineage.graph import RUN_LINKS_MAX
from node.lineage.scope_question import Seed
from node.lineage.trace import Direction, Question, trace
from tests.support.chronicle import Chronicle, codes_of, goods_of
from tests.support.events import at, lot, serial, unit
from tests.support.scopes import Asked

SEED = lot("9", "x")


def test_run_with_many_inputs_and_outputs_lists_its_items_and_not_every_link() -> None:
    """160 inputs by 160 outputs are 25,600 links; the answer says that it has not all."""
    first, second = [[lot(product, f"L{number}") for number in range(160)] for product in ("1", "2")]
    story = Chronicle()
    story.run({SEED: 1}, dict.fromkeys(first, 1), at(1, "08:00"))
    story.run(dict.fromkeys(first, 1), dict.fromkeys(second, 1), at(1, "09:00"))
    story.run(dict.fromkeys(second, 1), {lot("3", "end"): 1}, at(1, "10:00"))
    answer = story.forward(SEED)
    assert goods_of(answer) == {*first, *second, lot("3", "end")}
    assert "run_links_left_out" in codes_of(answer)
    assert len(answer.edges) < RUN_LINKS_MAX + 2_000
    back = story.back(lot("3", "end"))
    assert goods_of(back) == {*first, *second, SEED}
    assert "run_links_left_out" in codes_of(back)
    assert len(back.edges) < RUN_LINKS_MAX + 2_000
    for asked in (Question(SEED, Direction.FORWARD), Question(lot("3", "end"), Direction.BACK)):
        assert trace(story.shuffled(1), asked).digest == trace(story.index(), asked).digest


def test_each_event_is_read_once() -> None:
    """However many of its items are in the answer."""
    pieces = [serial("5", str(number)) for number in range(500)]
    story = Chronicle()
    story.run({SEED: 1}, pieces, at(1, "08:00"), lot_code="L")
    story.make(pieces, at(1, "09:00"), lot_code="L")
    story.pack(unit(1), pieces, at(1, "10:00"))
    story.ship([unit(1)], at(1, "11:00"), to=2)
    index = story.index()
    answer = trace(index, Question(SEED, Direction.FORWARD))
    assert len(goods_of(answer)) == 500
    assert index.reads == len(story.rows)


def test_trace_reads_nothing_that_is_not_in_its_answer() -> None:
    """Another chain on the same ledger costs nothing."""
    story = Chronicle()
    for number in range(50):
        story.make({lot("1", f"a{number}"): 1}, at(1, "08:00"))
        story.run({lot("1", f"a{number}"): 1}, {lot("2", f"b{number}"): 1}, at(1, "09:00"))
    index = story.index()
    answer = trace(index, Question(lot("2", "b7"), Direction.BACK))
    assert len(answer.events) == 2
    assert index.reads == 2


def test_scope_opens_no_ledger_of_sound_goods_that_only_lie_beside_its_own() -> None:
    """What a site has without recorded inputs may be made of a stock in scope; most of what it has, has its inputs."""
    story = Chronicle()
    story.make({SEED: 5}, at(1, "08:00"))
    for number in range(40):
        code = lot("1", f"a{number}")
        story.make({code: 1}, at(1, "08:00"), at=2)
        story.ship({code: 1}, at(1, "09:00"), at=2, to=1)
        story.receive({code: 1}, at(1, "10:00"), at=1)
        story.run({code: 1}, {lot("2", f"b{number}"): 1}, at(1, "11:00"))
    story.ship({lot("3", "unmade"): 7}, at(1, "12:00"), at=1, to=2)
    asked = Asked(story, Seed(item=SEED))
    assert set(asked.scope.graph.items) == {SEED, lot("3", "unmade")}
    assert {one.item for one in asked.scope.reached} == {SEED, lot("3", "unmade")}
