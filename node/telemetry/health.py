"""The health of each part of a node, in words."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How a part is."""

    OK = "ok"
    STARTING = "starting"
    """Not ready yet, and will be by itself."""
    DEGRADED = "degraded"
    """Works with less than it should have, such as fewer peers."""
    FAILED = "failed"
    """Needs the operator."""


@dataclass(frozen=True, slots=True)
class PartHealth:
    """A part's state and a plain sentence on why."""

    state: State
    words: str


class Health:
    """Asks each part when it is asked itself; holds nothing, so it cannot be stale."""

    def __init__(self) -> None:
        self._parts: dict[str, tuple[Callable[[], PartHealth], bool]] = {}

    def add(self, part: str, check: Callable[[], PartHealth], *, is_needed: bool) -> None:
        """Register a part. check: returns at once. is_needed: whether the node is ready only if the part is."""
        self._parts[part] = (check, is_needed)

    def report(self) -> Mapping[str, PartHealth]:
        """Return the health of every part, in the order of registration."""
        return {part: check() for part, (check, _) in self._parts.items()}

    def find_unready(self) -> Mapping[str, PartHealth]:
        """Return the needed parts that keep the node from being ready."""
        report = {part: check() for part, (check, is_needed) in self._parts.items() if is_needed}
        return {part: one for part, one in report.items() if one.state in {State.STARTING, State.FAILED}}
