"""`evidence.list`."""

from node.api.backends import Backends
from node.api.operations import operation
from node.api.schema.governance import EvidenceParams, EvidenceResult


@operation("evidence.list")
def evidence_list(backends: Backends, params: EvidenceParams) -> EvidenceResult:
    """Proofs on the ledger that a node signed two things that exclude each other."""
    return backends.governance.evidence(params.member)
