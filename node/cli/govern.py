"""`lotvine govern`: proposals, approvals, and what they came to."""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from node.api.client import RpcClient
from node.api.schema.governance import (
    AddMember,
    Change,
    ChangeMember,
    EvidenceEntry,
    EvidenceResult,
    GovernList,
    GovernResult,
    NewFeed,
    ProposalEntry,
    RemoveMember,
    SetActorKeys,
    SetParameters,
    SetRole,
)
from node.app.joining import load_join_request
from node.cli.keys import load_rotation, rotate_key
from node.cli.options import call_node, home_option, json_option, write_lines
from node.errors import ConfigError, RequestError
from node.ledger.roster import STEP_PARAMETERS
from node.validation import explain_fault

SHORT_ID: Final = 12
PREFIX_MIN: Final = 6

note_option: Final = click.option("--note", default="", help="Why, for those who approve; at most 500 characters.")


@click.group("govern")
def command() -> None:
    """Members, their roles and keys, and the network's parameters: proposed, approved, enacted."""


@command.group("propose")
def propose() -> None:
    """Propose a change; it takes effect once more than two thirds of the validators have approved it."""


def _proposal_options(function: Callable[..., None]) -> Callable[..., None]:
    return home_option(note_option(json_option(function)))


@propose.command("add-member")
@click.argument("request", type=click.Path(path_type=Path))
@click.option(
    "--role",
    type=click.Choice(["member", "observer"]),
    default="member",
    show_default=True,
    help="A member submits; an observer only follows. Validators are made of members, by set-role.",
)
@_proposal_options
def add_member(request: Path, role: str, home: Path, note: str, *, as_json: bool) -> None:
    """Take in a firm, by the join-request.json that its `lotvine init --join` wrote."""
    asked = load_join_request(request)
    change = AddMember(
        id=asked.id,
        name=asked.name,
        node_key=asked.node_key,
        address=asked.address,
        proof=asked.proof,
        organisation_id=asked.organisation_id,
        actor_keys=asked.actor_keys,
        role=role,  # type: ignore[arg-type]  # click allows the two.
    )
    _propose(home, [change], note, as_json=as_json)


@propose.command("remove-member")
@click.argument("member")
@_proposal_options
def remove_member(member: str, home: Path, note: str, *, as_json: bool) -> None:
    """End a member's part in the network; what it wrote stays, its short name is never used again."""
    _propose(home, [RemoveMember(member)], note, as_json=as_json)


@propose.command("set-role")
@click.argument("member")
@click.argument("role", type=click.Choice(["validator", "member", "observer"]))
@_proposal_options
def set_role(member: str, role: str, home: Path, note: str, *, as_json: bool) -> None:
    """Make a member validator, member or observer."""
    _propose(home, [SetRole(member, role)], note, as_json=as_json)  # type: ignore[arg-type]  # click allows the three.


@propose.command("replace")
@click.argument("old")
@click.argument("new")
@click.option("--remove", is_flag=True, help="Remove OLD from the network; without it, OLD stays as a member.")
@_proposal_options
def replace(old: str, new: str, home: Path, note: str, *, remove: bool, as_json: bool) -> None:
    """Give the seat of validator OLD to NEW, in one step: there is never one too few."""
    leaves: Change = RemoveMember(old) if remove else SetRole(old, "member")
    _propose(home, [leaves, SetRole(new, "validator")], note, as_json=as_json)


@propose.command("change-member")
@click.argument("member")
@click.option("--name", help="Its full name.")
@click.option("--organisation-id", help="Its GLN as a Digital Link, or another id.")
@click.option("--address", help="host:port of its node for the others.")
@_proposal_options
def change_member(
    member: str,
    name: str | None,
    organisation_id: str | None,
    address: str | None,
    home: Path,
    note: str,
    *,
    as_json: bool,
) -> None:
    """Change what a member is called and where its node is reached; what is not given stays."""
    if name is None and organisation_id is None and address is None:
        raise click.UsageError("nothing to change: give --name, --organisation-id or --address")
    _propose(home, [ChangeMember(member, name, organisation_id, address)], note, as_json=as_json)


