"""Flags as they are asked for from outside: listed, the newest first, by what they are of and who can settle them.

A flag is read from the index with the snapshot that all of the answer holds at. `flags_height` says up to which block
flags have followed; it is the executed height but for a moment after each block, or while a node catches up.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Annotated, Final

import msgspec

from consensus.types import Height
from node.epcis.elements import parse_item
from node.epcis.identifiers import identify, site_of
from node.errors import RequestError
from node.ledger.roster import Roster
from node.ledger.waivers import WaiverRow
from node.lineage.answer import OpenFlags
from node.lineage.custody import Masters
from node.lineage.findings import Severity
from node.lineage.flag_codes import CODES, Group
from node.lineage.flag_model import FLAG_ID_BYTES, FLAG_RULES, Flag
from node.lineage.items import read_item
from node.lineage.names import NAME_ATTRIBUTES, PRODUCT_ATTRIBUTES
from node.lineage.records import EventRef
from node.lineage.texts import iso, optional_text
from node.lineage.touch import Subject, SubjectKind
from node.query.errors import UnknownHeightError
from node.query.holders import holder_ids
from node.query.scopes import earlier_of, read_time
from node.storage import flags as stored
from node.storage.flags import Listed, SubjectRow
from node.storage.following import flags_of_item_at
from node.storage.index import IndexReader
from node.storage.keys import flag_age
from node.wire.ids import MemberId

FLAGS_MAX: Final = 1_000
ITEMS_MAX: Final = 100
COUNTED_MAX: Final = 1_000
"""Items of a trace whose flags are counted: more would take longer than the walk."""
SCANNED_MAX: Final = 20_000
"""Flags that one request looks at; where filters leave few, the answer says where to go on."""
_AT: Final = "the party at "
_AGE_BYTES: Final = 8 + FLAG_ID_BYTES
_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=2048)]

OpenIndexReader = Callable[[], AbstractContextManager[IndexReader]]


class FlagRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which flags. All that is given must hold. items: any of them, in any spelling. party: who can settle it; a place
    stands for the party there. member: who entered one of its events. since: standing since then or later (RFC 3339).
    state: `open`, `countered`, `waived` or `any`. after: `next` of the answer before. height,
    known_at: what the items, their runs and the eventIDs of their events had at that block, or that ledger time.
    """

    items: Annotated[tuple[_Text, ...], msgspec.Meta(max_length=ITEMS_MAX)] = ()
    party: _Text | None = None
    member: _Text | None = None
    code: _Text | None = None
    group: Group | None = None
    severity: Severity | None = None
    state: Annotated[str, msgspec.Meta(pattern="^(open|countered|waived|any)$")] = "open"
    since: Annotated[str, msgspec.Meta(max_length=64)] | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=FLAGS_MAX)] = 100
    after: Annotated[str, msgspec.Meta(max_length=2 * _AGE_BYTES)] | None = None
    height: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] | None = None
    known_at: Annotated[str, msgspec.Meta(max_length=64)] | None = None


class FlagEvent(msgspec.Struct, frozen=True):
    """An event of a flag. id: as `event.get` takes it. digest: of its content, the same on every node for good."""

    id: str
    digest: str
    type: str
    step: str | None
    time: str
    place: str | None
    member: str


class WaiverView(msgspec.Struct, frozen=True):
    """Why a flag may stand, and who says so. transaction: where it stands on the ledger."""

    member: str
    reason: str
    transaction: str
    height: int


class FlagView(msgspec.Struct, frozen=True):
    """A flag. subject: what it is of, an item, a run (transformationID) or an eventID, as subject_kind says.

    items: what else it is found by. means: the code in words. parties: who can settle it. members: who entered its
    events. closes: what closes it. amount: decimal text. since: ledger time from which on it stands. holds_at: the
    block that it holds at, below `flags_height` where a long history is looked at only now and then.
    """

    id: str
    code: str
    group: str
    severity: str
    state: str
    subject_kind: str
    subject: str
    items: tuple[str, ...]
    means: str
    amount: str | None
    uom: str | None
    since: str
    parties: tuple[str, ...]
    members: tuple[str, ...]
    events: tuple[FlagEvent, ...]
    settles: str
    closes: str
    holds_at: int
    waivers: tuple[WaiverView, ...]


