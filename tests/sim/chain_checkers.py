"""What becomes final, and what was promised to clients: the second half of `checkers`."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgpack

from consensus.messages import FLAG_EPOCH_END, Header
from consensus.types import Digest
from node.replica.effects import FinalBlock
from node.wire.ids import MemberId
from tests.sim.disk import Disk

if TYPE_CHECKING:
    from tests.sim.checkers import VoteChecker

Cut = dict[tuple[str, int], tuple[int, bytes]]
"""For each (member, feed number) its newest batch: seq and digest."""


HISTORY_MAX = 200
"""Above, the whole history costs more than it proves."""


class BrokenRuleError(AssertionError):
    """A rule of the protocol does not hold; the message says which, where and when."""


def tree_root(leaves: Sequence[bytes]) -> bytes:
    """Return the Merkle tree hash of RFC 9162, section 2.1.1."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    left = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + tree_root(leaves[:left]) + tree_root(leaves[left:])).digest()


def read_cut(payload: bytes) -> Cut:
    """Return the tips that a block's payload names."""
    return {(member, number): (seq, digest) for member, number, seq, digest in msgpack.unpackb(payload)}


def check_body(digest: Digest, disk: Disk) -> str | None:
    """I-20: return why the block and its ancestors above the final one are not wholly on this disk, or None.

    Wholly: with every batch between their cuts, each linked to the one below.
    """
    path = []
    while digest not in disk.checked_bodies and digest != disk.genesis.network_id:
        block = disk.blocks.get(digest)
        if block is None:
            return f"block {digest.hex()} is not on its disk"
        path.append((digest, block))
        digest = block.header.parent_digest
    below: Cut = disk.checked_bodies.get(digest, {})
    for name, block in reversed(path):
        cut = dict(below)
        for feed, (seq, tip) in read_cut(block.payload).items():
            floor_seq, floor = below.get(feed, (-1, bytes(32)))
            cut[feed] = (seq, tip)
            while seq > floor_seq:
                batch = disk.batches.get(Digest(tip))
                if batch is None or batch.header.seq != seq:
                    return f"batch {seq} of {feed} is not on its disk"
                seq, tip = seq - 1, batch.header.previous
            if tip != floor:
                return f"the batches of {feed} do not link to the cut before"
        disk.checked_bodies[name] = below = cut
    return None


