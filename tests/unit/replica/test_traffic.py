"""Batches in and out of one replica: sealing, taking, asking, telling."""

import dataclasses
from collections.abc import Iterable

from consensus.messages import Status, Subject, Vote, VoteKind
from consensus.scheme import vote_signing_bytes
from consensus.timing import Timing
from consensus.types import ZERO_DIGEST, Digest, Epoch, Height, ValidatorIndex, View
from node.feed.records import CheckedCopy, CopyVerdict, record_of
from node.ledger.batch import SEAL_DELAY_MS, Batch
from node.replica import inputs
from node.replica.effects import (
    Accepted,
    Alarm,
    Broadcast,
    CheckBatch,
    Effect,
    LogBatch,
    Refused,
    ReportEvidence,
    ReportFault,
    Send,
    ServeBatch,
    StoreBatch,
)
from node.replica.recovered import Recovered
from node.replica.traffic import (
    CHASE_DELAY_MS,
    CHASE_MS_MAX,
    CHASES_PER_MEMBER_MAX,
    HAVE_DELAY_MS,
    REPEAT_AGAIN_MS,
    REPEAT_GAP,
    REPEAT_WINDOW,
)
from node.wire.ids import FeedTip, MemberId
from node.wire.messages import BatchData, BatchRequest, BlockData, ChainRequest, Have, StatusReport
from tests.support.fake_keys import fake_signature
from tests.support.feeds import build_tip
from tests.support.final_chain import FinalChain
from tests.support.networks import build_batch, build_genesis, build_key, build_transaction
from tests.support.replica_rig import NONCE, ReplicaRig, of_type, sent

GENESIS = build_genesis(members=1, observers=1)


def chain_of(member: str, length: int, *, start: int = 0, previous: Digest = ZERO_DIGEST) -> list[Batch]:
    """So many linked batches of a member."""
    batches: list[Batch] = []
    for seq in range(start, start + length):
        transaction = build_transaction(GENESIS, member=member, nonce=seq)
        previous = batches[-1].digest if batches else previous
        batches.append(build_batch(GENESIS, transaction, member=member, seq=seq, previous=previous))
    return batches


def requested(effects: list[Effect] | tuple[Effect, ...]) -> list[FeedTip]:
    """The batches asked for."""
    return [request.tip for request in sent(BatchRequest, effects)]


def position(kind: type[object], effects: tuple[Effect, ...]) -> int:
    """Where the first effect of a kind stands."""
    return next(place for place, effect in enumerate(effects) if isinstance(effect, kind))


def test_a_submission_is_durable_then_recorded_then_sent_then_accepted() -> None:
    """Safety: the order of effects is the contract."""
    rig = ReplicaRig()
    transaction = build_transaction(GENESIS)
    effects = rig.step(inputs.Submitted(7, (transaction,)))
    batch = of_type(StoreBatch, effects)[0].batch
    assert batch.transactions == (transaction,)
    assert of_type(LogBatch, effects) == [LogBatch(batch.tip)]
    assert sent(BatchData, effects) == [BatchData(batch.encoded)]
    assert of_type(Accepted, effects) == [Accepted(7, batch.tip)]
    order = [position(kind, effects) for kind in (StoreBatch, LogBatch, Broadcast, Accepted)]
    assert order == sorted(order)
    assert sent(Have, effects) == [Have(Height(0), (batch.tip,))]


def test_a_stream_of_submissions_shares_batches() -> None:
    """The second batch waits for the rest of its delay and takes all that has come."""
    rig = ReplicaRig()
    rig.step(inputs.Submitted(1, (build_transaction(GENESIS, nonce=1),)))
    for token in range(2, 12):
        rig.now_ms += 1
        assert not of_type(StoreBatch, rig.step(inputs.Submitted(token, (build_transaction(GENESIS, nonce=token),))))
    effects = rig.wait(30)
    assert [len(stored.batch.transactions) for stored in of_type(StoreBatch, effects)] == [10]
    assert [accepted.token for accepted in of_type(Accepted, effects)] == list(range(2, 12))


