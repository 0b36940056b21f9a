"""The driver of one simulated replica: disk, worker threads, execution, and crashes between any two effects."""

from collections import deque
from functools import partial
from typing import TYPE_CHECKING

from consensus.messages import Proposal
from consensus.types import Digest, Epoch, Height
from node.crypto.keys import SigningKey
from node.feed.records import CheckedCopy, CopyVerdict, check_copy
from node.ledger.apply import apply_block
from node.ledger.batch import decode_batch
from node.ledger.evidence import pair_batches
from node.ledger.transaction import SignedTransaction
from node.replica import inputs
from node.replica.effects import (
    Accepted,
    Alarm,
    Broadcast,
    CheckBatch,
    Effect,
    EpochStarted,
    Finalized,
    Halt,
    LoadOwn,
    LogBatch,
    LogEpoch,
    LogLoss,
    Persist,
    Refused,
    ReportEvidence,
    ReportFault,
    Send,
    ServeBatch,
    ServeBlock,
    ServeChain,
    ServeEpochEnd,
    ShareFork,
    StoreBatch,
    StoreBlock,
    SubmitNoop,
)
from node.replica.inputs import Input
from node.replica.membership import ValidatorKeys
from node.replica.recovered import ReplicaSetup
from node.replica.replica import Replica
from node.wire.ids import MemberId
from node.wire.logged import Loss
from node.wire.messages import BatchData, BlockData, EvidenceData, Message
from tests.sim.actors import Actor
from tests.sim.checkers import BrokenRuleError
from tests.sim.disk import ChainWrite, Disk, LogFile, LogWrite
from tests.sim.footprint import check_footprint
from tests.support.fake_keys import FakeSigner, FakeVerifier
from tests.support.networks import CREATED_MS, build_key

if TYPE_CHECKING:
    from tests.sim.world import World

WALL_START_MS = CREATED_MS + 1_000
IDLE_MS_MAX = 60_000
"""A status is always due sooner than that."""

SKEW_MS_MAX = 400
"""How far an honest clock may be off; what is further off counts among the f."""

ALARMS_MAX = 50
"""So often at most may a replica be due within one millisecond: a deadline that stays would spin for ever."""


class VoteSigner:
    """Signs votes with a keyed hash, as curves take most of the time; batches, and votes if told so, with the key."""

    def __init__(self, world: "World", member: MemberId, key: SigningKey) -> None:
        self._world = world
        self._member = member
        self._key = key

    def sign(self, message: bytes) -> bytes:
        if message.startswith(b"lotvine/vote") and not self._world.has_real_keys:
            # Domain and network id come before the epoch; the index is that of the epoch's roster.
            rosters = self._world.rosters
            roster = rosters.get(int.from_bytes(message[48:56], "big"), rosters[0])
            index = roster.validator_index(self._member)
            if index is not None:
                return FakeSigner(index).sign(message)
        return self._key.sign(message)


