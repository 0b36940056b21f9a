"""node/lineage/records: places on the ledger."""

import struct

import pytest

from consensus.types import Height
from node.lineage.records import REF_BYTES, EventRef, decode_ref


def test_place_on_the_ledger_comes_back_and_its_bytes_keep_the_order() -> None:
    """Block, transaction, event; big-endian."""
    refs = [EventRef(Height(1), 2, 3), EventRef(Height(1), 300, 0), EventRef(Height(256), 0, 0)]
    encoded = [ref.encode() for ref in refs]
    assert sorted(encoded) == encoded
    assert [decode_ref(one) for one in encoded] == sorted(refs)
    assert {len(one) for one in encoded} == {REF_BYTES}


@pytest.mark.parametrize("number", [-1, 1 << 16])
def test_place_outside_its_field_has_no_encoding(number: int) -> None:
    """A transaction has at most 65,536 events."""
    with pytest.raises(struct.error):
        EventRef(Height(1), 0, number).encode()
