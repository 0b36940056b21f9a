"""What a site declares of its lines and vessels: mixing rules, carry-over and kill steps, each with its record.

A declaration is an attribute of master data of the line, vessel or site, in a transaction of its member. It counts for
the runs that this member entered there, within its period. What nobody declares is `any`; so is what two declare
differently, or what cannot be read: then the answer says so (docs/scope.md, ADR 0028).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final, NamedTuple

from node.epcis.identifiers import site_of
from node.epcis.times import read_instant
from node.lineage.custody import Masters
from node.lineage.records import EventRow
from node.lineage.runs import Run
from node.lineage.timeline import FOREVER_MS
from node.lineage.units import to_base

MINUTE_MS: Final = 60_000
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_AMOUNT: Final = re.compile(r"(\d{1,18}(?:\.\d{1,9})?) ([A-Z0-9]{2,3})")


class Topic(StrEnum):
    """What is declared: the names of the attributes."""

    MIXING = "mixingRule"
    CARRY_OVER = "carryOver"
    KILL_STEP = "killStep"


@dataclass(frozen=True, slots=True)
class SiteRule:
    """A declaration. rule: fifo, mixed, any, carry_over or kill_step. record: what validates it. by: who approved it.

    place: the line, vessel or site. member: who declared it. heel: by how much first in, first out may be out of order,
    in uom. amount (in uom) or window_ms: how far a carry-over goes. agents: of a kill step, in lower case. from_ms …
    to_ms: when it holds.
    """

    rule: str
    place: str = ""
    member: str = ""
    record: str = ""
    by: str = ""
    heel: Decimal = Decimal(0)
    amount: Decimal | None = None
    uom: str | None = None
    window_ms: int | None = None
    agents: tuple[str, ...] = ()
    from_ms: int = -FOREVER_MS
    to_ms: int = FOREVER_MS


class Found(NamedTuple):
    """What is declared of a run. warning: why there is no rule though somebody declared one, a code, or None."""

    rule: SiteRule | None
    warning: str | None
    place: str


NOTHING: Final = Found(None, None, "")
CLEANING: Final = "cleaning"
"""What all cleanings together are distrusted by."""
RULE_NAMES: Final = frozenset({"fifo", "mixed", "carry_over", "kill_step", CLEANING})
"""What can be distrusted by name: what `SiteRule.rule` of a rule can be that narrows anything, and cleanings."""


def read_rule(topic: Topic, text: str) -> SiteRule:
    """Return the rule that an attribute's text declares, such as `fifo; heel=50 KGM; record=urn:…; by=J. Doe`.

    Raises ValueError with the reason.
    """
    head, fields = split_fields(text)
    known = {"record", "by", "from", "to"} | ({"heel"} if head == "fifo" else set())
    if not fields.keys() <= known:
        raise ValueError(f"{min(fields.keys() - known)!r} says nothing here")
    if head != "any" and not {"record", "by"} <= fields.keys():
        raise ValueError("it names no `record` that validates it, or nobody who approved it (`by`)")
    rule, heel, uom = head, Decimal(0), None
    amount: Decimal | None = None
    window_ms: int | None = None
    agents: tuple[str, ...] = ()
    match topic:
        case Topic.MIXING:
            if head not in ("fifo", "mixed", "any"):
                raise ValueError(f"{head!r} is not fifo, mixed or any")
            if "heel" in fields:
                heel, uom = _read_amount(fields["heel"])
        case Topic.CARRY_OVER:
            rule = "carry_over"
            minutes = head.removesuffix(" MIN")
            if minutes != head and minutes.isdecimal() and len(minutes) <= 9:
                window_ms = int(minutes) * MINUTE_MS
            else:
                amount, uom = _read_amount(head)
        case Topic.KILL_STEP:
            rule = "kill_step"
            agents = tuple([agent for part in head.split(",") if (agent := part.strip().casefold())])
            if not agents:
                raise ValueError("it names no agent")
    return SiteRule(
        rule,
        record=fields.get("record", ""),
        by=fields.get("by", ""),
        heel=heel,
        amount=amount,
        uom=uom,
        window_ms=window_ms,
        agents=agents,
        from_ms=read_time(fields["from"], is_end=False) if "from" in fields else -FOREVER_MS,
        to_ms=read_time(fields["to"], is_end=True) if "to" in fields else FOREVER_MS,
    )


def split_fields(text: str) -> tuple[str, dict[str, str]]:
    """Return the head and the fields of `head; name=value; …`. Raises ValueError with the reason."""
    head, *parts = [part.strip() for part in text.split(";")]
    fields: dict[str, str] = {}
    for part in parts:
        name, equals, value = part.partition("=")
        if not equals or not value.strip() or name.strip() in fields:
            raise ValueError(f"{part!r} is not one `name=value`")
        fields[name.strip()] = value.strip()
    return head, fields


def _read_amount(text: str) -> tuple[Decimal, str | None]:
    found = _AMOUNT.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not an amount such as `50 KGM`")
    amount, uom = to_base(Decimal(found[1]), found[2])
    assert amount is not None
    return amount, uom


def read_time(text: str, *, is_end: bool) -> int:
    """Return Unix milliseconds of a time with an offset, or of a day of UTC: its begin, or its end."""
    if _DAY.fullmatch(text) is None:
        instant = read_instant(text)
        if instant.offset_minutes is None:
            raise ValueError(f"{text!r} has no offset from UTC")
        return instant.ms
    day = datetime.fromisoformat(text).replace(tzinfo=UTC) + timedelta(days=1 if is_end else 0)
    return int(day.timestamp()) * 1000 - (1 if is_end else 0)


def lines_of(row: EventRow) -> tuple[str, ...]:
    """Return the lines or vessels that an event names: places within a site, of read point and location."""
    places = (row.event.read_point, row.event.location)
    return tuple(dict.fromkeys([place for place in places if place is not None and site_of(place) != place]))


def is_declared(masters: Masters, place: str) -> bool:
    """Return whether anybody declares a rule of a line, vessel or site, whatever it says."""
    topics = {topic.value for topic in Topic}
    return any(name in topics for record in masters.of(place) for name, _ in record.attributes)


class Declared:
    """The declarations that one question relies on. distrusted: rules, records or places that are not relied on.

    met: what is declared of the runs that were asked about, relied on or not. cleaned: places, papers and event ids of
    the cleanings that were met.
    """

    def __init__(self, masters: Masters, distrusted: Iterable[str] = ()) -> None:
        self._masters = masters
        self._distrusted = frozenset(distrusted)
        self._read: dict[tuple[str, Topic], dict[str, SiteRule | None]] = {}
        self.met: dict[SiteRule, None] = {}
        self.cleaned: set[str] = set()

    def trusts(self, *names: str | None) -> bool:
        """Return whether none of these is distrusted."""
        return self._distrusted.isdisjoint(names)

    def rule_of(self, run: Run, topic: Topic) -> Found:
        """Return what is declared of the line, vessel or site of a run, by whoever entered all of its events.

        Events of one run may leave its line out; two that name different ones leave only the site. What the line
        declares stands before what the site does.
        """
        rows = [line.row for line in (*run.inputs, *run.outputs)]
        members = sorted({row.member for row in rows})
        lines = {line for row in rows for line in lines_of(row)}
        places = [*(lines if len(lines) == 1 else ()), *([run.holder.site] if run.holder.site else ())]
        for place in places:
            stated = self._at(place, topic)
            theirs = {member: stated[member] for member in members if member in stated}
            if not theirs:
                continue
            self.met.update((rule, None) for rule in theirs.values() if rule is not None)
            rule = theirs[min(theirs)]
            if None in theirs.values():
                return Found(None, "rule_unreadable", place)
            if len(theirs) < len(members) or any(_said(other) != _said(rule) for other in theirs.values()):
                return Found(None, "rules_differ", place)
            assert rule is not None
            is_valid = rule.from_ms <= run.lo_ms and run.hi_ms <= rule.to_ms
            is_trusted = self.trusts(rule.rule, rule.record, place)
            return Found(rule, None, place) if is_valid and is_trusted and rule.rule != "any" else NOTHING
        return NOTHING

    def carry_over(self, run: Run, site: str, line: str | None) -> Found:
        """Return how far a line, or else its site, is declared to carry over what a run leaves behind.

        This rule widens a scope, so it is not dropped in doubt: what cannot be read, is distrusted, or is declared in
        two ways goes as far as the next cleaning; a declaration of anybody counts where no member of the run has one,
        and for a run that is partly within its period.
        """
        members = {one.row.member for one in (*run.inputs, *run.outputs)}
        for place in (site,) if line is None else (line, site):
            stated = self._at(place, Topic.CARRY_OVER)
            theirs = {member: stated[member] for member in sorted(members) if member in stated} or stated
            rules = [rule for rule in theirs.values() if rule is not None]
            self.met.update(dict.fromkeys(rules))
            if len(rules) < len(theirs):
                return Found(SiteRule("carry_over", place), "rule_unreadable", place)
            valid = [rule for rule in rules if rule.from_ms <= run.hi_ms and run.lo_ms <= rule.to_ms]
            if len({_said(rule) for rule in valid}) > 1:
                return Found(SiteRule("carry_over", place), "rules_differ", place)
            for rule in valid[:1]:
                is_trusted = self.trusts(rule.rule, rule.record, place)
                return Found(rule if is_trusted else SiteRule("carry_over", place), None, place)
        return NOTHING

    def _at(self, place: str, topic: Topic) -> dict[str, SiteRule | None]:
        """Return what each member declares of a place: None of one whose text cannot be read, or says two things."""
        found = self._read.get((place, topic))
        if found is None:
            found = self._read[place, topic] = {}
            for row in self._masters.rows_of(place):
                texts = {value for name, value in row.record.attributes if name == topic.value}
                if texts:
                    found[row.member] = _read_one(topic, texts, place, row.member)
        return found


def _read_one(topic: Topic, texts: set[str], place: str, member: str) -> SiteRule | None:
    if len(texts) > 1:
        return None
    try:
        rule = read_rule(topic, texts.pop())
    except ValueError:
        return None
    return replace(rule, place=place, member=member)


def _said(rule: SiteRule | None) -> tuple[object, ...]:
    if rule is None:
        return ()
    return rule.rule, rule.heel, rule.amount, rule.uom, rule.window_ms, rule.agents, rule.from_ms, rule.to_ms