class SimNode:
    """One member's node. effects_left: crash after so many more effects; None for never.

    name: of the process, which differs from the member's for a twin. actor: who has taken the node over, if anybody.
    lag_ms: how much longer than the network's delay everything it sends takes. clock_rate: thousandths of true time
    that its monotonic clock counts.
    """

    def __init__(self, world: "World", member: MemberId, *, name: str | None = None) -> None:
        self.world = world
        self.member = member
        self.name = name or str(member)
        self.actor: Actor | None = None
        self.lag_ms = 0
        self.clock_rate = 1_000
        self.key_number = 0
        self.key = build_key(member)
        self.disk = Disk(world.genesis, LogFile(world.genesis.network_id, self.key.public_key))
        self.replica: Replica | None = None
        self.incarnation = 0
        self.effects_left: int | None = None
        self.is_loss_decided = False
        self.sync_ms = (0, 3)
        self.execute_ms = (0, 3)
        self.check_ms = (0, 2)
        self.skew_ms = 0
        self.faults: list[ReportFault] = []
        self.alarms: list[str] = []
        self.evidence: list[ReportEvidence] = []
        self.refused: list[Refused] = []
        self.paused_until_ms = 0
        self.signer = VoteSigner(world, member, self.key)
        self._reset()

    def _reset(self) -> None:
        self._queue: deque[Effect] = deque()
        self._in_flight: tuple[list[ChainWrite], list[LogWrite]] = ([], [])
        self._is_busy = False
        self._executing: deque[Height] = deque()
        self._wake_ms: int | None = None
        self._mailbox: deque[Input] = deque()
        self._alarms_now = self._alarmed_ms = 0
        self._tokens: dict[int, tuple[Digest, ...]] = {}

    @property
    def is_up(self) -> bool:
        return self.replica is not None

    # Life.

    def start(self) -> None:
        """Start from what is on disk, unless it runs already or never does."""
        if self.replica is not None or self.member in self.world.absent:
            return
        world = self.world
        self.incarnation += 1
        self._reset()
        self.effects_left = None
        self._adopt_next_key()
        recovered = self.disk.recover()
        if self.disk.torn_bytes:
            world.checker.note("torn record")
        self.replica = Replica(
            ReplicaSetup(
                world.genesis,
                self.member,
                self._boot_nonce(),
                world.timing,
                is_loss_decided=self.is_loss_decided,
                node_key=self.key.public_key,
            ),
            recovered,
            signer=self.signer,
            verifiers=ValidatorKeys if world.has_real_keys else lambda _: FakeVerifier(),
            now_ms=self.monotonic_ms,
            wall_ms=self.wall_ms,
        )
        world.checker.on_start(self.name, self.member, self.incarnation, self.disk.height)
        for height in range(self.disk.state.height + 1, self.disk.height + 1):
            self._execute_later(Height(height))
        self.take(inputs.Started())
        world.on_started(self)

    def wipe(self) -> None:
        """Lose the machine: the same key comes up on an empty disk, and knows that it has lost a log."""
        self.crash()
        self.world.trace("wipe", self.name)
        self.disk = Disk(self.world.genesis, self._build_lost_log())
        self.world.on_disk_lost(self)

    def lose_log(self) -> None:
        """Lose the vote log alone: it was damaged, and set aside."""
        self.crash()
        self.world.trace("log lost", self.name)
        self.world.checker.on_log_lost(self.member)
        self.disk.begin_log(self._build_lost_log())
        self.world.lost[self.member] = None

    def take_chain_anew(self) -> None:
        """The chain was damaged and is fetched anew by the operator's wish; the vote log is kept (`refetch`)."""
        self.crash()
        self.world.trace("chain anew", self.name)
        before = self.disk
        self.disk = Disk(self.world.genesis, before.log)
        self.disk.votes, self.disk.own_tips = before.votes, before.own_tips
        self.world.checker.on_chain_lost(self.member)

    def take_up(self, key: SigningKey) -> None:
        """End the life with the old key and begin one with a new key and its own log, on the same store."""
        self.crash()
        self._adopt(key)
        self.start()

    def _build_lost_log(self) -> LogFile:
        log = LogFile(self.world.genesis.network_id, self.key.public_key)
        log.append([LogLoss(Loss(Epoch(0)))])
        return log

    @property
    def is_whole(self) -> bool:
        """Whether, after a loss, it has voted and a batch that it sealed since is final."""
        finals = (tip.digest for final, _ in self.disk.finals for tip in final.batches)
        return bool(self.disk.votes) and any(digest in self.disk.own_tips for digest in finals)

    @property
    def next_key(self) -> SigningKey:
        """The key that waits beside the present one until governance gives it to the member."""
        return build_key(f"{self.member}, key {self.key_number + 1}")

    def _is_key_due(self) -> bool:
        member = self.disk.state.governance.roster.find(self.member)
        return member is not None and member.node_key == self.next_key.public_key

    def _adopt_next_key(self) -> None:
        """Take up the next key with the empty vote log that was made with it, if the epoch has given it to us."""
        if self._is_key_due():
            self._adopt(self.next_key)
            self.key_number += 1
            self.world.checker.note("key rotated")

    def _adopt(self, key: SigningKey) -> None:
        self.key = key
        self.signer = VoteSigner(self.world, self.member, key)
        self.disk.begin_log(LogFile(self.world.genesis.network_id, key.public_key))

    def _restart_with_next_key(self, incarnation: int) -> None:
        if self._is_running(incarnation) and self._is_key_due():
            self.crash()
            self.start()

    def crash(self) -> None:
        """Lose all that was not synced, but what the seed keeps of it: a prefix, down to a torn record."""
        if self.replica is None:
            return
        chance = self.world.random
        chain, log = self._in_flight
        if chain and chance.random() < 0.5:
            self._write_chain(chain)
            chain = []
        if not chain and log:
            self._note_logged(self.disk.tear_log(log, chance))
        self.replica = None
        self._reset()
        self.world.trace("crash", self.name)
        self.world.on_stopped(self)

    def _boot_nonce(self) -> bytes:
        return f"{self.incarnation:08d}{self.name[-8:]:>8}".encode()

    def _write_chain(self, writes: list[ChainWrite]) -> None:
        self.disk.write_chain(writes)
        if self.actor is None:
            for write in writes:
                if isinstance(write, Finalized):
                    world = self.world
                    world.checker.chain.latest_ms = (
                        WALL_START_MS + world.now_ms + SKEW_MS_MAX + world.timing.clock_skew_ms
                    )
                    world.checker.on_final_stored(self.member, write)
                    for final in write.blocks:
                        self.world.checker.on_final(self.name, self.incarnation, final, self.disk)

    def _write_log(self, writes: list[LogWrite]) -> None:
        self.disk.write_log(writes)
        self._note_logged(writes)

    def _note_logged(self, writes: list[LogWrite]) -> None:
        if any(isinstance(write, LogLoss) and write.loss.guard is not None for write in writes):
            self.world.checker.note("rejoin guard")
        if self.actor is None:
            for write in writes:
                if isinstance(write, Persist):
                    self.world.checker.on_logged(self.member, write.record, final_view=self.final_view)

    @property
    def final_view(self) -> int:
        """The view of the highest final block on disk."""
        return self.disk.finals[-1][0].block.header.view if self.disk.finals else 0

    @property
    def monotonic_ms(self) -> int:
        """What the node's monotonic clock shows."""
        return self.world.now_ms * self.clock_rate // 1_000

    @property
    def wall_ms(self) -> int:
        """What its wall clock shows."""
        return WALL_START_MS + self.world.now_ms + self.skew_ms

    # Inputs.

    def later(self, delay: tuple[int, int], incoming: Input) -> None:
        """Hand in something after a while, unless the node crashes before."""
        incarnation = self.incarnation
        self.world.after(
            self.world.random.randint(*delay),
            lambda: self.take(incoming) if self.incarnation == incarnation else None,
        )

    def take(self, incoming: Input) -> None:
        """Hand an input to the replica."""
        if self.replica is None:
            return
        if isinstance(incoming, inputs.MessageReceived) and isinstance(incoming.message, Proposal):
            self.world.checker.on_received_proposal(self.member, incoming.message)
        if self._mailbox or self.world.now_ms < self.paused_until_ms:
            self._mailbox.append(incoming)
            return
        self._step(incoming)

    def _step(self, incoming: Input) -> None:
        replica = self.replica
        assert replica is not None
        self.world.steps += 1
        self._queue.extend(replica.step(incoming, self.monotonic_ms, self.wall_ms))
        self._pump()
        if self.replica is replica:
            self._set_alarm()

    def pause(self, for_ms: int) -> None:
        """Stop the process for a while; what comes meanwhile lies in its buffers."""
        self.paused_until_ms = self.world.now_ms + for_ms
        self.world.after(for_ms, self._resume)

    def _resume(self) -> None:
        # What has been received comes before what is due.
        while self.replica is not None and self._mailbox and self.world.now_ms >= self.paused_until_ms:
            self._step(self._mailbox.popleft())
        if self.replica is not None:
            self._wake_ms = None
            self._set_alarm()

    def _set_alarm(self) -> None:
        assert self.replica is not None
        deadline = self.replica.deadline_ms
        if deadline is None:
            return
        # The first moment of true time at which its clock shows the deadline.
        at_ms = max(-(-deadline * 1_000 // self.clock_rate), self.world.now_ms)
        if self._wake_ms is None or at_ms < self._wake_ms:
            self._wake_ms = at_ms
            self.world.after(at_ms - self.world.now_ms, partial(self._on_alarm, self.incarnation, at_ms))

    def _on_alarm(self, incarnation: int, at_ms: int) -> None:
        if self.replica is None or incarnation != self.incarnation or self._wake_ms != at_ms:
            return
        self._wake_ms = None
        if self.world.now_ms < self.paused_until_ms:
            return
        deadline = self.replica.deadline_ms
        if deadline is not None and deadline <= self.monotonic_ms:
            self._alarms_now = self._alarms_now + 1 if self._alarmed_ms == self.world.now_ms else 1
            self._alarmed_ms = self.world.now_ms
            if self._alarms_now > ALARMS_MAX:
                raise BrokenRuleError(f"at {self.world.now_ms} ms {self.member} has a deadline that never passes")
            self.take(inputs.TimerDue())
        else:
            self._set_alarm()

    # Effects: all writes of what has gathered, two syncs, then the rest in order.

    def _pump(self) -> None:
        if self._is_busy or not self._queue:
            return
        group = list(self._queue)
        self._queue.clear()
        chain = [effect for effect in group if isinstance(effect, StoreBatch | StoreBlock | Finalized)]
        log = [effect for effect in group if isinstance(effect, LogBatch | LogEpoch | LogLoss | Persist)]
        self._is_busy = True
        self._in_flight = (chain, log)
        incarnation = self.incarnation
        chance = self.world.random
        chain_ms = chance.randint(*self.sync_ms) if chain else 0
        log_ms = chance.randint(*self.sync_ms) if log else 0

        def write_chain() -> None:
            if self._is_running(incarnation):
                self._write_chain(chain)
                self._in_flight = ([], log)
                self.world.after(log_ms, write_log) if log_ms else write_log()

        def write_log() -> None:
            if self._is_running(incarnation):
                self._write_log(log)
                self._in_flight = ([], [])
                self._is_busy = False
                for effect in group:
                    if self._is_running(incarnation):
                        self._carry_out(effect)
                self._pump()

        self.world.after(chain_ms, write_chain) if chain_ms else write_chain()

    def _is_running(self, incarnation: int) -> bool:
        return self.replica is not None and self.incarnation == incarnation

    def _carry_out(self, effect: Effect) -> None:
        if self.effects_left is not None:
            self.effects_left -= 1
            if self.effects_left < 0:
                self.crash()
                return
        world = self.world
        world.trace(type(effect).__name__, self.name)
        match effect:
            case Send(member, message):
                self._say(message)
                world.send(self, member, message)
            case Broadcast(message):
                self._say(message)
                for member in world.nodes:
                    if member != self.member:
                        world.send(self, member, message)
            case StoreBatch() | StoreBlock() | LogBatch() | LogEpoch() | LogLoss() | Persist():
                pass
            case EpochStarted(record):
                world.checker.note("epoch entered")
                world.trace(f"epoch {record.epoch}", self.name)
                if self._is_key_due():
                    world.after(10, partial(self._restart_with_next_key, self.incarnation))
            case LoadOwn(tips):
                own = tuple(self.disk.batches[tip.digest] for tip in tips)
                self.later(self.check_ms, inputs.OwnLoaded(own))
            case SubmitNoop():
                world.checker.note("no-op after a loss")
                self.submit(1)
            case ServeEpochEnd(member, epoch):
                end = self.disk.epoch_end(epoch)
                if end is not None:
                    world.send(self, member, end)
            case CheckBatch(digest, encoded, node_key):
                checked = (
                    check_copy(encoded, network_id=world.genesis.network_id, node_key=node_key)
                    if world.checks_batches
                    else CheckedCopy(CopyVerdict.GOOD, decode_batch(encoded, world.genesis.network_id), "")
                )
                self.later(self.check_ms, inputs.BatchChecked(digest, checked))
            case ServeBatch(member, tip):
                batch = self.disk.batches.get(tip.digest)
                if batch is not None:
                    world.send(self, member, BatchData(batch.encoded))
            case ServeBlock(member, digest):
                block = self.disk.blocks.get(digest)
                if block is not None:
                    world.send(self, member, BlockData(block))
            case ServeChain(member, first, last):
                world.checker.note("chain served")
                world.send(self, member, self.disk.chain(first, last))
            case Finalized(blocks, _):
                for final in blocks:
                    world.trace(final.digest.hex(), self.name)
                    self._execute_later(final.block.header.height)
            case Accepted(token):
                for transaction in self._tokens.pop(token):
                    world.on_accepted(self.member, transaction)
            case Refused():
                self.refused.append(effect)
                self._tokens.pop(effect.token)
            case ReportFault():
                self.faults.append(effect)
                world.on_fault(self.member, effect)
            case ShareFork(epoch, first, second):
                pair = pair_batches(epoch, self.disk.batches[first.digest], self.disk.batches[second.digest])
                for member in world.nodes:
                    if member != self.member:
                        world.send(self, member, EvidenceData(pair.encode()))
            case ReportEvidence():
                self.evidence.append(effect)
                world.on_evidence(self.member, effect)
            case Alarm(why):
                self.alarms.append(why)
            case Halt(why):
                world.on_halt(self, why)

    def _say(self, message: Message) -> None:
        if self.actor is not None:
            return
        self.world.checker.on_send(self.member, message, self.disk)
        if isinstance(message, BatchData):
            batch = decode_batch(message.batch, self.world.genesis.network_id)
            self.world.checker.on_own_batch(self.member, batch, self.disk)

    # Execution.

    def _execute_later(self, height: Height) -> None:
        self._executing.append(height)
        if len(self._executing) == 1:
            self._schedule_execution()

    def _schedule_execution(self) -> None:
        self.world.after(self.world.random.randint(*self.execute_ms), partial(self._execute, self.incarnation))

    def _execute(self, incarnation: int) -> None:
        if self.replica is None or incarnation != self.incarnation:
            return
        height = self._executing.popleft()
        final = self.disk.finals[height - 1][0]
        writes = apply_block(self.disk.state, final.block, self.disk.covered(height))
        self.disk.state.write(writes)
        self.disk.note_executed(writes)
        if writes.epoch_record is not None:
            self.world.on_epoch(writes.epoch_record)
        if self.actor is None:
            self.world.checker.on_executed(self.member, height, writes.state_digest)
        if self._executing:
            self._schedule_execution()
        self.take(inputs.Executed(height, writes.state_digest, writes.governance.due_digest, writes.epoch_record))

    # Clients.

    def submit(self, count: int, *, size: int = 0) -> tuple[Digest, ...]:
        """Submit so many new transactions in one request; return their ids, none if the node is down."""
        if self.replica is None:
            return ()
        return self._submit(tuple(self.world.build_transaction(self, size=size) for _ in range(count)))

    def submit_kind(self, kind: int, payload: bytes) -> Digest:
        """Submit one transaction of some kind; return its id."""
        (transaction,) = self._submit((self.world.build_transaction(self, kind=kind, payload=payload),))
        return transaction

    def submit_signed(self, transaction: SignedTransaction) -> None:
        """Submit a transaction that was made before, perhaps again."""
        self._submit((transaction,))

    def _submit(self, transactions: tuple[SignedTransaction, ...]) -> tuple[Digest, ...]:
        token = self.world.next_number()
        ids = tuple(transaction.id for transaction in transactions)
        self._tokens[token] = ids
        self.take(inputs.Submitted(token, transactions))
        return ids

    @property
    def has_answered(self) -> bool:
        """Whether each of its clients was told that its request is taken, or not."""
        return not self._tokens

    # What must hold at any quiet moment.

    def check_bounds(self) -> None:
        """I-14: nothing has grown beyond its bound. I-15: something is always about to happen."""
        assert self.replica is not None
        check_footprint(self.name, self.replica)
        if self._mailbox:
            # It sleeps, perhaps since before its first step: what wakes it lies in its buffers.
            return
        deadline = self.replica.deadline_ms
        if not self.replica.is_halted and (deadline is None or deadline > self.monotonic_ms + IDLE_MS_MAX):
            raise BrokenRuleError(f"at {self.world.now_ms} ms {self.name} waits for nothing")
