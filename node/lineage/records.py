"""What the index keeps of an event, so that a question is answered without reading the chain.

An `EventRow` is the event, read, with who entered it and when. A `Posting` files it under what one looks it up
by; `storage/keys.py` lays both out. Rows and postings are a function of the block alone, so equal at every node.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple

import msgspec

from consensus.types import Digest, Height
from node.epcis.model import Event, MasterRecord
from node.wire.ids import MemberId

_REF: Final = struct.Struct(">QIH")
REF_BYTES: Final = _REF.size


class EventRef(NamedTuple):
    """An event's place on the ledger: block, transaction in the block, event in the transaction.

    A tuple, like what follows: made for every event, and hashed and ordered in C.
    """

    height: Height
    transaction: int
    event: int

    def encode(self) -> bytes:
        """Return `REF_BYTES` bytes whose order is the ledger's."""
        return _REF.pack(self.height, self.transaction, self.event)


class EventRow(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """An event of the ledger. ledger_time_ms: of its block. record_time_ms: when the member's node entered it."""

    ref: EventRef
    transaction_id: Digest
    member: MemberId
    ledger_time_ms: int
    record_time_ms: int
    event: Event


class PostingKind(IntEnum):
    """What an event is filed under. Numbers stand in keys on disk."""

    ITEM = 1
    """Every canonical id that the event names as goods, input, output, child or parent."""
    RUN_INPUT = 2
    """transformationID as sent, of events with inputs; which custodian's run it is, is read from the event."""
    EVENT_ID = 3
    RUN_OUTPUT = 4
    """transformationID, of events with outputs: apart, so that one draw of a vessel does not read the others."""
    HOLDER = 5
    """Every site and party that the event names; role: the ROLE_ bits of all its goods."""
    JUDGED = 6
    """The line or vessel, else the place, of an Object event that says that something conforms or does not: what may
    be a cleaning. Which steps are cleanings is a network's to say, so it is read from the event."""
    CERTIFICATE = 7
    """Every document that an event names which is no paper of trade or transport: what may be a certificate."""


ROLE_MADE: Final = 1
"""Goods of an Object event ADD."""
ROLE_OUTPUT: Final = 2
ROLE_INPUT: Final = 4
ROLE_SEEN: Final = 8
"""Goods of an Object event OBSERVE, or of a Transaction event."""
ROLE_ENDED: Final = 16
"""Goods of an Object event DELETE."""
ROLE_CHILD: Final = 32
"""Goods of an Aggregation or Association event."""
ROLE_PARENT: Final = 64
ROLE_INSTANCES: Final = 128
"""A lot whose serials the event makes: the event names them, and the lot only by its code in ilmd."""


class Posting(NamedTuple):
    """File `ref` under (kind, key), in the order of time_ms (the low end of the event's time), then of ref.

    role: the ROLE_ bits of the item in the event, 1 … 255, of HOLDER those of all its goods; 0 for the other kinds. It
    lets a walk skip events without reading them.
    """

    kind: PostingKind
    key: str
    time_ms: int
    ref: EventRef
    role: int


class Filing(NamedTuple):
    """All that one event is filed under: what its postings say, without an object for each.

    roles: the ROLE_ bits of every item that it names, in the order of their naming. others: kind, key and role of all
    else.
    """

    ref: EventRef
    time_ms: int
    roles: dict[str, int]
    others: Sequence[tuple[PostingKind, str, int]]

    def postings(self) -> tuple[Posting, ...]:
        """Return the postings one by one."""
        time_ms, ref = self.time_ms, self.ref
        return (
            *[Posting(PostingKind.ITEM, item, time_ms, ref, role) for item, role in self.roles.items()],
            *[Posting(kind, key, time_ms, ref, role) for kind, key, role in self.others],
        )


class ItemRow(NamedTuple):
    """An item that some event named: for look-up by part of its code. A function of the id, so written blindly.

    product: canonical GTIN Digital Link (of an opaque scheme that we can read, the class's URI), or None. code: its
    lot, serial or SSCC text, else None.
    """

    item: str
    product: str | None
    code: str | None


@dataclass(frozen=True, slots=True)
class MasterRow:
    """Master data entered by a member; the newest (by ref) of each member stands."""

    ref: EventRef
    member: MemberId
    record: MasterRecord
