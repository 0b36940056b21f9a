"""What `docs/operations.md` tells an operator to type, typed: a network changes, and a lost node comes back.

The numbers T-30, T-47, T-50 and T-52 are those of the scenarios in `docs/protocol.md`.
"""

import asyncio
import itertools
import json
import shutil
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from node.crypto.keys import load_key
from tests.e2e.handbook import Handbook, read_blocks
from tests.e2e.localnet import NodeProcess, free_base_port, run_cli, running_localnet, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(150)]

Scenario = Callable[[Handbook], Coroutine[Any, Any, None]]


def act(folder: Path, scenario: Scenario, *, validators: int = 4) -> None:
    """Run a scenario at a localnet in `folder/net`, beside its genesis.json."""

    async def run() -> None:
        async with running_localnet(folder / "net", validators=validators) as net:
            shutil.copy(folder / "net" / "genesis.json", folder / "genesis.json")
            await scenario(Handbook(net, free_base_port(1)))

    asyncio.run(run())


async def wait_for_status(node: NodeProcess, what: str, **wanted: object) -> dict[str, Any]:
    """Return a node's status once it has these values."""
    found: dict[str, Any] = {}

    async def holds() -> bool:
        status = await node.find_status()
        if status is None:
            return False
        found.update(status)
        return all(status[name] == value for name, value in wanted.items())

    try:
        await wait_until(holds, what)
    except AssertionError as error:
        raise AssertionError(f"{error}: {found}\n{node.tail()}") from error
    return found


def capture(node: NodeProcess, folder: Path, number: int) -> None:
    """Enter an event at a node and wait until it is final."""
    event = {
        "@context": "https://ref.gs1.org/standards/epcis/epcis-context.jsonld",
        "type": "ObjectEvent",
        "eventTime": "2026-03-02T08:00:00+01:00",
        "eventTimeZoneOffset": "+01:00",
        "action": "ADD",
        "bizStep": "commissioning",
        "quantityList": [{"epcClass": f"https://id.gs1.org/01/09521101000016/10/A{number}", "quantity": 5}],
    }
    path = folder / f"event-{number}.json"
    path.write_text(json.dumps(event), encoding="utf-8")
    words: tuple[str | Path, ...] = ("capture", path, "--home", node.home, "--wait", "final")
    ended = run_cli(*words, **node.environment)  # type: ignore[arg-type]  # Names of variables, none of them `seconds`.
    assert ended.returncode == 0, (ended.stdout, ended.stderr)


def test_a_firm_joins_from_genesis_and_one_address_and_becomes_a_validator(tmp_path: Path) -> None:
    """T-30, T-52: it waits in words, is added, catches up, enters, votes, and is needed for the quorum."""

    async def scenario(book: Handbook) -> None:
        first, second = read_blocks("A firm joins")
        await asyncio.to_thread(capture, book.net.nodes[0], tmp_path, 1)
        await book.run(first[:2])
        status = await wait_for_status(book.made, "it is up", role="none")
        assert not status["ready"]
        assert "is not a member" in status["waiting_for"][0]
        await book.run(first[2:])
        await wait_for_status(book.made, "it is a member and has caught up", role="member", ready=True, epoch=1)
        await asyncio.to_thread(capture, book.made, tmp_path, 2)
        await book.run(second)
        await wait_for_status(book.made, "it votes", role="validator", ready=True, epoch=2, validators=5)
        # Four of five make the quorum: with one of the old ones gone, the new one is needed.
        book.net.nodes[3].kill()
        await asyncio.to_thread(capture, book.made, tmp_path, 3)

    act(tmp_path, scenario)


def test_a_node_key_is_rotated_while_the_node_runs(tmp_path: Path) -> None:
    """T-47: the old key is erased, what was entered stays, what is entered goes into the new feed, and it votes."""

    async def scenario(book: Handbook) -> None:
        (lines,) = read_blocks("A new node key")
        node = book.net.nodes[3]
        old = load_key(node.home / "keys" / "node.key")
        await asyncio.to_thread(capture, node, tmp_path, 1)
        await book.run(lines)
        await wait_for_status(node, "it is ready in the next epoch", ready=True, epoch=1, role="validator")
        new = load_key(node.home / "keys" / "node.key")
        assert new.public_key != old.public_key
        assert {path.name for path in (node.home / "keys").iterdir()} == {"node.key", "actor.key"}
        for path in node.home.rglob("*"):
            assert not path.is_file() or old.seed.hex().encode() not in path.read_bytes(), path
        # Three of four make the quorum: its vote with the new key is needed.
        book.net.nodes[0].kill()
        await asyncio.to_thread(capture, node, tmp_path, 2)
        members = await node.call("member.list")
        (own,) = [one for one in members["members"] if one["id"] == node.member]
        assert (own["node_key"], own["feed"]) == (new.public_key.hex(), 1)
        # The home starts with the new key as with any other.
        assert node.stop() == 0
        node.start()
        await wait_for_status(node, "it is ready after a restart", ready=True, epoch=1)
        for number in (1, 2):
            lot = f"https://id.gs1.org/01/09521101000016/10/A{number}"
            traced = await node.call("trace.back", item=lot)
            assert lot in json.dumps(traced), "what was entered under either key stays"

    act(tmp_path, scenario)


