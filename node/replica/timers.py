"""The heap behind `deadline_ms`: timers of the core, each named by its kind and view, each replaceable."""

import heapq

from consensus.inputs import TimerId
from consensus.types import View


class CoreTimers:
    """The core's timers. A replaced or cancelled one stays in the heap until it would be due, and is then skipped."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, TimerId, View]] = []
        self._armed: dict[tuple[TimerId, View], tuple[int, int]] = {}
        self._count = 0

    def set(self, timer: TimerId, view: View, at_ms: int) -> None:
        """Arm a timer, in place of an earlier one of its name."""
        self._count += 1
        self._armed[timer, view] = (at_ms, self._count)
        heapq.heappush(self._heap, (at_ms, self._count, timer, view))
        if len(self._heap) > 64 + 4 * len(self._armed):
            self._heap = [(at, count, *name) for name, (at, count) in self._armed.items()]
            heapq.heapify(self._heap)

    def cancel(self, view: View) -> None:
        """Forget the timers of a view."""
        for timer in TimerId:
            self._armed.pop((timer, view), None)

    def deadline_ms(self) -> int | None:
        """Return when the next timer is due."""
        while self._heap:
            at_ms, count, timer, view = self._heap[0]
            if self._armed.get((timer, view)) == (at_ms, count):
                return at_ms
            heapq.heappop(self._heap)
        return None

    def pop_due(self, now_ms: int) -> tuple[TimerId, View] | None:
        """Return a timer that is due, the earliest first, and forget it; None if none is."""
        deadline = self.deadline_ms()
        if deadline is None or deadline > now_ms:
            return None
        _, _, timer, view = heapq.heappop(self._heap)
        del self._armed[timer, view]
        return timer, view
