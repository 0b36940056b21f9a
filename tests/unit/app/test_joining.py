"""What a firm hands to a member: signed by its own key, and refused when a letter was changed."""

import json
from pathlib import Path

import pytest

from consensus.types import Digest
from node.app.joining import (
    REQUEST_BYTES_MAX,
    JoinRequest,
    build_join_request,
    encode_join_request,
    load_join_request,
)
from node.errors import ConfigError
from tests.support.networks import build_key

KEY = build_key("dairy")


def build() -> JoinRequest:
    return build_join_request(
        Digest(bytes(32)),
        member="dairy",
        name="The dairy",
        organisation_id="",
        address="node.dairy.example:7000",
        node_key=KEY,
        actor_keys=(build_key("actor").public_key.hex(),),
    )


def test_a_request_is_signed_by_its_own_key_and_reads_back(tmp_path: Path) -> None:
    """A file for people and programs."""
    path = tmp_path / "join-request.json"
    path.write_bytes(encode_join_request(build()))
    assert load_join_request(path) == build()
    assert build().is_proved


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", "mill"),
        ("name", "Another dairy"),
        ("address", "elsewhere.example:7000"),
        ("network_id", "11" * 32),
        ("node_key", build_key("mallory").public_key.hex()),
        ("actor_keys", []),
        ("proof", ""),
    ],
)
def test_a_changed_request_is_refused(tmp_path: Path, field: str, value: object) -> None:
    """Whoever carries it to a member cannot put another key or address into it."""
    path = tmp_path / "join-request.json"
    path.write_text(json.dumps(json.loads(encode_join_request(build())) | {field: value}), encoding="utf-8")
    with pytest.raises(ConfigError, match="its proof is not by the node key"):
        load_join_request(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", "lotvine init --join writes one"),
        (b"\xff", "no join request"),
        (b"[" * 100_000, "no join request"),
        (b" " * (REQUEST_BYTES_MAX + 1), "this is no join request"),
        (b'{"format": 2}', "no join request"),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    """In one line with its path."""
    path = tmp_path / "join-request.json"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=words) as refused:
        load_join_request(path)
    assert str(path) in str(refused.value)


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    """By the system's words."""
    with pytest.raises(ConfigError, match="No such file"):
        load_join_request(tmp_path / "absent")
