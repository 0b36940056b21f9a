"""How the membership and the parameters change: proposed, approved, queued, enacted at an epoch boundary."""

from dataclasses import dataclass

from consensus.types import ZERO_DIGEST, Digest, Height
from node.ledger.genesis import Genesis
from node.ledger.roster import Roster


@dataclass(frozen=True, slots=True)
class GovernanceState:
    """All that governance has decided and has before it, after some block.

    roster: of the running epoch. anchor_height: of the block that the epoch starts from. due: the roster of the next
    epoch, or None if nothing is queued.
    """

    network_id: Digest
    roster: Roster
    anchor_height: Height
    due: Roster | None = None

    @property
    def due_digest(self) -> Digest:
        """What a block that names this state's height as executed must say of the next epoch; zero if none is due."""
        return ZERO_DIGEST if self.due is None else self.due.digest(self.network_id)


def genesis_governance(genesis: Genesis) -> GovernanceState:
    """Return the state before any block."""
    return GovernanceState(genesis.network_id, genesis.roster, genesis.anchor_height)
