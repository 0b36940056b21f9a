"""Run many seeds of whole replicas: `python -m tests.sim --seeds N --first-seed K`."""

import argparse
import sys
import time
import traceback

from tests.sim.scenario import RandomRun


def main() -> int:
    """Run the seeds; the last line says how many, the virtual hours, and the failures."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--verbose", action="store_true", help="one line a seed")
    arguments = parser.parse_args()
    failures: list[int] = []
    virtual_ms = height = accepted = slowest_ms = 0
    reached: dict[str, int] = {}
    begun = time.monotonic()
    for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
        run = RandomRun(seed)
        try:
            outcome = run.run()
        except Exception as error:  # noqa: BLE001 - whatever goes wrong in a seed is that seed's failure
            failures.append(seed)
            traceback.print_exc()
            print(f"seed {seed} FAILED: {error}", flush=True)  # noqa: T201 - this is the program's output
            virtual_ms += run.world.now_ms
            continue
        virtual_ms += outcome.virtual_ms
        height += outcome.height
        accepted += outcome.accepted
        slowest_ms = max(slowest_ms, outcome.settle_ms)
        for what, count in outcome.reached.items():
            reached[what] = reached.get(what, 0) + count
        if arguments.verbose:
            print(outcome, flush=True)  # noqa: T201 - this is the program's output
    hours = f"{virtual_ms / 3_600_000:.2f}"
    print(  # noqa: T201 - this is the program's output
        f"{arguments.seeds} seeds from {arguments.first_seed}, {hours} virtual hours in "
        f"{time.monotonic() - begun:.0f} s, {height} blocks, {accepted} transactions accepted, "
        f"slowest settling {slowest_ms} ms, rare paths {reached}, {len(failures)} failures {failures}"
    )
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
