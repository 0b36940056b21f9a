"""What several bad lots have in common: items, runs, lines, places and suppliers upstream of them, the likeliest first.

A case-control study. Each bad lot is traced back, and so are other lots of the same products, the *controls*: half of
them the nearest in time, half spread over all. What most bad lots come from and few controls do is likely. Four
measures, each from 0 to 1 and exact:

- share: bad lots that come from it ÷ all bad lots (the score of FoodChain-Lab).
- specificity: share ÷ (share + the controls' share). 1: no control comes from it; a half: as many as of the bad lots.
- time fit: the same over those controls alone that had to do with it while the bad lots did.
- quantity fit: of an item, how much of what all of them took of it the bad lots took.

score = share · mean of the other three, as far as known. That controls are good is not known, only that nobody called
them bad: so nothing is ruled out, only ranked.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Final, NamedTuple

from msgspec.structs import replace

from consensus.types import Digest
from node.epcis.identifiers import site_of
from node.epcis.model import Action, EventType
from node.lineage.backward import START, BackwardWalk
from node.lineage.facts import Facts, Side
from node.lineage.graph import EdgeKind, Graph
from node.lineage.items import ItemKind, read_item
from node.lineage.names import NAME_ATTRIBUTES, PRODUCT_ATTRIBUTES
from node.lineage.readings import RULES_VERSION, Movement
from node.lineage.records import ROLE_INSTANCES, ROLE_MADE, ROLE_OUTPUT, EventRow
from node.lineage.texts import iso
from node.lineage.timeline import FOREVER_MS
from node.lineage.trace import HISTORY_MAX
from node.query.common_answer import CommonAnswer, CommonCandidate, CommonPath, CommonStep, digest_of

CONTROLS_MAX: Final = 100
PEERS_MAX: Final = 2_000
"""Lots of one product from which the controls are chosen."""
ITEMS_MAX: Final = 20_000
"""Items that all traces of one question reach, at most: no further control is traced then."""
SEED_ITEMS_MIN: Final = 500
_KINDS: Final = ("item", "run", "line", "supplier", "place", "party")
_PLACES: Final = 4
_MAKING: Final = ROLE_MADE | ROLE_OUTPUT | ROLE_INSTANCES


class _Key(NamedTuple):
    """A candidate. id: as in the answer; of a run without name its event's digest in hex."""

    kind: str
    id: str
    product: str


class _Contact(NamedTuple):
    """When a lot had to do with a candidate, and the item by which: the nearest, then the least by id."""

    lo_ms: int
    hi_ms: int
    links: int
    item: str
    row: EventRow | None


@dataclass(slots=True)
class _Traced:
    """One lot, traced back. onward: of each item, the next one toward the lot and the event between."""

    lot: str
    contacts: dict[_Key, _Contact] = field(default_factory=dict)
    onward: dict[str, tuple[str, EventRow]] = field(default_factory=dict)
    taken: dict[str, dict[Digest, Decimal | None]] = field(default_factory=dict)
    is_cut: bool = False
    has_unknown: bool = False


class _Score(NamedTuple):
    score: Fraction
    share: Fraction
    specificity: Fraction | None
    time_fit: Fraction | None
    quantity_fit: Fraction | None


