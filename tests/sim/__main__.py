"""Run many seeds of whole replicas: `python -m tests.sim --seeds N --first-seed K`; one seed alone shows its trace."""

import argparse
import multiprocessing
import os
import sys
import time
import traceback
from dataclasses import dataclass
from functools import partial

from tests.sim.coverage import SET_SEEDS, SkipProbe, missing
from tests.sim.scenario import Outcome, RandomRun
from tests.sim.swarm import change, draw


@dataclass(frozen=True, slots=True)
class Failure:
    """A seed in which a rule does not hold, or something raised."""

    seed: int
    why: str
    trace: str
    virtual_ms: int
    steps: int


def run_seed(without: frozenset[str], including: tuple[str, ...], seed: int) -> Outcome | Failure:
    """Run one seed. Whatever goes wrong in it is that seed's failure."""
    probe = SkipProbe()
    probe.install()
    run = RandomRun(seed, without=without, including=including)
    try:
        outcome = run.run()
    except Exception:  # noqa: BLE001 - as the docstring says
        return Failure(seed, traceback.format_exc(), run.world.trace_digest(), run.world.now_ms, run.world.steps)
    finally:
        probe.remove()
    if probe.count:
        outcome.reached["silent leader skipped"] = probe.count
    return outcome


def say(line: str) -> None:
    """Print at once."""
    print(line, flush=True)  # noqa: T201 - this is the program's output


def main() -> int:
    """Run the seeds; the last line says how many, the virtual hours, and the failures."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes; default: one a core")
    parser.add_argument("--without", action="append", default=[], help="leave out a fault, actor or decision")
    parser.add_argument("--with", action="append", default=[], dest="including", help="have one in every seed")
    parser.add_argument("--until-failure", action="store_true", help="stop at the first failure")
    parser.add_argument("--verbose", action="store_true", help="one line a seed")
    arguments = parser.parse_args()
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    if len(seeds) == 1:
        swarm = change(draw(seeds[0]), without=frozenset(arguments.without), including=tuple(arguments.including))
        say(repr(swarm))
    work = partial(run_seed, frozenset(arguments.without), tuple(arguments.including))
    failed: list[int] = []
    virtual_ms = steps = height = accepted = slowest_ms = 0
    reached: dict[str, int] = {}
    begun = time.monotonic()
    with multiprocessing.Pool(min(arguments.jobs, len(seeds))) as pool:
        for result in pool.imap_unordered(work, seeds):
            virtual_ms += result.virtual_ms
            steps += result.steps
            if isinstance(result, Failure):
                failed.append(result.seed)
                say(f"{result.why}\nseed {result.seed} FAILED after {result.virtual_ms} ms, trace {result.trace}")
                if arguments.until_failure:
                    break
                continue
            height += result.height
            accepted += result.accepted
            slowest_ms = max(slowest_ms, result.settle_ms)
            for what, count in result.reached.items():
                reached[what] = reached.get(what, 0) + count
            if arguments.verbose:
                say(repr(result))
            elif len(seeds) == 1:
                say(f"trace {result.trace}")
    taken = time.monotonic() - begun
    is_whole = len(seeds) >= SET_SEEDS and not arguments.until_failure
    lacking = missing(reached) if is_whole else ()
    for what in lacking:
        say(f"never reached: {what}")
    say("rare paths: " + (", ".join(f"{what} {reached[what]}" for what in sorted(reached)) or "none"))
    say(
        f"{len(seeds)} seeds from {arguments.first_seed}, {virtual_ms / 3_600_000:.2f} virtual hours, {height} blocks, "
        f"{accepted} transactions accepted, slowest settling {slowest_ms} ms, {steps} steps in {taken:.0f} s "
        f"({steps / taken:.0f} a second), {len(failed)} failures {sorted(failed)}"
    )
    return 1 if failed or lacking else 0


if __name__ == "__main__":
    sys.exit(main())
