"""What one seed is about: how large the network is, how fast, which faults there are at all, and who lies.

Each is drawn from the seed, so that a run meets few faults at once and many seeds meet all of them together: most
combinations of everything cancel each other out.
"""

import dataclasses
import random
from dataclasses import dataclass

from consensus.timing import Timing

FAULTS = (
    "crash",
    "crash_at_effect",
    "crash_all",
    "restart",
    "partition",
    "cut_silently",
    "flap",
    "isolate_leader",
    "lose_kind",
    "heal",
    "pause",
    "slow_down",
    "jump_clock",
    "wipe",
    "lose_log",
    "weather",
)

ACTORS = (
    "equivocating leader",
    "equivocating voter",
    "silent",
    "selective sender",
    "future flooder",
    "garbage",
    "replayer",
    "withholder",
    "forked feed",
    "twins",
    "censoring leader",
    "lying claims",
    "bad proposer",
    "forking leader",
    "lying server",
)

HOSTILE_MEMBER = "hostile member"

DECISIONS = ("parameters", "add", "promote", "demote", "remove", "new feed", "rotate")

QUICK = Timing(
    propose_ms=300, advance_ms=500, retry_ms=300, tail_ms=300, heartbeat_ms=3_000, status_ms=500, skip_ms=2_000
)
LOCAL = Timing()
DISTANT = Timing(propose_ms=2_000, advance_ms=3_000, retry_ms=2_000, tail_ms=2_000, skip_ms=8_000, block_ms=250)


@dataclass(frozen=True, slots=True)
class Swarm:
    """The configuration of one run. actors: one name for each Byzantine validator. decisions: what governance changes.

    outage_ms: a stretch in which no proposal arrives anywhere, so that nullified views pile up; 0 for none.
    seal_ms: how long no finalize vote on the last block of an epoch arrives, from its first proposal on; 0 for never.
    """

    validators: int
    members: int
    observers: int
    timing: Timing
    actors: tuple[str, ...]
    faults: tuple[str, ...]
    decisions: tuple[str, ...]
    has_hostile_member: bool
    has_codec: bool
    has_real_keys: bool
    checks_batches: bool
    is_ordered: bool
    loss: int
    twice: int
    delay_ms: tuple[int, int]
    lag_ms: int
    load_ms: int
    fault_ms: int
    safety_ms: int
    outage_ms: int
    block_batches_max: int
    seal_ms: int


def draw(seed: int) -> Swarm:
    """Return what the seed stands for."""
    chance = random.Random(seed)
    validators = chance.choice((1, 2, 4, 4, 4, 4, 4, 4, 4, 4, 5, 5, 6, 7, 7, 7, 10, 13))
    is_large = validators > 7
    timing = chance.choice((QUICK, QUICK, LOCAL, LOCAL, DISTANT))
    faulty = chance.choice((0, 0, 1, 2, 4))
    actors = [chance.choice(ACTORS) for _ in range(min(faulty, (validators - 1) // 3))]
    safety_ms = chance.randint(3_000, 6_000) if is_large else chance.randint(6_000, 15_000)
    return Swarm(
        validators=validators,
        members=chance.choice((0, 1)),
        observers=chance.choice((0, 0, 1)),
        timing=timing,
        actors=tuple(actors),
        faults=tuple(fault for fault in FAULTS if chance.random() < 0.5) or ("restart",),
        decisions=tuple(kind for kind in DECISIONS if chance.random() < 0.5)
        if validators >= 4 and chance.random() < 0.4
        else (),
        has_hostile_member=chance.random() < 0.4,
        has_codec=chance.random() < 0.25,
        has_real_keys=chance.random() < 0.05,
        checks_batches=chance.random() < 0.1,
        is_ordered=chance.random() < 0.5,
        loss=chance.choice((0, 0, 5, 25)),
        twice=chance.choice((0, 0, 20)),
        delay_ms=chance.choice(((1, 3), (1, 3), (2, 40), (50, 350))),
        lag_ms=chance.choice((0, 0, 30, 200)),
        load_ms=chance.choice((100, 200, 700)) * (3 if is_large else 1),
        fault_ms=chance.choice((300, 900, 3_000)),
        safety_ms=safety_ms,
        outage_ms=90_000 if validators <= 5 and timing is QUICK and chance.random() < 0.15 else 0,
        block_batches_max=chance.choice((64, 64, 3)),
        seal_ms=chance.choice((0, 2, 5)) * timing.advance_ms,
    )


def change(swarm: Swarm, *, without: frozenset[str] = frozenset(), including: tuple[str, ...] = ()) -> Swarm:
    """Return the swarm without some faults, actors and decisions, and with others that chance had left out.

    Raises ValueError for a name that there is not.
    """
    unknown = [name for name in (*without, *including) if name not in (*FAULTS, *ACTORS, *DECISIONS, HOSTILE_MEMBER)]
    if unknown:
        raise ValueError(f"no such fault, actor or decision: {', '.join(unknown)}")
    actors = tuple(name for name in including if name in ACTORS)
    validators = max(4, swarm.validators) if actors else swarm.validators
    actors += tuple(name for name in swarm.actors if name not in (*without, *actors))
    faults = [name for name in swarm.faults if name not in without]
    faults += [name for name in including if name in FAULTS and name not in faults]
    decisions = [name for name in swarm.decisions if name not in without]
    decisions += [name for name in including if name in DECISIONS and name not in decisions]
    return dataclasses.replace(
        swarm,
        validators=validators,
        actors=actors[: (validators - 1) // 3],
        faults=tuple(faults) or ("restart",),
        decisions=tuple(decisions),
        members=max(swarm.members, HOSTILE_MEMBER in including),
        has_hostile_member=HOSTILE_MEMBER not in without and (swarm.has_hostile_member or HOSTILE_MEMBER in including),
    )
