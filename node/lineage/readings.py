"""Our readings: what EPCIS words mean for goods, and the few parameters that a network may set.

EPCIS says what was seen, not what it means. docs/lineage.md lists each reading with its test; an answer names the
version of these rules, for two answers are comparable only under one.
"""

import re
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from node.epcis.model import Action, Event, EventType

RULES_VERSION: Final = 2
OUTBOUND_STEPS: Final = frozenset({"shipping", "departing", "loading", "consigning", "transporting"})
INBOUND_STEPS: Final = frozenset({"receiving", "accepting", "arriving", "unloading"})
ENDING_STEPS: Final = frozenset({"retail_selling", "dispensing", "destroying"})
CLOCK_TOLERANCE_MS: Final = 15 * 60_000
HANDOVER_WINDOW_MS: Final = 72 * 3_600_000
CONTACT_WINDOW_MS: Final = 24 * 3_600_000
PRIMARY_STEPS: Final = frozenset({"harvesting", "catching", "hatching"})
CLEAN_STEPS: Final = frozenset({"cleaning"})
FAILED: Final = "non_conformant"
"""The disposition of a cleaning that failed: what was to be clean is not."""
VERIFIED: Final = "conformant"
"""The disposition of a cleaning that was verified, or of a kill step that passed."""


class Movement(IntEnum):
    """What an event says of the place of its goods."""

    PRESENCE = 0
    OUTBOUND = 1
    INBOUND = 2
    END = 3


@dataclass(frozen=True, slots=True)
class Readings:
    """The readings' parameters, the same at every node of a network.

    clock_tolerance_ms: by how much two members' clocks may err, each. handover_window_ms: within it, several outbound
    steps of one holder for the same goods are one shipment. The steps: CBV words, and those of an industry.
    contact_window_ms: for so long runs that name no equipment are taken to share it, if no cleaning ends that.
    """

    clock_tolerance_ms: int = CLOCK_TOLERANCE_MS
    handover_window_ms: int = HANDOVER_WINDOW_MS
    outbound_steps: frozenset[str] = OUTBOUND_STEPS
    inbound_steps: frozenset[str] = INBOUND_STEPS
    ending_steps: frozenset[str] = ENDING_STEPS
    contact_window_ms: int = CONTACT_WINDOW_MS
    primary_steps: frozenset[str] = PRIMARY_STEPS
    clean_steps: frozenset[str] = CLEAN_STEPS

    def is_primary(self, event: Event) -> bool:
        """Return whether an Object ADD needs no input: a harvest, a catch."""
        return _has_step(event, self.primary_steps)

    def is_cleaning(self, event: Event) -> bool:
        """Return whether the event is a cleaning that was verified: only that ends a contact."""
        return event.disposition == VERIFIED and self.is_clean_step(event)

    def is_failed_cleaning(self, event: Event) -> bool:
        """Return whether the event says that a cleaning failed."""
        return event.disposition == FAILED and self.is_clean_step(event)

    def is_clean_step(self, event: Event) -> bool:
        """Return whether the event is of a cleaning, whatever came of it: what it names is equipment, no goods."""
        return _has_step(event, self.clean_steps)

    def movement_of(self, event: Event) -> Movement:
        """Return how the event moves its goods, read from its step on every event type."""
        step = event.step
        if step in self.outbound_steps:
            return Movement.OUTBOUND
        if step in self.inbound_steps:
            return Movement.INBOUND
        if event.type is EventType.OBJECT:
            if event.action is Action.DELETE or (event.action is Action.OBSERVE and step in self.ending_steps):
                return Movement.END
            if event.disposition == "in_transit" and _names_another_place(event):
                return Movement.OUTBOUND
        return Movement.PRESENCE

    def slack_ms(self, member: str, clock: str | None) -> int:
        """Return by how much two times may be out of order and yet be told apart by nothing.

        Times that one member entered are of one clock. Those of two may err against each other by the tolerance of
        both; clock None is a bound that several clocks shared in.
        """
        return 0 if member == clock else 2 * self.clock_tolerance_ms


def _has_step(event: Event, steps: frozenset[str]) -> bool:
    """Return whether the event's step is one of `steps`, by itself or as the last part of its URI."""
    step = event.step
    return step is not None and (step in steps or re.split("[#/:]", step)[-1] in steps)


def _names_another_place(event: Event) -> bool:
    here = event.read_point or event.location
    return any(kind != "location" or place != here for kind, place in event.destinations)
