"""`lotvine flags`."""

from pathlib import Path

import click
import msgspec

from node.api.client import RpcClient
from node.api.schema.flags import FlagListResult
from node.cli.options import call_node, home_option, json_option, write_lines
from node.lineage.findings import Severity
from node.lineage.flag_codes import Group
from node.query.flag_text import render_flags


@click.command("flags")
@click.argument("items", nargs=-1, metavar="[ITEM]...")
@click.option("--party", help="What this party, or the party at this place, can settle.")
@click.option("--member", help="Of events that this member entered.")
@click.option("--code", help="Of this code alone, such as overdrawn.")
@click.option("--group", type=click.Choice([one.value for one in Group]), help="Of this group of codes.")
@click.option("--severity", type=click.Choice([one.value for one in Severity]), help="Of this severity alone.")
@click.option(
    "--state", type=click.Choice(["open", "countered", "waived", "any"]), help="Open ones, if not told otherwise."
)
@click.option("--since", help="Standing since then or later (RFC 3339, such as 2026-03-01T12:00:00Z).")
@click.option("--limit", type=click.IntRange(1, 1_000), help="At most so many; 100 if not told.")
@click.option("--after", help="Go on where an answer said that there are more.")
@click.option("--height", type=int, help="Of ITEM: what it had at that block.")
@click.option("--known-at", help="Of ITEM: what it had at that ledger time (RFC 3339).")
@home_option
@json_option
def command(items: tuple[str, ...], home: Path, *, as_json: bool, **given: object) -> None:
    """Write what does not add up: of ITEM, in any spelling, or of all the ledger, the newest first.

    Each flag says who can settle it, and how it closes.
    """
    params: dict[str, object] = {name: value for name, value in given.items() if value is not None}
    if items:
        params["items"] = items

    async def ask(client: RpcClient) -> bytes:
        return await client.call_raw("flag.list", params)

    answer = call_node(home, ask)
    if as_json:
        click.echo(answer.decode())
        return
    write_lines(render_flags(msgspec.json.decode(answer, type=FlagListResult)))
