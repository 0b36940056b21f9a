"""What a replica is born with: its place in the network, and what was durable when the last run ended.

`Replica(setup, recovered, signer=…, verifier=…, now_ms=…, wall_ms=…)` does no work; the input `Started` takes it up.
"""

from dataclasses import dataclass, field
from typing import Final

from consensus.messages import Block
from consensus.recovery import Recovered as CoreRecovered
from consensus.timing import Timing
from consensus.types import Digest, Epoch, Height
from node.crypto.keys import PublicKey
from node.crypto.merkle import Frontier
from node.feed.records import BatchRecord
from node.ledger.genesis import Genesis
from node.ledger.roster import EpochRecord
from node.wire.ids import FeedTip, MemberId
from node.wire.logged import Loss

_ANCHOR_HEIGHT: Final = Height(0)
_FIRST_EPOCH: Final = Epoch(0)


@dataclass(frozen=True, slots=True)
class ReplicaSetup:
    """The network and our place in it. boot_nonce: 16 bytes, new at each start.

    node_key: of this node, which may not be the member's (any longer); None takes it for the one of each roster.
    is_loss_decided: after the loss of a vote log the operator answers for it that nothing is said twice, where too few
    others could tell.
    """

    genesis: Genesis
    member: MemberId
    boot_nonce: bytes
    timing: Timing
    node_key: PublicKey | None = None
    is_loss_decided: bool = False


@dataclass(frozen=True, slots=True)
class Recovered:
    """The state to go on from. `Recovered()` is that of a node that has never run.

    core: what the core needs, as its own docstring says (votes, certificates, final block, blocks above it, executed
    heights). Votes and certificates may be of a later epoch than `epoch`: they wait for it.
    epoch: the newest whose anchor is executed, with that block in `anchor`; both None in epoch 0. logged_epoch: the
    newest whose beginning the vote log has on record; above `epoch` where the chain is taken anew. due: of the executed
    heights, those at which a change of the epoch was due, with the digest of the roster that was.
    final_height, final_digest: of the highest final block in the chain store; height 0 and None before the first.
    final_tips: for each feed ever cut, its newest batch at final_height. frontier: over the digests of the blocks
    0 … final_height (so of size final_height + 1); None before the first final block.
    held: every stored batch above its feed's final tip, branches included, in any order; of feeds that have ended,
    our own alone matter.
    own_logged: the newest `B` record in the vote log. loss: the newest such record in it. executed_height: may be
    below final_height; the driver then executes the blocks between and answers Executed as usual.
    """

    core: CoreRecovered = field(default_factory=CoreRecovered)
    epoch: EpochRecord | None = None
    anchor: Block | None = None
    logged_epoch: Epoch = _FIRST_EPOCH
    due: tuple[tuple[Height, Digest], ...] = ()
    final_height: Height = _ANCHOR_HEIGHT
    final_digest: Digest | None = None
    final_tips: tuple[FeedTip, ...] = ()
    frontier: Frontier | None = None
    held: tuple[BatchRecord, ...] = ()
    own_logged: FeedTip | None = None
    loss: Loss | None = None
    executed_height: Height = _ANCHOR_HEIGHT
