"""`lotvine init`."""

from pathlib import Path

import click

from node.app.provision import BASE_PORT, Firm, create_organisation
from node.app.tolerance import describe_tolerance
from node.cli.options import home_option
from node.clock import SystemClock
from node.config.addresses import parse_address
from node.errors import ConfigError


@click.command("init")
@home_option
@click.option("--member", required=True, help="Short name of the organisation: a-z, 0-9 and hyphens.")
@click.option("--name", help="Full name of the organisation.  [default: the short name]")
@click.option("--organisation-id", default="", help="Its GLN as a Digital Link, or another id.")
@click.option("--network", default="lotvine", show_default=True, help="Name of the new network.")
@click.option(
    "--address",
    default=f"127.0.0.1:{BASE_PORT}",
    show_default=True,
    help="host:port at which the other members' nodes will reach this one.",
)
def command(home: Path, member: str, name: str | None, organisation_id: str, network: str, address: str) -> None:
    """Make the home of one organisation's node.

    Writes its key, its settings and the genesis of a new network in which it is the only validator.
    """
    try:
        reached = parse_address(address)
    except ValueError as error:
        raise ConfigError([f"--address {error}"]) from error
    firm = Firm(member, name or member, organisation_id)
    create_organisation(home, firm, network=network, address=reached, clock=SystemClock())
    click.echo(f"The home of {firm.name} is {home}. Keep {home / 'keys'} secret, and back it up.")
    click.echo(describe_tolerance(1))
    click.echo(f"Start the node:  lotvine start --home {home}")
