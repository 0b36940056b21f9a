"""How complete an item's record is, and how a party keeps its own: from what stands on the ledger alone.

A party's scorecard counts signed facts: its events, how late they came, what is open against it, by group and severity,
its shipments and whether they were confirmed, and how complete the lots are that it shipped last.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Final

import msgspec

from consensus.types import Height
from node.epcis.identifiers import site_of
from node.lineage.completeness import completeness_of
from node.lineage.custody import Holder, ask_whom
from node.lineage.facts import Facts, open_facts
from node.lineage.findings import Severity
from node.lineage.flag_codes import CODES, Group
from node.lineage.flag_model import Flag
from node.lineage.holdings import filed_names
from node.lineage.items import ItemKind, read_item
from node.lineage.names import NAME_ATTRIBUTES, PRODUCT_ATTRIBUTES
from node.lineage.readings import Movement, Readings
from node.lineage.records import EventRow, PostingKind
from node.lineage.texts import optional_text
from node.lineage.timeline import FOREVER_MS
from node.query.flags import OpenIndexReader, state_of
from node.query.holders import find_holder
from node.query.starts import find_item
from node.storage.flags import list_of_party, settings_of
from node.storage.following import parameters_at
from node.storage.index import IndexReader

EVENTS_MAX: Final = 20_000
"""Events of a party that a scorecard looks at, the newest by their own time."""
FLAGS_MAX: Final = 20_000
LOTS_MAX: Final = 20
GAPS_MAX: Final = 1_000
_AT: Final = "the party at "
_TRADED: Final = (ItemKind.LOT, ItemKind.SERIAL, ItemKind.UNIT)


class CompletenessRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of which item, in any spelling."""

    item: Annotated[str, msgspec.Meta(min_length=1, max_length=2048)]


class ScorecardRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of whom: a party or a place, by its id in any spelling."""

    party: Annotated[str, msgspec.Meta(min_length=1, max_length=2048)]


class GapView(msgspec.Struct, frozen=True):
    """What the record lacks. reason: as of the unknowns of a trace. ask: who can say."""

    item: str
    reason: str
    ask: str
    amount: str | None
    uom: str | None


class CompletenessAnswer(msgspec.Struct, frozen=True):
    """upstream: hundredths of the item that are traced to recorded origins; downstream: that are accounted for since.

    items: looked at; complete: False if there were more. gaps: at most 1,000, as gap_count says how many there are.
    """

    item: str
    height: int
    upstream: int
    downstream: int
    origins: tuple[str, ...]
    gaps: tuple[GapView, ...]
    gap_count: int
    items: int
    complete: bool
    names: dict[str, str]


class Scorecard(msgspec.Struct, frozen=True):
    """What the ledger says of how a party keeps its record.

    events: that name it; late: of these, entered later than the network allows. members: who entered them, and how
    many. open: flags that it can settle, by severity; groups: by group. shipments: that it sent; overdue: of these, not
    received in time. lots: what it shipped last; completeness: the mean of how far these are traced, in hundredths.
    complete: False if there were more events or flags than are looked at.
    """

    party: str
    name: str | None
    height: int
    flags_height: int
    events: int
    late: int
    members: dict[str, int]
    open: dict[str, int]
    groups: dict[str, int]
    shipments: int
    overdue: int
    lots: tuple[str, ...]
    completeness: int | None
    complete: bool


class ScorecardService:
    """Answers on snapshots. Blocking: call it in a thread."""

    def __init__(self, open_reader: OpenIndexReader, readings_at: Callable[[Height], Readings]) -> None:
        self._open_reader = open_reader
        self._readings_at = readings_at

    def completeness(self, request: CompletenessRequest) -> CompletenessAnswer:
        """Return how complete an item's record is. Raises IdentifierError and UnknownItemError."""
        with self._open_reader() as reader:
            item = find_item(reader, request.item, "params.item")
            facts = self._open(reader)
            found = completeness_of(item, facts)
            gaps = tuple(
                [
                    GapView(gap.item, gap.reason, ask_whom(gap.ask), optional_text(gap.amount), gap.uom)
                    for gap in found.gaps
                ]
            )
            names = _names(facts, [item, *found.origins, *(gap.item for gap in gaps)], [gap.ask for gap in gaps])
            return CompletenessAnswer(
                item,
                reader.height,
                found.upstream,
                found.downstream,
                found.origins,
                gaps[:GAPS_MAX],
                len(gaps),
                found.items,
                found.complete,
                names,
            )

    def scorecard(self, request: ScorecardRequest) -> Scorecard:
        """Return a party's scorecard. Raises UnknownSeedError for one that no event names."""
        with self._open_reader() as reader:
            facts = self._open(reader)
            party = find_holder(facts, request.party, "params.party")
            names = filed_names(facts, party)
            rows = _newest_events(facts, names)
            return self._count(reader, facts, names, rows[:EVENTS_MAX], complete=len(rows) <= EVENTS_MAX)

    def _count(
        self, reader: IndexReader, facts: Facts, names: Sequence[str], rows: list[EventRow], *, complete: bool
    ) -> Scorecard:
        settings = settings_of(parameters_at(reader, reader.height))
        shipments = [
            row
            for row in rows
            if facts.custody.read(row)[0] is Movement.OUTBOUND and _is_of(facts.custody.holder_of(row), names)
        ]
        flags, has_all = _open_flags(reader, names)
        codes = [CODES[flag.code] for flag in flags]
        unmatched = {ref for flag in flags if flag.code == "shipment_unmatched" for ref in flag.refs}
        lots = _newest_lots(shipments)
        scores = [completeness_of(lot, facts).upstream for lot in lots]
        return Scorecard(
            party=names[0],
            name=_name(facts, names[0]),
            height=reader.height,
            flags_height=reader.flags.height,
            events=len(rows),
            late=sum(row.ledger_time_ms - row.event.time.hi_ms > settings.back_dated_ms for row in rows),
            members=dict(sorted(Counter(str(row.member) for row in rows).items())),
            open={one.value: sum(code.severity is one for code in codes) for one in Severity},
            groups={one.value: count for one in Group if (count := sum(code.group is one for code in codes))},
            shipments=len(shipments),
            overdue=sum(row.ref in unmatched for row in shipments),
            lots=lots,
            completeness=sum(scores) // len(scores) if scores else None,
            complete=complete and has_all,
        )

    def _open(self, reader: IndexReader) -> Facts:
        return open_facts(reader, self._readings_at(reader.height), as_of_ms=None, known_at=reader.height)


