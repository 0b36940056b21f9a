"""Search larger worlds than the tests do: `python -m tests.model --views 3`."""

import argparse
import sys

from tests.model.broken import VARIANTS, broken
from tests.model.explorer import Configuration, Exploration


def main() -> int:
    """Search every place of the liar in so many views; the last line says how much was seen and what was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.model", description=__doc__)
    parser.add_argument("--views", type=int, default=2, help="views in which anything is done")
    parser.add_argument("--liar-leads", type=int, action="append", help="the view that the liar leads; may be repeated")
    parser.add_argument("--hearsay", action="store_true", help="single votes and certificates that are none, too")
    parser.add_argument("--forgeries", action="store_true", help="crossed proposals and foreign certificates, too")
    parser.add_argument("--restarts", action="store_true", help="validators die and come back, too")
    parser.add_argument("--seals", action="store_true", help="the epoch ends with any block on its anchor")
    parser.add_argument("--states-max", type=int, default=2_000_000, help="then a search gives up, which is no fault")
    parser.add_argument("--walks", type=int, default=0, help="so many walks by chance in place of a search")
    parser.add_argument("--seed", type=int, default=0, help="of the walks")
    parser.add_argument("--no-broken", action="store_true", help="leave out the cores with a rule broken")
    arguments = parser.parse_args()
    places = arguments.liar_leads or range(1, min(arguments.views, 3) + 2)
    faults = networks = sayings = steps = 0
    for liar_leads in places:
        found = Exploration(
            Configuration(
                liar_leads=liar_leads,
                views=arguments.views,
                with_hearsay=arguments.hearsay,
                with_forgeries=arguments.forgeries,
                with_restarts=arguments.restarts,
                with_seals=arguments.seals,
                states_max=arguments.states_max,
            )
        ).run(walks=arguments.walks, seed=arguments.seed)
        networks, sayings, steps = networks + found.networks, sayings + found.sayings, steps + found.core_steps
        faults += found.fault is not None
        verdict = found.fault or ("all of it" if found.is_complete else "not all of it")
        print(  # noqa: T201 - this is the program's output
            f"liar leads view {liar_leads} of {arguments.views}: {found.networks} networks, {found.sayings} sayings, "
            f"{found.local_states} states of one validator, {found.core_steps} steps of the core, "
            f"{found.seconds:.0f} s: {verdict}",
            flush=True,
        )
    caught = 0
    variants = () if arguments.no_broken else VARIANTS
    for variant in variants:
        with broken(variant):
            found = Exploration(variant.search).run()
        caught += found.fault is not None
        print(f"broken: {variant.name}: {found.fault or 'NOT NOTICED'}", flush=True)  # noqa: T201 - the point
    print(  # noqa: T201 - the point
        f"{networks} networks, {sayings} sayings, {steps} steps of the core; {faults} faults; "
        f"{caught} of {len(variants)} broken cores found out"
    )
    return 1 if faults or caught < len(variants) else 0


if __name__ == "__main__":
    sys.exit(main())
