"""What was made of what and packed in what, of all items, as arrays of numbers: for closures of many items at once.

Vertices are items and runs, numbered in the order in which the ledger first names them. An edge leads from a run's
input to the run, from the run to its output, from goods to the unit that they were packed in, and from a lot to its
serials. Times, places and amounts cut nothing off here: a closure is what a trace begins from, not what it ends with.

All of it is a function of the blocks. Each block adds to the ends of the arrays, and what it adds is one row of the
index (`Links.add`), from which a start loads them again (`Links.load`): about 50 bytes an item and 20 an edge. The
edges of a vertex are chained newest first, so a reader at an earlier height skips those beyond its own count, and
the writer never waits for it. `closure.py` walks them.
"""

import sys
from array import array
from collections.abc import Iterable
from typing import Final

import msgspec

from consensus.types import Height
from node.epcis.identifiers import LINK_HOST
from node.epcis.model import Action, Event, EventType, Goods
from node.lineage.indexing import lot_of_serial
from node.lineage.records import ROLE_INSTANCES, EventRow, Filing
from node.wire.codec import MalformedError

ORIGIN: Final = 0
"""The run without inputs that an Object ADD is: what it makes comes from nowhere that is recorded."""
PACKING: Final = 1
"""The bit of a note that marks an edge from goods to the unit around them."""
_SLOTS_MIN: Final = 1 << 12
_HEIGHTS_KEPT: Final = 64
_LINK: Final = f"{LINK_HOST}/"
_LINK_SIGN: Final = b"\x01"
_RUN_SIGN: Final = b"\x02"
_RUN: Final = _RUN_SIGN[0]
"""No canonical id begins with a control character."""


