"""One feed above its final cut: the batches held of it, how they link, and how far it may be cut.

A feed is a chain; a member that signs two batches of one seq makes it a tree. Both branches are kept until one of them
is in a finalized cut. A held batch is *connected* when its links lead down to the final tip without a gap; batches
fetched from the top down *float* until the gap is closed.

Source: docs/protocol.md, Feeds.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeVar

from consensus.types import ZERO_DIGEST, Digest
from node.feed.records import BatchRecord
from node.wire.ids import FeedId, FeedTip, Seq

BRANCHES_MAX: Final = 2
"""Batches of one seq that are kept without being named by a proposal or a certificate."""

WINDOW_BYTES: Final = 64 * 1024 * 1024
"""How many bytes a branch may reach beyond the final cut before what comes unasked is refused."""

_FLOATING: Final = -1


@dataclass(slots=True)
class _Held:
    record: BatchRecord
    since_ms: int
    reach_bytes: int
    """Bytes from the feed's beginning of count to the end of this batch along its branch; _FLOATING: unknown yet."""
    low: "_Held | None" = None
    """A batch further down the branch without a gap between: a shortcut, so that nobody walks a long branch twice."""


@dataclass(frozen=True, slots=True)
class Walk:
    """The way down from a tip. records: rising, from above the floor to the tip; empty unless all is held and linked.

    missing: the next batch to fetch. broken: why no batch that may still come can mend it.
    """

    records: tuple[BatchRecord, ...] = ()
    missing: FeedTip | None = None
    broken: str | None = None


@dataclass(frozen=True, slots=True)
class Added:
    """What a new batch did. connected: rising batches that have become connected.

    forks: of each of those that has the seq of another connected one, that one before it. What floats proves nothing
    yet: of a member that lost its disk, it may be all that is left of what it had signed.
    """

    connected: tuple[BatchRecord, ...]
    forks: tuple[tuple[FeedTip, FeedTip], ...]


_Key = TypeVar("_Key", int, Digest)


def _remove(lists: dict[_Key, list[Digest]], key: _Key, digest: Digest) -> None:
    """Take `digest` out of the list at `key`, and an empty list out of the table."""
    entries = lists[key]
    entries.remove(digest)
    if not entries:
        del lists[key]


