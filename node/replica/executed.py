"""What is executed here, with the state after it, and what the other validators say that they have executed."""

from collections.abc import Iterable
from dataclasses import dataclass

from consensus.quorum import quorum_size
from consensus.types import ZERO_DIGEST, Digest, Height
from node.wire.ids import MemberId


@dataclass(frozen=True, slots=True)
class ExecutedState:
    """The state after one height. due_digest: of the roster that the next epoch must have; zero if none is due."""

    state_digest: Digest
    due_digest: Digest = ZERO_DIGEST


class ExecutedHeights:
    """Own states, as far back as a new block may name them, and the heights that others report."""

    def __init__(
        self,
        known: Iterable[tuple[Height, ExecutedState]],
        *,
        height: Height,
        others: tuple[MemberId, ...],
        is_validator: bool,
    ) -> None:
        """known: heights with the state after them, height 0 among them on a young chain. height: the newest."""
        self._states = dict(known)
        self._reported: dict[MemberId, Height] = {}
        self._quorum = 0
        self.height = height
        self.enter(others=others, is_validator=is_validator)

    def enter(self, *, others: tuple[MemberId, ...], is_validator: bool) -> None:
        """Count these validators from now on; what one has said stays said."""
        self._reported = {member: self._reported.get(member, Height(0)) for member in others}
        self._quorum = quorum_size(len(others) + 1) if is_validator else 0

    def note(self, height: Height, state: ExecutedState) -> None:
        """Take the result of our own execution."""
        self._states[height] = state
        self.height = max(self.height, height)

    def find(self, height: Height) -> ExecutedState | None:
        """Return the state after a height; None if it is not executed yet, or forgotten."""
        return self._states.get(height)

    def known(self) -> tuple[tuple[Height, Digest], ...]:
        """Return the heights that are known with the state digest after them, rising."""
        return tuple((height, self._states[height].state_digest) for height in sorted(self._states))

    def report(self, member: MemberId, height: Height) -> bool:
        """Take what a validator says to have executed; return whether that is news. Others do not count."""
        known = self._reported.get(member)
        if known is None or known >= height:
            return False
        self._reported[member] = height
        return True

    def claimable(self) -> Height:
        """Return the newest height that we and, with us, a quorum of validators have executed."""
        reported = sorted((min(height, self.height) for height in self._reported.values()), reverse=True)
        return self.height if self._quorum <= 1 else reported[self._quorum - 2]

    def forget_below(self, height: Height) -> None:
        """Drop states that no new block can name: their height is below what the final block names."""
        while self._states:
            lowest = next(iter(self._states))
            if lowest >= min(height, self.height):
                return
            del self._states[lowest]
