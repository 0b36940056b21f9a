"""Questions about flags, answered in a thread from snapshots of the index."""

import asyncio
import os
from collections.abc import Callable
from functools import partial
from typing import Final, Protocol, TypeVar

from consensus.types import Digest
from node.api.errors import NotFoundError
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
from node.api.schema.transactions import TransactionResult, Wait
from node.app.backends.pools import QuestionPool
from node.clock import Clock
from node.errors import RequestError
from node.ledger.transaction import NONCE_BYTES, Kind, Transaction, sign_transaction
from node.ledger.waivers import Waiver, decode_waiver
from node.query.balances import BalanceService
from node.query.errors import UnknownHeightError, UnknownItemError, UnknownSeedError
from node.query.flags import FlagService, UnknownFlagError
from node.query.scorecards import ScorecardService
from node.storage.index import IndexStore
from node.telemetry.health import Health, PartHealth, State
from node.telemetry.metrics import Metrics
from node.wire.codec import MalformedError
from node.wire.ids import MemberId

LAG_BLOCKS_MAX: Final = 100
"""Flags that are further behind say so in the node's health: they may take a while after a start."""

T = TypeVar("T")


class FlagQueries:
    """Fills in `api.backends.FlagBackend`; scores are computed in `pool`, flags read in `reads`."""

    def __init__(
        self,
        service: FlagService,
        scores: ScorecardService,
        balances: BalanceService,
        pool: QuestionPool,
        reads: QuestionPool,
        *,
        submit: Callable[..., asyncio.Future[TransactionResult]],
        network_id: Digest,
        member: MemberId,
        clock: Clock,
    ) -> None:
        self._service = service
        self._scores = scores
        self._balances = balances
        self._pool = pool
        self._reads = reads
        self._submit = submit
        self._network_id = network_id
        self._member = member
        self._clock = clock

    async def flags(self, asked: FlagListParams) -> FlagListResult:
        """Return the flags asked for. Raises NotFoundError for a height that is not executed."""
        try:
            return await self._run(partial(self._service.flags, asked))
        except UnknownHeightError as error:
            raise NotFoundError(error.message, field=error.field) from error

    async def flag(self, flag_id: str) -> FlagResult:
        """Return one flag. Raises NotFoundError."""
        try:
            return await self._run(partial(self._service.flag, flag_id))
        except UnknownFlagError as error:
            raise NotFoundError(error.message, field=error.field, hint=error.hint) from error

    async def waive(self, flag_id: str, reason: str, *, wait: Wait) -> TransactionResult:
        """Waive a flag in this member's name. Raises NotFoundError, or RequestError for one that it may not waive."""
        payload = Waiver(bytes.fromhex((await self.flag(flag_id)).flag.id), reason).encode()
        try:
            decode_waiver(payload)
        except MalformedError as error:
            raise RequestError("invalid_params", str(error), field="params.reason") from error
        if not await self._run(partial(self._service.may_waive, flag_id, self._member)):
            words = f"{self._member} neither entered an event of this flag nor can settle it, and is no validator"
            raise RequestError("not_entitled", words, field="params.id", hint="ask one of its parties to waive it")
        created_ms, nonce = self._clock.wall_ms(), os.urandom(NONCE_BYTES)
        signed = sign_transaction(
            Transaction(Kind.WAIVE, self._member, None, created_ms, nonce, payload), self._network_id, None
        )
        return await self._submit(signed.encode(), wait=wait)

    async def completeness(self, asked: CompletenessParams) -> CompletenessResult:
        """Return how complete an item's record is. Raises NotFoundError with near matches."""
        return await self._find(partial(self._scores.completeness, asked))

    async def scorecard(self, asked: ScorecardParams) -> ScorecardResult:
        """Return a party's scorecard. Raises NotFoundError."""
        return await self._find(partial(self._scores.scorecard, asked))

    async def balance(self, asked: BalanceParams) -> BalanceResult:
        """Return a party's balance of a product over a period. Raises NotFoundError and RequestError."""
        return await self._find(partial(self._balances.balance, asked))

    async def _find(self, work: Callable[[], T]) -> T:
        try:
            return await self._pool.run(work)
        except (UnknownItemError, UnknownSeedError) as error:
            raise NotFoundError(error.message, field=error.field, hint=error.hint, near=error.near) from error

    async def _run(self, work: Callable[[], T]) -> T:
        return await self._reads.run(work)


class Follower(Protocol):
    """What is known of an engine's following."""

    @property
    def flags_failure(self) -> str | None:
        """Why flags follow execution no more, None while they do."""
        ...


class FlagsHealth:
    """Tells health and metrics how far flags have followed execution."""

    def __init__(self, engine: Follower, index: IndexStore) -> None:
        self._engine = engine
        self._index = index

    def add_to(self, health: Health, metrics: Metrics) -> None:
        """Have both ask."""
        health.add("flags", self.check, is_needed=False)
        metrics.sample("storage_flags_height", lambda: self._heights()[1])

    def check(self) -> PartHealth:
        """Return how flags are: the node works without them, but says nothing new of what does not add up."""
        executed, flags = self._heights()
        if self._engine.flags_failure is not None:
            words = (
                f"flags stand still at height {flags}, by our own fault: {self._engine.flags_failure}; please report it"
            )
            return PartHealth(State.FAILED, words)
        if executed - flags > LAG_BLOCKS_MAX:
            return PartHealth(State.DEGRADED, f"flags hold at height {flags}, and follow up to {executed}")
        return PartHealth(State.OK, f"flags hold at height {flags}")

    def _heights(self) -> tuple[int, int]:
        with self._index.reader() as reader:
            return reader.height, reader.flags.height
