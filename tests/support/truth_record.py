"""What a careless world has recorded of what happened, within what any record could bear.

It drops events, amounts, times, documents, lines and lot codes, reports twice, and lets clocks err. What a record must
hold is in docs/precision.md. A record may be told in less `Detail` than it has: so that one sees what each recorded
fact is worth.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from msgspec import structs

from consensus.types import Digest
from node.crypto.digests import sha256
from node.epcis.model import Action, Declaration, Event, EventType, Interval, MasterKind, MasterRecord
from tests.support.chronicle import Chronicle
from tests.support.events import DAY_MS, DAY_ONE_MS, build_event, build_row, party, place
from tests.support.memory_index import build_master
from tests.support.truth_full import AGENT
from tests.support.truth_play import KG, MINUTE_MS, VESSEL_LINE, Amounts, Cleaning, Doing, Fact, Play, SeedBy, Vessel

_BRINGING: Final = (Doing.MAKE, Doing.RECEIVE, Doing.UNPACK)
TOLERANCE_MS: Final = 15 * MINUTE_MS


@dataclass(frozen=True, slots=True)
class Detail:
    """How much of a record is told. Without times every event may be of any time of the story; amounts: with the
    documents that tell shipments apart; lines: with cleanings; rules: what plants declare of their vessels."""

    times: bool = True
    amounts: bool = True
    lines: bool = True
    rules: bool = True


WHOLE: Final = Detail()


@dataclass(slots=True)
class Report:
    """How a fact was written down. shown_ms: by the clock of who told. is_dated: only its day was noted. by_second: by
    the other of two members that tell what happens there."""

    fact: Fact
    shown_ms: int
    is_dated: bool = False
    is_uncounted: bool = False
    is_uncoded: bool = False
    has_bill: bool = True
    is_doubled: bool = False
    has_line: bool = True
    by_second: bool = False


class Scribe:
    """Writes the record of a play, and spoils what a record may lack."""

    def __init__(self, play: Play, chance: random.Random) -> None:
        self._chance = chance
        self._facts = play.facts
        self._smears = play.smears
        self._seed_fact = None if play.seed_by is SeedBy.LOT else play.seed_fact
        self._is_rich = play.is_rich
        self._is_busy = play.is_busy
        # How often a fill or a draw of a vessel lacks its time, or its amount.
        self._lapses = (0.005, 0.002) if play.is_full else (0.04, 0.01)
        self._share = 0.04 if play.is_busy else 0.2
        parties = (*play.farms, *play.plants, *play.shops)
        # Any two clocks differ by less than the tolerance.
        self._clocks_ms = {one: chance.randint(-7, 7) * MINUTE_MS for one in parties}
        self._seconds_ms = {one: chance.randint(-7, 7) * MINUTE_MS for one in sorted(play.two_tell)}
        self._kept = dict.fromkeys(range(len(play.facts)))

    def write(self) -> tuple[list[Report], int]:
        """Return the reports in the order of events, and how many facts have none."""
        chance = self._chance
        for number in chance.sample(range(len(self._facts)), k=len(self._facts)):
            if chance.random() < self._share and self._may_drop(number):
                del self._kept[number]
        reports = [self._report(number) for number in sorted(self._kept)]
        return reports, len(self._facts) - len(reports)

    def _report(self, number: int) -> Report:
        chance, fact = self._chance, self._facts[number]
        if fact.unit:
            by_second, shown_ms = self.tell_of(fact.party, fact.when_ms)
            return Report(fact, shown_ms, is_dated=chance.random() < 0.04, by_second=by_second)
        by_second, shown_ms = self.tell_of(fact.party, fact.when_ms)
        is_metered = self._is_busy and fact.doing in (Doing.FILL, Doing.DRAW)
        return Report(
            fact,
            shown_ms,
            by_second=by_second,
            is_dated=chance.random() < (self._lapses[0] if is_metered else 0.12),
            is_uncounted=chance.random() < (self._lapses[1] if is_metered else 0.1),
            is_uncoded=fact.doing in (Doing.SHIP, Doing.RECEIVE)
            and chance.random() < 0.05
            and number != self._seed_fact,
            has_bill=chance.random() < 0.6,
            is_doubled=fact.doing in (Doing.SHIP, Doing.RECEIVE) and chance.random() < 0.08,
            has_line=self._is_rich and fact.line is not None and chance.random() < 0.85,
        )

    def shown_ms(self, reporter: int, when_ms: int) -> int:
        """Return a time by the reporter's clock."""
        return when_ms + self._clocks_ms[reporter]

    def tell_of(self, party: int, when_ms: int) -> tuple[bool, int]:
        """Return whether the second member there tells of it, and when, by its clock."""
        by_second = party in self._seconds_ms and self._chance.random() < 0.4
        return by_second, (when_ms + self._seconds_ms[party] if by_second else self.shown_ms(party, when_ms))

    # What a record must hold: see docs/precision.md.

    def _others(self, number: int) -> Iterator[Fact]:
        return (self._facts[one] for one in self._kept if one != number)

    def _is_stocked(self, number: int, holder: int, code: str) -> bool:
        """Whether the record has other stock of the lot there than what this fact brings."""
        return any(
            fact.party == holder
            and ((fact.doing in _BRINGING and names(fact.goods, code)) or names(fact.outputs, code))
            for fact in self._others(number)
        )

    def _may_drop(self, number: int) -> bool:
        fact = self._facts[number]
        if number == self._seed_fact:
            return False  # The bad goods are named by their event.
        codes = [code for code, _ in fact.goods]
        match fact.doing:
            case Doing.MAKE:
                return not self._is_stocked(number, fact.party, codes[0]) and self._is_sent(
                    number, fact.party, codes[0]
                )
            case Doing.FILL | Doing.DRAW:
                # A recorded run is taken to list all its inputs.
                return False
            case Doing.RUN:
                if number in self._smears:
                    # What nobody recorded to have run on a line, no record can say the line is dirty of.
                    return False
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
            case Doing.PACK | Doing.SEND_UNIT | Doing.TAKE_UNIT | Doing.UNPACK:
                return False

    def _is_sent(self, number: int, sender: int, code: str) -> bool:
        return any(
            fact.doing is Doing.SHIP and fact.party == sender and names(fact.goods, code)
            for fact in self._others(number)
        )

    def _is_made(self, number: int, code: str) -> bool:
        """Whether every making of the lot is recorded, so that its sender need not be."""
        makings = [
            one
            for one, fact in enumerate(self._facts)
            if (fact.doing is Doing.MAKE and names(fact.goods, code)) or names(fact.outputs, code)
        ]
        return all(one in self._kept and one != number for one in makings)

    def _is_reported(self, number: int, holder: int, code: str) -> bool:
        """Whether the record still puts the lot at that party, or on its way there."""
        return any(
            (fact.party == holder and (names(fact.goods, code) or names(fact.outputs, code)))
            or (fact.doing is Doing.SHIP and fact.other == holder and names(fact.goods, code))
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


def names(goods: Amounts, code: str) -> bool:
    return any(one == code for one, _ in goods)


PRIMARY_STEP: Final = "harvesting"
"""What a farm's making is called: goods that nothing recorded went into."""


@dataclass(frozen=True, slots=True)
class Record:
    """All that was written down of a world. cleanings: with whether only the day was noted, and whether the second
    member there told of it. false_cleanings, false_runs: what was declared void."""

    reports: tuple[Report, ...]
    cleanings: tuple[tuple[Cleaning, bool, bool], ...]
    false_cleanings: tuple[Cleaning, ...]
    false_runs: tuple[Report, ...]
    from_ms: int
    to_ms: int
    declared: tuple[MasterRecord, ...]
    declarers: tuple[str, ...]

    def digest_of(self, fact: Fact, detail: Detail) -> Digest:
        """Return the digest of the event that tells of a fact."""
        number = next(number for number, report in enumerate(self.reports) if report.fact is fact)
        return _event_of(self.reports[number], number, detail).event_digest

    def tell(self, detail: Detail = WHOLE, *, is_rich: bool = True) -> Chronicle:
        """Return the record in so much detail. is_rich: entered at the end of the story, else each at its time."""
        chronicle = Chronicle()

        def enter(event: Event, member: str) -> None:
            if not detail.times:
                event = structs.replace(event, time=Interval(self.from_ms, self.to_ms))
            time_ms = self.to_ms if is_rich else None
            number = len(chronicle.rows) + 1
            chronicle.rows.append(build_row(event, number, member=member, ledger_time_ms=time_ms))

        for number, report in enumerate(self.reports):
            event = _event_of(report, number, detail)
            enter(event, _member(report.fact.party, is_second=report.by_second))
            if report.is_doubled:
                # The other side, or the carrier, tells of the same thing: equal in all but its id and its member.
                teller = report.fact.other if report.fact.other is not None else report.fact.party
                enter(structs.replace(event, event_id=f"{event.event_id}-witness"), f"member-{teller}")
        for cleaning, is_dated, by_second in self.cleanings if detail.lines else ():
            enter(_cleaning_of(cleaning, is_dated=is_dated), _member(cleaning.party, is_second=by_second))
        for number, cleaning in enumerate(self.false_cleanings if detail.lines else ()):
            event_id = f"urn:example:false-cleaning:{number}"
            for event in _voided(_cleaning_of(cleaning, is_dated=False, event_id=event_id), self.to_ms):
                enter(event, _member(cleaning.party))
        for number, report in enumerate(self.false_runs):
            for event in _voided(_event_of(report, -1 - number, detail), self.to_ms):
                enter(event, _member(report.fact.party))
        for record, member in zip(self.declared, self.declarers, strict=True) if detail.rules else ():
            chronicle.masters.append(build_master(record, 1, member=member))
        return chronicle


def write_record(play: Play, chance: random.Random) -> tuple[Record, int]:
    """Return what was written down of a play, and how many facts were not."""
    scribe = Scribe(play, chance)
    reports, dropped = scribe.write()
    kept = [one for one in play.cleanings if chance.random() < 0.85]
    if play.two_tell:
        told = [(one, *scribe.tell_of(one.party, one.when_ms)) for one in kept]
    else:
        told = [(one, False, scribe.shown_ms(one.party, one.when_ms)) for one in kept]
    cleanings = [
        (replace(one, when_ms=shown_ms), chance.random() < 0.1, by_second) for one, by_second, shown_ms in told
    ]
    declared = [(plant, _mixing_of(plant, vessel)) for plant, vessel in play.vessels.items() if vessel.is_declared]
    declared += [(plant, _kill_step_of(plant, line)) for plant, line in sorted(play.kills)]
    declared += [(plant, _carry_over_of(plant, line, grams)) for (plant, line), grams in sorted(play.carries.items())]
    # Each of two members that tell of a site's runs declares for its own.
    entered = [(record, _member(plant)) for plant, record in declared]
    entered += [(record, _member(plant, is_second=True)) for plant, record in declared if plant in play.two_tell]
    slips = play.false_cleanings
    record = Record(
        reports=tuple(reports),
        cleanings=tuple(cleanings),
        from_ms=DAY_ONE_MS,
        to_ms=play.now_ms + DAY_MS,
        declared=tuple([record for record, _member in entered]),
        declarers=tuple([member for _record, member in entered]),
        false_cleanings=tuple([replace(one, when_ms=scribe.shown_ms(one.party, one.when_ms)) for one in slips]),
        false_runs=tuple([Report(fact, scribe.shown_ms(fact.party, fact.when_ms)) for fact in play.false_runs]),
    )
    return record, dropped


def _member(party_number: int, *, is_second: bool = False) -> str:
    return f"member-{party_number}{'-too' if is_second else ''}"


def _voided(event: Event, when_ms: int) -> tuple[Event, Event]:
    """Return an event, and the same declared in error."""
    declaration = Declaration(when_ms, "did_not_occur", ())
    digest = Digest(sha256(b"declared", event.event_digest))
    return event, structs.replace(event, declaration=declaration, event_digest=digest)


def _mixing_of(plant: int, vessel: Vessel) -> MasterRecord:
    heel = f"; heel={vessel.heel // KG} KGM" if vessel.mode == "fifo" and vessel.heel else ""
    return _declaration(plant, VESSEL_LINE, "mixingRule", f"{vessel.mode}{heel}")


def _kill_step_of(plant: int, line: int) -> MasterRecord:
    return _declaration(plant, line, "killStep", AGENT)


def _carry_over_of(plant: int, line: int, grams: int) -> MasterRecord:
    return _declaration(plant, line, "carryOver", f"{grams // KG} KGM")


def _declaration(plant: int, line: int, name: str, text: str) -> MasterRecord:
    place_of_line = line_of(plant, line)
    assert place_of_line is not None
    by = f"record=urn:example:validation:{plant}; by=the plant's quality manager"
    return MasterRecord(MasterKind.LOCATION, place_of_line, ((name, f"{text}; {by}"),))


def line_of(number: int, line: int | None) -> str | None:
    """Return the canonical id of a plant's line."""
    return None if line is None else f"{place(number)}/254/{line}"


def _interval(shown_ms: int, *, is_dated: bool) -> Interval:
    if not is_dated:
        return Interval(shown_ms, shown_ms)
    day_ms = shown_ms - (shown_ms - DAY_ONE_MS) % DAY_MS
    return Interval(day_ms, day_ms + DAY_MS - 1)


def _cleaning_of(cleaning: Cleaning, *, is_dated: bool, event_id: str | None = None) -> Event:
    return build_event(
        EventType.OBJECT,
        _interval(cleaning.when_ms, is_dated=is_dated),
        action=Action.OBSERVE,
        goods=[f"urn:example:equipment:{cleaning.party}"],
        step="cleaning",
        disposition="conformant" if cleaning.is_verified else None,
        read_point=line_of(cleaning.party, cleaning.line),
        location=place(cleaning.party),
        event_id=event_id,
    )


def _event_of(report: Report, number: int, detail: Detail) -> Event:
    fact = report.fact

    def amounts(goods: Amounts) -> dict[str, object]:
        is_counted = detail.amounts and not report.is_uncounted
        return {
            code.partition("/10/")[0] if report.is_uncoded else code: grams / KG if is_counted else None
            for code, grams in goods
        }

    has_bill = fact.hand_over is not None and report.has_bill and detail.amounts
    bill = (("desadv", f"urn:example:da:{fact.hand_over}"),) if has_bill else ()
    other = () if fact.other is None else (("possessing_party", party(fact.other)), ("location", place(fact.other)))
    build = partial(
        build_event,
        time=_interval(report.shown_ms, is_dated=report.is_dated),
        location=place(fact.party),
        event_id=f"urn:example:event:{number}",
    )
    goods = amounts(fact.goods)
    match fact.doing:
        case Doing.MAKE:
            return build(EventType.OBJECT, action=Action.ADD, goods=goods, step=PRIMARY_STEP)
        case Doing.RUN | Doing.FILL | Doing.DRAW:
            has_line = detail.lines and report.has_line
            return build(
                EventType.TRANSFORMATION,
                inputs=goods,
                outputs=amounts(fact.outputs),
                run=fact.run,
                disposition="conformant" if fact.is_passed else None,
                read_point=line_of(fact.party, fact.line) if has_line else None,
            )
        case Doing.SHIP:
            return build(
                EventType.OBJECT,
                action=Action.OBSERVE,
                step="shipping",
                goods=goods,
                destinations=other,
                documents=bill,
            )
        case Doing.RECEIVE:
            return build(
                EventType.OBJECT,
                action=Action.OBSERVE,
                step="receiving",
                goods=goods,
                sources=other,
                documents=bill,
            )
        case Doing.END:
            return build(EventType.OBJECT, action=Action.DELETE, step="retail_selling", goods=goods)
        case Doing.PACK | Doing.UNPACK:
            return build(
                EventType.AGGREGATION,
                action=Action.ADD if fact.doing is Doing.PACK else Action.DELETE,
                parent=fact.unit,
                goods=list(fact.inside) if fact.inside else goods,
                step=fact.doing.value + "ing",
            )
        case Doing.SEND_UNIT:
            return build(
                EventType.OBJECT, action=Action.OBSERVE, step="shipping", goods=[fact.unit], destinations=other
            )
        case Doing.TAKE_UNIT:
            return build(EventType.OBJECT, action=Action.OBSERVE, step="receiving", goods=[fact.unit], sources=other)
