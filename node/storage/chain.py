"""The chain: batches, blocks, what is final, and the certificates that prove it.

Everything a group of steps asks to keep goes into one synced write (`ChainWrite`); each write counts itself, and the
vote log notes the count, while the chain notes how far the vote log was on disk. So each store vouches for the other:
LevelDB takes a log that was cut short for its end, but a chain or a vote log that went back in time is found out.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from consensus.errors import invariant
from consensus.messages import FLAG_EPOCH_END, Block, Certificate, payload_digest
from consensus.types import DIGEST_BYTES, Digest, Epoch, Height
from node.crypto.keys import PUBLIC_KEY_BYTES
from node.crypto.merkle import Frontier
from node.ledger.batch import Batch, decode_batch
from node.ledger.cut import decode_cut
from node.ledger.genesis import Genesis
from node.storage import keys
from node.storage.errors import CHAIN_ADVICE, DamagedStoreError
from node.storage.store import Row, Store, create_store, open_store
from node.storage.vote_records import START_POSITION, LogPosition
from node.wire.codec import MalformedError, Packable, pack, read_array, read_bytes, read_digest, read_int, unpack
from node.wire.ids import FeedId, FeedTip, Seq
from node.wire.messages import block_fields, certificate_fields, read_block, read_certificate

TAIL_BLOCKS: Final = 32
"""How many final blocks are checked against their digests at every start."""
FULL_CHECK_BYTES: Final = 256 * 1024 * 1024
"""A chain up to this size is read whole at every start: within a second."""


@dataclass(slots=True)
class ChainWrite:
    """What one group of steps asks to keep. finals: (block, digest) in height order, none left out."""

    batches: list[Batch] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    finals: list[tuple[Block, Digest]] = field(default_factory=list)
    certificates: list[tuple[Height, Certificate]] = field(default_factory=list)

    def is_empty(self) -> bool:
        """Return whether there is nothing to keep."""
        return not (self.batches or self.blocks or self.finals or self.certificates)


class ChainStore:
    """The open chain. One thread writes; any thread reads."""

    def __init__(self, store: Store, genesis: Genesis) -> None:
        self._store = store
        self._genesis = genesis
        self._commits = self._read_mark(keys.COMMITS_MARK)
        last = store.last_row(keys.FINAL)
        self._final_height = Height(0) if last is None else keys.height_of(last[0])
        self._final_digest = genesis.anchor_digest if last is None else Digest(last[1])
        self._frontier = self._read_frontier()

    @property
    def genesis(self) -> Genesis:
        """The network's."""
        return self._genesis

    @property
    def commits(self) -> int:
        """How many writes the chain has had."""
        return self._commits

    @property
    def final_height(self) -> Height:
        """Of the highest final block; 0 is the anchor."""
        return self._final_height

    @property
    def final_digest(self) -> Digest:
        """Of the highest final block."""
        return self._final_digest

    @property
    def frontier(self) -> Frontier:
        """The right edge of the tree over the digests of the blocks 0 … final_height."""
        return self._frontier

    def _read_mark(self, key: bytes) -> int:
        value = self._store.get(key)
        if value is None or len(value) != 8:
            raise self._store.damaged("a mark is missing")
        return keys.read_u64(value)

    def log_position(self) -> LogPosition:
        """Return how far the vote log was on disk at the newest write."""
        value = self._store.get(keys.LOG_MARK)
        try:
            segment, offset, key = read_array(unpack(value or b"", what="log mark"), "log mark", length=3)
            return LogPosition(
                read_int(segment, "segment"),
                read_int(offset, "offset"),
                read_bytes(key, "public_key", length_max=PUBLIC_KEY_BYTES),
            )
        except MalformedError as error:
            raise self._store.damaged(error) from error

    def _read_frontier(self) -> Frontier:
        try:
            size, edges = read_array(
                unpack(self._store.get(keys.HISTORY_MARK) or b"", what="history"), "history", length=2
            )
            return Frontier(
                read_int(size, "history.size"),
                tuple(read_digest(edge, "history.edge") for edge in read_array(edges, "history.edges")),
            )
        except MalformedError as error:
            raise self._store.damaged(error) from error

    def commit(self, write: ChainWrite, log_position: LogPosition) -> None:
        """Write all of it, synced, or nothing. log_position: how far the vote log is on disk already.

        Raises WriteFailedError: the process must end.
        """
        rows: list[Row] = [(keys.batch_key(batch.tip), batch.encoded) for batch in write.batches]
        for block in write.blocks:
            self._add_block(rows, block, block.header.digest())
        height, digest, frontier = self._final_height, self._final_digest, self._frontier
        for block, block_digest in write.finals:
            invariant(block.header.height == height + 1, "final blocks come in height order, none left out")
            invariant(block.header.parent_digest == digest, "a final block stands on the one before it")
            height, digest, frontier = block.header.height, block_digest, frontier.append(block_digest)
            self._add_block(rows, block, block_digest)
            rows.append((keys.final_key(height), block_digest))
            if block.header.flags & FLAG_EPOCH_END:
                rows.append((keys.epoch_end_key(block.header.epoch), keys.u64(height)))
            rows.extend(
                (keys.final_tip_key(tip.feed), pack((tip.seq, tip.digest))) for tip in decode_cut(block.payload)
            )
        for certified, certificate in write.certificates:
            rows.append((keys.certificate_key(certified), pack(certificate_fields(certificate))))
        if write.finals:
            rows.append((keys.HISTORY_MARK, _frontier_bytes(frontier)))
        commits = self._commits + 1
        rows.append((keys.COMMITS_MARK, keys.u64(commits)))
        rows.append((keys.LOG_MARK, _log_mark(log_position)))
        self._store.write(rows)
        self._commits = commits
        self._final_height, self._final_digest, self._frontier = height, digest, frontier

    @staticmethod
    def _add_block(rows: list[Row], block: Block, digest: Digest) -> None:
        rows.append((keys.block_key(digest), pack(block_fields(block))))
        rows.append((keys.block_at_key(block.header.height, digest), b""))

    def rows(self) -> Iterator[Row]:
        """Yield every row as the store is now, whatever is written meanwhile: for a backup."""
        return self._store.rows()

    def find_batch(self, tip: FeedTip) -> bytes | None:
        """Return the encoded batch, or None."""
        return self._store.get(keys.batch_key(tip))

    def get_batch(self, tip: FeedTip) -> Batch:
        """Return a batch that must be there, decoded. Raises DamagedStoreError if it is not, or not readable."""
        encoded = self.find_batch(tip)
        if encoded is None:
            raise self._store.damaged(f"batch {tip.seq} of {tip.feed.member} is missing")
        try:
            batch = decode_batch(encoded, self._genesis.network_id)
        except MalformedError as error:
            raise self._store.damaged(error) from error
        if batch.tip != tip:
            raise self._store.damaged(f"batch {tip.seq} of {tip.feed.member} is another one")
        return batch

    def batches_above(self, feed: FeedId, seq: int) -> Iterator[tuple[FeedTip, bytes]]:
        """Yield the stored batches of a feed above `seq` (-1: all), by seq, then by digest; several where it forks."""
        start = keys.batch_prefix(feed, seq + 1)
        stop = keys.BATCH + keys.feed_part(feed) + b"\xff" * 9
        for key, encoded in self._store.rows(start=start, stop=stop):
            yield keys.read_batch_key(key), encoded

    def feeds(self) -> list[FeedId]:
        """Return every feed that a batch is stored of, in order."""
        found: list[FeedId] = []
        start = keys.BATCH
        while True:
            row = next(self._store.rows(start=start, stop=keys.BLOCK), None)
            if row is None:
                return found
            feed = keys.read_batch_key(row[0]).feed
            found.append(feed)
            start = keys.BATCH + keys.feed_part(feed) + b"\xff" * 9

    def find_block(self, digest: Digest) -> Block | None:
        """Return a stored block, final or not, or None."""
        encoded = self._store.get(keys.block_key(digest))
        if encoded is None:
            return None
        try:
            return read_block(unpack(encoded, what="block"), "block")
        except MalformedError as error:
            raise self._store.damaged(error) from error

    def find_final_digest(self, height: Height) -> Digest | None:
        """Return the digest of the final block at `height` (0: the anchor's), or None above the highest."""
        if height == 0:
            return self._genesis.anchor_digest
        value = self._store.get(keys.final_key(height))
        return None if value is None else Digest(value)

    def find_final_block(self, height: Height) -> Block | None:
        """Return the final block at `height`, or None above the highest and for the anchor, which has no block."""
        value = self._store.get(keys.final_key(height))
        if value is None:
            return None
        block = self.find_block(Digest(value))
        if block is None:
            raise self._store.damaged(f"block {height} is missing")
        return block

    def find_certificate(self, height: Height) -> Certificate | None:
        """Return the finalization certificate of exactly this block, or None: a later one proves it too."""
        return self._read_certificate(self._store.get(keys.certificate_key(height)))

    def find_epoch_end(self, epoch: Epoch) -> tuple[Height, Certificate] | None:
        """Return the height of the last block of `epoch` and what finalizes it, or None if it is not final here.

        Kept for ever: nobody knows the next validators before this block, so its own certificate alone proves it.
        """
        value = self._store.get(keys.epoch_end_key(epoch))
        if value is None:
            return None
        height = Height(keys.read_u64(value))
        certificate = self.find_certificate(height)
        if certificate is None:
            raise self._store.damaged(f"the certificate of block {height}, the last of epoch {epoch}, is missing")
        return height, certificate

    def _read_certificate(self, encoded: bytes | None) -> Certificate | None:
        if encoded is None:
            return None
        try:
            return read_certificate(unpack(encoded, what="certificate"), "certificate")
        except MalformedError as error:
            raise self._store.damaged(error) from error

    def final_tips(self) -> tuple[FeedTip, ...]:
        """Return for each feed ever cut its newest final batch, in the order of feeds."""
        tips = []
        try:
            for key, value in self._store.rows(prefix=keys.FINAL_TIP):
                seq, digest = read_array(unpack(value, what="final tip"), "final tip", length=2)
                tips.append(
                    FeedTip(keys.read_final_tip_key(key), Seq(read_int(seq, "seq")), read_digest(digest, "digest"))
                )
        except (MalformedError, ValueError) as error:
            raise self._store.damaged(error) from error
        return tuple(tips)

    def blocks_above(self, height: Height) -> tuple[Block, ...]:
        """Return every stored block above `height`, by height, then by digest."""
        blocks = []
        for key, _ in self._store.rows(start=keys.BLOCK_AT + keys.u64(height + 1), stop=keys.FINAL):
            block = self.find_block(Digest(key[-DIGEST_BYTES:]))
            if block is None:
                raise self._store.damaged("a block that was noted is missing")
            blocks.append(block)
        return tuple(blocks)

    def covered_batches(self, block: Block, tip_before: Callable[[FeedId], FeedTip | None]) -> tuple[Batch, ...]:
        """Return the batches that a final block newly covers, in cut order, each feed by seq.

        tip_before: gives a feed's tip before this block, or None. Raises DamagedStoreError.
        """
        covered: list[Batch] = []
        for tip in decode_cut(block.payload):
            before = tip_before(tip.feed)
            lowest = 0 if before is None else before.seq + 1
            chain: list[Batch] = []
            at = tip
            while at.seq >= lowest:
                batch = self.get_batch(at)
                chain.append(batch)
                if at.seq == 0:
                    break
                at = FeedTip(at.feed, Seq(at.seq - 1), batch.header.previous)
            if before is not None and at != before:
                raise self._store.damaged(
                    f"the feed of {tip.feed.member} is not one chain below block {block.header.height}"
                )
            covered.extend(reversed(chain))
        return tuple(covered)

    def check_tail(self, count: int = TAIL_BLOCKS) -> None:
        """Check the newest final blocks and the tips of their cuts against their digests. Raises DamagedStoreError."""
        if self._frontier.size != self._final_height + 1:
            raise self._store.damaged(f"its history has {self._frontier.size} blocks of {self._final_height + 1}")
        if self._final_height > 0 and self.find_certificate(self._final_height) is None:
            raise self._store.damaged(f"the certificate of block {self._final_height} is missing")
        for number in range(max(1, self._final_height - count + 1), self._final_height + 1):
            height = Height(number)
            block, digest = self.find_final_block(height), self.find_final_digest(height)
            if block is None or block.header.digest() != digest or block.header.height != height:
                raise self._store.damaged(f"block {height} is not the one that became final")
            if block.header.parent_digest != self.find_final_digest(Height(height - 1)):
                raise self._store.damaged(f"block {height} does not stand on block {height - 1}")
            if payload_digest(block.payload) != block.header.cut_digest:
                raise self._store.damaged(f"the cut of block {height} is not its own")
            for tip in decode_cut(block.payload):
                self.get_batch(tip)

    def damaged(self, why: object) -> DamagedStoreError:
        """Return the error that says so, with the way out."""
        return self._store.damaged(why)

    def verify(self) -> None:
        """Read all of it against its checksums. Raises DamagedStoreError."""
        self._store.verify()

    def close(self) -> None:
        """Close it: the next process may open it."""
        self._store.close()


