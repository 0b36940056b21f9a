"""`lotvine restore`."""

from pathlib import Path

import click
import msgspec

from consensus.types import Height
from node.app.backup import restore
from node.cli.options import home_option, json_option

BLOCKS_A_WORD = 1_000


@click.command("restore")
@click.argument("backup", type=click.Path(path_type=Path))
@home_option
@json_option
def command(backup: Path, home: Path, *, as_json: bool) -> None:
    """Make a home of a backup; it asks the other validators what it has signed before it signs again."""

    def say(height: Height) -> None:
        if height % BLOCKS_A_WORD == 0:
            click.echo(f"block {height}", err=True)

    built = restore(backup, home, on_block=say)
    if as_json:
        click.echo(msgspec.json.encode(built).decode())
        return
    click.echo(f"The home is {home}, with {built.height} blocks and {built.events} events of the backup.")
    click.echo("Make sure that no other machine runs a node with this key: two would vote against each other.")
    click.echo("What was accepted after the backup and no other node holds is lost. The node rejoins by itself:")
    click.echo(f"  lotvine start --home {home}")
