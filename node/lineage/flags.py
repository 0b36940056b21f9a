"""Flags of one subject: what in its record does not add up, as a pure function of the ledger at a height.

`flags_of_item(item, facts, settings, now_ms)` sees what was on the ledger at `facts.known_at`, the settings of the
network and the time of the block at that height, and nothing else: so it is the same at every node, in whatever order
events arrived and however blocks were taken together. `touch.py` says which subjects a block may have changed,
`flag_checks.py` and `flag_pieces.py` have the checks that need no ledger, and docs/flags.md says what each code means.
"""

from node.lineage.facts import Facts
from node.lineage.flag_checks import check_blocked, check_expiry, check_names, check_times
from node.lineage.flag_holds import check_hold
from node.lineage.flag_lines import check_line
from node.lineage.flag_model import ITEMS_MAX, NOTHING, Evaluated, FlagList, FlagSettings
from node.lineage.flag_moves import check_moves
from node.lineage.flag_needs import check_needs
from node.lineage.flag_pieces import check_piece
from node.lineage.flag_runs import add_run
from node.lineage.flag_transit import add_unmatched
from node.lineage.indexing import equipment_in, roles_in
from node.lineage.items import ItemKind, read_item
from node.lineage.ledger import build_ledger
from node.lineage.plain import is_balanced, read_plain
from node.lineage.records import ROLE_OUTPUT, EventRef, PostingKind
from node.lineage.timeline import Timeline


def flags_of_item(item: str, facts: Facts, settings: FlagSettings, *, now_ms: int) -> Evaluated:
    """Return the flags of an item. now_ms: time of the block at the height that `facts` see."""
    timeline = facts.timelines.of_item(item)
    if not timeline.entries and not timeline.notes:
        return NOTHING
    found = FlagList(item, timeline.countered)
    plain = read_plain(item, timeline, facts)
    due_ms = None if plain is None or plain.shipped is None else plain.shipped.ledger_time_ms + settings.unmatched_ms
    if due_ms is not None and due_ms > now_ms:
        found.wait_until(due_ms)
    elif (plain is None or due_ms is not None) and not _is_equipment(timeline, facts):
        ledger = build_ledger(item, facts, timeline)
        for one in ledger.findings:
            found.add(one.code, (one.row, one.other), (one.ask, one.also), amount=one.amount, uom=one.uom)
        check_moves(found, ledger, timeline, facts)
        _add_notes(found, timeline, facts)
        add_unmatched(found, ledger, settings, now_ms)
    _add_runs(found, timeline, facts, settings, now_ms)
    check_names(found, timeline)
    check_times(found, timeline, settings)
    check_blocked(found, timeline, facts)
    check_hold(found, timeline, facts)
    check_expiry(found, timeline, facts)
    check_needs(found, timeline, facts)
    if read_item(item).single:
        check_piece(found, timeline, facts, settings)
    return found.evaluated()


def flags_of_run(name: str, facts: Facts, settings: FlagSettings, *, now_ms: int) -> Evaluated:
    """Return the flags of all runs that go by a transformationID: it may serve several firms."""
    found = FlagList(name)
    seen: set[EventRef] = set()
    for posting in facts.timelines.filed(PostingKind.RUN_OUTPUT, name):
        rows = facts.timelines.outputs_of_run(facts.timelines.row_at(posting.ref))
        if rows and rows[0].ref not in seen:
            seen.add(rows[0].ref)
            add_run(found, rows[0], facts, settings, now_ms)
            check_line(found, facts.timelines.inputs_of_run(rows[0]), rows, facts)
    for kind in () if found.is_empty else (PostingKind.RUN_INPUT, PostingKind.RUN_OUTPUT):
        found.counter(facts.timelines.of_key(kind, name).countered)
    return found.evaluated()


def flags_of_event_id(event_id: str, facts: Facts) -> Evaluated:
    """Return the flag of an eventID that events of different content bear; both count."""
    if len(facts.timelines.filed(PostingKind.EVENT_ID, event_id)) < 2:
        return NOTHING
    timeline = facts.timelines.of_key(PostingKind.EVENT_ID, event_id)
    rows = {row.event.content_digest: row for row, _role in timeline.entries}
    found = FlagList(event_id, timeline.countered)
    if len(rows) > 1:
        items = tuple(dict.fromkeys(item for row in rows.values() for item in roles_in(row.event)))[:ITEMS_MAX]
        holders = [facts.custody.holder_of(row) for row in rows.values()]
        found.add("event_id_reused", rows.values(), holders, items=items)
    return found.evaluated()


def _is_equipment(timeline: Timeline, facts: Facts) -> bool:
    """Return whether only cleanings name the item: nobody need have made it, and it may be cleaned anywhere."""
    return all(facts.readings.is_clean_step(row.event) for row, _role in timeline.entries)


def _add_notes(found: FlagList, timeline: Timeline, facts: Facts) -> None:
    """Add what the item's events say of one another, and of a unit what its packings do."""
    notes = timeline.notes
    if read_item(found.subject).kind in (ItemKind.UNIT, ItemKind.ASSET):
        notes += facts.containment.contents_of(found.subject).notes
    for note in notes:
        found.add(note.code, (note.row,), (facts.custody.holder_of(note.row),))


def _add_runs(found: FlagList, timeline: Timeline, facts: Facts, settings: FlagSettings, now_ms: int) -> None:
    """Add what the runs do not balance by. A run's flags are those of the first item that it puts out."""
    for row, role in timeline.entries:
        if not role & ROLE_OUTPUT or row.event.transformation_id is not None:
            continue
        if row.event.outputs[0].item != found.subject:
            continue
        if not is_balanced(row, facts, settings.run_loss_permille):
            add_run(found, row, facts, settings, now_ms)
        if equipment_in(row.event) is not None:
            check_line(found, (row,), (row,), facts)
