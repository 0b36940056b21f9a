"""The small parts of the machine: timers, budgets, clocks, executed heights, who is who."""

import pytest

from consensus.inputs import TimerId
from consensus.types import Height, ValidatorIndex, View
from node.replica.clocks import ALARM_PAUSE_MS, LASTING_MS, Clocks
from node.replica.executed import ExecutedHeights, ExecutedState
from node.replica.membership import Membership, ValidatorKeys
from node.replica.moment import earliest
from node.replica.serving import Allowance, Budget
from node.replica.timers import CoreTimers
from node.wire.ids import FeedId, FeedNumber, MemberId
from tests.support.feeds import build_digest
from tests.support.networks import build_genesis, build_key

OTHERS = (MemberId("b"), MemberId("c"), MemberId("d"))


def test_timers_fire_in_the_order_of_their_time_and_once() -> None:
    """The earliest first; a replaced one only at its new time."""
    timers = CoreTimers()
    timers.set(TimerId.ADVANCE, View(1), 30)
    timers.set(TimerId.PROPOSE, View(1), 20)
    timers.set(TimerId.STATUS, View(0), 10)
    timers.set(TimerId.STATUS, View(0), 25)
    assert timers.deadline_ms() == 20
    assert timers.pop_due(19) is None
    assert timers.pop_due(30) == (TimerId.PROPOSE, View(1))
    assert timers.pop_due(30) == (TimerId.STATUS, View(0))
    assert timers.pop_due(30) == (TimerId.ADVANCE, View(1))
    assert timers.pop_due(30) is None
    assert timers.deadline_ms() is None


def test_cancelled_timers_never_fire_and_leave_no_heap_behind() -> None:
    """All of a view at once; a timer set anew for hours does not grow the heap."""
    timers = CoreTimers()
    timers.set(TimerId.ADVANCE, View(1), 10)
    timers.set(TimerId.STATUS, View(0), 50)
    timers.cancel(View(1))
    assert timers.deadline_ms() == 50
    for at_ms in range(1_000):
        timers.set(TimerId.STATUS, View(0), 1_000 + at_ms)
    assert len(timers._heap) < 100
    assert timers.pop_due(2_000) == (TimerId.STATUS, View(0))
    assert timers.pop_due(2_000) is None


def test_a_budget_lets_a_burst_through_and_then_so_many_a_second() -> None:
    """Each peer has its own; it fills up with time, and no further than full."""
    allowance = Allowance(Budget(burst=2, per_second=4))
    a, b = MemberId("a"), MemberId("b")
    assert [allowance.take(a, 0) for _ in range(3)] == [True, True, False]
    assert allowance.take(b, 0)
    assert not allowance.take(a, 249)
    assert allowance.take(a, 250)
    assert [allowance.take(a, 10_000) for _ in range(3)] == [True, True, False]


def test_a_clock_far_from_the_median_is_told_once_an_hour() -> None:
    """Half of the allowed skew; one liar does not move the median."""
    clocks = Clocks(skew_ms=2_000)
    assert clocks.note(OTHERS[0], 50_000, wall_ms=40_000, now_ms=0) is None
    assert clocks.note(OTHERS[1], 41_000, wall_ms=40_000, now_ms=0) is None
    alarm = clocks.note(OTHERS[2], 41_001, wall_ms=40_000, now_ms=0)
    assert alarm is None
    assert clocks.note(OTHERS[1], 45_000, wall_ms=40_000, now_ms=5) is None, "it may be a status of long ago"
    lasting = 5 + LASTING_MS
    alarm = clocks.note(OTHERS[1], 45_000, wall_ms=40_000, now_ms=lasting)
    assert alarm is not None
    assert "1001 ms behind" in alarm
    assert clocks.note(OTHERS[1], 45_000, wall_ms=40_000, now_ms=lasting + 1) is None
    later = clocks.note(OTHERS[0], 30_000, wall_ms=40_000, now_ms=lasting + ALARM_PAUSE_MS)
    assert later is None
    for wait_ms in (0, LASTING_MS):
        for member in OTHERS:
            now_ms = lasting + ALARM_PAUSE_MS + wait_ms
            later = clocks.note(member, 30_000, wall_ms=40_000, now_ms=now_ms) or later
    assert later is not None
    assert "ahead of" in later


