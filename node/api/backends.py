"""What the operations need of the node: one small Protocol a resource. `app/` fills them in, tests with fakes.

Each method raises RequestError for what the caller can mend, and nothing else of the caller's making.
"""

import asyncio
from dataclasses import dataclass
from typing import Protocol

from node.api.schema.answers import DiffParams, DiffResult
from node.api.schema.backup import BackupResult
from node.api.schema.blocks import BlockResult
from node.api.schema.common import CommonParams, CommonResult
from node.api.schema.events import CaptureAnswer, EventsResult
from node.api.schema.flags import (
    BalanceParams,
    BalanceResult,
    CompletenessParams,
    CompletenessResult,
    FlagListParams,
    FlagListResult,
    FlagResult,
    ScorecardParams,
    ScorecardResult,
)
from node.api.schema.governance import Change, EvidenceResult, GovernList, GovernResult, ValidatorsResult
from node.api.schema.items import FindParams, FindResult, ItemResult
from node.api.schema.network import MembersResult, StatusResult
from node.api.schema.scopes import ScopeParams, ScopePictureParams, ScopeResult
from node.api.schema.traces import ClosureResult, PictureFormat, PictureResult, TraceBothResult, TraceResult
from node.api.schema.transactions import TransactionResult, Wait
from node.query.scopes import SeedRequest


class NetworkBackend(Protocol):
    """The node and the network as the node sees it."""

    def status(self) -> StatusResult:
        """Return how the node is, at once."""
        ...

    def members(self) -> MembersResult:
        """Return the members, at once."""
        ...


class GovernanceBackend(Protocol):
    """Who belongs to the network, and how that changes."""

    def propose(self, changes: tuple[Change, ...], note: str, *, wait: Wait) -> asyncio.Future[GovernResult]:
        """Propose changes in this member's name. Raises RequestError, as the future may."""
        ...

    def approve(self, proposal_id: str, *, wait: Wait) -> asyncio.Future[GovernResult]:
        """Approve a proposal. Raises RequestError, as the future may."""
        ...

    def withdraw(self, proposal_id: str, *, wait: Wait) -> asyncio.Future[GovernResult]:
        """Take back a proposal or an approval. Raises RequestError, as the future may."""
        ...

    def proposals(self, *, epochs: int) -> GovernList:
        """Return what is open and what waits, and what the newest epochs changed."""
        ...

    def validators(self, *, from_epoch: int | None, count: int, proof: bool = False) -> ValidatorsResult:
        """Return who voted in which epoch. proof: with what proves it."""
        ...

    def evidence(self, member: str | None) -> EvidenceResult:
        """Return the evidence on the ledger, of all members or of one."""
        ...


class BackupBackend(Protocol):
    """The chain as a file."""

    async def create(self) -> BackupResult:
        """Write the chain as it is now into a file in the home. Raises RequestError."""
        ...


class CaptureBackend(Protocol):
    """Documents in."""

    async def capture(self, document: bytes, *, wait: Wait) -> CaptureAnswer:
        """Check an EPCIS document, make transactions of it and submit them.

        document: JSON as received. Returns once everything that was accepted is durable here, or final if wait says
        so. Raises RequestError if the document as a whole cannot be read.
        """
        ...


class TransactionBackend(Protocol):
    """Transactions in, and what became of them."""

    def submit(self, signed: bytes, *, wait: Wait) -> asyncio.Future[TransactionResult]:
        """Submit a signed transaction: the future is done once it is durable on this node's disk, or final.

        Raises RequestError for one that is not acceptable; the future raises BusyError, or `not_final_in_time`.
        """
        ...

    def get(self, transaction_id: str) -> TransactionResult:
        """Return what is known of a transaction. Raises NotFoundError."""
        ...


