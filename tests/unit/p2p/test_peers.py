"""One session a pair, chosen by one side; delays between attempts to dial."""

import pytest

from node.p2p.limits import Limits
from node.p2p.peers import Backoff, Standing


def test_the_side_that_decides_keeps_the_newest_session_alone() -> None:
    """The peer may have restarted and not know of the older one."""
    standing: Standing[str] = Standing()
    assert standing.add("first", decides=True) == []
    assert standing.add("second", decides=True) == ["first"]
    assert standing.current == "second"
    assert standing.sessions == ["second"]


def test_the_other_side_closes_nothing_until_it_bears_more_than_two() -> None:
    """If both chose, each could close the other's choice."""
    standing: Standing[str] = Standing()
    assert standing.add("first", decides=False) == []
    assert standing.add("second", decides=False) == []
    assert standing.current == "second"
    assert standing.add("third", decides=False) == ["first"]


def test_the_other_side_goes_back_to_the_older_session() -> None:
    """When the deciding side closed the newer one."""
    standing: Standing[str] = Standing()
    standing.add("first", decides=False)
    standing.add("second", decides=False)
    assert standing.remove("second")
    assert standing.current == "first"
    assert standing.remove("first")
    assert standing.current is None


def test_losing_a_session_that_was_not_current_changes_nothing() -> None:
    """The newer one already stands."""
    standing: Standing[str] = Standing()
    standing.add("first", decides=False)
    standing.add("second", decides=False)
    assert not standing.remove("first")
    assert standing.current == "second"
    assert not standing.remove("never seen")


@pytest.mark.parametrize("order", [("one", "two"), ("two", "one")])
def test_both_sides_end_on_one_session_whichever_came_first_where(order: tuple[str, str]) -> None:
    """Both dialled at once; the sides saw the two sessions in different orders."""
    small: Standing[str] = Standing()
    great: Standing[str] = Standing()
    closed = [*small.add("one", decides=True), *small.add("two", decides=True)]
    for session in order:
        assert great.add(session, decides=False) == []
    for session in closed:
        great.remove(session)
    assert small.sessions == great.sessions == ["two"]


def test_a_mute_is_never_shortened() -> None:
    """A smaller fault after a greater one does not pardon it."""
    standing: Standing[str] = Standing()
    standing.mute(1000)
    standing.mute(500)
    assert standing.muted_until_ms == 1000


def test_delays_double_up_to_the_cap_and_begin_anew() -> None:
    """A peer that is down for a day costs little and is met soon after it is back."""
    backoff = Backoff(Limits(backoff_ms_min=100, backoff_ms_max=1000), lambda low, high: high)
    assert [backoff.next_seconds() for _ in range(6)] == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    backoff.reset()
    assert backoff.next_seconds() == 0.1


def test_delays_are_shortened_at_random_by_up_to_a_half() -> None:
    """Without it all nodes of a restarted network dial in step."""
    asked: list[tuple[float, float]] = []

    def uniform(low: float, high: float) -> float:
        asked.append((low, high))
        return low

    assert Backoff(Limits(backoff_ms_min=100), uniform).next_seconds() == 0.05
    assert asked == [(0.5, 1.0)]
