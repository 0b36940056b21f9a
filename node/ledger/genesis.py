"""The genesis document: what all nodes of a network share from the first moment, and whose digest is its name.

The file is canonical JSON (sorted keys, two spaces, ASCII, one newline at the end), so that `sha256sum genesis.json`
is the network id and every signature's domain contains it. Any other spelling is refused: else one network would
have two names.
"""

import json
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final

import msgspec

from consensus.types import Digest, Epoch, Height, ValidatorIndex, View
from node.crypto.digests import STATE_DOMAIN, sha256
from node.crypto.keys import PUBLIC_KEY_BYTES, PublicKey
from node.errors import ConfigError
from node.wire.codec import MalformedError
from node.wire.ids import FeedId, FeedNumber, MemberId, read_member_id

GENESIS_FORMAT: Final = 1
PROTOCOL_VERSION: Final = 1
GENESIS_BYTES_MAX: Final = 4 * 1024 * 1024
MEMBERS_MAX: Final = 512
VALIDATORS_MAX: Final = 64
BATCH_BLOCK_MINIMUM: Final = 1024 * 1024 + 4096

_HEX_KEY: Final = re.compile(r"[0-9a-f]{64}")
_ADDRESS: Final = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):[0-9]{1,5}")


class Role(StrEnum):
    """What a member's node does in the network."""

    VALIDATOR = "validator"
    MEMBER = "member"
    OBSERVER = "observer"


