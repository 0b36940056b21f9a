"""What ends contact on a line, and what does not: cleanings that stand, by whose clock, of which place."""

from node.epcis.model import Action, Event, EventType
from node.lineage.hazards import Hazard
from node.lineage.scope_question import Seed
from tests.support.chronicle import Chronicle, Time
from tests.support.events import at, build_event, lot, party, place
from tests.support.scopes import Asked

BAD, CLEAN = lot("1", "BAD"), lot("1", "CLEAN")
FIRST, NEXT = lot("2", "FIRST"), lot("2", "NEXT")


def line_of(number: int, *, site: int = 1) -> str:
    return f"{place(site)}/254/{number}"


class Works:
    """Site 1: BAD and CLEAN were made at 1 o'clock of day 1, and runs follow."""

    def __init__(self) -> None:
        self.story = Chronicle()
        for item in (BAD, CLEAN):
            self.story.make({item: 100}, at(1, "01:00"))

    def run(
        self,
        inputs: str | None,
        outputs: str | None,
        when: Time,
        *,
        line: int | None = 1,
        name: str | None = None,
        member: str = "mill",
    ) -> Event:
        event = build_event(
            EventType.TRANSFORMATION,
            when,
            inputs={} if inputs is None else {inputs: 10},
            outputs={} if outputs is None else {outputs: 10},
            run=name,
            read_point=None if line is None else line_of(line),
            location=place(1),
        )
        return self.story.add(event, member=member)

    def clean(
        self,
        when: Time,
        *,
        line: int | None = 1,
        site: int = 1,
        member: str = "mill",
        event_id: str | None = None,
        owner: int | None = None,
    ) -> Event:
        event = build_event(
            EventType.OBJECT,
            when,
            action=Action.OBSERVE,
            goods=["urn:machine:1"],
            step="cleaning",
            disposition="conformant",
            read_point=None if line is None else line_of(line, site=site),
            location=place(site),
            event_id=event_id,
            sources=() if owner is None else (("possessing_party", party(owner)),),
        )
        return self.story.add(event, member=member)

    def reached(self, hazard: Hazard = Hazard.ALLERGEN, **more: object) -> set[str]:
        asked = Asked(self.story, Seed(item=BAD), hazard=hazard, **more)  # type: ignore[arg-type]  # Names are its own.
        return {one.item for one in asked.scope.reached}


def test_cleaning_that_was_declared_void_ends_no_contact() -> None:
    """Who entered it says that it did not occur; another member's word undoes nothing."""
    for declared_by, is_reached in (("rival", False), ("mill", True)):
        works = Works()
        works.run(BAD, FIRST, at(1, "08:00"))
        cleaning = works.clean(at(1, "09:00"), event_id="urn:uuid:9")
        works.run(CLEAN, NEXT, at(1, "10:00"))
        works.story.void(cleaning, at(2, "08:00"), member=declared_by)
        assert (NEXT in works.reached()) is is_reached


def test_cleaning_of_another_site_of_the_party_ends_no_contact() -> None:
    """Which names no line: it was all of that other site."""
    for site, is_reached in ((1, False), (2, True)):
        works = Works()
        for number in (1, 2):
            works.story.name_place(number, owner=7)
        works.run(BAD, FIRST, at(1, "08:00"))
        works.clean(at(1, "09:00"), line=None, site=site, owner=7)
        works.run(CLEAN, NEXT, at(1, "10:00"))
        assert (NEXT in works.reached()) is is_reached
