"""Whole replicas whose feeds end, begin, stand still or are flooded while batches wait to be cut."""

import pytest

from consensus.types import Digest
from node.ledger.batch import decode_batch_header
from node.ledger.changes import AddMember, NewFeed, RemoveMember, SetParameters, SetRole, sign_rotation
from node.ledger.roster import Parameters, Role
from node.ledger.state import WriteSet
from node.ledger.verdicts import TransactionCode
from node.wire.ids import FeedNumber, MemberId
from node.wire.messages import BatchData, Message, RejoinAnswer
from tests.sim.governing import approve, build_member, carry, epoch_of, propose, reach
from tests.sim.node import SimNode
from tests.sim.world import World
from tests.support.memory_state import MemoryState
from tests.support.networks import build_key


def build_world(*, validators: int = 4, members: int = 0, seed: int = 7) -> World:
    """A network that has been up for a moment and has agreed on something."""
    world = World(seed, validators=validators, members=members)
    world.start_all()
    world.run(1_500)
    for node in world.nodes.values():
        node.submit(1)
    world.settle(within_ms=10_000)
    return world


def hide_batches(world: World, member: MemberId) -> None:
    """Let nobody learn of the batches that this member's node seals from now on."""

    def hides(source: MemberId, _: MemberId, message: Message) -> bool:
        return source != member or not isinstance(message, BatchData)

    world.message_filter = hides


def is_final(world: World, transactions: tuple[Digest, ...]) -> bool:
    """Whether all of these are executed at every node that runs and takes part."""
    return all(transaction in node.disk.state.transactions for node in world.members_up for transaction in transactions)


def rotate(world: World, number: int, *, by: int) -> None:
    """Give a node another key by vote, and begin its life with it once that is in force."""
    node = world.node(number)
    key = build_key(f"{node.member} at {world.now_ms}")
    roster = world.rosters[max(world.rosters)]
    change = sign_rotation(
        world.genesis.network_id, node.member, FeedNumber(roster.members[node.member].feed_number + 1), key
    )
    carry(world, change, by=by)
    node.take_up(key)


def test_what_stands_uncut_when_a_key_is_rotated_is_sealed_again_and_counts_once() -> None:
    """T-47: the old feed ends at the cut; with its new key the node puts the same transactions on the new feed."""
    world = build_world()
    node = world.node(2)
    hide_batches(world, node.member)
    hidden = (*node.submit(2), *node.submit(1))
    world.run(100)
    rotate(world, 2, by=0)
    world.message_filter = None
    assert world.run(20_000, until=lambda: is_final(world, hidden))
    world.settle(within_ms=20_000)
    feeds = {tip.feed.number for tip in node.disk.tips.values() if tip.feed.member == node.member}
    assert feeds == {0, 1}
    # The new key votes: it is needed with two others.
    world.node(0).crash()
    later = node.submit(1)
    assert world.run(20_000, until=lambda: is_final(world, later)), "the new feed goes on after what was sealed again"
    world.settle(within_ms=20_000)


def test_a_batch_on_its_way_when_the_feed_ends_is_judged_by_nobody() -> None:
    """T-47: some have executed the end of the epoch and some have not; no batch, and nobody, is judged wrong."""
    world = build_world()
    for node in world.nodes.values():
        node.execute_ms = (0, 3) if node.member in ("firm-0", "firm-1") else (200, 600)
    node = world.node(2)
    begun = epoch_of(node)
    proposal = propose(world.node(0), NewFeed(node.member))
    assert world.run(10_000, until=lambda: all(proposal in each.disk.state.transactions for each in world.up))
    for each in world.up[1:]:
        approve(each, proposal)
    transactions: list[Digest] = []
    for _ in range(60):
        transactions.extend(node.submit(1))
        world.run(50)
    reach(world, world.up, begun + 1)
    assert world.run(30_000, until=lambda: is_final(world, tuple(transactions)))
    world.settle(within_ms=20_000)
    assert not any(each.faults for each in world.up)
    assert not any("invalid" in why for each in world.up for why in each.alarms)


def test_a_removed_members_uncut_batches_are_no_work_and_are_told_as_lost() -> None:
    """T-47: nobody waits for what never becomes final; its owner says so."""
    world = build_world(validators=5)
    node = world.node(4)
    hide_batches(world, node.member)
    lost = node.submit(2)
    world.run(100)
    for transaction in lost:
        del world.checker.chain.accepted[transaction]
    carry(world, SetRole(node.member, Role.OBSERVER))
    world.message_filter = None
    assert any("never will be" in why for why in node.alarms)
    world.settle(within_ms=20_000)
    height = world.node(0).disk.height
    world.run(20_000)
    assert world.node(0).disk.height == height, "an idle network makes no blocks for them"


