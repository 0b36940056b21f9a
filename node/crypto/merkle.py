"""Merkle trees as RFC 9162 §2.1: leaf prefix 0x00, inner prefix 0x01, the left subtree a full power of two.

The prefixes keep a leaf from passing for an inner node. `Frontier` is the O(log n) right edge that lets a tree grow
by one leaf at a time and give its root.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from consensus.types import Digest

EMPTY_ROOT = Digest(hashlib.sha256(b"").digest())
"""The root of a tree without leaves (RFC 9162 §2.1.1)."""


def leaf_digest(leaf: bytes) -> Digest:
    """Return the digest of one leaf's bytes."""
    return Digest(hashlib.sha256(b"\x00" + leaf).digest())


def inner_digest(left: bytes, right: bytes) -> Digest:
    """Return the digest of an inner node."""
    return Digest(hashlib.sha256(b"\x01" + left + right).digest())


@dataclass(frozen=True, slots=True)
class Frontier:
    """The right edge of a growing tree: the roots of its full subtrees, largest first.

    size: leaves so far. edges: one root for each bit set in size, from the highest bit down.
    """

    size: int = 0
    edges: tuple[Digest, ...] = ()

    def append(self, leaf: bytes) -> "Frontier":
        """Return the frontier of the tree with one more leaf."""
        edges = list(self.edges)
        node = leaf_digest(leaf)
        size = self.size
        while size & 1:
            node = inner_digest(edges.pop(), node)
            size >>= 1
        edges.append(node)
        return Frontier(self.size + 1, tuple(edges))

    def root(self) -> Digest:
        """Return the root of the tree so far."""
        if not self.edges:
            return EMPTY_ROOT
        node = self.edges[-1]
        for edge in reversed(self.edges[:-1]):
            node = inner_digest(edge, node)
        return node


def merkle_root(leaves: Sequence[bytes]) -> Digest:
    """Return the root over the leaves' bytes, in order."""
    if not leaves:
        return EMPTY_ROOT
    level = [leaf_digest(leaf) for leaf in leaves]
    # Pairing neighbours and carrying an odd last node up gives the tree of RFC 9162 §2.1.1.
    while len(level) > 1:
        paired = [inner_digest(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
        if len(level) % 2:
            paired.append(level[-1])
        level = paired
    return level[0]


def inclusion_path(leaves: Sequence[bytes], index: int) -> tuple[Digest, ...]:
    """Return the siblings from the leaf at `index` up to the root (RFC 9162 §2.1.3.1).

    index: 0 … len(leaves) - 1; raises IndexError outside.
    """
    if not 0 <= index < len(leaves):
        raise IndexError(f"leaf {index} of {len(leaves)}")
    level = [leaf_digest(leaf) for leaf in leaves]
    path: list[Digest] = []
    while len(level) > 1:
        sibling = index ^ 1
        if sibling < len(level):
            path.append(level[sibling])
        paired = [inner_digest(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
        if len(level) % 2:
            paired.append(level[-1])
        level = paired
        index //= 2
    return tuple(path)


def verify_inclusion(leaf: bytes, *, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Return whether `path` proves the leaf at `index` of a tree of `size` leaves (RFC 9162 §2.1.3.2)."""
    if not 0 <= index < size:
        return False
    node = leaf_digest(leaf)
    first, last = index, size - 1
    for sibling in path:
        if last == 0:
            return False
        if first & 1 or first == last:
            node = inner_digest(sibling, node)
            while not first & 1 and first:
                first >>= 1
                last >>= 1
        else:
            node = inner_digest(node, sibling)
        first >>= 1
        last >>= 1
    return last == 0 and node == root
