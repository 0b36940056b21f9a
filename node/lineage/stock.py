"""Stock of one item per custodian's site and unit, and what of it is on its way: found without looking at all of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from typing import Final, TypeVar

from node.epcis.model import Event
from node.lineage.custody import Holder
from node.lineage.records import EventRow

_KEY_DOCUMENTS: Final = ("desadv", "bol")
REPORTS_MAX: Final = 64
"""Open shipments of one step that another report is compared with; beyond them it is a hand-over of its own."""
_Outer = TypeVar("_Outer")
_Inner = TypeVar("_Inner")
_Value = TypeVar("_Value")


@dataclass(slots=True, eq=False)
class Stock:
    """What one holder has, loose (unit "") or in one unit. amount: None is unknown. since: what brought it here."""

    holder: Holder
    since: EventRow
    amount: Decimal | None
    uom: str | None
    unit: str


@dataclass(slots=True, eq=False)
class Shipment:
    """What left a holder and was not received yet. receiver: None if the shipment does not say.

    number: its place in `Transit`, which sets it.
    """

    sender: Holder
    receiver: Holder | None
    row: EventRow
    amount: Decimal | None
    uom: str | None
    unit: str
    documents: frozenset[str]
    number: int = -1


class Stocks:
    """All stock of an item, by site and unit."""

    def __init__(self) -> None:
        self._sites: dict[str, dict[str, Stock]] = {}
        self._units: dict[str, dict[str, Stock]] = {}
        self._parties: dict[str, dict[str, dict[str, Stock]]] = {}
        self._count = 0

    def __bool__(self) -> bool:
        return self._count > 0

    def __iter__(self) -> Iterator[Stock]:
        """Yield all stock, by site, then by unit."""
        if not self._count:
            return
        for _site, units in sorted(self._sites.items()):
            for _unit, stock in sorted(units.items()):
                yield stock

    def find(self, holder: Holder, unit: str) -> Stock | None:
        """Return what the holder has loose, or in `unit`."""
        units = self._sites.get(holder.key)
        return None if units is None else units.get(unit)

    def packed_at(self, holder: Holder) -> list[Stock]:
        """Return what the holder has in units, by unit."""
        return [stock for unit, stock in sorted(self._sites.get(holder.key, {}).items()) if unit]

    def has(self, holder: Holder) -> bool:
        """Return whether the holder has any."""
        return holder.key in self._sites

    def inside(self, unit: str) -> list[Stock]:
        """Return what is in a unit, wherever it is."""
        return list(self._units.get(unit, {}).values())

    def add(self, stock: Stock) -> None:
        """Keep new stock: there must be none of this holder and unit yet."""
        site = stock.holder.key
        self._sites.setdefault(site, {})[stock.unit] = stock
        self._units.setdefault(stock.unit, {})[site] = stock
        if stock.holder.party is not None:
            self._parties.setdefault(stock.holder.party, {}).setdefault(site, {})[stock.unit] = stock
        self._count += 1

    def remove(self, stock: Stock) -> None:
        """Forget stock that is gone."""
        site = stock.holder.key
        _drop(self._sites, site, stock.unit)
        _drop(self._units, stock.unit, site)
        party = stock.holder.party
        if party is not None:
            _drop(self._parties[party], site, stock.unit)
        self._count -= 1

    def has_elsewhere(self, holder: Holder) -> bool:
        """Return whether another site has any."""
        return self._count > len(self._sites.get(holder.key, ()))

    def only_own_elsewhere(self, holder: Holder) -> Stock | None:
        """Return the one stock that the same party has at another site, or None if there is none or more."""
        return None if holder.party is None else _only_other(self._parties.get(holder.party, {}), holder.key)

    def only_elsewhere(self, holder: Holder) -> Stock | None:
        """Return the one stock at another site, or None if there is none or more."""
        return _only_other(self._sites, holder.key)


class Transit:
    """Shipments that nobody received yet, in the order of their sending.

    What it yields is to be left alone while it is read: take first, then remove.
    """

    def __init__(self) -> None:
        self._open: dict[int, Shipment] = {}
        self._next = 0
        self._by: dict[tuple[str, str], dict[int, Shipment]] = {}
        self._sent: dict[tuple[str, str], dict[str | None, dict[int, Shipment]]] = {}

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Shipment]:
        return iter(list(self._open.values()))

    def add(self, shipment: Shipment) -> None:
        """Keep a shipment."""
        number, self._next = self._next, self._next + 1
        shipment.number = number
        self._open[number] = shipment
        for key in _keys_of(shipment):
            self._by.setdefault(key, {})[number] = shipment
        by_step = self._sent.setdefault((shipment.sender.key, shipment.unit), {})
        by_step.setdefault(shipment.row.event.step, {})[number] = shipment

    def remove(self, shipment: Shipment) -> None:
        """Forget a shipment that was received."""
        number = shipment.number
        del self._open[number]
        for key in _keys_of(shipment):
            _drop(self._by, key, number)
        _drop(self._sent[shipment.sender.key, shipment.unit], shipment.row.event.step, number)

    def name_receiver(self, shipment: Shipment, receiver: Holder) -> None:
        """Add the receiver that a later report states."""
        self.remove(shipment)
        shipment.receiver = receiver
        self.add(shipment)

    def inside(self, unit: str) -> list[Shipment]:
        """Return what is on its way in a unit."""
        return list(self._by.get(("unit", unit), {}).values())

    def sent_otherwise(self, sender: Holder, unit: str, step: str | None) -> Iterator[Shipment]:
        """Yield what left a holder loose, or in `unit`, by another step than `step`: each step's newest first."""
        for other, shipments in self._sent.get((sender.key, unit), {}).items():
            if other != step:
                yield from islice(reversed(shipments.values()), REPORTS_MAX)

    def addressed_to(self, holder: Holder) -> Iterator[Shipment]:
        """Yield what is meant for a holder, by site where both state it, else by party."""
        if holder.site is not None:
            yield from self._by.get(("site", holder.site), {}).values()
        if holder.party is not None:
            for shipment in self._by.get(("party", holder.party), {}).values():
                receiver = shipment.receiver
                # Where both state a site, the site has decided.
                if receiver is not None and (receiver.site is None or holder.site is None):
                    yield shipment

    def with_document(self, document: str) -> Iterator[Shipment]:
        """Yield what bears a despatch document."""
        return iter(self._by.get(("document", document), {}).values())

    def unaddressed(self) -> Iterator[Shipment]:
        """Yield what states no receiver."""
        return iter(self._by.get(("unaddressed", ""), {}).values())

    def unplaced(self) -> Iterator[Shipment]:
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


def _keys_of(shipment: Shipment) -> list[tuple[str, str]]:
    keys = [("unit", shipment.unit)]
    keys += [("document", document) for document in sorted(shipment.documents)]
    receiver = shipment.receiver
    if receiver is None:
        keys.append(("unaddressed", ""))
    elif receiver.site is not None:
        keys.append(("site", receiver.site))
        if receiver.party is not None:
            keys.append(("party", receiver.party))
    elif receiver.party is not None:
        keys += [("party", receiver.party), ("unplaced", "")]
    return keys


def _drop(index: dict[_Outer, dict[_Inner, _Value]], outer: _Outer, inner: _Inner) -> None:
    """Remove an entry, and its dictionary with the last one."""
    entries = index[outer]
    del entries[inner]
    if not entries:
        del index[outer]


def _only_other(sites: dict[str, dict[str, Stock]], site: str) -> Stock | None:
    """Return the one stock at another site than `site`, or None if there is none or more."""
    if len(sites) > 2:
        return None
    others = [units for name, units in sites.items() if name != site]
    if len(others) != 1 or len(others[0]) != 1:
        return None
    return next(iter(others[0].values()))
