"""Who belongs to the network in one epoch, in which role, with which keys, under which parameters.

A roster is constant for an epoch: every change of it takes effect at an epoch boundary, so whoever knows the epoch
knows by whose keys its votes and batches are judged. It has one encoding, whose digest the last block of the epoch
before names (`next_epoch_digest`): so a chain of certificates leads from genesis to the keys of today.

A member that was removed stays in it as `former`: its id is never used again, and what it wrote stays named.
"""

import itertools
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Final, NamedTuple

import msgspec

from consensus.errors import invariant
from consensus.types import U32_MAX, U64_MAX, Digest, Epoch, Height, ValidatorIndex
from node.crypto.digests import EPOCH_DOMAIN, sha256
from node.crypto.keys import PUBLIC_KEY_BYTES, PublicKey
from node.wire.codec import MalformedError, Packable, pack, read_array, read_bytes, read_digest, read_int, unpack
from node.wire.ids import FeedId, FeedNumber, MemberId, read_member_id

ROSTER_VERSION: Final = 1
ROSTER_BYTES_MAX: Final = 8 * 1024 * 1024
"""More than the bounds below come to."""
MEMBERS_MAX: Final = 512
"""Who takes part; removed members do not count."""
ENTRIES_MAX: Final = 2048
"""All members of a roster, removed ones too."""
VALIDATORS_MAX: Final = 64
ACTOR_KEYS_MAX: Final = 1000
ACTOR_KEYS_TOTAL_MAX: Final = 65_536
TEXT_LENGTH_MAX: Final = 200
ADDRESS_LENGTH_MAX: Final = 280
BATCH_BLOCK_MINIMUM: Final = 1024 * 1024 + 4096
"""No bound of a block falls below one full batch: what was sealed stays cuttable."""

STEP_WORDS_MAX: Final = 32
"""Of a list: so that all five of the longest words fit into a proposal."""
STEP_WORD_LENGTH_MAX: Final = 256
_CONTROLS: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""What moves a cursor or turns the direction of a line. By number: what Unicode calls printable differs by version."""
_ADDRESS: Final = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):[0-9]{1,5}")


class Role(StrEnum):
    """What a member's node does in the network."""

    VALIDATOR = "validator"
    MEMBER = "member"
    OBSERVER = "observer"
    FORMER = "former"
    """Removed: no sessions, no feed, its id never used again. Not in a genesis."""


_ROLE_CODES: Final = {Role.VALIDATOR: 1, Role.MEMBER: 2, Role.OBSERVER: 3, Role.FORMER: 4}
_ROLES: Final = {code: role for role, code in _ROLE_CODES.items()}


_Word = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z][A-Za-z0-9+.-]*:[!-~]+\Z", max_length=STEP_WORD_LENGTH_MAX)]
_Words = Annotated[tuple[_Word, ...], msgspec.Meta(max_length=STEP_WORDS_MAX)]
_Hours = Annotated[int, msgspec.Meta(ge=1, le=8_760)]


class Parameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What all nodes must compute alike.

    block_bytes_max, block_batches_max: what one block may newly cover. rules_version: which of our readers of
    events decides. clock_tolerance_ms: how far two honest clocks may differ. transaction_expiry_ms: how long a
    transaction may lie before its feed's clock. timing: `lan` or `wan`, the timers of consensus.

    What begins with `flag_` are the tolerances of flags (docs/flags.md): how long a shipment may lie unreceived, what
    more or less may come out of a run in thousandths, how late an event may be entered, how fast goods may travel.

    The rest is how events are read (docs/lineage.md): within how many hours several outbound steps of one holder are
    one shipment, for how many runs that name no line are taken to share one, and what an industry calls the steps that
    ship, receive, end, make without inputs and clean, besides the words of the CBV: each a URI.

    What came later is left out of a genesis and a roster where all of it is at its defaults, so older ones stand.
    """

    block_bytes_max: Annotated[int, msgspec.Meta(ge=BATCH_BLOCK_MINIMUM, le=64 * 1024 * 1024)] = 8 * 1024 * 1024
    block_batches_max: Annotated[int, msgspec.Meta(ge=1, le=4096)] = 256
    rules_version: Annotated[int, msgspec.Meta(ge=1, le=1)] = 1
    clock_tolerance_ms: Annotated[int, msgspec.Meta(ge=0, le=86_400_000)] = 900_000
    transaction_expiry_ms: Annotated[int, msgspec.Meta(ge=60_000, le=31 * 86_400_000)] = 86_400_000
    timing: Annotated[str, msgspec.Meta(pattern=r"^(lan|wan)\Z")] = "lan"
    flag_unmatched_hours: Annotated[int, msgspec.Meta(ge=1, le=87_600)] = 168
    flag_run_gain_permille: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 5
    flag_run_loss_permille: Annotated[int, msgspec.Meta(ge=0, le=1_000)] = 50
    flag_back_dated_hours: Annotated[int, msgspec.Meta(ge=1, le=876_000)] = 720
    flag_speed_kmh: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 1_000
    handover_window_hours: _Hours = 72
    contact_window_hours: _Hours = 24
    outbound_steps: _Words = ()
    inbound_steps: _Words = ()
    ending_steps: _Words = ()
    primary_steps: _Words = ()
    clean_steps: _Words = ()


_NAMES: Final = Parameters.__struct_fields__
_DEFAULTS: Final = tuple(getattr(Parameters(), name) for name in _NAMES)
_CUTS: Final = (6, 11, len(_NAMES))
"""Behind which parameters a roster's array may end: each time some were added, there is one more."""
LATER_PARAMETERS: Final = _NAMES[_CUTS[0] :]
MOVING_STEPS: Final = ("outbound_steps", "inbound_steps", "ending_steps")
STEP_PARAMETERS: Final = (*MOVING_STEPS, "primary_steps", "clean_steps")


def parameter_fields(parameters: Parameters) -> Packable:
    """Return the array that stands in a roster."""
    fields = tuple(getattr(parameters, name) for name in _NAMES)
    return fields[: next(cut for cut in _CUTS if fields[cut:] == _DEFAULTS[cut:])]


def read_parameter_fields(value: object, what: str) -> dict[str, object]:
    """Return `value` by the names of parameters, their types unchecked. Raises MalformedError for another shape."""
    fields = read_array(value, what, length_max=len(_NAMES))
    if len(fields) not in _CUTS:
        raise MalformedError(f"{what}: {len(fields)} parameters")
    before = _CUTS[max(_CUTS.index(len(fields)) - 1, 0)]
    if before < len(fields) and fields[before:] == _DEFAULTS[before : len(fields)]:
        raise MalformedError(f"{what}: parameters of which all have their defaults are left out")
    return dict(zip(_NAMES, fields, strict=False))


def read_parameters(value: object, what: str) -> Parameters:
    """Return `value` as parameters. Raises MalformedError, also for a value out of its bounds."""
    try:
        parameters = msgspec.convert(read_parameter_fields(value, what), Parameters)
    except msgspec.ValidationError as error:
        raise MalformedError(f"{what}: {error}") from error
    clash = step_clash(parameters)
    if clash is not None:
        raise MalformedError(f"{what}.{clash.name}: {clash.words}")
    return parameters


class StepClash(NamedTuple):
    """name: the parameter that is wrong."""

    name: str
    words: str


def step_clash(parameters: Parameters) -> StepClash | None:
    """Return the first word that two parameters give two movements, or that one gives twice, or None."""
    taken: dict[str, str] = {}
    for name in STEP_PARAMETERS:
        words: tuple[str, ...] = getattr(parameters, name)
        for number, word in enumerate(words):
            if word in words[:number]:
                return StepClash(name, f"{word!r} stands twice: name it once")
            if name in MOVING_STEPS and taken.setdefault(word, name) != name:
                return StepClash(name, f"{word!r} is one of {taken[word]} already: a step moves goods in one way")
    return None


def is_address(text: str) -> bool:
    """Return whether `text` is host:port, the host a name, an IPv4 address or an IPv6 address in brackets."""
    return (
        len(text) <= ADDRESS_LENGTH_MAX
        and _ADDRESS.fullmatch(text) is not None
        and 1 <= int(text.rpartition(":")[2]) <= 65535
    )


