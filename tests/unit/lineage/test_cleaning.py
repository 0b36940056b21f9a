"""What ends contact on a line, and what does not: cleanings that stand, by whose clock, of which place."""

import pytest

from node.epcis.model import Action, Event, EventType, Interval
from node.lineage.contact import LATER_SHOWN_MAX
from node.lineage.hazards import Hazard
from node.lineage.scope_question import Seed
from tests.support.chronicle import Chronicle, Time
from tests.support.events import HOUR_MS, at, build_event, lot, party, place
from tests.support.scopes import Asked, of_event

BAD, CLEAN = lot("1", "BAD"), lot("1", "CLEAN")
FIRST, NEXT, LAST, AFTER, SEED = (lot("2", code) for code in ("FIRST", "NEXT", "LAST", "AFTER", "SEED"))


def line_of(number: int, *, site: int = 1) -> str:
    return f"{place(site)}/254/{number}"


class Works:
    """Site 1: BAD and CLEAN were made at 1 o'clock of day 1, and runs follow."""

    def __init__(self) -> None:
        self.story = Chronicle()
        for item in (BAD, CLEAN):
            self.story.make({item: 10_000}, at(1, "01:00"))

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


@pytest.mark.parametrize(
    ("tainted", "cleaned", "begun", "members", "is_reached"),
    [
        ("08:00", "08:01", "12:00", ("mill", "rival", "mill"), True),
        ("08:00", "08:30", "12:00", ("mill", "rival", "mill"), True),
        ("08:00", "08:31", "12:00", ("mill", "rival", "mill"), False),
        ("08:00", "08:01", "12:00", ("mill", "mill", "mill"), False),
        ("08:00", "10:59", "11:00", ("mill", "rival", "mill"), True),
        ("08:00", "10:29", "11:00", ("mill", "rival", "mill"), False),
        ("08:00", "09:00", "09:10", ("mill", "mill", "carrier"), True),
        ("08:00", "09:00", "09:31", ("mill", "mill", "carrier"), False),
        ("08:00", "08:10", "08:20", ("mill", "rival", "mill"), True),
        ("08:00", "08:10", "08:20", ("rival", "rival", "rival"), False),
    ],
)
def test_cleaning_ends_contact_only_if_all_clocks_say_so(
    tainted: str, cleaned: str, begun: str, members: tuple[str, str, str], is_reached: bool
) -> None:
    """It came after the taint and before the run, for certain: of two members beyond both their tolerances."""
    works = Works()
    works.run(BAD, FIRST, at(1, tainted), member=members[0])
    works.clean(at(1, cleaned), member=members[1])
    works.run(CLEAN, NEXT, at(1, begun), member=members[2])
    assert (NEXT in works.reached()) is is_reached


def test_events_of_another_member_widen_no_order_of_a_sites_own() -> None:
    """The rival tells of ten things at the site, the mill of three: the mill's own clock orders those."""
    works = Works()
    works.run(BAD, FIRST, at(1, "08:00"))
    works.clean(at(1, "08:10"))
    works.run(CLEAN, NEXT, at(1, "08:20"))
    for minute in range(10):
        works.run(CLEAN, lot("3", f"R{minute}"), at(1, f"06:1{minute}"), member="rival")
        works.clean(at(1, f"12:1{minute}"), member="rival")
    assert NEXT not in works.reached()


@pytest.mark.parametrize(("begun", "member", "is_reached"), [
    ("09:50", "carrier", True), ("09:29", "carrier", False), ("09:50", "mill", False),
])  # fmt: skip
def test_run_that_another_member_told_of_may_have_been_after_the_taint(
    begun: str, member: str, is_reached: bool
) -> None:
    """The bad input goes in at 10 o'clock by the mill's clock."""
    works = Works()
    works.run(CLEAN, NEXT, at(1, begun), member=member)
    works.run(BAD, FIRST, at(1, "10:00"))
    assert (NEXT in works.reached()) is is_reached


