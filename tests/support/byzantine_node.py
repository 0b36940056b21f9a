"""A node that misbehaves, as a process: `python -m tests.support.byzantine_node KIND[,KIND…] start --home H`.

It is the real node, wired as always, but for its sessions: what its replica says is changed on the way out. So its
key, its feed and its place in the schedule are real, and nothing in the product knows of it.
"""

import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cached_property
from typing import Final, Protocol

import node.app.run
from consensus.messages import Proposal, Subject, Vote, VoteKind
from consensus.scheme import vote_signing_bytes
from consensus.types import ZERO_DIGEST, Digest, View
from node.cli import main
from node.crypto.digests import sha256
from node.crypto.keys import SigningKey
from node.ledger.batch import decode_batch, seal_batch
from node.p2p.network import Network
from node.wire.ids import MemberId
from node.wire.messages import BatchData, BlockData, ChainData, decode, encode

REMEMBERED_FRAMES: Final = 500
FAR_VIEWS: Final = 1_000_000


class Actor(Protocol):
    """One way to misbehave. side: 0 or 1, by the member that is spoken to, so that two halves hear two stories."""

    def alter(self, frame: bytes, side: int) -> Iterator[bytes]:
        """Yield what is sent instead of `frame`."""
        ...


class Equivocator:
    """Leads and votes twice: a rival of each proposal, of each vote; some of the peers hear both."""

    def __init__(self, key: SigningKey, network_id: Digest, chance: random.Random) -> None:
        self._key = key
        self._network_id = network_id
        self._chance = chance
        self._rivals: dict[Digest, Digest] = {}

    def alter(self, frame: bytes, side: int) -> Iterator[bytes]:
        """Side 0 hears the truth, side 1 the rival; one time in four both do."""
        match decode(frame):
            case Proposal() as proposal:
                rival = encode(self._rival_proposal(proposal))
            case Vote() as vote:
                rival = encode(self._rival_vote(vote))
            case _:
                yield frame
                return
        if side == 0:
            yield frame
        else:
            yield rival
        if self._chance.random() < 0.25:
            yield rival if side == 0 else frame

    def _rival_proposal(self, proposal: Proposal) -> Proposal:
        header = replace(proposal.block.header, timestamp_ms=proposal.block.header.timestamp_ms + 1)
        digest = header.digest()
        self._rivals[proposal.block.header.digest()] = digest
        subject = replace(proposal.leader_vote.subject, digest=digest)
        return replace(
            proposal,
            block=replace(proposal.block, header=header),
            leader_vote=self._vote(subject, proposal.leader_vote),
        )

    def _rival_vote(self, vote: Vote) -> Vote:
        subject = vote.subject
        if subject.kind is VoteKind.NULLIFY:
            # Both never mean anything together: who finalizes has not given the view up.
            kind, digest = VoteKind.FINALIZE, sha256(subject.view.to_bytes(8, "big"))
        else:
            kind, digest = subject.kind, self._rivals.get(subject.digest, sha256(subject.digest))
        return self._vote(replace(subject, kind=kind, digest=digest), vote)

    def _vote(self, subject: Subject, like: Vote) -> Vote:
        return Vote(subject, like.signer, self._key.sign(vote_signing_bytes(self._network_id, subject)))


class Forker:
    """Puts two batches at each place of its feed, each branch properly linked."""

    def __init__(self, key: SigningKey, network_id: Digest, chance: random.Random) -> None:
        self._key = key
        self._network_id = network_id
        self._previous: dict[int, Digest] = {}
        self._made: dict[int, bytes] = {}

    def alter(self, frame: bytes, side: int) -> Iterator[bytes]:
        """Side 0 gets the batch, side 1 one with the same transactions at another time."""
        message = decode(frame)
        if side == 0 or not isinstance(message, BatchData):
            yield frame
            return
        batch = decode_batch(message.batch, self._network_id)
        seq = batch.header.seq
        if seq not in self._made:
            rival = seal_batch(
                network_id=self._network_id,
                feed=batch.header.feed,
                seq=seq,
                previous=self._previous.get(seq - 1, batch.header.previous),
                time_ms=batch.header.time_ms + 1,
                transactions=batch.transactions,
                key=self._key,
            )
            self._previous[seq] = rival.digest
            self._made[seq] = encode(BatchData(rival.encoded))
        yield self._made[seq]


class Withholder:
    """Shows what it has to half of the peers, and answers nobody who asks for it."""

    def __init__(self, key: SigningKey, network_id: Digest, chance: random.Random) -> None:
        self._chance = chance

    def alter(self, frame: bytes, side: int) -> Iterator[bytes]:
        """Data does not reach side 1."""
        if side == 0 or not isinstance(decode(frame), BatchData | BlockData | ChainData):
            yield frame


