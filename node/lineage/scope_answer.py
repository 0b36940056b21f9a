"""The answer to a scope: its shape, which docs/scope.md describes, and its digest, made as that of a trace."""

from collections.abc import Mapping
from typing import Final

import msgspec

from node.crypto.digests import ANSWER_DOMAIN, sha256
from node.lineage.scope_asked import ScopeAsked

_ENCODER: Final = msgspec.json.Encoder(order="sorted")


class Amount(msgspec.Struct, frozen=True):
    """Decimal texts. min … max, max null without bound. uom: UN/ECE unit, null for pieces."""

    min: str
    max: str | None
    uom: str | None


class ScopePortion(msgspec.Struct, frozen=True):
    """Goods of one lot that one event produced. kind: made, output, shipped, received, found, packed, unpacked, used,
    ended, held or in_transit. status: certain, possible or excluded; link: linked or open, null for excluded.

    event: `<transaction id>:<place>`. reason: why, a stable code. content: seed material in it; content_known: its most
    if nothing unknown was tainted. affected: its own goods that may hold any. because: the events of a chain from a
    seed. rule: of an excluded one, the place in `declared` of the rule that excludes it.
    """

    item: str
    kind: str
    status: str
    link: str | None
    reason: str
    event: str
    party: str | None
    place: str | None
    receiver: str | None
    unit: str | None
    quantity: Amount
    content: Amount
    content_known: str | None
    affected: Amount
    because: tuple[str, ...]
    rule: int | None = None


class ScopeSum(msgspec.Struct, frozen=True):
    """What a lot, a holder or all have in scope at last: of a lot also what was used or ended. name: whose it is."""

    name: str
    status: str
    link: str
    portions: int
    content: tuple[Amount, ...]
    affected: tuple[Amount, ...]


class ScopeUnknown(msgspec.Struct, frozen=True):
    """What nobody recorded, and whom to ask. removes: how much less would be affected if the answer is "clean".
    confirms: how much more would certainly be seed material if the answer is that it is tainted.
    """

    item: str
    reason: str
    ask: str
    event: str
    question: str
    removes: tuple[Amount, ...]
    confirms: tuple[Amount, ...] = ()


class ScopeRule(msgspec.Struct, frozen=True):
    """A rule that was relied on: what it is, whose word it is, and how many portions it excluded.

    place, member: of a declared one, where it holds and who declared it. rule `any`: what was declared there counts for
    nothing (`rules_differ` or `rule_unreadable` in the warnings).
    """

    rule: str
    record: str
    by: str
    excluded: int
    place: str | None = None
    member: str | None = None


class ScopeFlag(msgspec.Struct, frozen=True):
    """A finding inside the scope."""

    code: str
    severity: str
    item: str
    events: tuple[str, ...]
    ask: str
    closes: str


class ScopeAnswer(msgspec.Struct, frozen=True):
    """A scope. asked: the question. seeds: the items that it came to.

    set_status: certain if some portion must hold seed material, though it may not be known which. totals: of what is
    held, on its way, sold or ended. unstated: items that holders of goods in scope received, with neither maker nor
    sender stated: they are not followed. names: what master data call items, parties and places.
    """

    hazard: str
    asked: ScopeAsked
    seeds: tuple[str, ...]
    as_of: str | None
    height: int
    rules: int
    digest: str
    set_status: str
    totals: ScopeSum
    portions: tuple[ScopePortion, ...]
    excluded: tuple[ScopePortion, ...]
    lots: tuple[ScopeSum, ...]
    holders: tuple[ScopeSum, ...]
    unknowns: tuple[ScopeUnknown, ...]
    declared: tuple[ScopeRule, ...]
    flags: tuple[ScopeFlag, ...]
    warnings: tuple[str, ...]
    not_followed: int
    unstated: int
    names: dict[str, str]


def seal(answer: ScopeAnswer, ids: Mapping[str, str]) -> ScopeAnswer:
    """Return the answer with its digest, its events named by their place on the ledger.

    answer: with every event named by its content digest in hex. ids: from that name to the public one. The digest is
    over all but height and digest, with the names by content: the same facts give one, on whatever ledger.
    """
    fields = msgspec.structs.asdict(answer)
    del fields["height"], fields["digest"]
    digest = sha256(ANSWER_DOMAIN, _ENCODER.encode(fields)).hex()
    replace = msgspec.structs.replace

    def name(portion: ScopePortion) -> ScopePortion:
        return replace(portion, event=ids[portion.event], because=tuple([ids[one] for one in portion.because]))

    return replace(
        answer,
        digest=digest,
        portions=tuple([name(one) for one in answer.portions]),
        excluded=tuple([name(one) for one in answer.excluded]),
        unknowns=tuple([replace(one, event=ids[one.event]) for one in answer.unknowns]),
        flags=tuple([replace(one, events=tuple([ids[event] for event in one.events])) for one in answer.flags]),
    )
