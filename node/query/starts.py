"""From what a person asks about to the items that a trace begins from: items, runs, and what a place or party had.

What a holder had in a window is read from the portions of each item that its events name (`lineage/ledger.py`, as the
seeds of a scope are). The work is bounded, the newest events come first, and a seed that names more says so.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from consensus.errors import invariant
from node.epcis.elements import parse_item
from node.epcis.identifiers import site_of
from node.errors import RequestError
from node.lineage.answer import AnswerSeed
from node.lineage.facts import Facts
from node.lineage.holdings import filed_names, with_contents
from node.lineage.indexing import roles_in
from node.lineage.items import ItemKind, read_item
from node.lineage.ledger import build_ledger
from node.lineage.portions import LotLedger, Portion, PortionKind
from node.lineage.reader import LineageReader
from node.lineage.records import EventRow, PostingKind
from node.lineage.texts import iso
from node.lineage.timeline import FOREVER_MS
from node.lineage.trace import Direction, Question, Start
from node.lineage.whereabouts import names_of
from node.query.errors import UnknownItemError
from node.query.holders import find_holder
from node.query.near import suggest
from node.query.scopes import SeedRequest, read_time

NEAR_MAX: Final = 5
HOLDER_EVENTS_MAX: Final = 50_000
"""Events of one holder that are looked through."""
ITEMS_JUDGED_MAX: Final = 20_000
"""Items of one holder whose portions are read, to see whether they were there in the window: some ten seconds."""
START_ITEMS_MAX: Final = 10_000
"""Items that one seed comes to."""
WIDEST_TIME_MS: Final = 38 * 3_600_000
"""The longest that a time as stated may stand for: a date of unsure zone."""
_DRAWS: Final = (PortionKind.SHIPPED, PortionKind.USED, PortionKind.ENDED, PortionKind.MOVED)


class StartReader:
    """Reads the seeds of one question."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts

    def read(self, seeds: Sequence[SeedRequest]) -> tuple[tuple[Start, ...], tuple[AnswerSeed, ...]]:
        """Return where to begin, and what each seed came to, in the order that they were asked in: n give n.

        Raises UnknownItemError, RequestError and IdentifierError, naming the seed.
        """
        starts: list[Start] = []
        answered: list[AnswerSeed] = []
        for number, seed in enumerate(seeds):
            found, said = self._read_seed(seed, f"params.seeds[{number}]")
            starts += found
            answered.append(said)
        if not starts:
            words = "nothing that was asked about was there then"
            raise RequestError("not_found", words, field="params.seeds", hint="widen the window, or name the items")
        return tuple(starts), tuple(answered)

    def _read_seed(self, seed: SeedRequest, field: str) -> tuple[list[Start], AnswerSeed]:
        if sum(one is not None for one in (seed.item, seed.run, seed.holder)) != 1:
            raise RequestError("invalid_params", "a seed names one of: item, run, holder", field=field)
        if seed.event is not None:
            hint = "a scope takes it: scope.compute"
            raise RequestError("invalid_params", "a trace is of whole lots, not of one event's", field=field, hint=hint)
        if seed.holder is None and (seed.product, seed.since, seed.until) != (None, None, None):
            raise RequestError("invalid_params", "`product`, `from` and `to` go with a holder", field=field)
        if seed.item is not None:
            item = find_item(self._facts.reader, seed.item, f"{field}.item")
            return [Start(item)], AnswerSeed(items=(item,), item=item)
        if seed.run is not None:
            made = self._of_run(seed.run, field)
            return made, AnswerSeed(items=_ids(made), run=seed.run)
        invariant(seed.holder is not None, "a seed names one of three")
        return self._of_holder(seed, field)

    def _of_run(self, run: str, field: str) -> list[Start]:
        """Return what a run put out; while it has put out nothing, what it took in."""
        timelines = self._facts.timelines
        found: dict[str, None] = {}
        for kind in (PostingKind.RUN_OUTPUT, PostingKind.RUN_INPUT):
            for posting in timelines.filed(kind, run):
                event = timelines.row_at(posting.ref).event
                if event.declaration is None:
                    sides = event.outputs if kind is PostingKind.RUN_OUTPUT else event.inputs
                    found.update((goods.item, None) for goods in sides)
            if found:
                return [Start(item) for item in sorted(found)]
        raise RequestError("not_found", f"no run is called {run}", field=f"{field}.run")

    def _of_holder(self, seed: SeedRequest, field: str) -> tuple[list[Start], AnswerSeed]:
        assert seed.holder is not None
        holder = find_holder(self._facts, seed.holder, f"{field}.holder")
        from_ms, to_ms = read_time(seed.since, f"{field}.from"), read_time(seed.until, f"{field}.to")
        product = None
        if seed.product is not None:
            parsed = parse_item(seed.product).id
            product = read_item(parsed).product or parsed
        lo_ms = -FOREVER_MS if from_ms is None else from_ms
        hi_ms = FOREVER_MS if to_ms is None else to_ms
        found: list[Start] = []
        left_out = False
        is_line = site_of(holder) != holder
        rows, is_cut = self._rows_at(holder, lo_ms if is_line else -FOREVER_MS, hi_ms)
        items = self._line_items(rows, holder, lo_ms) if is_line else with_contents(self._facts, _items_in(rows))
        meant = [
            item
            for item in dict.fromkeys(items)
            if product is None or read_item(item).product == product or item == product
        ]
        # In the order of their finding, the newest first: what is cut off is what was there long ago.
        for number, item in enumerate(meant):
            if number == ITEMS_JUDGED_MAX or len(found) == START_ITEMS_MAX:
                left_out = True
                break
            if is_line or self._was_there(item, holder, lo_ms, hi_ms):
                found.append(Start(item, from_ms, to_ms))
        found.sort()
        said = AnswerSeed(
            items=_ids(found),
            holder=holder,
            product=product,
            since=None if from_ms is None else iso(from_ms),
            until=None if to_ms is None else iso(to_ms),
            left_out=left_out or is_cut,
        )
        return found, said

    def _rows_at(self, holder: str, lo_ms: int, hi_ms: int) -> tuple[list[EventRow], bool]:
        """Return the events that name a holder, the newest first where there are too many, and whether there are."""
        reader, facts = self._facts.reader, self._facts
        rows: list[EventRow] = []
        is_cut = False
        for name in filed_names(facts, holder):
            filed = reader.postings_within(
                PostingKind.HOLDER,
                name,
                from_ms=lo_ms - WIDEST_TIME_MS,
                to_ms=hi_ms,
                limit=HOLDER_EVENTS_MAX + 1,
                newest=True,
            )
            is_cut = is_cut or len(filed) > HOLDER_EVENTS_MAX
            for posting in filed[:HOLDER_EVENTS_MAX]:
                if posting.ref.height <= facts.known_at:
                    row = facts.timelines.row_at(posting.ref)
                    if row.event.declaration is None:
                        rows.append(row)
        return rows, is_cut

    def _line_items(self, rows: Sequence[EventRow], line: str, lo_ms: int) -> Iterator[str]:
        """Yield what runs on a line or vessel put out."""
        for row in rows:
            event = row.event
            if line in (event.read_point, event.location) and event.time.hi_ms >= lo_ms:
                for goods in event.outputs:
                    yield goods.item

    def _was_there(self, item: str, holder: str, lo_ms: int, hi_ms: int) -> bool:
        """Return whether the holder may have had the item in the window, by the record of its portions."""
        kind = read_item(item).kind
        if kind in (ItemKind.UNIT, ItemKind.ASSET, ItemKind.CLASS):
            # They have no stock of their own: their events tell where they were.
            return self._is_seen(item, holder, lo_ms, hi_ms)
        ledger = build_ledger(item, self._facts)
        chains: dict[tuple[str, str, str | None], list[Portion]] = {}
        for portion in ledger.of_kind(PortionKind.POOL):
            if holder in names_of(portion.holder):
                chains.setdefault((portion.holder.key, portion.unit, portion.uom), []).append(portion)
        for chain in chains.values():
            for state, until_ms in _lasting(chain):
                if state.row.event.time.lo_ms <= hi_ms and until_ms >= lo_ms:
                    return _gone_ms(ledger, holder) >= lo_ms
        return False

    def _is_seen(self, item: str, holder: str, lo_ms: int, hi_ms: int) -> bool:
        facts = self._facts
        last_at = False
        for row, _role in facts.timelines.of_item(item).entries:
            time = row.event.time
            here = holder in facts.whereabouts.here(row)
            if time.lo_ms > hi_ms:
                break
            if here and time.hi_ms >= lo_ms:
                return True
            # What was there before the window, and was not seen elsewhere since, still is.
            last_at = here and facts.whereabouts.sent_to(row) is None
        return last_at


