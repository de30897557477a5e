from collections.abc import Iterator

import pytest

from tests.contract.keys.openbao import OpenBao, running_openbao


@pytest.fixture(scope="session")
def openbao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBao]:
    """A server shared by the tests that leave it unsealed."""
    with running_openbao(tmp_path_factory.mktemp("openbao")) as server:
        yield server
