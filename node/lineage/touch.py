"""Which subjects' flags an event may have changed: a superset, so that whoever evaluates these leaves none stale.

The flags of an item rest on its own events, on those of the units around it while it was in them, on the runs that it
is the first output of and the units that these took, on who holds the places named, and on the facts of its product.
A named run (transformationID) is a subject of its own, and so is an eventID.
"""

from collections.abc import Callable, Iterable, Sequence
from enum import IntEnum
from typing import Final, NamedTuple

from node.epcis.identifiers import site_of
from node.lineage.cleanings import reach_of
from node.lineage.containment import Stay
from node.lineage.custody import UNIT_FACT
from node.lineage.facts import Facts
from node.lineage.indexing import JUDGING, roles_in
from node.lineage.items import ItemKind, read_item
from node.lineage.needs import APPROVED, CERTIFICATE, NEEDS
from node.lineage.records import ROLE_INPUT, ROLE_OUTPUT, EventRow, Posting, PostingKind

OF_PLACES: Final = ("possessing_party", "owning_party", "latitude", "longitude")
"""Attributes of a place that flags rest on."""
_OF_HOLDERS: Final = (*OF_PLACES, APPROVED)
_OF_PRODUCTS: Final = (UNIT_FACT, NEEDS)
ITEMS_OF_PRODUCT_MAX: Final = 1 << 62
_Window = tuple[int, int]
"""From when until when, as events say in milliseconds, both ends included."""
_UNITS: Final = (ItemKind.UNIT, ItemKind.ASSET)


class SubjectKind(IntEnum):
    """What flags can be of. Numbers stand on disk."""

    ITEM = 1
    RUN = 2
    EVENT_ID = 3


class Subject(NamedTuple):
    """What flags are of: an item by its canonical id, a run by its transformationID, an eventID."""

    kind: SubjectKind
    key: str


def subjects_of(item: str, facts: Facts) -> list[Subject]:
    """Return the subjects of the flags that an item's own events lead to: itself, its runs, the eventIDs they bear."""
    found = {Subject(SubjectKind.ITEM, item): None}
    timeline = facts.timelines.of_item(item)
    for row, _role in (*timeline.entries, *timeline.voided):
        event = row.event
        if event.transformation_id is not None and (event.inputs or event.outputs):
            found[Subject(SubjectKind.RUN, event.transformation_id)] = None
        elif event.outputs:
            found[Subject(SubjectKind.ITEM, event.outputs[0].item)] = None
        if event.event_id is not None:
            found[Subject(SubjectKind.EVENT_ID, event.event_id)] = None
    return list(found)


class Newest(NamedTuple):
    """What was entered of a subject's own events: how many, and the ledger time of the newest."""

    events: int
    last_ms: int