def test_old_clocks_that_a_process_reads_after_it_slept_are_no_alarm() -> None:
    """They lay in the sockets; the next status of each is of now."""
    clocks = Clocks(skew_ms=2_000)
    for member in OTHERS:
        assert clocks.note(member, 10_000, wall_ms=40_000, now_ms=40_000) is None
    for member in OTHERS:
        assert clocks.note(member, 42_000, wall_ms=42_000, now_ms=42_000) is None
    for member in OTHERS:
        assert clocks.note(member, 30_000, wall_ms=52_000, now_ms=52_000) is None


def build_state(height: int) -> ExecutedState:
    """The state after a height, in which nothing is due."""
    return ExecutedState(build_digest(f"{height}"))


def build_executed(others: tuple[MemberId, ...] = OTHERS, *, is_validator: bool = True) -> ExecutedHeights:
    """A node that has executed nothing but genesis."""
    return ExecutedHeights([(Height(0), build_state(0))], height=Height(0), others=others, is_validator=is_validator)


def test_a_height_is_claimable_once_a_quorum_with_us_has_executed_it() -> None:
    """The newest that q validators report, ourselves among them, and never above our own."""
    executed = build_executed()
    for height in range(1, 8):
        executed.note(Height(height), build_state(height))
    assert executed.claimable() == 0
    assert executed.report(OTHERS[0], Height(6))
    assert executed.claimable() == 0
    assert executed.report(OTHERS[1], Height(5))
    assert executed.claimable() == 5
    assert executed.report(OTHERS[2], Height(9))
    assert executed.claimable() == 6
    assert not executed.report(OTHERS[2], Height(8))
    assert not executed.report(MemberId("stranger"), Height(9))


def test_a_node_alone_or_without_a_vote_claims_what_it_has_executed() -> None:
    """There is nobody else to ask."""
    for executed in (build_executed(()), build_executed(is_validator=False)):
        executed.note(Height(1), build_state(1))
        assert executed.claimable() == 1


def test_old_state_digests_are_forgotten_but_never_the_newest() -> None:
    """What the final block names and newer is kept."""
    executed = build_executed()
    for height in range(1, 6):
        executed.note(Height(height), build_state(height))
    executed.forget_below(Height(3))
    assert executed.find(Height(2)) is None
    assert executed.find(Height(3)) == build_state(3)
    executed.forget_below(Height(99))
    assert executed.find(Height(5)) == build_state(5)
    empty = ExecutedHeights([], height=Height(0), others=(), is_validator=False)
    empty.forget_below(Height(3))
    assert empty.find(Height(0)) is None


def test_membership_knows_validators_by_place_and_feeds_by_their_keys() -> None:
    """Observers have no feed; nor has a number that no key was given for."""
    genesis = build_genesis(validators=2, members=1, observers=1)
    first, second = genesis.roster.validators
    membership = Membership(genesis.roster, first)
    assert membership.own_index == 0
    assert membership.others == (second,)
    assert membership.member_at(ValidatorIndex(1)) == second
    assert membership.index_of(MemberId("firm-2")) is None
    assert membership.has_member(MemberId("firm-3"))
    assert not membership.has_member(MemberId("stranger"))
    feed = FeedId(MemberId("firm-2"), FeedNumber(0))
    assert membership.find_feed_key(feed) == build_key("firm-2").public_key
    assert membership.find_feed_key(FeedId(MemberId("firm-2"), FeedNumber(1))) is None
    assert membership.find_feed_key(FeedId(MemberId("firm-3"), FeedNumber(0))) is None
    assert membership.find_feed_key(FeedId(MemberId("stranger"), FeedNumber(0))) is None
    assert Membership(genesis.roster, MemberId("firm-3")).own_feed is None
    assert Membership(genesis.roster, MemberId("firm-2")).own_index is None


def test_validators_are_verified_by_their_node_keys() -> None:
    """An index beyond the set verifies nothing."""
    genesis = build_genesis(validators=2)
    keys = ValidatorKeys(genesis.roster)
    signature = build_key(genesis.roster.validators[1]).sign(b"message")
    assert keys.verify(ValidatorIndex(1), b"message", signature)
    assert not keys.verify(ValidatorIndex(0), b"message", signature)
    assert not keys.verify(ValidatorIndex(2), b"message", signature)


@pytest.mark.parametrize(("times", "first"), [((), None), ((None, None), None), ((None, 5, 3), 3)])
def test_the_earliest_of_times_that_are_set(times: tuple[int | None, ...], first: int | None) -> None:
    """None is no time."""
    assert earliest(*times) == first
