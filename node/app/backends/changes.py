"""Changes of a roster between the API and the ledger, and in words for people."""

from typing import assert_never

import msgspec

from consensus.types import Digest
from node.api.schema import governance as schema
from node.app.joining import REQUEST_FORMAT, JoinRequest
from node.config.addresses import parse_address
from node.crypto.keys import PublicKey, is_public_key
from node.epcis.vocabulary import STEPS
from node.errors import RequestError
from node.ledger.changes import (
    AddMember,
    Change,
    ChangeMember,
    NewFeed,
    RemoveMember,
    RotateKey,
    SetActorKeys,
    SetParameters,
    SetRole,
)
from node.ledger.roster import STEP_PARAMETERS, Member, Parameters, Role, Roster, is_address, step_clash
from node.validation import explain_fault
from node.wire.codec import MalformedError
from node.wire.ids import FeedNumber, MemberId, read_member_id

FINGERPRINT_LENGTH = 16


def fingerprint(key: bytes) -> str:
    """Return what people compare of a public key: the first 16 of its hex digits."""
    return key.hex()[:FINGERPRINT_LENGTH]


def read_change(change: schema.Change, roster: Roster, network_id: Digest, *, field: str) -> Change:
    """Return a change as the ledger writes it; what is not given stays as `roster` has it.

    roster: as it will be once all that is approved has taken effect. Raises RequestError, naming the field.
    """
    match change:
        case schema.AddMember():
            return AddMember(_read_added(change, network_id, field))
        case schema.SetParameters():
            return SetParameters(_read_parameters(change, roster.parameters, field))
        case _:
            return _read_of_member(change, _find(roster, change.id, f"{field}.id"), field)


def _find(roster: Roster, member: str, field: str) -> Member:
    found = roster.find(MemberId(member))
    if found is None or not found.is_present:
        words = f"there is no member {member}" if found is None else f"{member} was removed"
        raise RequestError("unknown_member", words, field=field, hint="lotvine member list names them all")
    return found


def _read_added(change: schema.AddMember, network_id: Digest, field: str) -> Member:
    try:
        member = read_member_id(change.id, f"{field}.id")
    except MalformedError as error:
        raise RequestError("invalid_params", str(error), field=f"{field}.id") from error
    if not change.name:
        raise RequestError("invalid_params", "a member has a name", field=f"{field}.name")
    _check_address(change.address, f"{field}.address")
    request = JoinRequest(
        format=REQUEST_FORMAT,
        network_id=network_id.hex(),
        id=change.id,
        name=change.name,
        organisation_id=change.organisation_id,
        node_key=change.node_key,
        actor_keys=change.actor_keys,
        address=change.address,
        proof=change.proof,
    )
    if not request.is_proved:
        words = "the proof is not the node key's over this request in this network"
        hint = "the firm makes a request for this network's genesis.json by lotvine init --join, and nobody alters it"
        raise RequestError("key_not_proven", words, field=f"{field}.proof", hint=hint)
    return Member(
        id=member,
        name=change.name,
        organisation_id=change.organisation_id,
        role=Role(change.role),
        node_key=PublicKey(bytes.fromhex(change.node_key)),
        actor_keys=_read_actor_keys(change.actor_keys, f"{field}.actor_keys"),
        address=change.address,
        feed_number=FeedNumber(0),
    )


def _read_actor_keys(given: tuple[str, ...], field: str) -> tuple[PublicKey, ...]:
    """Return actor keys. Raises RequestError for one that nobody can sign with: a slip, found much later."""
    for number, key in enumerate(given):
        if not is_public_key(bytes.fromhex(key)):
            words = f"{key} is no Ed25519 public key that anything can be signed with"
            hint = "give the public key of a key pair that was generated, in hex"
            raise RequestError("invalid_params", words, field=f"{field}[{number}]", hint=hint)
    return tuple(PublicKey(bytes.fromhex(key)) for key in given)


def _check_address(address: str, field: str) -> None:
    try:
        parse_address(address)
    except ValueError as error:
        raise RequestError("invalid_params", str(error), field=field) from error
    if not is_address(address):
        raise RequestError("invalid_params", f"{address!r} is not host:port", field=field)


def _read_parameters(change: schema.SetParameters, present: Parameters, field: str) -> Parameters:
    given = {name: value for name in present.__struct_fields__ if (value := getattr(change, name)) is not None}
    try:
        wanted = msgspec.convert(msgspec.to_builtins(present) | given, Parameters)
    except msgspec.ValidationError as error:
        fault = explain_fault(error)
        raise RequestError("parameters_out_of_bounds", fault.words, field=f"{field}{fault.path}") from error
    clash = step_clash(wanted)
    if clash is not None:
        raise RequestError("parameters_out_of_bounds", clash.words, field=f"{field}.{clash.name}")
    for name in STEP_PARAMETERS:
        for word in getattr(wanted, name):
            if STEPS.normalise(word) != word:
                words = f"{word!r} is a word of the CBV, and means what it says there: name words of an industry"
                raise RequestError("parameters_out_of_bounds", words, field=f"{field}.{name}")
    return wanted


