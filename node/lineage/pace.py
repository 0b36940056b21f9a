"""A pulse in all that takes long here, by which whoever asked can end it, or have others their turn.

What walks a ledger reads a row, visits a vertex or pushes a flow many thousand times; each time it calls `tick`. What a
tick does is the caller's: this package knows neither clock nor thread (`app/backends/pools.py` has both). It is a
context variable because every function between the question and its innermost loop would have to carry it otherwise.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_pulse: ContextVar[Callable[[], None] | None] = ContextVar("pulse", default=None)


def tick() -> None:
    """Note that the work goes on. Raises whatever the one who asked ends it with; nothing if nobody listens."""
    pulse = _pulse.get()
    if pulse is not None:
        pulse()


@contextmanager
def paced(pulse: Callable[[], None]) -> Iterator[None]:
    """Have each tick of this thread call `pulse`, while the context lasts."""
    token = _pulse.set(pulse)
    try:
        yield
    finally:
        _pulse.reset(token)
