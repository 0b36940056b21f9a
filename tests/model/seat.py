"""One honest validator: every state its core can be in, found by running the real `Core`, each step once.

A state is a pickled core with its disk and with what it has ever said, over all its lives. The same step in the same
state is looked up the second time: the exploration of whole networks then handles numbers only.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final

from consensus.core import Core
from consensus.effects import (
    Broadcast,
    Effect,
    Finalized,
    Halt,
    Persist,
    ReportEvidence,
    ReportFault,
    RequestBuild,
    RequestJudgement,
    Send,
    StoreBlock,
)
from consensus.errors import InvariantError
from consensus.inputs import (
    BodyAvailable,
    Built,
    Input,
    Judged,
    MessageReceived,
    Started,
    TimerFired,
    TimerId,
)
from consensus.messages import Block, Certificate, Proposal, Subject, Vote, VoteKind
from consensus.recovery import Recovered
from consensus.timing import Timing
from consensus.types import Digest, Height, ValidatorIndex, View
from tests.model.fingerprint import Registry, forget_hearsay
from tests.model.universe import LIAR, QUORUM, Universe
from tests.support.fake_keys import FakeSigner, FakeVerifier

TIMING: Final = Timing(block_ms=0)
WALL_OFFSET_MS: Final = 2**41


class ViolationError(Exception):
    """An honest validator did what none may do."""


@dataclass(frozen=True, slots=True)
class HearCertificate:
    """A good certificate arrives."""

    subject: int


@dataclass(frozen=True, slots=True)
class HearVotes:
    """The liar's vote on a subject arrives, and those of so many honest others, each of them twice."""

    subject: int
    signers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class HearLie:
    """A certificate that is none arrives: too few signers, one signer repeated, signatures made up."""

    subject: int
    signers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class HearForeign:
    """Certificates of the epoch before arrive."""


@dataclass(frozen=True, slots=True)
class HearProposal:
    """A proposal arrives from its leader, and its block is judged at once."""

    proposal: int


