"""The classes of hazards, and what each allows to exclude goods: a closed list (docs/scope.md).

What travels with the material alone may be bounded by amounts. What spreads by contact or grows may be excluded by
time, by a recorded other portion, by a verified cleaning or a kill step, and never by an amount.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Hazard(StrEnum):
    """The class of a hazard. UNKNOWN is what is not given: it allows the least."""

    PIECE = "piece"
    """A bad part; a foreign body in a closed pack."""
    ORIGIN = "origin"
    """A false claim, or a wrong ingredient."""
    CHEMICAL = "chemical"
    FRAGMENT = "fragment"
    ALLERGEN = "allergen"
    MICROBE = "microbe"
    LABEL = "label"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class HazardRule:
    """by_amount: whether amounts may exclude. by_contact: whether equipment passes it on. cleaning: whether a verified
    cleaning ends it. kill_step: whether a kill step for its agent does. carry_over: whether equipment passes on as
    much as its site declares."""

    by_amount: bool
    by_contact: bool
    cleaning: bool
    kill_step: bool
    carry_over: bool = False


RULES: Final[dict[Hazard, HazardRule]] = {
    Hazard.PIECE: HazardRule(by_amount=True, by_contact=False, cleaning=False, kill_step=False),
    Hazard.ORIGIN: HazardRule(by_amount=True, by_contact=False, cleaning=False, kill_step=False),
    Hazard.CHEMICAL: HazardRule(by_amount=True, by_contact=False, cleaning=True, kill_step=False, carry_over=True),
    Hazard.FRAGMENT: HazardRule(by_amount=False, by_contact=True, cleaning=True, kill_step=False),
    Hazard.ALLERGEN: HazardRule(by_amount=False, by_contact=True, cleaning=True, kill_step=False),
    Hazard.MICROBE: HazardRule(by_amount=False, by_contact=True, cleaning=True, kill_step=True),
    Hazard.LABEL: HazardRule(by_amount=True, by_contact=False, cleaning=False, kill_step=False),
    Hazard.UNKNOWN: HazardRule(by_amount=False, by_contact=True, cleaning=False, kill_step=False),
}
