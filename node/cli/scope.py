"""`lotvine scope`."""

from pathlib import Path
from typing import Final

import click
import msgspec

from node.api.client import RpcClient
from node.api.schema.scopes import ScopeResult
from node.api.schema.traces import PictureResult
from node.cli.options import call_node, home_option, json_option, read_seeds, write_lines
from node.lineage.hazards import Hazard
from node.query.scope_text import render_scope

_HAZARDS: Final = [hazard.value for hazard in Hazard]


@click.command("scope")
@click.argument("items", nargs=-1, metavar="[ITEM]...")
@click.option("--hazard", type=click.Choice(_HAZARDS), default="unknown", help="Its class: says what may exclude.")
@click.option("--agent", help="The microbe, such as Salmonella: a kill step must name it.")
@click.option("--event", help="Only what this event made, shipped or received of ITEM (as event.get takes it).")
@click.option("--run", "runs", multiple=True, help="All that a run (transformationID) put out. May be repeated.")
@click.option("--holder", help="All that a place or party had, from --from to --to.")
@click.option("--product", help="Of --holder, only goods of this product.")
@click.option("--from", "since", help="RFC 3339, such as 2026-03-01T12:00:00Z.")
@click.option("--to", "until", help="RFC 3339.")
@click.option("--resident", is_flag=True, help="A cleaning does not end it.")
@click.option("--colocation", is_flag=True, help="What shared a unit with affected goods counts, too.")
@click.option("--rules", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="JSON list of run rules.")
@click.option("--distrust", multiple=True, help="A declared rule not to rely on: its place, record or name.")
@click.option("--as-of", help="Leave out what cannot have happened by then (RFC 3339).")
@click.option("--height", type=int, help="Answer from the ledger as it was at that block.")
@click.option("--known-at", help="Answer from what the ledger held at that time (RFC 3339).")
@click.option("--format", type=click.Choice(["svg", "dot", "mermaid"]), help="Write a picture instead.")
@click.option("--limit", type=int, help="Of a picture: draw up to so many items one by one.")
@click.option("--narrow", is_flag=True, help="Of a picture as SVG: as wide as a telephone.")
@home_option
@json_option
def command(items: tuple[str, ...], home: Path, *, as_json: bool, **given: object) -> None:
    """Write what a hazard in ITEM must have reached, what it may have, and what is excluded and why.

    ITEM in any spelling; several may be given. With no class of hazard the widest rules hold.
    """
    params = _params(items, given)
    is_picture = given["format"] is not None
    if is_picture:
        params |= {name: given[name] for name in ("format", "limit", "narrow") if given[name] is not None}
    elif given["limit"] is not None or given["narrow"]:
        raise click.UsageError("--limit and --narrow go with --format")

    async def ask(client: RpcClient) -> bytes:
        return await client.call_raw("scope.picture" if is_picture else "scope.compute", params)

    answer = call_node(home, ask)
    if as_json:
        click.echo(answer.decode())
        return
    if is_picture:
        click.echo(msgspec.json.decode(answer, type=PictureResult).text, nl=False)
        return
    write_lines(render_scope(msgspec.json.decode(answer, type=ScopeResult)))


def _params(items: tuple[str, ...], given: dict[str, object]) -> dict[str, object]:
    """Return the request. Raises click.UsageError without a seed, or for a file of rules that is no JSON."""
    event = given["event"]
    if event is not None and len(items) != 1:
        raise click.UsageError("--event goes with one ITEM")
    seeds = read_seeds(items, given)
    if event is not None:
        seeds[0]["event"] = event
    params: dict[str, object] = {"seeds": seeds, "hazard": given["hazard"]}
    for name in ("agent", "as_of", "height", "known_at"):
        if given[name] is not None:
            params[name] = given[name]
    for name in ("resident", "colocation"):
        if given[name]:
            params[name] = True
    if given["distrust"]:
        params["distrusted"] = list(given["distrust"])  # type: ignore[call-overload]  # A tuple of texts.
    rules = given["rules"]
    if isinstance(rules, Path):
        try:
            params["rules"] = msgspec.json.decode(rules.read_bytes())
        except msgspec.DecodeError as error:
            raise click.UsageError(f"{rules}: {error}") from error
    return params
