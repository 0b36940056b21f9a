"""New homes: for a network of one, for a firm that joins, and for a machine that was lost."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from node.app.joining import load_join_request
from node.cli.entry import program
from node.config.home import Home
from node.crypto.keys import generate_key, load_key, store_key


def run(*arguments: str | Path) -> Result:
    result = CliRunner().invoke(program, list(map(str, arguments)))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def net(tmp_path: Path) -> Path:
    assert run("localnet", "create", tmp_path / "net", "--base-port", "30000").exit_code == 0
    return tmp_path / "net"


def settings_of(home: Path) -> dict[str, object]:
    shown = json.loads(run("config", "show", "--json", "--home", home).stdout)
    assert isinstance(shown, dict)
    return shown


def join(home: Path, genesis: Path, *options: str) -> Result:
    who = ("--member", "dairy", "--name", "The dairy", "--address", "node.dairy.example:7000")
    return run("init", "--home", home, *who, "--join", "node.mill.example:7000", "--genesis", genesis, *options)


def test_a_joining_firm_gets_a_home_and_a_request_to_hand_over(tmp_path: Path, net: Path) -> None:
    """New keys, the network's genesis, the address to catch up from, and what to do next."""
    result = join(tmp_path / "dairy", net / "genesis.json")
    assert result.exit_code == 0, result.output
    home = Home(tmp_path / "dairy")
    request = load_join_request(home.join_request)
    assert (request.id, request.name, request.address) == ("dairy", "The dairy", "node.dairy.example:7000")
    assert request.node_key == load_key(home.node_key).public_key.hex()
    assert home.genesis.read_bytes() == (net / "genesis.json").read_bytes()
    settings = settings_of(home.root)
    assert settings["p2p.join"] == ["node.mill.example:7000"]
    assert (settings["p2p.member"], settings["p2p.listen"]) == ("dairy", "0.0.0.0:7000")
    assert "lotvine govern propose add-member join-request.json" in result.stdout
    assert request.network_id in result.stdout
    assert home.votes.is_dir(), "the key and its empty log are made in one step"


def test_a_joining_firm_is_told_all_at_once_what_is_wrong(tmp_path: Path, net: Path) -> None:
    """Before anything is written."""
    result = run(
        "init", "--home", tmp_path / "h", "--member", "Not A Slug", "--name", "x" * 201, "--address", "h:0",
        "--join", "a:1", "--genesis", net / "genesis.json",
    )  # fmt: skip
    assert (result.exit_code, (tmp_path / "h").exists()) == (2, False)
    for words in ("3 problems", "hyphen", "--name", "--address h:0"):
        assert words in result.stderr
    for option in ("--name", "--organisation-id"):
        alone = run("init", "--home", tmp_path / "h", "--member", "mill", option, "A\x1b[2J")
        for spoilt in (alone, join(tmp_path / "h", net / "genesis.json", option, "A\x1b[2J")):
            assert (spoilt.exit_code, (tmp_path / "h").exists()) == (2, False)
            assert f"{option}: 'A\\x1b[2J' has control characters" in spoilt.stderr
    taken = join(tmp_path / "h", net / "genesis.json", "--member", "node-1")
    assert (taken.exit_code, (tmp_path / "h").exists()) == (2, False)
    assert "has a member of this name already" in taken.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--join", "a:1"), "--genesis is missing"),
        (("--genesis", "{genesis}"), "goes with --join"),
        (("--join", "a:1", "--genesis", "{genesis}", "--network", "x"), "--network names a new network"),
        (("--join", "a:1", "--genesis", "{genesis}"), "--member is missing"),
        (("--join", "a:1", "--genesis", "{genesis}", "--member", "dairy"), "--address is missing"),
        (("--join", "nowhere", "--genesis", "{genesis}"), "--join 'nowhere' is not host:port"),
        (("--join", "a:1", "--genesis", "absent", "--member", "d", "--address", "b:1"), "--genesis absent"),
        (("--key", "{genesis}"), "--genesis is missing"),
        ((), "--member is missing"),
    ],
)
def test_options_that_do_not_go_together_are_misuse(
    tmp_path: Path, net: Path, options: tuple[str, ...], words: str
) -> None:
    """Exit code 2, and nothing is written."""
    genesis = str(net / "genesis.json")
    result = run("init", "--home", tmp_path / "h", *(option.format(genesis=genesis) for option in options))
    assert (result.exit_code, (tmp_path / "h").exists()) == (2, False)
    assert words in result.stderr


def test_a_lost_machine_is_made_anew_from_its_key(tmp_path: Path, net: Path) -> None:
    """Same key, empty stores, and no vote log: the node must ask before it signs (docs/protocol.md)."""
    key = net / "node-2" / "keys" / "node.key"
    result = run("init", "--home", tmp_path / "new", "--key", key, "--genesis", net / "genesis.json")
    assert result.exit_code == 0, result.output
    home = Home(tmp_path / "new")
    assert home.node_key.read_bytes() == key.read_bytes()
    assert home.node_key.stat().st_mode & 0o777 == 0o600
    assert settings_of(home.root)["p2p.listen"] == "127.0.0.1:30020"
    assert settings_of(home.root)["p2p.member"] == "node-2"
    assert not home.votes.exists()
    assert "no other machine runs a node with this key" in result.stdout


def test_a_lost_machine_whose_key_was_rotated_needs_to_be_told_whose_it_is(tmp_path: Path, net: Path) -> None:
    """Genesis knows only the first key of each member."""
    store_key(tmp_path / "key", generate_key())
    options = ("--key", tmp_path / "key", "--genesis", net / "genesis.json", "--home", tmp_path / "new")
    assert "--member is missing" in run("init", *options).stderr
    assert "--address is missing" in run("init", *options, "--member", "dairy").stderr
    assert not (tmp_path / "new").exists()
    assert run("init", *options, "--member", "node-1", "--join", "127.0.0.1:30000").exit_code == 0
    settings = settings_of(tmp_path / "new")
    assert (settings["p2p.member"], settings["p2p.join"]) == ("node-1", ["127.0.0.1:30000"])
    assert settings["p2p.listen"] == "127.0.0.1:30010"


def test_a_key_of_another_member_is_not_put_into_a_home(tmp_path: Path, net: Path) -> None:
    """The genesis decides whose key it is."""
    key = net / "node-2" / "keys" / "node.key"
    options = ("--key", key, "--genesis", net / "genesis.json", "--home", tmp_path / "new", "--member", "node-1")
    result = run("init", *options)
    assert (result.exit_code, "that of node-2" in result.stderr) == (2, True)


def test_what_was_made_is_said_as_json(tmp_path: Path, net: Path) -> None:
    """For whoever installs nodes by script."""
    made = json.loads(join(tmp_path / "dairy", net / "genesis.json", "--json").stdout)
    assert made["join_request"] == str(tmp_path / "dairy" / "join-request.json")
    assert len(made["network_id"]) == 64
    alone = json.loads(run("init", "--home", tmp_path / "one", "--member", "mill", "--json").stdout)
    assert alone["member"] == "mill"
    key = net / "node-0" / "keys" / "node.key"
    options = ("--home", tmp_path / "new", "--key", key, "--genesis", net / "genesis.json", "--json")
    assert json.loads(run("init", *options).stdout)["home"] == str(tmp_path / "new")
