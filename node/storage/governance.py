"""What the index keeps of governance: the state as one value, each epoch for ever, and evidence.

The state changes seldom, and a block that leaves it as it is writes nothing of it. Readers share the decoded state of
the height at which it changed last.
"""

from typing import Final

from consensus.types import Digest, Epoch, Height
from node.ledger.evidence import decode_evidence
from node.ledger.governance import GovernanceState, decode_governance
from node.ledger.roster import EpochRecord, decode_epoch_record
from node.ledger.state import EvidenceRow, WriteSet
from node.storage import keys
from node.storage.store import Row
from node.wire.codec import pack, read_array, read_bytes, read_digest, read_int, unpack
from node.wire.ids import read_member_id

_STATES_KEPT: Final = 2
"""The present one, and that of a reader that was opened just before it."""


def governance_rows(governance: GovernanceState, epoch_record: EpochRecord | None) -> list[Row]:
    """Return the rows of a state of governance, and of the epoch that begins with it, if one does."""
    rows: list[Row] = [(keys.GOVERNANCE, governance.encode())]
    if epoch_record is not None:
        rows.append((keys.epoch_key(epoch_record.epoch), epoch_record.encode()))
    return rows


def rows_of_block(write_set: WriteSet) -> list[Row]:
    """Return what executing a block adds."""
    rows = [(keys.evidence_key(row.key), _encode_evidence(row)) for row in write_set.evidence]
    if write_set.is_governance_changed:
        rows.extend(governance_rows(write_set.governance, write_set.epoch_record))
    return rows


def _encode_evidence(row: EvidenceRow) -> bytes:
    return pack((row.signer, row.reporter, row.transaction_id, row.height, row.evidence.encode()))


def read_evidence_row(key: bytes, encoded: bytes) -> EvidenceRow:
    """Return the evidence at `key`, which is without its table. Raises MalformedError."""
    signer, reporter, transaction_id, height, evidence = read_array(unpack(encoded, what="row"), "row", length=5)
    return EvidenceRow(
        key=key,
        signer=read_member_id(signer, "row.signer"),
        evidence=decode_evidence(read_bytes(evidence, "row.evidence")),
        reporter=read_member_id(reporter, "row.reporter"),
        transaction_id=read_digest(transaction_id, "row.transaction_id"),
        height=Height(read_int(height, "row.height")),
    )


def read_epoch_row(epoch: Epoch, encoded: bytes) -> EpochRecord:
    """Return the record of `epoch`. Raises MalformedError."""
    record = decode_epoch_record(encoded)
    read_int(record.epoch, "epoch", lowest=epoch, highest=epoch)
    return record


class GovernanceCache:
    """The newest states, decoded, by the height at which each came to be. Any thread may ask."""

    def __init__(self, network_id: Digest) -> None:
        self._network_id = network_id
        self._states: dict[Height, GovernanceState] = {}

    def put(self, changed_height: Height, state: GovernanceState) -> None:
        """Remember a state; the oldest one goes."""
        states = {**self._states, changed_height: state}
        for height in sorted(states)[:-_STATES_KEPT]:
            del states[height]
        # In one step: a reader in another thread sees the old dict or the new one.
        self._states = states

    def find(self, changed_height: Height) -> GovernanceState | None:
        """Return the state that came to be at a height, if it is remembered."""
        return self._states.get(changed_height)

    def load(self, changed_height: Height, encoded: bytes) -> GovernanceState:
        """Return the state in `encoded`, which came to be at a height. Raises MalformedError."""
        state = decode_governance(encoded, self._network_id)
        self.put(changed_height, state)
        return state
