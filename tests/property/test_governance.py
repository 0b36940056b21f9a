"""Governance under any sequence of transactions, split into blocks and epochs in any way; and what it decodes."""

import random
from collections.abc import Callable
from dataclasses import dataclass

import msgpack
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from consensus.types import ZERO_DIGEST, Digest
from node.ledger.changes import (
    AddMember,
    Change,
    ChangeMember,
    NewFeed,
    RemoveMember,
    SetActorKeys,
    SetParameters,
    SetRole,
    changed_validators,
    sign_rotation,
)
from node.ledger.evidence import decode_evidence
from node.ledger.governance import decode_governance, decode_reference, decode_request
from node.ledger.roster import (
    Member,
    Parameters,
    Role,
    Roster,
    build_roster,
    decode_epoch_record,
    decode_roster,
    is_line,
)
from node.ledger.transaction import Kind, SignedTransaction
from node.wire.codec import MalformedError
from node.wire.ids import FeedNumber, MemberId
from tests.support.governed import GovernedLedger
from tests.support.networks import build_genesis, build_key
from tests.unit.ledger.test_evidence import fork, votes

NAMES = [f"firm-{number}" for number in range(9)] + [f"new-{number}" for number in range(3)]
ROLES = [Role.VALIDATOR, Role.VALIDATOR, Role.MEMBER, Role.OBSERVER]


@dataclass(frozen=True)
class Step:
    """What happens next: a transaction of somebody (what: a number that is read by kind), or the end of a block."""

    kind: str
    who: int
    what: int


KINDS = (
    ["propose"] * 2 + ["decide"] * 5 + ["approve"] * 6 + ["withdraw", "noop", "noop", "block", "block", "block", "seal"]
)


def draw_steps(seed: int) -> list[Step]:
    """A history of 80 steps; hypothesis alone prefers short ones, in which hardly anything is ever approved."""
    chance = random.Random(seed)
    return [Step(chance.choice(KINDS), chance.randrange(len(NAMES)), chance.randrange(2**16)) for _ in range(80)]


def change_of(ledger: GovernedLedger, what: int) -> Change:
    """A change by its number: sensible and senseless ones."""
    kind, rest = what % 8, what // 8
    name = MemberId(NAMES[rest % len(NAMES)])
    member = ledger.roster.find(name)
    match kind:
        case 0:
            new = MemberId(f"new-{rest % 3}")
            key = build_key(new).public_key
            return AddMember(Member(new, "New", "", ROLES[rest % 4], key, (), "new:1", FeedNumber(0)))
        case 1:
            return RemoveMember(name)
        case 2 | 3:
            return SetRole(name, ROLES[rest % 4])
        case 4:
            number = 1 if member is None else member.feed_number + 1
            key_name = f"{name} {rest % 5}"
            return sign_rotation(ledger.genesis.network_id, name, FeedNumber(number), build_key(key_name))
        case 5:
            return SetParameters(Parameters(block_batches_max=1 + rest % 5000))
        case 6:
            return ChangeMember(name, f"Name {rest % 7}", "", "host:1") if rest % 2 else NewFeed(name)
        case _:
            return SetActorKeys(name, (build_key(f"actor {rest % 3}").public_key,))


@settings(max_examples=80, deadline=None)
@example(validators=8, seed=828)
@given(validators=st.integers(1, 9), seed=st.integers(0, 2**32))
def test_any_history_of_governance_keeps_the_bounds(validators: int, seed: int) -> None:
    """Enough validators, few changes at once, what the seal names is what is enacted, and nothing queued is lost."""
    ledger = GovernedLedger(build_genesis(validators=validators, members=9 - validators))
    waiting: list[SignedTransaction] = []
    proposals: list[Digest] = []

    def end_block() -> None:
        ledger.run(*waiting)
        waiting.clear()
        check_state(ledger)

    for step in draw_steps(seed):
        who = NAMES[step.who]
        match step.kind:
            case "block":
                end_block()
            case "seal":
                end_block()
                check_seal(ledger, step.what)
            case "propose":
                signed = ledger.propose(who, *(change_of(ledger, step.what + n * 97) for n in range(1 + step.what % 2)))
                proposals.append(signed.id)
                waiting.append(signed)
            case "decide":
                first, *others = ledger.roster.validators
                signed = ledger.propose(first, change_of(ledger, step.what))
                waiting.append(signed)
                waiting.extend(ledger.approve(member, signed.id) for member in others)
            case "noop":
                waiting.append(ledger.transaction(who, Kind.NOOP))
            case kind if proposals:
                proposal = proposals[-1 - step.what % min(3, len(proposals))]
                if kind == "withdraw":
                    waiting.append(ledger.withdraw(who, proposal))
                else:
                    count = 1 + step.who % len(ledger.roster.validators)
                    waiting.extend(ledger.approve(member, proposal) for member in ledger.roster.validators[-count:])
            case _:
                pass
    end_block()
    while ledger.governance.queue:
        # Whatever was queued takes effect within so many boundaries: the first in the queue always fits.
        # Fewer validators may be enough for what was open: it is queued then, as something else leaves the queue.
        before = len(ledger.governance.queue) + len(ledger.governance.proposals)
        check_seal(ledger, 0)
        assert len(ledger.governance.queue) + len(ledger.governance.proposals) < before


