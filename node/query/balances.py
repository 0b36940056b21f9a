"""What a party had, got, gave and has of a product over a period, lot by lot, and whether that adds up.

A question, not a flag: a period is the asker's to choose, and each is answered exactly (ADR 0033).
"""

from collections.abc import Callable
from typing import Annotated, Final

import msgspec
from msgspec.structs import replace

from consensus.types import Height
from node.crypto.digests import ANSWER_DOMAIN, sha256
from node.epcis.elements import parse_item
from node.errors import RequestError
from node.lineage.custody import Holder
from node.lineage.facts import Facts, open_facts
from node.lineage.holdings import filed_names, with_contents
from node.lineage.indexing import roles_in
from node.lineage.items import read_item
from node.lineage.mass_balance import AMOUNTS, Account, Span, balance_of, totals_of
from node.lineage.names import NAME_ATTRIBUTES, PRODUCT_ATTRIBUTES
from node.lineage.readings import RULES_VERSION, Readings
from node.lineage.records import PostingKind
from node.lineage.texts import iso, optional_text
from node.lineage.timeline import FOREVER_MS
from node.query.flags import OpenIndexReader
from node.query.holders import find_holder
from node.query.scopes import read_time
from node.storage.following import parameters_at

EVENTS_MAX: Final = 50_000
"""Events of a party that are looked at, the newest until the end of the period."""
LOTS_MAX: Final = 5_000
"""Lots and pieces that are reckoned."""
LINES_MAX: Final = 1_000
_ENCODER: Final = msgspec.json.Encoder(order="sorted")
_Time = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=2048)]


class BalanceRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of whom (a party or a place) and what (a product), in any spelling, from when until when, both included."""

    party: _Id
    product: _Id
    since: _Time = msgspec.field(name="from")
    until: _Time = msgspec.field(name="to")


class Bounds(msgspec.Struct, frozen=True):
    """An amount between min and max; null is unknown."""

    min: str | None
    max: str | None


class BalanceLine(msgspec.Struct, frozen=True):
    """The balance of one item, or of all (item null), in one unit.

    difference = closing + shipped + used + ended - counted_short - opening - made - received.
    verdict: balanced, gain, loss or unsure. certified_excess: how much more was shipped as certified than was received
    so or made, by all the record until then; null where nothing was shipped as certified.
    """

    item: str | None
    uom: str | None
    opening: Bounds
    made: Bounds
    received: Bounds
    shipped: Bounds
    used: Bounds
    ended: Bounds
    closing: Bounds
    counted_short: Bounds
    difference: Bounds
    verdict: str
    certified_excess: str | None


class BalanceAnswer(msgspec.Struct, frozen=True):
    """The balance. totals: by unit. lots: at most 1,000, by id, as lot_count says how many there are.

    complete: False if the party has more events or lots than are looked at: totals are then of those that were.
    """

    party: str
    product: str
    since: str = msgspec.field(name="from")
    until: str = msgspec.field(name="to")
    height: int
    rules: int
    digest: str
    gain_permille: int
    loss_permille: int
    totals: tuple[BalanceLine, ...]
    lots: tuple[BalanceLine, ...]
    lot_count: int
    complete: bool
    names: dict[str, str]


class BalanceService:
    """Answers on snapshots. Blocking: call it in a thread."""

    def __init__(self, open_reader: OpenIndexReader, readings_at: Callable[[Height], Readings]) -> None:
        self._open_reader = open_reader
        self._readings_at = readings_at

    def balance(self, request: BalanceRequest) -> BalanceAnswer:
        """Return a balance. Raises IdentifierError, RequestError, and UnknownSeedError for an unknown party."""
        from_ms, to_ms = read_time(request.since, "params.from"), read_time(request.until, "params.to")
        assert from_ms is not None
        assert to_ms is not None
        if from_ms > to_ms:
            raise RequestError("invalid_params", "the period ends before it begins", field="params.to")
        asked = parse_item(request.product).id
        product = read_item(asked).product or asked
        with self._open_reader() as reader:
            height, readings = reader.height, self._readings_at(reader.height)
            before = open_facts(reader, readings, as_of_ms=from_ms - 1, known_at=height)
            until = open_facts(reader, readings, as_of_ms=to_ms, known_at=height)
            party = find_holder(until, request.party, "params.party")
            names = filed_names(until, party)
            items, is_all = _items_at(until, names, product, to_ms)
            accounts = list(
                balance_of(items, before, until, lambda one: _is_of(one, names), from_ms=from_ms, to_ms=to_ms)
            )
            parameters = parameters_at(reader, height)
            gain, loss = parameters.flag_run_gain_permille, parameters.flag_run_loss_permille
            lines = [_line_of(one, gain, loss) for one in accounts[:LINES_MAX]]
            answer = BalanceAnswer(
                party=party,
                product=product,
                since=iso(from_ms),
                until=iso(to_ms),
                height=0,
                rules=RULES_VERSION,
                digest="",
                gain_permille=gain,
                loss_permille=loss,
                totals=tuple([_line_of(one, gain, loss) for one in totals_of(accounts)]),
                lots=tuple(lines),
                lot_count=len(accounts),
                complete=is_all,
                names=_names(until, party, product),
            )
            return replace(answer, height=height, digest=sha256(ANSWER_DOMAIN, _ENCODER.encode(answer)).hex())


def _items_at(facts: Facts, names: tuple[str, ...], product: str, to_ms: int) -> tuple[list[str], bool]:
    """Return the items of a product that a party's events name or that came in its units, and whether that is all."""
    found: dict[str, None] = {}
    is_all = True
    for name in names:
        postings = facts.reader.postings_within(
            PostingKind.HOLDER, name, from_ms=-FOREVER_MS, to_ms=to_ms, limit=EVENTS_MAX + 1, newest=True
        )
        is_all = is_all and len(postings) <= EVENTS_MAX
        for posting in postings[:EVENTS_MAX]:
            found.update(dict.fromkeys(roles_in(facts.timelines.row_at(posting.ref).event)))
    meant = [item for item in sorted(with_contents(facts, found)) if _is_product(item, product)]
    return meant[:LOTS_MAX], is_all and len(meant) <= LOTS_MAX


def _is_product(item: str, product: str) -> bool:
    return item == product or read_item(item).product == product


def _is_of(holder: Holder, names: tuple[str, ...]) -> bool:
    if holder.party in names or holder.site == names[0]:
        return True
    # Who holds goods at another's place, events say.
    return holder.party is None and holder.site in names


def _line_of(account: Account, gain: int, loss: int) -> BalanceLine:
    amounts = {name: _bounds(getattr(account, name)) for name in AMOUNTS if not name.startswith("certified")}
    is_certified = account.certified_out.hi != 0
    return BalanceLine(
        item=account.item or None,
        uom=account.uom,
        difference=_bounds(account.difference),
        verdict=account.judge(gain_permille=gain, loss_permille=loss).value,
        certified_excess=optional_text(account.certified_excess) if is_certified else None,
        **amounts,
    )


def _bounds(span: Span) -> Bounds:
    return Bounds(optional_text(span.lo), optional_text(span.hi))


def _names(facts: Facts, party: str, product: str) -> dict[str, str]:
    named = {
        party: facts.masters.name_of(party, NAME_ATTRIBUTES),
        product: facts.masters.name_of(product, PRODUCT_ATTRIBUTES),
    }
    return {subject: name for subject, name in named.items() if name is not None}
