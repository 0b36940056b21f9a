"""`lotvine trace back|forward`."""

from pathlib import Path
from typing import Final

import click
import msgspec

from node.api.client import RpcClient
from node.api.schema.traces import TraceResult
from node.cli.options import call_node, home_option, json_option
from node.query.text import render_trace


@click.group("trace")
def command() -> None:
    """Where an item came from, or where it went.

    ITEM in any spelling: a Digital Link, an EPC URN, '(01)…(10)…', or another URI.
    """


as_of_option: Final = click.option(
    "--as-of", help="Leave out what cannot have happened by then (RFC 3339, such as 2026-03-01T12:00:00Z)."
)
height_option: Final = click.option("--height", type=int, help="Answer from the ledger as it was at that block.")
known_at_option: Final = click.option("--known-at", help="Answer from what the ledger held at that time (RFC 3339).")
depth_option: Final = click.option("--depth", type=int, help="Follow at most so many links.")


@command.command("back")
@click.argument("item")
@as_of_option
@height_option
@known_at_option
@depth_option
@home_option
@json_option
def back(item: str, home: Path, *, as_json: bool, **asked: object) -> None:
    """Write where ITEM came from: all that went into it."""
    _trace("trace.back", _params(item, asked), home, as_json=as_json)


@command.command("forward")
@click.argument("item")
@as_of_option
@height_option
@known_at_option
@depth_option
@home_option
@json_option
def forward(item: str, home: Path, *, as_json: bool, **asked: object) -> None:
    """Write where ITEM went: all that it went into, and who was last seen with it."""
    _trace("trace.forward", _params(item, asked), home, as_json=as_json)


def _params(item: str, asked: dict[str, object]) -> dict[str, object]:
    return {"item": item} | {name: value for name, value in asked.items() if value is not None}


def _trace(method: str, params: dict[str, object], home: Path, *, as_json: bool) -> None:
    async def ask(client: RpcClient) -> bytes:
        return await client.call_raw(method, params)

    answer = call_node(home, ask)
    if as_json:
        click.echo(answer.decode())
        return
    for line in render_trace(msgspec.json.decode(answer, type=TraceResult)):
        click.echo(line)
