"""node.ledger.governance, as blocks are executed."""

import dataclasses

import pytest

from consensus.errors import InvariantError
from consensus.messages import FLAG_EPOCH_END
from consensus.types import ZERO_DIGEST, Digest, Epoch, Height
from node.crypto.digests import sha256
from node.ledger.apply import apply_block
from node.ledger.changes import (
    AddMember,
    Change,
    ChangeMember,
    NewFeed,
    RemoveMember,
    SetActorKeys,
    SetParameters,
    SetRole,
    sign_rotation,
)
from node.ledger.governance import (
    OTHERS_PROPOSALS_MAX,
    PROPOSAL_LIFE_MS,
    PROPOSALS_MAX,
    GovernanceState,
    Request,
    decode_governance,
    decode_reference,
    decode_request,
    encode_reference,
    genesis_governance,
)
from node.ledger.roster import Parameters, Role
from node.ledger.transaction import Kind
from node.ledger.verdicts import TransactionCode
from node.wire.codec import MalformedError, pack
from node.wire.ids import FeedNumber, MemberId
from tests.support.governed import GovernedLedger
from tests.support.memory_state import MemoryState, build_block
from tests.support.networks import build_genesis, build_key
from tests.unit.ledger.test_changes import NEW

ACCEPTED = TransactionCode.ACCEPTED
V0, V1, V2, V3, M4, M5, O6 = (MemberId(f"firm-{number}") for number in range(7))
NAME = ChangeMember(M4, "Other name", "", "m4.example:4000")


def is_due(ledger: GovernedLedger) -> bool:
    """Whether the next epoch has a roster."""
    return ledger.governance.due is not None


@pytest.fixture
def ledger() -> GovernedLedger:
    """Four validators, two members, one observer."""
    return GovernedLedger(build_genesis(validators=4, members=2, observers=1))


def test_a_change_takes_effect_at_the_boundary_that_the_seal_makes(ledger: GovernedLedger) -> None:
    """Proposed, approved by more than two thirds, queued, due, enacted."""
    proposal = ledger.propose(V0, NAME, note="moved")
    assert ledger.run(proposal) == [ACCEPTED]
    assert ledger.governance.find_proposal(proposal.id) is not None
    assert ledger.run(ledger.approve(V1, proposal.id)) == [ACCEPTED]
    assert ledger.governance.due_digest == ZERO_DIGEST
    assert ledger.run(ledger.approve(V2, proposal.id)) == [ACCEPTED]
    due = ledger.governance.due
    assert due is not None
    assert due.epoch == 1
    assert ledger.governance.due_digest == due.digest(ledger.genesis.network_id)
    assert ledger.governance.proposals == ()
    assert ledger.roster == ledger.genesis.roster
    writes = ledger.seal()
    assert writes.epoch_record is not None
    assert writes.epoch_record.roster == due == ledger.roster
    assert (writes.epoch_record.epoch, writes.epoch_record.anchor_height) == (1, 4)
    assert writes.epoch_record.anchor_digest == writes.block_digest
    assert ledger.roster.members[M4].name == "Other name"
    assert ledger.governance.anchor_height == 4
    assert not is_due(ledger)
    assert ledger.state.find_epoch(Epoch(1)) == writes.epoch_record


def test_members_propose_and_only_validators_approve(ledger: GovernedLedger) -> None:
    """Who has no feed cannot even propose; a member's proposal begins without an approval."""
    proposal = ledger.propose(M4, NAME)
    assert ledger.run(proposal) == [ACCEPTED]
    assert ledger.governance.proposals[0].approvals == ()
    assert ledger.run(ledger.approve(M5, proposal.id)) == [TransactionCode.NOT_ENTITLED]
    assert ledger.run(ledger.propose(O6, NAME)) == [TransactionCode.NOT_ENTITLED]
    assert ledger.run(*(ledger.approve(member, proposal.id) for member in (V0, V1))) == [ACCEPTED] * 2
    assert not is_due(ledger)
    assert ledger.run(ledger.approve(V3, proposal.id)) == [ACCEPTED]
    assert is_due(ledger)