@propose.command("set-actor-keys")
@click.argument("member")
@click.argument("keys", nargs=-1)
@_proposal_options
def set_actor_keys(member: str, keys: tuple[str, ...], home: Path, note: str, *, as_json: bool) -> None:
    """Say by which public KEYS (hex) a member's people and machines sign, in place of those before."""
    _propose(home, [SetActorKeys(member, keys)], note, as_json=as_json)


@propose.command("new-feed")
@click.argument("member")
@_proposal_options
def new_feed(member: str, home: Path, note: str, *, as_json: bool) -> None:
    """Begin a member's next feed under the same key, for a feed that stands still."""
    _propose(home, [NewFeed(member)], note, as_json=as_json)


@propose.command("set-parameters")
@click.argument("settings", nargs=-1, required=True, metavar="KEY=VALUE…")
@_proposal_options
def set_parameters(settings: tuple[str, ...], home: Path, note: str, *, as_json: bool) -> None:
    """Change parameters of the network, such as clock_tolerance_ms=600000; words of steps with commas between them."""
    _propose(home, [_read_parameters(settings)], note, as_json=as_json)


@propose.command("rotate-key")
@click.argument("request", required=False, type=click.Path(path_type=Path))
@_proposal_options
def propose_rotation(request: Path | None, home: Path, note: str, *, as_json: bool) -> None:
    """Give this node's member a new node key, as `lotvine keys rotate` does; or another one, by its REQUEST.

    REQUEST is a file that `lotvine keys rotate --to` wrote at that member's node.
    """
    if request is None:
        rotate_key(home, note, as_json=as_json)
    else:
        _propose(home, [load_rotation(request)], note, as_json=as_json)


def _read_parameters(settings: Sequence[str]) -> SetParameters:
    names = list(SetParameters.__struct_fields__)
    given: dict[str, object] = {}
    problems = []
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals or name not in names:
            problems.append(f"{setting!r} is not KEY=VALUE with a KEY of: {', '.join(names)}")
            continue
        if name in given:
            problems.append(f"{name} is given twice: give it once")
        # A list of words: none is a word with a comma in it.
        given[name] = [word for word in value.split(",") if word] if name in STEP_PARAMETERS else value
    if problems:
        raise ConfigError(problems)
    try:
        return msgspec.convert(given | {"change": "set_parameters"}, SetParameters, strict=False)
    except msgspec.ValidationError as error:
        fault = explain_fault(error)
        raise ConfigError([f"{fault.path.lstrip('.')}: {fault.words}"]) from error


def _propose(home: Path, changes: Sequence[Change], note: str, *, as_json: bool) -> None:
    async def ask(client: RpcClient) -> bytes:
        return await client.call_raw("govern.propose", {"changes": changes, "note": note})

    say_outcome(call_node(home, ask), as_json=as_json)


def say_outcome(answer: bytes, *, as_json: bool) -> None:
    """Write what became of a proposal, an approval or a withdrawal."""
    if as_json:
        click.echo(answer.decode())
        return
    result = msgspec.json.decode(answer, type=GovernResult)
    match result.state:
        case "open":
            approved = f"{len(result.approvals)} of {result.needed} approvals"
            click.echo(f"Proposal {result.proposal} is open: {approved} ({', '.join(result.approvals) or 'none'}).")
            click.echo("Each other validator approves it at its own node:")
            click.echo(f"  lotvine govern approve {result.proposal[:SHORT_ID]} --home THEIR-HOME")
        case "approved":
            click.echo(f"Proposal {result.proposal} is approved; it takes effect at the next epoch, within seconds.")
        case "closed":
            click.echo(f"Proposal {result.proposal} is closed.")
        case "unknown":
            click.echo(f"Proposal {result.proposal}: accepted here and not final yet; lotvine govern list shows more.")


@command.command("approve")
@click.argument("proposal")
@home_option
@json_option
def approve(proposal: str, home: Path, *, as_json: bool) -> None:
    """Approve PROPOSAL, its id or the beginning of it, as the validator that this node is."""
    _refer("govern.approve", proposal, home, as_json=as_json)


