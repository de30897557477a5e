import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from signers.keys.port import KeyRef, PublicKey
from signers.keys.store import KeyStore, KeyStoreUnavailable, KeyStoreUnfit, WrappedKey

KEY = WrappedKey(
    ref=KeyRef(account="pledge-1", chain="BTC", key_id="key-1"),
    public_key=PublicKey(b"\x02" + bytes(32)),
    ciphertext="vault:v1:AAAA",
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.db"


def test_what_is_stored_is_found_also_after_reopening(path: Path) -> None:
    store = KeyStore(path)
    assert store.find(KEY.ref) is None
    assert store.insert_or_find(KEY) == KEY
    store.close()
    assert KeyStore(path).find(KEY.ref) == KEY


def test_it_is_on_disk_when_insert_returns(path: Path) -> None:
    store = KeyStore(path)
    assert store._connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert store._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    store.insert_or_find(KEY)
    other = sqlite3.connect(path)
    assert other.execute("SELECT account, ciphertext FROM wrapped_key").fetchall() == [
        ("pledge-1", "vault:v1:AAAA")
    ]
    other.close()


def test_the_first_key_of_a_reference_stays(path: Path) -> None:
    store = KeyStore(path)
    store.insert_or_find(KEY)
    later = replace(KEY, public_key=PublicKey(b"\x03" + bytes(32)), ciphertext="vault:v1:BBBB")
    assert store.insert_or_find(later) == KEY


def test_racing_processes_agree_on_one_key(path: Path) -> None:
    def create(number: int) -> WrappedKey:
        key = replace(KEY, public_key=PublicKey(b"\x02" + number.to_bytes(32, "big")))
        return KeyStore(path).insert_or_find(key)

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(create, range(8)))) == 1


def test_one_public_key_never_serves_two_references(path: Path) -> None:
    store = KeyStore(path)
    store.insert_or_find(KEY)
    with pytest.raises(KeyStoreUnavailable, match="UNIQUE"):
        store.insert_or_find(replace(KEY, ref=replace(KEY.ref, account="pledge-2")))


@pytest.mark.parametrize(
    "change", ["UPDATE wrapped_key SET ciphertext = 'vault:v1:BBBB'", "DELETE FROM wrapped_key"]
)
def test_rows_are_neither_changed_nor_deleted(path: Path, change: str) -> None:
    store = KeyStore(path)
    store.insert_or_find(KEY)
    with pytest.raises(sqlite3.IntegrityError, match="insert-only"):
        store._connection.execute(change)
    assert store.find(KEY.ref) == KEY


@pytest.mark.parametrize(
    "change", [{"ciphertext": "AAAA"}, {"ciphertext": ""}, {"public_key": PublicKey(bytes(32))}]
)
def test_a_malformed_row_is_not_stored(path: Path, change: dict[str, Any]) -> None:
    store = KeyStore(path)
    with pytest.raises(KeyStoreUnavailable):
        store.insert_or_find(replace(KEY, **change))
    assert store.find(KEY.ref) is None


def test_every_file_is_the_users_alone(path: Path) -> None:
    before = os.umask(0)
    try:
        store = KeyStore(path)
        store.insert_or_find(KEY)
        modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
    finally:
        os.umask(before)
    assert modes == {"keys.db": 0o600, "keys.db-wal": 0o600, "keys.db-shm": 0o600}


@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_file_open_to_others_is_refused(path: Path, mode: int) -> None:
    KeyStore(path).close()
    path.chmod(mode)
    with pytest.raises(KeyStoreUnfit, match="0600"):
        KeyStore(path)


def test_a_symbolic_link_is_refused(path: Path) -> None:
    KeyStore(path.with_name("elsewhere.db")).close()
    path.symlink_to(path.with_name("elsewhere.db"))
    with pytest.raises(KeyStoreUnavailable):
        KeyStore(path)


def test_a_foreign_database_is_refused_and_left_alone(path: Path) -> None:
    foreign = sqlite3.connect(path)
    foreign.execute("CREATE TABLE journal (entry TEXT)")
    foreign.close()
    path.chmod(0o600)
    with pytest.raises(KeyStoreUnfit, match="not a key store"):
        KeyStore(path)
    assert sqlite3.connect(path).execute("SELECT name FROM sqlite_schema").fetchall() == [("journal",)]


def test_another_version_is_refused(path: Path) -> None:
    KeyStore(path).close()
    later = sqlite3.connect(path)
    later.execute("PRAGMA user_version = 2")
    later.close()
    with pytest.raises(KeyStoreUnfit, match="version 1"):
        KeyStore(path)


def test_what_is_no_database_is_refused(path: Path) -> None:
    path.write_bytes(b"not a database" * 100)
    path.chmod(0o600)
    with pytest.raises(KeyStoreUnfit):
        KeyStore(path)


def test_a_closed_store_says_so_typed(path: Path) -> None:
    store = KeyStore(path)
    store.close()
    with pytest.raises(KeyStoreUnavailable):
        store.find(KEY.ref)
    with pytest.raises(KeyStoreUnavailable):
        store.insert_or_find(KEY)
