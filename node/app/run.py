"""A node's life: start order, the top task group, stop order, and what each kind of error comes to.

Start: lock, identity, stores, engine, sessions, listeners. Stop, in reverse: the listeners take no more, the engine
gives up its view and finishes what is being written, the sessions end, the stores close.
"""

import asyncio
import contextlib
import gc
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

from consensus.errors import InvariantError
from node.api.backends import Backends
from node.api.catalog import OPERATIONS, program_version
from node.api.dispatch import Dispatcher
from node.api.listeners import OperationsListener, RpcLimits, RpcListener, listen_http
from node.app.backends.backup import Backups
from node.app.backends.capture import Captures, OnTheWay
from node.app.backends.flags import FlagQueries, FlagsHealth
from node.app.backends.governance import Governance
from node.app.backends.ledger import LedgerQueries, event_as_sent
from node.app.backends.lineage import LineageQueries
from node.app.backends.network import NetworkStatus, Totals
from node.app.backends.pools import WAITING_MAX, QuestionPool
from node.app.backends.recall import recall
from node.app.backends.transactions import Pending, Transactions
from node.app.evidence import EvidenceReporter
from node.app.failures import report_failure
from node.app.files import LoopFaults, connections_within, raise_limit
from node.app.identity import Identity, load_identity, store_paths
from node.app.introduction import Introducer
from node.app.readings import ReadingsByHeight
from node.app.rotation import adopt_next_key, find_next_key, finish_adopting
from node.app.waiting import WaitingLog
from node.clock import SystemClock
from node.config.addresses import parse_address
from node.config.home import Home, lock_home
from node.config.settings import Settings
from node.crypto.keys import SigningKey, check_library
from node.engine.observer import LogObserver
from node.engine.start import Opened, open_engine
from node.errors import ConfigError, StorageError
from node.ledger.genesis import PROTOCOL_VERSION
from node.ledger.governance import GovernanceState
from node.ledger.roster import EpochRecord, Role, Roster
from node.ledger.state import WriteSet
from node.p2p.metrics import SessionMetrics
from node.p2p.network import Network, NetworkSettings
from node.p2p.peers import PeerRecord
from node.query.balances import BalanceService
from node.query.flags import FlagService
from node.query.scorecards import ScorecardService
from node.query.service import QueryService
from node.replica.effects import ReportEvidence
from node.storage.chain import ChainWrite
from node.storage.index import IndexStore
from node.storage.stores import Stores
from node.storage.vote_records import START_POSITION
from node.telemetry.health import Health
from node.telemetry.logs import configure_logs, get_logger
from node.telemetry.metrics import Metrics
from node.wire.ids import MemberId

QUERY_THREADS: Final = 2
"""Of long questions, and as many of short reads."""
READS_WAITING_MAX: Final = 4_096
SWITCH_SECONDS: Final = 0.000_5
"""How long a thread that computes keeps the interpreter from one that waits for it; Python's own 5 ms are added to
each reading and sending of the loop that carries the votes."""
"""Traces at once; more wait their turn. They share one interpreter with agreement, so more would not be faster."""
COLLECTOR_THRESHOLDS: Final = (20_000, 20, 20)
"""How many more objects than were freed, and rounds of the younger generation, make the collector look."""

LOOK_SECONDS: Final = 1.0
"""How often it is looked at what the node waits for."""

_log = get_logger("app")


def run_node(home: Home, settings: Settings, *, is_loss_decided: bool = False) -> int:
    """Run the node of a home until SIGINT or SIGTERM; return the exit code.

    is_loss_decided: the operator answers for it that a node whose vote log was lost signs nothing twice, in a network
    whose validators are too few to tell.

    A node whose next key has come into force ends one life and begins another with that key, in the same process.
    Raises ConfigError if it cannot be started as configured.
    """
    configure_logs(format=settings.log.format, level=settings.log.level)
    check_library()
    # Before a store is opened: LevelDB asks for the limit once.
    files_max = raise_limit()
    try:
        with lock_home(home):
            if finish_adopting(home):
                _log.info("took up the next node key, where the last run was cut off")
            while True:
                identity = load_identity(home, member=settings.p2p.member)
                find_next_key(home)  # Raises ConfigError for one that could not be taken up.
                life = _Life(home, settings, identity, is_loss_decided=is_loss_decided, files_max=files_max)
                asyncio.run(life.run())
                if not life.is_next_key_in_force:
                    break
                adopt_next_key(home)
                _log.info("took up the next node key, and erased the one before")
                if life.is_asked_to_stop:
                    break
    except Exception as error:  # noqa: BLE001 - the one place where every failure of a node ends
        return report_failure(error)
    return 0


