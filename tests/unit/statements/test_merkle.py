"""Inclusion: everything that stands in a tree is shown to, and nothing else is."""

import hashlib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signers.statements.identifiers import Digest
from signers.statements.merkle import LEAVES_MAX, MerkleTree, includes, leaf_hash
from tests.unit.statements.examples import examples

SIZE_MAX = 33

# The leaves and tree heads of the Certificate Transparency reference implementation
# (google/certificate-transparency, merkle_tree_test.cc), for sizes 1 to 8.
CT_LEAVES = [
    bytes.fromhex(leaf)
    for leaf in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
CT_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def head(leaves: Sequence[bytes]) -> bytes:
    """MTH of RFC 9162, section 2.1.1, as it is written there."""
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    k = split(len(leaves))
    return hashlib.sha256(b"\x01" + head(leaves[:k]) + head(leaves[k:])).digest()


def audit_path(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    """PATH of RFC 9162, section 2.1.3.1, as it is written there."""
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if index < k:
        return [*audit_path(index, leaves[:k]), head(leaves[k:])]
    return [*audit_path(index - k, leaves[k:]), head(leaves[:k])]


def split(count: int) -> int:
    """The largest power of two below `count`."""
    return 1 << (count - 1).bit_length() - 1


def numbered(count: int) -> list[bytes]:
    return [b"leaf %d" % index for index in range(count)]


@pytest.mark.parametrize("size", range(1, 9))
def test_reference_vectors(size: int) -> None:
    assert MerkleTree(CT_LEAVES[:size]).root == CT_ROOTS[size - 1]


@pytest.mark.parametrize("size", range(1, SIZE_MAX))
def test_root_and_paths_are_those_of_the_rfc(size: int) -> None:
    leaves = numbered(size)
    tree = MerkleTree(leaves)
    assert tree.root == head(leaves).hex()
    for index, leaf in enumerate(leaves):
        path = tree.path(index)
        assert [digest.raw for digest in path] == audit_path(index, leaves)
        assert includes(root=tree.root, size=size, index=index, leaf=leaf, path=path)


@pytest.mark.parametrize("size", range(1, SIZE_MAX))
def test_a_path_shows_its_own_leaf_at_its_own_index_alone(size: int) -> None:
    leaves = numbered(size)
    tree = MerkleTree(leaves)
    for index in range(size):
        path = tree.path(index)
        for other in range(-1, size + 1):
            if other != index:
                leaf = leaves[index]
                assert not includes(root=tree.root, size=size, index=other, leaf=leaf, path=path)
                if 0 <= other < size:
                    leaf = leaves[other]
                    assert not includes(root=tree.root, size=size, index=index, leaf=leaf, path=path)
                    assert not includes(root=tree.root, size=size, index=other, leaf=leaf, path=path)


@pytest.mark.parametrize("size", range(1, 12))
def test_a_changed_path_shows_nothing(size: int) -> None:
    leaves, wrong = numbered(size), Digest("ab" * 32)
    tree = MerkleTree(leaves)
    for index, leaf in enumerate(leaves):
        path = tree.path(index)
        changed = [path[:-1], path[1:]] if path else []
        changed += [(*path, wrong), (wrong, *path), (*path, tree.root)]
        changed += [(*path[:at], wrong, *path[at + 1 :]) for at in range(len(path))]
        changed += [tuple(reversed(path))] if len(path) > 1 else []
        for other in changed:
            assert not includes(root=tree.root, size=size, index=index, leaf=leaf, path=other)


@pytest.mark.parametrize("size", range(1, 20))
def test_a_tree_of_another_size_is_not_shown_by_the_last_path(size: int) -> None:
    # Where index and path length tell two sizes apart. RFC 9162 leaves the rest to the signed size.
    leaves = numbered(size)
    tree = MerkleTree(leaves)
    for index, leaf in enumerate(leaves):
        path = tree.path(index)
        for other in (index, 0, -1, LEAVES_MAX + 1):
            if other <= index:
                assert not includes(root=tree.root, size=other, index=index, leaf=leaf, path=path)
        for other in range(index + 1, 2 * size + 2):
            expected = len(audit_path(index, numbered(other)))
            if expected != len(path):
                assert not includes(root=tree.root, size=other, index=index, leaf=leaf, path=path)


def test_a_node_is_no_leaf_and_a_leaf_is_no_node() -> None:
    leaves = numbered(4)
    tree = MerkleTree(leaves)
    left = tree.path(2)[1]
    # The two hashes below an inner node, offered as the bytes of a leaf one level up.
    children = leaf_hash(leaves[0]) + leaf_hash(leaves[1])
    right = tree.path(0)[1]
    assert hashlib.sha256(b"\x01" + children).hexdigest() == left
    assert not includes(root=tree.root, size=2, index=0, leaf=children, path=(right,))
    assert MerkleTree([children, b"x"]).root != MerkleTree([leaves[0], leaves[1], b"x"]).root
    # A root offered as a leaf.
    assert not includes(root=tree.root, size=1, index=0, leaf=tree.root.raw, path=())


def test_an_odd_leaf_is_never_doubled() -> None:
    # CVE-2012-2459: where the last node is paired with itself, two lists of leaves share a root.
    assert MerkleTree(numbered(3)).root != MerkleTree([*numbered(3), numbered(3)[2]]).root


@pytest.mark.parametrize("index", [-1, 3, 4])
def test_there_is_no_path_of_no_leaf(index: int) -> None:
    with pytest.raises(IndexError):
        MerkleTree(numbered(3)).path(index)


def test_a_tree_has_a_leaf() -> None:
    with pytest.raises(ValueError, match="leaves, not 0"):
        MerkleTree([])


def test_a_tree_has_a_bound() -> None:
    class Endless(list[bytes]):
        def __len__(self) -> int:
            return LEAVES_MAX + 1

    with pytest.raises(ValueError, match="leaves, not"):
        MerkleTree(Endless())


@pytest.mark.parametrize(("size", "levels", "shown"), [(LEAVES_MAX, 24, True), (LEAVES_MAX + 1, 25, False)])
def test_a_path_is_of_a_tree_within_the_bound(size: int, levels: int, shown: bool) -> None:
    path = [Digest(f"{level:064x}") for level in range(levels)]
    node = leaf_hash(b"first")
    for sibling in path:
        node = hashlib.sha256(b"\x01" + node + sibling.raw).digest()
    assert includes(root=Digest(node.hex()), size=size, index=0, leaf=b"first", path=path) is shown


@given(leaves=st.lists(st.binary(max_size=40), min_size=1, max_size=60), data=st.data())
@examples(100)
def test_only_what_was_put_in_is_found(leaves: list[bytes], data: st.DataObject) -> None:
    tree = MerkleTree(leaves)
    index = data.draw(st.integers(0, len(leaves) - 1))
    leaf = data.draw(st.sampled_from(leaves) | st.binary(max_size=40))
    shown = includes(root=tree.root, size=tree.size, index=index, leaf=leaf, path=tree.path(index))
    assert shown is (leaf == leaves[index])
