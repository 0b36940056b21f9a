"""`trace.back` and `trace.forward`. The answer is `lineage`'s own, described in docs/trace.md."""

from typing import Annotated

import msgspec

from node.api.schema.items import ItemText
from node.lineage.answer import Answer

TraceResult = Answer


class TraceParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """item: where to begin, in any spelling. as_of: leave out what cannot have happened by then (RFC 3339).

    height: answer from the ledger as it was at that block; known_at: at that ledger time (RFC 3339). depth: follow at
    most so many links.
    """

    item: ItemText
    as_of: Annotated[str, msgspec.Meta(max_length=64)] | None = None
    height: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] | None = None
    known_at: Annotated[str, msgspec.Meta(max_length=64)] | None = None
    depth: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] | None = None
