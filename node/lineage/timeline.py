"""The events of an item, in the order of their times, as they stand: voided ones out, twice told ones once.

An error declaration repeats its original, so both are filed under the same items and runs, and any list of events
that holds one holds the other. Arrival order never matters: ties are settled by content.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from msgspec import structs

from consensus.types import Digest, Height
from node.epcis.model import Interval
from node.lineage.custody import Custodian, Custody
from node.lineage.items import ItemKind, read_item
from node.lineage.reader import LineageReader
from node.lineage.readings import Readings
from node.lineage.records import (
    ROLE_CHILD,
    ROLE_INSTANCES,
    ROLE_MADE,
    ROLE_OUTPUT,
    ROLE_PARENT,
    EventRef,
    EventRow,
    Posting,
    PostingKind,
)

FOREVER_MS: Final = 2**62
_PAST_ALL_MS: Final = FOREVER_MS + 1
_NO_LIMIT: Final = 1 << 62
ANY_TIME: Final = Interval(-FOREVER_MS, FOREVER_MS)
"""The time of an event that says it happened well after the block that holds it: it excludes nothing."""
ROLES_OF_ORIGIN: Final = ROLE_MADE | ROLE_OUTPUT | ROLE_INSTANCES | ROLE_CHILD | ROLE_PARENT


class Entry(NamedTuple):
    """An event in an item's timeline. role: the ROLE_ bits of the item in it."""

    row: EventRow
    role: int


class Note(NamedTuple):
    """Something odd about an event that a timeline met; code: as in docs/lineage.md."""

    code: str
    row: EventRow


@dataclass(frozen=True, slots=True)
class Timeline:
    """Events in order. voided: originals that a declaration undid. complete: False if `roles` left some out."""

    entries: tuple[Entry, ...]
    voided: tuple[Entry, ...]
    notes: tuple[Note, ...]
    complete: bool = True

    @property
    def countered(self) -> frozenset[bytes]:
        """Content digests of the events that another member declared void: both statements stand."""
        return frozenset([note.row.event.content_digest for note in self.notes if note.code == "counter_statement"])


