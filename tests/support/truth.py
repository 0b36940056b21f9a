"""Made-up supply chains whose truth is known to the gram, and what a careless world has recorded of them.

`build_world(seed)` plays a chain of farms, plants and shops, in which every gram is a piece of a *slab*: so much goods
with so much seed material in it. Goods move, split, mix in runs, come back, are reworked into their own code. Then it
writes a record of that: it drops events, amounts, times, documents and lot codes, reports twice, and lets clocks err,
within what any record could bear (docs/lineage.md, "What a record must hold"). The truth and the record share no code
with the engine.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from functools import partial
from typing import Final

from msgspec.structs import replace

from node.epcis.model import Action, EventType, Interval
from node.lineage.scope_answer import ScopeAnswer
from tests.support.chronicle import Chronicle
from tests.support.events import DAY_MS, DAY_ONE_MS, build_event, lot, party, place, product_class

MINUTE_MS: Final = 60_000
TOLERANCE_MS: Final = 15 * MINUTE_MS
KG: Final = 1000
"""Grams."""


@dataclass(frozen=True, slots=True)
class Slab:
    """Goods that are alike throughout. amount: grams. seed: grams of seed material in it."""

    amount: int
    seed: Fraction


@dataclass(slots=True)
class Pile:
    """What one party holds of one lot, in the order in which it came."""

    slabs: list[Slab] = field(default_factory=list)

    @property
    def amount(self) -> int:
        return sum(slab.amount for slab in self.slabs)

    def put(self, slabs: list[Slab]) -> None:
        self.slabs.extend(slabs)

    def take(self, amount: int, chance: random.Random) -> list[Slab]:
        """Take so many grams: the first, the last, or any, as it happens."""
        taken: list[Slab] = []
        how = chance.choice(("first", "last", "any"))
        while amount:
            number = {"first": 0, "last": len(self.slabs) - 1, "any": chance.randrange(len(self.slabs))}[how]
            slab = self.slabs[number]
            if slab.amount <= amount:
                taken.append(self.slabs.pop(number))
                amount -= slab.amount
                continue
            part = Slab(amount, slab.seed * amount / slab.amount)
            taken.append(part)
            self.slabs[number] = Slab(slab.amount - amount, slab.seed - part.seed)
            amount = 0
        return taken


class Doing(StrEnum):
    """What happened."""

    MAKE = "make"
    RUN = "run"
    SHIP = "ship"
    RECEIVE = "receive"
    END = "end"


Amounts = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that happened, as a perfect record would have it.

    party: who did it, at its one site. other: the receiver of a shipment, the sender of what was received. goods: lots
    with grams; inputs for a run. outputs: of a run. hand_over: which shipment it belongs to. run: the lasting run that
    it is a part of.
    """

    doing: Doing
    when_ms: int
    party: int
    goods: Amounts
    outputs: Amounts = ()
    other: int | None = None
    hand_over: int | None = None
    run: str | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """The truth of what a party holds, or had, of a lot. affected: grams of slabs with seed material in them."""

    party: int
    lot: str
    amount: int
    content: Fraction
    affected: int


@dataclass(frozen=True, slots=True)
class Blemishes:
    """What is wrong with a world's record."""

    dropped: int = 0
    amounts: int = 0
    times: int = 0
    documents: int = 0
    codes: int = 0
    doubled: int = 0
    rework: bool = False


@dataclass(frozen=True, slots=True)
class World:
    """What happened and what is known of it.

    seed_lot: the code that the hazard is known by. truth: what is held at the end. touched: every (party, lot) that
    ever held seed material.
    """

    number: int
    facts: tuple[Fact, ...]
    seed_lot: str
    truth: tuple[Held, ...]
    touched: frozenset[tuple[int, str]]
    chronicle: Chronicle
    blemishes: Blemishes


