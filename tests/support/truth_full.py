"""Worlds as plants really are: vessels that are topped up and cleaned, lines with rules, units, and slips of the pen.

They begin at FULL_FROM. Beside what `truth_play.py` plays: a vessel is topped up before it is empty, drawn in many lots
a day, and after so many draws run empty and cleaned. Some lines kill what grows, of some it is known how much a
chemical leaves behind. Goods travel in cases on pallets, and in some worlds what shares a pallet is passed on. At some
sites two members tell what happens, each by a clock of its own. Some cleanings and runs were recorded that never were,
and were declared void.
"""

import random
from dataclasses import dataclass, field, replace
from typing import Final

from tests.support.events import DAY_MS, product_class, unit
from tests.support.truth_play import (
    KG,
    MINUTE_MS,
    RESIDUE_MS,
    VESSEL_LINE,
    Cleaning,
    Doing,
    Fact,
    Pile,
    Play,
    SeedBy,
    Slab,
    Vessel,
)

FULL_FROM: Final = 100_000
AGENT: Final = "Salmonella"
"""What kill steps kill, and what the hazard is."""
_LOW: Final = 60 * KG
"""A vessel with less is topped up."""
_DRAWS: Final = 24
"""After so many draws a vessel is run empty, and cleaned."""
Load = tuple[str, str, int, list[Slab]]
"""What is in a case: its name, the lot, grams, slabs."""


