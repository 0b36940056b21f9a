"""A made-up food network of any size, as EPCIS 2.0 events: farms, packers, processors, distributors and shops.

It is a set of worlds that share no lot. A world has layers of lots: farms harvest the first; packers, processors and
distributors make the others in turn, shops the last, each by runs of three to six inputs and three to five outputs; one
run in ten is told by a transformationID over three events. Between layers every lot travels to one of two sites: on a
truck with others, or packed on a pallet that is shipped, received and unpacked. Every lot is used in parts by several
runs, so what stands last comes from nearly all of its world, and the first lot goes into nearly all of it.

Amounts add up, times are in order, and each lot is made once, so the lots that a trace finds are those of the links.
The same seed gives the same events.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from bench.synthetic import site, stamp, with_check_digit

TIERS: Final = ("farm", "packer", "processor", "distributor", "shop")
_A_TRUCK: Final = 8
_A_PALLET: Final = 6
_STEP_S: Final = 40
Event = dict[str, object]


@dataclass(frozen=True, slots=True)
class World:
    """What is asked of a world. first: a lot of the first layer; last: one of the last. lots: how many it has."""

    first: str
    last: str
    lots: int


@dataclass(frozen=True, slots=True)
class Made:
    """A run, or a harvest (no inputs): what a table of edges would hold of it. Lots by their Digital Link."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    quantity: str


class Network:
    """Gives events and, beside them, runs. seed: the same for the same network."""

    def __init__(self, *, seed: int = 1) -> None:
        self._seed = seed
        self._pallets = 0
        self.made: list[Made] = []
        """Runs of the world that was given last; the caller takes them away."""

    def world(self, number: int, *, width: int, layers: int) -> Iterator[Event]:
        """Yield the events of a world in order. width: lots a layer, at least 4."""
        builder = _WorldBuilder(self, random.Random(f"{self._seed}/{number}"), number, width, layers)
        return builder.events()

    def pallet(self) -> str:
        """Return the next SSCC."""
        self._pallets += 1
        return f"https://id.gs1.org/00/{with_check_digit(f'09520001{self._pallets:09d}')}"


def ends_of(number: int, *, width: int, layers: int) -> World:
    """Return the lots of a world to ask about."""
    return World(_lot(number, 0, 0), _lot(number, layers - 1, width - 1), width * layers)


def _lot(world: int, layer: int, place: int) -> str:
    code = with_check_digit(f"09520001{layer % 50 * 10 + place % 10:05d}")
    return f"https://id.gs1.org/01/{code}/10/W{world}L{layer}N{place}"


