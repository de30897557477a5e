"""Where the nodes' chain stands relative to the recorded one, and the blocks in between."""

from collections.abc import Awaitable, Callable, Sequence

from custody.application.ports.chains import BlockHeader, ChainDataInvalid
from custody.domain.chain_view import Ask, BlockRef, Progress, Reorged, Same, compare
from signers.statements.identifiers import BlockHash

BlockAt = Callable[[int], Awaitable[BlockHeader]]


async def view_of(
    recorded: Sequence[BlockRef], tip: BlockHeader, block_at: BlockAt
) -> Same | Progress | Reorged:
    """`chain_view.compare`, with the nodes asked for each height it needs.

    Args:
        recorded: the recorded window, at least one block.
        tip: the nodes' highest block.
        block_at: asks the nodes for a height.

    Raises:
        ForkBelowWindow: as `compare`.
        ChainError: as the port.
    """
    hashes: dict[int, BlockHash] = {}
    while True:
        view = compare(recorded, tip.ref, hashes)
        if not isinstance(view, Ask):
            return view
        hashes[view.height] = (await block_at(view.height)).block_hash


async def chain_between(
    first: int, last: BlockHeader, block_at: BlockAt, *, base: BlockRef | None
) -> tuple[BlockHeader, ...]:
    """The headers from height `first` up to `last`, each the parent of the next.

    Args:
        first: the lowest height wanted.
        last: the highest block.
        block_at: asks the nodes for a height.
        base: the block that the first one must stand on; `None` where nothing is recorded.

    Raises:
        ChainDataInvalid: they do not connect: the chain changed meanwhile. Start over.
        ChainError: as the port.
    """
    blocks = [await block_at(height) for height in range(first, last.height)] + [last]
    parent = base.block_hash if base is not None else blocks[0].parent
    for block in blocks:
        if block.parent != parent:
            raise ChainDataInvalid(f"{block.block_hash} does not stand on {parent}: the chain moved")
        parent = block.block_hash
    return tuple(blocks)
