"""How a node is, in words and numbers."""

from dataclasses import dataclass, field

import pytest

from consensus.types import Digest, Epoch, Height, View
from node.app.backends.network import NetworkStatus, Totals
from node.app.backends.transactions import Pending
from node.p2p.peers import PeerStatus
from node.replica.overview import FeedView, Overview
from node.telemetry.health import Health, State
from node.telemetry.metrics import METRICS, Metrics
from node.wire.ids import FeedId, FeedNumber, MemberId, Seq
from tests.support.networks import ZERO, build_genesis

SEVEN = Height(7)


@dataclass
class FakeNode:
    """Engine, sessions and index in one."""

    final_height: Height = SEVEN
    height: Height = SEVEN
    state_digest: Digest = ZERO
    sync_target: Height | None = None
    connected: tuple[str, ...] = ("firm-1", "firm-2", "firm-3")
    feeds: list[FeedView] = field(default_factory=list)

    def overview(self) -> Overview:
        return Overview(
            epoch=Epoch(0),
            view=View(9),
            leader=MemberId("firm-1"),
            final_height=self.final_height,
            final_digest=ZERO,
            executed_height=self.height,
            sync_target=self.sync_target,
            peers=(),
            feeds=tuple(self.feeds),
            uncut_batches=0,
            open_requests=0,
            waiting_for=None,
        )

    def peers(self) -> tuple[PeerStatus, ...]:
        return tuple(
            PeerStatus(
                member=MemberId(f"firm-{number}"),
                is_connected=f"firm-{number}" in self.connected,
                since_ms=None,
                address=None,
                is_dialled=None,
                rtt_us=None,
                bytes_waiting=0,
                muted_for_ms=0,
                last_fault=None,
            )
            for number in range(1, 5)
        )


def build_status(node: FakeNode) -> tuple[NetworkStatus, Health]:
    health = Health()
    status = NetworkStatus(
        node,
        node,
        node,
        build_genesis(validators=4, observers=1),
        MemberId("firm-0"),
        pending=Pending(),
        totals=Totals(11, 22),
        health=health,
        lag_blocks_max=2,
    )
    return status, health


def test_a_node_that_is_well_says_so() -> None:
    """Height, lag, peers, feeds, and what the network survives."""
    feed = FeedId(MemberId("firm-1"), FeedNumber(0))
    node = FakeNode(
        feeds=[FeedView(feed, final_seq=-1, held_seq=Seq(2)), FeedView(feed, final_seq=-1, held_seq=Seq(1))]
    )
    status, _ = build_status(node)
    answer = status.status()
    assert (answer.ready, answer.height, answer.lag, answer.view) == (True, 7, 0, 9)
    assert (answer.transactions, answer.events, answer.validators, answer.faulty_max) == (11, 22, 4, 1)
    assert [(peer.member, peer.connected) for peer in answer.peers][-2:] == [("firm-3", True), ("firm-4", False)]
    # A feed that forks is shown once, by its longer branch.
    assert [(one.member, one.held, one.final) for one in answer.feeds] == [("firm-1", 3, 0)]
    assert answer.parts["peers"].words == "not connected: firm-4"
    assert len(status.members().members) == 5


@pytest.mark.parametrize(
    ("node", "part", "words"),
    [
        (FakeNode(final_height=Height(10)), "ledger", "3 final blocks are not executed yet"),
        (FakeNode(sync_target=Height(500)), "ledger", "catching up: at block 7 of 500"),
        (FakeNode(connected=("firm-1", "firm-4")), "agreement", "2 of 4 validators"),
    ],
)
def test_what_keeps_a_node_from_being_ready_is_named(node: FakeNode, part: str, words: str) -> None:
    """An observer's session counts for no quorum."""
    status, health = build_status(node)
    unready = health.find_unready()
    assert list(unready) == [part]
    assert words in unready[part].words
    assert not status.status().ready


@pytest.mark.parametrize(
    "node",
    [FakeNode(final_height=Height(9)), FakeNode(sync_target=Height(8)), FakeNode(connected=("firm-1", "firm-2"))],
)
def test_a_little_behind_or_one_validator_short_is_ready(node: FakeNode) -> None:
    """Three of four make a quorum; two blocks are nothing."""
    _, health = build_status(node)
    assert health.find_unready() == {}
    assert health.report()["peers"].state is State.DEGRADED


def test_every_gauge_of_the_node_is_read_at_the_scrape() -> None:
    """What METRICS declares and no other part counts itself."""
    metrics = Metrics()
    status, _ = build_status(FakeNode())
    status.add_metrics(metrics)
    text = metrics.render().decode()
    own = [one.name for one in METRICS if one.name.partition("_")[0] in {"consensus", "ledger", "feed"}]
    assert own
    for name in (*own, "p2p_peers_expected"):
        assert f"\n{name} " in text
