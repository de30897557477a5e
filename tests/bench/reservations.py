"""Durable reservations through `Store.execute`, beside the same SQL in the same batches without asyncio."""

import asyncio
import gc
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from custody.adapters.sqlite import store as sqlite_store
from custody.adapters.sqlite.store import SqliteStore
from custody.application import liens
from custody.application.access import existing_account
from custody.application.ports.store import UnitOfWork
from custody.domain.lien import Lien
from signers.statements.amounts import Sats
from signers.statements.encumbrance import Encumbrance, EncumbranceKind
from signers.statements.identifiers import LienId, Seconds
from tests.unit.custody.scenario import active

RESERVATIONS = 6400
IN_FLIGHT = 64
ROUNDS = 3


class _Recorded:
    """A connection that remembers what it ran."""

    def __init__(self, connection: Any, log: list[tuple[str, tuple[Any, ...]]]) -> None:
        self._connection = connection
        self._log = log

    def execute(self, query: str, values: Any = ()) -> Any:
        self._log.append((query, tuple(values)))
        return self._connection.execute(query, values)

    def close(self) -> None:
        self._connection.close()


def measure() -> dict[str, object]:
    """Reservations per second of each by the wall clock, and their ratio (goal: at least 0.5)."""
    bench = _Bench()
    log: list[tuple[str, tuple[Any, ...]]] = []
    asyncio.run(bench.through_the_store(log))
    gc.collect()
    gc.freeze()
    ours = statistics.median(asyncio.run(bench.through_the_store(None)) for _ in range(ROUNDS))
    floor = statistics.median(bench.bare(log) for _ in range(ROUNDS))
    return {
        "name": f"durable reservations at Store.execute, {IN_FLIGHT} in flight, signatures checked before",
        "figure": round(ours),
        "floor": round(floor),
        "unit": "per second, median; floor: the same SQL in the same batches, no asyncio",
        "ratio": round(ours / floor, 3),
        "goal": "at least 0.5",
    }


class _Bench:
    def __init__(self) -> None:
        self.custody = active()
        self.chain: list[Encumbrance] = []
        last: Encumbrance | None = None
        for number in range(RESERVATIONS):
            last = self.custody.world.encumbrance(
                last,
                kind=EncumbranceKind.RESERVE,
                lien=LienId(f"lien-{number}"),
                amount=Sats(1),
                expires_at=Seconds(self.custody.now + 3600),
            )
            self.chain.append(last)
        self.envelope = self.custody.world.sign(self.chain[0], self.custody.world.secured_party)

    def command(self, encumbrance: Encumbrance) -> Callable[[UnitOfWork], Lien]:
        def run(uow: UnitOfWork) -> Lien:
            account = existing_account(uow, self.custody.account_id)
            return liens.hold(uow, encumbrance, self.envelope, account=account, now=self.custody.now)

        return run

    def database(self, folder: str) -> Path:
        file = Path(folder) / "custody.db"
        with sqlite3.connect(file) as copy:
            self.custody.connection.backup(copy)
        copy.close()
        return file

    async def through_the_store(self, log: list[tuple[str, tuple[Any, ...]]] | None) -> float:
        with tempfile.TemporaryDirectory() as folder:
            store = await SqliteStore.open(self.database(folder))
            if log is not None:
                writer: Any = store._writer
                writer._connection = _Recorded(writer._connection, log)
            waiting = iter(self.chain)

            async def client() -> None:
                for encumbrance in waiting:
                    await store.execute(self.command(encumbrance))

            began_at = time.perf_counter()
            await asyncio.gather(*(client() for _ in range(IN_FLIGHT)))
            seconds = time.perf_counter() - began_at
            await store.close()
        return RESERVATIONS / seconds

    def bare(self, log: list[tuple[str, tuple[Any, ...]]]) -> float:
        with tempfile.TemporaryDirectory() as folder:
            connection = sqlite_store._connect(self.database(folder))
            began_at = time.perf_counter()
            for query, values in log:
                rows = connection.execute(query, values)
                if query.startswith("SELECT"):
                    rows.fetchone()
            seconds = time.perf_counter() - began_at
            connection.close()
        return RESERVATIONS / seconds
