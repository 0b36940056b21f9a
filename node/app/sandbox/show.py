"""Tells the story to four running nodes, asks the two questions, and shows that all four answer alike."""

import asyncio
import hashlib
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec

from node.api.schema.events import CaptureAnswer
from node.api.schema.network import StatusResult
from node.api.schema.scopes import ScopeResult
from node.api.schema.traces import TraceResult
from node.app.sandbox.processes import POLL_SECONDS, RunningFirm, SandboxError, log_of, run_firms
from node.app.sandbox.story import DAYS, Story, tell_story
from node.clock import Clock
from node.query.scope_text import render_scope
from node.query.text import render_trace

AGREE_SECONDS: Final = 20.0
_SCOPE_LINES: Final = 8
"""Of each part of the scope; `--json` has all."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Answers:
    """One question's answer at each node. taken_ms: by the clock of who asked, the median of the nodes."""

    by_member: dict[str, TraceResult]
    raw: bytes
    taken_ms: float

    @property
    def first(self) -> TraceResult:
        """The answer of the first node."""
        return next(iter(self.by_member.values()))


@dataclass(frozen=True, slots=True)
class Scopes:
    """The recall's question at each node."""

    by_member: dict[str, ScopeResult]
    raw: bytes

    @property
    def first(self) -> ScopeResult:
        """The answer of the first node."""
        return next(iter(self.by_member.values()))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the sandbox found. digests: for each node over its three answers."""

    height: int
    events: int
    digests: dict[str, str]
    back: Answers
    forward: Answers
    scope: Scopes

    @property
    def is_agreed(self) -> bool:
        """Whether all nodes gave the same answers."""
        return len(set(self.digests.values())) == 1

    def to_json(self) -> bytes:
        """Return the one object of `--json`. trace_ms: the slower of the two traces."""
        return msgspec.json.encode(
            {
                "nodes": len(self.digests),
                "height": self.height,
                "events": self.events,
                "digests": self.digests,
                "trace_ms": round(max(self.back.taken_ms, self.forward.taken_ms), 3),
                "back": msgspec.Raw(self.back.raw),
                "forward": msgspec.Raw(self.forward.raw),
                "scope": msgspec.Raw(self.scope.raw),
            }
        )


async def run_sandbox(
    folder: Path,
    *,
    base_port: int,
    clock: Clock,
    say: Say,
    on_shown: Callable[[Outcome], Any],
    stay: bool,
    program: str,
) -> Outcome:
    """Run the whole of it. say: progress, line by line. on_shown: called once with what came out.

    stay: keep the nodes up until cancelled. program: how the reader calls this command.
    Raises ConfigError, SandboxError, RpcError.
    """
    today = datetime.fromtimestamp(clock.wall_ms() / 1000, UTC)
    story = tell_story(today - timedelta(days=DAYS + 1))
    say(f"Starting four firms in {folder} …")
    async with run_firms(folder, base_port=base_port, clock=clock) as firms:
        say("Mill, bakery, distributor and shops are connected; each runs its own node.")
        await _capture(firms, story, say)
        outcome = await _ask(firms, story)
        on_shown(outcome)
        if stay:
            for line in _what_next(firms, story, program):
                say(line)
            await asyncio.Event().wait()
    return outcome


async def _capture(firms: Sequence[RunningFirm], story: Story, say: Say) -> None:
    by_member = {firm.member: firm for firm in firms}
    for chapter in story.chapters:
        firm = by_member[chapter.member]
        wait = "final" if chapter is story.chapters[-1] else "accepted"
        params = {"document": msgspec.Raw(chapter.document), "wait": wait}
        result = await firm.client.call("event.capture", params, CaptureAnswer)
        if result.counts.accepted + result.counts.warning != chapter.events:
            raise SandboxError(f"{chapter.member} {chapter.title}: {result.counts}", hint=f"see {log_of(firm.home)}")
        say(f"  {firm.name:<12} {chapter.title} ({chapter.events} events)")


async def _ask(firms: Sequence[RunningFirm], story: Story) -> Outcome:
    """Ask every node all three questions at one height."""
    events = sum(chapter.events for chapter in story.chapters)
    try:
        async with asyncio.timeout(AGREE_SECONDS):
            while True:
                statuses = [await firm.client.call("network.status", {}, StatusResult) for firm in firms]
                if all(status.events == events and status.lag == 0 for status in statuses):
                    back = await _trace(firms, "trace.back", story.finished)
                    forward = await _trace(firms, "trace.forward", story.contaminated)
                    scope = await _scope(firms, story.contaminated)
                    heights = {one.height for answers in (back, forward) for one in answers.by_member.values()}
                    heights |= {one.height for one in scope.by_member.values()}
                    if len(heights) == 1:
                        break
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError as error:
        raise SandboxError(
            f"the nodes are not at one height after {AGREE_SECONDS:.0f} s", hint=f"see {log_of(firms[0].home)}"
        ) from error
    digests = {
        firm.member: hashlib.sha256(
            b"".join(bytes.fromhex(answers.by_member[firm.member].digest) for answers in (back, forward, scope))
        ).hexdigest()
        for firm in firms
    }
    return Outcome(heights.pop(), events, digests, back, forward, scope)


async def _trace(firms: Sequence[RunningFirm], method: str, item: str) -> Answers:
    answers, raw, taken = {}, b"", []
    for firm in firms:
        began = time.perf_counter()
        raw = await firm.client.call_raw(method, {"item": item})
        taken.append((time.perf_counter() - began) * 1000)
        answers[firm.member] = msgspec.json.decode(raw, type=TraceResult)
    return Answers(answers, raw, statistics.median(taken))


async def _scope(firms: Sequence[RunningFirm], item: str) -> Scopes:
    """Ask for the scope of a mycotoxin in the lot: it stays where the grain is, so amounts may exclude."""
    answers, raw = {}, b""
    for firm in firms:
        raw = await firm.client.call_raw("scope.compute", {"seeds": [{"item": item}], "hazard": "chemical"})
        answers[firm.member] = msgspec.json.decode(raw, type=ScopeResult)
    return Scopes(answers, raw)


def render_outcome(outcome: Outcome) -> list[str]:
    """Return what came out, in words."""
    lines = ["", "The bad wheat, forward: what it went into, and who has it.", ""]
    lines += render_trace(outcome.forward.first)
    lines += ["", "A finished loaf, backward: what it is made of.", ""]
    lines += render_trace(outcome.back.first)
    lines += ["", "The bad wheat as a recall: what must hold it, what may, what is out, and what to ask.", ""]
    lines += render_scope(outcome.scope.first, listed_max=_SCOPE_LINES)
    forward, back = outcome.forward.taken_ms, outcome.back.taken_ms
    ledger = f"{outcome.events} events, height {outcome.height}"
    lines += ["", f"Forward in {forward:.1f} ms, backward in {back:.1f} ms ({ledger})."]
    if outcome.is_agreed:
        lines.append(f"All {len(outcome.digests)} nodes gave the same answers: {next(iter(outcome.digests.values()))}")
    else:
        lines.append("THE NODES DISAGREE:")
        lines += [f"  {member:<12} {digest}" for member, digest in outcome.digests.items()]
    return lines


def _what_next(firms: Sequence[RunningFirm], story: Story, program: str) -> list[str]:
    first, last = firms[0], firms[-1]
    return [
        "",
        "The four nodes stay up until Ctrl-C. In another terminal, try:",
        f"  {program} status --home {first.home.root}",
        f"  {program} trace forward '{story.contaminated}' --home {last.home.root}",
        f"  {program} trace back '(01)09521102000046(10)L07' --home {first.home.root}",
        f"  {program} scope '{story.contaminated}' --hazard microbe --home {first.home.root}",
        f"  {program} scope '{story.contaminated}' --hazard microbe --format svg --home {first.home.root} > scope.svg",
        f"  {program} find 'LO?' --place Bakery --home {first.home.root}    # a smudged label",
        f"  {program} flags --home {first.home.root}",
        f"  kill -9 $(head -1 {firms[1].home.lock})    # the bakery's node: the other three go on",
        f"  {program} start --home {firms[1].home.root}    # and it catches up",
        f"Logs: {first.home.root.parent}/*/log",
    ]
