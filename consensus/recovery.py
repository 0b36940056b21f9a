"""What a core is born with: the epoch it serves in, and what was durable when the last run ended.

`Core(setup, timing, recovered, signer=…, verifier=…, wall_offset_ms=…)` does no work; the input `Started` takes it up.
"""

from dataclasses import dataclass
from typing import Final

from consensus.messages import Block, Certificate, Vote
from consensus.types import U64_MAX, Digest, Epoch, Height, ValidatorIndex, View

NO_GUARD: Final = View(0)

GUARD_CLOSED: Final = View(U64_MAX)
"""No view lies above it: observe only, until Guarded says from where on we may vote."""


@dataclass(frozen=True, slots=True)
class Setup:
    """The epoch and our place in it.

    own_index: None for an observer, which follows and never votes. anchor: the block the epoch starts from, final
    by definition; anchor_digest names it. In epoch 0 that is the network id, not the hash of the anchor's header,
    and the header has height 0, view 0, executed height 0 and the creation time of the network.
    """

    network_id: Digest
    epoch: Epoch
    validator_count: int
    own_index: ValidatorIndex | None
    anchor: Block
    anchor_digest: Digest


@dataclass(frozen=True, slots=True)
class Recovered:
    """The state to go on from. Empty for a node that has never run.

    votes, certificates: every record of this epoch in the vote log, in any order; certificates are not verified
    again. final_block, final_certificate: the highest block handed out by Finalized or SyncedTo that is durable in
    the chain, and what finalizes it; both None before the first. blocks: every stored block above it, with all the
    batches that it covers durable. executed: heights with the state digest after them, rising, ending in the
    highest executed; those from final_block's executed height on are enough.
    guard: vote only in views above it; NO_GUARD lets all views through, GUARD_CLOSED none before Guarded. What is
    recorded in votes is sent again all the same: it is no new vote.
    """

    votes: tuple[Vote, ...] = ()
    certificates: tuple[Certificate, ...] = ()
    final_block: Block | None = None
    final_certificate: Certificate | None = None
    blocks: tuple[Block, ...] = ()
    executed: tuple[tuple[Height, Digest], ...] = ()
    guard: View = NO_GUARD