def _read_of_member(
    change: schema.RemoveMember
    | schema.SetRole
    | schema.RotateKey
    | schema.ChangeMember
    | schema.SetActorKeys
    | schema.NewFeed,
    member: Member,
    field: str,
) -> Change:
    match change:
        case schema.RemoveMember():
            return RemoveMember(member.id)
        case schema.SetRole():
            return SetRole(member.id, Role(change.role))
        case schema.RotateKey():
            return RotateKey(member.id, PublicKey(bytes.fromhex(change.node_key)), bytes.fromhex(change.proof))
        case schema.ChangeMember():
            if change.address is not None:
                _check_address(change.address, f"{field}.address")
            if change.name == "":
                raise RequestError("invalid_params", "a member has a name", field=f"{field}.name")
            return ChangeMember(
                member.id,
                member.name if change.name is None else change.name,
                member.organisation_id if change.organisation_id is None else change.organisation_id,
                member.address if change.address is None else change.address,
            )
        case schema.SetActorKeys():
            return SetActorKeys(member.id, _read_actor_keys(change.actor_keys, f"{field}.actor_keys"))
        case schema.NewFeed():
            return NewFeed(member.id)
        case _:
            assert_never(change)


def show_change(change: Change) -> schema.Change:
    """Return a change as the API shows it. The proof of a request to join is not on the ledger."""
    match change:
        case AddMember(member):
            return schema.AddMember(
                id=member.id,
                name=member.name,
                node_key=member.node_key.hex(),
                address=member.address,
                proof="",
                organisation_id=member.organisation_id,
                actor_keys=tuple(key.hex() for key in member.actor_keys),
                role="observer" if member.role is Role.OBSERVER else "member",
            )
        case RemoveMember(member_id):
            return schema.RemoveMember(member_id)
        case SetRole(member_id, role):
            return schema.SetRole(member_id, role.value)  # type: ignore[arg-type]  # Execution allows those three.
        case RotateKey(member_id, node_key, proof):
            return schema.RotateKey(member_id, node_key.hex(), proof.hex())
        case ChangeMember(member_id, name, organisation_id, address):
            return schema.ChangeMember(member_id, name, organisation_id, address)
        case SetActorKeys(member_id, actor_keys):
            return schema.SetActorKeys(member_id, tuple(key.hex() for key in actor_keys))
        case NewFeed(member_id):
            return schema.NewFeed(member_id)
        case SetParameters(parameters):
            return schema.SetParameters(**msgspec.to_builtins(parameters))
        case _:
            assert_never(change)


def describe_change(change: Change, roster: Roster) -> str:
    """Return a change in words. roster: against which it shows what is new."""
    match change:
        case AddMember(member):
            return f"add {_whole(member)}"
        case RemoveMember(member_id):
            return f"remove {member_id}"
        case SetRole(member_id, role):
            before = roster.find(member_id)
            was = f", now {before.role.value}" if before is not None and before.role is not role else ""
            return f"make {member_id} {_with_article(role)}{was}"
        case RotateKey(member_id, node_key, _):
            return f"give {member_id} the node key {fingerprint(node_key)}…, and with it a new feed"
        case ChangeMember(member_id, name, organisation_id, address):
            return f"say of {member_id}: {name}, at {address}" + (f", {organisation_id}" if organisation_id else "")
        case SetActorKeys(member_id, actor_keys):
            return f"set the actor keys of {member_id}: {', '.join(map(fingerprint, actor_keys)) or 'none'}"
        case NewFeed(member_id):
            return f"begin a new feed of {member_id}"
        case SetParameters(parameters):
            return f"set {', '.join(_changed_parameters(roster.parameters, parameters)) or 'no parameter'}"
        case _:
            assert_never(change)


def describe_difference(before: Roster, after: Roster) -> tuple[str, ...]:
    """Return in words what an epoch changed. before, after: the rosters of two epochs in a row."""
    lines = []
    for member in after.members.values():
        old = before.find(member.id)
        if old is None:
            lines.append(f"added {_whole(member)}")
            continue
        if old.role is not member.role:
            lines.append(
                f"{member.id} is {_with_article(member.role)}, was {_with_article(old.role)}"
                if member.is_present
                else f"removed {member.id}"
            )
        if old.node_key != member.node_key:
            lines.append(f"{member.id} has the node key {fingerprint(member.node_key)}…, feed {member.feed_number}")
        elif old.feed_number != member.feed_number:
            lines.append(f"{member.id} writes feed {member.feed_number}")
        if (old.name, old.organisation_id, old.address) != (member.name, member.organisation_id, member.address):
            lines.append(f"{member.id} is {member.name}, at {member.address}")
        if old.actor_keys != member.actor_keys and member.is_present:
            lines.append(f"{member.id} has {len(member.actor_keys)} actor keys")
    lines.extend(_changed_parameters(before.parameters, after.parameters))
    return tuple(lines)


def _whole(member: Member) -> str:
    key = f"node key {fingerprint(member.node_key)}…"
    return f"{member.id} ({member.name}) as {_with_article(member.role)}, at {member.address}, {key}"


def _with_article(role: Role) -> str:
    return f"{'an' if role is Role.OBSERVER else 'a'} {role.value}"


def _changed_parameters(before: Parameters, after: Parameters) -> list[str]:
    return [
        f"{name} = {_said(getattr(after, name))} (was {_said(getattr(before, name))})"
        for name in after.__struct_fields__
        if getattr(before, name) != getattr(after, name)
    ]


def _said(value: int | str | tuple[str, ...]) -> str:
    return (", ".join(value) or "none") if isinstance(value, tuple) else str(value)