class Timelines:
    """Timelines and runs for one question, each read once.

    as_of_ms: events that cannot have happened by then are left out, as if they did not exist; None is no limit.
    known_at: entries of later blocks are left out.
    """

    def __init__(
        self, reader: LineageReader, custody: Custody, readings: Readings, *, as_of_ms: int | None, known_at: Height
    ) -> None:
        self._reader = reader
        self._tolerance_ms = readings.clock_tolerance_ms
        self._custody = custody
        self._as_of_ms = as_of_ms
        self._known_at = known_at
        self._whole = as_of_ms is None and known_at >= reader.height
        self._rows: dict[EventRef, EventRow] = {}
        self._timelines: dict[tuple[str, bool], Timeline] = {}
        self._named: dict[tuple[PostingKind, str], list[EventRow]] = {}
        self._runs: dict[tuple[PostingKind, str, Custodian], list[EventRow]] = {}
        self._told: dict[str, Sequence[Posting]] = {}

    @property
    def size(self) -> int:
        """How many events, lines of goods in them, and histories were read: what bounds the memory of it."""
        events = [row.event for row in self._rows.values()]
        lines = sum([len(event.goods) + len(event.inputs) + len(event.outputs) for event in events])
        return lines + len(self._rows) + len(self._timelines)

    def read_by(self, reader: LineageReader) -> None:
        """Go on with another reader of the same height."""
        self._reader = reader

    def take(self, item: str, postings: list[Posting]) -> None:
        """Take up all that is filed under an item up to `known_at`, where that is told without reading it."""
        postings.sort(key=_place_of)
        self._told[item] = postings

    def of_item(self, item: str, *, length_max: int | None = None) -> Timeline:
        """Return the timeline of an item.

        length_max: of a longer one, only what may tell the item's origin is read (`complete` is False then).
        """
        key = (item, length_max is None)
        found = self._timelines.get(key)
        if found is None:
            told = self._told.get(item)
            postings = self.filed(PostingKind.ITEM, item) if told is None else told
            if length_max is not None and len(postings) > length_max:
                kept = [posting for posting in postings if posting.role & ROLES_OF_ORIGIN]
                found = self._settle(kept, complete=False)
            else:
                found = self._settle(postings, complete=True)
                self._timelines[item, True] = found
            self._timelines[key] = found
        return found

    def of_key(self, kind: PostingKind, key: str) -> Timeline:
        """Return the events that are filed under (kind, key), as they stand: those of one eventID, say."""
        return self._settle(self.filed(kind, key), complete=True)

    def settled(self, postings: Iterable[Posting]) -> Timeline:
        """Return the events of these postings as they stand, with what was odd about them."""
        return self._settle(postings, complete=True)

    def standing(self, postings: Iterable[Posting]) -> list[EventRow]:
        """Return the events of these postings, in order of time, as they stand: void ones out, twice told ones once."""
        return [entry.row for entry in self.settled(postings).entries]

    def filed_within(self, kind: PostingKind, key: str, *, from_ms: int, to_ms: int) -> Sequence[Posting]:
        """Return what of `filed` begins from from_ms to to_ms."""
        return self._visible(self._reader.postings_within(kind, key, from_ms=from_ms, to_ms=to_ms, limit=_NO_LIMIT))

    def inputs_of_run(self, row: EventRow) -> Sequence[EventRow]:
        """Return the events with inputs of the run that `row` is of: itself alone without a transformationID."""
        return self._of_run(PostingKind.RUN_INPUT, row)

    def outputs_of_run(self, row: EventRow) -> Sequence[EventRow]:
        """Return the events with outputs of the run that `row` is of: itself alone without a transformationID."""
        return self._of_run(PostingKind.RUN_OUTPUT, row)

    def _of_run(self, kind: PostingKind, row: EventRow) -> Sequence[EventRow]:
        run = row.event.transformation_id
        if run is None:
            return (row,)
        mine = self._custody.custodian_of(row)
        found = self._runs.get((kind, run, mine))
        if found is None:
            rows = self._named.get((kind, run))
            if rows is None:
                entries = self._settle(self.filed(kind, run), complete=True).entries
                rows = self._named[kind, run] = [entry.row for entry in entries]
            # One name may serve several firms: events with one (transformationID, custodian) are one run.
            found = [other for other in rows if self._custody.custodian_of(other).may_be(mine)]
            self._runs[kind, run, mine] = found
        return found

    def run_of(self, row: EventRow) -> tuple[str | Digest, Custodian | None]:
        """Return what tells the run of an event from all others."""
        run = row.event.transformation_id
        return (row.event.event_digest, None) if run is None else (run, self._custody.custodian_of(row))

    def row_at(self, ref: EventRef) -> EventRow:
        """Return the event at a place of the ledger, its time widened if it is later than its block's."""
        row = self._rows.get(ref)
        return self.remember(self._reader.get_event(ref)) if row is None else row

    def remember(self, row: EventRow) -> EventRow:
        """Take up an event that was read elsewhere, so that it is not read again; return it as `row_at` does."""
        if row.event.time.lo_ms > row.ledger_time_ms + self._tolerance_ms:
            row = structs.replace(row, event=structs.replace(row.event, time=ANY_TIME))
        self._rows[row.ref] = row
        return row

    def filed(self, kind: PostingKind, key: str) -> Sequence[Posting]:
        """Return what is filed there, without what lies beyond `as_of_ms` and `known_at`."""
        return self._visible(self._reader.postings_of(kind, key))

    def _visible(self, postings: Sequence[Posting]) -> Sequence[Posting]:
        if self._whole:
            return postings
        as_of_ms, known_at = self._as_of_ms, self._known_at
        return [
            posting
            for posting in postings
            if posting.ref.height <= known_at and (as_of_ms is None or posting.time_ms <= as_of_ms)
        ]

    def _settle(self, postings: Iterable[Posting], *, complete: bool) -> Timeline:
        rows = self._rows
        read = self._reader.get_event
        entries: list[Entry] = []
        seen: set[Digest] = set()
        last_ms = -_PAST_ALL_MS
        is_plain = is_sorted = True
        is_late = False
        for _kind, _key, _time_ms, ref, role in postings:
            row = rows.get(ref)
            if row is None:
                row = self.remember(read(ref))
            entries.append(Entry(row, role))
            event = row.event
            time = event.time
            is_late = is_late or time is ANY_TIME
            # Postings come by time: only those of one instant are yet to be put in the order of their content.
            if time.lo_ms <= last_ms:
                is_sorted = False
            last_ms = time.lo_ms
            if event.declaration is not None or event.content_digest in seen:
                is_plain = False
            seen.add(event.content_digest)
        if not is_sorted:
            entries.sort(key=_order)
        timeline = Timeline(tuple(entries), (), (), complete) if is_plain else settle(entries, complete=complete)
        if not is_late:
            return timeline
        late = [Note("time_in_future", row) for row, _role in timeline.entries if row.event.time is ANY_TIME]
        return replace(timeline, notes=(*timeline.notes, *late))


