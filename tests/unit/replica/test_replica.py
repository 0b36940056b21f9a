"""One replica by hand: what it serves, what it refuses, how it votes, catches up and stops."""

import dataclasses

import pytest

from consensus.evidence import Equivocation
from consensus.messages import (
    Block,
    Certificate,
    CertificateRequest,
    Proposal,
    Status,
    Subject,
    Vote,
    VoteKind,
)
from consensus.recovery import Recovered as CoreRecovered
from consensus.scheme import vote_signing_bytes
from consensus.timing import Timing
from consensus.types import ZERO_DIGEST, Digest, Epoch, Height, ValidatorIndex, View
from node.feed.records import record_of
from node.ledger.batch import Batch
from node.replica import inputs
from node.replica.chain_sync import ANSWER_MS_MAX
from node.replica.clocks import LASTING_MS
from node.replica.effects import (
    Alarm,
    Effect,
    Finalized,
    Halt,
    Persist,
    Refused,
    ReportEvidence,
    ReportFault,
    Send,
    ServeBatch,
    ServeBlock,
    ServeChain,
    StoreBlock,
)
from node.replica.recovered import Recovered, ReplicaSetup
from node.replica.replica import Replica
from node.wire.ids import MemberId
from node.wire.logged import Loss
from node.wire.messages import (
    BatchRequest,
    BlockData,
    BlockRequest,
    ChainData,
    ChainRequest,
    Have,
    Hello,
    Message,
    Rejoin,
    RejoinAnswer,
    StatusReport,
)
from tests.support.fake_keys import FakeVerifier, fake_signature
from tests.support.feeds import build_digest, build_tip
from tests.support.final_chain import FinalChain
from tests.support.networks import build_batch, build_genesis, build_key, build_transaction
from tests.support.replica_rig import NONCE, ReplicaRig, of_type, sent

GENESIS = build_genesis(members=1, observers=1)
VALIDATORS = GENESIS.roster.validators
BATCH = build_batch(GENESIS, build_transaction(GENESIS, member="firm-4"), member="firm-4")


def rig_of(index: int = 0, recovered: Recovered | None = None) -> ReplicaRig:
    """The node of a validator by its index, with sessions to all others."""
    return ReplicaRig(VALIDATORS[index % 4], genesis=GENESIS, recovered=recovered)


def leader_of(view: int) -> int:
    """The index of a view's leader."""
    return (view - 1 + int.from_bytes(GENESIS.network_id[:8], "big")) % len(VALIDATORS)


def follower() -> ReplicaRig:
    """A node that does not lead view 1."""
    return rig_of((leader_of(1) + 1) % 4)


def build_vote(signer: int, kind: VoteKind, view: int, digest: Digest, *, parent_view: int = 0) -> Vote:
    """A vote under a fake signature."""
    subject = Subject(kind, Epoch(0), View(view), View(parent_view), digest)
    signature = fake_signature(signer, vote_signing_bytes(GENESIS.network_id, subject))
    return Vote(subject, ValidatorIndex(signer), signature)


def build_proposal(block: Block, *, parent: Certificate | None = None) -> Proposal:
    """The proposal of a block by the leader of its view, on the view before."""
    view = block.header.view
    parent_view = 0 if parent is None else parent.subject.view
    leader = leader_of(view)
    vote = build_vote(leader, VoteKind.NOTARIZE, view, block.header.digest(), parent_view=parent_view)
    return Proposal(View(view), block, View(parent_view), parent, (), None, vote)


def first_block(*batches: Batch, **changes: object) -> Block:
    """A block of view 1 by its leader."""
    chain = FinalChain(GENESIS)
    return chain.build(*(record_of(batch) for batch in batches), proposer=ValidatorIndex(leader_of(1)), **changes)


def propose(rig: ReplicaRig, block: Block) -> tuple[Effect, ...]:
    """The leader's proposal of a block of view 1."""
    return rig.hear(VALIDATORS[leader_of(1)], build_proposal(block))


def votes(effects: tuple[Effect, ...] | list[Effect]) -> list[VoteKind]:
    """The kinds of votes sent."""
    return [vote.subject.kind for vote in sent(Vote, effects)]


# Voting over data.