def test_an_observer_and_a_stopping_node_refuse_submissions() -> None:
    """Each with its code; what waits when the node stops is sealed at once."""
    observer = ReplicaRig("firm-5")
    effects = observer.step(inputs.Submitted(1, (build_transaction(GENESIS, member="firm-5"),)))
    assert [(refused.token, refused.code) for refused in of_type(Refused, effects)] == [(1, "observer")]
    rig = ReplicaRig()
    rig.step(inputs.Submitted(1, (build_transaction(GENESIS, nonce=1),)))
    rig.step(inputs.Submitted(2, (build_transaction(GENESIS, nonce=2),)))
    assert [accepted.token for accepted in of_type(Accepted, rig.step(inputs.Shutdown()))] == [2]
    assert [refused.code for refused in of_type(Refused, rig.step(inputs.Submitted(3, ())))] == ["stopping"]
    assert [refused.code for refused in of_type(Refused, ReplicaRig().step(inputs.Submitted(3, ())))] == ["too_large"]


def test_a_pushed_batch_is_checked_then_stored_then_told() -> None:
    """Nothing is acknowledged before it is durable, and nothing is stored before it is checked."""
    rig = ReplicaRig()
    (batch,) = chain_of("firm-1", 1)
    effects = rig.hear("firm-1", BatchData(batch.encoded))
    assert of_type(CheckBatch, effects) == [CheckBatch(batch.digest, batch.encoded, build_key("firm-1").public_key)]
    assert not of_type(StoreBatch, effects)
    assert not of_type(CheckBatch, rig.hear("firm-2", BatchData(batch.encoded)))
    after = tuple(rig.check(effects))
    assert of_type(StoreBatch, after) == [StoreBatch(batch)]
    assert sent(Have, after) == [Have(Height(0), (batch.tip,))]
    assert position(StoreBatch, after) < position(Broadcast, after)
    assert not of_type(CheckBatch, rig.hear("firm-2", BatchData(batch.encoded)))


def test_what_is_held_is_told_at_once_and_then_no_more_than_so_often() -> None:
    """Coalesced under load; nothing is told twice."""
    rig = ReplicaRig()
    batches = chain_of("firm-1", 3)
    assert sent(Have, rig.give("firm-1", batches[0]))
    assert not sent(Have, rig.give("firm-1", batches[1]))
    assert not sent(Have, rig.give("firm-1", batches[2]))
    assert sent(Have, rig.wait(HAVE_DELAY_MS)) == [Have(Height(0), (batches[2].tip,))]
    assert not sent(Have, rig.wait(100))


def test_bytes_that_are_no_batch_of_this_network_are_the_senders_fault() -> None:
    """Undecodable, or of another network."""
    rig = ReplicaRig()
    other = build_batch(build_genesis(validators=3), build_transaction(build_genesis(validators=3)))
    for encoded in (b"\x00", other.encoded):
        (fault,) = of_type(ReportFault, rig.hear("firm-2", BatchData(encoded)))
        assert (fault.member, fault.provable) == ("firm-2", True)


def test_a_batch_of_a_feed_that_does_not_exist_here_is_left_aside() -> None:
    """T-47: its sender may be in another epoch than we are; nobody is to blame, and nothing is kept."""
    rig = ReplicaRig()
    observer = build_batch(GENESIS, build_transaction(GENESIS, member="firm-5"), member="firm-5")
    assert rig.hear("firm-2", BatchData(observer.encoded)) == ()


def test_a_gap_is_not_taken_but_chased_from_what_others_hold() -> None:
    """The have-vector names the tip; the links name what is below; hints are asked first, after a moment."""
    rig = ReplicaRig()
    batches = chain_of("firm-1", 3)
    assert not of_type(CheckBatch, rig.hear("firm-1", BatchData(batches[2].encoded)))
    assert requested(rig.tell("firm-2", batches[2].tip)) == []
    effects = rig.wait(CHASE_DELAY_MS)
    assert requested(effects) == [batches[2].tip]
    assert [send.member for send in of_type(Send, effects) if isinstance(send.message, BatchRequest)] == ["firm-2"]
    assert requested(rig.give("firm-2", batches[2])) == [batches[1].tip]
    assert requested(rig.give("firm-2", batches[1])) == [batches[0].tip]
    effects = [*rig.give("firm-2", batches[0]), *rig.wait(HAVE_DELAY_MS)]
    assert sent(Have, effects) == [Have(Height(0), (batches[2].tip,))]