class _Study:
    """One question, on one snapshot."""

    def __init__(self, facts: Facts, seeds: Sequence[str]) -> None:
        self._facts = facts
        self._asked = tuple(seeds)
        self._lots = tuple(dict.fromkeys(seeds))
        self._warnings: set[str] = set()
        self._reached: set[str] = set()
        room = max(SEED_ITEMS_MIN, ITEMS_MAX // len(self._lots))
        self._seeds = [self._trace(lot, room) for lot in self._lots]
        if any(one.is_cut for one in self._seeds):
            self._warnings.add("item_limit")
        if any(one.has_unknown for one in self._seeds):
            self._warnings.add("unrecorded_sources")
        self._controls = self._trace_controls()

    def answer(self, *, as_of_ms: int | None, limit: int) -> CommonAnswer:
        """Return the answer, sealed."""
        keys = dict.fromkeys(key for one in self._seeds for key in one.contacts)
        scores = {key: self._score(key) for key in keys}
        ranked = sorted(keys, key=lambda key: self._rank(key, scores[key]))

        def build(name: Callable[[EventRow], str]) -> CommonAnswer:
            return CommonAnswer(
                seeds=self._asked,
                as_of=None if as_of_ms is None else iso(as_of_ms),
                height=int(self._facts.known_at),
                rules=RULES_VERSION,
                digest="",
                controls=len(self._controls),
                candidates_found=len(ranked),
                candidates=tuple([self._candidate(key, scores[key], name) for key in ranked[:limit]]),
                warnings=tuple(sorted(self._warnings)),
            )

        digest = digest_of(build(lambda row: row.event.event_digest.hex()))
        answer = build(lambda row: f"{row.transaction_id.hex()}:{row.ref.event}")
        return replace(answer, digest=digest)

    def _trace(self, lot: str, items_max: int) -> _Traced:
        """Trace a lot back, and note all that it has to do with."""
        graph = Graph(items_max)
        BackwardWalk(self._facts, graph, depth_max=None, history_max=HISTORY_MAX).run([(lot, START)])
        self._reached |= graph.items.keys()
        traced = _Traced(lot, is_cut=graph.left_out > 0, has_unknown=bool(graph.unknowns))
        links = self._find_ways(traced, graph)
        for item, reached in graph.items.items():
            if not reached.carrier and item in links:
                lo_ms, hi_ms = (reached.lo_ms, reached.hi_ms) if item != lot else self._made_at(lot)
                self._meet(traced, _Key("item", item, ""), _Contact(lo_ms, hi_ms, links[item], item, None))
        for digest, row in graph.events.items():
            if row.event.declaration is None:
                goods = [item for item in graph.touched[digest] if item in links]
                if goods:
                    self._meet_event(traced, row, min((links[item], item) for item in goods))
        for key, edge in graph.edges.items():
            if key.kind is EdgeKind.MADE:
                row = edge.input_row or edge.row
                amount = self._facts.base_amount(key.source, row, Side.INPUTS)[0]
                traced.taken.setdefault(key.source, {})[row.event.event_digest] = amount
        return traced

    @staticmethod
    def _find_ways(traced: _Traced, graph: Graph) -> dict[str, int]:
        """Return each item's links from the lot, by shortest chains; ties by item, then by event."""
        beside: dict[str, list[tuple[str, Digest, EventRow]]] = {}
        for key, edge in graph.edges.items():
            known = key.source if edge.found == key.target else key.target
            beside.setdefault(known, []).append((edge.found, key.event, edge.input_row or edge.row))
        links = {traced.lot: 0}
        level = [traced.lot]
        while level:
            found: list[str] = []
            for item in sorted(level):
                for other, _digest, row in sorted(beside.get(item, ()), key=lambda one: one[:2]):
                    if other not in links:
                        links[other] = links[item] + 1
                        traced.onward[other] = (item, row)
                        found.append(other)
            level = found
        return links

    def _meet_event(self, traced: _Traced, row: EventRow, nearest: tuple[int, str]) -> None:
        event, time = row.event, row.event.time
        links, item = nearest
        contact = _Contact(time.lo_ms, time.hi_ms, links, item, row)
        holder = self._facts.custody.holder_of(row)
        if event.type is EventType.TRANSFORMATION:
            name = event.transformation_id or event.event_digest.hex()
            self._meet(traced, _Key("run", name, ""), contact)
        for place in dict.fromkeys((event.read_point, event.location)):
            if place is not None and site_of(place) != place:
                self._meet(traced, _Key("line", place, ""), contact)
        if holder.site is not None:
            self._meet(traced, _Key("place", holder.site, ""), contact)
        if holder.party is not None:
            self._meet(traced, _Key("party", holder.party, ""), contact)
        maker = holder.party or holder.site
        is_run = event.type is EventType.TRANSFORMATION
        is_sent = self._facts.custody.read(row)[0] is Movement.OUTBOUND
        if maker is None or not (is_run or event.action is Action.ADD or is_sent):
            return
        for goods in event.outputs if is_run else event.goods:
            product = read_item(goods.item).product
            if product is not None and goods.item in traced.onward:
                near = _Contact(time.lo_ms, time.hi_ms, links, goods.item, row)
                self._meet(traced, _Key("supplier", maker, product), near)

    @staticmethod
    def _meet(traced: _Traced, key: _Key, contact: _Contact) -> None:
        known = traced.contacts.get(key)
        if known is not None:
            near = min(known, contact, key=lambda one: (one.links, one.item, one.lo_ms))
            contact = near._replace(lo_ms=min(known.lo_ms, contact.lo_ms), hi_ms=max(known.hi_ms, contact.hi_ms))
        traced.contacts[key] = contact

    def _made_at(self, lot: str) -> tuple[int, int]:
        """Return when a lot was made, at first and at last; when it was named where that is not recorded."""
        entries = self._facts.timelines.of_item(lot, length_max=HISTORY_MAX).entries
        rows = [row for row, role in entries if role & _MAKING] or [row for row, _role in entries]
        if not rows:
            return -FOREVER_MS, FOREVER_MS
        return min(row.event.time.lo_ms for row in rows), max(row.event.time.hi_ms for row in rows)

    def _trace_controls(self) -> list[_Traced]:
        """Trace other lots of the same products: in turn one near in time and one from all over."""
        peers: list[str] = []
        for product in sorted({read_item(lot).product or "" for lot in self._lots} - {""}):
            rows = self._facts.reader.items_of_product(product, limit=PEERS_MAX + 1)
            if len(rows) > PEERS_MAX:
                self._warnings.add("peers_left_out")
            kinds = {read_item(lot).kind for lot in self._lots}
            peers += [row.item for row in rows[:PEERS_MAX] if read_item(row.item).kind in kinds]
        seeds = frozenset(self._lots)
        peers = sorted(one for one in set(peers) - seeds if self._facts.timelines.of_item(one).entries)
        chosen = _choose(peers, [self._made_at(lot) for lot in self._lots], self._made_at)
        controls: list[_Traced] = []
        for lot in chosen:
            if len(self._reached) >= ITEMS_MAX:
                self._warnings.add("controls_left_out")
                break
            control = self._trace(lot, ITEMS_MAX // 10)
            if not control.is_cut:
                controls.append(control)
        if not controls:
            self._warnings.add("no_controls")
        return controls

    def _score(self, key: _Key) -> _Score:
        met = [one.contacts[key] for one in self._seeds if key in one.contacts]
        share = Fraction(len(met), len(self._seeds))
        others = [one.contacts[key] for one in self._controls if key in one.contacts]
        lo_ms, hi_ms = min(one.lo_ms for one in met), max(one.hi_ms for one in met)
        meanwhile = [one for one in others if one.lo_ms <= hi_ms and one.hi_ms >= lo_ms]
        specificity = time_fit = None
        if self._controls:
            specificity = share / (share + Fraction(len(others), len(self._controls)))
            if lo_ms > -FOREVER_MS and hi_ms < FOREVER_MS:
                time_fit = share / (share + Fraction(len(meanwhile), len(self._controls)))
        quantity_fit = self._quantity_fit(key.id) if key.kind == "item" else None
        known = [one for one in (specificity, time_fit, quantity_fit) if one is not None]
        mean = sum(known, Fraction(0)) / len(known) if known else Fraction(1)
        return _Score(share * mean, share, specificity, time_fit, quantity_fit)

    def _quantity_fit(self, item: str) -> Fraction | None:
        """Return how much of what the traced lots took of an item the bad ones took; None if that is not known.

        What one run took counts once, and for the bad ones if any of them comes from it.
        """
        every: dict[Digest, Decimal | None] = {}
        bad: dict[Digest, Decimal | None] = {}
        for traced in self._controls:
            every |= traced.taken.get(item, {})
        for traced in self._seeds:
            bad |= traced.taken.get(item, {})
        every |= bad
        amounts = [amount for amount in every.values() if amount is not None]
        total = sum(amounts, Decimal(0))
        if len(amounts) < len(every) or total <= 0:
            return None
        return Fraction(sum((amount for amount in bad.values() if amount is not None), Decimal(0))) / Fraction(total)

    def _rank(self, key: _Key, score: _Score) -> tuple[Fraction, Fraction, int, int, _Key]:
        return -score.score, -score.share, self._links(key), _KINDS.index(key.kind), key

    def _links(self, key: _Key) -> int:
        return min(one.contacts[key].links for one in self._seeds if key in one.contacts)

    def _candidate(self, key: _Key, score: _Score, name: Callable[[EventRow], str]) -> CommonCandidate:
        met = [(one, one.contacts[key]) for one in self._seeds if key in one.contacts]
        lo_ms, hi_ms = min(one.lo_ms for _, one in met), max(one.hi_ms for _, one in met)
        row = met[0][1].row
        is_unnamed_run = key.kind == "run" and row is not None and row.event.transformation_id is None
        return CommonCandidate(
            kind=key.kind,
            id=name(row) if is_unnamed_run and row is not None else key.id,
            product=key.product or None,
            name=self._name(key),
            score=_decimal(score.score),
            share=_decimal(score.share),
            specificity=None if score.specificity is None else _decimal(score.specificity),
            time_fit=None if score.time_fit is None else _decimal(score.time_fit),
            quantity_fit=None if score.quantity_fit is None else _decimal(score.quantity_fit),
            seeds=len(met),
            controls=sum(key in one.contacts for one in self._controls),
            since=None if lo_ms <= -FOREVER_MS else iso(lo_ms),
            until=None if hi_ms >= FOREVER_MS else iso(hi_ms),
            links=self._links(key),
            paths=tuple([_path(traced, contact, name) for traced, contact in met]),
        )

    def _name(self, key: _Key) -> str | None:
        masters = self._facts.masters
        if key.kind == "item":
            facts = read_item(key.id)
            product = masters.name_of(facts.product, PRODUCT_ATTRIBUTES)
            code = f"{facts.kind} {facts.code}" if facts.code and facts.kind is not ItemKind.CLASS else None
            return " ".join(part for part in (product, code) if part) or None
        if key.kind == "run":
            return None
        who = masters.name_of(key.id, NAME_ATTRIBUTES) or masters.name_of(site_of(key.id), NAME_ATTRIBUTES)
        if key.kind != "supplier":
            return who
        product = masters.name_of(key.product, PRODUCT_ATTRIBUTES) or key.product
        return f"{product} of {who or key.id}"


def find_common(facts: Facts, seeds: Sequence[str], *, as_of_ms: int | None, limit: int) -> CommonAnswer:
    """Return what the items `seeds` (canonical ids, at most a hundred) have in common. limit: candidates to list."""
    return _Study(facts, seeds).answer(as_of_ms=as_of_ms, limit=limit)


def _choose(
    peers: Sequence[str], spans: Iterable[tuple[int, int]], made_at: Callable[[str], tuple[int, int]]
) -> list[str]:
    """Return up to CONTROLS_MAX of the peers: in turn the nearest in time to the bad lots, and one spread over all."""
    if len(peers) <= CONTROLS_MAX:
        return list(peers)
    times = sorted({lo_ms for lo_ms, _hi_ms in spans if lo_ms > -FOREVER_MS}) or [0]

    def apart_ms(lot: str) -> tuple[int, str]:
        made_ms = made_at(lot)[0]
        return min(abs(made_ms - one) for one in times), lot

    near = sorted(peers, key=apart_ms)[: CONTROLS_MAX // 2]
    rest = sorted(set(peers) - set(near))
    count = CONTROLS_MAX - len(near)
    spread = [rest[place * len(rest) // count] for place in range(count)]
    return [lot for pair in zip(near, spread, strict=True) for lot in pair]


def _path(traced: _Traced, contact: _Contact, name: Callable[[EventRow], str]) -> CommonPath:
    steps: list[CommonStep] = []
    item = contact.item
    while item != traced.lot:
        onward, row = traced.onward[item]
        steps.append(CommonStep(item, name(row)))
        item = onward
    return CommonPath(traced.lot, (*steps, CommonStep(traced.lot, None)))


def _decimal(value: Fraction) -> str:
    """Return a share from 0 to 1 in decimals, rounded down."""
    scaled = value.numerator * 10**_PLACES // value.denominator
    return f"{scaled // 10**_PLACES}.{scaled % 10**_PLACES:0{_PLACES}d}"
