"""`lotvine trace back|forward|both|closure`."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click
import msgspec

from node.api.client import RpcClient
from node.api.schema.traces import ClosureResult, PictureResult, TraceBothResult, TraceResult
from node.cli.options import call_node, home_option, json_option, read_seeds, write_lines
from node.epcis.elements import parse_item
from node.query.text import render_closure, render_path, render_trace


@click.group("trace")
def command() -> None:
    """Where an item came from, or where it went.

    ITEM in any spelling: a Digital Link, an EPC URN, '(01)…(10)…', or another URI.
    """


T = TypeVar("T", bound=Callable[..., object])


def _asked(command_of: T) -> T:
    """Give a command the options by which a trace is asked: what it begins from, and how much of the ledger counts."""
    for option in reversed(
        (
            click.argument("items", nargs=-1, metavar="[ITEM]..."),
            click.option(
                "--run", "runs", multiple=True, help="What a run (transformationID) put out. May be repeated."
            ),
            click.option("--holder", help="What a place, party or line had, from --from to --to."),
            click.option("--product", help="Of --holder, only goods of this product."),
            click.option("--from", "since", help="RFC 3339, such as 2026-03-01T12:00:00Z."),
            click.option("--to", "until", help="RFC 3339."),
            click.option("--as-of", help="Leave out what cannot have happened by then (RFC 3339)."),
            click.option("--height", type=int, help="Answer from the ledger as it was at that block."),
            click.option("--known-at", help="Answer from what the ledger held at that time (RFC 3339)."),
            click.option("--depth", type=int, help="Follow at most so many links."),
            click.option("--items", "items_max", type=int, help="Answer with at most so many items."),
            click.option("--why", help="Write only how this item is linked to what was asked about."),
            click.option("--format", type=click.Choice(["svg", "dot", "mermaid"]), help="Write a picture instead."),
            click.option("--limit", type=int, help="Of a picture: draw up to so many items one by one."),
            click.option("--narrow", is_flag=True, help="Of a picture as SVG: as wide as a telephone."),
            home_option,
            json_option,
        )
    ):
        command_of = option(command_of)
    return command_of


@command.command("back")
@_asked
def back(items: tuple[str, ...], home: Path, *, as_json: bool, **given: object) -> None:
    """Write where ITEM came from: all that went into it."""
    _trace("back", _params(items, given), given, home, as_json=as_json)


@command.command("forward")
@_asked
def forward(items: tuple[str, ...], home: Path, *, as_json: bool, **given: object) -> None:
    """Write where ITEM went: all that it went into, and who was last seen with it."""
    _trace("forward", _params(items, given), given, home, as_json=as_json)


@command.command("both")
@_asked
def both(items: tuple[str, ...], home: Path, *, as_json: bool, **given: object) -> None:
    """Write where ITEM came from and where it went, both at one height."""
    _trace("both", _params(items, given), given, home, as_json=as_json)


@command.command("closure")
@click.argument("item")
@click.option("--forward", is_flag=True, help="What ITEM can have gone into, not what it can come from.")
@click.option("--limit", type=int, help="Answer with at most so many items.")
@home_option
@json_option
def closure(item: str, home: Path, *, forward: bool, limit: int | None, as_json: bool) -> None:
    """Write ids and amounts of all that can be linked to ITEM, whatever the times: fast."""
    params: dict[str, object] = {"item": item, "direction": "forward" if forward else "back"}
    if limit is not None:
        params["limit"] = limit

    async def ask(client: RpcClient) -> bytes:
        return await client.call_raw("trace.closure", params)

    answer = call_node(home, ask)
    if as_json:
        click.echo(answer.decode())
        return
    write_lines(render_closure(msgspec.json.decode(answer, type=ClosureResult)))


def _params(items: tuple[str, ...], given: dict[str, object]) -> dict[str, object]:
    """Return the request. Raises click.UsageError where nothing is named to begin from."""
    params: dict[str, object] = {
        name: given[name] for name in ("as_of", "height", "known_at", "depth") if given[name] is not None
    }
    if given["items_max"] is not None:
        params["items"] = given["items_max"]
    return params | {"seeds": read_seeds(items, given)}


def _trace(way: str, params: dict[str, object], given: dict[str, object], home: Path, *, as_json: bool) -> None:
    """Ask, and write the answer. Raises click.UsageError for options of a picture without --format."""
    is_picture = given["format"] is not None
    why = given["why"]
    if why is not None and (is_picture or as_json):
        raise click.UsageError("--why goes with words alone: in JSON, follow `because`")
    if not is_picture and (given["limit"] is not None or given["narrow"]):
        raise click.UsageError("--limit and --narrow go with --format")
    if is_picture:
        params |= {"direction": way, "format": given["format"], "narrow": given["narrow"]}
        params |= {} if given["limit"] is None else {"limit": given["limit"]}

    async def ask(client: RpcClient) -> bytes:
        return await client.call_raw("trace.picture" if is_picture else f"trace.{way}", params)

    answer = call_node(home, ask)
    if as_json:
        click.echo(answer.decode())
    elif is_picture:
        click.echo(msgspec.json.decode(answer, type=PictureResult).text, nl=False)
    else:
        for one in _answers_in(answer, way):
            lines = render_path(one, parse_item(why).id) if isinstance(why, str) else render_trace(one)
            write_lines(lines)


def _answers_in(answer: bytes, way: str) -> tuple[TraceResult, ...]:
    if way != "both":
        return (msgspec.json.decode(answer, type=TraceResult),)
    both = msgspec.json.decode(answer, type=TraceBothResult)
    return both.back, both.forward
