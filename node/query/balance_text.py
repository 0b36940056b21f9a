"""A balance as text for people: the totals as an account, then each lot that does not balance. Pure."""

from collections.abc import Iterator
from typing import Final

from node.query.balances import BalanceAnswer, BalanceLine, Bounds
from node.query.text import UNITS

LISTED_MAX: Final = 20
_ROWS: Final = (
    ("had at the beginning", "opening"),
    ("+ made", "made"),
    ("+ received", "received"),
    ("- shipped", "shipped"),
    ("- used", "used"),
    ("- sold, destroyed or otherwise over", "ended"),
    ("- missing by stock counts", "counted_short"),
    ("has at the end", "closing"),
)
_VERDICTS: Final = {
    "balanced": "balanced, within the network's tolerances",
    "gain": "MORE than the record explains",
    "loss": "LESS than the record explains",
    "unsure": "the amounts that are known do not tell whether it balances",
}


def render_balance(answer: BalanceAnswer) -> Iterator[str]:
    """Yield the lines of a balance."""
    party, product = (answer.names.get(name, name) for name in (answer.party, answer.product))
    yield f"{product} at {party}, {answer.since} to {answer.until}"
    if not answer.totals:
        yield "nothing of it was there, came or went"
    for total in answer.totals:
        yield from _account_of(total)
    odd = [line for line in answer.lots if line.verdict != "balanced"]
    if odd:
        yield "lots that do not balance, or may not:"
    for line in odd[:LISTED_MAX]:
        yield f"  {line.item}: {_amount(line.difference, line.uom)}, {_VERDICTS[line.verdict]}"
    if len(odd) > LISTED_MAX:
        yield f"  … and {len(odd) - LISTED_MAX} more (--json has them)"
    if not answer.complete:
        yield "there is more than was looked at: this is the balance of the newest events and of the first lots by id"
    yield f"{answer.lot_count} lots, at height {answer.height}, digest {answer.digest}"


def _account_of(total: BalanceLine) -> Iterator[str]:
    for words, name in _ROWS:
        amount: Bounds = getattr(total, name)
        if name in ("opening", "closing") or (amount.min, amount.max) != ("0", "0"):
            yield f"  {words}: {_amount(amount, total.uom)}"
    yield f"  difference: {_amount(total.difference, total.uom)}: {_VERDICTS[total.verdict]}"
    if total.certified_excess not in (None, "0"):
        yield f"  shipped as certified beyond what was received so or made: {total.certified_excess} {_unit(total.uom)}"


def _amount(amount: Bounds, uom: str | None) -> str:
    if amount.min == amount.max and amount.min is not None:
        return f"{amount.min} {_unit(uom)}"
    least, most = amount.min or "unknown", amount.max or "unknown"
    return f"{least} to {most} {_unit(uom)}"


def _unit(uom: str | None) -> str:
    return UNITS.get(uom or "C62", uom or "")
