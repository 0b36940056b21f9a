"""What is known of a view: votes in their slots, certificates, the leader's proposal, our own votes.

One slot for each kind and signer bounds what a liar can make us keep. The slots of a view stay until it is well
below the final one, so that late contradictions are still seen.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from consensus.messages import JUSTIFICATION_MAX, Certificate, Proposal, Subject, Vote, VoteKind
from consensus.types import Digest, ValidatorIndex, View

RETAINED_VIEWS: Final = 8
"""How many views below the final one keep their slots, as evidence of late contradictions."""

AHEAD_VIEWS_MAX: Final = 3
"""How far ahead of ours a view may be for its votes and proposal to be kept."""

VOTE_VIEWS_MAX: Final = 64
"""Between the final view and ours, only so many of the newest views keep votes; older ones keep certificates."""


class Stage(IntEnum):
    """How far the leader's proposal has come: its leader and shape are right; accepted by all rules of the core; or
    refused, which leaves no verdict on its digest."""

    HELD = 1
    ACCEPTED = 2
    REFUSED = 3


@dataclass(slots=True)
class ViewState:
    """One view. certificates and own: at most one of each kind. reported: which evidence was already given."""

    view: View
    certificates: dict[VoteKind, Certificate] = field(default_factory=dict)
    own: dict[VoteKind, Vote] = field(default_factory=dict)
    proposal: Proposal | None = None
    proposal_digest: Digest | None = None
    stage: Stage = Stage.HELD
    reported: dict[tuple[VoteKind, VoteKind, ValidatorIndex], None] = field(default_factory=dict)
    _slots: dict[tuple[VoteKind, ValidatorIndex], Vote] = field(default_factory=dict)
    _verified: dict[tuple[VoteKind, ValidatorIndex], Vote] = field(default_factory=dict)
    _counts: dict[Subject, int] = field(default_factory=dict)
    _nullify_count: int = 0

    @property
    def notarization(self) -> Certificate | None:
        """NC of the view."""
        return self.certificates.get(VoteKind.NOTARIZE)

    @property
    def nullification(self) -> Certificate | None:
        """XC of the view."""
        return self.certificates.get(VoteKind.NULLIFY)

    @property
    def finalization(self) -> Certificate | None:
        """FC of the view."""
        return self.certificates.get(VoteKind.FINALIZE)

    def find_vote(self, kind: VoteKind, signer: ValidatorIndex) -> Vote | None:
        """Return the vote in that slot."""
        return self._slots.get((kind, signer))

    def add(self, vote: Vote) -> None:
        """Put a vote into its empty slot."""
        subject = vote.subject
        self._slots[subject.kind, vote.signer] = vote
        self._counts[subject] = self._counts.get(subject, 0) + 1
        if subject.kind == VoteKind.NULLIFY:
            self._nullify_count += 1

    def drop(self, vote: Vote) -> None:
        """Empty the slot of a vote that turned out to be badly signed."""
        subject = vote.subject
        del self._slots[subject.kind, vote.signer]
        self._counts[subject] -= 1
        if subject.kind == VoteKind.NULLIFY:
            self._nullify_count -= 1

    def vote_count(self, subject: Subject) -> int:
        """Return how many slots hold a vote on exactly this subject."""
        return self._counts.get(subject, 0)

    @property
    def nullify_count(self) -> int:
        """How many validators are seen to give up the view, verified or not: the channel proves each."""
        return self._nullify_count

    def votes_on(self, subject: Subject) -> list[Vote]:
        """Return the votes on `subject`, in order of arrival."""
        return [vote for vote in self._slots.values() if vote.subject == subject]

    def mark_verified(self, vote: Vote) -> None:
        """Remember that this vote's signature is good."""
        self._verified[vote.subject.kind, vote.signer] = vote

    def is_verified(self, vote: Vote) -> bool:
        """Return whether exactly this vote was found good."""
        return self.has_verified(vote.subject, vote.signer, vote.signature)

    def has_verified(self, subject: Subject, signer: ValidatorIndex, signature: bytes) -> bool:
        """Return whether exactly these bytes were found good.

        # Safety: the whole subject and the signature count, else one good vote would vouch for another.
        """
        known = self._verified.get((subject.kind, signer))
        return known is not None and known.signature == signature and known.subject == subject

    def forget_votes(self) -> None:
        """Keep only certificates and our own votes."""
        self._slots.clear()
        self._verified.clear()
        self._counts.clear()
        self._nullify_count = 0
        self.proposal = None
        self.proposal_digest = None

    @property
    def has_votes(self) -> bool:
        """Whether anything is left that `forget_votes` would drop."""
        return bool(self._slots) or self.proposal is not None


