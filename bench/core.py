"""The consensus core alone: what a view costs each validator, and how long a block takes to be final.

All cores of a network run in this process, in virtual time. Each step of a core is run for real and its processor time
is measured; in virtual time its validator is busy for just so long, so that a validator is one processor of this
machine. What goes between two validators takes a fixed time one way; what must be durable first takes one disk sync,
as long as this machine's. Blocks are empty, batches and execution cost nothing: those are in the other figures.
"""

import hashlib
import heapq
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from consensus.core import Core
from consensus.effects import (
    Broadcast,
    Effect,
    FetchBody,
    Finalized,
    Halt,
    Persist,
    ReportFault,
    RequestBuild,
    RequestJudgement,
    Send,
    SetTimer,
    StoreBlock,
    TipChanged,
)
from consensus.inputs import (
    BodyAvailable,
    Built,
    Executed,
    Input,
    Judged,
    MessageReceived,
    Started,
    TimerFired,
    WorkDue,
)
from consensus.messages import Block, CoreMessage, Header, payload_digest
from consensus.recovery import Recovered, Setup
from consensus.scheme import Signer, Verifier
from consensus.timing import Timing
from consensus.types import ZERO_DIGEST, Digest, Epoch, Height, ValidatorIndex, View
from node.crypto.keys import SigningKey, verify_signature

NETWORK_ID: Final = Digest(hashlib.sha256(b"core bench").digest())
WALL_MS: Final = 1_700_000_000_000
TIMING: Final = Timing(block_ms=0)
_PAYLOAD_DIGEST: Final = payload_digest(b"")


def _build_block(view: View, parent: Header | None, parent_digest: Digest, proposer: ValidatorIndex) -> Block:
    header = Header(
        network_id=NETWORK_ID,
        epoch=Epoch(0),
        height=Height(0 if parent is None else parent.height + 1),
        view=view,
        proposer=proposer,
        parent_digest=parent_digest,
        timestamp_ms=WALL_MS - 1 if parent is None else parent.timestamp_ms + 1,
        cut_digest=_PAYLOAD_DIGEST,
        batch_root=ZERO_DIGEST,
        history_root=ZERO_DIGEST,
        batch_count=0,
        transaction_count=0,
        executed_height=Height(0),
        state_digest=ZERO_DIGEST,
        flags=0,
        next_epoch_digest=ZERO_DIGEST,
    )
    return Block(header, b"")


ANCHOR: Final = _build_block(View(0), None, ZERO_DIGEST, ValidatorIndex(0))


class _NoSigner:
    """Signs nothing, so that what remains is the core's own cost."""

    def sign(self, message: bytes) -> bytes:
        return message[-64:]


class _NoVerifier:
    """Verifies nothing."""

    def verify(self, *_: object) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class _Keys:
    """Ed25519 as a node uses it."""

    public: tuple[bytes, ...]

    def verify(self, signer: ValidatorIndex, message: bytes, signature: bytes) -> bool:
        return verify_signature(self.public[signer], message, signature)


@dataclass(slots=True)
class _Validator:
    """One core and its processor. waiting: inputs not taken yet. busy_until_ns, cpu_ns: virtual and real."""

    core: Core
    index: ValidatorIndex
    waiting: deque[Input] = field(default_factory=deque)
    busy_until_ns: int = 0
    cpu_ns: int = 0
    messages: int = 0
    final: dict[int, int] = field(default_factory=dict)
    timers: dict[tuple[int, int], int] = field(default_factory=dict)
    is_work_due: bool = False


@dataclass(frozen=True, slots=True)
class CoreFigures:
    """What one network came to, for one validator and its processor.

    cpu_ms and messages: for each final block.
    """

    validators: int
    cpu_ms: float
    views_per_second: float
    messages_per_second: float
    messages: float


