"""Which two votes of one signer cannot both come from an honest validator.

An honest validator notarizes one block in a view, finalizes one, finalizes only what it would have notarized, and
never both nullifies and finalizes one view. Notarize and nullify together are legal: it may time out early and still
help the block along.

Source: Chan and Pass, "Simplex Consensus" (TCC 2023), section 2.
"""

from consensus.messages import Vote, VoteKind


def are_conflicting(first: Vote, second: Vote) -> bool:
    """Return whether the pair proves that its signer is faulty, given that both signatures are good."""
    a, b = first.subject, second.subject
    if first.signer != second.signer or a.epoch != b.epoch or a.view != b.view:
        return False
    if a.kind == b.kind:
        # The whole subject, not the digest alone: the parent view is signed too, and nobody votes twice.
        return a != b
    kinds = {a.kind, b.kind}
    if kinds == {VoteKind.NULLIFY, VoteKind.FINALIZE}:
        return True
    if kinds == {VoteKind.NOTARIZE, VoteKind.FINALIZE}:
        return a.digest != b.digest
    return False
