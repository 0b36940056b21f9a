"""How a node is, in words and numbers."""

from dataclasses import dataclass, field, replace

import pytest

from consensus.types import Digest, Epoch, Height, View
from node.app.backends.network import NetworkStatus, Totals
from node.app.backends.transactions import Pending
from node.app.identity import Identity
from node.crypto.keys import SigningKey
from node.ledger.governance import GovernanceState, genesis_governance
from node.ledger.roster import Role
from node.p2p.joining import JoinState, JoinStatus
from node.p2p.peers import PeerStatus
from node.replica.overview import FeedView, Overview
from node.telemetry.health import Health, State
from node.telemetry.metrics import METRICS, Metrics
from node.wire.ids import FeedId, FeedNumber, MemberId, Seq
from tests.support.networks import ZERO, build_genesis, build_key

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
    refusing: tuple[str, ...] = ()
    waiting_for: str | None = None
    join: JoinStatus = JoinStatus(JoinState.IDLE)  # noqa: RUF009 - frozen

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
            waiting_for=self.waiting_for,
        )

    def joining(self) -> JoinStatus:
        return self.join

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
                does_not_know_us=f"firm-{number}" in self.refusing,
            )
            for number in range(1, 5)
        )


def build_status(
    node: FakeNode,
    *,
    member: str = "firm-0",
    governance: GovernanceState | None = None,
    next_key: SigningKey | None = None,
) -> tuple[NetworkStatus, Health]:
    health = Health()
    genesis = build_genesis(validators=4, observers=1)
    state = governance or genesis_governance(genesis)
    status = NetworkStatus(
        node,
        node,
        node,
        Identity(genesis, build_key(member), MemberId(member)),
        governance=lambda: state,
        find_next_key=lambda: next_key,
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
    assert (
        answer.tolerance == "4 validators: goes on with any 1 of them stopped, cut off or lying"
    )  # firm-4 has no vote.
    assert len(status.members().members) == 5


def test_a_validator_that_does_not_vote_yet_counts_among_those_that_may_fail() -> None:
    """Else an operator reads that one may be stopped, while the network bears no further one."""
    status, _ = build_status(FakeNode(waiting_for="word of the others"))
    assert status.status().tolerance.endswith("until it votes again this node is one of those")


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


def change_member(genesis_state: GovernanceState, member: str, **changes: object) -> GovernanceState:
    """The state with other fields of one member."""
    roster = genesis_state.roster
    changed = replace(roster.members[MemberId(member)], **changes)  # type: ignore[arg-type]  # Fields of a member.
    return replace(genesis_state, roster=replace(roster, members=roster.members | {changed.id: changed}))


GENESIS_STATE = genesis_governance(build_genesis(validators=4, observers=1))


@pytest.mark.parametrize(
    ("node", "member", "words"),
    [
        (FakeNode(connected=()), "dairy", "dairy is not a member in the newest epoch known here (0); no member's node"),
        (
            FakeNode(connected=(), refusing=("firm-1", "firm-2")),
            "dairy",
            "firm-1, firm-2 do not know its key: a member proposes to add it by lotvine govern propose add-member",
        ),
        (
            FakeNode(connected=(), join=JoinStatus(JoinState.NOT_A_MEMBER, "a:1")),
            "dairy",
            "a:1 does not know its key: a member proposes to add it",
        ),
        (
            FakeNode(connected=(), join=JoinStatus(JoinState.UNREACHABLE, "a:1", "refused")),
            "dairy",
            "no member's node answers at a:1: refused",
        ),
        (FakeNode(connected=(), join=JoinStatus(JoinState.CONNECTED, "a:1")), "dairy", "catching up from a:1"),
        (FakeNode(), "dairy", "catching up from firm-1, firm-2, firm-3"),
    ],
)
def test_a_node_that_is_no_member_says_what_has_to_happen(node: FakeNode, member: str, words: str) -> None:
    """By whom, and by which command; and it is not ready."""
    status, _ = build_status(node, member=member)
    answer = status.status()
    assert words in answer.waiting_for[0]
    assert (answer.role, answer.ready) == ("none", False)


def test_a_node_whose_key_is_not_the_one_in_force_says_so() -> None:
    """A next key that is in force is taken up by itself; another one means a mixed-up home, or a chain that is old."""
    rotated = change_member(GENESIS_STATE, "firm-0", node_key=build_key("next").public_key)
    status, _ = build_status(FakeNode(), governance=rotated)
    assert "has another key of firm-0" in status.waiting_for()[0]
    status, _ = build_status(FakeNode(), governance=rotated, next_key=build_key("next"))
    assert status.waiting_for() == ("the next key is in force: the node takes it up now",)


def test_a_removed_member_says_so_and_is_no_peer() -> None:
    """What it wrote stays."""
    removed = change_member(GENESIS_STATE, "firm-0", role=Role.FORMER)
    status, _ = build_status(FakeNode(), governance=removed)
    assert "was removed from the network" in status.waiting_for()[0]
    status, _ = build_status(FakeNode(), member="firm-1", governance=removed)
    assert "firm-0" not in [peer.member for peer in status.status().peers]
    assert [one.role for one in status.members().members if one.id == "firm-0"] == ["former"]
