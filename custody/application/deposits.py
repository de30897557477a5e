"""What the chains do to the ledger: one delta, one transaction, the tip last.

`apply` undoes the blocks that left the chain (newest first), adds the new ones, credits what is deep enough,
and settles what is final. It either happens whole or not at all, and a delta computed from a tip that has
moved meanwhile is refused: the watcher starts over.
"""

from collections.abc import Sequence

from custody.application import bitcoin_deltas, ethereum_deltas
from custody.application.ports.store import UnitOfWork
from custody.application.reversal import undo_above
from custody.domain.chain_view import BlockRef
from custody.domain.deposit import BitcoinBlock, BitcoinDelta, ChainDelta, EthereumBlock
from custody.domain.errors import FieldInvalid, TipMoved
from signers.statements.amounts import Asset
from signers.statements.identifiers import Seconds


def apply(uow: UnitOfWork, delta: ChainDelta, *, now: Seconds) -> None:
    """Bring the ledger from the recorded tip to the delta's.

    Raises:
        TipMoved: the delta starts from another tip than the recorded one.
        FieldInvalid: its blocks do not connect, or its base is not recorded.
    """
    asset = Asset.BTC if isinstance(delta, BitcoinDelta) else Asset.ETH
    blocks = uow.blocks(asset)
    tip = blocks[-1] if blocks else None
    if delta.expected_tip != tip:
        raise TipMoved(f"computed from {delta.expected_tip}, recorded is {tip}")
    _require_connected(delta, blocks)
    if delta.base is not None and delta.base != tip:
        undo_above(uow, asset, delta.base, now=now)
    if isinstance(delta, BitcoinDelta):
        bitcoin_deltas.add(uow, delta.blocks, now=now)
    else:
        ethereum_deltas.add(uow, delta, now=now)


def _require_connected(delta: ChainDelta, recorded_blocks: Sequence[BlockRef]) -> None:
    """Each block follows the one before, the first one the base, and the base is recorded."""
    if delta.base is None:
        if recorded_blocks:
            raise FieldInvalid("a chain on record has a base", field="base")
    elif delta.base not in recorded_blocks:
        raise FieldInvalid(f"{delta.base} is not recorded", field="base")
    previous = delta.base
    for block in delta.blocks:
        _require_follows(block, previous)
        previous = block.block


def _require_follows(block: BitcoinBlock | EthereumBlock, previous: BlockRef | None) -> None:
    parent = block.parent
    if previous is None:
        return
    follows = parent == previous
    # While catching up, an Ethereum block stands for the whole range since the one before.
    skips = isinstance(block, EthereumBlock) and parent.height > previous.height
    if not (follows or skips) or block.block.height != parent.height + 1:
        raise FieldInvalid(f"{block.block} does not follow {previous}", field="blocks")
