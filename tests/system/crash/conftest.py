from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from deploy.localnet import Localnet
from deploy.localnet.demo.onboarding import list_destinations, open_account
from deploy.localnet.demo.pledging import deposit
from deploy.localnet.demo.record import Recorder
from deploy.localnet.demo.stage import set_stage
from signers.statements.amounts import Asset
from tests.system.crash.scene import Scene


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    """A network of its own, with both assets pledged: a test leaves every part up and unsealed behind."""
    with Localnet(folder=tmp_path_factory.mktemp("crash") / "state") as net:
        async with set_stage(net, Recorder()) as stage:
            await open_account(stage)
            await list_destinations(stage)
            for asset in Asset:
                await deposit(stage, asset)
            yield Scene(stage)
