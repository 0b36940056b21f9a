"""node/app/backends/pools: what a question may take, and when it ends."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from node.api.errors import BusyError
from node.app.backends import pools
from node.app.backends.pools import AbandonedError, QuestionPool, TooMuchWorkError
from node.errors import RequestError
from node.lineage.pace import tick

LONG_SECONDS = 20.0


class Walk:
    """A question that would go on for ever; `ended` has what ended it."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.ended = threading.Event()
        self.by: BaseException | None = None

    def __call__(self) -> None:
        self.began.set()
        try:
            while True:
                tick()
        except BaseException as error:
            self.by = error
            raise
        finally:
            self.ended.set()


async def begun(walk: Walk) -> None:
    assert await asyncio.to_thread(walk.began.wait, LONG_SECONDS)


def test_a_question_that_takes_too_long_is_refused_with_a_way_out() -> None:
    """The limit is the node's; the hint says how to ask for less."""

    async def scenario() -> None:
        walk = Walk()
        with ThreadPoolExecutor(1) as executor:
            pool = QuestionPool(executor, seconds_max=0.02)
            with pytest.raises(TooMuchWorkError) as caught:
                await pool.run(walk)
            assert caught.value.code == "too_much_work"
            assert "rpc.question_seconds_max" in str(caught.value.hint)
            assert await pool.run(lambda: "the next") == "the next"

    asyncio.run(scenario())


def test_a_question_ends_when_its_caller_leaves() -> None:
    """Else questions that nobody waits for would go on using a core."""

    async def scenario() -> None:
        walk = Walk()
        with ThreadPoolExecutor(1) as executor:
            pool = QuestionPool(executor)
            async with asyncio.TaskGroup() as tasks:
                asked = tasks.create_task(pool.run(walk))
                await begun(walk)
                asked.cancel()
            assert await asyncio.to_thread(walk.ended.wait, LONG_SECONDS)
            assert isinstance(walk.by, AbandonedError)

    asyncio.run(scenario())


def test_a_question_whose_caller_left_before_its_turn_is_never_begun() -> None:
    """It waited for a thread, and then for nobody."""

    async def scenario() -> None:
        first, second = Walk(), Walk()
        with ThreadPoolExecutor(1) as executor:
            pool = QuestionPool(executor)
            async with asyncio.TaskGroup() as tasks:
                under_way = tasks.create_task(pool.run(first))
                await begun(first)
                waiting = tasks.create_task(pool.run(second))
                await asyncio.sleep(0)
                waiting.cancel()
                await asyncio.sleep(0)
                under_way.cancel()
        assert not second.began.is_set()

    asyncio.run(scenario())


def test_a_full_pool_answers_busy() -> None:
    """Those at work count with those that wait."""

    async def scenario() -> None:
        walk = Walk()
        with ThreadPoolExecutor(1) as executor:
            pool = QuestionPool(executor, waiting_max=1)
            async with asyncio.TaskGroup() as tasks:
                asked = tasks.create_task(pool.run(walk))
                await begun(walk)
                with pytest.raises(BusyError):
                    await pool.run(lambda: None)
                asked.cancel()
            assert await pool.run(lambda: "room again") == "room again"

    asyncio.run(scenario())


def test_a_pool_that_stops_ends_what_is_under_way() -> None:
    """A stop of the node waits for threads; these end at their next tick, and say so to whoever waits."""

    async def scenario() -> None:
        walk = Walk()
        with ThreadPoolExecutor(1) as executor:
            pool = QuestionPool(executor)
            async with asyncio.TaskGroup() as tasks:
                asked = tasks.create_task(_caught(pool, walk))
                await begun(walk)
                pool.stop()
            assert asked.result().code == "not_ready"
            assert (await _caught(pool, lambda: None)).code == "not_ready"

    asyncio.run(scenario())


async def _caught(pool: QuestionPool, work: Callable[[], None]) -> RequestError:
    with pytest.raises(RequestError) as caught:
        await pool.run(work)
    return caught.value


def test_a_question_lets_go_of_the_interpreter_after_each_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread that carries the votes waits for it."""
    slept: list[float] = []
    now = iter(range(1_000))
    monkeypatch.setattr("time.monotonic", lambda: next(now) * pools.SLICE_SECONDS)
    monkeypatch.setattr("time.sleep", slept.append)
    watch = pools._Watch(seconds_max=1.0)
    watch.begin()
    for _ in range(10):
        watch.on_tick()
    assert len(slept) >= 5
    assert set(slept) == {pools.PAUSE_SECONDS}
