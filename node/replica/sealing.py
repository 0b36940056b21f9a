"""Our own feed: where it goes on after a start, a loss or the end of an epoch, and what is sealed into it."""

from collections.abc import Callable
from typing import Final

from consensus.types import ZERO_DIGEST
from node.feed.branches import FeedBranches
from node.feed.feeds import Feeds
from node.feed.own import OwnFeed, Refusal, Sealed
from node.feed.records import BatchRecord, record_of
from node.ledger.batch import Batch
from node.replica.effects import Accepted, Alarm, Broadcast, LoadOwn, LogBatch, Refused, StoreBatch, SubmitNoop
from node.replica.fetching import Fetcher
from node.replica.inputs import Submitted
from node.replica.membership import Membership
from node.replica.moment import Moment, earliest
from node.replica.rejoin import Rejoining
from node.replica.told import NEVER_MS, ToldBatches
from node.wire.ids import FeedTip
from node.wire.messages import BatchData, BatchRequest

_REFUSALS: Final = {
    Refusal.FEED_FULL: "more is waiting to become final than the network lets one member hold back: try again later",
    Refusal.FEED_LOST: "this node does not know yet where its feed ends: see what `lotvine status` says it waits for",
    Refusal.TOO_LARGE: "no transaction, or more than fit into one batch",
}


_NO_FEED: Final = ("observer", "this node's member has no feed: it is an observer, or takes part no longer")


