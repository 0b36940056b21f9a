"""`scope.compute`. Question and answer are those of `query` and `lineage`, described in docs/scope.md."""

from node.lineage.scope_answer import ScopeAnswer
from node.query.scopes import ScopeRequest

ScopeParams = ScopeRequest
ScopeResult = ScopeAnswer
