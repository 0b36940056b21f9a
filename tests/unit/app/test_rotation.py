"""Replacing a node key: wherever it is cut off, the home has one key with its own log, and starts."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from node.app import rotation
from node.app.identity import load_genesis_and_key
from node.app.provision import Firm, create_localnet
from node.app.rotation import adopt_next_key, discard_next_key, find_next_key, finish_adopting, prepare_next_key
from node.clock import SystemClock
from node.config.home import Home
from node.crypto.keys import SigningKey, load_key
from node.errors import ConfigError
from node.ledger.genesis import Genesis
from node.storage.vote_log import open_vote_log


@pytest.fixture
def home(tmp_path: Path) -> Home:
    firms = [Firm("mill", "Mill")]
    return create_localnet(tmp_path / "net", firms, network="n", base_port=30000, clock=SystemClock())[0]


@pytest.fixture
def genesis(home: Home) -> Genesis:
    return load_genesis_and_key(home)[0]


def check_log(home: Home, genesis: Genesis, key: SigningKey) -> None:
    """The vote log of the home is whole, and this key's."""
    log, _ = open_vote_log(home.votes, network_id=genesis.network_id, public_key=key.public_key)
    log.close()


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_next_key_is_made_once_with_its_log_and_kept_secret(home: Home, genesis: Genesis) -> None:
    """Asked again, the same one is returned: it may stand in a proposal."""
    assert find_next_key(home) is None
    key = prepare_next_key(home, genesis)
    assert home.next_node_key.stat().st_mode & 0o777 == 0o600
    assert prepare_next_key(home, genesis).public_key == key.public_key
    found = find_next_key(home)
    assert found is not None
    assert found.public_key == key.public_key
    assert load_key(home.node_key).public_key != key.public_key
    log, _ = open_vote_log(home.data / "votes.next", network_id=genesis.network_id, public_key=key.public_key)
    log.close()


def test_adopting_makes_the_next_key_the_own_one_and_leaves_nothing_of_the_old(home: Home, genesis: Genesis) -> None:
    """One key, one log."""
    old = home.node_key.read_bytes()
    key = prepare_next_key(home, genesis)
    adopt_next_key(home)
    assert load_key(home.node_key).public_key == key.public_key
    check_log(home, genesis, key)
    assert names(home.keys) == {"node.key", "actor.key"}
    assert names(home.data) == {"chain", "index", "votes"}
    assert old not in [path.read_bytes() for path in home.root.rglob("*") if path.is_file()]
    assert finish_adopting(home) is False


class _CutOffError(Exception):
    pass


@pytest.mark.parametrize("is_log_lost", [False, True])
def test_cut_off_before_any_step_it_goes_on_at_the_next_start(
    home: Home,
    genesis: Genesis,
    monkeypatch: pytest.MonkeyPatch,
    is_log_lost: bool,
) -> None:
    """Each file operation in turn is the one that never happens; then the home is opened again."""
    cuts = 0
    for cut_at in range(100):
        shutil.rmtree(home.root / "copy", ignore_errors=True)
        copy = Home(home.root / "copy")
        shutil.copytree(home.keys, copy.keys)
        shutil.copytree(home.data, copy.data)
        key = prepare_next_key(copy, genesis)
        if is_log_lost:
            shutil.rmtree(copy.votes)
        with monkeypatch.context() as patched:
            _cut_at(patched, cut_at)
            try:
                adopt_next_key(copy)
                break
            except _CutOffError:
                cuts += 1
        finish_adopting(copy)
        if load_key(copy.node_key).public_key != key.public_key:
            assert copy.votes.exists() or is_log_lost, "not begun: all is as before"
            assert find_next_key(copy) is not None
            adopt_next_key(copy)
        assert load_key(copy.node_key).public_key == key.public_key
        check_log(copy, genesis, key)
        assert not find_next_key(copy)
        assert names(copy.keys) == {"node.key", "actor.key"}
        assert names(copy.data) == {"chain", "index", "votes"}
    assert cuts >= 6


def _cut_at(patched: pytest.MonkeyPatch, number: int) -> None:
    """Have the file operation with this number, from 0 on, raise instead of happening."""
    left = [number]

    def counted(real: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **named: object) -> object:
            left[0] -= 1
            if left[0] < 0:
                raise _CutOffError
            return real(*arguments, **named)

        return call

    patched.setattr(Path, "rename", counted(Path.rename))
    patched.setattr(Path, "unlink", counted(Path.unlink))
    patched.setattr(Path, "mkdir", counted(Path.mkdir))
    patched.setattr(os, "link", counted(os.link))
    patched.setattr(shutil, "rmtree", counted(shutil.rmtree))
    patched.setattr(rotation, "_sync_folder", counted(rotation._sync_folder))


def test_cut_off_while_the_next_key_is_made_the_home_is_as_before(
    home: Home, genesis: Genesis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log without its key is of a key that nobody has heard of: it is made anew."""

    def fail(path: Path, _key: SigningKey) -> None:
        path.touch(0o600)
        raise OSError("cut off")

    with monkeypatch.context() as patched:
        patched.setattr(rotation, "store_key", fail)
        with pytest.raises(ConfigError, match="cut off"):
            prepare_next_key(home, genesis)
    assert find_next_key(home) is None
    assert finish_adopting(home) is False
    key = prepare_next_key(home, genesis)
    adopt_next_key(home)
    check_log(home, genesis, key)


def test_a_next_key_without_its_log_is_adopted_as_one_whose_log_is_lost(home: Home, genesis: Genesis) -> None:
    """No empty log is made for it: it may have signed on another machine."""
    key = prepare_next_key(home, genesis)
    shutil.rmtree(home.data / "votes.next")
    adopt_next_key(home)
    assert load_key(home.node_key).public_key == key.public_key
    assert not home.votes.exists()


def test_a_next_key_that_is_not_wanted_is_erased_with_its_log(home: Home, genesis: Genesis) -> None:
    """After a proposal that was turned down."""
    assert discard_next_key(home) is False
    prepare_next_key(home, genesis)
    assert discard_next_key(home) is True
    assert names(home.keys) == {"node.key", "actor.key"}
    assert names(home.data) == {"chain", "index", "votes"}


def test_a_next_key_that_others_can_read_is_refused(home: Home, genesis: Genesis) -> None:
    """As the present one is."""
    prepare_next_key(home, genesis)
    home.next_node_key.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        find_next_key(home)
