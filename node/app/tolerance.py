"""How many validators a network can lose, in words."""

from collections.abc import Sequence

from consensus.quorum import faulty_max


def describe_tolerance(validator_count: int, *, is_one_missing: bool = False, not_connected: Sequence[str] = ()) -> str:
    """Return what a network of so many validators survives. validator_count: at least 1.

    is_one_missing: this node is a validator and does not vote now, so that it is one of those that may fail.
    not_connected: validators that this node has no session with; for all that it knows, they are among those, too.
    """
    survives = faulty_max(validator_count)
    if validator_count == 1:
        return "no fault tolerance: one validator, and the network stands still without it"
    if survives == 0:
        return (
            f"no fault tolerance: {validator_count} validators, and the network stands still "
            "unless all of them are up; 4 can go on without any one"
        )
    words = f"{validator_count} validators: goes on with any {survives} of them stopped, cut off or lying"
    if is_one_missing:
        words += ", and until it votes again this node is one of those"
    if not not_connected:
        return words
    left = survives - len(not_connected) - is_one_missing
    more = (
        f"{left} more may fail" if left > 0 else "no other may fail" if left == 0 else "too many may be down to go on"
    )
    return f"{words}; {', '.join(not_connected)} not connected here: {more}"