def _frontier_bytes(frontier: Frontier) -> bytes:
    edges: Packable = frontier.edges
    return pack((frontier.size, edges))


def _log_mark(position: LogPosition) -> bytes:
    return pack((position.segment, position.offset, position.public_key))


def create_chain(folder: Path, genesis: Genesis) -> None:
    """Make the empty chain of a new home. Raises StorageError if there is one."""
    create_store(
        folder,
        genesis.network_id,
        marks=(
            (keys.COMMITS_MARK, keys.u64(0)),
            (keys.LOG_MARK, _log_mark(START_POSITION)),
            (keys.HISTORY_MARK, _frontier_bytes(Frontier().append(genesis.anchor_digest))),
        ),
    )


def open_chain(folder: Path, genesis: Genesis, *, full_check_bytes: int = FULL_CHECK_BYTES) -> ChainStore:
    """Open the chain and check it: whole if it is small, else its tail. Close it when done.

    Raises MissingStoreError, DamagedStoreError, UnknownSchemaError, or ConfigError if another process has it.
    """
    store = open_store(folder, genesis.network_id, advice=CHAIN_ADVICE)
    try:
        if store.size_bytes() <= full_check_bytes:
            store.verify()
        chain = ChainStore(store, genesis)
        chain.check_tail()
    except BaseException:
        store.close()
        raise
    return chain
