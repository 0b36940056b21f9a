"""Every tag of a message between nodes. A retired tag stays here as RETIRED_n and is never used again."""

from enum import IntEnum


class Tag(IntEnum):
    """The second field of a frame."""

    HELLO = 1
    VOTE = 2
    CERTIFICATE = 3
    PROPOSAL = 4
    STATUS = 5
    CERTIFICATE_REQUEST = 6
    HAVE = 7
    BATCH = 8
    BATCH_REQUEST = 9
    BLOCK = 10
    BLOCK_REQUEST = 11
    CHAIN_REQUEST = 12
    CHAIN = 13
    REJOIN = 14
    REJOIN_ANSWER = 15
    EVIDENCE = 16
