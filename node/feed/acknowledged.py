"""What other validators have said that they hold, and so what enough of them are known to hold.

Only a hint, signed by nobody: a liar costs a fetch or a view, never safety.
"""

from consensus.quorum import faulty_max
from node.feed.branches import BRANCHES_MAX, FeedBranches
from node.wire.ids import FeedId, FeedTip, MemberId


def acknowledgements_needed(validator_count: int) -> int:
    """Return how many validators besides us must hold a batch before it is cut: f + 1, or all there are."""
    return min(faulty_max(validator_count) + 1, validator_count - 1)


class Acknowledged:
    """The newest tips that each other validator holds, at most two a feed."""

    def __init__(self, others: tuple[MemberId, ...]) -> None:
        self._tips: dict[MemberId, dict[FeedId, tuple[FeedTip, ...]]] = {member: {} for member in others}

    def enter(self, others: tuple[MemberId, ...]) -> None:
        """Count these validators from now on; what one has told stays told."""
        self._tips = {member: self._tips.get(member, {}) for member in others}

    def learn(self, member: MemberId, feed: FeedId, tips: tuple[FeedTip, ...]) -> None:
        """Take a member's word on one feed. Members that do not vote are not counted."""
        known = self._tips.get(member)
        if known is not None:
            known[feed] = tips[:BRANCHES_MAX]

    def learn_pushed(self, member: MemberId, tip: FeedTip) -> None:
        """Take from a batch that its sender holds it, unless it is known to hold a newer one."""
        known = self._tips.get(member)
        if known is not None and all(other.seq < tip.seq for other in known.get(tip.feed, ())):
            known[tip.feed] = (tip,)

    def holders(self, branches: FeedBranches, seq: int) -> int:
        """Return how many other validators have told that they hold the feed up to `seq`, at most `limit_seq`."""
        if seq <= branches.final_seq:
            told = (known.get(branches.feed, ()) for known in self._tips.values())
            return sum(any(tip.seq >= seq for tip in tips) for tips in told)
        return sum(self._reach(tips, branches) >= seq for tips in self._tips.values())

    def find_holders(self, tip: FeedTip) -> tuple[MemberId, ...]:
        """Return whom to ask for a batch: those who have told of it or a newer one of its feed, then its author.

        By turn, so that a feed's batches are not all asked of the same one.
        """
        holders = [
            member
            for member, known in self._tips.items()
            if member != tip.feed.member and any(told.seq >= tip.seq for told in known.get(tip.feed, ()))
        ]
        turn = tip.seq % len(holders) if holders else 0
        return (*holders[turn:], *holders[:turn], tip.feed.member)

    def safe_seq(self, branches: FeedBranches, needed: int) -> int:
        """Return the newest seq, at most `limit_seq`, that at least `needed` other validators are known to hold."""
        if needed == 0:
            return branches.limit_seq
        reached = sorted((self._reach(tips, branches) for tips in self._tips.values()), reverse=True)
        return reached[needed - 1]

    @staticmethod
    def _reach(known: dict[FeedId, tuple[FeedTip, ...]], branches: FeedBranches) -> int:
        limit = branches.limit_seq
        reach = branches.final_seq
        for tip in known.get(branches.feed, ()):
            # Ahead of us on a feed that shows no fork: what it holds includes what we hold.
            if branches.is_connected(tip.digest) or (tip.seq > limit and not branches.is_forked):
                reach = max(reach, min(tip.seq, limit))
        return reach
