"""`lotvine balance`."""

from pathlib import Path

import click
import msgspec

from node.api.client import RpcClient
from node.api.schema.flags import BalanceResult
from node.cli.options import call_node, home_option, json_option
from node.query.balance_text import render_balance


@click.command("balance")
@click.argument("product")
@click.option("--party", required=True, help="Whose balance: a party or a place by its id.")
@click.option("--from", "since", required=True, help="RFC 3339, such as 2026-03-01T00:00:00+01:00.")
@click.option("--to", "until", required=True, help="RFC 3339.")
@home_option
@json_option
def command(product: str, party: str, since: str, until: str, home: Path, *, as_json: bool) -> None:
    """Write what a party had, got, gave and has of PRODUCT, and whether that adds up."""
    params = {"party": party, "product": product, "from": since, "to": until}

    async def ask(client: RpcClient) -> bytes:
        return await client.call_raw("party.balance", params)

    answer = call_node(home, ask)
    if as_json:
        click.echo(answer.decode())
        return
    for line in render_balance(msgspec.json.decode(answer, type=BalanceResult)):
        click.echo(line)
