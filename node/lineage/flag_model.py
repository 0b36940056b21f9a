"""What a flag is, what a network sets for it, and the list that the checks of a subject add to."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, NamedTuple

from consensus.types import Height
from node.crypto.digests import FLAG_DOMAIN, sha256
from node.lineage.custody import Holder, ask_whom
from node.lineage.records import EventRef, EventRow
from node.lineage.texts import optional_text
from node.wire.codec import pack

HOUR_MS: Final = 3_600_000
FLAG_RULES: Final = 10
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


def _ref_of(row: EventRow) -> EventRef:
    return row.ref


def _id_of(pair: tuple[bytes, tuple[Flag, list[EventRow]]]) -> bytes:
    return pair[0]


@dataclass(slots=True)
class FlagList:
    """Gathers the flags of one subject. countered: content digests of events that another member declared void."""

    subject: str
    countered: frozenset[bytes] = frozenset()
    due_ms: int | None = None
    _flags: dict[bytes, tuple[Flag, list[EventRow]]] = field(default_factory=dict)

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
        events = [row for row in rows if row is not None]
        if len(events) > 1:
            events = list({row.ref: row for row in events}.values())[:EVENTS_MAX]
        parties = tuple(dict.fromkeys(ask_whom(one) for one in holders if one is not None and one.key))
        digests = [row.event.event_digest for row in events]
        text = optional_text(amount)
        flag_id = sha256(FLAG_DOMAIN, pack((code, self.subject, digests, parties, text, uom)))[:FLAG_ID_BYTES]
        newest = events[0] if len(events) == 1 else max(events, key=_ref_of)
        flag = Flag(
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
        )
        self._flags[flag_id] = flag, events

    def wait_until(self, time_ms: int) -> None:
        """Have the subject evaluated again once a block is that late."""
        self.due_ms = time_ms if self.due_ms is None else min(self.due_ms, time_ms)

    @property
    def is_empty(self) -> bool:
        """Whether nothing was added."""
        return not self._flags

    def counter(self, contents: frozenset[bytes]) -> None:
        """Set the flags of these events aside, too: another member declared them void."""
        self.countered |= contents

    def evaluated(self) -> Evaluated:
        """Return what was gathered."""
        flags = []
        for _id, (flag, events) in sorted(self._flags.items(), key=_id_of):
            is_countered = bool(self.countered) and flag.code != "counter_statement" and self._speaks_of(events)
            flags.append(flag._replace(is_countered=True) if is_countered else flag)
        return Evaluated(tuple(flags), self.due_ms)

    def _speaks_of(self, events: Iterable[EventRow]) -> bool:
        return any(row.event.content_digest in self.countered for row in events)
