"""Durable holds at `Store.execute`, beside the same SQL in the same batches without asyncio."""

import hashlib
import operator
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from custody.adapters.sqlite import store as sqlite_store
from custody.adapters.sqlite.writer import Job, Writer
from custody.application import liens
from custody.application.access import existing_account
from custody.application.idempotency import once
from custody.application.liens import ReserveLien
from custody.application.ports.store import UnitOfWork
from custody.domain.lien import Lien
from signers.statements.encumbrance import Encumbrance
from signers.statements.identifiers import Seconds
from tests.bench.accounts import ENGINE, Book
from tests.bench.stored import Command, seconds_to_execute, settled, stored

HOLDS = 6400
IN_FLIGHT = 64
ROUNDS = 11


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL as the store ran it. Of a query the store fetches one row."""

    sql: str
    values: tuple[Any, ...]
    is_query: bool


async def measure(book: Book) -> Mapping[str, object]:
    """Holds per second of each, turn and turn about, and the median of their ratios (goal: at least 0.5).

    Bare SQL says what all of Python costs; the commands without event loop and threads, what those two do.

    Each under its own request id, so that both sides look its outcome up and record it. On one account, which
    is the harder case: with many, SQLite writes more pages and the floor is slower.
    """
    now = book.custody.now
    commands = [_hold(each, now=now) for each in book.reservations(book.accounts[0], HOLDS)]
    statements = await _record(book, commands)
    ours: list[float] = []
    floor: list[float] = []
    alone: list[float] = []
    with settled():
        for _ in range(ROUNDS):
            async with stored(book) as store:
                ours.append(await seconds_to_execute(store, [iter(commands)] * IN_FLIGHT))
            floor.append(_seconds_of_bare_sql(book, statements))
            alone.append(_seconds_of_commands(book, commands))
    return {
        "name": f"durable reservations at Store.execute, {IN_FLIGHT} in flight,"
        " less the statement's signature and the price check",
        "figure": round(HOLDS / statistics.median(ours)),
        "floor": round(HOLDS / statistics.median(floor)),
        "unit": "per second, median; floor: the same SQL in the same batches, no asyncio",
        "ratio": round(statistics.median(map(operator.truediv, floor, ours)), 3),
        "goal": "at least 0.5",
        "commands_without_asyncio": round(HOLDS / statistics.median(alone)),
        "ratio_to_commands_without_asyncio": round(statistics.median(map(operator.truediv, alone, ours)), 3),
    }


def _hold(command: ReserveLien, *, now: Seconds) -> Command:
    said = Encumbrance.parse(command.envelope.payload)

    def run(uow: UnitOfWork) -> Lien:
        account = existing_account(uow, command.account)
        return once(
            uow,
            principal=ENGINE,
            method="liens.reserve",
            request_id=command.request_id,
            command=command,
            effect=lambda: liens.hold(uow, said, command.envelope, account=account, now=now),
        )

    return run


class _Recorder:
    """A connection that remembers what it ran."""

    def __init__(self, connection: sqlite3.Connection, ran: list[Statement]) -> None:
        self._connection = connection
        self._ran = ran

    def execute(self, sql: str, values: Any = ()) -> sqlite3.Cursor:
        self._ran.append(Statement(sql, tuple(values), sql.startswith("SELECT")))
        return self._connection.execute(sql, values)

    def close(self) -> None:
        self._connection.close()


async def _record(book: Book, commands: Sequence[Command]) -> Sequence[Statement]:
    """What the store runs for the commands; replayed, it must leave the same database behind."""
    ran: list[Statement] = []
    async with stored(book) as store:
        writer: Any = store._writer
        writer._connection = _Recorder(writer._connection, ran)
        await seconds_to_execute(store, [iter(commands)] * IN_FLIGHT)
        left = _digest(writer._connection._connection)
    with tempfile.TemporaryDirectory() as folder, closing(_connected(book, folder)) as connection:
        _replay(connection, ran)
        assert _digest(connection) == left
    return ran


def _seconds_of_bare_sql(book: Book, statements: Sequence[Statement]) -> float:
    with tempfile.TemporaryDirectory() as folder, closing(_connected(book, folder)) as connection:
        began_at = time.perf_counter()
        _replay(connection, statements)
        return time.perf_counter() - began_at


def _seconds_of_commands(book: Book, commands: Sequence[Command]) -> float:
    """The writer's own work on the same batches, in the thread of the caller."""
    with tempfile.TemporaryDirectory() as folder, closing(_connected(book, folder)) as connection:
        writer = Writer(connection, sqlite_store._project(connection), deliver=_nobody, broke=_nobody)
        began_at = time.perf_counter()
        jobs = [Job(command, None) for command in commands]
        for at in range(0, len(jobs), IN_FLIGHT):
            writer._commit(jobs[at : at + IN_FLIGHT])
        seconds = time.perf_counter() - began_at
    assert all(job.error is None for job in jobs)
    return seconds


def _nobody(*_: object) -> None:
    """Nobody waits for these."""


def _connected(book: Book, folder: str) -> sqlite3.Connection:
    """As the store connects."""
    file = Path(folder) / "custody.sqlite"
    book.write(file)
    return sqlite_store._connect(file)


def _replay(connection: sqlite3.Connection, statements: Sequence[Statement]) -> None:
    execute = connection.execute
    for statement in statements:
        rows = execute(statement.sql, statement.values)
        if statement.is_query:
            rows.fetchone()


def _digest(connection: sqlite3.Connection) -> str:
    return hashlib.sha256("\n".join(connection.iterdump()).encode()).hexdigest()
