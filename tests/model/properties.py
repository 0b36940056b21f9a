"""What must hold of all that honest validators have said, whatever is heard or lost afterwards.

Shares no code with the core: subjects, blocks and the number of signers are all it looks at. A certificate counts as
existing as soon as two honest validators have said the same thing: the liar may complete it.
"""

from consensus.messages import Subject, VoteKind
from consensus.types import Digest
from tests.model.universe import HONEST, Universe


def certifiable(said: tuple[int, ...]) -> int:
    """Return the subjects that two of three honest validators have voted for, as bits."""
    a, b, c = said
    return (a & b) | (a & c) | (b & c)


def fault_of(universe: Universe, said: tuple[int, ...]) -> str | None:
    """I-1 to I-5, and one end an epoch of I-19: return which property is broken, or None."""
    for seat in HONEST:
        fault = _fault_of_voter(universe.subjects_in(said[seat]))
        if fault is not None:
            return f"I-3: validator {seat} {fault}"
    certified = universe.subjects_in(certifiable(said))
    return _fault_of_certificates(universe, certified)


def _fault_of_voter(subjects: list[Subject]) -> str | None:
    for place, one in enumerate(subjects):
        for other in subjects[:place]:
            if one.view != other.view:
                continue
            if one.kind == other.kind:
                return f"votes twice in view {one.view}: {one.kind.name}"
            kinds = {one.kind, other.kind}
            if kinds == {VoteKind.NULLIFY, VoteKind.FINALIZE}:
                return f"nullifies and finalizes view {one.view}"
            if kinds == {VoteKind.NOTARIZE, VoteKind.FINALIZE} and one.digest != other.digest:
                return f"notarizes one block and finalizes another in view {one.view}"
    return None


def _fault_of_certificates(universe: Universe, certified: list[Subject]) -> str | None:
    notarized = [subject for subject in certified if subject.kind == VoteKind.NOTARIZE]
    nullified: set[int] = {subject.view for subject in certified if subject.kind == VoteKind.NULLIFY}
    final = [subject for subject in certified if subject.kind == VoteKind.FINALIZE]
    for place, one in enumerate(notarized):
        if any(other.view == one.view for other in notarized[:place]):
            return f"I-2: view {one.view} can have two notarizations"
        if universe.is_last(universe.blocks[one.digest].header.parent_digest):
            return f"I-19: a block of view {one.view} follows the last one of the epoch"
        if not _stands_well(one, notarized, nullified):
            return f"I-5: the block of view {one.view} skips a view that is not nullified"
    for one in final:
        if one.view in nullified:
            return f"I-4: view {one.view} can be final and nullified"
        if not any(other.view == one.view and other.digest == one.digest for other in notarized):
            return f"I-4: view {one.view} can be final without a notarization"
        for other in notarized:
            if other.view > one.view and not descends(universe, other.digest, one.digest):
                return f"I-1: the block of view {other.view} does not descend from the final one of view {one.view}"
    return None


def _stands_well(subject: Subject, notarized: list[Subject], nullified: set[int]) -> bool:
    """The views between a block and its parent are nullified, and the parent is notarized or the anchor."""
    if any(view not in nullified for view in range(subject.parent_view + 1, subject.view)):
        return False
    return subject.parent_view == 0 or any(parent.view == subject.parent_view for parent in notarized)


def descends(universe: Universe, digest: Digest, ancestor: Digest) -> bool:
    """Return whether the first block is the second one or stands above it."""
    while digest != ancestor:
        if digest == universe.anchor_digest:
            return False
        digest = universe.blocks[digest].header.parent_digest
    return True
