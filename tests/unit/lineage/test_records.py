"""node/lineage/records: places on the ledger."""

import struct

import pytest

from consensus.types import Height
from node.lineage.records import REF_BYTES, EventRef


def test_bytes_of_a_place_on_the_ledger_keep_the_order() -> None:
    """Block, transaction, event; big-endian."""
    refs = [EventRef(Height(1), 2, 3), EventRef(Height(1), 300, 0), EventRef(Height(256), 0, 0)]
    encoded = [ref.encode() for ref in refs]
    assert sorted(encoded) == encoded
    assert len(set(encoded)) == len(refs)
    assert refs == sorted(refs)
    assert {len(one) for one in encoded} == {REF_BYTES}


@pytest.mark.parametrize("number", [-1, 1 << 16])
def test_place_outside_its_field_has_no_encoding(number: int) -> None:
    """A transaction has at most 65,536 events."""
    with pytest.raises(struct.error):
        EventRef(Height(1), 0, number).encode()
