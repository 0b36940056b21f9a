"""Flags of one item: what in its record does not add up, as a pure function of the ledger at a height.

`flags_of_item(item, facts, settings, now_ms)` sees what was on the ledger at `facts.known_at`, the settings of the
network and the time of the block at that height, and nothing else: so it is the same at every node, in whatever order
events arrived and however blocks were taken together. `touch.py` says which items a block may have changed, and
docs/flags.md what each code means.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, NamedTuple

from consensus.types import Height
from node.crypto.digests import FLAG_DOMAIN, sha256
from node.lineage.custody import Holder, ask_whom
from node.lineage.facts import Facts
from node.lineage.indexing import roles_in
from node.lineage.items import ItemKind, read_item
from node.lineage.ledger import build_ledger
from node.lineage.plain import is_balanced, read_plain
from node.lineage.portions import ZERO, LotLedger, PortionKind
from node.lineage.records import ROLE_OUTPUT, EventRef, EventRow, PostingKind
from node.lineage.runs import build_run
from node.lineage.texts import optional_text
from node.lineage.timeline import Timeline
from node.wire.codec import pack

HOUR_MS: Final = 3_600_000
FLAG_RULES: Final = 1
"""Version of these rules: an index whose flags were made by another one has them made anew."""
FLAG_ID_BYTES: Final = 16
EVENTS_MAX: Final = 8
"""Events that one flag names; a flag of more names the first ones."""
ITEMS_MAX: Final = 256
"""Items that one flag is found by."""


class FlagSettings(NamedTuple):
    """What a network sets, by its parameters. unmatched_ms: how long a shipment may lie unreceived, by ledger time.

    run_gain_permille, run_loss_permille: how much more, or less, may come out of a run than went in, in thousandths of
    what went in. back_dated_ms: how late, by ledger time, an event may be entered. speed_kmh: how fast goods travel.
    """

    unmatched_ms: int = 168 * HOUR_MS
    run_gain_permille: int = 5
    run_loss_permille: int = 50
    back_dated_ms: int = 720 * HOUR_MS
    speed_kmh: int = 1_000


class Flag(NamedTuple):
    """One thing that does not add up.

    id: `FLAG_ID_BYTES`, over code, subject and the content of the events: the same however they arrived. items: the
    other items that it is found by, besides its subject. refs: its events, in the order of the finding. parties: who
    can settle it. members: who entered the events. since_ms: ledger time from which on it stands, since_height the
    block of its newest event.
    """

    id: bytes
    code: str
    items: tuple[str, ...]
    refs: tuple[EventRef, ...]
    parties: tuple[str, ...]
    members: tuple[str, ...]
    amount: Decimal | None
    uom: str | None
    since_ms: int
    since_height: Height
    is_countered: bool = False


class Evaluated(NamedTuple):
    """Flags of a subject, by id. due_ms: ledger time at which they may change though nothing is entered, or None."""

    flags: tuple[Flag, ...]
    due_ms: int | None


NOTHING: Final = Evaluated((), None)


@dataclass(slots=True)
class FlagList:
    """Gathers the flags of one subject. countered: content digests of events that another member declared void."""

    subject: str
    countered: frozenset[bytes] = frozenset()
    due_ms: int | None = None
    _flags: dict[bytes, Flag] = field(default_factory=dict)

    def add(
        self,
        code: str,
        rows: Iterable[EventRow | None],
        holders: Iterable[Holder | None],
        *,
        items: tuple[str, ...] = (),
        amount: Decimal | None = None,
        uom: str | None = None,
        since_ms: int | None = None,
    ) -> None:
        """Add a flag. rows: its events, holders: who can settle it, None among them are left out."""
        events = list({row.ref: row for row in rows if row is not None}.values())[:EVENTS_MAX]
        parties = tuple(dict.fromkeys(ask_whom(one) for one in holders if one is not None and one.key))
        digests = [row.event.event_digest for row in events]
        text = optional_text(amount)
        flag_id = sha256(FLAG_DOMAIN, pack((code, self.subject, digests, parties, text, uom)))[:FLAG_ID_BYTES]
        newest = max(events, key=lambda row: row.ref)
        self._flags[flag_id] = Flag(
            flag_id,
            code,
            items,
            tuple([row.ref for row in events]),
            parties,
            tuple(sorted({row.member for row in events})),
            amount,
            uom,
            newest.ledger_time_ms if since_ms is None else since_ms,
            newest.ref.height,
            any(row.event.content_digest in self.countered for row in events),
        )

    def wait_until(self, time_ms: int) -> None:
        """Have the subject evaluated again once a block is that late."""
        self.due_ms = time_ms if self.due_ms is None else min(self.due_ms, time_ms)

    def evaluated(self) -> Evaluated:
        """Return what was gathered."""
        return Evaluated(tuple([flag for _, flag in sorted(self._flags.items())]), self.due_ms)


def flags_of_item(item: str, facts: Facts, settings: FlagSettings, *, now_ms: int) -> Evaluated:
    """Return the flags of an item. now_ms: time of the block at the height that `facts` see."""
    timeline = facts.timelines.of_item(item)
    if not timeline.entries and not timeline.notes:
        return NOTHING
    found = FlagList(item, _countered(timeline))
    plain = read_plain(item, timeline, facts)
    due_ms = None if plain is None or plain.shipped is None else plain.shipped.ledger_time_ms + settings.unmatched_ms
    if due_ms is not None and due_ms > now_ms:
        found.wait_until(due_ms)
    elif plain is None or due_ms is not None:
        ledger = build_ledger(item, facts, timeline)
        for one in ledger.findings:
            found.add(one.code, (one.row, one.other), (one.ask, one.also), amount=one.amount, uom=one.uom)
        _add_notes(found, timeline, facts)
        _add_unmatched(found, ledger, settings, now_ms)
    _add_runs(found, timeline, facts, settings)
    return found.evaluated()


def flags_of_run(name: str, facts: Facts, settings: FlagSettings) -> Evaluated:
    """Return the flags of all runs that go by a transformationID: it may serve several firms."""
    found = FlagList(name)
    seen: set[EventRef] = set()
    for posting in facts.timelines.filed(PostingKind.RUN_OUTPUT, name):
        rows = facts.timelines.outputs_of_run(facts.timelines.row_at(posting.ref))
        if rows and rows[0].ref not in seen:
            seen.add(rows[0].ref)
            add_run(found, rows[0], facts, settings)
    return found.evaluated()


def flags_of_event_id(event_id: str, facts: Facts) -> Evaluated:
    """Return the flag of an eventID that events of different content bear; both count."""
    if len(facts.timelines.filed(PostingKind.EVENT_ID, event_id)) < 2:
        return NOTHING
    timeline = facts.timelines.of_key(PostingKind.EVENT_ID, event_id)
    rows = {row.event.content_digest: row for row, _role in timeline.entries}
    found = FlagList(event_id, _countered(timeline))
    if len(rows) > 1:
        items = tuple(dict.fromkeys(item for row in rows.values() for item in roles_in(row.event)))[:ITEMS_MAX]
        holders = [facts.custody.holder_of(row) for row in rows.values()]
        found.add("event_id_reused", rows.values(), holders, items=items)
    return found.evaluated()


def _countered(timeline: Timeline) -> frozenset[bytes]:
    return frozenset([note.row.event.content_digest for note in timeline.notes if note.code == "counter_statement"])


def _add_notes(found: FlagList, timeline: Timeline, facts: Facts) -> None:
    """Add what the item's events say of one another, and of a unit what its packings do."""
    notes = timeline.notes
    if read_item(found.subject).kind in (ItemKind.UNIT, ItemKind.ASSET):
        notes += facts.containment.contents_of(found.subject).notes
    for note in notes:
        found.add(note.code, (note.row,), (facts.custody.holder_of(note.row),))


