"""Goods that went on without what their member says they need: a certificate, a release, an approved supplier.

A need binds only what its own member does with the goods, and any statement of anyone may meet it: on an event of the
lot, or of a unit while the lot was in it. So what is flagged is certain by the words of the one it is asked of.
"""

from collections.abc import Iterable
from typing import Final

from node.lineage.custody import Holder, build_holder
from node.lineage.facts import Facts
from node.lineage.flag_checks import RELEASING, is_use
from node.lineage.flag_model import FlagList
from node.lineage.indexing import papers_in
from node.lineage.items import ItemKind, read_item
from node.lineage.needs import RELEASE, REVOKED, SUPPLIER, VALID, Need, approvals_of, certificate_of, needs_of
from node.lineage.readings import Movement
from node.lineage.records import ROLE_CHILD, ROLE_MADE, ROLE_OUTPUT, EventRef, EventRow
from node.lineage.timeline import Timeline
from node.wire.ids import MemberId

_DEPTH_MAX: Final = 8
"""Units in units, whose events are looked at."""
PAPERS_MAX: Final = 64
"""Documents of one type on one lot, whose validity is looked at; of more, nothing is said."""
STAYS_MAX: Final = 256
"""Stays in units whose events are looked at; of a lot of more, nothing is said."""
_PARTY_TYPES: Final = ("possessing_party", "owning_party")


def check_needs(found: FlagList, timeline: Timeline, facts: Facts) -> None:
    """Add what a lot was used, shipped or received without."""
    item = read_item(found.subject)
    if item.kind is not ItemKind.LOT or item.product is None:
        return
    needs = needs_of(item.product, facts.masters)
    if not needs:
        return
    own = [row for row, _role in timeline.entries]
    around = _rows_around(found.subject, timeline, facts)
    if around is None:
        return
    for need in needs:
        if need.what == SUPPLIER:
            _check_supplier(found, own, need, facts)
            continue
        uses = [row for row, role in timeline.entries if _is_of(row, need) and is_use(row, role, facts)]
        if uses and need.what == RELEASE:
            _check_release(found, timeline, around, uses, facts)
        elif uses:
            _check_papers(found, [*own, *around], uses, need, facts)


def _is_of(row: EventRow, need: Need) -> bool:
    time = row.event.time
    return row.member == need.member and need.from_ms <= time.lo_ms and time.hi_ms <= need.to_ms


def _rows_around(item: str, timeline: Timeline, facts: Facts) -> list[EventRow] | None:
    """Return the events of the units that the item was in, while it was; None if these are too many."""
    rows: dict[EventRef, EventRow] = {}
    if not any(role & ROLE_CHILD for _row, role in timeline.entries):
        return []
    pending = [(stay.parent, stay.lo_ms, stay.hi_ms, 1) for stay in facts.containment.stays_of(item, timeline)]
    seen = set(pending)
    while pending:
        unit, lo_ms, hi_ms, depth = pending.pop()
        outer = facts.timelines.of_item(unit)
        for row, _role in outer.entries:
            if row.event.time.lo_ms <= hi_ms and row.event.time.hi_ms >= lo_ms:
                rows[row.ref] = row
        for stay in facts.containment.stays_of(unit, outer) if depth < _DEPTH_MAX else ():
            window = (stay.parent, max(lo_ms, stay.lo_ms), min(hi_ms, stay.hi_ms), depth + 1)
            if window[1] <= window[2] and window not in seen:
                seen.add(window)
                pending.append(window)
        if len(seen) > STAYS_MAX:
            return None
    return list(rows.values())


def _check_release(
    found: FlagList, timeline: Timeline, around: Iterable[EventRow], uses: list[EventRow], facts: Facts
) -> None:
    """A release says of goods that are there that they may go on: no making, use or shipment does."""
    released = [
        row for row, role in timeline.entries if not role & (ROLE_MADE | ROLE_OUTPUT) and not is_use(row, role, facts)
    ]
    released += [row for row in around if facts.custody.read(row)[0] is not Movement.OUTBOUND]
    released = [row for row in released if row.event.disposition in RELEASING]
    first: dict[str, EventRow] = {}
    for row in released:
        known = first.get(row.member)
        if known is None or row.event.time.lo_ms < known.event.time.lo_ms:
            first[row.member] = row
    broken = [use for use in uses if all(_is_after(row, use, facts) for row in first.values())]
    if broken:
        found.add("used_before_release", broken, _holders(broken, facts))


def _check_papers(found: FlagList, rows: list[EventRow], uses: list[EventRow], need: Need, facts: Facts) -> None:
    """A document counts whenever it came; one that holds is enough."""
    papers: dict[str, set[MemberId]] = {}
    for row in rows:
        for kind, name in papers_in(row.event):
            if kind == need.what:
                papers.setdefault(name, set()).add(row.member)
    if len(papers) > PAPERS_MAX:
        return
    if not papers:
        found.add("certificate_missing", uses, _holders(uses, facts))
        return
    ends: list[tuple[int, str]] = []
    for name, members in papers.items():
        said = certificate_of(name, frozenset({need.member, *members}), facts.masters)
        revoked_ms = min((one.from_ms for one in said if one.word == REVOKED), default=None)
        ended_ms = max((one.to_ms for one in said if one.word == VALID), default=None)
        if revoked_ms is not None and (ended_ms is None or revoked_ms <= ended_ms):
            ends.append((revoked_ms - 1, "certificate_revoked"))
        elif ended_ms is not None:
            ends.append((ended_ms, "certificate_expired"))
        else:
            return  # Of one that nobody says anything of, nothing is certain.
    last_ms, code = max(ends)
    slack_ms = 2 * facts.readings.clock_tolerance_ms
    late = [use for use in uses if use.event.time.lo_ms > last_ms + slack_ms]
    if late:
        found.add(code, late, _holders(late, facts), items=tuple(sorted(papers)))


def _check_supplier(found: FlagList, rows: list[EventRow], need: Need, facts: Facts) -> None:
    """Only who a receipt names as its sender; goods that one moves within one's own firm have no supplier."""
    for row in rows:
        movement, holder = facts.custody.read(row)
        if movement is not Movement.INBOUND or not _is_of(row, need):
            continue
        suppliers = [name for wanted in _PARTY_TYPES for kind, name in row.event.sources if kind == wanted]
        own = {holder.party, *(name for _kind, name in row.event.destinations)}
        if not suppliers or not own.isdisjoint(suppliers):
            continue
        time = row.event.time
        approvals = [said for one in suppliers for said in approvals_of(one, need.member, facts.masters)]
        if not any(said.from_ms <= time.hi_ms and time.lo_ms <= said.to_ms for said in approvals):
            found.add("supplier_not_approved", (row,), (holder, build_holder(suppliers[0], None)))


def _holders(rows: Iterable[EventRow], facts: Facts) -> list[Holder]:
    return [facts.custody.holder_of(row) for row in rows]


def _is_after(row: EventRow, earlier: EventRow, facts: Facts) -> bool:
    slack_ms = facts.readings.slack_ms(row.member, earlier.member)
    return earlier.event.time.hi_ms + slack_ms < row.event.time.lo_ms
