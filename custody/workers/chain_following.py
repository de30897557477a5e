"""Where the nodes' chain stands relative to the recorded one, and the blocks in between."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from custody.application.ports.chains import BlockHeader, ChainDataInvalid, NodesDisagree
from custody.domain.chain_view import Ask, BlockRef, ForkBelowWindow, Progress, Reorged, Same, compare
from custody.workers.chain_health import ChainHealth
from custody.workers.run_loop import Clock
from signers.statements.amounts import Asset
from signers.statements.identifiers import BlockHash

BlockAt = Callable[[int], Awaitable[BlockHeader]]
T = TypeVar("T")


async def judged(look: Awaitable[T | None], asset: Asset, *, health: ChainHealth, clock: Clock) -> T | None:
    """What a watcher finds to do, once it is said of the chain whether the nodes agree.

    Args:
        look: asks the nodes what is new; `None` where the ledger stands at their tip.
        asset: of which chain.
        health: who is told.
        clock: the time.

    Raises:
        NodesDisagree: they do, also with all that is recorded.
        ChainError: as the port.
    """
    try:
        found = await look
    except NodesDisagree as error:
        health.disagree(asset, str(error))
        raise
    except ForkBelowWindow as error:
        health.disagree(asset, str(error))
        raise NodesDisagree(subject=f"{asset} below the recorded window", answers=[str(error)]) from error
    if found is None:
        health.agree(asset, now=clock())
    return found


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