def _newest_events(facts: Facts, names: Iterable[str]) -> list[EventRow]:
    """Return the events filed under these names, the newest first; one more than are looked at, if there are more."""
    times = {
        posting.ref: posting.time_ms
        for name in names
        for posting in facts.reader.postings_within(
            PostingKind.HOLDER, name, from_ms=-FOREVER_MS, to_ms=FOREVER_MS, limit=EVENTS_MAX + 1, newest=True
        )
    }
    newest = sorted(times, key=lambda ref: (times[ref], ref), reverse=True)[: EVENTS_MAX + 1]
    return [facts.timelines.row_at(ref) for ref in newest]


def _open_flags(reader: IndexReader, names: Iterable[str]) -> tuple[list[Flag], bool]:
    """Return the open flags that a party can settle, under any of its names, and whether these are all."""
    found: dict[bytes, Flag] = {}
    for count, listed in enumerate(
        listed for name in names for one in (name, _AT + name) for listed in reader.flags.listed(list_of_party(one))
    ):
        if count == FLAGS_MAX:
            return list(found.values()), False
        stored = reader.flags.find_flag(listed.flag_id)
        if stored is not None and state_of(reader, stored[1]) == "open":
            found[listed.flag_id] = stored[1]
    return list(found.values()), True


def _is_of(holder: Holder, names: Sequence[str]) -> bool:
    return holder.party in names or holder.site in names or holder.place in names


def _newest_lots(shipments: list[EventRow]) -> tuple[str, ...]:
    """Return the goods shipped last, each once."""
    lots: dict[str, None] = {}
    for row in shipments:
        for goods in row.event.goods:
            if read_item(goods.item).kind in _TRADED:
                lots[goods.item] = None
        if len(lots) >= LOTS_MAX:
            break
    return tuple(list(lots)[:LOTS_MAX])


def _name(facts: Facts, subject: str) -> str | None:
    return facts.masters.name_of(subject, NAME_ATTRIBUTES) or facts.masters.name_of(site_of(subject), NAME_ATTRIBUTES)


def _names(facts: Facts, items: Iterable[str], asked: Iterable[str]) -> dict[str, str]:
    names: dict[str, str] = {}
    for item in dict.fromkeys(items):
        described = read_item(item)
        product = facts.masters.name_of(described.product, PRODUCT_ATTRIBUTES)
        if product is not None:
            names[item] = product if described.code is None else f"{product} {described.code}"
    for text in dict.fromkeys(asked):
        subject = text.removeprefix(_AT)
        name = _name(facts, subject)
        if name is not None:
            names[subject] = name
    return dict(sorted(names.items()))
