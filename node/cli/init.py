"""`lotvine init`."""

from pathlib import Path

import click
import msgspec

from node.app.identity import read_genesis_file
from node.app.provision import (
    BASE_PORT,
    Firm,
    create_joining_home,
    create_organisation,
    create_replacement_home,
)
from node.app.tolerance import describe_tolerance
from node.cli.options import home_option, json_option, write_lines
from node.clock import SystemClock
from node.config.addresses import Address, parse_address
from node.config.home import Home
from node.crypto.keys import load_key
from node.errors import ConfigError
from node.ledger.genesis import decode_genesis

_Option = str | None


@click.command("init")
@home_option
@click.option("--member", help="Short name of the organisation: a-z, 0-9 and hyphens.")
@click.option("--name", help="Full name of the organisation.  [default: the short name]")
@click.option("--organisation-id", default="", help="Its GLN as a Digital Link, or another id.")
@click.option("--network", help="Name of the new network.  [default: lotvine]")
@click.option(
    "--address",
    help=f"host:port at which the other members' nodes will reach this one.  [default: 127.0.0.1:{BASE_PORT}]",
)
@click.option("--join", metavar="HOST:PORT", help="Join a running network: where a member's node answers.")
@click.option("--genesis", type=click.Path(path_type=Path), help="The genesis.json of the network to join.")
@click.option(
    "--key",
    type=click.Path(path_type=Path),
    help="The node key of a member whose machine was lost: its node is made anew, and rejoins by itself.",
)
@json_option
def command(
    home: Path,
    member: _Option,
    name: _Option,
    organisation_id: str,
    network: _Option,
    address: _Option,
    join: _Option,
    genesis: Path | None,
    key: Path | None,
    *,
    as_json: bool,
) -> None:
    """Make the home of one organisation's node.

    Alone: with new keys and the genesis of a new network in which it is the only validator. With --join and --genesis:
    with new keys, for a running network whose members add it. With --key and --genesis: for a member whose machine was
    lost.
    """
    reached, joined = _read_address("--address", address), _read_address("--join", join)
    if (joined is not None or key is not None) and genesis is None:
        raise click.UsageError("--genesis is missing: the genesis.json of the network, the same at all members")
    if genesis is not None and joined is None and key is None:
        raise click.UsageError("--genesis goes with --join (a firm that joins) or --key (a machine that was lost)")
    if genesis is not None and network is not None:
        raise click.UsageError("--network names a new network; --genesis has the name of this one")
    if genesis is not None and key is not None:
        _replace(home, key, genesis, member=member or "", address=reached, join=joined, as_json=as_json)
        return
    if member is None:
        raise click.UsageError("--member is missing: a short name for the organisation")
    firm = Firm(member, name or member, organisation_id)
    if genesis is not None and joined is not None:
        if reached is None:
            raise click.UsageError("--address is missing: host:port at which the members' nodes will reach this one")
        _join(home, firm, genesis, address=reached, join=joined, as_json=as_json)
        return
    address_here = reached or Address("127.0.0.1", BASE_PORT)
    create_organisation(home, firm, network=network or "lotvine", address=address_here, clock=SystemClock())
    _say(
        {"home": str(home), "member": firm.id, "network_id": _network_id(Home(home).genesis)},
        [
            f"The home of {firm.name} is {home}. Keep {home / 'keys'} secret, and back it up.",
            describe_tolerance(1),
            f"Start the node:  lotvine start --home {home}",
        ],
        as_json=as_json,
    )


def _join(home: Path, firm: Firm, genesis: Path, *, address: Address, join: Address, as_json: bool) -> None:
    made = create_joining_home(home, firm, genesis=_read_genesis(genesis), address=address, join=join)
    network_id = _network_id(made.genesis)
    _say(
        {
            "home": str(home),
            "member": firm.id,
            "network_id": network_id,
            "join_request": str(made.join_request),
        },
        [
            f"The home of {firm.name} is {home}. Keep {home / 'keys'} secret, and back it up.",
            f"Check with a member, by telephone say, that the network id is {network_id}.",
            f"Hand {made.join_request} to a member, who proposes to add {firm.id}:",
            "  lotvine govern propose add-member join-request.json --home THEIR-HOME",
            f"Start the node; it waits until it is added, then catches up:  lotvine start --home {home}",
        ],
        as_json=as_json,
    )


def _replace(
    home: Path, key: Path, genesis: Path, *, member: str, address: Address | None, join: Address | None, as_json: bool
) -> None:
    loaded = load_key(key)
    made = create_replacement_home(
        home, loaded, genesis=_read_genesis(genesis), member=member, address=address, join=join
    )
    _say(
        {"home": str(home), "network_id": _network_id(made.genesis)},
        [
            f"The home is {home}, with the key from {key}. Make sure that no other machine runs a node with this key.",
            "What the lost machine signed is not known here, so the node first asks the other validators, and signs",
            "nothing before they have answered. What it had accepted and no other node holds is lost.",
            f"Start the node; it catches up and rejoins by itself:  lotvine start --home {home}",
        ],
        as_json=as_json,
    )


def _read_genesis(path: Path) -> bytes:
    try:
        return read_genesis_file(path)
    except ConfigError as error:
        raise ConfigError([f"--genesis {path}: {problem}" for problem in error.problems]) from error


def _network_id(genesis: Path) -> str:
    return decode_genesis(genesis.read_bytes()).network_id.hex()


def _read_address(option: str, text: _Option) -> Address | None:
    try:
        return None if text is None else parse_address(text)
    except ValueError as error:
        raise ConfigError([f"{option} {error}"]) from error


def _say(answer: dict[str, str], lines: list[str], *, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(answer).decode())
        return
    write_lines(lines)
