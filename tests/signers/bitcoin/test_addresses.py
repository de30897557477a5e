"""Addresses and descriptors agree with an implementation that shares nothing with ours."""

import bdkpython as bdk
import pytest
from hypothesis import given
from hypothesis import strategies as st

from signers.bitcoin.addresses import account_address, address_of
from signers.statements import multisig
from signers.statements.identifiers import ScriptPubKey
from signers.statements.network import Network
from tests.signers.bitcoin import material

BDK = {
    Network.MAINNET: bdk.Network.BITCOIN,
    Network.TESTNET: bdk.Network.TESTNET4,
    Network.REGTEST: bdk.Network.REGTEST,
}


@given(
    st.one_of(
        st.binary(min_size=20, max_size=20).map(lambda program: "0014" + program.hex()),
        st.binary(min_size=32, max_size=32).map(lambda program: "0020" + program.hex()),
        st.binary(min_size=20, max_size=20).map(lambda program: "76a914" + program.hex() + "88ac"),
        st.binary(min_size=20, max_size=20).map(lambda program: "a914" + program.hex() + "87"),
    ),
    st.sampled_from(Network),
)
def test_addresses_agree_with_bdk(script: str, network: Network) -> None:
    theirs = bdk.Address.from_script(bdk.Script(bytes.fromhex(script)), BDK[network])
    assert address_of(ScriptPubKey(script), network) == str(theirs)


def test_a_taproot_address_agrees_with_bdk() -> None:
    """Test vector of BIP-350: a program must be a valid x-only key for bdk to name it."""
    script = ScriptPubKey("512079be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798")
    ours = address_of(script, Network.MAINNET)
    assert ours == "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0"
    assert ours == str(bdk.Address.from_script(bdk.Script(script.raw), bdk.Network.BITCOIN))


def test_a_script_without_an_address_has_none() -> None:
    with pytest.raises(ValueError, match="address"):
        address_of(ScriptPubKey("6a"), Network.MAINNET)


@pytest.mark.parametrize("network", list(Network))
def test_the_account_address_is_that_of_its_descriptor(network: Network) -> None:
    account = material.make(network=network).account
    kind = bdk.NetworkKind.MAIN if network is Network.MAINNET else bdk.NetworkKind.TEST
    descriptor = bdk.Descriptor(multisig.descriptor(account.bitcoin.keys), kind)
    wallet = bdk.Wallet.create_single(descriptor, BDK[network], bdk.Persister.new_in_memory())
    theirs = wallet.peek_address(bdk.KeychainKind.EXTERNAL, 0).address
    assert account_address(account) == str(theirs)
    assert account_address(account).startswith(network.bech32_prefix + "1q")
