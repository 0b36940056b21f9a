"""`lotvine keys`: which keys a home has, and giving its member a new node key."""

import os
from pathlib import Path

import click
import msgspec

from node.api.client import RpcClient
from node.api.schema.governance import GovernList, GovernResult, RotateKey
from node.api.schema.network import MembersResult, StatusResult
from node.app.identity import load_genesis_and_key, load_identity
from node.app.rotation import discard_next_key, find_next_key, prepare_next_key
from node.cli.options import call_node, home_option, json_option
from node.config.home import Home, find_home_problems
from node.config.loading import load_settings
from node.crypto.keys import load_key
from node.errors import ConfigError
from node.ledger.changes import sign_rotation
from node.wire.ids import FeedNumber, MemberId

REQUEST_BYTES_MAX = 64 * 1024


@click.group("keys")
def command() -> None:
    """The keys of a home."""


@command.command("show")
@home_option
@json_option
def show(home: Path, *, as_json: bool) -> None:
    """The public keys of a home, and whose they are; nothing secret."""
    at = _open(home)
    identity = load_identity(at, member=_member_setting(at))
    following = find_next_key(at)
    answer = {
        "member": identity.member,
        "network_id": identity.genesis.network_id.hex(),
        "node_key": identity.key.public_key.hex(),
        "next_node_key": None if following is None else following.public_key.hex(),
        "actor_key": load_key(at.actor_key).public_key.hex() if at.actor_key.exists() else None,
    }
    if as_json:
        click.echo(msgspec.json.encode(answer).decode())
        return
    for name, value in answer.items():
        if value is not None:
            click.echo(f"{name.replace('_', ' '):<14} {value}")


@command.command("rotate")
@click.option("--note", default="", help="Why, for those who approve; at most 500 characters.")
@click.option("--discard", is_flag=True, help="Erase the next key instead, after a proposal that came to nothing.")
@click.option(
    "--to",
    "target",
    type=click.Path(path_type=Path),
    help="Write the request into a file for a member to propose, since an observer proposes nothing.",
)
@home_option
@json_option
def rotate(note: str, target: Path | None, home: Path, *, discard: bool, as_json: bool) -> None:
    """Give this node's member a new node key.

    Makes the next key and proposes it. Once the other validators have approved it, the running node takes it up by
    itself and erases the old one.
    """
    if discard:
        _discard(home, as_json=as_json)
    elif target is not None:
        _write_request(home, target, as_json=as_json)
    else:
        rotate_key(home, note, as_json=as_json)


async def _prepare(client: RpcClient, at: Home) -> RotateKey:
    """Return the change to the next key of a home, made unless it waits already."""
    genesis, present = load_genesis_and_key(at)
    status = await client.call("network.status", {}, StatusResult)
    members = await client.call("member.list", {}, MembersResult)
    own = next((one for one in members.members if one.id == status.member), None)
    if own is None or own.node_key != present.public_key.hex():
        words = f"the network knows {status.member} by another key than {at.node_key}"
        raise ConfigError([f"{words}: wait until the node has caught up, see lotvine status --home {at.root}"])
    following = prepare_next_key(at, genesis)
    number = FeedNumber(own.feed + 1)
    signed = sign_rotation(genesis.network_id, MemberId(status.member), number, following)
    return RotateKey(status.member, following.public_key.hex(), signed.proof.hex())


def rotate_key(home: Path, note: str, *, as_json: bool) -> None:
    """Make the next key of a home unless one waits, and propose it unless it is proposed."""
    at = _open_named(home)

    async def ask(client: RpcClient) -> tuple[bytes, bool]:
        change = await _prepare(client, at)
        listed = await client.call("govern.list", {}, GovernList)
        for one in listed.proposals:
            if any(isinstance(other, RotateKey) and other.node_key == change.node_key for other in one.changes):
                return one.id.encode(), True
        return await client.call_raw("govern.propose", {"changes": [change], "note": note}), False

    answer, is_known = call_node(home, ask)
    if is_known:
        _say_known(answer.decode(), as_json=as_json)
        return
    if as_json:
        click.echo(answer.decode())
        return
    result = msgspec.json.decode(answer, type=GovernResult)
    click.echo(f"The next key is {at.next_node_key}; back it up now. Proposal {result.proposal}: {result.state}.")
    if result.state == "open":
        click.echo(f"{len(result.approvals)} of {result.needed} approvals are there. Other validators approve by")
        click.echo(f"  lotvine govern approve {result.proposal[:12]} --home THEIR-HOME")
    click.echo("When it takes effect, the running node takes up the new key by itself and erases the old one.")


def _say_known(proposal: str, *, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode({"proposal": proposal, "state": "known"}).decode())
    else:
        click.echo(f"The next key is proposed already, by {proposal}: lotvine govern list shows how it stands.")


def _write_request(home: Path, target: Path, *, as_json: bool) -> None:
    at = _open_named(home)
    if target.exists():
        raise ConfigError([f"{target} is there already: choose another name, nothing was changed"])
    change = call_node(home, lambda client: _prepare(client, at))
    try:
        target.write_bytes(msgspec.json.format(msgspec.json.encode(change), indent=2) + b"\n")
    except OSError as error:
        raise ConfigError([f"cannot write {target}: {error.strerror or error}"]) from error
    if as_json:
        click.echo(msgspec.json.encode({"file": str(target), "node_key": change.node_key}).decode())
        return
    click.echo(f"The next key is {at.next_node_key}; back it up now. Hand {target} to a member, who proposes it:")
    click.echo(f"  lotvine govern propose rotate-key {target.name} --home THEIR-HOME")


def load_rotation(path: Path) -> RotateKey:
    """Return the change that `lotvine keys rotate --to` wrote. Raises ConfigError."""
    try:
        with path.open("rb") as file:
            return msgspec.json.decode(file.read(REQUEST_BYTES_MAX), type=RotateKey)
    except OSError as error:
        raise ConfigError([f"{path}: {error.strerror or error}"]) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError([f"{path}: no rotation: {error}; lotvine keys rotate --to writes one"]) from error


def _discard(home: Path, *, as_json: bool) -> None:
    at = _open(home)
    following = find_next_key(at)
    if following is not None:
        named = following.public_key.hex()

        async def ask(client: RpcClient) -> bool:
            listed = await client.call("govern.list", {}, GovernList)
            members = await client.call("member.list", {}, MembersResult)
            changes = [change for one in listed.proposals for change in one.changes]
            is_proposed = any(isinstance(change, RotateKey) and change.node_key == named for change in changes)
            return is_proposed or any(one.node_key == named for one in members.members)

        if call_node(home, ask):
            words = "the next key stands in a proposal that is open or approved, or is in force"
            raise ConfigError([f"{words}: withdraw the proposal first (lotvine govern withdraw)"])
    was_there = discard_next_key(at)
    if as_json:
        click.echo(msgspec.json.encode({"discarded": was_there}).decode())
    else:
        click.echo("The next key is erased." if was_there else "There is no next key.")


def _open(home: Path) -> Home:
    at = Home(home)
    if problems := find_home_problems(at):
        raise ConfigError(problems)
    return at


def _open_named(home: Path) -> Home:
    """Return a home that will know whose it is when genesis no longer names its key. Raises ConfigError."""
    at = _open(home)
    if not _member_setting(at):
        raise ConfigError([f'p2p.member is not set: write member = "…" under [p2p] in {at.settings} first'])
    return at


def _member_setting(home: Home) -> str:
    return load_settings(home.settings, environment=os.environ, flags={}).settings.p2p.member
