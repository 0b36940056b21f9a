"""The two certificates of a node: the authority that its node key is, and the leaf that it issues to itself.

The authority's certificate follows from the public node key alone, so genesis need hold no more than that key. Its
own signature is filler: a trust anchor is a name and a key (RFC 5280 section 6.1.1 d), which genesis vouches for, and
nothing checks an anchor's signature. The leaf has a key of its own and lives for weeks: a stolen leaf expires.
`cryptography` writes and reads X.509 here and judges nothing: OpenSSL verifies the chain in the handshake, and
libsodium verifies once more that the leaf was signed by the member's node key.

# Safety: a node key also signs votes and batches. What it signs there begins with a domain (`lotvine/…`), a
# certificate with an ASN.1 sequence (0x30), hence neither can be taken for the other.
"""

import datetime
import hashlib
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from node.crypto.keys import PUBLIC_KEY_BYTES, PublicKey, SigningKey, verify_signature
from node.errors import PeerError

LEAF_BACKDATED: Final = datetime.timedelta(days=1)
"""A peer's clock may be this far behind ours."""
LEAF_LIFETIME: Final = datetime.timedelta(days=28)
LEAF_RENEWED_AFTER: Final = datetime.timedelta(days=7)
"""Three weeks remain when a leaf is renewed: a peer's clock may be that far ahead."""

_SERIAL_DOMAIN: Final = b"lotvine/cert/v1\0"
_NOT_BEFORE: Final = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
_NO_EXPIRY: Final = datetime.datetime(9999, 12, 31, 23, 59, 59, tzinfo=datetime.UTC)
"""RFC 5280 section 4.1.2.5: no well-defined end. A member leaves by governance, not by the calendar."""
# Safety: it signs anchors only, and is an authority nowhere; what it signs besides is refused like any stranger's.
_FILLER_KEY: Final = Ed25519PrivateKey.from_private_bytes(bytes(32))


class CertificateError(PeerError, ValueError):
    """A certificate that is not what it should be."""


@dataclass(frozen=True, slots=True, repr=False)
class Leaf:
    """A certificate for sessions with its private key. renew_at: when the next one should replace it."""

    pem: bytes
    renew_at: datetime.datetime


def _name(public_key: bytes) -> x509.Name:
    # A common name holds at most 64 characters (RFC 5280, ub-common-name): just a key in hex.
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, public_key.hex())])


def anchor_of(node_key: bytes) -> bytes:
    """Return the DER certificate that makes a TLS library trust what this node key signs: the same at every node.

    node_key: 32 bytes.
    """
    public_key = Ed25519PublicKey.from_public_bytes(node_key)
    serial = int.from_bytes(hashlib.sha256(_SERIAL_DOMAIN + node_key).digest()[:16], "big") >> 1 | 1
    certificate = (
        x509.CertificateBuilder()
        .subject_name(_name(node_key))
        .issuer_name(_name(node_key))
        .public_key(public_key)
        .serial_number(serial)
        .not_valid_before(_NOT_BEFORE)
        .not_valid_after(_NO_EXPIRY)
        # Path length 0: a member vouches for its own node, and can make no authority in another's name.
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(is_authority=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .sign(_FILLER_KEY, None)
    )
    return certificate.public_bytes(serialization.Encoding.DER)


def _key_usage(*, is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_authority,
        key_cert_sign=is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def issue_leaf(key: SigningKey, now: datetime.datetime) -> Leaf:
    """Return a new certificate for sessions, signed by `key`, with a new key of its own.

    now: with a time zone. Valid from `LEAF_BACKDATED` before it to `LEAF_LIFETIME` after it.
    """
    authority = Ed25519PrivateKey.from_private_bytes(key.seed)
    leaf_key = Ed25519PrivateKey.generate()
    leaf_public = leaf_key.public_key()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(_name(leaf_public.public_bytes_raw()))
        .issuer_name(_name(key.public_key))
        .public_key(leaf_public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - LEAF_BACKDATED)
        .not_valid_after(now + LEAF_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(is_authority=False), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
        )
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(leaf_public), critical=False)
        .sign(authority, None)
    )
    private = leaf_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Leaf(
        pem=private + certificate.public_bytes(serialization.Encoding.PEM),
        renew_at=now + LEAF_RENEWED_AFTER,
    )


def verify_leaf(certificate: bytes) -> PublicKey:
    """Return the node key that signed the DER leaf `certificate`. Raises CertificateError.

    # Safety: the issuer's name alone proves nothing. The signature is checked here against the key that the name
    # states, so that the answer does not lean on how the TLS library built its chain.
    """
    parsed = _parse(certificate)
    names = parsed.issuer.get_attributes_for_oid(NameOID.COMMON_NAME)
    try:
        node_key = bytes.fromhex(str(names[0].value)) if len(names) == 1 else b""
    except ValueError:
        node_key = b""
    if len(node_key) != PUBLIC_KEY_BYTES:
        raise CertificateError("the leaf's issuer is not a node key")
    if not verify_signature(node_key, parsed.tbs_certificate_bytes, parsed.signature):
        raise CertificateError("the leaf is not signed by the node key that it names")
    return PublicKey(node_key)


def _parse(certificate: bytes) -> x509.Certificate:
    try:
        return x509.load_der_x509_certificate(certificate)
    except (ValueError, x509.InvalidVersion, UnsupportedAlgorithm) as error:
        raise CertificateError("not an X.509 certificate") from error
