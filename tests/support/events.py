"""Builds events and rows by hand, with short words for what the tests of lineage speak of."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from consensus.types import Digest, Height
from node.crypto.digests import sha256
from node.epcis.checkdigits import check_digit
from node.epcis.model import Action, Declaration, Event, EventType, Goods, Interval
from node.lineage.records import EventRef, EventRow
from node.wire.ids import MemberId

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
DAY_ONE_MS: Final = 1_767_571_200_000
"""Monday 2026-01-05, midnight UTC."""


def at(day: int, clock: str) -> int:
    """Return the Unix milliseconds of "HH:MM" on day 1 (a Monday), 2, and so on."""
    hours, minutes = clock.split(":")
    return DAY_ONE_MS + (day - 1) * DAY_MS + int(hours) * HOUR_MS + int(minutes) * 60_000


def lot(product: str, code: str) -> str:
    """Return the canonical id of a lot; product: up to 13 digits of a GTIN, the check digit not among them."""
    return f"{product_class(product)}/10/{code}"


def serial(product: str, code: str) -> str:
    """Return the canonical id of a serial instance."""
    return f"{product_class(product)}/21/{code}"


def product_class(product: str) -> str:
    """Return the canonical id of a product without lot."""
    return f"https://id.gs1.org/01/{_checked(product.zfill(13))}"


def unit(number: int) -> str:
    """Return the canonical id of a logistic unit."""
    return f"https://id.gs1.org/00/{_checked(f'{number:017d}')}"


def place(number: int) -> str:
    """Return the canonical id of a site."""
    return f"https://id.gs1.org/414/{_checked(f'{number:012d}')}"


def party(number: int) -> str:
    """Return the canonical id of a party."""
    return f"https://id.gs1.org/417/{_checked(f'{number:012d}')}"


def _checked(digits: str) -> str:
    return digits + check_digit(digits)


Amounts = Mapping[str, object] | Sequence[str] | str


def goods_of(amounts: Amounts) -> tuple[Goods, ...]:
    """Return goods: a mapping of id to kilograms (None: unknown), or ids without amount; a serial is one piece."""
    if isinstance(amounts, str):
        amounts = (amounts,)
    if isinstance(amounts, Mapping):
        return tuple(
            Goods(item, None if amount is None else Decimal(str(amount)), "KGM") for item, amount in amounts.items()
        )
    return tuple(Goods(item, Decimal(1) if "/21/" in item else None, None) for item in amounts)


def build_event(
    kind: EventType,
    time: int | Interval,
    *,
    action: Action | None = None,
    goods: Amounts = (),
    inputs: Amounts = (),
    outputs: Amounts = (),
    parent: str | None = None,
    step: str | None = None,
    disposition: str | None = None,
    read_point: str | None = None,
    location: str | None = None,
    documents: tuple[tuple[str | None, str], ...] = (),
    sources: tuple[tuple[str, str], ...] = (),
    destinations: tuple[tuple[str, str], ...] = (),
    run: str | None = None,
    lot_code: str | None = None,
    event_id: str | None = None,
    declaration: Declaration | None = None,
    note: str = "",
) -> Event:
    """Return an event whose digests are over what the model's docstring says; note: an extension's value."""
    interval = Interval(time, time) if isinstance(time, int) else time
    listed, taken, given = goods_of(goods), goods_of(inputs), goods_of(outputs)
    content = repr(
        (
            kind,
            interval,
            action,
            sorted(map(repr, listed)),
            sorted(map(repr, taken)),
            sorted(map(repr, given)),
            parent,
            step,
            disposition,
            read_point,
            location,
            sorted(sources),
            sorted(destinations),
            run,
        )
    )
    content_digest = sha256(content.encode())
    whole = repr((content, documents, lot_code, event_id, declaration, note))
    return Event(
        type=kind,
        event_id=event_id,
        time=interval,
        time_text=datetime.fromtimestamp(interval.lo_ms / 1000, UTC).isoformat(timespec="milliseconds"),
        record_time_ms=None,
        action=action,
        step=step,
        disposition=disposition,
        read_point=read_point,
        location=location,
        documents=documents,
        sources=sources,
        destinations=destinations,
        parent=parent,
        goods=listed,
        inputs=taken,
        outputs=given,
        transformation_id=run,
        lot_code=lot_code,
        declaration=declaration,
        content_digest=content_digest,
        event_digest=sha256(whole.encode()),
    )


def build_row(event: Event, number: int, *, member: str = "mill", ledger_time_ms: int | None = None) -> EventRow:
    """Return `event` as the first of the one transaction of block `number`."""
    return EventRow(
        ref=EventRef(Height(number), 0, 0),
        transaction_id=Digest(sha256(b"transaction", number.to_bytes(8, "big"))),
        member=MemberId(member),
        ledger_time_ms=event.time.lo_ms if ledger_time_ms is None else ledger_time_ms,
        record_time_ms=event.time.lo_ms,
        event=event,
    )
