"""Remembers all that honest nodes ever said or handed out, across all their incarnations and epochs.

It shares no code with the core beyond the messages themselves.
"""

from consensus.effects import Finalized
from consensus.messages import FLAG_EPOCH_END, Block, Certificate, CoreMessage, Proposal, Vote, VoteKind
from consensus.types import Digest
from tests.sim.core_state import NETWORK_ID, ChainState, Disk, EpochStart


class AgreementChecker:
    """I-1 to I-6, I-8, I-11, I-12 and I-19 at every message and every block handed out.

    votes: what each node said, by (node, kind, view) in epoch 0, by (node, kind, view, epoch) in later ones.
    notarized: the one block of each view; kinds: which certificates a view was seen to have. Both by view in epoch
    0 and by (view, epoch) later on. odd: nodes whose execution is meant to differ.
    """

    def __init__(self) -> None:
        self.chain: list[Digest] = []
        self.states: list[ChainState] = []
        self.starts: list[EpochStart] = []
        self.votes: dict[tuple[int, ...], tuple[bytes, int]] = {}
        self.notarized: dict[int | tuple[int, int], bytes] = {}
        self.kinds: dict[int | tuple[int, int], set[int]] = {}
        self.seals: dict[int, Digest] = {}
        self.odd: set[int] = set()

    def on_start(self, start: EpochStart) -> None:
        """An epoch begins at a node: it begins alike at all of them."""
        if start.epoch == len(self.starts):
            self.starts.append(start)
        assert self.starts[start.epoch] == start, f"epoch {start.epoch} begins differently"

    def on_sent(self, index: int, disk: Disk, message: CoreMessage) -> None:
        votes: list[Vote] = []
        certificates: list[Certificate] = []
        if isinstance(message, Vote):
            votes.append(message)
        elif isinstance(message, Certificate):
            certificates.append(message)
        elif isinstance(message, Proposal):
            votes.append(message.leader_vote)
            certificates += message.nullifications
            certificates += [found for found in (message.parent_certificate, message.executed_certificate) if found]
        for vote in votes:
            members = self.starts[vote.subject.epoch].members
            assert members[vote.signer] == index, "a node relays votes of others"
            assert vote in disk.records, f"{index} shows a vote that is not durable: {vote.subject}"
            if vote.subject.kind != VoteKind.NULLIFY:
                assert vote.subject.digest in disk.blocks, (
                    f"{index} votes for a block that is not durable: {vote.subject}"
                )
            self.on_vote(index, vote)
        for certificate in certificates:
            self.on_certificate(certificate)

    def on_vote(self, index: int, vote: Vote) -> None:
        subject = vote.subject
        said = (bytes(subject.digest), subject.parent_view)
        where = (subject.view,) if subject.epoch == 0 else (subject.view, subject.epoch)
        key = (index, int(subject.kind), *where)
        assert self.votes.setdefault(key, said) == said, f"{index} votes twice: {subject}"
        if subject.kind != VoteKind.NOTARIZE:
            other = VoteKind.FINALIZE if subject.kind == VoteKind.NULLIFY else VoteKind.NULLIFY
            assert (index, int(other), *where) not in self.votes, f"{index} nullifies and finalizes"

    def on_certificate(self, certificate: Certificate) -> None:
        subject = certificate.subject
        count = len(self.starts[subject.epoch].members)
        signers = {signer for signer, _ in certificate.signatures}
        assert len(signers) == len(certificate.signatures) >= count - (count - 1) // 3
        assert all(0 <= signer < count for signer in signers)
        view = subject.view if subject.epoch == 0 else (subject.view, subject.epoch)
        if subject.kind != VoteKind.NULLIFY:
            digest = bytes(subject.digest)
            assert self.notarized.setdefault(view, digest) == digest, f"two blocks in view {view}"
        kinds = self.kinds.setdefault(view, set())
        kinds.add(int(subject.kind))
        assert not {2, 3} <= kinds, f"view {view} is nullified and final"

    def on_finalized(self, index: int, disk: Disk, finalized: Finalized, epoch: int) -> None:
        for block in finalized.blocks:
            header = block.header
            assert header.height == len(disk.chain) + 1, f"{index} hands out height {header.height} out of order"
            digest = header.digest()
            previous = disk.chain[-1].header if disk.chain else None
            assert header.parent_digest == (previous.digest() if previous else NETWORK_ID), "the chain does not link"
            if len(self.chain) < header.height:
                self.chain.append(digest)
            assert self.chain[header.height - 1] == digest, f"nodes disagree at height {header.height}"
            assert header.epoch == epoch, "a block of another epoch"
            anchor_height = self.starts[epoch].anchor.header.height
            floor = anchor_height
            if previous is not None:
                assert header.timestamp_ms > previous.timestamp_ms, "time does not rise"
                floor = max(floor, previous.executed_height)
                assert previous.epoch == epoch or previous.flags & FLAG_EPOCH_END, "an epoch without an end"
                assert previous.epoch < epoch or not previous.flags & FLAG_EPOCH_END, "a block after the end"
            assert floor <= header.executed_height < header.height, "the executed height falls, or runs ahead"
            if header.flags & FLAG_EPOCH_END:
                assert self.seals.setdefault(epoch, digest) == digest, f"epoch {epoch} has two ends"
            disk.extend(block)
        assert finalized.certificate.subject.digest == finalized.blocks[-1].header.digest()
        disk.final_certificate = finalized.certificate

    def on_executed(self, index: int, block: Block, state: ChainState) -> None:
        """A node has executed a block: all come to the same state, and what the header claimed was true."""
        height, claimed = block.header.height, block.header.executed_height
        if index in self.odd:
            return
        if len(self.states) < height:
            self.states.append(state)
        assert self.states[height - 1] == state, f"states differ at height {height}"
        at_claimed = self.states[claimed - 1] if claimed else ChainState()
        assert block.header.state_digest == at_claimed.digest, f"block {height} claims a false state"
