"""P6: whether what a block's digest covers is right, given all of it.

# Safety: an `invalid` rests only on the block, its ancestors and the state at its executed height, so that all
correct validators give the same verdict. While something is missing there is none.
Source: docs/protocol.md, Agreement.
"""

from dataclasses import dataclass
from typing import Final

from consensus.messages import FLAG_EPOCH_END, FLAG_HEARTBEAT, Header
from consensus.types import ZERO_DIGEST, Digest, Height
from node.feed.records import BatchRecord
from node.ledger.cut import batch_root
from node.ledger.roster import Parameters
from node.replica.executed import ExecutedState

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
    anchor_height: Height,
    executed: ExecutedState | None,
) -> Verdict:
    """Judge a complete block.

    covered: the batches that it newly covers, in cut order, linked to its parent's cut. history_root: over the
    digests of all blocks before it. anchor_height: where the epoch begins. executed: our state at the block's
    executed height, None if not executed yet.
    """
    fault = _fault_of_counts(header, covered, parameters)
    if fault is None and header.history_root != history_root:
        fault = "its history root is another"
    if fault is None:
        fault = _fault_of_executed_height(header, parent, anchor_height)
    if fault is None:
        fault = _fault_of_flags(header)
    if fault is None and covered and not may_cover_batches(header):
        fault = f"it covers batches, {header.height - header.executed_height} blocks above its executed height"
    if fault is not None:
        return Invalid(fault)
    if executed is None:
        return NeedsExecution()
    if header.state_digest != executed.state_digest:
        return Invalid(f"its state digest at height {header.executed_height} is not ours")
    if header.next_epoch_digest != executed.due_digest:
        return Invalid(f"the epoch that it ends with is not what is due at height {header.executed_height}")
    return Valid()


def _fault_of_executed_height(header: Header, parent: Header, anchor_height: Height) -> str | None:
    """Return why the block's executed height cannot be, or None.

    # Safety: the first block of an epoch names the anchor's height. With a lower one the change that began the epoch
    would be due once more, and seal follow seal.
    """
    lowest = parent.executed_height if parent.height > anchor_height else anchor_height
    highest = header.height - 1 if parent.height > anchor_height else anchor_height
    if lowest <= header.executed_height <= highest:
        return None
    return f"its executed height {header.executed_height} is out of range"


def _fault_of_flags(header: Header) -> str | None:
    """Return what does not fit together, or None: a block carries batches, or says why it is empty."""
    is_seal = header.flags == FLAG_EPOCH_END
    if is_seal != (header.next_epoch_digest != ZERO_DIGEST):
        return "it names a next epoch, or ends its own, without the other"
    if header.flags not in (0, FLAG_HEARTBEAT, FLAG_EPOCH_END) or (header.flags == 0) != (header.batch_count > 0):
        return "its flags do not say why it is empty"
    return None


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
