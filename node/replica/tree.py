"""The blocks above the final one: how they descend from it, what each newly covers, and whether all of that is here.

A block's payload names the new tips of the feeds that advanced; what it covers therefore depends on its ancestors.
So a block is *complete* only when its parent is, and every batch from the parent's cut to its own is held.
"""

from dataclasses import dataclass
from enum import Enum

from consensus.errors import invariant
from consensus.messages import Block, Header
from consensus.types import Digest, Height
from node.crypto.merkle import Frontier
from node.feed.feeds import Feeds
from node.feed.records import BatchRecord
from node.ledger.cut import Cut, decode_cut
from node.replica.membership import Membership
from node.wire.codec import MalformedError
from node.wire.ids import FeedId, FeedTip


class Lack(Enum):
    """What keeps a block from being complete."""

    PARENT = "parent"
    BATCHES = "batches"


@dataclass(slots=True)
class Node:
    """A block of the tree. cut: what it names; tips: the same by feed.

    covered: all batches newly covered, in cut order, once complete. frontier: over the digests up to this block,
    known as soon as the parent's is. broken: why it can never be complete.
    """

    block: Block
    digest: Digest
    cut: Cut
    tips: dict[FeedId, FeedTip]
    covered: tuple[BatchRecord, ...] | None = None
    frontier: Frontier | None = None
    broken: str | None = None

    @property
    def height(self) -> Height:
        """Its height, as it claims."""
        return self.block.header.height

    @property
    def parent(self) -> Digest:
        """The digest of the block before it."""
        return self.block.header.parent_digest


@dataclass(frozen=True, slots=True)
class Missing:
    """What a block waits for: its parent (also when that is here but not complete), or these batches."""

    lack: Lack
    tips: tuple[FeedTip, ...] = ()


