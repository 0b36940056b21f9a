"""Seeded random runs of cores: loss, partitions, crashes, a liar; safety throughout, progress once healed.

LOTVINE_SIM_SEEDS runs more of them. A failing seed prints itself; it becomes a named test here.
"""

import os
from collections.abc import Sequence

import pytest

from consensus.messages import FLAG_EPOCH_END, VoteKind
from consensus.timing import Timing
from tests.sim.core_byzantine import LyingNode
from tests.sim.core_network import CoreNetwork
from tests.sim.core_node import SimNode

SEEDS = range(int(os.environ.get("LOTVINE_SIM_SEEDS", "6")))


class RandomNetwork(CoreNetwork):
    """A network in which f nodes may lie, and the first of all may be spared to vote from the start."""

    def __init__(
        self, size: int, *, liars: Sequence[int], seed: int, timing: Timing, validators: int | None = None
    ) -> None:
        self.liars = tuple(liars)
        super().__init__(size, seed=seed, timing=timing, validators=validators)

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


def disturb_validators(network: RandomNetwork, wiped: list[int]) -> None:
    """Change the validators, slow an execution down, or lose a disk.

    wiped: the nodes whose disks were lost and that are not repaired. Only honest nodes lose theirs, and only while f
    bears one fault more (T-24).
    """
    chance = network.random
    match chance.randrange(6):
        case 0 | 1:
            seats = len(network.members) - len(network.liars)
            network.change_to(*network.liars, *chance.sample(network.honest, seats))
        case 2:
            chance.choice(network.nodes).execution_ms = chance.choice([2, 2, 50, 1_000])
        case 3:
            wiped[:] = [index for index in wiped if not is_repaired(network.nodes[index], network)]
            if len(network.liars) + len(wiped) < (len(network.members) - 1) // 3:
                node = network.nodes[chance.choice([index for index in network.honest if index not in wiped])]
                if node.is_up:
                    node.crash()
                node.wipe()
                node.start()
                wiped.append(node.index)
        case _:
            pass


def is_repaired(node: SimNode, network: RandomNetwork) -> bool:
    """Return whether a node that lost its disk counts among the correct again, so that another may lose its own."""
    if not node.is_up or not node.disk.noop or node.answers is not None or node.core is None:
        return False
    holders = [other for other in network.nodes if node.disk.noop in other.disk.covered]
    is_past = not node.guards or node.guards[-1][0] < node.epoch or node.core.view > node.guards[-1][1]
    return len(holders) == network.size and is_past


def run(seed: int, *, with_liars: bool, with_changes: bool = False) -> RandomNetwork:
    """Disturb, heal, and expect everything to become final at all honest nodes."""
    size = (4, 5, 7)[seed % 3]
    timing = Timing(
        propose_ms=300, advance_ms=500, retry_ms=300, tail_ms=300, heartbeat_ms=3_000, status_ms=500, skip_ms=2_000
    )
    liars = range((size - 1) // 3) if with_liars else ()
    spare = 2 if with_changes else 0
    network = RandomNetwork(size + spare, liars=liars, seed=seed, timing=timing, validators=size)
    network.start()
    item = 0
    wiped: list[int] = []
    for _ in range(120):
        disturb(network)
        if with_changes and network.random.randrange(3) == 0:
            disturb_validators(network, wiped)
        if network.random.randrange(2):
            network.submit(item)
            item += 1
        network.run_for(network.random.randrange(400))
    network.heal()
    network.latency = (1, 10)
    for node in network.nodes:
        node.effects_left = None
        node.execution_ms = 2
        if not node.is_up:
            node.start()
    wanted = (*range(item + 1), *network.changes)
    network.submit(*wanted)
    network.run_until(lambda: all(network.is_final(number, at=network.honest) for number in wanted), within_ms=60_000)
    return network


def check(network: RandomNetwork) -> None:
    """No honest node stopped, and none was accused by another."""
    for index in network.honest:
        node = network.nodes[index]
        assert node.halted is None
        assert node.accused <= set(network.liars), f"{index} accuses {node.accused}: {node.faults}"


@pytest.mark.parametrize("seed", SEEDS)
def test_honest_nodes_agree_and_recover_from_loss_partitions_and_crashes(seed: int) -> None:
    """I-1 to I-6, I-8, I-11 and I-13 at every step; all items final after the heal."""
    check(run(seed, with_liars=False))


@pytest.mark.parametrize("seed", SEEDS)
def test_f_liars_neither_fork_nor_stop_the_others(seed: int) -> None:
    """T-17: equivocating leaders that also vote for everything; only they are accused."""
    check(run(seed, with_liars=True))


@pytest.mark.parametrize("with_liars", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_validators_change_under_chaos_and_lost_disks(seed: int, with_liars: bool) -> None:
    """T-30, T-31, T-45, T-50: one seal an epoch, no vote twice, all changes enacted, all items final after the heal."""
    network = run(seed, with_liars=with_liars, with_changes=True)
    check(network)
    network.run_until(lambda: len({network.nodes[index].epoch for index in network.honest}) == 1, within_ms=30_000)


def test_the_runs_reach_rival_seals_and_seals_proposed_again() -> None:
    """I-18: else the runs above prove nothing about them."""
    rivals = again = rejoined = 0
    for seed in range(8):
        network = run(seed, with_liars=bool(seed % 2), with_changes=True)
        sealed: dict[int, set[bytes]] = {}
        for index in network.honest:
            for digest, block in network.nodes[index].disk.blocks.items():
                if block.header.flags & FLAG_EPOCH_END:
                    sealed.setdefault(block.header.epoch, set()).add(digest)
        rivals += sum(1 for digests in sealed.values() if len(digests) > 1)
        named = [digest for key, (digest, _) in network.checker.votes.items() if key[1] == VoteKind.NOTARIZE]
        seals = set().union(*sealed.values())
        again += sum(1 for digest in seals if named.count(digest) > len(network.members))
        rejoined += sum(1 for node in network.nodes if node.guards)
    assert rivals > 0
    assert again > 0
    assert rejoined > 0


def test_the_runs_reach_the_rare_paths() -> None:
    """I-18: a run that never meets a rare path proves nothing about it."""
    evidence = both = late = grown = 0
    for seed in range(6):
        network = run(seed, with_liars=True)
        evidence += sum(len(network.nodes[index].evidence) for index in network.honest)
        both += sum(
            1 for kinds in network.checker.kinds.values() if {int(VoteKind.NOTARIZE), int(VoteKind.NULLIFY)} <= kinds
        )
        views = [key[2] for key in network.checker.votes]
        grown += max(views) > 20
        late += sum(1 for node in network.nodes if node.incarnation > 1)
    assert evidence > 0
    assert both > 0
    assert grown > 0
    assert late > 0
