"""Options that several commands share, and how they find a running node."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, TypeVar

import click

from node.api.client import RpcClient, RpcError, UnreachableError, open_client
from node.cli.entry import FAILED, say_error, say_refusal
from node.config.addresses import parse_address
from node.config.home import Home, find_home_problems
from node.config.loading import load_settings
from node.errors import ConfigError

T = TypeVar("T")

home_option: Final = click.option(
    "--home",
    type=click.Path(path_type=Path),
    envvar="LOTVINE_HOME",
    required=True,
    show_envvar=True,
    help="Folder of the node.",
)
json_option: Final = click.option("--json", "as_json", is_flag=True, help="Write one JSON object instead of words.")


def call_node(home: Path, question: Callable[[RpcClient], Awaitable[T]]) -> T:
    """Ask the node that runs from `home`; a refusal or silence ends the command with words and exit code 1."""
    at = Home(home)
    if not at.settings.is_file():
        raise ConfigError(find_home_problems(at) or [f"{at.settings} is missing"])
    settings = load_settings(at.settings, environment=os.environ, flags={}).settings

    async def ask() -> T:
        async with open_client(parse_address(settings.rpc.listen)) as client:
            return await question(client)

    try:
        return asyncio.run(ask())
    except RpcError as error:
        say_refusal(error.message, code=error.code, field=error.field, hint=error.hint, near=error.near)
    except UnreachableError as error:
        say_error([f"{error}: is the node running? start it with lotvine start --home {home}"])
    raise SystemExit(FAILED)
