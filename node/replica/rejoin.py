"""What a node asks before its first vote and its first batch: what it said before, and whether another one has its key.

After every start it listens for a while. If its vote log is lost, or older than what others have seen of it, it must
not trust its memory: it votes only above a guard that the answers of n - f other validators give, and does so again in
each epoch that it enters, up to the first one whose anchor covers a batch that it sealed after the loss. From there on
no vote can exist that it does not remember.

Why the guard holds: we voted in a view v only when we held a certificate of v - 1, so f + 1 correct others had voted in
v - 1 and held one of v - 2 or above; n - f answers reach one of them, since we count as one of the f ourselves.

Source: docs/protocol.md, Rejoin; an adaptation of "VR Revisited" (Liskov and Cowling, 2012), section 4.3, recovery.
"""

import dataclasses
from dataclasses import dataclass
from typing import Final

from consensus.certificates import Notary
from consensus.messages import Vote
from consensus.quorum import faulty_max, quorum_size
from consensus.recovery import GUARD_CLOSED, NO_GUARD
from consensus.timing import Timing
from consensus.types import Digest, Epoch, View
from node.replica.effects import Alarm, LogLoss, ReportFault, Send
from node.replica.membership import Membership
from node.replica.moment import Moment, earliest
from node.wire.ids import FeedTip, MemberId
from node.wire.logged import Loss
from node.wire.messages import Rejoin, RejoinAnswer

GUARD_ABOVE: Final = 2
"""How far above the highest certified view that anybody tells the guard is set. # Safety: see above."""

ASK_AGAIN_MS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Told:
    """What one validator has answered. certified: the view of its highest certificate, 0 while that is the anchor.

    voted: the view of the newest vote of ours that it has seen, 0 for none. tips, floating: of our feed, as held there.
    """

    certified: View
    voted: View
    tips: tuple[FeedTip, ...]
    floating: tuple[FeedTip, ...]
    other_boot: bool