def test_cleaning_inside_a_run_that_two_members_told_of_ends_no_contact() -> None:
    """The mill fills the vessel at 8, the carrier draws it at 12: it was full when it was cleaned."""
    works = Works()
    works.run(BAD, FIRST, at(1, "07:00"))
    works.run(CLEAN, None, at(1, "07:30"), name="r2")
    works.clean(at(1, "09:00"))
    works.run(None, NEXT, at(1, "12:00"), name="r2", member="carrier")
    works.run(CLEAN, LAST, at(1, "13:00"))
    assert {NEXT, LAST} <= works.reached()


def test_run_of_days_carries_contact_past_each_cleaning_while_it_lasts() -> None:
    """It began before the first of three cleanings, and was over before the third."""
    works = Works()
    works.run(CLEAN, None, at(1, "06:00"), name="long")
    works.run(BAD, FIRST, at(1, "08:00"))
    works.clean(at(1, "20:00"))
    works.clean(at(2, "20:00"))
    works.run(None, NEXT, at(3, "06:00"), name="long")
    works.run(CLEAN, LAST, at(3, "07:00"))
    works.clean(at(3, "08:00"))
    works.run(CLEAN, AFTER, at(3, "09:00"))
    reached = works.reached()
    assert {NEXT, LAST} <= reached
    assert AFTER not in reached


def test_contact_is_along_each_line_that_a_run_names() -> None:
    """Filled on line 1 and drawn on line 2: what runs on either is touched, and what runs on a third is not."""
    works = Works()
    works.run(BAD, None, at(1, "08:00"), name="r1", line=1)
    works.run(None, FIRST, at(1, "09:00"), name="r1", line=2)
    for number in (1, 2, 3):
        works.run(CLEAN, lot("3", f"ON{number}"), at(9, "10:00"), line=number)
    assert works.reached() & {lot("3", f"ON{number}") for number in (1, 2, 3)} == {lot("3", "ON1"), lot("3", "ON2")}


def test_event_that_names_two_lines_is_of_both_and_cleans_neither() -> None:
    """Read point and location each name one."""
    for event_type, disposition in ((EventType.TRANSFORMATION, None), (EventType.OBJECT, "conformant")):
        works = Works()
        is_run = event_type is EventType.TRANSFORMATION
        if not is_run:
            works.run(BAD, FIRST, at(1, "08:00"), line=2)
        event = build_event(
            event_type,
            at(1, "09:00"),
            action=None if is_run else Action.OBSERVE,
            goods=() if is_run else ["urn:machine:1"],
            inputs={BAD: 10} if is_run else {},
            outputs={FIRST: 10} if is_run else {},
            step=None if is_run else "cleaning",
            disposition=disposition,
            read_point=line_of(1),
            location=line_of(2),
        )
        works.story.add(event)
        works.run(CLEAN, NEXT, at(1, "10:00"), line=2)
        assert NEXT in works.reached()


def test_contact_is_where_the_line_is_and_not_where_the_goods_go() -> None:
    """The event names the line as read point, and another site's store as where the goods are afterwards."""
    works = Works()
    event = build_event(
        EventType.TRANSFORMATION, at(1, "08:00"), inputs={BAD: 10}, outputs={FIRST: 10},
        read_point=line_of(1), location=place(2),
    )  # fmt: skip
    works.story.add(event)
    works.run(CLEAN, NEXT, at(1, "10:00"))
    works.clean(at(1, "11:00"))
    works.run(CLEAN, LAST, at(1, "12:00"))
    reached = works.reached()
    assert NEXT in reached
    assert LAST not in reached


def test_firms_that_share_a_site_and_a_name_of_runs_touch_each_other() -> None:
    """Two firms call a run alike; to the ledger they are two, and both were on the line."""
    works = Works()
    works.run(BAD, FIRST, at(1, "08:00"))
    for number, output in ((7, NEXT), (8, LAST)):
        event = build_event(
            EventType.TRANSFORMATION, at(1, "10:00"), inputs={CLEAN: 10}, outputs={output: 10}, run="r1",
            read_point=line_of(1), location=place(1), sources=(("possessing_party", party(number)),),
            destinations=(("possessing_party", party(number)),),
        )  # fmt: skip
        works.story.add(event, member=f"firm{number}")
    assert {NEXT, LAST} <= works.reached()


