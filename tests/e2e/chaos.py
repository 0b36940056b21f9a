"""Random faults on a network of real processes, for as long as one likes: `make chaos MINUTES=10 SEED=1`.

The seed decides every fault and its length, though not the schedule of the machine: run it again with the seed that is
printed to meet the same faults in the same order. After each one, all must be level again by itself within a bound;
at the end every promise is checked on every node. The folder with all logs is printed and kept.
"""

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from tests.e2e.chaos_net import HEALED_SECONDS, ChaosNet, flip_a_bit, running_chaos_net
from tests.e2e.clocks import find_why_not
from tests.e2e.localnet import NodeProcess
from tests.support.byzantine_node import KINDS

LEVEL_SECONDS: Final = 30.0
"""After a fault, under load, until every honest node has executed what was final at its end."""
LONGEST_SECONDS: Final = 12.0
FREEZE_SECONDS: Final = 60.0
CHECK_EVERY_ROUNDS: Final = 10
SUBMIT_PAUSE_SECONDS: Final = 0.05

Fault = Callable[[ChaosNet, random.Random], Awaitable[str]]


def some(chaos: ChaosNet, chance: random.Random, lowest: int, highest: int) -> list[NodeProcess]:
    """Return some nodes, between so many and so many."""
    count = chance.randint(lowest, min(highest, len(chaos.nodes)))
    return chance.sample(chaos.nodes, count)


def names(nodes: list[NodeProcess]) -> str:
    """Return the indices of nodes in words."""
    return " ".join(str(node.index) for node in nodes)


async def kill_few(chaos: ChaosNet, chance: random.Random) -> str:
    """Up to f die and come back after a while."""
    return await _kill(chaos, chance, some(chaos, chance, 1, chaos.faulty_max))


async def kill_many(chaos: ChaosNet, chance: random.Random) -> str:
    """More than f die, perhaps all."""
    return await _kill(chaos, chance, some(chaos, chance, chaos.faulty_max + 1, len(chaos.nodes)))


async def _kill(chaos: ChaosNet, chance: random.Random, victims: list[NodeProcess]) -> str:
    for node in victims:
        node.kill()
    seconds = chance.uniform(0, LONGEST_SECONDS)
    await asyncio.sleep(seconds)
    gap = chance.choice((0.0, 0.0, 1.0))
    for node in victims:
        node.start()
        await asyncio.sleep(gap)
    return f"killed {names(victims)} for {seconds:.1f} s, started {gap:.0f} s apart"


async def hail(chaos: ChaosNet, chance: random.Random) -> str:
    """One after the other dies and is started at once, often before it was ready."""
    kills = chance.randint(5, 15)
    for _ in range(kills):
        node = chance.choice(chaos.nodes)
        node.kill()
        node.start()
        await asyncio.sleep(chance.uniform(0.1, 1.5))
    return f"{kills} kills in a row"


async def freeze(chaos: ChaosNet, chance: random.Random) -> str:
    """Some are suspended, once in a while for as long as a machine that was moved."""
    victims = some(chaos, chance, 1, len(chaos.nodes) - 1)
    seconds = FREEZE_SECONDS if chance.random() < 0.1 else chance.uniform(1, LONGEST_SECONDS)
    chaos.freeze(victims)
    await asyncio.sleep(seconds)
    chaos.thaw(victims)
    return f"froze {names(victims)} for {seconds:.1f} s"


async def part(chaos: ChaosNet, chance: random.Random) -> str:
    """The network falls into two or three sides."""
    order = chance.sample(range(len(chaos.nodes)), len(chaos.nodes))
    places = sorted(chance.sample(range(1, len(order)), chance.choice((1, 1, 2))))
    sides = [order[start:end] for start, end in zip([0, *places], [*places, len(order)], strict=True)]
    chaos.relay.partition(*sides)
    seconds = chance.uniform(1, 2 * LONGEST_SECONDS)
    await asyncio.sleep(seconds)
    return f"parted {sides} for {seconds:.1f} s"


