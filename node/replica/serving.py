"""How much a peer may ask of us: a budget for each kind of request, filled up as time passes.

A request beyond the budget is dropped; a correct peer asks elsewhere, or again later.
"""

from dataclasses import dataclass
from typing import Final

from node.wire.ids import MemberId


@dataclass(frozen=True, slots=True)
class Budget:
    """burst: requests at once after a pause. per_second: requests in the long run."""

    burst: int
    per_second: int


DATA_BUDGET: Final = Budget(burst=128, per_second=512)
CHAIN_BUDGET: Final = Budget(burst=4, per_second=8)
HELP_BUDGET: Final = Budget(burst=1, per_second=1)


class Allowance:
    """What is left of one budget, for each peer. Integers only: thousandths of a request."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._left: dict[MemberId, tuple[int, int]] = {}

    def take(self, member: MemberId, now_ms: int) -> bool:
        """Return whether the peer may ask once more; if so, count it."""
        full = self._budget.burst * 1000
        left, since_ms = self._left.get(member, (full, now_ms))
        left = min(full, left + (now_ms - since_ms) * self._budget.per_second)
        if left < 1000:
            self._left[member] = (left, now_ms)
            return False
        self._left[member] = (left - 1000, now_ms)
        return True
