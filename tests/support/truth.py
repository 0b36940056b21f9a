"""Made-up supply chains whose truth is known, what is recorded of them, and what a scope must say of that.

`build_world(seed)` plays a chain of farms, plants and shops (`truth_play.py`) and writes a record of it
(`truth_record.py`). The truth and the record share no code with the engine. The checks here hold a scope to the truth:
nothing that is truly affected is left out, no bound is broken, nothing clean is called certain.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Final

from node.lineage.hazards import Hazard
from node.lineage.scope_answer import Amount, ScopeAnswer, ScopePortion
from node.lineage.scope_question import ScopeQuestion, Seed
from tests.support.chronicle import Chronicle
from tests.support.events import party, place
from tests.support.truth_full import AGENT, FULL_FROM, build_full
from tests.support.truth_play import KG, Doing, Fact, Held, Play, SeedBy, build_play, weigh
from tests.support.truth_record import PRIMARY_STEP, WHOLE, Detail, Record, names, write_record

SPREADING: Final = frozenset({Hazard.FRAGMENT, Hazard.ALLERGEN, Hazard.MICROBE, Hazard.UNKNOWN})
"""What a dirty line passes on: the truth's own list, so that it does not follow the engine's."""


@dataclass(frozen=True, slots=True)
class Blemishes:
    """What is wrong with a world's record. disorder: whether two events stand in another order than they happened."""

    dropped: int = 0
    amounts: int = 0
    times: int = 0
    documents: int = 0
    codes: int = 0
    doubled: int = 0
    rework: bool = False
    disorder: bool = False


@dataclass(frozen=True, slots=True)
class World:
    """What happened and what is known of it.

    is_colocated: whether what shares a pallet is asked about, too. features: of FEATURES.

    seed_lot: the code that the bad goods bear. seed_fact: which fact brought them, if they are known by that. truth:
    what is held at the end. makings: all that was ever made, by making. touched: every (party, lot) that ever held seed
    material; exposed: or goods that were touched by some.
    """

    number: int
    facts: tuple[Fact, ...]
    seed_lot: str
    seed_by: SeedBy
    seed_fact: Fact
    truth: tuple[Held, ...]
    makings: tuple[Held, ...]
    touched: frozenset[tuple[int, str]]
    exposed: frozenset[tuple[int, str]]
    record: Record
    is_rich: bool
    is_colocated: bool
    has_carry_over: bool
    features: frozenset[str]
    blemishes: Blemishes

    def tell(self, detail: Detail = WHOLE) -> Chronicle:
        """Return the record in so much detail."""
        return self.record.tell(detail, is_rich=self.is_rich)

    def seed(self, detail: Detail = WHOLE) -> Seed:
        """Return what a scope is asked about: where no portions are told apart, the lot by its code."""
        if self.seed_by is SeedBy.LOT or not detail.amounts:
            return Seed(item=self.seed_lot)
        return Seed(item=self.seed_lot, event=self.record.digest_of(self.seed_fact, detail))

    def question(self, hazard: Hazard, detail: Detail = WHOLE) -> ScopeQuestion:
        """Return what a scope is asked about, and what of."""
        return ScopeQuestion((self.seed(detail),), hazard, agent=AGENT, colocation=self.is_colocated)


def build_world(number: int) -> World:
    """Return world `number`: the same number, the same world."""
    chance = random.Random(f"world/{number}")
    play = build_full(number, chance) if number >= FULL_FROM else build_play(number, chance)
    record, dropped = write_record(play, chance)
    reports = record.reports
    return World(
        number=number,
        facts=tuple(play.facts),
        seed_lot=play.seed_lot,
        seed_by=play.seed_by,
        seed_fact=play.facts[play.seed_fact],
        truth=tuple(
            [weigh(holder, code, pile.slabs) for (holder, code), pile in sorted(play.piles.items()) if pile.amount]
        ),
        makings=tuple(play.makings),
        touched=frozenset(play.touched),
        exposed=frozenset(play.exposed),
        record=record,
        is_rich=play.is_rich,
        is_colocated=play.is_colocated,
        has_carry_over=bool(play.carries),
        features=_features_of(play),
        blemishes=Blemishes(
            dropped=dropped,
            amounts=sum(report.is_uncounted for report in reports),
            times=sum(report.is_dated for report in reports),
            documents=sum(not report.has_bill and report.fact.hand_over is not None for report in reports),
            codes=sum(report.is_uncoded for report in reports),
            doubled=sum(report.is_doubled for report in reports),
            rework=play.is_reworked,
            disorder=_is_disordered([(report.fact.when_ms, report.shown_ms) for report in reports]),
        ),
    )


