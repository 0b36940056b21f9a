"""node.replica.rejoin, boots and told: what is asked, what counts, and when a node may vote and seal again."""

import pytest

from consensus.certificates import Notary
from consensus.messages import Certificate, Subject, Vote, VoteKind
from consensus.quorum import quorum_size
from consensus.recovery import GUARD_CLOSED, NO_GUARD
from consensus.scheme import vote_signing_bytes
from consensus.timing import Timing
from consensus.types import ZERO_DIGEST, Digest, Epoch, ValidatorIndex, View
from node.feed.branches import FeedBranches
from node.feed.records import record_of
from node.ledger.genesis import Genesis
from node.replica.boots import NONCES_MAX, Boots
from node.replica.effects import Alarm, Effect, LogLoss, ReportFault, Send
from node.replica.fetching import Fetcher
from node.replica.membership import Membership
from node.replica.moment import Moment
from node.replica.rejoin import ASK_AGAIN_MS, GUARD_ABOVE, Rejoining, Told
from node.replica.told import TOLD_MS_MAX, ToldBatches
from node.wire.ids import FeedTip, MemberId, Seq
from node.wire.logged import Loss
from node.wire.messages import Rejoin, RejoinAnswer
from tests.support.fake_keys import FakeVerifier, fake_signature
from tests.support.feeds import build_digest
from tests.support.networks import build_batch, build_genesis, build_transaction
from tests.support.replica_rig import of_type

NONCE, OTHER_NONCE = b"n" * 16, b"o" * 16
TIMING = Timing()
FIRST = FeedTip(build_genesis().roster.members[MemberId("firm-0")].feed, Seq(3), build_digest("3"))


def sign(genesis: Genesis, subject: Subject, signer: int) -> bytes:
    return fake_signature(signer, vote_signing_bytes(genesis.network_id, subject))


class Rig:
    """What a node asks, in a network of so many validators; it is the one with index 0."""

    def __init__(
        self,
        *,
        validators: int = 4,
        loss: Loss | None = None,
        is_decided: bool = False,
        votes: tuple[Vote, ...] = (),
        own: str | None = None,
    ) -> None:
        self.genesis = build_genesis(validators=validators, observers=1)
        roster = self.genesis.roster
        self.membership = Membership(roster, MemberId(own or roster.validators[0]))
        self.others = self.membership.others
        self.moment = Moment(0, 0)
        self.rejoining = Rejoining(
            self.moment, nonce=NONCE, timing=TIMING, loss=loss, logged_epoch=Epoch(0), is_decided=is_decided
        )
        self.enter(0, votes=votes)
        self.rejoining.start()
        self.up: dict[MemberId, None] = dict.fromkeys(self.others)

    def enter(self, epoch: int, *, is_covered: bool = False, votes: tuple[Vote, ...] = ()) -> list[Effect]:
        """Begin an epoch of the same validators."""
        notary = Notary(self.genesis.network_id, Epoch(epoch), len(self.membership.validators), FakeVerifier())
        self.epoch = epoch
        self.rejoining.enter(self.membership, notary, epoch=Epoch(epoch), votes=votes, is_covered=is_covered)
        return self.taken()

    def taken(self) -> list[Effect]:
        """What it asked for since the last call."""
        out, self.moment.out = self.moment.out, []
        return out

    def ask(self) -> list[MemberId]:
        """Whom it asks now."""
        self.rejoining.ask(self.up)
        return [send.member for send in of_type(Send, self.taken()) if isinstance(send.message, Rejoin)]

    def vote(self, view: int, *, signer: int = 0, kind: VoteKind = VoteKind.NULLIFY) -> Vote:
        """A vote of a validator, of this node if not told."""
        subject = Subject(kind, Epoch(self.epoch), View(view), View(0), ZERO_DIGEST)
        return Vote(subject, ValidatorIndex(signer), sign(self.genesis, subject, signer))

    def certificate(self, view: int, *, forged: bool = False) -> Certificate:
        """A nullification of a view."""
        subject = Subject(VoteKind.NULLIFY, Epoch(self.epoch), View(view), View(0), ZERO_DIGEST)
        count = quorum_size(len(self.membership.validators))
        return Certificate(
            subject,
            tuple((ValidatorIndex(n), bytes(64) if forged else sign(self.genesis, subject, n)) for n in range(count)),
        )

    def answer(
        self,
        number: int,
        *,
        view: int = 0,
        vote: Vote | None = None,
        other_boot: bool = False,
        final_view: int = 0,
        forged: bool = False,
    ) -> bool:
        """One of the others answers."""
        certificate = self.certificate(view, forged=forged) if view else None
        answer = RejoinAnswer(Epoch(self.epoch), NONCE, certificate, vote, (), (), other_boot)
        return self.rejoining.take(self.others[number], answer, View(final_view))

    def advance(self, certified: int = 0) -> View | None:
        """The guard, if it has changed."""
        return self.rejoining.advance(View(certified))


