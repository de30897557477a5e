"""The account's script is that of its descriptor, by an implementation that shares nothing with ours."""

import bdkpython as bdk
import pytest

from signers.statements import multisig
from signers.statements.network import Network
from tests.signers.bitcoin import material

BDK = {
    Network.MAINNET: bdk.Network.BITCOIN,
    Network.TESTNET: bdk.Network.TESTNET4,
    Network.REGTEST: bdk.Network.REGTEST,
}


@pytest.mark.parametrize("network", list(Network))
def test_bdk_derives_the_accounts_script(network: Network) -> None:
    account = material.make(network=network)
    kind = bdk.NetworkKind.MAIN if network is Network.MAINNET else bdk.NetworkKind.TEST
    descriptor = bdk.Descriptor(multisig.descriptor(account.account.bitcoin.keys), kind)
    wallet = bdk.Wallet.create_single(descriptor, BDK[network], bdk.Persister.new_in_memory())
    theirs = wallet.peek_address(bdk.KeychainKind.EXTERNAL, 0).address
    assert bytes(theirs.script_pubkey().to_bytes()) == account.script
    assert str(theirs).startswith(network.bech32_prefix + "1q")
