"""How membership and parameters change: proposed, approved, queued, and enacted at an epoch boundary. Pure.

A proposal is open until more than two thirds of the validators have approved it; then its changes are queued. What is
queued is due: the next block whose executed height sees it there must be the last of its epoch and name the roster
of the next (`GovernanceState.due`). Executing that block enacts what was queued *at the height it names as executed*,
neither more nor less; what was queued between the two waits for the next boundary, which follows at once.

The queue is first come, first served. A proposal is judged against the roster that all before it in the queue leave,
so what is queued can always be enacted; only the bound on validators that come or go at one boundary makes it wait.

Source: Castro and Liskov (OSDI 1999) for the quorum; reconfiguration at a decided block as in Lamport, Malkhi and
Zhou, "Reconfiguring a State Machine" (SIGACT News 2010), with the old set deciding the last block of its epoch.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from consensus.errors import invariant
from consensus.types import ZERO_DIGEST, Digest, Epoch, Height
from node.crypto.digests import GOVERNANCE_DOMAIN, sha256
from node.ledger.changes import (
    Change,
    apply_changes,
    change_fields,
    changed_validators,
    changes_allowed,
    read_changes,
)
from node.ledger.genesis import Genesis
from node.ledger.roster import VALIDATORS_MAX, EpochRecord, Roster, read_line, read_roster
from node.ledger.verdicts import TransactionCode
from node.wire.codec import MalformedError, Packable, pack, read_array, read_digest, read_int, unpack
from node.wire.ids import FeedId, MemberId, read_member_id

GOVERNANCE_VERSION: Final = 1
PROPOSAL_BYTES_MAX: Final = 64 * 1024
NOTE_LENGTH_MAX: Final = 500
PROPOSALS_MAX: Final = 64
"""Open ones, and as many again in the queue."""
OTHERS_PROPOSALS_MAX: Final = 16
"""Open ones of all members that do not vote, so that they leave room for those that do; one each."""
PROPOSAL_LIFE_MS: Final = 30 * 86_400_000
"""By the time of blocks."""

HasFinalBatch = Callable[[FeedId], bool]


@dataclass(frozen=True, slots=True)
class Request:
    """The payload of Kind.PROPOSE. changes: 1 … 16. note: for people, at most 500 characters."""

    changes: tuple[Change, ...]
    note: str

    def encode(self) -> bytes:
        """Return the one encoding."""
        return pack((tuple(change_fields(change) for change in self.changes), self.note))


def decode_request(payload: bytes) -> Request:
    """Return the payload of Kind.PROPOSE. Raises MalformedError, and nothing else."""
    if len(payload) > PROPOSAL_BYTES_MAX:
        raise MalformedError(f"proposal: {len(payload)} bytes, more than {PROPOSAL_BYTES_MAX}")
    changes, note = read_array(unpack(payload, what="proposal"), "proposal", length=2)
    return Request(read_changes(changes, "proposal.changes"), read_line(note, "proposal.note", highest=NOTE_LENGTH_MAX))


def encode_reference(proposal_id: Digest) -> bytes:
    """Return the payload of Kind.APPROVE and Kind.WITHDRAW."""
    return pack((proposal_id,))


def decode_reference(payload: bytes) -> Digest:
    """Return the proposal that a payload names. Raises MalformedError, and nothing else."""
    return read_digest(read_array(unpack(payload, what="reference"), "reference", length=1)[0], "reference.proposal")


@dataclass(frozen=True, slots=True)
class Proposal:
    """An open proposal. id: of its transaction. proposed_ms: time of its block. approvals: validators, by id."""

    id: Digest
    proposer: MemberId
    proposed_ms: int
    note: str
    changes: tuple[Change, ...]
    approvals: tuple[MemberId, ...]

    def to_fields(self) -> Packable:
        """Return the array that stands in the state of governance."""
        return (
            self.id,
            self.proposer,
            self.proposed_ms,
            self.note,
            tuple(change_fields(change) for change in self.changes),
            self.approvals,
        )


def _read_proposal(value: object) -> Proposal:
    id_field, proposer, proposed_ms, note, changes, approvals = read_array(value, "proposal", length=6)
    return Proposal(
        id=read_digest(id_field, "proposal.id"),
        proposer=read_member_id(proposer, "proposal.proposer"),
        proposed_ms=read_int(proposed_ms, "proposal.proposed_ms"),
        note=read_line(note, "proposal.note", highest=NOTE_LENGTH_MAX),
        changes=read_changes(changes, "proposal.changes"),
        approvals=tuple(
            read_member_id(member, "proposal.approval")
            for member in read_array(approvals, "proposal.approvals", length_max=VALIDATORS_MAX)
        ),
    )


@dataclass(frozen=True, slots=True)
class Queued:
    """A proposal that was approved by the block at approved_height and waits to take effect."""

    id: Digest
    changes: tuple[Change, ...]
    approved_height: Height

    def to_fields(self) -> Packable:
        """Return the array that stands in the state of governance."""
        return (self.id, tuple(change_fields(change) for change in self.changes), self.approved_height)


def _read_queued(value: object) -> Queued:
    id_field, changes, height = read_array(value, "queued", length=3)
    return Queued(
        read_digest(id_field, "queued.id"),
        read_changes(changes, "queued.changes"),
        Height(read_int(height, "queued.approved_height")),
    )


def _is_taken_as_synced(_: FeedId) -> bool:
    """Whether a validator-to-be has synced was judged when its proposal was queued, and is so for ever."""
    return True


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a queue comes to. steps: the roster after the first of it, the first two, …"""

    steps: tuple[Roster, ...]
    due: Roster | None
    due_digest: Digest


