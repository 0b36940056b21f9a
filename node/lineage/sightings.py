"""Sightings whose time is not sharp: goods that were there at any moment of it were there.

A sighting stands at its latest, where it finds what it can; by then what it saw may have gone. So it looks from its
earliest on, and is content once as much as it saw was there.
"""

from decimal import Decimal
from heapq import heappop, heappush

from node.lineage.custody import Holder
from node.lineage.portions import ZERO
from node.lineage.stock import Stocks


class Sightings:
    """Those of one item that are on the look-out. is_watching: whether any is."""

    def __init__(self, stocks: Stocks) -> None:
        self.is_watching = False
        self._stocks = stocks
        self._loose: dict[str, dict[str | None, list[tuple[Decimal, bytes]]]] = {}
        self._units: dict[tuple[str, str], list[bytes]] = {}
        self._content: set[tuple[str, bytes]] = set()

    def look(self, digest: bytes, holder: Holder, amount: Decimal | None, uom: str | None) -> None:
        """Watch for goods at a holder, loose or packed."""
        if is_there(self._stocks, holder, amount, uom):
            self._content.add(("", digest))
            return
        self.is_watching = True
        heappush(self._loose.setdefault(holder.key, {}).setdefault(uom, []), (amount or ZERO, digest))

    def look_in(self, digest: bytes, holder: Holder, unit: str) -> None:
        """Watch for goods in a unit at a holder."""
        if self._stocks.live_at(holder, unit):
            self._content.add((unit, digest))
            return
        self.is_watching = True
        self._units.setdefault((holder.key, unit), []).append(digest)

    def note_credit(self, holder: Holder, unit: str) -> None:
        """Be content with what has come to a holder."""
        for digest in self._units.pop((holder.key, unit), ()):
            self._content.add((unit, digest))
        for uom, waiting in self._loose.get(holder.key, {}).items():
            # The least first: what is not enough for it is not enough for any.
            while waiting and is_there(self._stocks, holder, waiting[0][0], uom):
                self._content.add(("", heappop(waiting)[1]))

    def note_short(self, holder: Holder, lack: Decimal | None, uom: str | None) -> None:
        """Be content with what was drawn from a holder beyond what the record had brought there: it was there."""
        waiting = self._loose.get(holder.key, {}).get(uom, [])
        while waiting and (lack is None or waiting[0][0] <= lack):
            self._content.add(("", heappop(waiting)[1]))

    def was_there(self, digest: bytes, unit: str) -> bool:
        """Return whether what a sighting saw was there while it looked."""
        return (unit, digest) in self._content


def is_there(stocks: Stocks, holder: Holder, amount: Decimal | None, uom: str | None) -> bool:
    """Return whether by the record a holder may have as much: any, of an unknown amount."""
    if not stocks.has(holder):
        return False
    pools = stocks.all_at(holder)
    if amount is None or any(pool.uom != uom or pool.hi is None for pool in pools):
        return True
    return amount <= sum((pool.hi or ZERO for pool in pools), ZERO)
