"""The driver with a scripted replica and recording stores: what is on disk before what is said."""

import asyncio
import contextlib
import dataclasses
import threading
from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import Any, cast

import pytest

from consensus.messages import Block, Certificate, VoteKind
from consensus.types import Digest, Epoch, Height
from node.engine import driver
from node.engine.driver import (
    ANSWERS_WAITING_MAX,
    CHECK_AT_ONCE_BYTES,
    SUBMISSIONS_WAITING_MAX,
    SUBMITTED_BYTES_MAX,
    Engine,
)
from node.engine.errors import HaltedError
from node.errors import RequestError, StorageError
from node.ledger.batch import Batch
from node.ledger.evidence import pair_batches
from node.ledger.roster import EpochRecord
from node.ledger.transaction import Kind
from node.lineage.flag_model import FLAG_RULES, FlagSettings
from node.p2p.inbox import Arrival, FrameReceived, PeerDown, PeerUp
from node.replica import inputs
from node.replica.effects import (
    Accepted,
    Alarm,
    Broadcast,
    CheckBatch,
    Effect,
    EpochStarted,
    FinalBlock,
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
    ServeEpochEnd,
    ShareFork,
    StoreBatch,
    StoreBlock,
    SubmitNoop,
)
from node.storage.chain import ChainWrite
from node.storage.errors import WriteFailedError
from node.storage.flags import FlagMark
from node.storage.stores import Stores
from node.storage.vote_records import START_POSITION, LogPosition, Record
from node.wire.ids import FeedTip, MemberId
from node.wire.logged import EpochStart, Loss
from node.wire.messages import BlockRequest, EvidenceData, Have, encode
from node.wire.tags import Tag
from tests.support.clocks import FixedClock
from tests.support.networks import build_batch, build_genesis, build_key, build_transaction
from tests.support.records import build_block, build_certificate, build_tip, build_vote

GENESIS = build_genesis()
PEER = MemberId("firm-1")
VOTE = build_vote(1)
NULLIFY = build_vote(1, VoteKind.NULLIFY)
CERTIFICATE = build_certificate(1)
BLOCK = build_block(1, parent_digest=GENESIS.network_id, network_id=GENESIS.network_id)
BATCH = build_batch(GENESIS, build_transaction(GENESIS))
RIVAL = build_batch(GENESIS, build_transaction(GENESIS, nonce=9))
UNREADABLE = dataclasses.replace(BATCH.tip, digest=Digest(b"\x01" * 32))
LARGE = build_batch(GENESIS, build_transaction(GENESIS, payload=bytes(CHECK_AT_ONCE_BYTES)))
ASKING = BlockRequest(Digest(bytes(32)))
SAYING = Have(Height(0), ())

Script = Callable[[inputs.Input], tuple[Effect, ...]]


class ScriptedReplica:
    """Answers each input as the script says, and notes it."""

    def __init__(self, script: Script, journal: list[object]) -> None:
        self._script = script
        self._journal = journal
        self.seen: list[inputs.Input] = []
        self.deadline_ms: int | None = None

    @property
    def member(self) -> MemberId:
        return MemberId("firm-0")

    @property
    def has_deadline(self) -> bool:
        return self.deadline_ms is not None

    def step(self, incoming: inputs.Input, now_ms: int, wall_ms: int) -> tuple[Effect, ...]:
        self.seen.append(incoming)
        if isinstance(incoming, inputs.TimerDue):
            self.deadline_ms = None
        return self._script(incoming)

    def holders(self, feed: object, seq: int) -> int:
        return 2


