"""Where a setting comes from, and what is said when it is wrong."""

from pathlib import Path

import pytest

from node.config.loading import FILE_BYTES_MAX, load_settings
from node.config.settings import Settings, describe_keys
from node.config.writing import render_settings
from node.errors import ConfigError


def write(folder: Path, text: str) -> Path:
    path = folder / "node.toml"
    path.write_text(text, encoding="utf-8")
    return path


def problems_of(path: Path | None, environment: dict[str, str] | None = None, **flags: object) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        load_settings(path, environment=environment or {}, flags=flags)
    return caught.value.problems


def test_flag_beats_environment_beats_file_beats_default(tmp_path: Path) -> None:
    """And each value knows where it came from."""
    path = write(tmp_path, '[rpc]\nlisten = "127.0.0.1:1"\nbatch_requests_max = 5\n[log]\nlevel = "error"\n')
    environment = {"LOTVINE_RPC__BATCH_REQUESTS_MAX": "6", "LOTVINE_LOG__LEVEL": "warning", "LOTVINE_HOME": "x"}
    loaded = load_settings(path, environment=environment, flags={"log.level": "debug"})
    assert loaded.settings.rpc.listen == "127.0.0.1:1"
    assert loaded.settings.rpc.batch_requests_max == 6
    assert loaded.settings.log.level == "debug"
    assert loaded.settings.p2p == Settings().p2p
    assert loaded.origins["rpc.listen"] == str(path)
    assert loaded.origins["rpc.batch_requests_max"] == "environment LOTVINE_RPC__BATCH_REQUESTS_MAX"
    assert loaded.origins["log.level"] == "flag --log-level"
    assert loaded.origins["p2p.listen"] == "default"


def test_all_problems_are_listed_at_once(tmp_path: Path) -> None:
    """Each with its place, and an unknown key with the nearest known one."""
    path = write(tmp_path, '[rpc]\nlisten = "0.0.0.0:1"\nbatch_request_max = 5\n[lgo]\nlevel = "x"\n')
    environment = {"LOTVINE_RPC__BODY_BYTES_MAX": "many", "LOTVINE_P2P__LISTENS": "a"}
    problems = problems_of(path, environment, **{"log.level": "loud", "p2p.listen": "nowhere"})
    text = "\n".join(problems)
    assert len(problems) == 7
    assert "unknown key rpc.batch_request_max: did you mean rpc.batch_requests_max?" in text
    assert "unknown table [lgo]: did you mean log?" in text
    assert "unknown variable LOTVINE_P2P__LISTENS: did you mean LOTVINE_P2P__LISTEN?" in text
    assert "rpc.listen = '0.0.0.0:1' can be reached from other machines" in text
    assert "environment LOTVINE_RPC__BODY_BYTES_MAX: rpc.body_bytes_max = 'many'" in text
    assert "flag --log-level: log.level = 'loud'" in text
    assert "flag --p2p-listen: p2p.listen: 'nowhere' is not host:port" in text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[rpc\n", "not TOML"),
        ("a = " + "[" * 5000, "not TOML"),
        ("rpc = 5\n", "rpc is a table of keys, written [rpc]"),
        ("[rpc]\nbatch_requests_max = 0\n", "at least 1"),
        ("[rpc]\nbatch_requests_max = '5'\n", "expected a whole number, got text"),
        ("#" * (FILE_BYTES_MAX + 1), "this is no node.toml"),
        ("[rpc]\nlisten = '::1:7001'\n", "brackets"),
        ("[operations]\nlisten = 'node.example:7001'\n", "reached from other machines"),
    ],
)
def test_a_wrong_file_is_explained(tmp_path: Path, text: str, words: str) -> None:
    """One plain line with the path of the file."""
    path = write(tmp_path, text)
    (problem,) = problems_of(path)
    assert words in problem
    assert str(path) in problem


def test_a_missing_or_undecodable_file_is_a_problem_not_a_crash(tmp_path: Path) -> None:
    """The operator sees the path and the system's words."""
    (problem,) = problems_of(tmp_path / "absent.toml")
    assert "No such file" in problem
    path = tmp_path / "node.toml"
    path.write_bytes(b"\xff\xfe")
    (problem,) = problems_of(path)
    assert "utf-8" in problem


def test_a_written_file_reads_back_as_what_was_set(tmp_path: Path) -> None:
    """Defaults stand in comments, so they follow the program; what was chosen is kept."""
    path = write(tmp_path, render_settings({"p2p.listen": "[::1]:9000", "rpc.batch_requests_max": 7}))
    loaded = load_settings(path, environment={}, flags={})
    assert (loaded.settings.p2p.listen, loaded.settings.rpc.batch_requests_max) == ("[::1]:9000", 7)
    assert {name for name, origin in loaded.origins.items() if origin == str(path)} == {
        "p2p.listen",
        "rpc.batch_requests_max",
    }
    everything = render_settings({key.path: key.default for key in describe_keys()})
    assert load_settings(write(tmp_path, everything), environment={}, flags={}).settings == Settings()


def test_a_list_is_written_in_the_file_and_separated_by_commas_in_the_environment(tmp_path: Path) -> None:
    """Each of its addresses is checked."""
    path = write(tmp_path, render_settings({"p2p.join": ["node.example:7000", "[::1]:7001"]}))
    assert load_settings(path, environment={}, flags={}).settings.p2p.join == ("node.example:7000", "[::1]:7001")
    variable = {"LOTVINE_P2P__JOIN": "a:1, b:2,"}
    assert load_settings(path, environment=variable, flags={}).settings.p2p.join == ("a:1", "b:2")
    (problem,) = problems_of(None, {"LOTVINE_P2P__JOIN": "a:1,nowhere"})
    assert problem == "environment LOTVINE_P2P__JOIN: p2p.join: 'nowhere' is not host:port"
    (problem,) = problems_of(write(tmp_path, '[p2p]\njoin = "a:1"\n'))
    assert "expected a list" in problem