@pytest.mark.parametrize(
    ("hours", "is_reached"),
    [((0, 24), True), ((-14, 36), True), ((6, 7), False)],
)
def test_cleaning_of_which_the_day_alone_is_known_ends_what_it_was_certainly_after(
    hours: tuple[int, int], is_reached: bool
) -> None:
    """The run at 8 of day 1, another at 20 of day 2, and the cleaning some time on day 2: it may have been later."""
    works = Works()
    works.run(BAD, FIRST, at(1, "08:00"))
    day_ms = at(2, "00:00")
    works.clean(Interval(day_ms + hours[0] * HOUR_MS, day_ms + hours[1] * HOUR_MS))
    works.run(CLEAN, NEXT, at(2, "20:00"))
    works.run(CLEAN, LAST, at(4, "08:00"))
    assert (NEXT in works.reached()) is is_reached
    assert LAST not in works.reached()


@pytest.mark.parametrize(
    ("hazard", "resident", "cleaned", "is_reached"),
    [
        (Hazard.ALLERGEN, False, None, False),
        (Hazard.ALLERGEN, False, "20:00", False),
        (Hazard.MICROBE, True, "20:00", True),
        (Hazard.MICROBE, True, None, True),
        (Hazard.UNKNOWN, False, None, False),
    ],
)
def test_what_lives_in_a_plant_that_names_no_lines_is_there_beyond_the_window(
    hazard: Hazard, resident: bool, cleaned: str | None, is_reached: bool
) -> None:
    """No cleaning ends it: so neither does that none is recorded."""
    works = Works()
    works.run(BAD, FIRST, at(1, "08:00"), line=None)
    if cleaned is not None:
        works.clean(at(1, cleaned), line=None)
    works.run(CLEAN, NEXT, at(3, "08:00"), line=None)
    assert (NEXT in works.reached(hazard, resident=resident)) is is_reached


def test_hazard_of_no_known_class_goes_no_less_far_than_one_that_cleaning_ends() -> None:
    """The site's first cleaning was two days later: till then an allergen is passed on, so an unknown hazard is."""
    works = Works()
    works.run(BAD, FIRST, at(1, "08:00"), line=None)
    works.run(CLEAN, NEXT, at(3, "08:00"), line=None)
    works.clean(at(3, "10:00"), line=None)
    for hazard in (Hazard.ALLERGEN, Hazard.UNKNOWN):
        assert NEXT in works.reached(hazard)


def test_runs_beyond_the_contact_window_are_excluded_by_it() -> None:
    """The nearest are listed; that there are more, is said."""
    works = Works()
    works.run(BAD, FIRST, at(1, "08:00"), line=None)
    later = [lot("3", f"L{number:03d}") for number in range(LATER_SHOWN_MAX + 5)]
    for number, item in enumerate(later):
        works.run(CLEAN, item, at(3 + number, "08:00"), line=None)
    answer = Asked(works.story, Seed(item=BAD), hazard=Hazard.ALLERGEN).scope.answer()
    excluded = {one.item for one in answer.excluded if one.reason == "contact_window"}
    assert excluded == set(later[:LATER_SHOWN_MAX])
    assert "contact_left_out" in answer.warnings


