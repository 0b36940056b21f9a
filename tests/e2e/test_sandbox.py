"""The sandbox as a newcomer runs it, and what its digests are worth."""

import json
import os
import signal
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import plyvel
import pytest
from msgspec.structs import replace

from node.app.identity import load_genesis_and_key
from node.app.sandbox.trade import BAKERY, FLOUR
from node.config.home import Home
from node.lineage.answer import Answer
from node.lineage.row_codec import decode_row, encode_row
from node.lineage.trace import Direction
from node.query.service import QueryService
from node.storage import keys
from node.storage.index import open_index
from tests.support.ports import free_base_port

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).parents[2]
MEMBERS = ("mill", "bakery", "distributor", "shops")


def run_sandbox(folder: Path) -> dict[str, Any]:
    began = time.monotonic()
    result = subprocess.run(
        [sys.executable, "-m", "node.cli", "sandbox", "--once", "--json", "--dir", str(folder),
         "--base-port", str(free_base_port())],
        capture_output=True, text=True, check=False, timeout=110, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert time.monotonic() - began < 60
    outcome: dict[str, Any] = json.loads(result.stdout)
    return outcome


def test_a_sandbox_stays_up_until_it_is_told_to_stop_and_leaves_nothing_behind(tmp_path: Path) -> None:
    """It says what to try next, that works, and Ctrl-C ends all five processes."""
    net = tmp_path / "net"
    process = subprocess.Popen(
        [sys.executable, "-m", "node.cli", "sandbox", "--dir", str(net), "--base-port", str(free_base_port())],
        stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert process.stdout is not None
    try:
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("Logs:"):
                break
        (words,) = [line.split() for line in lines if " trace back " in line]
        trace = [sys.executable, "-m", "node.cli", "trace", "back", words[3].strip("'"), *words[4:]]
        answer = subprocess.run(
            trace, capture_output=True, text=True, check=False, timeout=60, env=os.environ | {"PYTHONPATH": str(ROOT)}
        )
        assert answer.returncode == 0, answer.stderr
        assert "origins:" in answer.stdout
        assert len(flags_of_all(net)) == 1
        balances = [balance_of_flour(net / member) for member in MEMBERS]
        assert len({one["digest"] for one in balances}) == 1
        (total,) = balances[0]["totals"]
        assert (total["verdict"], total["received"]["min"], total["used"]["min"]) == ("balanced", "16500", "9000")
        nodes = [int((net / member / "LOCK").read_text()) for member in MEMBERS]
        process.send_signal(signal.SIGINT)
        assert process.stdout.read().endswith("Stopped.\n")
        assert process.wait(timeout=30) == 0
        for node in nodes:
            with pytest.raises(ProcessLookupError):
                os.kill(node, 0)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def balance_of_flour(home: Path) -> dict[str, Any]:
    """What a node says of the flour that the bakery ever had."""
    balance = subprocess.run(
        [sys.executable, "-m", "node.cli", "balance", FLOUR.id, "--party", BAKERY.id, "--from", "2000-01-01T00:00:00Z",
         "--to", "2100-01-01T00:00:00Z", "--json", "--home", str(home)],
        capture_output=True, text=True, check=True, timeout=60, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    answer: dict[str, Any] = json.loads(balance.stdout)
    return answer


def flags_of_all(net: Path) -> set[str]:
    """What the nodes say does not add up, once the flags of each have followed to the newest block."""
    deadline = time.monotonic() + 20
    while True:
        answers = [
            subprocess.run(
                [sys.executable, "-m", "node.cli", "flags", "--json", "--home", str(net / member)],
                capture_output=True, text=True, check=True, timeout=60, env=os.environ | {"PYTHONPATH": str(ROOT)},
            ).stdout
            for member in MEMBERS
        ]  # fmt: skip
        read = [json.loads(answer) for answer in answers]
        if all(one["flags_height"] == one["height"] for one in read) or time.monotonic() > deadline:
            assert all([one["code"] for one in answer["flags"]] == ["receipt_without_shipment"] * 2 for answer in read)
            return set(answers)


def ask(home: Home, item: str, direction: Direction) -> Answer:
    genesis = load_genesis_and_key(home)[0]
    index = open_index(home.index, genesis)
    try:
        return QueryService(index.reader).trace(item, direction)
    finally:
        index.close()


def alter_one_event(home: Home, item: str) -> None:
    """Change the amount of one run that took the item in, in this node's index alone, by a valid write."""
    store = plyvel.DB(str(home.index), bloom_filter_bits=10)
    for key, value in store.iterator(prefix=keys.EVENT):
        row = decode_row(value)
        taken = [goods for goods in row.event.inputs if goods.item == item]
        if taken:
            inputs = tuple(
                replace(goods, amount=Decimal(1)) if goods.item == item else goods for goods in row.event.inputs
            )
            store.put(key, encode_row(replace(row, event=replace(row.event, inputs=inputs))), sync=True)
            break
    else:
        raise AssertionError("no run took it in")
    store.close()


def test_four_firms_tell_a_story_and_give_one_answer_until_one_event_is_altered(tmp_path: Path) -> None:
    """In under a minute, over answers of at least ten items; and equal digests mean equal facts."""
    net = tmp_path / "net"
    outcome = run_sandbox(net)
    assert set(outcome) == {"nodes", "height", "events", "digests", "trace_ms", "back", "forward", "scope"}
    assert (outcome["nodes"], set(outcome["digests"])) == (4, set(MEMBERS))
    assert len(set(outcome["digests"].values())) == 1
    assert outcome["events"] > 180
    for answer in (outcome["back"], outcome["forward"]):
        assert len(answer["items"]) >= 10
        assert answer["height"] == outcome["height"]
    # What the story is about: rework carries the contamination into bread of clean flour; three shops hold some.
    bad, loaf = outcome["forward"]["item"], outcome["back"]["item"]
    assert loaf in {item["id"] for item in outcome["forward"]["items"]}
    assert bad in outcome["back"]["origins"]
    shops = {holder["place_name"] for holder in outcome["forward"]["holders"] if holder["party_name"] == "Shops"}
    assert len(shops) == 3
    scope = outcome["scope"]
    assert {portion["status"] for portion in scope["portions"]} == {"certain", "possible"}
    assert scope["excluded"]
    assert scope["totals"]["affected"]
    assert any(unknown["question"] and unknown["removes"] for unknown in scope["unknowns"])
    homes = {member: Home(net / member) for member in MEMBERS}
    alter_one_event(homes["bakery"], bad)
    for direction in Direction:
        item = bad if direction is Direction.FORWARD else loaf
        digests = {member: ask(home, item, direction).digest for member, home in homes.items()}
        assert digests["mill"] == outcome[direction.value]["digest"]
        assert digests["mill"] == digests["distributor"] == digests["shops"] != digests["bakery"]