def test_a_node_with_an_intact_log_listens_until_all_have_answered() -> None:
    """Less than its time: then nobody is left who could know more."""
    rig = Rig()
    assert rig.rejoining.guard == GUARD_CLOSED
    assert rig.ask() == list(rig.others)
    for number in range(3):
        assert rig.advance() is None
        rig.answer(number)
    assert rig.advance() == NO_GUARD
    assert rig.rejoining.is_settled
    assert rig.ask() == []
    assert rig.rejoining.deadline_ms() is None


def test_a_node_with_an_intact_log_waits_no_longer_than_it_listens() -> None:
    """Whoever is silent is asked again each second, and then left alone."""
    rig = Rig()
    rig.ask()
    rig.answer(0)
    assert rig.ask() == []
    rig.moment.now_ms = ASK_AGAIN_MS
    assert rig.ask() == list(rig.others[1:])
    rig.rejoining.forget(rig.others[1])
    assert rig.ask() == [rig.others[1]]
    rig.moment.now_ms = TIMING.skip_ms - 1
    assert rig.advance() is None
    assert "a few seconds" in str(rig.rejoining.waiting_for())
    rig.moment.now_ms = TIMING.skip_ms
    assert rig.advance() == NO_GUARD
    assert rig.rejoining.waiting_for() is None


def test_nobody_is_asked_by_a_node_that_can_say_nothing_twice() -> None:
    """An observer, and a validator alone."""
    observer = Rig(own="firm-4")
    assert observer.advance() == NO_GUARD
    assert observer.ask() == []
    assert Rig(validators=1).advance() == NO_GUARD


def test_another_process_is_believed_in_when_more_than_the_faulty_hear_it() -> None:
    """One liar keeps nobody silent; f + 1 do, with an alarm, until they hear it no longer."""
    rig = Rig()
    rig.ask()
    for number in range(3):
        rig.answer(number, other_boot=number == 0)
    assert rig.advance() is None, "it is asked again while it listens"
    rig.moment.now_ms = ASK_AGAIN_MS
    assert rig.ask() == [rig.others[0]]
    rig.moment.now_ms = TIMING.skip_ms
    assert rig.advance() == NO_GUARD
    rig = Rig()
    rig.ask()
    for number in range(3):
        rig.answer(number, other_boot=number < 2)
    rig.moment.now_ms = TIMING.skip_ms
    assert rig.advance() is None
    assert rig.advance() is None
    assert len(of_type(Alarm, rig.taken())) == 1
    assert "another process" in str(rig.rejoining.waiting_for())
    rig.answer(1)
    assert rig.advance() == NO_GUARD


