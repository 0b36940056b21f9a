"""`lotvine find`."""

from pathlib import Path

import click
import msgspec

from node.api.client import RpcClient
from node.api.schema.items import FindResult
from node.cli.options import call_node, home_option, json_option, write_lines
from node.query.find_text import render_found


@click.command("find")
@click.argument("text", required=False)
@click.option("--product", help="Of this product: its id, or words of its name.")
@click.option("--place", help="One of its events was at this place: id or name.")
@click.option("--party", help="One of its events names this party: id or name.")
@click.option("--from", "from", help="One of its events was not before (RFC 3339, such as 2026-03-01T12:00:00Z).")
@click.option("--to", "to", help="One of its events was not after (RFC 3339).")
@click.option("--made", is_flag=True, help="It is the making that lies in --from … --to.")
@click.option("--date", help="As printed, 2026-03-12 or 260312: of its making, expiry or best before.")
@click.option("--limit", type=int, default=20, show_default=True, help="List at most so many.")
@home_option
@json_option
def command(home: Path, *, as_json: bool, **asked: object) -> None:
    """Find an item by what is left of its label.

    TEXT is a code or id in any spelling, misread or cut short: '?' stands for a character that cannot be read, '*' for
    several. Words of a product's name will do, too.
    """
    params = {name: value for name, value in asked.items() if value is not None}

    async def ask(client: RpcClient) -> bytes:
        return await client.call_raw("item.find", params)

    answer = call_node(home, ask)
    if as_json:
        click.echo(answer.decode())
        return
    write_lines(render_found(msgspec.json.decode(answer, type=FindResult)))
