"""Flags in the index: by subject, by id, in lists, and when they are due. Derived from the index at a height.

They follow execution on a mark of their own, outside the state digest: one atomic write takes them from one height to
a later one, and an `IndexReader`'s snapshot shows them with the index as it was at that moment.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Final, NamedTuple

from consensus.types import Height
from node.ledger.roster import Parameters
from node.ledger.waivers import WaiverRow
from node.lineage.flag_model import FLAG_ID_BYTES, FLAG_RULES, HOUR_MS, Evaluated, Flag, FlagSettings
from node.lineage.records import EventRef
from node.lineage.texts import optional_text
from node.lineage.touch import Subject, SubjectKind
from node.storage import keys
from node.storage.store import Row, Snapshot, Store
from node.wire.codec import (
    MalformedError,
    Packable,
    pack,
    read_array,
    read_bool,
    read_bytes,
    read_digest,
    read_int,
    unpack,
)
from node.wire.ids import MemberId

ALL: Final = "all"
"""The list of every flag."""


class FlagMark(NamedTuple):
    """What the stored flags are: by which rules and settings, at which height."""

    rules: int
    settings: FlagSettings
    height: Height


class Part(NamedTuple):
    """How far a long history was looked at. events: how many it has, last_ms: ledger time of the newest of them.

    height: up to which it was, None for all of it. due_ms: when what was found there may change, None if it may not.
    """

    events: int
    last_ms: int
    height: Height | None
    due_ms: int | None


@dataclass(frozen=True, slots=True)
class SubjectRow:
    """A subject and its flags. part: of a long history alone."""

    subject: Subject
    evaluated: Evaluated
    part: Part | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is to be said of it: no flags, nothing due, no long history to count on."""
        return self.part is None and not self.evaluated.flags and self.evaluated.due_ms is None


Change = tuple[SubjectRow | None, SubjectRow]
"""What is stored of a subject, and what is to be."""


class Listed(NamedTuple):
    """A flag's place in a list. age: where to go on after it."""

    age: bytes
    flag_id: bytes
    subject: bytes


@lru_cache(maxsize=1 << 13)
def short_subject(subject: Subject) -> bytes:
    """Return what stands for a subject in keys."""
    return keys.short(f"{subject.kind}:{subject.key}")


_list_prefix: Final = lru_cache(maxsize=1 << 13)(keys.flag_list_prefix)
"""Most flags are of few codes, parties and members."""


def list_of_item(item: str) -> str:
    """Return the name of the list of an item's flags."""
    return f"item:{item}"


def list_of_party(party: str) -> str:
    """Return the name of the list of what a party can settle."""
    return f"party:{party}"


def list_of_member(member: str) -> str:
    """Return the name of the list of flags of events that a member entered."""
    return f"member:{member}"


def list_of_code(code: str) -> str:
    """Return the name of the list of a code."""
    return f"code:{code}"


