"""The same suites over the fake chains of the unit tests and over a real bitcoind and anvil."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.localnet.anvil import Anvil
from deploy.localnet.bitcoind import CUSTODY_METHODS, Bitcoind
from deploy.localnet.ports import Ports
from deploy.localnet.processes import Supervisor
from deploy.localnet.toolchain import Toolchain
from tests.contract.chains.bitcoin_chains import BitcoinHarness, FakeBitcoinHarness, RealBitcoinHarness
from tests.contract.chains.ethereum_chains import EthereumHarness, FakeEthereumHarness, RealEthereumHarness

REAL = pytest.param("real", marks=pytest.mark.system)


class Nodes:
    """The real nodes of a session, started when first asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._supervisor = Supervisor()
        self._ports = Ports()
        self._names = itertools.count()
        self._bitcoind: Bitcoind | None = None
        self._anvil: Anvil | None = None
        (folder / "logs").mkdir()

    def bitcoind(self) -> Bitcoind:
        if self._bitcoind is None:
            self._bitcoind = Bitcoind(
                command=self._toolchain().bitcoind(),
                folder=self._made("bitcoind"),
                credentials_folder=self._made("credentials"),
                log_file=self._folder / "logs/bitcoind.log",
                port=self._ports.port("bitcoind"),
                # The scan is for reconciliation; a deployment must allow it too.
                users={"custody": (*CUSTODY_METHODS, "scantxoutset")},
                supervisor=self._supervisor,
            )
            self._bitcoind.start()
        return self._bitcoind

    def anvil(self) -> Anvil:
        if self._anvil is None:
            self._anvil = Anvil(
                command=self._toolchain().anvil(),
                folder=self._made("anvil"),
                log_file=self._folder / "logs/anvil.log",
                port=self._ports.port("anvil"),
                supervisor=self._supervisor,
            )
            self._anvil.start()
        return self._anvil

    def close(self) -> None:
        self._supervisor.close()
        self._ports.close()

    def _made(self, name: str) -> Path:
        folder = self._folder / name
        folder.mkdir()
        return folder

    def _toolchain(self) -> Toolchain:
        return Toolchain(
            supervisor=self._supervisor, log_folder=self._folder / "logs", on_fetch=lambda _tool: None
        )


@pytest.fixture(scope="session")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    running = Nodes(tmp_path_factory.mktemp("nodes"))
    try:
        yield running
    finally:
        running.close()


@pytest.fixture(params=["fake", REAL])
def bitcoin(request: pytest.FixtureRequest, nodes: Nodes) -> Iterator[BitcoinHarness]:
    made: BitcoinHarness = (
        FakeBitcoinHarness() if request.param == "fake" else RealBitcoinHarness(nodes.bitcoind())
    )
    yield made
    made.close()


@pytest.fixture(params=["fake", REAL])
def ethereum(request: pytest.FixtureRequest, nodes: Nodes) -> Iterator[EthereumHarness]:
    made: EthereumHarness = (
        FakeEthereumHarness() if request.param == "fake" else RealEthereumHarness(nodes.anvil())
    )
    yield made
    made.close()