FEATURES: Final = (
    "two members' clocks at a site",
    "cleanings or runs declared void",
    "cases on pallets",
    "co-location asked",
    "kill steps",
    "carry-over of chemicals",
    "vessels declared first in, first out",
    "vessels declared mixed",
)
"""What worlds from FULL_FROM on may have."""


def _features_of(play: Play) -> frozenset[str]:
    has_it = (
        bool(play.two_tell),
        bool(play.false_cleanings or play.false_runs),
        any(fact.unit for fact in play.facts),
        play.is_colocated,
        bool(play.kills),
        bool(play.carries),
        any(one.mode == "fifo" and one.is_declared for one in play.vessels.values()),
        any(one.mode == "mixed" and one.is_declared for one in play.vessels.values()),
    )
    return frozenset(name for name, has in zip(FEATURES, has_it, strict=True) if has)


def _is_disordered(times: list[tuple[int, int]]) -> bool:
    shown = [shown_ms for _when_ms, shown_ms in sorted(times)]
    return any(later < earlier for earlier, later in pairwise(shown))


def affected_of(held: Held, hazard: Hazard) -> int:
    """Return the grams that are truly affected: where it spreads by contact, also those that were touched."""
    if hazard is Hazard.CHEMICAL:
        return held.chemical
    return held.exposed if hazard in SPREADING else held.affected


def _recorded(world: World, answer_to: Chronicle, code: str) -> bool:
    """Return whether each making of a lot is on the record."""
    makings = sum(
        (fact.doing is Doing.MAKE and names(fact.goods, code)) or names(fact.outputs, code) for fact in world.facts
    )
    events = [row.event for row in answer_to.rows]
    recorded = sum(
        (event.step == PRIMARY_STEP and event.goods[0].item == code)
        or any(goods.item == code for goods in event.outputs)
        for event in events
    )
    return recorded >= makings


def missed_grams(world: World, story: Chronicle, answer: ScopeAnswer) -> dict[str, int]:
    """Return what of each lot is truly affected and not in the scope, in grams; empty if nothing was missed.

    Of a lot with a making that nobody recorded no amount can be known: it is missed if it is not in scope at all, and
    some event names it. story: the record that was asked.
    """
    hazard = Hazard(answer.hazard)
    if hazard in SPREADING:
        return _missed_places(world, story, answer)
    affected: dict[str, int] = {}
    for held in world.truth:
        affected[held.lot] = affected.get(held.lot, 0) + affected_of(held, hazard)
    events = [row.event for row in story.rows]
    named = {goods.item for event in events for goods in (*event.goods, *event.inputs, *event.outputs)}
    missed = {}
    for code, grams in affected.items():
        product = code.partition("/10/")[0]
        sums = [lot_sum for lot_sum in answer.lots if lot_sum.name in (code, product)]
        if not _recorded(world, story, code):
            if grams and not sums and code in named:
                missed[code] = grams
            continue
        most = _most(amount for lot_sum in sums for amount in lot_sum.affected)
        if most is not None and most < grams:
            missed[code] = grams - int(most)
    return missed


def _missed_places(world: World, story: Chronicle, answer: ScopeAnswer) -> dict[str, int]:
    """Return what is truly affected at a party at which nothing of its lot is in scope, in grams.

    What spreads is withdrawn whole wherever it is in scope, so places count and amounts do not: the record may know of
    less of a lot than lies there.
    """
    inside, outside = places_in_scope(answer)
    in_scope = {lot_sum.name for lot_sum in answer.lots}
    named = {goods.item for row in story.rows for goods in (*row.event.goods, *row.event.inputs, *row.event.outputs)}
    missed: dict[str, int] = {}
    for held in world.truth:
        names_of_lot = (held.lot, held.lot.partition("/10/")[0])
        there = {(held.party, name) for name in names_of_lot}
        if not held.exposed or there & inside:
            continue
        if there & outside or (in_scope.isdisjoint(names_of_lot) and held.lot in named):
            missed[held.lot] = missed.get(held.lot, 0) + held.exposed
    return missed


