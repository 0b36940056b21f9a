"""The header's encoding and digests."""

import dataclasses

import pytest

from consensus.messages import BLOCK_DOMAIN, CUT_DOMAIN, HEADER_BYTES, decode_header, payload_digest
from tests.support.core_builders import build_block, build_digest


def test_a_header_survives_its_encoding() -> None:
    """One layout, one length."""
    header = build_block(7, executed_height=0).header
    assert len(header.encode()) == HEADER_BYTES
    assert decode_header(header.encode()) == header


def test_every_field_changes_the_digest() -> None:
    """A field outside the digest could differ between two nodes that agree."""
    header = build_block(7).header
    for field in dataclasses.fields(header):
        value = getattr(header, field.name)
        other = build_digest("other") if isinstance(value, bytes) else value + 1
        changes: dict[str, object] = {field.name: other}
        assert dataclasses.replace(header, **changes).digest() != header.digest(), field.name  # type: ignore[arg-type] # any field


@pytest.mark.parametrize("encoded", [b"", bytes(HEADER_BYTES - 1), bytes(HEADER_BYTES + 1), bytes(HEADER_BYTES)])
def test_a_wrong_length_or_version_is_refused(encoded: bytes) -> None:
    """Only ValueError leaves the decoder."""
    with pytest.raises(ValueError, match="header"):
        decode_header(encoded)


def test_domains_are_sixteen_bytes_and_distinct() -> None:
    """Else one kind of thing could pass for another."""
    assert len(BLOCK_DOMAIN) == len(CUT_DOMAIN) == 16
    assert payload_digest(b"a") != payload_digest(b"b")
