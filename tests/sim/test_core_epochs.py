"""Directed schedules through the ends of epochs: executed heights, seals, rejoining. Random runs rarely meet them.

The ids are those of the scenario list.
"""

import dataclasses
from collections.abc import Callable

import pytest

from consensus.elector import epoch_shift, leader_of
from consensus.inputs import TimerFired, TimerId
from consensus.messages import (
    FLAG_EPOCH_END,
    Block,
    Certificate,
    CoreMessage,
    Proposal,
    Subject,
    Vote,
    VoteKind,
    payload_digest,
)
from consensus.scheme import vote_signing_bytes
from consensus.timing import Timing
from consensus.types import Digest, Height, View
from tests.sim.core_network import CoreNetwork
from tests.sim.core_node import SimNode
from tests.sim.core_state import NETWORK_ID, UNEXECUTED_MAX, decode_payload, digest_of
from tests.support.fake_keys import fake_signature

QUICK = Timing(
    propose_ms=200, advance_ms=300, retry_ms=200, tail_ms=200, heartbeat_ms=3_000, status_ms=400, skip_ms=1_500
)


def leader_in(node: SimNode, view: int) -> int:
    """Return which node leads that view of the epoch that `node` is in."""
    shift = epoch_shift(digest_of(node.disk.start.anchor))
    return node.members[leader_of(View(view), validator_count=len(node.members), shift=shift)]


def view_of(node: SimNode) -> int:
    return node.core.view if node.core is not None else 0


def is_about(message: CoreMessage, kind: VoteKind) -> bool:
    return isinstance(message, Vote | Certificate) and message.subject.kind == kind


def seals(network: CoreNetwork) -> list[Block]:
    chain = max((node.disk.chain for node in network.nodes), key=len)
    return [block for block in chain if block.header.flags & FLAG_EPOCH_END]


def nobody_stopped(network: CoreNetwork, *without: int) -> bool:
    nodes = [node for node in network.nodes if node.index not in without]
    return all(node.halted is None and not node.alarms for node in nodes)


def accused(network: CoreNetwork, *without: int) -> set[int]:
    """Return which nodes those other than `without` hold something provable against."""
    return {found for node in network.nodes if node.index not in without for found in node.accused}


# T-30: the set changes.


@pytest.mark.parametrize(
    ("size", "validators", "change"),
    [
        (5, 4, (0, 1, 2, 3, 4)),
        (5, 5, (0, 1, 2, 3)),
        (5, 4, (0, 1, 2, 4)),
        (9, 7, (0, 1, 2, 3, 4, 7, 8)),
        (2, 1, (0, 1)),
        (2, 2, (1,)),
    ],
)
def test_validators_are_added_removed_and_replaced(size: int, validators: int, change: tuple[int, ...]) -> None:
    """T-30: every node goes over to the same set at the same block; whoever was removed goes on following."""
    network = CoreNetwork(size, validators=validators)
    network.start()
    network.submit(1)
    network.run_until(lambda: network.is_final(1), within_ms=2_000)
    network.change_to(*change)
    taken_ms = network.run_until(lambda: network.are_in_epoch(1), within_ms=10_000)
    assert taken_ms < 1_000, "a change is work, so nobody waits for a timer"
    assert all(node.members == tuple(sorted(change)) for node in network.nodes)
    network.submit(2)
    network.run_until(lambda: network.is_final(2), within_ms=10_000)
    assert nobody_stopped(network)
    assert not accused(network)
    assert len(seals(network)) == 1
    first = next(block for block in network.nodes[0].disk.chain if block.header.epoch == 1)
    assert first.header.executed_height == first.header.height - 1 == seals(network)[0].header.height


def test_a_change_during_a_partition_waits_for_a_quorum_of_the_old_set() -> None:
    """T-30: half of the nodes cannot change the set alone, and the heal carries it through."""
    network = CoreNetwork(6, validators=4)
    network.start()
    network.split((0, 1, 4), (2, 3, 5))
    network.change_to(0, 1, 4, 5)
    network.run_for(20_000)
    assert all(node.epoch == 0 for node in network.nodes)
    network.heal()
    network.run_until(lambda: network.are_in_epoch(1), within_ms=30_000)
    network.submit(1)
    network.run_until(lambda: network.is_final(1), within_ms=10_000)
    assert nobody_stopped(network)