class _Network:
    """Cores, the time between them, and the clock. is_real: Ed25519 signatures."""

    def __init__(self, size: int, *, is_real: bool, delay_ns: int, sync_ns: int) -> None:
        keys = [SigningKey(hashlib.sha256(b"bench %d" % number).digest()) for number in range(size)]
        verifier: Verifier = _Keys(tuple(key.public_key for key in keys)) if is_real else _NoVerifier()
        self.size = size
        self.delay_ns = delay_ns
        self.sync_ns = sync_ns
        self.now_ns = 0
        self.blocks: dict[Digest, Block] = {}
        self._count = 0
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self.validators = []
        for number in range(size):
            signer: Signer = keys[number] if is_real else _NoSigner()
            setup = Setup(NETWORK_ID, Epoch(0), size, ValidatorIndex(number), ANCHOR, NETWORK_ID)
            core = Core(setup, TIMING, Recovered(), signer=signer, verifier=verifier, wall_offset_ms=WALL_MS)
            self.validators.append(_Validator(core, ValidatorIndex(number)))
        for validator in self.validators:
            self.at(0, lambda validator=validator: self.take(validator, Started()))  # type: ignore[misc] # the default binds the loop's validator

    def at(self, at_ns: int, action: Callable[[], None]) -> None:
        """Do something then."""
        self._count += 1
        heapq.heappush(self._heap, (at_ns, self._count, action))

    def run_until(self, condition: Callable[[], bool]) -> None:
        """Let time pass until the condition holds."""
        while not condition():
            self.now_ns, _, action = heapq.heappop(self._heap)
            action()

    def take(self, validator: _Validator, incoming: Input) -> None:
        """Have the validator's core take an input, after those before it, as soon as its processor is free."""
        validator.waiting.append(incoming)
        if len(validator.waiting) == 1:
            self.at(max(self.now_ns, validator.busy_until_ns), lambda: self.work(validator))

    def work(self, validator: _Validator) -> None:
        """Take the first input that waits."""
        incoming = validator.waiting[0]
        begun_ns = time.thread_time_ns()
        effects = validator.core.step(incoming, self.now_ns // 1_000_000)
        taken_ns = time.thread_time_ns() - begun_ns
        validator.cpu_ns += taken_ns
        validator.messages += isinstance(incoming, MessageReceived)
        validator.busy_until_ns = self.now_ns + taken_ns
        sent_ns = validator.busy_until_ns
        if any(isinstance(effect, Persist | StoreBlock) for effect in effects):
            # The step's records share one sync; the processor is free meanwhile.
            sent_ns += self.sync_ns
        for effect in effects:
            self.carry_out(validator, effect, sent_ns)
        validator.waiting.popleft()
        if validator.waiting:
            self.at(validator.busy_until_ns, lambda: self.work(validator))

    def carry_out(self, validator: _Validator, effect: Effect, at_ns: int) -> None:
        """Do what the core asks for, once its records are durable."""
        match effect:
            case Broadcast(message):
                for other in self.validators:
                    if other is not validator:
                        self.carry(validator, other, message, at_ns)
            case Send(peer, message):
                self.carry(validator, self.validators[peer], message, at_ns)
            case SetTimer(timer, view, at_ms):
                validator.timers[timer, view] = at_ms
                self.at(at_ms * 1_000_000, lambda: self.fire(validator, TimerFired(timer, view), at_ms))
            case RequestBuild(view, parent, parent_digest, _):
                block = _build_block(view, parent.header, parent_digest, validator.index)
                self.blocks[block.header.digest()] = block
                self.at(at_ns, lambda: self.take(validator, Built(view, parent_digest, block)))
            case RequestJudgement(proposal, _):
                digest = proposal.block.header.digest()
                self.at(at_ns, lambda: self.take(validator, Judged(digest, ok=True)))
            case FetchBody(digest, _):
                available = BodyAvailable(self.blocks[digest])
                self.at(at_ns + 2 * self.delay_ns, lambda: self.take(validator, available))
            case TipChanged() if validator.is_work_due:
                self.at(at_ns, lambda: self.take(validator, WorkDue(due=True)))
            case Finalized(blocks, _):
                for block in blocks:
                    height = block.header.height
                    validator.final[height] = at_ns
                    self.at(at_ns, lambda height=height: self.take(validator, Executed(height, ZERO_DIGEST)))  # type: ignore[misc] # as above
            case Halt(why) | ReportFault(_, why, _):
                raise AssertionError(why)
            case _:
                pass

    def carry(self, source: _Validator, target: _Validator, message: CoreMessage, at_ns: int) -> None:
        """Take a message to another validator."""
        received = MessageReceived(source.index, message)
        self.at(at_ns + self.delay_ns, lambda: self.take(target, received))

    def fire(self, validator: _Validator, fired: TimerFired, at_ms: int) -> None:
        """A timer is due, unless it was set anew."""
        if validator.timers.get((fired.timer, fired.view)) == at_ms:
            del validator.timers[fired.timer, fired.view]
            self.take(validator, fired)

    def want_blocks(self, *, always: bool) -> None:
        """Work is due at every validator, once or from now on."""
        for validator in self.validators:
            validator.is_work_due = always
            self.take(validator, WorkDue(due=True))

    @property
    def height(self) -> int:
        """What is final everywhere."""
        return min(max(validator.final, default=0) for validator in self.validators)


def measure_load(size: int, *, blocks: int, is_real: bool) -> CoreFigures:
    """Return what a validator's processor does for each block when work never ends, without any delay."""
    network = _Network(size, is_real=is_real, delay_ns=0, sync_ns=0)
    network.run_until(lambda: all(validator.cpu_ns for validator in network.validators))
    network.want_blocks(always=True)
    network.run_until(lambda: network.height >= 3)
    before = [(validator.cpu_ns, validator.messages) for validator in network.validators]
    first = network.height
    network.run_until(lambda: network.height >= first + blocks)
    made = network.height - first
    cpu_ns = sum(validator.cpu_ns for validator in network.validators) - sum(cpu for cpu, _ in before)
    messages = sum(validator.messages for validator in network.validators) - sum(count for _, count in before)
    return CoreFigures(
        validators=size,
        cpu_ms=cpu_ns / size / made / 1e6,
        views_per_second=made * size / cpu_ns * 1e9,
        messages_per_second=messages / cpu_ns * 1e9,
        messages=messages / size / made,
    )


def measure_latency(size: int, *, blocks: int, delay_ms: float, sync_ms: float) -> float:
    """Return milliseconds from work at all validators of an idle network to a final block at one, the median.

    With Ed25519. delay_ms: one way between any two.
    """
    network = _Network(size, is_real=True, delay_ns=int(delay_ms * 1e6), sync_ns=int(sync_ms * 1e6))
    taken: list[int] = []
    for number in range(blocks):
        # Between two blocks the network is idle for a moment.
        begin_ns = network.now_ns + 500_000_000
        network.at(begin_ns, lambda: None)
        network.run_until(lambda begin_ns=begin_ns: network.now_ns >= begin_ns)  # type: ignore[misc] # as above
        height = network.height
        begun_ns = network.now_ns
        network.want_blocks(always=False)
        network.run_until(lambda height=height: network.height > height)  # type: ignore[misc] # as above
        if number:
            taken += [validator.final[height + 1] - begun_ns for validator in network.validators]
    taken.sort()
    return taken[len(taken) // 2] / 1e6
