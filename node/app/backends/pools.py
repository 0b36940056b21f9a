"""Threads that answer questions: a bounded number at work, a bounded number waiting, and each with an end.

Long questions (traces, scopes) and short reads (a block, an event) have a pool each: a read never waits behind a scope.
A question ends when its time is up, when nobody waits for it any more, or when the node stops; it finds out at its
next tick (`lineage/pace.py`), which comes within milliseconds. A tick also lets go of the interpreter now and then:
Python runs one thread at a time, and the loop that carries the votes would else wait for a question's turn to end.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Final, TypeVar

from node.api.errors import BusyError
from node.errors import RequestError
from node.lineage.pace import paced

T = TypeVar("T")

SLICE_SECONDS: Final = 0.002
"""How long a question computes in one go."""
PAUSE_SECONDS: Final = 0.000_1
"""How long it then sleeps: long enough for a thread that waits for the interpreter to take it."""
SECONDS_MAX: Final = 60.0
WAITING_MAX: Final = 4_096
"""As many as one connection may have unanswered: who sends many questions in a row is held back by it, not refused."""


class AbandonedError(Exception):
    """Nobody waits for the answer any more. It ends a thread's work and reaches no client."""


class TooMuchWorkError(RequestError):
    """A question that took longer than it may."""

    def __init__(self, seconds_max: float) -> None:
        super().__init__(
            "too_much_work",
            f"the answer takes longer than {seconds_max:g} s, which is as long as one question may",
            hint="ask for less: an item rather than a holder, a shorter `from`-`to`, fewer seeds, a trace with a lower"
            " `depth` or `items`; or raise rpc.question_seconds_max",
        )


class _Watch:
    """Ends one question, and paces it."""

    def __init__(self, seconds_max: float) -> None:
        self._seconds_max = seconds_max
        self._end = self._slice_end = 0.0
        self.is_abandoned = False

    def begin(self) -> None:
        """Start its time: what waits for a thread does not use it up."""
        now = time.monotonic()
        self._end, self._slice_end = now + self._seconds_max, now + SLICE_SECONDS
        self.on_tick()

    def on_tick(self) -> None:
        """Raise AbandonedError or TooMuchWorkError if it is over; else pause if it is due."""
        if self.is_abandoned:
            raise AbandonedError
        now = time.monotonic()
        if now >= self._slice_end:
            if now >= self._end:
                raise TooMuchWorkError(self._seconds_max)
            time.sleep(PAUSE_SECONDS)
            self._slice_end = time.monotonic() + SLICE_SECONDS


class QuestionPool:
    """Answers in the threads of `executor`, which is the caller's to end, after `stop`.

    waiting_max: questions that wait or are at work at most; a further one is answered with `busy`.
    """

    def __init__(self, executor: Executor, *, seconds_max: float = SECONDS_MAX, waiting_max: int = WAITING_MAX) -> None:
        self._executor = executor
        self._seconds_max = seconds_max
        self._waiting_max = waiting_max
        self._watches: set[_Watch] = set()
        self._is_stopped = False

    async def run(self, work: Callable[[], T]) -> T:
        """Return what `work` returns; if the caller is cancelled, the work ends soon after.

        Raises what `work` raises, BusyError, and RequestError (`too_much_work`).
        """
        if self._is_stopped:
            raise _stopping()
        if len(self._watches) >= self._waiting_max:
            raise BusyError(f"{len(self._watches)} questions of this kind wait already")
        watch = _Watch(self._seconds_max)
        self._watches.add(watch)

        def answer() -> T:
            with paced(watch.on_tick):
                watch.begin()
                return work()

        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, answer)
        except AbandonedError as error:
            raise _stopping() from error
        finally:
            # Whoever left no longer waits; an answer that has come is past caring.
            watch.is_abandoned = True
            self._watches.discard(watch)

    def stop(self) -> None:
        """End what is under way, and take no more; the threads are free within milliseconds."""
        self._is_stopped = True
        for watch in self._watches:
            watch.is_abandoned = True


def _stopping() -> RequestError:
    return RequestError("not_ready", "the node is stopping", hint="ask again once it is back")
