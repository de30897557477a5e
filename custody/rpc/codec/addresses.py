"""Addresses as people write them. For display: nothing is ever decided by them, or parsed from them.

Sources: BIP-173 and BIP-350 (bech32, bech32m), BIP-380 (descriptor checksum), EIP-55.
"""

from typing import Final

from embit.descriptor.checksum import add_checksum
from embit.networks import NETWORKS
from embit.script import Script
from eth_utils.address import to_checksum_address

from signers.statements.identifiers import EthereumAddress, ScriptPubKey
from signers.statements.network import Network

_NETWORKS: Final = {
    Network.MAINNET: NETWORKS["main"],
    Network.TESTNET: NETWORKS["test"],
    Network.REGTEST: NETWORKS["regtest"],
}


def ethereum(address: EthereumAddress) -> str:
    """With 0x and the checksum of EIP-55."""
    return str(to_checksum_address("0x" + address))


def bitcoin(script: ScriptPubKey, network: Network) -> str:
    """The address of a P2PKH, P2SH, P2WPKH, P2WSH or P2TR script; empty for any other."""
    output = Script(script.raw)
    return "" if output.script_type() is None else str(output.address(_NETWORKS[network]))


def with_checksum(descriptor: str) -> str:
    """An output descriptor with the eight characters that BIP-380 appends."""
    return str(add_checksum(descriptor))