class _Added(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a block adds to each array, numbers of 32 bits little-endian."""

    names: bytes
    name_ends: bytes
    sources: bytes
    targets: bytes
    notes: bytes
    amounts: bytes
    amount_ends: bytes


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(_Added)


class Links:
    """The arrays. One thread adds; any may walk. A walk is given the count of edges at its height.

    names, name_ends: vertex n is called names[name_ends[n - 1] : name_ends[n]]; a run without id has no name. notes:
    of an edge, twice the number of its amount, and PACKING. first_in … next_out: chains of edges by vertex, ended by 0.
    slots: vertices by the hash of their name, open addressing.
    """

    def __init__(self) -> None:
        self.names = bytearray()
        self.name_ends = array("I", [0])
        self.is_run = bytearray(b"\1")
        self.is_parent = bytearray(1)
        self.first_in = array("I", [0])
        self.first_out = array("I", [0])
        self.sources = array("I", [0])
        self.targets = array("I", [0])
        self.notes = array("I", [0])
        self.next_in = array("I", [0])
        self.next_out = array("I", [0])
        self.amounts = bytearray()
        self.amount_ends = array("I", [0])
        self._slots = array("I", bytes(4 * _SLOTS_MIN))
        self._counts: dict[Height, int] = {Height(0): 1}
        # Of the block that is added alone: else the rows would tell when the node was last started.
        self._amounts_of_block: dict[str, int] = {}

    def edge_count(self, height: Height) -> int:
        """Return how many edges there were at one of the newest heights. Raises KeyError for an older one."""
        return self._counts[height]

    def find(self, item: str) -> int:
        """Return the number of an item, 0 if no event named it."""
        return self._find(_key_of(item))

    def names_of(self, vertices: Iterable[int]) -> list[str]:
        """Return the items with these numbers."""
        names, ends, sign = self.names, self.name_ends, _LINK_SIGN[0]
        return [
            _LINK + key[1:].decode() if (key := names[ends[vertex - 1] : ends[vertex]])[0] == sign else key.decode()
            for vertex in vertices
        ]

    def amount_of(self, note: int) -> tuple[str | None, str | None]:
        """Return the amount and unit in the note of an edge."""
        number = note >> 1
        text = self.amounts[self.amount_ends[number - 1] : self.amount_ends[number]].decode() if number else ""
        amount, _, uom = text.partition(" ")
        return amount or None, uom or None

    def add(self, height: Height, events: Iterable[EventRow], filings: Iterable[Filing]) -> tuple[bytes, list[str]]:
        """Add the events of a block; return the row that `load` takes, and the items that no event had named.

        filings: of the events. Called before the block is written: a reader takes as many edges as its height has.
        """
        vertices, edges, amounts = len(self.name_ends), len(self.sources), len(self.amount_ends)
        name_bytes, amount_bytes = len(self.names), len(self.amounts)
        self._amounts_of_block = {}
        new: list[str] = []
        for row, filing in zip(events, filings, strict=True):
            event = row.event
            numbers: dict[str, int] = {}
            for item in filing.roles:
                key = _key_of(item)
                vertex = self._find(key)
                if not vertex:
                    vertex = self._append(key, is_run=False)
                    new.append(item)
                numbers[item] = vertex
            if event.declaration is None:
                self._link(event, filing, numbers)
        self._mark(height)
        added = _Added(
            bytes(self.names[name_bytes:]),
            _little(self.name_ends[vertices:]),
            _little(self.sources[edges:]),
            _little(self.targets[edges:]),
            _little(self.notes[edges:]),
            bytes(self.amounts[amount_bytes:]),
            _little(self.amount_ends[amounts:]),
        )
        return _ENCODER.encode(added), new

    def load(self, encoded: bytes) -> None:
        """Add what a block added, from its row; `settle` when all are. Raises MalformedError."""
        try:
            added = _DECODER.decode(encoded)
            self.name_ends += _numbers(added.name_ends)
            self.sources += _numbers(added.sources)
            self.targets += _numbers(added.targets)
            self.notes += _numbers(added.notes)
            self.amount_ends += _numbers(added.amount_ends)
        except ValueError as error:
            raise MalformedError(f"links: {error}") from error
        self.names += added.names
        self.amounts += added.amounts

    def is_from(self, item: str, begin: int) -> bool:
        """Return whether a block whose names begin there, or a later one, was the first to name the item."""
        vertex = self.find(item)
        return vertex > 0 and self.name_ends[vertex - 1] >= begin

    def settle(self, height: Height) -> None:
        """Find names and chain edges after all rows up to `height` were loaded. Raises MalformedError."""
        if not len(self.sources) == len(self.targets) == len(self.notes):
            raise MalformedError("links: edges without an end")
        try:
            self._seat_all()
            self._chain_all()
        except IndexError as error:
            raise MalformedError("links: an edge to no vertex") from error
        self._counts = {height: len(self.sources)}

    def _seat_all(self) -> None:
        count, size = len(self.name_ends), _SLOTS_MIN
        while size < 2 * count:
            size *= 2
        slots, mask = array("I", bytes(4 * size)), size - 1
        is_run = bytearray(b"\1") * count
        names, begin = bytes(self.names), 0
        for vertex, end in enumerate(self.name_ends):
            if end > begin:
                key = names[begin:end]
                if key[0] != _RUN:
                    is_run[vertex] = 0
                slot = hash(key) & mask
                while slots[slot]:
                    slot = (slot + 1) & mask
                slots[slot] = vertex
                begin = end
        self._slots, self.is_run, self.is_parent = slots, is_run, bytearray(count)
        self.first_in, self.first_out = array("I", bytes(4 * count)), array("I", bytes(4 * count))

    def _chain_all(self) -> None:
        first_in, first_out, is_parent = self.first_in, self.first_out, self.is_parent
        count = len(self.sources)
        self.next_in, self.next_out = array("I", bytes(4 * count)), array("I", bytes(4 * count))
        next_in, next_out = self.next_in, self.next_out
        edges = zip(self.sources, self.targets, self.notes, strict=True)
        next(edges)  # Edge 0 is none: it ends the chains.
        for edge, (source, target, note) in enumerate(edges, 1):
            next_out[edge] = first_out[source]
            next_in[edge] = first_in[target]
            first_out[source] = first_in[target] = edge
            if note & PACKING:
                is_parent[target] = 1

    def pass_by(self, height: Height) -> None:
        """Note that the block at `height` adds nothing."""
        self._mark(height)

    def _mark(self, height: Height) -> None:
        self._counts[height] = len(self.sources)
        self._counts.pop(Height(height - _HEIGHTS_KEPT), None)

    def _find(self, key: bytes) -> int:
        slots, ends, names = self._slots, self.name_ends, self.names
        mask = len(slots) - 1
        # The hash is of this process alone and keyed by a secret of it: nobody can choose names that share a slot.
        slot = hash(key) & mask
        while (vertex := slots[slot]) != 0:
            if names[ends[vertex - 1] : ends[vertex]] == key:
                return vertex
            slot = (slot + 1) & mask
        return 0

    def _append(self, key: bytes, *, is_run: bool) -> int:
        vertex = len(self.name_ends)
        self.names += key
        self.is_run.append(is_run)
        self.is_parent.append(0)
        self.first_in.append(0)
        self.first_out.append(0)
        self.name_ends.append(len(self.names))
        if key:
            if 2 * vertex > len(self._slots):
                self._widen(vertex)
            slots = self._slots
            mask = len(slots) - 1
            slot = hash(key) & mask
            while slots[slot]:
                slot = (slot + 1) & mask
            slots[slot] = vertex
        return vertex

    def _widen(self, count: int) -> None:
        """Double the slots. count: vertices up to this number, exclusive, have a seat."""
        names, ends = self.names, self.name_ends
        # Readers may look for a name meanwhile: they keep the old slots.
        slots = array("I", bytes(8 * len(self._slots)))
        mask = len(slots) - 1
        for vertex in range(1, count):
            key = bytes(names[ends[vertex - 1] : ends[vertex]])
            if key:
                slot = hash(key) & mask
                while slots[slot]:
                    slot = (slot + 1) & mask
                slots[slot] = vertex
        self._slots = slots

    def _link(self, event: Event, filing: Filing, numbers: dict[str, int]) -> None:
        if event.type is EventType.TRANSFORMATION:
            vertex = self._run(event.transformation_id)
            for item in dict.fromkeys([goods.item for goods in event.inputs]):
                self._edge(numbers[item], vertex, 0)
            for goods in event.outputs:
                self._edge(vertex, numbers[goods.item], self._amount(goods))
        elif event.type is EventType.OBJECT:
            if event.action is Action.ADD:
                for goods in event.goods:
                    self._edge(ORIGIN, numbers[goods.item], self._amount(goods))
        elif event.type is not EventType.TRANSACTION and event.parent is not None and event.parent in numbers:
            parent = numbers[event.parent]
            self.is_parent[parent] = 1
            for goods in event.goods:
                self._edge(numbers[goods.item], parent, PACKING)
        if event.lot_code is not None:
            self._link_serials(event, filing, numbers)

    def _link_serials(self, event: Event, filing: Filing, numbers: dict[str, int]) -> None:
        made = event.outputs if event.type is EventType.TRANSFORMATION else event.goods
        for lot, role in filing.roles.items():
            if role & ROLE_INSTANCES:
                for goods in made:
                    if lot_of_serial(event, goods.item) == lot:
                        self._edge(numbers[lot], numbers[goods.item], 0)

    def _run(self, name: str | None) -> int:
        if name is None:
            return self._append(b"", is_run=True)
        key = _RUN_SIGN + name.encode()
        return self._find(key) or self._append(key, is_run=True)

    def _edge(self, source: int, target: int, note: int) -> None:
        edge = len(self.sources)
        self.sources.append(source)
        self.targets.append(target)
        self.notes.append(note)
        self.next_out.append(self.first_out[source])
        self.next_in.append(self.first_in[target])
        self.first_out[source] = self.first_in[target] = edge

    def _amount(self, goods: Goods) -> int:
        """Return the note of an edge that states this amount; 0 if it is unknown."""
        if goods.amount is None:
            return 0
        text = f"{goods.amount} {goods.uom or ''}"
        note = self._amounts_of_block.get(text)
        if note is None:
            self.amounts += text.encode()
            self.amount_ends.append(len(self.amounts))
            note = self._amounts_of_block[text] = 2 * (len(self.amount_ends) - 1)
        return note


def begin_of_names(encoded: bytes) -> int | None:
    """Return where the names begin that a block added, from its row; None if it added none. Raises MalformedError."""
    try:
        added = _DECODER.decode(encoded)
        return _numbers(added.name_ends)[-1] - len(added.names) if added.names else None
    except (ValueError, IndexError) as error:
        raise MalformedError(f"links: {error}") from error


def _key_of(item: str) -> bytes:
    """Return how an item is called in the arrays: of a Digital Link, only what follows the host."""
    return _LINK_SIGN + item[len(_LINK) :].encode() if item.startswith(_LINK) else item.encode()


def _little(numbers: "array[int]") -> bytes:
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()


def _numbers(encoded: bytes) -> "array[int]":
    """Return the numbers in `encoded`. Raises ValueError for a length that is none of 32-bit numbers."""
    numbers = array("I", encoded)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
