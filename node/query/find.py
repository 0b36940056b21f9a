"""Finding an item by what is left of its label: a misread code, a product's name, a date, a place, a party.

The text gives candidates, the nearest first, or without a text the product, place or party does; then each is held
against the rest of the question until `limit` are found. The work is bounded, and an answer that the bound cut short
says so (`complete`).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec

from node.epcis.elements import parse_item
from node.epcis.errors import IdentifierError
from node.epcis.identifiers import identify, site_of
from node.epcis.model import Event, MasterKind
from node.errors import RequestError
from node.lineage.custody import Masters
from node.lineage.indexing import holders_in, roles_in
from node.lineage.items import read_item
from node.lineage.names import NAME_ATTRIBUTES, PARTY_ATTRIBUTES, PRODUCT_ATTRIBUTES, NameTable
from node.lineage.near import Looks
from node.lineage.reader import LineageReader
from node.lineage.records import ROLE_INSTANCES, ROLE_MADE, ROLE_OUTPUT, EventRow, Posting, PostingKind
from node.lineage.texts import iso
from node.query.holders import holder_ids
from node.query.near import LOOKS_MAX, MATCHES_MAX, Match, find_items, find_names
from node.query.near_text import match_words
from node.query.scopes import read_time

FOUND_MAX: Final = 200
NAMES_MAX: Final = 20
PLACES_MAX: Final = 1_000
"""Places of one party."""
EVENTS_READ_MAX: Final = 20_000
"""Events that one search reads, over all its candidates."""
ORIGINALS_MAX: Final = 500
"""Makings that one search reads as they were sent, for their dates."""
POSTINGS_MAX: Final = 20_000
"""Of one holder, how many events are looked through where no text narrows the search."""
WIDEST_TIME_MS: Final = 38 * 3_600_000
"""The longest that a time as stated may stand for: midnight UTC, a date of unsure zone."""
_FOREVER_MS: Final = 1 << 62
_MADE: Final = ROLE_MADE | ROLE_OUTPUT | ROLE_INSTANCES

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
_Time = Annotated[str, msgspec.Meta(max_length=64)]
DATE_PATTERN: Final = "^([0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{6})$"

OriginalOf = Callable[[LineageReader, EventRow], bytes]
"""Returns an event as it was sent, JSON, from the snapshot that the reader is of."""


class FindRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is known of an item. text: a code or id in any spelling, `?` for a character that cannot be read, `*` for
    several; or words of a product's name. product, place, party: an id, or words of its name. from, to: RFC 3339, a
    window in which one of its events may lie; made: it is the making that lies there. date: as
    printed, 2026-03-12 or 260312: of its making, expiry or best before. limit: how many to answer with.
    """

    text: _Text | None = None
    product: _Text | None = None
    place: _Text | None = None
    party: _Text | None = None
    since: _Time | None = msgspec.field(default=None, name="from")
    until: _Time | None = msgspec.field(default=None, name="to")
    made: bool = False
    date: Annotated[str, msgspec.Meta(pattern=DATE_PATTERN)] | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=FOUND_MAX)] = 20


class FoundDifference(msgspec.Struct, frozen=True):
    """A character that was read otherwise. kind: look_alike, other, missing, extra or swapped. place: from 1."""

    kind: str
    place: int
    read: str
    actual: str


class FoundItem(msgspec.Struct, frozen=True):
    """An item that may be meant. distance: characters misread beyond look-alikes. reasons: why it is here, in words.

    first, last: ISO 8601 UTC, of its events: the earliest that each may have happened.
    """

    id: str
    kind: str
    product: str | None
    product_name: str | None
    code: str | None
    distance: int
    differences: tuple[FoundDifference, ...]
    reasons: tuple[str, ...]
    first: str | None
    last: str | None


class FoundName(msgspec.Struct, frozen=True):
    """Master data whose name has the words of the text. kind: product, location or party."""

    id: str
    kind: str
    name: str
    distance: int


