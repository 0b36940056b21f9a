"""The folder of a node: made once, checked before use, held by one process."""

from pathlib import Path

import pytest

from node.config.home import Home, create_home, find_home_problems, lock_home
from node.errors import ConfigError


def build_home(folder: Path) -> Home:
    home = create_home(folder / "home")
    for path in (home.settings, home.genesis, home.node_key):
        path.write_text("x", encoding="ascii")
    return home


def test_a_new_home_is_whole_and_its_keys_are_closed_to_others(tmp_path: Path) -> None:
    """keys/ is 0700."""
    home = build_home(tmp_path)
    assert find_home_problems(home) == ()
    assert home.keys.stat().st_mode & 0o777 == 0o700


def test_a_folder_with_something_in_it_is_never_made_a_home(tmp_path: Path) -> None:
    """Nothing is overwritten."""
    (tmp_path / "file").write_text("mine", encoding="ascii")
    with pytest.raises(ConfigError, match="not empty"):
        create_home(tmp_path)


def test_a_home_that_cannot_be_made_is_a_configuration_error(tmp_path: Path) -> None:
    """Such as below a file."""
    (tmp_path / "file").write_text("mine", encoding="ascii")
    with pytest.raises(ConfigError, match="cannot make a home"):
        create_home(tmp_path / "file" / "home")


def test_every_problem_of_a_home_is_named(tmp_path: Path) -> None:
    """All at once, each with a way out."""
    home = build_home(tmp_path)
    home.keys.chmod(0o755)
    home.genesis.unlink()
    home.version.write_text("99\n", encoding="ascii")
    problems = "\n".join(find_home_problems(home))
    assert "chmod 700" in problems
    assert "genesis.json is missing: copy it from any other member" in problems
    assert "this program reads version 1" in problems
    home.version.unlink()
    assert "not the home of a node" in find_home_problems(home)[0]
    assert "lotvine init" in find_home_problems(Home(tmp_path / "absent"))[0]


def test_a_home_is_held_by_one_process_at_a_time(tmp_path: Path) -> None:
    """The second is told who has it; after the first is gone it may."""
    home = build_home(tmp_path)
    with lock_home(home), pytest.raises(ConfigError, match="in use by another process"), lock_home(home):
        pass
    with lock_home(home):
        pass


def test_a_lock_that_cannot_be_opened_is_a_configuration_error(tmp_path: Path) -> None:
    """Such as in a folder that is gone."""
    with pytest.raises(ConfigError, match="cannot open"), lock_home(Home(tmp_path / "absent")):
        pass
