"""The cut: for each feed that advanced, its new tip. A block is a cut: a few hundred bytes, whatever it covers."""

import itertools
from collections.abc import Sequence
from typing import Final

from consensus.messages import payload_digest
from consensus.types import Digest
from node.crypto.merkle import merkle_root
from node.wire.codec import MalformedError, pack, read_array, unpack
from node.wire.ids import FeedTip, read_feed_tip

CUT_FEEDS_MAX: Final = 1024

Cut = tuple[FeedTip, ...]
"""Tips in strictly rising order of feed."""


def encode_cut(cut: Cut) -> bytes:
    """Return the one encoding: the payload of a block."""
    return pack(tuple(tip.to_fields() for tip in cut))


def decode_cut(payload: bytes) -> Cut:
    """Return the cut in `payload`. Raises MalformedError, and nothing else."""
    cut = tuple(
        read_feed_tip(entry, "cut")
        for entry in read_array(unpack(payload, what="cut"), "cut", length_max=CUT_FEEDS_MAX)
    )
    for left, right in itertools.pairwise(cut):
        if left.feed >= right.feed:
            raise MalformedError("cut: feeds do not rise")
    return cut


def cut_digest(payload: bytes) -> Digest:
    """Return the digest of an encoded cut, as it stands in a block's header."""
    return payload_digest(payload)


def batch_root(digests: Sequence[Digest]) -> Digest:
    """Return the Merkle root over the digests of all batches newly covered: feeds in cut order, each by seq."""
    return merkle_root(digests)
