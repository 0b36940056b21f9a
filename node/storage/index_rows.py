"""Rows of the index as bytes and back: transactions, executed blocks, master data, items, and the mark of the state.

Events have `lineage/row_codec`, what links them `lineage/links`; keys are `keys.py`'s.
"""

from dataclasses import dataclass

from consensus.types import Digest, Height
from node.epcis.model import MasterKind, MasterRecord
from node.ledger.state import TransactionRow, WriteSet
from node.ledger.verdicts import EventCode, TransactionCode
from node.lineage.items import read_item
from node.lineage.near import CODE_LENGTH_MAX, fold_code
from node.lineage.records import EventRef, ItemRow, MasterRow
from node.storage import keys
from node.storage.store import Row
from node.wire.codec import Packable, pack, read_array, read_bytes, read_digest, read_int, unpack
from node.wire.ids import FeedId, FeedNumber, MemberId


@dataclass(frozen=True, slots=True)
class ExecutedBlock:
    """What executing a block came to. due_digest: of the roster of the next epoch, zero if none was due then."""

    height: Height
    digest: Digest
    time_ms: int
    state_digest: Digest
    transaction_count: int
    event_count: int
    due_digest: Digest


def encode_transaction(height: Height, row: TransactionRow) -> bytes:
    """Return the row of a transaction."""
    fields: Packable = (
        height,
        row.position,
        row.feed.member,
        row.feed.number,
        row.seq,
        row.place,
        row.kind,
        row.created_ms,
        int(row.code),
        bytes(row.event_codes),
    )
    return pack(fields)


def decode_transaction(transaction_id: Digest, encoded: bytes) -> tuple[Height, TransactionRow]:
    """Return a transaction and its block. Raises MalformedError or ValueError."""
    height, position, member, number, seq, place, kind, created_ms, code, event_codes = read_array(
        unpack(encoded, what="transaction row"), "transaction row", length=10
    )
    return Height(read_int(height, "height")), TransactionRow(
        id=transaction_id,
        position=read_int(position, "position"),
        feed=FeedId(MemberId(str(member)), FeedNumber(read_int(number, "feed"))),
        seq=read_int(seq, "seq"),
        place=read_int(place, "place"),
        kind=read_int(kind, "kind"),
        created_ms=read_int(created_ms, "created_ms"),
        code=TransactionCode(read_int(code, "code")),
        event_codes=tuple(EventCode(code) for code in read_bytes(event_codes, "event codes")),
    )


def encode_master(row: MasterRow) -> bytes:
    """Return the row of master data."""
    record = row.record
    return pack((row.ref.height, row.ref.transaction, row.ref.event, str(record.kind), record.id, record.attributes))


def decode_master(member: MemberId, encoded: bytes) -> MasterRow:
    """Return master data that the member entered. Raises MalformedError or ValueError."""
    height, transaction, place, kind, id_field, attributes = read_array(
        unpack(encoded, what="master row"), "master row", length=6
    )
    pairs = [read_array(pair, "attribute", length=2) for pair in read_array(attributes, "attributes")]
    return MasterRow(
        EventRef(Height(read_int(height, "height")), read_int(transaction, "place"), read_int(place, "place")),
        member,
        MasterRecord(MasterKind(str(kind)), str(id_field), tuple((str(name), str(text)) for name, text in pairs)),
    )


def encode_executed(write_set: WriteSet) -> bytes:
    """Return the row of an executed block."""
    fields: Packable = (
        write_set.block_digest,
        write_set.time_ms,
        write_set.state_digest,
        len(write_set.transactions),
        len(write_set.events),
        write_set.governance.due_digest,
    )
    return pack(fields)


def decode_executed(height: Height, encoded: bytes) -> ExecutedBlock:
    """Return the executed block in its row. Raises MalformedError."""
    digest, time_ms, state_digest, transactions, events, due = read_array(
        unpack(encoded, what="executed block"), "executed block", length=6
    )
    return ExecutedBlock(
        height,
        read_digest(digest, "digest"),
        read_int(time_ms, "time_ms"),
        read_digest(state_digest, "state_digest"),
        read_int(transactions, "transactions"),
        read_int(events, "events"),
        read_digest(due, "due_digest"),
    )


def read_state(mark: bytes | None) -> tuple[Height, Digest, Height]:
    """Return height, running digest and the height that governance last changed at. Raises MalformedError."""
    height, digest, changed = read_array(unpack(mark or b"", what="state"), "state", length=3)
    return (
        Height(read_int(height, "state.height")),
        read_digest(digest, "state.digest"),
        Height(read_int(changed, "state.governance_height")),
    )


def item_row(item: str) -> ItemRow:
    """Return what the id itself says: so the index keeps of an item no more than that it was named."""
    facts = read_item(item)
    return ItemRow(item, facts.product, facts.code)


def item_rows(item: str) -> list[Row]:
    """Return the rows of an item: a function of its id, so writing them again changes nothing."""
    facts = read_item(item)
    product = facts.product
    rows: list[Row] = [(keys.item_key(item), b"")]
    if product is not None and product != item and not item.startswith(product + "/"):
        rows.append((keys.product_key(product, item), b""))
    folded = "" if facts.code is None else fold_code(facts.code)[:CODE_LENGTH_MAX]
    if folded:
        rows.append((keys.code_key(folded, item), b""))
        rows.append((keys.code_reversed_key(folded, item), b""))
    return rows
