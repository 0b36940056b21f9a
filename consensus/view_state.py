"""What is known of a view: votes in their slots, certificates, the leader's proposal, our own votes.

One slot for each kind and signer bounds what a liar can make us keep. The slots of a view stay until it is well
below the final one, so that late contradictions are still seen.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from consensus.archive import Archive
from consensus.messages import JUSTIFICATION_MAX, Certificate, Header, Proposal, Subject, Vote, VoteKind
from consensus.types import Digest, ValidatorIndex, View

RETAINED_VIEWS: Final = 8
"""How many views below the final one keep their slots, as evidence of late contradictions."""

AHEAD_VIEWS_MAX: Final = 3
"""How far ahead of ours a view may be for its votes and proposal to be kept."""

VOTE_VIEWS_MAX: Final = 64
"""Between the final view and ours, only so many of the newest views keep votes; older ones keep certificates."""


RECENT_VIEWS_MAX: Final = 256
"""Between the final view and ours, only so many of the newest views are kept in full; older ones are archived."""


class Stage(IntEnum):
    """How far the leader's proposal has come: its leader and shape are right; accepted by all rules of the core; or
    refused, which leaves no verdict on its digest."""

    HELD = 1
    ACCEPTED = 2
    REFUSED = 3


@dataclass(slots=True)
class ViewState:
    """One view. certificates and own: at most one of each kind. reported: which evidence was already given.

    rival_header: of another block that the leader proposed in this view, for whoever looks into its equivocation.
    """

    view: View
    certificates: dict[VoteKind, Certificate] = field(default_factory=dict)
    own: dict[VoteKind, Vote] = field(default_factory=dict)
    proposal: Proposal | None = None
    proposal_digest: Digest | None = None
    rival_header: Header | None = None
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
        if not self._counts[subject]:
            # Else one liar could have us remember every subject that it ever made up.
            del self._counts[subject]
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
    """All views that anything is known of: the recent ones in full, older ones above the final view in an archive.

    Of the archived ones, the highest notarized stays in full: the next block may have to stand on it.
    """

    def __init__(self) -> None:
        self._views: dict[View, ViewState] = {}
        self._archive = Archive()
        self._recent_from = View(0)
        self._kept: View | None = None

    def find(self, view: View) -> ViewState | None:
        """Return what is known of `view`, if it is kept in full."""
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

    def put(self, certificate: Certificate) -> None:
        """Keep a good certificate of a view above the final one."""
        view = certificate.subject.view
        self.at(view).certificates[certificate.subject.kind] = certificate
        if view < self._recent_from:
            self._archive_view(self._views[view])

    def has_certificate(self, kind: VoteKind, view: View) -> bool:
        """Return whether a certificate of that kind was held, above the final view."""
        state = self._views.get(view)
        if state is not None and kind in state.certificates:
            return True
        if kind == VoteKind.NULLIFY:
            return view in self._archive.nullified
        return kind == VoteKind.NOTARIZE and view in self._archive.notarized

    def certificate(self, kind: VoteKind, view: View) -> Certificate | None:
        """Return the certificate of that kind, if it is still held itself."""
        state = self._views.get(view)
        found = None if state is None else state.certificates.get(kind)
        if found is None and kind == VoteKind.NULLIFY:
            found = self._archive.find_nullification(view)
        return found

    def certificates_of(self, view: View) -> tuple[Certificate, ...]:
        """Return the certificates of that view, in the order of their kinds."""
        found = (self.certificate(kind, view) for kind in VoteKind)
        return tuple(certificate for certificate in found if certificate is not None)

    def find_notarized(self, view: View) -> Digest | None:
        """Return which block was notarized in that view."""
        notarization = self.certificate(VoteKind.NOTARIZE, view)
        return self._archive.notarized.get(view) if notarization is None else notarization.subject.digest

    @property
    def notarized_digests(self) -> tuple[Digest, ...]:
        """The blocks of all notarized views known."""
        recent = (state.notarization for state in self._views.values())
        return (
            *self._archive.notarized.values(),
            *(certificate.subject.digest for certificate in recent if certificate is not None),
        )

    def find_parent(self, *, below: View, final_view: View, final_certificate: Certificate | None) -> Parent | Gap:
        """Return the highest view to build on in view `below`, with every view between nullified.

        # Safety: this is the ancestry rule on the leader's side. A notarized view is taken even if it is nullified
        as well: the next leader may build on it, and others may hold only its notarization.
        """
        view = View(below - 1)
        while view > final_view and view >= self._recent_from:
            state = self._views.get(view)
            notarization = None if state is None else state.notarization
            if notarization is not None:
                return Parent(view, notarization)
            if state is None or state.nullification is None:
                return Gap(self._first_unknown(view, final_view), view)
            view = View(view - 1)
        kept = None if self._kept is None else self._views[self._kept].notarization
        parent = Parent(final_view, final_certificate) if kept is None else Parent(kept.subject.view, kept)
        missing = self._archive.nullified.last_missing(above=parent.view, below=view + 1)
        return parent if missing is None else Gap(View(missing[0]), View(missing[1]))

    def _first_unknown(self, view: View, final_view: View) -> View:
        """Return the lowest view of the run down from `view` of which neither outcome is known, as far as recent."""
        while view - 1 > final_view and view - 1 >= self._recent_from:
            below = self._views.get(View(view - 1))
            if below is not None and (below.notarization is not None or below.nullification is not None):
                break
            view = View(view - 1)
        return view

    def find_gap(self, *, above: View, below: View) -> Gap | None:
        """Return the first and last view strictly between that has no nullification, or None.

        A view that is notarized but not nullified counts too: what matters is what may be skipped.
        """
        recent_from = max(above + 1, self._recent_from)
        missing = [
            view
            for view in range(recent_from, below)
            if (state := self._views.get(View(view))) is None or state.nullification is None
        ]
        old_below = min(below, self._recent_from)
        first = self._archive.nullified.first_missing(above=above, below=old_below)
        if first is not None:
            last = self._archive.nullified.last_missing(above=above, below=old_below)
            assert last is not None
            missing = [first, *missing] if missing else [first, last[1]]
        return Gap(View(missing[0]), View(missing[-1])) if missing else None

    def justification(self, *, above: View, below: View) -> tuple[Certificate, ...]:
        """Return the nullifications strictly between, newest first, as many as a proposal carries."""
        found: list[Certificate] = []
        for view in range(below - 1, above, -1):
            certificate = self.certificate(VoteKind.NULLIFY, View(view))
            if certificate is not None:
                found.append(certificate)
            if len(found) == JUSTIFICATION_MAX:
                break
        return tuple(found)

    def prune(self, *, final_view: View, current: View) -> None:
        """Drop what is far below the final view and the votes of views far below ours; archive what is still older."""
        lowest = final_view - RETAINED_VIEWS
        for view in [view for view in self._views if view < lowest]:
            del self._views[view]
        self._archive.forget(final_view)
        if self._kept is not None and self._kept <= final_view:
            self._kept = None
        self._recent_from = max(self._recent_from, View(current - RECENT_VIEWS_MAX))
        for state in list(self._views.values()):
            if final_view < state.view < self._recent_from:
                if state.view != self._kept:
                    self._archive_view(state)
            elif final_view < state.view < current - VOTE_VIEWS_MAX and state.has_votes:
                state.forget_votes()

    def _archive_view(self, state: ViewState) -> None:
        """Keep of a view only what its certificates say; all of it, if it is the highest notarized one."""
        if state.nullification is not None:
            self._archive.add_nullification(state.nullification)
        if state.notarization is not None:
            self._archive.add_notarization(state.notarization.subject)
            if self._kept is None or state.view >= self._kept:
                passed, self._kept = self._kept, state.view
                state.forget_votes()
                if passed is not None and passed != state.view:
                    del self._views[passed]
                return
        del self._views[state.view]
