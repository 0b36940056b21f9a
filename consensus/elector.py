"""Who leads a view: round robin over the validator set, shifted by the epoch.

The schedule is a pure function of epoch and view, so no two nodes can disagree about it.
"""

from consensus.errors import invariant
from consensus.types import Digest, ValidatorIndex, View


def epoch_shift(anchor_digest: Digest) -> int:
    """Return where in the validator set the epoch's schedule begins: the first 8 bytes of the anchor's digest."""
    return int.from_bytes(anchor_digest[:8], "big")


def leader_of(view: View, *, validator_count: int, shift: int) -> ValidatorIndex:
    """Return the leader of `view`. Every view has the next one; view 0, the anchor, has none."""
    invariant(view >= 1, "the anchor has no leader")
    return ValidatorIndex((view - 1 + shift) % validator_count)
