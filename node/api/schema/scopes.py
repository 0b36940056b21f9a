"""`scope.compute` and `scope.picture`. Questions and answers are those of `query` and `lineage`: docs/scope.md."""

from typing import Annotated

import msgspec

from node.api.schema.traces import PictureFormat
from node.lineage.scope_answer import ScopeAnswer
from node.query.picture import LIMIT, LIMIT_MAX
from node.query.scopes import ScopeRequest

ScopeParams = ScopeRequest
ScopeResult = ScopeAnswer


class ScopePictureParams(ScopeRequest, frozen=True, forbid_unknown_fields=True):
    """As of a scope. format: svg, dot (Graphviz) or mermaid. limit: up to so many items are drawn one by one.

    narrow: an SVG as wide as a telephone.
    """

    format: PictureFormat = "svg"
    limit: Annotated[int, msgspec.Meta(ge=1, le=LIMIT_MAX)] = LIMIT
    narrow: bool = False
