"""A node's life: start order, the top task group, stop order, and what each kind of error comes to.

Start: lock, identity, stores, engine, sessions, listeners. Stop, in reverse: the listeners take no more, the engine
gives up its view and finishes what is being written, the sessions end, the stores close.
"""

import asyncio
import contextlib
import gc
import signal
from collections.abc import AsyncIterator
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
from node.app.backends.governance import Governance
from node.app.backends.ledger import LedgerQueries
from node.app.backends.lineage import LineageQueries
from node.app.backends.network import NetworkStatus, Totals
from node.app.backends.transactions import Pending, Transactions, find_pending
from node.app.failures import report_failure
from node.app.identity import Identity, load_identity, store_paths
from node.app.rotation import adopt_next_key, find_next_key, finish_adopting
from node.clock import SystemClock
from node.config.addresses import parse_address
from node.config.home import Home, lock_home
from node.config.settings import Settings
from node.engine.driver import Engine
from node.engine.observer import LogObserver
from node.engine.start import Opened, open_engine
from node.errors import StorageError
from node.ledger.genesis import PROTOCOL_VERSION
from node.ledger.governance import GovernanceState
from node.ledger.roster import Roster
from node.ledger.state import WriteSet
from node.lineage.readings import Readings
from node.p2p.metrics import SessionMetrics
from node.p2p.network import Network, NetworkSettings
from node.p2p.peers import PeerRecord
from node.query.service import QueryService
from node.storage.index import IndexStore
from node.storage.stores import Stores
from node.telemetry.health import Health
from node.telemetry.logs import configure_logs, get_logger
from node.telemetry.metrics import Metrics
from node.wire.ids import MemberId

QUERY_THREADS: Final = 2
"""Traces at once; more wait their turn. They share one interpreter with agreement, so more would not be faster."""
COLLECTOR_THRESHOLDS: Final = (20_000, 20, 20)
"""How many more objects than were freed, and rounds of the younger generation, make the collector look."""

_log = get_logger("app")


def run_node(home: Home, settings: Settings) -> int:
    """Run the node of a home until SIGINT or SIGTERM; return the exit code.

    A node whose next key has come into force ends one life and begins another with that key, in the same process.
    Raises ConfigError if it cannot be started as configured.
    """
    configure_logs(format=settings.log.format, level=settings.log.level)
    try:
        with lock_home(home):
            if finish_adopting(home):
                _log.info("took up the next node key, where the last run was cut off")
            while asyncio.run(_Life(home, settings, load_identity(home, member=settings.p2p.member)).run()):
                adopt_next_key(home)
                _log.info("took up the next node key, and erased the one before")
    except Exception as error:  # noqa: BLE001 - the one place where every failure of a node ends
        return report_failure(error)
    return 0


class _Observer(LogObserver):
    """Tells those who wait for a transaction, and counts."""

    def __init__(self) -> None:
        self.pending = Pending()
        self.on_the_way = OnTheWay()
        self.totals = Totals(0, 0)

    def on_executed(self, write_set: WriteSet) -> None:
        """Take up an executed block."""
        self.pending.on_executed(write_set.height, write_set.transactions)
        self.on_the_way.on_executed(write_set)
        self.totals.transactions += len(write_set.transactions)
        self.totals.events += len(write_set.events)


class _Life:
    """One run of a node with one key."""

    def __init__(self, home: Home, settings: Settings, identity: Identity) -> None:
        self._home = home
        self._settings = settings
        self._identity = identity
        self._clock = SystemClock()
        self._metrics = Metrics()
        self._health = Health()
        self._observer = _Observer()
        self._stop = asyncio.Event()
        self._failure: BaseException | None = None

    async def run(self) -> bool:
        """Run until a signal, a failure, or until the next key comes into force; return whether it was the last.

        Raises what made it fail, alone or in a group.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop.set)
        identity = self._identity
        async with open_engine(
            store_paths(self._home),
            identity.genesis,
            identity.member,
            identity.key,
            clock=self._clock,
            observer=self._observer,
        ) as opened:
            await asyncio.to_thread(self._recall, opened.stores)
            async with (
                self._threads("query", QUERY_THREADS) as queries,
                self._threads("capture", 1) as captures,
                self._threads("backup", 1) as backups,
            ):
                network = self._build_network(opened)
                backends = self._build_backends(opened, network, queries, captures, backups)
                async with network:
                    await self._drive(opened.engine, network, backends)
        if self._failure is not None:
            raise self._failure
        return False

    def _recall(self, stores: Stores) -> None:
        """Take up what the last run has accepted and executed."""
        identity = self._identity
        network_id = identity.genesis.network_id
        self._observer.pending = find_pending(stores.chain, stores.index, identity.member, network_id)
        with stores.index.reader() as reader:
            self._observer.totals = Totals(*reader.count_executed())

    async def _drive(self, engine: Engine, network: Network, backends: Backends) -> None:
        """Run the engine and the listeners; the listeners end first, so that nothing is taken that cannot be kept."""
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
                _spare_collector()
                await self._stop.wait()
                _log.info("stopping", height=engine.final_height)
            engine.stop()
        _log.info("stopped", height=engine.final_height)

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
        rpc = RpcListener(dispatcher, _limits_of(settings))
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
            find_next_key=lambda: find_next_key(self._home),
            clock=self._clock,
            metrics=SessionMetrics(self._metrics),
        )

    def _build_backends(
        self,
        opened: Opened,
        network: Network,
        queries: ThreadPoolExecutor,
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
            find_next_key=lambda: find_next_key(self._home),
            pending=observer.pending,
            totals=observer.totals,
            health=self._health,
            lag_blocks_max=self._settings.operations.ready_lag_blocks_max,
        )
        status.add_metrics(self._metrics)
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
        readings = Readings(clock_tolerance_ms=governance().roster.parameters.clock_tolerance_ms)
        return Backends(
            network=status,
            governance=Governance(transactions, stores.chain, stores.index, network_id, member, clock=self._clock),
            backup=Backups(stores.chain, self._home.backups.absolute(), backups),
            capture=capture,
            transactions=transactions,
            ledger=LedgerQueries(stores.chain, stores.index, queries),
            lineage=LineageQueries(QueryService(stores.index.reader, readings), queries),
        )


def _read_governance(index: IndexStore) -> GovernanceState:
    with index.reader() as reader:
        return reader.governance


def peer_records(roster: Roster, own: MemberId) -> list[PeerRecord]:
    """Return with whom a node has sessions: all who take part but itself."""
    return [
        PeerRecord(one.id, one.node_key, (_host_and_port(one.address),)) for one in roster.present() if one.id != own
    ]


def _limits_of(settings: Settings) -> RpcLimits:
    rpc = settings.rpc
    return RpcLimits(
        body_bytes_max=rpc.body_bytes_max,
        inflight_requests_max=rpc.inflight_requests_max,
        connections_max=rpc.connections_max,
    )


def _spare_collector() -> None:
    """Have Python's cycle collector leave alone what a node holds for life, and look less often at the rest.

    Executing an event makes some hundred objects and no cycles: with the defaults, looking for some took a fifth of
    the time of execution.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTOR_THRESHOLDS)


def _host_and_port(text: str) -> tuple[str, int]:
    address = parse_address(text)
    return address.host, address.port
