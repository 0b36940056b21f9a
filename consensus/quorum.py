"""Quorum arithmetic for n validators, of whom at most f = (n - 1) // 3 are Byzantine.

Source: Castro and Liskov, "Practical Byzantine Fault Tolerance" (OSDI 1999), section 3.
"""

from consensus.errors import invariant


def faulty_max(validator_count: int) -> int:
    """Return f, how many validators may be Byzantine without harm. Raises InvariantError below 1 validator."""
    invariant(validator_count >= 1, "an epoch has at least one validator")
    return (validator_count - 1) // 3


def quorum_size(validator_count: int) -> int:
    """Return how many votes make a certificate.

    Any two sets of that size share at least f + 1 validators, hence an honest one.

    validator_count: validators of the epoch, at least 1; raises InvariantError below that.
    """
    return validator_count - faulty_max(validator_count)
