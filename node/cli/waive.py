"""`lotvine waive`."""

from pathlib import Path

import click
import msgspec

from node.api.client import RpcClient
from node.api.schema.transactions import TransactionResult
from node.cli.options import call_node, home_option, json_option


@click.command("waive")
@click.argument("flag")
@click.option("--reason", required=True, help="Why it may stand: a line that everyone in the network will read.")
@home_option
@json_option
def command(flag: str, home: Path, *, reason: str, as_json: bool) -> None:
    """Say in this member's name why FLAG (its id, as lotvine flags has it) may stand: it is then no longer open.

    A member may waive what it entered or can settle, a validator any flag. The waiver stays on the ledger.
    """

    async def ask(client: RpcClient) -> bytes:
        return await client.call_raw("flag.waive", {"id": flag, "reason": reason})

    answer = call_node(home, ask)
    if as_json:
        click.echo(answer.decode())
        return
    result = msgspec.json.decode(answer, type=TransactionResult)
    click.echo(f"waived: transaction {result.id}, {result.state}")
