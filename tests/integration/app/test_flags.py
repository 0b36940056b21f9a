"""Flags through a node's API: a waiver is signed in the member's name, if it may give one."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from node.api.errors import NotFoundError
from node.api.schema.flags import BalanceParams, CompletenessParams, FlagListParams, ScorecardParams
from node.api.schema.transactions import TransactionResult, Wait
from node.app.backends.flags import FlagQueries, FlagsHealth
from node.app.backends.pools import QuestionPool
from node.clock import SystemClock
from node.errors import RequestError
from node.ledger.transaction import Kind, decode_signed
from node.ledger.waivers import decode_waiver
from node.lineage.readings import Readings
from node.query.balances import BalanceService
from node.query.flags import FlagService
from node.query.scorecards import ScorecardService
from node.telemetry.health import Health, PartHealth, State
from node.telemetry.metrics import Metrics
from node.wire.ids import MemberId
from tests.support.events import lot, place
from tests.support.flag_ledger import FlagLedger, receive

SALT = lot("952110000003", "S1")


class Node:
    """A member's node on the ledger; what it submits is kept."""

    def __init__(self, ledger: FlagLedger, member: str) -> None:
        self.submitted: list[tuple[bytes, Wait]] = []
        self._executor = ThreadPoolExecutor(1)
        reader = ledger.index.reader
        self.flags = FlagQueries(
            FlagService(reader),
            ScorecardService(reader, lambda _: Readings()),
            BalanceService(reader, lambda _: Readings()),
            QuestionPool(self._executor),
            QuestionPool(self._executor),
            submit=self._submit,
            network_id=ledger.genesis.network_id,
            member=MemberId(member),
            clock=SystemClock(),
        )

    def _submit(self, signed: bytes, *, wait: Wait) -> asyncio.Future[TransactionResult]:
        self.submitted.append((signed, wait))
        done: asyncio.Future[TransactionResult] = asyncio.get_running_loop().create_future()
        done.set_result(TransactionResult(id="00" * 32, state="final", member="firm-0"))
        return done


def with_salt(folder: Path, scenario: Callable[[FlagLedger], Awaitable[None]]) -> None:
    """Run a scenario on a ledger with one flag."""
    ledger = FlagLedger(folder / "index", members=2)
    ledger.enter(receive(SALT, 30, 9), member="firm-4")
    ledger.follow()

    async def run() -> None:
        await scenario(ledger)

    asyncio.run(run())
    ledger.close()


def test_waiver_is_signed_in_the_members_name(tmp_path: Path) -> None:
    """As a transaction of its own kind, with flag and reason."""

    async def scenario(ledger: FlagLedger) -> None:
        node = Node(ledger, "firm-4")
        (flag,) = (await node.flags.flags(FlagListParams())).flags
        assert (await node.flags.flag(flag.id)).flag == flag
        result = await node.flags.waive(flag.id, "the sender is no member", wait=Wait.FINAL)
        assert result.state == "final"
        ((encoded, wait),) = node.submitted
        transaction = decode_signed(encoded, ledger.genesis.network_id).transaction
        assert (transaction.kind, transaction.member, wait) == (Kind.WAIVE, "firm-4", Wait.FINAL)
        waiver = decode_waiver(transaction.payload)
        assert (waiver.flag_id.hex(), waiver.reason) == (flag.id, "the sender is no member")

    with_salt(tmp_path, scenario)


def test_waiver_that_nobody_would_count_is_refused_at_the_door(tmp_path: Path) -> None:
    """Of a member that has no part in it, of a flag that is not there, and with a reason of two lines."""

    async def scenario(ledger: FlagLedger) -> None:
        stranger, owner = Node(ledger, "firm-5"), Node(ledger, "firm-4")
        (flag,) = (await owner.flags.flags(FlagListParams())).flags
        with pytest.raises(RequestError) as refused:
            await stranger.flags.waive(flag.id, "why not", wait=Wait.FINAL)
        assert (refused.value.code, refused.value.field) == ("not_entitled", "params.id")
        with pytest.raises(NotFoundError):
            await owner.flags.waive("00" * 16, "why not", wait=Wait.FINAL)
        with pytest.raises(RequestError) as refused:
            await owner.flags.waive(flag.id, "two\nlines", wait=Wait.FINAL)
        assert refused.value.field == "params.reason"
        assert stranger.submitted == owner.submitted == []

    with_salt(tmp_path, scenario)


def test_health_says_how_far_flags_are(tmp_path: Path) -> None:
    """Behind for long, and standing still by our own fault."""

    class Engine:
        flags_failure: str | None = None

    ledger = FlagLedger(tmp_path / "index")
    engine, health, metrics = Engine(), Health(), Metrics()
    FlagsHealth(engine, ledger.index).add_to(health, metrics)
    for _ in range(101):
        ledger.enter()
    assert health.report()["flags"].state is State.DEGRADED
    ledger.follow()
    assert health.report()["flags"] == PartHealth(State.OK, "flags hold at height 101")
    assert b"storage_flags_height 101.0" in metrics.render()
    engine.flags_failure = "ZeroDivisionError()"
    assert health.report()["flags"].state is State.FAILED
    assert not health.find_unready()
    ledger.close()


def test_unknown_items_and_parties_are_not_found(tmp_path: Path) -> None:
    """As of a trace."""

    async def scenario(ledger: FlagLedger) -> None:
        node = Node(ledger, "firm-4")
        assert (await node.flags.completeness(CompletenessParams(SALT))).upstream == 0
        with pytest.raises(NotFoundError):
            await node.flags.completeness(CompletenessParams(lot("952110000003", "X")))
        with pytest.raises(NotFoundError):
            await node.flags.scorecard(ScorecardParams("urn:example:nobody"))
        period = ("2026-01-01T00:00:00Z", "2026-12-31T00:00:00Z")
        assert (await node.flags.balance(BalanceParams(place(2), SALT, *period))).party == place(2)
        with pytest.raises(NotFoundError):
            await node.flags.balance(BalanceParams("urn:example:nobody", SALT, *period))

    with_salt(tmp_path, scenario)
