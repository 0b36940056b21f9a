"""A chain of valid blocks over batches, with certificates under fake signatures, for tests of the replica's parts."""

from dataclasses import dataclass, field

from consensus.messages import (
    FLAG_HEARTBEAT,
    Block,
    Certificate,
    Header,
    Subject,
    VoteKind,
    payload_digest,
)
from consensus.quorum import quorum_size
from consensus.scheme import vote_signing_bytes
from consensus.types import ZERO_DIGEST, Digest, Epoch, Height, ValidatorIndex, View
from node.crypto.merkle import Frontier
from node.feed.records import BatchRecord
from node.ledger.cut import batch_root, encode_cut
from node.ledger.genesis import Genesis
from node.wire.ids import FeedId, FeedTip
from tests.support.fake_keys import fake_signature


@dataclass(slots=True)
class FinalChain:
    """Blocks 1 … of a network; each names the height 0 executed, unless told otherwise."""

    genesis: Genesis
    blocks: list[Block] = field(default_factory=list)
    digests: list[Digest] = field(default_factory=list)
    frontier: Frontier = field(init=False)

    def __post_init__(self) -> None:
        self.frontier = Frontier().append(self.genesis.anchor_digest)

    def build(self, *covered: BatchRecord, **changes: object) -> Block:
        """The next block, without taking it into the chain. changes: fields of the header."""
        tips: dict[FeedId, FeedTip] = {record.tip.feed: record.tip for record in covered}
        payload = encode_cut(tuple(tips[feed] for feed in sorted(tips)))
        height = len(self.blocks) + 1
        fields = {
            "network_id": self.genesis.network_id,
            "epoch": Epoch(0),
            "height": Height(height),
            "view": View(height),
            "proposer": ValidatorIndex(0),
            "parent_digest": self.digests[-1] if self.digests else self.genesis.anchor_digest,
            "timestamp_ms": self.genesis.created_ms + height,
            "cut_digest": payload_digest(payload),
            "batch_root": batch_root([record.tip.digest for record in covered]),
            "history_root": self.frontier.root(),
            "batch_count": len(covered),
            "transaction_count": sum(record.transaction_count for record in covered),
            "executed_height": Height(0),
            "state_digest": self.genesis.state_digest,
            "flags": 0 if covered else FLAG_HEARTBEAT,
            "next_epoch_digest": ZERO_DIGEST,
            **changes,
        }
        return Block(Header(**fields), payload)  # type: ignore[arg-type] # the values are those of the fields

    def take(self, block: Block) -> Block:
        """Append a block."""
        self.blocks.append(block)
        self.digests.append(block.header.digest())
        self.frontier = self.frontier.append(self.digests[-1])
        return block

    def extend(self, *covered: BatchRecord) -> Block:
        """Append the next block that covers these batches, given in cut order."""
        return self.take(self.build(*covered))

    def certify(
        self, digest: Digest, view: int, *, kind: VoteKind = VoteKind.FINALIZE, signers: int | None = None
    ) -> Certificate:
        """A certificate of so many validators, a quorum if not told; of a notarization, on the view before."""
        parent_view = View(view - 1) if kind == VoteKind.NOTARIZE else View(0)
        subject = Subject(kind, Epoch(0), View(view), parent_view, digest)
        message = vote_signing_bytes(self.genesis.network_id, subject)
        count = quorum_size(len(self.genesis.roster.validators)) if signers is None else signers
        return Certificate(
            subject, tuple((ValidatorIndex(signer), fake_signature(signer, message)) for signer in range(count))
        )

    def finalization(self, height: int) -> Certificate:
        """What finalizes the block at a height, in the view of the same number."""
        return self.certify(self.digests[height - 1], height)
