"""node/cli/capture: the answer in words, and the exit code."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Literal

import msgspec
import pytest
from click.testing import CliRunner, Result

from node.api.schema.events import CaptureAnswer
from node.api.schema.transactions import TransactionResult
from node.cli import capture
from node.intake.results import Counts, EventResult, FindingResult, Verdict

ID = "ab" * 32


class FakeClient:
    def __init__(self, answer: CaptureAnswer) -> None:
        self._answer = answer

    async def call_raw(self, method: str, params: dict[str, object]) -> bytes:
        assert method == "event.capture"
        return msgspec.json.encode(self._answer)


def event(index: int, verdict: Verdict, *errors: FindingResult) -> EventResult:
    return EventResult(index, verdict, None, ID, index, (), errors, ())


def answer(
    verdict: Verdict,
    counts: Counts,
    *events: EventResult,
    state: Literal["accepted", "final", "nothing"] = "final",
    final: str = "accepted",
) -> CaptureAnswer:
    result = TransactionResult(ID, "final", "mill", verdict=final)
    return CaptureAnswer(state, verdict, counts, events, (ID,), (), (), (result,))


def run(answer: CaptureAnswer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wait: str = "final") -> Result:
    def call(home: Path, ask: Callable[[FakeClient], Awaitable[object]]) -> object:
        async def body() -> object:
            return await ask(FakeClient(answer))

        return asyncio.run(body())

    monkeypatch.setattr(capture, "call_node", call)
    (tmp_path / "x.json").write_text("{}")
    return CliRunner().invoke(
        capture.command, [str(tmp_path / "x.json"), "--home", str(tmp_path), "--wait", wait], catch_exceptions=False
    )


def test_what_the_network_refused_fails_and_is_said_once_for_a_transaction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its events share its fate: one line, with the verdict in words and its code."""
    why = FindingResult("", "expired", "refused by the network: too old: see to the clock")
    events = [event(number, Verdict.REJECTED, why) for number in range(3)]
    result = run(answer(Verdict.REJECTED, Counts(0, 0, 0, 3), *events, final="expired"), tmp_path, monkeypatch)
    assert result.exit_code == 1
    assert "nothing entered, 3 refused" in result.output
    assert f"3 events in transaction {ID}: refused by the network: too old: see to the clock [expired]" in result.output
    assert result.output.count("too old") == 1
    assert "final" not in result.output


def test_refused_master_data_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A document without events has no event to count."""
    result = run(answer(Verdict.REJECTED, Counts(0, 0, 0, 0), final="too_early"), tmp_path, monkeypatch)
    assert result.exit_code == 1
    assert "nothing entered" in result.output
    assert f"master data in transaction {ID} [too_early]" in result.output


def test_what_took_effect_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Duplicates that were waited for are final too; exit code 0."""
    events = [event(0, Verdict.ACCEPTED), event(1, Verdict.DUPLICATE)]
    result = run(answer(Verdict.ACCEPTED, Counts(1, 0, 1, 0), *events), tmp_path, monkeypatch)
    assert (result.exit_code, result.output.strip().rpartition("x.json: ")[2]) == (
        0,
        "1 final, 1 known already and final",
    )
    nothing = answer(Verdict.DUPLICATE, Counts(0, 0, 1, 0), event(0, Verdict.DUPLICATE), state="nothing")
    result = run(nothing, tmp_path, monkeypatch, wait="accepted")
    assert (result.exit_code, result.output.strip().rpartition("x.json: ")[2]) == (0, "nothing new, 1 known already")
