"""A scope: what must hold seed material, what cannot be excluded, what is excluded and why; and how much of each.

`compute_scope` walks the portion graph (`spread.py`), bounds what it reached (`bounds.py`) and sorts it into the three
answer sets. docs/scope.md says what they are, and how to read the answer.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final

from msgspec import structs

from consensus.types import Digest
from node.lineage.bounds import EXACT_SETS_MAX, EXACT_WORK_MAX, Bound, Bounds, Intervals
from node.lineage.custody import Holder, ask_whom
from node.lineage.declared import SiteRule
from node.lineage.facts import open_facts
from node.lineage.findings import REMEDIES
from node.lineage.items import ItemKind, read_item
from node.lineage.names import NAME_ATTRIBUTES, PRODUCT_ATTRIBUTES
from node.lineage.pace import tick
from node.lineage.portions import LAST_KINDS, PortionKind
from node.lineage.reader import LineageReader
from node.lineage.readings import RULES_VERSION, Readings
from node.lineage.records import EventRow
from node.lineage.scope_answer import (
    Amount,
    ScopeAnswer,
    ScopeFlag,
    ScopePortion,
    ScopeRule,
    ScopeSum,
    ScopeUnknown,
    seal,
)
from node.lineage.scope_asked import describe_question
from node.lineage.scope_question import RunRule, ScopeQuestion
from node.lineage.seeds import plant
from node.lineage.spread import LINKED, Spread
from node.lineage.spread_graph import Link, SpreadGraph, Vertex, rank_of
from node.lineage.stops import Stops
from node.lineage.texts import iso, number_text

SHOWN_KINDS: Final = frozenset(PortionKind) - {
    PortionKind.POOL,
    PortionKind.WAY,
    PortionKind.UNKNOWN,
    PortionKind.MOVED,
}
CHAIN_EVENTS_MAX: Final = 100
"""Events of the chain that says why a portion is in scope."""
ASKED_MAX: Final = 24
"""Unknowns for which it is reckoned how much their answer would remove."""
_ZERO: Final = Decimal(0)


def compute_scope(reader: LineageReader, question: ScopeQuestion, readings: Readings | None = None) -> ScopeAnswer:
    """Return the scope. The same facts give the same answer and digest, whatever order they arrived in."""
    return Scope(reader, question, readings or Readings()).answer()


class Scope:
    """One scope, worked out: `content_of` and `affected_of` bound any set of its portions."""

    def __init__(self, reader: LineageReader, question: ScopeQuestion, readings: Readings) -> None:
        known_at = reader.height if question.known_at is None else min(question.known_at, reader.height)
        self.question = question
        self.facts = open_facts(reader, readings, as_of_ms=question.as_of_ms, known_at=known_at)
        self.graph = SpreadGraph(self.facts)
        self.spread = Spread(self.graph, question)
        plant(self.spread, question.seeds)
        self.spread.run()
        rules = self.spread.rules
        self._relied: list[RunRule | SiteRule] = [*question.rules, *sorted(rules.relied, key=_by_place)]
        for place, warning in rules.refused:
            self.spread.warn(warning, place)
        self.bounds = Bounds(self.spread)
        self.seed_uoms = self._seed_uoms()
        self._assigned = self._one_outputs()
        shown = [one for one in self.graph.vertices if one.run is None and one.kind in SHOWN_KINDS]
        self.reached = [one for one in shown if one.number in self.spread.level]
        unreached = [one for one in shown if one.number not in self.spread.level] + self._unloaded_outputs()
        self.unreached = self.spread.drop_unread(unreached)
        size = len(self.graph.vertices) + len(self.graph.edges)
        self.is_exact = size * 4 * len(self.reached) <= EXACT_WORK_MAX
        self._size = size
        self._steps: dict[int, int | None] | None = None
        self._stops: Stops | None = None
        self._interval_cache: dict[tuple[str | None, bool], Intervals] = {}

    def _seed_uoms(self) -> list[str | None]:
        uoms: dict[str | None, None] = {}
        for number in self.spread.seeds:
            portion = self.graph.vertices[number].portion
            if portion.uom != "?":
                uoms[portion.uom] = None
        return sorted(uoms, key=lambda uom: uom or "")

    def _one_outputs(self) -> set[int]:
        """Return the one output of each run without any amounts that took in something of nothing but seed material."""
        found: set[int] = set()
        for run in self.graph.runs.values():
            if not run.is_uncounted or len({line.item for line in run.outputs}) != 1:
                continue
            first = self.graph.first_of(run)
            if any(self._is_pure(first + line.portion) for line in run.inputs):
                for line in run.outputs:
                    number = first + line.portion
                    found.add(number)
                    found.update(self.graph.portions_at(line.item, line.row, PortionKind.OUTPUT))
        return found

    def _is_pure(self, number: int) -> bool:
        return number in self.bounds.fact_reach and number not in self.bounds.clean_reach

    def _unloaded_outputs(self) -> list[Vertex]:
        """Return outputs of loaded runs that were not reached, of items whose ledgers were not needed."""
        return [
            one
            for one in self.graph.vertices
            if one.is_line
            and one.kind is PortionKind.OUTPUT
            and one.number not in self.spread.level
            and one.item not in self.graph.items
        ]

    # One portion, or a set.

    def content_of(self, vertices: Sequence[Vertex], *, is_sum: bool = False) -> tuple[Bound, str | None]:
        """Return the content of goods, and its unit: their own where a seed has it, else the seed's.

        is_sum: bound them by a flow also in a scope that is too large for one for each portion.
        """
        own = vertices[0].portion.uom if vertices else None
        uom = own if own in self.seed_uoms or not self.seed_uoms else self.seed_uoms[0]
        if self.is_exact or is_sum:
            bound = self.bounds.content([one.number for one in vertices], uom)
        else:
            bound = self._sum_of(vertices, self._intervals(uom, affected=False), uom)
        if not self.spread.rule.by_amount:
            # Amounts exclude nothing of what spreads or grows: at most all of it.
            high = self._whole(vertices) if uom == own else bound.hi
            bound = Bound(bound.lo, high, high)
        return bound, uom

    def affected_of(
        self, vertices: Sequence[Vertex], content: Bound, uom: str | None, *, is_sum: bool = False
    ) -> tuple[Decimal, Decimal | None]:
        """Return the least and the most of the goods themselves that may hold seed material."""
        own = vertices[0].portion.uom if vertices else None
        least = content.lo if uom == own else _ZERO
        whole = [one for one in vertices if self._is_pure(one.number) or self.bounds.is_mixed(one.number)]
        if len(whole) > 1:
            last = set(self.bounds.last_of([one.number for one in whole]))
            whole = [] if self.bounds.doubtful else [one for one in whole if one.number in last]
        least = max(least, sum((one.portion.lo for one in whole), _ZERO))
        if not self.spread.rule.by_amount:
            return least, self._whole(vertices)
        if self.is_exact or is_sum:
            return least, self.bounds.affected([one.number for one in vertices], own)
        intervals = self._intervals(own, affected=True)
        return least, _total([intervals.most(one.number) for one in vertices])

    def _sum_of(self, vertices: Sequence[Vertex], intervals: Intervals, uom: str | None) -> Bound:
        """Return bounds of a set from those of its members: sound, and wider than its own."""
        bounds = {one.number: intervals.bound(one, uom) for one in vertices}
        last = self.bounds.last_of(list(bounds))
        if len(bounds) > 1 and self.bounds.doubtful:
            least = max((bound.lo for bound in bounds.values()), default=_ZERO)
        else:
            least = sum((bounds[number].lo for number in last), _ZERO)
        return Bound(
            least,
            _total([bound.hi for bound in bounds.values()]),
            _total([bound.known_hi for bound in bounds.values()]),
        )

    def _intervals(self, uom: str | None, *, affected: bool) -> Intervals:
        found = self._interval_cache.get((uom, affected))
        if found is None:
            found = self._interval_cache[uom, affected] = self.bounds.intervals(uom, affected=affected)
        return found

    def _whole(self, vertices: Sequence[Vertex]) -> Decimal | None:
        return _total([one.portion.hi for one in vertices])

    def is_certain(self, vertex: Vertex, content: Bound) -> bool:
        """Return whether the portion must hold seed material (docs/scope.md, "The three sets")."""
        number = vertex.number
        if number in self.spread.seeds or number in self._assigned:
            return True
        if number not in self.bounds.told or number in self.graph.perhaps_gone:
            return False
        return content.lo > 0 or number not in self.bounds.clean_reach

    # The answer.

    def answer(self) -> ScopeAnswer:
        """Return the sealed answer."""
        reached = sorted(self.reached, key=rank_of)
        portions = tuple([self._shown(one) for one in reached])
        last = [one for one in reached if one.kind in LAST_KINDS]
        current = [one for one in last if one.kind is not PortionKind.USED]
        totals = self._sum("total", current, is_sum=self._size <= EXACT_SETS_MAX)
        lots: dict[str, list[Vertex]] = {}
        holders: dict[str, list[Vertex]] = {}
        for one in last:
            lots.setdefault(one.item, []).append(one)
            if one.kind in (PortionKind.HELD, PortionKind.IN_TRANSIT):
                holders.setdefault(ask_whom(_holder_of(one)), []).append(one)
        is_sum = self._size * 4 * (len(lots) + len(holders)) <= EXACT_WORK_MAX
        is_set = any(portion.status == "certain" for portion in portions) or any(
            Decimal(amount.min) > 0 for amount in totals.content
        )
        excluded = tuple([self._excluded(one) for one in sorted(self.unreached, key=rank_of)])
        return seal(
            ScopeAnswer(
                hazard=self.question.hazard.value,
                asked=describe_question(self.question),
                seeds=tuple(sorted({self.graph.vertices[number].item for number in self.spread.seeds})),
                as_of=None if self.question.as_of_ms is None else iso(self.question.as_of_ms),
                height=self.facts.known_at,
                rules=RULES_VERSION,
                digest="",
                set_status="certain" if is_set else "possible",
                totals=totals,
                portions=portions,
                excluded=excluded,
                lots=tuple([self._sum(item, ones, is_sum=is_sum) for item, ones in sorted(lots.items())]),
                holders=tuple([self._sum(name, ones, is_sum=is_sum) for name, ones in sorted(holders.items())]),
                unknowns=self._unknowns(current),
                declared=self._rules(excluded),
                flags=self._flags(),
                warnings=self._warnings(),
                not_followed=self.spread.left_out,
                unstated=sum(self.spread.unstated.values()),
                names=self._names([*reached, *self.unreached]),
            ),
            {one.portion.row.event.event_digest.hex(): _public_id(one.portion.row) for one in self.graph.vertices}
            | {
                row.event.event_digest.hex(): _public_id(row)
                for loaded in self.graph.items.values()
                for finding in loaded.ledger.findings
                for row in (finding.row, finding.other)
                if row is not None
            },
        )

    def _names(self, vertices: Iterable[Vertex]) -> dict[str, str]:
        """Return what master data call what the answer names."""
        masters = self.facts.masters
        names: dict[str, str] = {}
        for one in vertices:
            described = read_item(one.item)
            product = masters.name_of(described.product, PRODUCT_ATTRIBUTES)
            if product is not None:
                code = f" lot {described.code}" if described.kind is ItemKind.LOT else f" {described.code or ''}"
                names[one.item] = f"{product}{code}".rstrip()
            for holder in (one.portion.holder, one.portion.receiver):
                for subject in () if holder is None else (holder.party, holder.place, holder.site):
                    name = masters.name_of(subject, NAME_ATTRIBUTES)
                    if subject is not None and name is not None:
                        names[subject] = name
        return dict(sorted(names.items()))

    def _shown(self, vertex: Vertex) -> ScopePortion:
        link = "linked" if self.spread.level[vertex.number] == LINKED else "open"
        content, uom = self.content_of([vertex])
        low, high = self.affected_of([vertex], content, uom)
        if self.is_certain(vertex, content):
            reason = "seed" if vertex.number in self.spread.seeds else "must_hold"
            return self._portion(vertex, "certain", link, reason, content, uom, (low, high))
        reason = "may_hold" if link == "linked" else "unknown"
        return self._portion(vertex, "possible", link, reason, content, uom, (low, high))

    def _portion(
        self,
        vertex: Vertex,
        status: str,
        link: str | None,
        reason: str,
        content: Bound,
        uom: str | None,
        affected: tuple[Decimal, Decimal | None],
    ) -> ScopePortion:
        portion = vertex.portion
        holder, receiver = portion.holder, portion.receiver
        return ScopePortion(
            item=vertex.item,
            kind=portion.kind.value,
            status=status,
            link=link,
            reason=reason,
            event=portion.row.event.event_digest.hex(),
            party=holder.party,
            place=holder.place,
            receiver=None if receiver is None else ask_whom(receiver),
            unit=portion.unit or None,
            quantity=_amount(portion.lo, portion.hi, portion.uom),
            content=_amount(content.lo, content.hi, uom),
            content_known=None if content.known_hi is None else number_text(content.known_hi),
            affected=_amount(affected[0], affected[1], portion.uom),
            because=() if link is None else self.chain_of(vertex),
        )

    def _excluded(self, vertex: Vertex) -> ScopePortion:
        none = Bound(_ZERO, _ZERO, _ZERO)
        why, rule = self._exclusion(vertex)
        portion = self._portion(vertex, "excluded", None, why, none, vertex.portion.uom, (_ZERO, _ZERO))
        return portion if rule is None else structs.replace(portion, rule=rule)

    def _rules(self, excluded: Sequence[ScopePortion]) -> tuple[ScopeRule, ...]:
        """Return what was relied on: the question's rules, then what sites declare; then what counts for nothing."""
        counts = Counter(portion.rule for portion in excluded)
        rules = [
            ScopeRule(one.rule, one.record, one.by, counts[number])
            if isinstance(one, RunRule)
            else ScopeRule(one.rule, one.record, one.by, counts[number], one.place, one.member)
            for number, one in enumerate(self._relied)
        ]
        refused = sorted({place for place, _warning in self.spread.rules.refused})
        return (*rules, *[ScopeRule("any", "", "", 0, place) for place in refused])

    def why_excluded(self, vertex: Vertex) -> str:
        """Return what excludes a portion: a cut rule, the amounts, the time, or that it is another portion."""
        return self._exclusion(vertex)[0]

    def _exclusion(self, vertex: Vertex) -> tuple[str, int | None]:
        """Return why, and the place in `declared` of the rule that does."""
        if self._stops is None:
            self._stops = Stops(self.graph, self.spread.level)
        cut = self._stops.cut.get(vertex.number)
        if cut is not None:
            rule = self.spread.rules.cut_by.get(cut)
            return self.graph.edges[cut].why, None if rule is None else self._relied.index(rule)
        if vertex.number in self._stops.emptied:
            return "quantity", None
        is_last = vertex.kind in (PortionKind.HELD, PortionKind.IN_TRANSIT)
        return "before" if not is_last and self._stops.is_before(vertex) else "other_portion", None

    def chain_of(self, vertex: Vertex) -> tuple[str, ...]:
        """Return the events of a shortest chain from a seed, or from what is unknown, to the portion.

        Of a longer one the last CHAIN_EVENTS_MAX: else the chains of a long process are the square of the answer.
        """
        if self._steps is None:
            self._steps = self._shortest()
        chain: list[Digest] = []
        number: int | None = vertex.number
        while number is not None:
            if len(chain) == CHAIN_EVENTS_MAX:
                self.spread.warn("chains_shortened", "")
                break
            digest = self.graph.vertices[number].portion.row.event.event_digest
            if not chain or chain[-1] != digest:
                chain.append(digest)
            number = self._steps.get(number)
        return tuple([digest.hex() for digest in reversed(chain)])

    def _shortest(self) -> dict[int, int | None]:
        """Return the vertex before each on a shortest chain; linked chains first; ties by what the vertices are."""
        steps: dict[int, int | None] = {}
        level = self.spread.level
        for links in ((Link.FACT, Link.READING), (Link.FACT, Link.READING, Link.OPEN)):
            starts = [*self.spread.seeds, *(number for number, edge in self.spread.because.items() if edge < 0)]
            if Link.OPEN not in links:
                starts = list(self.spread.seeds)
            frontier = sorted({*starts, *steps}, key=self._rank)
            for number in frontier:
                steps.setdefault(number, None)
            while frontier:
                found: dict[int, int] = {}
                for number in frontier:
                    for place in self.graph.out[number]:
                        edge = self.graph.edges[place]
                        is_new = edge.target not in steps and edge.target not in found
                        if is_new and edge.link in links and edge.target in level:
                            found[edge.target] = number
                steps.update(found)
                frontier = sorted(found, key=self._rank)
        return steps

    def _rank(self, number: int) -> tuple[str, int, str, bytes, str, str]:
        return rank_of(self.graph.vertices[number])

    def _sum(self, name: str, vertices: Sequence[Vertex], *, is_sum: bool) -> ScopeSum:
        content: list[Amount] = []
        affected: list[Amount] = []
        certain = False
        by_uom: dict[str | None, list[Vertex]] = {}
        for one in vertices:
            by_uom.setdefault(one.portion.uom, []).append(one)
        for uom, ones in sorted(by_uom.items(), key=lambda pair: pair[0] or ""):
            bound, of_uom = self.content_of(ones, is_sum=is_sum)
            low, high = self.affected_of(ones, bound, of_uom, is_sum=is_sum)
            certain = certain or bound.lo > 0
            content.append(_amount(bound.lo, bound.hi, of_uom))
            affected.append(_amount(low, high, uom))
        linked = any(self.spread.level[one.number] == LINKED for one in vertices)
        return ScopeSum(
            name,
            "certain" if certain else "possible",
            "linked" if linked else "open",
            len(vertices),
            tuple(content),
            tuple(affected),
        )

    def _unknowns(self, current: Sequence[Vertex]) -> tuple[ScopeUnknown, ...]:
        found: list[tuple[Decimal, ScopeUnknown]] = []
        for vertex in self._asked():
            portion = vertex.portion
            reason = _REASONS.get(portion.kind, "no_inputs")
            used = ", ".join(sorted(self.spread.made_open.get(vertex.number, ())))
            holder = portion.receiver or portion.holder if portion.kind is PortionKind.IN_TRANSIT else portion.holder
            is_reckoned = len(found) < ASKED_MAX
            unknown = ScopeUnknown(
                item=vertex.item,
                reason=reason,
                ask=ask_whom(holder),
                event=portion.row.event.event_digest.hex(),
                question=_QUESTIONS[reason].format(item=vertex.item, used=used or "the goods in scope"),
                removes=self._removed(vertex, current) if is_reckoned else (),
                confirms=self._confirmed(vertex, current) if is_reckoned else (),
            )
            weight = sum((Decimal(amount.max or 0) for amount in unknown.removes), _ZERO)
            found.append((-weight, unknown))
        found.sort(key=lambda pair: (pair[0], pair[1].item, pair[1].reason, pair[1].event))
        return tuple([unknown for _weight, unknown in found])

    def _asked(self) -> Iterable[Vertex]:
        level = self.spread.level
        for vertex in sorted(self.graph.vertices, key=rank_of):
            if vertex.number not in level or vertex.run is not None or vertex.portion.number < 0:
                continue
            if vertex.kind in _REASONS or vertex.number in self.spread.made_open:
                yield vertex

    def _removed(self, vertex: Vertex, current: Sequence[Vertex]) -> tuple[Amount, ...]:
        """Return how much less is affected, in each unit, if this unknown is resolved clean."""
        if vertex.kind is PortionKind.IN_TRANSIT:
            return ()
        without = self._reached_without(vertex.number)
        removed: dict[str | None, Decimal] = {}
        by_uom: dict[str | None, list[Vertex]] = {}
        for one in current:
            by_uom.setdefault(one.portion.uom, []).append(one)
        for uom, ones in by_uom.items():
            kept = [one for one in ones if one.number in without]
            before, after = self._most(ones, uom), self._most(kept, uom, clean=vertex.number)
            if before is not None and after is not None and before > after:
                removed[uom] = before - after
        return tuple(
            [_amount(_ZERO, amount, uom) for uom, amount in sorted(removed.items(), key=lambda pair: pair[0] or "")]
        )

    def _confirmed(self, vertex: Vertex, current: Sequence[Vertex]) -> tuple[Amount, ...]:
        """Return how much more must be seed material, in each unit, if this unknown is resolved tainted."""
        if vertex.kind is PortionKind.IN_TRANSIT or self._size * 4 * ASKED_MAX > EXACT_WORK_MAX:
            return ()
        by_uom: dict[str | None, list[int]] = {}
        for one in current:
            if one.portion.uom in self.seed_uoms:
                by_uom.setdefault(one.portion.uom, []).append(one.number)
        found = []
        for uom, numbers in sorted(by_uom.items(), key=lambda pair: pair[0] or ""):
            before = self.bounds.least(numbers, uom)
            self.bounds.presumed = frozenset({vertex.number})
            try:
                after = self.bounds.least(numbers, uom)
            finally:
                self.bounds.presumed = frozenset()
            if after > before:
                found.append(_amount(after - before, after - before, uom))
        return tuple(found)

    def _most(self, vertices: Sequence[Vertex], uom: str | None, *, clean: int | None = None) -> Decimal | None:
        """Return the most that is affected of goods; clean: an unknown that is taken to be so."""
        if not vertices:
            return _ZERO
        if not self.spread.rule.by_amount or self._size * 4 * ASKED_MAX > EXACT_WORK_MAX:
            return self._whole(vertices)
        self.bounds.excused = frozenset() if clean is None else frozenset({clean})
        try:
            return self.bounds.affected([one.number for one in vertices], uom)
        finally:
            self.bounds.excused = frozenset()

    def _reached_without(self, left_out: int) -> set[int]:
        """Return what is reached if one unknown is clean."""
        starts = [number for number, edge in self.spread.because.items() if edge < 0 and number != left_out]
        seen = set(starts)
        pending = list(starts)
        tick()
        while pending:
            for number in self.graph.out[pending.pop()]:
                edge = self.graph.edges[number]
                target = edge.target
                if edge.link is Link.CUT or target in seen or target == left_out or target not in self.spread.level:
                    continue
                if self.spread.rule.by_amount and edge.hi == 0:
                    continue
                seen.add(target)
                pending.append(target)
        return seen

    def _flags(self) -> tuple[ScopeFlag, ...]:
        flags: set[tuple[str, str, str, tuple[str, ...], str, str]] = set()
        in_scope = {self.graph.vertices[number].item for number in self.spread.level}
        for item, loaded in self.graph.items.items():
            for finding in loaded.ledger.findings if item in in_scope else ():
                remedy = REMEDIES[finding.code]
                events = [row.event.event_digest.hex() for row in (finding.row, finding.other) if row is not None]
                flags.add((finding.code, remedy.severity, item, tuple(events), ask_whom(finding.ask), remedy.closes))
        return tuple([ScopeFlag(*flag) for flag in sorted(flags)])

    def _warnings(self) -> tuple[str, ...]:
        codes = set(self.spread.warnings)
        if not self.is_exact:
            codes.add("bounds_by_intervals")
        if self.spread.left_out:
            codes.add("item_limit")
        return tuple(sorted(codes))


