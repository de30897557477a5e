"""What the chains do to the ledger: one delta, one transaction, the tip last.

`apply` undoes the blocks that left the chain (newest first), adds the new ones, credits what is deep enough,
and settles what is final. It either happens whole or not at all, and a delta computed from a tip that has
moved meanwhile is refused: the watcher starts over.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from custody.application import bitcoin_deltas, ethereum_deltas
from custody.application.ports.store import Snapshot, UnitOfWork
from custody.application.reversal import undo_above
from custody.domain.chain_view import BlockRef
from custody.domain.deposit import BitcoinBlock, BitcoinDelta, ChainDelta, EthereumBlock
from custody.domain.errors import FieldInvalid, TipMoved
from signers.statements.amounts import Asset
from signers.statements.identifiers import Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What a delta did."""

    tip: BlockRef | None
    finalised: BlockRef | None
    """Ethereum only."""
    undone: int
    """Recorded blocks that left the chain."""
    added: int


def recorded(snapshot: Snapshot, asset: Asset) -> Sequence[BlockRef]:
    """The recorded window of a chain in rising order, for `chain_view.compare`; the last is the tip."""
    return snapshot.blocks(asset)


def apply(uow: UnitOfWork, delta: ChainDelta, *, now: Seconds) -> Applied:
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
    undone = 0
    if delta.base is not None and delta.base != tip:
        undone = sum(block.height > delta.base.height for block in blocks)
        undo_above(uow, asset, delta.base, now=now)
    if isinstance(delta, BitcoinDelta):
        bitcoin_deltas.add(uow, delta.blocks, now=now)
    else:
        ethereum_deltas.add(uow, delta, now=now)
    return Applied(
        tip=uow.tip(asset),
        finalised=uow.finalised() if asset is Asset.ETH else None,
        undone=undone,
        added=len(delta.blocks),
    )


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