class FlagReader:
    """Flags in one snapshot of the index."""

    def __init__(self, snapshot: Snapshot, store: Store) -> None:
        self._snapshot = snapshot
        self._store = store

    def find_mark(self) -> FlagMark | None:
        """Return what the stored flags are, None if there are none yet."""
        value = self._snapshot.get(keys.FLAG_MARK)
        if value is None:
            return None
        try:
            rules, settings, height = read_array(unpack(value, what="flag mark"), "flag mark", length=3)
            fields = read_array(settings, "flag mark.settings", length=len(FlagSettings._fields))
            return FlagMark(
                read_int(rules, "flag mark.rules"),
                FlagSettings(*[read_int(field, "flag mark.settings") for field in fields]),
                Height(read_int(height, "flag mark.height")),
            )
        except MalformedError as error:
            raise self._store.damaged(error) from error

    @property
    def height(self) -> Height:
        """The height that the flags hold at; 0 if none were made yet."""
        mark = self.find_mark()
        return Height(0) if mark is None else mark.height

    def find_subject(self, subject: bytes) -> SubjectRow | None:
        """Return a subject with its flags, None if it has none and none is due. subject: as in keys."""
        value = self._snapshot.get(keys.FLAG_SUBJECT + subject)
        try:
            return None if value is None else _decode_subject(value)
        except (MalformedError, ValueError, TypeError, InvalidOperation) as error:
            raise self._store.damaged(error) from error

    def find_flag(self, flag_id: bytes) -> tuple[SubjectRow, Flag] | None:
        """Return a flag by its id with its subject, or None."""
        subject = self._snapshot.get(keys.FLAG_ID + flag_id)
        row = None if subject is None else self.find_subject(subject)
        found = [] if row is None else [flag for flag in row.evaluated.flags if flag.id == flag_id]
        return None if row is None or not found else (row, found[0])

    def waivers_of(self, flag_id: bytes) -> list[WaiverRow]:
        """Return the waivers of a flag on the ledger, by member; whoever gave them."""
        prefix = keys.waiver_key(flag_id, "")
        try:
            return [
                _decode_waiver(flag_id, MemberId(key[len(prefix) :].decode()), value)
                for key, value in self._snapshot.list_rows(prefix)
            ]
        except (MalformedError, ValueError) as error:
            raise self._store.damaged(error) from error

    def due_until(self, time_ms: int) -> Iterator[Subject]:
        """Yield the subjects that are due at a ledger time."""
        for key, _ in self._snapshot.rows(start=keys.FLAG_DUE, stop=keys.flag_due_key(time_ms + 1, b"")):
            row = self.find_subject(key[len(keys.FLAG_DUE) + 8 :])
            if row is None:
                raise self._store.damaged("a flag is due of what is not there")
            yield row.subject

    def masters_until(self, height: Height) -> list[str]:
        """Return whose master data came with blocks up to `height` that flags have not followed, each once."""
        names = [key[len(keys.FLAG_MASTER) + 8 :].decode() for key, _ in self._masters(height)]
        return list(dict.fromkeys(names))

    def _masters(self, height: Height) -> Iterator[Row]:
        return self._snapshot.rows(start=keys.FLAG_MASTER, stop=keys.flag_master_key(Height(height + 1), ""))

    def master_keys_until(self, height: Height) -> list[bytes]:
        """Return the keys of these notes."""
        return [key for key, _ in self._masters(height)]

    def listed(self, name: str, *, after: bytes = b"") -> Iterator[Listed]:
        """Yield the flags of a list, the newest first. after: an age, to begin behind."""
        prefix = keys.flag_list_prefix(name)
        start = prefix + after + b"\0" if after else prefix
        for key, subject in self._snapshot.rows(start=start, stop=prefix + b"\xff" * (8 + FLAG_ID_BYTES + 1)):
            age = key[len(prefix) :]
            yield Listed(age, age[8:], subject)


class FlagStore:
    """Writes flags. One thread does, and no other thread writes these keys."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def write(self, reader: FlagReader, mark: FlagMark, rows: Iterable[Change], *, anew: bool = False) -> None:
        """Take the flags to the mark's height: these subjects have these flags now, all or nothing of it.

        rows: with what is stored of each. reader: of the newest snapshot. anew: all flags there are now, in place of
        what is stored. Not synced: what a machine loses with its power is made again. Raises WriteFailedError.
        """
        deleted = [key for key, _ in self.rows() if not key.startswith(keys.FLAG_MASTER)] if anew else []
        deleted += reader.master_keys_until(mark.height)
        put = [flag_mark_row(mark)]
        for before, row in rows:
            if before == row:
                continue
            short = short_subject(row.subject)
            if before is not None:
                deleted += [key for key, _ in _rows_of(before, short)]
            put += _rows_of(row, short)
        self._store.write(put, deleted=deleted, sync=False)

    def rows(self) -> Iterator[Row]:
        """Yield all keys and values of flags in order."""
        return self._store.rows(prefix=keys.FLAGS)


def first_mark(settings: FlagSettings) -> FlagMark:
    """Return the mark before the first block."""
    return FlagMark(FLAG_RULES, settings, Height(0))


def flag_mark_row(mark: FlagMark) -> Row:
    """Return the row that says what the stored flags are."""
    return keys.FLAG_MARK, pack((mark.rules, mark.settings, mark.height))


def settings_of(parameters: Parameters) -> FlagSettings:
    """Return the settings of flags that a network's parameters name."""
    return FlagSettings(
        unmatched_ms=parameters.flag_unmatched_hours * HOUR_MS,
        run_gain_permille=parameters.flag_run_gain_permille,
        run_loss_permille=parameters.flag_run_loss_permille,
        back_dated_ms=parameters.flag_back_dated_hours * HOUR_MS,
        speed_kmh=parameters.flag_speed_kmh,
    )