class FlagsAnswer(msgspec.Struct, frozen=True):
    """Flags, the newest first. height: executed; flags_height: that flags hold at. next: for the next page, or null.

    names: what master data call items, places and parties.
    """

    height: int
    flags_height: int
    rules: int
    flags: tuple[FlagView, ...]
    next: str | None
    names: dict[str, str]


class FlagAnswer(msgspec.Struct, frozen=True):
    """One flag, as `FlagsAnswer` has it."""

    height: int
    flags_height: int
    rules: int
    flag: FlagView
    names: dict[str, str]


class UnknownFlagError(RequestError):
    """There is no such flag now: it was closed, or never was."""

    def __init__(self, flag_id: str) -> None:
        hint = "a flag that is closed is no longer there; flag.list has those that stand"
        super().__init__("not_found", f"no flag {flag_id}", field="params.id", hint=hint)


class FlagService:
    """Answers questions about flags, each on one snapshot. Blocking: call it in a thread."""

    def __init__(self, open_reader: OpenIndexReader) -> None:
        self._open_reader = open_reader

    def flags(self, request: FlagRequest) -> FlagsAnswer:
        """Return the flags asked for. Raises IdentifierError or RequestError for what cannot be read.

        With `height` or `known_at`, those that items had then: UnknownHeightError for a height that is not executed.
        """
        since_ms = read_time(request.since, "params.since")
        if request.code is not None and request.code not in CODES:
            hint = f"the codes are: {', '.join(CODES)}"
            raise RequestError("invalid_params", f"no code {request.code!r}", field="params.code", hint=hint)
        after = _read_after(request.after)
        with self._open_reader() as reader:
            height = _read_height(reader, request)
            if height is None:
                among: Iterable[tuple[bytes, SubjectRow, Flag]] = (
                    (listed.age, *_read_flag(reader, listed)) for listed in _listed(reader, request, after)
                )
            else:
                among = _listed_at(reader, request, height, after)
            found: list[FlagView] = []
            last: bytes | None = None
            for count, (age, row, flag) in enumerate(among):
                if len(found) == request.limit or count == SCANNED_MAX:
                    break
                if since_ms is not None and flag.since_ms < since_ms:
                    last = None
                    break
                last = age
                if _is_asked(reader, flag, request, height):
                    found.append(_view(reader, row, flag, height))
            else:
                last = None
            following = None if last is None else last.hex()
            at = reader.flags.height if height is None else height
            return FlagsAnswer(reader.height, at, FLAG_RULES, tuple(found), following, _names(reader, found))

    def flag(self, flag_id: str) -> FlagAnswer:
        """Return one flag. Raises UnknownFlagError."""
        with self._open_reader() as reader:
            try:
                found = reader.flags.find_flag(bytes.fromhex(flag_id))
            except ValueError as error:
                raise RequestError("invalid_params", f"{flag_id!r} is no flag's id", field="params.id") from error
            if found is None:
                raise UnknownFlagError(flag_id)
            view = _view(reader, *found, None)
            return FlagAnswer(reader.height, reader.flags.height, FLAG_RULES, view, _names(reader, [view]))

    def may_waive(self, flag_id: str, member: MemberId) -> bool:
        """Return whether a member may waive a flag that stands."""
        with self._open_reader() as reader:
            found = reader.flags.find_flag(bytes.fromhex(flag_id))
            return found is not None and may_waive(reader.governance.roster, found[1], member)


