from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.signers.stage import Stage


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """Three signers that have co-signed the account, allowlist entries cooled, three coins of one bitcoin."""
    stage = await Stage.set_up(tmp_path)
    yield stage
    stage.close()
