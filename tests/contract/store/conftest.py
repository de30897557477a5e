"""Every adapter of the Store port joins here: an opener by name, and the suite runs against it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from custody.adapters.sqlite.store import SqliteStore
from custody.application.ports.store import Store

Open = Callable[[Path], Awaitable[Store]]

ADAPTERS: dict[str, Open] = {"sqlite": lambda folder: SqliteStore.open(folder / "custody.db")}


@pytest.fixture(params=ADAPTERS)
def open_store(request: pytest.FixtureRequest) -> Open:
    """Opens, or opens again, what stands in a folder."""
    return ADAPTERS[request.param]


@pytest.fixture
async def store(open_store: Open, tmp_path: Path) -> AsyncIterator[Store]:
    store = await open_store(tmp_path)
    yield store
    await store.close()
