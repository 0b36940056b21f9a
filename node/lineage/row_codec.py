"""An `EventRow` as bytes and back: one flat array, so that a walk over many rows pays little for each.

Decoding trusts nothing but costs one pass: an array of the wrong shape, or with a value that no field can hold, is a
MalformedError. Equal rows have equal bytes.
"""

from decimal import Decimal, InvalidOperation
from typing import Final, cast

from consensus.types import Digest, Height
from node.epcis.model import Action, Declaration, Event, EventType, Goods, Interval
from node.lineage.records import EventRef, EventRow
from node.wire.codec import MalformedError, Packable, pack, unpack
from node.wire.ids import MemberId

ROW_VERSION: Final = 1
_FIELDS: Final = 31
_TYPES: Final = tuple(EventType)
_ACTIONS: Final = tuple(Action)
_TYPE_NUMBERS: Final = {kind: number for number, kind in enumerate(_TYPES)}
_ACTION_NUMBERS: Final = {action: number for number, action in enumerate(_ACTIONS)}
Fields = tuple[object, ...]
_Pairs = tuple[tuple[str, str], ...]
_Goods = tuple[str | None, ...]
_Row = tuple[
    int,
    Height,
    int,
    int,
    Digest,
    MemberId,
    int,
    int,
    int,
    str | None,
    int,
    int,
    str,
    int | None,
    int | None,
    str | None,
    str | None,
    str | None,
    str | None,
    tuple[tuple[str | None, str], ...],
    _Pairs,
    _Pairs,
    str | None,
    _Goods,
    _Goods,
    _Goods,
    str | None,
    str | None,
    tuple[int, str | None, tuple[str, ...]] | None,
    Digest,
    Digest,
]


def encode_row(row: EventRow) -> bytes:
    """Return the one encoding of `row`."""
    event, ref = row.event, row.ref
    declaration = event.declaration
    declared: Packable = None
    if declaration is not None:
        declared = (declaration.time_ms, declaration.reason, declaration.corrective_event_ids)
    return pack(
        (
            ROW_VERSION,
            ref.height,
            ref.transaction,
            ref.event,
            row.transaction_id,
            row.member,
            row.ledger_time_ms,
            row.record_time_ms,
            _TYPE_NUMBERS[event.type],
            event.event_id,
            event.time.lo_ms,
            event.time.hi_ms,
            event.time_text,
            event.record_time_ms,
            None if event.action is None else _ACTION_NUMBERS[event.action],
            event.step,
            event.disposition,
            event.read_point,
            event.location,
            event.documents,
            event.sources,
            event.destinations,
            event.parent,
            _goods_fields(event.goods),
            _goods_fields(event.inputs),
            _goods_fields(event.outputs),
            event.transformation_id,
            event.lot_code,
            declared,
            event.content_digest,
            event.event_digest,
        )
    )


def decode_row(encoded: bytes) -> EventRow:
    """Return the row in `encoded`. Raises MalformedError, and nothing else."""
    fields = unpack(encoded, what="event row")
    if len(fields) != _FIELDS or fields[0] != ROW_VERSION:
        raise MalformedError("event row: unknown version or shape")
    try:
        return _build_row(fields)
    except (TypeError, ValueError, IndexError, InvalidOperation) as error:
        raise MalformedError("event row: a field of the wrong kind") from error


def _build_row(fields: Fields) -> EventRow:
    # One cast for all: thirty of them would cost as much as the rest.
    (
        _version,
        height,
        transaction,
        place,
        transaction_id,
        member,
        ledger_time_ms,
        record_time_ms,
        type_number,
        event_id,
        lo_ms,
        hi_ms,
        time_text,
        event_record_time_ms,
        action,
        step,
        disposition,
        read_point,
        location,
        documents,
        sources,
        destinations,
        parent,
        goods,
        inputs,
        outputs,
        transformation_id,
        lot_code,
        declared,
        content_digest,
        event_digest,
    ) = cast(_Row, fields)
    event = Event(
        _TYPES[type_number],
        event_id,
        Interval(lo_ms, hi_ms),
        time_text,
        event_record_time_ms,
        None if action is None else _ACTIONS[action],
        step,
        disposition,
        read_point,
        location,
        documents,
        sources,
        destinations,
        parent,
        _build_goods(goods),
        _build_goods(inputs),
        _build_goods(outputs),
        transformation_id,
        lot_code,
        None if declared is None else Declaration(*declared),
        content_digest,
        event_digest,
    )
    ref = EventRef(height, transaction, place)
    return EventRow(ref, transaction_id, member, ledger_time_ms, record_time_ms, event)


def _goods_fields(goods: tuple[Goods, ...]) -> Packable:
    """Lay goods flat: item, amount as text or nil, unit or nil, and again."""
    if not goods:
        return ()
    flat: list[Packable] = []
    for one in goods:
        flat.append(one.item)
        flat.append(None if one.amount is None else str(one.amount))
        flat.append(one.uom)
    return flat


def _build_goods(flat: _Goods) -> tuple[Goods, ...]:
    if not flat:
        return ()
    amounts = [None if amount is None else Decimal(amount) for amount in flat[1::3]]
    return tuple([Goods(*one) for one in zip(cast("tuple[str, ...]", flat[::3]), amounts, flat[2::3], strict=True)])