def test_after_a_loss_n_minus_f_others_give_the_guard() -> None:
    """The highest certified view of any of them, and two above; it is on record before anything is voted."""
    rig = Rig(loss=Loss(Epoch(0)))
    rig.moment.now_ms = TIMING.skip_ms
    rig.ask()
    assert rig.answer(0, view=4)
    assert rig.answer(1, view=9)
    assert rig.advance() is None
    assert "2 have answered, of epoch 0; not yet firm-" in str(rig.rejoining.waiting_for())
    assert not rig.answer(2)
    assert rig.advance(certified=3) == 9 + GUARD_ABOVE
    assert of_type(LogLoss, rig.taken()) == [LogLoss(Loss(Epoch(0), View(11)))]
    assert rig.rejoining.guard == 11
    assert rig.rejoining.is_feed_lost
    assert rig.advance() is None


def test_what_the_node_itself_holds_raises_the_guard_too() -> None:
    """No certificate at all is the anchor, which counts as view 0."""
    for certified in (0, 20):
        rig = Rig(loss=Loss(Epoch(0)))
        rig.moment.now_ms = TIMING.skip_ms
        rig.ask()
        for number in range(3):
            rig.answer(number)
        assert rig.advance(certified) == certified + GUARD_ABOVE


def test_a_guard_on_record_is_taken_up_without_asking_for_it_again() -> None:
    """A second crash in the same epoch asks nobody but for what else they heard."""
    rig = Rig(loss=Loss(Epoch(0), View(7), FIRST))
    rig.moment.now_ms = TIMING.skip_ms
    assert rig.advance() == 7
    assert rig.rejoining.is_settled


def test_each_epoch_is_asked_in_until_one_begins_above_a_batch_sealed_since() -> None:
    """From there on no old vote can exist; a first batch on a feed that has ended does not count."""
    own = FIRST.feed
    rig = Rig(loss=Loss(Epoch(0), View(7), FIRST), own="firm-0")
    assert rig.membership.own_feed == own
    rig.moment.now_ms = TIMING.skip_ms
    rig.advance()
    rig.taken()
    assert of_type(LogLoss, rig.enter(1)) == [LogLoss(Loss(Epoch(1), None, FIRST))]
    assert rig.rejoining.guard == GUARD_CLOSED
    assert rig.advance() is None
    rig.ask()
    for number in range(3):
        rig.answer(number)
    assert rig.advance() == GUARD_ABOVE
    assert of_type(LogLoss, rig.enter(2, is_covered=True))[-1] == LogLoss(Loss(Epoch(2), None, FIRST, is_over=True))
    assert (rig.rejoining.loss, rig.rejoining.guard) == (None, NO_GUARD)
    elsewhere = FeedTip(type(own)(own.member, type(own.number)(7)), FIRST.seq, FIRST.digest)
    rig = Rig(loss=Loss(Epoch(0), View(7), elsewhere), own="firm-0")
    assert of_type(LogLoss, rig.enter(1)) == [LogLoss(Loss(Epoch(1)))]
    assert Rig(loss=Loss(Epoch(0), is_over=True)).rejoining.loss is None


def test_the_first_batch_sealed_after_a_loss_is_put_on_record() -> None:
    """Once: it is what says later that the loss is over."""
    rig = Rig(loss=Loss(Epoch(0), View(7)))
    rig.rejoining.note_sealed(FIRST)
    rig.rejoining.note_sealed(FeedTip(FIRST.feed, Seq(4), build_digest("4")))
    assert of_type(LogLoss, rig.taken()) == [LogLoss(Loss(Epoch(0), View(7), FIRST))]


def test_an_answer_that_does_not_hold_is_its_senders_fault_and_counts_for_nothing() -> None:
    """A certificate that does not verify, a vote of somebody else, or of ours under another's signature."""
    rig = Rig(loss=Loss(Epoch(0)))
    rig.moment.now_ms = TIMING.skip_ms
    rig.ask()
    stolen = Vote(rig.vote(3).subject, ValidatorIndex(0), bytes(64))
    assert not rig.answer(0, view=5, forged=True)
    assert not rig.answer(1, vote=rig.vote(3, signer=1))
    assert not rig.answer(2, vote=stolen)
    assert [fault.member for fault in of_type(ReportFault, rig.taken())] == list(rig.others)
    assert rig.rejoining.answers == {}


