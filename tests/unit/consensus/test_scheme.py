"""What is signed."""

import dataclasses

from consensus.messages import VoteKind
from consensus.scheme import VOTE_DOMAIN, vote_signing_bytes
from consensus.types import Epoch, View
from tests.support.core_builders import NETWORK_ID, build_digest, build_subject


def test_the_signed_bytes_are_the_documented_layout() -> None:
    """Domain, network id, epoch, kind, view, parent's view, digest; big-endian; 105 bytes."""
    digest = build_digest("block")
    subject = build_subject(VoteKind.NOTARIZE, 5, digest, parent_view=3, epoch=2)
    expected = (
        VOTE_DOMAIN
        + NETWORK_ID
        + (2).to_bytes(8, "big")
        + b"\x01"
        + (5).to_bytes(8, "big")
        + (3).to_bytes(8, "big")
        + digest
    )
    assert vote_signing_bytes(NETWORK_ID, subject) == expected
    assert len(expected) == 105


def test_kind_epoch_view_and_network_are_inside() -> None:
    """T-17: replay across kinds, epochs, views and networks is impossible."""
    subject = build_subject(VoteKind.NOTARIZE, 5, build_digest("block"))
    variants = [
        dataclasses.replace(subject, kind=VoteKind.FINALIZE),
        dataclasses.replace(subject, epoch=Epoch(1)),
        dataclasses.replace(subject, view=View(6)),
        dataclasses.replace(subject, parent_view=View(1)),
    ]
    signed = {vote_signing_bytes(NETWORK_ID, variant) for variant in [subject, *variants]}
    signed.add(vote_signing_bytes(build_digest("another network"), subject))
    assert len(signed) == 6
