from collections.abc import Iterator

import pytest
from hypothesis import settings

from deploy.localnet.anvil import Anvil
from deploy.localnet.ports import Ports
from deploy.localnet.processes import Supervisor
from deploy.localnet.toolchain import Toolchain

# Time decides nothing: a slow machine is no failure.
settings.register_profile("no-deadline", deadline=None)
settings.load_profile("no-deadline")


@pytest.fixture(scope="session")
def anvil(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Anvil]:
    """A real Ethereum node whose blocks are mined on demand."""
    folder = tmp_path_factory.mktemp("anvil")
    with Supervisor() as supervisor, Ports() as ports:
        toolchain = Toolchain(supervisor=supervisor, log_folder=folder, on_fetch=lambda _tool: None)
        node = Anvil(
            command=toolchain.anvil(),
            folder=folder,
            log_file=folder / "anvil.log",
            port=ports.port("anvil"),
            supervisor=supervisor,
        )
        node.start()
        yield node
        node.stop()