@dataclass(slots=True)
class FullPlay(Play):
    """A world from FULL_FROM on. carried: by plant and line, grams that still get some of a chemical, and from which
    fact. on_pallets: (arrival, receiver, sender, pallet, cases) of what is on its way."""

    draws: dict[int, int] = field(default_factory=dict)
    carried: dict[tuple[int, int], tuple[int, int]] = field(default_factory=dict)
    on_pallets: list[tuple[int, int, int, str, list[Load]]] = field(default_factory=list)
    units: int = 0

    def pass_time(self) -> None:
        self.now_ms += self.chance.choice((2, 5, 10, 20, 45, 90, 240)) * MINUTE_MS

    # Vessels.

    def fill(self) -> None:
        plants = [at for at in self.plants if self.stock_of(at) and self.draws.get(at, 0) < _DRAWS]
        if not plants:
            return
        plant = self.chance.choice(plants)
        vessel = self.vessels[plant]
        while vessel.pile.amount < _LOW:
            own = [code for code in self.stock_of(plant) if not code.startswith(product_class(str(70 + plant)))]
            if not own:
                return
            code = self.chance.choice(own)
            self._fill_with(plant, vessel, code, min(self.piles[plant, code].amount // KG, 40) * KG)
            self.now_ms += self.chance.choice((2, 5, 10)) * MINUTE_MS

    def _fill_with(self, plant: int, vessel: Vessel, code: str, amount: int) -> None:
        if vessel.run is None:
            self.runs += 1
            vessel.run, vessel.lot = f"urn:example:run:{self.runs}", None
        vessel.pile.put(self.piles[plant, code].take(amount, self.chance))
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
        is_last = self.draws.get(plant, 0) >= _DRAWS
        for _ in range(self.chance.randint(1, 4)):
            within = vessel.pile.amount
            if not within:
                break
            amount = min(within, self.chance.randint(3, 15) * KG)
            if vessel.lot is None or self.chance.random() < 0.85:
                vessel.lot = self.new_lot(70 + plant)
            slabs = vessel.draw(amount, self.chance)
            self.bring(plant, vessel.lot, slabs)
            self.facts.append(
                Fact(
                    Doing.DRAW,
                    self.now_ms,
                    plant,
                    (),
                    outputs=((vessel.lot, amount),),
                    run=vessel.run,
                    line=VESSEL_LINE,
                ),
            )
            self.draws[plant] = self.draws.get(plant, 0) + 1
            if any(slab.is_exposed for slab in slabs):
                self.dirty[plant, VESSEL_LINE] = self.now_ms + RESIDUE_MS, len(self.facts) - 1
            self.now_ms += self.chance.choice((5, 10, 20, 45)) * MINUTE_MS
        if not vessel.pile.amount:
            vessel.run = None
            if is_last:
                self.draws[plant] = 0
                self._clean_line(Cleaning(self.now_ms, plant, VESSEL_LINE, is_verified=self.chance.random() < 0.85))

    def _clean_line(self, cleaning: Cleaning) -> None:
        self.cleanings.append(cleaning)
        every = [*range(1, self.lines[cleaning.party] + 1), VESSEL_LINE]
        for one in every if cleaning.line is None else (cleaning.line,):
            is_full = one == VESSEL_LINE and self.vessels[cleaning.party].pile.amount > 0
            if not is_full and (cleaning.is_verified or self.chance.random() < 0.5):
                self.dirty.pop((cleaning.party, one), None)
                self.carried.pop((cleaning.party, one), None)

    def clean(self) -> None:
        plant = self.chance.choice(self.plants)
        line = self.chance.choice((None, *range(1, self.lines[plant] + 1)))
        self._clean_line(Cleaning(self.now_ms, plant, line, is_verified=self.chance.random() < 0.7))

    # Lines.

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
            amount = self.chance.randint(max(1, pile.amount // KG // 2), pile.amount // KG) * KG
            slabs.extend(pile.take(amount, self.chance))
            taken.append((code, amount))
        total = sum(slab.amount for slab in slabs)
        codes = [self.new_lot(40 + plant) for _ in range(self.chance.randint(1, 3))]
        own = [code for code in stock if code.startswith(product_class(str(40 + plant)))]
        if own and self.chance.random() < 0.2:
            codes[0] = self.chance.choice(own)
            self.is_reworked = True
        cuts = sorted(self.chance.randint(0, total // KG) * KG for _ in codes[1:])
        shares = [high - low for low, high in zip((0, *cuts), (*cuts, total), strict=True)]
        vessel = Pile(slabs)
        if self.chance.random() < 0.5:
            vessel.mix()
        line = self.chance.randint(1, self.lines[plant])
        is_passed = self.chance.random() < 0.8
        vessel.slabs = self._run_on(plant, line, vessel.slabs, is_killed=is_passed and (plant, line) in self.kills)
        given: list[tuple[str, int]] = []
        for code, share in zip(codes, shares, strict=True):
            if share:
                self.bring(plant, code, vessel.take(share, self.chance))
                given.append((code, share))
        self.facts.append(
            Fact(Doing.RUN, self.now_ms, plant, tuple(taken), outputs=tuple(given), line=line, is_passed=is_passed)
        )

    def _run_on(self, plant: int, line: int, slabs: list[Slab], *, is_killed: bool) -> list[Slab]:
        """Return what a line makes of goods, which run on it as the next fact."""
        dirty, number = (plant, line), len(self.facts)
        is_dirtying = any(slab.is_exposed for slab in slabs)
        before = self.dirty.get(dirty)
        if is_killed:
            slabs = [replace(slab, is_touched=False, is_killed=True) for slab in slabs]
        slabs = self.smear(plant, line, slabs)
        if is_dirtying:
            self.dirty[dirty] = self.now_ms + RESIDUE_MS, number
        elif before is not None and dirty not in self.dirty:
            self.dirty[dirty] = before
        if dirty not in self.carries:
            return slabs
        is_source = any(slab.seed or slab.is_carried for slab in slabs)
        total = sum(slab.amount for slab in slabs)
        grams, source = self.carried.pop(dirty, (0, -1))
        if total <= grams and self.chance.random() < 0.8:
            if not is_source:
                self.smears.add(source)
            slabs = [replace(slab, is_carried=True) for slab in slabs]
            is_source = True
        if is_source:
            self.carried[dirty] = self.carries[dirty], number
        elif grams > total:
            self.carried[dirty] = grams - total, source
        return slabs

    # Units.

    def ship_packed(self) -> None:
        """Send two or three lots of one holder in cases on one pallet."""
        holders = [at for at in (*self.farms, *self.plants) if len(self.stock_of(at)) >= 2]
        if not holders:
            return
        sender = self.chance.choice(holders)
        codes = self.chance.sample(self.stock_of(sender), k=2)
        receiver = self.chance.choice([at for at in (*self.plants, *self.shops) if at != sender])
        cases: list[Load] = []
        for code in codes:
            pile = self.piles[sender, code]
            amount = self.chance.randint(1, min(30, pile.amount // KG)) * KG
            case = self._new_unit()
            cases.append((case, code, amount, pile.take(amount, self.chance)))
            self.facts.append(Fact(Doing.PACK, self.now_ms, sender, ((code, amount),), unit=case))
        pallet = self._new_unit()
        inside = tuple([case for case, *_ in cases])
        self.now_ms += 5 * MINUTE_MS
        self.facts.append(Fact(Doing.PACK, self.now_ms, sender, (), unit=pallet, inside=inside))
        is_passed_on = self.is_colocated and any(slab.is_exposed for *_, slabs in cases for slab in slabs)
        if is_passed_on and self.chance.random() < 0.8:
            cases = [
                (case, code, amount, [replace(slab, is_touched=True) for slab in slabs])
                for case, code, amount, slabs in cases
            ]
        self.now_ms += 10 * MINUTE_MS
        self.facts.append(Fact(Doing.SEND_UNIT, self.now_ms, sender, (), other=receiver, unit=pallet))
        arrives_ms = self.now_ms + self.chance.choice((40, 120, 400)) * MINUTE_MS
        self.on_pallets.append((arrives_ms, receiver, sender, pallet, cases))

    def _new_unit(self) -> str:
        self.units += 1
        return unit(self.units)

    def arrive(self) -> None:
        Play.arrive(self)
        for due in sorted(self.on_pallets, key=lambda one: one[:2]):
            arrives_ms, receiver, sender, pallet, cases = due
            if arrives_ms > self.now_ms:
                continue
            self.on_pallets.remove(due)
            inside = tuple([case for case, *_ in cases])
            self.facts.append(Fact(Doing.TAKE_UNIT, arrives_ms, receiver, (), other=sender, unit=pallet))
            self.facts.append(Fact(Doing.UNPACK, arrives_ms + 10 * MINUTE_MS, receiver, (), unit=pallet, inside=inside))
            for case, code, amount, slabs in cases:
                self.put(receiver, code, slabs)
                self.facts.append(
                    Fact(Doing.UNPACK, arrives_ms + 15 * MINUTE_MS, receiver, ((code, amount),), unit=case)
                )
            self.now_ms = max(self.now_ms, arrives_ms + 17 * MINUTE_MS)

    # Slips of the pen.

    def slip(self) -> None:
        """Record a cleaning or a run that never was, to be declared void."""
        plants = [at for at in self.plants if self.stock_of(at)]
        if not plants:
            return
        plant = self.chance.choice(plants)
        if self.chance.random() < 0.6:
            line = self.chance.choice((None, VESSEL_LINE, *range(1, self.lines[plant] + 1)))
            self.false_cleanings.append(Cleaning(self.now_ms, plant, line, is_verified=True))
            return
        code = self.chance.choice(self.stock_of(plant))
        amount = self.chance.randint(1, self.piles[plant, code].amount // KG) * KG
        outputs = ((self.new_lot(40 + plant), amount),)
        line = self.chance.randint(1, self.lines[plant])
        self.false_runs.append(Fact(Doing.RUN, self.now_ms, plant, ((code, amount),), outputs, line=line))


def build_full(number: int, chance: random.Random) -> Play:
    """Return what happened in a world from FULL_FROM on."""
    farms, plants, shops = chance.randint(1, 3), chance.randint(1, 2), chance.randint(1, 3)
    play = FullPlay(
        chance,
        farms=range(1, 1 + farms),
        plants=range(1 + farms, 1 + farms + plants),
        shops=range(1 + farms + plants, 1 + farms + plants + shops),
        is_rich=True,
        is_busy=True,
        is_full=True,
    )
    play.seed_by = chance.choice(tuple(SeedBy))
    has_units, has_slips = chance.random() < 0.4, chance.random() < 0.4
    play.is_colocated = has_units and chance.random() < 0.6
    for plant in play.plants:
        play.lines[plant] = chance.randint(2, 3)
        mode = chance.choice(("fifo", "fifo", "fifo", "mixed", "any"))
        play.vessels[plant] = Vessel(mode, chance.choice((0, 4, 8)) * KG, mode != "any" and chance.random() < 0.8)
        if chance.random() < 0.4:
            play.kills.add((plant, 1))
        if chance.random() < 0.4:
            play.carries[plant, 2] = chance.choice((40, 100)) * KG
        if chance.random() < 0.3:
            play.two_tell.add(plant)
    acts = [play.make, play.ship, play.run, play.end, play.fill, play.draw, play.clean, play.ship_packed, play.slip]
    weights = [4, 10, 6, 2, 10, 10, 2, 3 if has_units else 0, 2 if has_slips else 0]
    for _ in range(2):
        play.make()
        play.pass_time()
    for _ in range(chance.randint(50, 80)):
        play.arrive()
        chance.choices(acts, weights=weights)[0]()
        play.pass_time()
    if not play.seed_lot:
        return build_full(number, chance)
    play.now_ms += DAY_MS
    play.arrive()
    return play
