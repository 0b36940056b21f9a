"""What a node keeps in its vote log about its own life: which epoch it serves in, and what it once lost."""

from dataclasses import dataclass

from consensus.types import Digest, Epoch, View
from node.wire.codec import Packable, read_array, read_bool, read_digest, read_int
from node.wire.ids import FeedTip, read_feed_tip


@dataclass(frozen=True, slots=True)
class EpochStart:
    """The node serves in this epoch from now on: votes of earlier ones mean nothing any more.

    anchor_digest: of the block that the epoch begins at. roster_digest: of who takes part in it.
    """

    epoch: Epoch
    anchor_digest: Digest
    roster_digest: Digest

    def to_fields(self) -> Packable:
        """Return the array that stands in the log."""
        return (self.epoch, self.anchor_digest, self.roster_digest)


def read_epoch_start(value: object, what: str) -> EpochStart:
    """Return `value` as the start of an epoch. Raises MalformedError."""
    epoch, anchor, roster = read_array(value, what, length=3)
    return EpochStart(
        Epoch(read_int(epoch, f"{what}.epoch")),
        read_digest(anchor, f"{what}.anchor"),
        read_digest(roster, f"{what}.roster"),
    )


@dataclass(frozen=True, slots=True)
class Loss:
    """An earlier vote log of this key is lost, or was newer than this one: votes that nobody remembers may exist.

    The newest record counts. epoch, guard: what its peers' answers gave in that epoch, to vote only in views above;
    guard is None before they have answered. first_batch: the first one sealed after the loss. is_over: no epoch from
    this one on can have an old vote.
    """

    epoch: Epoch
    guard: View | None = None
    first_batch: FeedTip | None = None
    is_over: bool = False

    def to_fields(self) -> Packable:
        """Return the array that stands in the log."""
        first = None if self.first_batch is None else self.first_batch.to_fields()
        return (self.epoch, self.guard, first, self.is_over)


def read_loss(value: object, what: str) -> Loss:
    """Return `value` as a loss. Raises MalformedError."""
    epoch, guard, first, is_over = read_array(value, what, length=4)
    return Loss(
        Epoch(read_int(epoch, f"{what}.epoch")),
        None if guard is None else View(read_int(guard, f"{what}.guard")),
        None if first is None else read_feed_tip(first, f"{what}.first_batch"),
        read_bool(is_over, f"{what}.is_over"),
    )
