"""`lotvine validators`."""

from pathlib import Path

import click
import msgspec

from node.api.client import RpcClient
from node.api.schema.governance import ValidatorsResult
from node.cli.options import call_node, home_option, json_option
from node.query.one_line import count_words


@click.command("validators")
@click.option("--from-epoch", type=click.IntRange(0), help="The first epoch to tell of.  [default: the newest ones]")
@click.option("--count", type=click.IntRange(1, 100), default=10, show_default=True, help="How many epochs.")
@click.option("--proof", is_flag=True, help="With --json: also what proves it to who knows the genesis file alone.")
@home_option
@json_option
def command(from_epoch: int | None, count: int, home: Path, *, proof: bool, as_json: bool) -> None:
    """Who voted in which epoch, and from which block on."""

    async def ask(client: RpcClient) -> bytes:
        return await client.call_raw("network.validators", {"from_epoch": from_epoch, "count": count, "proof": proof})

    answer = call_node(home, ask)
    if as_json:
        click.echo(answer.decode())
        return
    for one in msgspec.json.decode(answer, type=ValidatorsResult).epochs:
        size = f"{count_words(len(one.validators), 'validator')}, {one.quorum} of them a quorum"
        click.echo(f"epoch {one.epoch}, after block {one.anchor_height}: {size}")
        for validator in one.validators:
            click.echo(f"  {validator.index:>2} {validator.member:<20} {validator.node_key[:16]}")
