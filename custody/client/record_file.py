"""The file that a client remembers in: one SQLite database per machine, its owner's alone."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self

from signers.statements.identifiers import Digest

_BUSY_SECONDS: Final = 10.0
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS batch (
  root TEXT NOT NULL, account TEXT NOT NULL,
  sequence INTEGER NOT NULL, digest TEXT NOT NULL, account_sequence INTEGER NOT NULL,
  PRIMARY KEY (root, account)
) STRICT;
CREATE TABLE IF NOT EXISTS link (
  root TEXT NOT NULL, sequence INTEGER NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (root, sequence)
) STRICT;
CREATE TABLE IF NOT EXISTS subject (
  root TEXT NOT NULL, key TEXT NOT NULL, subject TEXT NOT NULL, digest TEXT NOT NULL, envelope BLOB NOT NULL,
  PRIMARY KEY (root, key, subject)
) STRICT;
CREATE TABLE IF NOT EXISTS encumbrance (
  root TEXT NOT NULL, key TEXT NOT NULL, account TEXT NOT NULL,
  sequence INTEGER NOT NULL, digest TEXT NOT NULL, envelope BLOB NOT NULL, request_id TEXT NOT NULL,
  outcome TEXT NOT NULL CHECK (outcome IN ('pending', 'accepted', 'refused')),
  account_sequence INTEGER NOT NULL,
  PRIMARY KEY (root, key, account, digest)
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS one_pending ON encumbrance (root, key, account) WHERE outcome = 'pending';
CREATE UNIQUE INDEX IF NOT EXISTS one_accepted ON encumbrance (root, key, account, sequence)
  WHERE outcome = 'accepted';
CREATE TABLE IF NOT EXISTS standing (
  root TEXT NOT NULL, key TEXT NOT NULL, account TEXT NOT NULL, sequence INTEGER NOT NULL,
  PRIMARY KEY (root, key, account)
) STRICT;
CREATE TABLE IF NOT EXISTS lien (
  root TEXT NOT NULL, key TEXT NOT NULL, account TEXT NOT NULL, lien TEXT NOT NULL,
  asset TEXT NOT NULL, units TEXT NOT NULL, expires_at INTEGER,
  PRIMARY KEY (root, key, account, lien)
) STRICT;
CREATE TABLE IF NOT EXISTS release (
  root TEXT NOT NULL, intent_digest TEXT NOT NULL, account TEXT NOT NULL, withdrawal TEXT NOT NULL,
  asset TEXT NOT NULL, held_units TEXT NOT NULL, expires_at INTEGER NOT NULL, ended INTEGER NOT NULL,
  PRIMARY KEY (root, intent_digest)
) STRICT;
"""


class RecordFile:
    """The database, or memory only; `with` closes it. Several processes may share the file.

    Args:
        path: of the file, made for its owner alone; in memory where absent, which protects only as long as
            the process lives.
        root: digest of the policy that is pinned.
    """

    def __init__(self, path: Path | None, *, root: Digest) -> None:
        self.root = root
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        self._database = sqlite3.connect(
            path or ":memory:", timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        self._database.execute("PRAGMA synchronous=FULL")
        self._database.executescript(_SCHEMA)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Everything a query finds."""
        return self._database.execute(sql, values).fetchall()

    def row(self, sql: str, *values: object) -> tuple[Any, ...] | None:
        """The first row that a query finds."""
        found = self.rows(sql, *values)
        return found[0] if found else None

    def write(self, sql: str, *values: object) -> None:
        """One statement; on disk when this returns, unless within a transaction."""
        self._database.execute(sql, values)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it or nothing, and no other writer meanwhile."""
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")
