"""Small words of every text: what others named on one line, and counts with their nouns."""

import re
from typing import Final

# What moves the cursor, changes the direction of all text after it, or is no XML 1.0.
_UNSAFE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]+"
)


def one_line(text: str) -> str:
    """Return text on one line, as it looks: names are what anybody wrote, and must neither forge nor hide a line."""
    return _UNSAFE.sub(" ", text)


def count_words(count: int, noun: str) -> str:
    """Return a count with its noun, one or several."""
    return f"{count:,} {noun if count == 1 else noun + 's'}"