def test_a_follower_votes_once_all_that_a_proposal_covers_is_held() -> None:
    """No vote before the batch is durable; the block and the vote come before the vote is sent."""
    rig = follower()
    block = first_block(BATCH)
    effects = propose(rig, block)
    assert votes(effects) == []
    assert [request.tip for request in sent(BatchRequest, effects)] == [BATCH.tip]
    after = rig.give("firm-4", BATCH)
    assert votes(after) == [VoteKind.NOTARIZE]
    kinds = [type(effect) for effect in after]
    assert kinds.index(StoreBlock) < kinds.index(Persist) < kinds.index(Send if Send in kinds else type(after[-1]))


def test_a_proposal_that_breaks_a_rule_is_nullified_with_an_alarm() -> None:
    """Invalid rests on the digest: the view is given up at once."""
    rig = follower()
    rig.give("firm-4", BATCH)
    effects = propose(rig, first_block(BATCH, transaction_count=9))
    assert votes(effects) == [VoteKind.NULLIFY]
    assert any("transaction count" in alarm.why for alarm in of_type(Alarm, effects))
    broken = follower()
    assert votes(propose(broken, first_block(BATCH, batch_count=2))) == [VoteKind.NULLIFY]


def test_a_certificate_over_what_we_judged_invalid_halts() -> None:
    """Our execution disagrees with a quorum: divergence is never silent."""
    rig = follower()
    rig.give("firm-4", BATCH)
    block = first_block(BATCH, state_digest=build_digest("another state"))
    propose(rig, block)
    chain = FinalChain(GENESIS)
    effects = rig.hear(rig.others[0], chain.certify(block.header.digest(), 1, kind=VoteKind.NOTARIZE))
    assert of_type(Halt, effects)
    assert rig.replica.is_halted
    assert rig.replica.deadline_ms is None
    assert rig.hear(rig.others[0], Have(Height(0), ())) == ()


def test_a_certified_block_that_cannot_be_halts() -> None:
    """It was never proposed to us: fetched by its name, it covers what no correct validator votes for."""
    rig = follower()
    block = first_block(BATCH, batch_count=2)
    digest = block.header.digest()
    effects = rig.hear(rig.others[0], FinalChain(GENESIS).certify(digest, 1, kind=VoteKind.NOTARIZE))
    assert sent(BlockRequest, effects) == [BlockRequest(digest)]
    effects = rig.hear(rig.others[0], BlockData(block))
    assert of_type(Halt, effects)


def test_what_a_view_that_is_over_named_is_fetched_no_more() -> None:
    """A leader that names batches that do not exist costs a view, not our requests."""
    rig = follower()
    bogus = dataclasses.replace(record_of(BATCH), tip=build_tip(0, "bogus", member="firm-4"))
    block = FinalChain(GENESIS).build(bogus, proposer=ValidatorIndex(leader_of(1)))
    assert sent(BatchRequest, propose(rig, block))
    for view in (1, 2):
        rig.hear(rig.others[0], FinalChain(GENESIS).certify(Digest(bytes(32)), view, kind=VoteKind.NULLIFY))
    rig.wait(200)
    assert not sent(BatchRequest, rig.wait(3_000))
    assert rig.replica.overview().open_requests <= 3


def test_a_node_that_leads_builds_over_what_enough_others_hold() -> None:
    """The author and one more besides us: f + 1 of four."""
    rig = rig_of(leader_of(1))
    own = VALIDATORS[leader_of(1)]
    author, other = [member for member in VALIDATORS if member != own][:2]
    batch = build_batch(GENESIS, build_transaction(GENESIS, member=author), member=author)
    assert not sent(Proposal, rig.give(author, batch))
    (proposal,) = sent(Proposal, rig.tell(other, batch.tip))
    header = proposal.block.header
    assert (header.height, header.batch_count, header.transaction_count) == (1, 1, 1)
    assert header.timestamp_ms == rig.wall_ms


def test_what_waits_too_long_is_work_though_few_hold_it() -> None:
    """After two status periods somebody must be asked to agree on it."""
    rig = follower()
    effects = rig.give("firm-4", build_batch(GENESIS, build_transaction(GENESIS, member="firm-4"), member="firm-4"))
    assert votes(effects) == []
    assert VoteKind.NULLIFY in votes(rig.wait(2 * 2_000 + 1_100))


