"""Rules that exclude too much, planted into the engine: the benchmark must find each, else its 0 misses mean little."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, Final
from unittest.mock import patch

from node.lineage.colocation import CoLocation
from node.lineage.declared import Declared, Found, SiteRule, Topic
from node.lineage.hazards import RULES, Hazard
from node.lineage.readings import Readings
from node.lineage.runs import Run
from node.lineage.spread import OPEN, Spread

_rule_of = Declared.rule_of
_reach = Spread._reach


def amounts_exclude_microbes() -> AbstractContextManager[Any]:
    """What is used up by the book, or by amount cannot have come, is excluded for what grows."""
    return patch.dict(RULES, {Hazard.MICROBE: replace(RULES[Hazard.MICROBE], by_amount=True)})


def equipment_passes_nothing_on() -> AbstractContextManager[Any]:
    """A dirty line leaves nothing in what runs on it."""
    return patch.dict(RULES, {Hazard.MICROBE: replace(RULES[Hazard.MICROBE], by_contact=False)})


def unknown_is_clean() -> AbstractContextManager[Any]:
    """What only an unknown links is left out."""

    def reach(self: Spread, number: int, level: int, edge: int) -> None:
        if level != OPEN:
            _reach(self, number, level, edge)

    return patch.object(Spread, "_reach", reach)


def fifo_without_declaration() -> AbstractContextManager[Any]:
    """Every vessel is taken for one of plug flow."""

    def rule_of(self: Declared, run: Run, topic: Topic) -> Found:
        return Found(SiteRule("fifo"), None, "") if topic is Topic.MIXING else _rule_of(self, run, topic)

    return patch.object(Declared, "rule_of", rule_of)


def mixed_whatever_the_times() -> AbstractContextManager[Any]:
    """A declared mix is reckoned in the order of the entries, where times do not tell what was in."""
    return patch("node.lineage.bounds._is_ordered", return_value=True)


def clocks_agree() -> AbstractContextManager[Any]:
    """What two members tell stands in the order of their clocks."""
    return patch.object(Readings, "slack_ms", lambda _readings, _member, _other: 0)


def units_pass_nothing_on() -> AbstractContextManager[Any]:
    """What shared a pallet is left out, though the case names co-location."""
    return patch.object(CoLocation, "spread", lambda _colocation, _vertex: None)


def every_check_kills() -> AbstractContextManager[Any]:
    """A run that was checked is taken for a kill step, whoever declared none."""

    def rule_of(self: Declared, run: Run, topic: Topic) -> Found:
        kills = SiteRule("kill_step", agents=("salmonella",))
        return Found(kills, None, "") if topic is Topic.KILL_STEP else _rule_of(self, run, topic)

    return patch.object(Declared, "rule_of", rule_of)


def chemicals_are_rinsed_off() -> AbstractContextManager[Any]:
    """No line leaves anything of a chemical behind, whatever it declares."""
    return patch.dict(RULES, {Hazard.CHEMICAL: replace(RULES[Hazard.CHEMICAL], carry_over=False)})


PLANTED: Final[dict[str, Callable[[], AbstractContextManager[Any]]]] = {
    rule.__name__: rule
    for rule in (
        amounts_exclude_microbes,
        equipment_passes_nothing_on,
        unknown_is_clean,
        fifo_without_declaration,
        mixed_whatever_the_times,
        clocks_agree,
        units_pass_nothing_on,
        every_check_kills,
        chemicals_are_rinsed_off,
    )
}
