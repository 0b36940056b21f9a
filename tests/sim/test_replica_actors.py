"""Each Byzantine actor by itself, beside honest nodes on a good network: what random runs have in any mixture."""

import pytest

from node.wire.ids import MemberId
from tests.sim.actors import CensoringLeader
from tests.sim.scenario import build_actor
from tests.sim.swarm import ACTORS
from tests.sim.world import World

LIAR = MemberId("firm-3")
BLAMED = ("garbage", "bad proposer")
PROVABLE = ("equivocating leader", "equivocating voter", "forked feed")


def act(world: World) -> None:
    """Let the liar act on its own, again and again."""
    node = world.nodes[LIAR]
    if node.is_up and node.actor is not None:
        node.actor.act(node)
    world.after(300, lambda: act(world))


@pytest.mark.parametrize("name", ACTORS)
def test_one_liar_of_four_neither_forks_nor_stops_the_others_and_is_alone_in_being_blamed(name: str) -> None:
    """T-17, T-18, T-19, T-46: the checkers see to agreement, and let nobody correct be blamed or accused."""
    world = World(5, validators=4)
    world.checks_batches = True
    world.corrupt(LIAR, build_actor(name, world))
    if name == "twins":
        world.add_twin(LIAR)
    world.start_all()
    world.run(1_500)
    act(world)
    for turn in range(60):
        world.nodes[LIAR].submit(1)
        (transaction,) = world.node(turn % 3).submit(1)
        assert world.run(
            20_000,
            until=lambda sent=transaction: all(sent in node.disk.state.transactions for node in world.correct),  # type: ignore[misc] # the default binds the loop's transaction
        ), turn
        world.run(100)
    world.settle(within_ms=30_000)
    if name in BLAMED:
        assert {fault.member for node in world.up for fault in node.faults} == {LIAR}
    found = {report.member for node in world.up for report in node.evidence}
    assert found == {LIAR} if name in PROVABLE else found <= {LIAR}


def test_what_a_leader_does_not_want_to_know_of_is_final_once_another_leads() -> None:
    """T-27: of four leaders in a row three are honest, and whoever waits for one of them waits for its turn alone."""
    world = World(5, validators=4)
    victim = world.node(1)
    world.corrupt(LIAR, CensoringLeader(victim.member))
    world.start_all()
    world.run(1_500)
    censored = 0
    for _ in range(16):
        (transaction,) = victim.submit(1)
        begun_ms = world.now_ms
        assert world.run(10_000, until=lambda sent=transaction: sent in victim.disk.state.transactions, look_ms=1)  # type: ignore[misc] # as above
        # A view that the censor leads yields a block without it, or nothing until its time is over.
        taken_ms = world.now_ms - begun_ms
        censored += taken_ms > 60
        assert taken_ms <= world.timing.advance_ms + 500
        world.run(400)
    assert censored > 0, "the censor had its turn"
