"""A chain written block by block, with roots that are right: what consensus would have made final."""

from collections.abc import Sequence
from dataclasses import replace

from consensus.messages import Block, Header, VoteKind, payload_digest
from consensus.types import ZERO_DIGEST, Digest, Epoch, Height, ValidatorIndex, View
from node.crypto.merkle import Frontier
from node.ledger.batch import Batch
from node.ledger.cut import batch_root, encode_cut
from node.ledger.genesis import Genesis
from node.storage.chain import ChainStore, ChainWrite
from node.storage.vote_records import START_POSITION
from node.wire.ids import FeedId, FeedTip
from tests.support.records import build_certificate


class ChainBuilder:
    """Builds final blocks on top of one another."""

    def __init__(self, genesis: Genesis) -> None:
        self.genesis = genesis
        self.height = 0
        self.digest: Digest = genesis.anchor_digest
        self.frontier = Frontier().append(genesis.anchor_digest)
        self.time_ms = genesis.created_ms

    def build_block(self, *batches: Batch, time_ms: int | None = None, **changes: object) -> Block:
        """The next block, covering `batches` in cut order; the builder moves on to it. changes: header fields."""
        tips: dict[FeedId, FeedTip] = {}
        for batch in batches:
            tips[batch.header.feed] = batch.tip
        payload = encode_cut(tuple(tips[feed] for feed in sorted(tips)))
        self.time_ms = self.time_ms + 1000 if time_ms is None else time_ms
        header = Header(
            network_id=self.genesis.network_id,
            epoch=Epoch(0),
            height=Height(self.height + 1),
            view=View(self.height + 1),
            proposer=ValidatorIndex(0),
            parent_digest=self.digest,
            timestamp_ms=self.time_ms,
            cut_digest=payload_digest(payload),
            batch_root=batch_root([batch.digest for batch in batches]),
            history_root=self.frontier.root(),
            batch_count=len(batches),
            transaction_count=sum(len(batch.transactions) for batch in batches),
            executed_height=Height(0),
            state_digest=ZERO_DIGEST,
            flags=0,
            next_epoch_digest=ZERO_DIGEST,
        )
        header = replace(header, **changes)  # type: ignore[arg-type]  # Fields of a header.
        self.height += 1
        self.digest = header.digest()
        self.frontier = self.frontier.append(self.digest)
        return Block(header, payload)

    def finalize(self, chain: ChainStore, *batches: Batch, **changes: object) -> Block:
        """Write the next block with its batches as final, with a certificate that nobody checks."""
        block = self.build_block(*batches, **changes)  # type: ignore[arg-type]  # Fields of a header.
        chain.commit(final_write(block, batches), START_POSITION)
        return block


def final_write(block: Block, batches: Sequence[Batch] = ()) -> ChainWrite:
    """A write that makes one block final."""
    digest = block.header.digest()
    certificate = build_certificate(block.header.view, VoteKind.FINALIZE, digest)
    return ChainWrite(
        batches=list(batches), finals=[(block, digest)], certificates=[(block.header.height, certificate)]
    )
