"""Options that several commands share, and how they find a running node."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Final, TypeVar

import click

from node.api.client import RpcClient, SilentError, UnreachableError, open_client
from node.config.addresses import parse_address
from node.config.home import Home, find_home_problems
from node.config.loading import load_settings
from node.errors import ConfigError, RequestError
from node.query.one_line import one_line

T = TypeVar("T")

home_option: Final = click.option(
    "--home",
    type=click.Path(path_type=Path),
    envvar="LOTVINE_HOME",
    required=True,
    show_envvar=True,
    help="Folder of the node.",
)
json_option: Final = click.option(
    "--json", "as_json", is_flag=True, help="Write one JSON object instead of words; what failed, too."
)


def call_node(home: Path, question: Callable[[RpcClient], Awaitable[T]]) -> T:
    """Ask the node that runs from `home`. Raises RequestError for a refusal or silence, ConfigError without a home."""
    at = Home(home)
    if not at.settings.is_file():
        raise ConfigError(find_home_problems(at) or [f"{at.settings} is missing"])
    settings = load_settings(at.settings, environment=os.environ, flags={}).settings

    async def ask() -> T:
        async with open_client(parse_address(settings.rpc.listen)) as client:
            return await question(client)

    try:
        return asyncio.run(ask())
    except SilentError as error:
        hint = "its process is there: paused, busy, or stuck; its log and /livez of the operations listener tell more"
        raise RequestError("unreachable", str(error), hint=hint) from error
    except UnreachableError as error:
        hint = f"is the node running? start it with lotvine start --home {home}"
        raise RequestError("unreachable", str(error), hint=hint) from error


def write_lines(lines: Iterable[str]) -> None:
    """Write an answer in words, a line each: what firms call their goods cannot add one, or command the terminal."""
    for line in lines:
        click.echo(one_line(line))


def read_seeds(items: tuple[str, ...], given: Mapping[str, object]) -> list[dict[str, object]]:
    """Return what a trace or scope begins from: ITEM, --run, --holder. Raises click.UsageError without any."""
    runs = given["runs"]
    assert isinstance(runs, tuple)
    seeds: list[dict[str, object]] = [{"item": item} for item in items]
    seeds += [{"run": run} for run in runs]
    if given["holder"] is not None:
        window = {"product": given["product"], "from": given["since"], "to": given["until"]}
        seeds.append({"holder": given["holder"]} | {name: value for name, value in window.items() if value})
    elif any(given[name] is not None for name in ("product", "since", "until")):
        raise click.UsageError("--product, --from and --to go with --holder")
    if not seeds:
        raise click.UsageError("name an ITEM, a --run or a --holder")
    return seeds
