"""The steps of a lot's ledger in order: each credit at the earliest it can have happened, each draw at the latest.

That allows every order that may be true. A shipment is open to receipts from its earliest on, as far back
as two clocks may err, and leaves its sender at its latest. At equal times credits come before draws, but what a run
takes before what it gives of the same lot; then create and receive, unpack, transform, pack, ship, end; then the digest
of the content. An event that another member entered than most of those at its holder is wider by what two clocks
may err.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import NamedTuple

from consensus.types import Digest
from node.epcis.model import Action, Event, EventType
from node.lineage.containment import Stay
from node.lineage.custody import Custody
from node.lineage.facts import Facts
from node.lineage.items import ItemKind, read_item
from node.lineage.readings import Movement, Readings
from node.lineage.records import (
    ROLE_CHILD,
    ROLE_ENDED,
    ROLE_INPUT,
    ROLE_INSTANCES,
    ROLE_MADE,
    ROLE_OUTPUT,
    ROLE_PARENT,
    ROLE_SEEN,
    EventRow,
)
from node.lineage.timeline import FOREVER_MS, Timeline

_GONE = frozenset({"destroyed", "disposed", "retail_sold", "dispensed"})


class Act(IntEnum):
    """What a step does to the ledger."""

    MAKE = 1
    GIVE = 2
    """A run puts out."""
    TAKE = 3
    """A run takes in."""
    SEND = 4
    """A shipment can be received from now on."""
    LEAVE = 5
    """It is drawn from its sender."""
    COME = 6
    """A receipt credits its receiver."""
    MATCH = 7
    """It is drawn from what was on its way."""
    SEE = 8
    END = 9
    PACK = 10
    """Packed or unpacked: the target is credited."""
    TAKE_OUT = 11
    """… and the source is drawn from."""
    UNIT_TAKE = 12
    UNIT_OPEN = 13
    UNIT_SEND = 14
    UNIT_COME = 15
    UNIT_SEE = 16
    UNIT_END = 17
    INFER = 18
    """Contents first named later were inside from here on: a reading."""
    LOOK = 19
    """A sighting whose time is not sharp looks from here on for what it saw."""
    UNIT_LOOK = 20
    UNIT_LIST = 21
    """Goods are seen in a unit."""
    NUMBER = 22
    """Pieces of the lot are made, each with a number of its own."""


class Step(NamedTuple):
    """An event that touches the item's stock: its own, or one of the unit that it is in.

    unit: the unit whose contents the event moves as a whole, or "" for the item's own event. stay: of an INFER.
    """

    row: EventRow
    role: int
    unit: str
    stay: Stay | None = None


class Move(NamedTuple):
    """One act of a step, with its place in the order."""

    time_ms: int
    phase: int
    """0 for credits and sightings, 1 for draws."""
    rank: int
    digest: bytes
    unit: str
    act: Act
    step: Step


def moves_of(item: str, timeline: Timeline, facts: Facts) -> list[Move]:
    """Return all moves of the item in order."""
    steps = [Step(row, role, "") for row, role in timeline.entries]
    is_child = False
    for entry in timeline.entries:
        is_child = is_child or bool(entry.role & ROLE_CHILD)
    if is_child:
        carried = _carried(item, timeline, facts)
        if carried:
            beside = {step.row.event.event_digest for step in carried}
            steps = [step for step in steps if not _is_beside(step, beside)]
            steps += carried
    homes = _homes(steps, facts.custody)
    both = _runs_both_ways(steps)
    planner = _Planner(facts.custody, facts.readings, homes, both, is_single=read_item(item).single)
    moves: list[Move] = []
    for step in steps:
        moves += planner.plan(step)
    if is_child:
        moves += _inferred(item, timeline, facts)
    moves.sort(key=_order)
    return moves


def _order(move: Move) -> tuple[int, int, int, bytes, str, int]:
    return move[:6]


class _Planner:
    """Cuts steps into moves."""

    def __init__(
        self,
        custody: Custody,
        readings: Readings,
        homes: dict[str, str],
        both: set[tuple[object, int]],
        *,
        is_single: bool,
    ) -> None:
        self._custody = custody
        self._readings = readings
        self._homes = homes
        self._both = both
        self._is_single = is_single

    def plan(self, step: Step) -> list[Move]:
        """Return the moves of one step."""
        row, role = step.row, step.role
        if step.unit:
            return self._plan_unit(step)
        event = row.event
        movement = self._custody.read(row)[0]
        if event.type is EventType.TRANSFORMATION:
            return self._plan_run(step)
        if role == ROLE_INSTANCES:
            return [self._credit(step, Act.NUMBER, 0)]  # Its pieces hold themselves.
        if role & ROLE_MADE:
            return [self._credit(step, Act.MAKE, 0)]
        if role & ROLE_CHILD:
            if event.parent is None:
                return self._plan_movement(step, movement)
            if event.action is Action.OBSERVE:
                return self._plan_listing(step, movement)
            return self._plan_packing(step, movement)
        return self._plan_movement(step, movement)

    def _plan_run(self, step: Step) -> list[Move]:
        role = step.role
        moves = []
        goes_on = self._is_single and role & ROLE_INPUT and role & ROLE_OUTPUT
        if goes_on:
            return []  # A piece that is in and out goes on.
        # What a run takes comes before what it gives of the same lot, and after what other runs give.
        is_both = _run_at(step.row) in self._both
        if role & ROLE_INPUT:
            take = self._draw(step, Act.TAKE, 4 if is_both else 2)
            moves.append(take._replace(phase=0) if is_both else take)
        if role & ROLE_OUTPUT:
            moves.append(self._credit(step, Act.GIVE, 5 if is_both else 3))
        return moves

    def _plan_movement(self, step: Step, movement: Movement) -> list[Move]:
        if movement is Movement.OUTBOUND:
            open_ms = step.row.event.time.lo_ms - 2 * self._readings.clock_tolerance_ms
            send = self._credit(step, Act.SEND, 0)
            return [send._replace(time_ms=min(open_ms, send.time_ms)), self._draw(step, Act.LEAVE, 6)]
        if movement is Movement.INBOUND:
            return [self._credit(step, Act.COME, 0), self._draw(step, Act.MATCH, 5)]
        if movement is Movement.END:
            return [self._draw(step, Act.END, 7)]
        return self._sight(step, Act.LOOK, Act.SEE)

    def _plan_packing(self, step: Step, movement: Movement) -> list[Move]:
        """Packed to leave, opened as it comes: the unit moves by the step of the same event."""
        unit = step.row.event.parent or ""
        packs = step.row.event.action is Action.ADD
        moves = [self._credit(step, Act.PACK, 6 if packs else 1), self._draw(step, Act.TAKE_OUT, 4)]
        if movement is Movement.INBOUND:
            moves.append(self._draw(step, Act.UNIT_COME, 0)._replace(phase=0, unit=unit))
        elif movement is Movement.OUTBOUND:
            if packs:
                moves.append(self._draw(step, Act.UNIT_SEND, 6)._replace(unit=unit))
            else:
                moves += self._plan_movement(step, movement)
        return moves

    def _plan_listing(self, step: Step, movement: Movement) -> list[Move]:
        """Seen in a unit: after that came, or before it leaves; what by the record is not in it is from now on."""
        unit = step.row.event.parent or ""
        seen = self._draw(step, Act.UNIT_LIST, 8)._replace(phase=0)
        moves = [seen, self._draw(step, Act.TAKE_OUT, 4)]
        if movement is Movement.INBOUND:
            moves.append(self._draw(step, Act.UNIT_COME, 0)._replace(phase=0, unit=unit))
        elif movement is Movement.OUTBOUND:
            moves.append(self._draw(step, Act.UNIT_SEND, 6)._replace(unit=unit))
        return moves

    def _plan_unit(self, step: Step) -> list[Move]:
        event, role = step.row.event, step.role
        if role & ROLE_INPUT:
            return [self._draw(step, Act.UNIT_TAKE, 2)]
        movement = self._custody.read(step.row)[0]
        emptied = role & ROLE_PARENT and event.action is Action.DELETE and not event.goods
        ended = role & ROLE_ENDED and event.disposition not in _GONE
        if emptied or (ended and event.step not in self._readings.ending_steps):
            return [self._draw(step, Act.UNIT_OPEN, 1)._replace(phase=0)]
        if movement is Movement.OUTBOUND:
            return [self._draw(step, Act.UNIT_SEND, 6)]
        if movement is Movement.INBOUND:
            return [self._draw(step, Act.UNIT_COME, 0)._replace(phase=0)]
        if movement is Movement.END:
            return [self._draw(step, Act.UNIT_END, 7)]
        return self._sight(step, Act.UNIT_LOOK, Act.UNIT_SEE)

    def _sight(self, step: Step, look: Act, see: Act) -> list[Move]:
        first, last = self._credit(step, look, 7), self._draw(step, see, 7)._replace(phase=0)
        return [first, last] if first.time_ms < last.time_ms else [last]

    def _slack_ms(self, row: EventRow) -> int:
        if not self._homes:
            return 0
        home = self._homes.get(self._custody.read(row)[1].key)
        return 0 if home is None or home == row.member else 2 * self._readings.clock_tolerance_ms

    def _credit(self, step: Step, act: Act, rank: int) -> Move:
        event = step.row.event
        return Move(event.time.lo_ms - self._slack_ms(step.row), 0, rank, event.content_digest, step.unit, act, step)

    def _draw(self, step: Step, act: Act, rank: int) -> Move:
        event = step.row.event
        return Move(event.time.hi_ms + self._slack_ms(step.row), 1, rank, event.content_digest, step.unit, act, step)


def _runs_both_ways(steps: Iterable[Step]) -> set[tuple[object, int]]:
    """Return the runs, with the instant, that take and give the lot at one time."""
    taken, given = set(), set()
    for step in steps:
        time = step.row.event.time
        if step.unit or time.lo_ms != time.hi_ms:
            continue
        if step.role & ROLE_INPUT:
            taken.add(_run_at(step.row))
        if step.role & ROLE_OUTPUT:
            given.add(_run_at(step.row))
    return taken & given


def _run_at(row: EventRow) -> tuple[object, int]:
    event = row.event
    return event.transformation_id or event.event_digest, event.time.lo_ms


def _homes(steps: Sequence[Step], custody: Custody) -> dict[str, str]:
    """Return by whose clock the events at each holder are put in order: by that the others are measured."""
    counts: dict[str, Counter[str]] = {}
    if len({step.row.member for step in steps}) < 2:
        return {}  # One clock tells all of it.
    for step in steps:
        counts.setdefault(custody.read(step.row)[1].key, Counter())[step.row.member] += 1
    return {key: custody.clock_at(key, count) for key, count in counts.items()}


def _is_beside(step: Step, carried: set[Digest]) -> bool:
    """Return whether an own step only repeats that of the unit: goods that are listed beside their unit move in it."""
    role = step.role
    return bool(role & (ROLE_SEEN | ROLE_ENDED)) and step.row.event.event_digest in carried


def _names_unit(event: Event) -> bool:
    return any(read_item(goods.item).kind in (ItemKind.UNIT, ItemKind.ASSET) for goods in event.goods)


def _carried(item: str, timeline: Timeline, facts: Facts) -> list[Step]:
    """Return the events of the units around the item, while it was in them."""
    own = {
        entry.row.event.event_digest
        for entry in timeline.entries
        if not (entry.role & ROLE_CHILD and entry.row.event.action is Action.OBSERVE)
        and not (entry.role & (ROLE_SEEN | ROLE_ENDED) and _names_unit(entry.row.event))
    }
    steps: dict[tuple[str, bytes], Step] = {}
    containment, timelines = facts.containment, facts.timelines
    pending = [(stay.parent, stay, stay.lo_ms, stay.hi_ms) for stay in containment.stays_of(item, timeline)]
    seen: set[tuple[str, str, int, int]] = set()
    while pending:
        direct, stay, lo_ms, hi_ms = pending.pop()
        if (direct, stay.parent, lo_ms, hi_ms) in seen:
            continue
        seen.add((direct, stay.parent, lo_ms, hi_ms))
        outer = timelines.of_item(stay.parent)
        is_direct = stay.parent == direct
        for row, role in outer.entries:
            key = row.event.event_digest
            if key in own or row.event.time.hi_ms < lo_ms or row.event.time.lo_ms > hi_ms:
                continue
            kept = role if is_direct else (role & (ROLE_INPUT | ROLE_SEEN))
            if is_direct and role & ROLE_ENDED and row.event.time.lo_ms < lo_ms:
                continue
            steps.setdefault((direct, key), Step(row, kept, direct))
        pending += [
            (direct, around, max(lo_ms, around.lo_ms), min(hi_ms, around.hi_ms))
            for around in containment.stays_of(stay.parent, outer)
            if around.hi_ms >= lo_ms and around.lo_ms <= hi_ms
        ]
    return list(steps.values())


def _inferred(item: str, timeline: Timeline, facts: Facts) -> list[Move]:
    """Return, for contents that were first named later, that they were inside since the unit was last empty."""
    moves = []
    for stay in facts.containment.stays_of(item, timeline):
        if not stay.inferred or stay.lo_ms <= -FOREVER_MS:
            continue
        entries: Sequence[tuple[EventRow, int]] = facts.timelines.of_item(stay.parent).entries
        row = next((row for row, _role in entries if row.event.time.hi_ms >= stay.lo_ms), None)
        if row is not None and row.event.event_digest != stay.since.event.event_digest:
            step = Step(row, 0, stay.parent, stay)
            moves.append(Move(row.event.time.lo_ms, 0, 0, row.event.content_digest, stay.parent, Act.INFER, step))
    return moves
