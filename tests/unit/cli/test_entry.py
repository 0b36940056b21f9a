"""The command line: what it offers, and how it says what is wrong."""

import json
import re
import socket
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from node.app.provision import find_base_port
from node.cli.entry import COMMANDS, program
from node.config.home import Home
from node.errors import ConfigError
from tests.unit.cli.test_docs import walk


def run(*arguments: str, **environment: str) -> Result:
    result = CliRunner(env=environment).invoke(program, list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def create(folder: Path, *options: str) -> Path:
    result = run("localnet", "create", str(folder / "net"), *options)
    assert result.exit_code == 0, result.output
    return folder / "net"


def test_help_lists_every_command_without_loading_it() -> None:
    """And each can be loaded."""
    result = run("--help")
    assert result.exit_code == 0
    for name in COMMANDS:
        assert re.search(rf"^  {name} ", result.output, re.MULTILINE)
        assert run(name, "--help").exit_code == 0
    assert run("--version").output.startswith("lotvine ")


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("status",),
        ("capture", "x", "--home", "x", "--no-such"),
        ("trace", "sideways", "x"),
        ("trace", "closure", "x", "--limit", "many"),
    ],
)
def test_misuse_is_exit_code_2(arguments: tuple[str, ...]) -> None:
    """On standard error; nothing on standard output."""
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr


def test_a_localnet_of_four_is_made_and_says_what_it_survives(tmp_path: Path) -> None:
    """Keys are 0600, all share one genesis, ports are ten apart."""
    net = create(tmp_path, "--base-port", "30000")
    homes = [Home(net / f"node-{index}") for index in range(4)]
    assert len({home.genesis.read_bytes() for home in homes}) == 1
    assert {home.node_key.stat().st_mode & 0o777 for home in homes} == {0o600}
    shown = run("config", "show", "--home", str(homes[2].root), "--json")
    assert json.loads(shown.stdout)["p2p.listen"] == "127.0.0.1:30020"
    assert "goes on with any 1 of them" in run("localnet", "create", str(tmp_path / "b")).stdout


@pytest.mark.parametrize("count", ["1", "3"])
def test_a_small_network_says_that_it_has_no_fault_tolerance(tmp_path: Path, count: str) -> None:
    """One to three validators stand still without any one of them."""
    result = run("localnet", "create", str(tmp_path / "net"), "--validators", count)
    assert "no fault tolerance" in result.stdout


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--validators", "0"), "--validators 0: from 1 to 64"),
        (("--validators", "65"), "--validators 65"),
        (("--base-port", "80"), "--base-port 80"),
        (("--base-port", "65530"), "--base-port 65530"),
        (("--network", ""), "network"),
    ],
)
def test_a_localnet_that_cannot_be_is_refused_before_anything_is_written(
    tmp_path: Path, options: tuple[str, ...], words: str
) -> None:
    """Exit code 2, with the option."""
    result = run("localnet", "create", str(tmp_path / "net"), *options)
    assert result.exit_code == 2
    assert words in result.stderr
    assert not (tmp_path / "net").exists()


def test_a_folder_in_use_is_never_overwritten(tmp_path: Path) -> None:
    """A second create would replace keys that have voted."""
    net = create(tmp_path)
    key = (net / "node-0" / "keys" / "node.key").read_bytes()
    result = run("localnet", "create", str(net))
    assert result.exit_code == 2
    assert "nothing was changed" in result.stderr
    assert (net / "node-0" / "keys" / "node.key").read_bytes() == key


def test_free_ports_are_found_beside_taken_ones() -> None:
    """A sandbox that was left running is no reason for the next one to fail."""
    # Below the ports that the machine hands out by itself: where those are, there may be no ten free in a row.
    port = find_base_port(1, first=21_000)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        assert find_base_port(1, first=port) > port
    with pytest.raises(ConfigError, match="give --base-port"):
        find_base_port(4, first=65_530)


def test_init_makes_the_home_of_one_organisation(tmp_path: Path) -> None:
    """A public address is listened to on all interfaces; the API stays on loopback."""
    home = tmp_path / "home"
    who = ("--member", "mill", "--name", "The mill")
    result = run("init", *who, "--address", "node.example:7000", LOTVINE_HOME=str(home))
    assert result.exit_code == 0, result.output
    assert "no fault tolerance" in result.stdout
    genesis = json.loads(Home(home).genesis.read_text(encoding="ascii"))
    assert (genesis["members"][0]["name"], genesis["members"][0]["address"]) == ("The mill", "node.example:7000")
    shown = json.loads(run("config", "show", "--json", LOTVINE_HOME=str(home)).stdout)
    assert (shown["p2p.listen"], shown["rpc.listen"]) == ("0.0.0.0:7000", "127.0.0.1:26701")


@pytest.mark.parametrize(
    ("member", "address", "words"),
    [("Not A Slug", "h:1", "hyphen"), ("mill", "h", "not host:port"), ("mill", "h:0", "not host:port")],
)
def test_init_refuses_names_and_addresses_that_no_node_would_take(
    tmp_path: Path, member: str, address: str, words: str
) -> None:
    """Before anything is written."""
    result = run("init", "--home", str(tmp_path / "h"), "--member", member, "--address", address)
    assert (result.exit_code, (tmp_path / "h").exists()) == (2, False)
    assert words in result.stderr


