"""Ed25519 keys of nodes and actors, through libsodium only.

# Safety: no other library may verify what is agreed on. `cryptography` accepts a small-order signature that
libsodium refuses, and a signature that is valid at one node only is a fork of opinion.
"""

import os
import stat
from pathlib import Path
from typing import Final, NewType

import nacl.bindings
import nacl.exceptions
import nacl.signing

from node.errors import ConfigError

PublicKey = NewType("PublicKey", bytes)
"""32 bytes."""

SEED_BYTES: Final = 32
PUBLIC_KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64

_PROBE: Final = (
    bytes.fromhex("ff6f43ab4e72e31b78049fcc5f97455becdd0ea428c1fd6c7a0fc66e991c7cb9"),
    b"lotvine",
    bytes.fromhex(
        "186ed2bdbd1a36f6437c5168b0221914018ea4f32a1c3fcd1c1794d64fbd596e"
        "d39a7034802b9aa48062602c706f56e3e3da50a07fa9e763f4b13a39809a8f03"
    ),
)
"""A signature that RFC 8032 section 5.1.7 lets a verifier take or leave: good only if multiplied by the cofactor."""


class SigningKey:
    """A private key; deterministic signatures. Its repr shows the public half alone."""

    __slots__ = ("_key", "public_key")

    def __init__(self, seed: bytes) -> None:
        self._key = nacl.signing.SigningKey(seed)
        self.public_key = PublicKey(bytes(self._key.verify_key))

    def __repr__(self) -> str:
        return f"SigningKey(public_key={self.public_key.hex()})"

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature of `message`."""
        return self._key.sign(message).signature

    @property
    def seed(self) -> bytes:
        """The 32 secret bytes."""
        return bytes(self._key)


def generate_key() -> SigningKey:
    """Return a new key from the system's randomness."""
    return SigningKey(bytes(nacl.signing.SigningKey.generate()))


def verify_signature(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Return whether `signature` is that key's of `message`; False for wrong lengths. Releases the GIL."""
    if len(public_key) != PUBLIC_KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    try:
        nacl.signing.VerifyKey(public_key).verify(message, signature)
    except (nacl.exceptions.BadSignatureError, nacl.exceptions.CryptoError):
        return False
    return True


def check_library() -> None:
    """Raise ConfigError where this libsodium verifies by another rule than those of the other nodes.

    # Safety: both rules are sound, and mixed they are a fork: one validator could sign what half of the others take.
    """
    if verify_signature(*_PROBE):
        why = "the installed libsodium takes signatures that other nodes refuse (it multiplies by the cofactor)"
        raise ConfigError([f"{why}: install PyNaCl 1.6, whose own copy of libsodium is the right one"])


def is_public_key(public_key: bytes) -> bool:
    """Return whether a signature can be good under `public_key`: a point of the curve's prime-order group, not zero.

    Every key that is made of a seed is one; all others are refused by `verify_signature` or are nobody's.
    """
    return len(public_key) == PUBLIC_KEY_BYTES and nacl.bindings.crypto_core_ed25519_is_valid_point(public_key)


def store_key(path: Path, key: SigningKey) -> None:
    """Write the key as hex into a new file of mode 0600. Raises FileExistsError rather than overwrite one."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(key.seed.hex() + "\n")
        file.flush()
        os.fsync(file.fileno())


def load_key(path: Path) -> SigningKey:
    """Return the key in `path`. Raises ConfigError: missing, open to others, or not 64 hex digits."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        text = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"key file {path}: {error}"]) from error
    if mode & 0o077:
        raise ConfigError([f"key file {path} has mode {mode:04o}, open to others: run chmod 600 {path}"])
    try:
        seed = bytes.fromhex(text)
    except ValueError:
        seed = b""
    if len(seed) != SEED_BYTES:
        raise ConfigError([f"key file {path} does not hold 64 hex digits: restore it from your backup of keys/"])
    return SigningKey(seed)
