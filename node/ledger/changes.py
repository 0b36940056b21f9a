"""What a proposal may change of a roster, how that is written, and when it is refused.

The changes of one proposal are applied in order and stand or fall together: so a validator may be replaced without
there ever being one too few. The bounds on validators are judged on the outcome.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, assert_never

import msgspec

from consensus.types import U32_MAX, Digest
from node.crypto.digests import ROTATION_DOMAIN
from node.crypto.keys import SIGNATURE_BYTES, PublicKey, SigningKey, verify_signature
from node.ledger.roster import (
    ACTOR_KEYS_TOTAL_MAX,
    ENTRIES_MAX,
    MEMBERS_MAX,
    STEP_PARAMETERS,
    STEP_WORD_LENGTH_MAX,
    STEP_WORDS_MAX,
    VALIDATORS_MAX,
    Member,
    Parameters,
    Role,
    Roster,
    build_roster,
    parameter_fields,
    read_actor_keys,
    read_address,
    read_key,
    read_line,
    read_member,
    read_parameter_fields,
    read_role,
    role_code,
    step_clash,
)
from node.ledger.verdicts import TransactionCode
from node.wire.codec import MalformedError, Packable, read_array, read_bytes, read_int, read_text
from node.wire.ids import MEMBER_ID_LENGTH_MAX, FeedId, FeedNumber, MemberId, read_member_id

CHANGES_MAX: Final = 16
VALIDATORS_KEPT: Final = 4
"""A network that tolerates a fault is never made one that tolerates none."""
_TIMING_LENGTH_MAX: Final = 16


@dataclass(frozen=True, slots=True)
class AddMember:
    """Take in a member or an observer; feed_number is 0. It becomes a validator later, once it has synced."""

    member: Member


@dataclass(frozen=True, slots=True)
class RemoveMember:
    """End a member's part in the network. What it wrote stays; its id is never used again."""

    id: MemberId


@dataclass(frozen=True, slots=True)
class SetRole:
    """Make a member validator, member or observer. Who had no feed and has one then begins its next one."""

    id: MemberId
    role: Role


@dataclass(frozen=True, slots=True)
class RotateKey:
    """Give a member another node key, and with it its next feed. proof: see `sign_rotation`."""

    id: MemberId
    node_key: PublicKey
    proof: bytes


@dataclass(frozen=True, slots=True)
class ChangeMember:
    """Change what a member is called and where its node is reached."""

    id: MemberId
    name: str
    organisation_id: str
    address: str


@dataclass(frozen=True, slots=True)
class SetActorKeys:
    """Say by which keys a member's people and machines sign, in place of those before."""

    id: MemberId
    actor_keys: tuple[PublicKey, ...]


@dataclass(frozen=True, slots=True)
class NewFeed:
    """Begin the member's next feed under the same key: for a feed that stands still."""

    id: MemberId


@dataclass(frozen=True, slots=True)
class SetParameters:
    """Set all parameters."""

    parameters: Parameters


Change = AddMember | RemoveMember | SetRole | RotateKey | ChangeMember | SetActorKeys | NewFeed | SetParameters

_ADD, _REMOVE, _ROLE, _KEY, _MEMBER, _ACTORS, _FEED, _PARAMETERS = range(1, 9)


def rotation_signing_bytes(network_id: Digest, member: MemberId, feed_number: FeedNumber) -> bytes:
    """Return the 84 bytes that a new node key signs: domain, network id, member padded with zeros, feed number.

    feed_number: of the feed that begins with the key, so that the proof of an earlier rotation proves nothing.
    """
    return (
        ROTATION_DOMAIN
        + network_id
        + member.encode("ascii").ljust(MEMBER_ID_LENGTH_MAX, b"\0")
        + feed_number.to_bytes(4, "big")
    )


def sign_rotation(network_id: Digest, member: MemberId, feed_number: FeedNumber, key: SigningKey) -> RotateKey:
    """Return the change that gives `member` the key `key`. feed_number: the next one after its present feed's."""
    return RotateKey(member, key.public_key, key.sign(rotation_signing_bytes(network_id, member, feed_number)))


