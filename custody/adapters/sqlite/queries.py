"""How a snapshot asks: over one connection, and never for more than its bound."""

import sqlite3
from collections.abc import Collection, Iterator
from typing import Any, Final

FIRST: Final = ""
"""Less than every id."""


class Queries:
    """Queries on a connection that stands inside a transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._execute = connection.execute

    def _one(self, sql: str, *values: Any) -> Any:
        return self._execute(sql, values).fetchone()

    def _all(self, sql: str, *values: Any) -> Iterator[Any]:
        return iter(self._execute(sql, values).fetchall())


def marks(values: Collection[object]) -> str:
    """As many parameters as there are values."""
    return f"({', '.join('?' * len(values))})"
