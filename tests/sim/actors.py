"""Byzantine actors by name: each takes over a whole node, its keys and its disk, and lies in one way.

The node behind an actor runs on as an honest replica; the actor sees all that it would say and says what it likes.
An actor that contradicts an honest view of the world also filters what its node hears.
"""

import dataclasses
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING

from consensus.messages import (
    FLAG_HEARTBEAT,
    Block,
    Certificate,
    Header,
    Proposal,
    Subject,
    Vote,
    VoteKind,
    payload_digest,
)
from consensus.scheme import vote_signing_bytes
from consensus.types import ZERO_DIGEST, Digest, Epoch, Height, ValidatorIndex, View
from node.crypto.merkle import Frontier, merkle_root
from node.ledger.batch import Batch, decode_batch
from node.ledger.cut import encode_cut
from node.wire.ids import FeedTip, MemberId, Seq
from node.wire.messages import (
    BatchData,
    BatchRequest,
    BlockData,
    ChainData,
    Have,
    Message,
    RejoinAnswer,
    StatusReport,
)
from tests.support.networks import build_batch, build_transaction

if TYPE_CHECKING:
    from tests.sim.node import SimNode


class Actor:
    """One that does as its honest node says; the others differ from it in one thing."""

    def outgoing(self, node: "SimNode", member: MemberId, message: Message) -> Iterable[Message]:
        """Return what to say to `member` instead of `message`."""
        return (message,)

    def incoming(self, node: "SimNode", member: MemberId, message: Message) -> Message | None:
        """Return what the node hears of what `member` said; None for nothing."""
        return message

    def act(self, node: "SimNode") -> None:
        """Do something unasked; called now and then."""


def index_of(node: "SimNode", subject: Subject) -> ValidatorIndex | None:
    """Return the node's place among the validators of the subject's epoch."""
    roster = node.world.rosters.get(subject.epoch)
    return None if roster is None else roster.validator_index(node.member)


def sign(node: "SimNode", subject: Subject) -> Vote:
    """Return a good vote of the node on whatever; one that is none of the epoch's validators signs as the first."""
    index = index_of(node, subject) or ValidatorIndex(0)
    return Vote(subject, index, node.signer.sign(vote_signing_bytes(node.world.genesis.network_id, subject)))


def is_own(node: "SimNode", proposal: Proposal) -> bool:
    """Return whether the node leads with this proposal."""
    return proposal.leader_vote.signer == index_of(node, proposal.leader_vote.subject)


def propose(node: "SimNode", proposal: Proposal, block: Block, **changes: object) -> Proposal:
    """Return the proposal with another block, signed anew."""
    changed = dataclasses.replace(proposal, block=block, **changes)  # type: ignore[arg-type] # fields by name
    subject = proposal.leader_vote.subject
    digest = block.header.digest()
    vote = sign(node, dataclasses.replace(subject, digest=digest, parent_view=changed.parent_view))
    return dataclasses.replace(changed, leader_vote=vote)


def some_other(node: "SimNode") -> MemberId:
    """Return any other member."""
    return node.world.random.choice([member for member in node.world.nodes if member != node.member])


class Silent(Actor):
    """Says nothing, or nothing but that it is there."""

    def __init__(self, *, shows_status: bool) -> None:
        self.shows_status = shows_status

    def outgoing(self, node: "SimNode", member: MemberId, message: Message) -> Iterable[Message]:
        return (message,) if self.shows_status and isinstance(message, StatusReport) else ()


class SelectiveSender(Actor):
    """Says each thing to some only; leaves what proves the executed height out of some copies of a proposal."""

    def __init__(self, *, percent: int) -> None:
        self.percent = percent

    def outgoing(self, node: "SimNode", member: MemberId, message: Message) -> Iterable[Message]:
        chance = node.world.random
        if chance.randrange(100) >= self.percent:
            return ()
        if isinstance(message, Proposal) and chance.randrange(2):
            return (dataclasses.replace(message, executed_certificate=None),)
        return (message,)