def test_a_node_that_was_away_comes_over_many_ends_of_epochs() -> None:
    """T-32: old messages are answered with what closed that epoch, one epoch after the other."""
    network = CoreNetwork(6, validators=4)
    network.start()
    network.nodes[3].crash()
    for round_number in range(5):
        network.change_to(0, 1, 2, 3 + round_number % 2)
        network.run_until(lambda number=round_number: network.are_in_epoch(number + 1), within_ms=20_000)  # type: ignore[misc] # the default binds the loop's number
    network.nodes[3].start()
    network.run_until(lambda: network.are_in_epoch(5), within_ms=20_000)
    network.submit(1)
    network.run_until(lambda: network.is_final(1), within_ms=20_000)
    assert nobody_stopped(network)


def test_old_members_that_all_moved_on_still_close_the_epoch_for_one_that_did_not() -> None:
    """T-32: the finalize votes never reached it, and nobody of the old epoch is left to vote."""
    network = CoreNetwork(4)

    def keep(source: int, target: int, message: CoreMessage) -> bool:
        return target != 3 or isinstance(message, Proposal) or not is_about(message, VoteKind.FINALIZE)

    network.filter = keep
    network.start()
    network.change_to(0, 1, 2)
    network.run_until(lambda: network.are_in_epoch(1, at=(0, 1, 2)), within_ms=10_000)
    network.heal()
    network.run_until(lambda: network.are_in_epoch(1), within_ms=10_000)


# T-31: seals are proposed again.


@pytest.mark.parametrize("size", [4, 7])
def test_a_seal_notarized_and_not_final_is_proposed_again_until_it_is(size: int) -> None:
    """T-31: no finalize vote meets another for many views; nothing but the seal is proposed, and then it is final."""
    network = CoreNetwork(size)
    network.start()
    network.submit(1)
    network.run_until(lambda: network.is_final(1), within_ms=2_000)
    shown: list[Proposal] = []

    def keep(source: int, target: int, message: CoreMessage) -> bool:
        if isinstance(message, Proposal):
            shown.append(message)
        is_closing = network.nodes[source].epoch == 1
        return is_closing or not (isinstance(message, Vote) and message.subject.kind == VoteKind.FINALIZE)

    # The change itself has to be executed, and so final, before it is due.
    network.change_to(*range(size))
    network.run_until(lambda: len(network.nodes[0].disk.states) > 2, within_ms=2_000)
    network.filter = keep
    network.submit(2)
    start = view_of(network.nodes[0])
    network.run_until(lambda: view_of(network.nodes[0]) >= start + 12, within_ms=60_000)
    assert network.nodes[0].epoch == 0
    again = [proposal for proposal in shown if proposal.block.header.view < proposal.view]
    assert len({proposal.view for proposal in again}) >= 9
    assert len({proposal.block.header.digest() for proposal in again}) == 1
    network.heal()
    network.run_until(lambda: network.are_in_epoch(1), within_ms=10_000)
    network.run_until(lambda: network.is_final(2), within_ms=10_000)
    assert nobody_stopped(network)
    assert not accused(network)
    assert len(seals(network)) == 1


def test_a_seal_outlives_a_crash_of_all_between_two_of_its_views() -> None:
    """T-31, T-21: votes for one block in several views come back from the log, and it is proposed again."""
    network = CoreNetwork(4, timing=QUICK)
    network.start()
    network.change_to(0, 1, 2, 3)
    network.run_until(lambda: len(network.nodes[0].disk.states) > 1, within_ms=2_000)
    network.filter = lambda source, target, message: not is_about(message, VoteKind.FINALIZE)
    for _ in range(6):
        network.run_for(450)
        for node in network.nodes:
            node.crash()
        network.start()
    network.heal()
    network.run_until(lambda: network.are_in_epoch(1), within_ms=10_000)
    assert nobody_stopped(network)


def test_a_node_that_lacks_the_seal_votes_for_it_when_it_is_proposed_again() -> None:
    """T-31: it fetches the body by the notarization, judges it once, and takes part."""
    network = CoreNetwork(4)
    network.start(0, 1, 2, 3)
    network.change_to(0, 1, 2, 3)
    network.run_until(lambda: len(network.nodes[0].disk.states) > 1, within_ms=2_000)
    sealing = next(node for node in network.nodes if node.index == leader_in(node, view_of(node)))
    late = next(
        node for node in network.nodes if node is not sealing and node.index != leader_in(node, view_of(node) + 1)
    )
    network.filter = lambda source, target, message: (
        not is_about(message, VoteKind.FINALIZE) and not (target == late.index and isinstance(message, Proposal))
    )
    network.run_for(300)
    third = next(node for node in network.nodes if node not in (sealing, late))
    network.heal()
    # Now its vote is needed.
    third.crash()
    network.run_until(lambda: network.are_in_epoch(1), within_ms=20_000)


