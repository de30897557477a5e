from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from signers.vault import VaultSession
from tests.contract.keys.openbao import OpenBao, running_openbao, vault_session


@pytest.fixture(scope="session")
def openbao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBao]:
    """A server shared by the tests that leave it unsealed and running."""
    with running_openbao(tmp_path_factory.mktemp("openbao")) as server:
        yield server


@pytest.fixture
async def vault(openbao: OpenBao, tmp_path: Path) -> AsyncIterator[VaultSession]:
    """A session of signer-1."""
    async with vault_session(openbao, tmp_path) as session:
        yield session
