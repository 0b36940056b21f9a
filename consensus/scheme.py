"""How a vote becomes bytes to sign, and who signs and verifies them (injected, so that tests may use fakes)."""

import struct
from typing import Final, Protocol

from consensus.messages import Subject
from consensus.types import Digest, ValidatorIndex

VOTE_DOMAIN: Final = b"lotvine/vote/v1\0"
"""16 bytes. Votes, batches, transactions and handshakes each have their own, so none passes for another."""

SIGNATURE_BYTES: Final = 64

_SUBJECT: Final = struct.Struct(">16s32sQBQQ32s")


def vote_signing_bytes(network_id: Digest, subject: Subject) -> bytes:
    """Return the 105 bytes that a validator signs.

    # Safety: kind, epoch and network id stand inside, so a vote cannot be replayed as another kind, in another
    epoch or in another network.
    """
    return _SUBJECT.pack(
        VOTE_DOMAIN,
        network_id,
        subject.epoch,
        subject.kind,
        subject.view,
        subject.parent_view,
        subject.digest,
    )


class Signer(Protocol):
    """Signs for this validator. Must be deterministic: the same message gives the same signature."""

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature of `message`."""
        ...


class Verifier(Protocol):
    """Verifies for the validators of one epoch."""

    def verify(self, signer: ValidatorIndex, message: bytes, signature: bytes) -> bool:
        """Return whether `signature` is that signer's of `message`; False for anything malformed."""
        ...