def count_open(reader: IndexReader, items: Sequence[str]) -> OpenFlags:
    """Return how many open flags items have themselves; of many, only the first are looked at."""
    counts = dict.fromkeys(Severity, 0)
    for item in items[:COUNTED_MAX]:
        row = reader.flags.find_subject(stored.short_subject(Subject(SubjectKind.ITEM, item)))
        for flag in () if row is None else row.evaluated.flags:
            if state_of(reader, flag) == "open":
                counts[CODES[flag.code].severity] += 1
    complete = len(items) <= COUNTED_MAX
    return OpenFlags(counts[Severity.HIGH], counts[Severity.WARN], counts[Severity.NOTE], reader.flags.height, complete)


def _read_height(reader: IndexReader, request: FlagRequest) -> Height | None:
    """Return the earlier height that is asked about, None for the newest."""
    if request.height is None and request.known_at is None:
        return None
    if not request.items:
        words = "`height` and `known_at` go with `items`: what no longer stands is not listed"
        raise RequestError("invalid_params", words, field="params.items")
    if request.height is not None and request.height > reader.height:
        raise UnknownHeightError(request.height, reader.height)
    known_at_ms = read_time(request.known_at, "params.known_at")
    by_time = None if known_at_ms is None else reader.height_at(known_at_ms)
    return earlier_of(None if request.height is None else Height(request.height), by_time)


def _listed_at(
    reader: IndexReader, request: FlagRequest, height: Height, after: bytes
) -> list[tuple[bytes, SubjectRow, Flag]]:
    """Return what items had at a height, the newest first, each flag once."""
    found: dict[bytes, tuple[SubjectRow, Flag]] = {}
    for text in request.items:
        item = parse_item(text).id
        for row in flags_of_item_at(reader, item, height):
            for flag in row.evaluated.flags:
                if item in (row.subject.key, *flag.items):
                    found[flag_age(flag.since_ms, flag.id)] = row, flag
    return [(age, *one) for age, one in sorted(found.items()) if age > after]


def _read_after(text: str | None) -> bytes:
    if text is None:
        return b""
    try:
        after = bytes.fromhex(text)
    except ValueError as error:
        raise RequestError("invalid_params", "`after` is `next` of an answer", field="params.after") from error
    if len(after) != _AGE_BYTES:
        raise RequestError("invalid_params", "`after` is `next` of an answer", field="params.after")
    return after


def _listed(reader: IndexReader, request: FlagRequest, after: bytes) -> Iterator[Listed]:
    """Yield what the narrowest list has, the newest first, each flag once."""
    last = b""
    for listed in heapq.merge(*[reader.flags.listed(name, after=after) for name in _lists(request)]):
        if listed.age != last:
            last = listed.age
            yield listed


def _lists(request: FlagRequest) -> list[str]:
    """Return the lists that together have all flags asked for, the shorter kind of list first."""
    if request.items:
        return [stored.list_of_item(parse_item(item).id) for item in request.items]
    if request.party is not None:
        return [stored.list_of_party(name) for name in _party_names(request.party)]
    if request.member is not None:
        return [stored.list_of_member(request.member)]
    return [stored.ALL if request.code is None else stored.list_of_code(request.code)]


def _party_names(text: str) -> tuple[str, ...]:
    return tuple([start + name for name in holder_ids(text) for start in ("", _AT)])


def _read_flag(reader: IndexReader, listed: Listed) -> tuple[SubjectRow, Flag]:
    row = reader.flags.find_subject(listed.subject)
    found = [] if row is None else [flag for flag in row.evaluated.flags if flag.id == listed.flag_id]
    if row is None or not found:
        raise reader.damaged("a flag is listed that is not there")
    return row, found[0]


