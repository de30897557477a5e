"""What an operator sees of each part."""

from pathlib import Path

import pytest

from deploy.localnet.dev.status import statuses
from deploy.localnet.localnet import Localnet

pytestmark = pytest.mark.system


def conditions(net: Localnet) -> dict[str, tuple[str, bool]]:
    return {each.name: (each.condition, each.is_well) for each in statuses(net.state.path)}


def test_every_part_of_a_running_network_is_well(localnet: Localnet) -> None:
    seen = conditions(localnet)
    assert set(seen) >= {"bitcoind", "anvil", "openbao-0", "openbao-3", "signer-1", "signer-3", "custody"}
    assert [name for name, (_, is_well) in seen.items() if not is_well] == []
    assert seen["signer-2"] == ("serving", True)
    assert seen["bitcoind"][0] == f"block {localnet.bitcoind.height()}"


def test_what_is_wrong_is_said(localnet: Localnet) -> None:
    localnet.openbao[3].seal()
    localnet.signers[2].stop()
    try:
        seen = conditions(localnet)
    finally:
        localnet.openbao[3].unseal()
        localnet.signers[2].start()
    wrong = {name: condition for name, (condition, is_well) in seen.items() if not is_well}
    assert wrong == {"openbao-3": "sealed", "signer-2": "does not run"}


def test_nothing_is_said_of_a_folder_where_nothing_runs(tmp_path: Path) -> None:
    assert list(statuses(tmp_path)) == []