class Silent:
    """Holds its sessions and says nothing."""

    def __init__(self, key: SigningKey, network_id: Digest, chance: random.Random) -> None:
        pass

    def alter(self, frame: bytes, side: int) -> Iterator[bytes]:
        """Nothing at all."""
        return iter(())


class Garbage:
    """Sends frames that are cut short, have a byte changed, or are noise behind an honest head."""

    def __init__(self, key: SigningKey, network_id: Digest, chance: random.Random) -> None:
        self._chance = chance

    def alter(self, frame: bytes, side: int) -> Iterator[bytes]:
        """One frame in four is spoiled."""
        chance = self._chance
        if chance.random() >= 0.25:
            yield frame
            return
        spoiled = bytearray(frame)
        match chance.randrange(3):
            case 0:
                del spoiled[chance.randrange(3, len(spoiled)) :]
            case 1:
                spoiled[chance.randrange(3, len(spoiled))] ^= 1 << chance.randrange(8)
            case _:
                spoiled[3:] = chance.randbytes(chance.randrange(1, 4096))
        yield bytes(spoiled)


class Replayer:
    """Says everything again later, in any order."""

    def __init__(self, key: SigningKey, network_id: Digest, chance: random.Random) -> None:
        self._chance = chance
        self._said: list[bytes] = []

    def alter(self, frame: bytes, side: int) -> Iterator[bytes]:
        """The frame and up to three old ones."""
        yield frame
        self._said.append(frame)
        if len(self._said) > REMEMBERED_FRAMES:
            del self._said[self._chance.randrange(len(self._said))]
        for _ in range(self._chance.randrange(4)):
            yield self._chance.choice(self._said)


class Flooder:
    """Votes in views that nobody will see, each vote well signed."""

    def __init__(self, key: SigningKey, network_id: Digest, chance: random.Random) -> None:
        self._key = key
        self._network_id = network_id
        self._chance = chance

    def alter(self, frame: bytes, side: int) -> Iterator[bytes]:
        """Each own vote with some for far views."""
        yield frame
        message = decode(frame)
        if not isinstance(message, Vote):
            return
        for _ in range(5):
            view = View(message.subject.view + self._chance.randrange(1, FAR_VIEWS))
            subject = Subject(VoteKind.NULLIFY, message.subject.epoch, view, View(0), ZERO_DIGEST)
            signature = self._key.sign(vote_signing_bytes(self._network_id, subject))
            yield encode(Vote(subject, message.signer, signature))


Build = Callable[[SigningKey, Digest, random.Random], Actor]
KINDS: Final[dict[str, Build]] = {
    "equivocator": Equivocator,
    "forker": Forker,
    "withholder": Withholder,
    "silent": Silent,
    "garbage": Garbage,
    "replayer": Replayer,
    "flooder": Flooder,
}


class ByzantineNetwork(Network):
    """The sessions of a node, between which and its replica the actors stand."""

    kinds: tuple[str, ...] = ()

    @cached_property
    def actors(self) -> list[Actor]:
        """What stands in the way, in order."""
        chance = random.Random(self._settings.member)
        return [KINDS[kind](self._key, self._settings.network_id, chance) for kind in self.kinds]

    def send(self, member: MemberId, frame: bytes) -> bool:
        """Send what the actors make of the frame."""
        members = sorted(self._peers)
        side = members.index(member) % 2 if member in self._peers else 0
        frames = [frame]
        for actor in self.actors:
            # Who decodes cannot take what another one has spoiled: Garbage stands last.
            frames = [altered for each in frames for altered in actor.alter(each, side)]
        sent = [Network.send(self, member, each) for each in frames]
        return all(sent)

    def broadcast(self, frame: bytes) -> int:
        """Send to each peer what the actors make of the frame for it."""
        return sum(self.send(status.member, frame) for status in self.peers() if status.is_connected)


def run(words: list[str]) -> None:
    """Run the command line with a node that misbehaves. words: the kinds, then the command line's own."""
    ByzantineNetwork.kinds = tuple(words[0].split(","))
    assert all(kind in KINDS for kind in ByzantineNetwork.kinds), words[0]
    # The one seam: which class makes the sessions of a node's life.
    assert vars(node.app.run)["Network"] is Network
    vars(node.app.run)["Network"] = ByzantineNetwork
    sys.argv = ["lotvine", *words[1:]]
    main()


if __name__ == "__main__":
    run(sys.argv[1:])
