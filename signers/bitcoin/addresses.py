"""Address text. For people alone: statements carry scripts, and nothing is decided by an address."""

from typing import Any, Final

from embit.networks import NETWORKS
from embit.script import Script

from signers.statements.account import Account
from signers.statements.identifiers import ScriptPubKey
from signers.statements.network import Network

_PARAMETERS: Final[dict[Network, dict[str, Any]]] = {
    Network.MAINNET: NETWORKS["main"],
    Network.TESTNET: NETWORKS["test"],
    Network.REGTEST: NETWORKS["regtest"],
}


def address_of(script: ScriptPubKey, network: Network) -> str:
    """The address of an output script: bech32 (BIP-173), bech32m (BIP-350) or base58check.

    Raises:
        ValueError: the script has no address.
    """
    return str(Script(script.raw).address(_PARAMETERS[network]))


def account_address(account: Account) -> str:
    """The one Bitcoin address of a pledge account."""
    return address_of(account.bitcoin.script_pubkey, account.network)