def test_a_time_that_has_passed_is_not_due_for_ever() -> None:
    """While the block that we would extend is not here, no work can be found, and nothing is waited for (found by
    simulation: a process that spins)."""
    rig = follower()
    rig.give("firm-4", BATCH)
    unknown = build_digest("a block that is not here")
    rig.hear(rig.others[0], FinalChain(GENESIS).certify(unknown, 1, kind=VoteKind.NOTARIZE))
    for _ in range(200):
        deadline = rig.replica.deadline_ms
        assert deadline is not None
        rig.now_ms = max(rig.now_ms, deadline)
        rig.step(inputs.TimerDue())
    assert rig.now_ms > 10_000


# Serving.


def test_batches_blocks_and_chain_are_served_within_a_budget() -> None:
    """The driver reads the store; beyond the budget a request is dropped, and that is no fault of the peer."""
    rig = rig_of()
    assert of_type(ServeBatch, rig.hear(rig.others[0], BatchRequest(BATCH.tip)))[0].tip == BATCH.tip
    assert of_type(ServeBlock, rig.hear(rig.others[0], BlockRequest(BATCH.digest)))[0].digest == BATCH.digest
    effects = [effect for _ in range(300) for effect in rig.hear(rig.others[0], BatchRequest(BATCH.tip))]
    assert 100 < len(of_type(ServeBatch, effects)) < 300
    assert not of_type(ReportFault, effects)
    assert of_type(ServeBatch, rig.hear(rig.others[1], BatchRequest(BATCH.tip)))


def test_a_chain_request_is_bounded_and_answered_even_with_nothing() -> None:
    """Whoever asks for what is not final here learns so at once, and asks elsewhere."""
    rig = rig_of()
    effects = rig.hear(rig.others[0], ChainRequest(Height(1), Height(10)))
    assert sent(ChainData, effects) == [ChainData(Height(1), (), None)]
    for request in (ChainRequest(Height(5), Height(4)), ChainRequest(Height(1), Height(501))):
        assert [fault.provable for fault in of_type(ReportFault, rig.hear(rig.others[0], request))] == [True]
    request = ChainRequest(Height(1), Height(10))
    answers = [sent(ChainData, rig.hear(rig.others[1], request)) for _ in range(10)]
    assert 0 < sum(map(len, answers)) < 10


# Peers.


def test_messages_of_strangers_and_of_ourselves_are_ignored() -> None:
    """A session's member is authenticated; what is not of the network does not count."""
    rig = rig_of()
    assert rig.hear("stranger", BlockRequest(BATCH.digest)) == ()
    assert rig.hear(VALIDATORS[0], BlockRequest(BATCH.digest)) == ()
    for incoming in (inputs.PeerUp, inputs.PeerDown):
        for member in ("stranger", str(VALIDATORS[0])):
            assert rig.step(incoming(member)) == ()  # type: ignore[arg-type] # ids as text
    assert rig.replica.overview().peers == tuple(sorted(VALIDATORS[1:]))
    rig.step(inputs.PeerDown(VALIDATORS[1]))
    assert rig.replica.overview().peers == tuple(sorted(VALIDATORS[2:]))


def test_a_hello_inside_a_session_and_a_payload_of_another_block_are_faults() -> None:
    """Each names its sender."""
    rig = rig_of()
    hello = Hello(GENESIS.network_id, 1, VALIDATORS[1], (), Height(0))
    assert [fault.member for fault in of_type(ReportFault, rig.hear(rig.others[0], hello))] == [rig.others[0]]
    block = first_block()
    rig.hear(rig.others[0], FinalChain(GENESIS).certify(block.header.digest(), 1, kind=VoteKind.NOTARIZE))
    effects = rig.hear(rig.others[1], BlockData(Block(block.header, b"\x91\x90")))
    assert [fault.member for fault in of_type(ReportFault, effects)] == [rig.others[1]]
    assert sent(BlockRequest, effects) == [BlockRequest(block.header.digest())]
    assert of_type(StoreBlock, rig.hear(rig.others[2], BlockData(block)))
    assert rig.hear(rig.others[2], BlockData(block)) == ()