def change_fields(change: Change) -> Packable:
    """Return the array of a change; its first field says which."""
    match change:
        case AddMember(member):
            return (_ADD, member.to_fields())
        case RemoveMember(id_):
            return (_REMOVE, id_)
        case SetRole(id_, role):
            return (_ROLE, id_, role_code(role))
        case RotateKey(id_, node_key, proof):
            return (_KEY, id_, node_key, proof)
        case ChangeMember(id_, name, organisation_id, address):
            return (_MEMBER, id_, name, organisation_id, address)
        case SetActorKeys(id_, actor_keys):
            return (_ACTORS, id_, actor_keys)
        case NewFeed(id_):
            return (_FEED, id_)
        case SetParameters(parameters):
            return (_PARAMETERS, parameter_fields(parameters))
        case _:
            assert_never(change)


def read_change(value: object, what: str) -> Change:
    """Return `value` as a change. Raises MalformedError. Parameters are bounded when they are applied."""
    fields = read_array(value, what, length_max=5)
    if not fields:
        raise MalformedError(f"{what}: no change")
    read_int(fields[0], f"{what}.kind")
    match fields:
        case (1, member):
            added = read_member(member, f"{what}.member")
            if added.feed_number != 0:
                raise MalformedError(f"{what}.member.feed_number: {added.feed_number}, not 0")
            return AddMember(added)
        case (8, parameters):
            return SetParameters(_read_unbounded(parameters, f"{what}.parameters"))
        case (int(kind), id_field, *rest):
            return _read_of_member(kind, read_member_id(id_field, f"{what}.id"), tuple(rest), what)
        case _:
            raise MalformedError(f"{what}: no change")


def _read_of_member(kind: int, member: MemberId, rest: tuple[object, ...], what: str) -> Change:
    match (kind, *rest):
        case (2,):
            return RemoveMember(member)
        case (3, role):
            return SetRole(member, read_role(role, f"{what}.role"))
        case (4, key, proof):
            return RotateKey(
                member, read_key(key, f"{what}.key"), read_bytes(proof, f"{what}.proof", length=SIGNATURE_BYTES)
            )
        case (5, name, organisation_id, address):
            return ChangeMember(
                member,
                read_line(name, f"{what}.name", lowest=1),
                read_line(organisation_id, f"{what}.organisation_id"),
                read_address(address, f"{what}.address"),
            )
        case (6, actor_keys):
            return SetActorKeys(member, read_actor_keys(actor_keys, f"{what}.actor_keys"))
        case (7,):
            return NewFeed(member)
        case _:
            raise MalformedError(f"{what}: no change")


def _read_unbounded(value: object, what: str) -> Parameters:
    fields = read_parameter_fields(value, what)
    timing = read_text(fields.pop("timing"), what, length_max=_TIMING_LENGTH_MAX)
    steps = {
        name: tuple(
            read_text(word, f"{what}.{name}", length_max=STEP_WORD_LENGTH_MAX)
            for word in read_array(fields.pop(name), f"{what}.{name}", length_max=STEP_WORDS_MAX)
        )
        for name in STEP_PARAMETERS
        if name in fields
    }
    numbers = {name: read_int(field, what) for name, field in fields.items()}
    return msgspec.structs.replace(Parameters(timing=timing), **numbers, **steps)


def read_changes(value: object, what: str) -> tuple[Change, ...]:
    """Return `value` as the changes of one proposal, at least one. Raises MalformedError."""
    entries = read_array(value, what, length_max=CHANGES_MAX)
    if not entries:
        raise MalformedError(f"{what}: none")
    return tuple(read_change(entry, f"{what}[{number}]") for number, entry in enumerate(entries))


def changed_validators(before: Roster, after: Roster) -> int:
    """Return how many validators come or go, whichever are more. One with another key is another one."""
    old = {(member, before.members[member].node_key) for member in before.validators}
    new = {(member, after.members[member].node_key) for member in after.validators}
    return max(len(old - new), len(new - old))


