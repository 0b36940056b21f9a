"""The choice of a cut: fairly across feeds, within the bounds of a block."""

from collections.abc import Sequence
from dataclasses import dataclass

from node.feed.branches import FeedBranches
from node.feed.records import BatchRecord


@dataclass(frozen=True, slots=True)
class Offer:
    """What of one feed may be cut: the batches above `after_seq` up to `upto_seq`, which is at most its limit."""

    branches: FeedBranches
    after_seq: int
    upto_seq: int


def choose_batches(
    offers: Sequence[Offer], *, batches_max: int, bytes_max: int, turn: int
) -> tuple[tuple[BatchRecord, ...], ...]:
    """Return the batches to cut, one tuple for each feed that advances, in the order of the offers.

    One batch of each feed in turn, until none has more or the next one does not fit, so that a flood on one feed
    does not keep small ones out. turn: any number that changes from block to block; it says which feed begins.
    """
    taken: list[list[BatchRecord]] = [[] for _ in offers]
    batches_left, bytes_left = batches_max, bytes_max
    count = len(offers)
    open_places = [(turn + place) % count for place in range(count)] if count else []
    while open_places and batches_left > 0:
        still_open = []
        for place in open_places:
            offer, chosen = offers[place], taken[place]
            seq = offer.after_seq + 1 + len(chosen)
            if seq > offer.upto_seq or batches_left == 0:
                continue
            record = offer.branches.at(seq)
            if record.size_bytes > bytes_left:
                # Its next one would have to jump the queue, and may not: the feed waits for the next block.
                continue
            chosen.append(record)
            batches_left -= 1
            bytes_left -= record.size_bytes
            still_open.append(place)
        open_places = still_open
    return tuple(tuple(chosen) for chosen in taken if chosen)
