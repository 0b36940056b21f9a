"""SHA-256 with a domain in front, so that no two kinds of things share a digest.

A domain is 16 bytes and used for one thing; all are listed here and in docs/protocol.md. Those of votes, cuts and
block headers stand in `consensus`, which cannot import this file.
"""

import hashlib
from typing import Final

from consensus.types import Digest

TRANSACTION_DOMAIN: Final = b"lotvine/tx/v1\0\0\0"
BATCH_DOMAIN: Final = b"lotvine/batch/v1"
STATE_DOMAIN: Final = b"lotvine/state/v1"
EPOCH_DOMAIN: Final = b"lotvine/epoch/v1"
GOVERNANCE_DOMAIN: Final = b"lotvine/gov/v1\0\0"
ROTATION_DOMAIN: Final = b"lotvine/key/v1\0\0"
JOIN_DOMAIN: Final = b"lotvine/join/v1\0"
ANSWER_DOMAIN: Final = b"lotvine/answr/v1"
EVENT_DOMAIN: Final = b"lotvine/event/v1"
CONTENT_DOMAIN: Final = b"lotvine/contn/v1"
FLAG_DOMAIN: Final = b"lotvine/flag/v1\0"


def sha256(*parts: bytes) -> Digest:
    """Return the 32-byte SHA-256 of the parts, one after the other."""
    return Digest(hashlib.sha256(b"".join(parts)).digest())
