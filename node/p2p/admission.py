"""How many connections may be open before they have said who they are. Without I/O."""

from collections import Counter

from node.p2p.limits import Limits


class Admission:
    """Counts connections without a first frame, in total and by source, so that strangers cannot use up our sockets."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._pending: Counter[str] = Counter()

    def admit(self, source: str) -> bool:
        """Count a new connection from `source`; False, and not counted, if there are too many."""
        if (
            self._pending.total() >= self._limits.pending_total
            or self._pending[source] >= self._limits.pending_per_source
        ):
            return False
        self._pending[source] += 1
        return True

    def release(self, source: str) -> None:
        """The connection has said who it is, or is gone."""
        self._pending[source] -= 1
        if not self._pending[source]:
            del self._pending[source]
