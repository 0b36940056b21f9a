"""Waivers of flags: a member says in its own name why a flag may stand. Pure.

Execution takes any waiver of a member that can be read: flags are no part of the state that nodes agree on, so it
cannot know them. Whether the member is one that may waive a flag is looked at where flags are read (`query/flags.py`).
"""

from dataclasses import dataclass
from typing import Final

from consensus.types import Digest, Height
from node.ledger.roster import read_line
from node.lineage.flag_model import FLAG_ID_BYTES
from node.wire.codec import pack, read_array, read_bytes, unpack
from node.wire.ids import MemberId

REASON_LENGTH_MAX: Final = 500


@dataclass(frozen=True, slots=True)
class Waiver:
    """The payload of Kind.WAIVE. reason: a line for people, 1 … 500 characters."""

    flag_id: bytes
    reason: str

    def encode(self) -> bytes:
        """Return the one encoding."""
        return pack((self.flag_id, self.reason))


@dataclass(frozen=True, slots=True)
class WaiverRow:
    """A waiver on the ledger. The newest of a member stands for it."""

    flag_id: bytes
    member: MemberId
    reason: str
    transaction_id: Digest
    height: Height


def decode_waiver(payload: bytes) -> Waiver:
    """Return the waiver in `payload`. Raises MalformedError, and nothing else."""
    flag_id, reason = read_array(unpack(payload, what="waiver"), "waiver", length=2)
    return Waiver(
        read_bytes(flag_id, "waiver.flag", length=FLAG_ID_BYTES),
        read_line(reason, "waiver.reason", lowest=1, highest=REASON_LENGTH_MAX),
    )