@dataclass(frozen=True, slots=True)
class Member:
    """An organisation of the network. address: host:port of its node for other nodes.

    organisation_id: a GLN or other id, as a URI, or empty. feed_number: of the feed that its node writes now, raised
    when its node key changes.
    """

    id: MemberId
    name: str
    organisation_id: str
    role: Role
    node_key: PublicKey
    actor_keys: tuple[PublicKey, ...]
    address: str
    feed_number: FeedNumber

    @property
    def feed(self) -> FeedId:
        """The feed that the member's node writes now, if it has one."""
        return FeedId(self.id, self.feed_number)

    @property
    def has_feed(self) -> bool:
        """Whether the member may submit: validators and members do."""
        return self.role in (Role.VALIDATOR, Role.MEMBER)

    @property
    def is_present(self) -> bool:
        """Whether the member takes part: all but those removed."""
        return self.role is not Role.FORMER

    def to_fields(self) -> Packable:
        """Return the array that stands in a roster."""
        return (
            self.id,
            self.name,
            self.organisation_id,
            _ROLE_CODES[self.role],
            self.node_key,
            self.feed_number,
            self.actor_keys,
            self.address,
        )


def role_code(role: Role) -> int:
    """Return the number of a role in a roster."""
    return _ROLE_CODES[role]


def read_role(value: object, what: str) -> Role:
    """Return `value`, a role's number, as a role. Raises MalformedError."""
    return _ROLES[read_int(value, what, lowest=1, highest=len(_ROLES))]


def read_key(value: object, what: str) -> PublicKey:
    """Return `value` as a public key: 32 bytes, not looked at further. Raises MalformedError."""
    return PublicKey(read_bytes(value, what, length=PUBLIC_KEY_BYTES))


def read_actor_keys(value: object, what: str) -> tuple[PublicKey, ...]:
    """Return `value` as a member's actor keys. Raises MalformedError."""
    return tuple(read_key(key, what) for key in read_array(value, what, length_max=ACTOR_KEYS_MAX))


def is_line(text: str) -> bool:
    """Return whether `text` may be shown as it is: without what moves a cursor or turns the direction of a line."""
    return _CONTROLS.search(text) is None


def read_line(value: object, what: str, *, lowest: int = 0, highest: int = TEXT_LENGTH_MAX) -> str:
    """Return `value` as a line of `lowest` … `highest` characters for people. Raises MalformedError."""
    if type(value) is not str:
        raise MalformedError(f"{what}: not text")
    if not lowest <= len(value) <= highest:
        raise MalformedError(f"{what}: {len(value)} characters, not {lowest} … {highest}")
    if not is_line(value):
        raise MalformedError(f"{what}: has control characters")
    return value


def read_address(value: object, what: str) -> str:
    """Return `value` as host:port. Raises MalformedError."""
    if type(value) is not str or not is_address(value):
        raise MalformedError(f"{what}: not host:port")
    return value


def read_member(value: object, what: str) -> Member:
    """Return `value` as a member. Raises MalformedError."""
    id_field, name, organisation_id, role, node_key, feed_number, actor_keys, address = read_array(
        value, what, length=8
    )
    return Member(
        id=read_member_id(id_field, f"{what}.id"),
        name=read_line(name, f"{what}.name", lowest=1),
        organisation_id=read_line(organisation_id, f"{what}.organisation_id"),
        role=read_role(role, f"{what}.role"),
        node_key=read_key(node_key, f"{what}.node_key"),
        feed_number=FeedNumber(read_int(feed_number, f"{what}.feed_number", highest=U32_MAX)),
        actor_keys=read_actor_keys(actor_keys, f"{what}.actor_keys"),
        address=read_address(address, f"{what}.address"),
    )


