"""`lotvine refetch`."""

from pathlib import Path

import click
import msgspec

from node.app.refetch import renew_stores
from node.cli.options import home_option, json_option
from node.config.home import Home, find_home_problems
from node.errors import ConfigError


@click.command("refetch")
@home_option
@json_option
def command(home: Path, *, as_json: bool) -> None:
    """Set a damaged chain aside; the next start takes it anew from the other nodes.

    For a stopped node with an intact vote log. What it accepted and no other node holds yet is lost. Repair one node
    after the other: until it has caught up, the network does without it.
    """
    at = Home(home)
    if problems := find_home_problems(at):
        raise ConfigError(problems)
    kept = [str(folder) for folder in renew_stores(at)]
    if as_json:
        click.echo(msgspec.json.encode({"kept": kept}).decode())
    else:
        click.echo(f"Kept for inquiry: {', '.join(kept) or 'nothing, there was no store'}")
        click.echo("Start the node: it catches up from the other nodes, and says so in its status.")
