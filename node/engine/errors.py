"""Why an engine ends by itself."""

from consensus.errors import InvariantError


class HaltedError(InvariantError):
    """More faults than the protocol bears, or our execution disagrees with a quorum's: this node serves nothing more.

    It is one of our own until the opposite is shown; both certificates or digests stand in the alarm before it.
    """
