"""Made-up supply chains of any size, as EPCIS 2.0 events: farms, plants, warehouses.

A chain is a row of runs. Each run takes lots made shortly before and gives new ones, some of which are shipped to
another site and received there. Every lot of a chain descends from its first ones, so a chain of n lots has closures
of about n items. The same seed gives the same bytes.
"""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

CONTEXT: Final = "https://ref.gs1.org/standards/epcis/epcis-context.jsonld"
START_S: Final = 1_750_000_000
GS1_PREFIX: Final = "9520001"


def with_check_digit(digits: str) -> str:
    """Return the digits followed by their GS1 check digit (weights 3, 1, 3 … from the right)."""
    total = sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(digits)))
    return digits + str(-total % 10)


def gtin(number: int) -> str:
    """Return a GTIN-14 of the example prefix."""
    return with_check_digit(f"0{GS1_PREFIX}{number:05d}")


def gln(number: int) -> str:
    """Return a GLN of the example prefix."""
    return with_check_digit(f"{GS1_PREFIX}{number:05d}")


def lot(product: int, number: int, chain: int) -> str:
    """Return the Digital Link of a lot."""
    return f"https://id.gs1.org/01/{gtin(product)}/10/C{chain}L{number}"


def site(number: int) -> str:
    """Return the Digital Link of a location."""
    return f"https://id.gs1.org/414/{gln(number)}"


def stamp(second: int) -> str:
    """Return an event time, seconds after the start of all chains."""
    hours, rest = divmod(second, 3600)
    days, hours = divmod(hours, 24)
    months, days = divmod(days, 28)
    years, months = divmod(months, 12)
    return f"{2024 + years}-{months + 1:02d}-{days + 1:02d}T{hours:02d}:{rest // 60:02d}:{rest % 60:02d}.000+01:00"


@dataclass(frozen=True, slots=True)
class Chain:
    """The events of one chain in order, with its first and its last lot."""

    events: tuple[dict[str, object], ...]
    first: str
    last: str


def _event(kind: str, second: int, **fields: object) -> dict[str, object]:
    return {
        "type": kind,
        "eventTime": stamp(second),
        "eventTimeZoneOffset": "+01:00",
        **fields,
    }


def build_chain(*, lots: int, chain: int, seed: int = 1) -> Chain:
    """Return a chain of about `lots` lots (at least 4): about 0.8 events a lot."""
    chance = random.Random(f"{seed}/{chain}")
    second = 60 * chain
    events: list[dict[str, object]] = []
    recent: list[tuple[str, int]] = []
    made = 0
    while made < 3:
        where = made % 50
        item = lot(made % 40, made, chain)
        events.append(
            _event(
                "ObjectEvent", second, action="ADD", bizStep="commissioning", disposition="active",
                readPoint={"id": site(where)}, bizLocation={"id": site(where)},
                quantityList=[{"epcClass": item, "quantity": 1000, "uom": "KGM"}],
            )
        )  # fmt: skip
        recent.append((item, where))
        made += 1
        second += 600
    first = recent[0][0]
    while made < lots:
        inputs = chance.sample(recent[-24:], k=min(3, len(recent)))
        if made < 6:
            inputs = recent[:3]
        where = chance.randrange(50)
        outputs = [lot((made + i) % 40, made + i, chain) for i in range(3)]
        made += 3
        second += 600
        events.append(
            _event(
                "TransformationEvent", second, bizStep="commissioning", disposition="active",
                readPoint={"id": site(where)}, bizLocation={"id": site(where)},
                inputQuantityList=[{"epcClass": item, "quantity": 100, "uom": "KGM"} for item, _ in inputs],
                outputQuantityList=[{"epcClass": item, "quantity": 98.5, "uom": "KGM"} for item in outputs],
            )
        )  # fmt: skip
        shipped = outputs[0]
        to = chance.randrange(50)
        second += 600
        ends: dict[str, object] = {
            "sourceList": [{"type": "location", "source": site(where)}],
            "destinationList": [{"type": "location", "destination": site(to)}],
            "bizTransactionList": [{"type": "desadv", "bizTransaction": f"urn:example:da:{chain}-{made}"}],
        }
        goods = [{"epcClass": shipped, "quantity": 98.5, "uom": "KGM"}]
        events.append(
            _event(
                "ObjectEvent", second, action="OBSERVE", bizStep="shipping", disposition="in_transit",
                readPoint={"id": site(where)}, quantityList=goods, **ends,
            )
        )  # fmt: skip
        second += 600
        events.append(
            _event(
                "ObjectEvent", second, action="OBSERVE", bizStep="receiving", disposition="in_progress",
                readPoint={"id": site(to)}, bizLocation={"id": site(to)}, quantityList=goods, **ends,
            )
        )  # fmt: skip
        recent.extend((item, to if item is shipped else where) for item in outputs)
    return Chain(tuple(events), first, recent[-1][0])


