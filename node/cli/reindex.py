"""`lotvine reindex`."""

from pathlib import Path

import click
import msgspec

from node.app.reindex import rebuild_index
from node.cli.options import home_option, json_option
from node.config.home import Home, find_home_problems
from node.errors import ConfigError

BLOCKS_A_WORD = 1_000


@click.command("reindex")
@home_option
@json_option
def command(home: Path, *, as_json: bool) -> None:
    """Rebuild the index of a stopped node from its chain.

    The old index is replaced once the new one is whole; interrupting changes nothing.
    """
    at = Home(home)
    if problems := find_home_problems(at):
        raise ConfigError(problems)

    def say(height: int, final_height: int) -> None:
        if height % BLOCKS_A_WORD == 0:
            click.echo(f"block {height} of {final_height}", err=True)

    built = rebuild_index(at, say)
    if as_json:
        click.echo(msgspec.json.encode(built).decode())
    else:
        words = f"{built.height} blocks, {built.transactions} transactions, {built.events} events"
        click.echo(f"The index is rebuilt: {words}; state digest {built.state_digest}")
