"""What is executed here, with the state digest after it, and what the other validators say that they have executed."""

from collections.abc import Iterable

from consensus.quorum import quorum_size
from consensus.types import Digest, Height
from node.wire.ids import MemberId


class ExecutedHeights:
    """Own state digests, as far back as a new block may name them, and the heights that others report."""

    def __init__(
        self,
        known: Iterable[tuple[Height, Digest]],
        *,
        height: Height,
        others: tuple[MemberId, ...],
        is_validator: bool,
    ) -> None:
        """known: heights with the digest after them, height 0 among them on a young chain. height: the newest."""
        self._digests = dict(known)
        self._reported: dict[MemberId, Height] = dict.fromkeys(others, Height(0))
        self._quorum = quorum_size(len(others) + 1) if is_validator else 0
        self.height = height

    def note(self, height: Height, digest: Digest) -> None:
        """Take the result of our own execution."""
        self._digests[height] = digest
        self.height = max(self.height, height)

    def find(self, height: Height) -> Digest | None:
        """Return the digest after a height; None if it is not executed yet, or forgotten."""
        return self._digests.get(height)

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
        """Drop digests that no new block can name: their height is below what the final block names."""
        while self._digests:
            lowest = next(iter(self._digests))
            if lowest >= min(height, self.height):
                return
            del self._digests[lowest]