def _is_asked(reader: IndexReader, flag: Flag, request: FlagRequest, height: Height | None) -> bool:
    code = CODES[flag.code]
    return (
        (request.state == "any" or request.state == state_of(reader, flag, height))
        and (request.code is None or request.code == flag.code)
        and (request.group is None or request.group is code.group)
        and (request.severity is None or request.severity is code.severity)
        and (request.member is None or request.member in flag.members)
        and (request.party is None or not set(_party_names(request.party)).isdisjoint(flag.parties))
    )


def state_of(reader: IndexReader, flag: Flag, height: Height | None = None) -> str:
    """Return `open`, `countered` (another member declares an event of it void) or `waived`. height: None for now."""
    if flag.is_countered:
        return "countered"
    return "waived" if waivers_of(reader, flag, height) else "open"


def waivers_of(reader: IndexReader, flag: Flag, height: Height | None = None) -> list[WaiverRow]:
    """Return the waivers of a flag that count: of members that may waive it, by a height; None for now."""
    known_at, roster = reader.height if height is None else height, reader.governance.roster
    waivers = reader.flags.waivers_of(flag.id)
    return [one for one in waivers if one.height <= known_at and may_waive(roster, flag, one.member)]


def may_waive(roster: Roster, flag: Flag, member: MemberId) -> bool:
    """Return whether a member may waive a flag: a validator, who entered an event of it, and who can settle it."""
    if member in roster.validators or member in flag.members or member in flag.parties:
        return True
    found = roster.find(member)
    return found is not None and bool(found.organisation_id) and identify(found.organisation_id).id in flag.parties


def _view(reader: IndexReader, row: SubjectRow, flag: Flag, height: Height | None) -> FlagView:
    at = reader.flags.height if height is None else height
    code = CODES[flag.code]
    return FlagView(
        id=flag.id.hex(),
        code=flag.code,
        group=code.group.value,
        severity=code.severity.value,
        state=state_of(reader, flag, height),
        subject_kind=_KINDS[row.subject.kind],
        subject=row.subject.key,
        items=flag.items,
        means=code.means,
        amount=optional_text(flag.amount),
        uom=None if flag.uom == "?" else flag.uom,
        since=iso(flag.since_ms),
        parties=flag.parties,
        members=flag.members,
        events=tuple([_event(reader, ref) for ref in flag.refs]),
        settles=code.settles,
        closes=code.closes,
        holds_at=at if row.part is None or row.part.height is None else row.part.height,
        waivers=tuple(
            [
                WaiverView(one.member, one.reason, one.transaction_id.hex(), one.height)
                for one in waivers_of(reader, flag, height)
            ]
        ),
    )


_KINDS: Final = {SubjectKind.ITEM: "item", SubjectKind.RUN: "run", SubjectKind.EVENT_ID: "event_id"}


def _event(reader: IndexReader, ref: EventRef) -> FlagEvent:
    row = reader.get_event(ref)
    event = row.event
    return FlagEvent(
        id=f"{row.transaction_id.hex()}:{ref.event}",
        digest=event.event_digest.hex(),
        type=event.type.value,
        step=event.step,
        time=event.time_text,
        place=event.location or event.read_point,
        member=row.member,
    )


def _names(reader: IndexReader, views: Iterable[FlagView]) -> dict[str, str]:
    masters = Masters(reader, known_at=reader.height)
    names: dict[str, str] = {}
    for view in views:
        for item in (view.subject, *view.items) if view.subject_kind == "item" else view.items:
            facts = read_item(item)
            product = masters.name_of(facts.product, PRODUCT_ATTRIBUTES)
            if product is not None and item not in names:
                names[item] = product if facts.code is None else f"{product} {facts.code}"
        for name in (*view.parties, *(event.place for event in view.events)):
            subject = None if name is None else name.removeprefix(_AT)
            if subject is not None and subject not in names:
                found = masters.name_of(subject, NAME_ATTRIBUTES) or masters.name_of(site_of(subject), NAME_ATTRIBUTES)
                if found is not None:
                    names[subject] = found
    return dict(sorted(names.items()))
