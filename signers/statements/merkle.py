"""Merkle trees in the manner of RFC 6962, section 2.1.

Leaves and inner nodes are hashed under different prefixes (0x00, 0x01), so neither passes for the other, and
no node is ever duplicated to make a level even.
"""

import hashlib
from collections.abc import Sequence

from signers.statements.identifiers import Digest

LEAVES_MAX = 2**24


def leaf_hash(leaf: bytes) -> bytes:
    """SHA-256 of 0x00 ‖ leaf."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


class MerkleTree:
    """A tree over leaves in a fixed order, with a path for each.

    Args:
        leaves: their bytes; at least one, at most `LEAVES_MAX`.
    """

    def __init__(self, leaves: Sequence[bytes]) -> None:
        if not 0 < len(leaves) <= LEAVES_MAX:
            raise ValueError(f"a tree has 1..{LEAVES_MAX} leaves, not {len(leaves)}")
        self.size = len(leaves)
        # Level by level: an odd last node moves up unchanged, which yields RFC 6962's tree.
        self._levels = [[leaf_hash(leaf) for leaf in leaves]]
        while len(level := self._levels[-1]) > 1:
            paired = [_node(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
            self._levels.append(paired + level[len(paired) * 2 :])

    @property
    def root(self) -> Digest:
        """The tree's head."""
        return Digest(self._levels[-1][0].hex())

    def path(self, index: int) -> tuple[Digest, ...]:
        """The siblings from leaf to root.

        Raises:
            IndexError: there is no such leaf.
        """
        if not 0 <= index < self.size:
            raise IndexError(f"leaf {index} of {self.size}")
        siblings = []
        for level in self._levels[:-1]:
            if index ^ 1 < len(level):
                siblings.append(Digest(level[index ^ 1].hex()))
            index //= 2
        return tuple(siblings)


def includes(*, root: Digest, size: int, index: int, leaf: bytes, path: Sequence[Digest]) -> bool:
    """Whether `leaf` stands at `index` of the tree of `size` leaves under `root` (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size <= LEAVES_MAX:
        return False
    node, last, remaining = leaf_hash(leaf), size - 1, list(path)
    while last:
        if index ^ 1 <= last:
            if not remaining:
                return False
            sibling = remaining.pop(0).raw
            node = _node(sibling, node) if index & 1 else _node(node, sibling)
        index, last = index // 2, last // 2
    return not remaining and node.hex() == root
