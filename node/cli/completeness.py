"""`lotvine completeness`."""

from pathlib import Path

import click
import msgspec

from node.api.client import RpcClient
from node.api.schema.flags import CompletenessResult
from node.cli.options import call_node, home_option, json_option, write_lines
from node.query.scorecard_text import render_completeness


@click.command("completeness")
@click.argument("item")
@home_option
@json_option
def command(item: str, home: Path, *, as_json: bool) -> None:
    """Write how much of ITEM, in any spelling, the record traces to its origins, and what it lacks."""

    async def ask(client: RpcClient) -> bytes:
        return await client.call_raw("item.completeness", {"item": item})

    answer = call_node(home, ask)
    if as_json:
        click.echo(answer.decode())
        return
    write_lines(render_completeness(msgspec.json.decode(answer, type=CompletenessResult)))