def test_behind_a_gap_that_is_closed_the_next_one_is_chased_at_once() -> None:
    """After losses a feed has many gaps: waiting for the next status after each of them took a network a minute."""
    rig = ReplicaRig()
    batches = chain_of("firm-1", 6)
    rig.tell("firm-2", batches[2].tip)
    rig.wait(CHASE_DELAY_MS)
    assert requested(rig.give("firm-2", batches[2])) == [batches[1].tip]
    # Nobody answers, so it is given up.
    rig.wait(2 * CHASE_MS_MAX)
    rig.tell("firm-2", batches[4].tip)
    rig.wait(CHASE_DELAY_MS)
    assert requested(rig.give("firm-2", batches[4])) == [batches[3].tip]
    assert requested(rig.give("firm-2", batches[3])) == [batches[1].tip], "batch 2 is here and floats"


def repeated(effects: Iterable[Effect]) -> list[tuple[str, int]]:
    """To whom which of our own batches are sent again."""
    return [(serve.member, serve.tip.seq) for serve in of_type(ServeBatch, effects)]


def test_a_member_that_lacks_a_long_stretch_of_our_feed_is_given_it_from_below() -> None:
    """It would not fetch what is far above its tip, and links lead down only; a window at a time, and not twice."""
    rig = ReplicaRig()
    tips = []
    for number in range(REPEAT_GAP + REPEAT_WINDOW + 2):
        (stored,) = of_type(
            StoreBatch,
            [
                *rig.step(inputs.Submitted(number, (build_transaction(GENESIS, nonce=number),))),
                *rig.wait(SEAL_DELAY_MS),
            ],
        )
        tips.append(stored.batch.tip)
    first = [("firm-2", seq) for seq in range(REPEAT_WINDOW)]
    report = StatusReport(Status(Epoch(0), View(1), View(0), Height(0), View(0)), Height(0), (), NONCE, rig.wall_ms)
    assert repeated(rig.hear("firm-2", report)) == first, "it holds nothing of ours, as its status says"
    assert repeated(rig.tell("firm-2", tips[5])) == [], "the window is still on its way"
    second = [("firm-2", seq) for seq in range(REPEAT_WINDOW, 2 * REPEAT_WINDOW)]
    assert repeated(rig.tell("firm-2", tips[REPEAT_WINDOW - 1])) == second[: len(tips)]
    rig.wait(REPEAT_AGAIN_MS)
    assert repeated(rig.tell("firm-2", tips[5]))[0] == ("firm-2", 6), "the window was lost"
    near = tips[-1 - REPEAT_GAP]
    assert repeated(rig.tell("firm-2", near)) == [], "so many may be on their way"
    assert repeated(rig.tell("firm-2")) == [], "a have-vector that does not name our feed says nothing of it"


def test_what_nobody_has_after_all_is_given_up_until_it_is_named_again() -> None:
    """A have-vector is no proof that a batch exists."""
    rig = ReplicaRig()
    bogus = build_tip(0, "bogus", member="firm-1")
    rig.tell("firm-2", bogus)
    assert requested(rig.wait(CHASE_MS_MAX + 10_000))
    assert requested(rig.wait(20_000)) == []
    rig.tell("firm-2", bogus)
    assert requested(rig.wait(CHASE_DELAY_MS)) == [bogus]
    assert requested(rig.tell("firm-2", build_tip(0, "x", member="stranger"))) == []
    assert requested(rig.wait(50)) == []


def test_one_member_makes_us_try_for_so_many_batches_at_once() -> None:
    """T-37: it names as many as it likes; what others say is tried for all the same."""
    rig = ReplicaRig()
    for number in range(200):
        rig.tell("firm-2", build_tip(0, f"bogus {number}", member="firm-1"))
    assert rig.replica._fetcher.want_count == CHASES_PER_MEMBER_MAX
    rig.tell("firm-3", build_tip(0, "other", member="firm-1"))
    assert rig.replica._fetcher.want_count == CHASES_PER_MEMBER_MAX + 1
    rig.wait(CHASE_MS_MAX + 10_000)
    assert rig.replica._fetcher.want_count == 0
    rig.tell("firm-2", build_tip(0, "again", member="firm-1"))
    assert rig.replica._fetcher.want_count == 1


