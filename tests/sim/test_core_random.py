"""Seeded random runs of cores: loss, partitions, crashes, a liar; safety throughout, progress once healed.

LOTVINE_SIM_SEEDS runs more of them. A failing seed prints itself; it becomes a named test here.
"""

import os
from collections.abc import Sequence

import pytest

from consensus.messages import VoteKind
from consensus.timing import Timing
from tests.sim.core_byzantine import LyingNode
from tests.sim.core_network import CoreNetwork
from tests.sim.core_node import SimNode

SEEDS = range(int(os.environ.get("LOTVINE_SIM_SEEDS", "6")))


class RandomNetwork(CoreNetwork):
    """A network in which f nodes may lie."""

    def __init__(self, size: int, *, liars: Sequence[int], seed: int, timing: Timing) -> None:
        self.liars = tuple(liars)
        super().__init__(size, seed=seed, timing=timing)

    def build_node(self, index: int) -> SimNode:
        return LyingNode(self, index) if index in self.liars else SimNode(self, index)

    @property
    def honest(self) -> tuple[int, ...]:
        return tuple(index for index in range(self.size) if index not in self.liars)


def disturb(network: RandomNetwork) -> None:
    """Change one thing about the world."""
    chance = network.random
    match chance.randrange(8):
        case 0:
            network.loss_percent = chance.choice([0, 10, 30, 50])
        case 1:
            network.latency = chance.choice([(1, 3), (5, 40), (50, 350)])
        case 2:
            cut = chance.randrange(1, network.size)
            order = chance.sample(range(network.size), network.size)
            network.split(tuple(order[:cut]), tuple(order[cut:]))
        case 3:
            source, target = chance.sample(range(network.size), 2)
            network.cut_links.add((source, target))
        case 4 | 5:
            network.cut_links = set()
            network.loss_percent = 0
        case 6:
            node = network.nodes[chance.randrange(network.size)]
            if node.is_up and chance.randrange(2):
                node.effects_left = chance.randrange(30)
            elif node.is_up:
                node.crash(keep=chance.randrange(len(node.disk.unsynced) + 1))
        case _:
            for node in network.nodes:
                if not node.is_up:
                    node.start()


def run(seed: int, *, with_liars: bool) -> RandomNetwork:
    """Disturb, heal, and expect everything to become final at all honest nodes."""
    size = (4, 5, 7)[seed % 3]
    timing = Timing(
        propose_ms=300, advance_ms=500, retry_ms=300, tail_ms=300, heartbeat_ms=3_000, status_ms=500, skip_ms=2_000
    )
    liars = range((size - 1) // 3) if with_liars else ()
    network = RandomNetwork(size, liars=liars, seed=seed, timing=timing)
    network.start()
    item = 0
    for _ in range(120):
        disturb(network)
        if network.random.randrange(2):
            network.submit(item)
            item += 1
        network.run_for(network.random.randrange(400))
    network.heal()
    network.latency = (1, 10)
    for node in network.nodes:
        node.effects_left = None
        if not node.is_up:
            node.start()
    network.submit(*range(item + 1))
    network.run_until(
        lambda: all(network.is_final(number, at=network.honest) for number in range(item + 1)), within_ms=60_000
    )
    return network


def check(network: RandomNetwork) -> None:
    """No honest node stopped, and none was accused by another."""
    for index in network.honest:
        node = network.nodes[index]
        assert node.halted is None
        accused = {fault.peer for fault in node.faults if fault.provable}
        assert accused <= set(network.liars), f"{index} accuses {accused}: {node.faults}"
        assert {pair.first.signer for pair in node.evidence} <= set(network.liars)


@pytest.mark.parametrize("seed", SEEDS)
def test_honest_nodes_agree_and_recover_from_loss_partitions_and_crashes(seed: int) -> None:
    """I-1 to I-6, I-8, I-11 and I-13 at every step; all items final after the heal."""
    check(run(seed, with_liars=False))


@pytest.mark.parametrize("seed", SEEDS)
def test_f_liars_neither_fork_nor_stop_the_others(seed: int) -> None:
    """T-17: equivocating leaders that also vote for everything; only they are accused."""
    check(run(seed, with_liars=True))


def test_the_runs_reach_the_rare_paths() -> None:
    """I-18: a run that never meets a rare path proves nothing about it."""
    evidence = both = late = grown = 0
    for seed in range(6):
        network = run(seed, with_liars=True)
        evidence += sum(len(network.nodes[index].evidence) for index in network.honest)
        both += sum(
            1 for kinds in network.checker.kinds.values() if {int(VoteKind.NOTARIZE), int(VoteKind.NULLIFY)} <= kinds
        )
        views = [view for _, _, view in network.checker.votes]
        grown += max(views) > 20
        late += sum(1 for node in network.nodes if node.incarnation > 1)
    assert evidence > 0
    assert both > 0
    assert grown > 0
    assert late > 0
