"""Is a proposal one to vote for? The rules P2 to P5, which need nothing but what the core knows.

A rule that lacks knowledge answers what is missing. Refused is not invalid: a refused proposal leaves no verdict on
its digest, which may be good in another proposal; invalid rests only on what the digest covers and its ancestors.
"""

from dataclasses import dataclass

from consensus.chain import Chain
from consensus.elector import leader_of
from consensus.messages import (
    FLAG_EPOCH_END,
    JUSTIFICATION_MAX,
    Proposal,
    VoteKind,
    payload_digest,
)
from consensus.recovery import Setup
from consensus.types import Digest, ValidatorIndex, View
from consensus.view_state import Gap, Views

PROPOSAL_PAYLOAD_BYTES_MAX = 128 * 1024


@dataclass(frozen=True, slots=True)
class Accepted:
    """P2 to P5 hold."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Not to be voted for, ever, in this form. is_fault: no correct leader could have sent it."""

    why: str
    is_fault: bool


@dataclass(frozen=True, slots=True)
class Invalid:
    """No proposal of this block can be good."""

    why: str


@dataclass(frozen=True, slots=True)
class NeedsBody:
    """The block `digest` must be local first."""

    digest: Digest


@dataclass(frozen=True, slots=True)
class NeedsTime:
    """The block is dated too far ahead; to be looked at again at wall_ms."""

    wall_ms: int


Outcome = Accepted | Refused | Invalid | Gap | NeedsBody | NeedsTime


def is_sealed_again(proposal: Proposal) -> bool:
    """Return whether this is the last block of an epoch once more, in a later view than its own.

    Nothing else may stand on such a block, so that no block is ever ordered by the wrong validators; but it may take
    several views to become final, and it is one block in all of them. Its parent's view is one where it was itself
    notarized. The anchor ended the epoch before and is no seal of this one: a verdict on it would be one on what is
    final, and halt everybody.
    """
    header, epoch = proposal.block.header, proposal.leader_vote.subject.epoch
    return bool(header.flags & FLAG_EPOCH_END) and header.epoch == epoch and header.view < proposal.view


def fault_of_shape(proposal: Proposal, *, leader: ValidatorIndex) -> str | None:
    """P1: return what is wrong with the proposal by itself, or None. Signatures are not looked at."""
    vote = proposal.leader_vote
    subject = vote.subject
    certificate = proposal.parent_certificate
    if vote.signer != leader or subject.kind != VoteKind.NOTARIZE or subject.view != proposal.view:
        return "not signed by the leader of its view"
    if subject.parent_view != proposal.parent_view or proposal.parent_view >= proposal.view:
        return "its parent's view differs from the leader's vote"
    if len(proposal.block.payload) > PROPOSAL_PAYLOAD_BYTES_MAX or len(proposal.nullifications) > JUSTIFICATION_MAX:
        return "too large"
    if payload_digest(proposal.block.payload) != proposal.block.header.cut_digest:
        # Else a good header with other bytes beside it would be judged invalid for good.
        return "payload of another block"
    if (certificate is None) != (proposal.parent_view == 0):
        return "a parent's certificate where none may be, or none"
    if certificate is not None and (
        certificate.subject.kind == VoteKind.NULLIFY or certificate.subject.view != proposal.parent_view
    ):
        return "a certificate of something else than its parent"
    below = proposal.view
    for nullification in proposal.nullifications:
        view = nullification.subject.view
        if nullification.subject.kind != VoteKind.NULLIFY or not proposal.parent_view < view < below:
            return "nullifications out of order"
        below = view
    executed = proposal.executed_certificate
    if executed is not None and executed.subject.kind != VoteKind.FINALIZE:
        return "a certificate of something else than finality"
    return None


def examine(proposal: Proposal, *, setup: Setup, shift: int, chain: Chain, views: Views, latest_ms: int) -> Outcome:
    """P2 to P5, in this order, once its certificates were taken in. latest_ms: the latest block time allowed."""
    found = _examine_ancestry(proposal, chain, views)
    if found is None:
        found = _examine_header(proposal, setup, shift)
    if found is None:
        found = _examine_links(proposal, chain)
    if found is None and not is_sealed_again(proposal) and proposal.block.header.timestamp_ms > latest_ms:
        # Too early is not wrong, and there is no lower bound: a window on old blocks once stopped a whole network.
        found = NeedsTime(proposal.block.header.timestamp_ms)
    return Accepted() if found is None else found


def _examine_ancestry(proposal: Proposal, chain: Chain, views: Views) -> Outcome | None:
    """P2 and P3. # Safety: this check is lemma C."""
    parent_view = proposal.parent_view
    if parent_view < chain.final_view:
        # No fault: the leader may not know yet what is final here.
        return Refused("its parent is below the final view", is_fault=False)
    if parent_view == chain.final_view:
        parent_digest = chain.final_digest
    else:
        notarized = views.find_notarized(parent_view)
        if notarized is None:
            return Refused("no certificate of its parent", is_fault=True)
        parent_digest = notarized
    stands_on = proposal.block.header.parent_digest
    if is_sealed_again(proposal):
        stands_on = proposal.leader_vote.subject.digest
    if stands_on != parent_digest:
        return Refused("its parent is not the block certified in the parent's view", is_fault=True)
    return views.find_gap(above=parent_view, below=proposal.view)


def _examine_header(proposal: Proposal, setup: Setup, shift: int) -> Outcome | None:
    """The part of P4 that needs the header alone."""
    header = proposal.block.header
    if header.view != proposal.view and not is_sealed_again(proposal):
        return Refused("its block is of another view", is_fault=True)
    if header.network_id != setup.network_id or header.epoch != setup.epoch:
        return Invalid("another network or epoch")
    if header.proposer != leader_of(View(header.view), validator_count=setup.validator_count, shift=shift):
        return Invalid("its proposer does not lead its view")
    return None


def _examine_links(proposal: Proposal, chain: Chain) -> Outcome | None:
    """The rest of P4, the executed height, and the proof of its finality."""
    header = proposal.block.header
    parent = chain.find(header.parent_digest)
    if parent is None or not parent.has_body:
        return NeedsBody(header.parent_digest)
    above = parent.header
    if header.height != above.height + 1 or header.timestamp_ms <= above.timestamp_ms:
        return Invalid("height or time does not follow its parent's")
    if chain.is_last(parent.digest):
        return Refused("nothing follows the last block of an epoch", is_fault=True)
    if parent.digest == chain.anchor_digest:
        # A lower one would make what is due in the state before the anchor due once more.
        return None if header.executed_height == chain.anchor_height else Invalid("executed height below the anchor")
    if not above.executed_height <= header.executed_height < header.height:
        return Invalid("executed height out of range")
    if header.executed_height == above.executed_height or is_sealed_again(proposal):
        # A block on itself raises nothing, and a quorum that notarized it has seen the proof.
        return None
    # Judged on each proposal and never a verdict on the digest: a leader that shows the finalization to some only
    # would make the others judge invalid what a quorum then certifies.
    if proposal.executed_certificate is None:
        return Refused("no proof that its executed height is final", is_fault=True)
    final_height = max(chain.delivered_height, chain.known_final_height() or 0)
    if header.executed_height <= final_height:
        return None
    if chain.find(chain.final_digest) is None:
        return NeedsBody(chain.final_digest)
    return Refused("its executed height is not final", is_fault=True)
