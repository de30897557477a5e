"""The store on SQLite: `execute` hands commands to the writer, `read` runs on read-only connections.

WAL with `synchronous=FULL`: a commit that was reported is on the disk. One process owns the database, which
an exclusive lock on a file beside it enforces.
"""

import asyncio
import fcntl
import os
import sqlite3
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from custody.adapters.sqlite.migrations import migrate
from custody.adapters.sqlite.projection import SqliteProjection, SqliteSubscription
from custody.adapters.sqlite.snapshot import SqliteSnapshot, position
from custody.adapters.sqlite.writer import Job, Writer
from custody.application.ports.store import (
    ROWS_MAX,
    Notice,
    Projection,
    Scope,
    Snapshot,
    Subscription,
    UnitOfWork,
)
from custody.domain.account import PledgeAccount
from custody.domain.errors import StoreUnavailable

T = TypeVar("T")

READERS: Final = 2


class SqliteStore:
    """Implements `Store`. Open it with `SqliteStore.open` on the event loop that will use it."""

    def __init__(self, path: Path, lock: int, connection: sqlite3.Connection) -> None:
        self._path = path
        self._lock = lock
        self._loop = asyncio.get_running_loop()
        self._projection = _project(connection)
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="custody-reader")
        self._reader_state = threading.local()
        self._reader_connections: list[sqlite3.Connection] = []
        self._subscriptions: set[SqliteSubscription] = set()
        self._submitted: list[Job] = []
        self._stopped: asyncio.Future[None] = self._loop.create_future()
        self._closing = False
        self._writer = Writer(connection, self._projection, deliver=self._deliver, broke=self._broke)
        self._writer.start()

    @classmethod
    async def open(cls, path: Path) -> Self:
        """Open a database, bring its schema up to date and take it over.

        Args:
            path: the database file; it and its directory are created where they are missing.

        Raises:
            StoreUnavailable: another process has it open, or its schema is of a later release.
            OSError: it cannot be made this user's alone.
        """
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = _take_over(path)
        try:
            _make_private(path)
            connection = _connect(path)
            migrate(connection)
            return cls(path, lock, connection)
        except BaseException:
            os.close(lock)
            raise

    def execute(self, command: Callable[[UnitOfWork], T], *, validate_only: bool = False) -> Awaitable[T]:
        """As `Store.execute`."""
        future: asyncio.Future[T] = self._loop.create_future()
        if self._closing or self._stopped.done():
            future.set_exception(StoreUnavailable("the store has stopped"))
            return future
        # Commands of one turn of the event loop go over together: they share a commit.
        if not self._submitted:
            self._loop.call_soon(self._submit)
        self._submitted.append(Job(command, future, validate_only))
        return future

    def _submit(self) -> None:
        jobs, self._submitted = self._submitted, []
        self._writer.submit(jobs)

    async def read(self, query: Callable[[Snapshot], T]) -> T:
        """As `Store.read`."""
        return await self._loop.run_in_executor(self._readers, self._query, query)

    def _query(self, query: Callable[[Snapshot], T]) -> T:
        connection = getattr(self._reader_state, "connection", None)
        if connection is None:
            connection = _connect(self._path, read_only=True)
            self._reader_state.connection = connection
            self._reader_connections.append(connection)
        connection.execute("BEGIN")
        try:
            return query(SqliteSnapshot(connection))
        finally:
            connection.execute("ROLLBACK")

    @property
    def projection(self) -> Projection:
        """As `Store.projection`."""
        return self._projection

    def subscribe(self, *, bound: int = 4096) -> AbstractAsyncContextManager[Subscription]:
        """As `Store.subscribe`."""
        return self._subscribe(bound)

    @asynccontextmanager
    async def _subscribe(self, bound: int) -> AsyncIterator[Subscription]:
        subscription = SqliteSubscription(bound)
        self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)

    async def stopped(self) -> None:
        """Return once the store was closed.

        Raises:
            StoreUnavailable: it broke; the process is to stop.
        """
        await asyncio.shield(self._stopped)

    async def close(self) -> None:
        """As `Store.close`."""
        if self._closing:
            return
        self._closing = True
        if self._submitted:
            self._submit()
        self._writer.stop()
        await asyncio.to_thread(self._writer.join)
        await asyncio.to_thread(self._readers.shutdown)
        for connection in self._reader_connections:
            connection.close()
        os.close(self._lock)
        self._end(StoreUnavailable("the store was closed"))
        if not self._stopped.done():
            self._stopped.set_result(None)

    # The writer's thread calls these two; both hand over to the event loop.

    def _deliver(self, jobs: Sequence[Job], notices: Sequence[Notice]) -> None:
        with suppress(RuntimeError):  # the loop was closed: nobody is left to be told
            self._loop.call_soon_threadsafe(self._resolve, jobs, notices)

    def _broke(self, reason: StoreUnavailable) -> None:
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._break, reason)

    def _resolve(self, jobs: Sequence[Job], notices: Sequence[Notice]) -> None:
        if notices:
            for subscription in self._subscriptions:
                subscription.offer(notices)
        for job in jobs:
            if job.future.done():
                continue
            if job.error is not None:
                job.future.set_exception(job.error)
            else:
                job.future.set_result(job.value)

    def _break(self, reason: StoreUnavailable) -> None:
        self._end(reason)
        if not self._stopped.done():
            self._stopped.set_exception(reason)
            self._stopped.exception()

    def _end(self, reason: StoreUnavailable) -> None:
        for subscription in self._subscriptions:
            subscription.end(reason)


def _take_over(path: Path) -> int:
    """An exclusive lock that the operating system lets go of with the process, however it ends."""
    lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise StoreUnavailable(f"another process has {path.name} open") from error
    return lock


def _make_private(path: Path) -> None:
    """Create the database with mode 0600, or give it that mode. SQLite would go by the umask.

    Its -wal and -shm files get the mode it has when they are made; a crash may have left older ones.
    """
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    for file in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        with suppress(FileNotFoundError):
            file.chmod(0o600)


def _connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """A connection in autocommit mode, to be used by one thread at a time."""
    connection = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, cached_statements=512, timeout=5
    )
    pragmas: list[tuple[str, Any]] = [
        ("journal_mode", "WAL"),
        ("synchronous", "FULL"),
        ("foreign_keys", "ON"),
        ("recursive_triggers", "ON"),
        ("trusted_schema", "OFF"),
        ("temp_store", "MEMORY"),
        ("cache_size", -65_536),
    ]
    if read_only:
        pragmas.append(("query_only", "ON"))
    for name, value in pragmas:
        connection.execute(f"PRAGMA {name} = {value}")
    return connection


def _project(connection: sqlite3.Connection) -> SqliteProjection:
    """The projection of what is on the disk."""
    snapshot, projection = SqliteSnapshot(connection), SqliteProjection()
    projection.pin(snapshot.policy())
    projection.put_prices(snapshot.prices().prices)
    page: Sequence[PledgeAccount] = snapshot.accounts(Scope.EVERY, after=None, limit=ROWS_MAX)
    while page:
        projection.put_accounts(page)
        reports = (snapshot.report(account.account) for account in page)
        projection.put_reports(report for report in reports if report is not None)
        page = snapshot.accounts(Scope.EVERY, after=page[-1].account, limit=ROWS_MAX)
    (last,) = connection.execute("SELECT coalesce(max(position), 0) FROM changes").fetchone()
    projection.advance(position(last))
    return projection