def test_a_fault_that_the_core_finds_names_the_member() -> None:
    """By its index, or as the sender of the present message where it does not vote."""
    rig = rig_of()
    bad = FinalChain(GENESIS).certify(BATCH.digest, 1, signers=1)
    assert [fault.member for fault in of_type(ReportFault, rig.hear("firm-4", bad))] == ["firm-4"]
    assert [fault.member for fault in of_type(ReportFault, rig.hear(VALIDATORS[2], bad))] == [VALIDATORS[2]]


def test_two_votes_of_a_validator_in_a_view_are_evidence() -> None:
    """Attributable, and it names the member."""
    rig = rig_of()
    first, second = (build_vote(2, VoteKind.NOTARIZE, 1, build_digest(name)) for name in ("a", "b"))
    rig.hear(VALIDATORS[2], first)
    pair = Equivocation.pair(first, second)
    expected = ReportEvidence(VALIDATORS[2], pair.first, pair.second)
    assert of_type(ReportEvidence, rig.hear(VALIDATORS[2], second)) == [expected]


def test_a_peer_without_a_vote_gets_our_status_and_what_is_final() -> None:
    """The core answers validators alone; who only follows is helped at most once a second."""
    rig = rig_of()
    assert sent(StatusReport, rig.step(inputs.PeerUp(build_tip(0, "x", member="firm-5").feed.member)))
    block = first_block()
    rig.hear(rig.others[0], FinalChain(GENESIS).certify(block.header.digest(), 1))
    status = Status(Epoch(0), View(1), View(0), Height(0), View(0))
    report = StatusReport(status, Height(0), (), NONCE, rig.wall_ms)
    assert [certificate.subject.view for certificate in sent(Certificate, rig.hear("firm-5", report))] == [1]
    assert not sent(Certificate, rig.hear("firm-5", report))
    ahead = dataclasses.replace(report, status=dataclasses.replace(status, final_view=View(1)))
    rig.now_ms += 2_000
    assert not sent(Certificate, rig.hear("firm-5", ahead))


def test_clocks_far_apart_are_alarmed_and_a_jump_of_ours_is_told_to_the_core() -> None:
    """Half the skew that a block may have, against the median of the validators."""
    rig = rig_of()
    status = Status(Epoch(0), View(1), View(0), Height(0), View(0))
    alarms: list[Alarm] = []
    for _ in range(2):
        for member in VALIDATORS[1:]:
            report = StatusReport(status, Height(0), (), NONCE, rig.wall_ms + 3_600_000)
            alarms += of_type(Alarm, rig.hear(member, report))
        rig.wait(LASTING_MS)
    assert len(alarms) == 1
    rig = follower()
    rig.now_ms += 90_000
    rig.skew_ms = -60_000
    late = first_block(timestamp_ms=rig.wall_ms + 30_000)
    assert votes(propose(rig, late)) == []
    rig.skew_ms = 0
    assert votes(rig.wait(50)) == [VoteKind.NOTARIZE]


@pytest.mark.parametrize(
    "message",
    [
        CertificateRequest(Epoch(0), View(1), View(2**63)),
        CertificateRequest(Epoch(9), View(5), View(1)),
        Have(Height(2**64 - 1), (build_tip(2**63, "x"), build_tip(2**63, "y"), build_tip(2**63, "z"))),
        ChainData(Height(2**63), (), None),
        BlockData(FinalChain(GENESIS).build(height=Height(2**64 - 1))),
        build_vote(3, VoteKind.FINALIZE, 2**63, BATCH.digest),
        FinalChain(GENESIS).certify(BATCH.digest, 2**63),
        build_proposal(first_block(executed_height=Height(2**64 - 1))),
    ],
)
def test_no_message_makes_a_step_raise(message: Message) -> None:
    """Total over peer input: a wrong message yields a fault, or nothing."""
    for sender in (*VALIDATORS, "firm-4", "firm-5"):
        rig = follower()
        rig.hear(sender, message)
        rig.wait(1_000)
        assert not rig.replica.is_halted


# Catching up.


def long_chain(length: int) -> FinalChain:
    """A chain of empty blocks."""
    chain = FinalChain(GENESIS)
    for _ in range(length):
        chain.extend()
    return chain