def test_each_validator_counts_once(ledger: GovernedLedger) -> None:
    """The proposer's own approval too."""
    proposal = ledger.propose(V0, NAME)
    ledger.run(proposal, ledger.approve(V1, proposal.id))
    assert ledger.run(ledger.approve(V0, proposal.id)) == [TransactionCode.ALREADY_APPROVED]
    assert ledger.run(ledger.approve(V1, proposal.id)) == [TransactionCode.ALREADY_APPROVED]
    assert not is_due(ledger)


def test_nothing_is_approved_or_withdrawn_that_is_not_open(ledger: GovernedLedger) -> None:
    """Never proposed, and decided already."""
    assert ledger.run(ledger.approve(V0, Digest(bytes(32)))) == [TransactionCode.NO_SUCH_PROPOSAL]
    ledger.decide(NAME)
    decided = ledger.governance.queue[0].id
    assert ledger.run(ledger.approve(V3, decided)) == [TransactionCode.NO_SUCH_PROPOSAL]
    assert ledger.run(ledger.withdraw(V0, decided)) == [TransactionCode.NO_SUCH_PROPOSAL]


def test_a_withdrawal_takes_back_the_proposal_or_an_approval(ledger: GovernedLedger) -> None:
    """The proposer's closes it."""
    proposal = ledger.propose(V0, NAME)
    ledger.run(proposal, ledger.approve(V1, proposal.id))
    assert ledger.run(ledger.withdraw(V2, proposal.id)) == [TransactionCode.NOTHING_TO_WITHDRAW]
    assert ledger.run(ledger.withdraw(V1, proposal.id)) == [ACCEPTED]
    assert ledger.governance.proposals[0].approvals == (V0,)
    assert ledger.run(ledger.withdraw(V0, proposal.id)) == [ACCEPTED]
    assert ledger.governance.proposals == ()


def test_a_lone_validator_decides_by_proposing() -> None:
    """A firm may start alone."""
    ledger = GovernedLedger(build_genesis(validators=1, members=1))
    assert ledger.run(ledger.propose(V0, SetParameters(Parameters(timing="wan")))) == [ACCEPTED]
    assert is_due(ledger)


def test_a_proposal_is_closed_after_its_time(ledger: GovernedLedger) -> None:
    """By the time of blocks, at the beginning of a block."""
    proposal = ledger.propose(V0, NAME)
    opened_ms = ledger.time_ms
    ledger.run(proposal)
    ledger.time_ms = opened_ms + PROPOSAL_LIFE_MS
    assert ledger.run(ledger.approve(V1, proposal.id)) == [ACCEPTED]
    assert ledger.run(ledger.approve(V2, proposal.id)) == [TransactionCode.NO_SUCH_PROPOSAL]


def test_what_cannot_be_is_refused_when_it_is_proposed(ledger: GovernedLedger) -> None:
    """By the code of the change, and nothing is opened."""
    assert ledger.run(ledger.propose(V0, RemoveMember(V1))) == [TransactionCode.TOO_FEW_VALIDATORS]
    assert ledger.run(ledger.propose(V0, SetRole(M4, Role.VALIDATOR))) == [TransactionCode.VALIDATOR_NOT_SYNCED]
    assert ledger.governance.proposals == ()


def test_a_member_becomes_a_validator_once_a_batch_of_it_is_final(ledger: GovernedLedger) -> None:
    """So its node runs, and has synced."""
    ledger.make_synced(M4)
    assert ledger.enact(SetRole(M4, Role.VALIDATOR)).validators.count(M4) == 1


def test_a_firm_joins_syncs_and_votes(ledger: GovernedLedger) -> None:
    """In two epochs: a newcomer is not made a validator at once."""
    assert ledger.enact(AddMember(NEW)).find(NEW.id) == NEW
    ledger.make_synced("new")
    assert len(ledger.enact(SetRole(NEW.id, Role.VALIDATOR)).validators) == 5


def test_a_removed_member_proposes_nothing_more_and_its_proposals_go(ledger: GovernedLedger) -> None:
    """Its place stays, so that what it wrote stays named."""
    ledger.run(ledger.propose(M5, ChangeMember(M5, "x", "", "x:1")))
    roster = ledger.enact(RemoveMember(M5))
    assert roster.members[M5].role is Role.FORMER
    assert ledger.governance.proposals == ()
    assert ledger.run(ledger.propose(M5, NAME)) == [TransactionCode.NOT_ENTITLED]