@pytest.mark.parametrize("change", ["removed", "added"])
def test_batches_of_whom_some_do_not_know_are_left_aside_and_fetched_when_named(change: str) -> None:
    """T-47: a node that lags behind an end of an epoch meets feeds that do not exist for it, and blames nobody."""
    world = build_world(validators=5)
    laggard = world.node(3)
    laggard.execute_ms = (700, 900)
    added, removed = AddMember(build_member(5, Role.MEMBER)), RemoveMember(MemberId("firm-4"))
    newcomer = world.add_node(MemberId("firm-5")) if change == "added" else world.node(2)
    proposal = propose(world.node(0), added if change == "added" else removed)
    assert world.run(10_000, until=lambda: all(proposal in each.disk.state.transactions for each in world.up))
    for each in world.up[1:]:
        approve(each, proposal)
    fast = [each for each in world.up if each is not laggard and each.member != "firm-4"]
    reach(world, fast, 1)
    if change == "added":
        newcomer.start()
        reach(world, [newcomer], 1)
    else:
        world.node(4).crash()
    transactions = newcomer.submit(3)
    assert world.run(20_000, until=lambda: is_final(world, transactions))
    world.settle(within_ms=20_000)
    assert not any(each.faults for each in world.up)


def test_a_flood_on_one_feed_keeps_no_other_out() -> None:
    """T-48: blocks are cut fairly across feeds, before and after governance makes them smaller."""
    world = build_world(members=1)
    flooder, small = world.node(4), world.node(1)
    for batches_max in (256, 3):
        if batches_max == 3:
            carry(world, SetParameters(Parameters(block_batches_max=3)), by=1)
        for _ in range(150):
            flooder.submit(30, size=100)
            world.run(5)
        begun_ms = world.now_ms
        transactions = small.submit(1)
        assert world.run(10_000, until=lambda sent=transactions: is_final(world, sent), look_ms=5)  # type: ignore[misc]  # The default binds.
        assert world.now_ms - begun_ms < 2_000, "it does not wait for what stood before it on another feed"
        world.settle(within_ms=60_000)


def crash_after(node: SimNode, effects: int) -> None:
    """Submit, and let the node stop after so many of the effects that follow."""
    node.effects_left = effects
    node.submit(1)


@pytest.mark.parametrize("effects", range(8))
def test_a_crash_between_a_batchs_writes_and_its_sending_signs_no_seq_twice(effects: int) -> None:
    """T-49: batch, record, send, accepted, in this order; the checker remembers every batch that was ever shown."""
    world = build_world()
    node = world.node(1)
    for _ in range(3):
        crash_after(node, effects)
        world.run(300)
        node.crash()
        world.run(200)
        node.start()
        world.run(8_000)
        node.submit(1)
        world.settle(within_ms=20_000)


def test_a_home_restored_without_its_newest_batches_goes_on_after_what_others_hold() -> None:
    """T-49: the log is lost and the chain is an old copy; a seq that others have seen is not used again."""
    world = build_world()
    node = world.node(1)
    old = (dict(node.disk.batches), dict(node.disk.tips), list(node.disk.finals))
    node.submit(2)
    world.settle(within_ms=10_000)
    # Batches that the others hold, and that never become final before the crash.
    world.cut([world.node(0).member, node.member], [world.node(2).member, world.node(3).member])
    kept = (*node.submit(1), *node.submit(1))
    world.run(2_000)
    node.wipe()
    for transaction in kept:
        world.checker.chain.accepted[transaction] = node.member
    assert old[0]
    world.heal()
    world.run(500)
    node.start()
    assert world.run(20_000, until=lambda: is_final(world, kept))
    node.submit(1)
    world.settle(within_ms=20_000)


def test_the_same_transaction_again_is_executed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """T-51: in the same feed, and again on the next one after a rotation: the first counts, the same at all nodes."""
    world = build_world()
    node = world.node(2)
    # Its client repeats itself: that is allowed, and the checkers are told so.
    world.checker.byzantine[node.member] = None
    signed = world.build_transaction(node)
    codes: dict[int, list[TransactionCode]] = {}
    write = MemoryState.write

    def watch(state: MemoryState, writes: WriteSet) -> None:
        codes.setdefault(id(state), []).extend(row.code for row in writes.transactions if row.id == signed.id)
        write(state, writes)

    monkeypatch.setattr(MemoryState, "write", watch)
    node.submit_signed(signed)
    world.run(1_000)
    node.submit_signed(signed)
    world.run(1_000)
    rotate(world, 2, by=0)
    world.run(8_000)
    node.submit_signed(signed)
    world.run(2_000)
    world.settle(within_ms=20_000)
    for each in world.up:
        again = [TransactionCode.DUPLICATE] * 2
        assert codes[id(each.disk.state)] == [TransactionCode.ACCEPTED, *again]
        assert each.disk.state.state_digest == node.disk.state.state_digest