class FindAnswer(msgspec.Struct, frozen=True):
    """The nearest first. complete: whether all that could match was looked at, and fits the limit."""

    height: int
    complete: bool
    found: tuple[FoundItem, ...]
    names: tuple[FoundName, ...]


@dataclass(frozen=True, slots=True)
class _Candidate:
    item: str
    match: Match | None
    reasons: tuple[str, ...]
    is_placed: bool = False
    """Whether the event that it comes from lies in the window, at the place and party."""


@dataclass(frozen=True, slots=True)
class _Names:
    """Canonical ids that one word of the question may mean, and how they are said in a reason."""

    ids: frozenset[str]
    words: str


class _Search:
    """One search on one snapshot."""

    def __init__(self, reader: LineageReader, request: FindRequest, original_of: OriginalOf | None) -> None:
        self._reader = reader
        self._original_of = original_of
        self._originals_left = ORIGINALS_MAX
        self._date = None if request.date is None else read_date(request.date)
        self._request = request
        self._masters = Masters(reader, known_at=reader.height)
        self._looks = Looks(LOOKS_MAX)
        self._reads_left = EVENTS_READ_MAX
        self._cut = False
        since, until = read_time(request.since, "params.from"), read_time(request.until, "params.to")
        self._from_ms = -_FOREVER_MS if since is None else since
        self._to_ms = _FOREVER_MS if until is None else until
        self._has_window = since is not None or until is not None
        self._product = self._resolve(request.product, "product", MasterKind.PRODUCT)
        self._place = self._resolve(request.place, "place", MasterKind.LOCATION)
        self._party = self._resolve(request.party, "party", MasterKind.PARTY)

    def run(self) -> FindAnswer:
        """Return the answer."""
        found: list[FoundItem] = []
        seen: set[str] = set()
        names = self._names_like(self._request.text)
        for candidate in self._candidates(names):
            if candidate.item in seen:
                continue
            seen.add(candidate.item)
            one = self._judge(candidate)
            if one is not None:
                if len(found) == self._request.limit:
                    self._cut = True
                    break
                found.append(one)
        complete = not (self._cut or self._looks.spent_out)
        return FindAnswer(int(self._reader.height), complete, tuple(found), names[:NAMES_MAX])

    def _resolve(self, text: str | None, field: str, kind: MasterKind) -> _Names | None:
        """Return the ids that an id or a name means. Raises RequestError if nothing has it."""
        if text is None:
            return None
        exact = [one for one in _ids_in(text, kind) if self._is_known(one, is_given=":" in text or one != text)]
        if exact:
            return _Names(frozenset(exact), text)
        named = [one for one in self._names_like(text) if one.kind == kind.value]
        if not named:
            hint = "give its id, or words of its name as master data have it"
            raise RequestError("not_found", f"no {field} is called {text!r}", field=f"params.{field}", hint=hint)
        nearest = [one for one in named if one.distance == named[0].distance]
        return _Names(frozenset(one.id for one in nearest), named[0].name)

    def _is_known(self, id: str, *, is_given: bool) -> bool:  # noqa: A002 - the field's word
        """Return whether an id may be meant: it is spelled as one, or something is known by it."""
        if is_given or self._masters.of(id) or self._reader.find_item(id) is not None:
            return True
        kind = PostingKind.HOLDER
        return bool(self._reader.postings_within(kind, id, from_ms=-_FOREVER_MS, to_ms=_FOREVER_MS, limit=1))

    def _names_like(self, text: str | None) -> tuple[FoundName, ...]:
        if text is None:
            return ()
        found: list[FoundName] = []
        for match in find_names(self._reader, text, self._looks):
            records = self._masters.of(match.id)
            is_product = any(record.kind is MasterKind.PRODUCT for record in records)
            attributes = PRODUCT_ATTRIBUTES if is_product else NAME_ATTRIBUTES
            name = self._masters.name_of(match.id, attributes)
            if records and name is not None:
                found.append(FoundName(match.id, records[0].kind.value, name, match.distance))
        return tuple(found)

    def _candidates(self, names: Sequence[FoundName]) -> Iterator[_Candidate]:
        text = self._request.text
        if text is not None:
            matches = find_items(self._reader, text, self._looks)
            self._cut = self._cut or len(matches) >= MATCHES_MAX
            for match in matches:
                yield _Candidate(match.item, match, (match_words(match),))
            for name in names:
                if name.kind == MasterKind.PRODUCT.value:
                    yield from self._of_product(name.id, f"its product is called {name.name!r}")
        elif self._product is not None:
            for product in sorted(self._product.ids):
                yield from self._of_product(product, f"of product {self._product.words}")
        elif self._place is not None or self._party is not None:
            yield from self._of_holders()
        else:
            hint = "add a text, a product, a place or a party"
            raise RequestError("invalid_params", "nothing to look for", field="params", hint=hint)

    def _of_product(self, product: str, reason: str) -> Iterator[_Candidate]:
        rows = self._reader.items_of_product(product, limit=MATCHES_MAX + 1)
        self._cut = self._cut or len(rows) > MATCHES_MAX
        if self._reader.find_item(product) is not None:
            yield _Candidate(product, None, (reason,))
        for row in rows[:MATCHES_MAX]:
            yield _Candidate(row.item, None, (reason,))

    def _of_holders(self) -> Iterator[_Candidate]:
        """Yield what events in the window name at a place or party: the events of one, the rest is judged."""
        names: set[str] = set()
        if self._place is not None:
            names |= self._place.ids
        elif self._party is not None:
            names |= self._party.ids
            for one in self._party.ids:
                # An event may name only the place, and master data the party that has it.
                names.update(self._reader.named(NameTable.WORD, one, limit=PLACES_MAX))
        for name in sorted(names):
            filed = self._reader.postings_within(
                PostingKind.HOLDER,
                site_of(name),
                from_ms=max(self._from_ms - WIDEST_TIME_MS, -_FOREVER_MS),
                to_ms=self._to_ms,
                limit=POSTINGS_MAX + 1,
            )
            self._cut = self._cut or len(filed) > POSTINGS_MAX
            for posting in filed[:POSTINGS_MAX]:
                event = self._read(posting)
                if event is None:
                    return
                if event.time.hi_ms < self._from_ms or not self._is_at(event):
                    continue
                for item, role in roles_in(event).items():
                    if role & _MADE or not self._request.made:
                        yield _Candidate(item, None, (self._event_words(event, role),), is_placed=True)

    def _read(self, posting: Posting) -> Event | None:
        """Return an event, or None once `EVENTS_READ_MAX` were read."""
        if self._reads_left == 0:
            self._cut = True
            return None
        self._reads_left -= 1
        return self._reader.get_event(posting.ref).event

    def _judge(self, candidate: _Candidate) -> FoundItem | None:
        """Return the candidate with its reasons, if all of the question holds for it."""
        item, match = candidate.item, candidate.match
        facts = read_item(item)
        reasons = list(candidate.reasons)
        if self._product is not None:
            if (facts.product or item) not in self._product.ids:
                return None
            if match is not None:
                reasons.append(f"of product {self._product.words}")
        postings = self._reader.postings_of(PostingKind.ITEM, item)
        if not candidate.is_placed and (self._has_window or self._place is not None or self._party is not None):
            reason = self._event_reason(postings)
            if reason is None:
                return None
            reasons.append(reason)
        if self._date is not None:
            reason = self._date_reason(postings, self._date)
            if reason is None:
                return None
            reasons.append(reason)
        return FoundItem(
            id=item,
            kind=facts.kind.value,
            product=facts.product,
            product_name=self._masters.name_of(facts.product, PRODUCT_ATTRIBUTES),
            code=facts.code,
            distance=0 if match is None else match.distance,
            differences=() if match is None else tuple([FoundDifference(*one) for one in match.differences]),
            reasons=tuple(reasons),
            first=iso(postings[0].time_ms) if postings else None,
            last=iso(postings[-1].time_ms) if postings else None,
        )

    def _event_reason(self, postings: Iterable[Posting]) -> str | None:
        """Return the first event that lies in the window at the place and party, in words, or None."""
        for posting in postings:
            if posting.time_ms > self._to_ms:
                return None
            if posting.time_ms < self._from_ms - WIDEST_TIME_MS or (self._request.made and not posting.role & _MADE):
                continue
            event = self._read(posting)
            if event is None:
                return None
            if event.time.hi_ms < self._from_ms or not self._is_at(event):
                continue
            return self._event_words(event, posting.role)
        return None

    def _event_words(self, event: Event, role: int) -> str:
        words = "made" if role & _MADE else event.step or event.type.value
        where = [f"at {one.words}" for one in (self._place, self._party) if one is not None]
        return " ".join([words, event.time_text, *where])

    def _date_reason(self, postings: Iterable[Posting], date: str) -> str | None:
        """Return which date of a making of the item is the one that was printed, in words, or None."""
        for posting in postings:
            if not posting.role & _MADE:
                continue
            if self._originals_left == 0:
                self._cut = True
                return None
            self._originals_left -= 1
            row = self._reader.get_event(posting.ref)
            if row.event.time_text.startswith(date):
                return f"made {row.event.time_text}"
            for name, value in self._printed_dates(row):
                if value.startswith(date):
                    return f"{name} {value}"
        return None

    def _printed_dates(self, row: EventRow) -> Iterator[tuple[str, str]]:
        """Yield the dates that a making gives its goods: names bare, values as sent."""
        if self._original_of is None:
            return
        event = msgspec.json.decode(self._original_of(self._reader, row), type=_Dated)
        ilmd = event.ilmd if isinstance(event.ilmd, dict) else {}
        for name, value in ilmd.items():
            if name.lower().endswith("date") and isinstance(value, str):
                yield name.rpartition(":")[2].rpartition("/")[2].rpartition("#")[2], value

    def _is_at(self, event: Event) -> bool:
        if self._place is None and self._party is None:
            return True
        named = {*holders_in(event), *(place for place in (event.location, event.read_point) if place is not None)}
        if self._place is not None and named.isdisjoint(self._place.ids):
            return False
        if self._party is None or not named.isdisjoint(self._party.ids):
            return True
        return any(not self._party.ids.isdisjoint(self._parties_of(place)) for place in sorted(named))

    def _parties_of(self, place: str) -> Iterator[str]:
        for record in self._masters.of(place):
            for name, value in record.attributes:
                if name in PARTY_ATTRIBUTES:
                    yield identify(value).id


class _Dated(msgspec.Struct):
    """What of an event as sent is read for its dates."""

    ilmd: object = None


def read_date(text: str) -> str:
    """Return a date as printed, such as 260312 (AI 17), as 2026-03-12."""
    return text if "-" in text else f"20{text[:2]}-{text[2:4]}-{text[4:]}"


def find(reader: LineageReader, request: FindRequest, original_of: OriginalOf | None = None) -> FindAnswer:
    """Return what may be meant. Raises RequestError for a time or name that cannot be read, or an empty question.

    original_of: for the dates that only the event as it was sent has.
    """
    return _Search(reader, request, original_of).run()


def _ids_in(text: str, kind: MasterKind) -> tuple[str, ...]:
    """Return the canonical ids that `text` may spell: a bare GLN is one of a place and of a party."""
    try:
        if kind is not MasterKind.PRODUCT:
            return holder_ids(text)
        parsed = parse_item(text).id
    except IdentifierError:
        return ()
    # Of a lot, its product.
    return (read_item(parsed).product or parsed,)
