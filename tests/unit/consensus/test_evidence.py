"""Which pairs of votes prove a fault."""

import pytest

from consensus.evidence import are_conflicting
from consensus.messages import Subject
from tests.support.core_builders import (
    FINALIZE,
    NOTARIZE,
    NULLIFY,
    build_digest,
    build_subject,
    sign,
)

A, B = build_digest("a"), build_digest("b")


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (build_subject(NOTARIZE, 3, A), build_subject(NOTARIZE, 3, B), True),
        (build_subject(NOTARIZE, 3, A), build_subject(NOTARIZE, 3, A, parent_view=1), True),
        (build_subject(FINALIZE, 3, A), build_subject(FINALIZE, 3, B), True),
        (build_subject(NULLIFY, 3), build_subject(FINALIZE, 3, A), True),
        (build_subject(FINALIZE, 3, A), build_subject(NULLIFY, 3), True),
        (build_subject(NOTARIZE, 3, A), build_subject(FINALIZE, 3, B), True),
        (build_subject(NOTARIZE, 3, A), build_subject(FINALIZE, 3, A), False),
        (build_subject(NOTARIZE, 3, A), build_subject(NULLIFY, 3), False),
        (build_subject(NULLIFY, 3), build_subject(NULLIFY, 3), False),
        (build_subject(NOTARIZE, 3, A), build_subject(NOTARIZE, 4, B), False),
        (build_subject(NOTARIZE, 3, A), build_subject(NOTARIZE, 3, B, epoch=1), False),
    ],
)
def test_only_what_no_honest_validator_signs_is_evidence(first: Subject, second: Subject, expected: bool) -> None:
    """Notarize beside nullify is legal; the table is the whole rule."""
    assert are_conflicting(sign(first, 1), sign(second, 1)) is expected


def test_votes_of_two_signers_never_conflict() -> None:
    """Each answers for itself."""
    assert not are_conflicting(sign(build_subject(NOTARIZE, 3, A), 1), sign(build_subject(NOTARIZE, 3, B), 2))