def reveal(rig: ReplicaRig, chain: FinalChain) -> tuple[Effect, ...]:
    """Show a node the certificate and the block at the end of a chain."""
    rig.hear(rig.others[0], chain.finalization(len(chain.blocks)))
    return rig.hear(rig.others[0], BlockData(chain.blocks[-1]))


def test_a_final_block_far_above_ours_starts_chain_sync_and_its_end_is_the_common_commit() -> None:
    """Blocks are stored, then final, in height order, each once; the core moves its floor with them."""
    chain = long_chain(20)
    rig = rig_of()
    (request,) = [send for send in of_type(Send, reveal(rig, chain)) if isinstance(send.message, ChainRequest)]
    assert request.message == ChainRequest(Height(1), Height(20))
    assert rig.replica.overview().sync_target == 20
    effects = rig.hear(request.member, ChainData(Height(1), tuple(chain.blocks), chain.finalization(20)))
    (finalized,) = of_type(Finalized, effects)
    assert [final.digest for final in finalized.blocks] == chain.digests
    assert len(of_type(StoreBlock, effects)) == 20
    overview = rig.replica.overview()
    assert (overview.final_height, overview.final_digest, overview.sync_target) == (20, chain.digests[-1], None)
    assert of_type(ServeChain, rig.hear(rig.others[1], ChainRequest(Height(3), Height(9))))
    assert rig.replica.overview().view == 21


def test_a_lie_in_answer_is_a_fault_and_the_next_peer_is_asked() -> None:
    """Also when no answer comes at all."""
    chain = long_chain(20)
    rig = rig_of()
    (request,) = [send for send in of_type(Send, reveal(rig, chain)) if isinstance(send.message, ChainRequest)]
    lie = ChainData(Height(1), tuple(chain.blocks[:-1]), chain.finalization(20))
    effects = rig.hear(request.member, lie)
    assert [fault.member for fault in of_type(ReportFault, effects)] == [request.member]
    (second,) = [send for send in of_type(Send, effects) if isinstance(send.message, ChainRequest)]
    assert second.member != request.member
    (third,) = [send for send in of_type(Send, rig.wait(ANSWER_MS_MAX)) if isinstance(send.message, ChainRequest)]
    assert third.member not in (request.member, second.member)


def test_a_final_chain_that_covers_an_impossible_batch_halts() -> None:
    """A quorum has finalized what no correct validator votes for."""
    chain = long_chain(2)
    chain.take(chain.build(record_of(BATCH), batch_count=7))
    for _ in range(10):
        chain.extend()
    rig = rig_of()
    (request,) = [send for send in of_type(Send, reveal(rig, chain)) if isinstance(send.message, ChainRequest)]
    effects = rig.hear(request.member, ChainData(Height(1), tuple(chain.blocks), chain.finalization(13)))
    assert of_type(Halt, effects)


def test_a_final_block_a_little_above_ours_is_reached_from_parent_to_parent() -> None:
    """Short gaps need no range."""
    chain = long_chain(3)
    rig = rig_of()
    effects = reveal(rig, chain)
    assert sent(BlockRequest, effects) == [BlockRequest(chain.digests[1])]
    effects = rig.hear(rig.others[0], BlockData(chain.blocks[1]))
    assert sent(BlockRequest, effects) == [BlockRequest(chain.digests[0])]
    effects = rig.hear(rig.others[0], BlockData(chain.blocks[0]))
    assert [len(finalized.blocks) for finalized in of_type(Finalized, effects)] == [3]


def test_the_certificate_may_come_after_the_block() -> None:
    """A block fetched for its notarization is known when it becomes final: the aim is taken then."""
    chain = long_chain(20)
    rig = rig_of()
    rig.hear(rig.others[0], chain.certify(chain.digests[-1], 20, kind=VoteKind.NOTARIZE))
    rig.hear(rig.others[0], BlockData(chain.blocks[-1]))
    assert rig.replica.overview().sync_target is None
    rig.hear(rig.others[0], chain.finalization(20))
    assert rig.replica.overview().sync_target == 20