def codes_of(node: SimNode, transactions: tuple[Digest, ...]) -> list[TransactionCode]:
    """The verdicts on these transactions at a node."""
    states = node.disk.state.transactions
    rows = [row for transaction in transactions for row in states[transaction].transactions if row.id == transaction]
    return [row.code for row in rows]


def test_what_was_sealed_in_time_is_accepted_after_an_outage_of_three_days() -> None:
    """T-51: no wall clock expires it: a feed's clock stands still while nothing of it becomes final."""
    world = build_world()
    node = world.node(1)
    world.isolate(1)
    sealed = node.submit(2)
    world.run(200)
    for each in world.nodes.values():
        each.crash()
    world.run(3 * 86_400_000, look_ms=86_400_000)
    world.heal()
    world.start_all()
    fresh = world.node(0).submit(1)
    world.settle(within_ms=30_000)
    for each in world.up:
        assert codes_of(each, sealed) == [TransactionCode.ACCEPTED] * 2
        assert codes_of(each, fresh) == [TransactionCode.ACCEPTED]


def test_members_whose_clocks_are_hours_off_get_the_same_verdicts_everywhere() -> None:
    """T-51: what counts is the feed's own clock, bounded by that of the blocks."""
    world = build_world(members=2)
    slow, fast = world.node(4), world.node(5)
    slow.skew_ms, fast.skew_ms = -5 * 3_600_000, 5 * 3_600_000
    transactions = (*slow.submit(2), *fast.submit(2))
    world.run(2_000)
    transactions += (*slow.submit(1), *fast.submit(1))
    world.settle(within_ms=20_000)
    for each in world.up:
        assert codes_of(each, transactions) == [TransactionCode.ACCEPTED] * 6


@pytest.mark.parametrize("role", [Role.MEMBER, Role.OBSERVER])
def test_clients_that_wait_while_the_feed_ends_are_answered(role: Role) -> None:
    """T-47: what is not sealed yet goes onto the next feed, or is refused where there is none."""
    world = build_world(validators=5)
    node = world.node(4)
    change = NewFeed(node.member) if role is Role.MEMBER else SetRole(node.member, role)
    proposal = propose(world.node(0), change)
    assert world.run(10_000, until=lambda: all(proposal in each.disk.state.transactions for each in world.up))
    # It listens, and so seals nothing, while the others end the epoch.
    world.message_filter = lambda _, target, message: target != node.member or not isinstance(message, RejoinAnswer)
    node.crash()
    node.start()
    waiting = node.submit(2)
    for number in (1, 2, 3):
        approve(world.node(number), proposal)
    reach(world, [node], 1, within_ms=5_000)
    assert node.has_answered == (role is Role.OBSERVER)
    world.message_filter = None
    assert world.run(20_000, until=lambda: node.has_answered)
    world.settle(within_ms=20_000)
    if role is Role.MEMBER:
        assert is_final(world, waiting)


@pytest.mark.parametrize("feed_began", ["when it joined", "by a vote"])
def test_a_node_that_takes_its_chain_anew_goes_on_with_its_feed_where_it_was(feed_began: str) -> None:
    """T-49: it passes epochs in which its feed was not there yet, and signs no seq of it twice when it begins."""
    world = build_world(validators=5)
    if feed_began == "when it joined":
        carry(world, AddMember(build_member(5, Role.MEMBER)))
        node = world.add_node(MemberId("firm-5"))
        node.start()
        reach(world, [node], 1)
    else:
        node = world.node(4)
        carry(world, NewFeed(node.member))
    for _ in range(3):
        node.submit(1)
        world.settle(within_ms=10_000)
    # Its own batches come late to it: they must not be needed for it to know that they are there.
    world.message_filter = lambda _, target, message: (
        not (
            target == node.member
            and isinstance(message, BatchData)
            and decode_batch_header(message.batch).feed.member == node.member
        )
    )
    node.take_chain_anew()
    node.start()
    for _ in range(40):
        world.run(100)
        node.submit(1)
    world.message_filter = None
    world.run(5_000)
    node.submit(1)
    world.settle(within_ms=20_000)
    assert not world.checker.forgetful
    assert not any(other.evidence for other in world.correct)
