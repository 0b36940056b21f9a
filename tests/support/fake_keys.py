"""Signatures for simulations: a keyed hash in place of Ed25519. Whoever knows the index can sign; tests behave."""

import hashlib
from dataclasses import dataclass

from consensus.types import ValidatorIndex


def fake_signature(signer: int, message: bytes) -> bytes:
    """Return 64 bytes that only `signer` would make of `message`."""
    return hashlib.blake2b(message, digest_size=64, key=b"validator%d" % signer).digest()


@dataclass(frozen=True, slots=True)
class FakeSigner:
    """Signs as one validator."""

    index: ValidatorIndex

    def sign(self, message: bytes) -> bytes:
        return fake_signature(self.index, message)


@dataclass(slots=True)
class FakeVerifier:
    """Verifies for all validators, and counts how often it was asked."""

    count: int = 0

    def verify(self, signer: ValidatorIndex, message: bytes, signature: bytes) -> bool:
        self.count += 1
        return fake_signature(signer, message) == signature
