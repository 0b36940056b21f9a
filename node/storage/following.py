"""Flags right behind execution: which subjects new blocks touch, evaluated at one height, written in one batch.

What is stored for a height is what evaluating every subject at that height gives, however blocks are taken together:
`follow` may take one block or thousands. After other rules or settings all is evaluated anew.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from consensus.types import Epoch, Height
from node.ledger.roster import Parameters
from node.lineage.facts import Facts, open_facts
from node.lineage.flags import FLAG_RULES, flags_of_event_id, flags_of_item, flags_of_run
from node.lineage.readings import Readings
from node.lineage.records import EventRow, PostingKind
from node.lineage.touch import Subject, SubjectKind, Touched
from node.storage.flags import FlagMark, SubjectRow, settings_of
from node.storage.index import IndexReader, IndexStore

STEP_EVENTS: Final = 4_000
"""A step takes blocks until it has so many events, at least one block."""
SWEEP_SUBJECTS: Final = 2_000
"""Subjects that share one set of readers when all are evaluated: bounds the memory they take."""


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
        step = _Step(reader, target, Readings(clock_tolerance_ms=parameters.clock_tolerance_ms))
        if mark is not None and mark.rules == FLAG_RULES and parameters == parameters_at(reader, mark.height):
            index.flags.write(reader.flags, target, step.evaluate(step.touched_since(mark)))
        else:
            index.flags.write(reader.flags, target, step.evaluate_all(), anew=True)
        return Followed(height, events, step.count)


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

    def touched_since(self, before: FlagMark) -> Sequence[Subject]:
        """Return what the blocks above `before` may have changed, and what is due."""
        reader, touched = self._reader, Touched(self._open(before.height), self._facts)
        touched.add_events(reader.events_between(before.height, self._mark.height))
        touched.add_masters(reader.flags.masters_until(self._mark.height))
        due = list(reader.flags.due_until(self._now_ms))
        return list(dict.fromkeys((*touched.subjects(), *due)))

    def evaluate(self, subjects: Iterable[Subject]) -> list[SubjectRow]:
        """Return these subjects with their flags."""
        rows = [self._evaluate(subject) for subject in subjects]
        self.count += len(rows)
        return rows

    def _evaluate(self, subject: Subject) -> SubjectRow:
        facts, settings = self._facts, self._mark.settings
        if subject.kind is SubjectKind.ITEM:
            return SubjectRow(subject, flags_of_item(subject.key, facts, settings, now_ms=self._now_ms))
        if subject.kind is SubjectKind.RUN:
            return SubjectRow(subject, flags_of_run(subject.key, facts, settings))
        return SubjectRow(subject, flags_of_event_id(subject.key, facts))

    def evaluate_all(self) -> list[SubjectRow]:
        """Return every subject that has flags, or will."""
        found: list[SubjectRow] = []
        subjects: list[Subject] = []
        for subject in self._every():
            subjects.append(subject)
            if len(subjects) == SWEEP_SUBJECTS:
                found += self._sweep(subjects)
                subjects = []
        return found + self._sweep(subjects)

    def _sweep(self, subjects: Sequence[Subject]) -> list[SubjectRow]:
        rows = self.evaluate(subjects)
        self._facts = self._open(self._mark.height)
        return [row for row in rows if row.evaluated.flags or row.evaluated.due_ms is not None]

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