class EquivocatingLeader(Actor):
    """Proposes several blocks in each of its views, each to other nodes."""

    def __init__(self, *, versions: int) -> None:
        self.versions = versions

    def outgoing(self, node: "SimNode", member: MemberId, message: Message) -> Iterable[Message]:
        if not isinstance(message, Proposal) or not is_own(node, message):
            return (message,)
        number = (list(node.world.nodes).index(member) + message.view) % self.versions
        if number == 0:
            return (message,)
        block = message.block
        header = dataclasses.replace(block.header, timestamp_ms=block.header.timestamp_ms + number)
        rival = propose(node, message, Block(header, block.payload))
        return (rival, message) if node.world.random.randrange(6) == 0 else (rival,)


class EquivocatingVoter(Actor):
    """Signs whatever contradicts its votes, and shows each node another part of it."""

    def __init__(self) -> None:
        self.digests: deque[Digest] = deque(maxlen=16)

    def outgoing(self, node: "SimNode", member: MemberId, message: Message) -> Iterable[Message]:
        if not isinstance(message, Vote) or message.signer != index_of(node, message.subject):
            return (message,)
        subject = message.subject
        if subject.digest != ZERO_DIGEST:
            self.digests.append(subject.digest)
        said: list[Message] = [message]
        for kind in VoteKind:
            if node.world.random.randrange(2) and self.digests:
                digest = ZERO_DIGEST if kind == VoteKind.NULLIFY else node.world.random.choice(self.digests)
                parent_view = subject.parent_view if kind == VoteKind.NOTARIZE else View(0)
                said.append(sign(node, Subject(kind, subject.epoch, subject.view, parent_view, digest)))
        node.world.random.shuffle(said)
        return said


class FutureFlooder(Actor):
    """Votes in views far ahead, and tells of batches that there are not."""

    def act(self, node: "SimNode") -> None:
        chance = node.world.random
        member = some_other(node)
        epoch = max(node.world.rosters)
        now = node.world.checker.votes.entered.get((member, epoch), 1)
        for _ in range(chance.choice((3, 100, 400))):
            view = View(now + chance.choice((1, 2, 3, 4, 64, chance.randrange(2**20), chance.randrange(2**20), 2**62)))
            kind = chance.choice(list(VoteKind))
            digest = ZERO_DIGEST if kind == VoteKind.NULLIFY else Digest(chance.randbytes(32))
            parent = View(now if kind == VoteKind.NOTARIZE else 0)
            other = chance.choice((-1, 0, 0, 1) if epoch else (0, 0, 1))
            node.world.carry(node, member, sign(node, Subject(kind, Epoch(epoch + other), view, parent, digest)))
        feeds = [known.feed for known in node.world.rosters[epoch].present()]
        tips = tuple(
            FeedTip(chance.choice(feeds), Seq(chance.randrange(2**40)), Digest(chance.randbytes(32)))
            for _ in range(chance.choice((1, 50)))
        )
        node.world.carry(node, member, Have(Height(chance.choice((0, 2**40))), tips))


class Replayer(Actor):
    """Says again what it has once heard or said, to anybody, as if it were its own."""

    def __init__(self) -> None:
        self.known: deque[Message] = deque(maxlen=400)

    def outgoing(self, node: "SimNode", member: MemberId, message: Message) -> Iterable[Message]:
        self.known.append(message)
        return (message,)

    def incoming(self, node: "SimNode", member: MemberId, message: Message) -> Message | None:
        self.known.append(message)
        return message

    def act(self, node: "SimNode") -> None:
        for _ in range(10 if self.known else 0):
            node.world.carry(node, some_other(node), node.world.random.choice(self.known))


