"""The durations of the protocol, in milliseconds, all integers: a float once overflowed into a timeout of zero.

Safety never depends on any of them. Liveness needs only that, some day, messages between correct nodes arrive
sooner than a view may last.
"""

from dataclasses import dataclass
from typing import Final

from consensus.errors import invariant
from consensus.quorum import faulty_max
from consensus.types import View

GROWTH_MAX: Final = 8
"""A view may last at most so many times longer than planned: without a cap an outage would outlive its cause."""

_GROWTH_STEPS_MAX: Final = GROWTH_MAX.bit_length() - 1


@dataclass(frozen=True, slots=True)
class Timing:
    """How long the core waits for what. The defaults suit one site; WAN suits sites far apart.

    propose_ms: no proposal from the leader. advance_ms: still in the view. retry_ms: re-send own votes after a
    nullify, growing by half up to retry_ms_max. tail_ms: a notarized block is not final though nothing else is
    due. heartbeat_ms: an idle chain gets an empty block. status_ms: our status to all, give or take a quarter.
    skip_ms: a leader silent for so long is skipped at once. block_ms: a leader's pause after its parent's body.
    clock_skew_ms: how far a block may be dated ahead of our clock. answer_ms: at most one answer to a peer's
    status, and one to its request for certificates, in this time.
    """

    propose_ms: int = 1_000
    advance_ms: int = 1_600
    retry_ms: int = 1_000
    retry_ms_max: int = 8_000
    tail_ms: int = 1_000
    heartbeat_ms: int = 30_000
    status_ms: int = 2_000
    skip_ms: int = 6_000
    block_ms: int = 50
    clock_skew_ms: int = 2_000
    answer_ms: int = 1_000

    def __post_init__(self) -> None:
        invariant(0 < self.propose_ms < self.advance_ms, "a view outlasts the wait for its proposal")
        invariant(0 <= self.block_ms < self.propose_ms // 2, "a leader's pause is below half the wait for it")
        invariant(0 < self.retry_ms <= self.retry_ms_max, "re-sending slows down, not up")
        invariant(self.tail_ms > 0 and self.heartbeat_ms > 0, "idle timers are positive")
        invariant(self.status_ms >= 4 and self.answer_ms > 0, "a status period has a quarter to vary by")
        invariant(self.clock_skew_ms >= 0, "the allowed skew is not negative")
        # A correct leader is heard from at least that often, so it is never skipped for being quiet.
        invariant(
            self.skip_ms > max(self.advance_ms, self.retry_ms) and self.skip_ms >= 3 * self.status_ms,
            "only a leader that missed several signs of life is skipped",
        )


WAN: Final = Timing(
    propose_ms=2_000,
    advance_ms=3_000,
    retry_ms=2_000,
    tail_ms=2_000,
    heartbeat_ms=60_000,
    skip_ms=8_000,
    block_ms=250,
    clock_skew_ms=5_000,
)


def growth(*, view: View, final_view: View, validator_count: int) -> int:
    """Return by how much the time of a view is stretched, 1 to `GROWTH_MAX`, a power of two.

    Among f + 1 leaders in a row one is correct, so it stays 1 with f dead leaders and grows only where the network
    is slower than planned. It depends on nearly shared state, so that nodes do not drift apart.
    """
    steps = (view - final_view - 1) // (faulty_max(validator_count) + 2)
    return 1 << max(0, min(steps, _GROWTH_STEPS_MAX))
