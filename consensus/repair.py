"""Anti-entropy in place of a reliable delivery of votes: what to send to whom so that nobody lacks anything for long.

Every node tells its status now and then. Whoever is ahead answers with what the other may lack, newest first: a
certificate that moves it on comes before those that fill its past. Without re-sent votes, a network that lost some
would stand still for good.
"""

from typing import Final

from consensus.chain import Chain
from consensus.effects import Effect, FetchBody, Send
from consensus.elector import leader_of
from consensus.messages import (
    CERTIFICATE_REQUEST_MAX,
    Certificate,
    CertificateRequest,
    CoreMessage,
    Status,
    Vote,
    VoteKind,
)
from consensus.recovery import Setup
from consensus.types import Digest, Epoch, ValidatorIndex, View
from consensus.view_state import RECENT_VIEWS_MAX, Gap, Views

ANSWER_CERTIFICATES_MAX: Final = 24
ANSWER_VOTES_MAX: Final = 12
FETCHES_MAX: Final = 64


def answer_status(status: Status, *, view: View, chain: Chain, views: Views) -> list[CoreMessage]:
    """Return certificates and own votes of the views above the sender's final one, up to `view`, newest first."""
    answer: list[CoreMessage] = []
    if status.final_view < chain.final_view and chain.final_certificate is not None:
        answer.append(chain.final_certificate)
    certificates: list[Certificate] = []
    votes: list[Vote] = []
    lowest = max(status.final_view, chain.final_view, view - RECENT_VIEWS_MAX)
    for number in range(view, lowest, -1):
        state = views.find(View(number))
        if state is None:
            continue
        certificates += (state.certificates[kind] for kind in VoteKind if kind in state.certificates)
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
        answer += views.certificates_of(View(number))
    return answer


class Repair:
    """The peers of one core: who is connected, who was answered when, and what was asked of whom."""

    def __init__(self, setup: Setup, answer_ms: int, chain: Chain, views: Views) -> None:
        """answer_ms: at most one answer of a kind to a peer in this time."""
        self._setup = setup
        self._answer_ms = answer_ms
        self._chain = chain
        self._views = views
        self._up: dict[ValidatorIndex, None] = {}
        self._status_answered_ms: dict[ValidatorIndex, int] = {}
        self._request_answered_ms: dict[ValidatorIndex, int] = {}
        self._asked: tuple[Gap, int] | None = None
        self._ask_turn = 0

    def note_up(self, peer: ValidatorIndex) -> None:
        """The channel to a validator is open."""
        self._up[peer] = None

    def note_down(self, peer: ValidatorIndex) -> None:
        """The channel to a validator is closed."""
        self._up.pop(peer, None)

    def on_status(self, peer: ValidatorIndex, status: Status, *, view: View, now_ms: int, out: list[Effect]) -> bool:
        """Answer a peer's status; return False if it was answered just now."""
        if not self._may_answer(self._status_answered_ms, peer, status.epoch, now_ms):
            return False
        answer = answer_status(status, view=view, chain=self._chain, views=self._views)
        out.extend(Send(peer, message) for message in answer)
        return True

    def on_request(self, peer: ValidatorIndex, request: CertificateRequest, *, now_ms: int, out: list[Effect]) -> None:
        """Answer a peer's request for certificates, unless it was answered just now."""
        if self._may_answer(self._request_answered_ms, peer, request.epoch, now_ms):
            answer = answer_request(request, chain=self._chain, views=self._views)
            out.extend(Send(peer, message) for message in answer)

    def _may_answer(self, answered_ms: dict[ValidatorIndex, int], peer: ValidatorIndex, epoch: Epoch, now: int) -> bool:
        if epoch != self._setup.epoch:
            return False
        last_ms = answered_ms.get(peer)
        if last_ms is not None and now < last_ms + self._answer_ms:
            return False
        answered_ms[peer] = now
        return True

    def request(self, gap: Gap, *, now_ms: int, out: list[Effect]) -> None:
        """Ask one connected peer after the other, not only the leader, for the certificates of `gap`."""
        if self._asked is not None:
            asked, at_ms = self._asked
            # The gap shrinks with each certificate of an answer: what is on its way is not asked for anew.
            if asked.first <= gap.first <= asked.last and now_ms < at_ms + self._answer_ms:
                return
        peers = list(self._up)
        if not peers:
            return
        last = View(min(gap.last, gap.first + CERTIFICATE_REQUEST_MAX - 1))
        self._asked = (Gap(gap.first, last), now_ms)
        self._ask_turn += 1
        request = CertificateRequest(self._setup.epoch, gap.first, last)
        out.append(Send(peers[self._ask_turn % len(peers)], request))


class Fetches:
    """The bodies asked for: of certified blocks and their ancestors, one at a time down each branch."""

    def __init__(self, setup: Setup, shift: int, chain: Chain, views: Views) -> None:
        self._setup = setup
        self._shift = shift
        self._chain = chain
        self._views = views
        self._open: dict[Digest, None] = {}

    def __contains__(self, digest: Digest) -> bool:
        return digest in self._open

    @property
    def open_digests(self) -> dict[Digest, None]:
        """The blocks asked for, not to be changed."""
        return self._open

    def note_arrived(self, digest: Digest) -> None:
        """The body is here."""
        self._open.pop(digest, None)

    def want(self, certificate: Certificate, out: list[Effect]) -> None:
        """Ask for the first block, going down from the certified one, whose body is not here."""
        if certificate.subject.kind == VoteKind.NULLIFY:
            return
        missing = self._chain.find_missing(certificate.subject.digest)
        if missing is None or missing in self._open or len(self._open) >= FETCHES_MAX:
            return
        self._open[missing] = None
        view = certificate.subject.view
        leader = leader_of(view, validator_count=self._setup.validator_count, shift=self._shift)
        hints = (leader, *(signer for signer, _ in certificate.signatures if signer != leader))
        out.append(FetchBody(missing, tuple(hint for hint in hints if hint != self._setup.own_index)))

    def want_all(self, out: list[Effect]) -> None:
        """Ask for what is missing below the final block and below every notarized one above it."""
        if self._chain.final_certificate is not None:
            self.want(self._chain.final_certificate, out)
        for state in self._views:
            if state.notarization is not None and state.view > self._chain.final_view:
                self.want(state.notarization, out)

    def refresh(self, out: list[Effect]) -> None:
        """Forget fetches that what was handed out has made needless."""
        before, self._open = self._open, {}
        if not before:
            return
        asked: list[Effect] = []
        self.want_all(asked)
        out.extend(effect for effect in asked if isinstance(effect, FetchBody) and effect.digest not in before)