class _Observer(LogObserver):
    """Tells those who wait for a transaction, and counts; passes on what concerns the whole life."""

    def __init__(self) -> None:
        self.begin_epoch: Callable[[EpochRecord], None] = _ignore
        self.bring_evidence: Callable[[ReportEvidence], object] = _ignore
        self.pending = Pending()
        self.on_the_way = OnTheWay()
        self.totals = Totals(0, 0)

    def on_executed(self, write_set: WriteSet) -> None:
        """Take up an executed block."""
        self.pending.on_executed(write_set.height, write_set.transactions)
        self.on_the_way.on_executed(write_set)
        self.totals.transactions += len(write_set.transactions)
        self.totals.events += len(write_set.events)

    def on_epoch(self, record: EpochRecord) -> None:
        """Take up an epoch."""
        super().on_epoch(record)
        self.begin_epoch(record)

    def on_evidence(self, evidence: ReportEvidence) -> None:
        """Say it, and bring it onto the ledger."""
        super().on_evidence(evidence)
        self.bring_evidence(evidence)


def _ignore(_: object) -> None:
    """Say nothing: nobody is there yet to be told."""


class _Life:
    """One run of a node with one key.

    is_next_key_in_force: the run has ended, or never begun, because the network knows the node by its next key.
    is_asked_to_stop: by a signal.
    """

    def __init__(
        self, home: Home, settings: Settings, identity: Identity, *, is_loss_decided: bool, files_max: int
    ) -> None:
        self._home = home
        self._settings = settings
        self._identity = identity
        self._is_loss_decided = is_loss_decided
        self._files_max = files_max
        self._pools: list[QuestionPool] = []
        self._clock = SystemClock()
        self._metrics = Metrics()
        self._health = Health()
        self._observer = _Observer()
        self._stop = asyncio.Event()
        self._failure: BaseException | None = None
        self._has_warned_of_key = False
        self.is_next_key_in_force = False
        self.is_asked_to_stop = False

    def _on_signal(self) -> None:
        self.is_asked_to_stop = True
        self._stop.set()

    async def run(self) -> None:
        """Run until a signal, a failure, or until the next key comes into force.

        Raises what made it fail, alone or in a group.
        """
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(LoopFaults(time.monotonic).report)
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._on_signal)
        identity = self._identity
        async with open_engine(
            store_paths(self._home),
            identity.genesis,
            identity.member,
            identity.key,
            clock=self._clock,
            observer=self._observer,
            is_loss_decided=self._is_loss_decided,
        ) as opened:
            await asyncio.to_thread(self._recall, opened.stores)
            self._look_for_key(_read_governance(opened.stores.index).roster)
            if not self.is_next_key_in_force:
                await self._live(opened)
            if self.is_next_key_in_force:
                # The next key's vote log begins at its beginning: how far this one was says nothing about it.
                await asyncio.to_thread(opened.stores.chain.commit, ChainWrite(), START_POSITION)
        if self._failure is not None:
            raise self._failure

    async def _live(self, opened: Opened) -> None:
        async with (
            self._questions("query", waiting_max=WAITING_MAX) as queries,
            self._questions("read", waiting_max=READS_WAITING_MAX) as reads,
            self._threads("capture", 1) as captures,
            self._threads("backup", 1) as backups,
        ):
            network = self._build_network(opened)
            backends = self._build_backends(opened, network, queries, reads, captures, backups)
            async with network:
                await self._drive(opened, network, backends)

    def _find_next_key(self) -> SigningKey | None:
        """Return the next key. A file that was spoiled in a running node's home is said, and does not end the node."""
        try:
            return find_next_key(self._home)
        except ConfigError as error:
            if not self._has_warned_of_key:
                self._has_warned_of_key = True
                _log.warning("the next node key cannot be read", why=str(error))
            return None

    def _look_for_key(self, roster: Roster) -> None:
        """Find out whether the network knows this node by its next key from now on."""
        own, following = roster.find(self._identity.member), self._find_next_key()
        if own is not None and following is not None and own.node_key == following.public_key:
            self.is_next_key_in_force = True

    def _on_epoch(self, network: Network, record: EpochRecord) -> None:
        """Have sessions with the members of an epoch that has begun, or end this life if it has our next key."""
        self._look_for_key(record.roster)
        own = record.roster.find(self._identity.member)
        self._observer.pending.on_epoch(has_feed=own is not None and own.has_feed)
        if self.is_next_key_in_force:
            self._stop.set()
        else:
            network.set_peers(peer_records(record.roster, self._identity.member))

    def _recall(self, stores: Stores) -> None:
        """Take up what the last run has accepted and executed."""
        identity = self._identity
        network_id = identity.genesis.network_id
        recalled = recall(stores.chain, stores.index, identity.member, network_id)
        self._observer.pending, self._observer.on_the_way = recalled.pending, recalled.on_the_way
        with stores.index.reader() as reader:
            self._observer.totals = Totals(*reader.count_executed())

    async def _drive(self, opened: Opened, network: Network, backends: Backends) -> None:
        """Run the engine and the listeners; the listeners end first, so that nothing is taken that cannot be kept."""
        engine = opened.engine
        self._observer.begin_epoch = partial(self._on_epoch, network)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(engine.run(network), name="engine")
            async with self._listen(backends):
                _log.info(
                    "node started",
                    version=program_version(),
                    network=self._identity.genesis.network,
                    member=self._identity.member,
                    height=engine.final_height,
                    p2p=self._settings.p2p.listen,
                    rpc=self._settings.rpc.listen,
                    operations=self._settings.operations.listen,
                )
                sys.setswitchinterval(SWITCH_SECONDS)
                _spare_collector()
                await self._wait(opened)
                _log.info("stopping", height=engine.final_height)
                # Whoever waits is told so while the listener still answers; it would wait for them otherwise.
                for pool in self._pools:
                    pool.stop()
            engine.stop()
        _log.info("stopped", height=engine.final_height)

    async def _wait(self, opened: Opened) -> None:
        """Wait for the end; meanwhile say what the node waits for, and introduce its member if that is due."""
        waiting = WaitingLog(self._clock.monotonic_ms())
        identity = self._identity
        introducer = Introducer(
            opened.engine, opened.stores.index, identity.member, identity.key.public_key, self._clock
        )
        while not self._stop.is_set():
            waiting.note(self._status.waiting_for(), self._clock.monotonic_ms())
            introducer.look()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._stop.wait()

    @contextlib.asynccontextmanager
    async def _listen(self, backends: Backends) -> AsyncIterator[None]:
        settings = self._settings
        dispatcher = Dispatcher(
            OPERATIONS,
            backends,
            batch_requests_max=settings.rpc.batch_requests_max,
            metrics=self._metrics,
            on_failure=self._on_api_failure,
        )
        rpc = RpcListener(dispatcher, _limits_of(settings, self._files_max))
        self._metrics.sample("api_websockets", lambda: rpc.open_websockets)
        operations = OperationsListener(self._health, self._metrics)
        operations_address = parse_address(settings.operations.listen)
        async with (
            listen_http(operations.build_app, operations_address, key="operations.listen"),
            listen_http(rpc.build_app, parse_address(settings.rpc.listen), key="rpc.listen"),
        ):
            yield

    def _on_api_failure(self, error: BaseException) -> None:
        """Stop the node if going on is not safe; a mere bug in a handler has cost one answer."""
        _log.error("a request failed by our own fault", why=repr(error), exc_info=error)
        if isinstance(error, InvariantError | StorageError) and self._failure is None:
            self._failure = error
            self._stop.set()

    @contextlib.asynccontextmanager
    async def _questions(self, name: str, *, waiting_max: int) -> AsyncIterator[QuestionPool]:
        async with self._threads(name, QUERY_THREADS) as executor:
            seconds_max = self._settings.rpc.question_seconds_max
            pool = QuestionPool(executor, seconds_max=seconds_max, waiting_max=waiting_max)
            self._pools.append(pool)
            try:
                yield pool
            finally:
                pool.stop()

    @contextlib.asynccontextmanager
    async def _threads(self, name: str, count: int) -> AsyncIterator[ThreadPoolExecutor]:
        executor = ThreadPoolExecutor(count, name)
        try:
            yield executor
        finally:
            # The stores are closed after this: a thread that reads them must have ended.
            await asyncio.to_thread(executor.shutdown, cancel_futures=True)

    def _build_network(self, opened: Opened) -> Network:
        identity = self._identity
        listen = parse_address(self._settings.p2p.listen)
        engine = opened.engine
        return Network(
            NetworkSettings(
                member=identity.member,
                network_id=identity.genesis.network_id,
                protocol=PROTOCOL_VERSION,
                listen=(listen.host, listen.port),
                joins=tuple(map(_host_and_port, self._settings.p2p.join)),
            ),
            key=identity.key,
            peers=peer_records(_read_governance(opened.stores.index).roster, identity.member),
            height=lambda: engine.final_height,
            find_next_key=self._find_next_key,
            clock=self._clock,
            metrics=SessionMetrics(self._metrics),
        )

    def _build_backends(
        self,
        opened: Opened,
        network: Network,
        queries: QuestionPool,
        reads: QuestionPool,
        captures: ThreadPoolExecutor,
        backups: ThreadPoolExecutor,
    ) -> Backends:
        engine, stores = opened.engine, opened.stores
        identity, observer = self._identity, self._observer
        network_id, member = identity.genesis.network_id, identity.member
        governance = partial(_read_governance, stores.index)
        status = NetworkStatus(
            engine,
            network,
            stores.index,
            identity,
            governance=governance,
            find_next_key=self._find_next_key,
            pending=observer.pending,
            totals=observer.totals,
            health=self._health,
            lag_blocks_max=self._settings.operations.ready_lag_blocks_max,
        )
        status.add_metrics(self._metrics)
        FlagsHealth(engine, stores.index).add_to(self._health, self._metrics)
        reporter = EvidenceReporter(engine.submit, stores.chain, stores.index, member, self._clock)
        observer.bring_evidence = reporter.bring
        self._status = status
        transactions = Transactions(
            engine,
            stores.index,
            network_id,
            member,
            governance=governance,
            pending=observer.pending,
            clock=self._clock,
            final_wait_ms=self._settings.rpc.final_wait_ms,
        )
        capture = Captures(
            transactions,
            stores.index,
            identity.genesis,
            member,
            on_the_way=observer.on_the_way,
            clock=self._clock,
            executor=captures,
        )
        readings = ReadingsByHeight(stores.index)
        return Backends(
            network=status,
            governance=Governance(transactions, stores.chain, stores.index, network_id, member, clock=self._clock),
            backup=Backups(stores.chain, self._home.backups.absolute(), backups),
            capture=capture,
            transactions=transactions,
            ledger=LedgerQueries(stores.chain, stores.index, reads),
            lineage=LineageQueries(
                QueryService(stores.index.reader, readings.at, event_as_sent(stores.chain)), queries, reads
            ),
            flags=FlagQueries(
                FlagService(stores.index.reader),
                ScorecardService(stores.index.reader, readings.at),
                BalanceService(stores.index.reader, readings.at),
                queries,
                reads,
                submit=transactions.submit,
                network_id=network_id,
                member=member,
                clock=self._clock,
            ),
        )


def _read_governance(index: IndexStore) -> GovernanceState:
    with index.reader() as reader:
        return reader.governance


def peer_records(roster: Roster, own: MemberId) -> list[PeerRecord]:
    """Return with whom a node has sessions: all who take part but itself."""
    return [
        PeerRecord(one.id, one.node_key, (_host_and_port(one.address),), is_validator=one.role is Role.VALIDATOR)
        for one in roster.present()
        if one.id != own
    ]


def _limits_of(settings: Settings, files_max: int) -> RpcLimits:
    rpc = settings.rpc
    return RpcLimits(
        body_bytes_max=rpc.body_bytes_max,
        inflight_requests_max=rpc.inflight_requests_max,
        connections_max=connections_within(files_max, rpc.connections_max),
    )


def _spare_collector() -> None:
    """Have Python's cycle collector leave alone what a node holds for life, and look less often at the rest.

    Executing an event makes some hundred objects and no cycles: with the defaults, looking for some took a fifth of
    the time of execution.
    """
    # What an earlier life in this process held is no longer held.
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTOR_THRESHOLDS)


def _host_and_port(text: str) -> tuple[str, int]:
    address = parse_address(text)
    return address.host, address.port