def places_in_scope(answer: ScopeAnswer) -> tuple[set[tuple[int, str]], set[tuple[int, str]]]:
    """Return (party, item) of what is held, or on its way there, in scope; and of what is excluded."""
    inside: set[tuple[int, str]] = set()
    outside: set[tuple[int, str]] = set()
    for portion in (*answer.portions, *answer.excluded):
        if portion.kind in ("held", "in_transit"):
            at = (party_of(portion), portion.item)
            (outside if portion.status == "excluded" else inside).add(at)
    return inside, outside


PLACES: Final = {name: number for number in range(1, 10) for name in (place(number), party(number))}


def party_of(portion: ScopePortion) -> int:
    """Return who has a portion, or is to have it; 0 if nobody says."""
    name = portion.place if portion.kind == "held" else (portion.receiver or "").removeprefix("the party at ")
    return PLACES.get(name or "", 0)


def broken_bounds(world: World, story: Chronicle, answer: ScopeAnswer) -> list[tuple[str, str]]:
    """Return (lot, what) of the bounds of a lot's sum that do not contain the truth of all that was ever made of it."""
    hazard = Hazard(answer.hazard)
    reworked = _reworked(world)
    made: dict[str, list[Held]] = {}
    for making in world.makings:
        made.setdefault(making.lot, []).append(making)
    sums = {lot_sum.name: lot_sum for lot_sum in answer.lots}
    # What spreads is in scope whole, wherever it is.
    broken = [
        (portion.item, "not all of it")
        for portion in answer.portions
        if hazard in SPREADING and portion.kind == "held" and portion.affected.max != portion.quantity.max
    ]
    for code, makings in made.items():
        product = code.partition("/10/")[0]
        own = sums.get(code)
        both = [one for one in (own, sums.get(product)) if one is not None]
        content = sum((making.content for making in makings), Fraction(0))
        affected = sum(affected_of(making, hazard) for making in makings)
        if code == world.seed_lot and world.seed_by is SeedBy.SHIPMENT:
            continue  # It was made good.
        if own is not None and _least(own.content) > content:
            broken.append((code, "least content"))
        if own is not None and _least(own.affected) > sum(
            max(affected_of(one, hazard), one.holding) for one in makings
        ):
            broken.append((code, "least affected"))
        if hazard in SPREADING or code in reworked or not _recorded(world, story, code):
            continue
        if (most := _most(amount for one in both for amount in one.content)) is not None and most < content:
            broken.append((code, "most content"))
        if (most := _most(amount for one in both for amount in one.affected)) is not None and most < affected:
            broken.append((code, "most affected"))
    return broken


def _reworked(world: World) -> set[str]:
    """Return the codes that came back into themselves, through whatever runs: they are no sum of their makings."""
    ways: dict[str, set[str]] = {}
    for number, fact in enumerate(world.facts):
        run = fact.run or str(number)
        for code, _grams in fact.goods:
            ways.setdefault(code, set()).add(run)
        for code, _grams in fact.outputs:
            ways.setdefault(run, set()).add(code)
    found = set()
    for code in ways:
        pending, seen = [code], set()
        while pending:
            for further in ways.get(pending.pop(), ()):
                if further not in seen:
                    seen.add(further)
                    pending.append(further)
        if code in seen:
            found.add(code)
    return found


def _most(amounts: Iterator[Amount]) -> Fraction | None:
    """Return the most grams of amounts in kilograms, None without bound."""
    total = Fraction(0)
    for amount in amounts:
        if amount.max is None:
            return None
        total += Fraction(Decimal(amount.max)) * KG
    return total


def _least(amounts: tuple[Amount, ...]) -> Fraction:
    return sum((Fraction(Decimal(amount.min)) * KG for amount in amounts), Fraction(0))


def false_certainties(world: World, answer: ScopeAnswer) -> list[tuple[int, str]]:
    """Return (party, lot) of the portions said to be certain that never held seed material there."""
    parties = {place(number): number for number in range(1, 10)}
    # What a kill step made harmless still holds seed material.
    truly = world.touched | world.exposed if Hazard(answer.hazard) in SPREADING else world.touched
    return [
        (parties[portion.place], portion.item)
        for portion in answer.portions
        if portion.status == "certain"
        and portion.kind == "held"
        and portion.place in parties
        and (parties[portion.place], portion.item) not in truly
    ]
