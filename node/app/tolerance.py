"""How many validators a network can lose, in words."""

from consensus.quorum import faulty_max


def describe_tolerance(validator_count: int) -> str:
    """Return what a network of so many validators survives. validator_count: at least 1."""
    survives = faulty_max(validator_count)
    if validator_count == 1:
        return "no fault tolerance: one validator, and the network stands still without it"
    if survives == 0:
        return (
            f"no fault tolerance: {validator_count} validators, and the network stands still "
            "unless all of them are up; 4 can go on without any one"
        )
    return f"{validator_count} validators: goes on with any {survives} of them stopped, cut off or lying"
