"""The writer: one thread, one connection, many commands to one commit.

A batch is what waits, at most `BATCH_MAX`. Each command runs in a savepoint of its own, so that its failure
undoes it alone; then one COMMIT makes the batch durable, and only then is anybody told. A commit that fails,
or a transaction that SQLite gave up underneath us, leaves it unknown what the disk holds: the batch fails,
nothing more is accepted, and the process is to stop (fail-stop). What is asked again finds its outcome on
record, or nothing.
"""

import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from custody.adapters.sqlite.projection import SqliteProjection
from custody.adapters.sqlite.unit_of_work import SqliteUnitOfWork
from custody.application.ports.store import Notice, UnitOfWork
from custody.domain.errors import StoreUnavailable
from custody.domain.ledger import LedgerViolation

BATCH_MAX: Final = 64


@dataclass(slots=True, eq=False)
class Job:
    """A command on its way: its outcome is one of `value` and `error`."""

    command: Callable[[UnitOfWork], Any]
    future: Any
    """The caller's future; only the event loop touches it."""
    validate_only: bool = False
    value: Any = None
    error: Exception | None = None


class _Broken(Exception):  # noqa: N818 - never leaves this module
    """The transaction is gone or cannot be committed."""


Deliver = Callable[[Sequence[Job], Sequence[Notice]], None]


class Writer:
    """Runs jobs until it is told to stop or breaks.

    Args:
        connection: in autocommit mode; used by the writer's thread alone once it has started.
        projection: brought up to date before anybody is told.
        deliver: hands finished jobs and their notices to the event loop; called in the writer's thread.
        broke: says that the store has stopped, and why; called in the writer's thread.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        projection: SqliteProjection,
        *,
        deliver: Deliver,
        broke: Callable[[StoreUnavailable], None],
    ) -> None:
        self._connection = connection
        self._projection = projection
        self._policy = projection.policy()
        self._accounts = {account.account: account for account in projection.accounts()}
        """As the last command left them: ahead of the projection by what is not committed yet."""
        self._deliver = deliver
        self._broke = broke
        self._jobs: queue.SimpleQueue[list[Job] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="custody-writer", daemon=True)

    def start(self) -> None:
        """Begin to take jobs."""
        self._thread.start()

    def submit(self, jobs: list[Job]) -> None:
        """Hand jobs over, in order."""
        self._jobs.put(jobs)

    def stop(self) -> None:
        """Finish what was handed over, then end and close the connection. Returns at once; see `join`."""
        self._jobs.put(None)

    def join(self) -> None:
        """Wait for the end."""
        self._thread.join()

    def _run(self) -> None:
        waiting: list[Job] = []
        open_ = True
        while open_ or waiting:
            if not waiting:
                open_ = self._take(waiting, block=True)
            while open_ and len(waiting) < BATCH_MAX and not self._jobs.empty():
                open_ = self._take(waiting, block=False)
            batch, waiting = waiting[:BATCH_MAX], waiting[BATCH_MAX:]
            if not batch:
                continue
            try:
                notices = self._commit(batch)
            except _Broken as broken:
                self._fail(batch + waiting, broken)
                return
            self._deliver(batch, notices)
        self._connection.close()

    def _take(self, waiting: list[Job], *, block: bool) -> bool:
        jobs = self._jobs.get(block=block)
        if jobs is None:
            return False
        waiting.extend(jobs)
        return True

    def _commit(self, batch: Sequence[Job]) -> list[Notice]:
        """Run a batch and make it durable.

        Raises:
            _Broken: it is unknown what is durable.
        """
        execute = self._connection.execute
        done: list[SqliteUnitOfWork] = []
        try:
            execute("BEGIN IMMEDIATE")
            for job in batch:
                uow = SqliteUnitOfWork(self._connection, self._policy, self._accounts)
                if self._attempt(job, uow):
                    done.append(uow)
                    self._policy = uow.pinned
                    self._accounts.update(uow.accounts_written)
            execute("COMMIT")
        except sqlite3.Error as error:
            raise _Broken(str(error)) from error
        notices: list[Notice] = []
        for uow in done:
            self._projection.put_accounts(uow.accounts_written.values())
            notices += uow.notices
        self._projection.pin(self._policy)
        self._projection.take(notices)
        return notices

    def _attempt(self, job: Job, uow: SqliteUnitOfWork) -> bool:
        """Run one command in its savepoint; whether its effects stay."""
        execute = self._connection.execute
        execute("SAVEPOINT command")
        try:
            job.value = job.command(uow)
        except sqlite3.IntegrityError as error:
            # A constraint of the schema held where a rule of the domain should have: this command's fault
            # alone.
            job.error = LedgerViolation(str(error))
        except sqlite3.Error:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a command raises is its caller's to hear
            job.error = error
        else:
            if not job.validate_only:
                execute("RELEASE command")
                return True
        execute("ROLLBACK TO command")
        execute("RELEASE command")
        return False

    def _fail(self, jobs: list[Job], broken: _Broken) -> None:
        reason = StoreUnavailable(f"the store stopped: {broken}")
        while not self._jobs.empty():
            jobs += self._jobs.get() or []
        for job in jobs:
            job.value, job.error = None, reason
        # Closing rolls back what is left of the transaction; nothing of it was told to anybody.
        self._connection.close()
        self._broke(reason)
        self._deliver(jobs, [])