@pytest.mark.parametrize("hazard", [Hazard.ALLERGEN, Hazard.FRAGMENT, Hazard.MICROBE, Hazard.ORIGIN])
def test_lot_that_was_bad_as_it_came_off_a_line_may_have_left_some_there(hazard: Hazard) -> None:
    """The seed is what a run gave: what came off before is clean; what comes next may not be, until a cleaning."""
    works = Works()
    works.run(CLEAN, FIRST, at(1, "08:00"))
    works.run(CLEAN, SEED, at(1, "09:00"))
    works.run(CLEAN, NEXT, at(1, "10:00"))
    works.clean(at(1, "11:00"))
    works.run(CLEAN, LAST, at(1, "12:00"))
    asked = Asked(works.story, Seed(item=SEED), hazard=hazard)
    reached = {one.item for one in asked.scope.reached}
    assert reached - {"urn:machine:1"} == ({SEED} if hazard is Hazard.ORIGIN else {SEED, NEXT})
    if hazard is not Hazard.ORIGIN:
        assert asked.status(asked.find(NEXT, "output")) == "possible"


def test_run_that_was_touched_takes_it_along_to_its_other_lines() -> None:
    """Filled on line 1 after bad goods, drawn on line 2: what ran on line 2 since it came may be touched, too."""
    works = Works()
    works.run(BAD, FIRST, at(1, "08:00"), line=1)
    works.run(CLEAN, lot("3", "EARLY"), at(1, "08:30"), line=2)
    works.run(CLEAN, None, at(1, "09:00"), name="r1", line=1)
    works.run(None, NEXT, at(1, "10:00"), name="r1", line=2)
    works.run(CLEAN, LAST, at(4, "10:00"), line=2)
    works.clean(at(4, "11:00"), line=2)
    works.run(CLEAN, AFTER, at(4, "12:00"), line=2)
    reached = works.reached()
    assert {NEXT, LAST} <= reached
    assert {AFTER, lot("3", "EARLY")}.isdisjoint(reached)


def test_site_with_a_long_history_is_looked_through_from_the_seed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixty runs of before fill what is looked through; a vessel that was filled before them is full when cleaned."""
    monkeypatch.setattr("node.lineage.spread.HOLDER_EVENTS_MAX", 30)
    works = Works()
    works.run(CLEAN, None, at(2, "06:00"), name="long")
    for day in range(60):
        works.run(CLEAN, lot("3", f"D{day:02d}"), at(3 + day, "08:00"))
    bad = works.story.make({BAD: 10}, at(100, "01:00"))
    works.run(BAD, FIRST, at(100, "08:00"))
    works.clean(at(100, "09:00"))
    works.run(None, NEXT, at(100, "10:00"), name="long")
    works.run(CLEAN, LAST, at(100, "11:00"))
    works.clean(at(100, "12:00"))
    works.run(CLEAN, AFTER, at(100, "13:00"))
    asked = Asked(works.story, of_event(BAD, bad), hazard=Hazard.ALLERGEN)
    reached = {one.item for one in asked.scope.reached}
    assert {FIRST, NEXT, LAST} <= reached
    assert AFTER not in reached
    assert "holder_events_left_out" not in asked.scope.answer().warnings


@pytest.mark.parametrize(
    ("distrusted", "is_reached"),
    [
        ("cleaning", True),
        (line_of(1), True),
        (place(1), True),
        ("urn:uuid:9", True),
        (line_of(2), False),
        ("urn:uuid:8", False),
        ("fifo", False),
    ],
)
def test_case_may_distrust_cleanings(distrusted: str, *, is_reached: bool) -> None:
    """Where how they clean is what is suspected."""
    works = Works()
    works.run(BAD, FIRST, at(1, "08:00"))
    works.clean(at(1, "09:00"), event_id="urn:uuid:9")
    works.run(CLEAN, NEXT, at(1, "10:00"))
    assert (NEXT in works.reached(distrusted=(distrusted,))) is is_reached


def test_run_that_has_put_out_nothing_yet_is_not_over() -> None:
    """The vessel was filled with bad goods, cleaned by the book, and nobody recorded yet that it was emptied."""
    for is_drawn in (False, True):
        works = Works()
        works.run(BAD, None, at(1, "07:00"), name="r1")
        if is_drawn:
            works.run(None, FIRST, at(1, "07:30"), name="r1")
        works.clean(at(1, "08:00"))
        works.run(CLEAN, NEXT, at(1, "10:00"))
        assert (NEXT in works.reached()) is not is_drawn