def _enact_in_order(network_id: Digest, roster: Roster, queue: tuple[Queued, ...]) -> tuple[Roster, ...]:
    steps = [roster]
    for queued in queue:
        changed = apply_changes(steps[-1], queued.changes, network_id, _is_taken_as_synced)
        # Safety: judged against this very roster when it was queued, and nothing before it in the queue is skipped.
        invariant(isinstance(changed, Roster), "what is queued can be enacted")
        assert isinstance(changed, Roster)
        steps.append(changed)
    return tuple(steps[1:])


def _next_roster(roster: Roster, steps: tuple[Roster, ...]) -> tuple[Roster | None, int]:
    """Return the roster of the next epoch, or None, and how many steps lead to it: as far as one boundary may go."""
    allowed = changes_allowed(len(roster.validators))
    reached = list(itertools.takewhile(lambda step: changed_validators(roster, step) <= allowed, steps))
    if not reached:
        return None, 0
    return Roster(Epoch(roster.epoch + 1), reached[-1].members, reached[-1].parameters), len(reached)


def _look_ahead(network_id: Digest, roster: Roster, steps: tuple[Roster, ...]) -> Outlook:
    due = _next_roster(roster, steps)[0]
    return Outlook(steps, due, ZERO_DIGEST if due is None else due.digest(network_id))


_UNKNOWN: Final = Outlook((), None, ZERO_DIGEST)