def _add_runs(found: FlagList, timeline: Timeline, facts: Facts, settings: FlagSettings) -> None:
    """Add what the runs do not balance by. A run's flags are those of the first item that it puts out."""
    for row, role in timeline.entries:
        if not role & ROLE_OUTPUT or row.event.transformation_id is not None:
            continue
        if row.event.outputs[0].item == found.subject and not is_balanced(row, facts):
            add_run(found, row, facts, settings)


def add_run(found: FlagList, row: EventRow, facts: Facts, settings: FlagSettings) -> None:
    """Add the flags of the run that the event is of."""
    run = build_run(row, facts)
    if not run.findings:
        return
    items = tuple(dict.fromkeys(line.item for line in (*run.outputs, *run.inputs)))[:ITEMS_MAX]
    taken = sum((run.portions[line.portion].lo for line in run.inputs), ZERO)
    for finding in run.findings:
        if finding.amount is not None and finding.amount * 1000 <= taken * settings.run_gain_permille:
            continue
        rows = (*(line.row for line in run.outputs), *(line.row for line in run.inputs))
        found.add(finding.code, rows, (finding.ask,), items=items, amount=finding.amount, uom=finding.uom)


def _add_unmatched(found: FlagList, ledger: LotLedger, settings: FlagSettings, now_ms: int) -> None:
    """Add the shipments that nobody received in time; what travels in a unit is the unit's."""
    for way in ledger.of_kind(PortionKind.IN_TRANSIT):
        if way.unit or way.reports:
            continue
        due_ms = way.row.ledger_time_ms + settings.unmatched_ms
        if due_ms > now_ms:
            found.wait_until(due_ms)
        elif way.hi is None or way.hi > 0:
            found.add(
                "shipment_unmatched",
                (way.row,),
                (way.holder, way.receiver),
                amount=way.hi,
                uom=way.uom,
                since_ms=due_ms,
            )