def test_a_bad_copy_is_the_senders_fault_and_another_one_is_asked_for() -> None:
    """The digest may still be good."""
    rig = ReplicaRig()
    (batch,) = chain_of("firm-1", 1)
    rig.tell("firm-2", batch.tip)
    rig.wait(CHASE_DELAY_MS)
    fields = bytearray(batch.encoded)
    fields[-3] ^= 1
    effects = rig.give("firm-2", dataclasses.replace(batch, encoded=bytes(fields)))
    assert [fault.member for fault in of_type(ReportFault, effects)] == ["firm-2"]
    assert requested(effects) == [batch.tip]
    assert of_type(StoreBatch, rig.give("firm-3", batch)) == [StoreBatch(batch)]


def test_an_invalid_batch_is_its_members_fault_and_never_told() -> None:
    """Signed by the node and wrong: the feed stands still, no copy is fetched any more."""
    rig = ReplicaRig()
    forged = dataclasses.replace(
        build_transaction(GENESIS, member="firm-1", actor=build_key("actor-1")), signature=bytes(64)
    )
    batch = build_batch(GENESIS, forged, member="firm-1")
    effects = rig.give("firm-2", batch)
    assert [(fault.member, fault.provable) for fault in of_type(ReportFault, effects)] == [("firm-1", True)]
    assert len(of_type(Alarm, effects)) == 1
    assert not sent(Have, [*effects, *rig.wait(100)])
    assert not of_type(CheckBatch, rig.hear("firm-3", BatchData(batch.encoded)))


def test_answers_of_checks_that_nobody_waits_for_change_nothing() -> None:
    """A driver's late answer."""
    (batch,) = chain_of("firm-1", 1)
    assert ReplicaRig().step(inputs.BatchChecked(batch.digest, CheckedCopy(CopyVerdict.GOOD, batch, ""))) == ()


def test_two_batches_of_one_seq_are_evidence_against_the_member() -> None:
    """Both are kept, both tips are told."""
    rig = ReplicaRig()
    (batch,) = chain_of("firm-1", 1)
    rival = build_batch(GENESIS, build_transaction(GENESIS, member="firm-1", nonce=77), member="firm-1")
    rig.give("firm-1", batch)
    effects = rig.give("firm-2", rival)
    assert of_type(ReportEvidence, effects) == [ReportEvidence(batch.header.feed.member, batch.tip, rival.tip)]
    told = sent(Have, [*effects, *rig.wait(HAVE_DELAY_MS)])
    assert {tip.digest for tip in told[-1].have} == {batch.digest, rival.digest}


# Our own feed after a restart.


def restart(*held: Batch, logged: FeedTip | None = None, final: FeedTip | None = None) -> ReplicaRig:
    """A node that finds these batches of its own feed on disk."""
    return ReplicaRig(
        recovered=Recovered(
            held=tuple(record_of(batch) for batch in held),
            own_logged=logged,
            final_tips=() if final is None else (final,),
        )
    )


def next_batch(rig: ReplicaRig) -> Batch | None:
    """What the next submission is sealed into; None if it is refused."""
    effects = rig.step(inputs.Submitted(1, (build_transaction(GENESIS, nonce=99),)))
    stored = of_type(StoreBatch, effects)
    assert bool(stored) != bool(of_type(Refused, effects))
    return stored[0].batch if stored else None


def test_a_batch_that_was_stored_but_not_recorded_is_recorded_and_told() -> None:
    """After a crash between the two syncs: the same bytes, never another batch of its seq."""
    batches = chain_of("firm-0", 2)
    rig = restart(*batches, logged=batches[0].tip)
    assert of_type(LogBatch, rig.first) == [LogBatch(batches[1].tip)]
    assert position(LogBatch, rig.first) < position(Broadcast, rig.first)
    assert sent(StatusReport, rig.first)[0].have == (batches[1].tip,)
    batch = next_batch(rig)
    assert batch is not None
    assert (batch.header.seq, batch.header.previous) == (2, batches[1].digest)


def test_a_feed_goes_on_after_its_recorded_end() -> None:
    """Nothing to mend: held, or final already."""
    batches = chain_of("firm-0", 2)
    for rig in (restart(*batches, logged=batches[1].tip), restart(logged=batches[1].tip, final=batches[1].tip)):
        assert not of_type(LogBatch, rig.first)
        batch = next_batch(rig)
        assert batch is not None
        assert (batch.header.seq, batch.header.previous) == (2, batches[1].digest)