def build_chains(*, events: int, small_lots: int = 20, large_lots: tuple[int, ...] = (1000,)) -> Iterator[Chain]:
    """Yield chains until about `events` events are given: the large ones first, then small ones."""
    given = 0
    number = 0
    for lots in large_lots:
        chain = build_chain(lots=lots, chain=number)
        number += 1
        given += len(chain.events)
        yield chain
    while given < events:
        chain = build_chain(lots=small_lots, chain=number)
        number += 1
        given += len(chain.events)
        yield chain


def document(events: list[dict[str, object]] | tuple[dict[str, object], ...]) -> bytes:
    """Return the events as one EPCIS 2.0 JSON-LD document."""
    return json.dumps(
        {
            "@context": [CONTEXT],
            "type": "EPCISDocument",
            "schemaVersion": "2.0",
            "creationDate": stamp(0),
            "epcisBody": {"eventList": list(events)},
        }
    ).encode()


def build_sound(*, events: int, odd_in: int = 50, seed: int = 1) -> Iterator[dict[str, object]]:
    """Yield events whose amounts add up: harvest, ship, receive, a run, ship, receive, sale; 80 rows at a time.

    odd_in: in every so many-th row one receipt is left out.
    """
    chance = random.Random(f"{seed}/sound")
    given = number = 0
    waiting: list[tuple[int, int, dict[str, object]]] = []
    while given < events:
        farm, plant, shop = 1 + number % 20, 21 + number % 20, 41 + number % 9
        second = 120 * number
        raws = [lot(number % 20, 3 * number + place, 0) for place in range(2)]
        made = lot(20 + number % 20, 3 * number + 2, 0)
        rows = []
        for raw in raws:
            rows.append(_made(raw, 1000, second, farm))
            rows += _moved(raw, 1000, second + 600, farm, plant, f"{number}-{raw[-3:]}")
        rows.append(_ran(raws, made, second + 3600, plant))
        rows += _moved(made, 1970, second + 5400, plant, shop, f"{number}")
        rows.append(_sold(made, 1970, second + 9000, shop))
        if number % odd_in == odd_in - 1:
            del rows[chance.choice((2, 5, 8))]
        waiting += [(int(str(row.pop("second"))), given + place, row) for place, row in enumerate(rows)]
        given += len(rows)
        number += 1
        waiting.sort()
        # What begins before the next row does is entered first, as it would be in life.
        while waiting and waiting[0][0] < 120 * number:
            yield waiting.pop(0)[2]
    yield from (row for _, _, row in waiting)


def _goods(item: str, amount: int) -> list[dict[str, object]]:
    return [{"epcClass": item, "quantity": amount, "uom": "KGM"}]


def _sound(kind: str, second: int, **fields: object) -> dict[str, object]:
    """Return an event with the second that it is sorted by."""
    return {**_event(kind, second, **fields), "second": second}


def _made(item: str, amount: int, second: int, where: int) -> dict[str, object]:
    return _sound(
        "ObjectEvent", second, action="ADD", bizStep="commissioning", disposition="active",
        readPoint={"id": site(where)}, bizLocation={"id": site(where)}, quantityList=_goods(item, amount),
    )  # fmt: skip


def _moved(item: str, amount: int, second: int, where: int, to: int, despatch: str) -> list[dict[str, object]]:
    """Return a shipment and its receipt an hour later."""
    ends: dict[str, object] = {
        "sourceList": [{"type": "location", "source": site(where)}],
        "destinationList": [{"type": "location", "destination": site(to)}],
        "bizTransactionList": [{"type": "desadv", "bizTransaction": f"urn:example:da:{despatch}"}],
        "quantityList": _goods(item, amount),
    }
    return [
        _sound(
            "ObjectEvent", second, action="OBSERVE", bizStep="shipping", disposition="in_transit",
            readPoint={"id": site(where)}, **ends,
        ),
        _sound(
            "ObjectEvent", second + 1_800, action="OBSERVE", bizStep="receiving", disposition="in_progress",
            readPoint={"id": site(to)}, bizLocation={"id": site(to)}, **ends,
        ),
    ]  # fmt: skip


def _ran(raws: list[str], made: str, second: int, where: int) -> dict[str, object]:
    return _sound(
        "TransformationEvent", second, bizStep="commissioning", disposition="active",
        readPoint={"id": site(where)}, bizLocation={"id": site(where)},
        inputQuantityList=[one for raw in raws for one in _goods(raw, 1000)], outputQuantityList=_goods(made, 1970),
    )  # fmt: skip


def _sold(item: str, amount: int, second: int, where: int) -> dict[str, object]:
    return _sound(
        "ObjectEvent", second, action="DELETE", bizStep="retail_selling", disposition="retail_sold",
        readPoint={"id": site(where)}, bizLocation={"id": site(where)}, quantityList=_goods(item, amount),
    )  # fmt: skip
