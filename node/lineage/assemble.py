"""From a walked graph to an answer: depths and reasons, holders, unknowns and warnings, everything in one order."""

from decimal import Decimal
from typing import Final

from consensus.types import Digest
from node.epcis.identifiers import site_of
from node.epcis.model import Event, EventType, Goods
from node.lineage.answer import (
    Answer,
    AnswerCause,
    AnswerEdge,
    AnswerEvent,
    AnswerGoods,
    AnswerHolder,
    AnswerItem,
    AnswerSeed,
    AnswerUnknown,
    AnswerWarning,
    seal,
)
from node.lineage.custody import Holder, ask_whom
from node.lineage.facts import Facts, Side
from node.lineage.graph import EdgeKind, Graph, Reached
from node.lineage.items import ItemKind, read_item
from node.lineage.ledger import build_ledger
from node.lineage.names import NAME_ATTRIBUTES, PRODUCT_ATTRIBUTES
from node.lineage.plain import Plain, read_plain
from node.lineage.portions import Held, LotLedger, PortionKind, by_holder
from node.lineage.readings import RULES_VERSION, Movement
from node.lineage.records import ROLE_MADE, ROLE_OUTPUT, EventRow
from node.lineage.texts import iso, optional_text
from node.lineage.timeline import FOREVER_MS, Timeline
from node.lineage.warnings import MESSAGES

_UNKNOWN_FINDINGS: Final = frozenset({"moved_without_record", "overdrawn", "no_source"})


