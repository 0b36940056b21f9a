"""What each holder has of an item, and what is on its way: pools, found without looking at all of them."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import islice
from typing import Final, TypeVar

from node.epcis.model import Event
from node.lineage.custody import Holder
from node.lineage.portions import ZERO, Portion
from node.lineage.records import EventRow

_KEY_DOCUMENTS: Final = ("desadv", "bol")
REPORTS_MAX: Final = 64
"""Shipments of one step that another report is compared with; beyond them it is a hand-over of its own."""
UNCOUNTED: Final = "?"
"""The unit of stock whose amount nobody stated."""
_Outer = TypeVar("_Outer")
_Inner = TypeVar("_Inner")
_Value = TypeVar("_Value")
Place = tuple[str, str | None]


class Pool:
    """What nothing tells apart: at one holder, loose (unit "") or in a unit; or on its way between two holders.

    lo … hi: how much is there, hi None unbounded. state: the newest state of its chain. is_drawn: whether anything was
    drawn from that state. since: what brought stock here when there was none. lost: how much of what was missing
    elsewhere, and may have come from here, is taken off `lo`.
    """

    __slots__ = ("hi", "holder", "is_drawn", "is_touched", "lo", "lost", "since", "state", "unit", "uom")

    def __init__(self, holder: Holder, unit: str, uom: str | None, state: Portion, since: EventRow) -> None:
        self.holder = holder
        self.unit = unit
        self.uom = uom
        self.state = state
        self.since = since
        self.lo = ZERO
        self.hi: Decimal | None = ZERO
        self.is_drawn = False
        self.is_touched = False
        self.lost = ZERO

    @property
    def is_empty(self) -> bool:
        """Whether by the record nothing is left."""
        return self.hi is not None and self.hi <= 0


class Stocks:
    """All stock of an item, by site and unit. What is empty stays findable at its place, and is counted nowhere."""

    def __init__(self) -> None:
        self._all: dict[tuple[str, str], dict[str | None, Pool]] = {}
        self._sites: dict[str, dict[Place, Pool]] = {}
        self._units: dict[str, dict[tuple[str, str | None], Pool]] = {}
        self._parties: dict[str, dict[str, dict[Place, Pool]]] = {}

    def __iter__(self) -> Iterator[Pool]:
        """Yield all that is not empty, by site, then by unit."""
        for _site, pools in sorted(self._sites.items()):
            for _place, pool in sorted(pools.items(), key=_by_place):
                yield pool

    def any_pool(self) -> Pool | None:
        """Return some pool that is not empty, the first by site."""
        return next(iter(self), None)

    def at(self, holder: Holder, unit: str) -> list[Pool]:
        """Return what the holder has, or had, loose or in `unit`: one pool for each unit of measure."""
        return list(self._all.get((holder.key, unit), {}).values())

    def live_at(self, holder: Holder, unit: str) -> list[Pool]:
        """Return what of it is not empty."""
        return [pool for pool in self.at(holder, unit) if not pool.is_empty]

    def pool_at(self, holder: Holder, unit: str, uom: str | None) -> Pool | None:
        """Return the one pool, also if empty."""
        return self._all.get((holder.key, unit), {}).get(uom)

    def packed_at(self, holder: Holder) -> list[Pool]:
        """Return what the holder has in units, by unit."""
        pools = self._sites.get(holder.key, {})
        return [pool for (unit, _uom), pool in sorted(pools.items(), key=_by_place) if unit]

    def has(self, holder: Holder) -> bool:
        """Return whether the holder has any, loose or packed."""
        return holder.key in self._sites

    def inside(self, unit: str) -> list[Pool]:
        """Return what is in a unit, wherever it is."""
        return list(self._units.get(unit, {}).values())

    def add(self, pool: Pool) -> None:
        """Keep a new pool: there must be none of this holder, unit and unit of measure."""
        self._all.setdefault((pool.holder.key, pool.unit), {})[pool.uom] = pool

    def note(self, pool: Pool) -> None:
        """Count the pool, or count it no more, after its amount changed."""
        site, place = pool.holder.key, (pool.unit, pool.uom)
        pools = self._sites.get(site)
        is_live = pools is not None and place in pools
        if is_live is not pool.is_empty:
            return
        party = pool.holder.party
        if pool.is_empty:
            _drop(self._sites, site, place)
            _drop(self._units, pool.unit, (site, pool.uom))
            if party is not None:
                _drop(self._parties[party], site, place)
            return
        self._sites.setdefault(site, {})[place] = pool
        self._units.setdefault(pool.unit, {})[site, pool.uom] = pool
        if party is not None:
            self._parties.setdefault(party, {}).setdefault(site, {})[place] = pool

    def elsewhere(self, holder: Holder, is_meant: Callable[[Pool], bool]) -> list[Pool]:
        """Return what is meant of what other sites have: all if it is one pool, else two: there are several."""
        return _others(self._sites, holder.key, is_meant)

    def own_elsewhere(self, holder: Holder, is_meant: Callable[[Pool], bool]) -> list[Pool]:
        """Return what the same party has at other sites, likewise."""
        return [] if holder.party is None else _others(self._parties.get(holder.party, {}), holder.key, is_meant)

    def all_at(self, holder: Holder) -> list[Pool]:
        """Return all that the holder has, loose and packed."""
        return list(self._sites.get(holder.key, {}).values())


class Way(Pool):
    """Shipments between two holders that nothing tells apart. holder: who sent them. shipped: they, in order.

    receipt: one without an amount, or of a shipment without one, that may have been of all of them. received: the
    numbers of receipts that may have been of these. undoubted: those of them that no document ties to one.
    """

    __slots__ = ("documents", "number", "receipt", "received", "receiver", "shipped", "undoubted")

    def __init__(
        self,
        sender: Holder,
        receiver: Holder | None,
        documents: frozenset[str],
        unit: str,
        uom: str | None,
        state: Portion,
        since: EventRow,
    ) -> None:
        super().__init__(sender, unit, uom, state, since)
        self.receiver = receiver
        self.documents = documents
        self.shipped: list[Portion] = []
        self.number = -1
        self.receipt: EventRow | None = None
        self.received: dict[int, None] = {}
        self.undoubted: list[Portion] = []

    @property
    def is_vague(self) -> bool:
        """Whether the amounts do not say how much of it has been received."""
        return self.is_touched and (self.hi is None or self.lo < self.hi)


WayKey = tuple[str, str, frozenset[str], str, str | None]


class Transit:
    """What is on its way, in the order of its sending."""

    def __init__(self) -> None:
        self._ways: dict[WayKey, Way] = {}
        self._live: dict[int, Way] = {}
        self._next = 0
        self._by: dict[tuple[str, str], dict[int, Way]] = {}
        self._sent: dict[tuple[str, str], dict[str | None, list[tuple[Portion, Way]]]] = {}

    def __len__(self) -> int:
        return len(self._live)

    def __iter__(self) -> Iterator[Way]:
        return iter(list(self._live.values()))

    def find(
        self, sender: Holder, receiver: Holder | None, documents: frozenset[str], unit: str, uom: str | None
    ) -> Way | None:
        """Return the way between these two with these documents, also if nothing is on it."""
        return self._ways.get(_way_key(sender, receiver, documents, unit, uom))

    def add(self, way: Way) -> None:
        """Keep a new way."""
        self._ways[_way_key(way.holder, way.receiver, way.documents, way.unit, way.uom)] = way

    def note(self, way: Way) -> None:
        """Count the way, or count it no more, after its amount changed."""
        is_live = way.number in self._live
        if is_live is not way.is_empty:
            return
        if way.is_empty:
            del self._live[way.number]
            for key in _keys_of(way):
                _drop(self._by, key, way.number)
            return
        if way.number < 0:
            way.number, self._next = self._next, self._next + 1
        self._live[way.number] = way
        for key in _keys_of(way):
            self._by.setdefault(key, {})[way.number] = way

    def remember(self, portion: Portion, way: Way, step: str | None) -> None:
        """Remember a shipment by its step, for other reports of it."""
        by_step = self._sent.setdefault((portion.holder.key, portion.unit), {})
        by_step.setdefault(step, []).append((portion, way))

    def sent_otherwise(self, sender: Holder, unit: str, step: str | None) -> Iterator[tuple[Portion, Way]]:
        """Yield what left a holder loose, or in `unit`, by another step than `step`: each step's newest first."""
        for other, shipments in self._sent.get((sender.key, unit), {}).items():
            if other != step:
                yield from islice(reversed(shipments), REPORTS_MAX)

    def name_receiver(self, way: Way, receiver: Holder) -> None:
        """Add the receiver that a later report of the only shipment on a way states."""
        number = way.number
        for key in _keys_of(way) if number in self._live else ():
            _drop(self._by, key, number)
        self._ways.pop(_way_key(way.holder, way.receiver, way.documents, way.unit, way.uom), None)
        way.receiver = receiver
        self._ways.setdefault(_way_key(way.holder, way.receiver, way.documents, way.unit, way.uom), way)
        for key in _keys_of(way) if number in self._live else ():
            self._by.setdefault(key, {})[number] = way

    def inside(self, unit: str) -> list[Way]:
        """Return what is on its way in a unit."""
        return list(self._by.get(("unit", unit), {}).values())

    def addressed_to(self, holder: Holder) -> Iterator[Way]:
        """Yield what is meant for a holder, by site where both state it, else by party."""
        if holder.site is not None:
            yield from self._by.get(("site", holder.site), {}).values()
        if holder.party is not None:
            for way in self._by.get(("party", holder.party), {}).values():
                receiver = way.receiver
                # Where both state a site, the site has decided.
                if receiver is not None and (receiver.site is None or holder.site is None):
                    yield way

    def with_document(self, document: str) -> Iterator[Way]:
        """Yield what bears a despatch document."""
        return iter(self._by.get(("document", document), {}).values())

    def unaddressed(self) -> Iterator[Way]:
        """Yield what states no receiver."""
        return iter(self._by.get(("unaddressed", ""), {}).values())

    def unplaced(self) -> Iterator[Way]:
        """Yield what states a receiver, but no place of it."""
        return iter(self._by.get(("unplaced", ""), {}).values())


