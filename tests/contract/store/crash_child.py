"""A process that commits until it is killed, and says on its pipe what it was told is durable.

Each command funds one unit and reserves it, and records its own number as an outcome. A line is written for
every command whose future was resolved; the parent kills at a moment of its choosing.
"""

import asyncio
import os
import sys
from pathlib import Path

from custody.adapters.sqlite.store import SqliteStore
from custody.application.ports.store import Outcome, RequestKey, UnitOfWork
from custody.domain.account import AccountState, Dossier, Onboarding
from signers.statements.identifiers import Digest
from tests.contract.store.ledger_of_one import funded, opened, reserved
from tests.unit.custody.scenario import request_id

IN_FLIGHT = 64


def key(number: int) -> RequestKey:
    return RequestKey("child", "contract", request_id(f"crash {number}"))


def command(number: int, uow: UnitOfWork) -> None:
    funded(1)(uow)
    account = reserved(1)(uow)
    dossier = Dossier(account=account, onboarding=Onboarding(account=account.account))
    uow.save_outcome(key(number), Outcome(Digest("00" * 32), dossier))


async def main(folder: Path, first: int) -> None:
    store = await SqliteStore.open(folder / "custody.db")

    def open_once(uow: UnitOfWork) -> None:
        if not uow.accounts_in({AccountState.ACTIVE}):
            opened()(uow)

    await store.execute(open_once)
    numbers = iter(range(first, 10**9))

    async def work() -> None:
        for number in numbers:
            await store.execute(lambda uow, number=number: command(number, uow))  # type: ignore[misc]
            os.write(1, f"{number}\n".encode())

    await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
