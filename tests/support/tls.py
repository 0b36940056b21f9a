"""TLS handshakes in memory, between two contexts, without sockets."""

import datetime
import ssl
from dataclasses import dataclass

from node.crypto.keys import PublicKey, SigningKey
from node.p2p.certificates import issue_leaf
from node.p2p.context import build_context

NOW = datetime.datetime.now(tz=datetime.UTC)
"""OpenSSL reads the machine's clock, so leaves in tests are issued relative to it."""


def server_context(key: SigningKey, trusted: list[PublicKey], *, issued: datetime.datetime = NOW) -> ssl.SSLContext:
    """The accepting side's context as a node builds it."""
    return build_context(issue_leaf(key, issued), trusted, server_side=True)


def client_context(key: SigningKey, trusted: list[PublicKey], *, issued: datetime.datetime = NOW) -> ssl.SSLContext:
    """The dialling side's context as a node builds it."""
    return build_context(issue_leaf(key, issued), trusted, server_side=False)


@dataclass
class Ends:
    """Both ends of one TLS connection."""

    client: ssl.SSLObject
    server: ssl.SSLObject


def connect(server: ssl.SSLContext, client: ssl.SSLContext, *, session: ssl.SSLSession | None = None) -> Ends:
    """Run a handshake to its end on both sides. Raises SSLError from whichever side refuses.

    A byte is sent each way afterwards: in TLS 1.3 the client learns only then whether it was refused, and tickets
    arrive with it.
    """
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = client.wrap_bio(to_client, to_server, server_side=False, session=session)
    far = server.wrap_bio(to_server, to_client, server_side=True)
    pending = [near, far]
    for _ in range(10):
        for end in tuple(pending):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            pending.remove(end)
        if not pending:
            break
    assert not pending
    for writer, reader in ((far, near), (near, far)):
        writer.write(b"x")
        assert reader.read(1) == b"x"
    return Ends(near, far)
