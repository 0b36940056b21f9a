"""The driver of a replica: inputs in, effects out, in order. One task touches the replica.

A turn takes what has arrived (bounded in number and in time), steps the replica through it, and gathers the effects
in one `Group`. While one group is being written, the next one gathers: so a sync serves all that arrived during the
one before it, and nobody waits for more than two. Work that takes long (checking signatures, executing, reading for
peers, writing) runs in threads, and its results come back as inputs or are carried out on the loop.
"""

import asyncio
import secrets
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, TypeVar, assert_never

from consensus.types import Epoch, Height
from node.clock import Clock
from node.engine.errors import HaltedError
from node.engine.execution import ExecutionQueue
from node.engine.journal import Group, Journal
from node.engine.observer import Observer
from node.engine.serving import Serve, build_answer, load_batches
from node.engine.transport import Transport
from node.errors import RequestError, StorageError
from node.feed.records import check_copy
from node.ledger.batch import Batch
from node.ledger.evidence import pair_batches
from node.ledger.genesis import Genesis
from node.ledger.state import WriteSet
from node.ledger.transaction import NONCE_BYTES as TRANSACTION_NONCE_BYTES
from node.ledger.transaction import Kind, SignedTransaction, Transaction, sign_transaction
from node.p2p.inbox import Arrival, FrameReceived
from node.p2p.inbox import PeerDown as SessionDown
from node.p2p.inbox import PeerUp as SessionUp
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
from node.replica.inputs import (
    BatchChecked,
    Executed,
    Input,
    MessageReceived,
    OwnLoaded,
    PeerDown,
    PeerUp,
    Shutdown,
    Started,
    Submitted,
    TimerDue,
)
from node.replica.overview import Overview
from node.replica.replica import Replica
from node.storage.following import STEP_EVENTS, Followed, follow
from node.storage.stores import Stores
from node.wire.codec import MalformedError
from node.wire.ids import FeedTip, MemberId
from node.wire.messages import BatchRequest, BlockRequest, ChainRequest, EvidenceData, Message, decode, encode

TURN_INPUTS_MAX: Final = 256
TURN_MS: Final = 5
"""A turn ends after either: what it has gathered goes to disk, and the sockets get their turn."""
GATHER_MS: Final = 3
"""A submission soon after others waits so long for more: a batch waits longer for its time, and each turn costs."""
DRAIN_PASSES_MAX: Final = 8
SUBMISSIONS_WAITING_MAX: Final = 8192
SUBMITTED_BYTES_MAX: Final = 64 * 1024 * 1024
"""Submissions that the replica has not taken yet, in number and in bytes; more are refused, to be tried again."""
ANSWERS_WAITING_MAX: Final = 256
"""Answers to peers that wait to be read from the store; more requests are dropped, and asked again elsewhere."""
FLAGS_WAIT_MS: Final = 500
"""While blocks are being executed, flags take a step only so often: they may lag, and say so."""
FLAGS_BUSY_EVENTS: Final = 500
"""… and a small one, at least a block: execution and agreement share the interpreter with it."""
CHECKERS: Final = 2
CHECK_AT_ONCE_BYTES: Final = 8 * 1024
"""A batch up to this size is checked on the loop: under light load most are, and their few signatures take less time
than the way to a thread and back. The worst that fits, some 40 signatures, takes 3 ms."""

T = TypeVar("T")