def test_answers_that_nobody_asked_for_are_ignored() -> None:
    """Of another process, another epoch, or from who was not asked: no answer can be played in."""
    rig = Rig(loss=Loss(Epoch(0)))
    assert not rig.answer(0, view=5)
    rig.ask()
    for answer in (
        RejoinAnswer(Epoch(0), OTHER_NONCE, None, None, (), (), other_boot=False),
        RejoinAnswer(Epoch(1), NONCE, None, None, (), (), other_boot=False),
    ):
        assert not rig.rejoining.take(rig.others[0], answer, View(0))
    assert rig.rejoining.answers == {}


@pytest.mark.parametrize("when", ["listening", "voting"])
def test_a_vote_of_ours_that_is_not_on_record_is_a_loss(when: str) -> None:
    """The log is an old copy: nothing is voted until n - f others have told how far it may have come."""
    rig = Rig()
    known = rig.vote(5)
    rig.rejoining.note_own(known, View(0))
    rig.ask()
    rig.answer(0, vote=known)
    rig.answer(1, vote=rig.vote(2), final_view=2)
    assert not rig.rejoining.is_feed_lost, "what is on record, or does not matter any more, is no loss"
    if when == "voting":
        rig.moment.now_ms = TIMING.skip_ms
        assert rig.advance() == NO_GUARD
    rig.answer(2, vote=rig.vote(6))
    assert rig.rejoining.loss == Loss(Epoch(0))
    assert any("older than what this node has said" in alarm.why for alarm in of_type(Alarm, rig.taken()))
    assert rig.advance() == GUARD_CLOSED
    # Those that answered before are asked anew.
    rig.moment.now_ms += TIMING.skip_ms
    assert rig.ask() == list(rig.others[:2])
    for number in range(2):
        rig.answer(number, view=6, vote=rig.vote(6))
    assert rig.advance() == 8
    assert len(of_type(Alarm, rig.taken())) == 0, "below the guard there may be any vote"


def test_old_votes_of_ours_are_forgotten_with_finality() -> None:
    """They are never given again, so nobody need remember them."""
    rig = Rig()
    for view in range(1, 50):
        rig.rejoining.note_own(rig.vote(view), View(view - 1))
    assert len(rig.rejoining._own_votes) == 1


def test_below_four_validators_the_operators_word_opens_what_answers_cannot() -> None:
    """The guard is then what anybody has seen: with nobody to spare, one above would leave the others standing."""
    rig = Rig(validators=2, loss=Loss(Epoch(0)))
    rig.moment.now_ms = TIMING.skip_ms
    rig.ask()
    rig.answer(0, view=4, vote=rig.vote(5))
    assert rig.advance() is None
    assert rig.rejoining.is_hopeless
    assert "the operator" in str(rig.rejoining.waiting_for())
    rig = Rig(validators=2, loss=Loss(Epoch(0)), is_decided=True)
    rig.moment.now_ms = TIMING.skip_ms
    rig.ask()
    rig.answer(0, view=4, vote=rig.vote(5))
    assert not rig.rejoining.is_hopeless
    assert rig.advance(certified=3) == 5


