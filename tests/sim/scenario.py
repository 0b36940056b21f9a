"""One random run: a safety phase in which anything may fail, then all is healed and everything must become final."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import msgspec

from consensus.messages import Certificate, Proposal, Vote
from consensus.types import ZERO_DIGEST, Digest, Height
from node.ledger.batch import Batch
from node.ledger.genesis import Genesis, decode_genesis, encode_genesis
from node.ledger.roster import Parameters, Role
from node.replica import inputs
from node.wire.ids import FeedTip, MemberId, Seq
from node.wire.messages import BatchData, Have, Message
from tests.sim import actors
from tests.sim.governing import Politics
from tests.sim.node import SKEW_MS_MAX, SimNode
from tests.sim.swarm import Swarm, change, draw
from tests.sim.world import World
from tests.support.networks import CREATED_MS, build_batch, build_document, build_transaction

OUTAGE_VIEWS = 40
CALM_ROUNDS = 2


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one seed gave."""

    seed: int
    trace: str
    virtual_ms: int
    steps: int
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
        world.checker.byzantine[member] = None

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
                feed = chance.choice(list(world.genesis.roster.members.values())).feed
                bogus = FeedTip(feed, Seq(chance.randrange(60)), Digest(chance.randbytes(32)))
                node.later((1, 30), inputs.MessageReceived(self.member, Have(Height(2**40), (bogus,))))


def build_actor(name: str, world: World) -> actors.Actor:
    """Return the Byzantine actor of that name."""
    chance = world.random
    match name:
        case "equivocating leader":
            return actors.EquivocatingLeader(versions=chance.choice((2, 3)))
        case "equivocating voter":
            return actors.EquivocatingVoter()
        case "silent":
            return actors.Silent(shows_status=chance.random() < 0.5)
        case "selective sender":
            return actors.SelectiveSender(percent=chance.choice((30, 60, 90)))
        case "future flooder":
            return actors.FutureFlooder()
        case "garbage":
            return actors.Garbage()
        case "replayer":
            return actors.Replayer()
        case "withholder":
            return actors.Withholder()
        case "forked feed":
            return actors.ForkedFeed(branches=chance.choice((2, 3)))
        case "twins":
            return actors.Twins()
        case "censoring leader":
            return actors.CensoringLeader(chance.choice(list(world.nodes)))
        case "lying claims":
            return actors.LyingClaims()
        case "bad proposer":
            return actors.BadProposer()
        case "lying server":
            return actors.LyingServer()
        case "forking leader":
            return actors.ForkingLeader()
        case _:
            raise ValueError(name)


def build_swarm_genesis(swarm: Swarm) -> Genesis:
    """The network of a run, with its block bounds."""
    document = build_document(validators=swarm.validators, members=swarm.members, observers=swarm.observers)
    parameters = Parameters(block_batches_max=swarm.block_batches_max)
    return decode_genesis(encode_genesis(msgspec.structs.replace(document, parameters=parameters)))