def test_config_show_tells_the_origin_of_each_value(tmp_path: Path) -> None:
    """In words and as JSON."""
    home = str(create(tmp_path) / "node-0")
    words = run("config", "show", "--origin", "--home", home, LOTVINE_LOG__LEVEL="debug").stdout
    assert re.search(r'log.level = "debug" +# environment LOTVINE_LOG__LEVEL', words)
    answer = json.loads(run("config", "show", "--origin", "--json", "--home", home).stdout)
    assert answer["log.level"] == {"value": "info", "origin": "default"}


def test_all_configuration_problems_are_listed_with_exit_code_2(tmp_path: Path) -> None:
    """As many lines as problems."""
    home = Home(create(tmp_path) / "node-0")
    home.settings.write_text('[rpc]\nlisten = "0.0.0.0:1"\nbatch_request_max = 1\n', encoding="utf-8")
    for command in (("config", "show"), ("status",)):
        result = run(*command, "--home", str(home.root))
        assert (result.exit_code, result.stdout) == (2, "")
        assert "2 problems:" in result.stderr
        assert "did you mean rpc.batch_requests_max?" in result.stderr


@pytest.mark.parametrize("command", [("status",), ("trace", "back", "x"), ("capture", "{file}")])
def test_a_node_that_does_not_run_is_said_with_the_way_to_start_it(tmp_path: Path, command: tuple[str, ...]) -> None:
    """Exit code 1: the command was right."""
    home = create(tmp_path, "--base-port", "1024") / "node-0"
    (tmp_path / "file").write_text("{}", encoding="ascii")
    result = run(*(word.format(file=tmp_path / "file") for word in command), "--home", str(home))
    assert (result.exit_code, result.stdout) == (1, "")
    assert re.search(r"no answer from http://127.0.0.1:\d+/rpc: connection refused", result.stderr)
    assert ("is not entered twice" in result.stderr) == (command[0] == "capture")
    assert "is the node running? start it with lotvine start" in result.stderr


def test_a_home_that_is_none_is_said_with_the_way_to_make_one(tmp_path: Path) -> None:
    """Exit code 2."""
    result = run("status", "--home", str(tmp_path / "absent"))
    assert result.exit_code == 2
    assert "lotvine init" in result.stderr


def test_files_that_are_no_json_stop_a_capture_before_anything_is_sent(tmp_path: Path) -> None:
    """All of them are named at once."""
    home = create(tmp_path) / "node-0"
    (tmp_path / "broken").write_text("{", encoding="ascii")
    (tmp_path / "deep").write_text("[" * 100_000, encoding="ascii")
    (tmp_path / "empty").write_text(" \n", encoding="ascii")
    (tmp_path / "old").write_text('\n<?xml version="1.0"?><epcis:EPCISDocument/>', encoding="ascii")
    said = {
        "absent": "No such file or directory",
        "broken": "not JSON: it ends too early",
        "deep": "not JSON: ",
        "empty": "the file is empty",
        "old": "this is XML",
    }
    result = run("capture", *(str(tmp_path / name) for name in said), "--home", str(home))
    assert (result.exit_code, result.stdout) == (2, "")
    lines = result.stderr.splitlines()
    assert lines[0] == "5 problems:"
    for line, (name, words) in zip(lines[1:], said.items(), strict=True):
        assert line.startswith(f"error: {tmp_path / name}: {words}")
    assert lines[-1].endswith("(nothing was sent)")


def test_no_colour_reaches_what_is_no_terminal() -> None:
    """And none at all with NO_COLOR."""
    assert "\x1b" not in run("status", "--home", "absent").stderr


def test_every_option_has_a_line_of_help() -> None:
    """Of every command."""
    context = click.Context(program)
    for name in COMMANDS:
        command = program.get_command(context, name)
        assert command is not None
        for words, one in walk(name, command):
            assert one.help
            for parameter in one.params:
                assert isinstance(parameter, click.Argument) or getattr(parameter, "help", None), (
                    words,
                    parameter.name,
                )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("words", ["config show --home {home}", "--version", "--help", "trace back --help"])
def test_an_answer_that_cannot_be_written_is_said_in_words(tmp_path: Path, words: str) -> None:
    """A full disk behind `> file` is no fault of the program, and no traceback."""
    home = create(tmp_path, "--validators", "1") / "node-0"
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "node.cli", *(word.format(home=home) for word in words.split())],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == "error: the answer cannot be written: No space left on device\n"


def test_a_node_that_does_not_answer_is_given_up_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its process may be paused: the port is open, and nothing comes."""
    monkeypatch.setattr("node.api.client.SHORT_SECONDS", 0.1)
    home = create(tmp_path, "--validators", "1") / "node-0"
    with socket.create_server(("127.0.0.1", 0)) as paused:
        address = f"127.0.0.1:{paused.getsockname()[1]}"
        result = run("status", "--home", str(home), LOTVINE_RPC__LISTEN=address)
    assert result.exit_code == 1
    assert "has not answered within 0.1 s" in result.stderr
    assert "paused, busy, or stuck" in result.stderr
