"""All feeds: what is held of each, what is being checked, and in which of them something waits to be cut."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from consensus.types import Digest
from node.feed.branches import WINDOW_BYTES, Added, FeedBranches
from node.feed.records import BatchRecord
from node.wire.ids import FeedId, FeedTip, MemberId

CHECKS_PER_FEED_MAX: Final = 64
"""Batches of one feed that came unasked and are being checked: what is more will be fetched once there is room."""

CHASE_SEQS_MAX: Final = 256
"""How far above our tip a batch that somebody merely says to hold is fetched."""


@dataclass(frozen=True, slots=True)
class UnderCheck:
    """A batch whose bytes the driver is checking. sender: who sent it. is_asked: it was named, so no window holds."""

    tip: FeedTip
    previous: Digest
    size_bytes: int
    sender: MemberId
    is_asked: bool


class Feeds:
    """The branches of every feed that has any, by feed."""

    def __init__(self, final_tips: Iterable[FeedTip], held: Iterable[BatchRecord], now_ms: int) -> None:
        self._branches: dict[FeedId, FeedBranches] = {tip.feed: FeedBranches(tip.feed, tip) for tip in final_tips}
        self._checks: dict[Digest, UnderCheck] = {}
        self._waiting: dict[FeedId, tuple[int, int]] = {}
        self._uncut: dict[FeedId, None] = {}
        for record in sorted(held, key=lambda record: record.tip):
            branches = self.branches(record.tip.feed)
            if record.tip.seq > branches.final_seq and branches.find(record.tip.digest) is None:
                self.add(record, now_ms)

    def branches(self, feed: FeedId) -> FeedBranches:
        """Return the branches of a feed, which the caller knows to exist."""
        found = self._branches.get(feed)
        if found is None:
            found = self._branches[feed] = FeedBranches(feed, None)
        return found

    def uncut(self) -> list[FeedId]:
        """Return the feeds with connected batches above the final cut, in the order of cuts."""
        return sorted(self._uncut)

    def all_tips(self) -> tuple[FeedTip, ...]:
        """Return the full have-vector, in the order of feeds."""
        return tuple(tip for feed in sorted(self._branches) for tip in self._branches[feed].tips())

    def add(self, record: BatchRecord, now_ms: int) -> Added:
        """Take a good, durable batch above its feed's final cut, not held yet."""
        branches = self.branches(record.tip.feed)
        added = branches.add(record, now_ms)
        if added.connected:
            self._uncut[record.tip.feed] = None
        return added

    def finalize(self, tip: FeedTip) -> None:
        """Move the final cut of the tip's feed."""
        branches = self.branches(tip.feed)
        branches.finalize(tip)
        if branches.limit_seq == branches.final_seq and not branches.is_forked:
            self._uncut.pop(tip.feed, None)

    def retire(self, *, is_feed: Callable[[FeedId], bool]) -> tuple[FeedBranches, ...]:
        """Let go of the feeds that have ended, with all that was held above their final cut; return them."""
        ended = [feed for feed in self._branches if not is_feed(feed)]
        for digest in [digest for digest, check in self._checks.items() if not is_feed(check.tip.feed)]:
            self.end_check(digest)
        for feed in ended:
            self._uncut.pop(feed, None)
        return tuple(self._branches.pop(feed) for feed in ended)

    def is_here(self, tip: FeedTip) -> bool:
        """Return whether the batch is held, final, being checked, or known to be bad: no use in fetching it."""
        branches = self._branches.get(tip.feed)
        if tip.digest in self._checks:
            return True
        return branches is not None and (
            tip.seq <= branches.final_seq
            or branches.find(tip.digest) is not None
            or branches.find_invalid(tip.digest) is not None
        )

    def is_worth_chasing(self, tip: FeedTip) -> bool:
        """Return whether to fetch a batch that nothing but a have-vector names."""
        branches = self.branches(tip.feed)
        return (
            not self.is_here(tip)
            and tip.seq <= branches.limit_seq + CHASE_SEQS_MAX
            and branches.held_bytes < 2 * WINDOW_BYTES
        )

    def takes_pushed(self, tip: FeedTip, previous: Digest, size_bytes: int) -> bool:
        """Return whether an unasked batch is the next one of its feed, within the feed's window."""
        branches = self.branches(tip.feed)
        count, waiting_bytes = self._waiting.get(tip.feed, (0, 0))
        below = self._checks.get(previous)
        follows = branches.is_connected(previous) or (below is not None and below.tip.feed == tip.feed)
        return (
            follows
            and count < CHECKS_PER_FEED_MAX
            and branches.takes_unasked(seq=tip.seq, size_bytes=size_bytes, waiting_bytes=waiting_bytes)
        )

    def begin_check(self, check: UnderCheck) -> None:
        """Note that the driver checks a batch."""
        self._checks[check.tip.digest] = check
        if not check.is_asked:
            count, waiting_bytes = self._waiting.get(check.tip.feed, (0, 0))
            self._waiting[check.tip.feed] = (count + 1, waiting_bytes + check.size_bytes)

    def end_check(self, digest: Digest) -> UnderCheck | None:
        """Note that a check is over; None if none of this digest was under way."""
        check = self._checks.pop(digest, None)
        if check is not None and not check.is_asked:
            count, waiting_bytes = self._waiting[check.tip.feed]
            if count == 1:
                del self._waiting[check.tip.feed]
            else:
                self._waiting[check.tip.feed] = (count - 1, waiting_bytes - check.size_bytes)
        return check
