"""A whole node of a network of one, started and stopped as an operator would, and refused where it cannot be."""

import json
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import structlog
from click.testing import CliRunner

from node.app.run import run_node
from node.cli.entry import program
from node.config.home import Home, lock_home
from node.config.settings import Settings
from node.errors import ConfigError
from tests.support.ports import free_base_port

ROOT = Path(__file__).parents[3]
START_SECONDS = 30.0


@dataclass(frozen=True)
class Said:
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture(autouse=True)
def _keep_logging() -> Iterator[None]:
    handlers = logging.root.handlers[:]
    yield
    structlog.reset_defaults()
    logging.root.handlers[:] = handlers


def lotvine(*arguments: str) -> Said:
    """Run a command in this process: what it does to a node goes over sockets all the same."""
    result = CliRunner().invoke(program, list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Said(result.exit_code, result.stdout, result.stderr)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    net = tmp_path / "net"
    made = lotvine("localnet", "create", str(net), "--validators", "1", "--base-port", str(free_base_port()))
    assert made.returncode == 0, made.stderr
    return Home(net / "node-0")


def settings_of(home: Home) -> dict[str, object]:
    shown = json.loads(lotvine("config", "show", "--json", "--home", str(home.root)).stdout)
    assert isinstance(shown, dict)
    return shown


def fetch(address: object, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://{address}{path}", timeout=5) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


@contextmanager
def running(
    home: Home, *options: str, until: int = 200, program: Sequence[str] = (sys.executable, "-m", "node.cli")
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a node until `/readyz` answers so; at the end it is killed if it has not stopped."""
    operations = settings_of(home)["operations.listen"]
    with log_of(home).open("ab") as log:
        process = subprocess.Popen(
            [*program, "start", "--home", str(home.root), *options],
            stderr=log,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
    try:
        end = time.monotonic() + START_SECONDS
        while True:
            assert process.poll() is None, log_of(home).read_text()
            try:
                if fetch(operations, "/readyz")[0] == until:
                    break
            except OSError:
                pass
            assert time.monotonic() < end, log_of(home).read_text()
            time.sleep(0.05)
        yield process
    finally:
        process.kill()
        process.wait()


def log_of(home: Home) -> Path:
    return home.root.parent / "log"


def write_event(folder: Path, name: str = "event.json", lot: str = "A1") -> Path:
    path = folder / name
    event = {
        "@context": "https://ref.gs1.org/standards/epcis/epcis-context.jsonld",
        "type": "ObjectEvent",
        "eventTime": "2026-03-02T08:00:00+01:00",
        "eventTimeZoneOffset": "+01:00",
        "action": "ADD",
        "bizStep": "commissioning",
        "quantityList": [{"epcClass": f"https://id.gs1.org/01/09521101000016/10/{lot}", "quantity": 5, "uom": "KGM"}],
    }
    path.write_text(json.dumps(event), encoding="utf-8")
    return path


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_node_of_one_takes_an_event_traces_it_and_stops_cleanly(
    home: Home, tmp_path: Path, number: signal.Signals
) -> None:
    """Useful on day one; stopped by either signal with exit code 0; what was accepted is there after a restart."""
    at = str(home.root)
    with running(home, "--log-format", "json") as process:
        captured = lotvine("capture", str(write_event(tmp_path)), "--home", at, "--wait", "final", "--json")
        assert captured.returncode == 0, captured.stderr
        (answer,) = json.loads(captured.stdout)["files"]
        assert answer["result"]["state"] == "final"
        assert answer["result"]["final"][0]["verdict"] == "accepted"
        again = lotvine("capture", str(write_event(tmp_path)), "--home", at)
        assert "1 known already" in again.stdout
        traced = json.loads(lotvine("trace", "back", "(01)09521101000016(10)A1", "--home", at, "--json").stdout)
        assert traced["origins"] == ["https://id.gs1.org/01/09521101000016/10/A1"]
        near = lotvine("trace", "back", "(01)09521101000016(10)A2", "--home", at)
        assert near.returncode == 1
        assert "https://id.gs1.org/01/09521101000016/10/A1" in near.stderr
        status = lotvine("status", "--home", at)
        assert "no fault tolerance" in status.stdout
        assert "ready, height 1, caught up" in status.stdout
        operations = settings_of(home)["operations.listen"]
        assert fetch(operations, "/livez") == (200, "alive\n")
        assert json.loads(fetch(operations, "/healthz")[1])["ledger"]["state"] == "ok"
        metrics = fetch(operations, "/metrics")[1]
        assert "ledger_events_total 1.0" in metrics
        assert "consensus_finalized_height 1.0" in metrics
        process.send_signal(number)
        assert process.wait(timeout=30) == 0, log_of(home).read_text()
        lines = [json.loads(line) for line in log_of(home).read_text().splitlines()]
        assert {"node started", "stopping", "stopped"} <= {line["event"] for line in lines}
    with running(home):
        assert json.loads(lotvine("trace", "back", "(01)09521101000016(10)A1", "--home", at, "--json").stdout) == traced
        assert json.loads(lotvine("status", "--home", at, "--json").stdout)["events"] == 1


def test_a_killed_node_keeps_what_it_accepted_and_its_index_can_be_built_anew(home: Home, tmp_path: Path) -> None:
    """kill -9 at any moment loses nothing that was answered; reindex gives the same state digest."""
    at = str(home.root)
    with running(home) as process:
        assert lotvine("capture", str(write_event(tmp_path)), "--home", at).returncode == 0
        process.kill()
        process.wait()
    with running(home) as process:
        before = json.loads(lotvine("status", "--home", at, "--json").stdout)
        assert before["events"] == 1
        busy = lotvine("reindex", "--home", at)
        assert (busy.returncode, "in use by another process" in busy.stderr) == (2, True)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
    rebuilt = json.loads(lotvine("reindex", "--home", at, "--json").stdout)
    assert (rebuilt["events"], rebuilt["state_digest"]) == (1, before["state_digest"])


def spoil_genesis(home: Home) -> None:
    home.genesis.write_bytes(home.genesis.read_bytes().replace(b"localnet", b"othernet"))


def swap_genesis(home: Home) -> None:
    home.genesis.write_bytes(home.genesis.read_bytes().replace(b"  ", b" "))


def swap_key(home: Home) -> None:
    home.node_key.write_text("ab" * 32 + "\n", encoding="ascii")


def empty_settings(home: Home) -> None:
    home.settings.write_text("[rpc]\nlisten = 'x'\n[log]\nlevl = 'info'\n", encoding="ascii")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda home: home.node_key.chmod(0o644), "open to others: run chmod 600"),
        (lambda home: home.keys.chmod(0o755), "open to others: run chmod 700"),
        (lambda home: home.node_key.unlink(), "node.key is missing"),
        (lambda home: home.node_key.write_text("nonsense", encoding="ascii"), "does not hold 64 hex digits"),
        (swap_key, "put back the genesis.json and keys/"),
        (lambda home: home.genesis.unlink(), "genesis.json is missing"),
        (lambda home: home.genesis.write_text("{}", encoding="ascii"), "genesis"),
        (swap_genesis, "not in its canonical form"),
        (lambda home: home.version.write_text("7", encoding="ascii"), "this program reads version 1"),
        (empty_settings, "2 problems"),
    ],
)
def test_what_is_wrong_with_a_home_is_said_before_anything_starts(home: Home, spoil: object, words: str) -> None:
    """Clear lines and exit code 2."""
    assert callable(spoil)
    spoil(home)
    result = lotvine("start", "--home", str(home.root))
    assert (result.returncode, result.stdout) == (2, ""), result.stderr
    assert words in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("which", ["p2p", "rpc", "operations"])
def test_a_port_in_use_is_one_clear_line_and_exit_code_2(home: Home, which: str) -> None:
    """With the address; nothing stays behind."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = "127.0.0.1:" + str(taken.getsockname()[1])
        result = lotvine("start", "--home", str(home.root), f"--{which}-listen", address)
    assert result.returncode == 2, result.stderr
    assert address in result.stderr
    assert "Traceback" not in result.stderr


def test_a_home_in_use_is_not_started_twice(home: Home) -> None:
    """Two nodes with one key could vote against each other."""
    with lock_home(home):
        result = lotvine("start", "--home", str(home.root))
    assert result.returncode == 2
    assert "in use by another process" in result.stderr


def test_another_networks_stores_are_recognised(home: Home) -> None:
    """Exit code 2, with what does not fit: the operator mixed two homes."""
    spoil_genesis(home)
    result = lotvine("start", "--home", str(home.root))
    assert result.returncode == 2, result.stderr
    assert "network" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_damaged_index_names_reindex_and_reindex_mends_it(home: Home, tmp_path: Path) -> None:
    """The index is derived: nothing is lost with it."""
    at = str(home.root)
    with running(home):
        assert lotvine("capture", str(write_event(tmp_path)), "--home", at, "--wait", "final").returncode == 0
    for file in home.index.iterdir():
        if file.suffix in {".log", ".ldb"}:
            content = bytearray(file.read_bytes())
            content[len(content) // 2] ^= 0xFF
            file.write_bytes(bytes(content))
    damaged = lotvine("start", "--home", at)
    assert damaged.returncode == 1
    assert "lotvine reindex" in damaged.stderr
    assert lotvine("reindex", "--home", at).returncode == 0
    with running(home):
        assert json.loads(lotvine("status", "--home", at, "--json").stdout)["events"] == 1


def test_a_lone_validator_without_its_votes_waits_for_the_operators_decision(home: Home, tmp_path: Path) -> None:
    """With fewer than four validators nobody can tell what it signed (docs/protocol.md)."""
    at = str(home.root)
    with running(home):
        assert lotvine("capture", str(write_event(tmp_path)), "--home", at, "--wait", "final").returncode == 0
    shutil.rmtree(home.votes)
    with running(home, until=503) as process:
        status = json.loads(lotvine("status", "--home", at, "--json").stdout)
        assert not status["ready"]
        assert "--rejoin-unanswered" in " ".join(status["waiting_for"])
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
    with running(home, "--rejoin-unanswered") as process:
        again = lotvine("capture", str(write_event(tmp_path, "next.json", lot="A9")), "--home", at, "--wait", "final")
        assert again.returncode == 0, again.stderr
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
    with running(home):
        status = json.loads(lotvine("status", "--home", at, "--json").stdout)
        assert (status["events"], status["waiting_for"]) == (2, [])


def test_what_others_can_answer_is_not_the_operators_to_decide(tmp_path: Path) -> None:
    """From four validators on the option is refused: with it, two histories could become final."""
    made = lotvine("localnet", "create", str(tmp_path / "net"), "--base-port", str(free_base_port()))
    assert made.returncode == 0, made.stderr
    result = lotvine("start", "--home", str(tmp_path / "net" / "node-0"), "--rejoin-unanswered")
    assert (result.returncode, "this one has 4" in result.stderr) == (2, True)


DIES_BEFORE = "from node.app import run; run.adopt_next_key = lambda home: os._exit(9)"
DIES_WITHIN = "from node.app import rotation, run; rotation.finish_adopting = lambda home: os._exit(9)"
DIES_AT_THE_KEY = "from pathlib import Path; from node.app import rotation; rotation.os.link = lambda *_: os._exit(9)"


@pytest.mark.parametrize("dies", [DIES_BEFORE, DIES_WITHIN, DIES_AT_THE_KEY])
def test_a_node_that_dies_while_it_takes_up_its_next_key_starts_with_it(home: Home, tmp_path: Path, dies: str) -> None:
    """The epoch that holds the key is on disk, the key is not in its place yet; the next start goes on with it."""
    at, old = str(home.root), home.node_key.read_bytes()
    program_that_dies = [sys.executable, "-c", f"import os; {dies}; from node.cli import main; main()"]
    with running(home, program=program_that_dies) as process:
        rotated = lotvine("keys", "rotate", "--home", at, "--json")
        assert process.wait(timeout=30) == 9, (rotated, log_of(home).read_text())
    assert home.next_node_key.exists()
    following = home.next_node_key.read_bytes()
    with running(home):
        assert home.node_key.read_bytes() == following != old
        assert sorted(path.name for path in home.keys.iterdir()) == ["actor.key", "node.key"]
        assert sorted(path.name for path in home.data.iterdir()) == ["chain", "index", "votes"]
        captured = lotvine("capture", str(write_event(tmp_path)), "--home", at, "--wait", "final")
        assert captured.returncode == 0, captured.stderr
        members = json.loads(lotvine("member", "list", "--home", at, "--json").stdout)["members"]
        assert [one["feed"] for one in members] == [1]


def test_no_node_starts_on_a_library_that_judges_signatures_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before it opens or writes anything: one vote by another rule could be a fork."""

    def refuse() -> None:
        raise ConfigError(["another rule"])

    monkeypatch.setattr("node.app.run.check_library", refuse)
    with pytest.raises(ConfigError, match="another rule"):
        run_node(Home(tmp_path / "home"), Settings())
    assert not (tmp_path / "home").exists()