class GenesisMember(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One organisation. id: see `MemberId`. organisation_id: a GLN or other id, as a URI, or empty."""

    id: str
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    role: Role
    node_key: str
    address: str
    organisation_id: Annotated[str, msgspec.Meta(max_length=200)] = ""
    actor_keys: Annotated[tuple[str, ...], msgspec.Meta(max_length=1000)] = ()


class Parameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What all nodes must compute alike.

    block_bytes_max, block_batches_max: what one block may newly cover. rules_version: which of our readers of
    events decides. clock_tolerance_ms: how far two honest clocks may differ. transaction_expiry_ms: how long a
    transaction may lie before its feed's clock. timing: `lan` or `wan`, the timers of consensus.
    """

    block_bytes_max: Annotated[int, msgspec.Meta(ge=BATCH_BLOCK_MINIMUM, le=64 * 1024 * 1024)] = 8 * 1024 * 1024
    block_batches_max: Annotated[int, msgspec.Meta(ge=1, le=4096)] = 256
    rules_version: Annotated[int, msgspec.Meta(ge=1, le=1)] = 1
    clock_tolerance_ms: Annotated[int, msgspec.Meta(ge=0, le=86_400_000)] = 900_000
    transaction_expiry_ms: Annotated[int, msgspec.Meta(ge=60_000, le=31 * 86_400_000)] = 86_400_000
    timing: Annotated[str, msgspec.Meta(pattern="^(lan|wan)$")] = "lan"


class GenesisDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file as it is written. incarnation: raised only for an operator-driven hard restart."""

    format: Annotated[int, msgspec.Meta(ge=GENESIS_FORMAT, le=GENESIS_FORMAT)]
    network: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    incarnation: Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]
    created_ms: Annotated[int, msgspec.Meta(ge=0, le=2**48)]
    members: Annotated[tuple[GenesisMember, ...], msgspec.Meta(min_length=1, max_length=MEMBERS_MAX)]
    parameters: Parameters = Parameters()


@dataclass(frozen=True, slots=True)
class Member:
    """An organisation of the network. address: host:port of its node for other nodes."""

    id: MemberId
    name: str
    organisation_id: str
    role: Role
    node_key: PublicKey
    actor_keys: tuple[PublicKey, ...]
    address: str

    @property
    def feed(self) -> FeedId:
        """The feed that the member's node writes now."""
        return FeedId(self.id, FeedNumber(0))


@dataclass(frozen=True, slots=True)
class Genesis:
    """A checked genesis document.

    members: by id. validators: member ids ordered by node key; a ValidatorIndex is a place in it.
    """

    network_id: Digest
    network: str
    created_ms: int
    members: dict[MemberId, Member]
    validators: tuple[MemberId, ...]
    parameters: Parameters

    @property
    def epoch(self) -> Epoch:
        """The epoch that genesis begins."""
        return Epoch(0)

    @property
    def anchor_digest(self) -> Digest:
        """The digest of the block at height 0: the network id."""
        return self.network_id

    @property
    def anchor_height(self) -> Height:
        """Zero."""
        return Height(0)

    @property
    def anchor_view(self) -> View:
        """Zero."""
        return View(0)

    @property
    def state_digest(self) -> Digest:
        """The state digest at height 0."""
        return sha256(STATE_DOMAIN, self.network_id)

    def validator_index(self, member: MemberId) -> ValidatorIndex | None:
        """Return the member's place among the validators, or None if it does not vote."""
        return ValidatorIndex(self.validators.index(member)) if member in self.validators else None


def _problems_of_member(number: int, member: GenesisMember) -> list[str]:
    where = f"members[{number}]"
    problems = []
    try:
        read_member_id(member.id, f"{where}.id")
    except MalformedError as error:
        problems.append(str(error))
    if not _HEX_KEY.fullmatch(member.node_key):
        problems.append(f"{where}.node_key: not {PUBLIC_KEY_BYTES * 2} lower-case hex digits")
    problems.extend(
        f"{where}.actor_keys[{i}]: not {PUBLIC_KEY_BYTES * 2} lower-case hex digits"
        for i, key in enumerate(member.actor_keys)
        if not _HEX_KEY.fullmatch(key)
    )
    if not _ADDRESS.fullmatch(member.address) or not 1 <= int(member.address.rpartition(":")[2]) <= 65535:
        problems.append(f"{where}.address: {member.address!r} is not host:port")
    return problems


def validate_genesis(document: GenesisDocument) -> tuple[str, ...]:
    """Return every problem of the document in words; none if it is good."""
    problems: list[str] = []
    for number, member in enumerate(document.members):
        problems.extend(_problems_of_member(number, member))
    for what, values in (
        ("id", [member.id for member in document.members]),
        ("node_key", [member.node_key for member in document.members]),
    ):
        problems.extend(
            f"members: {what} {value} stands twice" for value in sorted(set(values)) if values.count(value) > 1
        )
    validators = sum(member.role is Role.VALIDATOR for member in document.members)
    if not 1 <= validators <= VALIDATORS_MAX:
        problems.append(f"members: {validators} validators, not 1 … {VALIDATORS_MAX}")
    return tuple(problems)


def encode_genesis(document: GenesisDocument) -> bytes:
    """Return the one file of a document, whose SHA-256 is the network id."""
    return (json.dumps(msgspec.to_builtins(document), indent=2, sort_keys=True, ensure_ascii=True) + "\n").encode(
        "ascii"
    )


def decode_genesis(encoded: bytes) -> Genesis:
    """Return the genesis in `encoded`. Raises ConfigError with every problem found."""
    if len(encoded) > GENESIS_BYTES_MAX:
        raise ConfigError([f"genesis: {len(encoded)} bytes, more than {GENESIS_BYTES_MAX}"])
    try:
        document = msgspec.json.decode(encoded, type=GenesisDocument)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ConfigError([f"genesis: {error}"]) from error
    problems = validate_genesis(document)
    if problems:
        raise ConfigError([f"genesis: {problem}" for problem in problems])
    if encode_genesis(document) != encoded:
        raise ConfigError(
            ["genesis: not in its canonical form, so edited or re-formatted: get the original file from a member"]
        )
    members = {
        MemberId(member.id): Member(
            id=MemberId(member.id),
            name=member.name,
            organisation_id=member.organisation_id,
            role=member.role,
            node_key=PublicKey(bytes.fromhex(member.node_key)),
            actor_keys=tuple(PublicKey(bytes.fromhex(key)) for key in member.actor_keys),
            address=member.address,
        )
        for member in document.members
    }
    validators = [member for member in members.values() if member.role is Role.VALIDATOR]
    validators.sort(key=lambda member: member.node_key)
    return Genesis(
        network_id=sha256(encoded),
        network=document.network,
        created_ms=document.created_ms,
        members=members,
        validators=tuple(member.id for member in validators),
        parameters=document.parameters,
    )
