"""Every process of a running localnet, and how it is: asked of the processes themselves."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import hvac
from hvac.exceptions import VaultError
from requests.exceptions import RequestException

from deploy.localnet.bitcoind import BitcoinRpc
from deploy.localnet.certificates import issued
from deploy.localnet.json_rpc import JsonRpc, RpcError
from deploy.localnet.service_process import is_serving
from deploy.localnet.state import Record, read_record

_ASKS: Final = "operations.custodian-one"
_SECONDS: Final = 2.0


@dataclass(frozen=True, kw_only=True)
class PartStatus:
    """One part.

    Attributes:
        condition: for people.
        is_well: whether it does what it is for.
    """

    name: str
    pid: int
    address: str
    condition: str
    is_well: bool

    def __str__(self) -> str:
        return f"{self.name:<12} {self.pid:>8}  {self.address:<26} {self.condition}"


def statuses(state: Path) -> Iterable[PartStatus]:
    """Every part of the localnet in a state folder; none where nothing runs."""
    record = read_record(state)
    if record is None:
        return
    for name, address in sorted(record.endpoints.items()):
        identity = record.processes.get(name)
        if identity is None or not identity.is_alive():
            condition, is_well = "does not run", False
        else:
            condition, is_well = _ask(state, record, name)
        pid = identity.pid if identity else 0
        yield PartStatus(name=name, pid=pid, address=address, condition=condition, is_well=is_well)


def _ask(state: Path, record: Record, name: str) -> tuple[str, bool]:
    address = record.endpoints[name]
    port = int(address.rpartition(":")[2])
    try:
        match name.partition("-")[0]:
            case "bitcoind":
                height = BitcoinRpc(folder=state / "bitcoind", port=port).call("getblockcount")
                return f"block {height}", True
            case "anvil":
                return f"block {int(JsonRpc(port=port).call('eth_blockNumber'), 16)}", True
            case "openbao":
                return _ask_openbao(state, address)
            case _:
                caller = issued(state / "certificates", _ASKS)
                serves = is_serving(address, caller=caller, name=f"{name}.bailee")
                return ("serving", True) if serves else ("not serving", False)
    except (OSError, RpcError, RequestException, VaultError) as error:
        return f"no answer: {type(error).__name__}", False


def _ask_openbao(state: Path, address: str) -> tuple[str, bool]:
    authority = str(state / "certificates" / "ca.pem")
    client = hvac.Client(address, verify=authority, timeout=_SECONDS)
    client.session.trust_env = False
    is_sealed = bool(client.sys.read_seal_status()["sealed"])
    return ("sealed", False) if is_sealed else ("unsealed", True)
