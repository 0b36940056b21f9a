"""P6: whether what a block's digest covers is right, given all of it.

# Safety: an `invalid` rests only on the block, its ancestors and the state at its executed height, so that all
correct validators give the same verdict. While something is missing there is none.
Source: docs/protocol.md, Agreement.
"""

from dataclasses import dataclass
from typing import Final

from consensus.messages import FLAG_HEARTBEAT, Header
from consensus.types import ZERO_DIGEST, Digest
from node.feed.records import BatchRecord
from node.ledger.cut import batch_root
from node.ledger.roster import Parameters

EXECUTION_LAG_MAX: Final = 16
"""A block whose executed height is further below it covers no batches: finality must catch up first."""


@dataclass(frozen=True, slots=True)
class Valid:
    """Good for good."""


@dataclass(frozen=True, slots=True)
class Invalid:
    """Wrong for good."""

    why: str


@dataclass(frozen=True, slots=True)
class NeedsExecution:
    """Our own execution has not come to the block's executed height."""


Verdict = Valid | Invalid | NeedsExecution


def may_cover_batches(header: Header) -> bool:
    """Return whether execution is close enough behind the block for it to carry data."""
    return header.executed_height + EXECUTION_LAG_MAX >= header.height


def judge_block(
    header: Header,
    parent: Header,
    covered: tuple[BatchRecord, ...],
    *,
    parameters: Parameters,
    history_root: Digest,
    state_digest: Digest | None,
) -> Verdict:
    """Judge a complete block.

    covered: the batches that it newly covers, in cut order, linked to its parent's cut. history_root: over the
    digests of all blocks before it. state_digest: ours at its executed height, None if not executed yet.
    """
    fault = _fault_of_counts(header, covered, parameters)
    if fault is None and header.history_root != history_root:
        fault = "its history root is another"
    if fault is None and not parent.executed_height <= header.executed_height < header.height:
        fault = f"its executed height {header.executed_height} is out of range"
    if fault is None and (header.flags & ~FLAG_HEARTBEAT or header.next_epoch_digest != ZERO_DIGEST):
        # No change of the epoch can be due yet.
        fault = "it ends the epoch though nothing is due"
    if fault is None and bool(header.flags & FLAG_HEARTBEAT) != (header.batch_count == 0):
        fault = "its heartbeat flag does not say whether it is empty"
    if fault is None and covered and not may_cover_batches(header):
        fault = f"it covers batches, {header.height - header.executed_height} blocks above its executed height"
    if fault is not None:
        return Invalid(fault)
    if state_digest is None:
        return NeedsExecution()
    if header.state_digest != state_digest:
        return Invalid(f"its state digest at height {header.executed_height} is not ours")
    return Valid()


def _fault_of_counts(header: Header, covered: tuple[BatchRecord, ...], parameters: Parameters) -> str | None:
    if len(covered) != header.batch_count or len(covered) > parameters.block_batches_max:
        return f"it covers {len(covered)} batches"
    if sum(record.transaction_count for record in covered) != header.transaction_count:
        return "its transaction count is another"
    if sum(record.size_bytes for record in covered) > parameters.block_bytes_max:
        return "it covers more bytes than a block may"
    if batch_root([record.tip.digest for record in covered]) != header.batch_root:
        return "its batch root is another"
    return None