def is_before(row: EventRow, other: EventRow, readings: Readings) -> bool:
    """Return whether an event was certainly before another, by the clocks of who entered them."""
    return row.event.time.hi_ms + readings.slack_ms(row.member, other.member) < other.event.time.lo_ms


def _place_of(posting: Posting) -> tuple[int, EventRef]:
    return posting.time_ms, posting.ref


def _order(entry: Entry) -> tuple[int, Digest, Digest, str, EventRef]:
    row, event = entry.row, entry.row.event
    # Of one event that two members entered alike, whose comes first is settled by name, never by arrival.
    return event.time.lo_ms, event.content_digest, event.event_digest, row.member, row.ref


def settle(entries: Sequence[Entry], *, complete: bool = True) -> Timeline:
    """Return what stands of `entries`: void originals out, witnesses and copies of one event as one.

    entries: in order of time, then content, then digest, then member, then place on the ledger.
    """
    declarations = [entry.row for entry in entries if entry.row.event.declaration is not None]
    originals = [entry for entry in entries if entry.row.event.declaration is None]
    void_by = {_original_key(row) for row in declarations if row.event.event_id is not None}
    voided = tuple(_unique([entry for entry in originals if _original_key(entry.row) in void_by], _digest_of))
    standing = [entry for entry in originals if _original_key(entry.row) not in void_by]
    notes = [*_notes_of_declarations(declarations, originals)]
    merged: list[Entry] = []
    groups: dict[object, list[Entry]] = {}
    for entry in standing:
        groups.setdefault(_sameness(entry.row), []).append(entry)
    for group in groups.values():
        kept, note = _merge_reports(group)
        merged += kept
        if note is not None:
            notes.append(note)
    merged.sort(key=_order)
    return Timeline(tuple(merged), voided, tuple(notes), complete)


def _original_key(row: EventRow) -> tuple[str, str | None, Digest, str | None]:
    event = row.event
    return row.member, event.event_id, event.content_digest, event.transformation_id


def _sameness(row: EventRow) -> object:
    """Return what two reports of one event share: all but eventID, record time and member."""
    event = row.event
    return event.content_digest, event.transformation_id, tuple(sorted(event.documents, key=str))


def _digest_of(entry: Entry) -> object:
    return entry.row.event.event_digest


def _unique(entries: Iterable[Entry], key: Callable[[Entry], object]) -> list[Entry]:
    """Return the first entry of each key."""
    return list({key(entry): entry for entry in reversed(list(entries))}.values())[::-1]


def _notes_of_declarations(declarations: Sequence[EventRow], originals: Sequence[Entry]) -> Iterable[Note]:
    own = {_original_key(entry.row) for entry in originals}
    others = {_original_key(entry.row)[1:] for entry in originals}
    for row in {(row.event.event_digest, row.member): row for row in reversed(declarations)}.values():
        if _original_key(row) in own and row.event.event_id is not None:
            continue
        # Another member's declaration undoes nothing; both statements are shown.
        counter = row.event.event_id is not None and _original_key(row)[1:] in others
        yield Note("counter_statement" if counter else "void_without_original", row)


def _merge_reports(group: Sequence[Entry]) -> tuple[list[Entry], Note | None]:
    """Return the events that reports of equal content tell of, and a note if one member told of several.

    The k-th of each member is one event with witnesses; what stands for it is the report of the least digest.
    """
    if len(group) == 1:
        return [group[0]], None
    by_member: dict[str, list[Entry]] = {}
    for entry in _unique(group, lambda entry: (entry.row.member, entry.row.event.event_digest)):
        by_member.setdefault(entry.row.member, []).append(entry)
    event = group[0].row.event
    single = bool(event.documents) or all(
        read_item(goods.item).kind in (ItemKind.SERIAL, ItemKind.UNIT)
        for goods in (*event.goods, *event.inputs, *event.outputs)
    )
    counts = max(len(entries) for entries in by_member.values())
    kept: list[Entry] = []
    for number in range(1 if single else counts):
        reports = [entries[number] for entries in by_member.values() if len(entries) > number]
        kept.append(min(reports, key=lambda entry: (entry.row.event.event_digest, entry.row.member)))
    return kept, (Note("told_twice", kept[0].row) if counts > 1 else None)
