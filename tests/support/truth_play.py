"""What happens in a made-up supply chain whose truth is known to the gram.

Every gram is a piece of a *slab*: so much goods with so much seed material in it, perhaps touched by a dirty line.
Goods move, split, mix in runs, fill and leave vessels, come back, are reworked into their own code. Lines get dirty and
are cleaned. Nothing here knows the engine. Worlds below RICH_FROM have neither vessels nor lines, and from BUSY_FROM on
vessels are filled and drawn all the time, and less is left off the record: each number must stay the world that it was.
"""

import random
from dataclasses import dataclass, field, replace
from enum import StrEnum
from fractions import Fraction
from typing import Final

from tests.support.events import DAY_MS, DAY_ONE_MS, lot, product_class

MINUTE_MS: Final = 60_000
KG: Final = 1000
"""Grams."""
RICH_FROM: Final = 10_000
BUSY_FROM: Final = 20_000
RESIDUE_MS: Final = 23 * 60 * MINUTE_MS
"""For so long a dirty line may leave something in what runs on it: less than the network's contact window."""
VESSEL_LINE: Final = 9
"""The line number of a plant's vessel."""


@dataclass(frozen=True, slots=True)
class Slab:
    """Goods that are alike throughout. amount: grams. seed: grams of seed material in it. is_touched: by a dirty line,
    or by goods with seed material that it lay beside in a vessel or a pile. is_killed: what may grow in the seed
    material does so no more. is_carried: it holds what a chemical left behind on a line."""

    amount: int
    seed: Fraction
    is_touched: bool = False
    is_killed: bool = False
    is_carried: bool = False

    @property
    def is_exposed(self) -> bool:
        return (bool(self.seed) and not self.is_killed) or self.is_touched


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
            part, self.slabs[number] = _cut(slab, amount)
            taken.append(part)
            amount = 0
        return taken

    def take_first(self, amount: int) -> list[Slab]:
        """Take so many grams in the order in which they came."""
        taken: list[Slab] = []
        while amount:
            slab = self.slabs.pop(0)
            if slab.amount > amount:
                slab, rest = _cut(slab, amount)
                self.slabs.insert(0, rest)
            taken.append(slab)
            amount -= slab.amount
        return taken

    def take_last(self, amount: int) -> list[Slab]:
        """Take so many grams of what came last, in the order in which they came."""
        before = self.take_first(self.amount - amount)
        taken, self.slabs = self.slabs, before
        return taken

    def mix(self) -> None:
        """Make all of it alike."""
        if self.slabs:
            seed = sum((slab.seed for slab in self.slabs), Fraction(0))
            is_killed = all(slab.is_killed for slab in self.slabs if slab.seed) and bool(seed)
            is_carried = any(slab.is_carried for slab in self.slabs)
            self.slabs = [Slab(self.amount, seed, any(slab.is_touched for slab in self.slabs), is_killed, is_carried)]


def _cut(slab: Slab, amount: int) -> tuple[Slab, Slab]:
    part = slab.seed * amount / slab.amount
    return replace(slab, amount=amount, seed=part), replace(slab, amount=slab.amount - amount, seed=slab.seed - part)


class SeedBy(StrEnum):
    """What is known to be bad: all goods with a code, what one making brought, or what one shipment carried."""

    LOT = "lot"
    MAKING = "making"
    SHIPMENT = "shipment"


class Doing(StrEnum):
    """What happened."""

    MAKE = "make"
    RUN = "run"
    FILL = "fill"
    """Into a vessel whose run goes on."""
    DRAW = "draw"
    """Out of it."""
    SHIP = "ship"
    RECEIVE = "receive"
    END = "end"
    PACK = "pack"
    """Into a case or, cases, onto a pallet."""
    SEND_UNIT = "send unit"
    TAKE_UNIT = "take unit"
    """Received."""
    UNPACK = "unpack"


