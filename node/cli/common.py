"""`lotvine common`."""

from pathlib import Path

import click
import msgspec

from node.api.client import RpcClient
from node.api.schema.common import CommonResult
from node.cli.options import call_node, home_option, json_option, write_lines
from node.query.common_text import render_common


@click.command("common")
@click.argument("items", nargs=-1, required=True, metavar="ITEM ITEM...")
@click.option("--limit", type=int, default=20, show_default=True, help="List at most so many candidates.")
@click.option("--as-of", help="Leave out what cannot have happened by then (RFC 3339).")
@click.option("--height", type=int, help="Answer from the ledger as it was at that block.")
@click.option("--known-at", help="Answer from what the ledger held at that time (RFC 3339).")
@home_option
@json_option
def command(items: tuple[str, ...], home: Path, *, as_json: bool, **asked: object) -> None:
    """Write what several bad ITEMs have in common upstream, the likeliest source first.

    They are compared with other lots of the same products: what these come from, too, is less likely.
    """
    if len(items) < 2:
        raise click.UsageError("name two ITEMs at least: of one, `lotvine trace back` says all")
    params = {"items": items} | {name: value for name, value in asked.items() if value is not None}

    async def ask(client: RpcClient) -> bytes:
        return await client.call_raw("trace.common", params)

    answer = call_node(home, ask)
    if as_json:
        click.echo(answer.decode())
        return
    write_lines(render_common(msgspec.json.decode(answer, type=CommonResult)))