def test_a_rotated_key_begins_the_next_feed(ledger: GovernedLedger) -> None:
    """And the old proof is worth nothing for the next rotation."""
    network, key = ledger.genesis.network_id, build_key("second key of firm-1")
    roster = ledger.enact(sign_rotation(network, V1, FeedNumber(1), key))
    assert (roster.members[V1].node_key, roster.members[V1].feed_number) == (key.public_key, 1)
    replayed = sign_rotation(network, V1, FeedNumber(1), build_key("third key of firm-1"))
    assert ledger.run(ledger.propose(V0, replayed)) == [TransactionCode.KEY_NOT_PROVEN]


def test_actor_keys_count_from_the_boundary_on(ledger: GovernedLedger) -> None:
    """Execution reads them from the roster of the block's epoch."""
    key = build_key("a new actor")
    ledger.decide(SetActorKeys(M4, (key.public_key,)))

    def sign() -> list[TransactionCode]:
        signed = ledger.transaction(M4, Kind.NOOP)
        changed = dataclasses.replace(signed.transaction, actor_key=key.public_key)
        encoded = changed.encode()
        domain = b"lotvine/tx/v1\0\0\0" + ledger.genesis.network_id
        return ledger.run(
            dataclasses.replace(
                signed, transaction=changed, encoded=encoded, signature=bytes(64), id=sha256(domain, encoded)
            )
        )

    assert sign() == [TransactionCode.ACTOR_UNKNOWN]
    ledger.seal()
    assert sign() == [ACCEPTED]


def test_the_expiry_of_the_epoch_is_the_one_that_counts(ledger: GovernedLedger) -> None:
    """Parameters are read from the roster at execution."""
    old = ledger.transaction(M4, Kind.NOOP)
    ledger.enact(SetParameters(Parameters(transaction_expiry_ms=60_000)))
    ledger.time_ms += 120_000
    assert ledger.run(old) == [TransactionCode.EXPIRED]


def test_what_is_queued_after_the_height_that_a_seal_names_waits_for_the_next(ledger: GovernedLedger) -> None:
    """The seal enacts exactly what its digest names; the rest is due in the state after the seal."""
    ledger.decide(NAME)
    executed = ledger.state.height
    ledger.decide(NewFeed(M4))
    record = ledger.seal(executed).epoch_record
    assert record is not None
    assert record.roster.members[M4].feed_number == 0
    assert record.roster.members[M4].name == "Other name"
    assert is_due(ledger)
    second = ledger.seal().epoch_record
    assert second is not None
    assert second.roster.members[M4].feed_number == 1
    assert second.epoch == 2


def test_no_more_validators_change_at_one_boundary_than_may_be_faulty(ledger: GovernedLedger) -> None:
    """The rest waits for the next, in order."""
    ledger.make_synced(M4, M5)
    ledger.decide(SetRole(M4, Role.VALIDATOR))
    ledger.decide(SetRole(M5, Role.VALIDATOR))
    ledger.decide(NAME)
    ledger.seal()
    assert set(ledger.roster.validators) == {V0, V1, V2, V3, M4}
    assert ledger.roster.members[M4].name != "Other name"
    assert [len(queued.changes) for queued in ledger.governance.queue] == [1, 1]
    ledger.seal()
    assert set(ledger.roster.validators) == {V0, V1, V2, V3, M4, M5}
    assert ledger.roster.members[M4].name == "Other name"
    assert ledger.governance.queue == ()


def test_a_proposal_that_became_impossible_is_closed_when_it_has_its_approvals(ledger: GovernedLedger) -> None:
    """Two proposals add the same firm: the second one is stale."""
    first, second = ledger.propose(V0, AddMember(NEW)), ledger.propose(V1, AddMember(NEW))
    ledger.run(first, second)
    ledger.run(*(ledger.approve(member, first.id) for member in (V1, V2)))
    verdicts = ledger.run(*(ledger.approve(member, second.id) for member in (V0, V2)))
    assert verdicts == [ACCEPTED, TransactionCode.PROPOSAL_STALE]
    assert ledger.governance.proposals == ()
    assert len(ledger.governance.queue) == 1