@dataclass(slots=True)
class _Play:
    """The world while it happens."""

    chance: random.Random
    farms: range
    plants: range
    shops: range
    now_ms: int = DAY_ONE_MS + 6 * 60 * MINUTE_MS
    piles: dict[tuple[int, str], Pile] = field(default_factory=dict)
    facts: list[Fact] = field(default_factory=list)
    on_the_way: list[tuple[int, int, int, str, list[Slab], int]] = field(default_factory=list)
    touched: set[tuple[int, str]] = field(default_factory=set)
    seed_lot: str = ""
    made: int = 0
    hand_overs: int = 0
    is_reworked: bool = False

    def pass_time(self) -> None:
        # Never closer than the tolerance lets clocks err: what is closer has no order to anybody.
        self.now_ms += self.chance.choice((2, 20, 45, 90, 300, 900)) * MINUTE_MS

    def stock_of(self, holder: int) -> list[str]:
        return [code for (at, code), pile in self.piles.items() if at == holder and pile.amount >= KG]

    def put(self, holder: int, code: str, slabs: list[Slab]) -> None:
        self.piles.setdefault((holder, code), Pile()).put(slabs)
        if any(slab.seed for slab in slabs):
            self.touched.add((holder, code))

    def new_lot(self, product: int) -> str:
        self.made += 1
        return lot(str(product), f"L{self.made}")

    def kilograms(self, low: int, high: int) -> int:
        return self.chance.randint(low, high) * KG

    def make(self) -> None:
        farm = self.chance.choice(self.farms)
        own = [code for code in self.stock_of(farm) if code != self.seed_lot]
        code = self.chance.choice(own) if own and self.chance.random() < 0.25 else self.new_lot(10 + farm)
        amount = self.kilograms(40, 200)
        if not self.seed_lot and self.made >= 1 and self.chance.random() < 0.6:
            code = self.seed_lot = self.new_lot(10 + farm)
        is_seed = code == self.seed_lot
        self.put(farm, code, [Slab(amount, Fraction(amount if is_seed else 0))])
        self.facts.append(Fact(Doing.MAKE, self.now_ms, farm, ((code, amount),)))

    def ship(self) -> None:
        holders = [at for at in (*self.farms, *self.plants) if self.stock_of(at)]
        if not holders:
            return
        sender = self.chance.choice(holders)
        code = self.chance.choice(self.stock_of(sender))
        pile = self.piles[sender, code]
        amount = pile.amount if self.chance.random() < 0.4 else self.chance.randint(1, pile.amount // KG) * KG
        places = [at for at in (*self.plants, *self.shops) if at != sender]
        receiver = self.chance.choice(places)
        self.hand_overs += 1
        slabs = pile.take(amount, self.chance)
        arrives_ms = self.now_ms + self.chance.choice((40, 120, 400)) * MINUTE_MS
        self.on_the_way.append((arrives_ms, self.hand_overs, receiver, code, slabs, sender))
        self.facts.append(
            Fact(Doing.SHIP, self.now_ms, sender, ((code, amount),), other=receiver, hand_over=self.hand_overs)
        )

    def arrive(self) -> None:
        for due in sorted(self.on_the_way, key=lambda one: one[:2]):
            arrives_ms, number, receiver, code, slabs, sender = due
            if arrives_ms > self.now_ms:
                continue
            self.on_the_way.remove(due)
            self.put(receiver, code, slabs)
            amount = sum(slab.amount for slab in slabs)
            self.facts.append(
                Fact(Doing.RECEIVE, arrives_ms, receiver, ((code, amount),), other=sender, hand_over=number)
            )

    def run(self) -> None:
        plants = [at for at in self.plants if self.stock_of(at)]
        if not plants:
            return
        plant = self.chance.choice(plants)
        stock = self.stock_of(plant)
        taken: list[tuple[str, int]] = []
        slabs: list[Slab] = []
        for code in self.chance.sample(stock, k=min(len(stock), self.chance.randint(1, 3))):
            pile = self.piles[plant, code]
            amount = self.chance.randint(1, pile.amount // KG) * KG
            slabs.extend(pile.take(amount, self.chance))
            taken.append((code, amount))
        total = sum(slab.amount for slab in slabs)
        codes = [self.new_lot(40 + plant) for _ in range(self.chance.randint(1, 3))]
        own = [code for code in stock if code.startswith(product_class(str(40 + plant)))]
        if own and self.chance.random() < 0.3:
            # Rework: more of a code that is already there.
            codes[0] = self.chance.choice(own)
            self.is_reworked = True
        cuts = sorted(self.chance.randint(0, total // KG) * KG for _ in codes[1:])
        shares = [high - low for low, high in zip((0, *cuts), (*cuts, total), strict=True)]
        vessel = Pile(slabs)
        if self.chance.random() < 0.5:
            seed = sum((slab.seed for slab in slabs), Fraction(0))
            vessel = Pile([Slab(total, seed)])
        given: list[tuple[str, int]] = []
        for code, share in zip(codes, shares, strict=True):
            if share:
                self.put(plant, code, vessel.take(share, self.chance))
                given.append((code, share))
        self.facts.append(Fact(Doing.RUN, self.now_ms, plant, tuple(taken), outputs=tuple(given)))

    def end(self) -> None:
        shops = [at for at in self.shops if self.stock_of(at)]
        if not shops:
            return
        shop = self.chance.choice(shops)
        code = self.chance.choice(self.stock_of(shop))
        pile = self.piles[shop, code]
        amount = self.chance.randint(1, pile.amount // KG) * KG
        pile.take(amount, self.chance)
        self.facts.append(Fact(Doing.END, self.now_ms, shop, ((code, amount),)))


def _play(chance: random.Random) -> _Play:
    farms, plants, shops = chance.randint(1, 3), chance.randint(1, 3), chance.randint(1, 3)
    play = _Play(
        chance,
        farms=range(1, 1 + farms),
        plants=range(1 + farms, 1 + farms + plants),
        shops=range(1 + farms + plants, 1 + farms + plants + shops),
    )
    steps = chance.randint(12, 45)
    for _ in range(2):
        play.make()
        play.pass_time()
    for _ in range(steps):
        play.arrive()
        chance.choices((play.make, play.ship, play.run, play.end), weights=(3, 6, 5, 1))[0]()
        play.pass_time()
    if not play.seed_lot:
        play.seed_lot = play.facts[0].goods[0][0]
        return _play(chance)
    play.now_ms += DAY_MS
    play.arrive()
    return play


@dataclass(slots=True)
class _Report:
    """How a fact was written down. shown_ms: by the reporter's clock. is_dated: only its day was noted."""

    fact: Fact
    shown_ms: int
    is_dated: bool = False
    is_uncounted: bool = False
    is_uncoded: bool = False
    has_bill: bool = True
    is_doubled: bool = False


class _Scribe:
    """Writes the record of a play, and spoils what a record may lack."""

    def __init__(self, play: _Play, chance: random.Random) -> None:
        self._chance = chance
        self._facts = play.facts
        parties = (*play.farms, *play.plants, *play.shops)
        # Any two clocks differ by less than the tolerance.
        self._clocks_ms = {one: chance.randint(-7, 7) * MINUTE_MS for one in parties}
        self._kept = dict.fromkeys(range(len(play.facts)))

    def write(self) -> tuple[list[_Report], int]:
        """Return the reports in the order of events, and how many facts have none."""
        chance = self._chance
        for number in chance.sample(range(len(self._facts)), k=len(self._facts)):
            if chance.random() < 0.2 and self._may_drop(number):
                del self._kept[number]
        reports = [self._report(self._facts[number]) for number in sorted(self._kept)]
        return reports, len(self._facts) - len(reports)

    def _report(self, fact: Fact) -> _Report:
        chance = self._chance
        return _Report(
            fact,
            fact.when_ms + self._clocks_ms[fact.party],
            is_dated=chance.random() < 0.12,
            is_uncounted=chance.random() < 0.1,
            is_uncoded=fact.doing in (Doing.SHIP, Doing.RECEIVE) and chance.random() < 0.05,
            has_bill=chance.random() < 0.6,
            is_doubled=fact.doing in (Doing.SHIP, Doing.RECEIVE) and chance.random() < 0.08,
        )

    # What a record must hold: see docs/lineage.md.

    def _others(self, number: int) -> Iterator[Fact]:
        return (self._facts[one] for one in self._kept if one != number)

    def _is_stocked(self, number: int, holder: int, code: str) -> bool:
        """Whether the record has other stock of the lot there than what this fact brings."""
        return any(
            fact.party == holder
            and ((fact.doing in (Doing.MAKE, Doing.RECEIVE) and _names(fact.goods, code)) or _names(fact.outputs, code))
            for fact in self._others(number)
        )

    def _may_drop(self, number: int) -> bool:
        fact = self._facts[number]
        codes = [code for code, _ in fact.goods]
        match fact.doing:
            case Doing.MAKE:
                return not self._is_stocked(number, fact.party, codes[0]) and self._is_sent(
                    number, fact.party, codes[0]
                )
            case Doing.RUN:
                made = [code for code, _ in fact.outputs]
                return (
                    all(self._is_sent(number, fact.party, code) for code in made)
                    and not any(self._is_stocked(number, fact.party, code) for code in made)
                    and all(self._is_reported(number, fact.party, code) for code in codes)
                )
            case Doing.SHIP | Doing.RECEIVE:
                rest = [one for one in self._others(number) if one.hand_over == fact.hand_over]
                if fact.doing is Doing.SHIP and not self._is_made(number, codes[0]):
                    return False
                if rest:
                    return self._bears_run_drops(number)
                receiver = fact.party if fact.doing is Doing.RECEIVE else fact.other
                assert receiver is not None
                return (
                    not self._is_stocked(number, receiver, codes[0])
                    and self._is_made(number, codes[0])
                    and self._bears_run_drops(number)
                )
            case Doing.END:
                return True

    def _is_sent(self, number: int, sender: int, code: str) -> bool:
        return any(
            fact.doing is Doing.SHIP and fact.party == sender and _names(fact.goods, code)
            for fact in self._others(number)
        )

    def _is_made(self, number: int, code: str) -> bool:
        """Whether every making of the lot is recorded, so that its sender need not be."""
        makings = [
            one
            for one, fact in enumerate(self._facts)
            if (fact.doing is Doing.MAKE and _names(fact.goods, code)) or _names(fact.outputs, code)
        ]
        return all(one in self._kept and one != number for one in makings)

    def _is_reported(self, number: int, holder: int, code: str) -> bool:
        """Whether the record still puts the lot at that party, or on its way there."""
        return any(
            (fact.party == holder and (_names(fact.goods, code) or _names(fact.outputs, code)))
            or (fact.doing is Doing.SHIP and fact.other == holder and _names(fact.goods, code))
            for fact in self._others(number)
        )

    def _bears_run_drops(self, number: int) -> bool:
        """Whether each run without a record would still have its inputs reported there."""
        return all(
            self._is_reported(number, fact.party, code)
            for one, fact in enumerate(self._facts)
            if fact.doing is Doing.RUN and one not in self._kept
            for code, _ in fact.goods
        )


def _names(goods: Amounts, code: str) -> bool:
    return any(one == code for one, _ in goods)


PRIMARY_STEP: Final = "harvesting"
"""What a farm's making is called: goods that nothing recorded went into."""


def _enter(chronicle: Chronicle, report: _Report, number: int) -> None:
    fact = report.fact
    lo_ms = report.shown_ms
    when = Interval(lo_ms, lo_ms)
    if report.is_dated:
        day_ms = lo_ms - (lo_ms - DAY_ONE_MS) % DAY_MS
        when = Interval(day_ms, day_ms + DAY_MS - 1)

    def amounts(goods: Amounts) -> dict[str, object]:
        return {
            code.partition("/10/")[0] if report.is_uncoded else code: None if report.is_uncounted else grams / KG
            for code, grams in goods
        }

    bill = () if fact.hand_over is None or not report.has_bill else (("desadv", f"urn:example:da:{fact.hand_over}"),)
    other = () if fact.other is None else (("possessing_party", party(fact.other)), ("location", place(fact.other)))
    build = partial(build_event, location=place(fact.party), event_id=f"urn:example:event:{number}")
    match fact.doing:
        case Doing.MAKE:
            event = build(EventType.OBJECT, when, action=Action.ADD, goods=amounts(fact.goods), step=PRIMARY_STEP)
        case Doing.RUN:
            event = build(EventType.TRANSFORMATION, when, inputs=amounts(fact.goods), outputs=amounts(fact.outputs))
        case Doing.SHIP:
            event = build(
                EventType.OBJECT,
                when,
                action=Action.OBSERVE,
                step="shipping",
                goods=amounts(fact.goods),
                destinations=other,
                documents=bill,
            )
        case Doing.RECEIVE:
            event = build(
                EventType.OBJECT,
                when,
                action=Action.OBSERVE,
                step="receiving",
                goods=amounts(fact.goods),
                sources=other,
                documents=bill,
            )
        case Doing.END:
            event = build(
                EventType.OBJECT, when, action=Action.DELETE, step="retail_selling", goods=amounts(fact.goods)
            )
    chronicle.add(event, member=f"member-{fact.party}")
    if report.is_doubled:
        # The other side, or the carrier, tells of the same thing: equal in all but its id and its member.
        teller = fact.other if fact.other is not None else fact.party
        chronicle.add(replace(event, event_id=f"{event.event_id}-witness"), member=f"member-{teller}")


def build_world(number: int) -> World:
    """Return world `number`: the same number, the same world."""
    chance = random.Random(f"world/{number}")
    play = _play(chance)
    reports, dropped = _Scribe(play, chance).write()
    chronicle = Chronicle()
    for one, report in enumerate(reports):
        _enter(chronicle, report, one)
    truth = tuple(
        Held(
            party=holder,
            lot=code,
            amount=pile.amount,
            content=sum((slab.seed for slab in pile.slabs), Fraction(0)),
            affected=sum(slab.amount for slab in pile.slabs if slab.seed),
        )
        for (holder, code), pile in sorted(play.piles.items())
        if pile.amount
    )
    return World(
        number=number,
        facts=tuple(play.facts),
        seed_lot=play.seed_lot,
        truth=truth,
        touched=frozenset(play.touched),
        chronicle=chronicle,
        blemishes=Blemishes(
            dropped=dropped,
            amounts=sum(report.is_uncounted for report in reports),
            times=sum(report.is_dated for report in reports),
            documents=sum(not report.has_bill and report.fact.hand_over is not None for report in reports),
            codes=sum(report.is_uncoded for report in reports),
            doubled=sum(report.is_doubled for report in reports),
            rework=play.is_reworked,
        ),
    )


def missed_grams(world: World, answer: ScopeAnswer) -> dict[str, int]:
    """Return what of each lot is truly affected and not in the scope, in grams; empty if nothing was missed.

    Of a lot with a making that nobody recorded no amount can be known: it is missed if it is not in scope at all, and
    some event names it.
    """
    affected: dict[str, int] = {}
    for held in world.truth:
        affected[held.lot] = affected.get(held.lot, 0) + held.affected
    events = [row.event for row in world.chronicle.rows]
    named = {goods.item for event in events for goods in (*event.goods, *event.inputs, *event.outputs)}
    missed = {}
    for code, grams in affected.items():
        product = code.partition("/10/")[0]
        sums = [lot_sum for lot_sum in answer.lots if lot_sum.name in (code, product)]
        makings = sum(
            (fact.doing is Doing.MAKE and _names(fact.goods, code)) or _names(fact.outputs, code)
            for fact in world.facts
        )
        recorded = sum(
            (event.step == PRIMARY_STEP and event.goods[0].item == code)
            or any(goods.item == code for goods in event.outputs)
            for event in events
        )
        if recorded < makings:
            if grams and not sums and code in named:
                missed[code] = grams
            continue
        bounds = [amount.max for lot_sum in sums for amount in lot_sum.affected]
        if None in bounds:
            continue
        most = sum((Decimal(bound) for bound in bounds if bound is not None), Decimal(0)) * KG
        if most < grams:
            missed[code] = grams - int(most)
    return missed


def false_certainties(world: World, answer: ScopeAnswer) -> list[tuple[int, str]]:
    """Return (party, lot) of the portions said to be certain that never held seed material there."""
    parties = {place(number): number for number in range(1, 10)}
    return [
        (parties[portion.place], portion.item)
        for portion in answer.portions
        if portion.status == "certain"
        and portion.kind == "held"
        and portion.place in parties
        and (parties[portion.place], portion.item) not in world.touched
    ]
