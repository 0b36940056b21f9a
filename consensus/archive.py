"""What is kept of views that ended long ago while nothing became final: that they may be skipped, and the proof.

A network without finality still changes views, for days if it must. Of each view that lies far below ours we need to
know for certain that it was nullified (else no proposal above it can be judged), and to prove it to a node that was
away. So a nullification is kept as a place in a run of views and as packed signatures; a notarization as the digest
that it was for. The number of packed ones is bounded (ADR 0013): what is dropped was proved to us, and only a node
that slept through more than that many views without finality cannot be shown it.
"""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from typing import Final

from consensus.messages import Certificate, Subject
from consensus.types import Digest, ValidatorIndex, View

PROOFS_MAX: Final = 16_384
"""Packed nullifications; about 36 MB with 50 validators and 4 MB with 4. Views last 13 s by then: over two days."""

_NO_VIEW: Final = View(0)
_SIGNER_BYTES: Final = 2
_SIGNATURE_BYTES: Final = 64
_ENTRY_BYTES: Final = _SIGNER_BYTES + _SIGNATURE_BYTES


@dataclass(slots=True)
class Runs:
    """A set of views as sorted runs with gaps between them. The usual next view is added in constant time."""

    _firsts: list[int] = field(default_factory=list)
    _lasts: list[int] = field(default_factory=list)

    def __contains__(self, view: int) -> bool:
        at = bisect_right(self._firsts, view) - 1
        return at >= 0 and view <= self._lasts[at]

    def __len__(self) -> int:
        """Return the number of runs."""
        return len(self._firsts)

    def add(self, view: int) -> None:
        """Put a view in; twice is once."""
        if view in self:
            return
        at = bisect_right(self._firsts, view)
        joins_left = at > 0 and self._lasts[at - 1] == view - 1
        joins_right = at < len(self._firsts) and self._firsts[at] == view + 1
        if joins_left and joins_right:
            self._lasts[at - 1] = self._lasts.pop(at)
            del self._firsts[at]
        elif joins_left:
            self._lasts[at - 1] = view
        elif joins_right:
            self._firsts[at] = view
        else:
            self._firsts.insert(at, view)
            self._lasts.insert(at, view)

    def forget(self, up_to: int) -> None:
        """Take out every view up to and with `up_to`."""
        gone = bisect_right(self._lasts, up_to)
        del self._firsts[:gone], self._lasts[:gone]
        if self._firsts and self._firsts[0] <= up_to:
            self._firsts[0] = up_to + 1

    def first_missing(self, *, above: int, below: int) -> int | None:
        """Return the lowest view strictly between that is not in here."""
        view = above + 1
        at = bisect_right(self._firsts, view) - 1
        if at >= 0 and view <= self._lasts[at]:
            view = self._lasts[at] + 1
        return view if view < below else None

    def last_missing(self, *, above: int, below: int) -> tuple[int, int] | None:
        """Return the first and last view of the highest run strictly between of views that are not in here."""
        last = below - 1
        at = bisect_right(self._firsts, last) - 1
        if at >= 0 and last <= self._lasts[at]:
            last = self._firsts[at] - 1
        if last <= above:
            return None
        under = bisect_left(self._lasts, last) - 1
        return max(above + 1, self._lasts[under] + 1 if under >= 0 else 0), last


@dataclass(slots=True)
class Archive:
    """The old views of one epoch, above the final one."""

    _nullified: Runs = field(default_factory=Runs)
    _proofs: dict[View, bytes] = field(default_factory=dict)
    _notarized: dict[View, Digest] = field(default_factory=dict)
    _subject: Subject | None = None
    _forgotten: View = _NO_VIEW

    @property
    def nullified(self) -> Runs:
        """The views that may be skipped, not to be changed."""
        return self._nullified

    @property
    def notarized(self) -> dict[View, Digest]:
        """Which block each notarized view has, not to be changed."""
        return self._notarized

    def add_nullification(self, certificate: Certificate) -> None:
        """Keep a good nullification."""
        subject = certificate.subject
        self._subject = subject
        self._nullified.add(subject.view)
        self._proofs[subject.view] = b"".join(
            signer.to_bytes(_SIGNER_BYTES, "big") + signature for signer, signature in certificate.signatures
        )
        if len(self._proofs) > PROOFS_MAX:
            del self._proofs[next(iter(self._proofs))]

    def add_notarization(self, subject: Subject) -> None:
        """Keep what a good notarization was for."""
        self._notarized[subject.view] = subject.digest

    def find_nullification(self, view: View) -> Certificate | None:
        """Return the proof that a view may be skipped, if it is still held."""
        packed = self._proofs.get(view)
        if packed is None or self._subject is None:
            return None
        like = self._subject
        signatures = tuple(
            (
                ValidatorIndex(int.from_bytes(packed[at : at + _SIGNER_BYTES], "big")),
                packed[at + _SIGNER_BYTES : at + _ENTRY_BYTES],
            )
            for at in range(0, len(packed), _ENTRY_BYTES)
        )
        return Certificate(Subject(like.kind, like.epoch, view, like.parent_view, like.digest), signatures)

    def forget(self, up_to: View) -> None:
        """Drop what is below what has become final."""
        if up_to <= self._forgotten:
            # Asked in each view, and most of all where views go by and nothing becomes final.
            return
        self._forgotten = up_to
        self._nullified.forget(up_to)
        self._proofs = {view: packed for view, packed in self._proofs.items() if view > up_to}
        self._notarized = {view: digest for view, digest in self._notarized.items() if view > up_to}
