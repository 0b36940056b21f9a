"""The plot: three lots of wheat become bread on the shelves of three shops, and one of them was bad.

What makes it hard, on purpose: a milling run that lasts and mixes two lots; flour shipped in parts; bran sold to a
firm outside; crumb of one day's bread worked into a clean dough of the next; crates nested on mixed pallets; a pallet
booked to the wrong shop and corrected three days later. The bad lot is known only at the end.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from node.app.sandbox.trade import (
    BAKEHOUSE,
    BAKERY,
    BAKERY_DOCK,
    BAKERY_OUT,
    BRAN,
    CRUMB,
    DISTRIBUTOR,
    DOUGH,
    EAST_FARM,
    FEED_WORKS,
    FLOUR,
    FLOUR_STORE,
    HARBOUR,
    INGREDIENTS,
    LOAF,
    MILL,
    MILLING,
    NORTH_FARM,
    SALT,
    SHOP_SITES,
    SHOPS,
    SILO,
    SOUTH_FARM,
    STATION,
    WAREHOUSE,
    WATER,
    WATER_TANK,
    WATERWORKS,
    WHEAT,
    YEAST,
    Party,
    Site,
    sscc,
)
from node.app.sandbox.writing import Amount, Diary, Event, write_document

DAYS: Final = 9
FLOUR_PALLET_KG: Final = 1500
LOAVES_A_CRATE: Final = 300
CRATES_A_LOT: Final = 4
_MISDIRECTED: Final = 4
"""The pallet that was booked to the wrong shop."""


@dataclass(frozen=True, slots=True)
class Chapter:
    """What one firm enters at once. member: whose node takes it."""

    member: str
    title: str
    document: bytes
    events: int


@dataclass(frozen=True, slots=True)
class Story:
    """The chapters in order, and the two items to ask about. contaminated: a wheat lot. finished: a loaf lot."""

    chapters: tuple[Chapter, ...]
    contaminated: str
    finished: str


WHEAT_1: Final = Amount(WHEAT, "N0611", 10_000)
WHEAT_2: Final = Amount(WHEAT, "S0611", 8_000)
WHEAT_3: Final = Amount(WHEAT, "E0612", 12_000)
FLOURS: Final = (
    Amount(FLOUR, "F1", 3_000),
    Amount(FLOUR, "F2", 4_500),
    Amount(FLOUR, "F3", 3_000),
    Amount(FLOUR, "F4", 3_000),
    Amount(FLOUR, "F5", 3_000),
)
CRUMB_1: Final = Amount(CRUMB, "R1", 40)
CRUMB_2: Final = Amount(CRUMB, "R2", 40)
YEAST_1: Final = Amount(YEAST, "Y77", 200)
SALT_1: Final = Amount(SALT, "K12", 300)
WATER_1: Final = Amount(WATER, "T3", 600)
DOUGH_KG: Final = 1000

# Day, then the flours (by place in FLOURS) and crumb of each dough. The fourth dough is of clean flour alone, but for
# the crumb of the second one's bread: the way on which a contamination comes back unseen.
_DOUGHS: Final[tuple[tuple[int, tuple[int, ...], Amount | None], ...]] = (
    (4, (0,), None),
    (4, (0, 1), None),
    (4, (1,), None),
    (5, (3,), CRUMB_1),
    (5, (2,), None),
    (5, (2, 3), None),
    (6, (3,), CRUMB_2),
    (6, (4,), None),
    (6, (4,), None),
    (6, (1,), None),
)
_CRUMB_OF: Final = {1: CRUMB_1, 4: CRUMB_2}
_FINISHED: Final = 3


def tell_story(first_day: datetime) -> Story:
    """Return the story, which takes DAYS days. Same day, same bytes."""
    diary = Diary(first_day)
    book = _Book(diary)
    _mill(diary, book)
    loads = _flour_to_bakery(diary, book)
    _bakery(diary, book, loads)
    notes = _bread_to_distributor(diary, book)
    _to_shops(diary, book, notes)
    _late_news(diary, book)
    return Story(tuple(book.chapters), contaminated=WHEAT_2.id, finished=_loaf(_FINISHED).id)


class _Book:
    """Gathers the chapters, and what a later one refers to."""

    def __init__(self, diary: Diary) -> None:
        self.chapters: list[Chapter] = []
        self.misbooked: Event | None = None
        self._diary = diary

    def add(self, firm: Party, title: str, day: int, events: Sequence[Event]) -> None:
        """Add what a firm enters in the evening of a day."""
        assert firm.member is not None
        document = write_document(events, created=self._diary.time(day, 14 * 60))
        self.chapters.append(Chapter(firm.member, title, document, len(events)))


def _loaf(index: int) -> Amount:
    return Amount(LOAF, f"L{index + 1:02d}", LOAVES_A_CRATE * CRATES_A_LOT)


def _dough(index: int) -> Amount:
    return Amount(DOUGH, f"D{index + 1:02d}", DOUGH_KG)


def _crate(index: int, number: int) -> str:
    return sscc(BAKERY.prefix, index * 10 + number)


def _pallet(number: int) -> str:
    return sscc(DISTRIBUTOR.prefix, number)


def _flour_pallets() -> list[tuple[str, Amount]]:
    """Return each pallet of flour with what is on it, lot by lot."""
    pallets: list[tuple[str, Amount]] = []
    for flour in FLOURS:
        for _ in range(flour.quantity // FLOUR_PALLET_KG):
            pallets.append((sscc(MILL.prefix, len(pallets) + 1), flour.of(FLOUR_PALLET_KG)))
    return pallets


def _mill(diary: Diary, book: _Book) -> None:
    farms = ((WHEAT_1, NORTH_FARM), (WHEAT_2, SOUTH_FARM), (WHEAT_3, EAST_FARM))
    book.add(
        MILL, "takes in wheat of three farms", 1,
        [diary.take_in((1, 60 * index), SILO, amount, farm) for index, (amount, farm) in enumerate(farms)],
    )  # fmt: skip

    def bran(number: int) -> Amount:
        return Amount(BRAN, f"B{number}", 900)

    runs = [
        diary.transform((1, 300), MILLING, takes=[WHEAT_1.of(4_000)], gives=[FLOURS[0], bran(1)]),
        # A run that lasts: what went in and what came out were entered apart.
        diary.transform((1, 420), MILLING, takes=[WHEAT_1.of(3_000), WHEAT_2.of(3_000)], gives=[], run="run 2"),
        diary.transform((1, 560), MILLING, takes=[], gives=[FLOURS[1], bran(2)], run="run 2"),
        diary.transform((2, 0), MILLING, takes=[WHEAT_2.of(2_000), WHEAT_3.of(2_000)], gives=[FLOURS[2], bran(3)]),
        diary.transform((2, 120), MILLING, takes=[WHEAT_3.of(4_000)], gives=[FLOURS[3], bran(4)]),
        diary.transform((2, 240), MILLING, takes=[WHEAT_3.of(4_000)], gives=[FLOURS[4], bran(5)]),
    ]
    book.add(MILL, "mills five lots of flour, with bran as by-product", 2, runs)
    packed = [
        diary.pack((2, 300 + 10 * index), FLOUR_STORE, unit, lots=[amount])
        for index, (unit, amount) in enumerate(_flour_pallets())
    ]
    sold = [
        diary.ship((2, 500 + 20 * number), FLOUR_STORE, FEED_WORKS, f"MB{number}", lots=[bran(number)])
        for number in (2, 3)
    ]
    book.add(MILL, "packs flour on pallets, sells bran for feed", 2, packed + sold)


def _flour_to_bakery(diary: Diary, book: _Book) -> list[tuple[str, list[tuple[str, Amount]]]]:
    """Ship the flour in five loads, the second lot in two parts; return each load's note and pallets."""
    pallets = _flour_pallets()
    loads = [
        (f"ML{number}", [pallets[place] for place in places])
        for number, places in enumerate(([0, 1], [2, 3], [4, 5], [6, 7, 8], [9, 10]), start=1)
    ]
    shipped = [
        diary.ship((3, 30 * index), FLOUR_STORE, BAKERY, note, units=[unit for unit, _ in load])
        for index, (note, load) in enumerate(loads)
    ]
    book.add(MILL, "ships flour to the bakery in five loads, one lot in two parts", 3, shipped)
    return loads


