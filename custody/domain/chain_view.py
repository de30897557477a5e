"""What changed on a chain since it was last recorded: pure, from the recorded blocks and the node's own.

Recorded blocks are a bounded window, newest last. A fork below the window cannot be told from another chain
and is an error, never a guess.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from signers.statements.identifiers import BlockHash

WINDOW_BLOCKS: Final = 288
"""How many recorded blocks are kept: twice the 144 (a day of Bitcoin) that anything here ever looks back."""


@dataclass(frozen=True, slots=True, order=True)
class BlockRef:
    """A block by height (number) and hash."""

    height: int
    block_hash: BlockHash


@dataclass(frozen=True, slots=True)
class Same:
    """The node's tip is the recorded one."""


@dataclass(frozen=True, slots=True)
class Progress:
    """The recorded tip is on the node's chain, which goes on after it."""

    base: BlockRef
    """The recorded tip."""


@dataclass(frozen=True, slots=True)
class Reorged:
    """The recorded tip is no longer on the node's chain."""

    ancestor: BlockRef
    """The newest recorded block that still is: everything above it is to be undone."""


@dataclass(frozen=True, slots=True)
class Ask:
    """More of the node's chain is needed to tell."""

    height: int
    """The node's hash at this height."""


ChainView = Same | Progress | Reorged | Ask


class ForkBelowWindow(Exception):  # noqa: N818 - it says what was found
    """No recorded block is on the node's chain: another chain, or a fork deeper than is kept."""


def compare(recorded: Sequence[BlockRef], node_tip: BlockRef, hashes: Mapping[int, BlockHash]) -> ChainView:
    """Where the node's chain stands relative to what is recorded.

    A node whose tip is lower but on the same branch (it restarted, or lags) is `Same`: a chain that only got
    shorter has not taken anything back until another branch replaces it.

    Args:
        recorded: recorded blocks in rising order, at least one.
        node_tip: the node's best block (ETH: its head).
        hashes: the node's hashes by height, as far as they were asked for. Ask again with what `Ask` names.

    Raises:
        ForkBelowWindow: none of `recorded` is on the node's chain.
    """
    tip = recorded[-1]
    for block in reversed(recorded):
        if block.height > node_tip.height:
            continue
        theirs = node_tip.block_hash if block.height == node_tip.height else hashes.get(block.height)
        if theirs is None:
            return Ask(block.height)
        if theirs == block.block_hash:
            return _on_chain(block, tip=tip, node_tip=node_tip)
    raise ForkBelowWindow(
        f"none of the {len(recorded)} recorded blocks up to {tip.height} is on the node's chain"
    )


def _on_chain(block: BlockRef, *, tip: BlockRef, node_tip: BlockRef) -> ChainView:
    if block == node_tip:
        return Same()
    return Progress(base=tip) if block == tip else Reorged(ancestor=block)
