"""What a leader shows with its block, so that everybody can judge it by itself.

A proposal carries the certificate of its parent and the nullifications of all views skipped in between: nobody
needs to have lived through them.
"""

from dataclasses import dataclass

from consensus.chain import Chain, KnownBlock
from consensus.errors import invariant
from consensus.messages import Block, Proposal, Vote, VoteKind, payload_digest
from consensus.recovery import Setup
from consensus.types import Digest, View
from consensus.view_state import Gap, Parent, Views, ViewState


@dataclass(frozen=True, slots=True)
class Proposer:
    """Finds parents and puts proposals together; signs nothing."""

    setup: Setup
    chain: Chain
    views: Views

    def find_parent(self, view: View) -> Parent | Gap:
        """Return where a block of `view` must stand, or the views whose certificates are missing for that."""
        return self.views.find_parent(
            below=view, final_view=self.chain.final_view, final_certificate=self.chain.final_certificate
        )

    def digest_of(self, parent: Parent) -> Digest:
        """Return the name of the parent's block."""
        return self.chain.anchor_digest if parent.certificate is None else parent.certificate.subject.digest

    def check_built(self, block: Block, *, view: View, above: KnownBlock) -> None:
        """Raise InvariantError for a block of our own that is not the one asked for."""
        header = block.header
        expected = (view, above.digest, above.header.height + 1, self.setup.own_index, self.setup.epoch)
        found = (header.view, header.parent_digest, header.height, header.proposer, header.epoch)
        invariant(found == expected, "a built block stands where it was asked for")
        invariant(header.timestamp_ms > above.header.timestamp_ms, "time rises along the chain")
        invariant(payload_digest(block.payload) == header.cut_digest, "a header names its payload")
        if above.digest == self.chain.anchor_digest:
            invariant(header.executed_height == self.chain.anchor_height, "the first block executes its anchor")
            return
        # We can show finality only up to the block that we know final.
        lowest = above.header.executed_height
        highest = max(lowest, self.chain.known_final_height() or self.chain.delivered_height)
        invariant(lowest <= header.executed_height <= highest, "executed is what was executed and is final")

    def assemble(self, block: Block, *, above: KnownBlock, parent: Parent, vote: Vote) -> Proposal:
        """Return the proposal of `block` on `above`, signed by `vote`."""
        executed = None
        if block.header.executed_height > above.header.executed_height and above.digest != self.chain.anchor_digest:
            executed = self.chain.final_certificate
        return Proposal(
            view=vote.subject.view,
            block=block,
            parent_view=parent.view,
            parent_certificate=parent.certificate,
            nullifications=self.views.justification(above=parent.view, below=vote.subject.view),
            executed_certificate=executed,
            leader_vote=vote,
        )

    def restore(self, state: ViewState) -> Proposal | None:
        """Return the proposal that our recorded vote of this view was part of.

        After a restart the recorded block is the only one we may propose. None if we had proposed nothing, or if
        what it stands on was overtaken.
        """
        vote = state.own.get(VoteKind.NOTARIZE)
        known = None if vote is None else self.chain.find(vote.subject.digest)
        above = None if known is None else self.chain.find(known.header.parent_digest)
        if known is not None and known.header.view != state.view:
            # The last block of the epoch, proposed once more: it stands on itself.
            above = known if self.chain.is_local(known.digest) else None
        if vote is None or known is None or above is None:
            return None
        view = vote.subject.parent_view
        certificate = self.views.certificate(VoteKind.NOTARIZE, view)
        if view == self.chain.final_view:
            certificate = self.chain.final_certificate
        if view < self.chain.final_view or (certificate is None and view > 0):
            return None
        return self.assemble(known.block, above=above, parent=Parent(view, certificate), vote=vote)
