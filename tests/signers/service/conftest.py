from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.signers.service.wire import Authority, Wired
from tests.signers.stage import Stage


@pytest.fixture
async def wired(stage: Stage, tmp_path: Path) -> AsyncIterator[Wired]:
    """The signers of the stage behind mutual TLS."""
    async with AsyncExitStack() as opened:
        yield await Wired.set_up(stage, Authority(tmp_path / "authority"), opened)
