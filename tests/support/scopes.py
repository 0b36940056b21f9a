"""Asks for scopes in short words, and reads bounds off them: for the worked examples of docs/lineage.md."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Final

from node.epcis.model import Event
from node.lineage.hazards import Hazard
from node.lineage.portions import PortionKind
from node.lineage.readings import Readings
from node.lineage.scope import Scope
from node.lineage.scope_question import RunRule, ScopeQuestion, Seed
from node.lineage.spread import LINKED
from node.lineage.spread_graph import Vertex
from tests.support.chronicle import Chronicle

MAKE_IS_PRIMARY: Final = replace(Readings(), primary_steps=frozenset({"commissioning"}))
Bounds = tuple[str, str | None]


class Asked:
    """A scope of a chronicle, asked about by portions."""

    def __init__(
        self,
        story: Chronicle,
        *seeds: Seed,
        hazard: Hazard = Hazard.ORIGIN,
        readings: Readings = MAKE_IS_PRIMARY,
        rules: tuple[RunRule, ...] = (),
        **more: object,
    ) -> None:
        question = ScopeQuestion(tuple(seeds), hazard, rules=rules, **more)  # type: ignore[arg-type]  # Names are its own.
        self.scope = Scope(story.index(), question, readings)

    def find(self, item: str, kind: str, event: Event | None = None, *, place: str | None = None) -> Vertex:
        """Return the one portion of this item and kind, that this event made."""
        found = [
            one
            for one in (*self.scope.reached, *self.scope.unreached)
            if one.item == item
            and one.kind is PortionKind(kind)
            and (event is None or one.portion.row.event.event_digest == event.event_digest)
            and (place is None or one.portion.holder.place == place)
        ]
        assert len(found) == 1, (kind, [(one.kind, one.portion.row.event.step) for one in found])
        return found[0]

    def content(self, *portions: Vertex) -> Bounds:
        """Return least and most seed material."""
        bound, _uom = self.scope.content_of(portions)
        return spell(bound.lo), None if bound.hi is None else spell(bound.hi)

    def known(self, *portions: Vertex) -> str | None:
        """Return the most seed material if nothing unknown was tainted."""
        bound, _uom = self.scope.content_of(portions)
        return None if bound.known_hi is None else spell(bound.known_hi)

    def affected(self, *portions: Vertex) -> Bounds:
        """Return least and most of the goods themselves."""
        bound, uom = self.scope.content_of(portions)
        low, high = self.scope.affected_of(portions, bound, uom)
        return spell(low), None if high is None else spell(high)

    def status(self, portion: Vertex) -> str:
        """Return certain, "possible", "possible, open", or "excluded: " and why."""
        level = self.scope.spread.level.get(portion.number)
        if level is None:
            return f"excluded: {self.scope.why_excluded(portion)}"
        content, _uom = self.scope.content_of([portion])
        if self.scope.is_certain(portion, content):
            return "certain"
        return "possible" if level == LINKED else "possible, open"


def spell(amount: Decimal) -> str:
    text = format(amount, "f")
    return (text.rstrip("0").rstrip(".") or "0") if "." in text else text


def of_event(item: str, event: Event) -> Seed:
    """Return the seed that is the portion of one event."""
    return Seed(item=item, event=event.event_digest)


def kinds(portions: Sequence[Vertex]) -> list[str]:
    return sorted(one.kind.value for one in portions)
