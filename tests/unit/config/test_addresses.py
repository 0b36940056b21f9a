"""What counts as an address, and as one of this machine."""

import pytest

from node.config.addresses import Address, is_loopback, parse_address


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [("127.0.0.1:7000", "127.0.0.1", 7000), ("[::1]:0", "::1", 0), ("node.example:65535", "node.example", 65535)],
)
def test_an_address_is_read_and_written_alike(text: str, host: str, port: int) -> None:
    """IPv6 in brackets."""
    assert parse_address(text) == Address(host, port)
    assert str(parse_address(text)) == text


@pytest.mark.parametrize("text", ["", "host", ":7000", "host:", "host:x", "host:65536", "::1:7000", "a b:1", "host:¹"])
def test_what_is_no_address_is_refused(text: str) -> None:
    """ValueError, and nothing else."""
    with pytest.raises(ValueError, match=r"host:port|port|brackets"):
        parse_address(text)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("localhost.example", False),
    ],
)
def test_loopback_is_known_by_its_number_not_by_a_name(host: str, expected: bool) -> None:
    """A name may resolve to anything tomorrow."""
    assert is_loopback(Address(host, 1)) is expected
