"""A ledger in memory that is governed: proposals, approvals, and the blocks that end epochs."""

from dataclasses import dataclass, field

from consensus.messages import FLAG_EPOCH_END
from consensus.types import Digest, Height
from node.ledger.apply import apply_block
from node.ledger.changes import Change
from node.ledger.genesis import Genesis
from node.ledger.governance import GovernanceState, Request, encode_reference
from node.ledger.roster import Roster
from node.ledger.state import WriteSet
from node.ledger.transaction import Kind, SignedTransaction
from node.ledger.verdicts import TransactionCode
from node.wire.ids import MemberId
from tests.support.memory_state import MemoryState, build_block
from tests.support.networks import CREATED_MS, build_batch, build_transaction


@dataclass(slots=True)
class GovernedLedger:
    """Executes blocks one after the other, each transaction in a batch of its own member."""

    genesis: Genesis
    state: MemoryState = field(init=False)
    time_ms: int = CREATED_MS
    states: list[GovernanceState] = field(init=False)
    """After each height."""
    _tips: dict[str, tuple[int, Digest]] = field(default_factory=dict)
    _nonce: int = 0

    def __post_init__(self) -> None:
        self.state = MemoryState(self.genesis)
        self.states = [self.state.governance]

    @property
    def governance(self) -> GovernanceState:
        return self.state.governance

    @property
    def roster(self) -> Roster:
        return self.governance.roster

    def transaction(self, member: str, kind: int, payload: bytes = b"") -> SignedTransaction:
        """A transaction that differs from all before it."""
        self._nonce += 1
        return build_transaction(
            self.genesis, member=member, kind=kind, payload=payload, nonce=self._nonce, created_ms=self.time_ms
        )

    def propose(self, member: str, *changes: Change, note: str = "") -> SignedTransaction:
        """A proposal, not executed yet."""
        return self.transaction(member, Kind.PROPOSE, Request(changes, note).encode())

    def approve(self, member: str, proposal: Digest) -> SignedTransaction:
        """An approval, not executed yet."""
        return self.transaction(member, Kind.APPROVE, encode_reference(proposal))

    def withdraw(self, member: str, proposal: Digest) -> SignedTransaction:
        """A withdrawal, not executed yet."""
        return self.transaction(member, Kind.WITHDRAW, encode_reference(proposal))

    def run(self, *transactions: SignedTransaction) -> list[TransactionCode]:
        """Execute a block of them, in order; return the verdicts."""
        batches = []
        for signed in transactions:
            member = signed.transaction.member
            seq, previous = self._tips.get(member, (0, Digest(bytes(32))))
            batch = build_batch(self.genesis, signed, member=member, seq=seq, previous=previous, time_ms=self.time_ms)
            self._tips[member] = (seq + 1, batch.digest)
            batches.append(batch)
        block = build_block(
            self.genesis,
            *batches,
            height=self.state.height + 1,
            timestamp_ms=self.time_ms,
            epoch=self.roster.epoch,
        )
        writes = apply_block(self.state, block, batches)
        self._take(writes)
        return [row.code for row in writes.transactions]

    def seal(self, executed_height: int | None = None) -> WriteSet:
        """Execute the last block of the epoch. executed_height: the newest, if not told."""
        executed = self.state.height if executed_height is None else executed_height
        block = build_block(
            self.genesis,
            height=self.state.height + 1,
            timestamp_ms=self.time_ms,
            epoch=self.roster.epoch,
            executed_height=Height(executed),
            flags=FLAG_EPOCH_END,
            next_epoch_digest=self.states[executed].due_digest,
        )
        writes = apply_block(self.state, block, ())
        self._take(writes)
        return writes

    def _take(self, writes: WriteSet) -> None:
        self.state.write(writes)
        self.states.append(writes.governance)
        self.time_ms += 1000

    def decide(self, *changes: Change) -> list[TransactionCode]:
        """Propose and approve by as many validators as it takes, in one block; return the verdicts."""
        first, *others = self.roster.validators
        proposal = self.propose(first, *changes)
        needed = 2 * len(self.roster.validators) // 3
        return self.run(proposal, *(self.approve(member, proposal.id) for member in others[:needed]))

    def enact(self, *changes: Change) -> Roster:
        """Decide and end the epoch; return the new roster."""
        assert set(self.decide(*changes)) == {TransactionCode.ACCEPTED}
        self.seal()
        return self.roster

    def make_synced(self, *members: str) -> None:
        """Have a batch of each become final."""
        self.run(*(self.transaction(member, Kind.NOOP) for member in members))


def member_id(text: str) -> MemberId:
    """A member's id in a test."""
    return MemberId(text)
