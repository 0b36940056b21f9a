"""node.crypto.keys."""

import json
from pathlib import Path
from typing import Any

import pytest

from node.crypto.keys import (
    SigningKey,
    check_library,
    generate_key,
    is_public_key,
    load_key,
    store_key,
    verify_signature,
)
from node.errors import ConfigError

KEY = SigningKey(bytes(range(32)))
VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "signatures.json").read_text(encoding="ascii"))


def test_a_signature_verifies_for_its_message_and_key_only() -> None:
    """Ed25519 (RFC 8032) through libsodium."""
    signature = KEY.sign(b"message")
    assert verify_signature(KEY.public_key, b"message", signature)
    assert not verify_signature(KEY.public_key, b"massage", signature)
    assert not verify_signature(generate_key().public_key, b"message", signature)


def test_signatures_are_deterministic() -> None:
    """A vote sent again after a restart has the same bytes."""
    assert KEY.sign(b"m") == SigningKey(KEY.seed).sign(b"m")


def test_the_small_order_signature_is_refused() -> None:
    """Other libraries accept this one; a verifier of that kind would split the network."""
    key = b"\x01" + bytes(31)
    assert not verify_signature(key, b"anything", key + bytes(32))


@pytest.mark.parametrize("case", VECTORS, ids=[case["name"] for case in VECTORS])
def test_what_is_a_good_signature_is_the_same_with_every_library(case: dict[str, Any]) -> None:
    """The edges on which libraries differ: a good signature at one node only is a fork (see docs/protocol.md)."""
    key, message, signature = (bytes.fromhex(case[name]) for name in ("public_key", "message", "signature"))
    assert verify_signature(key, message, signature) == case["valid"]


def test_a_library_with_another_rule_starts_no_node(monkeypatch: pytest.MonkeyPatch) -> None:
    """An upgrade of libsodium may bring one; the probe is a signature of the vectors."""
    check_library()
    asked: list[tuple[bytes, bytes, bytes]] = []

    def takes(*signed: bytes) -> bool:
        asked.append(signed)  # type: ignore[arg-type]  # Three, or the next line says so.
        return True

    monkeypatch.setattr("node.crypto.keys.verify_signature", takes)
    with pytest.raises(ConfigError, match="install PyNaCl"):
        check_library()
    fields = ("public_key", "message", "signature")
    refused = [tuple(bytes.fromhex(one[name]) for name in fields) for one in VECTORS if not one["valid"]]
    assert asked[0] in refused


@pytest.mark.parametrize("key", [bytes(32), b"\x01" + bytes(31), b"\xff" * 32, b"", bytes(31)])
def test_what_nobody_can_sign_with_is_no_public_key(key: bytes) -> None:
    """Zero, of small order, not on the curve, too short."""
    assert not is_public_key(key)
    assert all(is_public_key(one.public_key) for one in (KEY, generate_key(), SigningKey(bytes(32))))


@pytest.mark.parametrize(("key", "signature"), [(b"", bytes(64)), (bytes(31), bytes(64)), (bytes(32), bytes(63))])
def test_wrong_lengths_are_no_signature(key: bytes, signature: bytes) -> None:
    """Malformed is False, never an exception."""
    assert not verify_signature(key, b"m", signature)


def test_the_secret_is_not_shown() -> None:
    """Secrets never reach logs."""
    assert KEY.seed.hex() not in repr(KEY)
    assert KEY.public_key.hex() in repr(KEY)


def test_a_key_comes_back_from_its_file(tmp_path: Path) -> None:
    """Stored with mode 0600, loaded as it was."""
    path = tmp_path / "node.key"
    store_key(path, KEY)
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_key(path).public_key == KEY.public_key


def test_a_key_file_is_never_overwritten(tmp_path: Path) -> None:
    """A key that is lost cannot be made again."""
    path = tmp_path / "node.key"
    store_key(path, KEY)
    with pytest.raises(FileExistsError):
        store_key(path, generate_key())


def test_a_key_file_open_to_others_is_refused(tmp_path: Path) -> None:
    """The error says how to close it."""
    path = tmp_path / "node.key"
    store_key(path, KEY)
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="run chmod 600"):
        load_key(path)


@pytest.mark.parametrize("text", ["", "00", "zz" * 32, "00" * 33])
def test_a_damaged_key_file_is_refused(tmp_path: Path, text: str) -> None:
    """Anything but 64 hex digits."""
    path = tmp_path / "node.key"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="does not hold 64 hex digits"):
        load_key(path)


def test_a_key_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """Bytes outside ASCII."""
    path = tmp_path / "node.key"
    path.write_bytes(b"\xff" * 64)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="key file"):
        load_key(path)


def test_a_missing_key_file_is_named(tmp_path: Path) -> None:
    """The operator sees which one."""
    with pytest.raises(ConfigError, match=r"absent\.key"):
        load_key(tmp_path / "absent.key")
