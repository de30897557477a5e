"""Where wrapped keys rest: one SQLite file of this signer, insert-only, durable before a key is used.

A row holds a public key and a ciphertext of this signer's own transit key: useless without that OpenBao, and
irreplaceable with it. Back the file up; losing it loses the keys.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from signers.keys.port import KeyRef, KeysError, PublicKey

_APPLICATION_ID: Final = 0x6261_6B73  # "baks" in the file's header, so that no other database is taken for it
_SCHEMA_VERSION: Final = 1
_BUSY_SECONDS_MAX: Final = 5.0

_SCHEMA: Final = """
CREATE TABLE wrapped_key (
    account    TEXT NOT NULL,
    chain      TEXT NOT NULL CHECK (chain IN ('BTC', 'ETH')),
    key_id     TEXT NOT NULL,
    public_key BLOB NOT NULL UNIQUE CHECK (length(public_key) = 33),
    ciphertext TEXT NOT NULL CHECK (ciphertext GLOB 'vault:v[1-9]*:?*' AND length(ciphertext) <= 512),
    PRIMARY KEY (account, chain, key_id)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER wrapped_key_is_never_changed BEFORE UPDATE ON wrapped_key
BEGIN SELECT RAISE(ABORT, 'wrapped keys are insert-only'); END;
CREATE TRIGGER wrapped_key_is_never_deleted BEFORE DELETE ON wrapped_key
BEGIN SELECT RAISE(ABORT, 'wrapped keys are insert-only'); END;
"""


class KeyStoreUnfit(KeysError):  # noqa: N818 - named for what is the case
    """The file cannot be this signer's key store: foreign, open to others, or of another version."""


class KeyStoreUnavailable(KeysError):  # noqa: N818 - named for what is the case
    """The file could not be read or written (disk full, locked, failing). No key was handed out."""


@dataclass(frozen=True, kw_only=True)
class WrappedKey:
    """One key at rest.

    Attributes:
        ref: Whose key it is; also the ciphertext's associated data.
        public_key: Its public key, 33 bytes.
        ciphertext: The private key as OpenBao wrapped it, `vault:v1:…`.
    """

    ref: KeyRef
    public_key: PublicKey
    ciphertext: str


class KeyStore:
    """Blocking access, safe from several threads and several processes."""

    def __init__(self, path: Path) -> None:
        """Opens the store, creating it with mode 0600 where there is none.

        Raises:
            KeyStoreUnfit: others may read the file, or it is something else.
            KeyStoreUnavailable: the disk does not let us.
        """
        self._lock = threading.Lock()
        try:
            _require_private(path)
            self._connection = sqlite3.connect(
                path, timeout=_BUSY_SECONDS_MAX, isolation_level=None, check_same_thread=False
            )
            try:
                _prepare(self._connection, path)
            except BaseException:
                self._connection.close()
                raise
            _sync_directory(path.parent)
        except sqlite3.DatabaseError as exc:
            raise KeyStoreUnfit(f"{path}: {exc}") from exc
        except OSError as exc:
            raise KeyStoreUnavailable(f"{path}: {exc.strerror}") from exc

    def find(self, ref: KeyRef) -> WrappedKey | None:
        """The key of `ref`, None where there is none.

        Raises:
            KeyStoreUnavailable: the file cannot be read.
        """
        with self._lock:
            return self._find(ref)

    def insert_or_find(self, key: WrappedKey) -> WrappedKey:
        """Stores `key` durably, or leaves the earlier key of its reference; returns the one in force.

        Raises:
            KeyStoreUnavailable: nothing was stored.
        """
        row = (key.ref.account, key.ref.chain, key.ref.key_id, key.public_key, key.ciphertext)
        with self._lock:
            try:
                # One statement is one transaction; with synchronous=FULL it is on the disk on return.
                self._connection.execute(
                    "INSERT INTO wrapped_key (account, chain, key_id, public_key, ciphertext) "
                    "VALUES (?, ?, ?, ?, ?) ON CONFLICT (account, chain, key_id) DO NOTHING",
                    row,
                )
            except sqlite3.Error as exc:
                raise KeyStoreUnavailable(f"key {key.ref} was not stored: {exc}") from exc
            found = self._find(key.ref)
        if found is None:
            raise KeyStoreUnavailable(f"key {key.ref} was not stored")
        return found

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            self._connection.close()

    def _find(self, ref: KeyRef) -> WrappedKey | None:
        try:
            row = self._connection.execute(
                "SELECT public_key, ciphertext FROM wrapped_key "
                "WHERE account = ? AND chain = ? AND key_id = ?",
                (ref.account, ref.chain, ref.key_id),
            ).fetchone()
        except sqlite3.Error as exc:
            raise KeyStoreUnavailable(f"key {ref} cannot be read: {exc}") from exc
        if row is None:
            return None
        return WrappedKey(ref=ref, public_key=PublicKey(row[0]), ciphertext=row[1])


def _require_private(path: Path) -> None:
    """Creates the file with mode 0600, or checks that an existing one is this user's alone."""
    # SQLite would create it by the umask; its -wal and -shm files inherit the mode of this one.
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        status = os.fstat(handle)
    finally:
        os.close(handle)
    if not stat.S_ISREG(status.st_mode) or status.st_mode & 0o077 or status.st_uid != os.geteuid():
        raise KeyStoreUnfit(f"{path} must be a regular file of this user with mode 0600")


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("BEGIN IMMEDIATE")  # two processes may meet a fresh file at once
    try:
        if _header(connection) == (0, 0) and not _tables(connection):
            for statement in _statements(_SCHEMA):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
    if _header(connection) != (_APPLICATION_ID, _SCHEMA_VERSION):
        raise KeyStoreUnfit(f"{path} is not a key store of version {_SCHEMA_VERSION}")


def _header(connection: sqlite3.Connection) -> tuple[int, int]:
    application_id = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    return application_id, version


def _tables(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0])


def _statements(script: str) -> list[str]:
    """Splits the schema where SQLite says a statement is complete (a trigger contains semicolons)."""
    statements, pending = [], ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            statements.append(pending)
            pending = ""
    return statements


def _sync_directory(folder: Path) -> None:
    """Makes the file's name durable, not only its content."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