_REASONS: Final = {
    PortionKind.UNKNOWN: "no_source",
    PortionKind.MOVED: "moved_without_record",
    PortionKind.IN_TRANSIT: "not_received",
}
_QUESTIONS: Final = {
    "no_source": "Where did this part of {item} come from?",
    "moved_without_record": "Who sent {item} here, and when?",
    "not_received": "Did {item} arrive, and how much of it?",
    "no_inputs": "What was {item} made of? Was {used} used?",
}


def _by_place(rule: SiteRule) -> tuple[str, str, str]:
    return rule.place, rule.rule, rule.member


def _public_id(row: EventRow) -> str:
    return f"{row.transaction_id.hex()}:{row.ref.event}"


def _holder_of(vertex: Vertex) -> Holder:
    portion = vertex.portion
    if portion.kind is PortionKind.IN_TRANSIT and portion.receiver is not None:
        return portion.receiver
    return portion.holder


def _total(amounts: Sequence[Decimal | None]) -> Decimal | None:
    known = [amount for amount in amounts if amount is not None]
    return sum(known, _ZERO) if len(known) == len(amounts) else None


def _amount(low: Decimal, high: Decimal | None, uom: str | None) -> Amount:
    return Amount(number_text(low), None if high is None else number_text(high), None if uom == "?" else uom)
