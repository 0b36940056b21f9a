"""`lotvine status`."""

from pathlib import Path

import click
import msgspec

from node.api.client import RpcClient
from node.api.schema.network import StatusResult
from node.cli.options import call_node, home_option, json_option, write_lines
from node.query.one_line import count_words


@click.command("status")
@home_option
@json_option
def command(home: Path, *, as_json: bool) -> None:
    """How a running node is: height, lag, peers, feeds."""

    async def ask(client: RpcClient) -> bytes:
        return await client.call_raw("network.status", {})

    answer = call_node(home, ask)
    if as_json:
        click.echo(answer.decode())
        return
    write_lines(render_status(msgspec.json.decode(answer, type=StatusResult)))


def _describe_lapsed(count: int) -> list[str]:
    if count == 0:
        return []
    what = count_words(count, "accepted transaction")
    why = "the member became an observer or was removed first, which ended its feed"
    return [f"  {what} will never be final: {why}; enter the same documents again once it may submit"]


def render_status(status: StatusResult) -> list[str]:
    """Return the lines of a status in words."""
    connected = sum(peer.connected for peer in status.peers)
    lag = "caught up" if status.lag == 0 else f"{count_words(status.lag, 'block')} behind"
    entered = f"{count_words(status.transactions, 'transaction')}, {count_words(status.events, 'event')}"
    state = "ready" if status.ready else "not ready"
    lines = [
        f"{status.member} ({status.role}) in network {status.network}, {status.network_id[:16]}…",
        f"  {state}, height {status.executed_height}, {lag}, view {status.view}, epoch {status.epoch}",
        f"  {entered}; {status.pending} waiting to be final",
        *_describe_lapsed(status.lapsed),
        f"  {status.tolerance}",
        *(f"  waits: {words}" for words in status.waiting_for),
        f"  peers: {connected} of {len(status.peers)} connected",
    ]
    for peer in status.peers:
        state = "connected" if peer.connected else "not connected"
        lines.append(f"    {peer.member:<20} {peer.role:<10} {peer.address:<22} {state}")
    if status.feeds:
        lines.append("  feeds: batches held here / final")
        lines.extend(f"    {feed.member:<20} {feed.held} / {feed.final}" for feed in status.feeds)
    if status.proposals:
        lines.append(f"  {status.proposals} proposals are open: lotvine govern list")
    for name, part in status.parts.items():
        if part.state != "ok" and part.words not in status.waiting_for:
            lines.append(f"  {name}: {part.state}: {part.words}")
    return lines
