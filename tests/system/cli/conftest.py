"""Everybody of the shared network, at the command line."""

import pytest

from deploy.localnet import Localnet
from tests.system.cli.command import Command


@pytest.fixture(scope="session")
def bailee(localnet: Localnet, tmp_path_factory: pytest.TempPathFactory) -> Command:
    return Command(profiles=localnet.profiles, home=tmp_path_factory.mktemp("home"))
