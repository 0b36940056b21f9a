"""Tells a supply chain in short words, and asks about it: the events of tests of lineage."""

import random
from collections.abc import Sequence

from msgspec.structs import replace

from consensus.types import Digest
from node.crypto.digests import sha256
from node.epcis.model import Action, Declaration, Event, EventType, Interval, MasterKind, MasterRecord
from node.lineage.answer import Answer
from node.lineage.readings import Readings
from node.lineage.records import EventRow, MasterRow
from node.lineage.trace import Direction, Question, trace
from tests.support.events import Amounts, build_event, build_row, party, place
from tests.support.memory_index import MemoryIndex, build_master

Time = int | Interval


class Chronicle:
    """Events in the order of their telling, each in a block of its own, entered by one member unless said."""

    def __init__(self, member: str = "mill") -> None:
        self.rows: list[EventRow] = []
        self.masters: list[MasterRow] = []
        self._member = member

    def add(self, event: Event, *, member: str | None = None) -> Event:
        """Enter an event as it is."""
        self.rows.append(build_row(event, len(self.rows) + 1, member=member or self._member))
        return event

    def make(self, goods: Amounts, when: Time, *, at: int = 1, lot_code: str | None = None, **more: str) -> Event:
        return self.add(
            build_event(
                EventType.OBJECT,
                when,
                action=Action.ADD,
                goods=goods,
                step="commissioning",
                location=place(at),
                lot_code=lot_code,
                event_id=more.get("event_id"),
                note=more.get("note", ""),
            ),
            member=more.get("member"),
        )

    def run(
        self,
        inputs: Amounts,
        outputs: Amounts,
        when: Time,
        *,
        at: int = 1,
        name: str | None = None,
        lot_code: str | None = None,
        **more: str,
    ) -> Event:
        return self.add(
            build_event(
                EventType.TRANSFORMATION,
                when,
                inputs=inputs,
                outputs=outputs,
                location=place(at),
                run=name,
                lot_code=lot_code,
                event_id=more.get("event_id"),
                note=more.get("note", ""),
            ),
            member=more.get("member"),
        )

    def ship(
        self,
        goods: Amounts,
        when: Time,
        *,
        at: int = 1,
        to: int | None = None,
        step: str = "shipping",
        bill: str | None = None,
        **more: str,
    ) -> Event:
        return self.add(
            build_event(
                EventType.OBJECT,
                when,
                action=Action.OBSERVE,
                goods=goods,
                step=step,
                location=place(at),
                destinations=() if to is None else (("location", place(to)), ("possessing_party", party(to))),
                documents=() if bill is None else (("bol", bill),),
                event_id=more.get("event_id"),
            ),
            member=more.get("member"),
        )

    def receive(
        self,
        goods: Amounts,
        when: Time,
        *,
        at: int = 2,
        step: str = "receiving",
        bill: str | None = None,
        source: int | None = None,
        **more: str,
    ) -> Event:
        return self.add(
            build_event(
                EventType.OBJECT,
                when,
                action=Action.OBSERVE,
                goods=goods,
                step=step,
                location=place(at),
                sources=() if source is None else (("possessing_party", party(source)),),
                documents=() if bill is None else (("bol", bill),),
                event_id=more.get("event_id"),
            ),
            member=more.get("member"),
        )

    def see(self, goods: Amounts, when: Time, *, at: int = 1, step: str = "inspecting") -> Event:
        return self.add(
            build_event(EventType.OBJECT, when, action=Action.OBSERVE, goods=goods, step=step, location=place(at))
        )

    def end(self, goods: Amounts, when: Time, *, at: int = 1, step: str = "destroying") -> Event:
        return self.add(
            build_event(EventType.OBJECT, when, action=Action.DELETE, goods=goods, step=step, location=place(at))
        )

    def pack(self, unit_id: str, goods: Amounts, when: Time, *, at: int = 1, **more: str) -> Event:
        return self._aggregate(Action.ADD, "packing", unit_id, goods, when, at)

    def unpack(self, unit_id: str, goods: Amounts, when: Time, *, at: int = 1) -> Event:
        return self._aggregate(Action.DELETE, "unpacking", unit_id, goods, when, at)

    def observe_unit(self, unit_id: str, goods: Amounts, when: Time, *, at: int = 1, step: str = "receiving") -> Event:
        return self._aggregate(Action.OBSERVE, step, unit_id, goods, when, at)

    def _aggregate(self, action: Action, step: str, unit_id: str, goods: Amounts, when: Time, at: int) -> Event:
        return self.add(
            build_event(
                EventType.AGGREGATION, when, action=action, goods=goods, parent=unit_id, step=step, location=place(at)
            )
        )

    def void(self, event: Event, when: int, *, member: str | None = None) -> None:
        """Declare `event` to be in error: the same event again, with a declaration."""
        declaration = Declaration(when, "did_not_occur", ())
        digest = Digest(sha256(b"declared", event.event_digest))
        self.add(replace(event, declaration=declaration, event_digest=digest), member=member)

    def name_place(self, number: int, owner: int) -> None:
        """Enter master data: the party of a place."""
        record = MasterRecord(
            MasterKind.LOCATION, place(number), (("name", f"Site {number}"), ("owning_party", party(owner)))
        )
        self.masters.append(build_master(record, 1))

    def index(self) -> MemoryIndex:
        return MemoryIndex(self.rows, self.masters)

    def shuffled(self, seed: int) -> MemoryIndex:
        """Return the same facts, arrived in another order, in other blocks."""
        rows = [(row.event, row.member) for row in self.rows]
        random.Random(seed).shuffle(rows)
        return MemoryIndex(
            [build_row(event, number, member=member) for number, (event, member) in enumerate(rows, 100)],
            self.masters,
        )

    def back(self, item: str, **how: int) -> Answer:
        return trace(self.index(), _question(item, Direction.BACK, how), Readings())

    def forward(self, item: str, **how: int) -> Answer:
        return trace(self.index(), _question(item, Direction.FORWARD, how), Readings())


def _question(item: str, direction: Direction, how: dict[str, int]) -> Question:
    return Question(item, direction, **how)  # type: ignore[arg-type]  # The names are Question's own.


def goods_of(answer: Answer) -> set[str]:
    """Return the ids of what the answer traces, without what was asked about and units that only carried."""
    return {item.id for item in answer.items if item.role == "goods"} - {answer.item}


def carriers_of(answer: Answer) -> set[str]:
    """Return the units around the goods."""
    return {item.id for item in answer.items if item.role == "carrier"}


def reasons_of(answer: Answer) -> set[tuple[str, str]]:
    """Return (item, reason) of the unknowns."""
    return {(unknown.item, unknown.reason) for unknown in answer.unknowns}


def codes_of(answer: Answer) -> set[str]:
    """Return the codes of the warnings."""
    return {warning.code for warning in answer.warnings}


def holders_of(answer: Answer, item: str) -> list[tuple[str | None, str]]:
    """Return (place, status) of the item's holders."""
    return [(holder.place, holder.status) for holder in answer.holders if holder.item == item]


def edges_of(answer: Answer) -> Sequence[tuple[str, str, str]]:
    """Return (from, to, kind) of the edges."""
    return [(edge.source, edge.target, edge.kind) for edge in answer.edges]
