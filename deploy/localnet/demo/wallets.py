"""The parties' own wallets outside of custody: where coins come from, and where they may go."""

import secrets
from dataclasses import dataclass

from bip322core import build_to_sign, build_to_spend, encode_simple
from embit.ec import PrivateKey
from embit.networks import NETWORKS
from embit.script import p2pkh, p2wpkh
from embit.transaction import SIGHASH
from eth_account import Account as EthAccount
from eth_account.messages import encode_defunct
from eth_account.signers.local import LocalAccount

from signers.statements.allowlist import BitcoinDestination, EthereumDestination
from signers.statements.identifiers import EthereumAddress, Proof, ScriptPubKey


@dataclass(frozen=True)
class BitcoinWallet:
    """One P2WPKH key."""

    key: PrivateKey

    @classmethod
    def new(cls) -> "BitcoinWallet":
        return cls(PrivateKey(secrets.token_bytes(32)))

    @property
    def destination(self) -> BitcoinDestination:
        return BitcoinDestination(script_pubkey=ScriptPubKey(p2wpkh(self.key).data.hex()))

    @property
    def text(self) -> str:
        """The address as people write it (BIP-173)."""
        return str(p2wpkh(self.key).address(NETWORKS["regtest"]))

    def prove(self, message: str) -> Proof:
        """A BIP-322 simple signature."""
        script = p2wpkh(self.key)
        to_spend = build_to_spend(message.encode(), script.data)
        to_sign = build_to_sign(bytes(to_spend.txid()))
        public_key = self.key.get_public_key()
        digest = to_sign.sighash_segwit(0, p2pkh(public_key), 0)
        signature = bytes(self.key.sign(digest).serialize()) + bytes([SIGHASH.ALL])
        return Proof(encode_simple([signature, public_key.sec()]))


@dataclass(frozen=True)
class EthereumWallet:
    """One externally owned account."""

    account: LocalAccount

    @classmethod
    def new(cls) -> "EthereumWallet":
        return cls(EthAccount.create())

    @property
    def address(self) -> EthereumAddress:
        return EthereumAddress(self.account.address.lower().removeprefix("0x"))

    @property
    def destination(self) -> EthereumDestination:
        return EthereumDestination(address=self.address)

    @property
    def text(self) -> str:
        """The address as people write it (EIP-55)."""
        return str(self.account.address)

    def prove(self, message: str) -> Proof:
        """An EIP-191 signature."""
        signed = self.account.sign_message(encode_defunct(text=message))
        return Proof(signed.signature.hex().removeprefix("0x"))
