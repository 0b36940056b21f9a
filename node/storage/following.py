"""Flags right behind execution: which subjects new blocks touch, evaluated at one height, written in one batch.

What is stored for a height is what evaluating every subject at that height gives, however blocks are taken together:
`follow` may take one block or thousands. After other rules or settings all is evaluated anew.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from consensus.types import Epoch, Height
from node.ledger.roster import Parameters
from node.lineage.facts import Facts, open_facts
from node.lineage.flag_model import FLAG_RULES, HOUR_MS, Evaluated, Flag
from node.lineage.flags import flags_of_event_id, flags_of_item, flags_of_run
from node.lineage.readings import Readings
from node.lineage.records import EventRef, EventRow, PostingKind
from node.lineage.touch import Newest, Subject, SubjectKind, Touched, subjects_of
from node.storage.flags import Change, FlagMark, Part, SubjectRow, settings_of, short_subject
from node.storage.index import IndexReader, IndexStore

STEP_EVENTS: Final = 4_000
"""A step takes blocks until it has so many events, at least one block."""
LONG_HISTORY: Final = 1_024
"""A subject of more events is not looked at with each: when they are half as many more, and once all is quiet."""
QUIET_MS: Final = HOUR_MS
SWEEP_SUBJECTS: Final = 2_000
"""Subjects that share one set of readers when all are evaluated: bounds the memory they take."""


_FILED: Final = {
    SubjectKind.ITEM: (PostingKind.ITEM,),
    SubjectKind.RUN: (PostingKind.RUN_INPUT, PostingKind.RUN_OUTPUT),
    SubjectKind.EVENT_ID: (PostingKind.EVENT_ID,),
}


@dataclass(frozen=True, slots=True)
class Followed:
    """What a step did. height: that the flags hold at now. subjects: how many were evaluated."""

    height: Height
    events: int
    subjects: int


def parameters_at(reader: IndexReader, height: Height) -> Parameters:
    """Return the network's parameters after the block at `height`, which is executed."""
    roster = reader.governance.roster
    for number in range(roster.epoch, -1, -1):
        record = reader.find_epoch(Epoch(number))
        if record is not None and record.anchor_height <= height:
            return record.roster.parameters
    return roster.parameters


def readings_of(parameters: Parameters) -> Readings:
    """Return how a network with these parameters reads events: by the words of the CBV and those it has voted."""
    usual = Readings()
    return Readings(
        clock_tolerance_ms=parameters.clock_tolerance_ms,
        handover_window_ms=parameters.handover_window_hours * HOUR_MS,
        contact_window_ms=parameters.contact_window_hours * HOUR_MS,
        outbound_steps=usual.outbound_steps.union(parameters.outbound_steps),
        inbound_steps=usual.inbound_steps.union(parameters.inbound_steps),
        ending_steps=usual.ending_steps.union(parameters.ending_steps),
        primary_steps=usual.primary_steps.union(parameters.primary_steps),
        clean_steps=usual.clean_steps.union(parameters.clean_steps),
    )


def follow(index: IndexStore, *, events_max: int = STEP_EVENTS) -> Followed | None:
    """Take the flags some blocks further, or return None if they hold at the executed height.

    Slow: run it in a worker thread, one at a time. Raises StorageError.
    """
    with index.reader() as reader:
        mark = reader.flags.find_mark()
        if mark is not None and mark.height >= reader.height:
            return None
        # An index that was made before there were flags has noted nothing for them: all of it is looked at.
        height, events = (reader.height, 0) if mark is None else _reach(reader, mark.height, events_max)
        parameters = parameters_at(reader, height)
        target = FlagMark(FLAG_RULES, settings_of(parameters), height)
        step = _Step(reader, target, readings_of(parameters))
        if mark is not None and mark.rules == FLAG_RULES and parameters == parameters_at(reader, mark.height):
            index.flags.write(reader.flags, target, step.follow(mark))
        else:
            index.flags.write(reader.flags, target, step.begin_anew(), anew=True)
        return Followed(height, events, step.count)


def flags_of_item_at(reader: IndexReader, item: str, height: Height) -> list[SubjectRow]:
    """Return the flags that an item, its runs and the eventIDs of its events had at an executed height, by subject.

    What was stored then, made again: it is a function of the ledger at that height.
    """
    parameters = parameters_at(reader, height)
    mark = FlagMark(FLAG_RULES, settings_of(parameters), height)
    step = _Step(reader, mark, readings_of(parameters))
    return step.at_height(item)


def looks_at(count: int) -> int:
    """Return up to which of its events a history of `count` is looked at: each time half as many more as the last.

    A function of the count alone, so that it is the same however blocks were grouped; and all the looks at a history
    of n events together read about 3 n.
    """
    looked = LONG_HISTORY
    while looked + looked // 2 <= count:
        looked += looked // 2
    return min(looked, count)


def _reach(reader: IndexReader, height: Height, events_max: int) -> tuple[Height, int]:
    """Return up to which block a step goes, and how many events it takes."""
    events = 0
    while height < reader.height and events < events_max:
        block = reader.find_block(Height(height + 1))
        count = 0 if block is None else block.event_count
        if events and events + count > events_max:
            break
        height, events = Height(height + 1), events + count
    return height, events