class RandomRun:
    """One seed. without, including: names of faults, actors and decisions, to find out which a failure needs."""

    def __init__(self, seed: int, *, without: frozenset[str] = frozenset(), including: tuple[str, ...] = ()) -> None:
        self.seed = seed
        self.swarm = swarm = change(draw(seed), without=without, including=including)
        self.world = World(
            seed, timing=swarm.timing, genesis=build_swarm_genesis(swarm), has_real_keys=swarm.has_real_keys
        )
        world = self.world
        # Other than the world's, so that leaving a fault out disturbs as little as may be.
        self.chance = random.Random(seed + 1_000_000_007)
        world.has_codec = swarm.has_codec
        world.checks_batches = swarm.checks_batches or "garbage" in swarm.actors
        world.weather.is_ordered = swarm.is_ordered
        world.seal_ms = swarm.seal_ms
        self.faults: dict[str, Callable[[], None]] = {name: getattr(self, name) for name in swarm.faults}
        self.is_over = False
        validators = list(world.genesis.roster.validators)
        self.chance.shuffle(validators)
        self.byzantine = validators[: len(swarm.actors)]
        for member, name in zip(self.byzantine, swarm.actors, strict=True):
            world.corrupt(member, build_actor(name, world))
            if name == "twins":
                world.add_twin(member)
        # A clock far ahead dates blocks that the others must wait for: it counts among the f.
        self.jumpy = validators[: (len(validators) - 1) // 3]
        self.hostile = None
        members = [member for member in world.genesis.roster.members.values() if member.role is Role.MEMBER]
        if members and swarm.has_hostile_member:
            self.hostile = HostileMember(world, members[0].id)
            world.absent[members[0].id] = None
        self.politics = Politics(world, swarm.decisions)

    def run(self) -> Outcome:
        """Run both phases. Raises BrokenRuleError when a rule does not hold."""
        world, chance, swarm = self.world, self.chance, self.swarm
        world.weather.delay_ms, world.weather.loss, world.weather.twice = swarm.delay_ms, swarm.loss, swarm.twice
        for node in world.instances():
            node.skew_ms = chance.randint(-SKEW_MS_MAX, SKEW_MS_MAX)
            node.lag_ms = chance.choice((0, 0, swarm.lag_ms))
            node.clock_rate = chance.choice((1_000, 980, 1_020, 1_001))
            world.after(chance.randrange(500), node.start)
        self._every(swarm.load_ms, self.submit)
        self._every(swarm.fault_ms, self.fail)
        for member in self.byzantine:
            self._every(400, partial(self._act, member), is_endless=True)
        if self.hostile is not None:
            self._every(200, self.hostile.act)
        if self.politics.kinds:
            self._every(600, self.politics.act)
        world.run(swarm.safety_ms)
        self.is_over = True
        if swarm.outage_ms:
            self.lose_proposals()
        settle_ms = self.calm_down()
        return Outcome(
            seed=self.seed,
            trace=world.trace_digest(),
            virtual_ms=world.now_ms,
            steps=world.steps,
            height=max(world.checker.chain.blocks, default=0),
            accepted=len(world.checker.chain.accepted),
            settle_ms=settle_ms,
            reached=world.checker.reached,
        )

    def calm_down(self) -> int:
        """The liveness phase: Byzantine nodes lie on, all else is well. Return how long it took to settle."""
        world, swarm = self.world, self.swarm
        self.mend()
        if self.politics.kinds:
            self._every(300, self.politics.approve_all, is_endless=True)
        liars = len(swarm.actors)
        # The view under way may be stretched to its most, and each liar may waste one of those that follow.
        view_ms = 8 * swarm.timing.advance_ms
        # Who takes up a new key listens before it votes, and a quorum may have to wait for that, key after key.
        listens_ms = 4 * swarm.timing.skip_ms if "rotate" in self.politics.kinds else 0
        within_ms = (liars + 2) * view_ms + 20_000 + listens_ms
        world.run(500)
        for node in world.correct:
            node.submit(1)
        settle_ms = world.settle(within_ms=within_ms)
        for _ in range(CALM_ROUNDS):
            for node in world.correct:
                node.submit(1)
            # With f liars no timeout grows; whose turn it is now, and who comes next, may all be liars.
            world.settle(within_ms=(2 * liars + 2) * swarm.timing.advance_ms + 4_000 + listens_ms)
        return settle_ms

    def mend(self) -> None:
        """All faults end; whoever is down starts."""
        world = self.world
        world.message_filter = None
        world.seal_ms = 0
        world.weather.loss = world.weather.twice = 0
        world.weather.delay_ms = (1, 5)
        for node in world.instances():
            node.effects_left = None
            node.lag_ms = 0
            node.skew_ms = max(-SKEW_MS_MAX, min(SKEW_MS_MAX, node.skew_ms))
            node.sync_ms = node.execute_ms = (0, 3)
        world.heal()
        world.start_all()

    def lose_proposals(self) -> None:
        """No proposal arrives, and one node hears nothing at all: the others nullify views by the dozen."""
        world = self.world
        self.mend()
        deaf = self.chance.choice(world.correct)
        world.isolate(int(deaf.member.removeprefix("firm-")))
        world.message_filter = lambda source, target, message: not isinstance(message, Proposal)
        for node in world.correct:
            node.submit(1)
        world.run(self.swarm.outage_ms)

    def _act(self, member: MemberId) -> None:
        node = self.world.nodes[member]
        if node.is_up and node.actor is not None:
            node.actor.act(node)

    def _every(self, period_ms: int, action: Callable[[], None], *, is_endless: bool = False) -> None:
        if is_endless or not self.is_over:
            action()
            wait_ms = self.chance.randint(period_ms // 2, period_ms * 2)
            self.world.after(wait_ms, partial(self._every, period_ms, action, is_endless=is_endless))

    def submit(self) -> None:
        """Some client submits something."""
        self._any_node().submit(self.chance.choice((1, 1, 1, 3, 12)), size=self.chance.choice((0, 100, 2_000)))

    def fail(self) -> None:
        """One fault begins or ends."""
        self.faults[self.chance.choice(list(self.faults))]()

    def _any_node(self) -> SimNode:
        return self.chance.choice(list(self.world.instances()))

    # The faults, by the names of the swarm.

    def crash(self) -> None:
        """One node stops at once."""
        self._any_node().crash()

    def crash_at_effect(self) -> None:
        """One node will stop between two of its next effects, and soon start again."""
        node = self._any_node()
        node.effects_left = self.chance.randrange(40)
        if self.chance.random() < 0.7:
            self.world.after(self.chance.randrange(2_000), node.start)

    def crash_all(self) -> None:
        """All nodes stop, and most start again soon."""
        for node in self.world.instances():
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

    def flap(self) -> None:
        """The links of one node break and come back, again and again."""
        member = self._any_node().member
        others = [other for other in self.world.nodes if other != member]
        for turn in range(6):
            self.world.after(turn * 400, partial(self.world.cut, [member], others))
            self.world.after(turn * 400 + self.chance.randrange(50, 350), self.world.heal)

    def isolate_leader(self) -> None:
        """Whoever leads the view that some node is in reaches nobody for a while."""
        node = self._any_node()
        if node.replica is not None:
            leader = node.replica.overview().leader
            self.world.cut([leader], [other for other in self.world.nodes if other != leader])
            self.world.after(self.chance.randrange(200, 2_000), self.world.heal)

    def lose_kind(self) -> None:
        """Messages of one kind get lost, half of them or all, until something else is lost, or nothing."""
        kind = self.chance.choice((Vote, Certificate, Proposal, BatchData, Have, None))
        percent = self.chance.choice((50, 100))

        def keep(source: MemberId, target: MemberId, message: Message) -> bool:
            return kind is None or not isinstance(message, kind) or self.world.random.randrange(100) >= percent

        self.world.message_filter = keep

    def heal(self) -> None:
        """All links are good again."""
        self.world.message_filter = None
        self.world.heal()

    def pause(self) -> None:
        """One process sleeps."""
        self._any_node().pause(self.chance.choice((100, 1_500, 5_000)))

    def slow_down(self) -> None:
        """One node's disk or execution becomes slow, or fast again."""
        node = self._any_node()
        node.sync_ms = self.chance.choice(((0, 3), (5, 60), (100, 400)))
        node.execute_ms = self.chance.choice(((0, 3), (50, 900)))

    def jump_clock(self) -> None:
        """One wall clock of f changes by minutes: ahead, back, or to what is right."""
        if self.jumpy:
            member = self.chance.choice(self.jumpy)
            self.world.nodes[member].skew_ms = self.chance.choice((0, 2_500, -2_500, 3_600_000, -3_600_000))

    def wipe(self) -> None:
        """One machine of f is lost with its disk, and made again from its keys."""
        self._lose(SimNode.wipe)

    def lose_log(self) -> None:
        """One vote log of f is damaged, and set aside."""
        self._lose(SimNode.lose_log)

    def _lose(self, how: Callable[[SimNode], None]) -> None:
        world = self.world
        node = world.nodes[self.chance.choice(self.jumpy)] if self.jumpy else None
        if node is None or node.actor is not None or node.member in world.lost:
            return
        if world.unreliable() < world.tolerated():
            how(node)
            world.after(self.chance.randrange(3_000), node.start)

    def weather(self) -> None:
        """Delays and losses change."""
        weather = self.world.weather
        weather.delay_ms = self.chance.choice(((1, 3), (2, 40), (50, 350)))
        weather.loss = self.chance.choice((0, 5, 30))