def test_blocks_found_on_disk_without_all_their_batches_are_fetched_anew() -> None:
    """A crash between two syncs may leave a block whose data are not all here: the core is not told of it."""
    chain = FinalChain(GENESIS)
    first = chain.extend(record_of(BATCH))
    second = chain.extend()
    for held, known in (((), 0), ((record_of(BATCH),), 2)):
        recovered = Recovered(core=CoreRecovered(blocks=(second, first)), held=held)
        rig = rig_of(0, recovered)
        rig.hear(rig.others[0], chain.certify(chain.digests[0], 1, kind=VoteKind.NOTARIZE))
        effects = rig.hear(rig.others[0], chain.finalization(2))
        final = [len(finalized.blocks) for finalized in of_type(Finalized, effects)]
        assert final == ([known] if known else [])


def test_execution_is_told_to_others_and_to_the_core() -> None:
    """A new executed height is news like a new batch."""
    chain = long_chain(1)
    rig = rig_of()
    reveal(rig, chain)
    effects = rig.step(inputs.Executed(Height(1), build_digest("state 1")))
    assert [have.executed_height for have in sent(Have, [*effects, *rig.wait(20)])] == [1]
    assert rig.replica.overview().executed_height == 1


def test_a_judgement_waits_for_execution() -> None:
    """No verdict on a state that we have not reached."""
    chain = long_chain(3)
    rig = rig_of((leader_of(4) + 1) % 4)
    reveal(rig, chain)
    rig.hear(rig.others[0], BlockData(chain.blocks[1]))
    rig.hear(rig.others[0], BlockData(chain.blocks[0]))
    assert rig.replica.overview().final_height == 3
    block = chain.build(
        proposer=ValidatorIndex(leader_of(4)), executed_height=Height(2), state_digest=build_digest("state 2")
    )
    proposal = dataclasses.replace(
        build_proposal(block, parent=chain.finalization(3)), executed_certificate=chain.finalization(3)
    )
    assert votes(rig.hear(VALIDATORS[leader_of(4)], proposal)) == []
    rig.step(inputs.Executed(Height(1), build_digest("state 1")))
    effects = rig.step(inputs.Executed(Height(2), build_digest("state 2")))
    assert votes(effects) == [VoteKind.NOTARIZE]


def test_a_complete_block_stays_though_its_verdict_is_no_longer_awaited() -> None:
    """The core has its body by the certificate and may build on it (found by simulation)."""
    chain = long_chain(3)
    rig = rig_of((leader_of(4) + 1) % 4)
    reveal(rig, chain)
    rig.hear(rig.others[0], BlockData(chain.blocks[1]))
    rig.hear(rig.others[0], BlockData(chain.blocks[0]))
    block = chain.take(
        chain.build(proposer=ValidatorIndex(leader_of(4)), executed_height=Height(2), state_digest=build_digest("2"))
    )
    proposal = dataclasses.replace(
        build_proposal(block, parent=chain.finalization(3)), executed_certificate=chain.finalization(3)
    )
    rig.hear(VALIDATORS[leader_of(4)], proposal)
    for view, digest in ((4, chain.digests[3]), (5, Digest(bytes(32))), (6, Digest(bytes(32)))):
        kind = VoteKind.NOTARIZE if view == 4 else VoteKind.NULLIFY
        rig.hear(rig.others[0], FinalChain(GENESIS).certify(digest, view, kind=kind))
    assert rig.replica._tree.is_complete(chain.digests[3])
    assert [len(final.blocks) for final in of_type(Finalized, rig.hear(rig.others[0], chain.finalization(4)))] == [1]


def test_the_overview_tells_where_a_node_stands() -> None:
    """For people: view, heights, feeds, peers, and how many hold a batch."""
    rig = rig_of()
    rig.give("firm-4", BATCH)
    rig.tell(VALIDATORS[2], BATCH.tip)
    overview = rig.replica.overview()
    assert (overview.view, overview.final_height, overview.executed_height) == (1, 0, 0)
    assert overview.leader == VALIDATORS[leader_of(1)]
    assert [(view.final_seq, view.held_seq) for view in overview.feeds] == [(-1, 0)]
    assert overview.uncut_batches == 1
    assert rig.replica.holders(BATCH.header.feed, 0) >= 1


