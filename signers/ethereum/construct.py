"""Build the one transaction that an intent and a fee determine.

EIP-1559, type 2: the nonce is the anchor's, the gas a plain transfer's, data and access list are empty.
Nothing is chosen here, so every signer that is given the same intent and fee builds the same bytes.

Libraries: rlp and pysha3. `verify` judges the result with eth-account.
"""

from dataclasses import dataclass

import rlp

from signers.ethereum import terms
from signers.ethereum.keccak import keccak
from signers.statements.account import Account
from signers.statements.amounts import Wei
from signers.statements.identifiers import EthereumAddress
from signers.statements.intent import Intent

Item = int | bytes | list[bytes]
"""What RLP carries of a payout."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnsignedPayout:
    """A payout without its signature, as this signer built it."""

    chain_id: int
    nonce: int
    max_priority_fee_per_gas: int
    """Wei."""
    max_fee_per_gas: int
    """Wei."""
    destination: EthereumAddress
    amount: Wei

    @property
    def fields(self) -> list[Item]:
        """In the order of EIP-1559, up to and with the access list."""
        return [
            self.chain_id,
            self.nonce,
            self.max_priority_fee_per_gas,
            self.max_fee_per_gas,
            terms.GAS,
            self.destination.raw,
            self.amount.units,
            b"",
            [],
        ]

    @property
    def payload(self) -> bytes:
        """What is hashed for the signature."""
        return bytes([terms.TYPE]) + bytes(rlp.encode(self.fields))

    @property
    def digest(self) -> bytes:
        """What is signed: 32 bytes."""
        return keccak(self.payload)

    @property
    def fee_max(self) -> Wei:
        """The most this attempt can pay the network."""
        return Wei(terms.GAS * self.max_fee_per_gas)


def build_payout(*, intent: Intent, account: Account, fee: Wei) -> UnsignedPayout:
    """The payout of `intent`, which costs at most `fee`.

    Args:
        intent: what to pay, to where, and the nonce every attempt uses.
        account: whose ether.
        fee: the most the network may receive: a multiple of the gas.

    Raises:
        Refusal: as `terms.require_terms`.
    """
    anchor = terms.require_terms(intent, account, fee)
    return UnsignedPayout(
        chain_id=anchor.chain_id,
        nonce=anchor.nonce,
        max_priority_fee_per_gas=terms.max_priority_fee_per_gas(fee),
        max_fee_per_gas=terms.max_fee_per_gas(fee),
        destination=terms.destination_address(intent),
        amount=terms.amount_of_intent(intent),
    )
