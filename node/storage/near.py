"""Codes near a code that was misread: which keys to look through, and how far apart two codes are.

One wrong, missing, extra or swapped sign leaves the first or the last half of a code intact (a swap in the middle: all
but two signs of it). So looking at what begins with the first half, and at what ends with the last half, finds every
code at distance one; both looks are bounded.
"""

from typing import Final

CODE_LENGTH_MAX: Final = 64
DISTANCE_MAX: Final = 3


def prefixes_to_scan(folded: str) -> list[str]:
    """Return beginnings of `folded`, longest first, down to its half: near matches share one of them."""
    shortest = max(1, (len(folded) - 1) // 2)
    return [folded[:length] for length in range(len(folded), shortest - 1, -1)]


def distance(left: str, right: str) -> int:
    """Return how many signs must be changed, added, left out or swapped with their neighbour.

    Capped: anything above `DISTANCE_MAX` is `DISTANCE_MAX` + 1. Optimal string alignment distance (Damerau 1964).
    """
    if left == right:
        return 0
    far = DISTANCE_MAX + 1
    if abs(len(left) - len(right)) > DISTANCE_MAX:
        return far
    before: list[int] = []
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        above, row = row, [i]
        for j, b in enumerate(right, 1):
            cost = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (a != b))
            if i > 1 and j > 1 and a == right[j - 2] and left[i - 2] == b:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        if min(row) > DISTANCE_MAX:
            return far
        before = above
    return min(row[-1], far)
