"""Where a node stands, for people: what the API's status answers."""

from dataclasses import dataclass

from consensus.types import Digest, Epoch, Height, View
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
