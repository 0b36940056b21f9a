"""Backends of the API that answer from memory, for tests of what lies before them."""

import asyncio
from typing import Literal

from node.api.backends import Backends, TraceQuestion
from node.api.errors import NotFoundError
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
from node.errors import RequestError
from node.intake.results import Counts, Verdict


def build_status(*, height: int = 7) -> StatusResult:
    return StatusResult(
        version="1",
        network="test",
        network_id="00" * 32,
        member="mill",
        role="validator",
        epoch=0,
        validators=1,
        faulty_max=0,
        tolerance="no fault tolerance",
        view=8,
        height=height,
        executed_height=height,
        lag=0,
        state_digest="11" * 32,
        transactions=0,
        events=0,
        pending=0,
        lapsed=0,
        ready=True,
        peers=(),
        feeds=(),
        proposals=0,
        waiting_for=(),
        parts={},
    )


class FakeNode:
    """All backends in one. submitted: what tx.submit was given. hold: futures that the test finishes itself.

    listed, found, roster, governed: what governance, evidence and members are answered with.
    """

    def __init__(self) -> None:
        self.submitted: list[tuple[bytes, Wait]] = []
        self.captured: list[bytes] = []
        self.proposed: list[tuple[tuple[Change, ...], str, Wait]] = []
        self.held: asyncio.Queue[asyncio.Future[TransactionResult]] = asyncio.Queue()
        self.is_holding = False
        self.listed = GovernList(0, 7, ("mill",), 1, (), (), 0)
        self.found = EvidenceResult(())
        self.roster = MembersResult(epoch=0, members=())
        self.history = ValidatorsResult(0, ())
        self.governed: Literal["open", "approved", "closed", "unknown"] = "open"

    def status(self) -> StatusResult:
        return build_status()

    def members(self) -> MembersResult:
        return self.roster

    def _governed(self, proposal: str) -> asyncio.Future[GovernResult]:
        future: asyncio.Future[GovernResult] = asyncio.get_running_loop().create_future()
        transaction = TransactionResult(id="ab" * 32, state="final", member="mill", verdict="accepted")
        future.set_result(GovernResult(proposal, self.governed, ("mill",), 3, transaction))
        return future

    def propose(self, changes: tuple[Change, ...], note: str, *, wait: Wait) -> asyncio.Future[GovernResult]:
        self.proposed.append((changes, note, wait))
        return self._governed("ab" * 32)

    def approve(self, proposal_id: str, *, wait: Wait) -> asyncio.Future[GovernResult]:
        return self._governed(proposal_id)

    def withdraw(self, proposal_id: str, *, wait: Wait) -> asyncio.Future[GovernResult]:
        raise NotFoundError("no such proposal", field="params.id")

    def proposals(self, *, epochs: int) -> GovernList:
        return self.listed

    def validators(self, *, from_epoch: int | None, count: int, proof: bool = False) -> ValidatorsResult:
        return self.history

    def evidence(self, member: str | None) -> EvidenceResult:
        return self.found

    async def create(self) -> BackupResult:
        return BackupResult("/home/backups/chain.rows", 7, 100)

    async def capture(self, document: bytes, *, wait: Wait) -> CaptureAnswer:
        self.captured.append(document)
        return CaptureAnswer("accepted", Verdict.ACCEPTED, Counts(1, 0, 0, 0), (), (), (), ())

    def submit(self, signed: bytes, *, wait: Wait) -> asyncio.Future[TransactionResult]:
        if signed == b"bad":
            raise RequestError("malformed_transaction", "not a transaction", field="params.signed")
        self.submitted.append((signed, wait))
        future: asyncio.Future[TransactionResult] = asyncio.get_running_loop().create_future()
        if self.is_holding:
            self.held.put_nowait(future)
        else:
            future.set_result(TransactionResult(id=signed.hex().ljust(64, "0"), state="accepted", member="mill"))
        return future

    def get(self, transaction_id: str) -> TransactionResult:
        raise NotFoundError("no such transaction", field="params.id")

    async def block(self, height: int | None) -> BlockResult:
        raise ZeroDivisionError("a bug of ours")

    async def events_at(self, transaction_id: str, index: int | None) -> EventsResult:
        return EventsResult(events=())

    async def events_called(self, event_id: str) -> EventsResult:
        return EventsResult(events=())

    async def item(self, item: str) -> ItemResult:
        raise NotFoundError("no such item", field="params.item", near=("https://id.gs1.org/01/09521234543213/10/A",))

    async def find(self, asked: FindParams) -> FindResult:
        return FindResult(7, complete=True, found=(), names=())

    async def trace(self, question: TraceQuestion, *, direction: str) -> TraceResult:
        as_of = None if question.as_of_ms is None else str(question.as_of_ms)
        item = question.asked if isinstance(question.asked, str) else None
        height = question.height or 7
        return TraceResult(direction, item, (), as_of, height, 1, "22" * 32, (), (), (), (), (), (), (), ())

    async def trace_both(self, question: TraceQuestion) -> TraceBothResult:
        back = await self.trace(question, direction="back")
        return TraceBothResult("both", 7, back, await self.trace(question, direction="forward"))

    async def closure(self, item: str, *, direction: str, limit: int) -> ClosureResult:
        return ClosureResult(item, direction, 7, complete=True, items=())

    async def picture(
        self,
        question: TraceQuestion,
        *,
        ways: tuple[str, ...],
        format: PictureFormat,  # noqa: A002 - the field's word
        limit: int,
        narrow: bool,
    ) -> PictureResult:
        return PictureResult(format, "", 7, 0, 0, grouped=False, digests=ways)

    async def common(self, asked: CommonParams) -> CommonResult:
        return CommonResult(asked.items, None, 7, 1, "22" * 32, 0, 0, (), ())

    async def diff(self, asked: DiffParams) -> DiffResult:
        return DiffResult(same_question=True, before="", after="", changes=())

    async def scope_picture(self, asked: ScopePictureParams) -> PictureResult:
        return PictureResult(asked.format, "", 7, 0, 0, grouped=False, digests=())

    async def scope(self, asked: ScopeParams) -> ScopeResult:
        raise NotFoundError("no such item", field="params.seeds")

    async def flags(self, asked: FlagListParams) -> FlagListResult:
        return FlagListResult(7, 7, 1, (), None, {})

    async def flag(self, flag_id: str) -> FlagResult:
        raise NotFoundError("no such flag", field="params.id")

    async def waive(self, flag_id: str, reason: str, *, wait: Wait) -> TransactionResult:
        raise NotFoundError("no such flag", field="params.id")

    async def completeness(self, asked: CompletenessParams) -> CompletenessResult:
        raise NotFoundError("no such item", field="params.item")

    async def scorecard(self, asked: ScorecardParams) -> ScorecardResult:
        raise NotFoundError("no such party", field="params.party")

    async def balance(self, asked: BalanceParams) -> BalanceResult:
        raise NotFoundError("no such party", field="params.party")

    def backends(self) -> Backends:
        return Backends(
            network=self,
            governance=self,
            backup=self,
            capture=self,
            transactions=self,
            ledger=self,
            lineage=self,
            flags=self,
        )