@dataclass(slots=True)
class ChainChecker:
    """The one chain, and who must agree with it.

    latest_ms: the newest time that a block may bear by the slowest honest clock. excused: members that have lost
    their feed or their disk, so that what they accepted may be lost too. distrusted: a node whose execution
    is made to fail.

    I-1: all correct nodes hand out the same blocks. I-5: only nullified views are left out. I-6: heights, links,
    views and timestamps rise. I-7: what is final was submitted, and is final once. I-8: each height once a run, in
    order. I-12: equal states. I-19: the executed height and its claim, and one last block an epoch. I-20: every cut
    links to the one before.
    """

    network_id: Digest
    votes: "VoteChecker"
    byzantine: dict[MemberId, None]
    blocks: dict[int, FinalBlock] = field(default_factory=dict)
    cut: Cut = field(default_factory=dict)
    states: dict[int, Digest] = field(default_factory=dict)
    submitted: dict[Digest, None] = field(default_factory=dict)
    accepted: dict[Digest, MemberId] = field(default_factory=dict)
    final_heights: dict[Digest, int] = field(default_factory=dict)
    next_heights: dict[tuple[str, int], int] = field(default_factory=dict)
    latest_ms: int = 2**62
    excused: dict[MemberId, None] = field(default_factory=dict)
    distrusted: MemberId | None = None

    def on_final(self, name: str, incarnation: int, final: FinalBlock, disk: Disk) -> None:
        """A correct node hands out a final block."""
        height = final.block.header.height
        if height != self.next_heights[name, incarnation]:
            raise BrokenRuleError(f"{name} hands out height {height}, not {self.next_heights[name, incarnation]}")
        self.next_heights[name, incarnation] += 1
        known = self.blocks.setdefault(height, final)
        if known != final:
            raise BrokenRuleError(f"{name} has another block at height {height}")
        if known is final:
            self._check_header(final.block.header)
            self._check_cut(final, disk)

    def _check_header(self, header: Header) -> None:
        """I-5, I-6 and the rising half of I-19, when a height is first final anywhere."""
        height = header.height
        below = self.blocks[height - 1] if height > 1 else None
        if header.parent_digest != (self.network_id if below is None else below.digest):
            raise BrokenRuleError(f"height {height} does not link")
        above = None if below is None else below.block.header
        if above is not None:
            if header.timestamp_ms <= above.timestamp_ms or (header.epoch, header.view) <= (above.epoch, above.view):
                raise BrokenRuleError(f"time or view does not rise at height {height}")
            if header.executed_height < above.executed_height:
                raise BrokenRuleError(f"executed height falls at height {height}")
            ends = above.flags & FLAG_EPOCH_END
            if header.epoch != above.epoch + ends:
                raise BrokenRuleError(f"height {height} is of epoch {header.epoch}, the one below of {above.epoch}")
            if ends and header.executed_height != above.height:
                raise BrokenRuleError(f"height {height} begins an epoch and has not executed its anchor")
        if header.timestamp_ms > self.latest_ms:
            raise BrokenRuleError(f"height {height} is dated {header.timestamp_ms - self.latest_ms} ms too far ahead")
        if header.executed_height >= height:
            raise BrokenRuleError(f"height {height} claims to have been executed")
        if self.votes.electorates[header.epoch].quorum == 1:
            return  # A lone validator writes all of it in one group, and the chain's part of that first.
        lowest = 0 if above is None or above.epoch != header.epoch else above.view
        for view in range(lowest + 1, header.view):
            if (header.epoch, view) not in self.votes.nullified:
                raise BrokenRuleError(f"height {height} leaves out view {view}, which nobody nullified")

    def _check_cut(self, final: FinalBlock, disk: Disk) -> None:
        """I-7 and I-20, when a height is first final anywhere."""
        header = final.block.header
        height = header.height
        history = [self.network_id, *(self.blocks[below].digest for below in range(1, height))]
        counts = [len(disk.batches[tip.digest].transactions) for tip in final.batches]
        if (header.batch_count, header.transaction_count) != (len(counts), sum(counts)):
            raise BrokenRuleError(f"height {height} counts wrong")
        if header.batch_root != tree_root([tip.digest for tip in final.batches]):
            raise BrokenRuleError(f"height {height} has a wrong batch root")
        if height <= HISTORY_MAX and header.history_root != tree_root(history):
            raise BrokenRuleError(f"height {height} has a wrong history root")
        for tip in final.batches:
            batch = disk.batches[tip.digest]
            feed = (str(tip.feed.member), int(tip.feed.number))
            seq, digest = self.cut.get(feed, (-1, bytes(32)))
            if batch.header.seq != seq + 1 or batch.header.previous != digest:
                raise BrokenRuleError(f"height {height}: batch {tip.seq} of {feed} does not follow the cut before")
            self.cut[feed] = (tip.seq, tip.digest)
            is_trusted = tip.feed.member not in self.byzantine
            for transaction in batch.transactions:
                if transaction.id in self.final_heights and is_trusted:
                    raise BrokenRuleError(f"height {height}: a transaction is final twice")
                if transaction.transaction.member != tip.feed.member:
                    raise BrokenRuleError(f"height {height}: {tip.feed.member} submits for another member")
                if is_trusted and transaction.id not in self.submitted:
                    raise BrokenRuleError(f"height {height}: nobody submitted a transaction that is final")
                self.final_heights[transaction.id] = height
        named = read_cut(final.block.payload)
        if any(self.cut.get(feed) != tip for feed, tip in named.items()):
            raise BrokenRuleError(f"height {height}: the batches handed out are not those of the cut")

    def on_executed(self, member: MemberId, height: int, digest: Digest) -> None:
        """I-12: a correct node has executed a block."""
        if member != self.distrusted and self.states.setdefault(height, digest) != digest:
            raise BrokenRuleError(f"{member} has another state at height {height}")

    def check_claims(self) -> None:
        """I-19: every final header's state digest is the one at its executed height."""
        for height in sorted(self.blocks):
            header = self.blocks[height].block.header
            if header.executed_height and self.states[header.executed_height] != header.state_digest:
                raise BrokenRuleError(f"height {height} claims another state")

    def lacking(self, disk: Disk) -> int:
        """I-16 and I-20: return how many transactions that correct nodes accepted are not final on this disk."""
        return sum(
            self.final_heights.get(transaction, disk.height + 1) > disk.height
            for transaction, member in self.accepted.items()
            if member not in self.byzantine and member not in self.excused
        )
