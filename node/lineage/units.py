"""Units that convert exactly: of mass, of volume, and the names of a piece. All others are left as they are."""

import re
from decimal import Context, Decimal, Inexact
from typing import Final

EXACT: Final = Context(prec=64, traps=[Inexact])
COUNTED: Final = frozenset({None, "KGM", "LTR"})
"""The units that amounts are counted in."""
_ONE: Final = Decimal(1)
_FACT: Final = re.compile(r"1 ([A-Z0-9]{2,3}) = (\d{1,18}(?:\.\d{1,9})?) ([A-Z0-9]{2,3})")

# UN/ECE Recommendation 20: the unit that each counts in, and how much of it one is. None is a piece.
_FACTORS: Final[dict[str | None, tuple[str | None, Decimal]]] = {
    None: (None, _ONE),
    "EA": (None, _ONE),
    "C62": (None, _ONE),
    "H87": (None, _ONE),
    "KGM": ("KGM", _ONE),
    "GRM": ("KGM", Decimal("0.001")),
    "TNE": ("KGM", Decimal(1000)),
    "LBR": ("KGM", Decimal("0.45359237")),
    "ONZ": ("KGM", Decimal("0.028349523125")),
    "LTR": ("LTR", _ONE),
    "MLT": ("LTR", Decimal("0.001")),
    "HLT": ("LTR", Decimal(100)),
    "MTQ": ("LTR", Decimal(1000)),
}


def convert(amount: Decimal, uom: str | None, target: str | None) -> Decimal | None:
    """Return `amount` of `uom` in `target`, exactly; None if the two do not convert, or not to an end."""
    if uom == target:
        return amount
    source, wanted = _FACTORS.get(uom), _FACTORS.get(target)
    if source is None or wanted is None or source[0] != wanted[0]:
        return None
    try:
        return EXACT.divide(EXACT.multiply(amount, source[1]), wanted[1])
    except Inexact:
        return None


def to_base(amount: Decimal | None, uom: str | None) -> tuple[Decimal | None, str | None]:
    """Return an amount in the unit that its kind is counted in: kilograms, litres, pieces; others as they are."""
    found = _FACTORS.get(uom)
    if found is None or found[1] == _ONE:
        return amount, uom if found is None else found[0]
    return None if amount is None else EXACT.multiply(amount, found[1]), found[0]


def last_place(amount: Decimal) -> Decimal:
    """Return one in the last place that an amount states: 0.1 of 45359.2, 1 of 45000."""
    exponent = amount.as_tuple().exponent
    return _ONE.scaleb(exponent) if isinstance(exponent, int) and exponent < 0 else _ONE


def read_fact(text: str) -> tuple[str, Decimal, str] | None:
    """Return (unit, amount, other unit) of a product fact such as "1 CS = 10 KGM", or None for other text."""
    match = _FACT.fullmatch(text)
    return None if match is None else (match[1], Decimal(match[2]), match[3])