@dataclass(frozen=True, slots=True)
class Roster:
    """The members and parameters of one epoch; make it with `build_roster`.

    members: by id, in the order of ids. validators: ids ordered by node key; a `ValidatorIndex` is a place in it.
    """

    epoch: Epoch
    members: dict[MemberId, Member]
    parameters: Parameters
    validators: tuple[MemberId, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Put the validators in order, once."""
        invariant(list(self.members) == sorted(self.members), "a roster has its members in the order of their ids")
        validators = [member for member in self.members.values() if member.role is Role.VALIDATOR]
        validators.sort(key=lambda member: member.node_key)
        object.__setattr__(self, "validators", tuple(member.id for member in validators))

    def validator_index(self, member: MemberId) -> ValidatorIndex | None:
        """Return the member's place among the validators, or None if it does not vote."""
        return ValidatorIndex(self.validators.index(member)) if member in self.validators else None

    def validator_keys(self) -> tuple[PublicKey, ...]:
        """Return the validators' node keys, by index."""
        return tuple(self.members[member].node_key for member in self.validators)

    def present(self) -> tuple[Member, ...]:
        """Return who takes part, by id: all but those removed."""
        return tuple(member for member in self.members.values() if member.is_present)

    def find(self, member: MemberId) -> Member | None:
        """Return a member, removed ones too, or None."""
        return self.members.get(member)

    def to_fields(self) -> Packable:
        """Return the array that is encoded."""
        return (
            ROSTER_VERSION,
            self.epoch,
            tuple(member.to_fields() for member in self.members.values()),
            parameter_fields(self.parameters),
        )

    def encode(self) -> bytes:
        """Return the one encoding."""
        return pack(self.to_fields())

    def digest(self, network_id: Digest) -> Digest:
        """Return what the last block of the epoch before names as `next_epoch_digest`."""
        return sha256(EPOCH_DOMAIN, network_id, self.encode())


def build_roster(epoch: Epoch, members: Iterable[Member], parameters: Parameters) -> Roster:
    """Return the roster of these members, in whatever order they come; their ids must differ."""
    ordered = sorted(members, key=lambda member: member.id)
    by_id = {member.id: member for member in ordered}
    invariant(len(by_id) == len(ordered), "a roster has each member once")
    return Roster(epoch, by_id, parameters)


def read_roster(value: object, what: str = "roster") -> Roster:
    """Return `value`, an unpacked roster, as one. Raises MalformedError."""
    version, epoch, entries, parameters = read_array(value, what, length=4)
    read_int(version, f"{what}.version", lowest=ROSTER_VERSION, highest=ROSTER_VERSION)
    members = [
        read_member(entry, f"{what}.member") for entry in read_array(entries, f"{what}.members", length_max=ENTRIES_MAX)
    ]
    for left, right in itertools.pairwise(members):
        if left.id >= right.id:
            raise MalformedError(f"{what}.members: ids do not rise")
    if len({member.node_key for member in members}) != len(members):
        raise MalformedError(f"{what}.members: a node key stands twice")
    roster = build_roster(
        Epoch(read_int(epoch, f"{what}.epoch", highest=U64_MAX)),
        members,
        read_parameters(parameters, f"{what}.parameters"),
    )
    if not 1 <= len(roster.validators) <= VALIDATORS_MAX or len(roster.present()) > MEMBERS_MAX:
        raise MalformedError(f"{what}: {len(roster.validators)} validators of {len(roster.present())} members")
    return roster


def decode_roster(encoded: bytes) -> Roster:
    """Return the roster in `encoded`. Raises MalformedError, and nothing else."""
    if len(encoded) > ROSTER_BYTES_MAX:
        raise MalformedError(f"roster: {len(encoded)} bytes, more than {ROSTER_BYTES_MAX}")
    return read_roster(unpack(encoded, what="roster"))


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """What every node keeps of each epoch for ever: where it begins and who it is.

    anchor_height, anchor_digest: of the last block of the epoch before; for epoch 0 of genesis: 0 and the network id.
    """

    epoch: Epoch
    anchor_height: Height
    anchor_digest: Digest
    roster: Roster

    def encode(self) -> bytes:
        """Return the one encoding."""
        return pack((self.epoch, self.anchor_height, self.anchor_digest, self.roster.encode()))


def decode_epoch_record(encoded: bytes) -> EpochRecord:
    """Return the record in `encoded`. Raises MalformedError, and nothing else."""
    epoch, height, digest, roster_bytes = read_array(unpack(encoded, what="epoch"), "epoch", length=4)
    roster = decode_roster(read_bytes(roster_bytes, "epoch.roster", length_max=ROSTER_BYTES_MAX))
    if read_int(epoch, "epoch.epoch") != roster.epoch:
        raise MalformedError("epoch.roster: of another epoch")
    return EpochRecord(
        epoch=roster.epoch,
        anchor_height=Height(read_int(height, "epoch.anchor_height")),
        anchor_digest=read_digest(digest, "epoch.anchor_digest"),
        roster=roster,
    )