def test_a_process_counts_as_alive_for_one_and_a_half_status_periods() -> None:
    """A few nonces of each member are remembered, and nothing of those who left."""
    boots = Boots(TIMING)
    member, other = MemberId("a"), MemberId("b")
    assert not boots.is_another_alive(member, NONCE, 0)
    boots.note(member, OTHER_NONCE, 1_000)
    boots.note(member, NONCE, 1_500)
    assert boots.is_another_alive(member, NONCE, 1_000 + TIMING.status_ms * 3 // 2 - 1)
    assert not boots.is_another_alive(member, NONCE, 1_000 + TIMING.status_ms * 3 // 2)
    assert not boots.is_another_alive(other, NONCE, 1_000)
    for number in range(NONCES_MAX + 3):
        boots.note(member, bytes([number]) * 16, 2_000)
    assert len(boots._heard[member]) == NONCES_MAX
    boots.keep((other,))
    assert not boots.is_another_alive(member, NONCE, 2_000)


class ToldRig:
    """A feed of ours of which two batches exist."""

    def __init__(self) -> None:
        genesis = build_genesis()
        first = build_batch(genesis, build_transaction(genesis, nonce=1))
        second = build_batch(genesis, build_transaction(genesis, nonce=2), seq=1, previous=first.digest)
        self.first, self.second = record_of(first), record_of(second)
        self.moment = Moment(0, 0)
        self.fetcher = Fetcher(is_needed=lambda _: False)
        for member in ("a", "b"):
            self.fetcher.peer_up(MemberId(member))
        self.told = ToldBatches(self.moment, self.fetcher)
        self.branches = FeedBranches(first.header.feed, None)

    def settle(self, *, floating: tuple[FeedTip, ...] = (), **tips: FeedTip) -> tuple[int, bool]:
        """floating: what each of them tells besides its tip."""
        answers = {MemberId(member): Told(View(0), View(0), (tip,), floating, False) for member, tip in tips.items()}
        return self.told.settle(self.branches, answers)


def test_what_was_told_is_fetched_down_to_what_is_held_first_from_who_told_it() -> None:
    """Link by link; who told it is waited for as long as something comes."""
    rig = ToldRig()
    assert rig.settle(a=rig.second.tip) == (0, True)
    assert [member for member, _ in rig.fetcher.take_due(0)] == ["a"]
    rig.branches.add(rig.second, 0)
    rig.moment.now_ms = TOLD_MS_MAX - 1
    assert rig.settle(a=rig.second.tip) == (0, True)
    rig.moment.now_ms = 2 * TOLD_MS_MAX - 2
    assert rig.settle(a=rig.second.tip) == (0, True)
    rig.branches.add(rig.first, 0)
    assert rig.settle(a=rig.second.tip, b=rig.first.tip) == (2, False)
    assert rig.told.deadline_ms() is None


def test_what_floats_at_others_is_fetched_too_and_its_teller_counts_even_if_the_way_down_is_lost() -> None:
    """It may be all that is left of a batch; but what it stands on may be nowhere, and that is not its teller's lie."""
    rig = ToldRig()
    third, fifth = (FeedTip(rig.branches.feed, Seq(seq), Digest(bytes(31) + bytes([seq]))) for seq in (3, 5))
    rig.branches.add(rig.first, 0)
    assert rig.settle(a=rig.first.tip, floating=(rig.second.tip,)) == (0, True)
    assert [member for member, _ in rig.fetcher.take_due(0)] == ["a"]
    rig.branches.add(rig.second, 0)
    assert rig.settle(a=rig.first.tip, floating=(rig.second.tip,)) == (1, False)
    assert rig.settle(a=rig.first.tip, floating=(fifth, third)) == (0, True)
    rig.moment.now_ms = TOLD_MS_MAX
    assert rig.settle(a=rig.first.tip, floating=(fifth, third)) == (0, True), "the other one is waited for as long"
    rig.moment.now_ms = 2 * TOLD_MS_MAX
    assert rig.settle(a=rig.first.tip, floating=(fifth, third)) == (1, False)
    assert rig.told.deadline_ms() is None


def test_who_tells_of_what_cannot_be_had_is_not_waited_for_for_ever() -> None:
    """Its answer does not count; telling the same again changes nothing."""
    rig = ToldRig()
    rig.branches.add(rig.first, 0)
    bogus = FeedTip(rig.branches.feed, Seq(40), Digest(bytes(31) + b"x"))
    assert rig.settle(a=bogus, b=rig.first.tip) == (1, True)
    assert rig.told.deadline_ms() == TOLD_MS_MAX
    rig.moment.now_ms = TOLD_MS_MAX
    assert rig.settle(a=bogus, b=rig.first.tip) == (1, False)
    assert rig.settle(a=bogus) == (0, False)
    assert not rig.fetcher.is_wanted(bogus.digest)
