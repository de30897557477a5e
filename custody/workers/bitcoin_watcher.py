"""Follow Bitcoin: find what moved at our scripts, bring the ledger to the nodes' tip.

One tick: the nodes' agreed tip → `chain_view` against the recorded window → the blocks above the common
ancestor, each matched against our scripts and coins → one delta → `deposits.apply`, which refuses it if the
tip moved meanwhile.
"""

from contextlib import suppress
from typing import Final

from custody.application import deposits
from custody.application.ports.chains import (
    BitcoinChain,
    BitcoinWatch,
    BlockHeader,
    TransactionActivity,
    outpoint_wire,
)
from custody.application.ports.store import Position, Snapshot, Store
from custody.domain.account import AccountState
from custody.domain.chain_view import BlockRef, Progress, Same
from custody.domain.deposit import BitcoinBlock, BitcoinDelta, BitcoinMovement, BitcoinOutput
from custody.domain.errors import TipMoved
from custody.workers.chain_following import chain_between, judged, view_of
from custody.workers.chain_health import ChainHealth
from custody.workers.run_loop import Clock
from signers.statements.amounts import Asset
from signers.statements.identifiers import AccountId

BLOCKS_PER_TICK: Final = 32
FIRST_WINDOW_BLOCKS: Final = 144
"""How far below the tip a new deployment starts: a reorganisation of a day still finds its ancestor."""


class BitcoinWatcher:
    """Brings the ledger to the nodes' Bitcoin tip.

    Args:
        store: the ledger.
        chain: what the nodes agree on.
        health: where it says whether they agree.
        clock: the time.
    """

    name = "bitcoin-watcher"

    def __init__(self, *, store: Store, chain: BitcoinChain, health: ChainHealth, clock: Clock) -> None:
        self._store = store
        self._chain = chain
        self._health = health
        self._clock = clock
        self._accounts: dict[bytes, AccountId] = {}
        self._seen_at: Position | None = None
        self._outpoints: set[bytes] | None = None

    async def tick(self) -> bool:
        """Apply the next blocks, at most `BLOCKS_PER_TICK`.

        Raises:
            ChainError: the nodes gave no usable answer.
        """
        delta = await judged(self._next_delta(), Asset.BTC, health=self._health, clock=self._clock)
        if delta is None:
            return False
        with suppress(TipMoved):
            await self._store.execute(lambda uow: deposits.apply(uow, delta, now=self._clock()))
        return True

    async def _next_delta(self) -> BitcoinDelta | None:
        tip = await self._chain.tip()
        recorded = await self._store.read(lambda snapshot: snapshot.blocks(Asset.BTC))
        if not recorded:
            first = max(0, tip.height - FIRST_WINDOW_BLOCKS + 1)
            headers = await chain_between(first, tip, self._chain.block_at, base=None)
            return await self._delta(None, None, headers)
        view = await view_of(recorded, tip, self._chain.block_at)
        if isinstance(view, Same):
            return None
        base = view.base if isinstance(view, Progress) else view.ancestor
        return await self._delta(recorded[-1], base, await self._headers_above(base, tip))

    async def _headers_above(self, base: BlockRef, tip: BlockHeader) -> tuple[BlockHeader, ...]:
        last = base.height + BLOCKS_PER_TICK
        top = tip if tip.height <= last else await self._chain.block_at(last)
        return await chain_between(base.height + 1, top, self._chain.block_at, base=base)

    async def _delta(
        self, expected: BlockRef | None, base: BlockRef | None, headers: tuple[BlockHeader, ...]
    ) -> BitcoinDelta:
        await self._refresh()
        blocks = [await self._block(header) for header in headers]
        return BitcoinDelta(expected_tip=expected, base=base, blocks=tuple(blocks))

    async def _block(self, header: BlockHeader) -> BitcoinBlock:
        parent = BlockRef(header.height - 1, header.parent)
        outpoints = self._outpoints if self._outpoints is not None else set()
        if not self._accounts:
            return BitcoinBlock(block=header.ref, parent=parent)
        watch = BitcoinWatch(scripts=self._accounts.keys(), outpoints=outpoints)
        activity = await self._chain.activity(header, watch)
        # A coin that arrives here can be spent in the next block. Those of a branch that loses stay listed:
        # the use case ignores outpoints that are no coin of ours.
        for transaction in activity.transactions:
            outpoints.update(outpoint_wire(arrival.outpoint) for arrival in transaction.arrivals)
        movements = tuple(self._movement(transaction) for transaction in activity.transactions)
        return BitcoinBlock(block=header.ref, parent=parent, movements=movements)

    def _movement(self, transaction: TransactionActivity) -> BitcoinMovement:
        return BitcoinMovement(
            txid=transaction.txid,
            spends=transaction.spends,
            outputs=tuple(
                BitcoinOutput(
                    index=arrival.outpoint.index,
                    account=self._accounts[arrival.script.raw],
                    amount=arrival.amount,
                )
                for arrival in transaction.arrivals
            ),
        )

    async def _refresh(self) -> None:
        """Read scripts (and, once, coins) again if anything was committed since."""
        position = self._store.projection.position
        if self._seen_at == position and self._outpoints is not None:
            return
        everything = self._outpoints is None
        accounts, outpoints = await self._store.read(lambda snapshot: _watched(snapshot, coins=everything))
        self._accounts = accounts
        if everything:
            self._outpoints = outpoints
        self._seen_at = position


def _watched(snapshot: Snapshot, *, coins: bool) -> tuple[dict[bytes, AccountId], set[bytes]]:
    """Our scripts, and every outpoint a new block (or one of another branch) could spend.

    The parties hold an account's script from its statement on, and may pay there before it is active.
    """
    known = snapshot.accounts_in(set(AccountState))
    accounts = {each.script_pubkey.raw: each.account for each in known if each.script_pubkey is not None}
    outpoints: set[bytes] = set()
    if coins:
        blocks = snapshot.blocks(Asset.BTC)
        for account in accounts.values():
            outpoints.update(outpoint_wire(coin.outpoint) for coin in snapshot.coins(account))
        recent = snapshot.coins_above(blocks[0].height - 1) if blocks else ()
        outpoints.update(outpoint_wire(coin.outpoint) for coin in recent)
    return accounts, outpoints
