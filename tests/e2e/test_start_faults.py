"""What is wrong at start is said in one clear line, and nothing is started."""

import asyncio
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from tests.e2e.localnet import Localnet, NodeProcess, cleaned_up, create_localnet, run_cli, running_localnet, wait_until
from tests.e2e.stream import Journal, submit_for_ever

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

FAILED = 1
MISUSED = 2


@pytest.fixture
def net(tmp_path: Path) -> Localnet:
    """A localnet of one, not running."""
    return create_localnet(tmp_path / "net", validators=1)


def start_in_vain(net: Localnet) -> tuple[int, list[str]]:
    """Start the node, which must end by itself; return its exit code and the lines it said on standard error."""
    ended = run_cli("start", "--home", net.nodes[0].home, seconds=20)
    assert ended.stdout == ""
    lines = [line for line in ended.stderr.splitlines() if line.strip()]
    assert not any("Traceback" in line for line in lines), ended.stderr
    return ended.returncode, lines


def the_error(lines: list[str]) -> str:
    """Return the one line that says what is wrong: of the command line, or of the node's log."""
    errors = [line for line in lines if line.startswith("error: ") or "[error" in line]
    assert len(errors) == 1, lines
    return errors[0]


@pytest.mark.parametrize("offset", [0, 1, 2])
def test_a_port_in_use_is_named(net: Localnet, offset: int) -> None:
    """Session, API or operations port: the line names the setting's address."""
    port = net.nodes[0].p2p_port + offset
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", port))
        taken.listen()
        code, lines = start_in_vain(net)
    assert code == MISUSED
    assert f"127.0.0.1:{port}" in the_error(lines)
    assert "in use" in the_error(lines)


def test_a_home_that_another_process_holds_is_refused(net: Localnet) -> None:
    """Two processes with one key could vote twice; the first goes on undisturbed."""

    async def scenario() -> None:
        async with cleaned_up(net):
            net.nodes[0].start()
            await net.nodes[0].wait_for_height(0)
            code, lines = start_in_vain(net)
            assert code == MISUSED
            assert "another process" in the_error(lines)
            assert (await net.nodes[0].wait_for_height(0))["ready"]

    asyncio.run(scenario())


def _remove_key(net: Localnet) -> None:
    (net.nodes[0].home / "keys" / "node.key").unlink()


def _open_key(net: Localnet) -> None:
    (net.nodes[0].home / "keys" / "node.key").chmod(0o644)


def _spoil_key(net: Localnet) -> None:
    (net.nodes[0].home / "keys" / "node.key").write_text("not a key\n", encoding="ascii")


def _strange_key(net: Localnet) -> None:
    (net.nodes[0].home / "keys" / "node.key").write_text("07" * 32 + "\n", encoding="ascii")


def _remove_genesis(net: Localnet) -> None:
    (net.nodes[0].home / "config" / "genesis.json").unlink()


def _edit_genesis(net: Localnet) -> None:
    path = net.nodes[0].home / "config" / "genesis.json"
    path.write_text(path.read_text(encoding="ascii").replace("localnet", "othernet"), encoding="ascii")


def _reformat_genesis(net: Localnet) -> None:
    path = net.nodes[0].home / "config" / "genesis.json"
    path.write_text(path.read_text(encoding="ascii") + "\n", encoding="ascii")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (_remove_key, "node.key"),
        (_open_key, "chmod 600"),
        (_spoil_key, "node.key"),
        (_strange_key, "key"),
        (_remove_genesis, "genesis.json"),
        (_reformat_genesis, "genesis"),
    ],
)
def test_a_bad_key_or_genesis_is_one_line_and_exit_code_2(
    net: Localnet, spoil: Callable[[Localnet], None], says: str
) -> None:
    """The operator's to settle: what, where, what next."""
    spoil(net)
    code, lines = start_in_vain(net)
    assert code == MISUSED
    assert says in the_error(lines)


def test_another_networks_genesis_is_refused_once_the_home_has_data(net: Localnet) -> None:
    """The stores belong to one network: another genesis must not vote with this log."""

    async def scenario() -> None:
        async with cleaned_up(net):
            net.nodes[0].start()
            await net.nodes[0].wait_for_height(0)
            assert net.nodes[0].stop() == 0

    asyncio.run(scenario())
    _edit_genesis(net)
    code, lines = start_in_vain(net)
    assert code == MISUSED
    assert "genesis" in the_error(lines) or "network" in the_error(lines)