def changes_allowed(validator_count: int) -> int:
    """Return how many validators may come or go at one epoch boundary: as many as may be faulty, but one at least.

    Those that come may not be there yet, and must not cost more than the network tolerates.
    """
    return max(1, (validator_count - 1) // 3)


def apply_changes(
    roster: Roster,
    changes: Sequence[Change],
    network_id: Digest,
    has_final_batch: Callable[[FeedId], bool],
) -> Roster | TransactionCode:
    """Return the roster with the changes applied, its epoch unchanged, or why it cannot be.

    has_final_batch: whether a batch of a feed is final in the state that this is judged in.
    """
    members, parameters = dict(roster.members), roster.parameters
    for change in changes:
        match change:
            case SetParameters(wanted):
                if not _is_in_bounds(wanted):
                    return TransactionCode.PARAMETERS_OUT_OF_BOUNDS
                parameters = wanted
            case AddMember(added):
                code = _why_not_added(added, members)
                if code is not None:
                    return code
                members[added.id] = added
            case _:
                member = members.get(change.id)
                if member is None or not member.is_present:
                    return TransactionCode.UNKNOWN_MEMBER
                changed = _change_member(member, change, members, network_id)
                if isinstance(changed, TransactionCode):
                    return changed
                members[change.id] = changed
    changed_roster = build_roster(roster.epoch, members.values(), parameters)
    return _why_not_changed(roster, changed_roster, has_final_batch) or changed_roster


def _is_in_bounds(parameters: Parameters) -> bool:
    try:
        msgspec.convert(msgspec.to_builtins(parameters), Parameters)
    except msgspec.ValidationError:
        return False
    return step_clash(parameters) is None


def _is_key_in_use(key: PublicKey, members: dict[MemberId, Member]) -> bool:
    return any(member.node_key == key for member in members.values())


def _why_not_added(added: Member, members: dict[MemberId, Member]) -> TransactionCode | None:
    if added.id in members:
        return TransactionCode.MEMBER_EXISTS
    if _is_key_in_use(added.node_key, members):
        return TransactionCode.KEY_IN_USE
    if added.role is Role.VALIDATOR:
        return TransactionCode.VALIDATOR_NOT_SYNCED
    if added.role is Role.FORMER:
        return TransactionCode.ROLE_IMPOSSIBLE
    return None


def _change_member(
    member: Member,
    change: RemoveMember | SetRole | RotateKey | ChangeMember | SetActorKeys | NewFeed,
    members: dict[MemberId, Member],
    network_id: Digest,
) -> Member | TransactionCode:
    if member.feed_number == U32_MAX and isinstance(change, RotateKey | NewFeed | SetRole):
        # Nobody gets there; a number falls back to none that was used.
        return TransactionCode.NOTHING_CHANGES
    next_number = FeedNumber(member.feed_number + 1)
    match change:
        case RemoveMember():
            return replace(member, role=Role.FORMER, actor_keys=())
        case SetRole(_, role):
            if role is Role.FORMER:
                return TransactionCode.ROLE_IMPOSSIBLE
            changed = replace(member, role=role)
            # Safety: a feed that has ended never goes on. What was sealed on it and not cut is known to some only, so
            # its owner might sign a seq twice; it begins another one.
            return replace(changed, feed_number=next_number) if changed.has_feed and not member.has_feed else changed
        case RotateKey(_, node_key, proof):
            if _is_key_in_use(node_key, members):
                return TransactionCode.KEY_IN_USE
            if not verify_signature(node_key, rotation_signing_bytes(network_id, member.id, next_number), proof):
                return TransactionCode.KEY_NOT_PROVEN
            return replace(member, node_key=node_key, feed_number=next_number)
        case ChangeMember(_, name, organisation_id, address):
            return replace(member, name=name, organisation_id=organisation_id, address=address)
        case SetActorKeys(_, actor_keys):
            return replace(member, actor_keys=actor_keys)
        case NewFeed():
            return replace(member, feed_number=next_number)
        case _:
            assert_never(change)


def _why_not_changed(
    before: Roster, after: Roster, has_final_batch: Callable[[FeedId], bool]
) -> TransactionCode | None:
    if after == before:
        return TransactionCode.NOTHING_CHANGES
    count, count_before = len(after.validators), len(before.validators)
    if count == 0 or count < VALIDATORS_KEPT <= count_before:
        return TransactionCode.TOO_FEW_VALIDATORS
    if count > VALIDATORS_MAX:
        return TransactionCode.TOO_MANY_VALIDATORS
    if changed_validators(before, after) > changes_allowed(count_before):
        return TransactionCode.TOO_MANY_CHANGES
    # On the outcome, whatever the order of the changes: a validator-to-be has written the feed that it will have.
    for member in after.validators:
        if member not in before.validators and not has_final_batch(after.members[member].feed):
            return TransactionCode.VALIDATOR_NOT_SYNCED
    actor_keys = sum(len(member.actor_keys) for member in after.members.values())
    if len(after.members) > ENTRIES_MAX or len(after.present()) > MEMBERS_MAX or actor_keys > ACTOR_KEYS_TOTAL_MAX:
        return TransactionCode.TOO_MANY_MEMBERS
    return None