@dataclass(frozen=True, slots=True)
class FetchBlock:
    """A block that the core has asked for arrives."""

    digest: Digest


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Patience with the current view ends."""


@dataclass(frozen=True, slots=True)
class WantBlock:
    """The leader of the current view is to propose, data or not."""


@dataclass(frozen=True, slots=True)
class Restart:
    """The node dies and starts again from its disk. keeps_all: also what no sync of a vote had covered yet."""

    keeps_all: bool


Action = HearCertificate | HearVotes | HearLie | HearForeign | HearProposal | FetchBlock | GiveUp | WantBlock | Restart


@dataclass(frozen=True, slots=True)
class Disk:
    """What a crash leaves. records: the vote log; synced: how many of them every later crash leaves, too."""

    records: tuple[Vote | Certificate, ...] = ()
    synced: int = 0
    blocks: tuple[Block, ...] = ()
    chain: tuple[Block, ...] = ()
    final_certificate: Certificate | None = None

    def key(self) -> Hashable:
        """Return what makes two disks equal for whoever starts from them."""
        return (
            frozenset(record.subject for record in self.records[: self.synced]),
            frozenset(record.subject for record in self.records[self.synced :]),
            frozenset(block.header.digest() for block in self.blocks),
        )

    def recovered(self, *, keeps_all: bool) -> Recovered:
        """Return what the next life begins with."""
        records = self.records if keeps_all else self.records[: self.synced]
        height = self.chain[-1].header.height if self.chain else 0
        return Recovered(
            votes=tuple(record for record in records if isinstance(record, Vote)),
            certificates=tuple(record for record in records if isinstance(record, Certificate)),
            final_block=self.chain[-1] if self.chain else None,
            final_certificate=self.final_certificate,
            blocks=tuple(block for block in self.blocks if block.header.height > height),
            executed=((Height(1), self.blocks[0].header.state_digest),) if self.blocks else (),
        )


@dataclass(frozen=True, slots=True)
class State:
    """One state. said: subjects voted for, as bits, ever; proposed: proposals made, as bits. wanted: bodies asked for.

    held: subjects of certificates that the core has or is beyond, as bits. halted: why the core stopped for good.
    """

    core: bytes
    disk: Disk
    view: int
    said: int
    proposed: int
    wanted: tuple[Digest, ...]
    held: int
    halted: str | None


class Seat:
    """All states of validator `index`, by number; 0 is its first."""

    def __init__(self, universe: Universe, index: int, *, with_restarts: bool) -> None:
        self.universe = universe
        self.index = index
        self.registry = Registry()
        self.with_restarts = with_restarts
        self.states: list[State] = []
        self._numbers: dict[Hashable, int] = {}
        self._steps: dict[tuple[int, Action], int] = {}
        self.start = self._begin(Disk(), Recovered(), said=0, proposed=0)

    @property
    def steps(self) -> int:
        """How many different steps the core was run through."""
        return len(self._steps)

    def step(self, number: int, action: Action) -> int:
        """Return the state after `action` in state `number`. Raises ViolationError."""
        after = self._steps.get((number, action))
        if after is None:
            after = self._steps[number, action] = self._run(self.states[number], action)
        return after

    def own_actions(self, number: int) -> tuple[Action, ...]:
        """Return what may happen in a state whatever the others have said."""
        state = self.states[number]
        found: list[Action] = [FetchBlock(digest) for digest in state.wanted]
        if state.view <= self.universe.views:
            found.append(GiveUp())
            if self.universe.leader_of(state.view) == self.index:
                found.append(WantBlock())
        if self.with_restarts:
            found.append(Restart(keeps_all=True))
            if state.disk.synced < len(state.disk.records):
                found.append(Restart(keeps_all=False))
        return tuple(found)

    def _run(self, before: State, action: Action) -> int:
        if isinstance(action, Restart):
            recovered = before.disk.recovered(keeps_all=action.keeps_all)
            records: tuple[Vote | Certificate, ...] = (*recovered.votes, *recovered.certificates)
            disk = Disk(records, len(records), before.disk.blocks, before.disk.chain, before.disk.final_certificate)
            return self._begin(disk, recovered, said=before.said, proposed=before.proposed)
        core = self.registry.load(before.core)
        life = _Life(self.universe, self.index, core, before.disk, before.said, before.proposed)
        for incoming in self._inputs_of(action, before):
            life.feed(incoming)
        return self._intern(life)

    def _begin(self, disk: Disk, recovered: Recovered, *, said: int, proposed: int) -> int:
        core = Core(
            self.universe.setup_of(self.index),
            TIMING,
            recovered,
            signer=FakeSigner(ValidatorIndex(self.index)),
            verifier=FakeVerifier(),
            wall_offset_ms=WALL_OFFSET_MS,
        )
        life = _Life(self.universe, self.index, core, disk, said, proposed)
        life.feed(Started())
        return self._intern(life)

    def _intern(self, life: "_Life") -> int:
        forget_hearsay(life.core)
        key: Hashable = (self.registry.fingerprint(life.core), life.said, life.proposed, life.halted)
        if self.with_restarts:
            key = (key, life.disk.key())
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self.states)
            self.states.append(life.state(self.registry.dump(life.core)))
        return number

    def _inputs_of(self, action: Action, before: State) -> list[Input]:
        universe = self.universe
        match action:
            case HearCertificate(subject):
                certificate = universe.certificate(subject, to=self.index, said=before.said)
                return [MessageReceived(LIAR, certificate)]
            case HearVotes(subject, signers):
                votes = [universe.sign(signer, universe.subjects[subject]) for signer in signers]
                return [MessageReceived(vote.signer, vote) for vote in votes for _ in range(2)]
            case HearLie(subject, signers):
                return [MessageReceived(LIAR, lie) for lie in universe.false_certificates(subject, signers)]
            case HearForeign():
                return [MessageReceived(LIAR, certificate) for certificate in universe.foreign_certificates()]
            case HearProposal(number):
                proposal = universe.heard(universe.proposals[number], to=self.index, said=before.said)
                return [MessageReceived(proposal.leader_vote.signer, proposal)]
            case FetchBlock(digest):
                return [BodyAvailable(universe.blocks[digest])]
            case GiveUp():
                return [TimerFired(TimerId.ADVANCE, View(before.view))]
            case WantBlock():
                return [TimerFired(TimerId.HEART, View(before.view))]
            case _:
                raise AssertionError(action)


class _Life:
    """A core at work for one step, with what it writes and says."""

    def __init__(
        self,
        universe: Universe,
        index: int,
        core: Core,
        disk: Disk,
        said: int,
        proposed: int,
    ) -> None:
        self.universe = universe
        self.index = index
        self.core = core
        self.records = list(disk.records)
        self.synced = disk.synced
        self.blocks = {block.header.digest(): block for block in disk.blocks}
        self.chain = list(disk.chain)
        self.final_certificate = disk.final_certificate
        self.said = said
        self.proposed = proposed
        self.halted: str | None = None

    @property
    def disk(self) -> Disk:
        return Disk(
            tuple(self.records), self.synced, tuple(self.blocks.values()), tuple(self.chain), self.final_certificate
        )

    def state(self, dumped: bytes) -> State:
        return State(
            core=dumped,
            disk=self.disk,
            view=self.core.view,
            said=self.said,
            proposed=self.proposed,
            wanted=tuple(self.core._fetches.open_digests),
            held=self._held(),
            halted=self.halted,
        )

    def _held(self) -> int:
        final_view = self.core.final_view
        return sum(
            1 << number
            for number, subject in enumerate(self.universe.subjects)
            if subject.view <= final_view or self._holds(subject)
        )

    def _holds(self, subject: Subject) -> bool:
        found = self.core._views.certificate(subject.kind, subject.view)
        return found is not None and found.subject == subject

    def feed(self, incoming: Input) -> None:
        try:
            effects = self.core.step(incoming, 0)
        except (AssertionError, InvariantError, LookupError) as error:
            raise ViolationError(f"validator {self.index} fails: {error!r}") from error
        for effect in effects:
            self.carry_out(effect)

    def carry_out(self, effect: Effect) -> None:
        """Do as the driver of a node does. I-13: nobody honest is blamed or accused."""
        match effect:
            case Persist(record):
                self.records.append(record)
                if isinstance(record, Vote):
                    # The sync that an own vote waits for covers all that was appended before it.
                    self.synced = len(self.records)
            case StoreBlock(block):
                self.blocks[block.header.digest()] = block
            case Broadcast(Vote() as vote) | Send(_, Vote() as vote):
                self.say(vote)
            case Broadcast(Proposal() as proposal) | Send(_, Proposal() as proposal):
                self.proposed |= 1 << self.universe.proposal_id(proposal)
                self.say(proposal.leader_vote)
            case RequestBuild(view, parent, parent_digest, _):
                block = self.universe.build_honest(
                    view=view, parent=parent, parent_digest=parent_digest, proposer=self.index
                )
                self.feed(Built(view, parent_digest, block))
            case RequestJudgement(proposal, _):
                self.feed(Judged(proposal.leader_vote.subject.digest, ok=True))
            case Finalized():
                self.take_final(effect)
            case ReportEvidence(first, _) if first.signer != LIAR:
                raise ViolationError(f"validator {self.index} accuses an honest one: {effect}")
            case ReportFault(peer, why, _) if peer is not None and peer != LIAR:
                raise ViolationError(f"validator {self.index} finds fault with an honest one: {why}")
            case Halt(why):
                self.halted = why
            case _:
                pass

    def say(self, vote: Vote) -> None:
        """I-11: what is shown stands on the disk, and so does the block that it is about."""
        if vote.signer != self.index or vote not in self.records:
            raise ViolationError(f"validator {self.index} shows a vote that is not on its disk: {vote.subject}")
        subject = vote.subject
        if subject.kind != VoteKind.NULLIFY and subject.digest not in self.blocks:
            raise ViolationError(f"validator {self.index} votes for a block that is not on its disk: {subject}")
        self.said |= 1 << self.universe.subject_id(subject)

    def take_final(self, final: Finalized) -> None:
        for block in final.blocks:
            last = self.chain[-1].header.digest() if self.chain else self.universe.anchor_digest
            if block.header.parent_digest != last:
                raise ViolationError(f"validator {self.index} hands out a block that does not follow the last one")
            self.chain.append(block)
        subject = final.certificate.subject
        signers = {signer for signer, _ in final.certificate.signatures}
        if subject.kind != VoteKind.FINALIZE or subject.digest != final.blocks[-1].header.digest():
            raise ViolationError(f"validator {self.index} hands out what its certificate does not finalize")
        if len(signers) < QUORUM:
            raise ViolationError(f"validator {self.index} takes {len(signers)} validators for a quorum")
        self.final_certificate = final.certificate
