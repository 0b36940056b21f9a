"""The check digit of GS1 keys, in code of our own: what nodes agree on must not change with a library.

Source: GS1 General Specifications §7.9: from the right, weights 3, 1, 3, …; the digit is (10 − sum mod 10) mod 10.
"""

from typing import Final

# Summing the bytes of ASCII digits adds 48 a digit; 48 × 3 and 48 × 1 are taken off again modulo 10.
_ZERO: Final = 48


def check_digit(digits: str) -> str:
    """Return the digit that follows `digits`, which are ASCII digits without a check digit."""
    encoded = digits.encode("ascii")
    odd, even = encoded[::-2], encoded[-2::-2]
    total = 3 * (sum(odd) - _ZERO * len(odd)) + sum(even) - _ZERO * len(even)
    return str(-total % 10)


def is_checked(digits: str) -> bool:
    """Return whether the last of `digits`, which are at least two ASCII digits, is their check digit."""
    return digits[-1] == check_digit(digits[:-1])
