"""A scope as it is asked for from outside, and how it becomes a question on one snapshot."""

from dataclasses import replace
from typing import Annotated, Final

import msgspec

from consensus.types import Digest, Height
from node.epcis.elements import parse_item
from node.epcis.errors import IdentifierError
from node.epcis.times import read_instant
from node.errors import RequestError
from node.lineage.custody import Masters
from node.lineage.declared import RULE_NAMES, Declared, is_declared
from node.lineage.facts import Facts
from node.lineage.hazards import Hazard
from node.lineage.reader import LineageReader
from node.lineage.records import EventRef, PostingKind
from node.lineage.scope_question import SEEDS_MAX, RunRule, ScopeQuestion, Seed
from node.lineage.timeline import FOREVER_MS
from node.query.errors import UnknownRuleError, UnknownSeedError
from node.query.holders import find_holder, holder_ids

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
_Time = Annotated[str, msgspec.Meta(max_length=64)]
PAIRS_MAX: Final = 10_000
NEAR_MAX: Final = 5


class SeedRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the hazard begins: an item, or what one of its events made; a run; or what a holder had in a window.

    item: in any spelling. event: `<transaction id>:<place>`, as `event.get` takes it. run: transformationID. holder: a
    place or party, or a line within a site (what its runs put out); product: only goods of this one; from, to: RFC
    3339 with an offset.
    """

    item: _Text | None = None
    event: _Text | None = None
    run: _Text | None = None
    holder: _Text | None = None
    product: _Text | None = None
    since: _Time | None = msgspec.field(default=None, name="from")
    until: _Time | None = msgspec.field(default=None, name="to")


class RuleRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A rule that somebody vouches for. run: transformationID, or the id or digest of the run's event.

    rule: mixed, assigned or kill_step. record: what validates it. by: who approved it. pairs: of assigned, [input item,
    output item]. agents: of a kill step.
    """

    run: _Text
    rule: Annotated[str, msgspec.Meta(pattern="^(mixed|assigned|kill_step)$")]
    record: _Text
    by: _Text
    pairs: Annotated[tuple[tuple[_Text, _Text], ...], msgspec.Meta(max_length=PAIRS_MAX)] = ()
    agents: Annotated[tuple[_Text, ...], msgspec.Meta(max_length=64)] = ()


class ScopeRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a scope is computed from. hazard: the class; without one, the widest rules hold.

    agent: of a microbe. resident: a cleaning does not end it. colocation: what shared a unit counts. distrusted: rules
    that sites declare and that do not count here, by place, record or name. as_of: leave out
    what cannot have happened by then. height: answer from the ledger as it was at that block; known_at: at that time.
    """

    seeds: Annotated[tuple[SeedRequest, ...], msgspec.Meta(min_length=1, max_length=SEEDS_MAX)]
    hazard: Hazard = Hazard.UNKNOWN
    agent: _Text | None = None
    resident: bool = False
    colocation: bool = False
    rules: Annotated[tuple[RuleRequest, ...], msgspec.Meta(max_length=1_000)] = ()
    distrusted: Annotated[tuple[_Text, ...], msgspec.Meta(max_length=64)] = ()
    as_of: _Time | None = None
    height: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] | None = None
    known_at: _Time | None = None


def earlier_of(one: Height | None, other: Height | None) -> Height | None:
    """Return the earlier of two heights, None being none."""
    return min((height for height in (one, other) if height is not None), default=None)


def read_request(request: ScopeRequest, reader: LineageReader) -> ScopeQuestion:
    """Return the question. Raises IdentifierError, RequestError for a seed or time that cannot be read."""
    seeds = tuple([_read_seed(seed, number, reader) for number, seed in enumerate(request.seeds)])
    rules = tuple([_read_rule(rule, number, reader) for number, rule in enumerate(request.rules)])
    if request.agent is not None and request.hazard is not Hazard.MICROBE:
        words = f"an agent is a microbe's, and the class of hazard is {request.hazard.value}"
        hint = "ask with the hazard microbe, or leave the agent out"
        raise RequestError("invalid_params", words, field="params.agent", hint=hint)
    known_at_ms = read_time(request.known_at, "params.known_at")
    by_time = None if known_at_ms is None else reader.height_at(known_at_ms)
    return ScopeQuestion(
        seeds,
        request.hazard,
        agent=request.agent,
        resident=request.resident,
        colocation=request.colocation,
        rules=rules,
        distrusted=tuple([name for text in request.distrusted for name in _spellings(text)]),
        as_of_ms=read_time(request.as_of, "params.as_of"),
        known_at=earlier_of(None if request.height is None else Height(request.height), by_time),
    )


def _read_seed(seed: SeedRequest, number: int, reader: LineageReader) -> Seed:
    field = f"params.seeds[{number}]"
    if sum(one is not None for one in (seed.item, seed.run, seed.holder)) != 1:
        raise RequestError("invalid_params", "a seed names one of: item, run, holder", field=field)
    if (seed.event is not None and seed.item is None) or (seed.product is not None and seed.holder is None):
        raise RequestError("invalid_params", "`event` goes with an item, `product` with a holder", field=field)
    if seed.holder is None and (seed.since, seed.until) != (None, None):
        raise RequestError("invalid_params", "`from` and `to` go with a holder", field=field)
    return Seed(
        item=None if seed.item is None else parse_item(seed.item).id,
        event=None if seed.event is None else _find_event(seed.event, f"{field}.event", reader),
        holder=seed.holder,
        product=None if seed.product is None else parse_item(seed.product).id,
        run=seed.run,
        from_ms=read_time(seed.since, f"{field}.from"),
        to_ms=read_time(seed.until, f"{field}.to"),
    )


def settle_seeds(request: ScopeRequest, question: ScopeQuestion, facts: Facts) -> ScopeQuestion:
    """Return the question with each holder by the id that is known here.

    Raises UnknownSeedError for a run or holder that no event names: it is mistyped, and nothing would be recalled; and
    as `find_holder`.
    """
    seeds = []
    for number, (asked, seed) in enumerate(zip(request.seeds, question.seeds, strict=True)):
        if seed.run is not None and not _is_filed(facts, PostingKind.RUN_OUTPUT, seed.run):
            raise _unknown_run(facts, seed.run, f"params.seeds[{number}].run")
        if asked.holder is not None:
            seed = replace(seed, holder=find_holder(facts, asked.holder, f"params.seeds[{number}].holder"))
        seeds.append(seed)
    return replace(question, seeds=tuple(seeds))


def check_distrusted(request: ScopeRequest, declared: Declared, masters: Masters) -> None:
    """Raise UnknownRuleError for what is distrusted and names no rule: mistyped, it would be relied on unseen.

    declared: what the scope met, cleanings among it. A place is known if anything is declared of it.
    """
    met = declared.met
    for number, text in enumerate(request.distrusted):
        names = _spellings(text)
        if text in RULE_NAMES or not declared.cleaned.isdisjoint(names):
            continue
        if any(name in (rule.place, rule.record) for rule in met for name in names):
            continue
        if any(is_declared(masters, name) for name in names):
            continue
        words = sorted({f"{rule.rule} at {rule.place}, record {rule.record}" for rule in met})
        raise UnknownRuleError(text, field=f"params.distrusted[{number}]", declared=words)


def _is_filed(facts: Facts, kind: PostingKind, name: str) -> bool:
    """Return whether any event is filed there; one that came after the height asked for counts, too."""
    return bool(facts.reader.postings_within(kind, name, from_ms=-FOREVER_MS, to_ms=FOREVER_MS, limit=1))


def _unknown_run(facts: Facts, run: str, field: str) -> UnknownSeedError:
    if _is_filed(facts, PostingKind.RUN_INPUT, run):
        hint = "ask about what it took in"
        return UnknownSeedError(f"the run {run} has put out nothing by the record", field=field, hint=hint)
    hint = "a run is named by the transformationID of its events; lotvine trace shows them"
    return UnknownSeedError(f"no run is called {run}", field=field, hint=hint)


def _spellings(text: str) -> tuple[str, ...]:
    """Return what a rule may be distrusted by: a record or a rule's name as it is, a place also by its canonical id."""
    try:
        return text, *holder_ids(text)
    except IdentifierError:
        return (text,)


def _read_rule(rule: RuleRequest, number: int, reader: LineageReader) -> RunRule:
    run = rule.run
    if ":" in run and len(run.partition(":")[0]) == 64:
        run = _find_event(run, f"params.rules[{number}].run", reader).hex()
    pairs = tuple([(parse_item(source).id, parse_item(target).id) for source, target in rule.pairs])
    return RunRule(run, rule.rule, rule.record, rule.by, pairs, rule.agents)


def _find_event(name: str, field: str, reader: LineageReader) -> Digest:
    """Return the digest of the event that is called `<transaction id>:<place in it>`."""
    transaction, _colon, place = name.partition(":")
    try:
        found = reader.transaction_ref(Digest(bytes.fromhex(transaction)))
        number = int(place)
    except ValueError as error:
        words = f"{name!r} is not `<transaction id>:<place>`"
        raise RequestError("invalid_params", words, field=field) from error
    if found is None:
        raise RequestError("not_found", f"no transaction {transaction}", field=field)
    try:
        return reader.get_event(EventRef(*found, number)).event.event_digest
    except (KeyError, OverflowError) as error:
        raise RequestError("not_found", f"no event {name}", field=field) from error


def read_time(text: str | None, field: str) -> int | None:
    """Return Unix milliseconds of an RFC 3339 time. Raises RequestError, naming the field, without an offset too."""
    if text is None:
        return None
    try:
        instant = read_instant(text)
    except ValueError as error:
        raise RequestError("invalid_params", f"{text!r}: {error}", field=field) from error
    if instant.offset_minutes is None:
        # Taken as UTC, it would be another hour than the asker's clock shows, and nothing would say so.
        words = f"{text!r} has no offset from UTC, such as Z or +01:00"
        raise RequestError("invalid_params", words, field=field)
    return instant.ms
