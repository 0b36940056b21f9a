"""Strangers cannot use up our sockets."""

from node.p2p.admission import Admission
from node.p2p.limits import Limits


def test_one_source_has_a_share_and_all_have_a_total() -> None:
    """Before the first frame, a source is all that is known of a connection."""
    admission = Admission(Limits(pending_total=3, pending_per_source=2))
    assert [admission.admit("a") for _ in range(3)] == [True, True, False]
    assert admission.admit("b")
    assert not admission.admit("c"), "the total is used up"


def test_a_place_is_given_back() -> None:
    """Who said who it is, or left, no longer counts; a refused one never did."""
    admission = Admission(Limits(pending_total=1, pending_per_source=1))
    for _ in range(3):
        assert admission.admit("a")
        assert not admission.admit("a")
        admission.release("a")


def test_the_addresses_of_one_ipv6_site_share_their_places() -> None:
    """Whoever has one has 2^64 of them, so that a place each would be all places."""
    admission = Admission(Limits(pending_total=8, pending_per_source=2))
    assert admission.admit("2001:db8:1:2::1")
    assert admission.admit("2001:db8:1:2:ffff::1")
    assert not admission.admit("2001:db8:1:2::3")
    assert admission.admit("2001:db8:1:3::1"), "another site"
    admission.release("2001:db8:1:2::1")
    assert admission.admit("2001:db8:1:2::3")


def test_an_ipv4_address_is_one_origin_however_it_is_written() -> None:
    """A socket for both families names an IPv4 peer in its IPv6 form; a link-local one with its interface."""
    admission = Admission(Limits(pending_total=8, pending_per_source=1))
    assert admission.admit("192.0.2.1")
    assert not admission.admit("::ffff:192.0.2.1")
    assert admission.admit("::ffff:192.0.2.2")
    assert admission.admit("fe80::1%eth0")
    assert not admission.admit("fe80::2%eth0")