class _WorldBuilder:
    def __init__(self, network: Network, chance: random.Random, number: int, width: int, layers: int) -> None:
        self._network = network
        self._chance = chance
        self._number = number
        self._width = width
        self._layers = layers
        self._sites = max(1, width // 40)
        self._second = 3600 * (number % 5000)

    def events(self) -> Iterator[Event]:
        here: dict[int, list[str]] = {}
        for place in range(self._width):
            here.setdefault(place % self._sites, []).append(_lot(self._number, 0, place))
        for where, lots in here.items():
            for at in range(0, len(lots), _A_TRUCK):
                yield self._harvest(where, lots[at : at + _A_TRUCK])
        for layer in range(1, self._layers):
            there: dict[int, list[str]] = {}
            for where, lots in here.items():
                yield from self._send(layer, where, lots, there)
            here = {}
            place = 0
            for where, lots in there.items():
                count = self._width * (where + 1) // self._sites - self._width * where // self._sites
                outputs = [_lot(self._number, layer, place + i) for i in range(count)]
                place += count
                here[where] = outputs
                yield from self._make(layer, where, lots, outputs)

    def _site(self, layer: int, where: int) -> str:
        between = 1 + (layer - 1) % (len(TIERS) - 2)
        tier = 0 if layer == 0 else len(TIERS) - 1 if layer == self._layers - 1 else between
        return site(100 * tier + where % 100)

    def _event(self, kind: str, layer: int, where: int, **fields: object) -> Event:
        self._second += _STEP_S
        place, time = {"id": self._site(layer, where)}, stamp(self._second)
        return {"type": kind, "eventTime": time, "eventTimeZoneOffset": "+01:00", "readPoint": place, **fields}

    def _harvest(self, where: int, lots: Sequence[str]) -> Event:
        self._network.made.append(Made((), tuple(lots), "1000"))
        return self._event("ObjectEvent", 0, where, action="ADD", bizStep="commissioning", quantityList=_listed(lots))

    def _send(self, layer: int, where: int, lots: list[str], there: dict[int, list[str]]) -> Iterator[Event]:
        """Bring lots to the two sites that this one supplies, the second half of them to the second."""
        half = (len(lots) + 1) // 2
        for turn, part in enumerate((lots[:half], lots[half:])):
            to = (2 * where + turn) % self._sites
            there.setdefault(to, []).extend(part)
            for at in range(0, len(part), _A_TRUCK):
                load = part[at : at + _A_TRUCK]
                if self._chance.random() < 0.3:
                    yield from self._on_pallet(layer, where, to, load[:_A_PALLET])
                    load = load[_A_PALLET:]
                if load:
                    yield from self._by_truck(layer, where, to, load)

    def _by_truck(self, layer: int, where: int, to: int, lots: Sequence[str]) -> Iterator[Event]:
        ends = self._ends(layer, where, to)
        goods = _listed(lots)
        yield self._event(
            "ObjectEvent", layer - 1, where, action="OBSERVE", bizStep="shipping", quantityList=goods, **ends
        )
        yield self._event("ObjectEvent", layer, to, action="OBSERVE", bizStep="receiving", quantityList=goods, **ends)

    def _on_pallet(self, layer: int, where: int, to: int, lots: Sequence[str]) -> Iterator[Event]:
        unit, ends = self._network.pallet(), self._ends(layer, where, to)
        packed = {"parentID": unit, "childQuantityList": _listed(lots)}
        yield self._event("AggregationEvent", layer - 1, where, action="ADD", bizStep="packing", **packed)
        for step, at, place in (("shipping", layer - 1, where), ("receiving", layer, to)):
            yield self._event("ObjectEvent", at, place, action="OBSERVE", bizStep=step, epcList=[unit], **ends)
        yield self._event("AggregationEvent", layer, to, action="DELETE", bizStep="unpacking", **packed)

    def _ends(self, layer: int, where: int, to: int) -> dict[str, object]:
        source, target = self._site(layer - 1, where), self._site(layer, to)
        return {
            "sourceList": [{"type": "location", "source": source}],
            "destinationList": [{"type": "location", "destination": target}],
            "bizTransactionList": [{"type": "desadv", "bizTransaction": f"urn:example:{self._number}-{self._second}"}],
        }

    def _make(self, layer: int, where: int, lots: list[str], outputs: Sequence[str]) -> Iterator[Event]:
        place = 0
        turn: list[str] = []
        while place < len(outputs):
            given = outputs[place : place + self._chance.randint(3, 5)]
            place += len(given)
            count = min(len(lots), self._chance.randint(3, 6))
            if len(turn) < count:
                # All are used before any is used again.
                turn = self._chance.sample(lots, k=len(lots)) + turn
            taken = list(dict.fromkeys(turn[len(turn) - count :]))
            del turn[len(turn) - count :]
            self._network.made.append(Made(tuple(taken), tuple(given), "1000"))
            sides = ({"inputQuantityList": _listed(taken, 10)}, {"outputQuantityList": _listed(given)})
            if self._chance.random() < 0.1:
                run = {"transformationID": f"urn:example:run:{self._number}-{self._second}"}
                some = [{"inputQuantityList": _listed(part, 10)} for part in (taken[:1], taken[1:])]
                for side in (*some, sides[1]):
                    yield self._event("TransformationEvent", layer, where, bizStep="commissioning", **run, **side)
            else:
                yield self._event("TransformationEvent", layer, where, bizStep="commissioning", **sides[0], **sides[1])


def _listed(lots: Sequence[str], quantity: int = 1000) -> list[dict[str, object]]:
    return [{"epcClass": lot, "quantity": quantity, "uom": "KGM"} for lot in lots]
