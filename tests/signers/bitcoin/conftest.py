from collections.abc import Iterator

import pytest
from hypothesis import settings

from deploy.localnet.bitcoind import READ_METHODS, Bitcoind
from deploy.localnet.ports import Ports
from deploy.localnet.processes import Supervisor
from deploy.localnet.toolchain import Toolchain

# Time decides nothing: a slow machine is no failure.
settings.register_profile("no-deadline", deadline=None)
settings.load_profile("no-deadline")


def address_of(node: Bitcoind, script: bytes) -> str:
    """An output script as bitcoind writes it."""
    described = node.call("getdescriptorinfo", f"raw({script.hex()})")["descriptor"]
    (address,) = node.call("deriveaddresses", described)
    return str(address)


@pytest.fixture(scope="session")
def bitcoind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bitcoind]:
    """A real regtest node, and on it a user who may only read, as a signer's."""
    folder = tmp_path_factory.mktemp("bitcoind")
    with Supervisor() as supervisor, Ports() as ports:
        toolchain = Toolchain(supervisor=supervisor, log_folder=folder, on_fetch=lambda _tool: None)
        node = Bitcoind(
            command=toolchain.bitcoind(),
            folder=folder,
            credentials_folder=folder,
            log_file=folder / "bitcoind.log",
            port=ports.port("bitcoind"),
            users={"signer-1": READ_METHODS},
            supervisor=supervisor,
        )
        node.start()
        yield node
        node.stop()