class Garbage(Actor):
    """Says well-formed nonsense: wrong signatures, signers, epochs, views, quorums, chains, batches and blocks."""

    def outgoing(self, node: "SimNode", member: MemberId, message: Message) -> Iterable[Message]:
        return (message,) if node.world.random.randrange(4) else (self.spoil(node, message),)

    def spoil(self, node: "SimNode", message: Message) -> Message:
        """Return something wrong of the same kind, as far as one is known for it."""
        chance = node.world.random
        match message:
            case Vote():
                return chance.choice(
                    (
                        dataclasses.replace(message, signature=chance.randbytes(64)),
                        dataclasses.replace(
                            message, signer=ValidatorIndex(chance.randrange(len(node.world.genesis.roster.validators)))
                        ),
                        dataclasses.replace(message, subject=dataclasses.replace(message.subject, epoch=Epoch(7))),
                        sign(node, dataclasses.replace(message.subject, parent_view=message.subject.view)),
                    )
                )
            case Certificate(subject, signatures):
                return chance.choice(
                    (
                        Certificate(subject, signatures[1:]),
                        Certificate(subject, signatures[:-1] + signatures[:1]),
                        Certificate(subject, (signatures[0],) * len(signatures)),
                        Certificate(dataclasses.replace(subject, view=View(subject.view + 1)), signatures),
                        Certificate(
                            dataclasses.replace(subject, kind=VoteKind.FINALIZE, parent_view=View(0)), signatures
                        ),
                    )
                )
            case BatchData(encoded):
                place = chance.randrange(len(encoded))
                return BatchData(encoded[:place] + bytes([encoded[place] ^ 1]) + encoded[place + 1 :])
            case BlockData(block):
                return BlockData(Block(block.header, encode_cut(())))
            case ChainData(first, blocks, certificate):
                return ChainData(Height(first + chance.choice((0, 1))), blocks[::-1], certificate)
            case _:
                return message