def test_a_new_set_of_validators_decides_what_was_open() -> None:
    """Approvals of those that left count no more, and what is enough now is queued at the boundary."""
    ledger = GovernedLedger(build_genesis(validators=5))
    v4 = MemberId("firm-4")
    lost, carried = ledger.propose(v4, NAME), ledger.propose(V0, ChangeMember(V0, "x", "", "x:1"))
    ledger.run(lost, carried)
    ledger.run(*(ledger.approve(member, carried.id) for member in (V1, V2)))
    ledger.run(ledger.approve(v4, lost.id))
    assert not is_due(ledger)
    ledger.enact(SetRole(v4, Role.MEMBER))
    # Three of five were not enough, three of four are.
    assert [queued.id for queued in ledger.governance.queue] == [carried.id]
    assert [proposal.approvals for proposal in ledger.governance.proposals] == [()]
    assert is_due(ledger)


def test_a_validator_fills_its_share_of_the_open_proposals_and_no_more(ledger: GovernedLedger) -> None:
    """So a few faulty ones never keep the others from proposing."""
    changes = [ChangeMember(M4, f"name {n}", "", "m:1") for n in range(13)]
    verdicts = [ledger.run(ledger.propose(V0, change))[0] for change in changes]
    assert verdicts == [ACCEPTED] * 12 + [TransactionCode.TOO_MANY_PROPOSALS]
    assert ledger.run(ledger.propose(V1, NAME)) == [ACCEPTED]


def test_a_block_judges_no_more_proposals_of_a_member_than_may_be_open(ledger: GovernedLedger) -> None:
    """Else a member that proposes what is refused, or withdraws it, would make each block slow."""
    refused = [ledger.propose(V0, RemoveMember(V1)) for _ in range(13)]
    verdicts = ledger.run(*refused)
    assert verdicts == [TransactionCode.TOO_FEW_VALIDATORS] * 12 + [TransactionCode.TOO_MANY_PROPOSALS]
    again = ledger.propose(M4, NAME)
    assert ledger.run(again, ledger.withdraw(M4, again.id), ledger.propose(M4, NAME)) == [
        ACCEPTED,
        ACCEPTED,
        TransactionCode.TOO_MANY_PROPOSALS,
    ]
    assert ledger.run(ledger.propose(M4, NAME)) == [ACCEPTED]


def test_what_the_queue_comes_to_is_not_worked_out_anew_for_each_approval(ledger: GovernedLedger) -> None:
    """A validator that approves and withdraws in turn costs the others nothing."""
    ledger.decide(NAME)
    before = ledger.governance.outlook
    proposal = ledger.propose(V0, NewFeed(M4))
    ledger.run(proposal, ledger.approve(V1, proposal.id), ledger.withdraw(V1, proposal.id))
    assert ledger.governance.outlook is before
    ledger.run(*(ledger.approve(member, proposal.id) for member in (V1, V2)))
    assert [step.members[M4].feed_number for step in ledger.governance.outlook.steps] == [0, 1]


def test_other_members_have_one_open_proposal_each_and_sixteen_together() -> None:
    """They leave room for those that vote."""
    ledger = GovernedLedger(build_genesis(validators=4, members=OTHERS_PROPOSALS_MAX + 1))
    members = [f"firm-{4 + n}" for n in range(OTHERS_PROPOSALS_MAX + 1)]
    assert ledger.run(ledger.propose(members[0], NAME)) == [ACCEPTED]
    assert ledger.run(ledger.propose(members[0], NAME)) == [TransactionCode.TOO_MANY_PROPOSALS]
    verdicts = ledger.run(*(ledger.propose(member, NAME) for member in members[1:]))
    assert verdicts == [ACCEPTED] * (OTHERS_PROPOSALS_MAX - 1) + [TransactionCode.TOO_MANY_PROPOSALS]
    assert ledger.run(ledger.propose(V0, NAME)) == [ACCEPTED]


def test_the_queue_is_bounded() -> None:
    """No approval fills it beyond; what waits is enacted first."""
    ledger = GovernedLedger(build_genesis(validators=1, members=1))
    changes: list[Change] = [ChangeMember(V1, f"name {n}", "", "m:1") for n in range(PROPOSALS_MAX + 1)]
    verdicts = [ledger.run(ledger.propose(V0, change))[0] for change in changes]
    assert verdicts == [ACCEPTED] * PROPOSALS_MAX + [TransactionCode.TOO_MANY_PROPOSALS]
    ledger.seal()
    assert ledger.governance.queue == ()
    assert ledger.roster.members[V1].name == f"name {PROPOSALS_MAX - 1}"


