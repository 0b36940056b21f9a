"""How far two places are apart at least, in exact decimals: the same at every node, whatever its arithmetic of floats.

The chord through a sphere is never longer than any way over it. Sine and cosine are their Taylor series in 28 digits.
"""

from decimal import Context, Decimal
from typing import Final

_RADIUS_KM: Final = Decimal(6357)
"""The polar radius, the least of the Earth's (WGS 84): no distance is taken for longer than it is."""
_PI: Final = Decimal("3.141592653589793238462643383280")
_DIGITS: Final = Context(prec=28)
_TERMS: Final = 24
"""Enough for half a turn: the next term is below 10^-30."""

Point = tuple[Decimal, Decimal]
"""Latitude and longitude in degrees."""


def chord_squared_km(one: Point, other: Point) -> Decimal:
    """Return the square of the straight distance between two points, in square kilometres."""
    total = Decimal(0)
    for a, b in zip(_vector(one), _vector(other), strict=True):
        difference = _DIGITS.subtract(a, b)
        total = _DIGITS.add(total, _DIGITS.multiply(difference, difference))
    return _DIGITS.multiply(total, _RADIUS_KM * _RADIUS_KM)


def _vector(point: Point) -> tuple[Decimal, Decimal, Decimal]:
    latitude, longitude = (_DIGITS.divide(_DIGITS.multiply(angle, _PI), Decimal(180)) for angle in point)
    flat = _series(latitude, 0)
    return (
        _DIGITS.multiply(flat, _series(longitude, 0)),
        _DIGITS.multiply(flat, _series(longitude, 1)),
        _series(latitude, 1),
    )


def _series(angle: Decimal, first: int) -> Decimal:
    """Return the cosine (first 0) or sine (first 1) of an angle in radians."""
    square = _DIGITS.multiply(angle, angle)
    term = total = angle if first else Decimal(1)
    for place in range(1, _TERMS):
        term = _DIGITS.divide(_DIGITS.multiply(-term, square), Decimal((2 * place + first) * (2 * place + first - 1)))
        total = _DIGITS.add(total, term)
    return total
