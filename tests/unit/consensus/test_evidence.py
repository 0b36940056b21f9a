"""Which pairs of votes prove a fault."""

import pytest

from consensus.evidence import Equivocation, are_conflicting, fault_of_equivocation
from consensus.messages import Subject, Vote
from consensus.types import Epoch, ValidatorIndex
from tests.support.core_builders import (
    FINALIZE,
    NETWORK_ID,
    NOTARIZE,
    NULLIFY,
    build_digest,
    build_subject,
    sign,
)
from tests.support.fake_keys import FakeVerifier

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


GOOD = Equivocation.pair(sign(build_subject(NOTARIZE, 3, A), 1), sign(build_subject(FINALIZE, 3, B), 1))


def fault_of(first: Vote, second: Vote, *, epoch: int = 0) -> str | None:
    return fault_of_equivocation(
        Equivocation(first, second),
        network_id=NETWORK_ID,
        epoch=Epoch(epoch),
        validator_count=4,
        verifier=FakeVerifier(),
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (build_subject(NOTARIZE, 3, A), build_subject(NOTARIZE, 3, B)),
        (build_subject(FINALIZE, 3, A), build_subject(FINALIZE, 3, B)),
        (build_subject(NULLIFY, 3), build_subject(FINALIZE, 3, A)),
        (build_subject(NOTARIZE, 3, A), build_subject(FINALIZE, 3, B)),
    ],
)
def test_each_of_the_four_pairs_has_one_form_and_proves_a_fault(one: Subject, other: Subject) -> None:
    """T-17: whoever finds the pair, and in whatever order, makes the same evidence of it."""
    pair = Equivocation.pair(sign(one, 1), sign(other, 1))
    assert pair == Equivocation.pair(sign(other, 1), sign(one, 1))
    assert fault_of(pair.first, pair.second) is None
    assert (pair.signer, pair.epoch, pair.view) == (1, 0, 3)
    assert set(pair.kinds) == {one.kind, other.kind}
    assert fault_of(pair.second, pair.first) is not None, "one pair, one form"


def build_bad(vote: Vote, **changes: object) -> Vote:
    return Vote(**{"subject": vote.subject, "signer": vote.signer, "signature": vote.signature, **changes})  # type: ignore[arg-type] # any field


@pytest.mark.parametrize(
    ("pair", "why"),
    [
        ((sign(build_subject(NOTARIZE, 3, A), 1), sign(build_subject(NULLIFY, 3), 1)), "honest"),
        ((GOOD.first, GOOD.first), "honest"),
        ((GOOD.first, sign(GOOD.second.subject, 2)), "honest"),
        ((GOOD.first, build_bad(GOOD.second, signature=bytes(64))), "not the signer's"),
        ((GOOD.first, build_bad(GOOD.second, signature=b"")), "wrong length"),
        ((GOOD.first, build_bad(GOOD.second, signer=ValidatorIndex(-1))), "out of range"),
        ((GOOD.first, build_bad(GOOD.second, signer=ValidatorIndex(4))), "out of range"),
        ((GOOD.first, sign(build_subject(FINALIZE, 3, B, epoch=1), 1)), "another epoch"),
        ((GOOD.first, sign(build_subject(FINALIZE, 3, B, parent_view=2), 1)), "only a notarize vote"),
        ((sign(build_subject(NOTARIZE, 0, A), 1), sign(build_subject(NOTARIZE, 0, B), 1)), "view out of range"),
    ],
)
def test_what_proves_nothing_is_refused_by_name(pair: tuple[Vote, Vote], why: str) -> None:
    """It comes from the ledger and from peers, whoever made it: total over well-typed pairs."""
    fault = fault_of(*pair)
    assert fault is not None
    assert why in fault


def test_evidence_is_judged_by_the_validators_of_its_epoch() -> None:
    """Its indexes mean something there only."""
    assert fault_of(GOOD.first, GOOD.second, epoch=1) == "a vote of another epoch"


@pytest.mark.parametrize("signer", [0, 3])
def test_the_first_and_the_last_validator_may_be_accused(signer: int) -> None:
    """Indexes run from 0 to n - 1."""
    pair = Equivocation.pair(sign(build_subject(NULLIFY, 3), signer), sign(build_subject(FINALIZE, 3, A), signer))
    assert fault_of(pair.first, pair.second) is None
