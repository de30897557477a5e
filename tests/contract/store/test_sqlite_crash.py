"""SQLite after a kill -9 in the middle of batches, and after a commit that fails."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from custody.adapters.sqlite.migrations import migrations
from custody.adapters.sqlite.store import SqliteStore
from custody.domain.errors import StoreUnavailable
from custody.domain.ledger import Balances, LedgerViolation
from signers.statements.amounts import Asset
from signers.statements.identifiers import AccountId
from tests.contract.store.crash_child import key
from tests.contract.store.ledger_of_one import available, funded, opened, reserved

ACCOUNT = AccountId("acct-client-one")
ROOT = Path(__file__).parents[3]


def run_until_killed(folder: Path, first: int, lines: int) -> list[int]:
    """Start a child, kill it once it has reported so many commands, and return all that it reported."""
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.contract.store.crash_child", str(folder), str(first)],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'proto' / 'gen'}"},
    )
    assert child.stdout is not None
    reported = [int(child.stdout.readline()) for _ in range(lines)]
    child.send_signal(signal.SIGKILL)
    rest, _ = child.communicate(timeout=30)
    # A line may be cut by the kill; what stands before it was told whole.
    whole = rest[: rest.rfind(b"\n") + 1].split()
    return reported + [int(number) for number in whole]


async def test_after_a_kill_every_reported_command_is_whole_and_none_is_half(tmp_path: Path) -> None:
    """Round after round on one database: what was reported stands, and nothing is there in part."""
    reported: set[int] = set()
    found = Balances(Asset.BTC)
    for round_, lines in enumerate((1, 150, 977)):
        first = round_ * 10**6
        reported |= set(run_until_killed(tmp_path, first, lines))
        store = await SqliteStore.open(tmp_path / "custody.db")
        durable = {
            number
            for number in range(first, max(reported) + 200)
            if await store.read(lambda s, number=number: s.outcome(key(number))) is not None  # type: ignore[misc]
        }
        assert {number for number in reported if number >= first} <= durable
        account = store.projection.account(ACCOUNT)
        assert account is not None
        found = await store.read(lambda s: s.balances(ACCOUNT, Asset.BTC))
        # One command is two changes and one unit under a lien; the first change opened the account.
        assert account.sequence == 1 + 2 * found.reserved
        assert (found.available, found.external) == (0, -found.reserved)
        await store.close()
    connection = sqlite3.connect(tmp_path / "custody.db")
    (outcomes,) = connection.execute("SELECT count(*) FROM outcomes").fetchone()
    (check,) = connection.execute("PRAGMA integrity_check").fetchone()
    connection.close()
    assert (outcomes, check) == (found.reserved, "ok")


class FailingCommit:
    """A connection whose COMMIT fails from now on."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def execute(self, sql: str, *arguments: Any) -> Any:
        if sql == "COMMIT":
            raise sqlite3.OperationalError("disk I/O error")
        return self._connection.execute(sql, *arguments)

    def close(self) -> None:
        self._connection.close()


async def test_a_commit_that_fails_fails_its_batch_and_stops_the_store(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "custody.db")
    await store.execute(opened())
    await store.execute(funded(100))
    writer = store._writer
    writer._connection = FailingCommit(writer._connection)  # type: ignore[assignment]
    async with store.subscribe() as subscription:
        results = await asyncio.gather(
            *(store.execute(reserved(1)) for _ in range(100)), return_exceptions=True
        )
        assert all(isinstance(result, StoreUnavailable) for result in results)
        with pytest.raises(StoreUnavailable):
            await store.stopped()
        with pytest.raises(StoreUnavailable):
            await anext(aiter(subscription))
    with pytest.raises(StoreUnavailable):
        await store.execute(reserved(1))
    account = store.projection.account(ACCOUNT)
    assert account is not None
    assert account.sequence == 2
    await store.close()
    again = await SqliteStore.open(tmp_path / "custody.db")
    assert await again.read(available) == 100
    await again.close()


APPEND_ONLY = {
    "postings": "INSERT INTO postings VALUES ('a', 1, 0, 'BTC', 'x', 'y', '1')",
    "changes": "INSERT INTO changes VALUES (7, 'a', 1, 'lien', '', 1, NULL)",
    "encumbrances": "INSERT INTO encumbrances VALUES ('a', 1, 'lien-1', 'd', x'00')",
    "report_batches": "INSERT INTO report_batches VALUES (1, 'd', x'00', 1)",
    "outcomes": "INSERT INTO outcomes VALUES ('p', 'm', 'r', 'f', '{}')",
}


@pytest.mark.parametrize("table", APPEND_ONLY)
async def test_what_is_only_ever_added_cannot_be_changed_removed_or_replaced(
    tmp_path: Path, table: str
) -> None:
    store = await SqliteStore.open(tmp_path / "custody.db")

    async def run(sql: str) -> Any:
        return await store.execute(lambda uow: uow._execute(sql).fetchall())  # type: ignore[attr-defined]

    await run(APPEND_ONLY[table])
    (before,) = await run(f"SELECT * FROM {table}")
    columns = [row[1] for row in await run(f"PRAGMA table_info({table})")]
    for sql in (
        *(f"UPDATE {table} SET {column} = {column}" for column in columns),
        f"DELETE FROM {table}",
        f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}",
        APPEND_ONLY[table].replace("INSERT", "REPLACE"),
    ):
        with pytest.raises(LedgerViolation, match="only ever added"):
            await run(sql)
    assert await run(f"SELECT * FROM {table}") == [before]
    await store.close()


@pytest.mark.parametrize("left_over", [(), ("", "-wal", "-shm")], ids=["fresh", "opened-before"])
async def test_every_file_is_the_users_alone(tmp_path: Path, left_over: tuple[str, ...]) -> None:
    for suffix in left_over:
        os.close(os.open(tmp_path / f"custody.db{suffix}", os.O_CREAT, 0o644))
    before = os.umask(0)
    try:
        store = await SqliteStore.open(tmp_path / "custody.db")
        await store.execute(opened())
        modes = {entry.name: entry.stat().st_mode & 0o777 for entry in os.scandir(tmp_path)}
    finally:
        os.umask(before)
        await store.close()
    assert modes == {f"custody.db{suffix}": 0o600 for suffix in ("", "-wal", "-shm", ".lock")}


async def test_a_database_of_a_later_release_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "custody.db"
    await (await SqliteStore.open(path)).close()
    connection = sqlite3.connect(path)
    connection.execute("INSERT INTO schema_version VALUES (?, 'later.sql')", (len(migrations()) + 1,))
    connection.commit()
    connection.close()
    with pytest.raises(StoreUnavailable, match="this release knows"):
        await SqliteStore.open(path)


async def test_the_database_says_full_and_wal(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "custody.db")
    done = await store.execute(
        lambda uow: [
            uow._execute(f"PRAGMA {name}").fetchone()[0]  # type: ignore[attr-defined]
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    )
    assert done == ["wal", 2, 1]
    await store.close()
