"""`lotvine member list`."""

from pathlib import Path

import click
import msgspec

from node.api.client import RpcClient
from node.api.schema.network import MembersResult
from node.cli.options import call_node, home_option, json_option, write_lines
from node.query.one_line import count_words


@click.group("member")
def command() -> None:
    """Who belongs to the network."""


@command.command("list")
@home_option
@json_option
def list_members(home: Path, *, as_json: bool) -> None:
    """The members with role, feed, key fingerprint and address; former ones too."""

    async def ask(client: RpcClient) -> bytes:
        return await client.call_raw("member.list", {})

    answer = call_node(home, ask)
    if as_json:
        click.echo(answer.decode())
        return
    result = msgspec.json.decode(answer, type=MembersResult)
    click.echo(f"epoch {result.epoch}, {count_words(len(result.members), 'member')}")
    for one in result.members:
        feed = f"feed {one.feed}" if one.role in ("validator", "member") else ""
        write_lines([f"  {one.id:<20} {one.role:<10} {feed:<8} {one.key_fingerprint}  {one.address:<22} {one.name}"])