def test_what_finality_overtakes_is_no_longer_waited_for() -> None:
    """A rival of the final block: being judged without its batch, or asked for and late, it is dropped."""
    rig = follower()
    rival = first_block(BATCH)
    propose(rig, rival)
    late = FinalChain(GENESIS).build(proposer=ValidatorIndex(leader_of(1)), timestamp_ms=GENESIS.created_ms + 77)
    rig.hear(rig.others[0], FinalChain(GENESIS).certify(late.header.digest(), 1, kind=VoteKind.NOTARIZE))
    chain = FinalChain(GENESIS)
    final = chain.take(chain.build(view=View(2), proposer=ValidatorIndex(leader_of(2))))
    rig.hear(rig.others[0], chain.certify(chain.digests[0], 2))
    assert of_type(Finalized, rig.hear(rig.others[0], BlockData(final)))
    assert rig.hear(rig.others[0], BlockData(late)) == ()
    rig.wait(400)
    assert not sent(BatchRequest, rig.wait(3_000))
    assert not rig.replica.is_halted


def test_a_block_on_another_branch_than_the_final_one_is_not_pursued() -> None:
    """Its parent is gone for good: it is neither fetched nor an error."""
    rig = rig_of()
    chain = FinalChain(GENESIS)
    final = chain.take(chain.build(timestamp_ms=GENESIS.created_ms + 5))
    rig.hear(rig.others[0], chain.finalization(1))
    rig.hear(rig.others[0], BlockData(final))
    other = long_chain(2)
    digest = other.digests[1]
    rig.replica._bodies.want_body(digest, ())
    rig.wait(10)
    effects = rig.hear(rig.others[0], BlockData(other.blocks[1]))
    assert not sent(BlockRequest, effects)
    assert digest not in rig.replica._bodies.wanted


def test_what_was_left_to_chain_sync_is_taken_up_when_it_is_over() -> None:
    """A notarized block above the range: its parents are fetched once the range is final."""
    chain = long_chain(12)
    rig = rig_of()
    (request,) = [send for send in of_type(Send, reveal(rig, chain)) if isinstance(send.message, ChainRequest)]
    first, second = chain.extend(), chain.extend()
    rig.hear(rig.others[0], chain.certify(chain.digests[13], 14, kind=VoteKind.NOTARIZE))
    assert not sent(BlockRequest, rig.hear(rig.others[0], BlockData(second)))
    effects = rig.hear(request.member, ChainData(Height(1), tuple(chain.blocks[:12]), chain.finalization(12)))
    assert sent(BlockRequest, effects) == [BlockRequest(chain.digests[12])]
    rig.hear(rig.others[0], BlockData(first))
    assert [len(final.blocks) for final in of_type(Finalized, rig.hear(rig.others[0], chain.finalization(14)))] == [2]


# Sessions without a known key, and epochs that are not open here.


def test_from_a_peer_whose_key_nobody_knows_only_what_proves_itself_is_taken() -> None:
    """T-52: certificates, blocks, batches and ranges; nothing is served to it, and no word of it counts."""
    rig = rig_of()
    stranger = MemberId("stranger")
    for forbidden in (BlockRequest(BATCH.digest), ChainRequest(Height(1), Height(2)), Have(Height(9), (BATCH.tip,))):
        assert rig.hear(stranger, forbidden) == ()
    effects = rig.step(inputs.PeerUp(stranger, is_sync_only=True))
    assert [send.member for send in of_type(Send, effects) if isinstance(send.message, StatusReport)] == [stranger]
    for forbidden in (BlockRequest(BATCH.digest), ChainRequest(Height(1), Height(2)), Have(Height(9), (BATCH.tip,))):
        assert rig.hear(stranger, forbidden) == ()
    vote = build_vote(0, VoteKind.NULLIFY, 1, ZERO_DIGEST)
    assert rig.hear(stranger, vote) == ()
    block = first_block()
    certificate = FinalChain(GENESIS).certify(block.header.digest(), 1)
    asked = sent(BlockRequest, rig.hear(stranger, certificate))
    assert asked == [BlockRequest(block.header.digest())]
    assert of_type(Finalized, rig.hear(stranger, BlockData(block)))
    assert rig.replica.overview().peers[-1] == stranger
    rig.step(inputs.PeerDown(stranger))
    assert stranger not in rig.replica.overview().peers
    assert rig.hear(stranger, certificate) == ()


