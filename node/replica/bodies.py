"""Making blocks complete: which batches and ancestors they wait for, and the fetching of those.

A block is pursued from the moment it is in the tree: because the core wants its body, because it is being judged, or
because it is being synced. `advance` says which blocks are settled: complete, or broken. What that means is the
caller's business.
"""

from typing import Final

from consensus.messages import Block
from consensus.types import Digest, Height
from node.feed.acknowledged import Acknowledged
from node.feed.feeds import Feeds
from node.replica.fetching import Fetcher
from node.replica.moment import Moment
from node.replica.tree import BlockTree, Lack, Node
from node.wire.ids import FeedTip, MemberId
from node.wire.messages import BatchRequest, BlockRequest

SYNC_GAP: Final = 4
"""A final block further above ours is reached by chain sync, not from parent to parent."""


class Bodies:
    """The pursuit of blocks.

    wanted: what the core asked for, by digest. syncing_to: the height that chain sync will bring, None without it.
    fetcher: for whatever else is to be fetched, too.
    """

    def __init__(self, moment: Moment, *, feeds: Feeds, acknowledged: Acknowledged, tree: BlockTree) -> None:
        self._moment = moment
        self._feeds = feeds
        self._acknowledged = acknowledged
        self._tree = tree
        self.fetcher = Fetcher(is_needed=self.is_needed)
        self._waiters: dict[Digest, dict[Digest, None]] = {}
        self._waiting_on: dict[Digest, tuple[Digest, ...]] = {}
        self._blocks: dict[Digest, None] = {}
        self.wanted: dict[Digest, None] = {}
        self.syncing_to: Height | None = None

    def enter(self) -> None:
        """Begin an epoch: blocks of an earlier one are waited for no longer."""
        self._waiters.clear()
        self._waiting_on.clear()
        self._blocks.clear()
        self.wanted.clear()
        self.syncing_to = None

    def is_needed(self, digest: Digest) -> bool:
        """Return whether a batch or a block still has somebody waiting for it."""
        return digest in self._waiters or digest in self._blocks

    def want_body(self, digest: Digest, hints: tuple[MemberId, ...]) -> list[Node]:
        """Get a block and its batches for the core; return what is settled at once."""
        self.wanted[digest] = None
        node = self._tree.find(digest)
        if node is None:
            self._want_block(digest, hints)
            return []
        if node.covered is not None or node.broken is not None:
            return [node]
        return self.advance(digest)

    def take_block(self, block: Block, digest: Digest) -> list[Node]:
        """Take a block that was asked for; return what is settled by it."""
        self._blocks.pop(digest, None)
        self.fetcher.drop(digest)
        if block.header.height <= self._tree.final_height:
            # It was overtaken by what is final.
            self.wanted.pop(digest, None)
            return []
        self._tree.add(block, digest)
        return self.advance(digest)

    def is_block_wanted(self, digest: Digest) -> bool:
        """Return whether a block of this name was asked for and is not here."""
        return digest in self._blocks

    def batch_settled(self, digest: Digest) -> list[Node]:
        """Look again at the blocks that waited for a batch, which is held now or known to be bad."""
        settled: list[Node] = []
        for block in self._waiters.pop(digest, {}):
            settled.extend(self.advance(block))
        return settled

    def advance(self, digest: Digest, *, is_urgent: bool = True) -> list[Node]:
        """Try to complete a block and, after it, those that stand on it; see to what they lack."""
        settled: list[Node] = []
        waiting = [digest]
        while waiting:
            node = self._tree.find(waiting.pop())
            if node is None or node.covered is not None or node.broken is not None:
                continue
            missing = self._tree.complete(node)
            if missing is None:
                self._stop_waiting(node.digest)
                settled.append(node)
                waiting.extend(self._tree.children_of(node.digest))
            elif missing.lack is Lack.BATCHES:
                self._wait_for(node, missing.tips, is_urgent=is_urgent)
            else:
                self._pursue_parent(node, is_urgent=is_urgent)
        return settled

    def pursue(self, digest: Digest) -> list[Node]:
        """Complete a block that is known to be final; fetch it by its name if it is not here."""
        if self._tree.find(digest) is None:
            if digest not in self._blocks:
                self._want_block(digest, ())
            return []
        return self.advance(digest, is_urgent=False)

    def give_up(self, digest: Digest) -> None:
        """Pursue a block no longer, unless the core wants it; a complete one stays, the core may build on it."""
        if not self._tree.is_complete(digest):
            self.drop(digest)

    def drop(self, digest: Digest) -> None:
        """Forget a block, unless the core wants it."""
        if digest not in self.wanted:
            self._stop_waiting(digest)
            self._tree.drop(digest)

    def clear_passed(self) -> None:
        """Forget the waiting of blocks that finality has passed."""
        for digest in [digest for digest in self._waiting_on if self._tree.find(digest) is None]:
            self._stop_waiting(digest)
        for digest in [digest for digest in self.wanted if self._tree.find(digest) is None]:
            if digest not in self._blocks:
                del self.wanted[digest]

    def _pursue_parent(self, node: Node, *, is_urgent: bool) -> None:
        parent = self._tree.find(node.parent)
        if parent is not None:
            # Its tips are known by name whatever comes below, so they may come meanwhile.
            lacking = (self._feeds.branches(tip.feed).missing_below(tip) for tip in node.cut)
            self._wait_for(node, tuple(tip for tip in lacking if tip is not None), is_urgent=is_urgent)
        elif node.height - 1 <= self._tree.final_height:
            # It stands on another block than the final one: nobody will need it.
            self.wanted.pop(node.digest, None)
            self.drop(node.digest)
        elif self.syncing_to is None or node.height <= self._tree.final_height + SYNC_GAP:
            self._want_block(node.parent, ())

    def resume(self) -> list[Node]:
        """Pursue what was left to chain sync, once that is over."""
        settled: list[Node] = []
        for digest in self._tree.incomplete():
            settled.extend(self.advance(digest))
        return settled

    def _want_block(self, digest: Digest, hints: tuple[MemberId, ...]) -> None:
        self._blocks[digest] = None
        self.fetcher.want(digest, BlockRequest(digest), now_ms=self._moment.now_ms, hints=hints)

    def _wait_for(self, node: Node, tips: tuple[FeedTip, ...], *, is_urgent: bool) -> None:
        self._stop_waiting(node.digest)
        self._waiting_on[node.digest] = tuple(tip.digest for tip in tips)
        for tip in tips:
            self._waiters.setdefault(tip.digest, {})[node.digest] = None
            if not self._feeds.is_here(tip):
                self.fetcher.want(
                    tip.digest,
                    BatchRequest(tip),
                    now_ms=self._moment.now_ms,
                    hints=self._acknowledged.find_holders(tip),
                    is_urgent=is_urgent,
                )

    def _stop_waiting(self, digest: Digest) -> None:
        for batch in self._waiting_on.pop(digest, ()):
            blocks = self._waiters.get(batch)
            if blocks is not None:
                blocks.pop(digest, None)
                if not blocks:
                    del self._waiters[batch]
