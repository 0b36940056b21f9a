"""A scope's question as its answer repeats it: so different questions never share an answer, or its digest."""

import msgspec

from node.lineage.scope_question import RunRule, ScopeQuestion, Seed
from node.lineage.texts import iso


class AskedSeed(msgspec.Struct, frozen=True, rename={"since": "from", "until": "to"}):
    """Where the hazard was said to begin. One of item, run and holder is set.

    event: SHA-256 of its content, in hex. since, until: ISO 8601 UTC.
    """

    item: str | None
    event: str | None
    run: str | None
    holder: str | None
    product: str | None
    since: str | None
    until: str | None


class AskedRule(msgspec.Struct, frozen=True):
    """A rule that whoever asked vouched for: see `RunRule`."""

    run: str
    rule: str
    record: str
    by: str
    pairs: tuple[tuple[str, str], ...]
    agents: tuple[str, ...]


class ScopeAsked(msgspec.Struct, frozen=True):
    """What was asked, but hazard and as_of, which stand beside it.

    Seeds and rules stand in an order of their own, not in that of the asker.
    """

    seeds: tuple[AskedSeed, ...]
    agent: str | None
    resident: bool
    colocation: bool
    rules: tuple[AskedRule, ...]
    distrusted: tuple[str, ...]


def describe_question(question: ScopeQuestion) -> ScopeAsked:
    """Return what was asked, the same for the same question in another order."""
    return ScopeAsked(
        seeds=tuple(sorted({_seed(one) for one in question.seeds}, key=msgspec.json.encode)),
        agent=question.agent,
        resident=question.resident,
        colocation=question.colocation,
        rules=tuple(sorted({_rule(one) for one in question.rules}, key=msgspec.json.encode)),
        distrusted=tuple(sorted(set(question.distrusted))),
    )


def _seed(seed: Seed) -> AskedSeed:
    return AskedSeed(
        item=seed.item,
        event=None if seed.event is None else seed.event.hex(),
        run=seed.run,
        holder=seed.holder,
        product=seed.product,
        since=None if seed.from_ms is None else iso(seed.from_ms),
        until=None if seed.to_ms is None else iso(seed.to_ms),
    )


def _rule(rule: RunRule) -> AskedRule:
    return AskedRule(rule.run, rule.rule, rule.record, rule.by, rule.pairs, rule.agents)
