"""Whole replicas in schedules that random runs seldom find and that would leave a network standing."""

from consensus.messages import Proposal, VoteKind
from node.replica import inputs
from node.wire.ids import MemberId
from node.wire.messages import Message
from tests.sim.swarm import QUICK
from tests.sim.world import World

LAG_MAX = 16


def test_blocks_above_what_may_be_executed_are_empty_and_then_batches_flow() -> None:
    """T-43: more than sixteen blocks are notarized, none of which can be final, as one node nullified each before.

    A rule that forbade blocks so far above the executed height would leave none that anybody may propose, for good.
    """
    world = World(7, timing=QUICK)
    world.start_all()
    world.run(2_500)
    world.node(3).crash()
    late = world.node(2)
    held: list[tuple[MemberId, Proposal]] = []

    def hold(source: MemberId, target: MemberId, message: Message) -> bool:
        if not isinstance(message, Proposal) or source == late.member:
            # Its own proposals reach nobody, so that no view of its own becomes final.
            return not isinstance(message, Proposal)
        if target != late.member or (0, int(VoteKind.NULLIFY), message.view) in late.disk.votes:
            return True
        held.append((source, message))
        return False

    def release() -> None:
        for source, proposal in tuple(held):
            if (0, int(VoteKind.NULLIFY), proposal.view) in late.disk.votes:
                held.remove((source, proposal))
                late.later((1, 2), inputs.MessageReceived(source, proposal))
        world.after(10, release)

    world.message_filter = hold
    release()
    height = world.node(0).disk.height
    world.node(0).submit(1)
    world.node(1).submit(1)

    def is_far_above() -> bool:
        return len(world.checker.votes.notarized) > height + LAG_MAX + 4

    assert world.run(300_000, until=is_far_above, look_ms=100)
    assert world.node(0).disk.height == height
    empty = [block.header.batch_count == 0 for block in world.node(0).disk.blocks.values()]
    assert sum(empty) >= 4
    world.message_filter = None
    world.node(0).submit(1)
    world.settle(within_ms=60_000)