# T-43: finality lags far behind.


class SpoilingNode(SimNode):
    """Gives up a view right after it got the proposal, if it is the first to get it: too late to stop the others."""

    spoiled: dict[int, None] | None = None

    def receive(self, source: int, message: CoreMessage) -> None:
        super().receive(source, message)
        if self.spoiled is None or not isinstance(message, Proposal) or message.view in self.spoiled:
            return
        if message.view == view_of(self):
            self.spoiled[message.view] = None
            self.feed(TimerFired(TimerId.ADVANCE, message.view))


@pytest.mark.parametrize("size", [4, 7])
def test_blocks_are_notarized_in_a_row_while_one_nullifies_each_of_them_first(size: int) -> None:
    """T-43: with f dead, none of them is final; far above the last executed height they are empty, never forbidden."""
    network = CoreNetwork(size)
    alive = tuple(range(size - (size - 1) // 3))
    nodes = [SpoilingNode(network, index) for index in alive]
    network.nodes[: len(alive)] = nodes
    spoiled: dict[int, None] = {}
    for node in nodes:
        node.spoiled = spoiled
    network.start(*alive)
    for item in range(3 * UNEXECUTED_MAX):
        network.submit(item)
        network.run_for(2_500)
    node = nodes[0]
    assert not node.disk.chain
    path = [node.disk.blocks[node.tip]]
    while path[-1].header.parent_digest in node.disk.blocks:
        path.append(node.disk.blocks[path[-1].header.parent_digest])
    assert len(path) > UNEXECUTED_MAX + 3, "the schedule did not get far enough"
    assert all(not decode_payload(block.payload) for block in path if block.header.height > UNEXECUTED_MAX)
    for node in nodes:
        node.spoiled = None
    network.submit(1_000)
    network.run_until(lambda: all(network.is_final(item) for item in (0, 40, 1_000)), within_ms=60_000)
    assert nobody_stopped(network)


# T-44: leaders that claim an executed height.


class ClaimingNode(SimNode):
    """A leader that names the executed height it likes, and shows the proof to whom it likes.

    claim: from what it should name and the parent's, what it names. favourites: who is shown the proof; None for
    all. is_silent_after: says nothing more in a view in which it proposed so.
    """

    claim: Callable[[int, int], int] = staticmethod(lambda honest, parents: honest)
    favourites: tuple[int, ...] | None = None
    is_silent_after = False

    def __init__(self, network: CoreNetwork, index: int) -> None:
        super().__init__(network, index)
        self.false_views: set[int] = set()
        self.raised = 0

    def send(self, target: int, message: CoreMessage) -> None:
        if isinstance(message, Proposal) and message.block.header.height > 1:
            message = self.falsify(message)
            if message.executed_certificate is not None:
                self.raised += 1
                if self.favourites is not None and target not in self.favourites:
                    self.false_views.add(message.view)
                    message = dataclasses.replace(message, executed_certificate=None)
        elif self.is_silent_after and view_of(self) in self.false_views:
            return
        self.network.carry(self.index, target, message)

    def falsify(self, proposal: Proposal) -> Proposal:
        header = proposal.block.header
        parent = self.find_block(header.parent_digest)
        parents = 0 if parent is None else parent.header.executed_height
        claimed = self.claim(header.executed_height, parents)
        if claimed == header.executed_height:
            return proposal
        self.false_views.add(proposal.view)
        state = self.disk.states[claimed].digest if 0 <= claimed < len(self.disk.states) else Digest(bytes(32))
        header = dataclasses.replace(header, executed_height=Height(claimed), state_digest=state)
        seat = self.seat
        assert seat is not None
        subject = Subject(VoteKind.NOTARIZE, self.epoch, proposal.view, proposal.parent_view, header.digest())
        vote = Vote(subject, seat, fake_signature(self.index, vote_signing_bytes(NETWORK_ID, subject)))
        return dataclasses.replace(proposal, block=Block(header, proposal.block.payload), leader_vote=vote)


@pytest.mark.parametrize(
    ("name", "claim", "is_valid"),
    [
        ("not final anywhere", lambda honest, parents: honest + 1, False),
        ("its own height", lambda honest, parents: honest + 3, False),
        ("far ahead", lambda honest, parents: honest + 1_000, False),
        ("never raised", lambda honest, parents: parents, True),
        ("lower than its parent's", lambda honest, parents: parents - 1 if parents else 0, False),
        ("zero", lambda honest, parents: 0, False),
    ],
)
def test_a_leader_that_claims_a_false_executed_height_loses_its_turn_and_nothing_else(
    name: str, claim: Callable[[int, int], int], is_valid: bool
) -> None:
    """T-44: at most one view lost a turn, nobody correct halts, and an old height is legal."""
    network = CoreNetwork(4)
    liar = 2
    node = ClaimingNode(network, liar)
    node.claim = claim
    network.nodes[liar] = node
    network.start()
    rest = (0, 1, 3)
    for item in range(16):
        network.submit(item)
        taken_ms = network.run_until(lambda item=item: network.is_final(item, at=rest), within_ms=10_000)  # type: ignore[misc] # the default binds the loop's item
        assert taken_ms < 3 * network.timing.advance_ms, name
        network.run_for(30)
    assert all(network.nodes[index].halted is None for index in rest)
    assert accused(network, liar) <= {liar}
    assert node.false_views, "the liar never lied"
    chain = network.nodes[0].disk.chain
    assert (any(block.header.proposer == liar and block.header.height > 3 for block in chain)) == is_valid
    assert chain[-1].header.executed_height > 8


def test_a_height_that_is_notarized_and_not_final_is_refused_at_once() -> None:
    """T-44: nobody can be made to wait for what is not final; the liar is named for it."""
    network = CoreNetwork(4)
    liar = 2
    node = ClaimingNode(network, liar)
    node.claim = lambda honest, parents: honest + 1
    network.nodes[liar] = node
    network.start()
    network.submit(0)
    network.run_until(lambda: network.is_final(0), within_ms=2_000)
    # Blocks are notarized above, and none of them becomes final.
    network.filter = lambda source, target, message: (
        not (isinstance(message, Vote) and message.subject.kind == VoteKind.FINALIZE)
    )
    falsified = len(node.false_views)
    for item in range(1, 40):
        network.submit(item)
        network.run_for(300)
        if len(node.false_views) > falsified and network.nodes[0].faults:
            break
    assert accused(network, liar) == {liar}
    assert {fault.why for other in (0, 1, 3) for fault in network.nodes[other].faults} == {
        "bad proposal: no proof that its executed height is final"
    }
    network.heal()
    network.run_until(lambda: network.is_final(1, at=(0, 1, 3)), within_ms=20_000)


@pytest.mark.parametrize("favourites", [(), (0,), (0, 1), (0, 1, 3)])
@pytest.mark.parametrize("is_silent_after", [False, True])
def test_a_proof_shown_to_some_only_makes_nobody_judge_the_block_invalid(
    favourites: tuple[int, ...], is_silent_after: bool
) -> None:
    """T-44: to the others the proposal is refused, which is no verdict; a certificate over it halts nobody."""
    network = CoreNetwork(4)
    liar = 2
    node = ClaimingNode(network, liar)
    node.favourites, node.is_silent_after = favourites, is_silent_after
    network.nodes[liar] = node
    network.start()
    rest = (0, 1, 3)
    for item in range(16):
        network.submit(item)
        network.run_until(lambda item=item: network.is_final(item, at=rest), within_ms=10_000)  # type: ignore[misc] # as above
        network.run_for(30)
    assert node.raised
    assert all(network.nodes[index].halted is None and not network.nodes[index].alarms for index in rest)


def test_a_notarized_block_whose_proof_one_voter_never_saw_is_no_verdict_against_it() -> None:
    """T-44: the same, with the leader's help of the others' votes: the quorum forms and the one left out goes on."""
    network = CoreNetwork(4)
    liar, left_out = 2, 3
    node = ClaimingNode(network, liar)
    node.favourites = (0, 1)
    network.nodes[liar] = node
    network.start()
    for item in range(16):
        network.submit(item)
        network.run_until(lambda item=item: network.is_final(item), within_ms=10_000)  # type: ignore[misc] # as above
        network.run_for(30)
    chain = network.nodes[left_out].disk.chain
    assert any(block.header.proposer == liar and block.header.executed_height > 2 for block in chain)
    assert network.nodes[left_out].halted is None
    assert not network.nodes[left_out].alarms


@pytest.mark.parametrize("slow", [(3,), (0, 1, 2, 3)])
def test_slow_execution_empties_blocks_and_stops_none(slow: tuple[int, ...]) -> None:
    """T-44: voters that have not executed wait without a verdict; the height claimed is one that a quorum has."""
    network = CoreNetwork(4)
    for index in slow:
        network.nodes[index].execution_ms = 4_000
    network.start()
    for item in range(120):
        network.submit(item)
        network.run_for(60)
    network.run_until(lambda: all(network.is_final(item) for item in range(120)), within_ms=60_000)
    assert nobody_stopped(network)
    assert not accused(network)
    chain = network.nodes[0].disk.chain
    if len(slow) == 4:
        assert any(block.header.executed_height < block.header.height - UNEXECUTED_MAX for block in chain)
    network.run_for(10_000)
    network.submit(500)
    assert network.run_until(lambda: network.is_final(500), within_ms=10_000) < 1_000
    last = network.nodes[0].disk.chain[-1].header
    assert last.executed_height == last.height - 1, "it has caught up"


# T-45: changes and seals.


def test_a_change_that_is_due_while_all_rest_is_sealed_at_once() -> None:
    """T-45: an unsealed change is work."""
    network = CoreNetwork(4)
    network.start()
    network.run_for(10_000)
    network.change_to(0, 1, 2)
    assert network.run_until(lambda: network.are_in_epoch(1), within_ms=10_000) < 500


def test_a_seal_names_what_was_due_at_its_executed_height_and_the_rest_waits() -> None:
    """T-45: a second change is queued between the executed height of the seal and the seal: it has its own epoch."""
    network = CoreNetwork(5, validators=4)
    for node in network.nodes:
        node.execution_ms = 300
    network.start()
    network.submit(0)
    network.run_until(lambda: network.is_final(0), within_ms=2_000)
    network.change_to(0, 1, 2, 4)
    network.run_for(150)
    second = network.change_to(0, 1, 3, 4)
    network.run_until(lambda: network.is_final(second), within_ms=5_000)
    network.run_until(lambda: network.are_in_epoch(2), within_ms=20_000)
    found = seals(network)
    covering = next(block for block in network.nodes[0].disk.chain if second in decode_payload(block.payload))
    assert found[0].header.executed_height < covering.header.height < found[0].header.height
    assert [seal.header.epoch for seal in found] == [0, 1]
    assert found[1].header.executed_height == found[0].header.height, "the first block of its epoch"
    assert network.nodes[0].members == (0, 1, 3, 4)
    assert nobody_stopped(network)


def test_execution_that_lags_behind_the_seal_delays_the_next_epoch_only_where_it_lags() -> None:
    """T-45: the seal is final before it is executed; whoever has executed it goes on."""
    network = CoreNetwork(4)
    network.start()
    network.submit(0)
    network.run_until(lambda: network.is_final(0), within_ms=2_000)
    network.nodes[3].execution_ms = 3_000
    network.change_to(0, 1, 2, 3)
    network.run_until(lambda: network.are_in_epoch(1, at=(0, 1, 2)), within_ms=10_000)
    assert network.nodes[3].epoch == 0
    network.submit(1)
    network.run_until(lambda: network.is_final(1, at=(0, 1, 2)), within_ms=10_000)
    network.run_until(lambda: network.are_in_epoch(1), within_ms=20_000)
    network.run_until(lambda: network.is_final(1), within_ms=10_000)
    assert nobody_stopped(network)


def test_branches_carry_different_seals_and_one_becomes_final() -> None:
    """T-45: one seal is notarized where few know it, another stands beside it on the other branch."""
    network = CoreNetwork(4)
    network.start()
    network.submit(0)
    network.run_until(lambda: network.is_final(0), within_ms=2_000)
    network.change_to(0, 1, 2, 3)
    network.run_until(lambda: len(network.nodes[0].disk.states) > 2, within_ms=2_000)
    first = view_of(network.nodes[0])
    holder = leader_in(network.nodes[0], first)

    def keep(source: int, target: int, message: CoreMessage) -> bool:
        # The first seal is notarized at its leader alone; all others give its view up.
        if isinstance(message, Vote | Certificate) and message.subject.view == first:
            return target == holder if message.subject.kind == VoteKind.NOTARIZE else target != holder
        return (source != holder and target != holder) or (isinstance(message, Proposal) and message.view == first)

    network.filter = keep
    rest = tuple(index for index in range(4) if index != holder)
    network.run_until(lambda: all(view_of(network.nodes[index]) > first + 1 for index in rest), within_ms=20_000)
    network.heal()
    network.run_until(lambda: network.are_in_epoch(1), within_ms=20_000)
    known = {
        digest
        for node in network.nodes
        for digest, block in node.disk.blocks.items()
        if block.header.flags & FLAG_EPOCH_END and block.header.epoch == 0
    }
    assert len(known) >= 2, "no rival seal was made"
    assert len(seals(network)) == 1
    assert nobody_stopped(network)


class LowNode(SimNode):
    """A leader whose first block of an epoch names an executed height below the anchor's."""

    def falsified(self, proposal: Proposal) -> Proposal:
        header = proposal.block.header
        lower = self.disk.start.anchor.header.executed_height
        state = self.disk.states[lower]
        header = dataclasses.replace(
            header,
            executed_height=lower,
            state_digest=state.digest,
            flags=FLAG_EPOCH_END if state.due else 0,
            next_epoch_digest=state.due_digest,
            cut_digest=payload_digest(b""),
            batch_count=0,
            transaction_count=0,
        )
        seat = self.seat
        assert seat is not None
        subject = Subject(VoteKind.NOTARIZE, self.epoch, proposal.view, proposal.parent_view, header.digest())
        vote = Vote(subject, seat, fake_signature(self.index, vote_signing_bytes(NETWORK_ID, subject)))
        return dataclasses.replace(proposal, block=Block(header, b""), leader_vote=vote)

    def send(self, target: int, message: CoreMessage) -> None:
        if isinstance(message, Proposal) and message.parent_view == 0 and self.epoch > 0:
            message = self.falsified(message)
        self.network.carry(self.index, target, message)


def test_the_first_block_of_an_epoch_has_executed_its_anchor() -> None:
    """T-45: with a lower height the change would be due once more, and seal follow seal."""
    network = CoreNetwork(4)
    network.start()
    network.submit(0)
    network.run_until(lambda: network.is_final(0), within_ms=2_000)
    network.change_to(0, 1, 2, 3)
    network.run_until(lambda: network.are_in_epoch(1), within_ms=10_000)
    liar = leader_in(network.nodes[0], 1)
    network.nodes[liar].crash()
    old, network.nodes[liar] = network.nodes[liar], LowNode(network, liar)
    network.nodes[liar].disk, network.nodes[liar].items = old.disk, old.items
    network.start(liar)
    network.submit(1)
    rest = tuple(index for index in range(4) if index != liar)
    network.run_until(lambda: network.is_final(1, at=rest), within_ms=20_000)
    assert len(seals(network)) == 1
    assert any(node.alarms for node in network.nodes if node.index in rest)
    assert all(node.halted is None for node in network.nodes if node.index in rest)


# T-50: lost disks across the ends of epochs.


def wipe(network: CoreNetwork, index: int) -> None:
    if network.nodes[index].is_up:
        network.nodes[index].crash()
    network.nodes[index].wipe()
    network.start(index)


def move_one_on(seed: int, one: int) -> CoreNetwork:
    """Return a network in which `one` alone has heard of the end of epoch 0."""
    network = CoreNetwork(4, seed=seed, timing=QUICK)
    network.start()
    network.submit(seed)
    network.run_until(lambda: network.is_final(seed), within_ms=2_000)
    network.change_to(0, 1, 2, 3)
    network.run_until(lambda: len(network.nodes[0].disk.states) > 2, within_ms=2_000)
    network.filter = lambda source, target, message: target == one or not is_about(message, VoteKind.FINALIZE)
    network.run_until(lambda: network.nodes[one].epoch == 1, within_ms=10_000)
    return network


def move_the_first_leader_on(seed: int) -> tuple[CoreNetwork, SimNode]:
    """Return a network in which the one node that is in epoch 1 leads view 1 there."""
    for number in range(50):
        for one in range(4):
            network = move_one_on(seed * 50 + number, one)
            if leader_in(network.nodes[one], 1) == one:
                return network, network.nodes[one]
    raise AssertionError("no schedule found")


@pytest.mark.parametrize("seed", range(6))
def test_a_vote_in_a_new_epoch_is_not_forgotten_by_rejoining_through_peers_in_the_old_one(seed: int) -> None:
    """T-50: it voted in view 1 of epoch 1, lost its disk, and asked peers that were all still in epoch 0.

    Each epoch entered starts with asking its set again, up to the first whose anchor covers an item made since.
    """
    network, node = move_the_first_leader_on(seed)
    one = node.index
    network.filter = lambda source, target, message: (
        one not in (source, target) and not is_about(message, VoteKind.FINALIZE)
    )
    node.learn([700])
    network.run_until(lambda: (one, int(VoteKind.NOTARIZE), 1, 1) in network.checker.votes, within_ms=5_000)
    assert all(other.epoch == 0 for other in network.nodes if other is not node)
    node.crash()
    node.wipe()
    node.items = {item: None for item in node.items if item != 700}
    network.heal()
    network.filter = lambda source, target, message: not is_about(message, VoteKind.FINALIZE)
    node.start()
    network.run_until(lambda: bool(node.guards), within_ms=5_000)
    assert node.guards[0][0] == 0
    network.heal()
    network.run_until(lambda: network.are_in_epoch(1), within_ms=20_000)
    network.submit(800)
    network.run_until(lambda: network.is_final(800), within_ms=60_000)
    assert [epoch for epoch, _ in node.guards] == [0, 1], "it asked in each epoch that it entered"
    assert node.guards[1][1] >= 2
    # Once an anchor's chain covers what it made after the loss, no old vote of it can exist.
    network.run_until(lambda: network.is_final(node.disk.noop), within_ms=60_000)
    network.change_to(0, 1, 2, 3)
    network.run_until(lambda: network.are_in_epoch(2), within_ms=60_000)
    assert not node.disk.must_rejoin
    network.submit(900)
    network.run_until(lambda: network.is_final(900), within_ms=20_000)
    assert nobody_stopped(network)


def lose_the_disk_two_views_ahead(margin: int) -> CoreNetwork:
    """Let the leader of view 3 vote there while all others know of view 1 only; then it loses its disk and rejoins.

    margin: what it adds to the highest certified view that it is told of.
    """
    network = CoreNetwork(4, timing=QUICK)
    network.guard_margin = margin
    ahead = network.nodes[leader_in(network.nodes[0], 3)]
    network.start()
    network.submit(1)
    network.run_until(lambda: network.is_final(1), within_ms=2_000)

    def keep(source: int, target: int, message: CoreMessage) -> bool:
        # Votes for the block of view 2 meet at one node, and nobody hears of it.
        if source == ahead.index and view_of(ahead) >= 2:
            return False
        return target == ahead.index or not (is_about(message, VoteKind.NOTARIZE) and message.subject.view == 2)  # type: ignore[union-attr] # one with a subject

    network.filter = keep
    network.submit(2)
    network.run_until(lambda: view_of(ahead) == 3, within_ms=2_000)
    ahead.learn([3])
    network.run_until(lambda: (ahead.index, int(VoteKind.NOTARIZE), 3) in network.checker.votes, within_ms=2_000)
    assert all(view_of(node) == 2 for node in network.nodes if node is not ahead)
    ahead.crash()
    ahead.wipe()
    ahead.items = {1: None, 2: None, 4: None}
    # The others do not give view 2 up: their votes for its block will meet after all.
    network.filter = lambda source, target, message: not is_about(message, VoteKind.NULLIFY)
    ahead.start()
    network.run_until(lambda: bool(ahead.guards), within_ms=5_000)
    network.run_for(3_000)
    return network


def test_a_guard_two_above_what_others_hold_covers_all_that_may_be_forgotten() -> None:
    """T-50: a vote in view v needs a certificate of v - 1, so the others hold one of v - 2 at least."""
    network = lose_the_disk_two_views_ahead(2)
    network.heal()
    network.submit(5)
    network.run_until(lambda: network.is_final(5), within_ms=60_000)
    assert nobody_stopped(network)


@pytest.mark.parametrize("margin", [0, 1])
def test_a_lower_guard_would_have_the_node_vote_twice(margin: int) -> None:
    """T-50: the same schedule finds it out, so that the test above means something."""
    with pytest.raises(AssertionError, match="votes twice"):
        lose_the_disk_two_views_ahead(margin)


def test_all_nodes_start_for_the_first_time_together() -> None:
    """T-50: logs made with their keys may vote from view 1; were every first start a rejoin, no network could begin."""
    network = CoreNetwork(4)
    network.start()
    network.submit(1)
    assert network.run_until(lambda: network.is_final(1), within_ms=1_000) < 50
    assert all(not node.guards for node in network.nodes)


@pytest.mark.parametrize("size", [4, 7])
def test_a_wiped_node_rejoins_votes_above_its_guard_and_then_another_may_be_repaired(size: int) -> None:
    """T-50, T-24: one after the other; in between the item made after the loss has become final."""
    network = CoreNetwork(size, timing=QUICK)
    network.start()
    for item in range(5):
        network.submit(item)
        network.run_for(100)
    for index in (1, 2):
        node = network.nodes[index]
        wipe(network, index)
        network.run_until(lambda node=node: bool(node.guards), within_ms=10_000)  # type: ignore[misc] # the default binds the loop's value
        guard = node.guards[-1][1]
        network.run_until(
            lambda node=node, guard=guard: network.is_final(node.disk.noop) and view_of(node) > guard,  # type: ignore[misc] # as above
            within_ms=60_000,
        )
        network.submit(100 + index)
        network.run_until(lambda index=index: network.is_final(100 + index), within_ms=20_000)  # type: ignore[misc] # as above
        assert any(key[0] == index and key[2] > guard for key in network.checker.votes)
    assert nobody_stopped(network)


@pytest.mark.parametrize("seed", range(3))
def test_f_nodes_wiped_at_once_rejoin_under_load_and_partition(seed: int) -> None:
    """T-24: two of seven lose their disks together; the cut keeps too many answers away until it heals."""
    network = CoreNetwork(7, seed=seed, timing=QUICK)
    network.start()
    for item in range(60):
        network.submit(item)
        network.run_for(70)
        if item == 20:
            for index in (2, 5):
                wipe(network, index)
            network.split((0, 1, 2), (3, 4, 5, 6))
        if item == 40:
            assert not network.nodes[2].guards
            assert not network.nodes[5].guards
            network.heal()
    network.run_until(lambda: all(network.is_final(item) for item in range(60)), within_ms=60_000)
    for index in (2, 5):
        guard = network.nodes[index].guards[-1][1]
        network.run_until(
            lambda index=index, guard=guard: any(key[0] == index and key[2] > guard for key in network.checker.votes),  # type: ignore[misc] # the default binds the loop's value
            within_ms=60_000,
        )
    assert nobody_stopped(network)


def test_a_node_wiped_without_all_others_reachable_waits_and_says_nothing() -> None:
    """T-50: at n = 4 all three others must answer; two are not enough, however long it takes."""
    network = CoreNetwork(4, timing=QUICK)
    network.start()
    network.submit(1)
    network.run_until(lambda: network.is_final(1), within_ms=2_000)
    network.nodes[0].crash()
    wipe(network, 1)
    before = set(network.checker.votes)
    network.submit(2)
    network.run_for(60_000)
    assert not network.nodes[1].guards
    assert not any(key[0] == 1 for key in set(network.checker.votes) - before)
    network.start(0)
    network.run_until(lambda: network.is_final(2), within_ms=60_000)


def test_a_node_wiped_while_the_set_is_replaced_follows_and_votes_where_it_is_seated() -> None:
    """T-50: the set that it comes back to is not the one that it knew."""
    network = CoreNetwork(6, validators=4, timing=QUICK)
    network.start()
    network.submit(1)
    network.run_until(lambda: network.is_final(1), within_ms=2_000)
    network.nodes[2].crash()
    network.change_to(0, 2, 3, 4)
    network.run_until(lambda: network.are_in_epoch(1), within_ms=20_000)
    network.nodes[2].wipe()
    network.start(2)
    network.run_until(lambda: network.are_in_epoch(1), within_ms=20_000)
    network.run_until(lambda: bool(network.nodes[2].guards), within_ms=10_000)
    network.change_to(0, 2, 4, 5)
    network.run_until(lambda: network.are_in_epoch(2), within_ms=60_000)
    network.submit(2)
    network.run_until(lambda: network.is_final(2), within_ms=60_000)
    assert nobody_stopped(network)


# T-20 and T-32: the crash inside the switch.


def test_a_crash_before_any_effect_around_the_end_of_an_epoch_never_makes_a_node_vote_twice() -> None:
    """T-20, T-32: between the final seal, its execution, the record of the new epoch and the first vote in it."""
    boundary = 0
    while True:
        network = CoreNetwork(4, seed=boundary, timing=QUICK)
        network.start()
        network.submit(0)
        network.run_until(lambda: network.is_final(0), within_ms=2_000)  # noqa: B023 # called at once
        victim = network.nodes[boundary % 4]
        victim.effects_left = boundary
        network.change_to(0, 1, 2, 3)
        network.submit(1)
        network.run_for(150)
        network.submit(2)
        network.run_for(150)
        has_crashed = not victim.is_up
        if has_crashed:
            victim.start()
        else:
            victim.effects_left = None
        network.submit(3)
        network.run_until(lambda: network.are_in_epoch(1) and network.is_final(3), within_ms=30_000)  # noqa: B023 # called at once
        assert nobody_stopped(network)
        if not has_crashed:
            break
        boundary += 1
    # The run has to be long enough to mean something: a block, a seal, the record of the epoch, votes in it.
    assert boundary > 60
