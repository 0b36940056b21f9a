"""`lotvine trace back|forward`."""

from pathlib import Path

import click
import msgspec

from node.api.client import RpcClient
from node.api.schema.traces import TraceResult
from node.app.trace_text import render_trace
from node.cli.options import call_node, home_option, json_option


@click.group("trace")
def command() -> None:
    """Where an item came from, or where it went.

    ITEM in any spelling: a Digital Link, an EPC URN, '(01)…(10)…', or another URI.
    """


@command.command("back")
@click.argument("item")
@home_option
@json_option
def back(item: str, home: Path, *, as_json: bool) -> None:
    """Write where ITEM came from: all that went into it."""
    _trace("trace.back", item, home, as_json=as_json)


@command.command("forward")
@click.argument("item")
@home_option
@json_option
def forward(item: str, home: Path, *, as_json: bool) -> None:
    """Write where ITEM went: all that it went into, and who was last seen with it."""
    _trace("trace.forward", item, home, as_json=as_json)


def _trace(method: str, item: str, home: Path, *, as_json: bool) -> None:
    async def ask(client: RpcClient) -> bytes:
        return await client.call_raw(method, {"item": item})

    answer = call_node(home, ask)
    if as_json:
        click.echo(answer.decode())
        return
    for line in render_trace(msgspec.json.decode(answer, type=TraceResult)):
        click.echo(line)
