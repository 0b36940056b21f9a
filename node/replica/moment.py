"""What all parts of the machine share within one step: the time, and the effects so far."""

from dataclasses import dataclass, field

from node.replica.effects import Effect


@dataclass(slots=True)
class Moment:
    """now_ms: monotonic; wall_ms: Unix. out: the effects of this step, in order."""

    now_ms: int
    wall_ms: int
    out: list[Effect] = field(default_factory=list)


def earliest(*times: int | None) -> int | None:
    """Return the earliest of the times that are set."""
    return min((at_ms for at_ms in times if at_ms is not None), default=None)
