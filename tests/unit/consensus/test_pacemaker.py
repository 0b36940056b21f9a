"""Timers of a view and signs of life."""

from consensus.effects import CancelTimers, Effect, SetTimer
from consensus.inputs import TimerId
from consensus.pacemaker import Pacemaker
from consensus.timing import Timing
from consensus.types import ValidatorIndex, View


def build_pace(own: int | None = 0) -> Pacemaker:
    pace = Pacemaker(Timing(), 4, None if own is None else ValidatorIndex(own))
    pace.start(0)
    return pace


def test_entering_a_view_stops_the_timers_of_the_last_one() -> None:
    """Only the heartbeat runs in an inactive view."""
    pace = build_pace()
    out: list[Effect] = []
    pace.enter(View(1), 10, out)
    assert out == [SetTimer(TimerId.HEART, View(1), 30_010)]
    pace.activate(10, final_view=View(0), out=out)
    pace.may_be_empty = True
    out.clear()
    pace.enter(View(2), 20, out)
    assert out == [CancelTimers(View(1)), SetTimer(TimerId.HEART, View(2), 30_020)]
    assert not pace.is_active
    assert not pace.may_be_empty


def test_activation_arms_build_propose_and_advance_stretched_together() -> None:
    """The longer nothing was final, the longer a view may last, up to the cap."""
    pace = build_pace()
    out: list[Effect] = []
    pace.view = View(1)
    pace.activate(0, final_view=View(0), out=out)
    assert [effect.at_ms for effect in out if isinstance(effect, SetTimer)] == [500, 1_000, 1_600]
    out.clear()
    pace.view = View(1_000)
    pace.activate(0, final_view=View(0), out=out)
    assert [effect.at_ms for effect in out if isinstance(effect, SetTimer)] == [4_000, 8_000, 12_800]


def test_retries_slow_down_to_a_cap_and_start_anew_in_each_view() -> None:
    """Half as long again each time."""
    pace = build_pace()
    out: list[Effect] = []
    for _ in range(8):
        pace.arm_retry(0, out)
    waits = [effect.at_ms for effect in out if isinstance(effect, SetTimer)]
    assert waits == [1_000, 1_500, 2_250, 3_375, 5_062, 7_593, 8_000, 8_000]
    pace.enter(View(2), 0, [])
    out.clear()
    pace.arm_retry(0, out)
    assert out == [SetTimer(TimerId.RETRY, View(2), 1_000)]


def test_the_tail_timer_is_armed_once_until_it_fires() -> None:
    """It is a wake-up, not a series."""
    pace = build_pace()
    out: list[Effect] = []
    pace.arm_tail(5, out)
    pace.arm_tail(6, out)
    assert out == [SetTimer(TimerId.TAIL, View(0), 1_005)]
    pace.rearm_tail()
    pace.arm_tail(7, out)
    assert len(out) == 2


def test_status_periods_vary_by_a_quarter_and_differ_between_nodes() -> None:
    """Else all nodes would talk at once."""
    waits = {}
    for own in (0, 1, None):
        pace = build_pace(own)
        out: list[Effect] = []
        for _ in range(50):
            pace.arm_status(0, out)
        waits[own] = [effect.at_ms for effect in out if isinstance(effect, SetTimer)]
        assert all(1_500 <= wait <= 2_500 for wait in waits[own])
        assert len(set(waits[own])) > 20
    assert waits[0] != waits[1]


def hear(pace: Pacemaker, at_ms: int, *peers: int) -> None:
    for peer in peers:
        pace.note_heard(ValidatorIndex(peer), at_ms)


def test_a_silent_leader_is_skipped_only_while_a_quorum_is_heard() -> None:
    """If fewer are heard, the trouble is probably ours."""
    pace = build_pace()
    leader = ValidatorIndex(3)
    hear(pace, 7_000, 1, 2)
    assert not pace.is_silent(leader, 5_999)
    assert pace.is_silent(leader, 7_000)
    assert pace.is_silent(leader, 12_999)
    assert not pace.is_silent(leader, 13_000)
    hear(pace, 13_000, 1, 3)
    assert not pace.is_silent(leader, 13_000)
    hear(pace, 20_000, 1)
    assert not pace.is_silent(leader, 20_000)


def test_the_tail_timer_is_armed_anew_in_each_view() -> None:
    """The timers of a view go with it; else the last block before a rest could stay unfinalized for good."""
    pace = build_pace()
    out: list[Effect] = []
    for view in (1, 2):
        pace.enter(View(view), 0, [])
        pace.arm_tail(0, out)
    assert out == [SetTimer(TimerId.TAIL, View(view), 1_000) for view in (1, 2)]
