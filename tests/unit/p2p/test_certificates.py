"""A member's anchor follows from its key; a leaf proves which node key issued it."""

import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID

from node.crypto.keys import SigningKey
from node.p2p.certificates import (
    LEAF_BACKDATED,
    LEAF_LIFETIME,
    LEAF_RENEWED_AFTER,
    CertificateError,
    anchor_of,
    issue_leaf,
    verify_leaf,
)
from tests.support.networks import build_key

ALPHA = build_key("alpha")
BETA = build_key("beta")
NOW = datetime.datetime(2026, 5, 1, 12, tzinfo=datetime.UTC)


def leaf_certificate(key: SigningKey) -> x509.Certificate:
    return x509.load_pem_x509_certificate(issue_leaf(key, NOW).pem)


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


def leaf_named(*names: str, signer: SigningKey) -> bytes:
    """A leaf whose issuer is named at will."""
    key = Ed25519PrivateKey.generate()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name) for name in names]))
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + LEAF_LIFETIME)
        .sign(Ed25519PrivateKey.from_private_bytes(signer.seed), None)
    )
    return der(certificate)


def test_an_anchor_is_the_same_bytes_at_every_node() -> None:
    """Genesis holds the key alone: what is trusted must follow from it. RFC 5280 section 6.1.1 d."""
    assert anchor_of(ALPHA.public_key) == anchor_of(ALPHA.public_key)
    assert anchor_of(ALPHA.public_key) != anchor_of(BETA.public_key)


def test_an_anchor_can_make_no_further_authority() -> None:
    """Path length 0: else a member could make an authority with another member's name."""
    anchor = x509.load_der_x509_certificate(anchor_of(ALPHA.public_key))
    constraints = anchor.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert constraints.value == x509.BasicConstraints(ca=True, path_length=0)


def test_a_leaf_names_the_node_key_that_signed_it() -> None:
    """The peer's node key is what the session is about."""
    assert verify_leaf(der(leaf_certificate(ALPHA))) == ALPHA.public_key


def test_a_leaf_is_valid_from_a_day_before_to_weeks_after_its_issue() -> None:
    """A peer's clock an hour off must not cut a node off; renewal leaves three weeks."""
    leaf = issue_leaf(ALPHA, NOW)
    certificate = x509.load_pem_x509_certificate(leaf.pem)
    assert certificate.not_valid_before_utc == NOW - LEAF_BACKDATED
    assert certificate.not_valid_after_utc == NOW + LEAF_LIFETIME
    assert leaf.renew_at == NOW + LEAF_RENEWED_AFTER
    assert LEAF_RENEWED_AFTER < LEAF_LIFETIME / 2


def test_each_leaf_has_a_key_of_its_own() -> None:
    """The node key never enters the TLS library, and an old leaf's key opens nothing new."""
    first, second = leaf_certificate(ALPHA), leaf_certificate(ALPHA)
    keys = {certificate.public_key().public_bytes_raw() for certificate in (first, second)}  # type: ignore[union-attr]  # Ed25519 as issued.
    assert len(keys | {bytes(ALPHA.public_key)}) == 3


def test_a_leaf_repr_shows_no_private_key() -> None:
    """What is logged by accident must not be a secret."""
    assert "PRIVATE" not in repr(issue_leaf(ALPHA, NOW))


@pytest.mark.parametrize(
    ("leaf", "message"),
    [
        (b"", "not an X.509"),
        (b"\x30\x03\x02\x01\x01", "not an X.509"),
        (leaf_named(BETA.public_key.hex(), signer=ALPHA), "not signed by the node key"),
        (leaf_named("beta", signer=BETA), "issuer is not a node key"),
        (leaf_named("00" * 31, signer=BETA), "issuer is not a node key"),
        (leaf_named(signer=BETA), "issuer is not a node key"),
        (leaf_named(BETA.public_key.hex(), ALPHA.public_key.hex(), signer=BETA), "issuer is not a node key"),
    ],
)
def test_a_leaf_that_proves_no_node_key_is_refused(leaf: bytes, message: str) -> None:
    """The issuer's name alone proves nothing: the signature must be that key's."""
    with pytest.raises(CertificateError, match=message):
        verify_leaf(leaf)


def test_a_leaf_with_any_signed_byte_changed_is_refused() -> None:
    """libsodium checks the signature over the bytes as received."""
    good = der(leaf_certificate(ALPHA))
    for place in range(40, len(good), 17):
        bad = bytearray(good)
        bad[place] ^= 1
        with pytest.raises(CertificateError):
            verify_leaf(bytes(bad))