def read_trace(
    facts: Facts,
    asked: str | Sequence[SeedRequest],
    direction: Direction,
    *,
    as_of_ms: int | None,
    depth_max: int | None,
    items_max: int,
) -> Question:
    """Return the question of a trace: of an item in any spelling, or of what a case names. Raises RequestError."""
    question = Question(
        None, direction, as_of_ms=as_of_ms, known_at=facts.known_at, depth_max=depth_max, items_max=items_max
    )
    if isinstance(asked, str):
        return replace(question, item=find_item(facts.reader, asked, "params.item"))
    starts, seeds = StartReader(facts).read(asked)
    if len(seeds) == 1 and seeds[0].item is not None:
        # One item is one question, however it was put.
        return replace(question, item=seeds[0].item)
    left_out = tuple([seed.holder for seed in seeds if seed.left_out and seed.holder is not None])
    return replace(question, starts=starts, seeds=seeds, left_out=left_out)


def find_item(reader: LineageReader, text: str, field: str) -> str:
    """Return the canonical id that `text` means. Raises IdentifierError, UnknownItemError."""
    item = parse_item(text).id
    if reader.find_item(item) is not None:
        return item
    if read_item(item).kind is ItemKind.CLASS and reader.items_of_product(item, limit=1):
        return item  # No event names it without lot, and its lots are meant.
    near = suggest(reader, text, limit=NEAR_MAX)
    hint = f"did you mean {', '.join(near)}?" if near else "an item is known once an event that names it is final"
    raise UnknownItemError(f"no event names {item}", near=near, hint=hint, field=field)


def _ids(starts: Sequence[Start]) -> tuple[str, ...]:
    return tuple([start.item for start in starts])


def _items_in(rows: Sequence[EventRow]) -> Iterator[str]:
    for row in rows:
        yield from roles_in(row.event)


def _lasting(chain: Sequence[Portion]) -> Iterator[tuple[Portion, int]]:
    """Yield the states of a stock, each with the latest time that it may have lasted until."""
    for place, state in enumerate(chain):
        last = place + 1 == len(chain)
        yield state, FOREVER_MS if last else chain[place + 1].row.event.time.hi_ms


def _gone_ms(ledger: LotLedger, holder: str) -> int:
    """Return by when all that the holder had of an item had gone by the record; FOREVER_MS if some is held."""
    gone_ms = -FOREVER_MS
    for portion in ledger.portions:
        if holder not in names_of(portion.holder):
            continue
        if portion.kind is PortionKind.HELD and portion.hi != 0:
            return FOREVER_MS
        if portion.kind in _DRAWS:
            gone_ms = max(gone_ms, portion.row.event.time.hi_ms)
    return gone_ms if gone_ms > -FOREVER_MS else FOREVER_MS