class Withholder(Actor):
    """Shows its batches to as few as make them cuttable, and serves no data to anyone."""

    def outgoing(self, node: "SimNode", member: MemberId, message: Message) -> Iterable[Message]:
        if isinstance(message, BlockData | ChainData):
            return ()
        if isinstance(message, BatchData):
            validators = node.world.rosters[max(node.world.rosters)].validators
            return (message,) if member in validators[: (len(validators) - 1) // 3 + 1] else ()
        return (message,)


class ForkedFeed(Actor):
    """Signs several batches of each seq and goes on upon each of them; every node is shown some branches."""

    def __init__(self, *, branches: int) -> None:
        self.branches = branches
        self.ends: dict[int, Batch] = {}
        self.all: dict[Digest, Batch] = {}

    def outgoing(self, node: "SimNode", member: MemberId, message: Message) -> Iterable[Message]:
        if not isinstance(message, BatchData):
            return (message,)
        batch = decode_batch(message.batch, node.world.genesis.network_id)
        if batch.header.feed.member != node.member:
            return (message,)
        place = list(node.world.nodes).index(member)
        said: list[Message] = []
        for branch in range(self.branches):
            if (place + branch) % 2 or node.world.random.randrange(5) == 0:
                said.append(message if branch == 0 else BatchData(self.rival(node, batch, branch).encoded))
        return said

    def rival(self, node: "SimNode", batch: Batch, branch: int) -> Batch:
        """Return the batch of that branch at the seq of `batch`."""
        end = self.ends.get(branch)
        if end is not None and end.header.seq == batch.header.seq:
            return end
        follows = end is not None and end.header.seq + 1 == batch.header.seq
        world = node.world
        rival = build_batch(
            world.genesis,
            build_transaction(world.genesis, member=node.member, nonce=world.next_number()),
            member=node.member,
            seq=batch.header.seq,
            previous=end.digest if end is not None and follows else batch.header.previous,
            time_ms=batch.header.time_ms,
        )
        self.ends[branch] = self.all[rival.digest] = rival
        return rival

    def incoming(self, node: "SimNode", member: MemberId, message: Message) -> Message | None:
        if isinstance(message, BatchRequest) and message.tip.digest in self.all:
            node.world.carry(node, member, BatchData(self.all[message.tip.digest].encoded))
            return None
        return message


class Twins(Actor):
    """Two honest processes with one key and two disks; who talks to which one changes."""

    def act(self, node: "SimNode") -> None:
        if node.world.random.randrange(3) == 0:
            node.world.share_twins(node.member)


class CensoringLeader(Actor):
    """Does not want to know of one member's batches, so that its own blocks never cover them."""

    def __init__(self, victim: MemberId) -> None:
        self.victim = victim

    def incoming(self, node: "SimNode", member: MemberId, message: Message) -> Message | None:
        if isinstance(message, Have | StatusReport):
            kept = tuple(tip for tip in message.have if tip.feed.member != self.victim)
            return dataclasses.replace(message, have=kept)
        return None if isinstance(message, BatchData) and member == self.victim else message


class LyingClaims(Actor):
    """Says to hold, to have executed and to have final what it has not; its clock is an hour off."""

    def outgoing(self, node: "SimNode", member: MemberId, message: Message) -> Iterable[Message]:
        if not isinstance(message, Have | StatusReport):
            return (message,)
        chance = node.world.random
        tips = tuple(
            dataclasses.replace(tip, seq=Seq(tip.seq + chance.randrange(4)), digest=Digest(chance.randbytes(32)))
            if chance.randrange(2)
            else tip
            for tip in message.have
        )
        executed = Height(message.executed_height + chance.choice((0, 3, 2**30)))
        message = dataclasses.replace(message, have=tips, executed_height=executed)
        if isinstance(message, StatusReport):
            ahead = chance.choice((0, 5, 2**30))
            status = dataclasses.replace(
                message.status,
                view=View(message.status.view + ahead),
                final_height=Height(message.status.final_height + ahead),
                notarized_view=View(message.status.notarized_view + ahead),
            )
            message = dataclasses.replace(message, status=status, clock_ms=message.clock_ms + 3_600_000)
        return (message,)


class BadProposer(Actor):
    """Proposes blocks that are wrong in one way each, or right ones without what justifies them."""

    def outgoing(self, node: "SimNode", member: MemberId, message: Message) -> Iterable[Message]:
        if not isinstance(message, Proposal) or not is_own(node, message) or (member == node.member):
            return (message,)
        # All hear the same lie in one view.
        anchor = self.find_anchor(node, message)
        if anchor is not None:
            return (propose(node, message, anchor, executed_certificate=None),)
        return (self.spoil(node, message, message.view // 3),)

    def find_anchor(self, node: "SimNode", proposal: Proposal) -> Block | None:
        """Return the block that the epoch starts from, while nothing else stands on it; None in the first epoch.

        It ended the epoch before, is final, and must not be taken for the last block of this one.
        """
        if proposal.parent_view != 0 or proposal.view == 1:
            return None
        finals = (final.block for final, _ in reversed(node.disk.finals))
        return next((one for one in finals if one.header.digest() == proposal.block.header.parent_digest), None)

    def spoil(self, node: "SimNode", proposal: Proposal, number: int) -> Proposal:
        """Return the proposal with the lie of that number."""
        header = proposal.block.header
        wrong: list[dict[str, object]] = [
            {"executed_height": header.height - 1},
            {"executed_height": max(0, header.executed_height - 1)},
            {"state_digest": ZERO_DIGEST},
            {"history_root": ZERO_DIGEST},
            {"batch_root": ZERO_DIGEST},
            {"batch_count": header.batch_count + 1},
            {"transaction_count": header.transaction_count + 1},
            {"timestamp_ms": header.timestamp_ms + 3_600_000},
            {"timestamp_ms": 1},
            {"height": header.height + 1},
            {"flags": header.flags ^ FLAG_HEARTBEAT},
            {"flags": header.flags | 1},
            {"next_epoch_digest": Digest(bytes([1]) * 32)},
            {"view": header.view - 1},
        ]
        number %= len(wrong) + 3
        if number < len(wrong):
            return propose(node, proposal, Block(dataclasses.replace(header, **wrong[number]), proposal.block.payload))  # type: ignore[arg-type] # fields by name
        if number == len(wrong):
            return dataclasses.replace(proposal, nullifications=())
        if number == len(wrong) + 1:
            return dataclasses.replace(proposal, executed_certificate=None)
        return dataclasses.replace(proposal, parent_certificate=None)


class LyingServer(Actor):
    """Serves forged chains, and tells a node that has lost its memory that it never said anything."""

    def outgoing(self, node: "SimNode", member: MemberId, message: Message) -> Iterable[Message]:
        chance = node.world.random
        match message:
            case ChainData(first, blocks, certificate) if blocks:
                header = dataclasses.replace(blocks[0].header, timestamp_ms=1)
                forged = (Block(header, blocks[0].payload), *blocks[1:])
                return (
                    chance.choice(
                        (
                            ChainData(first, forged, certificate),
                            ChainData(first, blocks, None),
                            ChainData(first, blocks[:-1], certificate),
                            ChainData(first, (), None),
                        )
                    ),
                )
            case RejoinAnswer():
                told = chance.choice((message.tips, ()))
                return (dataclasses.replace(message, certificate=None, vote=None, tips=told),)
            case _:
                return (message,)


class ForkingLeader(Actor):
    """Builds upon an ancestor of the block that it should extend, which no nullification allows.

    In every other view it shows the ancestor's certificate, else that of the block which it should extend.
    """

    def __init__(self) -> None:
        self.notarized: dict[Digest, Certificate] = {}

    def incoming(self, node: "SimNode", member: MemberId, message: Message) -> Message | None:
        if isinstance(message, Certificate) and message.subject.kind != VoteKind.NULLIFY:
            self.notarized[message.subject.digest] = message
        return message

    def outgoing(self, node: "SimNode", member: MemberId, message: Message) -> Iterable[Message]:
        if isinstance(message, Certificate) and message.subject.kind != VoteKind.NULLIFY:
            self.notarized[message.subject.digest] = message
        if not isinstance(message, Proposal) or not is_own(node, message):
            return (message,)
        fork = self.fork(node, message)
        return (message,) if fork is None else (fork,)

    def fork(self, node: "SimNode", proposal: Proposal) -> Proposal | None:
        """Return a proposal of an empty block upon the parent's parent, or None if that cannot be shown."""
        above = node.disk.blocks.get(proposal.block.header.parent_digest)
        if above is None:
            return None
        digest = above.header.parent_digest
        certificate = self.notarized.get(digest)
        below = node.disk.blocks.get(digest)
        if certificate is None or below is None:
            return None
        header, payload = proposal.block.header, encode_cut(())
        frontier = Frontier().append(node.world.genesis.network_id)
        for final, _ in node.disk.finals[: below.header.height - 1]:
            frontier = frontier.append(final.digest)
        forked = Header(
            network_id=header.network_id,
            epoch=header.epoch,
            height=Height(below.header.height + 1),
            view=header.view,
            proposer=header.proposer,
            parent_digest=digest,
            timestamp_ms=header.timestamp_ms,
            cut_digest=payload_digest(payload),
            batch_root=merkle_root([]),
            history_root=frontier.append(digest).root(),
            batch_count=0,
            transaction_count=0,
            executed_height=below.header.executed_height,
            state_digest=below.header.state_digest,
            flags=FLAG_HEARTBEAT,
            next_epoch_digest=header.next_epoch_digest,
        )
        if proposal.view % 2:
            return propose(node, proposal, Block(forked, payload), executed_certificate=None)
        view = certificate.subject.view
        return propose(
            node,
            proposal,
            Block(forked, payload),
            parent_view=view,
            parent_certificate=certificate,
            nullifications=(),
            executed_certificate=None,
        )
