"""The scanner of vote logs finds what it looks for: a check that cannot fail shows nothing."""

from pathlib import Path

import pytest

from consensus.messages import Certificate, Subject, Vote, VoteKind
from consensus.types import ZERO_DIGEST, Digest, Epoch, ValidatorIndex, View
from node.storage.vote_log import create_vote_log, open_vote_log
from tests.support.vote_scan import find_double_votes, find_rival_certificates, read_log

NETWORK = Digest(b"n" * 32)
KEY = b"k" * 32
A, B = Digest(b"a" * 32), Digest(b"b" * 32)


def vote(kind: VoteKind, digest: Digest = ZERO_DIGEST, *, view: int = 5, epoch: int = 0) -> Vote:
    return Vote(Subject(kind, Epoch(epoch), View(view), View(0), digest), ValidatorIndex(1), bytes(64))


def certificate(kind: VoteKind, digest: Digest = ZERO_DIGEST, *, view: int = 5) -> Certificate:
    return Certificate(vote(kind, digest, view=view).subject, ((ValidatorIndex(0), bytes(64)),))


N, X, F = VoteKind.NOTARIZE, VoteKind.NULLIFY, VoteKind.FINALIZE


@pytest.mark.parametrize(
    ("votes", "count"),
    [
        ([vote(N, A), vote(N, A), vote(F, A), vote(N, B, view=6), vote(X, view=6), vote(N, B, epoch=1)], 0),
        ([vote(N, A), vote(N, B)], 1),
        ([vote(F, A), vote(F, B)], 1),
        ([vote(X), vote(F, A)], 1),
        ([vote(N, A), vote(F, B)], 1),
        ([vote(N, A), vote(X), vote(X)], 0),
    ],
)
def test_votes_that_exclude_each_other_are_found(votes: list[Vote], count: int) -> None:
    """The vote-once rules of docs/protocol.md. The same vote twice is a re-send."""
    assert len(find_double_votes(votes)) == count


@pytest.mark.parametrize(
    ("held", "count"),
    [
        ([certificate(N, A), certificate(F, A), certificate(X, view=6), certificate(N, B, view=6)], 0),
        ([certificate(N, A), certificate(N, B)], 1),
        ([certificate(N, A), certificate(F, B)], 1),
        ([certificate(X), certificate(F, A)], 1),
    ],
)
def test_certificates_that_exclude_each_other_are_found(held: list[Certificate], count: int) -> None:
    """With at most f Byzantine validators neither can be."""
    assert len(find_rival_certificates(held)) == count


def test_what_a_node_has_logged_is_read_from_all_copies_of_its_log(tmp_path: Path) -> None:
    """A restored log hides what was voted before: both count."""
    for name, digest in (("old", A), ("new", B)):
        folder = tmp_path / name / "votes"
        create_vote_log(folder, network_id=NETWORK, public_key=KEY)
        log, _ = open_vote_log(folder, network_id=NETWORK, public_key=KEY)
        log.append(vote(N, digest))
        log.append(certificate(N, digest))
        log.sync()
        log.close()
        assert find_double_votes(read_log([tmp_path / name])[0]) == []
    votes, certificates = read_log([tmp_path / "old", tmp_path / "new"])
    assert (len(find_double_votes(votes)), len(find_rival_certificates(certificates))) == (1, 1)