class Assembler:
    """Builds the answer of one walk."""

    def __init__(
        self,
        facts: Facts,
        graph: Graph,
        plains: dict[str, Plain | None],
        *,
        direction: str,
        item: str | None,
        starts: tuple[str, ...],
        seeds: tuple[AnswerSeed, ...],
        as_of_ms: int | None,
        history_max: int,
    ) -> None:
        self._facts = facts
        self._graph = graph
        self._plains = plains
        self._is_back = direction == "back"
        self._direction = direction
        self._item = item
        self._starts = starts
        self._start_set = frozenset(starts)
        self._seeds = seeds
        self._as_of_ms = as_of_ms
        self._history_max = history_max
        self._names: dict[str | None, str | None] = {None: None}
        self._product_names: dict[str | None, str | None] = {None: None}

    def build(self) -> Answer:
        """Return the sealed answer."""
        graph = self._graph
        holders = self._holders()
        for code, is_met in (("item_limit", graph.left_out > 0), ("depth_limit", graph.depth_reached)):
            if is_met:
                graph.warn(code, self._starts[0], None)
        for oddity in graph.oddities.values():
            for row in (oddity.row, oddity.other):
                if row is not None:
                    graph.touch(row, oddity.item)
        for unknown in graph.unknowns.values():
            if unknown.row is not None:
                graph.touch(unknown.row, unknown.item)
        depths, causes = self._depths()
        items = [self._item_of(item, reached, depths, causes) for item, reached in graph.items.items()]
        items.sort(key=lambda item: (item.depth, item.id))
        rows = sorted(graph.events.items(), key=lambda pair: (pair[1].event.time.lo_ms, pair[0]))
        origins, destinations = self._ends()
        answer = Answer(
            direction=self._direction,
            item=self._item,
            seeds=self._seeds,
            as_of=iso(self._as_of_ms) if self._as_of_ms is not None else None,
            height=self._facts.known_at,
            rules=RULES_VERSION,
            digest="",
            items=tuple(items),
            events=tuple([self._event_of(row) for _key, row in rows]),
            edges=self._edges(),
            origins=origins,
            destinations=destinations,
            holders=tuple(holders),
            unknowns=self._unknowns(),
            warnings=self._warnings(),
        )
        ids = {key.hex(): f"{row.transaction_id.hex()}:{row.ref.event}" for key, row in rows}
        return seal(answer, ids)

    def _depths(self) -> tuple[dict[str, int], dict[str, AnswerCause]]:
        """Return each item's distance, and the first step of a shortest chain back; ties by id, then by event."""
        neighbours: dict[str, list[tuple[str, Digest]]] = {}
        for key, edge in self._graph.edges.items():
            known = key.source if edge.found == key.target else key.target
            neighbours.setdefault(known, []).append((edge.found, key.event))
        depths = dict.fromkeys(self._starts, 0)
        causes: dict[str, AnswerCause] = {}
        level = list(self._starts)
        while level:
            found: list[str] = []
            for item in sorted(level):
                beside = neighbours.get(item)
                if beside is None:
                    continue
                for other, event in sorted(beside) if len(beside) > 1 else beside:
                    if other not in depths:
                        depths[other] = depths[item] + 1
                        causes[other] = AnswerCause(item, event.hex())
                        found.append(other)
            level = found
        return depths, causes

    def _item_of(
        self, item: str, reached: Reached, depths: dict[str, int], causes: dict[str, AnswerCause]
    ) -> AnswerItem:
        facts = read_item(item)
        amount, uom = (None, None) if reached.carrier else self._made_amount(item)
        bound_ms = reached.hi_ms if self._is_back else reached.lo_ms
        bound = None if abs(bound_ms) >= FOREVER_MS else iso(bound_ms)
        lot = facts.code if facts.kind is ItemKind.LOT else self._lot_code_of(item)
        return AnswerItem(
            id=item,
            kind=_kind_word(facts.kind, is_carrier=reached.carrier),
            role="carrier" if reached.carrier else "goods",
            lot=lot,
            serial=facts.code if facts.kind is not ItemKind.LOT else None,
            product=facts.product,
            product_name=self._product_name(facts.product),
            quantity=optional_text(amount),
            uom=uom,
            since=None if self._is_back else bound,
            until=bound if self._is_back else None,
            depth=depths.get(item, 0),
            because=causes.get(item),
        )

    def _lot_code_of(self, item: str) -> str | None:
        """Return the lot code that a serial was made with, or None."""
        if read_item(item).kind is not ItemKind.SERIAL:
            return None
        codes = [
            row.event.lot_code
            for row, role in self._timeline(item).entries
            if role & (ROLE_MADE | ROLE_OUTPUT) and row.event.lot_code is not None
        ]
        return codes[0] if codes else None

    def _made_amount(self, item: str) -> tuple[Decimal | None, str | None]:
        """Return what the item's makings state in all: of runs if there are any, else of Object events."""
        amounts_of = self._facts.amounts.of
        made: tuple[list[tuple[Decimal | None, str | None]], ...] = ([], [])
        for row, role in self._timeline(item).entries:
            if role & (ROLE_OUTPUT | ROLE_MADE) and read_item(item).single:
                return Decimal(1), None
            if role & ROLE_OUTPUT:
                made[0].append(amounts_of(row, Side.OUTPUTS, item))
            elif role & ROLE_MADE:
                made[1].append(amounts_of(row, Side.GOODS, item))
        amounts = made[0] or made[1]
        if len(amounts) == 1:
            return amounts[0] if amounts[0][0] is not None else (None, None)
        stated = [amount for amount, _uom in amounts if amount is not None]
        if not amounts or len(stated) < len(amounts) or len({uom for _amount, uom in amounts}) > 1:
            return None, None
        return sum(stated, Decimal(0)), amounts[0][1]

    def _timeline(self, item: str) -> Timeline:
        is_whole = not self._is_back or item in self._start_set
        return self._facts.timelines.of_item(item, length_max=None if is_whole else self._history_max)

    def _event_of(self, row: EventRow) -> AnswerEvent:
        event = row.event
        key = event.event_digest
        movement, holder = self._facts.custody.read(row)
        receiver = None
        if movement is Movement.OUTBOUND and event.destinations:
            receiver = self._facts.custody.receiver_of(event)
        return AnswerEvent(
            id=key.hex(),
            type=event.type,
            action=event.action,
            step=event.step,
            disposition=event.disposition,
            time=event.time_text,
            place=holder.place,
            place_name=self._name(holder.place),
            party=holder.party,
            party_name=self._name(holder.party),
            receiver=ask_whom(receiver) if receiver is not None else None,
            run=event.transformation_id,
            member=row.member,
            voided=event.declaration is not None,
            goods=self._goods_of(event),
            documents=tuple(sorted({document for _kind, document in event.documents})) if event.documents else (),
            digest=key.hex(),
        )

    def _goods_of(self, event: Event) -> tuple[AnswerGoods, ...]:
        """Return the event's goods that are in the answer, with their amounts."""
        items = self._graph.items
        child = "child" if event.type in (EventType.AGGREGATION, EventType.ASSOCIATION) else "goods"
        parent = () if event.parent is None else (Goods(event.parent, None, None),)
        sides = (("parent", parent), ("input", event.inputs), ("output", event.outputs), (child, event.goods))
        return tuple(
            [
                AnswerGoods(goods.item, role, optional_text(goods.amount), goods.uom)
                for role, side in sides
                for goods in side
                if goods.item in items
            ]
        )

    def _edges(self) -> tuple[AnswerEdge, ...]:
        edges = [
            AnswerEdge(
                key.source,
                key.target,
                key.kind,
                key.event.hex(),
                None if edge.input_row is None else edge.input_row.event.event_digest.hex(),
                None if edge.until is None else edge.until.event.event_digest.hex(),
                optional_text(edge.amount),
                edge.uom,
            )
            # In the order of keys, no two of which are equal.
            for key, edge in sorted(self._graph.edges.items())
        ]
        return tuple(edges)

    def _ends(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the ends of the graph: goods whose making is recorded and has no input; goods nothing was made of."""
        items = self._graph.items
        if self._is_back:
            return tuple(sorted(item for item, reached in items.items() if reached.origin)), self._starts
        onward = {
            key.source for key in self._graph.edges if key.kind is not EdgeKind.PACKED and key.source != key.target
        }
        # A unit that was used with its contents passes them on.
        packed: dict[str, list[str]] = {}
        for key in self._graph.edges:
            if key.kind is EdgeKind.PACKED:
                packed.setdefault(key.target, []).append(key.source)
        pending = [unit for unit in onward if unit in packed]
        while pending:
            for child in packed[pending.pop()]:
                if child not in onward:
                    onward.add(child)
                    if child in packed:
                        pending.append(child)
        ends = [item for item, reached in items.items() if not reached.carrier and item not in onward]
        return self._starts, tuple(sorted(ends))

    def _holders(self) -> list[AnswerHolder]:
        """Reckon who holds each item at last; what does not add up becomes warnings and unknowns."""
        holders: list[AnswerHolder] = []
        for item, reached in sorted(self._graph.items.items()):
            if reached.carrier or read_item(item).kind is ItemKind.CLASS:
                continue
            timeline = self._timeline(item)
            if not timeline.complete:
                continue
            for held, low, high in by_holder(self._held(item, reached, timeline)):
                holder, row = held.holder, held.since
                self._graph.touch(row, item)
                least = optional_text(low)
                holders.append(
                    AnswerHolder(
                        item=item,
                        party=holder.party,
                        party_name=self._name(holder.party),
                        place=holder.place,
                        place_name=self._name(holder.place),
                        since=row.event.time_text,
                        event=row.event.event_digest.hex(),
                        status="in_transit" if held.in_transit else "held",
                        quantity_min=least,
                        quantity_max=least if high is low else optional_text(high),
                        uom=None if low is None else held.uom,
                    )
                )
        holders.sort(key=lambda one: (one.item, one.status, one.place or "", one.party or "", one.event))
        return holders

    def _held(self, item: str, reached: Reached, timeline: Timeline) -> list[Held]:
        """Return what is held of an item at last, after taking what its ledger finds."""
        part = self._graph.parts.get(item)
        plain = self._plain_of(item, timeline) if part is None and timeline.entries else None
        if plain is None:
            ledger = build_ledger(item, self._facts, timeline)
            self._take_findings(item, reached, ledger)
            return ledger.held_of(None if part is None else part.portions)
        # A plain history has no findings, so its ledger is not built.
        is_asked = not self._is_back or item in self._start_set
        if plain.shipped is not None and plain.receiver is not None and is_asked:
            self._graph.know_not(item, "not_received", plain.receiver, plain.shipped)
        return plain.held

    def _plain_of(self, item: str, timeline: Timeline) -> Plain | None:
        """Return the item's plain history, looked for once by all that read by the same facts."""
        plains = self._plains
        if item not in plains:
            plains[item] = read_plain(item, timeline, self._facts)
        return plains[item]

    def _take_findings(self, item: str, reached: Reached, ledger: LotLedger) -> None:
        graph = self._graph
        bound_ms = reached.hi_ms if self._is_back else FOREVER_MS
        has_making = bool(reached.made_rows)
        for finding in ledger.findings:
            graph.warn(finding.code, item, finding.row, finding.other)
            if finding.code not in _UNKNOWN_FINDINGS or finding.row.event.time.lo_ms > bound_ms:
                continue
            if finding.code == "no_source" and not (self._is_back and has_making):
                continue  # The walk itself says so of an item whose making nobody recorded.
            graph.know_not(item, finding.code, finding.ask, finding.row)
        if self._is_back and item not in self._start_set:
            return
        for one in ledger.of_kind(PortionKind.IN_TRANSIT):
            if one.reports:
                continue  # A receipt without an amount is taken for one of all of it.
            graph.know_not(item, "not_received", one.receiver or one.holder, one.row)

    def _unknowns(self) -> tuple[AnswerUnknown, ...]:
        unknowns = [
            AnswerUnknown(
                one.item,
                one.reason,
                ask_whom(one.ask),
                None if one.row is None else one.row.event.event_digest.hex(),
                self._ask_name(one.ask),
            )
            for one in self._graph.unknowns.values()
        ]
        unknowns.sort(key=lambda one: (one.item, one.reason, one.event or ""))
        return tuple(unknowns)

    def _warnings(self) -> tuple[AnswerWarning, ...]:
        items: dict[tuple[str, tuple[str, ...]], set[str]] = {}
        for one in self._graph.oddities.values():
            events = tuple([row.event.event_digest.hex() for row in (one.row, one.other) if row is not None])
            items.setdefault((one.code, events), set()).add(one.item)
        count = str(self._graph.left_out)
        return tuple(
            [
                AnswerWarning(code, MESSAGES[code].replace("{count}", count), tuple(sorted(found)), events)
                for (code, events), found in sorted(items.items())
            ]
        )

    def _ask_name(self, holder: Holder) -> str | None:
        if holder.party is not None:
            return self._name(holder.party)
        name = self._name(holder.place)
        return None if name is None else f"the party at {name}"

    def _name(self, subject: str | None) -> str | None:
        """Return what master data call a place or party, looked up once."""
        if subject not in self._names:
            name = self._facts.masters.name_of(subject, NAME_ATTRIBUTES)
            if name is None and subject is not None and site_of(subject) != subject:
                # A dock or a line is known by its site.
                name = self._facts.masters.name_of(site_of(subject), NAME_ATTRIBUTES)
            self._names[subject] = name
        return self._names[subject]

    def _product_name(self, product: str | None) -> str | None:
        if product not in self._product_names:
            self._product_names[product] = self._facts.masters.name_of(product, PRODUCT_ATTRIBUTES)
        return self._product_names[product]


def _kind_word(kind: ItemKind, *, is_carrier: bool) -> str:
    """Return the answer's word for a kind: an opaque id that goods were packed into is a unit all the same."""
    if kind in (ItemKind.OTHER, ItemKind.PLACE):
        return "unit" if is_carrier else "other"
    return kind
