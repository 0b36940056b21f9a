"""A leader that shows different blocks to different nodes, and votes for everything at once."""

import dataclasses

from consensus.messages import Block, CoreMessage, Proposal, Subject, Vote, VoteKind
from consensus.scheme import vote_signing_bytes
from consensus.types import ZERO_DIGEST, Digest, View
from tests.sim.core_network import CoreNetwork
from tests.sim.core_node import SimNode
from tests.sim.core_state import NETWORK_ID
from tests.support.fake_keys import fake_signature


class LyingNode(SimNode):
    """An honest core behind a liar: each of its messages goes out with contradictions, to whom it likes."""

    def __init__(self, network: CoreNetwork, index: int) -> None:
        super().__init__(network, index)
        self.rivals: dict[tuple[int, int], Proposal] = {}

    def sign(self, kind: VoteKind, view: View, parent_view: View, digest: bytes) -> Vote:
        seat = self.seat
        assert seat is not None
        subject = Subject(kind, self.epoch, view, parent_view, Digest(digest))
        return Vote(subject, seat, fake_signature(self.index, vote_signing_bytes(NETWORK_ID, subject)))

    def rival_of(self, proposal: Proposal) -> Proposal:
        """Return another good proposal for the same view: the same block, dated a little later."""
        key = (self.epoch, proposal.view)
        if key not in self.rivals:
            header = dataclasses.replace(proposal.block.header, timestamp_ms=proposal.block.header.timestamp_ms + 1)
            vote = self.sign(VoteKind.NOTARIZE, proposal.view, proposal.parent_view, header.digest())
            block = Block(header, proposal.block.payload)
            self.disk.blocks[header.digest()] = block
            self.rivals[key] = dataclasses.replace(proposal, block=block, leader_vote=vote)
        return self.rivals[key]

    def send(self, target: int, message: CoreMessage) -> None:
        chance = self.network.random
        if chance.randrange(10) == 0:
            return
        if isinstance(message, Proposal) and message.leader_vote.signer == self.seat:
            rival = self.rival_of(message)
            if target % 2:
                message, rival = rival, message
            if chance.randrange(5) == 0:
                self.network.carry(self.index, target, rival)
        elif isinstance(message, Vote) and self.seat is not None and chance.randrange(2):
            subject = message.subject
            for kind in VoteKind:
                rival_block = self.rivals.get((self.epoch, subject.view))
                digest = subject.digest if subject.digest != ZERO_DIGEST else NETWORK_ID
                if rival_block is not None and chance.randrange(2):
                    digest = rival_block.block.header.digest()
                parent_view = subject.parent_view if kind == VoteKind.NOTARIZE else View(0)
                if kind == VoteKind.NULLIFY:
                    digest = ZERO_DIGEST
                self.network.carry(self.index, target, self.sign(kind, subject.view, parent_view, digest))
            if chance.randrange(4) == 0:
                message = Vote(subject, message.signer, bytes(64))
        self.network.carry(self.index, target, message)