class Engine:
    """One running replica. `run` owns it; the other methods are for the same event loop."""

    def __init__(self, replica: Replica, stores: Stores, genesis: Genesis, *, clock: Clock, observer: Observer) -> None:
        self._replica = replica
        self._genesis = genesis
        self._clock = clock
        self._observer = observer
        self._chain = stores.chain
        self._journal = Journal(stores.chain, stores.vote_log)
        self._execution = ExecutionQueue(stores.chain, stores.index)
        self._writer = ThreadPoolExecutor(1, "engine-write")
        self._executor = ThreadPoolExecutor(1, "engine-execute")
        self._index = stores.index
        self._follower = ThreadPoolExecutor(1, "engine-flags")
        self._is_following = False
        self._flags_failure: str | None = None
        self._followed_ms = clock.monotonic_ms()
        self._checkers = ThreadPoolExecutor(CHECKERS, "engine-check")
        self._server = ThreadPoolExecutor(1, "engine-serve")
        self._results: deque[Input] = deque()
        self._submissions: deque[Submitted] = deque()
        self._submitted_bytes = 0
        self._submitted_ms = clock.monotonic_ms() - GATHER_MS
        self._is_gathering = False
        self._accepting: dict[int, asyncio.Future[FeedTip]] = {}
        self._tokens = 0
        self._open = Group()
        self._is_writing = False
        self._is_executing = False
        self._answers_waiting = 0
        self._final_height = stores.chain.final_height
        self._wake = asyncio.Event()
        self._stopping: bool | None = None
        self._failure: BaseException | None = None
        self._transport: Transport | None = None

    # What others on the loop use.

    @property
    def final_height(self) -> Height:
        """The highest block that is final and durable here."""
        return self._final_height

    @property
    def unexecuted(self) -> int:
        """How many final blocks wait to be executed."""
        return self._execution.waiting + (1 if self._is_executing else 0)

    @property
    def flags_failure(self) -> str | None:
        """Why flags follow execution no more, None while they do."""
        return self._flags_failure

    def overview(self) -> Overview:
        """Return where this node stands, for people."""
        return self._replica.overview()

    def count_holders(self, tip: FeedTip) -> int:
        """Return how many validators are known to hold a batch durably, this node included."""
        return 1 + self._replica.holders(tip.feed, tip.seq)

    def submit(self, transactions: tuple[SignedTransaction, ...]) -> asyncio.Future[FeedTip]:
        """Put checked transactions of our member on our feed; done, with the tip of their batch, once durable here.

        The future raises RequestError with a code of `replica.effects.Refused`, `busy` or `stopping`; all of them
        were taken then, or none.
        """
        accepted: asyncio.Future[FeedTip] = asyncio.get_running_loop().create_future()
        if self._stopping is not None or self._failure is not None:
            accepted.set_exception(RequestError("stopping", "this node is stopping"))
        elif len(self._submissions) >= SUBMISSIONS_WAITING_MAX or self._submitted_bytes >= SUBMITTED_BYTES_MAX:
            words = f"{len(self._submissions)} submissions wait already"
            accepted.set_exception(RequestError("busy", words, hint="try again in a second"))
        else:
            self._tokens += 1
            self._accepting[self._tokens] = accepted
            self._submissions.append(Submitted(self._tokens, transactions))
            self._submitted_bytes += sum(transaction.size_bytes for transaction in transactions)
            self._gather()
        return accepted

    def _submit_own(self, kind: Kind, payload: bytes) -> None:
        """Submit something on the node's own behalf; nobody waits for it."""
        transaction = Transaction(
            kind=kind,
            member=self._replica.member,
            actor_key=None,
            created_ms=self._clock.wall_ms(),
            nonce=secrets.token_bytes(TRANSACTION_NONCE_BYTES),
            payload=payload,
        )
        accepted = self.submit((sign_transaction(transaction, self._genesis.network_id, None),))
        # A refusal is nobody's fault: the node stops, or is full, and what is due then is due again at its next start.
        accepted.add_done_callback(lambda done: done.cancelled() or done.exception())

    def _gather(self) -> None:
        """Have submissions taken: at once after a quiet while, else together with those of the next moment."""
        if self._is_gathering:
            return
        if self._clock.monotonic_ms() - self._submitted_ms >= GATHER_MS:
            self._wake.set()
        else:
            self._is_gathering = True
            asyncio.get_running_loop().call_later(GATHER_MS / 1000, self._end_gathering)

    def _end_gathering(self) -> None:
        self._is_gathering = False
        self._wake.set()

    def stop(self) -> None:
        """Have `run` give up the view, finish what is being written and executed, and return."""
        if self._stopping is None:
            self._stopping = False
            self._results.append(Shutdown())
            self._wake.set()

    # The one task.

    async def run(self, transport: Transport) -> None:
        """Drive the replica until `stop`. Raises StorageError, HaltedError or our own bug: the process must end.

        The caller closes the stores after this has returned, and not before.
        """
        self._transport = transport
        transport.inbox.set_wake(self._wake.set)
        self._results.appendleft(Started())
        self._wake.set()
        self._execute()
        self._follow()
        try:
            while self._failure is None and not self._is_done():
                await self._wait()
                self._turn()
                # One pass of the loop: sockets are read, answers leave.
                await asyncio.sleep(0)
                if self._is_due():
                    await self._drain()
                    self._step(TimerDue())
                    self._settle()
            if self._failure is not None:
                raise self._failure
        finally:
            self._give_up_waiting()
            await self._finish_threads()

    async def _drain(self) -> None:
        """Take what lies in the sockets before a timer: a process that slept must not time out what it has received.

        Bounded, since under load something always arrives.
        """
        for _ in range(DRAIN_PASSES_MAX):
            # Two passes of the loop: the first polls the sockets, in the second they are read.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            if not self._turn():
                return

    def _is_done(self) -> bool:
        return self._stopping is True and not (self._is_writing or self._is_executing or self._results)

    def _is_due(self) -> bool:
        deadline = self._replica.deadline_ms
        return deadline is not None and deadline <= self._clock.monotonic_ms()

    async def _wait(self) -> None:
        if self._wake.is_set() or self._results:
            return
        deadline = self._replica.deadline_ms
        if deadline is None:
            await self._wake.wait()
            return
        seconds = (deadline - self._clock.monotonic_ms()) / 1000
        if seconds > 0:
            timer = asyncio.get_running_loop().call_later(seconds, self._wake.set)
            try:
                await self._wake.wait()
            finally:
                timer.cancel()

    def _turn(self) -> int:
        """Step the replica through what has arrived, and send off what came of it; return how much arrived."""
        self._wake.clear()
        ends_ms = self._clock.monotonic_ms() + TURN_MS
        assert self._transport is not None
        self._step_results()
        taken = 0
        while taken < TURN_INPUTS_MAX and self._clock.monotonic_ms() <= ends_ms:
            arrivals = self._transport.inbox.take(16)
            for arrival in arrivals:
                self._take(arrival)
            submissions = min(len(self._submissions), 64)
            if submissions:
                self._submitted_ms = self._clock.monotonic_ms()
            for _ in range(submissions):
                submitted = self._submissions.popleft()
                self._submitted_bytes -= sum(transaction.size_bytes for transaction in submitted.transactions)
                self._step(submitted)
            self._step_results()
            if not arrivals and not submissions:
                break
            taken += len(arrivals) + submissions
        else:
            # Something may be left: the next turn comes at once.
            self._wake.set()
        self._settle()
        return taken

    def _step_results(self) -> None:
        """Step the replica through what threads have finished, and what was checked on the way."""
        while self._results:
            self._step(self._results.popleft())

    def _take(self, arrival: Arrival) -> None:
        match arrival:
            case FrameReceived(member, _, frame):
                try:
                    message = decode(frame)
                except MalformedError as error:
                    self._on_fault(member, str(error), provable=True)
                    return
                self._step(MessageReceived(member, message))
            case SessionUp(member, _, is_sync_only):
                self._step(PeerUp(member, is_sync_only))
            case SessionDown(member):
                self._step(PeerDown(member))
            case _:
                assert_never(arrival)

    def _step(self, incoming: Input) -> None:
        group = self._open
        for effect in self._replica.step(incoming, self._clock.monotonic_ms(), self._clock.wall_ms()):
            if isinstance(effect, CheckBatch):
                # It tells nobody anything, so it need not wait for the disk like what stands around it.
                self._check(effect)
            elif isinstance(effect, Send) and isinstance(effect.message, BatchRequest | BlockRequest | ChainRequest):
                # Nor does a question rest on what is being written: catching up would pay a sync for each.
                assert self._transport is not None
                self._transport.send(effect.member, encode(effect.message))
            else:
                group.add(effect)
        if isinstance(incoming, Shutdown):
            self._stopping = True

    # From gathered to written to carried out.

    def _settle(self) -> None:
        """Send the gathered group on its way, unless one is being written: its end does it then."""
        if self._is_writing or self._failure is not None or self._open.is_empty:
            return
        if self._open.may_wait and self._stopping is None:
            return
        group, self._open = self._open, Group()
        for batch in group.write.batches:
            self._execution.keep(batch)
        if group.must_write:
            self._is_writing = True
            self._in_thread(self._writer, partial(self._journal.write, group), partial(self._on_written, group))
        else:
            self._carry_out(group)

    def _on_written(self, group: Group, written: tuple[int, float]) -> None:
        self._is_writing = False
        self._observer.on_written(*written)
        if self._open.must_write:
            # The disk goes on while the loop sends: writes may be brought forward, what follows them may not.
            self._settle()
            self._carry_out(group)
        else:
            self._carry_out(group)
            self._settle()

    def _carry_out(self, group: Group) -> None:
        sent: Message | None = None
        frame = b""
        assert self._transport is not None
        for effect in group.after:
            match effect:
                case Send(member, message):
                    if message is not sent:
                        sent, frame = message, encode(message)
                    self._transport.send(member, frame)
                case Broadcast(message):
                    self._transport.broadcast(encode(message))
                case _:
                    self._do(effect)

    def _do(self, effect: Effect) -> None:
        match effect:
            case ServeBatch() | ServeBlock() | ServeChain() | ServeEpochEnd():
                self._serve(effect)
            case Finalized(blocks):
                for block in blocks:
                    self._execution.put(block)
                self._final_height = blocks[-1].block.header.height
                self._execute()
            case Accepted(token, tip):
                self._answer(token, tip)
            case Refused(token, code, why):
                self._answer(token, RequestError(code, why))
            case ReportFault(member, why, provable):
                self._on_fault(member, why, provable=provable)
            case ReportEvidence():
                self._observer.on_evidence(effect)
            case Alarm(why):
                self._observer.on_alarm(why)
            case Halt(why):
                self._observer.on_alarm(why)
                self._fail(HaltedError(why))
            case LoadOwn(tips):
                load = partial(load_batches, self._chain, tips, self._genesis.network_id)
                self._in_thread(self._server, load, lambda batches: self._results.append(OwnLoaded(batches)))
            case ShareFork(epoch, first, second):
                load = partial(load_batches, self._chain, (first, second), self._genesis.network_id)
                self._in_thread(self._server, load, partial(self._share_fork, epoch))
            case SubmitNoop():
                self._submit_own(Kind.NOOP, b"")
            case EpochStarted(record):
                self._observer.on_epoch(record)
            case StoreBatch() | StoreBlock() | LogBatch() | LogEpoch() | LogLoss() | Persist():
                raise AssertionError("taken up by the group")
            case Send() | Broadcast() | CheckBatch():
                raise AssertionError("sent already")
            case _:
                assert_never(effect)

    def _answer(self, token: int, outcome: FeedTip | RequestError) -> None:
        accepted = self._accepting.pop(token, None)
        if accepted is None or accepted.done():
            return
        if isinstance(outcome, RequestError):
            accepted.set_exception(outcome)
        else:
            accepted.set_result(outcome)

    def _on_fault(self, member: MemberId | None, why: str, *, provable: bool) -> None:
        self._observer.on_fault(member, why, provable=provable)
        if provable and member is not None:
            assert self._transport is not None
            self._transport.penalise(member, why)

    # Work in threads.

    def _check(self, effect: CheckBatch) -> None:
        check = partial(check_copy, effect.encoded, network_id=self._genesis.network_id, node_key=effect.node_key)
        if len(effect.encoded) <= CHECK_AT_ONCE_BYTES:
            self._results.append(BatchChecked(effect.digest, check()))
            return
        self._in_thread(
            self._checkers, check, lambda checked: self._results.append(BatchChecked(effect.digest, checked))
        )

    def _serve(self, request: Serve) -> None:
        if self._answers_waiting >= ANSWERS_WAITING_MAX:
            return
        self._answers_waiting += 1
        self._in_thread(self._server, partial(build_answer, self._chain, request), partial(self._send, request.member))

    def _send(self, member: MemberId, frame: bytes | None) -> None:
        self._answers_waiting -= 1
        if frame is not None:
            assert self._transport is not None
            self._transport.send(member, frame)

    def _share_fork(self, epoch: Epoch, batches: tuple[Batch, ...]) -> None:
        """Tell all peers of two batches that their member signed for one place of its feed."""
        if len(batches) == 2:
            assert self._transport is not None
            evidence = pair_batches(epoch, *batches)
            self._transport.broadcast(encode(EvidenceData(evidence.encode())))

    def _execute(self) -> None:
        """Begin with the next final block, unless one is being executed."""
        if self._is_executing or self._failure is not None:
            return
        job = self._execution.take()
        if job is not None:
            self._is_executing = True
            self._in_thread(self._executor, job.run, self._on_executed)

    def _on_executed(self, write_set: WriteSet) -> None:
        self._is_executing = False
        self._results.append(
            Executed(write_set.height, write_set.state_digest, write_set.governance.due_digest, write_set.epoch_record)
        )
        self._observer.on_executed(write_set)
        if self._stopping is None:
            self._execute()
            self._follow()

    def _follow(self) -> None:
        """Take the flags further, unless that is under way. Execution goes first, but never starves them."""
        if self._is_following or self._failure is not None or self._flags_failure is not None:
            return
        if self._is_executing and self._clock.monotonic_ms() - self._followed_ms < FLAGS_WAIT_MS:
            return
        self._is_following = True
        step = partial(follow, self._index, events_max=FLAGS_BUSY_EVENTS if self._is_executing else STEP_EVENTS)
        future = asyncio.get_running_loop().run_in_executor(self._follower, step)
        future.add_done_callback(self._on_followed)

    def _on_followed(self, done: asyncio.Future[Followed | None]) -> None:
        """Go on. The replica is not woken: flags are nothing to it."""
        self._is_following = False
        self._followed_ms = self._clock.monotonic_ms()
        if done.cancelled():
            return
        error = done.exception()
        if isinstance(error, StorageError):
            self._fail(error)
        elif error is not None:
            # A bug of ours that some event brings out would stop every node of the network, again at each start. Flags
            # are no part of what nodes agree on: they stand still instead, and say so, until a version without it.
            self._flags_failure = repr(error)
            self._observer.on_alarm(f"flags stand still, by our own fault: {error!r}")
        elif done.result() is not None and self._stopping is None:
            self._follow()

    def _in_thread(self, pool: ThreadPoolExecutor, work: Callable[[], T], then: Callable[[T], None]) -> None:
        """Run `work` in a thread, then `then` with its result on the loop; a failure of either ends the engine."""
        future = asyncio.get_running_loop().run_in_executor(pool, work)
        future.add_done_callback(partial(self._on_thread_done, then))

    def _on_thread_done(self, then: Callable[[T], None], done: asyncio.Future[T]) -> None:
        if done.cancelled():
            return
        error = done.exception()
        if error is None:
            try:
                then(done.result())
            except Exception as failure:  # noqa: BLE001 - not handled here: `run` raises it.
                self._fail(failure)
        else:
            self._fail(error)
        self._wake.set()

    def _fail(self, error: BaseException) -> None:
        """Have `run` raise the first failure: nothing is written, sent or executed after it."""
        if self._failure is None:
            self._failure = error
        self._wake.set()

    def _give_up_waiting(self) -> None:
        accepting, self._accepting = self._accepting, {}
        for accepted in accepting.values():
            if not accepted.done():
                accepted.set_exception(RequestError("stopping", "this node stopped before it could accept"))

    async def _finish_threads(self) -> None:
        """Wait for the work under way: a thread cannot be cancelled, and the stores are closed after this."""
        pools = (self._writer, self._executor, self._follower, self._checkers, self._server)

        def wait_for_all() -> None:
            for pool in pools:
                pool.shutdown(cancel_futures=True)

        # A cancelled `run` waits too: the stores must not be closed under a thread.
        await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, wait_for_all))
