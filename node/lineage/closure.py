"""All items that an item can come from, or go into, by runs, packings and lot codes: ids and amounts, in one walk.

It reads no event. Nothing is left out for its time, place or amount, so a closure bounds what a trace of goods named
by lot, serial or unit finds; goods named by product alone are not followed, nor is what an error declaration undid
taken back. A unit passes on what it carries where it is used, and all that was in it where it is itself what goes on.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final, NamedTuple

import msgspec

from node.lineage.links import ORIGIN, PACKING, Links
from node.lineage.pace import tick
from node.lineage.units import EXACT

ITEMS_MAX: Final = 250_000
_RUNS_AN_ITEM_MAX: Final = 4
"""Runs are counted too: of a closure with more runs than this for each of `items_max`, the rest is left out."""
_STRIDE: Final = 1_024
"""Vertices between two ticks: a fraction of a millisecond."""


Amount = tuple[str | None, str | None]
_UNSTATED: Final[Amount] = (None, None)


class LinkedItem(msgspec.Struct, frozen=True, gc=False):
    """An item of a closure. quantity, uom: what its makings state in all, null where one does not.

    is_carrier: reached only as the unit around goods.
    """

    id: str
    quantity: str | None
    uom: str | None
    is_carrier: bool


class Closure(NamedTuple):
    """Items in the order of their finding, the one asked about first. is_cut: there are more than were asked for."""

    items: list[LinkedItem]
    is_cut: bool


def close_backward(links: Links, vertex: int, *, edge_count: int, items_max: int = ITEMS_MAX) -> Closure:
    """Return what the item with this number can come from. edge_count: of the reader's height."""
    first_in, next_in, sources = links.first_in, links.next_in, links.sources
    order, seen = [vertex], {ORIGIN, vertex}
    vertices_max = items_max * (1 + _RUNS_AN_ITEM_MAX)
    add, note = order.append, seen.add
    done = 0
    while done < len(order) <= vertices_max:
        tick()
        stride = order[done : done + _STRIDE]
        done += len(stride)
        for vertex in stride:
            edge = first_in[vertex]
            while edge >= edge_count:
                edge = next_in[edge]
            while edge:
                source = sources[edge]
                if source not in seen:
                    note(source)
                    add(source)
                edge = next_in[edge]
    is_whole = done == len(order)
    return _rows_of(links, order, (), edge_count=edge_count, items_max=items_max, is_whole=is_whole)


def close_forward(links: Links, vertex: int, *, edge_count: int, items_max: int = ITEMS_MAX) -> Closure:
    """Return what the item with this number can have gone into, and the units around it. edge_count: as above."""
    first_out, next_out, targets, notes = links.first_out, links.next_out, links.targets, links.notes
    is_parent = links.is_parent
    goods, carriers = {vertex: None}, dict[int, None]()
    pending, carried = [vertex], list[int]()
    vertices_max = items_max * (1 + _RUNS_AN_ITEM_MAX)
    while (pending or carried) and len(goods) + len(carriers) <= vertices_max:
        tick()
        for _ in range(_STRIDE):
            if not pending:
                break
            vertex = pending.pop()
            edge = first_out[vertex]
            while edge >= edge_count:
                edge = next_out[edge]
            while edge:
                target = targets[edge]
                if notes[edge] & PACKING:
                    if target not in carriers:
                        carriers[target] = None
                        carried.append(target)
                elif target not in goods:
                    goods[target] = None
                    pending.append(target)
                edge = next_out[edge]
            if is_parent[vertex]:
                _unpack(links, vertex, goods, pending, edge_count=edge_count)
        if carried and not pending:
            _carry(links, carried, carriers, goods, pending, edge_count=edge_count)
    units = [unit for unit in carriers if unit not in goods]
    is_whole = not pending and not carried
    return _rows_of(links, list(goods), units, edge_count=edge_count, items_max=items_max, is_whole=is_whole)


def _unpack(links: Links, unit: int, goods: dict[int, None], pending: list[int], *, edge_count: int) -> None:
    """A unit that itself goes on passes to all that was ever in it."""
    edge = links.first_in[unit]
    while edge:
        source = links.sources[edge]
        if edge < edge_count and links.notes[edge] & PACKING and source not in goods:
            goods[source] = None
            pending.append(source)
        edge = links.next_in[edge]


def _carry(
    links: Links,
    carried: list[int],
    carriers: dict[int, None],
    goods: dict[int, None],
    pending: list[int],
    *,
    edge_count: int,
) -> None:
    """Follow units around goods to the runs that used them and to the units around them."""
    while carried:
        edge = links.first_out[carried.pop()]
        while edge:
            target = links.targets[edge]
            if edge < edge_count:
                if links.notes[edge] & PACKING:
                    if target not in carriers:
                        carriers[target] = None
                        carried.append(target)
                elif target not in goods:
                    goods[target] = None
                    pending.append(target)
            edge = links.next_out[edge]


def _rows_of(
    links: Links, goods: list[int], units: Sequence[int], *, edge_count: int, items_max: int, is_whole: bool
) -> Closure:
    is_run = links.is_run
    found = [vertex for vertex in goods if not is_run[vertex]]
    given = found[:items_max]
    items: list[LinkedItem] = []
    known: dict[int, Amount] = {}
    for begin in range(0, len(given), _STRIDE):
        tick()
        part = given[begin : begin + _STRIDE]
        amounts = _amounts_of(links, part, known, edge_count=edge_count)
        items += [
            LinkedItem(name, quantity, uom, False)  # noqa: FBT003 - in bulk
            for name, (quantity, uom) in zip(links.names_of(part), amounts, strict=True)
        ]
    carriers = units[: items_max - len(items)]
    items += [LinkedItem(name, None, None, True) for name in links.names_of(carriers)]  # noqa: FBT003 - in bulk
    return Closure(items, is_cut=not is_whole or len(items) < len(found) + len(units))


def _amounts_of(links: Links, vertices: Sequence[int], known: dict[int, Amount], *, edge_count: int) -> list[Amount]:
    """Return what the makings of each item state in all. known: by note, for the same few come again and again."""
    is_run, first_in, next_in, sources, notes = links.is_run, links.first_in, links.next_in, links.sources, links.notes
    amounts: list[Amount] = []
    add = amounts.append
    for vertex in vertices:
        total: Amount | None = None
        edge = first_in[vertex]
        while edge:
            if edge < edge_count and is_run[sources[edge]]:
                note = notes[edge]
                if note not in known:
                    known[note] = links.amount_of(note)
                total = known[note] if total is None else _add(total, known[note])
            edge = next_in[edge]
        add(total or _UNSTATED)
    return amounts


def _add(one: Amount, other: Amount) -> Amount:
    """Return the sum of two makings; nothing if one states no amount, or another unit."""
    if one[0] is None or other[0] is None or one[1] != other[1]:
        return _UNSTATED
    return str(EXACT.add(Decimal(one[0]), Decimal(other[0]))), one[1]
