"""End what has run out: reservations whose time has come, withdrawals nobody signed in time."""

from typing import Final

from custody.application import liens, withdrawals
from custody.application.ports.store import Store
from custody.workers.run_loop import Clock

LIENS_PER_TICK: Final = 64


class Expiry:
    """Frees what lapsed reservations and intents held.

    Args:
        store: the ledger.
        clock: the time.
    """

    name = "expiry"

    def __init__(self, *, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def tick(self) -> bool:
        """End a bounded number; whether there may be more.

        Raises:
            StoreUnavailable: the store has stopped.
        """
        now = self._clock()
        ended = await self._store.execute(lambda uow: liens.expire_due(uow, now=now, limit=LIENS_PER_TICK))
        await self._store.execute(lambda uow: withdrawals.expire_due(uow, now=now))
        return ended == LIENS_PER_TICK