class RecordingChain:
    """Notes each commit."""

    def __init__(self, journal: list[object]) -> None:
        self._journal = journal
        self.commits = 0
        self.final_height = Height(0)
        self.writes: list[ChainWrite] = []

    def commit(self, write: ChainWrite, log_position: LogPosition) -> None:
        self._journal.append("commit")
        self.writes.append(write)
        self.commits += 1

    def find_batch(self, tip: FeedTip) -> bytes | None:
        return {BATCH.tip: BATCH.encoded, RIVAL.tip: RIVAL.encoded, UNREADABLE: b"\x00"}.get(tip)

    def find_epoch_end(self, epoch: int) -> tuple[Height, Certificate] | None:
        return (Height(1), CERTIFICATE) if epoch == 0 else None


class RecordingVoteLog:
    """Notes each append and sync; `gate` holds syncs back, `error` makes them fail."""

    position = START_POSITION

    def __init__(self, journal: list[object]) -> None:
        self._journal = journal
        self.gate = threading.Event()
        self.gate.set()
        self.error: Exception | None = None

    def append(self, record: Record) -> None:
        self._journal.append(("append", record))

    def append_chain_mark(self, commits: int) -> None:
        self._journal.append("mark")

    def sync(self) -> None:
        self.gate.wait(10)
        if self.error is not None:
            raise self.error
        self._journal.append("sync")

    def flush(self) -> None:
        self._journal.append("flush")

    def raise_floor(self, view: int) -> None:
        self._journal.append(("floor", view))


class RecordingTransport:
    """Notes what is sent; gives out what the test puts in."""

    def __init__(self, journal: list[object]) -> None:
        self._journal = journal
        self.waiting: list[Arrival] = []
        self.wake: Callable[[], None] = lambda: None
        self.penalised: list[MemberId] = []
        self.on_take: Callable[[], None] = lambda: None

    @property
    def inbox(self) -> "RecordingTransport":
        return self

    def take(self, count_max: int = 256) -> list[Arrival]:
        self.on_take()
        taken, self.waiting = self.waiting[:count_max], self.waiting[count_max:]
        return taken

    def set_wake(self, wake: Callable[[], None]) -> None:
        self.wake = wake

    def send(self, member: MemberId, frame: bytes) -> bool:
        self._journal.append(("send", member, frame))
        return True

    def broadcast(self, frame: bytes) -> int:
        self._journal.append(("broadcast", frame))
        return 3

    def penalise(self, member: MemberId, why: str) -> None:
        self.penalised.append(member)


class RecordingObserver:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.alarms: list[str] = []
        self.faults: list[tuple[MemberId | None, bool]] = []
        self.evidence: list[ReportEvidence] = []
        self.written: list[int] = []
        self.epochs: list[EpochRecord] = []

    def on_executed(self, write_set: object) -> None:
        raise AssertionError("nothing is executed here")

    def on_epoch(self, record: EpochRecord) -> None:
        self.epochs.append(record)

    def on_written(self, records: int, seconds: float) -> None:
        self.written.append(records)

    def on_fault(self, member: MemberId | None, why: str, *, provable: bool) -> None:
        self.faults.append((member, provable))

    def on_evidence(self, evidence: ReportEvidence) -> None:
        self.evidence.append(evidence)

    def on_alarm(self, why: str) -> None:
        self.alarms.append(why)


class FollowedIndex:
    """An empty index whose flags have followed: the driver finds nothing to do."""

    height = Height(0)

    def reader(self) -> contextlib.AbstractContextManager[object]:
        flags = SimpleNamespace(find_mark=lambda: FlagMark(FLAG_RULES, FlagSettings(), Height(0)))
        return contextlib.nullcontext(SimpleNamespace(height=Height(0), flags=flags))


