"""One random run: a safety phase in which anything may fail, then all is healed and everything must become final."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from consensus.timing import Timing
from consensus.types import ZERO_DIGEST, Digest, Height
from node.ledger.batch import Batch
from node.ledger.roster import Role
from node.replica import inputs
from node.wire.ids import FeedTip, MemberId, Seq
from node.wire.messages import BatchData, Have
from tests.sim.world import World
from tests.support.networks import CREATED_MS, build_batch, build_transaction

SAFETY_MS = (8_000, 20_000)
SETTLE_MS = 90_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one seed gave."""

    seed: int
    trace: str
    virtual_ms: int
    height: int
    accepted: int
    settle_ms: int
    reached: dict[str, int]


class HostileMember:
    """A member whose node never runs: somebody else has its key, forks its feed and tells of what does not exist."""

    def __init__(self, world: World, member: MemberId) -> None:
        self.world = world
        self.member = member
        self.batches: list[Batch] = []

    def act(self) -> None:
        """Show some nodes the next batch of some branch; sometimes tell of one that there is not."""
        world, chance = self.world, self.world.random
        below = chance.choice(self.batches[-6:]) if self.batches and chance.random() < 0.9 else None
        transaction = build_transaction(world.genesis, member=self.member, nonce=world.next_number())
        batch = build_batch(
            world.genesis,
            transaction,
            member=self.member,
            seq=0 if below is None else below.header.seq + 1,
            previous=ZERO_DIGEST if below is None else below.digest,
            time_ms=CREATED_MS + world.now_ms,
        )
        self.batches.append(batch)
        for node in world.up:
            if chance.random() < 0.5:
                node.later((1, 30), inputs.MessageReceived(self.member, BatchData(batch.encoded)))
            if chance.random() < 0.1:
                feed = chance.choice(list(world.genesis.members.values())).feed
                bogus = FeedTip(feed, Seq(chance.randrange(60)), Digest(chance.randbytes(32)))
                node.later((1, 30), inputs.MessageReceived(self.member, Have(Height(2**40), (bogus,))))


class RandomRun:
    """The swarm: which faults there are, and how often, is itself drawn from the seed."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        chance = World(seed, validators=1).random
        self.world = World(
            seed,
            validators=chance.choice((1, 2, 4, 4, 4, 4, 5, 7)),
            members=chance.choice((0, 1)),
            observers=chance.choice((0, 0, 1)),
            timing=Timing(heartbeat_ms=chance.choice((3_000, 30_000))),
        )
        world = self.world
        self.chance = world.random
        world.has_codec = chance.random() < 0.4
        world.checks_batches = chance.random() < 0.2
        self.loss = chance.choice((0, 0, 5, 25))
        self.delay_ms = chance.choice(((1, 3), (1, 3), (2, 40), (50, 350)))
        self.twice = chance.choice((0, 0, 20))
        self.load_ms = chance.choice((20, 100, 100, 700))
        hostile = [member for member in world.genesis.members.values() if member.role is Role.MEMBER]
        self.hostile = None
        if hostile and chance.random() < 0.5:
            self.hostile = HostileMember(world, hostile[0].id)
            world.absent[hostile[0].id] = None
        faults: tuple[Callable[[], None], ...] = (
            self.crash,
            self.crash_at_effect,
            self.crash_all,
            self.restart,
            self.restart,
            self.partition,
            self.cut_silently,
            self.heal,
            self.pause,
            self.slow_down,
        )
        self.faults = tuple(fault for fault in faults if chance.random() < 0.6) or (self.restart,)
        self.fault_ms = chance.choice((300, 900, 3_000))

    def run(self) -> Outcome:
        """Run both phases. Raises BrokenRuleError when a rule does not hold."""
        world, chance = self.world, self.chance
        world.weather.delay_ms, world.weather.loss, world.weather.twice = self.delay_ms, self.loss, self.twice
        for node in world.nodes.values():
            node.skew_ms = chance.randint(-400, 400)
            world.after(chance.randrange(500), node.start)
        end_ms = chance.randint(*SAFETY_MS)
        self._every(self.load_ms, self.submit, end_ms)
        self._every(self.fault_ms, self.fail, end_ms)
        if self.hostile is not None:
            self._every(200, self.hostile.act, end_ms)
        world.run(end_ms)
        self.mend()
        world.run(2_000)
        for node in world.nodes.values():
            node.submit(1)
        world.run(500)
        settle_ms = world.settle(within_ms=SETTLE_MS)
        return Outcome(
            seed=self.seed,
            trace=world.trace_digest(),
            virtual_ms=world.now_ms,
            height=max(world.checker.chain, default=0),
            accepted=len(world.checker.accepted),
            settle_ms=settle_ms,
            reached=world.checker.reached,
        )

    def mend(self) -> None:
        """All faults end; whoever is down starts."""
        world = self.world
        world.weather.loss = world.weather.twice = 0
        world.weather.delay_ms = (1, 5)
        for node in world.nodes.values():
            node.effects_left = None
            node.sync_ms = node.execute_ms = (0, 3)
        world.heal()
        world.start_all()

    def _every(self, period_ms: int, action: Callable[[], None], end_ms: int) -> None:
        if self.world.now_ms < end_ms:
            action()
            wait_ms = self.chance.randint(period_ms // 2, period_ms * 2)
            self.world.after(wait_ms, partial(self._every, period_ms, action, end_ms))

    def submit(self) -> None:
        """Some client submits something."""
        node = self.chance.choice(list(self.world.nodes.values()))
        node.submit(self.chance.choice((1, 1, 3, 30)), size=self.chance.choice((0, 100, 2_000)))

    def fail(self) -> None:
        """One fault begins or ends."""
        self.chance.choice(self.faults)()

    def crash(self) -> None:
        """One node stops at once."""
        self.chance.choice(list(self.world.nodes.values())).crash()

    def crash_at_effect(self) -> None:
        """One node will stop between two of its next effects."""
        self.chance.choice(list(self.world.nodes.values())).effects_left = self.chance.randrange(40)

    def crash_all(self) -> None:
        """All nodes stop, and most start again soon."""
        for node in self.world.nodes.values():
            node.crash()
            if self.chance.random() < 0.8:
                self.world.after(self.chance.randrange(300), node.start)

    def restart(self) -> None:
        """Whoever is down starts again."""
        self.world.start_all()

    def partition(self) -> None:
        """Two groups that do not reach one another."""
        members = list(self.world.nodes)
        self.chance.shuffle(members)
        place = self.chance.randrange(len(members) + 1)
        self.world.cut(members[:place], members[place:])

    def cut_silently(self) -> None:
        """One direction between two nodes swallows everything, and nobody notices."""
        if len(self.world.nodes) > 1:
            left, right = self.chance.sample(list(self.world.nodes), 2)
            self.world.cut([left], [right], one_way=True, breaks=False)

    def heal(self) -> None:
        """All links are good again."""
        self.world.heal()

    def pause(self) -> None:
        """One process sleeps."""
        self.chance.choice(list(self.world.nodes.values())).pause(self.chance.choice((100, 1_500, 5_000)))

    def slow_down(self) -> None:
        """One node's disk or execution becomes slow, or fast again."""
        node = self.chance.choice(list(self.world.nodes.values()))
        node.sync_ms = self.chance.choice(((0, 3), (5, 60)))
        node.execute_ms = self.chance.choice(((0, 3), (50, 900)))
