from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.localnet.processes import Supervisor
from tests.system.localnet.running import Owners


@pytest.fixture
def owners(tmp_path: Path) -> Iterator[Owners]:
    started = Owners(tmp_path)
    yield started
    started.close()


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    with Supervisor() as running:
        yield running
