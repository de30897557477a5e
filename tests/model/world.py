"""What the machine acts on: a whole custody whose process can end, its signers, and two chains to fork."""

import functools
from dataclasses import replace
from pathlib import Path
from typing import Final

from custody.adapters.sqlite.store import SqliteStore
from custody.domain.account import PledgeAccount
from custody.workers.expiry import Expiry
from custody.workers.reconciler import Reconciler
from signers.statements.amounts import Amount, Asset, amount_of
from tests.factories import World, build_world
from tests.unit.custody.scenario import Custody
from tests.unit.custody.workers.memory_store import MemoryStore
from tests.unit.custody.workers.stage import Kill, Killed, Stage

CONFIRMATIONS: Final = 6
FINALITY: Final = 12
"""Of Bitcoin: less than `DEPTH_MAX`, so that a fork can undo what has settled."""
DEPTH_MAX: Final = 20
FINAL_BEHIND: Final = 2
"""How many blocks Ethereum's finalised one is behind its head."""
UNIT: Final = {Asset.BTC: 1, Asset.ETH: 10**12}
"""What one unit of the rules is, so that both assets take the same numbers."""


def _world() -> World:
    depths = tuple(
        replace(each, confirmations=CONFIRMATIONS, finality_depth=FINALITY)
        if each.asset is Asset.BTC
        else each
        for each in build_world().policy.assets
    )
    return build_world(policy_changes={"assets": depths})


WORLD: Final = _world()


def some(asset: Asset, units: int) -> Amount:
    """So many of the rules' units."""
    return amount_of(asset, units * UNIT[asset])


@functools.cache
def _onboarded() -> Custody:
    """An active account with usable destinations, from which every example starts."""
    return Stage(Custody(WORLD)).custody


class House(Stage):
    """Real use cases, SQL, watchers, driver and sweeper over one database file.

    Args:
        folder: where the file is.
    """

    def __init__(self, folder: Path) -> None:
        begun, database = _onboarded(), folder / "custody.db"
        database.write_bytes(begun.connection.serialize())
        self.database = database
        custody = Custody(WORLD, database=database)
        custody.now, custody.requests = begun.now, begun.requests
        super().__init__(custody, active=False)
        self.ethereum.final_behind = FINAL_BEHIND

    async def settle_in(self) -> None:
        """Enough blocks on record that a fork of the greatest depth stays above the first of them."""
        await self.watch()
        self.bitcoin.mine(DEPTH_MAX + 2)
        self.ethereum.mine(DEPTH_MAX + 2)
        await self.watch()

    def start(self, kill: Kill | None = None) -> None:
        """Workers of a new process over what is on record."""
        super().start(kill)
        self.expiry = Expiry(store=self.store, clock=self.clock)
        self.reconciler = Reconciler(
            store=self.store,
            bitcoin=self.bitcoin,
            ethereum=self.ethereum,
            clock=self.clock,
            interval_seconds=0,
        )

    def restart(self) -> None:
        """The process ends; another one has the file and nothing else."""
        self.custody.connection.close()
        self.custody.open()
        self.store = MemoryStore(self.custody)
        self.start()

    async def start_the_real_store(self) -> PledgeAccount | None:
        """What the store of the product has of the account once it has opened the file."""
        self.custody.connection.close()
        store = await SqliteStore.open(self.database)
        known = store.projection.account(self.custody.account_id)
        assert await store.read(lambda snapshot: snapshot.account(self.custody.account_id)) == known
        await store.close()
        self.restart()
        return known

    async def work_until_killed(self, at: int) -> bool:
        """Watch and drive with a process that dies at its port call `at`. Whether it did."""
        self.start(Kill(at=at))
        try:
            await self.watch()
            await self.drive(ticks=6)
        except Killed:
            self.restart()
            return True
        self.start()
        return False
