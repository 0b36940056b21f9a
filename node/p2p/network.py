"""The node's side of the mesh: it accepts, dials, keeps one session with each member, and carries frames.

    async with Network(settings, key=..., peers=..., height=...) as network:
        network.broadcast(frame)
        await network.inbox.wait()
        for arrival in network.inbox.take(): ...

All tasks belong to a group that lives as long as that block. A peer's fault ends inside the task that serves it; an
error of our own cancels the group, and with it the block.
"""

import asyncio
import datetime
import secrets
import socket
import ssl
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

import structlog

from consensus.types import Digest, Height
from node.clock import Clock, SystemClock
from node.crypto.keys import PublicKey, SigningKey
from node.errors import PeerError
from node.p2p.admission import Admission
from node.p2p.certificates import CertificateError
from node.p2p.connection import Connection
from node.p2p.context import TlsIdentity
from node.p2p.errors import ProtocolFaultError, Refusal, SessionError
from node.p2p.faults import FaultLog, clean_text
from node.p2p.framing import Frame
from node.p2p.inbox import Inbox, Lane, PeerDown, PeerUp
from node.p2p.joining import Joining, JoinStatus, is_unknown_there
from node.p2p.limits import DEFAULT_LIMITS, Limits
from node.p2p.listening import accept_for_ever, listen_on
from node.p2p.metrics import NoMetrics, P2pMetrics
from node.p2p.peers import Backoff, PeerRecord, PeerStatus, Standing
from node.wire.ids import MemberId
from node.wire.messages import Hello

_CLOSE_SECONDS: Final = 1.0

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """Who we are, where we listen, and our bounds.

    listen: host and port; port 0 takes a free one. joins: addresses of nodes whose keys need not be known, for catching
    up only, see `joining`.
    """

    member: MemberId
    network_id: Digest
    protocol: int
    listen: tuple[str, int]
    capabilities: tuple[str, ...] = ()
    limits: Limits = DEFAULT_LIMITS
    joins: tuple[tuple[str, int], ...] = ()


class _Peer:
    """One other member: its record, its sessions, and the task that dials it."""

    def __init__(self, record: PeerRecord) -> None:
        self.record = record
        self.standing: Standing[Connection] = Standing()
        self.is_lacking = asyncio.Event()
        self.is_lacking.set()
        self.dialer: asyncio.Task[None] | None = None
        self.does_not_know_us = False
        self.is_next_key_due = False


