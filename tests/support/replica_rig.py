"""One replica driven by hand: what it says is looked at, what others would say is handed in."""

from collections.abc import Iterable
from typing import TypeVar

from consensus.messages import Certificate, Vote
from consensus.timing import Timing
from consensus.types import Epoch, Height, ValidatorIndex
from node.feed.records import check_copy
from node.ledger.batch import Batch
from node.ledger.genesis import Genesis
from node.replica import inputs
from node.replica.effects import Broadcast, CheckBatch, Effect, Send
from node.replica.recovered import Recovered, ReplicaSetup
from node.replica.replica import Replica
from node.wire.ids import FeedTip, MemberId
from node.wire.messages import BatchData, Have, Message, RejoinAnswer
from tests.support.fake_keys import FakeSigner, FakeVerifier
from tests.support.networks import CREATED_MS, build_genesis, build_key

_Effect = TypeVar("_Effect")
NONCE = b"n" * 16


class RigSigner:
    """Votes by a keyed hash, batches by the real key."""

    def __init__(self, genesis: Genesis, member: MemberId) -> None:
        index = genesis.roster.validator_index(member)
        self._fake = FakeSigner(ValidatorIndex(99) if index is None else index)
        self._key = build_key(member)

    def sign(self, message: bytes) -> bytes:
        return self._fake.sign(message) if message.startswith(b"lotvine/vote") else self._key.sign(message)


class ReplicaRig:
    """A replica of one member, started, with sessions to all validators; its clock stands still until it is moved.

    first: what it did at its start. others: the validators besides it. listens: it still waits for their word on
    what it said before; else they have answered, and know nothing.
    """

    def __init__(
        self,
        member: str = "firm-0",
        *,
        genesis: Genesis | None = None,
        recovered: Recovered | None = None,
        listens: bool = False,
        is_loss_decided: bool = False,
    ) -> None:
        self.genesis = genesis or build_genesis(members=1, observers=1)
        self.others = tuple(other for other in self.genesis.roster.validators if other != member)
        self.now_ms = 1_000
        self.skew_ms = 0
        self.replica = Replica(
            ReplicaSetup(self.genesis, MemberId(member), NONCE, Timing(), is_loss_decided=is_loss_decided),
            recovered or Recovered(),
            signer=RigSigner(self.genesis, MemberId(member)),
            verifiers=lambda _: FakeVerifier(),
            now_ms=self.now_ms,
            wall_ms=self.wall_ms,
        )
        self.first = self.step(inputs.Started())
        for peer in self.others:
            self.step(inputs.PeerUp(peer))
        self.released = [] if listens else [effect for peer in self.others for effect in self.answer(peer)]

    def answer(
        self,
        member: str,
        *,
        certificate: Certificate | None = None,
        vote: Vote | None = None,
        tips: tuple[FeedTip, ...] = (),
        floating: tuple[FeedTip, ...] = (),
        other_boot: bool = False,
    ) -> tuple[Effect, ...]:
        """A validator tells what it knows of this node."""
        epoch = Epoch(self.replica.overview().epoch)
        return self.hear(member, RejoinAnswer(epoch, NONCE, certificate, vote, tips, floating, other_boot))

    @property
    def wall_ms(self) -> int:
        return CREATED_MS + self.now_ms + self.skew_ms

    def step(self, incoming: inputs.Input) -> tuple[Effect, ...]:
        """One step at the present moment."""
        return self.replica.step(incoming, self.now_ms, self.wall_ms)

    def hear(self, member: str, message: Message) -> tuple[Effect, ...]:
        """A message from a member."""
        return self.step(inputs.MessageReceived(MemberId(member), message))

    def wait(self, for_ms: int) -> list[Effect]:
        """Let time pass, with every timer at its moment."""
        end_ms = self.now_ms + for_ms
        effects: list[Effect] = []
        while True:
            deadline = self.replica.deadline_ms
            if deadline is None or deadline > end_ms:
                self.now_ms = end_ms
                return effects
            self.now_ms = max(self.now_ms, deadline)
            effects.extend(self.step(inputs.TimerDue()))

    def check(self, effects: Iterable[Effect]) -> list[Effect]:
        """Answer every check among the effects, as the driver does."""
        result: list[Effect] = []
        for check in of_type(CheckBatch, effects):
            checked = check_copy(check.encoded, network_id=self.genesis.network_id, node_key=check.node_key)
            result.extend(self.step(inputs.BatchChecked(check.digest, checked)))
        return result

    def give(self, member: str, batch: Batch) -> list[Effect]:
        """A batch from a member, checked."""
        effects = self.hear(member, BatchData(batch.encoded))
        return [*effects, *self.check(effects)]

    def tell(self, member: str, *tips: FeedTip, executed: int = 0) -> tuple[Effect, ...]:
        """A member says what it holds."""
        return self.hear(member, Have(Height(executed), tips))


def of_type(kind: type[_Effect], effects: Iterable[object]) -> list[_Effect]:
    """The effects of one type."""
    return [effect for effect in effects if isinstance(effect, kind)]


def sent(kind: type[_Effect], effects: Iterable[Effect]) -> list[_Effect]:
    """The messages of one type that were sent or broadcast."""
    return [
        effect.message
        for effect in effects
        if isinstance(effect, Send | Broadcast) and isinstance(effect.message, kind)
    ]
