"""`trace.back`, `trace.forward`, `trace.both`, `trace.closure`. Answers are `lineage`'s own, see docs/trace.md."""

from typing import Annotated, Literal

import msgspec

from node.api.schema.items import ItemText
from node.lineage.answer import Answer
from node.lineage.scope_question import SEEDS_MAX
from node.lineage.trace import ITEMS_MAX
from node.query.picture import LIMIT, LIMIT_MAX
from node.query.scopes import SeedRequest
from node.query.service import ClosureAnswer, TraceBoth

TraceResult = Answer
TraceBothResult = TraceBoth
ClosureResult = ClosureAnswer
PictureFormat = Literal["svg", "dot", "mermaid"]


class TraceParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """item: where to begin, in any spelling; or seeds, what a case names. as_of: leave out what cannot have happened by
    then (RFC 3339). height: answer from the ledger as it was at that block; known_at: at that ledger time (RFC 3339).

    depth: follow at most so many links; items: answer with at most so many items.
    """

    item: ItemText | None = None
    seeds: Annotated[tuple[SeedRequest, ...], msgspec.Meta(min_length=1, max_length=SEEDS_MAX)] | None = None
    as_of: Annotated[str, msgspec.Meta(max_length=64)] | None = None
    height: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] | None = None
    known_at: Annotated[str, msgspec.Meta(max_length=64)] | None = None
    depth: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] | None = None
    items: Annotated[int, msgspec.Meta(ge=1, le=ITEMS_MAX)] = ITEMS_MAX


class ClosureParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """item: where to begin, in any spelling. direction: back or forward. limit: at most so many items."""

    item: ItemText
    direction: Literal["back", "forward"]
    limit: Annotated[int, msgspec.Meta(ge=1, le=ITEMS_MAX)] = ITEMS_MAX


class PictureParams(TraceParams, frozen=True, forbid_unknown_fields=True):
    """As of a trace; direction: back, forward or both. format: svg, dot (Graphviz) or mermaid.

    limit: up to so many items are drawn one by one. narrow: an SVG as wide as a telephone.
    """

    direction: Literal["back", "forward", "both"] = "both"
    format: PictureFormat = "svg"
    limit: Annotated[int, msgspec.Meta(ge=1, le=LIMIT_MAX)] = LIMIT
    narrow: bool = False


class PictureResult(msgspec.Struct, frozen=True):
    """text: the picture. items: of the answers; boxes: how many were drawn; grouped: a box may stand for several.

    digests: of the traces that were drawn, in hex.
    """

    format: PictureFormat
    text: str
    height: int
    items: int
    boxes: int
    grouped: bool
    digests: tuple[str, ...]
