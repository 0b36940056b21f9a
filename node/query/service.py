"""Answers questions about items, each on one snapshot of the index, so that all of an answer holds at one height.

Blocking: a caller on an event loop runs these in a thread. Nothing here waits for the network.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Final, TypedDict, Unpack

import msgspec

from consensus.types import Height
from node.lineage.answer import Answer
from node.lineage.closure import LinkedItem
from node.lineage.custody import Masters
from node.lineage.facts import open_facts
from node.lineage.items import read_item
from node.lineage.names import PRODUCT_ATTRIBUTES
from node.lineage.reader import LineageReader
from node.lineage.readings import Readings
from node.lineage.records import EventRow, PostingKind
from node.lineage.scope import Scope
from node.lineage.scope_answer import ScopeAnswer
from node.lineage.trace import ITEMS_MAX, Direction, Question, Read, Start, trace, trace_by
from node.query.common import find_common
from node.query.common_answer import CommonAnswer, CommonRequest
from node.query.errors import UnknownHeightError, UnknownSeedError
from node.query.find import FindAnswer, FindRequest, OriginalOf, find
from node.query.flags import count_open
from node.query.kept import Kept
from node.query.scopes import (
    ScopeRequest,
    SeedRequest,
    check_distrusted,
    earlier_of,
    read_request,
    read_time,
    settle_seeds,
)
from node.query.starts import find_item, read_trace
from node.storage.index import IndexReader

ITEM_EVENTS_MAX: Final = 1_000
"""Events of one item in `item.get`; how many there are is said beside them."""


class ClosureAnswer(msgspec.Struct, frozen=True):
    """What an item can come from or have gone into, whatever the times. complete: false if there are more items.

    items: in the order of their finding, the item itself first.
    """

    item: str
    direction: str
    height: int
    complete: bool
    items: tuple[LinkedItem, ...]


ReadingsAt = Callable[[Height], Readings]
OpenReader = Callable[[], AbstractContextManager[LineageReader]]


class ItemEvent(msgspec.Struct, frozen=True):
    """An event that names the item. id: as `event.get` takes it."""

    id: str
    type: str
    action: str | None
    step: str | None
    time: str
    place: str | None
    member: str
    digest: str


class ItemAnswer(msgspec.Struct, frozen=True):
    """An item and the events that name it, by time. event_count: of all, also those not listed."""

    id: str
    kind: str
    product: str | None
    product_name: str | None
    code: str | None
    height: int
    event_count: int
    events: tuple[ItemEvent, ...]


class TraceOptions(TypedDict, total=False):
    """How much of the ledger a trace counts, and how far it goes: see `QueryService.traces`."""

    as_of_ms: int | None
    known_at: Height | None
    known_at_ms: int | None
    depth_max: int | None
    items_max: int


class TraceBoth(msgspec.Struct, frozen=True):
    """Where something came from and where it went, both at one height. direction: both."""

    direction: str
    height: int
    back: Answer
    forward: Answer


class QueryService:
    """Questions on snapshots that `open_reader` opens. readings_at: by the network's parameters at a height.

    original_of: an event as it was sent; without it `find` knows no dates but those of events.
    """

    def __init__(
        self,
        open_reader: OpenReader,
        readings_at: ReadingsAt | None = None,
        original_of: OriginalOf | None = None,
    ) -> None:
        self._open_reader = open_reader
        self._original_of = original_of
        self._readings_at = readings_at or _by_default
        self._kept = Kept()

    def traces(
        self,
        asked: str | Sequence[SeedRequest],
        directions: Sequence[Direction],
        *,
        as_of_ms: int | None = None,
        known_at: Height | None = None,
        known_at_ms: int | None = None,
        depth_max: int | None = None,
        items_max: int = ITEMS_MAX,
    ) -> tuple[Answer, ...]:
        """Return where something came from or went, or both, on one snapshot.

        asked: an item in any spelling, or what a case names. known_at, known_at_ms: answer from what was on the ledger
        at that height, or by that ledger time. Raises IdentifierError for what names no item, UnknownItemError for an
        item that no event names, RequestError for seeds that cannot be read, and UnknownHeightError for a height that
        is not executed yet.
        """
        with self._open_reader() as reader:
            at = _height_of(reader, known_at, known_at_ms)
            with self._read_at(reader, at, as_of_ms) as read:
                question = read_trace(
                    read.facts, asked, directions[0], as_of_ms=as_of_ms, depth_max=depth_max, items_max=items_max
                )
                answers = [trace_by(read, replace(question, direction=direction)) for direction in directions]
            return tuple([_with_flags(reader, answer) for answer in answers])

    def _read_at(self, reader: LineageReader, at: Height, as_of_ms: int | None) -> AbstractContextManager[Read]:
        """Return what traces read by: at the newest height with what the question before has read there."""
        readings = self._readings_at(at)
        if as_of_ms is None and at == reader.height:
            return self._kept.at_newest(reader, readings)
        return nullcontext(Read(open_facts(reader, readings, as_of_ms=as_of_ms, known_at=at), {}))

    def trace(
        self, asked: str | Sequence[SeedRequest], direction: Direction, **options: Unpack[TraceOptions]
    ) -> Answer:
        """Return where something came from or went: one of `traces`."""
        return self.traces(asked, (direction,), **options)[0]

    def trace_both(self, asked: str | Sequence[SeedRequest], **options: Unpack[TraceOptions]) -> TraceBoth:
        """Return both ways of `traces`."""
        back, forward = self.traces(asked, (Direction.BACK, Direction.FORWARD), **options)
        return TraceBoth("both", back.height, back, forward)

    def closure(self, text: str, direction: Direction, *, items_max: int = ITEMS_MAX) -> ClosureAnswer:
        """Return ids and amounts of all that the item can come from, or go into, whatever the times.

        text: the item in any spelling. Raises IdentifierError and UnknownItemError as `trace` does.
        """
        with self._open_reader() as reader:
            item = find_item(reader, text, "params.item")
            found = reader.closure_of(item, is_back=direction is Direction.BACK, items_max=items_max)
            items = tuple(found.items)
            return ClosureAnswer(item, direction.value, reader.height, complete=not found.is_cut, items=items)

    def common(self, request: CommonRequest) -> CommonAnswer:
        """Return what several bad items have in common. Raises as `trace` does, naming the item in the list."""
        as_of_ms, known_at_ms = read_time(request.as_of, "params.as_of"), read_time(request.known_at, "params.known_at")
        with self._open_reader() as reader:
            at = _height_of(reader, None if request.height is None else Height(request.height), known_at_ms)
            facts = open_facts(reader, self._readings_at(at), as_of_ms=as_of_ms, known_at=at)
            items = [find_item(reader, text, f"params.items[{number}]") for number, text in enumerate(request.items)]
            return find_common(facts, items, as_of_ms=as_of_ms, limit=request.limit)

    def scope(self, request: ScopeRequest) -> ScopeAnswer:
        """Return what a hazard must, may and cannot have reached.

        Raises IdentifierError and RequestError for what cannot be read, UnknownHeightError as `trace` does, and
        UnknownSeedError for a run or holder that is not known, and where the seeds came to nothing.
        """
        with self._open_reader() as reader:
            return self._scope(reader, request)

    def scope_with_trace(self, request: ScopeRequest) -> tuple[ScopeAnswer, Answer]:
        """Return a scope, and the forward trace from the items that its seeds came to, on one snapshot: for a picture.

        Raises as `scope`.
        """
        with self._open_reader() as reader:
            found = self._scope(reader, request)
            height = Height(found.height)
            question = Question(
                None,
                Direction.FORWARD,
                as_of_ms=read_time(request.as_of, "params.as_of"),
                known_at=height,
                starts=tuple([Start(item) for item in found.seeds]),
            )
            return found, trace(reader, question, self._readings_at(height))

    def _scope(self, reader: LineageReader, request: ScopeRequest) -> ScopeAnswer:
        question = read_request(request, reader)
        if question.known_at is not None and question.known_at > reader.height:
            raise UnknownHeightError(question.known_at, reader.height)
        for number, seed in enumerate(question.seeds):
            if seed.item is not None:
                find_item(reader, seed.item, f"params.seeds[{number}].item")
        readings = self._readings_at(reader.height if question.known_at is None else question.known_at)
        question = settle_seeds(request, question, open_facts(reader, readings, as_of_ms=None, known_at=reader.height))
        scope = Scope(reader, question, readings)
        check_distrusted(request, scope.spread.rules.site_rules, scope.facts.masters)
        found = scope.answer()
        if not found.seeds:
            # It would read as if nothing had to be recalled.
            hint = "widen the window, or name the items"
            raise UnknownSeedError("nothing that was asked about was there then", field="params.seeds", hint=hint)
        return found

    def find(self, request: FindRequest) -> FindAnswer:
        """Return items that may be meant by what is left of a label. Raises RequestError for what cannot be read."""
        with self._open_reader() as reader:
            return find(reader, request, self._original_of)

    def item(self, text: str) -> ItemAnswer:
        """Return an item and its events. text: the item in any spelling. Raises as `trace` does."""
        with self._open_reader() as reader:
            item = find_item(reader, text, "params.item")
            postings = reader.postings_of(PostingKind.ITEM, item)
            rows = [reader.get_event(posting.ref) for posting in postings[:ITEM_EVENTS_MAX]]
            facts = read_item(item)
            return ItemAnswer(
                id=item,
                kind=facts.kind.value,
                product=facts.product,
                product_name=Masters(reader, known_at=reader.height).name_of(facts.product, PRODUCT_ATTRIBUTES),
                code=facts.code,
                height=reader.height,
                event_count=len(postings),
                events=tuple([_item_event(row) for row in rows]),
            )

    def events_called(self, event_id: str, *, limit: int) -> tuple[EventRow, ...]:
        """Return the events that bear this eventID, in ledger order, at most `limit`: it may be several."""
        with self._open_reader() as reader:
            refs = sorted(posting.ref for posting in reader.postings_of(PostingKind.EVENT_ID, event_id))
            return tuple([reader.get_event(ref) for ref in refs[:limit]])


def _with_flags(reader: LineageReader, answer: Answer) -> Answer:
    """Return the answer with how many open flags it has: of the newest height, for they are kept of no other."""
    if not isinstance(reader, IndexReader) or answer.height < reader.height:
        return answer
    return msgspec.structs.replace(answer, open_flags=count_open(reader, [item.id for item in answer.items]))


def _by_default(_: Height) -> Readings:
    return Readings()


def _height_of(reader: LineageReader, known_at: Height | None, known_at_ms: int | None) -> Height:
    """Return the height to answer at. Raises UnknownHeightError."""
    if known_at is not None and known_at > reader.height:
        # Answering from less than was asked for would give two answers, and digests, to one question.
        raise UnknownHeightError(known_at, reader.height)
    by_time = None if known_at_ms is None else reader.height_at(known_at_ms)
    earlier = earlier_of(known_at, by_time)
    return reader.height if earlier is None else earlier


def _item_event(row: EventRow) -> ItemEvent:
    event = row.event
    return ItemEvent(
        id=f"{row.transaction_id.hex()}:{row.ref.event}",
        type=event.type.value,
        action=None if event.action is None else event.action.value,
        step=event.step,
        time=event.time_text,
        place=event.location or event.read_point,
        member=row.member,
        digest=event.event_digest.hex(),
    )
