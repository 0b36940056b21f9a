"""What goods have become part of by now, though what feeds them is drawn only later.

A credit stands at the earliest it can have happened and the draw that feeds it at the latest, so what was packed may
have been shipped on before it is drawn from loose stock. Goods do not come from what they became.
"""

from collections.abc import Sequence

from node.lineage.portions import Flow


class Descent:
    """Follows the flows of one item, as they grow."""

    def __init__(self, flows: Sequence[Flow]) -> None:
        self._flows = flows
        self._read = 0
        self._out: dict[int, list[int]] = {}
        self._fed: dict[int, int] = {}

    def below(self, number: int) -> tuple[set[int], set[int]]:
        """Return all that a portion has become part of, and of these what nothing else has become part of."""
        for flow in self._flows[self._read :]:
            self._out.setdefault(flow.source, []).append(flow.target)
            self._fed[flow.target] = self._fed.get(flow.target, 0) + 1
        self._read = len(self._flows)
        below: set[int] = set()
        pending = [number]
        while pending:
            for target in self._out.get(pending.pop(), ()):
                if target not in below:
                    below.add(target)
                    pending.append(target)
        waiting = {one: self._fed[one] for one in below}
        alone: set[int] = set()
        pending = [number]
        while pending:
            for target in self._out.get(pending.pop(), ()):
                waiting[target] -= 1
                if not waiting[target] and target not in alone:
                    alone.add(target)
                    pending.append(target)
        return below, alone
