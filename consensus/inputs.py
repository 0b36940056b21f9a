"""All that can happen to the core."""

from dataclasses import dataclass
from enum import IntEnum

from consensus.messages import Block, Certificate, CoreMessage
from consensus.types import Digest, Height, ValidatorIndex, View


class TimerId(IntEnum):
    """The timers of the core. Each carries the view it was set in; a late one changes nothing."""

    PROPOSE = 1
    ADVANCE = 2
    RETRY = 3
    TAIL = 4
    HEART = 5
    STATUS = 6
    PACE = 7
    BUILD = 8
    HOLD = 9


@dataclass(frozen=True, slots=True)
class Started:
    """The first input of every run, exactly once: take up what was recovered."""


@dataclass(frozen=True, slots=True)
class WallClock:
    """What to add to now_ms to get Unix milliseconds; told whenever it has moved by more than a little."""

    offset_ms: int


@dataclass(frozen=True, slots=True)
class MessageReceived:
    """A decoded message from the authenticated channel of `peer`; None is a node that does not vote."""

    peer: ValidatorIndex | None
    message: CoreMessage


@dataclass(frozen=True, slots=True)
class TimerFired:
    """A timer set by SetTimer is due. STATUS belongs to no view and carries 0.

    The driver first delivers the messages it has already received: a process that slept must not time out a
    proposal that lies in its socket buffer.
    """

    timer: TimerId
    view: View


@dataclass(frozen=True, slots=True)
class Built:
    """The answer to RequestBuild; None when no block can be built now. Discarded if the view has moved on.

    The block and all batches that its cut newly covers are local, checked and on their way to disk: every
    Persist after this input is only carried out once they are durable.
    """

    view: View
    parent_digest: Digest
    block: Block | None


@dataclass(frozen=True, slots=True)
class Judged:
    """The answer to RequestJudgement: the block is good, or invalid for good. While data is missing there is none."""

    digest: Digest
    ok: bool


@dataclass(frozen=True, slots=True)
class BodyAvailable:
    """A block asked for by FetchBody is here; all batches that it newly covers are durable and checked.

    The core itself asks for the block to be stored, before any vote that rests on it.
    """

    block: Block


@dataclass(frozen=True, slots=True)
class WorkDue:
    """Whether there is something to agree on that the chain up to the tip last announced does not cover yet.

    Speaks of the newest TipChanged: each of those sets it back to False, and the driver answers at once if work
    is due beyond the new tip, and later whenever the answer changes.
    """

    due: bool


@dataclass(frozen=True, slots=True)
class Executed:
    """The block at `height` is executed and the result is durable; state_digest is the one after it."""

    height: Height
    state_digest: Digest


@dataclass(frozen=True, slots=True)
class PeerUp:
    """The channel to a validator is open."""

    peer: ValidatorIndex


@dataclass(frozen=True, slots=True)
class PeerDown:
    """The channel to a validator is closed."""

    peer: ValidatorIndex


@dataclass(frozen=True, slots=True)
class SyncedTo:
    """Chain sync has brought the blocks up to `block`, final by `certificate`; all are durable.

    The driver hands out `Finalized` itself for those blocks: the core only moves its floor.
    """

    block: Block
    certificate: Certificate


@dataclass(frozen=True, slots=True)
class Guarded:
    """From now on vote only in views above `view`.

    It opens what GUARD_CLOSED had closed, or closes it anew; else a guard only rises. For a node that may have
    voted and forgotten, the view comes of its peers' answers; for one that has only waited, it is NO_GUARD.
    """

    view: View


@dataclass(frozen=True, slots=True)
class Shutdown:
    """The node stops: give up the leadership of the current view at once."""


Input = (
    Started
    | WallClock
    | MessageReceived
    | TimerFired
    | Built
    | Judged
    | BodyAvailable
    | WorkDue
    | Executed
    | PeerUp
    | PeerDown
    | SyncedTo
    | Guarded
    | Shutdown
)
