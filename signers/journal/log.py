"""The append-only, hash-chained log under the journal, in a SQLite file of its own.

Who can write the file can rewrite all of it; the chain only makes that visible to someone who remembers a
head. The peers do: see `signers.rules.reconciliation`.
"""

import os
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final, Self

from signers.journal.entries import FORGETTABLE, Entry, Record, head_of
from signers.journal.views import PeerHead, Views
from signers.statements.identifiers import GENESIS, Digest, Seconds

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS record (
    sequence INTEGER PRIMARY KEY,
    body     BLOB NOT NULL,
    head     TEXT NOT NULL
) STRICT;
CREATE TRIGGER IF NOT EXISTS record_is_final BEFORE UPDATE ON record
BEGIN SELECT RAISE(ABORT, 'a journal record is never changed'); END;
CREATE TRIGGER IF NOT EXISTS record_stays BEFORE DELETE ON record
BEGIN SELECT RAISE(ABORT, 'a journal record is never removed'); END;
"""


class JournalUnusable(Exception):  # noqa: N818 - named for what is the case
    """The journal cannot be read or written; the signer must not act."""


class JournalCorrupt(JournalUnusable):
    """What is stored is not an unbroken chain of records."""


class JournalInUse(JournalUnusable):
    """Another process has the journal open. Two signers over one journal would each sign on their own."""


class Journal:
    """The journal of one signer, with its views. One process, one thread."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Use `open`."""
        self._connection = connection
        self._broken = False
        self._require_whole: Callable[[], None] = lambda: None
        self.views = Views()
        self.sequence = 0
        self.head: Digest = GENESIS
        self.decided = PeerHead(sequence=0, head=GENESIS)
        """Of the latest record that must not be forgotten: what this signer tells its peers."""

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open or create the journal, and verify every record of it.

        Raises:
            JournalCorrupt: the chain is broken, or a record contradicts the ones before.
            JournalInUse: another process holds it.
            JournalUnusable: it cannot be opened, or others could read or write it.
        """
        _ensure_private(path)
        try:
            connection = _connect(path)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
                raise JournalInUse(f"{path} is in use by another process") from error
            raise JournalUnusable(f"{path}: {error}") from error
        except sqlite3.DatabaseError as error:
            raise JournalCorrupt(f"{path}: {error}") from error
        journal = cls(connection)
        try:
            journal._load()
        except BaseException:
            connection.close()
            raise
        return journal

    def _load(self) -> None:
        try:
            for sequence, body, head in self._connection.execute(
                "SELECT sequence, body, head FROM record ORDER BY sequence"
            ):
                self._take(sequence=sequence, body=body, head=head)
        except sqlite3.DatabaseError as error:
            raise JournalCorrupt(f"the file is damaged: {error}") from error

    def _take(self, *, sequence: int, body: bytes, head: str) -> None:
        if sequence != self.sequence + 1 or head != head_of(body):
            raise JournalCorrupt(f"record {self.sequence + 1} is missing or altered")
        try:
            record = Record.from_bytes(body)
            self.views.check(record.entry)
        except (ValueError, TypeError, RecursionError) as error:
            raise JournalCorrupt(f"record {sequence} does not read: {error}") from error
        if (record.sequence, record.previous) != (sequence, self.head):
            raise JournalCorrupt(f"record {sequence} does not follow the one before")
        self._stands(record, head=Digest(head))

    def guard(self, require_whole: Callable[[], None]) -> None:
        """Append from now on only what `require_whole` lets pass: it knows whether this is the newest one.

        Asked at each record, not at each call: what a call waits for may be what shows that it is not.
        """
        self._require_whole = require_whole

    def append(self, entry: Entry, *, at: Seconds) -> Record:
        """Write an entry down; it is on stable storage when this returns.

        Raises:
            Refusal: `journal-behind`, by the guard; nothing was written.
            Conflict: the entry contradicts what is written; nothing was written.
            JournalUnusable: it could not be stored. Whether it was is not known, so nothing more is accepted:
                the process ends, and the next start reads what there is.
        """
        if self._broken:
            raise JournalUnusable("an earlier write failed")
        self._require_whole()
        self.views.check(entry)
        record = Record(sequence=self.sequence + 1, previous=self.head, at=at, entry=entry)
        body = record.to_bytes()
        head = head_of(body)
        try:
            self._connection.execute("INSERT INTO record VALUES (?, ?, ?)", (record.sequence, body, head))
        except sqlite3.Error as error:
            self._broken = True
            raise JournalUnusable(f"record {record.sequence} could not be stored: {error}") from error
        self._stands(record, head=head)
        return record

    def _stands(self, record: Record, *, head: Digest) -> None:
        self.sequence, self.head = record.sequence, head
        if not isinstance(record.entry, FORGETTABLE):
            self.decided = PeerHead(sequence=record.sequence, head=head)
        self.views.apply(record)

    def head_at(self, sequence: int) -> Digest | None:
        """The head after that many records; `None` beyond the end."""
        if sequence == 0:
            return GENESIS
        row = self._connection.execute("SELECT head FROM record WHERE sequence = ?", (sequence,)).fetchone()
        return None if row is None else Digest(row[0])

    def close(self) -> None:
        """Close the file. Idempotent."""
        self._broken = True
        self._connection.close()


def _ensure_private(path: Path) -> None:
    """Create the file readable by this user alone, or check that it is so."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        status = path.lstat()
    except OSError as error:
        raise JournalUnusable(f"{path}: {error.strerror}") from error
    if not stat.S_ISREG(status.st_mode) or status.st_mode & 0o077 or status.st_uid != os.geteuid():
        raise JournalUnusable(f"{path} must be a regular file of this user with mode 0600")


def _connect(path: Path) -> sqlite3.Connection:
    # autocommit: each INSERT is its own transaction, and FULL syncs the WAL before it returns.
    connection = sqlite3.connect(path, isolation_level=None, timeout=0.5)
    try:
        # Exclusive, before the first access: no second process, and no shared memory file beside it.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.executescript(_SCHEMA)
        level = connection.execute("PRAGMA synchronous").fetchone()[0]
        if (mode, level) != ("wal", 2):
            raise JournalUnusable(f"durability is not available: journal_mode {mode}, synchronous {level}")
    except BaseException:
        connection.close()
        raise
    return connection
