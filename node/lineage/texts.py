"""Amounts and times as answers spell them: one spelling for one value."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_YEAR_10000_MS: Final = 253_402_300_800_000
_YEAR_1_MS: Final = -62_135_596_800_000


@lru_cache(maxsize=1 << 14)
def number_text(amount: Decimal) -> str:
    """Return an exact amount as plain digits, without zeros that say nothing: 1E+3 as 1000, 5.00 as 5."""
    text = format(amount, "f")
    return (text.rstrip("0").rstrip(".") or "0") if "." in text else text


def optional_text(amount: Decimal | None) -> str | None:
    """Return the same of an amount that may be unknown."""
    return None if amount is None else number_text(amount)


@lru_cache(maxsize=4096)
def iso(time_ms: int) -> str:
    """Return Unix milliseconds as ISO 8601 UTC, clamped to the years 1 … 9999."""
    clamped = min(max(time_ms, _YEAR_1_MS), _YEAR_10000_MS - 1)
    return (_EPOCH + timedelta(milliseconds=clamped)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
