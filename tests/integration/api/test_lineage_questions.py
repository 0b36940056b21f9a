"""Questions about lots as people ask them: by command, over the API, answered from a snapshot."""

import asyncio
import dataclasses
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from click.testing import Result
from msgspec import Raw

from node.api.client import RpcError, open_client
from node.app.backends.lineage import LineageQueries
from node.app.backends.pools import QuestionPool
from node.epcis.model import MasterKind, MasterRecord
from node.lineage.reader import LineageReader
from node.query.service import QueryService
from tests.support.api_backends import FakeNode
from tests.support.chronicle import Chronicle
from tests.support.events import at, lot, party, place, product_class
from tests.support.memory_index import build_master
from tests.support.served import Desk, serving

FLOUR, DOUGH, B1, B2, B3 = lot("1", "F-2026-B8"), lot("2", "D1"), lot("3", "B1"), lot("3", "B2"), lot("3", "B3")


def bakery() -> Chronicle:
    story = Chronicle()
    story.make({FLOUR: 500}, at(1, "08:00"), at=1)
    story.make({lot("1", "G"): 100}, at(1, "08:00"), at=1)
    story.run({FLOUR: 450}, {DOUGH: 600}, at(2, "04:00"), at=2, name="mix")
    story.run({DOUGH: 600}, {B1: 300, B2: 280}, at(2, "06:00"), at=2)
    story.run({lot("1", "G"): 90}, {B3: 80}, at(2, "07:00"), at=2)
    story.ship({B1: 300}, at(2, "09:00"), at=2, to=3)
    story.name_place(2, 2)
    story.masters.append(build_master(MasterRecord(MasterKind.PARTY, party(2), (("name", "Old Bakery"),)), 1))
    story.masters.append(
        build_master(MasterRecord(MasterKind.PRODUCT, product_class("1"), (("name", "Rye flour"),)), 1)
    )
    return story


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    index = bakery().index()

    @contextmanager
    def reader() -> Iterator[LineageReader]:
        yield index

    with ThreadPoolExecutor(1) as threads:
        lineage = LineageQueries(QueryService(reader), QuestionPool(threads), QuestionPool(threads))
        with serving(dataclasses.replace(FakeNode().backends(), lineage=lineage)) as address:
            yield Desk(tmp_path / "net", address)


def read(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.output)
    return found


def test_a_misread_label_is_found(desk: Desk) -> None:
    """With the characters that were read otherwise; narrowed by place."""
    result = desk.run("find", "X-2O26-88", "--place", "Site 2", "--limit", "5")
    assert result.exit_code == 0, result.output
    assert result.output.startswith("Rye flour lot F-2026-B8")
    assert "X is F at 1" in result.output
    found = read(desk.run("find", "--party", "Old Bakery", "--made", "--json"))
    assert {one["id"] for one in found["found"]} == {DOUGH, B1, B2, B3}
    refused = desk.run("find")
    assert refused.exit_code == 1


def test_a_misread_lot_in_a_trace_is_answered_with_what_was_meant(desk: Desk) -> None:
    """Did you mean."""
    result = desk.run("trace", "back", FLOUR.replace("F-2026", "P-2O26"))
    assert result.exit_code == 1
    assert FLOUR in result.output


def test_traces_begin_from_several_things(desk: Desk) -> None:
    """Lots, a run, what a party had of a product; both ways at one height."""
    answer = read(desk.run("trace", "back", B1, B3, "--json"))
    assert len(answer["seeds"]) == 2
    both = read(desk.run("trace", "both", "--run", "mix", "--json"))
    assert both["direction"] == "both"
    had = desk.run("trace", "forward", "--holder", party(2), "--product", product_class("2"), "--depth", "1")
    assert "lot D1" in had.output
    assert desk.run("trace", "back").exit_code == 2
    assert desk.run("trace", "back", B1, "--product", "x").exit_code == 2


