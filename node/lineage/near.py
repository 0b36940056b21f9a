"""Codes near one that was misread: which of a sorted table differ from it by little, and in which characters.

The table is only ever asked what comes next from a place. The walk keeps one row of the edit-distance programme for
each character of the code it stands at; where no row's continuation can be near, it asks for the next code after all
that begin alike. So a misread is found wherever it stands, the first character included, and what is looked at is the
neighbourhood of the pattern, not the table.

Source: K. Schulz and S. Mihov, "Fast string correction with Levenshtein automata" (IJDAR 2002); the rows stand for the
automaton's states. Distance: optimal string alignment (Damerau 1964), look-alike characters being equal.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

CODE_LENGTH_MAX: Final = 64
STEPS_A_LOOK: Final = 256
"""Cells of the programme that one look pays for; more are taken from the looks that are left."""
ANY_ONE: Final = "?"
"""In a pattern: one character that could not be read."""
ANY_RUN: Final = "*"
"""In a pattern: any number of them, none included."""
LOOK_ALIKES: Final = ("0O", "1IL", "2Z", "5S", "6G", "8B")

_KIN: Final = {sign: group for group in LOOK_ALIKES for sign in group}
_AFTER_ALL_ITEMS: Final = "\x01"
_CODE_POINT_LAST: Final = 0x10FFFF
_SURROGATES: Final = range(0xD800, 0xE000)

NextName = Callable[[str], str | None]
"""Returns the first name of a table that is not before a text, or None."""
Row = list[int]


@dataclass(slots=True)
class Looks:
    """How many more names a search may look at; it ends early at 0, and `spent_out` says so."""

    left: int
    spent_out: bool = False

    def take(self) -> bool:
        """Return whether one more may be looked at."""
        if self.left <= 0:
            self.spent_out = True
            return False
        self.left -= 1
        return True


class Difference(NamedTuple):
    """Where a code differs from what was read. place: of the character in the code, from 1.

    kind: look_alike, other, missing (not in what was read), extra (only in what was read) or swapped. read, actual: the
    characters, empty where there is none.
    """

    kind: str
    place: int
    read: str
    actual: str


def fold_code(text: str) -> str:
    """Return what counts of a code when it is looked for: its letters and digits, in capitals."""
    return text.upper() if text.isalnum() else "".join(filter(str.isalnum, text)).upper()


def read_pattern(text: str) -> str:
    """Return the pattern that a code as typed is: folded, with `?` and `*` kept; at most `CODE_LENGTH_MAX` signs."""
    signs: list[str] = []
    for sign in text.upper():
        if (sign.isalnum() or sign in (ANY_ONE, ANY_RUN)) and not (sign == ANY_RUN and signs[-1:] == [ANY_RUN]):
            signs.append(sign)
    return "".join(signs[:CODE_LENGTH_MAX])


def edits_allowed(pattern: str) -> int:
    """Return how many characters of a code of this length may be misread before it is any code."""
    known = sum(sign not in (ANY_ONE, ANY_RUN) for sign in pattern)
    return 0 if known <= 2 else 1 if known <= 4 else 2


def walk_near(next_name: NextName, pattern: str, *, edits_max: int, looks: Looks) -> Iterator[tuple[int, str]]:
    """Yield (distance, name) of each name within `edits_max` of the pattern, in the order of names.

    pattern: of signs in capitals, ANY_ONE and ANY_RUN; names may have small letters too. Costs one look for each name
    that is near and for each place where the walk turns away.
    """
    rows = [_first_row(pattern)]
    at, before = "", ""
    while looks.take():
        name = next_name(at)
        if name is None:
            return
        kept = _shared(before, name, len(rows) - 1)
        del rows[kept + 1 :]
        while len(rows) <= len(name) and min(rows[-1]) <= edits_max:
            rows.append(_next_row(pattern, rows, name))
        # A look at long names by a long pattern is more work than one at a code.
        looks.left -= (len(rows) - kept - 1) * len(pattern) // STEPS_A_LOOK
        if min(rows[-1]) <= edits_max:
            if rows[-1][-1] <= edits_max:
                yield rows[-1][-1], name
            at, before = name + _AFTER_ALL_ITEMS, name
            continue
        # The last character read was one too many: what begins so is not near.
        rows.pop()
        after = _turn(pattern, rows, name, edits_max)
        if after is None:
            return
        at, before = after, name[: len(rows) - 1]


def _turn(pattern: str, rows: list[Row], name: str, edits_max: int) -> str | None:
    """Return the first text after `name` that may begin something near; rows are cut to those that it shares."""
    while rows:
        length = len(rows) - 1
        if length < len(name):
            sign = _next_sign(pattern, rows[-1], name[length], edits_max)
            if sign is not None:
                return name[:length] + sign
        rows.pop()
    return None


def _next_sign(pattern: str, row: Row, after: str, edits_max: int) -> str | None:
    """Return the least character above `after` that may follow; None if none may."""
    if min(row) < edits_max or any(
        cost <= edits_max and place < len(pattern) and pattern[place] in (ANY_ONE, ANY_RUN)
        for place, cost in enumerate(row)
    ):
        point = ord(after) + 1
        if point in _SURROGATES:
            point = _SURROGATES.stop
        return chr(point) if point <= _CODE_POINT_LAST else None
    above: list[str] = []
    for place, cost in enumerate(row):
        if cost <= edits_max:
            # The sign itself, or the one before it: the second of a swapped pair.
            for token in pattern[max(0, place - 1) : place + 1]:
                above += [sign for sign in _variants(token) if sign > after]
    return min(above, default=None)


def _variants(token: str) -> str:
    kin = _KIN.get(token, token)
    return kin + kin.lower()


def _shared(left: str, right: str, length_max: int) -> int:
    length = 0
    for one, other in zip(left, right, strict=False):
        if length >= length_max or one != other:
            break
        length += 1
    return length


def _first_row(pattern: str) -> Row:
    row = [0]
    for token in pattern:
        row.append(row[-1] + (token != ANY_RUN))
    return row


def _next_row(pattern: str, rows: Sequence[Row], name: str) -> Row:
    """Return the row after one more character of `name`: the least distances to each beginning of the pattern."""
    length = len(rows) - 1
    row, sign = rows[-1], name[length].upper()
    kin = _KIN.get(sign, sign)
    last = name[length - 1].upper() if length else ""
    new = [row[0] + 1]
    for place, token in enumerate(pattern, 1):
        if token == ANY_RUN:
            new.append(min(row[place], new[-1]))
            continue
        cost = min(row[place], new[-1]) + 1
        apart = row[place - 1] + (token != ANY_ONE and token not in kin)
        if apart < cost:
            cost = apart
        if place > 1 and last and token == last and pattern[place - 2] == sign:
            swapped = rows[-2][place - 2] + 1
            if swapped < cost:
                cost = swapped
        new.append(cost)
    return new


def explain(pattern: str, name: str) -> tuple[int, tuple[Difference, ...]]:
    """Return the distance between a pattern and a name, and in which characters they differ, in order.

    Look-alikes are listed, and cost nothing. Of several explanations of one distance: the one that reads on longest.
    """
    rows = [_first_row(pattern)]
    for _ in name:
        rows.append(_next_row(pattern, rows, name))
    found: list[Difference] = []
    length, place = len(name), len(pattern)
    while length or place:
        cost = rows[length][place]
        token = pattern[place - 1] if place else ""
        sign = name[length - 1] if length else ""
        kind = _step_back(rows, length, place, token, sign.upper())
        if kind == "same":
            if token != ANY_ONE and token != sign.upper():
                found.append(Difference("look_alike", length, token, sign))
            length, place = length - 1, place - 1
        elif kind == "run":
            place -= 1
        elif kind == "in_run":
            length -= 1
        elif kind == "other":
            found.append(Difference("other", length, token, sign))
            length, place = length - 1, place - 1
        elif length and rows[length - 1][place] + 1 == cost:
            found.append(Difference("missing", length, "", sign))
            length -= 1
        elif place and rows[length][place - 1] + 1 == cost:
            found.append(Difference("extra", length + 1, token, ""))
            place -= 1
        else:
            found.append(Difference("swapped", length - 1, pattern[place - 2 : place], name[length - 2 : length]))
            length, place = length - 2, place - 2
    return rows[-1][-1], tuple(reversed(found))


def _step_back(rows: Sequence[Row], length: int, place: int, token: str, sign: str) -> str:
    """Return which step led here: same, other, run (of nothing), in_run, or none of these."""
    cost = rows[length][place]
    if token == ANY_RUN:
        return "run" if rows[length][place - 1] == cost else "in_run"
    if length and place:
        is_same = token == ANY_ONE or token in _KIN.get(sign, sign)
        if is_same and rows[length - 1][place - 1] == cost:
            return "same"
        if not is_same and rows[length - 1][place - 1] + 1 == cost:
            return "other"
    return ""