@command.command("withdraw")
@click.argument("proposal")
@home_option
@json_option
def withdraw(proposal: str, home: Path, *, as_json: bool) -> None:
    """Take back this member's PROPOSAL, or its approval of another's."""
    _refer("govern.withdraw", proposal, home, as_json=as_json)


def _refer(method: str, proposal: str, home: Path, *, as_json: bool) -> None:
    async def ask(client: RpcClient) -> bytes:
        whole = await _complete(client, proposal)
        return await client.call_raw(method, {"id": whole})

    say_outcome(call_node(home, ask), as_json=as_json)


async def _complete(client: RpcClient, proposal: str) -> str:
    """Return the whole id that begins as given. Raises ConfigError if none or several do."""
    if len(proposal) == 64:
        return proposal.lower()
    if len(proposal) < PREFIX_MIN:
        raise ConfigError([f"{proposal!r}: give at least the first {PREFIX_MIN} digits of the proposal's id"])
    known = await client.call("govern.list", {}, GovernList)
    found = [one.id for one in known.proposals if one.id.startswith(proposal.lower())]
    if len(found) == 1:
        return found[0]
    if found:
        raise ConfigError([f"{len(found)} proposals begin with {proposal}: lotvine govern list shows them"])
    words = f"no proposal that is open begins with {proposal}: it may have been decided, withdrawn, or be too old"
    raise RequestError("not_found", words, hint="lotvine govern list shows what is open, and what took effect")


@command.command("list")
@click.option("--epochs", type=click.IntRange(1, 100), default=10, show_default=True, help="Of how many to tell.")
@home_option
@json_option
def list_proposals(epochs: int, home: Path, *, as_json: bool) -> None:
    """What is open and who approves it, what waits for the next epoch, what was enacted, and evidence."""

    async def ask(client: RpcClient) -> tuple[bytes, bytes]:
        listed = await client.call_raw("govern.list", {"epochs": epochs})
        return listed, await client.call_raw("evidence.list", {})

    listed, evidence = call_node(home, ask)
    if as_json:
        answer: dict[str, Any] = json.loads(listed)
        click.echo(json.dumps(answer | {"evidence": json.loads(evidence)["evidence"]}, ensure_ascii=False))
        return
    entries = msgspec.json.decode(evidence, type=EvidenceResult).evidence
    write_lines(render_list(msgspec.json.decode(listed, type=GovernList), entries))


def render_list(listed: GovernList, evidence: Sequence[EvidenceEntry]) -> list[str]:
    """Return the lines of `lotvine govern list`."""
    validators = f"{len(listed.validators)} validators, {listed.needed} carry a proposal"
    lines = [f"epoch {listed.epoch} at height {listed.height}: {validators}"]
    opened = [one for one in listed.proposals if one.state == "open"]
    waiting = [one for one in listed.proposals if one.state == "approved"]
    lines.append("open:" if opened else "open: nothing")
    for one in opened:
        lines += _render_proposal(one)
        approved = f"{len(one.approvals)} of {listed.needed}: {', '.join(one.approvals) or 'nobody'}"
        missing = [validator for validator in listed.validators if validator not in one.approvals]
        lines.append(f"    approved by {approved}; not by {', '.join(missing) or 'nobody'}")
    if waiting:
        lines.append("approved, waiting for the next epoch:")
    for one in waiting:
        lines += [*_render_proposal(one), f"    approved in block {one.approved_height}"]
    lines.append("enacted:" if listed.epochs else "enacted: nothing, all is as in genesis")
    for epoch in listed.epochs:
        lines.append(f"  epoch {epoch.epoch}, from block {epoch.anchor_height} on")
        lines += [f"    {words}" for words in epoch.words]
    if evidence:
        lines.append("evidence:")
        lines += [f"  block {one.height}: {one.words} (brought by {one.reporter})" for one in evidence]
    return lines


def _render_proposal(one: ProposalEntry) -> list[str]:
    when = ""
    if one.proposed_ms is not None:
        when = f", {datetime.fromtimestamp(one.proposed_ms / 1000, tz=UTC):%Y-%m-%d %H:%M} UTC"
    note = f": {one.note}" if one.note else ""
    return [f"  {one.id[:SHORT_ID]}  by {one.proposer or 'unknown'}{when}{note}", *(f"    {w}" for w in one.words)]
