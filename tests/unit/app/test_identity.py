"""Whose node a home is: by genesis, or by its settings where the key is younger than genesis."""

from pathlib import Path

import pytest

from node.app.identity import load_identity
from node.app.provision import Firm, create_localnet
from node.clock import SystemClock
from node.config.home import Home
from node.crypto.keys import generate_key, store_key
from node.errors import ConfigError


@pytest.fixture
def home(tmp_path: Path) -> Home:
    firms = [Firm("mill", "Mill"), Firm("bakery", "Bakery")]
    return create_localnet(tmp_path / "net", firms, network="n", base_port=30000, clock=SystemClock())[1]


def test_genesis_names_the_member_of_its_key(home: Home) -> None:
    """With or without the setting."""
    assert load_identity(home, member="").member == "bakery"
    assert load_identity(home, member="bakery").member == "bakery"


def test_a_key_of_another_member_than_the_settings_name_is_refused(home: Home) -> None:
    """Two homes were mixed."""
    with pytest.raises(ConfigError, match="is the key of bakery"):
        load_identity(home, member="mill")


def test_a_key_that_genesis_does_not_know_needs_a_name(home: Home) -> None:
    """A rotated key, or that of a firm that joined later."""
    home.node_key.unlink()
    store_key(home.node_key, generate_key())
    assert load_identity(home, member="dairy").member == "dairy"
    with pytest.raises(ConfigError, match=r"is the key of no member .* set p2p.member"):
        load_identity(home, member="")
    with pytest.raises(ConfigError, match=r"p2p\.member"):
        load_identity(home, member="Not A Slug")


def test_all_that_is_wrong_is_said_at_once(home: Home) -> None:
    """Genesis and key."""
    home.node_key.chmod(0o644)
    home.genesis.write_text("{}", encoding="ascii")
    with pytest.raises(ConfigError) as refused:
        load_identity(home, member="")
    assert len(refused.value.problems) == 2
