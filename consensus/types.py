"""The words of the protocol as types, so that a view is never passed where a height is meant."""

from typing import NewType

View = NewType("View", int)
"""An attempt at one block under one leader; 0 is the anchor of the epoch, the first attempt is 1."""

Height = NewType("Height", int)
"""A place in the chain; genesis is 0."""

Epoch = NewType("Epoch", int)
"""The span of one validator set."""

Digest = NewType("Digest", bytes)
"""32 bytes of SHA-256 that name something."""

ValidatorIndex = NewType("ValidatorIndex", int)
"""A place in the epoch's validator set, which is ordered by public key."""

DIGEST_BYTES = 32
ZERO_DIGEST = Digest(bytes(DIGEST_BYTES))
U64_MAX = 2**64 - 1
U32_MAX = 2**32 - 1
