"""`lotvine scorecard`."""

from pathlib import Path

import click
import msgspec

from node.api.client import RpcClient
from node.api.schema.flags import ScorecardResult
from node.cli.options import call_node, home_option, json_option, write_lines
from node.query.scorecard_text import render_scorecard


@click.command("scorecard")
@click.argument("party")
@home_option
@json_option
def command(party: str, home: Path, *, as_json: bool) -> None:
    """Write how PARTY, a party or a place by its id, keeps its record: from what stands on the ledger alone."""

    async def ask(client: RpcClient) -> bytes:
        return await client.call_raw("party.scorecard", {"party": party})

    answer = call_node(home, ask)
    if as_json:
        click.echo(answer.decode())
        return
    write_lines(render_scorecard(msgspec.json.decode(answer, type=ScorecardResult)))
