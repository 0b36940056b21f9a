"""`lotvine start`."""

import os
import sys
from pathlib import Path

import click

from node.app.run import run_node
from node.cli.options import home_option
from node.config.home import Home, find_home_problems
from node.config.loading import load_settings
from node.errors import ConfigError


@click.command("start")
@home_option
@click.option("--p2p-listen", metavar="HOST:PORT", help="Overrides p2p.listen.")
@click.option("--rpc-listen", metavar="HOST:PORT", help="Overrides rpc.listen.")
@click.option("--operations-listen", metavar="HOST:PORT", help="Overrides operations.listen.")
@click.option("--log-format", metavar="words|json", help="Overrides log.format.")
@click.option("--log-level", metavar="LEVEL", help="Overrides log.level.")
@click.option(
    "--rejoin-unanswered",
    is_flag=True,
    help="With fewer than four validators, after the vote log was lost: vote although nobody can tell what this node "
    "signed. If something else runs with its key, or it has not caught up, two histories may become final.",
)
def command(home: Path, *, rejoin_unanswered: bool, **options: str | None) -> None:
    """Run a node in the foreground until SIGINT or SIGTERM.

    Writes its log to standard error. Exit code 0: stopped when asked to. 1: it could not go on. 2: it was not started.
    """
    at = Home(home)
    if problems := find_home_problems(at):
        raise ConfigError(problems)
    flags = {name.replace("_", ".", 1): value for name, value in options.items() if value is not None}
    loaded = load_settings(at.settings, environment=os.environ, flags=flags)
    sys.exit(run_node(at, loaded.settings, is_loss_decided=rejoin_unanswered))