async def stall(chaos: ChaosNet, chance: random.Random) -> str:
    """Some directions let nothing through."""
    pairs = [(one, other) for one in range(len(chaos.nodes)) for other in range(len(chaos.nodes)) if one != other]
    chosen = chance.sample(pairs, chance.randint(1, len(pairs) // 2))
    for one, other in chosen:
        chaos.relay.stall(one, other)
    seconds = chance.uniform(1, 2 * LONGEST_SECONDS)
    await asyncio.sleep(seconds)
    return f"stalled {len(chosen)} of {len(pairs)} directions for {seconds:.1f} s"


async def slow(chaos: ChaosNet, chance: random.Random) -> str:
    """Some directions are late, some narrow."""
    pairs = [(one, other) for one in range(len(chaos.nodes)) for other in range(len(chaos.nodes)) if one != other]
    chosen = chance.sample(pairs, chance.randint(1, len(pairs)))
    for one, other in chosen:
        if chance.random() < 0.5:
            chaos.relay.delay(one, other, chance.uniform(0.01, 1.0))
        else:
            chaos.relay.limit(one, other, chance.uniform(5_000, 500_000))
    seconds = chance.uniform(2, LONGEST_SECONDS)
    await asyncio.sleep(seconds)
    return f"slowed {len(chosen)} of {len(pairs)} directions for {seconds:.1f} s"


async def reset(chaos: ChaosNet, chance: random.Random) -> str:
    """Connections are reset at random."""
    resets = chance.randint(5, 60)
    for _ in range(resets):
        one, other = chance.sample(range(len(chaos.nodes)), 2)
        chaos.relay.reset(one, other)
        await asyncio.sleep(chance.uniform(0, 0.3))
    return f"{resets} resets"


async def flap(chaos: ChaosNet, chance: random.Random) -> str:
    """A partition comes and goes."""
    flaps = chance.randint(2, 8)
    for _ in range(flaps):
        order = chance.sample(range(len(chaos.nodes)), len(chaos.nodes))
        place = chance.randint(1, len(order) - 1)
        chaos.relay.partition(order[:place], order[place:])
        await asyncio.sleep(chance.uniform(0.2, 3))
        chaos.relay.heal()
        await asyncio.sleep(chance.uniform(0.1, 1))
    return f"{flaps} partitions that came and went"


async def skew(chaos: ChaosNet, chance: random.Random) -> str:
    """Up to f clocks are set wrong and jump; they are right again at the end of the round."""
    victims = [node for node in some(chaos, chance, 1, chaos.faulty_max) if node.index in chaos.clocks]
    jumps = chance.randint(1, 4)
    for _ in range(jumps):
        for node in victims:
            chaos.clocks[node.index].set(chance.choice((-1, 1)) * chance.choice((0.5, 3.0, 3_600.0)))
        await asyncio.sleep(chance.uniform(1, LONGEST_SECONDS / 3))
    return f"set the clocks of {names(victims)} wrong {jumps} times"


async def lose_disk(chaos: ChaosNet, chance: random.Random) -> str:
    """One loses its data, has its vote log damaged, or gets an old copy of all its data back."""
    victim = chance.choice(chaos.honest)
    witness = chance.choice([node for node in chaos.honest if node is not victim])
    how = chance.choice(("deleted", "damaged", "old"))
    data, old = victim.home / "data", chaos.net.root / "old"
    victim.kill()
    if how == "old":
        shutil.rmtree(old, ignore_errors=True)
        shutil.copytree(data, old)
        victim.start()
        await asyncio.sleep(chance.uniform(3, LONGEST_SECONDS))
        victim.kill()
    await asyncio.sleep(chance.uniform(1, LONGEST_SECONDS / 2))
    await chaos.give_up_disk(victim, witness)
    if how == "damaged":
        flip_a_bit(data / "votes")
    else:
        shutil.rmtree(data)
        if how == "old":
            shutil.copytree(old, data)
    victim.start()
    return f"the data of {victim.index} are {how}"


async def kill_while_parted(chaos: ChaosNet, chance: random.Random) -> str:
    """Both at once."""
    words: list[str] = []
    async with asyncio.TaskGroup() as tasks:
        # Each has its own chance, so that what one draws does not depend on the other's speed.
        running = [
            tasks.create_task(_in_words(fault(chaos, random.Random(chance.random())), words), name=fault.__name__)
            for fault in (chance.choice((part, stall, slow, flap)), chance.choice((kill_few, hail)))
        ]
    assert all(task.done() for task in running)
    return " and ".join(sorted(words))


async def _in_words(fault: Awaitable[str], words: list[str]) -> None:
    words.append(await fault)


FAULTS: Final[tuple[Fault, ...]] = (
    kill_few, kill_few, kill_many, hail, hail, freeze, part, stall, slow, reset, flap, skew, kill_while_parted,
)  # fmt: skip


async def run_round(chaos: ChaosNet, number: int, seed: int) -> str:
    """Play one round; return what was done and how long the healing took. Raises AssertionError."""
    chance = random.Random(f"{seed}/{number}")
    # Who lost its votes counts among the f, too: with f liars nobody else may.
    faults = FAULTS if len(chaos.misbehaving) >= chaos.faulty_max else (*FAULTS, lose_disk, lose_disk)
    fault = chance.choice(faults)
    try:
        done = await fault(chaos, chance)
    finally:
        chaos.relay.heal()
        chaos.thaw(chaos.nodes)
        for clock in chaos.clocks.values():
            clock.set(0)
    height = await chaos.top()
    try:
        progress = await chaos.seconds_until_progress(height, seconds=LEVEL_SECONDS)
        level = await chaos.wait_level(seconds=LEVEL_SECONDS)
        for node in chaos.honest:
            await chaos.wait_regained(node, seconds=LEVEL_SECONDS)
    except AssertionError as error:
        raise AssertionError("\n".join([f"{fault.__name__}: {done}: {error}", *chaos.timeline])) from error
    late = " (late)" if progress > HEALED_SECONDS else ""
    if late:
        say("\n".join(["late:", *chaos.timeline]))
    return (
        f"{fault.__name__}: {done}; everywhere above {height} after {progress:.1f} s{late}, level after {level:.1f} s"
    )


def choose_liars(validators: int, seed: int, most: int) -> dict[int, tuple[str, ...]]:
    """Return which nodes misbehave in a run, and how."""
    chance = random.Random(f"{seed}/liars")
    count = chance.randint(0, min(most, (validators - 1) // 3))
    return {
        index: tuple(sorted(chance.sample(sorted(KINDS), chance.randint(1, 2)), key=lambda kind: kind == "garbage"))
        for index in sorted(chance.sample(range(validators), count))
    }


async def run(*, minutes: float, seed: int, validators: int, liars_max: int, folder: Path) -> tuple[int, int]:
    """Return how many rounds were played and how many failed."""
    liars = choose_liars(validators, seed, liars_max)
    say(f"seed {seed}, {validators} validators, liars {liars or 'none'}, logs in {folder}/net/*.log")
    rounds = failures = 0
    ends = time.monotonic() + minutes * 60
    has_clocks = find_why_not() is None
    async with running_chaos_net(
        folder / "net", validators=validators, misbehaving=liars, has_clocks=has_clocks
    ) as chaos:
        say(f"clocks can be set: {sorted(chaos.clocks) or find_why_not()}")
        while time.monotonic() < ends:
            try:
                # Between the checks everything is under load.
                async with chaos.traffic(pause_seconds=SUBMIT_PAUSE_SECONDS):
                    for _ in range(CHECK_EVERY_ROUNDS):
                        if time.monotonic() >= ends:
                            break
                        rounds += 1
                        say(f"round {rounds}: {await run_round(chaos, rounds, seed)}")
                say(f"checked: {await chaos.check()}")
            except* AssertionError as errors:
                failures += 1
                for error in errors.exceptions:
                    say(f"FAILED seed {seed} round {rounds}: {error}")
            for node in chaos.nodes:
                if not node.is_running:
                    failures += 1
                    say(f"FAILED seed {seed} round {rounds}: {node.member} has ended:\n{node.tail()}")
                    node.start()
    return rounds, failures


def say(words: str) -> None:
    """Print a line with the time at once."""
    print(f"{time.strftime('%H:%M:%S')} {words}", flush=True)  # noqa: T201 - the point


def main() -> None:
    """Read the command line and run; exit 1 if anything failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seed", type=int, default=None, help="default: a new one, printed")
    parser.add_argument("--validators", type=int, default=7)
    parser.add_argument("--liars", type=int, default=2, help="at most so many validators misbehave")
    words = parser.parse_args()
    seed = random.SystemRandom().randrange(10**6) if words.seed is None else words.seed
    folder = Path(tempfile.mkdtemp(prefix=f"chaos-{seed}-"))
    rounds, failures = asyncio.run(
        run(minutes=words.minutes, seed=seed, validators=words.validators, liars_max=words.liars, folder=folder)
    )
    say(f"chaos: seed {seed}, {rounds} rounds, {failures} failures")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
