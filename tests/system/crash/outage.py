"""Parts go down at once, and come back as an operator would bring them back."""

from collections.abc import Collection

from deploy.localnet import Localnet
from deploy.localnet.anvil import Anvil
from deploy.localnet.bitcoind import Bitcoind
from deploy.localnet.openbao import OpenBao
from deploy.localnet.service_process import ServiceProcess

Part = ServiceProcess | OpenBao | Bitcoind | Anvil


def kill(net: Localnet, down: Collection[str]) -> None:
    """SIGKILL to each, by name; see `Bitcoind.kill` and `Anvil.kill` for what a node gets to keep."""
    services = (net.custody, *net.signers.values())
    parts: tuple[Part, ...] = (*services, *net.openbao, net.bitcoind, net.anvil)
    for part in parts:
        if part.process.name in down:
            part.kill()


def bring_back(net: Localnet, down: Collection[str]) -> None:
    """Nodes first; every OpenBao is unsealed; a service gets a fresh SecretID, and waits for its peers."""
    for node in (net.bitcoind, net.anvil):
        if node.process.name in down:
            node.start()
    for bao in net.openbao:
        if bao.name in down:
            bao.start()
            bao.unseal()
    services = [each for each in (*net.signers.values(), net.custody) if each.name in down]
    for service in services:
        service.launch()
    for service in services:
        service.wait_until_ready()