class Sealing:
    """This node's feed, None for a node that may not submit.

    hold: takes a batch of ours among those that are held.
    """

    def __init__(
        self,
        moment: Moment,
        *,
        membership: Membership,
        feeds: Feeds,
        own: OwnFeed | None,
        fetcher: Fetcher,
        rejoining: Rejoining,
        hold: Callable[[BatchRecord], None],
    ) -> None:
        self._moment = moment
        self._membership = membership
        self._feeds = feeds
        self._fetcher = fetcher
        self._rejoining = rejoining
        self._hold = hold
        self._told = ToldBatches(moment, fetcher)
        self._recorded: FeedTip | None = None
        self._logged: FeedTip | None = None
        # What of ended feeds is to be sealed again, until it is; and what of it is being read from the store.
        self._uncut: tuple[FeedTip, ...] = ()
        self._loading: tuple[FeedTip, ...] = ()
        self._is_waiting = True
        self._is_regaining = False
        self._is_stopping = False
        self.own = own

    def _branches(self) -> FeedBranches:
        assert self.own is not None
        return self._feeds.branches(self.own.feed)

    # Where it goes on.

    def recover(self, logged: FeedTip | None) -> None:
        """Find where our feed ends. logged: the newest batch that we have ever sent to anyone."""
        self._recorded = logged
        self._find_end()

    def _find_end(self) -> None:
        if self.own is None or self._rejoining.is_feed_lost:
            return
        branches, logged = self._branches(), self._recorded
        if logged is not None and logged.feed != self.own.feed:
            # It was sent on a feed that has ended since; or on one that is still to begin, where the chain is taken
            # anew and epochs are passed again.
            logged = None
        self._logged = logged
        if branches.is_forked or (
            logged is not None
            and branches.final_seq < logged.seq <= branches.limit_seq
            and branches.at(logged.seq).tip != logged
        ):
            self._moment.out.append(Alarm("our own feed forks: another process has used the key of this node"))
        elif logged is not None and logged.seq > branches.limit_seq:
            # It is durable elsewhere, if anywhere. Sealing another one in its place would fork the feed.
            self._moment.out.append(Alarm(f"batch {logged.seq} of our own feed is not in the store: fetching it"))
            self._fetcher.want(
                logged.digest,
                BatchRequest(logged),
                now_ms=self._moment.now_ms,
                is_urgent=False,
                expires_ms=NEVER_MS,
            )
        else:
            self._go_on(branches)

    def _go_on(self, branches: FeedBranches) -> None:
        """Go on after the newest batch that is held here."""
        assert self.own is not None
        tips = branches.tips()
        if not tips:
            self.own.continue_after(seq=-1, digest=ZERO_DIGEST)
            return
        recorded = self._recorded
        if recorded is None or (tips[0].feed, tips[0].seq) > (recorded.feed, recorded.seq):
            # Stored and never sent, or told by others: from here on it counts as sent. # Safety: the record of a feed
            # that is still to begin again is never put behind one of an earlier feed.
            self._moment.out.append(LogBatch(tips[0]))
        self.own.continue_after(seq=tips[0].seq, digest=tips[0].digest)

    def enter(self, membership: Membership, own: OwnFeed | None, ended: tuple[FeedBranches, ...]) -> None:
        """Begin an epoch. own: this node's feed, another object than before if it is another feed."""
        self._membership = membership
        if own is not self.own:
            self._pass_on_waiting(self.own, own)
            self.own = own
            self._logged = None
            self._is_waiting, self._is_regaining = True, False
            self._find_end()
        self.take_over(ended)

    def _pass_on_waiting(self, before: OwnFeed | None, after: OwnFeed | None) -> None:
        """See to what was submitted and is not sealed yet: it goes onto the next feed, or its clients are told."""
        if before is None:
            return
        if after is not None:
            after.inherit(before)
            return
        for token in before.waiting_tokens():
            self._moment.out.append(Refused(token, *_NO_FEED))

    def take_over(self, ended: tuple[FeedBranches, ...]) -> None:
        """See to what stands uncut on our own feeds that have ended: it is put on the present one, if there is one.

        A feed that holds anything was given all that stood on those before it, in one step: so the newest ended one
        that holds anything says alone what stands uncut, be it nothing. What waited from an earlier one is on it.
        """
        own_ended = (branches for branches in ended if branches.feed.member == self._membership.own)
        newest = max((each for each in own_ended if each.tips()), key=lambda branches: branches.feed, default=None)
        if newest is None:
            return
        uncut, self._uncut = tuple(record.tip for record in newest.longest()), ()
        if not uncut:
            return
        if self.own is None:
            if not self._membership.is_ours:
                # The node with the member's next key has the same store, and does it.
                return
            words = f"our feed has ended: {len(uncut)} batches of it were not final yet, and never will be"
            self._moment.out.append(Alarm(words))
        else:
            self._uncut = uncut

    @property
    def is_settled(self) -> bool:
        """Whether it is known where our feed goes on, and nothing of an ended one waits to be sealed again."""
        is_read = not self._uncut or bool(self._loading)
        return self.own is None or (is_read and not (self._is_waiting or self._is_regaining))

    @property
    def is_forked(self) -> bool:
        """Whether two batches of one place of our feed exist: nothing more of it becomes final."""
        return self.own is not None and self._branches().is_forked

    def settle(self, *, is_chain_here: bool) -> None:
        """Release our feed once it is known where it goes on; ask for what has to be sealed again before that.

        is_chain_here: else what is asked of others waits, for most of it comes with the chain; a loss does not.
        """
        own, rejoining = self.own, self._rejoining
        if own is None:
            return
        if not rejoining.is_feed_lost:
            self._is_regaining = False
        elif not self._is_regaining:
            self._is_regaining = self._is_waiting = True
            # Safety: at once, or the step in which the loss was found might still seal behind the end that is stale.
            own.lose()
        # Safety: held before all else too, and let go only with the chain here.
        own.is_held = own.is_held or self._is_waiting or bool(self._uncut)
        if not is_chain_here:
            return
        if self._is_waiting and rejoining.is_open:
            self._is_waiting = not self._is_settled(own)
        if self._uncut and not (self._loading or self._is_waiting or own.is_lost):
            if own.next_seq == 0:
                self._loading = self._uncut
                self._moment.out.append(LoadOwn(self._uncut))
            else:
                self._uncut = ()
        own.is_held = self._is_waiting or bool(self._uncut)

    def _is_settled(self, own: OwnFeed) -> bool:
        branches, rejoining = self._branches(), self._rejoining
        here, waits = self._told.settle(branches, rejoining.answers)
        if waits:
            return False
        if not rejoining.is_feed_lost:
            return True
        if not rejoining.is_enough(here) or branches.is_forked:
            return False
        self._go_on(branches)
        words = "the beginning" if own.next_seq == 0 else f"batch {own.next_seq - 1}"
        self._moment.out.append(
            Alarm(
                f"our feed goes on after {words}, as {here} others tell: if anything was accepted after that, it is"
                " lost and has to be entered again"
            )
        )
        # Once a batch that was sealed from here on is final, the loss is over.
        self._moment.out.append(SubmitNoop())
        return True

    def on_loaded(self, batches: tuple[Batch, ...]) -> None:
        """Seal the transactions of an ended feed of ours anew; if it is doubtful by now where, `settle` asks again."""
        own, loaded, self._loading = self.own, self._loading, ()
        if own is None:
            return
        # Safety: a feed that began meanwhile, or was found to be lost, may hold batches that only others know.
        if loaded == self._uncut and not (self._is_waiting or own.is_lost or own.next_seq):
            self._uncut = ()
            for batch in batches:
                self._publish(own.reseal(batch, now_ms=self._moment.now_ms))
        own.is_held = self._is_waiting or bool(self._uncut)

    def on_held(self) -> None:
        """A batch of our own feed has come to be held: the one just sealed, or one that came from outside."""
        own = self.own
        assert own is not None
        branches = self._branches()
        if own.is_lost:
            logged = self._logged
            if self._rejoining.is_feed_lost:
                # Safety: what this node recorded last may not be the end. `_is_settled` says where that is.
                return
            if logged is not None and branches.is_connected(logged.digest) and branches.limit_seq == logged.seq:
                own.continue_after(seq=logged.seq, digest=logged.digest)
        elif branches.is_forked or branches.limit_seq >= own.next_seq:
            # Safety: whatever we sealed next would be the second batch of its seq.
            own.lose()
            self._rejoining.find_loss("others hold batches of our own feed that are not ours")

    # What is sealed.

    def submit(self, submitted: Submitted) -> None:
        """Take a submission, or say why not."""
        refusal = self._refusal(submitted)
        if refusal is not None:
            self._moment.out.append(Refused(submitted.token, *refusal))

    def _refusal(self, submitted: Submitted) -> tuple[str, str] | None:
        if self.own is None:
            return _NO_FEED
        if self._is_stopping:
            return "stopping", "the node is stopping"
        refusal = self.own.submit(submitted.token, submitted.transactions, reach_bytes=self._branches().reach_bytes)
        return None if refusal is None else (refusal.value, _REFUSALS[refusal])

    def stop(self) -> None:
        """Seal what waits, and take no more."""
        self._is_stopping = True

    def seal_due(self) -> bool:
        """Seal what is due; return whether anything was."""
        if self.own is None:
            return False
        moment, count = self._moment, 0
        while True:
            sealed = self.own.seal(now_ms=moment.now_ms, wall_ms=moment.wall_ms, at_once=self._is_stopping)
            if sealed is None:
                return count > 0
            self._publish(sealed)
            count += 1

    def _publish(self, sealed: Sealed) -> None:
        out, batch = self._moment.out, sealed.batch
        # Safety: durable first, then recorded as sent, then shown to anyone: else a crash forks the feed.
        out.append(StoreBatch(batch))
        out.append(LogBatch(batch.tip))
        self._rejoining.note_sealed(batch.tip)
        out.append(Broadcast(BatchData(batch.encoded)))
        out.extend(Accepted(token, batch.tip) for token in sealed.tokens)
        # Nobody can wait for a batch that has only now come to be.
        self._hold(record_of(batch))

    def deadline_ms(self) -> int | None:
        """Return when `settle` or `seal_due` has something to do."""
        waits_ms = self._told.deadline_ms() if self._is_waiting else None
        return earliest(waits_ms, None if self.own is None else self.own.deadline_ms())
