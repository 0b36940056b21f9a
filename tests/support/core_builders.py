"""Test objects of consensus: votes, certificates, blocks and proposals with fake signatures, and one core to drive."""

import dataclasses
import hashlib
from typing import TypeVar

from consensus.core import Core
from consensus.effects import Broadcast, Effect, Send
from consensus.elector import epoch_shift, leader_of
from consensus.inputs import Input, MessageReceived, Started
from consensus.messages import (
    Block,
    Certificate,
    CoreMessage,
    Header,
    Proposal,
    Subject,
    Vote,
    VoteKind,
    payload_digest,
)
from consensus.quorum import quorum_size
from consensus.recovery import Recovered, Setup
from consensus.scheme import vote_signing_bytes
from consensus.timing import Timing
from consensus.types import ZERO_DIGEST, Digest, Epoch, Height, ValidatorIndex, View
from tests.support.fake_keys import FakeSigner, FakeVerifier, fake_signature

NETWORK_ID = Digest(hashlib.sha256(b"a network in unit tests").digest())
EPOCH = Epoch(0)
WALL_MS = 1_700_000_000_000
NOTARIZE, NULLIFY, FINALIZE = VoteKind.NOTARIZE, VoteKind.NULLIFY, VoteKind.FINALIZE

E = TypeVar("E")


def build_digest(name: str) -> Digest:
    """Return a digest that stands for `name`."""
    return Digest(hashlib.sha256(name.encode()).digest())


def build_block(
    view: int,
    *,
    parent: Block | None = None,
    validator_count: int = 4,
    payload: bytes = b"",
    executed_height: int = 0,
    state_digest: Digest = ZERO_DIGEST,
    timestamp_ms: int | None = None,
) -> Block:
    """Return a block of `view` on `parent`, or on the anchor."""
    above = ANCHOR if parent is None else parent
    return Block(
        Header(
            network_id=NETWORK_ID,
            epoch=EPOCH,
            height=Height(above.header.height + 1),
            view=View(view),
            proposer=build_leader(view, validator_count),
            parent_digest=NETWORK_ID if parent is None else parent.header.digest(),
            timestamp_ms=above.header.timestamp_ms + 1 if timestamp_ms is None else timestamp_ms,
            cut_digest=payload_digest(payload),
            batch_root=ZERO_DIGEST,
            history_root=ZERO_DIGEST,
            batch_count=0,
            transaction_count=0,
            executed_height=Height(executed_height),
            state_digest=state_digest,
            flags=0,
            next_epoch_digest=ZERO_DIGEST,
        ),
        payload,
    )


ANCHOR = Block(
    Header(
        network_id=NETWORK_ID,
        epoch=EPOCH,
        height=Height(0),
        view=View(0),
        proposer=ValidatorIndex(0),
        parent_digest=ZERO_DIGEST,
        timestamp_ms=WALL_MS - 1_000_000,
        cut_digest=payload_digest(b""),
        batch_root=ZERO_DIGEST,
        history_root=ZERO_DIGEST,
        batch_count=0,
        transaction_count=0,
        executed_height=Height(0),
        state_digest=ZERO_DIGEST,
        flags=0,
        next_epoch_digest=ZERO_DIGEST,
    ),
    b"",
)


def build_setup(own_index: int | None = 0, validator_count: int = 4) -> Setup:
    """Return an epoch and our place in it."""
    own = None if own_index is None else ValidatorIndex(own_index)
    return Setup(NETWORK_ID, EPOCH, validator_count, own, ANCHOR, NETWORK_ID)


def build_leader(view: int, validator_count: int = 4) -> ValidatorIndex:
    """Return who leads `view`."""
    return leader_of(View(view), validator_count=validator_count, shift=epoch_shift(NETWORK_ID))


def build_subject(
    kind: VoteKind, view: int, digest: Digest = ZERO_DIGEST, *, parent_view: int = 0, epoch: int = 0
) -> Subject:
    """Return what a vote is about."""
    return Subject(kind, Epoch(epoch), View(view), View(parent_view), digest)


def sign(subject: Subject, signer: int) -> Vote:
    """Return the vote of `signer` on `subject`."""
    signature = fake_signature(signer, vote_signing_bytes(NETWORK_ID, subject))
    return Vote(subject, ValidatorIndex(signer), signature)


