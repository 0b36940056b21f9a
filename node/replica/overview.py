"""Where a node stands, for people: what the API's status answers."""

from dataclasses import dataclass

from consensus.types import Digest, Epoch, Height, View
from node.replica.epoch import EpochParts
from node.replica.lasting import Lasting
from node.wire.ids import FeedId, MemberId, Seq


@dataclass(frozen=True, slots=True)
class FeedView:
    """One tip of one feed. final_seq: -1 before anything is final. held_seq: of the newest contiguous batch."""

    feed: FeedId
    final_seq: int
    held_seq: Seq


@dataclass(frozen=True, slots=True)
class Overview:
    """A replica at one moment. sync_target: the height it is catching up to, or None. peers: sessions that are open.

    uncut_batches: held above the final cut, over all feeds. open_requests: unanswered ones for batches and blocks.
    waiting_for: in words, what this node lacks before it can do its part; None for nothing.
    """

    epoch: Epoch
    view: View
    leader: MemberId
    final_height: Height
    final_digest: Digest
    executed_height: Height
    sync_target: Height | None
    peers: tuple[MemberId, ...]
    feeds: tuple[FeedView, ...]
    uncut_batches: int
    open_requests: int
    waiting_for: str | None


def build_overview(lasting: Lasting, epoch: EpochParts, peers: tuple[MemberId, ...]) -> Overview:
    """Return where a replica stands. peers: sessions that are open."""
    feeds, tree = lasting.feeds, lasting.tree
    return Overview(
        epoch=epoch.record.epoch,
        view=epoch.core.view,
        leader=epoch.membership.member_at(epoch.core.leader),
        final_height=tree.final_height,
        final_digest=tree.final_digest,
        executed_height=lasting.executed.height,
        sync_target=lasting.sync.target,
        peers=peers,
        feeds=tuple(
            FeedView(tip.feed, final_seq=feeds.branches(tip.feed).final_seq, held_seq=tip.seq)
            for tip in feeds.all_tips()
        ),
        uncut_batches=sum(feeds.branches(feed).held_count for feed in feeds.uncut()),
        open_requests=lasting.bodies.fetcher.open_count,
        waiting_for=_find_waiting_for(lasting, epoch),
    )


def _find_waiting_for(lasting: Lasting, epoch: EpochParts) -> str | None:
    """Return in words what a node waits for before it can do its part, or None."""
    own, rejoining, height = lasting.setup.member, lasting.rejoining, lasting.tree.final_height
    if not epoch.membership.is_ours and epoch.membership.has_member(own):
        return f"the member {own} has another node key: this node only follows"
    if lasting.traffic.sealing.is_forked:
        return "the validators to give this node a new feed by vote: the present one forks, and stands still"
    if not rejoining.is_open or rejoining.is_feed_lost:
        return rejoining.waiting_for()
    if epoch.is_over(lasting.tree):
        return f"the execution of block {height}, the last of epoch {epoch.record.epoch}"
    if lasting.sync.target is not None:
        return f"the chain up to block {lasting.sync.target}: block {height} is here"
    loss = rejoining.loss
    if loss is not None and not (lasting.is_loss_covered and epoch.core.view > (loss.guard or 0)):
        # It counts among the f until then (docs/protocol.md, Rejoin), and an operator must know.
        return "what it has sealed since its vote log was lost to become final: stop no other validator until then"
    return None