class Bench:
    """An engine over fakes. script: what the replica answers to each input."""

    def __init__(self, script: Script) -> None:
        self.journal: list[object] = []
        self.replica = ScriptedReplica(script, self.journal)
        self.chain = RecordingChain(self.journal)
        self.vote_log = RecordingVoteLog(self.journal)
        self.transport = RecordingTransport(self.journal)
        self.observer = RecordingObserver()
        self.clock = FixedClock(1_000)
        index = FollowedIndex()
        stores = type("Stores", (), {"chain": self.chain, "vote_log": self.vote_log, "index": index})()
        self.engine = Engine(
            cast(Any, self.replica), cast(Stores, stores), GENESIS, clock=self.clock, observer=cast(Any, self.observer)
        )

    def arrive(self, *arrivals: Arrival) -> None:
        self.transport.waiting.extend(arrivals)
        self.transport.wake()

    def names(self) -> list[str]:
        """The kinds of what was noted, in order."""
        return [entry[0] if isinstance(entry, tuple) else str(entry) for entry in self.journal]


def frame_of(number: int = 0) -> FrameReceived:
    """A request of the peer, told apart by its digest."""
    return FrameReceived(PEER, Tag.BLOCK_REQUEST, encode(BlockRequest(Digest(bytes([number]) * 32))))


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what other tasks and threads bring about."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is waited for comes from threads as well.
            await asyncio.sleep(0)


