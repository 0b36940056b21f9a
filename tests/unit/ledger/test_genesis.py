"""node.ledger.genesis."""

import hashlib

import msgspec
import pytest

from node.errors import ConfigError
from node.ledger.genesis import GENESIS_BYTES_MAX, decode_genesis, encode_genesis, validate_genesis
from node.ledger.roster import Role
from node.wire.ids import MemberId
from tests.support.networks import build_document, build_genesis

DOCUMENT = build_document(validators=4, observers=1)
ENCODED = encode_genesis(DOCUMENT)


def test_the_network_id_is_the_digest_of_the_file() -> None:
    """So that any tool can tell it: sha256sum genesis.json."""
    assert decode_genesis(ENCODED).network_id == hashlib.sha256(ENCODED).digest()


def test_validators_stand_in_the_order_of_their_keys() -> None:
    """A validator's index is its place by public key."""
    genesis = build_genesis(validators=7, observers=1)
    keys = [genesis.roster.members[member].node_key for member in genesis.roster.validators]
    assert keys == sorted(keys)
    assert len(keys) == 7
    assert [genesis.roster.validator_index(member) for member in genesis.roster.validators] == list(range(7))
    assert genesis.roster.validator_index(MemberId("firm-7")) is None


def test_the_anchor_is_the_network_itself() -> None:
    """Block 0 has no certificate: its digest is the network id."""
    genesis = decode_genesis(ENCODED)
    assert (genesis.epoch, genesis.anchor_height) == (0, 0)
    assert genesis.anchor_digest == genesis.network_id
    assert len(genesis.state_digest) == 32
    assert genesis.roster.members[MemberId("firm-4")].role is Role.OBSERVER
    assert genesis.roster.members[MemberId("firm-0")].feed.number == 0


def test_another_spelling_of_the_same_document_is_refused() -> None:
    """One network has one name."""
    with pytest.raises(ConfigError, match="canonical form"):
        decode_genesis(ENCODED.replace(b"\n", b" \n", 1))


@pytest.mark.parametrize(
    ("encoded", "why"),
    [
        (b"", "genesis: "),
        (b"[" * 100_000, "genesis: "),
        (b" " * (GENESIS_BYTES_MAX + 1), "more than"),
        (ENCODED.replace(b'"format": 1', b'"format": 2'), "format"),
        (ENCODED.replace(b'"network"', b'"netwrok"'), "netwrok"),
    ],
)
def test_a_damaged_document_is_refused_in_words(encoded: bytes, why: str) -> None:
    """Raises ConfigError, and nothing else."""
    with pytest.raises(ConfigError, match=why):
        decode_genesis(encoded)


def test_all_problems_are_listed_at_once() -> None:
    """The operator mends them in one go."""
    first, second, *others = DOCUMENT.members
    document = msgspec.structs.replace(
        DOCUMENT,
        members=(
            msgspec.structs.replace(first, id="No Id", node_key="12", address="nowhere", actor_keys=("zz",)),
            msgspec.structs.replace(second, address="127.0.0.1:70000"),
            second,
            *(msgspec.structs.replace(member, role=Role.OBSERVER) for member in others),
        ),
    )
    problems = validate_genesis(document)
    for part in ("members[0].id", "members[0].node_key", "members[0].actor_keys[0]", "members[0].address",
                 "members[1].address", "id firm-1 stands twice", "node_key"):  # fmt: skip
        assert any(part in problem for problem in problems), part
    with pytest.raises(ConfigError) as caught:
        decode_genesis(encode_genesis(document))
    assert len(caught.value.problems) == len(problems)


def test_a_network_needs_a_validator() -> None:
    """Nobody would agree."""
    members = tuple(msgspec.structs.replace(member, role=Role.MEMBER) for member in DOCUMENT.members)
    assert any(
        "0 validators" in problem for problem in validate_genesis(msgspec.structs.replace(DOCUMENT, members=members))
    )


def test_nobody_is_former_at_the_beginning() -> None:
    """That role is what removal leaves behind."""
    document = build_document()
    first = msgspec.structs.replace(document.members[1], role=Role.FORMER)
    problems = validate_genesis(msgspec.structs.replace(document, members=(document.members[0], first)))
    assert problems == ("members[1].role: nobody is former at the beginning",)


def test_genesis_gives_the_first_epoch() -> None:
    """Its anchor is the block at height 0, whose digest is the network id."""
    genesis = build_genesis()
    record = genesis.epoch_record
    assert (record.epoch, record.anchor_height, record.anchor_digest) == (0, 0, genesis.network_id)
    assert record.roster == genesis.roster
    assert all(member.feed_number == 0 for member in genesis.roster.members.values())


@pytest.mark.parametrize("text", ["\x1b[2Jmill", "two\nlines", "\u202egnp.exe", "\x9b2J", "a\u2028b"])
def test_names_that_move_a_cursor_are_refused(text: str) -> None:
    """They are shown to people at every member."""
    document = build_document()
    for field in ("name", "organisation_id"):
        member = msgspec.structs.replace(document.members[0], **{field: text})
        problems = validate_genesis(msgspec.structs.replace(document, members=(member,)))
        assert problems == (f"members[0].{field}: has control characters",)
