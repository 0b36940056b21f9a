"""Trace an item back to its origins or forward to its destinations, on one snapshot of the index.

A walk is a loop over levels, never a recursion; what it keeps is bounded by the answer. See docs/lineage.md for the
readings and docs/trace.md for the answer.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from consensus.types import Height
from node.lineage.answer import Answer, AnswerSeed
from node.lineage.assemble import Assembler
from node.lineage.backward import CLASS_LOTS_MAX, BackwardWalk, Use
from node.lineage.facts import Facts, open_facts
from node.lineage.forward import ForwardWalk, Taint
from node.lineage.graph import Graph
from node.lineage.items import ItemKind, read_item
from node.lineage.plain import Plain
from node.lineage.reader import LineageReader
from node.lineage.readings import Readings
from node.lineage.timeline import FOREVER_MS

ITEMS_MAX: Final = 250_000
HISTORY_MAX: Final = 5_000


class Direction(StrEnum):
    """Which way a trace goes."""

    BACK = "back"
    FORWARD = "forward"


class Start(NamedTuple):
    """An item that a walk begins from. from_ms … to_ms: only as it was then, Unix milliseconds; None is unbounded.

    Forward, what certainly happened before is left out; backward, what certainly happened after.
    """

    item: str
    from_ms: int | None = None
    to_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked. item: canonical id; None where `starts` say it. as_of_ms: leave out what cannot have happened by
    then, Unix milliseconds. known_at: leave out what later blocks entered; None is the snapshot's height.

    depth_max: edges from the item, None for all. items_max: what the answer may hold. history_max: on the way back, of
    an item with more events only its making is read. A limit that was met is in the answer's warnings.
    starts: where to begin, in place of `item`; seeds: what was asked that came to these; left_out: what was asked of
    which only a part could be looked through.
    """

    item: str | None
    direction: Direction
    as_of_ms: int | None = None
    known_at: Height | None = None
    depth_max: int | None = None
    items_max: int = ITEMS_MAX
    history_max: int = HISTORY_MAX
    starts: tuple[Start, ...] = ()
    seeds: tuple[AnswerSeed, ...] = ()
    left_out: tuple[str, ...] = ()


class Read(NamedTuple):
    """What traces read by. plains: of items whose plain history was looked for, what it is, None where it is not plain.

    Shared by questions of one `history_max`, which is part of what is read.
    """

    facts: Facts
    plains: dict[str, Plain | None]


def trace(reader: LineageReader, question: Question, readings: Readings | None = None) -> Answer:
    """Return the answer. An item that no event names gives an answer of itself alone, with an unknown."""
    known_at = reader.height if question.known_at is None else min(question.known_at, reader.height)
    facts = open_facts(reader, readings or Readings(), as_of_ms=question.as_of_ms, known_at=known_at)
    return trace_by(Read(facts, {}), question)


def trace_by(read: Read, question: Question) -> Answer:
    """Return the answer. read: of the question's `as_of_ms` and `known_at`; what is read is added to it."""
    facts = read.facts
    graph = Graph(question.items_max)
    asked = question.starts if question.item is None else (Start(question.item), *question.starts)
    starts = _with_lots(facts, graph, asked)
    for name in question.left_out:
        graph.warn("seed_items_left_out", name, None)
    if question.direction is Direction.BACK:
        windows = [(one.item, Use(_bound(one.from_ms, -1), _bound(one.to_ms, 1), FOREVER_MS, None)) for one in starts]
        BackwardWalk(facts, graph, depth_max=question.depth_max, history_max=question.history_max).run(windows)
    else:
        taints = [(one.item, Taint(_bound(one.from_ms, -1), None, FOREVER_MS, siblings=True)) for one in starts]
        ForwardWalk(facts, graph, depth_max=question.depth_max).run(taints)
    return Assembler(
        facts,
        graph,
        read.plains,
        direction=question.direction.value,
        item=question.item,
        starts=tuple(dict.fromkeys(one.item for one in starts)),
        seeds=question.seeds or _as_seeds(question.item),
        as_of_ms=question.as_of_ms,
        history_max=question.history_max,
    ).build()


def _with_lots(facts: Facts, graph: Graph, starts: Iterable[Start]) -> list[Start]:
    """Return the starts, with the lots of those that are a product without lot: any of them may be meant."""
    found: list[Start] = []
    for start in starts:
        if read_item(start.item).kind is not ItemKind.CLASS:
            found.append(start)
            continue
        lots = facts.reader.items_of_product(start.item, limit=CLASS_LOTS_MAX + 1)
        if len(lots) > CLASS_LOTS_MAX:
            graph.warn("class_lots_left_out", start.item, None)
        # A lot that only later blocks name is not there yet.
        named = [row.item for row in lots[:CLASS_LOTS_MAX] if facts.timelines.of_item(row.item).entries]
        if not named or facts.timelines.of_item(start.item).entries:
            found.append(start)
        found += [start._replace(item=item) for item in named]
        if named:
            graph.warn("class_without_lot", start.item, None)
    return found


def _bound(time_ms: int | None, sign: int) -> int:
    return sign * FOREVER_MS if time_ms is None else time_ms


def _as_seeds(item: str | None) -> tuple[AnswerSeed, ...]:
    return () if item is None else (AnswerSeed(item=item, items=(item,)),)