class LedgerBackend(Protocol):
    """What stands on the ledger."""

    async def block(self, height: int | None) -> BlockResult:
        """Return the block at a height, None for the newest. Raises NotFoundError."""
        ...

    async def events_at(self, transaction_id: str, index: int | None) -> EventsResult:
        """Return an event of a transaction, or all of them. Raises NotFoundError."""
        ...

    async def events_called(self, event_id: str) -> EventsResult:
        """Return all events with this eventID. Raises NotFoundError."""
        ...


@dataclass(frozen=True, slots=True)
class TraceQuestion:
    """What a trace is asked: an item in any spelling or seeds, and how much of the ledger counts. Times: Unix ms."""

    asked: str | tuple[SeedRequest, ...]
    as_of_ms: int | None
    height: int | None
    known_at_ms: int | None
    depth: int | None
    items: int


class LineageBackend(Protocol):
    """Questions about items."""

    async def item(self, item: str) -> ItemResult:
        """Return an item and its events. item: any spelling. Raises NotFoundError with near matches."""
        ...

    async def find(self, asked: FindParams) -> FindResult:
        """Return items that may be meant, the nearest first. Raises RequestError for what cannot be read."""
        ...

    async def trace(self, question: TraceQuestion, *, direction: str) -> TraceResult:
        """Return a trace. direction: `back` or `forward`. Raises NotFoundError with near matches."""
        ...

    async def trace_both(self, question: TraceQuestion) -> TraceBothResult:
        """Return both traces, at one height. Raises as `trace` does."""
        ...

    async def closure(self, item: str, *, direction: str, limit: int) -> ClosureResult:
        """Return all that an item can come from (`back`) or go into. Raises NotFoundError with near matches."""
        ...

    async def picture(
        self,
        question: TraceQuestion,
        *,
        ways: tuple[str, ...],
        format: PictureFormat,  # noqa: A002 - the field's word
        limit: int,
        narrow: bool,
    ) -> PictureResult:
        """Return a picture of one trace or two. ways: of `back`, `forward`. Raises as `trace` does."""
        ...

    async def common(self, asked: CommonParams) -> CommonResult:
        """Return what several bad items have in common. Raises NotFoundError with near matches."""
        ...

    async def diff(self, asked: DiffParams) -> DiffResult:
        """Return what moved between two answers. Raises RequestError for what is no answer."""
        ...

    async def scope_picture(self, asked: ScopePictureParams) -> PictureResult:
        """Return a picture of a scope. Raises as `scope` does."""
        ...

    async def scope(self, asked: ScopeParams) -> ScopeResult:
        """Return how far a hazard can have come. Raises NotFoundError with near matches."""
        ...


class FlagBackend(Protocol):
    """Questions about what does not add up."""

    async def flags(self, asked: FlagListParams) -> FlagListResult:
        """Return the flags asked for, the newest first. Raises RequestError."""
        ...

    async def flag(self, flag_id: str) -> FlagResult:
        """Return one flag. Raises NotFoundError."""
        ...

    async def waive(self, flag_id: str, reason: str, *, wait: Wait) -> TransactionResult:
        """Waive a flag in this member's name. Raises NotFoundError, or RequestError for one that it may not waive."""
        ...

    async def completeness(self, asked: CompletenessParams) -> CompletenessResult:
        """Return how complete an item's record is. Raises NotFoundError with near matches."""
        ...

    async def scorecard(self, asked: ScorecardParams) -> ScorecardResult:
        """Return a party's scorecard. Raises NotFoundError."""
        ...

    async def balance(self, asked: BalanceParams) -> BalanceResult:
        """Return a party's balance of a product over a period. Raises NotFoundError and RequestError."""
        ...


@dataclass(frozen=True, slots=True)
class Backends:
    """All of them."""

    network: NetworkBackend
    governance: GovernanceBackend
    backup: BackupBackend
    capture: CaptureBackend
    transactions: TransactionBackend
    ledger: LedgerBackend
    lineage: LineageBackend
    flags: FlagBackend
