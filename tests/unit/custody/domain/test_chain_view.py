"""Same, progress, reorganised: told from hashes alone."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custody.domain.chain_view import (
    Ask,
    BlockRef,
    ChainView,
    ForkBelowWindow,
    Progress,
    Reorged,
    Same,
    compare,
)
from signers.statements.identifiers import BlockHash


def chain(length: int, *, fork_at: int | None = None, start: int = 100) -> list[BlockRef]:
    """Blocks from `start`; from `fork_at` on another branch's."""
    return [
        BlockRef(
            height,
            BlockHash(
                hashlib.sha256(f"{height} {fork_at is not None and height >= fork_at}".encode()).hexdigest()
            ),
        )
        for height in range(start, start + length)
    ]


def view(recorded: list[BlockRef], node: list[BlockRef]) -> ChainView:
    """Answer what is asked until the view stands."""
    by_height = {block.height: block.block_hash for block in node}
    known: dict[int, BlockHash] = {}
    for _ in range(len(recorded) + 1):
        found = compare(recorded, node[-1], known)
        if not isinstance(found, Ask):
            return found
        known[found.height] = by_height[found.height]
    raise AssertionError("asked for more than is recorded")


def test_the_same_tip() -> None:
    assert view(chain(5), chain(5)) == Same()


def test_more_blocks_on_the_same_branch() -> None:
    assert view(chain(5), chain(9)) == Progress(base=chain(5)[-1])


def test_a_node_that_lags_takes_nothing_back() -> None:
    assert view(chain(9), chain(5)) == Same()


def test_another_branch_of_the_same_height() -> None:
    assert view(chain(5), chain(5, fork_at=103)) == Reorged(ancestor=chain(3)[-1])


def test_another_branch_that_is_shorter() -> None:
    assert view(chain(9), chain(5, fork_at=103)) == Reorged(ancestor=chain(3)[-1])


def test_a_fork_below_the_window_is_never_guessed() -> None:
    recorded = chain(9)[5:]
    with pytest.raises(ForkBelowWindow):
        view(recorded, chain(9, fork_at=101))


def test_a_node_below_the_window_is_never_guessed() -> None:
    with pytest.raises(ForkBelowWindow):
        view(chain(9)[5:], chain(3))


@given(length=st.integers(1, 30), longer=st.integers(1, 30), depth=st.integers(1, 29))
def test_the_ancestor_is_the_newest_common_block(length: int, longer: int, depth: int) -> None:
    fork_at = 100 + length - min(depth, length - 1)
    recorded, node = chain(length), chain(length + longer, fork_at=fork_at)
    common = [block for block in recorded if block in node]
    expected = Progress(base=recorded[-1]) if fork_at >= 100 + length else Reorged(ancestor=common[-1])
    assert view(recorded, node) == expected
