"""The verifiers of the ports, over the modules that do the work."""

from collections.abc import Sequence

from custody.adapters import bitcoin_transactions, ethereum_transactions, ownership
from custody.application.ports.verification import BitcoinPayout, EthereumPayout, SignedTransaction
from custody.domain.account import OwnershipProof
from custody.domain.withdrawal import PartialSignatures
from signers.statements.account import Account
from signers.statements.identifiers import CompressedKey, EthereumAddress


class Payouts:
    """Implements `PayoutVerifier`."""

    def assemble_bitcoin(
        self, *, payout: BitcoinPayout, unsigned: bytes, partials: Sequence[PartialSignatures]
    ) -> SignedTransaction:
        """As the port says."""
        return bitcoin_transactions.assemble(payout=payout, unsigned=unsigned, partials=partials)

    def verify_ethereum(self, *, payout: EthereumPayout, raw: bytes) -> SignedTransaction:
        """As the port says."""
        return ethereum_transactions.verify(payout=payout, raw=raw)


class Accounts:
    """Implements `AccountVerifier`."""

    def ethereum_address(self, key: CompressedKey) -> EthereumAddress:
        """As the port says."""
        return ethereum_transactions.address_of(key)

    def verify_ownership(self, account: Account, proofs: Sequence[OwnershipProof]) -> None:
        """As the port says."""
        ownership.verify_ownership(account, proofs)
