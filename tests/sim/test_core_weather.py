"""Cores on networks that lose, delay, repeat, cut and flap. The ids are those of the scenario list."""

from collections.abc import Callable
from functools import partial

import pytest

from consensus.messages import CoreMessage
from tests.sim.core_network import CoreNetwork


def finalize(network: CoreNetwork, items: range, *, at: tuple[int, ...] = (), within_ms: int) -> None:
    """Have these become final one after the other."""
    for item in items:
        network.submit(item)
        network.run_until(lambda item=item: network.is_final(item, at=at), within_ms=within_ms)  # type: ignore[misc] # the default binds the loop's item


def stormy(loss_percent: int) -> CoreNetwork:
    """A network that loses so many messages, delays each by up to 350 ms in any order, and repeats one in five."""
    network = CoreNetwork(4, seed=loss_percent)
    network.latency = (50, 350)
    network.loss_percent = loss_percent

    def twice(source: int, target: int, message: CoreMessage) -> bool:
        if network.random.randrange(5) == 0:
            network.post(source, target, lambda: network.deliver(source, target, message))
        return True

    network.filter = twice
    network.start()
    return network


@pytest.mark.parametrize("loss_percent", [10, 30, 50])
def test_items_become_final_though_half_of_all_messages_are_lost(loss_percent: int) -> None:
    """T-06: whatever was lost comes again with a status; nobody is blamed for what the network repeats."""
    traces = []
    for _ in range(2):
        network = stormy(loss_percent)
        finalize(network, range(4), within_ms=120_000)
        assert all(not node.faults and not node.evidence for node in network.nodes)
        traces.append(network.trace.digest())
    assert traces[0] == traces[1], "the same seed gives the same trace"


@pytest.mark.parametrize(
    "groups",
    [((0, 1), (2, 3)), ((0,), (1,), (2, 3)), ((0, 1), (1, 2), (2, 3), (3, 0))],
    ids=["halves", "pieces", "ring"],
)
def test_without_a_quorum_that_hears_itself_nothing_is_final_and_a_heal_suffices(
    groups: tuple[tuple[int, ...], ...],
) -> None:
    """T-09: halves, three pieces, and a ring in which everybody hears two others.

    In the ring each node hears a quorum with itself, so there things may become final; nowhere do they fork.
    """
    network = CoreNetwork(4)
    network.start()
    finalize(network, range(1), within_ms=2_000)
    network.split(*groups)
    network.submit(10)
    network.run_for(30_000)
    if all(len(group) < 3 for group in groups) and len(groups) < 4:
        assert not any(network.is_final(10, at=(index,)) for index in range(4))
    network.heal()
    network.run_until(lambda: network.is_final(10), within_ms=20_000)


def test_the_majority_goes_on_without_whom_it_cannot_hear() -> None:
    """T-09: one against three; back again, it catches up by certificates."""
    network = CoreNetwork(4)
    network.start()
    network.split((0, 1, 2), (3,))
    finalize(network, range(5), at=(0, 1, 2), within_ms=10_000)
    assert not network.is_final(0, at=(3,))
    network.heal()
    network.run_until(lambda: network.is_final(4), within_ms=20_000)


@pytest.mark.parametrize("is_deaf", [True, False], ids=["hears-nobody", "heard-by-nobody"])
def test_a_link_that_works_one_way_only_stops_nobody_else(is_deaf: bool) -> None:
    """T-09: asymmetric cuts cost the one node its part, and no more."""
    network = CoreNetwork(4)
    network.start()
    network.cut_links = {(peer, 3) if is_deaf else (3, peer) for peer in range(3)}
    finalize(network, range(4), at=(0, 1, 2), within_ms=20_000)
    network.heal()
    network.run_until(lambda: network.is_final(3), within_ms=20_000)


def test_links_that_flap_delay_and_never_fork() -> None:
    """T-09: every two seconds another half is cut off; progress comes with the heal at the latest."""
    network = CoreNetwork(4)
    network.start()
    halves: list[tuple[tuple[int, ...], tuple[int, ...]]] = [((0, 1), (2, 3)), ((0, 2), (1, 3)), ((0, 3), (1, 2))]
    for turn in range(12):
        network.split(*halves[turn % 3])
        network.submit(turn)
        network.run_for(2_000)
        network.heal()
        network.run_for(50)
    network.run_until(lambda: all(network.is_final(turn) for turn in range(12)), within_ms=20_000)


def test_validators_that_come_one_by_one_over_half_an_hour_begin_with_the_quorum() -> None:
    """T-12: nobody waits for more than a quorum, and who comes last follows."""
    network = CoreNetwork(4)
    network.submit(1)
    for index in range(4):
        network.start(index)
        network.submit(1, to=(index,))
        if index < 2:
            network.run_for(600_000)
            assert not network.nodes[index].disk.chain
        else:
            up = tuple(range(index + 1))
            network.run_until(partial(network.is_final, 1, at=up), within_ms=20_000)
            network.run_for(600_000)
    # All of them had given up many views alone; now they agree at the old speed.
    network.submit(2)
    assert network.run_until(lambda: network.is_final(2), within_ms=5_000) <= 2_500


def delayed(network: CoreNetwork, slow: tuple[int, ...], judge_ms: int) -> None:
    """Have these nodes take so long to judge what others propose."""
    for index in slow:
        node = network.nodes[index]
        judge: Callable[[], None] = node.judge_all
        # On purpose: this node's own way to judge, put off.
        node.judge_all = partial(network.later, judge_ms, judge, node=node)  # type: ignore[method-assign]  # As above.


@pytest.mark.parametrize(("size", "slow"), [(4, (3,)), (7, (5, 6))])
def test_f_validators_that_judge_for_ten_seconds_hold_up_no_other(size: int, slow: tuple[int, ...]) -> None:
    """T-04: a quorum without them notarizes and finalizes; they vote late or not at all, and follow."""
    network = CoreNetwork(size)
    delayed(network, slow, 10_000)
    network.start()
    others = tuple(index for index in range(size) if index not in slow)
    for item in range(8):
        network.submit(item)
        taken_ms = network.run_until(lambda item=item: network.is_final(item, at=others), within_ms=5_000)  # type: ignore[misc] # as above
        assert taken_ms <= 50
        network.run_for(200)
    network.run_until(lambda: network.is_final(7), within_ms=40_000)
    assert all(not node.faults for node in network.nodes)