def test_the_way_to_an_item_is_written_out(desk: Desk) -> None:
    """Link by link, to what was asked about; of what is not in the trace it is said."""
    result = desk.run("trace", "forward", FLOUR, "--why", B1)
    lines = result.output.splitlines()
    assert lines[0].endswith("lot B1, 300 kg")
    assert lines[1].startswith("  600 kg came from what follows by")
    assert lines[-1] == "Rye flour lot F-2026-B8, 500 kg (asked about)"
    assert sum(line.startswith("  event ") for line in lines) == 2
    back = desk.run("trace", "back", B1, "--why", FLOUR)
    assert "450 kg went into what follows by" in back.output
    assert "is not in this trace" in desk.run("trace", "back", B1, "--why", B3).output
    assert desk.run("trace", "back", B1, "--why", B3, "--json").exit_code == 2


def test_pictures_come_in_three_formats(desk: Desk) -> None:
    """SVG that parses, DOT, Mermaid; with --json the object."""
    svg = desk.run("trace", "both", DOUGH, "--format", "svg", "--narrow")
    assert ElementTree.fromstring(svg.output).get("width") == "360"
    assert desk.run("trace", "back", B1, "--format", "dot").output.startswith("digraph")
    assert desk.run("trace", "back", B1, "--format", "mermaid", "--limit", "1").output.startswith("flowchart")
    told = read(desk.run("trace", "back", B1, "--format", "dot", "--json"))
    assert told["items"] == 3
    assert desk.run("trace", "back", B1, "--narrow").exit_code == 2


def test_a_scope_comes_as_a_picture(desk: Desk) -> None:
    """In the colours of its sets."""
    svg = desk.run("scope", FLOUR, "--hazard", "microbe", "--format", "svg")
    assert svg.exit_code == 0, svg.output
    ElementTree.fromstring(svg.output)
    assert "How far microbe in" in svg.output
    told = read(desk.run("scope", FLOUR, "--format", "mermaid", "--json"))
    assert len(told["digests"]) == 2
    assert desk.run("scope", FLOUR, "--narrow").exit_code == 2


def test_a_common_source_is_ranked(desk: Desk) -> None:
    """By command and over the API."""
    result = desk.run("common", B1, B2)
    assert result.exit_code == 0, result.output
    assert "2 of 2 bad lots come from it, and 0 of 1 others" in result.output
    answer = read(desk.run("common", B1, B2, "--json", "--limit", "1"))
    assert answer["candidates_found"] > 1
    assert desk.run("common", B1).exit_code == 2


def test_a_difference_is_told(desk: Desk, tmp_path: Path) -> None:
    """Of files that the commands wrote; what is no answer is refused."""
    for name, height in (("a", "5"), ("b", "6")):
        told = desk.run("trace", "forward", FLOUR, "--height", height, "--json")
        (tmp_path / name).write_text(told.output, encoding="utf-8")
    result = desk.run("diff", tmp_path / "a", tmp_path / "b")
    assert "+ holder" in result.output
    assert place(3) in result.output


def test_a_difference_is_told_over_the_api(desk: Desk) -> None:
    """Of the answers as they came; of what is no answer, the field is named."""

    async def ask() -> tuple[dict[str, Any], RpcError]:
        async with open_client(desk.address) as client:
            first, second = [await client.call_raw("trace.forward", {"item": FLOUR, "height": at}) for at in (5, 6)]
            told = await client.call_raw("answer.diff", {"before": Raw(first), "after": Raw(second)})
            with pytest.raises(RpcError) as refused:
                await client.call_raw("answer.diff", {"before": Raw(first), "after": {}})
            return json.loads(told), refused.value

    changes, refused = asyncio.run(ask())
    assert changes["same_question"] is True
    assert any(one["kind"] == "holder" for one in changes["changes"])
    assert refused.field == "params.after"


def test_a_mistyped_holder_or_run_of_a_scope_is_refused_with_what_may_be_meant(desk: Desk) -> None:
    """Exit 1 and a name, not an empty recall."""
    refused = desk.run("scope", "--holder", "Old Bakrey")
    assert refused.exit_code == 1
    assert "not_found" in refused.stderr
    assert "did you mean" in refused.stderr
    unknown = desk.run("scope", "--run", "zz")
    assert unknown.exit_code == 1
    assert "no run is called zz" in unknown.stderr
    assert desk.run("scope", FLOUR, "--from", "2026-01-05T07:30:00Z").exit_code == 2