def _files(folder: Path, pattern: str) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob(pattern)) if path.is_file() and path.stat().st_size)


def _largest(folder: Path, pattern: str) -> Path:
    return max(_files(folder, pattern), key=lambda path: path.stat().st_size)


def _flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 0x40
    path.write_bytes(bytes(data))


def _flip_vote_log(data: Path) -> None:
    path = _largest(data / "votes", "*.votes")
    _flip(path, path.stat().st_size // 2)


def _remove_vote_log(data: Path) -> None:
    for path in _files(data / "votes", "*"):
        path.unlink()


def _flip_chain_table(data: Path) -> None:
    path = _largest(data / "chain", "*.ldb")
    _flip(path, path.stat().st_size // 3)


def _truncate_chain_table(data: Path) -> None:
    path = _largest(data / "chain", "*.ldb")
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def _truncate_chain_log(data: Path) -> None:
    path = _largest(data / "chain", "*.log")
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def _flip_index_table(data: Path) -> None:
    path = _largest(data / "index", "*.ldb")
    _flip(path, path.stat().st_size // 3)


@pytest.fixture(scope="module")
def used_home(tmp_path_factory: pytest.TempPathFactory) -> Localnet:
    """The home of a network of one with some blocks, stopped, and its data compacted into tables by restarts."""
    root = tmp_path_factory.mktemp("used")

    async def scenario() -> Localnet:
        async with running_localnet(root / "net", validators=1) as net:
            node = net.nodes[0]
            for turn in range(3):
                journal = Journal(root / "journal")
                stop = asyncio.Event()
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(submit_for_ever(net, node, journal, stop, pause_seconds=0.005, first=turn * 1000))
                    try:
                        await wait_until(partial(has_entered, journal, 40), "there is some data")
                    finally:
                        stop.set()
                await net.wait_equal()
                assert node.stop() == 0
                if turn < 2:
                    node.start()
                    await node.wait_for_height(0)
        return net

    return asyncio.run(scenario())


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (_flip_chain_table, "chain"),
        (_truncate_chain_table, "chain"),
        (_truncate_chain_log, "chain"),
        (_flip_index_table, "reindex"),
    ],
)
def test_a_damaged_store_is_recognised_at_start_and_the_way_out_named(
    used_home: Localnet, spoil: Callable[[Path], None], says: str
) -> None:
    """The node never guesses a repair: one line, exit code 1, and the store is left as it is."""
    with spoiled(used_home, spoil):
        code, lines = start_in_vain(used_home)
        assert code == FAILED
        assert says in the_error(lines)


@contextmanager
def spoiled(used_home: Localnet, spoil: Callable[[Path], None]) -> Iterator[None]:
    """Spoil the data of a stopped node for a while."""
    data = used_home.nodes[0].home / "data"
    kept = data.with_name("data.kept")
    shutil.copytree(data, kept)
    try:
        spoil(data)
        yield
    finally:
        shutil.rmtree(data)
        kept.rename(data)


@pytest.mark.parametrize("spoil", [_flip_vote_log, _remove_vote_log])
def test_a_node_whose_votes_are_lost_runs_and_says_what_it_waits_for(
    used_home: Localnet, spoil: Callable[[Path], None]
) -> None:
    """T-22: it does not vote with what is left; alone, it waits for its operator (docs/protocol.md)."""
    (node,) = used_home.nodes

    async def scenario() -> None:
        async with cleaned_up(used_home):
            node.start()
            await wait_until(lambda: answers(node), "it answers")
            status = await node.call("network.status")
            assert not status["ready"]
            assert "the vote log is lost" in status["waiting_for"][0]
            assert "lotvine start --rejoin-unanswered" in status["waiting_for"][0]
            assert node.stop() == 0
        assert "] the vote log is lost" in node.tail()

    with spoiled(used_home, spoil):
        asyncio.run(scenario())


async def has_entered(journal: Journal, count: int) -> bool:
    """Return whether so many transactions were accepted."""
    return len(journal.accepted) >= count


async def answers(node: NodeProcess) -> bool:
    """Return whether its API answers."""
    return await node.find_status() is not None