class FeedBranches:
    """The tree of one feed above its final tip. Holds no bodies. held_bytes: of all batches in it."""

    def __init__(self, feed: FeedId, final: FeedTip | None) -> None:
        self.feed = feed
        self.final = final
        self._held: dict[Digest, _Held] = {}
        self._children: dict[Digest, list[Digest]] = {}
        self._at: dict[int, list[Digest]] = {}
        self._leaves: list[Digest] = []
        self._forked_at: int | None = None
        self._invalid: dict[Digest, str] = {}
        self._final_reach = 0
        self.held_bytes = 0

    @property
    def final_seq(self) -> int:
        """Seq of the final tip; -1 before the first."""
        return -1 if self.final is None else self.final.seq

    @property
    def final_digest(self) -> Digest:
        """Digest of the final tip; zero before the first, as the first batch names it."""
        return ZERO_DIGEST if self.final is None else self.final.digest

    @property
    def is_forked(self) -> bool:
        """Whether two connected batches of one seq are held."""
        return self._forked_at is not None

    @property
    def limit_seq(self) -> int:
        """The newest seq that a careful leader may cut: the connected tip, or the last batch below a fork."""
        if self._forked_at is not None:
            return self._forked_at - 1
        return self._held[self._leaves[0]].record.tip.seq if self._leaves else self.final_seq

    @property
    def reach_bytes(self) -> int:
        """Bytes that the longest branch reaches beyond the final cut."""
        return max((self._held[leaf].reach_bytes for leaf in self._leaves), default=self._final_reach) - (
            self._final_reach
        )

    @property
    def held_count(self) -> int:
        """Batches held above the final cut, floating ones included."""
        return len(self._held)

    def find(self, digest: Digest) -> BatchRecord | None:
        """Return a held batch above the final cut."""
        held = self._held.get(digest)
        return None if held is None else held.record

    def is_connected(self, digest: Digest) -> bool:
        """Return whether the batch is the final tip or linked to it without a gap."""
        held = self._held.get(digest)
        return held.reach_bytes != _FLOATING if held is not None else digest == self.final_digest

    def at(self, seq: int) -> BatchRecord:
        """Return the connected batch at `seq`, which is above the final cut and at most `limit_seq`."""
        return self._connected_at(seq)[0].record

    def since_ms(self, seq: int) -> int:
        """Return when the connected batch at `seq` (as for `at`) came to be held."""
        return self._connected_at(seq)[0].since_ms

    def tips(self) -> tuple[FeedTip, ...]:
        """Return the newest connected batch, or the two longest branches; the final tip if there is nothing above."""
        if not self._leaves:
            return () if self.final is None else (self.final,)
        tips = [self._held[leaf].record.tip for leaf in self._leaves]
        if len(tips) > 1:
            tips.sort(key=lambda tip: (-tip.seq, tip.digest))
        return tuple(tips[:BRANCHES_MAX])

    def floating_tips(self) -> tuple[FeedTip, ...]:
        """Return the newest batches that float, nothing held stands on, at most two."""
        floating = [
            held.record.tip
            for held in self._held.values()
            if held.reach_bytes == _FLOATING and held.record.tip.digest not in self._children
        ]
        floating.sort(key=lambda tip: (-tip.seq, tip.digest))
        return tuple(floating[:BRANCHES_MAX])

    def takes_unasked(self, *, seq: int, size_bytes: int, waiting_bytes: int) -> bool:
        """Return whether a pushed batch that links to a known one is taken.

        waiting_bytes: of this feed's batches that are being checked.
        """
        return (
            seq > self.final_seq
            and len(self._at.get(seq, ())) < BRANCHES_MAX
            and self.reach_bytes + waiting_bytes + size_bytes <= WINDOW_BYTES
        )

    def add(self, record: BatchRecord, now_ms: int) -> Added:
        """Take a batch that is good and durable, above the final cut and not held yet."""
        digest, seq = record.tip.digest, record.tip.seq
        self._at.setdefault(seq, []).append(digest)
        self._held[digest] = _Held(record, now_ms, _FLOATING)
        self.held_bytes += record.size_bytes
        self._children.setdefault(record.previous, []).append(digest)
        connected = self._connect(digest)
        rivals = ((self._rival_of(each.tip), each.tip) for each in connected)
        return Added(connected, tuple((rival, tip) for rival, tip in rivals if rival is not None))

    def _rival_of(self, tip: FeedTip) -> FeedTip | None:
        """Return another connected batch of the same seq."""
        others = (held.record.tip for held in self._connected_at(tip.seq))
        return next((other for other in others if other != tip), None)

    def mark_invalid(self, digest: Digest, why: str) -> None:
        """Remember that no copy of this batch can be good. Forgotten when the cut moves: it is judged anew if named."""
        if len(self._invalid) < 64:
            self._invalid[digest] = why

    def find_invalid(self, digest: Digest) -> str | None:
        """Return why a batch is invalid for good, or None."""
        return self._invalid.get(digest)

    def walk(self, tip: FeedTip, floor: FeedTip | None) -> Walk:
        """Go down from `tip` to just above `floor`, a tip of this feed at or above the final one, or None for none."""
        seq, digest = int(tip.seq), tip.digest
        floor_seq, floor_digest = (-1, ZERO_DIGEST) if floor is None else (floor.seq, floor.digest)
        records: list[BatchRecord] = []
        while seq > floor_seq:
            held = self._held.get(digest)
            if held is None:
                why = self._invalid.get(digest)
                if why is not None:
                    return Walk(broken=f"batch {seq} of {self.feed.member}: {why}")
                return Walk(missing=FeedTip(self.feed, Seq(seq), digest))
            if held.record.tip.seq != seq:
                return Walk(broken=f"batch named {seq} of {self.feed.member} is {held.record.tip.seq}")
            records.append(held.record)
            seq, digest = seq - 1, held.record.previous
        if digest != floor_digest:
            return Walk(broken=f"batch {seq + 1} of {self.feed.member} does not follow the cut before")
        records.reverse()
        return Walk(records=tuple(records))

    def longest(self) -> tuple[BatchRecord, ...]:
        """Return the connected batches above the final cut, rising; of a forked feed those of its longest branch."""
        tips = self.tips()
        return self.walk(tips[0], self.final).records if tips else ()

    def missing_below(self, tip: FeedTip) -> FeedTip | None:
        """Return the next batch to fetch on the way down from `tip` to the final cut: `tip` itself, or one below it.

        None if nothing is missing, or no batch that may still come can mend it. As `walk` says, without the records:
        while a long branch is fetched, it is asked anew for each batch.
        """
        held = self._held.get(tip.digest)
        if held is None:
            return tip if tip.seq > self.final_seq and tip.digest not in self._invalid else None
        if held.record.tip.seq != tip.seq or held.reach_bytes != _FLOATING:
            return None
        record = self._lowest(held).record
        seq, digest = record.tip.seq - 1, record.previous
        if seq <= self.final_seq or digest in self._held or digest in self._invalid:
            return None
        return FeedTip(self.feed, Seq(seq), digest)

    def _lowest(self, held: _Held) -> _Held:
        """Return the lowest batch that a floating one links down to without a gap."""
        passed: list[_Held] = []
        while True:
            below = held.low or self._held.get(held.record.previous)
            if below is None or below.record.tip.seq >= held.record.tip.seq:
                break
            if held.low is None and below.record.tip.seq + 1 != held.record.tip.seq:
                break
            passed.append(held)
            held = below
        for each in passed:
            each.low = held
        return held

    def finalize(self, tip: FeedTip) -> None:
        """Move the final cut up to `tip`, which is connected; drop what is below and what does not descend from it."""
        reach = self._held[tip.digest].reach_bytes
        for seq in range(self.final_seq + 1, tip.seq + 1):
            for digest in tuple(self._at.get(seq, ())):
                self._forget(digest, keep=tip.digest)
        self.final = tip
        self._final_reach = reach
        self._invalid.clear()
        self._leaves = [leaf for leaf in self._leaves if leaf in self._held]
        if self._forked_at is not None:
            self._forked_at = min(
                (seq for seq in self._at if seq > tip.seq and len(self._connected_at(seq)) > 1), default=None
            )

    def _connected_at(self, seq: int) -> list[_Held]:
        held = (self._held[digest] for digest in self._at.get(seq, ()))
        return [entry for entry in held if entry.reach_bytes != _FLOATING]

    def _connect(self, digest: Digest) -> tuple[BatchRecord, ...]:
        """Connect a batch if what it follows is, then all that floats on it."""
        connected: list[BatchRecord] = []
        waiting = [digest]
        while waiting:
            held = self._held[waiting.pop()]
            reach = self._reach_below(held.record)
            if reach is None or held.reach_bytes != _FLOATING:
                continue
            held.reach_bytes = reach + held.record.size_bytes
            connected.append(held.record)
            tip = held.record.tip
            if held.record.previous in self._leaves:
                self._leaves.remove(held.record.previous)
            self._leaves.append(tip.digest)
            if len(self._connected_at(tip.seq)) > 1 and (self._forked_at is None or tip.seq < self._forked_at):
                self._forked_at = tip.seq
            waiting.extend(reversed(self._children.get(tip.digest, ())))
        return tuple(connected)

    def _reach_below(self, record: BatchRecord) -> int | None:
        if record.tip.seq == self.final_seq + 1:
            return self._final_reach if record.previous == self.final_digest else None
        below = self._held.get(record.previous)
        if below is None or below.record.tip.seq + 1 != record.tip.seq or below.reach_bytes == _FLOATING:
            return None
        return below.reach_bytes

    def _forget(self, digest: Digest, *, keep: Digest) -> None:
        """Drop a batch and all that stands on it, but nothing that stands on the one kept."""
        dropped = [digest]
        while dropped:
            held = self._held.pop(dropped.pop(), None)
            if held is None:
                continue
            tip = held.record.tip
            self.held_bytes -= held.record.size_bytes
            _remove(self._at, int(tip.seq), tip.digest)
            _remove(self._children, held.record.previous, tip.digest)
            if tip.digest != keep:
                # On the kept branch these are at or below the kept tip, hence final now and no longer needed here.
                dropped.extend(self._children.get(tip.digest, ()))

    def records(self) -> Iterator[BatchRecord]:
        """All held batches, in the order of their arrival."""
        return (held.record for held in self._held.values())
