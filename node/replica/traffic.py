"""Batches in and out: taking others', saying what we hold and learning what others hold. Our own are in `sealing`."""

import itertools
from typing import Final

from consensus.types import Digest
from node.crypto.digests import sha256
from node.feed.acknowledged import Acknowledged
from node.feed.branches import BRANCHES_MAX, FeedBranches
from node.feed.feeds import Feeds, UnderCheck
from node.feed.own import OwnFeed
from node.feed.records import BatchRecord, CopyVerdict, record_of
from node.ledger.batch import decode_batch_header
from node.replica.bodies import Bodies
from node.replica.effects import (
    Alarm,
    Broadcast,
    CheckBatch,
    ReportFault,
    ServeBatch,
    StoreBatch,
)
from node.replica.evidence import EvidencePool
from node.replica.executed import ExecutedHeights
from node.replica.fetching import Fetcher
from node.replica.inputs import BatchChecked
from node.replica.membership import Membership
from node.replica.moment import Moment, earliest
from node.replica.rejoin import Rejoining
from node.replica.sealing import Sealing
from node.replica.tree import Node
from node.wire.codec import MalformedError
from node.wire.ids import FeedId, FeedTip, MemberId, Seq
from node.wire.messages import HAVE_ENTRIES_MAX, BatchRequest, Have

HAVE_DELAY_MS: Final = 25
"""Under load, what we have come to hold is said that often, and with each batch of our own: as often as those."""

CHASE_DELAY_MS: Final = 150
"""How long a batch that a peer holds is waited for, as it is probably on its way, before it is fetched."""

CHASE_MS_MAX: Final = 10_000
"""How long a batch that nothing but a have-vector names is tried for. If it exists, the next status names it again."""

CHASES_PER_MEMBER_MAX: Final = 64
"""So many batches at once are tried for on one member's word: a liar names as many as it likes."""

REPEAT_GAP: Final = 64
"""A member that lacks more of our own batches than this is given them again: fewer may be on their way."""

REPEAT_WINDOW: Final = 48
"""So many at once: below what a node checks of one feed at a time, so that none is turned away."""

REPEAT_BYTES: Final = 2 * 1024 * 1024

REPEAT_AGAIN_MS: Final = 1_500
"""How long the member may take over one window before it is sent again."""


