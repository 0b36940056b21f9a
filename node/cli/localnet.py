"""`lotvine localnet create`."""

from pathlib import Path

import click

from node.app.provision import BASE_PORT, PORTS_A_NODE, Firm, create_localnet
from node.app.tolerance import describe_tolerance
from node.clock import SystemClock


@click.group("localnet")
def command() -> None:
    """Make a network on this machine, to try things out."""


@command.command("create")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--validators", type=int, default=4, show_default=True, help="How many firms, each with a node.")
@click.option("--base-port", type=int, default=BASE_PORT, show_default=True, help="First port; ten a node are used.")
@click.option("--network", default="localnet", show_default=True, help="Name of the network.")
def create(folder: Path, validators: int, base_port: int, network: str) -> None:
    """Write genesis.json and the homes FOLDER/node-0 … with keys, settings and data folders."""
    firms = [Firm(f"node-{index}", f"Node {index}") for index in range(validators)]
    homes = create_localnet(folder, firms, network=network, base_port=base_port, clock=SystemClock())
    last_port = base_port + PORTS_A_NODE * len(homes) - 1
    click.echo(f"{folder}: {len(homes)} nodes on ports {base_port} to {last_port} of this machine.")
    click.echo(describe_tolerance(len(homes)))
    click.echo("Start each in a terminal of its own:")
    for home in homes:
        click.echo(f"  lotvine start --home {home.root}")
