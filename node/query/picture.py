"""What a picture of a trace shows: boxes for items, runs and unknowns, and arrows with quantities. Pure.

Up to `limit` items are drawn one by one. Beyond, those of one party and product become one box with their count and
sum; if that is still too many, those of one product; and at last the smallest are one box. Of very many arrows between
boxes the thickest are drawn. What was done is said in the picture (`notes`), and so is what the answer itself left out.
`drawing.py` and `svg.py` write it.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from typing import Final, NamedTuple

from node.epcis.identifiers import LINK_HOST, describe
from node.lineage.answer import Answer, AnswerEvent, AnswerItem, AnswerUnknown
from node.lineage.texts import number_text
from node.query.text import REASONS, UNITS, amount_words, flag_words, time_words

LIMIT: Final = 60
LIMIT_MAX: Final = 400
SEEDS_SHOWN_MAX: Final = 12
ARROWS_MAX: Final = 120
"""Between boxes that stand for several items; each box keeps the thickest arrow that comes to it."""
_NOWHERE: Final = "nobody named"
_REASONS: Final = REASONS | {"no_inputs": "nobody recorded what it was made of"}
"""Of a trace, and what a scope adds."""
_ONWARD_REASONS: Final = frozenset({"not_received"})


class Side(StrEnum):
    """What a box is to what was asked about."""

    SEED = "seed"
    BACK = "back"
    FORWARD = "forward"
    BOTH = "both"
    CERTAIN = "certain"
    """Of a scope, as the next three."""
    POSSIBLE = "possible"
    OPEN = "open"
    EXCLUDED = "excluded"


class Kind(StrEnum):
    """What a box stands for."""

    ITEM = "item"
    CARRIER = "carrier"
    RUN = "run"
    GROUP = "group"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Box:
    """lines: what is written in it, the most telling first. title: all of it, for who points at it.

    doubtful: of a box for several items, whether something of them is unknown.
    """

    kind: Kind
    side: Side
    lines: tuple[str, ...]
    title: str
    doubtful: bool = False


@dataclass(frozen=True, slots=True)
class Arrow:
    """source, target: places in `Picture.boxes`. label: how much went that way, or empty. unknown: not recorded."""

    source: int
    target: int
    label: str
    side: Side
    unknown: bool = False


@dataclass(frozen=True, slots=True)
class Picture:
    """title, notes: sentences. items: how many the answers have. grouped: whether a box may stand for several."""

    title: str
    notes: tuple[str, ...]
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    items: int
    grouped: bool


class Mark(NamedTuple):
    """How an item is drawn in place of by its direction, and a line that is added to it."""

    side: Side
    words: str


class _Group(NamedTuple):
    """Which box an item is in: of its own by its id, or by side, party and product."""

    side: Side
    party: str
    product: str
    item: str


@dataclass(slots=True)
class _Way:
    """What goes from one box to another. taken: by source and event, each counted once."""

    side: Side
    taken: dict[tuple[str, str], tuple[str | None, str | None]] = field(default_factory=dict)
    words: str = ""


def draw(
    answers: Sequence[Answer],
    *,
    limit: int = LIMIT,
    marks: Mapping[str, Mark] | None = None,
    title: str | None = None,
    notes: Sequence[str] = (),
) -> Picture:
    """Return the picture of a trace, or of the two of one question. limit: 1 … LIMIT_MAX items drawn one by one.

    marks: of every item, where something else than its direction is shown. title, notes: in place of what a trace says.
    """
    drawing = _Drawing(answers, limit, marks or {})
    picture = drawing.picture()
    return picture if title is None else replace(picture, title=title, notes=(*picture.notes, *notes))


class _Drawing:
    """Puts boxes and arrows together for one picture."""

    def __init__(self, answers: Sequence[Answer], limit: int, marks: Mapping[str, Mark]) -> None:
        self._answers = answers
        self._marks = marks
        self._limit = limit
        self._items: dict[str, AnswerItem] = {}
        self._sides: dict[str, Side] = {}
        self._events: dict[str, AnswerEvent] = {}
        self._parties: dict[str, str] = {}
        for answer in answers:
            side = Side.BACK if answer.direction == "back" else Side.FORWARD
            self._events.update((event.id, event) for event in answer.events)
            for item in answer.items:
                known = self._sides.get(item.id)
                is_seed = item.depth == 0 and item.because is None
                self._items.setdefault(item.id, item)
                self._sides[item.id] = Side.SEED if is_seed or known is Side.SEED else known or side
                if known not in (None, side, Side.SEED) and not is_seed:
                    self._sides[item.id] = Side.BOTH
        self._sides.update((item, mark.side) for item, mark in marks.items() if item in self._items)
        self._find_parties()
        self._made = _outputs(self._events.values())
        self._boxes: list[Box] = []
        self._numbers: dict[object, int] = {}
        self._ways: dict[tuple[int, int], _Way] = {}
        self._arrows: list[Arrow] = []

    def picture(self) -> Picture:
        """Return it."""
        grouping, words = self._grouping()
        grouped = words != ""
        members: dict[_Group, list[str]] = {}
        for item in self._items:
            members.setdefault(grouping(item), []).append(item)
        box_of: dict[str, int] = {}
        for group, items in sorted(members.items()):
            number = len(self._boxes)
            self._boxes.append(self._item_box(items[0]) if len(items) == 1 else self._group_box(group, items))
            box_of.update((item, number) for item in items)
        self._link(box_of, with_runs=not grouped)
        kept = self._thickest() if grouped else self._ways
        for (source, target), way in sorted(kept.items()):
            side = self._boxes[target].side if self._marks else way.side
            self._arrows.append(Arrow(source, target, _taken_words(way), side))
        self._unknowns(box_of, grouped=grouped)
        notes = [words] if grouped else []
        if len(kept) < len(self._ways):
            notes.append(f"Of {len(self._ways):,} arrows the {len(kept):,} with the most links are drawn.")
        for answer in self._answers:
            codes = {warning.code: warning.message for warning in answer.warnings}
            notes += [codes[code] for code in ("item_limit", "depth_limit", "seed_items_left_out") if code in codes]
            notes.append(f"{_way_words(answer)} at height {answer.height}, digest {answer.digest[:16]}…")
            if answer.open_flags is not None:
                # Without what to do at a keyboard.
                notes.append(flag_words(answer.open_flags).partition(" (")[0].capitalize())
        return Picture(
            self._title(),
            tuple(dict.fromkeys(notes)),
            tuple(self._boxes),
            tuple(self._arrows),
            len(self._items),
            grouped,
        )

    def _title(self) -> str:
        seeds = [item for item, side in self._sides.items() if side is Side.SEED]
        name = _item_lines(self._items[seeds[0]]) if len(seeds) == 1 else (f"{len(seeds)} items",)
        ways = ["came from" if answer.direction == "back" else "went to" for answer in self._answers]
        return f"Where {' '.join(name)} {' and '.join(ways)}"

    def _find_parties(self) -> None:
        """Find who made each item, else who first had it."""
        firsts: dict[str, str] = {}
        for event in self._events.values():
            name = event.party_name or event.place_name or called(event.party or event.place or event.member)
            for goods in event.goods:
                made = goods.role == "output" or (goods.role == "goods" and event.action == "ADD")
                (self._parties if made else firsts).setdefault(goods.item, name)
        for item, name in firsts.items():
            self._parties.setdefault(item, name)

    def _party_of(self, item: str) -> str:
        return self._parties.get(item, _NOWHERE)

    def _grouping(self) -> tuple[Callable[[str], _Group], str]:
        """Return in which box each item is, and the sentence that says so; empty where each has its own."""
        count = len(self._items)
        if count <= self._limit:
            return (lambda item: _Group(self._sides[item], "", "", item)), ""
        sides = self._sides
        single = {item for item, side in sides.items() if side is Side.SEED}
        if len(single) > SEEDS_SHOWN_MAX:
            single = set()

        def by_product(item: str) -> _Group:
            if item in single:
                return _Group(sides[item], "", "", item)
            return _Group(sides[item], self._party_of(item), _product_of(self._items[item]), "")

        def by_kind(item: str) -> _Group:
            return by_product(item)._replace(party="") if item not in single else by_product(item)

        start = f"{count:,} items, more than the {self._limit} that are drawn one by one"
        for grouping, words in ((by_product, "of one party and product"), (by_kind, "of one product")):
            sizes = Counter(grouping(item) for item in self._items)
            if len(sizes) <= self._limit:
                return grouping, f"{start}: those {words} are one box ({len(sizes)} boxes)."
        kept = {group for group, _size in sorted(sizes.items(), key=lambda one: (-one[1], one[0]))[: self._limit]}
        rest = len(sizes) - len(kept)

        def by_size(item: str) -> _Group:
            group = by_kind(item)
            return group if group in kept or item in single else _Group(group.side, "", f"{rest:,} other products", "")

        return by_size, f"{start}: those of one product are one box, and the {rest:,} rarest products one together."

    def _item_box(self, item: str) -> Box:
        found = self._items[item]
        kind = Kind.CARRIER if found.role == "carrier" else Kind.ITEM
        lines = _item_lines(found)
        if item in self._parties:
            lines = (*lines, self._parties[item])
        if item in self._marks:
            lines = (*lines, self._marks[item].words)
        return Box(kind, self._sides[item], lines, "\n".join((*lines, item)))

    def _group_box(self, group: _Group, items: Sequence[str]) -> Box:
        found = [self._items[item] for item in items]
        kinds = Counter("units" if one.kind == "unit" else f"{one.kind}s" for one in found)
        amount = _sum_words([(one.quantity, one.uom) for one in found if one.kind != "unit"])
        counts = ", ".join(f"{number:,} {kind}" for kind, number in sorted(kinds.items()))
        words = f"{counts}, {amount}" if amount else counts
        parties = list(dict.fromkeys(self._party_of(item) for item in items))
        party = group.party or (parties[0] if len(parties) == 1 else f"at {len(parties):,} parties")
        lines = (group.product, words, party)
        return Box(Kind.GROUP, group.side, lines, "\n".join((*lines, *items[:20], *(["…"] if len(items) > 20 else []))))

    def _link(self, box_of: dict[str, int], *, with_runs: bool) -> None:
        for answer in self._answers:
            side = Side.BACK if answer.direction == "back" else Side.FORWARD
            targets: dict[str, set[str]] = {}
            for edge in answer.edges:
                if edge.kind == "made":
                    targets.setdefault(edge.event, set()).add(edge.target)
            for edge in answer.edges:
                source, target = box_of.get(edge.source), box_of.get(edge.target)
                if source is None or target is None or (source == target and not with_runs):
                    continue
                taken = (edge.source, edge.input_event or edge.event)
                is_unit = self._items[edge.source].kind == "unit"
                # That a unit in a unit is one piece says nothing.
                amount = (None, None) if is_unit else (edge.quantity, edge.uom)
                words = "" if edge.kind in ("made", "packed", "unpacked") else edge.kind
                if with_runs and edge.kind == "made" and len(targets[edge.event]) > 1:
                    # What a run took in is not what each of its outputs got.
                    run = self._run_box(edge.event, side)
                    self._way(source, run, side, taken, amount, "")
                    made = self._made.get((edge.event, edge.target), (None, None))
                    self._way(run, target, side, (edge.target, edge.event), made, "")
                else:
                    self._way(source, target, side, taken, amount, words)

    def _way(
        self,
        source: int,
        target: int,
        side: Side,
        taken: tuple[str, str],
        amount: tuple[str | None, str | None],
        words: str,
    ) -> None:
        way = self._ways.setdefault((source, target), _Way(side))
        way.taken[taken] = amount
        way.words = words or way.words

    def _run_box(self, event_id: str, side: Side) -> int:
        number = self._numbers.get(event_id)
        if number is None:
            number = self._numbers[event_id] = len(self._boxes)
            event = self._events[event_id]
            step = (event.step or "run").rpartition(":")[2].replace("_", " ")
            lines = (step, time_words(event.time))
            self._boxes.append(Box(Kind.RUN, side, lines, "\n".join((*lines, event.run or "", event.id)).strip()))
        return number

    def _thickest(self) -> dict[tuple[int, int], _Way]:
        """Return the ways that stand for the most links, and of each box the thickest that comes to it."""
        ranked = sorted(self._ways, key=lambda one: (-len(self._ways[one].taken), one))
        kept = dict.fromkeys(ranked[:ARROWS_MAX])
        reached = {target for _source, target in kept}
        for ends in ranked[ARROWS_MAX:]:
            if ends[1] not in reached:
                reached.add(ends[1])
                kept[ends] = None
        return {ends: self._ways[ends] for ends in kept}

    def _unknowns(self, box_of: dict[str, int], *, grouped: bool) -> None:
        """Add a box of unknowns beside each box that has some: one for what came, one for what went.

        Where boxes stand for several items, a line in the box says how many it has.
        """
        found: dict[tuple[int, bool], list[AnswerUnknown]] = {}
        sides: dict[int, Side] = {}
        for answer in self._answers:
            for unknown in answer.unknowns:
                number = box_of.get(unknown.item)
                if number is not None:
                    onward = unknown.reason in _ONWARD_REASONS
                    found.setdefault((number, onward), []).append(unknown)
                    sides.setdefault(number, Side.BACK if answer.direction == "back" else Side.FORWARD)
        for (number, onward), unknowns in sorted(found.items(), key=lambda one: one[0]):
            reasons = Counter(_REASONS.get(one.reason, one.reason.replace("_", " ")) for one in unknowns)
            asked = list(dict.fromkeys(called(one.ask_name or one.ask) for one in unknowns))
            words = [f"{reason} ({count:,})" if count > 1 else reason for reason, count in sorted(reasons.items())]
            ask = f"ask {asked[0]}" + (f" and {len(asked) - 1} more" if len(asked) > 1 else "")
            if grouped:
                box = self._boxes[number]
                line = f"? {len(unknowns):,} not recorded"
                title = "\n".join((box.title, *words, ask))
                self._boxes[number] = replace(box, lines=(*box.lines, line), title=title, doubtful=True)
                continue
            here = len(self._boxes)
            self._boxes.append(Box(Kind.UNKNOWN, sides[number], ("?", *words[:2], ask), "\n".join((*words, ask))))
            ends = (number, here) if onward else (here, number)
            self._arrows.append(Arrow(*ends, "", sides[number], unknown=True))


def _outputs(events: Iterable[AnswerEvent]) -> dict[tuple[str, str], tuple[str | None, str | None]]:
    return {
        (event.id, goods.item): (goods.quantity, goods.uom)
        for event in events
        for goods in event.goods
        if goods.role == "output"
    }


def _product_of(item: AnswerItem) -> str:
    if item.kind == "unit":
        return "logistic units"
    return item.product_name or (item.product or "").rpartition("/")[2] or "no product"


def _item_lines(item: AnswerItem) -> tuple[str, ...]:
    """Return product, then code and amount."""
    if item.kind == "unit":
        return (f"unit {item.serial or item.id}",)
    code = f"lot {item.lot}" if item.kind == "lot" and item.lot else item.serial or ""
    amount = amount_words(item.quantity, item.uom) if item.quantity is not None and item.kind != "serial" else ""
    second = ", ".join(part for part in (code, amount) if part)
    first = item.product_name or (item.product or "").rpartition("/")[2]
    if not first and not code:
        # An id that says nothing of itself is all the name there is.
        first = item.id
    return tuple(line for line in (first, second) if line)


def _taken_words(way: _Way) -> str:
    return _sum_words(list(way.taken.values())) or way.words


def _sum_words(amounts: Sequence[tuple[str | None, str | None]]) -> str:
    """Return the amounts summed by unit, or nothing where one is not known."""
    sums: dict[str, Decimal] = {}
    for quantity, uom in amounts:
        if quantity is None:
            return ""
        unit = UNITS.get(uom or "C62", uom or "")
        sums[unit] = sums.get(unit, Decimal(0)) + Decimal(quantity)
    return " + ".join(f"{_grouped(total)} {_singular(unit, total)}".rstrip() for unit, total in sorted(sums.items()))


def _singular(unit: str, total: Decimal) -> str:
    return unit[:-1] if total == 1 and unit in ("pieces", "cases") else unit


def called(name: str) -> str:
    """Return an id of a party or place as people say it: a GLN without the address around it; a name as it is."""
    start, link, rest = name.partition(f"{LINK_HOST}/")
    return f"{start}{describe(link + rest).text}" if link else name


def _grouped(total: Decimal) -> str:
    whole, point, rest = number_text(total).partition(".")
    return f"{int(whole):,}{point}{rest}"


def _way_words(answer: Answer) -> str:
    return f"{'Backward' if answer.direction == 'back' else 'Forward'}: {len(answer.items):,} items"
