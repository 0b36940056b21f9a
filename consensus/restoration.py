"""Make the state that a core goes on from out of what was durable when its last run ended.

Records may come in any order, so the view is the highest that any of them speaks of, not that of the last one; and
our own votes go back into the tally, else a network in which exactly a quorum had voted before all crashed would
wait for ever.
"""

from dataclasses import dataclass

from consensus.chain import Chain
from consensus.errors import invariant
from consensus.messages import Certificate, VoteKind
from consensus.recovery import Recovered, Setup
from consensus.types import View
from consensus.view_state import Views


@dataclass(frozen=True, slots=True)
class Restored:
    """Where to go on. entry: the certificate that lets into `view`, if it was logged."""

    chain: Chain
    views: Views
    view: View
    entry: Certificate | None


def restore(setup: Setup, recovered: Recovered) -> Restored:
    """Return the state. Raises InvariantError for records that contradict one another."""
    chain = _restore_chain(setup, recovered)
    views = Views()
    view = View(chain.final_view + 1)
    entry = chain.final_certificate
    finalizations = []
    for certificate in recovered.certificates:
        subject = certificate.subject
        # Records of another epoch are none of ours: others once took them for votes of the new one.
        if subject.epoch != setup.epoch or subject.view <= chain.final_view:
            continue
        held = views.at(subject.view).certificates.setdefault(subject.kind, certificate)
        invariant(held.subject == subject, f"the vote log has two {subject.kind.name} certificates in one view")
        if subject.kind == VoteKind.FINALIZE:
            finalizations.append(certificate)
        if subject.view >= view:
            view, entry = View(subject.view + 1), certificate
    for certificate in sorted(finalizations, key=lambda known: known.subject.view):
        chain.finalize(certificate)
    for vote in recovered.votes:
        subject = vote.subject
        if subject.epoch != setup.epoch:
            continue
        if subject.view > view:
            view, entry = subject.view, None
        if subject.view <= chain.final_view:
            continue
        state = views.at(subject.view)
        if state.own.get(subject.kind) == vote:
            continue
        invariant(subject.kind not in state.own, f"the vote log has two {subject.kind.name} votes in one view")
        state.own[subject.kind] = vote
        state.add(vote)
        state.mark_verified(vote)
    views.prune(final_view=chain.final_view, current=view)
    return Restored(chain, views, view, entry)


def _restore_chain(setup: Setup, recovered: Recovered) -> Chain:
    chain = Chain.from_anchor(setup)
    for height, digest in recovered.executed:
        chain.note_executed(height, digest)
    block, certificate = recovered.final_block, recovered.final_certificate
    # The last block of another epoch is at most our anchor, and what was stored beside it is of no use here.
    if block is not None and certificate is not None and certificate.subject.epoch == setup.epoch:
        digest = block.header.digest()
        invariant(digest == certificate.subject.digest, "the final block is the one its certificate finalizes")
        chain.final_view = certificate.subject.view
        chain.final_digest = digest
        chain.final_certificate = certificate
        chain.sync_to(block, digest, certificate.subject.view, body_ms=0)
    for block in recovered.blocks:
        if block.header.height > chain.delivered_height and block.header.epoch == setup.epoch:
            known = chain.add(block, block.header.digest())
            known.is_stored = True
            known.body_ms = 0
    return chain