def _bakery(diary: Diary, book: _Book, loads: Sequence[tuple[str, list[tuple[str, Amount]]]]) -> None:
    received = [
        diary.receive_lot((3, 0), BAKERY_DOCK, YEAST_1, INGREDIENTS),
        diary.receive_lot((3, 10), BAKERY_DOCK, SALT_1, INGREDIENTS),
        # Before any flour comes, so that no question arises whether some of it is in the water.
        diary.take_in((3, 20), WATER_TANK, WATER_1, WATERWORKS),
    ]
    unpacked: list[Event] = []
    for index, (note, load) in enumerate(loads):
        received.append(diary.receive((3, 240 + 30 * index), BAKERY_DOCK, MILL, note, [unit for unit, _ in load]))
        unpacked += [
            diary.unpack((3, 420 + 10 * (len(unpacked) + place)), BAKERY_DOCK, unit, lots=[amount])
            for place, (unit, amount) in enumerate(load)
        ]
    book.add(BAKERY, "receives flour, yeast and salt, fills its water tank, unpacks", 3, received + unpacked)
    for day in (4, 5, 6):
        events, minute = [], 0
        for index, (on, flours, crumb) in enumerate(_DOUGHS):
            if on != day:
                continue
            takes = [FLOURS[place].of(900 // len(flours)) for place in flours] + [YEAST_1.of(18), SALT_1.of(18)]
            takes += [] if crumb is None else [crumb]
            takes.append(WATER_1.of(DOUGH_KG - sum(amount.quantity for amount in takes)))
            gives = [_loaf(index)] + ([_CRUMB_OF[index]] if index in _CRUMB_OF else [])
            events += [
                diary.transform((day, minute), BAKEHOUSE, takes=takes, gives=[_dough(index)]),
                diary.transform((day, minute + 90), BAKEHOUSE, takes=[_dough(index)], gives=gives),
                diary.observe(
                    (day, minute + 120), BAKEHOUSE, "inspecting", lots=[_loaf(index)], disposition="conformant"
                ),
            ]
            events += [
                diary.pack(
                    (day, minute + 140 + number), BAKEHOUSE, _crate(index, number),
                    lots=[_loaf(index).of(LOAVES_A_CRATE)],
                )
                for number in range(CRATES_A_LOT)
            ]  # fmt: skip
            minute += 60
        what = {4: "bakes the first three lots", 5: "bakes three lots, one with rework", 6: "bakes four lots"}[day]
        book.add(BAKERY, f"{what}, inspects them and packs crates", day, events)


def _bread_to_distributor(diary: Diary, book: _Book) -> dict[str, list[str]]:
    """Ship the bread, three lots in two parts; return the crates of each despatch note."""
    notes: dict[str, list[str]] = {}
    for day in (4, 5, 6):
        shipped, received = [], []
        for index, (on, _, _) in enumerate(_DOUGHS):
            if on != day:
                continue
            crates = [_crate(index, number) for number in range(CRATES_A_LOT)]
            parts = [crates[:3], crates[3:]] if index % 4 == 1 else [crates]
            for part, units in enumerate(parts):
                note = f"BL{index + 1:02d}{'ab'[part]}"
                notes[note] = units
                minute = 480 + 10 * len(notes)
                shipped.append(diary.ship((day, minute), BAKERY_OUT, DISTRIBUTOR, note, units=units))
                received.append(diary.receive((day, minute + 90), WAREHOUSE, BAKERY, note, units))
        book.add(BAKERY, "ships crates to the distributor", day, shipped)
        book.add(DISTRIBUTOR, "receives crates", day, received)
    return notes


def _to_shops(diary: Diary, book: _Book, notes: dict[str, list[str]]) -> None:
    crates = [unit for units in notes.values() for unit in units]
    pallets = [(_pallet(number + 1), crates[number::12]) for number in range(12)]
    built, shipped, received, opened = [], [], [], []
    for number, (pallet, units) in enumerate(pallets):
        site = SHOP_SITES[number % len(SHOP_SITES)]
        note = f"DL{number + 1:02d}"
        built.append(diary.pack((7, 10 * number), WAREHOUSE, pallet, units=units))
        shipment = diary.ship((7, 200 + 10 * number), WAREHOUSE, SHOPS, note, units=[pallet])
        shipment["destinationList"].append({"type": "location", "destination": site.id})
        if number == _MISDIRECTED:
            # Booked to the harbour; the lorry drove to the station, as the shop's own receipt says.
            shipment["destinationList"][-1]["destination"] = HARBOUR.id
            book.misbooked = shipment
        shipped.append(shipment)
        received.append(diary.receive((7, 420 + 10 * number), site, DISTRIBUTOR, note, [pallet]))
        opened.append(diary.unpack((7, 560 + 5 * number), site, pallet))
    book.add(DISTRIBUTOR, "builds twelve mixed pallets and ships them to three shops", 7, built + shipped)
    book.add(SHOPS, "receive the pallets and open them", 7, received + opened)
    book.add(SHOPS, "open crates and sell bread", 8, _sales(diary, pallets))


def _sales(diary: Diary, pallets: Sequence[tuple[str, Sequence[str]]]) -> list[Event]:
    where: dict[str, Site] = {
        unit: SHOP_SITES[number % len(SHOP_SITES)] for number, (_, units) in enumerate(pallets) for unit in units
    }
    events = []
    for index in range(len(_DOUGHS)):
        # Of each lot one crate is opened and partly sold; the rest stands in the cold store.
        unit = _crate(index, 0)
        amount = _loaf(index).of(LOAVES_A_CRATE)
        events.append(diary.unpack((8, 20 * index), where[unit], unit, lots=[amount]))
        events.append(
            diary.observe(
                (8, 20 * index + 120), where[unit], "retail_selling", lots=[amount.of(180)],
                disposition="retail_sold",
            )
        )  # fmt: skip
    return events


def _late_news(diary: Diary, book: _Book) -> None:
    assert book.misbooked is not None
    corrective = diary.ship(
        (7, 200 + 10 * _MISDIRECTED), WAREHOUSE, SHOPS, f"DL{_MISDIRECTED + 1:02d}", units=book.misbooked["epcList"]
    )
    corrective["destinationList"].append({"type": "location", "destination": STATION.id})
    declaration = diary.declare_wrong(book.misbooked, (9, 0), corrective)
    book.add(DISTRIBUTOR, "corrects a pallet booked to the wrong shop", 9, [declaration, corrective])
    tested = diary.observe((9, 60), SILO, "inspecting", lots=[WHEAT_2.of(3_000)], disposition="non_conformant")
    book.add(MILL, "learns that its wheat of South farm is contaminated", 9, [tested])
