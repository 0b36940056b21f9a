"""What exists anew in each epoch: the core with its timers, and those who judge and propose for it.

Everything else lives on: feeds, what is executed, what is fetched. Exactly one epoch is open at a time, and going over
to the next is one synchronous step of the replica: other projects ended with two instances, or with one that was
started after the shutdown.
"""

from dataclasses import dataclass

from consensus.certificates import Notary
from consensus.core import Core
from consensus.messages import FLAG_EPOCH_END, Block, Certificate, CertificateRequest, Proposal, Vote
from consensus.recovery import Recovered as CoreRecovered
from consensus.types import Epoch
from node.ledger.roster import EpochRecord
from node.replica.judging import Judging
from node.replica.lasting import Lasting, Place
from node.replica.membership import Membership
from node.replica.proposing import Proposing
from node.replica.start import core_setup
from node.replica.timers import CoreTimers
from node.replica.tree import BlockTree


@dataclass(frozen=True, slots=True)
class EpochParts:
    """One epoch as this node serves in it."""

    record: EpochRecord
    membership: Membership
    notary: Notary
    core: Core
    timers: CoreTimers
    judging: Judging
    proposing: Proposing | None

    def is_over(self, tree: BlockTree) -> bool:
        """Return whether the final block is the last one of this epoch."""
        header = tree.final_header
        return header.epoch == self.record.epoch and bool(header.flags & FLAG_EPOCH_END)


def open_epoch(
    lasting: Lasting, place: Place, anchor: Block, recovered: CoreRecovered, *, wall_offset_ms: int
) -> EpochParts:
    """Return the parts of an epoch. anchor: the block that it starts from, final and executed here."""
    record, membership, notary = place.record, place.membership, place.notary
    timing = lasting.setup.timing
    own_index = membership.own_index
    return EpochParts(
        record=record,
        membership=membership,
        notary=notary,
        core=Core(
            core_setup(lasting.network_id, record, anchor, membership),
            timing,
            recovered,
            signer=None if own_index is None else lasting.signer,
            verifier=notary.verifier,
            wall_offset_ms=wall_offset_ms,
        ),
        timers=CoreTimers(),
        judging=Judging(
            lasting.moment, record=record, executed=lasting.executed, tree=lasting.tree, bodies=lasting.bodies
        ),
        proposing=None
        if own_index is None
        else Proposing(
            lasting.moment,
            network_id=lasting.network_id,
            record=record,
            timing=timing,
            membership=membership,
            feeds=lasting.feeds,
            acknowledged=lasting.acknowledged,
            executed=lasting.executed,
            tree=lasting.tree,
            own_index=own_index,
        ),
    )


def epoch_of(message: Vote | Certificate | Proposal | CertificateRequest) -> Epoch:
    """Return the epoch that something said by one core to another belongs to."""
    match message:
        case Vote() | Certificate():
            return message.subject.epoch
        case Proposal():
            return message.leader_vote.subject.epoch
        case CertificateRequest():
            return message.epoch
