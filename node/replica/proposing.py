"""What this node would put into a block now: whether work is due, and the block itself when the core asks for one."""

from collections.abc import Iterable
from typing import Final

from consensus.effects import RequestBuild
from consensus.inputs import Built
from consensus.messages import FLAG_EPOCH_END, FLAG_HEARTBEAT, Block, Header, payload_digest
from consensus.timing import Timing
from consensus.types import ZERO_DIGEST, Digest, Height, ValidatorIndex
from node.feed.acknowledged import Acknowledged, acknowledgements_needed
from node.feed.branches import FeedBranches
from node.feed.cutting import Offer, choose_batches
from node.feed.feeds import Feeds
from node.feed.records import BatchRecord
from node.ledger.cut import batch_root, encode_cut
from node.ledger.roster import EpochRecord
from node.replica.executed import ExecutedHeights, ExecutedState
from node.replica.judge import EXECUTION_LAG_MAX
from node.replica.membership import Membership
from node.replica.moment import Moment
from node.replica.tree import BlockTree
from node.wire.ids import FeedId

UNSHARED_STATUS_PERIODS: Final = 2
"""After so many status periods a batch that too few are known to hold is work nevertheless."""


class Proposing:
    """The view of a validator on what could be cut in one epoch. candidate: the block that the core would extend."""

    def __init__(
        self,
        moment: Moment,
        *,
        network_id: Digest,
        record: EpochRecord,
        timing: Timing,
        membership: Membership,
        feeds: Feeds,
        acknowledged: Acknowledged,
        executed: ExecutedHeights,
        tree: BlockTree,
        own_index: ValidatorIndex,
    ) -> None:
        self._moment = moment
        self._network_id = network_id
        self._record = record
        self._feeds = feeds
        self._acknowledged = acknowledged
        self._executed = executed
        self._tree = tree
        self._own_index = own_index
        self._own_feed = membership.own_feed
        self._needed = acknowledgements_needed(len(membership.validators))
        self._unshared_ms = UNSHARED_STATUS_PERIODS * timing.status_ms
        self._candidate: Digest | None = None
        self._is_due = False
        self._asked: RequestBuild | None = None
        self._ages_ms: int | None = None
        self._looked_at: tuple[Digest, bool] | None = None

    def tip_changed(self, digest: Digest) -> None:
        """The core would extend this block now; it takes it that no work is due."""
        self._candidate = digest
        self._is_due = False

    def ask(self, request: RequestBuild) -> None:
        """The core wants a block, as soon as there is something for it; the newest request counts."""
        self._asked = request

    def deadline_ms(self) -> int | None:
        """Return when work may become due by itself."""
        return self._ages_ms

    def work_changed(self, touched: Iterable[FeedId]) -> bool | None:
        """Return True when work has become due, else None: once due it stays so until the candidate changes.

        touched: the feeds in which something has changed since the last call; the others are not looked at again.
        """
        candidate = self._candidate
        if self._is_due or candidate is None or not self._tree.is_complete(candidate):
            # No age counts while there is nothing to measure it by: one that has passed would stay due for ever.
            self._ages_ms = self._looked_at = None
            return None
        if self._is_sealed(candidate):
            # Nothing follows it in this epoch but itself, and the core sees to that.
            self._ages_ms = self._looked_at = None
            return None
        if self._is_change_due(candidate):
            self._is_due = True
            return True
        looked_at = (candidate, self._is_idle(candidate))
        if self._looked_at != looked_at or (self._ages_ms is not None and self._ages_ms <= self._moment.now_ms):
            touched = self._feeds.uncut()
            self._looked_at, self._ages_ms = looked_at, None
        self._is_due = any(self._is_work(candidate, self._feeds.branches(feed)) for feed in touched)
        return self._is_due or None

    def _is_sealed(self, digest: Digest) -> bool:
        """Return whether the block is the last of this epoch: the anchor was the last of the one before."""
        header = self._tree.header_of(digest)
        return header.epoch == self._record.epoch and bool(header.flags & FLAG_EPOCH_END)

    def _is_change_due(self, candidate: Digest) -> bool:
        """Return whether the block that we would build on the candidate would end the epoch."""
        header = self._tree.header_of(candidate)
        state = self._executed.find(self._executed_height_above(header))
        return state is not None and state.due_digest != ZERO_DIGEST

    def _executed_height_above(self, parent: Header) -> Height:
        """Return the executed height that a block of ours on this parent names: in an epoch's first the anchor's."""
        if parent.height == self._record.anchor_height:
            return parent.height
        return max(parent.executed_height, min(self._executed.claimable(), self._tree.final_height))

    def _is_work(self, candidate: Digest, branches: FeedBranches) -> bool:
        """Return whether a batch beyond the candidate's cut is held by enough, or has waited long enough."""
        after = self._after_seq(candidate, branches)
        if branches.limit_seq <= after:
            return False
        if self._upto_seq(branches, is_idle=self._is_idle(candidate)) > after:
            return True
        ages_ms = branches.since_ms(after + 1) + self._unshared_ms
        self._ages_ms = ages_ms if self._ages_ms is None else min(self._ages_ms, ages_ms)
        return ages_ms <= self._moment.now_ms

    def _is_idle(self, digest: Digest) -> bool:
        return digest == self._tree.final_digest

    def _after_seq(self, digest: Digest, branches: FeedBranches) -> int:
        tip = self._tree.tip_of(digest, branches.feed)
        return -1 if tip is None else tip.seq

    def _upto_seq(self, branches: FeedBranches, *, is_idle: bool) -> int:
        """Return how far the feed may be cut by us."""
        safe = self._acknowledged.safe_seq(branches, self._needed)
        if branches.feed != self._own_feed:
            return safe
        if is_idle:
            # Nothing else to wait for: whoever votes for it has to have it, and that is enough of them.
            return branches.limit_seq
        seq = max(safe, branches.final_seq)
        while seq < branches.limit_seq and branches.since_ms(seq + 1) + self._unshared_ms <= self._moment.now_ms:
            seq += 1
        return seq

    def build(self) -> Built | None:
        """Return the block asked for, if one is asked for and there is something for it."""
        request = self._asked
        if request is None or not self._tree.is_complete(request.parent_digest):
            return None
        parent = request.parent.header
        executed_height = self._executed_height_above(parent)
        executed = self._executed.find(executed_height)
        if executed is None:
            return None
        chosen: tuple[tuple[BatchRecord, ...], ...] = ()
        is_seal = executed.due_digest != ZERO_DIGEST
        if not is_seal and executed_height + EXECUTION_LAG_MAX > parent.height:
            chosen = self._choose(request.parent_digest, turn=parent.height)
        if not chosen and not is_seal and not request.may_be_empty:
            return None
        self._asked = None
        return Built(
            request.view,
            request.parent_digest,
            self._assemble(request, chosen, executed_height=executed_height, executed=executed),
        )

    def _choose(self, parent: Digest, *, turn: int) -> tuple[tuple[BatchRecord, ...], ...]:
        offers = []
        for feed in self._feeds.uncut():
            branches = self._feeds.branches(feed)
            after = self._after_seq(parent, branches)
            upto = self._upto_seq(branches, is_idle=self._is_idle(parent))
            if upto > after:
                offers.append(Offer(branches, after, upto))
        parameters = self._record.roster.parameters
        return choose_batches(
            offers,
            batches_max=parameters.block_batches_max,
            bytes_max=parameters.block_bytes_max,
            turn=turn,
        )

    def _assemble(
        self,
        request: RequestBuild,
        chosen: tuple[tuple[BatchRecord, ...], ...],
        *,
        executed_height: Height,
        executed: ExecutedState,
    ) -> Block:
        parent = request.parent.header
        covered = tuple(record for records in chosen for record in records)
        payload = encode_cut(tuple(records[-1].tip for records in chosen))
        frontier = self._tree.frontier_of(request.parent_digest)
        assert frontier is not None
        flags = FLAG_EPOCH_END if executed.due_digest != ZERO_DIGEST else 0 if covered else FLAG_HEARTBEAT
        header = Header(
            network_id=self._network_id,
            epoch=self._record.epoch,
            height=Height(parent.height + 1),
            view=request.view,
            proposer=self._own_index,
            parent_digest=request.parent_digest,
            timestamp_ms=max(parent.timestamp_ms + 1, self._moment.wall_ms),
            cut_digest=payload_digest(payload),
            batch_root=batch_root([record.tip.digest for record in covered]),
            history_root=frontier.root(),
            batch_count=len(covered),
            transaction_count=sum(record.transaction_count for record in covered),
            executed_height=executed_height,
            state_digest=executed.state_digest,
            flags=flags,
            next_epoch_digest=executed.due_digest,
        )
        block = Block(header, payload)
        self._tree.add_built(block, header.digest(), covered)
        return block
