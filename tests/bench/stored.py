"""Commands through `Store.execute`, many in flight, on a copy of the book's database."""

import asyncio
import gc
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from custody import memory
from custody.adapters.sqlite.store import SqliteStore
from custody.application.ports.store import UnitOfWork
from custody.domain.lien import Lien
from tests.bench.accounts import Book

Command = Callable[[UnitOfWork], Lien]


@asynccontextmanager
async def stored(book: Book) -> AsyncIterator[SqliteStore]:
    """A store over the book, in a file of its own."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "custody.sqlite"
        book.write(file)
        store = await SqliteStore.open(file)
        try:
            yield store
        finally:
            await store.close()


async def seconds_to_execute(store: SqliteStore, streams: Sequence[Iterator[Command]]) -> float:
    """How long it takes, with as many commands in flight as there are streams."""

    async def client(commands: Iterator[Command]) -> None:
        for command in commands:
            await store.execute(command)

    began_at = time.perf_counter()
    await asyncio.gather(*(client(commands) for commands in streams))
    return time.perf_counter() - began_at


@contextmanager
def settled() -> Iterator[None]:
    """With the garbage collector as custody has it, and nothing for it in what the benchmark itself holds."""
    before = gc.get_threshold()
    memory.settle()
    try:
        yield
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)