def waiver_row(waiver: WaiverRow) -> Row:
    """Return the row of a waiver: execution writes it, and flags are read with it."""
    value = pack((waiver.reason, waiver.transaction_id, waiver.height))
    return keys.waiver_key(waiver.flag_id, waiver.member), value


def _decode_waiver(flag_id: bytes, member: MemberId, value: bytes) -> WaiverRow:
    reason, transaction_id, height = read_array(unpack(value, what="waiver"), "waiver", length=3)
    return WaiverRow(
        flag_id,
        member,
        str(reason),
        read_digest(transaction_id, "waiver.transaction"),
        Height(read_int(height, "waiver.height")),
    )


def _rows_of(row: SubjectRow, short: bytes) -> list[Row]:
    """Return all keys and values of a subject: none if nothing is to be said of it."""
    flags, due_ms = row.evaluated
    if row.is_empty:
        return []
    rows: list[Row] = [(keys.FLAG_SUBJECT + short, _encode_subject(row))]
    if due_ms is not None:
        rows.append((keys.flag_due_key(due_ms, short), b""))
    for flag in flags:
        rows.append((keys.FLAG_ID + flag.id, short))
        age = keys.flag_age(flag.since_ms, flag.id)
        rows += [(_list_prefix(name) + age, short) for name in _lists_of(row.subject, flag)]
    return rows


def _lists_of(subject: Subject, flag: Flag) -> list[str]:
    items = dict.fromkeys(flag.items)
    if subject.kind is SubjectKind.ITEM:
        items[subject.key] = None
    return [
        ALL,
        list_of_code(flag.code),
        *map(list_of_item, items),
        *map(list_of_party, flag.parties),
        *map(list_of_member, flag.members),
    ]


def _encode_subject(row: SubjectRow) -> bytes:
    flags: list[Packable] = [
        (
            flag.id, flag.code, flag.items, flag.refs, flag.parties, flag.members, optional_text(flag.amount), flag.uom,
            flag.since_ms, flag.since_height, flag.is_countered,
        )
        for flag in row.evaluated.flags
    ]  # fmt: skip
    return pack((int(row.subject.kind), row.subject.key, row.evaluated.due_ms, row.part, flags))


def _decode_subject(value: bytes) -> SubjectRow:
    kind, key, due_ms, part, flags = read_array(unpack(value, what="flags"), "flags", length=5)
    return SubjectRow(
        Subject(SubjectKind(read_int(kind, "kind")), str(key)),
        Evaluated(
            tuple([_decode_flag(flag) for flag in read_array(flags, "flags")]),
            None if due_ms is None else read_int(due_ms, "due"),
        ),
        None if part is None else _decode_part(part),
    )


def _decode_part(value: object) -> Part:
    events, last_ms, height, due_ms = read_array(value, "part", length=4)
    return Part(
        read_int(events, "part.events"),
        read_int(last_ms, "part.last"),
        None if height is None else Height(read_int(height, "part.height")),
        None if due_ms is None else read_int(due_ms, "part.due"),
    )


def _decode_flag(value: object) -> Flag:
    flag_id, code, items, refs, parties, members, amount, uom, since_ms, since_height, is_countered = read_array(
        value, "flag", length=11
    )
    return Flag(
        read_bytes(flag_id, "flag.id", length=FLAG_ID_BYTES),
        str(code),
        _texts(items),
        tuple([EventRef(*_numbers(ref)) for ref in read_array(refs, "flag.refs")]),  # type: ignore[arg-type] # Heights are ints.
        _texts(parties),
        _texts(members),
        None if amount is None else Decimal(str(amount)),
        None if uom is None else str(uom),
        read_int(since_ms, "flag.since"),
        Height(read_int(since_height, "flag.height")),
        read_bool(is_countered, "flag.countered"),
    )


def _texts(value: object) -> tuple[str, ...]:
    return tuple(map(str, read_array(value, "flag")))


def _numbers(value: object) -> list[int]:
    return [read_int(number, "flag.ref") for number in read_array(value, "flag.ref", length=3)]