@dataclass(frozen=True, slots=True)
class Parent:
    """Where the next block may stand. certificate: None for the anchor."""

    view: View
    certificate: Certificate | None


@dataclass(frozen=True, slots=True)
class Gap:
    """Views whose certificates are missing, all of first … last or some of them."""

    first: View
    last: View


class Views:
    """All views that anything is known of."""

    def __init__(self) -> None:
        self._views: dict[View, ViewState] = {}

    def find(self, view: View) -> ViewState | None:
        """Return what is known of `view`."""
        return self._views.get(view)

    def at(self, view: View) -> ViewState:
        """Return what is known of `view`, from now on kept."""
        state = self._views.get(view)
        if state is None:
            state = self._views[view] = ViewState(view)
        return state

    def __iter__(self) -> Iterator[ViewState]:
        return iter(list(self._views.values()))

    def __len__(self) -> int:
        return len(self._views)

    def certificate(self, kind: VoteKind, view: View) -> Certificate | None:
        """Return the certificate of that kind."""
        state = self._views.get(view)
        return None if state is None else state.certificates.get(kind)

    def find_parent(self, *, below: View, final_view: View, final_certificate: Certificate | None) -> Parent | Gap:
        """Return the highest view to build on in view `below`, with every view between nullified.

        # Safety: this is the ancestry rule on the leader's side. A notarized view is taken even if it is nullified
        as well: the next leader may build on it, and others may hold only its notarization.
        """
        view = View(below - 1)
        while view > final_view:
            state = self._views.get(view)
            notarization = None if state is None else state.notarization
            if notarization is not None:
                return Parent(view, notarization)
            if state is None or state.nullification is None:
                return Gap(self._first_unknown(view, final_view), view)
            view = View(view - 1)
        return Parent(final_view, final_certificate)

    def _first_unknown(self, view: View, final_view: View) -> View:
        """Return the lowest view of the run down from `view` of which neither outcome is known."""
        while view - 1 > final_view:
            below = self._views.get(View(view - 1))
            if below is not None and (below.notarization is not None or below.nullification is not None):
                break
            view = View(view - 1)
        return view

    def find_gap(self, *, above: View, below: View) -> Gap | None:
        """Return the first and last view strictly between that has no nullification, or None.

        A view that is notarized but not nullified counts too: what matters is what may be skipped.
        """
        missing = [view for view in range(above + 1, below) if self.certificate(VoteKind.NULLIFY, View(view)) is None]
        return Gap(View(missing[0]), View(missing[-1])) if missing else None

    def justification(self, *, above: View, below: View) -> tuple[Certificate, ...]:
        """Return the nullifications strictly between, newest first, as many as a proposal carries."""
        found: list[Certificate] = []
        for view in range(below - 1, above, -1):
            certificate = self.certificate(VoteKind.NULLIFY, View(view))
            if certificate is not None and len(found) < JUSTIFICATION_MAX:
                found.append(certificate)
        return tuple(found)

    def prune(self, *, final_view: View, current: View) -> None:
        """Drop what is far below the final view, and the votes of views far below ours."""
        lowest = final_view - RETAINED_VIEWS
        for view in [view for view in self._views if view < lowest]:
            del self._views[view]
        for state in self._views.values():
            if final_view < state.view < current - VOTE_VIEWS_MAX and state.has_votes:
                state.forget_votes()
