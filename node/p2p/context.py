"""TLS contexts of a node: what it shows, and whom it trusts.

The accept loop takes the present context for every connection, so a change of membership or a renewed leaf takes
effect with the next handshake, and no listener is dropped.
"""

import datetime
import os
import ssl
from collections.abc import Sequence

from node.crypto.keys import PublicKey, SigningKey
from node.p2p.certificates import Leaf, anchor_of, issue_leaf, verify_leaf
from node.p2p.errors import Refusal, SessionError


class TlsIdentity:
    """This node's leaf and its contexts for both directions.

    now: with a time zone. trusted: the node keys of the members that may connect.
    """

    def __init__(self, key: SigningKey, trusted: Sequence[PublicKey], now: datetime.datetime) -> None:
        self._key = key
        self._trusted = tuple(trusted)
        self._leaf = issue_leaf(key, now)
        self._build()

    @property
    def server_context(self) -> ssl.SSLContext:
        """The context for the next accepted connection."""
        return self._server

    @property
    def client_context(self) -> ssl.SSLContext:
        """The context for the next connection that we dial."""
        return self._client

    @property
    def join_context(self) -> ssl.SSLContext:
        """The context for dialling a node whose key is not known: it proves who we are, and nothing about the other."""
        return self._join

    def trust(self, trusted: Sequence[PublicKey]) -> None:
        """Trust these node keys from the next handshake on. Live sessions are the caller's to close."""
        self._trusted = tuple(trusted)
        self._build()

    def renew_if_due(self, now: datetime.datetime) -> bool:
        """Issue a new leaf if the present one is old enough; return whether it was."""
        if now < self._leaf.renew_at:
            return False
        self._leaf = issue_leaf(self._key, now)
        self._build()
        return True

    def _build(self) -> None:
        self._server = build_context(self._leaf, self._trusted, server_side=True)
        self._client = build_context(self._leaf, self._trusted, server_side=False)
        self._join = build_context(self._leaf, (), server_side=False)
        # Safety: whoever answers is heard for what proves itself by certificates, and counts as nobody.
        self._join.verify_mode = ssl.CERT_NONE


def build_context(leaf: Leaf, trusted: Sequence[PublicKey], *, server_side: bool) -> ssl.SSLContext:
    """Return a context that speaks TLS 1.3 only, shows `leaf`, and trusts these node keys and nobody else."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server_side else ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    # A node is known by its key, and may move to another address.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    if server_side:
        # Safety: a ticket lets a removed member resume its old session without showing a certificate again.
        context.num_tickets = 0
    _load_leaf(context, leaf)
    if trusted:
        context.load_verify_locations(cadata=b"".join(anchor_of(key) for key in trusted))
    return context


def _load_leaf(context: ssl.SSLContext, leaf: Leaf) -> None:
    # load_cert_chain reads files only. A file in memory keeps the private key off the disk.
    handle = os.memfd_create("lotvine-leaf", os.MFD_CLOEXEC)
    with os.fdopen(handle, "wb") as file:
        file.write(leaf.pem)
        file.flush()
        context.load_cert_chain(f"/proc/self/fd/{handle}")


def authenticate(tls: ssl.SSLObject) -> PublicKey:
    """Return the node key of the peer of a finished handshake. Raises CertificateError or SessionError."""
    if tls.session_reused:
        # Safety: a resumed session carries the trust of the day it began, not today's.
        raise SessionError(Refusal.RESUMED, "the session was resumed instead of authenticated")
    certificate = tls.getpeercert(binary_form=True)
    if not certificate:
        raise SessionError(Refusal.TLS, "the peer showed no certificate")
    return verify_leaf(certificate)
