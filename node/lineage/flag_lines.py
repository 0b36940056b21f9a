"""What runs and cleanings of one line say together: goods in it while it was cleaned, a run after a cleaning failed.

Only what names that very line tells, by a member that entered an event of the run as well, and only exact times. A run
is looked at with the cleanings of the week before its events; `touch.py` has the runs looked at again in whose week a
cleaning is entered later.
"""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

from node.lineage.cleanings import LINE_MS, Cleaned, by_time
from node.lineage.facts import Facts
from node.lineage.flag_model import ITEMS_MAX, FlagList
from node.lineage.indexing import equipment_in, roles_in
from node.lineage.records import EventRow
from node.wire.ids import MemberId


def check_line(found: FlagList, taken: Sequence[EventRow], given: Sequence[EventRow], facts: Facts) -> None:
    """Add what the cleanings of its line say of a run. taken, given: its events with inputs and with outputs."""
    rows = list({row.ref: row for row in (*taken, *given)}.values())
    lines = {line for row in rows if (line := equipment_in(row.event)) is not None}
    exact = sorted((row for row in rows if row.event.time.lo_ms == row.event.time.hi_ms), key=by_time)
    if len(lines) != 1 or not exact:
        return
    line = lines.pop()
    times = (exact[0].event.time.lo_ms, exact[-1].event.time.lo_ms)
    cleaned = facts.cleanings.of_line(line, from_ms=times[0], to_ms=times[1])
    on_line = [row for row in exact if equipment_in(row.event) == line]
    if not on_line or not (cleaned.verified or cleaned.failed):
        return
    found.counter(cleaned.countered)
    holder = facts.custody.holder_of(on_line[0])
    items = tuple(dict.fromkeys(item for row in rows for item in roles_in(row.event)))[:ITEMS_MAX]
    # A stranger's word makes nobody's line dirty.
    members = {row.member for row in rows}
    dirty = _find_dirty(on_line[0], members, cleaned, facts)
    if dirty is not None and len(exact) == len(rows):
        found.add("used_dirty", (on_line[0], dirty), (holder,), items=items)
    if len(rows) > 1 and all(equipment_in(row.event) == line for row in taken):
        across = _find_across(taken, [row for row in on_line if row.event.outputs], line, cleaned, facts)
        if across:
            found.add("run_across_cleaning", across, (holder,), items=items)


def _find_dirty(first: EventRow, members: set[MemberId], cleaned: Cleaned, facts: Facts) -> EventRow | None:
    """Return the last cleaning that failed before a run began, if no verified one may lie between."""
    for one in reversed(cleaned.failed):
        time = one.event.time
        if one.member not in members or time.lo_ms != time.hi_ms or not _is_after(first, one, facts):
            continue
        is_near = first.event.time.lo_ms - time.hi_ms <= LINE_MS
        verified = any(
            not _is_after(one, clean, facts) and not _is_after(clean, first, facts) for clean in cleaned.verified
        )
        return one if is_near and not verified else None
    return None


def _find_across(
    taken: Sequence[EventRow], given: Sequence[EventRow], line: str, cleaned: Cleaned, facts: Facts
) -> list[EventRow]:
    """Return an input, a cleaning and an output of a line, if all that the output can be of was in it meanwhile.

    given: outputs of exact times on that line, in order.
    """
    taken = sorted(taken, key=by_time)
    began = [row.event.time.lo_ms for row in taken]
    over = list(accumulate((row.event.time.hi_ms for row in taken), max))
    members = {row.member for row in (*taken, *given)}
    drawn = [row.event.time.lo_ms for row in given]
    for clean in cleaned.verified:
        if equipment_in(clean.event) != line or clean.member not in members:
            continue
        # Where several members entered the run, each of its times is taken as of another clock.
        slack_ms = 0 if members == {clean.member} else 2 * facts.readings.clock_tolerance_ms
        end_ms = clean.event.time.hi_ms
        place = bisect_right(drawn, end_ms + slack_ms)
        if place == len(given) or drawn[place] - end_ms > LINE_MS:
            continue
        count = bisect_right(began, drawn[place] + slack_ms)
        if count and over[count - 1] + slack_ms < clean.event.time.lo_ms:
            return [taken[count - 1], clean, given[place]]
    return []


def _is_after(row: EventRow, earlier: EventRow, facts: Facts) -> bool:
    slack_ms = facts.readings.slack_ms(row.member, earlier.member)
    return earlier.event.time.hi_ms + slack_ms < row.event.time.lo_ms
