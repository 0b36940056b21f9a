"""What does not add up in a run: more out than in, much less out than in, something out before anything was in."""

from node.lineage.facts import Facts
from node.lineage.flag_model import ITEMS_MAX, FlagList, FlagSettings
from node.lineage.portions import ZERO
from node.lineage.records import EventRow
from node.lineage.runs import Run, build_run


def add_run(found: FlagList, row: EventRow, facts: Facts, settings: FlagSettings, now_ms: int) -> None:
    """Add the flags of the run that the event is of. now_ms: time of the block at the height that `facts` see."""
    run = build_run(row, facts)
    if not run.outputs:
        return
    rows = tuple(dict.fromkeys(line.row.ref for line in (*run.outputs, *run.inputs)))
    by_ref = {line.row.ref: line.row for line in (*run.outputs, *run.inputs)}
    events = [by_ref[ref] for ref in rows]
    items = tuple(dict.fromkeys(line.item for line in (*run.outputs, *run.inputs)))[:ITEMS_MAX]
    taken = sum((run.portions[line.portion].lo for line in run.inputs), ZERO)
    measured = next((uom for line in run.outputs if (uom := run.portions[line.portion].uom) is not None), None)
    for one in run.findings if measured is not None else ():
        # Pieces that are in and out go on: they are no gain.
        if one.amount is None or one.amount * 1000 > taken * settings.run_gain_permille:
            found.add(one.code, events, (one.ask,), items=items, amount=one.amount, uom=measured)
    _check_loss(found, run, events, settings, now_ms)
    _check_order(found, run, facts, items)


def _check_loss(found: FlagList, run: Run, events: list[EventRow], settings: FlagSettings, now_ms: int) -> None:
    """A run of several events is over once nothing was entered of it for as long as a shipment may be on its way."""
    uoms = {run.portions[line.portion].uom for line in (*run.inputs, *run.outputs)}
    if not run.inputs or not run.is_one_unit or None in uoms:
        return
    taken = sum((run.portions[line.portion].lo for line in run.inputs), ZERO)
    given = sum((run.portions[line.portion].lo for line in run.outputs), ZERO)
    if (taken - given) * 1000 <= taken * settings.run_loss_permille:
        return
    over_ms = max(row.ledger_time_ms for row in events)
    if len(events) > 1:
        over_ms += settings.unmatched_ms
        if over_ms > now_ms:
            found.wait_until(over_ms)
            return
    items = tuple(dict.fromkeys(line.item for line in (*run.outputs, *run.inputs)))[:ITEMS_MAX]
    found.add(
        "run_loss", events, (run.holder,), items=items, amount=taken - given, uom=next(iter(uoms)), since_ms=over_ms
    )


def _check_order(found: FlagList, run: Run, facts: Facts, items: tuple[str, ...]) -> None:
    """An output drawn before anything that the run lists was in: of what was it?"""
    if not run.inputs:
        return
    first = min((line.row for line in run.inputs), key=lambda row: (row.event.time.lo_ms, row.event.event_digest))
    early = [
        line.row
        for line in run.outputs
        if line.row.event.time.hi_ms + facts.readings.slack_ms(line.row.member, first.member) < first.event.time.lo_ms
    ]
    if early:
        found.add("output_before_input", (*early, first), (run.holder,), items=items)
