"""Trace an item back to its origins or forward to its destinations, on one snapshot of the index.

A walk is a loop over levels, never a recursion; what it keeps is bounded by the answer. See docs/lineage.md for the
readings and docs/trace.md for the answer.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from consensus.types import Height
from node.lineage.answer import Answer
from node.lineage.assemble import Assembler
from node.lineage.backward import CLASS_LOTS_MAX, BackwardWalk
from node.lineage.facts import open_facts
from node.lineage.forward import ForwardWalk
from node.lineage.graph import Graph
from node.lineage.items import ItemKind, read_item
from node.lineage.reader import LineageReader
from node.lineage.readings import Readings

ITEMS_MAX: Final = 250_000
HISTORY_MAX: Final = 5_000


class Direction(StrEnum):
    """Which way a trace goes."""

    BACK = "back"
    FORWARD = "forward"


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked. item: canonical id. as_of_ms: leave out what cannot have happened by then, Unix milliseconds.

    known_at: leave out what later blocks entered; None is the snapshot's height. depth_max: edges from the item, None
    for all. items_max: what the answer may hold. history_max: on the way back, of an item with more events only its
    making is read. A limit that was met is in the answer's warnings.
    """

    item: str
    direction: Direction
    as_of_ms: int | None = None
    known_at: Height | None = None
    depth_max: int | None = None
    items_max: int = ITEMS_MAX
    history_max: int = HISTORY_MAX


def trace(reader: LineageReader, question: Question, readings: Readings | None = None) -> Answer:
    """Return the answer. An item that no event names gives an answer of itself alone, with an unknown."""
    known_at = reader.height if question.known_at is None else min(question.known_at, reader.height)
    facts = open_facts(reader, readings or Readings(), as_of_ms=question.as_of_ms, known_at=known_at)
    graph = Graph(question.items_max)
    items = [question.item]
    if read_item(question.item).kind is ItemKind.CLASS:
        # A product without lot: any lot of it.
        lots = reader.items_of_product(question.item, limit=CLASS_LOTS_MAX + 1)
        if len(lots) > CLASS_LOTS_MAX:
            graph.warn("class_lots_left_out", question.item, None)
        # A lot that only later blocks name is not there yet.
        items += [row.item for row in lots[:CLASS_LOTS_MAX] if facts.timelines.of_item(row.item).entries]
        if len(items) > 1:
            graph.warn("class_without_lot", question.item, None)
    if question.direction is Direction.BACK:
        BackwardWalk(facts, graph, depth_max=question.depth_max, history_max=question.history_max).run(items)
    else:
        ForwardWalk(facts, graph, depth_max=question.depth_max).run(items)
    return Assembler(
        facts,
        graph,
        direction=question.direction.value,
        item=question.item,
        as_of_ms=question.as_of_ms,
        history_max=question.history_max,
    ).build()