class Network:
    """All sessions of this node. Used by one event loop; entered once.

    key: the node key. peers: all other members. height: what our Hello says is final. find_next_key: the key that is
    to follow, if there is one: peers that know ours no longer may have seen the epoch begin that holds it. Raises
    ConfigError when entered if the address cannot be listened on.
    """

    def __init__(
        self,
        settings: NetworkSettings,
        *,
        key: SigningKey,
        peers: Sequence[PeerRecord],
        height: Callable[[], Height],
        find_next_key: Callable[[], SigningKey | None] = lambda: None,
        clock: Clock | None = None,
        metrics: P2pMetrics | None = None,
    ) -> None:
        self.inbox = Inbox(settings.limits)
        self._settings = settings
        self._limits = settings.limits
        self._key = key
        self._records = tuple(peers)
        self._height = height
        self._find_next_key = find_next_key
        self._joining = Joining(settings.joins)
        self._clock = clock or SystemClock()
        self._metrics = metrics or NoMetrics()
        self._admission = Admission(settings.limits)
        self._faults = FaultLog()
        self._guide: Connection | None = None
        self._peers: dict[MemberId, _Peer] = {}
        self._by_key: dict[PublicKey, MemberId] = {}
        self._lanes: dict[Connection, Lane] = {}
        self._connections: set[Connection] = set()
        self._stack = AsyncExitStack()
        self._own_tasks: list[asyncio.Task[None]] = []
        self._serving: set[asyncio.Task[None]] = set()
        # Accepted, but its task has not taken its first step: cancelled before that, it would never close.
        self._unserved: set[socket.socket] = set()
        self._is_stopping = False
        self._random = secrets.SystemRandom()

    # What the engine and the status page use.

    @property
    def address(self) -> tuple[str, int]:
        """Where we listen: host and port."""
        host, port = self._listener.getsockname()[:2]
        return str(host), int(port)

    def send(self, member: MemberId, frame: bytes) -> bool:
        """Queue an encoded frame for one member; False if it is not connected or its queue is full.

        The frame's tag decides its priority. A full consensus queue ends the session.
        """
        connection = self._connection_to(member)
        return connection is not None and connection.send(frame)

    def broadcast(self, frame: bytes) -> int:
        """Queue an encoded frame for every connected member; return for how many."""
        # A copy: a full queue ends a session, and that changes what we walk.
        connections = [peer.standing.current for peer in self._peers.values()]
        connections.append(self._guide)
        return sum(connection.send(frame) for connection in connections if connection is not None)

    def _connection_to(self, member: MemberId) -> Connection | None:
        peer = self._peers.get(member)
        if peer is not None and peer.standing.current is not None:
            return peer.standing.current
        return self._guide if self._guide is not None and self._guide.member == member else None

    def penalise(self, member: MemberId, why: str, mute_ms: int | None = None) -> None:
        """End the sessions with a member that broke the rules, and have nothing to do with it for a while.

        mute_ms: None for the default. What the inbox still holds of it is dropped.
        """
        guide = self._guide
        if guide is not None and guide.member == member:
            self._lanes[guide].drop()
            guide.fail(SessionError(Refusal.MUTED, why))
        peer = self._peers.get(member)
        if peer is None:
            return
        mute = self._limits.mute_ms if mute_ms is None else mute_ms
        peer.standing.mute(self._clock.monotonic_ms() + mute)
        peer.standing.last_fault = clean_text(why)
        self._end_sessions(peer, SessionError(Refusal.MUTED, why))

    def peers(self) -> tuple[PeerStatus, ...]:
        """Return how every other member stands, by member id."""
        return tuple(self._status(self._peers[member]) for member in sorted(self._peers))

    def joining(self) -> JoinStatus:
        """Return where meeting the network by an address of `joins` stands."""
        return self._joining.status

    def set_peers(self, records: Sequence[PeerRecord]) -> None:
        """Take a new membership: cut who left or changed its key at once, and dial who came.

        A session outlives a change of its member's addresses; they count from the next time it is dialled.
        """
        records = [record for record in records if record.member != self._settings.member]
        self._identity.trust(self._trusted(records))
        self._by_key = {record.node_key: record.member for record in records}
        kept = {record.member for record in records}
        for member in [member for member in self._peers if member not in kept]:
            self._remove_peer(self._peers[member])
        for record in records:
            peer = self._peers.get(record.member)
            if peer is not None and peer.record.node_key != record.node_key:
                self._remove_peer(peer)
                peer = None
            if peer is None:
                peer = self._peers[record.member] = _Peer(record)
            peer.record = record
            self._dial_or_not(peer)
        self._records = tuple(records)

    # Start and stop.

    async def __aenter__(self) -> Self:
        self._identity = TlsIdentity(self._key, self._trusted(self._records), self._now())
        async with AsyncExitStack() as stack:
            self._listener = await listen_on(self._settings.listen)
            stack.callback(self._listener.close)
            self._tasks = await stack.enter_async_context(asyncio.TaskGroup())
            self._stack = stack.pop_all()
        accepting = accept_for_ever(self._listener, self._on_accepted, self._on_accept_failed)
        self._own_tasks.append(self._tasks.create_task(accepting, name="p2p accept"))
        self._own_tasks.append(self._tasks.create_task(self._tick(), name="p2p tick"))
        self.set_peers(self._records)
        if self._joining.is_possible:
            self._own_tasks.append(self._tasks.create_task(self._join_for_ever(), name="p2p join"))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._is_stopping = True
        for task in self._own_tasks:
            task.cancel()
        try:
            closing = [connection.gone for connection in self._connections if connection.is_open]
            for connection in tuple(self._connections):
                connection.close()
            if closing and error is None:
                await asyncio.wait(closing, timeout=_CLOSE_SECONDS)
        finally:
            for peer in self._peers.values():
                if peer.dialer is not None:
                    peer.dialer.cancel()
            for task in self._serving:
                task.cancel()
            for sock in self._unserved:
                sock.close()
            await self._stack.__aexit__(kind, error, traceback)

    def _trusted(self, records: Sequence[PeerRecord]) -> list[PublicKey]:
        # Our own too: a node that dials itself by a wrong address is then told so, not "unknown authority".
        return [self._key.public_key, *(record.node_key for record in records)]

    def _now(self) -> datetime.datetime:
        return datetime.datetime.fromtimestamp(self._clock.wall_ms() / 1000, tz=datetime.UTC)

    def _dial_or_not(self, peer: _Peer) -> None:
        """Have a peer with an address dialled, and one without left to dial us."""
        if peer.record.addresses and peer.dialer is None:
            peer.dialer = self._tasks.create_task(self._dial_for_ever(peer), name=f"p2p dial {peer.record.member}")
        elif not peer.record.addresses and peer.dialer is not None and peer.standing.current is None:
            peer.dialer.cancel()
            peer.dialer = None

    def _remove_peer(self, peer: _Peer) -> None:
        if peer.dialer is not None:
            peer.dialer.cancel()
        self._end_sessions(peer, SessionError(Refusal.REMOVED, "the membership has changed"))
        del self._peers[peer.record.member]

    def _end_sessions(self, peer: _Peer, fault: SessionError) -> None:
        was_connected = peer.standing.current is not None
        for connection in peer.standing.sessions:
            self._lanes[connection].drop()
            connection.fail(fault)
        peer.standing.sessions = []
        if was_connected:
            self._on_down(peer)

    # Tasks.

    def _on_accepted(self, sock: socket.socket, source: str) -> None:
        """Begin to serve a connection, unless too many have not said yet who they are."""
        if not self._admission.admit(source):
            sock.close()
            self._note_fault(None, SessionError(Refusal.LIMIT, "too many connections without a first frame"))
            return
        self._unserved.add(sock)
        self._serve(self._serve_accepted(sock, source), name="p2p accepted")

    def _on_accept_failed(self, error: OSError) -> None:
        self._faults.note(None, Refusal.LIMIT, f"accept: {error}", self._clock.monotonic_ms())

    def _serve(self, work: Coroutine[None, None, None], name: str) -> None:
        task = self._tasks.create_task(work, name=name)
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve_accepted(self, sock: socket.socket, source: str) -> None:
        self._unserved.discard(sock)
        connection = self._new_connection(None, source)
        try:
            try:
                async with asyncio.timeout(self._limits.handshake_ms / 1000):
                    await asyncio.get_running_loop().connect_accepted_socket(
                        lambda: connection,
                        sock,
                        ssl=self._identity.server_context,
                        ssl_handshake_timeout=self._limits.handshake_ms / 1000,
                        ssl_shutdown_timeout=_CLOSE_SECONDS,
                    )
                    await connection.wait_opened()
            finally:
                self._admission.release(source)
            await connection.wait_closed()
        except (PeerError, OSError) as fault:
            self._note_fault(connection, fault)
        finally:
            connection.fail(SessionError(Refusal.STOPPED, "the serving task has ended"))
            self._connections.discard(connection)

    async def _dial_for_ever(self, peer: _Peer) -> None:
        backoff = Backoff(self._limits, self._random.uniform)
        if self._settings.member > peer.record.member:
            # The other one dials at the same moment: let it, and spare a session that one of us would close.
            await asyncio.sleep(self._limits.yield_ms / 1000)
        attempt = 0
        while peer.record.addresses:
            if not peer.is_lacking.is_set():
                await peer.is_lacking.wait()
                backoff.reset()
                continue
            muted_ms = peer.standing.muted_until_ms - self._clock.monotonic_ms()
            if muted_ms > 0:
                await asyncio.sleep(muted_ms / 1000)
                continue
            begun_ms = self._clock.monotonic_ms()
            await self._dial(peer, peer.record.addresses[attempt % len(peer.record.addresses)])
            attempt += 1
            if self._is_stopping:
                return
            if self._clock.monotonic_ms() - begun_ms >= self._limits.steady_ms + self._limits.handshake_ms:
                backoff.reset()
            await asyncio.sleep(backoff.next_seconds())
        peer.dialer = None

    async def _join_for_ever(self) -> None:
        """Dial the addresses of `joins` in turn whenever too few members are met by their known keys for a while."""
        backoff = Backoff(self._limits, self._random.uniform)
        while not self._is_stopping:
            await asyncio.sleep(self._limits.join_ms / 1000)
            if self._is_met():
                backoff.reset()
                continue
            address = self._joining.next_address(self._clock.monotonic_ms())
            if address is not None:
                fault = await self._dial_unknown(address)
                pause_ms = self._pause_after(fault)
                self._joining.on_ended(address, fault, self._clock.monotonic_ms() + pause_ms)
            await asyncio.sleep(backoff.next_seconds())

    def _is_met(self) -> bool:
        """Return whether more than f of the known validators are met by the keys known of them.

        Fewer may all have been away as long as we were: they know one another, and nobody who knows more.
        """
        validators = [peer for peer in self._peers.values() if peer.record.is_validator]
        met = sum(peer.standing.current is not None for peer in validators)
        # With us there is one more of them at most: f of n is (n - 1) // 3.
        return met > len(validators) // 3

    def _is_connected(self, member: MemberId | None) -> bool:
        peer = self._peers.get(member) if member is not None else None
        return peer is not None and peer.standing.current is not None

    def _pause_after(self, fault: Exception) -> int:
        """Return for how many milliseconds to leave an address alone after this, besides the back-off."""
        match fault.reason if isinstance(fault, SessionError) else None:
            case Refusal.MALFORMED | Refusal.MUTED:
                return self._limits.mute_ms
            case Refusal.REPLACED:
                return self._limits.patience_ms
            case _:
                return 0

    async def _dial_unknown(self, address: tuple[str, int]) -> Exception:
        """Try one address without knowing who is there; return what ended the attempt or the session."""
        connection = self._new_connection(None, f"{address[0]}:{address[1]}", is_sync_only=True)
        return await self._run_dialled(connection, address, self._identity.join_context)

    async def _dial(self, peer: _Peer, address: tuple[str, int]) -> None:
        """Try one address; return when the attempt has failed or the session is over."""
        connection = self._new_connection(peer.record.member, f"{address[0]}:{address[1]}")
        identity = self._identity
        if peer.is_next_key_due and (next_key := self._find_next_key()) is not None:
            identity = TlsIdentity(next_key, self._trusted(self._records), self._now())
        fault = await self._run_dialled(connection, address, identity.client_context)
        if is_unknown_there(fault):
            # Turn about: which of the two keys the peer knows, only trying tells.
            peer.does_not_know_us = True
            peer.is_next_key_due = identity is self._identity

    async def _run_dialled(
        self, connection: Connection, address: tuple[str, int], context: ssl.SSLContext
    ) -> Exception:
        """Connect, and serve the session until it is over; return what ended it."""
        ended: Exception = SessionError(Refusal.STOPPED, "the dialing task has ended")
        try:
            async with asyncio.timeout((self._limits.dial_ms + self._limits.handshake_ms) / 1000):
                await asyncio.get_running_loop().create_connection(
                    lambda: connection,
                    address[0],
                    address[1],
                    ssl=context,
                    # No name is checked, and none is told to the wire.
                    server_hostname="",
                    ssl_handshake_timeout=self._limits.handshake_ms / 1000,
                    ssl_shutdown_timeout=_CLOSE_SECONDS,
                )
                await connection.wait_opened()
            await connection.wait_closed()
        except (PeerError, OSError) as fault:
            ended = fault
            self._note_fault(connection, fault)
        finally:
            connection.fail(ended)
            self._connections.discard(connection)
        return ended

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(self._limits.tick_ms / 1000)
            for connection in tuple(self._connections):
                connection.check()
            if self._guide is not None:
                self._joining.check(self._height(), self._clock.monotonic_ms(), self._limits.patience_ms)
            if self._identity.renew_if_due(self._now()):
                _log.info("session certificate renewed")

    def _new_connection(self, expected: MemberId | None, address: str, *, is_sync_only: bool = False) -> Connection:
        connection = Connection(
            self,
            expected=expected,
            is_sync_only=is_sync_only,
            address=address,
            limits=self._limits,
            clock=self._clock,
            metrics=self._metrics,
        )
        self._connections.add(connection)
        return connection

    # What connections call.

    def identify(self, key: PublicKey, expected: MemberId | None) -> MemberId:
        """Return whose node key this is. Raises SessionError if no session with it is wanted."""
        if key == self._key.public_key:
            raise SessionError(Refusal.OWN_KEY, "the peer shows our own node key: the address is our own, or a copy")
        member = self._by_key.get(key)
        if member is None:
            raise SessionError(Refusal.UNKNOWN_MEMBER, "the peer's node key is not a member's")
        if expected is not None and member != expected:
            raise SessionError(Refusal.WRONG_MEMBER, f"{member} answers at the address of {expected}")
        if self._clock.monotonic_ms() < self._peers[member].standing.muted_until_ms:
            raise SessionError(Refusal.MUTED, f"{member} is muted")
        return member

    def admit_unknown(self, key: PublicKey) -> None:
        """Look at the key of a node that was dialled without knowing it. Raises SessionError if it is our own."""
        if key == self._key.public_key:
            raise SessionError(Refusal.OWN_KEY, "the peer shows our own node key: the address is our own, or a copy")
        member = self._by_key.get(key)
        if self._is_connected(member):
            # Before our first frame: after it the other end would take this for the newer session of the two.
            raise SessionError(Refusal.REPLACED, f"{member} answers there, and is met already")

    def own_hello(self) -> Hello:
        """Return our first frame."""
        return Hello(
            network_id=self._settings.network_id,
            protocol=self._settings.protocol,
            member=self._settings.member,
            capabilities=self._settings.capabilities,
            height=self._height(),
        )

    def on_open(self, connection: Connection) -> None:
        """Make an authenticated session with a right Hello the peer's current one."""
        member, hello = connection.member, connection.hello
        assert member is not None
        assert hello is not None
        if self._is_stopping:
            raise SessionError(Refusal.STOPPED, "this node stops")
        if connection.is_sync_only:
            self._on_guide(connection, hello)
            return
        peer = self._peers.get(member)
        if peer is None:
            raise SessionError(Refusal.REMOVED, "the membership has changed")
        if self._clock.monotonic_ms() < peer.standing.muted_until_ms:
            raise SessionError(Refusal.MUTED, f"{member} is muted")
        was_connected = peer.standing.current is not None
        for surplus in peer.standing.add(connection, decides=self._settings.member < member):
            surplus.fail(SessionError(Refusal.REPLACED, "a newer session stands"))
        if self._is_met() or (self._guide is not None and self._guide.member == member):
            self._end_guide()
        self._lanes[connection] = self.inbox.open_lane(member, connection.pause_reading, connection.resume_reading)
        peer.is_lacking.clear()
        peer.does_not_know_us = False
        if was_connected:
            self.inbox.announce(PeerDown(member))
        else:
            _log.info("peer connected", peer=member, height=hello.height, dialled=connection.is_dialled)
            self._faults.forget(member)
            self._report_peers()
        peer.standing.last_fault = None
        self.inbox.announce(PeerUp(member, hello.height))

    def _on_guide(self, connection: Connection, hello: Hello) -> None:
        """Take up a session with a node whose key is not known here, for catching up alone."""
        if self._is_met() or self._is_connected(hello.member):
            raise SessionError(Refusal.REPLACED, "members are met by their known keys")
        self._joining.on_connected(connection, self._height(), self._clock.monotonic_ms())
        self._guide = connection
        self._lanes[connection] = self.inbox.open_lane(
            hello.member, connection.pause_reading, connection.resume_reading
        )
        _log.info("met by address, for catching up only", peer=hello.member, address=connection.address)
        self.inbox.announce(PeerUp(hello.member, hello.height, is_sync_only=True))

    def _end_guide(self) -> None:
        """Members are met by their known keys: say first that the session by address is over."""
        guide, self._guide = self._guide, None
        if guide is not None:
            self._lanes[guide].drop()
            assert guide.member is not None
            self.inbox.announce(PeerDown(guide.member))
        self._joining.stand_down()

    def on_frames(self, connection: Connection, frames: Sequence[Frame]) -> None:
        """Hand frames to the engine."""
        self.inbox.deliver(self._lanes[connection], frames)

    def on_lost(self, connection: Connection) -> None:
        """Forget a session; fall back to an older one if that still stands."""
        self._lanes.pop(connection, None)
        if connection.is_sync_only:
            if connection is self._guide and connection.member is not None:
                self._guide = None
                self.inbox.announce(PeerDown(connection.member))
            return
        peer = self._peers.get(connection.member) if connection.member is not None else None
        if peer is None or not peer.standing.remove(connection):
            return
        older = peer.standing.current
        if older is None:
            self._on_down(peer)
            return
        assert older.hello is not None
        self.inbox.announce(PeerDown(peer.record.member))
        self.inbox.announce(PeerUp(peer.record.member, older.hello.height))

    def _on_down(self, peer: _Peer) -> None:
        peer.is_lacking.set()
        self.inbox.announce(PeerDown(peer.record.member))
        self._report_peers()
        _log.info("peer disconnected", peer=peer.record.member)

    def _report_peers(self) -> None:
        self._metrics.on_peers(sum(peer.standing.current is not None for peer in self._peers.values()))

    def _note_fault(self, connection: Connection | None, fault: Exception) -> None:
        """Count and log why a connection ended; mute an authenticated peer that broke the rules of the stream."""
        member = connection.member if connection and not connection.is_sync_only else None
        reason = _reason_of(fault)
        self._metrics.on_closed(reason)
        self._faults.note(member, reason, str(fault) or type(fault).__name__, self._clock.monotonic_ms())
        peer = self._peers.get(member) if member is not None else None
        if peer is None:
            return
        peer.standing.last_fault = clean_text(str(fault) or type(fault).__name__)
        if isinstance(fault, ProtocolFaultError):
            self.penalise(peer.record.member, str(fault))

    def _status(self, peer: _Peer) -> PeerStatus:
        connection = peer.standing.current
        return PeerStatus(
            member=peer.record.member,
            is_connected=connection is not None,
            since_ms=connection.since_ms if connection else None,
            address=connection.address if connection else None,
            is_dialled=connection.is_dialled if connection else None,
            rtt_us=connection.rtt_us() if connection else None,
            bytes_waiting=connection.bytes_waiting if connection else 0,
            muted_for_ms=max(0, peer.standing.muted_until_ms - self._clock.monotonic_ms()),
            last_fault=peer.standing.last_fault,
            does_not_know_us=peer.does_not_know_us,
        )


def _reason_of(fault: Exception) -> Refusal:
    if isinstance(fault, SessionError):
        return fault.reason
    if isinstance(fault, TimeoutError):
        return Refusal.TIMEOUT
    if isinstance(fault, ssl.SSLError | CertificateError):
        return Refusal.TLS
    return Refusal.LOST