class Touched:
    """Gathers subjects, in the order of their naming. facts: of the height whose flags are wanted; before: of the
    height that flags hold at, between which and the former the events were entered. is_new: of an item, whether all
    its events were."""

    def __init__(self, before: Facts, facts: Facts, is_new: Callable[[str], bool]) -> None:
        self._before = before
        self._facts = facts
        self._is_new = is_new
        self._filed: dict[str, list[Posting]] = {}
        self._found: dict[Subject, None] = {}
        self._newest: dict[Subject, Newest] = {}
        self._units: dict[str, list[_Window]] = {}

    def subjects(self) -> Sequence[Subject]:
        """Return all that may have changed."""
        pending = [(unit, windows) for unit, windows in self._units.items()]
        self._units = {}
        seen: set[tuple[str, _Window]] = set()
        while pending:
            unit, windows = pending.pop()
            fresh = [window for window in dict.fromkeys(windows) if (unit, window) not in seen]
            if fresh:
                seen.update([(unit, window) for window in fresh])
                self._add_takers(unit)
                pending += self._add_contents(unit, fresh)
        return list(self._found)

    def newest_of(self, subject: Subject) -> Newest | None:
        """Return what was entered of its own events, None if nothing was."""
        return self._newest.get(subject)

    def is_first(self, subject: Subject) -> bool:
        """Return whether it is certainly an item that no event had named before."""
        return subject.kind is SubjectKind.ITEM and subject.key in self._filed

    def add_events(self, rows: Iterable[EventRow]) -> None:
        """Add what events that were entered may have changed: all of them, in one go."""
        timelines = self._facts.timelines
        for read in rows:
            row = timelines.remember(read)
            if row.event.disposition in JUDGING:
                self._add_runs_near(row)
            roles = roles_in(row.event)
            for item, role in roles.items():
                # What only these events name is filed under them alone: it need not be looked for.
                filed = self._filed.get(item)
                if filed is None and self._is_new(item):
                    filed = self._filed[item] = []
                if filed is not None:
                    filed.append(Posting(PostingKind.ITEM, item, read.event.time.lo_ms, read.ref, role))
            for subject in self._touch(row, roles):
                before = self._newest.get(subject)
                self._newest[subject] = Newest(1 if before is None else before.events + 1, row.ledger_time_ms)
        for item, filed in self._filed.items():
            timelines.take(item, filed)

    def _add_runs_near(self, row: EventRow) -> None:
        """Add the runs at its site that a cleaning may say something of."""
        place, reach = row.event.read_point or row.event.location, reach_of(row, self._facts.readings)
        if place is None or reach is None:
            return
        timelines = self._facts.timelines
        for posting in timelines.filed_within(PostingKind.HOLDER, site_of(place), from_ms=reach[0], to_ms=reach[1]):
            if not posting.role & (ROLE_INPUT | ROLE_OUTPUT):
                continue
            event = timelines.row_at(posting.ref).event
            if event.transformation_id is not None:
                self._found[Subject(SubjectKind.RUN, event.transformation_id)] = None
            elif event.outputs:
                self._found[Subject(SubjectKind.ITEM, event.outputs[0].item)] = None

    def _touch_again(self, row: EventRow) -> None:
        self._touch(row, roles_in(row.event))

    def _touch(self, row: EventRow, roles: Iterable[str]) -> list[Subject]:
        """Add what an event may have changed; return the subjects whose own event it is."""
        event = row.event
        own = []
        for item in roles:
            own.append(Subject(SubjectKind.ITEM, item))
            if read_item(item).kind in _UNITS:
                self._units.setdefault(item, []).append((event.time.lo_ms, event.time.hi_ms))
        if event.transformation_id is not None and (event.inputs or event.outputs):
            own.append(Subject(SubjectKind.RUN, event.transformation_id))
        if event.event_id is not None:
            own.append(Subject(SubjectKind.EVENT_ID, event.event_id))
        self._found.update(dict.fromkeys(own))
        return own

    def _add_contents(self, unit: str, windows: Sequence[_Window]) -> list[tuple[str, list[_Window]]]:
        """Add what was in a unit in these windows, and what is told of otherwise now; return the units among it."""
        inner: list[tuple[str, list[_Window]]] = []
        moved = self._changed(_stays_of(self._before, unit), _stays_of(self._facts, unit))
        windows = [*windows, *moved]
        old = self._before.containment.contents_of(unit).stays
        new = self._facts.containment.contents_of(unit).stays
        for child in dict.fromkeys((*old, *new)):
            stays, others = old.get(child, ()), new.get(child, ())
            touched = self._changed(stays, others)
            for stay in others:
                for lo_ms, hi_ms in windows:
                    if stay.lo_ms <= hi_ms and stay.hi_ms >= lo_ms:
                        touched.append((max(lo_ms, stay.lo_ms), min(hi_ms, stay.hi_ms)))
            if touched:
                self._found[Subject(SubjectKind.ITEM, child)] = None
                if read_item(child).kind in _UNITS:
                    inner.append((child, touched))
        return inner

    @staticmethod
    def _changed(before: Sequence[Stay], after: Sequence[Stay]) -> list[_Window]:
        """Return when the stays are that one has and the other has not."""
        told = {_told(stay): stay for stay in before}
        others = {_told(stay): stay for stay in after}
        changed = [stay for key, stay in told.items() if key not in others]
        changed += [stay for key, stay in others.items() if key not in told]
        return [(stay.lo_ms, stay.hi_ms) for stay in changed]

    def _add_takers(self, unit: str) -> None:
        """Add the runs that took the unit, or one around it: they take what was in it."""
        around, seen = [unit], {unit}
        while around:
            name = around.pop()
            for row, role in self._facts.timelines.of_item(name).entries:
                if role & ROLE_INPUT and row.event.transformation_id is not None:
                    self._found[Subject(SubjectKind.RUN, row.event.transformation_id)] = None
                elif role & ROLE_INPUT and row.event.outputs:
                    self._found[Subject(SubjectKind.ITEM, row.event.outputs[0].item)] = None
            for facts in (self._before, self._facts):
                outer = [stay.parent for stay in _stays_of(facts, name) if stay.parent not in seen]
                seen.update(outer)
                around += outer

    def add_masters(self, masters: Iterable[str]) -> None:
        """Add what master data of these products, places and parties, that were entered, may have changed."""
        before = self._before
        for subject in masters:
            if _stated(before, subject, _OF_PRODUCTS) != _stated(self._facts, subject, _OF_PRODUCTS):
                for found in self._facts.reader.items_of_product(subject, limit=ITEMS_OF_PRODUCT_MAX):
                    self._add_item(found.item)
                self._add_item(subject)
            for kind, key, names in (
                (PostingKind.HOLDER, site_of(subject), _OF_HOLDERS),
                (PostingKind.CERTIFICATE, subject, (CERTIFICATE,)),
            ):
                if _stated(before, subject, names) != _stated(self._facts, subject, names):
                    timelines = self._facts.timelines
                    for posting in timelines.filed(kind, key):
                        self._touch_again(timelines.row_at(posting.ref))

    def _add_item(self, item: str) -> None:
        """Add an item whose amounts may read otherwise now, with the runs that it is in."""
        for row, _role in self._facts.timelines.of_item(item).entries:
            self._touch_again(row)


def _stays_of(facts: Facts, unit: str) -> list[Stay]:
    return facts.containment.stays_of(unit, facts.timelines.of_item(unit))


def _told(stay: Stay) -> tuple[object, ...]:
    """Return what of a stay the flags of its contents rest on."""
    ends = (stay.since, stay.last, stay.until)
    refs = tuple([None if row is None else (row.ref, row.event.time) for row in ends])
    return stay.parent, refs, stay.lo_ms, stay.hi_ms, stay.amount, stay.uom, stay.inferred


def _stated(facts: Facts, subject: str, names: tuple[str, ...]) -> list[tuple[str, str, str]]:
    return sorted(
        (name, value, row.member)
        for row in facts.masters.rows_of(subject)
        for name, value in row.record.attributes
        if name in names
    )