def test_a_record_without_its_batch_is_fetched_before_anything_is_sealed() -> None:
    """It was sent to somebody: a second batch of its seq would be a fork."""
    batches = chain_of("firm-0", 3)
    rig = restart(batches[0], logged=batches[2].tip)
    assert of_type(Alarm, rig.first)
    assert next_batch(rig) is None
    assert requested(rig.give("firm-2", batches[2])) == [batches[1].tip]
    assert next_batch(rig) is None
    rig.give("firm-2", batches[1])
    batch = next_batch(rig)
    assert batch is not None
    assert (batch.header.seq, batch.header.previous) == (3, batches[2].digest)


def test_a_forked_or_foreign_own_feed_is_lost() -> None:
    """Another process used our key, or the disk is another one: nothing is sealed, the operator is told."""
    batches = chain_of("firm-0", 1)
    rival = build_batch(GENESIS, build_transaction(GENESIS, nonce=77))
    for rig in (restart(batches[0], rival), restart(batches[0], logged=rival.tip)):
        assert of_type(Alarm, rig.first)
        assert next_batch(rig) is None


def test_a_batch_of_our_own_feed_that_is_not_ours_stops_sealing() -> None:
    """The store was rolled back beneath us: others hold what we no longer know."""
    batches = chain_of("firm-0", 2)
    rig = ReplicaRig()
    effects = rig.give("firm-1", batches[0])
    assert any("not ours" in alarm.why for alarm in of_type(Alarm, effects))
    assert next_batch(rig) is None
    again = ReplicaRig()
    again.step(inputs.Submitted(1, (build_transaction(GENESIS, nonce=5),)))
    assert of_type(ReportEvidence, again.give("firm-1", batches[0]))
    assert next_batch(again) is None


def test_a_status_tells_everything_and_is_read_like_a_have_vector() -> None:
    """What a node holds travels in every status, with its clock and its boot nonce."""
    rig = ReplicaRig()
    batches = chain_of("firm-1", 1)
    rig.give("firm-1", batches[0])
    (report,) = sent(StatusReport, rig.wait(2_600))[:1]
    assert report.have == (batches[0].tip,)
    assert (report.boot_nonce, report.executed_height) == (NONCE, 0)
    tip = build_tip(0, "unknown", member="firm-2")
    status = Status(Epoch(0), View(1), View(0), Height(0), View(0))
    rig.hear("firm-2", StatusReport(status, Height(0), (tip,), NONCE, rig.wall_ms))
    assert requested(rig.wait(CHASE_DELAY_MS)) == [tip]


def test_a_loss_found_while_the_chain_is_caught_up_with_stops_our_feed_until_others_have_told_its_end() -> None:
    """T-49: a forgotten batch that comes by itself does not set it going: the end may be above it."""
    batches = chain_of("firm-0", 3)
    rig = ReplicaRig(
        genesis=GENESIS,
        recovered=Recovered(held=(record_of(batches[0]),), own_logged=batches[0].tip),
        listens=True,
    )
    rig.wait(Timing().skip_ms)
    assert rig.replica.overview().waiting_for is None
    chain = FinalChain(GENESIS)
    for _ in range(10):
        chain.extend()
    other = rig.others[0]
    rig.hear(other, chain.finalization(10))
    assert sent(ChainRequest, rig.hear(other, BlockData(chain.blocks[-1])))
    forgotten = Subject(VoteKind.NULLIFY, Epoch(0), View(40), View(0), ZERO_DIGEST)
    own = GENESIS.roster.validators.index(MemberId("firm-0"))
    vote = Vote(forgotten, ValidatorIndex(own), fake_signature(own, vote_signing_bytes(GENESIS.network_id, forgotten)))
    effects = rig.answer(other, vote=vote)
    assert any("the vote log is older" in alarm.why for alarm in of_type(Alarm, effects))
    assert next_batch(rig) is None
    rig.tell(other, batches[2].tip)
    assert requested(rig.wait(CHASE_DELAY_MS)) == [batches[2].tip]
    rig.give(other, batches[2])
    assert next_batch(rig) is None
