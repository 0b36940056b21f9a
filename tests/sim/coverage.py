"""I-18: which rare paths a set of runs must have taken; a run that never meets one proves nothing about it."""

from consensus.pacemaker import Pacemaker
from consensus.types import ValidatorIndex

REQUIRED = (
    "view notarized and nullified",
    "late finalize",
    "silent leader skipped",
    "tail block",
    "longer timeouts",
    "equivocation evidence",
    "justification longer than a proposal carries",
    "chain served",
    "torn record",
    "epoch entered",
    "seal proposed again",
    "rejoin guard",
    "no-op after a loss",
    "key rotated",
)
"""What a set of `SET_SEEDS` seeds or more must reach."""

SET_SEEDS = 200


def missing(reached: dict[str, int]) -> tuple[str, ...]:
    """I-18: return the required paths that were never taken."""
    return tuple(path for path in REQUIRED if not reached.get(path))


class SkipProbe:
    """Counts how often a leader was skipped for being silent. It is in nothing that a node says or writes."""

    def __init__(self) -> None:
        self.count = 0
        self._original = Pacemaker.is_silent

    def install(self) -> None:
        """Count from now on."""
        probe, original = self, self._original

        def counted(pacemaker: Pacemaker, leader: ValidatorIndex, now_ms: int) -> bool:
            is_silent = original(pacemaker, leader, now_ms)
            probe.count += is_silent
            return is_silent

        setattr(Pacemaker, "is_silent", counted)  # noqa: B010 - mypy forbids to assign to a method

    def remove(self) -> None:
        """Count no longer."""
        setattr(Pacemaker, "is_silent", self._original)  # noqa: B010 - as above
