"""node.crypto.merkle."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus.types import Digest
from node.crypto.merkle import EMPTY_ROOT, Frontier, inclusion_path, leaf_digest, merkle_root, verify_inclusion


def test_the_root_of_nothing_is_the_digest_of_nothing() -> None:
    """RFC 9162 §2.1.1."""
    assert merkle_root([]) == EMPTY_ROOT
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_known_roots_come_out() -> None:
    """Roots that other implementations of RFC 6962 publish for the same first leaves."""
    assert merkle_root([b""]).hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert merkle_root([b"", b"\x00"]).hex() == "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"
    three = merkle_root([b"", b"\x00", b"\x10"])
    assert three.hex() == "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"


def test_a_leaf_does_not_pass_for_an_inner_node() -> None:
    """The prefixes: a tree of two leaves and a leaf made of their digests differ."""
    pair = merkle_root([b"a", b"b"])
    assert merkle_root([leaf_digest(b"a") + leaf_digest(b"b")]) != pair


@given(st.lists(st.binary(max_size=8), max_size=40))
def test_a_growing_frontier_has_the_root_of_the_whole(leaves: list[bytes]) -> None:
    """Appending one by one gives the root over all."""
    frontier = Frontier()
    for number, leaf in enumerate(leaves):
        assert frontier.root() == merkle_root(leaves[:number])
        frontier = frontier.append(leaf)
    assert frontier.size == len(leaves)
    assert frontier.root() == merkle_root(leaves)


@given(st.lists(st.binary(max_size=8), min_size=1, max_size=40), st.data())
def test_every_leaf_is_proven_and_no_other(leaves: list[bytes], data: st.DataObject) -> None:
    """A path proves its leaf at its place in its tree, and nothing else."""
    index = data.draw(st.integers(0, len(leaves) - 1))
    path = inclusion_path(leaves, index)
    root = merkle_root(leaves)
    size = len(leaves)
    assert verify_inclusion(leaves[index], index=index, size=size, path=path, root=root)
    assert not verify_inclusion(leaves[index] + b"x", index=index, size=size, path=path, root=root)
    assert not verify_inclusion(leaves[index], index=index, size=size, path=(*path, EMPTY_ROOT), root=root)
    assert not verify_inclusion(leaves[index], index=index, size=size, path=path, root=EMPTY_ROOT)
    assert not verify_inclusion(leaves[index], index=size, size=size, path=path, root=root)
    assert not verify_inclusion(leaves[index], index=-1, size=size, path=path, root=root)
    for place, sibling in enumerate(path):
        bent = (*path[:place], Digest(bytes((sibling[0] ^ 1, *sibling[1:]))), *path[place + 1 :])
        assert not verify_inclusion(leaves[index], index=index, size=size, path=bent, root=root)


def test_a_path_of_a_leaf_that_is_not_there_is_refused() -> None:
    """Raises IndexError outside the tree."""
    with pytest.raises(IndexError, match="leaf 1 of 1"):
        inclusion_path([b"a"], 1)
