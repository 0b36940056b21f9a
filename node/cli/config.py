"""`lotvine config show`."""

import json
import os
from pathlib import Path

import click
import msgspec

from node.cli.options import home_option, json_option
from node.config.home import Home
from node.config.loading import load_settings


@click.group("config")
def command() -> None:
    """The settings of a node, and where each came from."""


@command.command("show")
@home_option
@click.option("--origin", is_flag=True, help="Say where each value came from.")
@json_option
def show(home: Path, *, origin: bool, as_json: bool) -> None:
    """Write the settings that a node would start with."""
    loaded = load_settings(Home(home).settings, environment=os.environ, flags={})
    values = {
        f"{table}.{name}": value
        for table, fields in msgspec.to_builtins(loaded.settings).items()
        for name, value in fields.items()
    }
    if as_json:
        answer = {
            path: {"value": value, "origin": loaded.origins[path]} if origin else value
            for path, value in values.items()
        }
        click.echo(json.dumps(answer, indent=2))
        return
    for path, value in values.items():
        line = f"{path} = {json.dumps(value)}"
        click.echo(f"{line:<48}  # {loaded.origins[path]}" if origin else line)