class Rejoining:
    """What is asked and what is known of it, in the epoch that is open.

    loss: what is lost and not regained, None for nothing. answers: by validator, of this epoch alone.
    """

    def __init__(
        self,
        moment: Moment,
        *,
        nonce: bytes,
        timing: Timing,
        loss: Loss | None,
        logged_epoch: Epoch,
        is_decided: bool,
    ) -> None:
        """nonce: of this process. logged_epoch: the newest one that this node has served in.

        is_decided: the operator answers for what too few others can answer for.
        """
        self._moment = moment
        self._nonce = nonce
        self._skip_ms = timing.skip_ms
        self._is_decided = is_decided
        self._logged_epoch = logged_epoch
        self.loss = None if loss is None or loss.is_over else loss
        self._own_votes: dict[tuple[View, int], Digest] = {}
        self._asked_ms: dict[MemberId, int] = {}
        self._listens_until_ms: int | None = None
        self._has_alarmed = False
        self._is_open = self._must_close = False
        self.answers: dict[MemberId, Told] = {}

    def enter(
        self, membership: Membership, notary: Notary, *, epoch: Epoch, votes: tuple[Vote, ...], is_covered: bool
    ) -> None:
        """Begin an epoch. votes: own ones of it that are on record.

        is_covered: the chain up to its anchor covers a batch that was sealed after the loss.
        """
        self._membership = membership
        self._notary = notary
        self._epoch = epoch
        self._own_votes = {(vote.subject.view, int(vote.subject.kind)): vote.subject.digest for vote in votes}
        self._asked_ms.clear()
        self.answers.clear()
        loss = self.loss
        if loss is None:
            return
        if is_covered:
            self.loss = None
            self._moment.out.append(LogLoss(dataclasses.replace(loss, epoch=epoch, guard=None, is_over=True)))
        elif loss.epoch != epoch:
            self._is_open = False
            # What was sealed after the loss on a feed that has ended will not become final.
            goes_on = loss.first_batch is not None and loss.first_batch.feed == membership.own_feed
            self._note(Loss(epoch, first_batch=loss.first_batch if goes_on else None))

    # What it comes to.

    @property
    def _is_concerned(self) -> bool:
        """Whether there is anything that this node might do twice."""
        return self._membership.own_index is not None or self._membership.own_feed is not None

    @property
    def _is_passing(self) -> bool:
        """Whether this epoch is one that we have served in and left, passed again since the chain is taken anew.

        # Safety: our votes of it are no longer on record.
        """
        return self._epoch < self._logged_epoch

    @property
    def guard(self) -> View:
        """From where on this node may vote now, for a core that begins."""
        if not self._is_open:
            return GUARD_CLOSED
        return NO_GUARD if self.loss is None or self.loss.guard is None else self.loss.guard

    @property
    def is_open(self) -> bool:
        """Whether this node may vote, above its guard, and seal if it knows where its feed ends."""
        return self._is_open

    @property
    def is_settled(self) -> bool:
        """Whether nothing is asked, and nothing waits for an answer."""
        return self._is_open and not self._must_close and not self.is_feed_lost

    @property
    def is_feed_lost(self) -> bool:
        """Whether only others can know where this node's feed ends."""
        return self.loss is not None and self.loss.first_batch is None

    @property
    def needed(self) -> int:
        """How many other validators must have answered after a loss."""
        return 0 if self._is_decided else quorum_size(len(self._membership.validators))

    @property
    def is_hopeless(self) -> bool:
        """Whether there are too few others for that ever to come."""
        return self.needed > len(self._membership.others)

    def is_enough(self, answers: int) -> bool:
        """Return whether so many answers tell all that must be known of what is lost."""
        return answers >= self.needed

    def waiting_for(self) -> str | None:
        """Return in words what keeps this node from voting or sealing, or None."""
        if self._is_passing:
            return f"the chain to come to epoch {self._logged_epoch}, which this node was in before it took it anew"
        validators = len(self._membership.validators)
        if self.loss is None:
            if self._is_open or not self._is_concerned:
                return None
            if self._has_alarmed:
                return "another process with the key of this node to stop"
            return f"word of the {validators - 1} others on what this node said last, or a few seconds to pass"
        if self._is_open and not self.is_feed_lost:
            return None
        if self.is_hopeless:
            return (
                f"the operator: the vote log is lost, and {validators} validators are too few to tell what this node"
                " has signed; lotvine start --rejoin-unanswered decides it, see docs/operations.md first"
            )
        silent = ", ".join(member for member in self._membership.others if member not in self.answers)
        return (
            f"{self.needed} other validators to tell what this node has signed, since its vote log is lost:"
            f" {len(self.answers)} have answered, of epoch {self._epoch}" + (f"; not yet {silent}" if silent else "")
        )

    def start(self) -> None:
        """Begin to listen, unless there is nobody to listen to."""
        if self._is_concerned and self._membership.others:
            self._listens_until_ms = self._moment.now_ms + self._skip_ms

    def advance(self, certified: View) -> View | None:
        """Return the guard when it has changed: it has become known, or nothing may be voted any more; else None.

        certified: the view of the highest certificate held here, 0 without one.
        """
        if self._must_close:
            self._must_close = False
            return GUARD_CLOSED
        if self._is_open or self._is_listening() or self._is_passing:
            return None
        if self.loss is not None and self.loss.guard is None and self._is_concerned:
            if not self.is_enough(len(self.answers)):
                return None
            guard = self._find_guard(certified)
            # Safety: on record before the first vote above it: the next run does not remember the answers.
            self._note(dataclasses.replace(self.loss, guard=guard))
        self._is_open = True
        return self.guard

    def _find_guard(self, certified: View) -> View:
        answers = self.answers.values()
        highest = max(certified, *(answer.certified for answer in answers), 0)
        if len(answers) >= quorum_size(len(self._membership.validators)):
            return View(highest + GUARD_ABOVE)
        # The operator answers for what nobody has seen. Where no validator may be missing, a guard further above would
        # leave the others in a view that they cannot leave without us.
        return View(max(highest, *(answer.voted for answer in answers), 0))

    def _is_listening(self) -> bool:
        until_ms = self._listens_until_ms
        if until_ms is None:
            return False
        heard = sum(answer.other_boot for answer in self.answers.values())
        is_quiet = heard == 0 and len(self.answers) == len(self._membership.others)
        if not is_quiet and self._moment.now_ms < until_ms:
            return True
        # One liar must not keep us silent: somebody correct has to have heard the other one.
        if heard > faulty_max(len(self._membership.validators)):
            if not self._has_alarmed:
                self._has_alarmed = True
                words = f"{heard} validators hear another process with the key of this node: it does not vote"
                self._moment.out.append(Alarm(words))
            return True
        self._listens_until_ms = None
        return False

    def _note(self, loss: Loss) -> None:
        self.loss = loss
        self._moment.out.append(LogLoss(loss))

    def find_loss(self, why: str) -> None:
        """This node has said more than its log knows: whatever else it said is lost too."""
        self._moment.out.append(
            Alarm(f"{why}: the vote log is older than what this node has said, or another process has its key")
        )
        self._is_open, self._must_close = False, True
        # What was answered before may have been said before the vote that is now found to be unknown.
        self._asked_ms.clear()
        self.answers.clear()
        self._note(Loss(self._epoch))

    def note_sealed(self, tip: FeedTip) -> None:
        """A batch of our own is on its way to disk: the first one after a loss says, once final, that it is over."""
        if self.is_feed_lost:
            assert self.loss is not None
            self._note(dataclasses.replace(self.loss, first_batch=tip))

    def note_own(self, vote: Vote, final_view: View) -> None:
        """A vote of ours is on its way to the log."""
        self._own_votes[vote.subject.view, int(vote.subject.kind)] = vote.subject.digest
        for key in [key for key in self._own_votes if key[0] <= final_view]:
            del self._own_votes[key]

    # Questions and answers.

    def deadline_ms(self) -> int | None:
        """Return when there is something to do again."""
        asks_ms = min((self._asked_ms[member] + ASK_AGAIN_MS for member in self._unsettled()), default=None)
        return earliest(asks_ms, self._listens_until_ms if not self._has_alarmed else None)

    def _unsettled(self) -> list[MemberId]:
        """Return those who were asked and whose answer is wanted still, or anew."""
        if self._is_open and not self.is_feed_lost:
            return []
        return [
            member
            for member in self._asked_ms
            if member not in self.answers or (self.answers[member].other_boot and not self._is_open)
        ]

    def ask(self, up: dict[MemberId, None]) -> None:
        """Ask the validators that there are sessions with, each once in a while, until their answers do."""
        if not self._is_concerned or self._is_passing or (self._is_open and not self.is_feed_lost):
            return
        now_ms = self._moment.now_ms
        for member in self._membership.others:
            answer = self.answers.get(member)
            if member not in up or (answer is not None and not (answer.other_boot and not self._is_open)):
                continue
            asked_ms = self._asked_ms.get(member)
            if asked_ms is None or asked_ms + ASK_AGAIN_MS <= now_ms:
                self._asked_ms[member] = now_ms
                self._moment.out.append(Send(member, Rejoin(self._epoch, self._nonce)))

    def forget(self, member: MemberId) -> None:
        """The session with a member is over: a new one is asked anew, at once."""
        self._asked_ms.pop(member, None)

    def take(self, member: MemberId, answer: RejoinAnswer, final_view: View) -> bool:
        """Take an answer; return whether its certificate is good and may be handed on. What is not ours is ignored.

        final_view: up to which votes do not matter any more.
        """
        if answer.nonce != self._nonce or answer.epoch != self._epoch or member not in self._asked_ms:
            return False
        certificate, vote = answer.certificate, answer.vote
        fault = None if certificate is None else self._notary.fault_of(certificate, None)
        if fault is None and vote is not None and not self._is_ours(vote):
            fault = "a vote that is not ours"
        if fault is not None:
            self._moment.out.append(ReportFault(member, f"bad answer to a rejoin: {fault}", provable=True))
            return False
        if vote is not None and self._is_unknown(vote, final_view) and not self._is_rejoining:
            self.find_loss(f"{member} shows a vote of ours in view {vote.subject.view} that is not on record")
        certified = View(0) if certificate is None else certificate.subject.view
        voted = View(0) if vote is None else vote.subject.view
        self.answers[member] = Told(certified, voted, answer.tips, answer.floating, answer.other_boot)
        return certificate is not None

    @property
    def _is_rejoining(self) -> bool:
        """Whether votes of this epoch are known to be lost, and the guard that sees to it is not set yet."""
        return self.loss is not None and self.loss.epoch == self._epoch and self.loss.guard is None

    def _is_ours(self, vote: Vote) -> bool:
        own = self._membership.own_index
        return vote.signer == own and vote.subject.epoch == self._epoch and self._notary.is_signed(vote)

    def _is_unknown(self, vote: Vote, final_view: View) -> bool:
        """Return whether a vote of ours is not on record, and in a view in which it matters."""
        subject = vote.subject
        if subject.view <= final_view:
            return False
        if self.loss is not None and self.loss.guard is not None and subject.view <= self.loss.guard:
            # Below the guard there may be any: we do not vote there.
            return False
        return self._own_votes.get((subject.view, int(subject.kind))) != subject.digest