def test_a_member_may_be_met_without_its_key_though_it_votes() -> None:
    """Its session counts for nothing but data: it might be anybody."""
    rig = rig_of()
    other = rig.others[0]
    rig.step(inputs.PeerDown(other))
    effects = rig.step(inputs.PeerUp(other, is_sync_only=True))
    assert len(sent(StatusReport, effects)) == 1
    index = VALIDATORS.index(other)
    assert rig.hear(other, build_vote(index, VoteKind.NULLIFY, 1, ZERO_DIGEST)) == ()
    rig.step(inputs.PeerDown(other))
    rig.step(inputs.PeerUp(other))
    status = Status(Epoch(0), View(1), View(0), Height(0), View(0))
    rig.hear(other, StatusReport(status, Height(0), (BATCH.tip,), NONCE, 0))
    assert rig.replica.overview().peers == tuple(sorted(rig.others))


def test_whoever_speaks_of_an_epoch_that_is_not_open_here_is_told_or_left_alone() -> None:
    """Of a later one nothing can be judged; nothing is over here yet, so nobody can be told how it ended."""
    rig = rig_of()
    other = rig.others[0]
    index = VALIDATORS.index(other)
    later = Subject(VoteKind.NULLIFY, Epoch(1), View(1), View(0), Digest(bytes(32)))
    signature = fake_signature(index, vote_signing_bytes(GENESIS.network_id, later))
    for message in (Vote(later, ValidatorIndex(index), signature), CertificateRequest(Epoch(1), View(1), View(2))):
        assert rig.hear(other, message) == ()
    assert rig.hear(other, Rejoin(Epoch(1), NONCE)) == ()


def test_a_node_that_has_started_is_told_what_is_known_of_it() -> None:
    """Its newest vote, its feed's tips, the highest certificate, and whether another process has its key."""
    rig = rig_of()
    other = rig.others[0]
    index = VALIDATORS.index(other)
    vote = build_vote(index, VoteKind.NULLIFY, 1, ZERO_DIGEST)
    rig.hear(other, vote)
    batch = build_batch(GENESIS, build_transaction(GENESIS, member=other), member=other)
    rig.give(other, batch)
    (answer,) = sent(RejoinAnswer, rig.hear(other, Rejoin(Epoch(0), b"1" * 16)))
    assert answer == RejoinAnswer(Epoch(0), b"1" * 16, None, vote, (batch.tip,), (), other_boot=False)
    (answer,) = sent(RejoinAnswer, rig.hear(other, Rejoin(Epoch(0), b"2" * 16)))
    assert answer.other_boot
    (answer,) = sent(RejoinAnswer, rig.hear("firm-5", Rejoin(Epoch(0), b"3" * 16)))
    assert (answer.vote, answer.tips) == (None, ())
    asked = [sent(RejoinAnswer, rig.hear(other, Rejoin(Epoch(0), b"4" * 16))) for _ in range(20)]
    assert not asked[-1], "it has a budget"


def test_a_node_that_has_forgotten_what_it_knew_answers_nobody() -> None:
    """Its answer would count for one that knows."""
    rig = ReplicaRig(VALIDATORS[0], genesis=GENESIS, recovered=Recovered(loss=Loss(Epoch(0))), listens=True)
    assert rig.hear(rig.others[0], Rejoin(Epoch(0), b"1" * 16)) == ()


def test_a_node_whose_member_has_another_key_by_now_only_follows() -> None:
    """The node with the next key votes and seals; this one says so."""
    setup = ReplicaSetup(GENESIS, MemberId("firm-0"), NONCE, Timing(), node_key=build_key("old").public_key)
    replica = Replica(
        setup, Recovered(), signer=build_key("old"), verifiers=lambda _: FakeVerifier(), now_ms=0, wall_ms=0
    )
    replica.step(inputs.Started(), 0, 0)
    effects = replica.step(inputs.Submitted(1, (build_transaction(GENESIS),)), 1, 1)
    assert [refused.code for refused in of_type(Refused, effects)] == ["observer"]
    assert "another node key" in str(replica.overview().waiting_for)
