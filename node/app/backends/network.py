"""The node and the network as the node sees it, and its health part by part."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from consensus.quorum import faulty_max, quorum_size
from consensus.types import Digest, Height
from node.api.catalog import program_version
from node.api.schema.network import FeedStatus, Member, MembersResult, Part, Peer, StatusResult
from node.app.backends.changes import fingerprint
from node.app.backends.transactions import Pending
from node.app.identity import Identity
from node.app.standing import describe_standing
from node.app.tolerance import describe_tolerance
from node.crypto.keys import SigningKey
from node.ledger.governance import GovernanceState
from node.ledger.roster import Role
from node.p2p.joining import JoinStatus
from node.p2p.peers import PeerStatus
from node.replica.overview import Overview
from node.telemetry.health import Health, PartHealth, State
from node.telemetry.metrics import Metrics
from node.wire.ids import FeedId

NO_ROLE: Final = "none"
"""Of a node whose member is not in the newest epoch that it knows."""


class Engine(Protocol):
    """What this file needs of the engine."""

    @property
    def final_height(self) -> Height:
        """The highest block that is final and durable here."""
        ...

    def overview(self) -> Overview:
        """Return where this node stands."""
        ...


class Sessions(Protocol):
    """What this file needs of the sessions with other nodes."""

    def peers(self) -> tuple[PeerStatus, ...]:
        """Return how every other member stands."""
        ...

    def joining(self) -> JoinStatus:
        """Return where meeting the network by an address stands."""
        ...


class Index(Protocol):
    """What this file needs of the index."""

    @property
    def height(self) -> Height:
        """The executed height."""
        ...

    @property
    def state_digest(self) -> Digest:
        """The running digest at that height."""
        ...


@dataclass(slots=True)
class Totals:
    """What has been executed since genesis, duplicates included."""

    transactions: int
    events: int


class NetworkStatus:
    """Fills in `api.backends.NetworkBackend`, and tells health and metrics the same."""

    def __init__(
        self,
        engine: Engine,
        network: Sessions,
        index: Index,
        identity: Identity,
        *,
        governance: Callable[[], GovernanceState],
        find_next_key: Callable[[], SigningKey | None],
        pending: Pending,
        totals: Totals,
        health: Health,
        lag_blocks_max: int,
    ) -> None:
        self._engine = engine
        self._network = network
        self._index = index
        self._identity = identity
        self._governance = governance
        self._find_next_key = find_next_key
        self._pending = pending
        self._totals = totals
        self._health = health
        self._lag_blocks_max = lag_blocks_max
        health.add("membership", self._check_membership, is_needed=True)
        health.add("ledger", self._check_ledger, is_needed=True)
        health.add("agreement", self._check_agreement, is_needed=True)
        health.add("peers", self._check_peers, is_needed=False)

    def status(self) -> StatusResult:
        """Return how the node is."""
        genesis, overview = self._identity.genesis, self._engine.overview()
        governance = self._governance()
        roster = governance.roster
        validators, own = len(roster.validators), roster.find(self._identity.member)
        height, executed = self._engine.final_height, self._index.height
        return StatusResult(
            version=program_version(),
            network=genesis.network,
            network_id=genesis.network_id.hex(),
            member=self._identity.member,
            role=own.role.value if own is not None else NO_ROLE,
            epoch=roster.epoch,
            validators=validators,
            faulty_max=faulty_max(validators),
            tolerance=describe_tolerance(
                validators,
                is_one_missing=own is not None and own.role is Role.VALIDATOR and overview.waiting_for is not None,
                not_connected=tuple(
                    one.member for one in self._peers() if one.role == Role.VALIDATOR.value and not one.connected
                ),
            ),
            view=overview.view,
            height=height,
            executed_height=executed,
            lag=max(0, height - executed),
            state_digest=self._index.state_digest.hex(),
            transactions=self._totals.transactions,
            events=self._totals.events,
            pending=len(self._pending),
            lapsed=self._pending.lapsed,
            ready=not self._health.find_unready(),
            peers=self._peers(),
            feeds=_describe_feeds(overview),
            proposals=len(governance.proposals),
            waiting_for=self.waiting_for(),
            parts={name: Part(one.state.value, one.words) for name, one in self._health.report().items()},
        )

    def members(self) -> MembersResult:
        """Return the members of the present epoch, former ones too."""
        roster = self._governance().roster
        return MembersResult(
            epoch=roster.epoch,
            members=tuple(
                Member(
                    id=one.id,
                    name=one.name,
                    organisation_id=one.organisation_id,
                    role=one.role.value,
                    address=one.address,
                    node_key=one.node_key.hex(),
                    key_fingerprint=fingerprint(one.node_key),
                    feed=one.feed_number,
                    actor_keys=tuple(key.hex() for key in one.actor_keys),
                )
                for one in roster.members.values()
            ),
        )

    def waiting_for(self) -> tuple[str, ...]:
        """Return in words what this node lacks before it can do its part; empty if nothing."""
        membership = self._check_membership()
        if membership.state is not State.OK:
            # What else it lacks comes of that.
            return (membership.words,)
        ledger, agreement = self._check_ledger(), self._check_agreement()
        if ledger.state is not State.OK and self._engine.overview().sync_target is not None:
            # What agreement waits for is the same chain.
            return (ledger.words,)
        return tuple(one.words for one in (ledger, agreement) if one.state is not State.OK)

    def add_metrics(self, metrics: Metrics) -> None:
        """Have the metrics read at each scrape."""
        metrics.sample("consensus_view", lambda: self._engine.overview().view)
        metrics.sample("consensus_finalized_height", lambda: self._engine.final_height)
        metrics.sample("ledger_executed_height", lambda: self._index.height)
        metrics.sample("ledger_transactions_total", lambda: self._totals.transactions)
        metrics.sample("ledger_events_total", lambda: self._totals.events)
        metrics.sample("feed_own_batches", self._count_own_batches)
        metrics.sample("feed_pending_transactions", lambda: len(self._pending))
        metrics.sample("feed_lapsed_transactions", lambda: self._pending.lapsed)
        metrics.sample("p2p_peers_expected", lambda: len(self._peers()))
        metrics.sample("consensus_observing", lambda: int(self._engine.overview().waiting_for is not None))
        metrics.sample("ledger_epoch", lambda: self._governance().roster.epoch)
        metrics.sample("ledger_validators", lambda: len(self._governance().roster.validators))
        metrics.sample("ledger_open_proposals", lambda: len(self._governance().proposals))
        metrics.sample("ledger_waiting_proposals", lambda: len(self._governance().queue))

    def _count_own_batches(self) -> int:
        feeds = _describe_feeds(self._engine.overview())
        return sum(one.held for one in feeds if one.member == self._identity.member)

    def _peers(self) -> tuple[Peer, ...]:
        connected = {peer.member for peer in self._network.peers() if peer.is_connected}
        return tuple(
            Peer(one.id, one.name, one.role.value, one.address, one.id in connected)
            for one in self._governance().roster.present()
            if one.id != self._identity.member
        )

    def _check_membership(self) -> PartHealth:
        next_key = self._find_next_key()
        lacks = describe_standing(
            self._governance().roster,
            self._identity.member,
            self._identity.key.public_key,
            next_key=None if next_key is None else next_key.public_key,
            peers=self._network.peers(),
            joining=self._network.joining(),
        )
        return (
            PartHealth(State.OK, "the network knows this node") if lacks is None else PartHealth(State.STARTING, lacks)
        )

    def _check_ledger(self) -> PartHealth:
        target = self._engine.overview().sync_target
        lag = self._engine.final_height - self._index.height
        if target is not None and target - self._index.height > self._lag_blocks_max:
            return PartHealth(State.STARTING, f"catching up: at block {self._index.height} of {target}")
        if lag > self._lag_blocks_max:
            return PartHealth(State.STARTING, f"{lag} final blocks are not executed yet")
        return PartHealth(State.OK, f"executed up to block {self._index.height}")

    def _check_agreement(self) -> PartHealth:
        waiting_for = self._engine.overview().waiting_for
        if waiting_for is not None:
            return PartHealth(State.STARTING, waiting_for)
        roster = self._governance().roster
        validators = len(roster.validators)
        needed = quorum_size(validators)
        present = sum(peer.connected and peer.role == Role.VALIDATOR.value for peer in self._peers())
        present += self._identity.member in roster.validators
        if present < needed:
            words = f"{present} of {validators} validators reach each other here; {needed} make a quorum"
            return PartHealth(State.STARTING, f"{words}: nothing becomes final until then")
        return PartHealth(State.OK, f"{present} of {validators} validators; {needed} make a quorum")

    def _check_peers(self) -> PartHealth:
        missing = [peer.member for peer in self._peers() if not peer.connected]
        if missing:
            return PartHealth(State.DEGRADED, f"not connected: {', '.join(missing)}")
        return PartHealth(State.OK, "all connected")


def _describe_feeds(overview: Overview) -> tuple[FeedStatus, ...]:
    """Return each feed once: of one that forks, the longest branch."""
    held: dict[FeedId, int] = {}
    final: dict[FeedId, int] = {}
    for view in overview.feeds:
        held[view.feed] = max(held.get(view.feed, 0), view.held_seq + 1)
        final[view.feed] = view.final_seq + 1
    return tuple(FeedStatus(feed.member, feed.number, held[feed], final[feed]) for feed in sorted(held))
