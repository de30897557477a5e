"""Schema migrations: numbered SQL files, applied once each, in order, every one in its own transaction."""

import re
import sqlite3
from dataclasses import dataclass
from importlib import resources
from typing import Final

from custody.domain.errors import StoreUnavailable

_NAME: Final = re.compile(r"(\d{4})_[a-z0-9_]+\.sql", re.ASCII)


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of `schema/`."""

    version: int
    name: str
    sql: str


def migrations() -> tuple[Migration, ...]:
    """The migrations of this release, in order."""
    files = resources.files(__package__).joinpath("schema").iterdir()
    found = sorted(
        (
            Migration(int(match[1]), file.name, file.read_text(encoding="utf-8"))
            for file in files
            if (match := _NAME.fullmatch(file.name))
        ),
        key=lambda migration: migration.version,
    )
    if [migration.version for migration in found] != list(range(1, len(found) + 1)):
        raise StoreUnavailable("the schema's migrations are not numbered 1, 2, 3, …")
    return tuple(found)


def migrate(connection: sqlite3.Connection) -> int:
    """Bring a database to this release's schema.

    Args:
        connection: in autocommit mode.

    Returns:
        The version it has now.

    Raises:
        StoreUnavailable: the database is of a later release. Going back could misread what it holds.
    """
    known = migrations()
    connection.execute(
        "CREATE TABLE IF NOT EXISTS schema_version (version INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT"
    )
    (present,) = connection.execute("SELECT coalesce(max(version), 0) FROM schema_version").fetchone()
    if present > len(known):
        raise StoreUnavailable(f"the database has schema {present}, this release knows {len(known)}")
    for migration in known[present:]:
        # executescript would commit first; the file and its version must land together.
        connection.executescript(
            f"BEGIN IMMEDIATE;\n{migration.sql}\n"
            f"INSERT INTO schema_version VALUES ({migration.version}, '{migration.name}');\nCOMMIT;"
        )
    return len(known)
