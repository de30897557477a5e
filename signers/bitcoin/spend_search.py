"""Find the block that spends an outpoint, on a node that keeps no index of spends.

Forward from a block after which the spend must lie, a bounded number of blocks each time, along a chain that
is checked link by link. What is known afterwards is either the spending block, or a later block up to which
there is no spend: the next search starts there.
"""

import hashlib
from dataclasses import dataclass
from typing import Protocol

from bitcoin.core import CBlock, COutPoint
from bitcoin.core.serialize import SerializationError

from signers.bitcoin.coins import Outpoint
from signers.statements.identifiers import BlockHash

_HEADER_BYTES = 80


class ChainMoved(Exception):  # noqa: N818 - it says what happened
    """The blocks asked for no longer follow each other: the node has reorganised. Start over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One block of the chain."""

    height: int
    block_hash: BlockHash


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """No spend up to and including this block."""

    upto: Block


@dataclass(frozen=True, slots=True, kw_only=True)
class Spend:
    """The outpoint is spent in this block."""

    block: Block


class Blocks(Protocol):
    """Where blocks come from."""

    def block_at(self, height: int) -> BlockHash:
        """The block of the best chain at a height."""

    def raw_block(self, block_hash: BlockHash) -> bytes:
        """The serialised block."""


def search(
    blocks: Blocks, outpoint: Outpoint, *, after: Block, until_height: int, blocks_max: int
) -> Searched | Spend:
    """Look for the spend in at most `blocks_max` blocks after `after`, and in none above `until_height`.

    Raises:
        ChainMoved: the next block does not stand on the one before, or is not the one asked for.
    """
    last = min(until_height, after.height + blocks_max)
    for height in range(after.height + 1, last + 1):
        block_hash = blocks.block_at(height)
        raw = blocks.raw_block(block_hash)
        _require_linked(raw, block_hash, previous=after.block_hash)
        block = Block(height=height, block_hash=block_hash)
        if _spends(raw, outpoint):
            return Spend(block=block)
        after = block
    return Searched(upto=after)


def _require_linked(raw: bytes, block_hash: BlockHash, *, previous: BlockHash) -> None:
    header = raw[:_HEADER_BYTES]
    actual = hashlib.sha256(hashlib.sha256(header).digest()).digest()[::-1].hex()
    if actual != block_hash or header[4:36][::-1].hex() != previous:
        raise ChainMoved(f"{block_hash} does not follow {previous}")


def _spends(raw: bytes, outpoint: Outpoint) -> bool:
    """Whether an input of the block spends the outpoint.

    Nearly every block is settled by a search of its bytes, in a millisecond; only one that has the 36 bytes
    somewhere is parsed, because they might stand in a script.
    """
    wanted = COutPoint(outpoint.txid.raw[::-1], outpoint.index)
    if wanted.serialize() not in raw:
        return False
    try:
        block = CBlock.deserialize(raw)
    except SerializationError as error:
        raise ChainMoved(f"not a block: {error}") from error
    return any(txin.prevout == wanted for transaction in block.vtx for txin in transaction.vin)
