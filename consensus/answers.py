"""What to send to a peer that says where it stands: anti-entropy instead of a reliable delivery of votes.

A peer is sent what it may lack, newest first: a certificate that moves it on comes before those that fill its past.
"""

from typing import Final

from consensus.chain import Chain
from consensus.messages import (
    CERTIFICATE_REQUEST_MAX,
    Certificate,
    CertificateRequest,
    CoreMessage,
    Status,
    Vote,
    VoteKind,
)
from consensus.types import View
from consensus.view_state import Views

ANSWER_CERTIFICATES_MAX: Final = 24
ANSWER_VOTES_MAX: Final = 12


def answer_status(status: Status, *, view: View, chain: Chain, views: Views) -> list[CoreMessage]:
    """Return certificates and own votes of the views above its final one, as far as ours is.

    Without re-sent votes, a network that lost some would stand still for good.
    """
    answer: list[CoreMessage] = []
    if status.final_view < chain.final_view and chain.final_certificate is not None:
        answer.append(chain.final_certificate)
    lowest = max(status.final_view, chain.final_view)
    certificates: list[Certificate] = []
    votes: list[Vote] = []
    for number in range(view, lowest, -1):
        state = views.find(View(number))
        if state is None:
            continue
        if len(certificates) < ANSWER_CERTIFICATES_MAX:
            certificates += (state.certificates[kind] for kind in VoteKind if kind in state.certificates)
        if len(votes) < ANSWER_VOTES_MAX:
            votes += (state.own[kind] for kind in VoteKind if kind in state.own)
        if len(certificates) >= ANSWER_CERTIFICATES_MAX and len(votes) >= ANSWER_VOTES_MAX:
            break
    return [*answer, *certificates[:ANSWER_CERTIFICATES_MAX], *votes[:ANSWER_VOTES_MAX]]


def answer_request(request: CertificateRequest, *, chain: Chain, views: Views) -> list[CoreMessage]:
    """Return the certificates held of the views asked for, at most `CERTIFICATE_REQUEST_MAX` views of them.

    A notarization where a nullification was wanted is a useful answer.
    """
    answer: list[CoreMessage] = []
    if request.first <= chain.final_view and chain.final_certificate is not None:
        answer.append(chain.final_certificate)
    last = min(request.last, request.first + CERTIFICATE_REQUEST_MAX - 1)
    for number in range(max(request.first, chain.final_view + 1), last + 1):
        state = views.find(View(number))
        if state is not None:
            answer += (state.certificates[kind] for kind in VoteKind if kind in state.certificates)
    return answer