def certify(subject: Subject, *signers: int, validator_count: int = 4) -> Certificate:
    """Return a certificate by these signers, or by the first of a quorum."""
    chosen = signers or tuple(range(quorum_size(validator_count)))
    votes = [sign(subject, signer) for signer in chosen]
    return Certificate(subject, tuple((vote.signer, vote.signature) for vote in votes))


def notarization(
    block: Block,
    *signers: int,
    parent_view: int | None = None,
    view: int | None = None,
    validator_count: int = 4,
) -> Certificate:
    """Return NC of the block's view, or of a later one; the parent stood in the view before unless said otherwise."""
    number = block.header.view if view is None else view
    below = number - 1 if parent_view is None else parent_view
    subject = build_subject(NOTARIZE, number, block.header.digest(), parent_view=below)
    return certify(subject, *signers, validator_count=validator_count)


def nullification(view: int, *signers: int) -> Certificate:
    """Return XC of the view."""
    return certify(build_subject(NULLIFY, view), *signers)


def finalization(block: Block, *signers: int, view: int | None = None) -> Certificate:
    """Return FC of the block's view, or of a later one in which it was proposed once more."""
    number = block.header.view if view is None else view
    return certify(build_subject(FINALIZE, number, block.header.digest()), *signers)


def build_proposal(
    block: Block,
    *,
    parent: Certificate | None = None,
    nullifications: tuple[Certificate, ...] = (),
    executed: Certificate | None = None,
    view: int | None = None,
) -> Proposal:
    """Return the leader's proposal of `block` on what `parent` certifies, or on the anchor.

    view: later than the block's own for the last block of an epoch, proposed once more.
    """
    number = block.header.view if view is None else view
    leader = block.header.proposer if view is None else build_leader(view)
    parent_view = View(0) if parent is None else parent.subject.view
    vote = sign(build_subject(NOTARIZE, number, block.header.digest(), parent_view=parent_view), leader)
    return Proposal(View(number), block, parent_view, parent, nullifications, executed, vote)


def change_header(block: Block, **changes: object) -> Block:
    """Return the block with other header fields."""
    return Block(dataclasses.replace(block.header, **changes), block.payload)  # type: ignore[arg-type] # any field


class CoreHarness:
    """One core and all that it asked for. Time stands still unless moved."""

    def __init__(
        self,
        own_index: int | None = 0,
        *,
        validator_count: int = 4,
        timing: Timing | None = None,
        recovered: Recovered | None = None,
        is_started: bool = True,
    ) -> None:
        self.verifier = FakeVerifier()
        self.now_ms = 1_000
        self.core = Core(
            build_setup(own_index, validator_count),
            timing or Timing(),
            recovered or Recovered(),
            signer=None if own_index is None else FakeSigner(ValidatorIndex(own_index)),
            verifier=self.verifier,
            wall_offset_ms=WALL_MS,
        )
        self.log: list[Effect] = []
        self.last: tuple[Effect, ...] = ()
        if is_started:
            self.feed(Started())

    def feed(self, *inputs: Input) -> tuple[Effect, ...]:
        """Give inputs one after the other; return the effects of all."""
        effects: list[Effect] = []
        for incoming in inputs:
            effects += self.core.step(incoming, self.now_ms)
        self.last = tuple(effects)
        self.log += effects
        return self.last

    def receive(self, peer: int | None, *messages: CoreMessage) -> tuple[Effect, ...]:
        """Let messages of one peer arrive."""
        sender = None if peer is None else ValidatorIndex(peer)
        return self.feed(*(MessageReceived(sender, message) for message in messages))

    def votes(self, kind: VoteKind | None = None) -> list[Vote]:
        """Return the own votes that were broadcast, those inside proposals too."""
        sent = [effect.message for effect in self.log if isinstance(effect, Broadcast)]
        votes = [message for message in sent if isinstance(message, Vote)]
        votes += [message.leader_vote for message in sent if isinstance(message, Proposal)]
        return [vote for vote in votes if kind is None or vote.subject.kind == kind]

    def sent_to(self, peer: int) -> list[CoreMessage]:
        """Return what the last inputs made it send to one peer."""
        return [effect.message for effect in self.last if isinstance(effect, Send) and effect.peer == peer]

    def of(self, kind: type[E]) -> list[E]:
        """Return the effects of that kind that the last inputs led to."""
        return [effect for effect in self.last if isinstance(effect, kind)]