def may_be(one: Holder, other: Holder) -> bool:
    """Return whether nothing tells two names apart: two sites do, else two parties."""
    if one.site is not None and other.site is not None:
        return one.site == other.site
    return one.party is None or other.party is None or one.party == other.party


def despatch_documents(event: Event) -> frozenset[str]:
    """Return the despatch advices and bills of lading; orders and invoices are no key of a shipment."""
    if not event.documents:
        return frozenset()
    return frozenset([document for kind, document in event.documents if kind in _KEY_DOCUMENTS])


def is_same(one: Holder, other: Holder) -> bool:
    """Return whether two names may mean one holder: by site where both state it, else by party."""
    if one.site is not None and other.site is not None:
        return one.site == other.site
    if one.party is not None and other.party is not None:
        return one.party == other.party
    return False


def _way_key(sender: Holder, receiver: Holder | None, documents: frozenset[str], unit: str, uom: str | None) -> WayKey:
    return sender.key, "" if receiver is None else receiver.key, documents, unit, uom


def _keys_of(way: Way) -> list[tuple[str, str]]:
    keys = [("unit", way.unit)]
    keys += [("document", document) for document in sorted(way.documents)]
    receiver = way.receiver
    if receiver is None:
        keys.append(("unaddressed", ""))
    elif receiver.site is not None:
        keys.append(("site", receiver.site))
        if receiver.party is not None:
            keys.append(("party", receiver.party))
    elif receiver.party is not None:
        keys += [("party", receiver.party), ("unplaced", "")]
    return keys


def _by_place(pair: tuple[Place, Pool]) -> tuple[str, str]:
    (unit, uom), _pool = pair
    return unit, uom or ""


def _drop(index: dict[_Outer, dict[_Inner, _Value]], outer: _Outer, inner: _Inner) -> None:
    """Remove an entry, and its dictionary with the last one."""
    entries = index[outer]
    del entries[inner]
    if not entries:
        del index[outer]


def _others(sites: dict[str, dict[Place, Pool]], site: str, is_meant: Callable[[Pool], bool]) -> list[Pool]:
    """Return the pools that are meant of the first other sites than `site`, at most two of them."""
    found: list[Pool] = []
    for name, pools in sites.items():
        if name != site:
            found += islice(filter(is_meant, pools.values()), 2 - len(found))
            if len(found) >= 2:
                break
    return found