class FeedTraffic:
    """The feeds' side of the machine. sealing: our own feed. touched: the feeds that this step has changed."""

    def __init__(
        self,
        moment: Moment,
        *,
        network_id: Digest,
        membership: Membership,
        feeds: Feeds,
        own: OwnFeed | None,
        acknowledged: Acknowledged,
        executed: ExecutedHeights,
        fetcher: Fetcher,
        bodies: Bodies,
        rejoining: Rejoining,
        evidence: EvidencePool,
    ) -> None:
        self._moment = moment
        self._network_id = network_id
        self._membership = membership
        self._feeds = feeds
        self._acknowledged = acknowledged
        self._executed = executed
        self._fetcher = fetcher
        self._bodies = bodies
        self._evidence = evidence
        self._unsaid: dict[FeedId, None] = {}
        self._chased: dict[MemberId, dict[Digest, None]] = {}
        self._repeated: dict[MemberId, tuple[int, int]] = {}
        self._said_executed = executed.height
        self._said_ms: int | None = None
        self.touched: dict[FeedId, None] = {}
        self.sealing = Sealing(
            moment,
            membership=membership,
            feeds=feeds,
            own=own,
            fetcher=fetcher,
            rejoining=rejoining,
            hold=self._hold,
        )

    def enter(self, membership: Membership) -> None:
        """Begin an epoch: nothing is said of the feeds that have ended."""
        self._membership = membership
        self._unsaid = {feed: None for feed in self._unsaid if membership.find_feed_key(feed) is not None}
        self.touched.clear()
        self._repeated.clear()

    def seal_due(self) -> None:
        """Seal what is due."""
        if self.sealing.seal_due():
            # What else we hold is said along with it: one more frame in the same write.
            self._said_ms = None

    # Batches of others.

    def on_batch(self, member: MemberId, encoded: bytes) -> None:
        """Take the bytes of a batch: an answer, or the next one of a feed; have them checked."""
        out = self._moment.out
        try:
            header = decode_batch_header(encoded)
        except MalformedError as error:
            out.append(ReportFault(member, f"bad batch: {error}", provable=True))
            return
        if header.network_id != self._network_id:
            out.append(ReportFault(member, "batch of another network", provable=True))
            return
        node_key = self._membership.find_feed_key(header.feed)
        if node_key is None:
            # Unjudged: its sender may be in another epoch than we are, where that feed or key exists.
            return
        tip = FeedTip(header.feed, header.seq, sha256(header.signing_bytes()))
        was_asked = self._fetcher.close(member, tip.digest)
        if self._feeds.is_here(tip):
            return
        is_named = was_asked or self._fetcher.is_wanted(tip.digest)
        if not is_named and not self._feeds.takes_pushed(tip, header.previous, len(encoded)):
            return
        self._feeds.begin_check(UnderCheck(tip, header.previous, len(encoded), member, is_named))
        out.append(CheckBatch(tip.digest, encoded, node_key))

    def on_checked(self, answer: BatchChecked) -> list[Node]:
        """Take the result of a check; return the blocks that are settled by it."""
        check = self._feeds.end_check(answer.digest)
        if check is None:
            return []
        out, tip = self._moment.out, check.tip
        branches = self._feeds.branches(tip.feed)
        match answer.checked.verdict:
            case CopyVerdict.BAD_COPY:
                out.append(ReportFault(check.sender, f"bad batch: {answer.checked.why}", provable=True))
                if self._bodies.is_needed(tip.digest):
                    self._fetcher.want(tip.digest, BatchRequest(tip), now_ms=self._moment.now_ms)
                self._fetcher.ask_now(tip.digest)
                return []
            case CopyVerdict.INVALID:
                branches.mark_invalid(tip.digest, answer.checked.why)
                why = f"batch {tip.seq} of {tip.feed.member} is invalid, its feed stands still: {answer.checked.why}"
                out.append(Alarm(why))
                out.append(ReportFault(tip.feed.member, why, provable=True))
            case CopyVerdict.GOOD:
                batch = answer.checked.batch
                assert batch is not None
                self._acknowledged.learn_pushed(check.sender, tip)
                if tip.seq > branches.final_seq:
                    out.append(StoreBatch(batch))
                    self._hold(record_of(batch))
                self._chase_below(branches, FeedTip(tip.feed, Seq(tip.seq - 1), check.previous), check.sender)
        self._fetcher.drop(tip.digest)
        return self._bodies.batch_settled(tip.digest)

    def _hold(self, record: BatchRecord) -> None:
        feed = record.tip.feed
        added = self._feeds.add(record, self._moment.now_ms)
        for first, second in added.forks:
            self._evidence.find_fork(first, second)
        if added.connected:
            self.touched[feed] = self._unsaid[feed] = None
        if self.sealing.own is not None and feed == self.sealing.own.feed:
            self.sealing.on_held()

    def _chase_below(self, branches: FeedBranches, tip: FeedTip, sender: MemberId) -> None:
        """Fetch what is missing next below a batch, first of all from who had the batch.

        That is `tip`, which it links to, or what lies below that: with many gaps, one would else be closed a status.
        """
        missing = branches.missing_below(tip)
        if missing is not None:
            self._chase(missing, hints=(sender, tip.feed.member), after_ms=0)

    def _chase(self, tip: FeedTip, *, hints: tuple[MemberId, ...], after_ms: int) -> None:
        """Fetch what hints[0] says, or shows by a link, that there is."""
        if self._feeds.is_worth_chasing(tip) and self._may_chase(hints[0], tip.digest):
            self._fetcher.want(
                tip.digest,
                BatchRequest(tip),
                now_ms=self._moment.now_ms,
                hints=hints,
                is_urgent=False,
                after_ms=after_ms,
                expires_ms=self._moment.now_ms + CHASE_MS_MAX,
            )

    def _may_chase(self, member: MemberId, digest: Digest) -> bool:
        """Return whether one more batch may be fetched on this member's word alone; if so, count it."""
        chased = self._chased.setdefault(member, {})
        if len(chased) >= CHASES_PER_MEMBER_MAX:
            for other in [other for other in chased if not self._fetcher.is_wanted(other)]:
                del chased[other]
        if digest not in chased and len(chased) >= CHASES_PER_MEMBER_MAX:
            return False
        chased[digest] = None
        return True

    # What is held where.

    def on_have(self, member: MemberId, have: tuple[FeedTip, ...], *, is_full: bool = False) -> None:
        """Take what a member says to hold. is_full: of a feed not named it holds nothing."""
        own = self.sealing.own
        if own is not None:
            of_own = tuple(tip for tip in have if tip.feed == own.feed)
            if of_own or is_full:
                self._repeat_own(member, self._feeds.branches(own.feed), of_own)
        for feed, group in itertools.groupby(have, key=lambda tip: tip.feed):
            if self._membership.find_feed_key(feed) is None:
                continue
            tips = tuple(group)
            self._acknowledged.learn(member, feed, tips)
            self.touched[feed] = None
            branches = self._feeds.branches(feed)
            for tip in tips[:BRANCHES_MAX]:
                if not branches.is_connected(tip.digest):
                    missing = branches.missing_below(tip)
                    if missing is not None:
                        self._chase(missing, hints=(member,), after_ms=CHASE_DELAY_MS)

    def _repeat_own(self, member: MemberId, branches: FeedBranches, tips: tuple[FeedTip, ...]) -> None:
        """Send a member the next batches of our own feed, if it lacks so many that they cannot be on their way.

        What was sealed while it was away came to it once or never, and links name batches from the top down only: a
        long stretch is given from below, a window at a time, by the one node that is sure to have it.
        """
        reached = max((tip.seq for tip in tips if branches.is_connected(tip.digest)), default=-1)
        # Below our final cut it lacks blocks, and gets the batches with them.
        if branches.is_forked or reached < branches.final_seq or branches.limit_seq - reached <= REPEAT_GAP:
            return
        now_ms = self._moment.now_ms
        repeated_to, repeated_ms = self._repeated.get(member, (-1, 0))
        if reached < repeated_to and now_ms < repeated_ms + REPEAT_AGAIN_MS:
            return
        sent_bytes = 0
        for seq in range(reached + 1, min(branches.limit_seq, reached + REPEAT_WINDOW) + 1):
            record = branches.at(seq)
            self._moment.out.append(ServeBatch(member, record.tip))
            self._repeated[member] = (seq, now_ms)
            sent_bytes += record.size_bytes
            if sent_bytes >= REPEAT_BYTES:
                return

    def say_all(self) -> tuple[FeedTip, ...]:
        """Return the full have-vector, for a status."""
        return self._feeds.all_tips()[:HAVE_ENTRIES_MAX]

    def say_due(self) -> None:
        """Say what we have come to hold and to execute since we last said so, unless that was just now."""
        deadline = self._have_deadline_ms()
        if deadline is None or deadline > self._moment.now_ms:
            return
        tips = tuple(tip for feed in self._unsaid for tip in self._feeds.branches(feed).tips())
        self._moment.out.append(Broadcast(Have(self._executed.height, tips[:HAVE_ENTRIES_MAX])))
        self._unsaid.clear()
        self._said_executed = self._executed.height
        self._said_ms = self._moment.now_ms

    def _have_deadline_ms(self) -> int | None:
        if not self._unsaid and self._said_executed == self._executed.height:
            return None
        return 0 if self._said_ms is None else self._said_ms + HAVE_DELAY_MS

    def deadline_ms(self) -> int | None:
        """Return when `seal_due` or `say_due` has something to do."""
        return earliest(self._have_deadline_ms(), self.sealing.deadline_ms())