def test_an_approval_waits_while_the_queue_is_full(ledger: GovernedLedger) -> None:
    """It is refused, and may be given again after the boundary."""
    waiting = ledger.propose(V3, SetParameters(Parameters(timing="wan")))
    ledger.run(waiting)
    for number in range(PROPOSALS_MAX):
        assert set(ledger.decide(ChangeMember(M4, f"name {number}", "", "m:1"))) == {ACCEPTED}
    assert ledger.run(ledger.approve(V0, waiting.id)) == [TransactionCode.TOO_MANY_PROPOSALS]
    ledger.seal()
    assert ledger.run(ledger.approve(V0, waiting.id)) == [ACCEPTED]


@pytest.mark.parametrize("kind", [Kind.PROPOSE, Kind.APPROVE, Kind.WITHDRAW, Kind.EVIDENCE])
def test_a_payload_that_cannot_be_read_is_a_rejected_verdict(ledger: GovernedLedger, kind: Kind) -> None:
    """It stalls no feed."""
    assert ledger.run(ledger.transaction(V0, kind, b"\x01")) == [TransactionCode.MALFORMED]


def test_the_state_digest_moves_with_the_state_of_governance(ledger: GovernedLedger) -> None:
    """Two nodes that disagree about an approval find out."""
    proposal = ledger.propose(V0, NAME)
    block = build_block(ledger.genesis, height=1)
    unchanged = apply_block(MemoryState(ledger.genesis), block, ())
    assert not unchanged.is_governance_changed
    ledger.run(proposal)
    state = ledger.governance
    assert state.digest() == sha256(b"lotvine/gov/v1\0\0", state.encode())
    assert state.digest() != genesis_governance(ledger.genesis).digest()


def test_a_state_comes_back_from_its_bytes(ledger: GovernedLedger) -> None:
    """Open proposals, the queue, and what is derived of them."""
    ledger.run(ledger.propose(V0, AddMember(NEW), note="a firm"))
    ledger.decide(NAME)
    state = ledger.governance
    again = decode_governance(state.encode(), ledger.genesis.network_id)
    assert again == state
    assert (again.due_digest, again.pending) == (state.due_digest, state.pending)
    with pytest.raises(MalformedError):
        decode_governance(pack((2, (), 0, (), ())), ledger.genesis.network_id)


def test_a_seal_that_names_another_roster_than_was_due_is_our_bug(ledger: GovernedLedger) -> None:
    """A quorum has checked it: the node stops."""
    ledger.decide(NAME)
    block = build_block(
        ledger.genesis,
        height=2,
        executed_height=Height(1),
        flags=FLAG_EPOCH_END,
        next_epoch_digest=Digest(bytes(32)),
    )
    with pytest.raises(InvariantError, match="names the roster"):
        apply_block(ledger.state, block, ())


def test_a_seal_without_anything_due_is_our_bug(ledger: GovernedLedger) -> None:
    """So is a block of another epoch."""
    with pytest.raises(InvariantError, match="only when a change is due"):
        apply_block(ledger.state, build_block(ledger.genesis, flags=FLAG_EPOCH_END), ())
    with pytest.raises(InvariantError, match="its own epoch"):
        apply_block(ledger.state, build_block(ledger.genesis, epoch=Epoch(1)), ())


def test_requests_and_references_come_back_from_their_bytes() -> None:
    """And are bounded."""
    request = Request((NAME, AddMember(NEW)), "why")
    assert decode_request(request.encode()) == request
    assert decode_reference(encode_reference(Digest(b"x" * 32))) == b"x" * 32
    for payload in (
        Request((), "").encode(),
        Request((NAME,), "x" * 501).encode(),
        Request((NAME,), "two\nlines").encode(),
        pack(((), 5)),
        bytes(64 * 1024 + 1),
        b"",
    ):
        with pytest.raises(MalformedError):
            decode_request(payload)
    with pytest.raises(MalformedError):
        decode_reference(pack((b"short",)))


def test_a_state_knows_how_many_approvals_are_enough() -> None:
    """More than two thirds."""
    for validators, enough in ((1, 1), (2, 2), (3, 3), (4, 3), (6, 5), (7, 5)):
        genesis = build_genesis(validators=validators)
        state = GovernanceState(genesis.network_id, genesis.roster, Height(0))
        assert next(count for count in range(validators + 1) if state.is_enough(count)) == enough
