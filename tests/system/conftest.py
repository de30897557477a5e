"""The network that system tests share."""

from collections.abc import Iterator

import pytest

from deploy.localnet.localnet import Localnet


@pytest.fixture(scope="session")
def localnet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Localnet]:
    """One running network for the whole session: a test leaves every part up and unsealed behind."""
    with Localnet(folder=tmp_path_factory.mktemp("localnet") / "state") as net:
        yield net