def drive(bench: Bench, scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run the engine while the scenario runs, then stop it."""

    async def run() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(bench.engine.run(bench.transport))
            await scenario()
            bench.engine.stop()

    asyncio.run(run())


async def nothing() -> None:
    """No scenario: started and stopped."""


def on_start(*effects: Effect) -> Script:
    """A replica that asks for these at its start, and for nothing after."""
    return lambda incoming: effects if isinstance(incoming, inputs.Started) else ()


def test_a_bug_in_flags_stops_them_and_not_the_node(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are no part of what nodes agree on: the operator is told, and the engine goes on."""

    def fails(_: object, *, events_max: int) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(driver, "follow", fails)
    bench = Bench(on_start())

    async def scenario() -> None:
        await until(lambda: bench.engine.flags_failure is not None)

    drive(bench, scenario)
    assert len(bench.observer.alarms) == 1
    assert "ZeroDivisionError" in bench.observer.alarms[0]


def test_a_disk_that_fails_under_flags_stops_the_node(monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be written may be damaged: nothing goes on over it."""

    def fails(_: object, *, events_max: int) -> None:
        raise StorageError("the disk is full")

    monkeypatch.setattr(driver, "follow", fails)
    bench = Bench(on_start())

    async def scenario() -> None:
        await asyncio.Event().wait()

    with pytest.raises(ExceptionGroup) as failed:
        drive(bench, scenario)
    assert isinstance(failed.value.exceptions[0], StorageError)


def test_a_vote_is_on_disk_before_it_is_sent() -> None:
    """Block, then record, then sync, then the send (docs/protocol.md, Durability)."""
    bench = Bench(on_start(StoreBatch(BATCH), StoreBlock(BLOCK), Persist(VOTE), Broadcast(VOTE), Send(PEER, SAYING)))
    drive(bench, nothing)
    assert bench.journal == [
        "commit",
        "mark",
        ("append", VOTE),
        "sync",
        ("broadcast", encode(VOTE)),
        ("send", PEER, encode(SAYING)),
    ]
    assert (bench.chain.writes[0].batches, bench.chain.writes[0].blocks) == ([BATCH], [BLOCK])
    assert bench.observer.written == [3]


def test_a_batch_is_on_disk_before_its_record_and_its_answer() -> None:
    """Accepted means durable: the batch, then B, then the answer and the send."""

    def script(incoming: inputs.Input) -> tuple[Effect, ...]:
        match incoming:
            case inputs.Submitted(token):
                return StoreBatch(BATCH), LogBatch(BATCH.tip), Broadcast(ASKING), Accepted(token, BATCH.tip)
            case _:
                return ()

    bench = Bench(script)

    async def scenario() -> None:
        bench.vote_log.gate.clear()
        accepted = bench.engine.submit(BATCH.transactions)
        await until(lambda: "commit" in bench.journal)
        assert not accepted.done()
        bench.vote_log.gate.set()
        assert await accepted == BATCH.tip

    drive(bench, scenario)
    assert bench.names() == ["commit", "mark", "append", "sync", "broadcast"]


def test_a_certificate_alone_needs_no_sync() -> None:
    """It was appended before any later vote, whose sync covers it."""
    certificate = build_certificate(1, VoteKind.NOTARIZE)
    bench = Bench(on_start(Persist(certificate), Broadcast(certificate)))
    drive(bench, nothing)
    assert bench.names() == ["append", "flush", "broadcast"]


def test_what_needs_no_disk_is_sent_at_once() -> None:
    """No write, no thread."""
    bench = Bench(on_start(Send(PEER, ASKING), Broadcast(ASKING)))
    drive(bench, nothing)
    assert bench.names() == ["send", "broadcast"]


def test_many_inputs_share_one_sync_and_nothing_overtakes() -> None:
    """While one group is written the next gathers; what is sent keeps the order of its steps."""
    answers: dict[int, tuple[Effect, ...]] = {
        1: (Persist(VOTE), Send(PEER, Have(Height(1), ()))),
        2: (Send(PEER, Have(Height(2), ())),),
        3: (Persist(NULLIFY), Send(PEER, Have(Height(3), ()))),
        4: (StoreBatch(BATCH), Send(PEER, Have(Height(4), ()))),
    }

    def script(incoming: inputs.Input) -> tuple[Effect, ...]:
        match incoming:
            case inputs.MessageReceived(_, BlockRequest(digest)):
                return answers[digest[0]]
            case _:
                return ()

    bench = Bench(script)

    async def scenario() -> None:
        bench.vote_log.gate.clear()
        bench.arrive(frame_of(1))
        await until(lambda: ("append", VOTE) in bench.journal)
        bench.arrive(frame_of(2), frame_of(3), frame_of(4))
        await until(lambda: len(bench.replica.seen) == 5)
        assert bench.names() == ["append"]
        bench.vote_log.gate.set()
        await until(lambda: bench.names().count("send") == 4)

    drive(bench, scenario)
    assert bench.names().count("sync") == 2
    assert bench.names().count("commit") == 1
    sent = [entry[2] for entry in bench.journal if isinstance(entry, tuple) and entry[0] == "send"]
    assert sent == [encode(Have(Height(number), ())) for number in (1, 2, 3, 4)]
    last_sync = len(bench.names()) - 1 - bench.names()[::-1].index("sync")
    assert bench.names()[last_sync:].count("send") >= 2


def test_a_question_is_asked_while_the_disk_is_busy() -> None:
    """It tells nobody what is held or promised, and catching up would pay a sync for each."""
    bench = Bench(
        lambda incoming: (
            (Persist(VOTE),)
            if isinstance(incoming, inputs.Started)
            else (Send(PEER, ASKING), Send(PEER, SAYING))
            if isinstance(incoming, inputs.MessageReceived)
            else ()
        )
    )

    async def scenario() -> None:
        bench.vote_log.gate.clear()
        await until(lambda: ("append", VOTE) in bench.journal)
        bench.arrive(frame_of(1))
        await until(lambda: ("send", PEER, encode(ASKING)) in bench.journal)
        assert ("send", PEER, encode(SAYING)) not in bench.journal
        bench.vote_log.gate.set()
        await until(lambda: ("send", PEER, encode(SAYING)) in bench.journal)

    drive(bench, scenario)


def test_batches_of_others_wait_for_what_is_said_of_them() -> None:
    """Nobody misses them before: they and the word that they are held take one sync, in that order."""
    answers: dict[int, tuple[Effect, ...]] = {
        1: (StoreBatch(BATCH),),
        2: (StoreBatch(LARGE),),
        3: (Broadcast(ASKING),),
    }

    def script(incoming: inputs.Input) -> tuple[Effect, ...]:
        match incoming:
            case inputs.MessageReceived(_, BlockRequest(digest)):
                return answers[digest[0]]
            case _:
                return ()

    bench = Bench(script)

    async def scenario() -> None:
        for number in (1, 2):
            bench.arrive(frame_of(number))
            await until(lambda: not bench.transport.waiting)
        assert bench.journal == []
        bench.arrive(frame_of(3))
        await until(lambda: "broadcast" in bench.names())

    drive(bench, scenario)
    assert bench.names() == ["commit", "mark", "flush", "broadcast"]
    assert bench.chain.writes[0].batches == [BATCH, LARGE]


def test_batches_that_still_wait_at_the_end_are_written() -> None:
    """They are fetched again otherwise."""
    bench = Bench(on_start(StoreBatch(BATCH)))
    drive(bench, nothing)
    assert bench.names() == ["commit", "mark", "flush"]


def test_a_failed_write_ends_the_engine_before_anything_is_sent() -> None:
    """Never tried again: the process ends."""
    bench = Bench(on_start(Persist(VOTE), Broadcast(VOTE)))
    bench.vote_log.error = WriteFailedError("the disk is gone")
    with pytest.raises(WriteFailedError, match="the disk is gone"):
        asyncio.run(bench.engine.run(bench.transport))
    assert bench.names() == ["append"]


def test_submissions_of_an_engine_that_failed_are_told_so() -> None:
    """Nobody waits for an answer that cannot come."""
    bench = Bench(lambda incoming: (Persist(VOTE),) if isinstance(incoming, inputs.Submitted) else ())
    bench.vote_log.error = WriteFailedError("the disk is gone")

    async def scenario() -> None:
        accepted = bench.engine.submit(BATCH.transactions)
        with pytest.raises(WriteFailedError):
            await bench.engine.run(bench.transport)
        with pytest.raises(RequestError) as raised:
            await accepted
        assert raised.value.code == "stopping"
        with pytest.raises(RequestError):
            await bench.engine.submit(BATCH.transactions)

    asyncio.run(scenario())


def test_a_halt_ends_the_engine_with_an_alarm() -> None:
    """After what was decided before it; nothing is stepped after."""
    bench = Bench(on_start(Alarm("look here"), Halt("two certificates")))
    with pytest.raises(HaltedError, match="two certificates"):
        asyncio.run(bench.engine.run(bench.transport))
    assert bench.observer.alarms == ["look here", "two certificates"]


def test_messages_that_have_arrived_go_before_a_timer_that_is_due() -> None:
    """T-39: a process that slept must not time out a proposal in its socket buffer."""
    bench = Bench(lambda _: ())

    async def scenario() -> None:
        await until(lambda: len(bench.replica.seen) == 1)
        # The machine slept: the timer is long due, and the sockets are only now read.
        bench.replica.deadline_ms = 2_000
        bench.clock.now_ms = 60_000
        asyncio.get_running_loop().call_soon(bench.arrive, frame_of(1), frame_of(2))
        bench.transport.wake()
        await until(lambda: len(bench.replica.seen) == 4)

    drive(bench, scenario)
    kinds = [type(incoming) for incoming in bench.replica.seen]
    assert kinds[:4] == [inputs.Started, inputs.MessageReceived, inputs.MessageReceived, inputs.TimerDue]


def test_a_timer_comes_also_under_a_stream_of_messages() -> None:
    """Drained once, then the timer: load must not stop time."""
    bench = Bench(lambda _: ())
    kinds: list[bool] = []

    async def scenario() -> None:
        bench.replica.deadline_ms = 500
        for number in range(200):
            bench.arrive(frame_of(number))
            await asyncio.sleep(0)
            kinds.append(inputs.TimerDue() in bench.replica.seen)

    drive(bench, scenario)
    assert kinds.index(True) < 100


def test_the_engine_wakes_for_a_deadline() -> None:
    """With nothing else to do."""
    bench = Bench(lambda _: ())

    async def scenario() -> None:
        bench.replica.deadline_ms = bench.clock.now_ms + 5
        bench.transport.wake()
        await asyncio.sleep(0)
        bench.clock.now_ms += 5
        await until(lambda: not bench.replica.has_deadline)

    drive(bench, scenario)
    assert inputs.TimerDue() in bench.replica.seen


def test_changes_of_sessions_reach_the_replica() -> None:
    """Up and down."""
    bench = Bench(lambda _: ())

    async def scenario() -> None:
        bench.arrive(PeerUp(PEER, Height(0)), PeerDown(PEER))
        await until(lambda: len(bench.replica.seen) == 3)

    drive(bench, scenario)
    assert bench.replica.seen[1:3] == [inputs.PeerUp(PEER), inputs.PeerDown(PEER)]


def test_bytes_that_are_no_message_cost_the_peer_its_session() -> None:
    """And do not reach the replica."""
    bench = Bench(lambda _: ())

    async def scenario() -> None:
        bench.arrive(FrameReceived(PEER, Tag.BLOCK_REQUEST, b"\x93\x01\x0b\x05"))
        await until(lambda: bench.transport.penalised == [PEER])

    drive(bench, scenario)
    assert bench.observer.faults == [(PEER, True)]
    assert [type(incoming) for incoming in bench.replica.seen] == [inputs.Started, inputs.Shutdown]


def test_only_provable_faults_are_punished() -> None:
    """What may be somebody else's doing is written down alone; evidence is kept."""
    evidence = ReportEvidence(PEER, VOTE, NULLIFY)
    bench = Bench(on_start(ReportFault(PEER, "odd", False), ReportFault(None, "odd", True), evidence))
    drive(bench, nothing)
    assert bench.transport.penalised == []
    assert bench.observer.faults == [(PEER, False), (None, True)]
    assert bench.observer.evidence == [evidence]
    bench = Bench(on_start(ReportFault(PEER, "proved", True)))
    drive(bench, nothing)
    assert bench.transport.penalised == [PEER]


@pytest.mark.parametrize("batch", [BATCH, LARGE], ids=["on the loop", "in a thread"])
def test_a_batch_is_checked_and_the_verdict_is_an_input(batch: Batch) -> None:
    """With the digest asked about; a small one on the loop, a large one in a thread."""
    bench = Bench(on_start(CheckBatch(batch.digest, batch.encoded, build_key("firm-0").public_key)))

    async def scenario() -> None:
        await until(lambda: len(bench.replica.seen) == 2)

    drive(bench, scenario)
    checked = bench.replica.seen[1]
    assert isinstance(checked, inputs.BatchChecked)
    assert (checked.digest, checked.checked.batch) == (batch.digest, batch)


def test_a_check_does_not_wait_for_the_disk() -> None:
    """It tells nobody anything, so it is done while what stands before it is being written."""
    check = CheckBatch(BATCH.digest, BATCH.encoded, build_key("firm-0").public_key)
    bench = Bench(on_start(Persist(VOTE), check))

    async def scenario() -> None:
        bench.vote_log.gate.clear()
        await until(lambda: len(bench.replica.seen) == 2)
        assert "sync" not in bench.journal
        bench.vote_log.gate.set()

    drive(bench, scenario)
    assert isinstance(bench.replica.seen[1], inputs.BatchChecked)


def test_peers_are_answered_from_the_store() -> None:
    """What is not there gets no answer, and too many questions at once neither."""
    missing = ServeBatch(PEER, build_tip(9))
    bench = Bench(on_start(*[ServeBatch(PEER, BATCH.tip)] * (ANSWERS_WAITING_MAX + 5), missing))

    async def scenario() -> None:
        await until(lambda: len(bench.journal) == ANSWERS_WAITING_MAX)

    drive(bench, scenario)
    assert set(bench.names()) == {"send"}
    assert len(bench.journal) == ANSWERS_WAITING_MAX


def test_a_refusal_is_an_error_of_the_request() -> None:
    """With the replica's stable code."""

    def script(incoming: inputs.Input) -> tuple[Effect, ...]:
        match incoming:
            case inputs.Submitted(token):
                return (Refused(token, "feed_full", "try again later"), Accepted(99, BATCH.tip))
            case _:
                return ()

    bench = Bench(script)

    async def scenario() -> None:
        with pytest.raises(RequestError, match="try again later") as raised:
            await bench.engine.submit(BATCH.transactions)
        assert raised.value.code == "feed_full"
        assert bench.engine.count_holders(BATCH.tip) == 3

    drive(bench, scenario)


def test_submissions_of_one_moment_take_one_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first after a quiet while is taken at once; the next ones wait a moment for one another, and no longer."""
    monkeypatch.setattr(driver, "GATHER_MS", 40)
    turns: list[int] = []
    bench = Bench(lambda _: ())
    bench.transport.on_take = lambda: turns.append(len(bench.replica.seen))

    async def scenario() -> None:
        bench.clock.now_ms += 1_000
        futures = [bench.engine.submit(BATCH.transactions)]
        await until(lambda: len(bench.replica.seen) == 2)
        for _ in range(2):
            futures.append(bench.engine.submit(BATCH.transactions))
            # Passes of the loop in which a turn would have come.
            for _ in range(3):
                await asyncio.sleep(0)
        assert len(bench.replica.seen) == 2
        await until(lambda: len(bench.replica.seen) == 4)
        for future in futures:
            future.cancel()

    drive(bench, scenario)
    assert 3 not in turns


def test_a_caller_that_went_away_is_no_harm() -> None:
    """Its submission is accepted all the same."""
    bench = Bench(
        lambda incoming: (Accepted(incoming.token, BATCH.tip),) if isinstance(incoming, inputs.Submitted) else ()
    )

    async def scenario() -> None:
        bench.engine.submit(BATCH.transactions).cancel()
        assert await bench.engine.submit(BATCH.transactions) == BATCH.tip

    drive(bench, scenario)


def test_submissions_that_wait_are_bounded() -> None:
    """Beyond the bound they are refused, to be tried again."""
    bench = Bench(lambda _: ())

    async def scenario() -> None:
        waiting = [bench.engine.submit(()) for _ in range(SUBMISSIONS_WAITING_MAX)]
        with pytest.raises(RequestError) as raised:
            await bench.engine.submit(())
        assert raised.value.code == "busy"
        for future in waiting:
            future.cancel()

    asyncio.run(scenario())


def test_bytes_that_wait_are_bounded() -> None:
    """Few submissions may be large."""
    bench = Bench(lambda _: ())
    large = build_transaction(GENESIS, payload=bytes(400_000))

    async def scenario() -> None:
        futures = [bench.engine.submit((large,)) for _ in range(SUBMITTED_BYTES_MAX // large.size_bytes + 2)]
        assert [future.done() for future in futures] == [False] * (len(futures) - 1) + [True]
        assert isinstance(futures[-1].exception(), RequestError)
        for future in futures:
            future.cancel()

    asyncio.run(scenario())


def test_a_stop_gives_up_the_view_and_finishes_what_is_written() -> None:
    """The last words are on disk before they are said, and run returns only then."""
    bench = Bench(
        lambda incoming: (Persist(NULLIFY), Broadcast(NULLIFY)) if isinstance(incoming, inputs.Shutdown) else ()
    )

    async def scenario() -> None:
        unanswered = bench.engine.submit(BATCH.transactions)
        await until(lambda: len(bench.replica.seen) == 2)
        bench.engine.stop()
        bench.engine.stop()
        with pytest.raises(RequestError):
            await bench.engine.submit(BATCH.transactions)
        with pytest.raises(RequestError):
            await unanswered

    drive(bench, scenario)
    assert bench.names() == ["append", "sync", "broadcast"]
    assert bench.replica.seen.count(inputs.Shutdown()) == 1


def test_an_execution_that_fails_ends_the_engine() -> None:
    """A block that is final and cannot be executed is damage."""
    certificate: Certificate = build_certificate(1, VoteKind.FINALIZE, BLOCK.header.digest())
    block: Block = BLOCK
    batch: Batch = BATCH
    final = FinalBlock(block, block.header.digest(), (batch.tip,))
    bench = Bench(on_start(Finalized((final,), certificate)))
    with pytest.raises(AttributeError):
        asyncio.run(bench.engine.run(bench.transport))
    assert bench.names() == ["commit", "mark", "flush", "floor"]
    assert bench.engine.final_height == 1
    assert bench.chain.writes[0].finals == [(block, block.header.digest())]
    assert bench.chain.writes[0].certificates == [(Height(1), certificate)]


def test_a_new_epoch_is_on_record_before_anything_is_said_in_it() -> None:
    """The record, its sync, then who is told of it; what was lost is recorded in the same way."""
    record = GENESIS.epoch_record
    start = EpochStart(record.epoch, record.anchor_digest, record.roster.digest(GENESIS.network_id))
    loss = Loss(record.epoch)
    bench = Bench(on_start(LogEpoch(start), LogLoss(loss), EpochStarted(record), Broadcast(VOTE)))
    drive(bench, nothing)
    assert bench.journal == [("append", start), ("append", loss), "sync", ("broadcast", encode(VOTE))]
    assert bench.observer.epochs == [record]


def test_batches_of_an_ended_feed_are_read_and_handed_back() -> None:
    """In order; what is gone, or cannot be read any more, is left out."""
    gone = dataclasses.replace(BATCH.tip, digest=Digest(b"\x02" * 32))
    bench = Bench(on_start(LoadOwn((BATCH.tip, gone, UNREADABLE, RIVAL.tip))))

    async def scenario() -> None:
        await until(lambda: len(bench.replica.seen) == 2)

    drive(bench, scenario)
    assert bench.replica.seen[1] == inputs.OwnLoaded((BATCH, RIVAL))


def test_a_fork_is_told_to_all_peers_if_both_batches_can_be_read() -> None:
    """As evidence that stands by itself; half of it proves nothing."""
    bench = Bench(on_start(ShareFork(Epoch(0), BATCH.tip, RIVAL.tip), ShareFork(Epoch(0), BATCH.tip, UNREADABLE)))

    async def scenario() -> None:
        await until(lambda: "broadcast" in bench.names())

    drive(bench, scenario)
    evidence = EvidenceData(pair_batches(Epoch(0), BATCH, RIVAL).encode())
    assert bench.journal == [("broadcast", encode(evidence))]


def test_how_an_epoch_ended_is_read_for_who_asks() -> None:
    """Nothing is said of one that is not over here."""
    bench = Bench(on_start(ServeEpochEnd(PEER, Epoch(1)), ServeEpochEnd(PEER, Epoch(0))))

    async def scenario() -> None:
        await until(lambda: "send" in bench.names())

    drive(bench, scenario)
    assert bench.journal == [("send", PEER, encode(CERTIFICATE))]


def test_a_noop_is_submitted_as_anything_else_and_nobody_minds_a_refusal() -> None:
    """It says nothing, in the member's name; the replica may be about to stop."""

    def script(incoming: inputs.Input) -> tuple[Effect, ...]:
        match incoming:
            case inputs.Started():
                return (SubmitNoop(),)
            case inputs.Submitted(token):
                return (Refused(token, "stopping", "the node is stopping"),)
            case _:
                return ()

    bench = Bench(script)

    async def scenario() -> None:
        await until(lambda: any(isinstance(seen, inputs.Submitted) for seen in bench.replica.seen))

    drive(bench, scenario)
    (submitted,) = [seen for seen in bench.replica.seen if isinstance(seen, inputs.Submitted)]
    (signed,) = submitted.transactions
    assert (signed.transaction.member, signed.transaction.kind) == ("firm-0", Kind.NOOP)
