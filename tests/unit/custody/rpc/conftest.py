"""One event loop for all of these tests: gRPC's asyncio server wants one per process."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from tests.unit.custody.rpc.deployment import Deployment, deployed
from tests.unit.custody.rpc.rows import Row, Stage

At = Callable[[Row], Awaitable[Deployment]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents and item.get_closest_marker("asyncio"):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(loop_scope="session")
async def deployment(tmp_path: Path) -> AsyncIterator[Deployment]:
    """A service of its own, with one of everything."""
    async with deployed(tmp_path) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def at(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[At]:
    """A service at the stage of a row. Shared: for tests that leave it as it was, and check that they do."""
    async with AsyncExitStack() as stack:
        running: dict[Stage, Deployment] = {}

        async def reach(row: Row) -> Deployment:
            if row.stage not in running:
                folder = tmp_path_factory.mktemp("stage")
                running[row.stage] = await stack.enter_async_context(deployed(folder, row.stage))
            return running[row.stage]

        yield reach