class _Step:
    """Evaluates subjects at the mark's height."""

    def __init__(self, reader: IndexReader, mark: FlagMark, readings: Readings) -> None:
        self._reader = reader
        self._mark = mark
        self._readings = readings
        block = reader.find_block(mark.height)
        self._now_ms = 0 if block is None else block.time_ms
        self._facts = self._open(mark.height)
        self.count = 0

    def _open(self, height: Height) -> Facts:
        return open_facts(self._reader, self._readings, as_of_ms=None, known_at=height)

    def follow(self, before: FlagMark) -> Iterator[Change]:
        """Yield what the blocks above `before` may have changed, and what is due, each with what is stored of it."""
        reader = self._reader
        touched = Touched(self._open(before.height), self._facts, reader.new_since(before.height))
        touched.add_events(reader.events_between(before.height, self._mark.height))
        touched.add_masters(reader.flags.masters_until(self._mark.height))
        due = reader.flags.due_until(self._now_ms)
        for subject in dict.fromkeys((*touched.subjects(), *due)):
            stored = None if touched.is_first(subject) else reader.flags.find_subject(short_subject(subject))
            self.count += 1
            yield stored, self._evaluate(subject, stored, touched.newest_of(subject))

    def at_height(self, item: str) -> list[SubjectRow]:
        """Return the subjects that an item's own events lead to."""
        return [self._evaluate(subject, None, None) for subject in subjects_of(item, self._facts)]

    def begin_anew(self) -> Iterator[Change]:
        """Yield every subject of which something is to be said."""
        for subject in self._every():
            self.count += 1
            if self.count % SWEEP_SUBJECTS == 0:
                self._facts = self._open(self._mark.height)
            row = self._evaluate(subject, None, None)
            if not row.is_empty:
                yield None, row

    def _evaluate(self, subject: Subject, stored: SubjectRow | None, newest: Newest | None) -> SubjectRow:
        """Return a subject with its flags. newest: what this step has of its own events."""
        part = None if stored is None else stored.part
        if part is not None and newest is not None:
            part = part._replace(events=part.events + newest.events, last_ms=newest.last_ms)
        if part is None:
            if self._is_short(subject):
                return SubjectRow(subject, self._flags_of(subject, self._facts))
            refs = self._refs_of(subject)
            part = Part(len(refs), self._facts.timelines.row_at(refs[-1]).ledger_time_ms, None, None)
        quiet_ms = part.last_ms + QUIET_MS
        if quiet_ms <= self._now_ms:
            return SubjectRow(subject, self._flags_of(subject, self._facts), part._replace(height=None, due_ms=None))
        found, part = self._flags_of_part(subject, stored, part)
        due_ms = quiet_ms if part.due_ms is None else min(quiet_ms, part.due_ms)
        return SubjectRow(subject, Evaluated(found, due_ms), part)

    def _flags_of_part(self, subject: Subject, stored: SubjectRow | None, part: Part) -> tuple[tuple[Flag, ...], Part]:
        """Return the flags of a long history up to where it was looked at last, or is looked at now."""
        looked_at = looks_at(part.events)
        if stored is not None and stored.part is not None and stored.part.height is not None:
            is_due = part.due_ms is not None and part.due_ms <= self._now_ms
            if looks_at(stored.part.events) == looked_at and not is_due:
                return stored.evaluated.flags, part
        height = self._refs_of(subject)[looked_at - 1].height
        flags, due_ms = self._flags_of(subject, self._open(height))
        return flags, part._replace(height=height, due_ms=due_ms)

    def _is_short(self, subject: Subject) -> bool:
        timelines = self._facts.timelines
        if subject.kind is SubjectKind.ITEM:
            return timelines.of_item(subject.key, length_max=LONG_HISTORY).complete
        return sum(len(timelines.filed(kind, subject.key)) for kind in _FILED[subject.kind]) <= LONG_HISTORY

    def _refs_of(self, subject: Subject) -> list[EventRef]:
        """Return the places of a subject's own events, in ledger order."""
        filed = [self._facts.timelines.filed(kind, subject.key) for kind in _FILED[subject.kind]]
        return sorted({posting.ref for postings in filed for posting in postings})

    def _flags_of(self, subject: Subject, facts: Facts) -> Evaluated:
        settings = self._mark.settings
        if subject.kind is SubjectKind.ITEM:
            return flags_of_item(subject.key, facts, settings, now_ms=self._now_ms)
        if subject.kind is SubjectKind.RUN:
            return flags_of_run(subject.key, facts, settings, now_ms=self._now_ms)
        return flags_of_event_id(subject.key, facts)

    def _every(self) -> Iterator[Subject]:
        """Yield every subject once."""
        for item in self._reader.every_item():
            yield Subject(SubjectKind.ITEM, item)
        for row in self._reader.events_between(Height(0), self._mark.height):
            event = row.event
            if event.event_id is not None and self._is_first(PostingKind.EVENT_ID, event.event_id, row):
                yield Subject(SubjectKind.EVENT_ID, event.event_id)
            run = event.transformation_id
            if run is not None and event.outputs and self._is_first(PostingKind.RUN_OUTPUT, run, row):
                yield Subject(SubjectKind.RUN, run)

    def _is_first(self, kind: PostingKind, key: str, row: EventRow) -> bool:
        """Return whether the event is the first under a key: then the key has not been met before."""
        return self._facts.timelines.filed(kind, key)[0].ref == row.ref
