"""Real proofs for the allowlist entries of `tests.factories.build_world(prove=prove_destination)`."""

from coincurve import PrivateKey
from eth_account import Account as EthAccount
from eth_account.messages import encode_defunct

from signers.statements.allowlist import BitcoinDestination, Destination
from signers.statements.identifiers import Proof
from tests.signers.bitcoin.owners import prove_p2wpkh


def prove_destination(message: str, destination: Destination, key: PrivateKey) -> Proof:
    """The owner's signature: BIP-322 of a P2WPKH script, EIP-191 of an address."""
    if isinstance(destination, BitcoinDestination):
        return prove_p2wpkh(message, destination.script_pubkey, key.secret)
    return Proof(EthAccount.sign_message(encode_defunct(text=message), key.secret).signature.hex())
