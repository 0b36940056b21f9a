"""Who gets through a handshake, shown on two ends in memory."""

import datetime
import ssl
from pathlib import Path

import pytest

from node.p2p.certificates import LEAF_BACKDATED, LEAF_LIFETIME, LEAF_RENEWED_AFTER, issue_leaf
from node.p2p.context import TlsIdentity, authenticate, build_context
from node.p2p.errors import Refusal, SessionError
from tests.support.networks import build_key
from tests.support.tls import NOW, client_context, connect, server_context

ALPHA = build_key("alpha")
BETA = build_key("beta")
STRANGER = build_key("stranger")
BOTH = [ALPHA.public_key, BETA.public_key]


def test_members_learn_each_others_node_keys() -> None:
    """Both ends prove theirs in one TLS 1.3 handshake."""
    ends = connect(server_context(ALPHA, BOTH), client_context(BETA, BOTH))
    assert authenticate(ends.server) == BETA.public_key
    assert authenticate(ends.client) == ALPHA.public_key
    assert ends.client.version() == "TLSv1.3"


def test_a_stranger_is_refused_by_the_side_that_accepts() -> None:
    """Membership is the only trust."""
    with pytest.raises(ssl.SSLCertVerificationError):
        connect(server_context(ALPHA, BOTH), client_context(STRANGER, BOTH))


def test_a_stranger_is_refused_by_the_side_that_dials() -> None:
    """A node does not speak to whoever took over an address."""
    with pytest.raises(ssl.SSLCertVerificationError):
        connect(server_context(STRANGER, BOTH), client_context(BETA, BOTH))


def test_a_client_without_a_certificate_is_refused() -> None:
    """No unknown key gets past the handshake."""
    anonymous = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anonymous.check_hostname = False
    anonymous.verify_mode = ssl.CERT_NONE
    with pytest.raises(ssl.SSLError, match="PEER_DID_NOT_RETURN_A_CERTIFICATE"):
        connect(server_context(ALPHA, BOTH), anonymous)


def test_tls_1_2_is_refused() -> None:
    """One version, one handshake to review."""
    old = client_context(BETA, BOTH)
    old.minimum_version = ssl.TLSVersion.TLSv1_2
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError):
        connect(server_context(ALPHA, BOTH), old)


@pytest.mark.parametrize(
    "off", [LEAF_BACKDATED - datetime.timedelta(hours=1), datetime.timedelta(0) - LEAF_LIFETIME + LEAF_RENEWED_AFTER]
)
def test_a_peer_whose_clock_is_off_is_not_cut_off(off: datetime.timedelta) -> None:
    """Its leaf was issued by its own clock: nearly a day ahead, or weeks behind, still passes."""
    connect(server_context(ALPHA, BOTH), client_context(BETA, BOTH, issued=NOW + off))


@pytest.mark.parametrize("issued", [NOW - LEAF_LIFETIME - datetime.timedelta(hours=1), NOW + LEAF_BACKDATED * 2])
def test_a_leaf_out_of_its_time_is_refused(issued: datetime.datetime) -> None:
    """A stolen leaf expires."""
    with pytest.raises(ssl.SSLCertVerificationError):
        connect(server_context(ALPHA, BOTH), client_context(BETA, BOTH, issued=issued))


def test_no_session_can_be_resumed() -> None:
    """With tickets a removed member resumes its old session past the new trust: we hand out none."""
    client = client_context(BETA, BOTH)
    server = server_context(ALPHA, BOTH)
    first = connect(server, client)
    assert first.client.session is None or not first.client.session.has_ticket
    again = connect(server, client, session=first.client.session)
    assert not again.server.session_reused


def test_a_resumed_session_is_refused_even_where_tickets_were_handed_out() -> None:
    """The attack itself: the default two tickets let the client back in without a certificate check."""
    client = client_context(BETA, BOTH)
    server = server_context(ALPHA, BOTH)
    server.num_tickets = 2
    first = connect(server, client)
    assert first.client.session is not None
    assert first.client.session.has_ticket
    again = connect(server, client, session=first.client.session)
    assert again.server.session_reused, "the attack no longer works: the test shows nothing"
    with pytest.raises(SessionError) as refused:
        authenticate(again.server)
    assert refused.value.reason is Refusal.RESUMED


def test_a_member_that_left_is_refused_at_the_next_handshake() -> None:
    """Trust changes in the running process."""
    identity = TlsIdentity(ALPHA, BOTH, NOW)
    connect(identity.server_context, client_context(BETA, BOTH))
    identity.trust([ALPHA.public_key])
    with pytest.raises(ssl.SSLCertVerificationError):
        connect(identity.server_context, client_context(BETA, BOTH))


def test_a_leaf_is_renewed_when_it_is_old_enough_and_not_before() -> None:
    """A node runs for months; its leaf lives for weeks."""
    identity = TlsIdentity(ALPHA, BOTH, NOW)
    assert not identity.renew_if_due(NOW + LEAF_RENEWED_AFTER - datetime.timedelta(seconds=1))
    before = connect(identity.server_context, client_context(BETA, BOTH)).client.getpeercert(binary_form=True)
    assert identity.renew_if_due(NOW + LEAF_RENEWED_AFTER)
    # The renewed leaf is valid from a day before its issue, which this machine's clock has not reached.
    with pytest.raises(ssl.SSLCertVerificationError, match="not yet valid"):
        connect(identity.server_context, client_context(BETA, BOTH))
    identity = TlsIdentity(ALPHA, BOTH, NOW - LEAF_RENEWED_AFTER)
    assert identity.renew_if_due(NOW)
    after = connect(identity.server_context, client_context(BETA, BOTH)).client.getpeercert(binary_form=True)
    assert before != after


def test_a_leafs_key_leaves_no_file_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is handed to the library by a file in memory, closed at once."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    before = len(list(Path("/proc/self/fd").iterdir()))
    build_context(issue_leaf(ALPHA, NOW), BOTH, server_side=True)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert list(tmp_path.iterdir()) == []


def test_a_node_that_trusts_nobody_lets_nobody_in() -> None:
    """A network of one: nothing to load is not the same as the system's authorities."""
    with pytest.raises(ssl.SSLCertVerificationError):
        connect(server_context(ALPHA, []), client_context(BETA, BOTH))
