"""The tables of names on a real store: jumps land where a sorted list says, whatever the signs."""

import random
from bisect import bisect_left
from pathlib import Path

import pytest

from consensus.types import Digest
from node.lineage.names import NameTable
from node.lineage.near import Looks, explain, fold_code, walk_near
from node.storage import keys
from node.storage.names import NameReader
from node.storage.store import create_store, open_store

SIGNS = "AB01OIL2ZS5éÄŻ中𝟘\U0010ffff"


@pytest.mark.parametrize("seed", range(5))
def test_jumps_land_where_a_sorted_list_says(tmp_path: Path, seed: int) -> None:
    """The order of bytes in the store is that of signs in Python, beyond the basic plane too; a walk finds the same."""
    chance = random.Random(seed)
    codes = sorted({"".join(chance.choices(SIGNS, k=chance.randint(1, 7))) for _ in range(300)})
    create_store(tmp_path / "store", Digest(bytes(32)))
    store = open_store(tmp_path / "store", Digest(bytes(32)), advice="none")
    rows = [(keys.code_key(code, f"urn:item:{number}:{code}"), b"") for code in codes for number in range(2)]
    # The neighbouring tables must not be reached.
    store.write([*rows, (keys.ITEM + b"zzz", b""), (keys.CODE_REVERSED + b"A\0x", b"")])
    try:
        with store.snapshot() as snapshot:
            reader = NameReader(snapshot)
            for _ in range(200):
                at = "".join(chance.choices(SIGNS, k=chance.randint(0, 7)))
                place = bisect_left(codes, at)
                wanted = codes[place] if place < len(codes) else None
                assert reader.next_name(NameTable.CODE, at) == wanted
            for code in chance.sample(codes, 20):
                assert reader.named(NameTable.CODE, code, limit=9) == tuple(f"urn:item:{n}:{code}" for n in range(2))
                assert reader.named(NameTable.CODE, code, limit=1) == (f"urn:item:0:{code}",)
                pattern = fold_code(code[1:] + chance.choice("AB0"))
                walked = walk_near(
                    lambda text: reader.next_name(NameTable.CODE, text), pattern, edits_max=2, looks=Looks(10**6)
                )
                near = [(explain(pattern, one)[0], one) for one in codes]
                assert list(walked) == [one for one in near if one[0] <= 2]
            reader.close()
    finally:
        store.close()


def test_words_are_found_only_whole_and_by_their_record(tmp_path: Path) -> None:
    """A word that begins another is not that other; an id is no item unless it is filed as one."""
    create_store(tmp_path / "store", Digest(bytes(32)))
    store = open_store(tmp_path / "store", Digest(bytes(32)), advice="none")
    store.write([(keys.word_key("RYE", "urn:a"), b""), (keys.word_key("RYEBREAD", "urn:b"), b"")])
    try:
        with store.snapshot() as snapshot:
            reader = NameReader(snapshot)
            assert reader.named(NameTable.WORD, "RYE", limit=9) == ("urn:a",)
            assert reader.named(NameTable.WORD, "RY", limit=9) == ()
            assert reader.named(NameTable.ID, "urn:a", limit=9) == ()
            reader.close()
    finally:
        store.close()