def check_state(ledger: GovernedLedger) -> None:
    """What holds after every block."""
    state = ledger.governance
    again = decode_governance(state.encode(), state.network_id)
    assert again == state
    assert (again.due, again.due_digest, again.pending) == (state.due, state.due_digest, state.pending)
    assert (state.due is None) == (not state.queue) == (state.due_digest == ZERO_DIGEST)
    heights = [queued.approved_height for queued in state.queue]
    assert heights == sorted(heights)
    for proposal in state.proposals:
        assert list(proposal.approvals) == sorted(set(proposal.approvals))
        assert set(proposal.approvals) <= set(state.roster.validators)
        assert 3 * len(proposal.approvals) <= 2 * len(state.roster.validators)


def check_seal(ledger: GovernedLedger, what: int) -> None:
    """End the epoch by what some recent height of it saw as due, if any did."""
    anchor = ledger.governance.anchor_height
    heights = [
        height for height in range(anchor, ledger.state.height + 1) if ledger.states[height].due_digest != ZERO_DIGEST
    ]
    if not heights:
        return
    executed = heights[what % len(heights)]
    named, before = ledger.states[executed], ledger.governance
    record = ledger.seal(executed).epoch_record
    assert record is not None
    after = ledger.roster
    assert after == record.roster == named.due
    assert record.epoch == before.roster.epoch + 1
    assert record.anchor_height == ledger.governance.anchor_height == ledger.state.height
    left = [queued.id for queued in before.queue if queued.approved_height > executed]
    assert [queued.id for queued in ledger.governance.queue if queued.id in left] == left
    count, allowed = len(before.roster.validators), max(1, (len(before.roster.validators) - 1) // 3)
    assert changed_validators(before.roster, after) <= allowed
    assert len(after.validators) >= min(4, count) or count < 4
    assert len(after.validators) >= 1
    # Ids and keys are never given twice, and nobody is forgotten.
    assert set(before.roster.members) <= set(after.members)
    assert len({member.node_key for member in after.members.values()}) == len(after.members)
    assert all(
        after.members[member].role is Role.FORMER
        for member, entry in before.roster.members.items()
        if entry.role is Role.FORMER
    )
    check_state(ledger)


MEMBERS = st.builds(
    lambda number, name, organisation, role, actors, feed: Member(
        MemberId(f"m{number}"),
        name,
        organisation,
        role,
        build_key(f"k{number}").public_key,
        tuple(build_key(f"a{actor}").public_key for actor in actors),
        "host:1",
        FeedNumber(feed),
    ),
    st.integers(0, 30),
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=9).filter(is_line),
    st.text(st.characters(codec="utf-8"), max_size=9).filter(is_line),
    st.sampled_from(Role),
    st.lists(st.integers(0, 9), max_size=3),
    st.integers(0, 2**32 - 1),
)


@settings(deadline=None)
@given(members=st.lists(MEMBERS, min_size=1, unique_by=lambda member: member.id), data=st.data())
def test_a_roster_has_the_same_bytes_whatever_the_order_and_comes_back(
    members: list[Member], data: st.DataObject
) -> None:
    """One roster, one digest."""
    voting = [member for member in members if member.role is Role.VALIDATOR]
    roster = build_roster(GENESIS_ROSTER.epoch, members, Parameters())
    again = build_roster(GENESIS_ROSTER.epoch, data.draw(st.permutations(members)), Parameters())
    assert again.encode() == roster.encode()
    if voting:
        assert decode_roster(roster.encode()) == roster


GENESIS_ROSTER: Roster = build_genesis().roster

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.binary(max_size=70)
    | st.text(max_size=12)
    | st.sampled_from([bytes(32), bytes(64), "firm-0", "host:1", 0, 1, 2, 3, 4]),
    lambda inner: st.lists(inner, max_size=10),
    max_leaves=40,
)
DECODERS: list[Callable[[bytes], object]] = [
    decode_roster,
    decode_epoch_record,
    decode_request,
    decode_reference,
    decode_evidence,
    lambda encoded: decode_governance(encoded, Digest(bytes(32))),
]


@pytest.mark.parametrize("decode", DECODERS)
@settings(max_examples=150, deadline=None)
@given(value=VALUES, junk=st.binary(max_size=80))
def test_a_decoder_raises_malformed_and_nothing_else(
    decode: Callable[[bytes], object], value: object, junk: bytes
) -> None:
    """Whatever the bytes, of arrays or of nothing."""
    for encoded in (msgpack.packb(value, use_bin_type=True), junk):
        try:
            decode(encoded)
        except MalformedError:
            pass


@pytest.mark.parametrize("decode", DECODERS[:5])
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_a_spoilt_encoding_is_malformed_or_another_thing(
    decode: Callable[[bytes], object], data: st.DataObject
) -> None:
    """Good bytes with one of them changed."""
    encoded = bytearray(data.draw(st.sampled_from(GOOD)))
    encoded[data.draw(st.integers(0, len(encoded) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        decode(bytes(encoded))
    except MalformedError:
        pass


def _good() -> list[bytes]:
    ledger = GovernedLedger(build_genesis(validators=1, members=1))
    ledger.run(ledger.propose("firm-0", *(change_of(ledger, 8 + kind) for kind in range(8))))
    request = ledger.propose("firm-0", SetParameters(Parameters(timing="wan")), change_of(ledger, 8 * 3 + 4))
    return [
        ledger.genesis.roster.encode(),
        ledger.genesis.epoch_record.encode(),
        request.transaction.payload,
        votes().encode(),
        fork().encode(),
    ]


GOOD = _good()
