"""The network after the demo, still running, for everything that is then looked at or tried on it."""

import asyncio
from collections.abc import Iterator

import pytest

from deploy.localnet.demo.__main__ import tell
from deploy.localnet.demo.record import Recorder
from deploy.localnet.localnet import Localnet
from tests.system.demo.played import Played


@pytest.fixture(scope="package")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    record = Recorder()
    with Localnet(folder=tmp_path_factory.mktemp("demo") / "state") as net:
        asyncio.run(tell(net, record))
        yield Played(net, record)
