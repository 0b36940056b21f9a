"""`answer.diff`."""

from node.api.backends import Backends
from node.api.operations import operation
from node.api.schema.answers import DiffParams, DiffResult


@operation("answer.diff", is_question=True)
async def answer_diff(backends: Backends, params: DiffParams) -> DiffResult:
    """What moved between two answers: lots, holders and unknowns that came in, went out or changed."""
    return await backends.lineage.diff(params)