@dataclass(frozen=True, slots=True)
class GovernanceState:
    """All that governance has decided and has before it, after some block.

    roster: of the running epoch. anchor_height: of the block that the epoch starts from. proposals: open ones, oldest
    first. queue: approved ones, in the order in which they were. outlook: derived of roster and queue, and worked out
    where it is left out; a copy with another queue needs another one.
    """

    network_id: Digest
    roster: Roster
    anchor_height: Height
    proposals: tuple[Proposal, ...] = ()
    queue: tuple[Queued, ...] = ()
    outlook: Outlook = field(default=_UNKNOWN, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Work out what the queue comes to, unless that is known."""
        if self.outlook is _UNKNOWN:
            steps = _enact_in_order(self.network_id, self.roster, self.queue)
            object.__setattr__(self, "outlook", _look_ahead(self.network_id, self.roster, steps))

    @property
    def due(self) -> Roster | None:
        """The roster of the next epoch, or None if nothing is queued."""
        return self.outlook.due

    @property
    def due_digest(self) -> Digest:
        """What a block that names this state's height as executed must say of the next epoch; zero if none is due."""
        return self.outlook.due_digest

    @property
    def pending(self) -> Roster:
        """The roster that the whole queue will lead to, by its epoch still the present one."""
        return self.outlook.steps[-1] if self.outlook.steps else self.roster

    def due_of(self, queue: tuple[Queued, ...]) -> tuple[Roster | None, int]:
        """Return the next epoch's roster if only `queue` were queued, or None, and how many of it take effect.

        queue: a beginning of the whole queue.
        """
        return _next_roster(self.roster, self.outlook.steps[: len(queue)])

    def find_proposal(self, proposal_id: Digest) -> Proposal | None:
        """Return an open proposal, or None."""
        return next((proposal for proposal in self.proposals if proposal.id == proposal_id), None)

    def is_enough(self, approvals: int) -> bool:
        """Return whether so many validators carry a proposal: more than two thirds."""
        return approvals * 3 > 2 * len(self.roster.validators)

    def encode(self) -> bytes:
        """Return the one encoding."""
        return pack(
            (
                GOVERNANCE_VERSION,
                self.roster.to_fields(),
                self.anchor_height,
                tuple(proposal.to_fields() for proposal in self.proposals),
                tuple(queued.to_fields() for queued in self.queue),
            )
        )

    def digest(self) -> Digest:
        """Return what of it goes into the state digest where it changes."""
        return sha256(GOVERNANCE_DOMAIN, self.encode())


def decode_governance(encoded: bytes, network_id: Digest) -> GovernanceState:
    """Return the state in `encoded`, which this program has written. Raises MalformedError."""
    version, roster, anchor_height, proposals, queue = read_array(
        unpack(encoded, what="governance"), "governance", length=5
    )
    read_int(version, "governance.version", lowest=GOVERNANCE_VERSION, highest=GOVERNANCE_VERSION)
    return GovernanceState(
        network_id,
        read_roster(roster, "governance.roster"),
        Height(read_int(anchor_height, "governance.anchor_height")),
        tuple(_read_proposal(entry) for entry in read_array(proposals, "governance.proposals")),
        tuple(_read_queued(entry) for entry in read_array(queue, "governance.queue")),
    )


def genesis_governance(genesis: Genesis) -> GovernanceState:
    """Return the state before any block."""
    return GovernanceState(genesis.network_id, genesis.roster, genesis.anchor_height)


@dataclass(slots=True)
class Governing:
    """The state of governance while one block is executed: each method judges one transaction.

    height, time_ms: of the block. has_final_batch: whether a batch of a feed was executed, those of this block too.
    judged: how many proposals of a member this block has brought.
    """

    state: GovernanceState
    height: Height
    time_ms: int
    has_final_batch: HasFinalBatch
    judged: dict[MemberId, int] = field(default_factory=dict)

    def expire(self) -> None:
        """Close what has been open too long. Called at the beginning of each block."""
        state = self.state
        if any(self._is_old(proposal) for proposal in state.proposals):
            kept = tuple(proposal for proposal in state.proposals if not self._is_old(proposal))
            self.state = replace(state, proposals=kept)

    def _is_old(self, proposal: Proposal) -> bool:
        return proposal.proposed_ms + PROPOSAL_LIFE_MS < self.time_ms

    def propose(self, transaction_id: Digest, member: MemberId, request: Request) -> TransactionCode:
        """Open a proposal; a validator that proposes approves. Its first block may carry it already, where n is 1."""
        state = self.state
        proposer = state.roster.find(member)
        if proposer is None or not proposer.has_feed:
            return TransactionCode.NOT_ENTITLED
        # Judging copies the roster: who proposes again and again what is refused, or withdrawn, is soon stopped.
        judged = self.judged[member] = self.judged.get(member, 0) + 1
        if judged > self._share_of(member) or not self._has_room(member):
            return TransactionCode.TOO_MANY_PROPOSALS
        changed = self._apply(request.changes)
        if isinstance(changed, TransactionCode):
            return changed
        approvals = (member,) if member in state.roster.validators else ()
        proposal = Proposal(transaction_id, member, self.time_ms, request.note, request.changes, approvals)
        self.state = replace(state, proposals=(*state.proposals, proposal))
        self._decide(proposal)
        return TransactionCode.ACCEPTED

    def _share_of(self, member: MemberId) -> int:
        """Return how many open proposals a member may have, and how many a block may bring of it."""
        validators = self.state.roster.validators
        if member not in validators:
            return 1
        # Safety: faulty validators fill no more than their share, so that honest ones can always propose.
        return max(1, (PROPOSALS_MAX - OTHERS_PROPOSALS_MAX) // len(validators))

    def _has_room(self, member: MemberId) -> bool:
        state, validators = self.state, self.state.roster.validators
        if len(state.proposals) >= PROPOSALS_MAX or len(state.queue) >= PROPOSALS_MAX:
            return False
        if sum(proposal.proposer == member for proposal in state.proposals) >= self._share_of(member):
            return False
        others = sum(proposal.proposer not in validators for proposal in state.proposals)
        return member in validators or others < OTHERS_PROPOSALS_MAX

    def _apply(self, changes: tuple[Change, ...]) -> Roster | TransactionCode:
        return apply_changes(self.state.pending, changes, self.state.network_id, self.has_final_batch)

    def approve(self, member: MemberId, proposal_id: Digest) -> TransactionCode:
        """Count a validator's approval, once; queue the proposal if it is enough."""
        state = self.state
        if member not in state.roster.validators:
            return TransactionCode.NOT_ENTITLED
        proposal = state.find_proposal(proposal_id)
        if proposal is None:
            return TransactionCode.NO_SUCH_PROPOSAL
        if member in proposal.approvals:
            return TransactionCode.ALREADY_APPROVED
        if len(state.queue) >= PROPOSALS_MAX:
            return TransactionCode.TOO_MANY_PROPOSALS
        approved = replace(proposal, approvals=tuple(sorted((*proposal.approvals, member))))
        self._put(approved)
        return self._decide(approved)

    def withdraw(self, member: MemberId, proposal_id: Digest) -> TransactionCode:
        """Close the member's own proposal, or take back its approval of another's."""
        proposal = self.state.find_proposal(proposal_id)
        if proposal is None:
            return TransactionCode.NO_SUCH_PROPOSAL
        if member == proposal.proposer:
            self._close(proposal)
        elif member in proposal.approvals:
            self._put(replace(proposal, approvals=tuple(one for one in proposal.approvals if one != member)))
        else:
            return TransactionCode.NOTHING_TO_WITHDRAW
        return TransactionCode.ACCEPTED

    def _put(self, changed: Proposal) -> None:
        proposals = tuple(changed if proposal.id == changed.id else proposal for proposal in self.state.proposals)
        self.state = replace(self.state, proposals=proposals)

    def _close(self, closed: Proposal) -> None:
        kept = tuple(proposal for proposal in self.state.proposals if proposal.id != closed.id)
        self.state = replace(self.state, proposals=kept)

    def _decide(self, proposal: Proposal) -> TransactionCode:
        """Queue a proposal that has its approvals, or close it if what was decided since makes it impossible."""
        if not self.state.is_enough(len(proposal.approvals)):
            return TransactionCode.ACCEPTED
        self._close(proposal)
        changed = self._apply(proposal.changes)
        if isinstance(changed, TransactionCode):
            return TransactionCode.PROPOSAL_STALE
        state, queued = self.state, Queued(proposal.id, proposal.changes, self.height)
        outlook = _look_ahead(state.network_id, state.roster, (*state.outlook.steps, changed))
        self.state = replace(state, queue=(*state.queue, queued), outlook=outlook)
        return TransactionCode.ACCEPTED

    def enact(self, executed_height: Height, block_digest: Digest) -> EpochRecord:
        """Begin the next epoch: what was queued at `executed_height` takes effect. Called for the last block of one.

        The new validators take over the open proposals: approvals of those that left no longer count.
        """
        before = self.state
        ready = tuple(queued for queued in before.queue if queued.approved_height <= executed_height)
        roster, count = before.due_of(ready)
        invariant(roster is not None, "an epoch ends only when a change is due")
        assert roster is not None
        proposals = tuple(
            replace(proposal, approvals=tuple(one for one in proposal.approvals if one in roster.validators))
            for proposal in before.proposals
            if roster.members[proposal.proposer].has_feed
        )
        self.state = GovernanceState(before.network_id, roster, self.height, proposals, before.queue[count:])
        for proposal in proposals:
            if len(self.state.queue) < PROPOSALS_MAX:
                self._decide(proposal)
        return EpochRecord(roster.epoch, self.height, block_digest, roster)
