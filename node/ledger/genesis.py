"""The genesis document: what all nodes of a network share from the first moment, and whose digest is its name.

The file is canonical JSON (sorted keys, two spaces, ASCII, one newline at the end), so that `sha256sum genesis.json`
is the network id and every signature's domain contains it. Any other spelling is refused: else one network would
have two names.
"""

import json
import re
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec

from consensus.types import Digest, Epoch, Height
from node.crypto.digests import STATE_DOMAIN, sha256
from node.crypto.keys import PUBLIC_KEY_BYTES, PublicKey
from node.errors import ConfigError
from node.ledger.roster import (
    LATER_PARAMETERS,
    MEMBERS_MAX,
    VALIDATORS_MAX,
    EpochRecord,
    Member,
    Parameters,
    Role,
    Roster,
    build_roster,
    is_address,
    is_line,
    step_clash,
)
from node.wire.codec import MalformedError
from node.wire.ids import FeedNumber, MemberId, read_member_id

GENESIS_FORMAT: Final = 1
PROTOCOL_VERSION: Final = 1
GENESIS_BYTES_MAX: Final = 4 * 1024 * 1024

_HEX_KEY: Final = re.compile(r"[0-9a-f]{64}")


class GenesisMember(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One organisation. id: see `MemberId`. organisation_id: a GLN or other id, as a URI, or empty."""

    id: str
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    role: Role
    node_key: str
    address: str
    organisation_id: Annotated[str, msgspec.Meta(max_length=200)] = ""
    actor_keys: Annotated[tuple[str, ...], msgspec.Meta(max_length=1000)] = ()


class GenesisDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file as it is written. incarnation: raised only for an operator-driven hard restart."""

    format: Annotated[int, msgspec.Meta(ge=GENESIS_FORMAT, le=GENESIS_FORMAT)]
    network: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    incarnation: Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]
    created_ms: Annotated[int, msgspec.Meta(ge=0, le=2**48)]
    members: Annotated[tuple[GenesisMember, ...], msgspec.Meta(min_length=1, max_length=MEMBERS_MAX)]
    parameters: Parameters = Parameters()


@dataclass(frozen=True, slots=True)
class Genesis:
    """A checked genesis document. roster: that of epoch 0."""

    network_id: Digest
    network: str
    created_ms: int
    roster: Roster

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
    def state_digest(self) -> Digest:
        """The state digest at height 0."""
        return sha256(STATE_DOMAIN, self.network_id)

    @property
    def epoch_record(self) -> EpochRecord:
        """Epoch 0."""
        return EpochRecord(self.epoch, self.anchor_height, self.anchor_digest, self.roster)


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
    problems.extend(
        f"{where}.{field}: has control characters"
        for field, text in (("name", member.name), ("organisation_id", member.organisation_id))
        if not is_line(text)
    )
    if member.role is Role.FORMER:
        problems.append(f"{where}.role: nobody is {Role.FORMER} at the beginning")
    if not is_address(member.address):
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
    clash = step_clash(document.parameters)
    if clash is not None:
        problems.append(f"parameters.{clash.name}: {clash.words}")
    return tuple(problems)


def encode_genesis(document: GenesisDocument) -> bytes:
    """Return the one file of a document, whose SHA-256 is the network id.

    Parameters that genesis files did not have at first are left out where they have their defaults: so those files
    are still what they were.
    """
    written = msgspec.to_builtins(document)
    defaults = msgspec.to_builtins(Parameters())
    for name in LATER_PARAMETERS:
        if written["parameters"][name] == defaults[name]:
            del written["parameters"][name]
    return (json.dumps(written, indent=2, sort_keys=True, ensure_ascii=True) + "\n").encode("ascii")


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
    members = (
        Member(
            id=MemberId(member.id),
            name=member.name,
            organisation_id=member.organisation_id,
            role=member.role,
            node_key=PublicKey(bytes.fromhex(member.node_key)),
            actor_keys=tuple(PublicKey(bytes.fromhex(key)) for key in member.actor_keys),
            address=member.address,
            feed_number=FeedNumber(0),
        )
        for member in document.members
    )
    return Genesis(
        network_id=sha256(encoded),
        network=document.network,
        created_ms=document.created_ms,
        roster=build_roster(Epoch(0), members, document.parameters),
    )