def test_a_node_that_was_down_when_its_new_key_came_into_force_finds_out(tmp_path: Path) -> None:
    """T-52: the others know only its next key by then, so it meets them with that, and takes it up."""

    async def scenario(book: Handbook) -> None:
        (lines,) = read_blocks("A new node key")
        node = book.net.nodes[3]
        await book.run(lines[:1])
        node.kill()
        await book.run(lines[1:3])
        await wait_for_status(book.net.nodes[0], "the epoch has begun", epoch=1)
        node.start()
        await wait_for_status(node, "it has taken up its next key", ready=True, epoch=1, role="validator")
        assert {path.name for path in (node.home / "keys").iterdir()} == {"node.key", "actor.key"}
        book.net.nodes[0].kill()
        await asyncio.to_thread(capture, node, tmp_path, 1)

    act(tmp_path, scenario)


@pytest.mark.timeout(200)
def test_a_node_that_was_away_while_all_others_rotated_their_keys_catches_up_by_one_address(tmp_path: Path) -> None:
    """T-52: it knows nobody's key, and takes from the address what proves itself by certificates."""

    async def scenario(book: Handbook) -> None:
        *others, away = book.net.nodes
        away.kill()
        for number, node in enumerate(others):
            proposed = run_cli("keys", "rotate", "--home", node.home, "--json")
            assert proposed.returncode == 0, proposed.stderr
            proposal = json.loads(proposed.stdout)["proposal"]
            for approver in others:
                if approver is not node:
                    await approver.call("govern.approve", id=proposal)
            for one in others:
                await wait_for_status(one, "all go on with the new key", epoch=number + 1, ready=True)
        away.environment = {"LOTVINE_P2P__JOIN": f"127.0.0.1:{others[0].p2p_port}"}
        away.start()
        await wait_for_status(away, "it has caught up", ready=True, epoch=3, role="validator")
        assert "met by address, for catching up only" in away.tail()
        others[0].kill()
        await asyncio.to_thread(capture, away, tmp_path, 1)

    act(tmp_path, scenario)


def test_a_validator_that_leaves_goes_on_following(tmp_path: Path) -> None:
    """T-30: the others go on without it; it has every block and enters nothing."""

    async def scenario(book: Handbook) -> None:
        (lines,) = read_blocks("A validator leaves")
        leaver = book.net.nodes[4]
        await book.run(lines)
        await wait_for_status(leaver, "it is an observer", role="observer", validators=4)
        await asyncio.to_thread(capture, book.net.nodes[0], tmp_path, 1)
        statuses = await book.net.wait_equal()
        assert len({status["state_digest"] for status in statuses}) == 1
        refused = run_cli("capture", tmp_path / "event-1.json", "--home", leaver.home)
        assert refused.returncode == 1
        assert "it is an observer" in refused.stderr
        book.net.nodes[3].kill()
        await asyncio.to_thread(capture, book.net.nodes[0], tmp_path, 2)

    act(tmp_path, scenario, validators=5)


@pytest.mark.timeout(200)
def test_a_lost_machine_is_made_anew_from_its_key_and_rejoins(tmp_path: Path) -> None:
    """T-50: the same key on an empty disk asks before it signs, and is needed for the quorum in the end."""

    async def scenario(book: Handbook) -> None:
        (lines,) = read_blocks("A machine is lost")
        lost = book.net.nodes[3]
        await asyncio.to_thread(capture, lost, tmp_path, 1)
        lost.kill()
        lost.close_log()
        shutil.copy(lost.home / "keys" / "node.key", tmp_path / "node.key")
        shutil.rmtree(lost.home)
        book.net.nodes.remove(lost)
        book.free_port = lost.p2p_port
        await book.run(lines)
        assert "the vote log is lost" in book.made.log_path.read_text(errors="replace"), "it would vote unasked"
        await has_rejoined(book, tmp_path)

    act(tmp_path, scenario)


@pytest.mark.timeout(200)
def test_a_node_restored_from_a_backup_rejoins(tmp_path: Path) -> None:
    """T-50: the backup of the running node has all but the votes; what came after it is caught up."""

    async def scenario(book: Handbook) -> None:
        before, after = read_blocks("Backup and restore")
        lost = book.net.nodes[3]
        await asyncio.to_thread(capture, lost, tmp_path, 1)
        await book.run(before)
        await asyncio.to_thread(capture, lost, tmp_path, 2)
        lost.kill()
        lost.close_log()
        shutil.rmtree(lost.home)
        book.net.nodes.remove(lost)
        book.free_port = lost.p2p_port
        await book.run(after)
        assert "the vote log is lost" in book.made.log_path.read_text(errors="replace"), "it would vote unasked"
        await has_rejoined(book, tmp_path)

    act(tmp_path, scenario)


async def has_rejoined(book: Handbook, folder: Path) -> None:
    """The node that the page made has caught up, and votes: with another one gone, it is needed for the quorum."""

    numbers = itertools.count(100)

    async def waits_for_nothing() -> bool:
        # Views pass its guard as the network has something to agree on; an idle one takes some heartbeats.
        await asyncio.to_thread(capture, book.net.nodes[1], folder, next(numbers))
        status = await book.made.find_status()
        return status is not None and status["ready"] and not status["waiting_for"]

    await wait_until(waits_for_nothing, "it has rejoined")
    await asyncio.to_thread(capture, book.made, folder, 8)
    statuses = await book.net.wait_equal()
    assert len({status["state_digest"] for status in statuses}) == 1
    book.net.nodes[0].kill()
    await asyncio.to_thread(capture, book.made, folder, 9)