Amounts = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that happened, as a perfect record would have it.

    party: who did it, at its one site. other: the receiver of a shipment, the sender of what was received. goods: lots
    with grams; inputs for a run. outputs: of a run. hand_over: which shipment it belongs to. run: the lasting run that
    it is a part of. line: on which line of the plant.
    """

    doing: Doing
    when_ms: int
    party: int
    goods: Amounts
    outputs: Amounts = ()
    other: int | None = None
    hand_over: int | None = None
    run: str | None = None
    line: int | None = None
    is_passed: bool = False
    unit: str = ""
    inside: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Cleaning:
    """A line of a plant was cleaned; line None: all of them. is_verified: somebody checked that it is clean."""

    when_ms: int
    party: int
    line: int | None
    is_verified: bool


@dataclass(frozen=True, slots=True)
class Held:
    """The truth of what a party holds of a lot, or of all that was ever made of one. affected: grams of slabs with seed
    material in them; exposed: of those with what grows or spreads in them; chemical: also of those that got some from a
    line; holding: of those with seed material in them, harmless or not, and of those exposed."""

    party: int
    lot: str
    amount: int
    content: Fraction
    affected: int
    exposed: int
    chemical: int
    holding: int


def weigh(holder: int, code: str, slabs: list[Slab]) -> Held:
    """Return the truth of some slabs."""
    return Held(
        party=holder,
        lot=code,
        amount=sum(slab.amount for slab in slabs),
        content=sum((slab.seed for slab in slabs), Fraction(0)),
        affected=sum(slab.amount for slab in slabs if slab.seed),
        exposed=sum(slab.amount for slab in slabs if slab.is_exposed),
        chemical=sum(slab.amount for slab in slabs if slab.seed or slab.is_carried),
        holding=sum(slab.amount for slab in slabs if slab.seed or slab.is_exposed),
    )


@dataclass(slots=True)
class Vessel:
    """A tank or silo of a plant. mode: fifo, mixed or any. heel: grams by which fifo may be out of order.

    is_declared: whether the plant has its mode on record. run: of what is in it now.
    """

    mode: str
    heel: int
    is_declared: bool
    pile: Pile = field(default_factory=Pile)
    run: str | None = None
    lot: str | None = None

    def draw(self, amount: int, chance: random.Random) -> list[Slab]:
        """Draw so many grams, in the vessel's way."""
        if self.mode == "any":
            return self.pile.take(amount, chance)
        if self.mode == "mixed":
            self.pile.mix()
        taken = self.pile.take_first(amount)
        if self.mode == "fifo" and self.heel and min(amount, self.pile.amount) >= 2 * self.heel:
            # Some of what is next comes early, some of what was due stays: each within the heel of its place, for
            # half a heel is moved, and nothing is moved twice.
            swap = chance.randint(0, self.heel // 2 // KG) * KG
            front = Pile(taken)
            stay = front.take_last(swap)
            early = self.pile.take_first(swap)
            self.pile.slabs[:0] = stay
            return [*front.slabs, *early]
        return taken


@dataclass(slots=True)
class Play:
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
    seed_by: SeedBy = SeedBy.LOT
    seed_fact: int = -1
    """Which fact brought the bad goods: of a rich world."""
    made: int = 0
    hand_overs: int = 0
    is_reworked: bool = False
    is_rich: bool = False
    is_busy: bool = False
    is_full: bool = False
    """Whether vessels are metered, as validated ones are: by machines that note each fill and draw."""
    lines: dict[int, int] = field(default_factory=dict)
    vessels: dict[int, Vessel] = field(default_factory=dict)
    cleanings: list[Cleaning] = field(default_factory=list)
    exposed: set[tuple[int, str]] = field(default_factory=set)
    makings: list[Held] = field(default_factory=list)
    dirty: dict[tuple[int, int], tuple[int, int]] = field(default_factory=dict)
    """By plant and line: until when, and the number of the fact that left it so."""
    smears: set[int] = field(default_factory=set)
    """The facts whose residue got into another run."""
    runs: int = 0
    false_cleanings: list[Cleaning] = field(default_factory=list)
    """Recorded, and declared void: they never were."""
    false_runs: list[Fact] = field(default_factory=list)
    kills: set[tuple[int, int]] = field(default_factory=set)
    """Plants' lines that kill what grows, where it was checked."""
    carries: dict[tuple[int, int], int] = field(default_factory=dict)
    """Plants' lines, and how many grams of what runs next may get some of a chemical."""
    two_tell: set[int] = field(default_factory=set)
    """Parties at whose sites two members tell what happens."""
    is_colocated: bool = False
    """Whether goods on one pallet pass on what spreads."""

    def pass_time(self) -> None:
        # Never closer than the tolerance lets clocks err: what is closer has no order to anybody.
        steps = (2, 10, 20, 45, 90, 300) if self.is_rich else (2, 20, 45, 90, 300, 900)
        self.now_ms += self.chance.choice(steps) * MINUTE_MS

    def stock_of(self, holder: int) -> list[str]:
        return [code for (at, code), pile in self.piles.items() if at == holder and pile.amount >= KG]

    def put(self, holder: int, code: str, slabs: list[Slab]) -> None:
        pile = self.piles.setdefault((holder, code), Pile())
        pile.put(slabs)
        if self.is_rich and any(slab.is_exposed for slab in pile.slabs):
            # What grows spreads through the pile.
            pile.slabs = [replace(slab, is_touched=True) for slab in pile.slabs]
        if any(slab.seed for slab in slabs):
            self.touched.add((holder, code))
        if any(slab.is_exposed for slab in slabs):
            self.exposed.add((holder, code))

    def bring(self, holder: int, code: str, slabs: list[Slab]) -> None:
        """Put there what was made just now."""
        self.put(holder, code, slabs)
        self.makings.append(weigh(holder, code, slabs))

    def new_lot(self, product: int) -> str:
        self.made += 1
        return lot(str(product), f"L{self.made}")

    def kilograms(self, low: int, high: int) -> int:
        return self.chance.randint(low, high) * KG

    def make(self) -> None:
        if self.is_rich:
            self.make_rich()
            return
        farm = self.chance.choice(self.farms)
        own = [code for code in self.stock_of(farm) if code != self.seed_lot]
        code = self.chance.choice(own) if own and self.chance.random() < 0.25 else self.new_lot(10 + farm)
        amount = self.kilograms(40, 200)
        if not self.seed_lot and self.made >= 1 and self.chance.random() < 0.6:
            code = self.seed_lot = self.new_lot(10 + farm)
        is_seed = code == self.seed_lot
        self.bring(farm, code, [Slab(amount, Fraction(amount if is_seed else 0))])
        self.facts.append(Fact(Doing.MAKE, self.now_ms, farm, ((code, amount),)))

    def make_rich(self) -> None:
        """Make goods; those of one making are bad, and the code may be that of good ones too."""
        farm = self.chance.choice(self.farms)
        is_seed = not self.seed_lot and self.seed_by is not SeedBy.SHIPMENT and self.made and self.chance.random() < 0.3
        own = [
            code
            for code in self.stock_of(farm)
            if code.startswith(product_class(str(10 + farm)))
            and (self.seed_by is not SeedBy.LOT or (code != self.seed_lot and not is_seed))
        ]
        code = self.chance.choice(own) if own and self.chance.random() < 0.35 else self.new_lot(10 + farm)
        amount = self.kilograms(40, 200)
        if is_seed:
            self.seed_lot, self.seed_fact = code, len(self.facts)
        if self.is_busy:
            amount = self.kilograms(20, 80)
        self.bring(farm, code, [Slab(amount, Fraction(amount if is_seed else 0))])
        self.facts.append(Fact(Doing.MAKE, self.now_ms, farm, ((code, amount),)))

    def ship(self) -> None:
        holders = [at for at in (*self.farms, *self.plants) if self.stock_of(at)]
        if not holders:
            return
        if self.is_busy and self.chance.random() < 0.7:
            # Goods do not lie where they were grown.
            holders = [at for at in self.farms if at in holders] or holders
        sender = self.chance.choice(holders)
        code = self.chance.choice(self.stock_of(sender))
        pile = self.piles[sender, code]
        amount = pile.amount if self.chance.random() < 0.4 else self.chance.randint(1, pile.amount // KG) * KG
        places = [at for at in (*self.plants, *self.shops) if at != sender]
        if self.is_busy and sender in self.farms:
            places = list(self.plants)
        receiver = self.chance.choice(places)
        self.hand_overs += 1
        slabs = pile.take(amount, self.chance)
        if self.seed_by is SeedBy.SHIPMENT and not self.seed_lot and self.made > 2 and self.chance.random() < 0.2:
            self.seed_lot, self.seed_fact = code, len(self.facts)
            slabs = [Slab(slab.amount, Fraction(slab.amount)) for slab in slabs]
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
            least = pile.amount // KG // 2 if self.is_busy else 1
            amount = self.chance.randint(max(1, least), pile.amount // KG) * KG
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
            vessel.mix()
        line = self.chance.randint(1, self.lines[plant]) if self.is_rich else None
        if line is not None:
            vessel.slabs = self.smear(plant, line, vessel.slabs)
        given: list[tuple[str, int]] = []
        for code, share in zip(codes, shares, strict=True):
            if share:
                self.bring(plant, code, vessel.take(share, self.chance))
                given.append((code, share))
        self.facts.append(Fact(Doing.RUN, self.now_ms, plant, tuple(taken), outputs=tuple(given), line=line))

    # Lines and vessels.

    def smear(self, plant: int, line: int, slabs: list[Slab]) -> list[Slab]:
        """Return what a line makes of these goods, which run on it as the next fact; it may be dirty, or get so."""
        until_ms, smearer = self.dirty.get((plant, line), (0, -1))
        is_exposed = any(slab.is_exposed for slab in slabs)
        is_smeared = until_ms > self.now_ms and self.chance.random() < 0.8
        if is_smeared and not is_exposed:
            self.smears.add(smearer)
        if is_exposed:
            self.dirty[plant, line] = self.now_ms + RESIDUE_MS, len(self.facts)
        if not is_exposed and not is_smeared:
            return slabs
        return [replace(slab, is_touched=True) for slab in slabs]

    def fill(self) -> None:
        plants = [at for at in self.plants if self.stock_of(at)]
        if not plants:
            return
        plant = self.chance.choice(plants)
        code = self.chance.choice(self.stock_of(plant))
        pile, vessel = self.piles[plant, code], self.vessels[plant]
        most = min(pile.amount // KG, 40) if self.is_busy else pile.amount // KG
        amount = self.chance.randint(1, most) * KG
        if vessel.run is None:
            self.runs += 1
            vessel.run, vessel.lot = f"urn:example:run:{self.runs}", None
        vessel.pile.put(pile.take(amount, self.chance))
        vessel.pile.slabs = self.smear(plant, VESSEL_LINE, vessel.pile.slabs)
        self.facts.append(
            Fact(Doing.FILL, self.now_ms, plant, ((code, amount),), run=vessel.run, line=VESSEL_LINE),
        )

    def draw(self) -> None:
        plants = [at for at in self.plants if self.vessels[at].pile.amount]
        if not plants:
            return
        plant = self.chance.choice(plants)
        vessel = self.vessels[plant]
        within = vessel.pile.amount
        if self.is_busy:
            amount = self.chance.randint(1, min(within // KG, 25)) * KG
        else:
            amount = within if self.chance.random() < 0.25 else self.chance.randint(1, within // KG) * KG
        if vessel.lot is None or self.chance.random() < 0.7:
            vessel.lot = self.new_lot(70 + plant)
        slabs = vessel.draw(amount, self.chance)
        self.bring(plant, vessel.lot, slabs)
        self.facts.append(
            Fact(Doing.DRAW, self.now_ms, plant, (), outputs=((vessel.lot, amount),), run=vessel.run, line=VESSEL_LINE),
        )
        if any(slab.is_exposed for slab in slabs):
            # Its walls are dirty while such goods are in it, and from then on.
            self.dirty[plant, VESSEL_LINE] = self.now_ms + RESIDUE_MS, len(self.facts) - 1
        if not vessel.pile.amount:
            vessel.run = None

    def clean(self) -> None:
        plant = self.chance.choice(self.plants)
        every = [*range(1, self.lines[plant] + 1), VESSEL_LINE]
        line = self.chance.choice((None, *every))
        is_verified = self.chance.random() < 0.7
        self.cleanings.append(Cleaning(self.now_ms, plant, line, is_verified))
        for one in every if line is None else (line,):
            is_full = one == VESSEL_LINE and self.vessels[plant].pile.amount > 0
            if not is_full and (is_verified or self.chance.random() < 0.5):
                self.dirty.pop((plant, one), None)

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


def build_play(number: int, chance: random.Random) -> Play:
    """Return what happened in a world. number: from RICH_FROM on it has vessels and lines."""
    farms, plants, shops = chance.randint(1, 3), chance.randint(1, 3), chance.randint(1, 3)
    play = Play(
        chance,
        farms=range(1, 1 + farms),
        plants=range(1 + farms, 1 + farms + plants),
        shops=range(1 + farms + plants, 1 + farms + plants + shops),
        is_rich=number >= RICH_FROM,
        is_busy=number >= BUSY_FROM,
    )
    acts = [play.make, play.ship, play.run, play.end]
    weights = [3, 6, 5, 1]
    if play.is_rich:
        acts += [play.fill, play.draw, play.clean]
        weights = [4, 10, 3, 2, 14, 20, 4] if play.is_busy else [6, 12, 8, 2, 5, 6, 3]
        play.seed_by = chance.choice(tuple(SeedBy))
        for plant in play.plants:
            play.lines[plant] = chance.randint(2, 4) if play.is_busy else chance.randint(1, 2)
            mode = chance.choice(("fifo", "fifo", *(("fifo",) if play.is_busy else ()), "mixed", "any"))
            heel = chance.choice((0, 4, 8) if play.is_busy else (0, 10, 20)) * KG
            play.vessels[plant] = Vessel(mode, heel, is_declared=mode != "any" and chance.random() < 0.8)
    steps = (
        chance.randint(50, 100) if play.is_busy else chance.randint(30, 80) if play.is_rich else chance.randint(12, 45)
    )
    for _ in range(2):
        play.make()
        play.pass_time()
    for _ in range(steps):
        play.arrive()
        chance.choices(acts, weights=weights)[0]()
        play.pass_time()
    if not play.seed_lot:
        return build_play(number, chance)
    play.now_ms += DAY_MS
    play.arrive()
    return play