class BlockTree:
    """The tree above the final block. Feeds say which batches are held."""

    def __init__(
        self,
        *,
        feeds: Feeds,
        membership: Membership,
        batches_max: int,
        header: Header,
        digest: Digest,
        frontier: Frontier,
    ) -> None:
        """Begin at a final block. frontier: over the digests 0 … its height. batches_max: of one block."""
        self._feeds = feeds
        self._membership = membership
        self._batches_max = batches_max
        self._nodes: dict[Digest, Node] = {}
        self._waiting_for_parent: dict[Digest, list[Digest]] = {}
        self.final_header = header
        self.final_digest = digest
        self.final_frontier = frontier

    def __len__(self) -> int:
        return len(self._nodes)

    def enter(self, membership: Membership, *, batches_max: int) -> None:
        """Begin an epoch at the final block: no block of an earlier one can come to stand on it."""
        self._membership = membership
        self._batches_max = batches_max
        self._nodes.clear()
        self._waiting_for_parent.clear()

    @property
    def final_height(self) -> Height:
        """The height of the final block."""
        return self.final_header.height

    def find(self, digest: Digest) -> Node | None:
        """Return the block of that name."""
        return self._nodes.get(digest)

    def is_complete(self, digest: Digest) -> bool:
        """Return whether the block is the final one, or complete."""
        if digest == self.final_digest:
            return True
        node = self._nodes.get(digest)
        return node is not None and node.covered is not None

    def header_of(self, digest: Digest) -> Header:
        """Return the header of the final block or of one that is here."""
        return self.final_header if digest == self.final_digest else self._nodes[digest].block.header

    def frontier_of(self, digest: Digest) -> Frontier | None:
        """Return the frontier up to and with a block whose ancestors are all here; None otherwise."""
        if digest == self.final_digest:
            return self.final_frontier
        node = self._nodes.get(digest)
        return None if node is None else node.frontier

    def tip_of(self, digest: Digest, feed: FeedId) -> FeedTip | None:
        """Return the feed's tip in the cut of a complete block."""
        while digest != self.final_digest:
            node = self._nodes[digest]
            tip = node.tips.get(feed)
            if tip is not None:
                return tip
            digest = node.parent
        return self._feeds.branches(feed).final

    def add(self, block: Block, digest: Digest) -> Node:
        """Take a block by its digest; one already here stays as it is."""
        node = self._nodes.get(digest)
        if node is not None:
            return node
        try:
            cut = decode_cut(block.payload)
        except MalformedError as error:
            node = Node(block, digest, (), {}, broken=str(error))
        else:
            node = Node(block, digest, cut, {tip.feed: tip for tip in cut})
        self._nodes[digest] = node
        self._waiting_for_parent.setdefault(node.parent, []).append(digest)
        return node

    def add_built(self, block: Block, digest: Digest, covered: tuple[BatchRecord, ...]) -> None:
        """Take a block that was just built upon a complete parent."""
        node = self.add(block, digest)
        node.covered = covered
        self._extend_frontier(node)

    def incomplete(self) -> tuple[Digest, ...]:
        """Return the blocks that are neither complete nor broken, in the order of their arrival."""
        return tuple(node.digest for node in self._nodes.values() if node.covered is None and node.broken is None)

    def children_of(self, digest: Digest) -> tuple[Digest, ...]:
        """Return the blocks that name this one their parent."""
        return tuple(self._waiting_for_parent.get(digest, ()))

    def complete(self, node: Node) -> Missing | None:
        """Try to make a block complete; return what it still waits for, or None: it is complete or broken."""
        if node.covered is not None or node.broken is not None:
            return None
        parent = node.parent
        if not self.is_complete(parent):
            above = self._nodes.get(parent)
            if above is not None and above.broken is not None:
                node.broken = "its parent is broken"
                return None
            return Missing(Lack.PARENT)
        self._extend_frontier(node)
        node.broken = self._fault_of_cut(node)
        if node.broken is not None:
            return None
        covered: list[BatchRecord] = []
        missing: list[FeedTip] = []
        for tip in node.cut:
            walk = self._feeds.branches(tip.feed).walk(tip, self.tip_of(parent, tip.feed))
            if walk.broken is not None:
                node.broken = walk.broken
                return None
            if walk.missing is not None:
                missing.append(walk.missing)
            covered.extend(walk.records)
        if missing:
            return Missing(Lack.BATCHES, tuple(missing))
        node.covered = tuple(covered)
        return None

    def path_to(self, digest: Digest) -> list[Node]:
        """Return the complete blocks from above the final one up to `digest`, in height order."""
        path: list[Node] = []
        while digest != self.final_digest:
            node = self._nodes[digest]
            invariant(node.covered is not None, "what is handed out is complete")
            path.append(node)
            digest = node.parent
        return path[::-1]

    def finalize(self, path: list[Node]) -> None:
        """Move the final block up along a path of complete blocks; drop what it leaves behind."""
        for node in path:
            invariant(
                node.parent == self.final_digest and node.height == self.final_height + 1 and node.frontier is not None,
                "final blocks follow one another",
            )
            assert node.frontier is not None
            self.final_header, self.final_digest, self.final_frontier = node.block.header, node.digest, node.frontier
            for tip in node.cut:
                self._feeds.finalize(tip)
        for node in path:
            self.drop(node.digest)
        for node in [node for node in self._nodes.values() if node.height <= self.final_height]:
            self._drop_branch(node.digest)

    def drop(self, digest: Digest) -> None:
        """Forget a block."""
        node = self._nodes.pop(digest, None)
        if node is None:
            return
        siblings = self._waiting_for_parent[node.parent]
        siblings.remove(digest)
        if not siblings:
            del self._waiting_for_parent[node.parent]

    def _drop_branch(self, digest: Digest) -> None:
        dropped = [digest]
        while dropped:
            digest = dropped.pop()
            dropped.extend(self.children_of(digest))
            self.drop(digest)

    def _extend_frontier(self, node: Node) -> None:
        if node.frontier is None:
            below = self.frontier_of(node.parent)
            assert below is not None
            node.frontier = below.append(node.digest)

    def _fault_of_cut(self, node: Node) -> str | None:
        """Return why the cut cannot extend the parent's, before any batch of it is fetched."""
        above = self._nodes.get(node.parent)
        if node.height != (self.final_height if above is None else above.height) + 1:
            return "its height does not follow its parent's"
        count = 0
        for tip in node.cut:
            if self._membership.find_feed_key(tip.feed) is None:
                return f"no feed {tip.feed.number} of {tip.feed.member}"
            below = self.tip_of(node.parent, tip.feed)
            advance = tip.seq - (-1 if below is None else below.seq)
            if advance < 1:
                return f"the cut of {tip.feed.member} does not advance"
            count += advance
        if count != node.block.header.batch_count:
            return f"covers {count} batches, its header says {node.block.header.batch_count}"
        if count > self._batches_max:
            return f"covers {count} batches, more than {self._batches_max}"
        return None
