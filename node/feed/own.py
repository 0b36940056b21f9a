"""This member's own feed: submissions wait here until they are sealed into a batch.

At once when the feed is idle; else a batch is sealed `SEAL_DELAY_MS` after the one before, or as soon as a full one
has gathered. So a lone submission does not wait, and a stream of them shares signatures and syncs.
"""

from collections import deque
from dataclasses import dataclass
from enum import Enum
from typing import Final

from consensus.scheme import Signer
from consensus.types import Digest
from node.feed.branches import WINDOW_BYTES
from node.ledger.batch import BATCH_BODY_BYTES_MAX, BATCH_TRANSACTIONS_MAX, SEAL_DELAY_MS, Batch, seal_batch
from node.ledger.transaction import SignedTransaction
from node.wire.ids import FeedId, Seq

SUBMISSION_TRANSACTIONS_MAX: Final = BATCH_TRANSACTIONS_MAX

_ENTRY_BYTES: Final = 8
"""What the encoding of a batch adds to each transaction at most: heads of an array and of two byte strings.

Thousands of small transactions would else make a batch larger than a message may be.
"""


class Refusal(Enum):
    """Why a submission is not taken; the value is the stable code."""

    FEED_FULL = "feed_full"
    FEED_LOST = "feed_lost"
    TOO_LARGE = "too_large"


@dataclass(frozen=True, slots=True)
class Sealed:
    """A new batch and the submissions whose last transaction is in it."""

    batch: Batch
    tokens: tuple[int, ...]


class OwnFeed:
    """What waits to be sealed, and where the feed goes on. The batches themselves are in its branches.

    Begins lost: nothing is sealed until `continue_after` says where the feed ends. is_held: what is submitted waits
    until something else is settled first.
    """

    def __init__(self, *, network_id: Digest, feed: FeedId, key: Signer) -> None:
        self.feed = feed
        self._network_id = network_id
        self._key = key
        self._end: tuple[int, Digest] | None = None
        self._waiting: deque[tuple[int | None, SignedTransaction]] = deque()
        self._waiting_bytes = 0
        self._sealed_ms: int | None = None
        self.is_held = False

    @property
    def is_lost(self) -> bool:
        """Whether the end of the feed is unknown."""
        return self._end is None

    @property
    def next_seq(self) -> int:
        """The seq of the next batch to seal; the feed is not lost."""
        assert self._end is not None
        return self._end[0]

    @property
    def waiting_count(self) -> int:
        """Transactions that wait to be sealed."""
        return len(self._waiting)

    def continue_after(self, *, seq: int, digest: Digest) -> None:
        """Go on after this batch; seq -1 and the zero digest for a feed without batches."""
        self._end = (seq + 1, digest)

    def lose(self) -> None:
        """Seal nothing until `continue_after` says where the feed ends."""
        self._end = None

    def submit(self, token: int, transactions: tuple[SignedTransaction, ...], *, reach_bytes: int) -> Refusal | None:
        """Take the transactions, all or none; None if they are taken.

        reach_bytes: what the feed's batches reach beyond the final cut. transactions: at least one.
        """
        size = sum(transaction.size_bytes for transaction in transactions)
        if self._end is None:
            return Refusal.FEED_LOST
        if not 1 <= len(transactions) <= SUBMISSION_TRANSACTIONS_MAX:
            return Refusal.TOO_LARGE
        if reach_bytes + self._waiting_bytes + size > WINDOW_BYTES:
            return Refusal.FEED_FULL
        for transaction in transactions[:-1]:
            self._waiting.append((None, transaction))
        self._waiting.append((token, transactions[-1]))
        self._waiting_bytes += size
        return None

    def inherit(self, ended: "OwnFeed") -> None:
        """Take over what waits in an ended feed of ours, before anything is submitted to this one."""
        self._waiting, self._waiting_bytes = ended._waiting, ended._waiting_bytes
        ended._waiting, ended._waiting_bytes = deque(), 0

    def waiting_tokens(self) -> tuple[int, ...]:
        """Return the submissions that wait, of which some transactions may be sealed already."""
        return tuple(token for token, _ in self._waiting if token is not None)

    def deadline_ms(self) -> int | None:
        """Return when the next batch is to be sealed; in the past for at once; None if nothing waits."""
        if not self._waiting or self._end is None or self.is_held:
            return None
        if self._sealed_ms is None or self._has_full_batch():
            return 0
        return self._sealed_ms + SEAL_DELAY_MS

    def seal(self, *, now_ms: int, wall_ms: int, at_once: bool = False) -> Sealed | None:
        """Return the next batch if one is due. wall_ms: the batch's time. at_once: do not wait for more to gather."""
        deadline = self.deadline_ms()
        if deadline is None or (deadline > now_ms and not at_once):
            return None
        transactions, tokens = self._take()
        return self._seal(transactions, tokens, now_ms=now_ms, time_ms=wall_ms)

    def reseal(self, batch: Batch, *, now_ms: int) -> Sealed:
        """Return a batch of an ended feed of ours as the next one of this feed: the same transactions and time.

        Their ids stay the same, so whichever comes to be final first counts. The feed is not lost.
        """
        return self._seal(batch.transactions, (), now_ms=now_ms, time_ms=batch.header.time_ms)

    def _seal(
        self, transactions: tuple[SignedTransaction, ...], tokens: tuple[int, ...], *, now_ms: int, time_ms: int
    ) -> Sealed:
        assert self._end is not None
        seq, previous = self._end
        batch = seal_batch(
            network_id=self._network_id,
            feed=self.feed,
            seq=Seq(seq),
            previous=previous,
            time_ms=time_ms,
            transactions=transactions,
            key=self._key,
        )
        self._end = (seq + 1, batch.digest)
        self._sealed_ms = now_ms
        return Sealed(batch, tokens)

    def _has_full_batch(self) -> bool:
        count = len(self._waiting)
        return count >= BATCH_TRANSACTIONS_MAX or self._waiting_bytes + count * _ENTRY_BYTES >= BATCH_BODY_BYTES_MAX

    def _take(self) -> tuple[tuple[SignedTransaction, ...], tuple[int, ...]]:
        transactions: list[SignedTransaction] = []
        tokens: list[int] = []
        size = 0
        while self._waiting and len(transactions) < BATCH_TRANSACTIONS_MAX:
            token, transaction = self._waiting[0]
            size += transaction.size_bytes + _ENTRY_BYTES
            if size > BATCH_BODY_BYTES_MAX:
                break
            self._waiting.popleft()
            self._waiting_bytes -= transaction.size_bytes
            transactions.append(transaction)
            if token is not None:
                tokens.append(token)
        return tuple(transactions), tuple(tokens)
