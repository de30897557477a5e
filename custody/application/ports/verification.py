"""What custody checks itself of the signers' work, before it keeps, shows or sends it."""
# ruff: noqa: N818 - the conditions are named by what happened, as the domain's refusals are

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from custody.domain.account import OwnershipProof
from custody.domain.deposit import Coin
from custody.domain.identifiers import TransactionId
from custody.domain.withdrawal import PartialSignatures
from signers.statements.account import Account
from signers.statements.amounts import Sats, Wei
from signers.statements.identifiers import CompressedKey, EthereumAddress, SignerId
from signers.statements.intent import Intent


@dataclass(frozen=True, slots=True, kw_only=True)
class BitcoinPayout:
    """What a Bitcoin attempt must be: everything of it but the signatures."""

    account: Account
    intent: Intent
    coins: tuple[Coin, ...]
    """Exactly these are spent."""
    fee: Sats
    """Exactly this is paid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EthereumPayout:
    """What an Ethereum attempt must be."""

    account: Account
    intent: Intent
    fee: Wei
    """The most it may cost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedTransaction:
    """A complete transaction that was verified: it does what the attempt on record says, and spends."""

    raw: bytes
    """As nodes take it."""
    transaction_id: TransactionId
    signers: tuple[SignerId, ...]
    """Whose signatures it carries."""


class PayoutVerifier(Protocol):
    """An implementation apart from the signers' that reads what they signed."""

    def assemble_bitcoin(
        self, *, payout: BitcoinPayout, unsigned: bytes, partials: Sequence[PartialSignatures]
    ) -> SignedTransaction:
        """The transaction with the signatures of the first pair of signers that verifies by consensus rules.

        Args:
            payout: what it must do.
            unsigned: the transaction as a signer constructed it, without witnesses.
            partials: what the signers signed of it.

        Raises:
            TransactionInvalid: it does something else, or no pair of signatures spends the coins.
        """
        ...

    def verify_ethereum(self, *, payout: EthereumPayout, raw: bytes) -> SignedTransaction:
        """The signed transaction, decoded and compared.

        Raises:
            TransactionInvalid: it does something else, or another key signed it.
        """
        ...


class AccountVerifier(Protocol):
    """Whether an account's keys are what the signers say."""

    def ethereum_address(self, key: CompressedKey) -> EthereumAddress:
        """The address of a public key.

        Raises:
            ValueError: it is no point of the curve.
        """
        ...

    def verify_ownership(self, account: Account, proofs: Sequence[OwnershipProof]) -> None:
        """Check the BIP-322 proofs of all three pairs of signers and the holder's EIP-191 signature.

        Raises:
            OwnershipUnproven: a part is missing or another's, or a proof does not verify.
        """
        ...


class TransactionInvalid(Exception):
    """A signer's transaction is not the attempt on record, or its signatures do not spend the coins."""


class OwnershipUnproven(Exception):
    """A pair of signers, or the Ethereum holder, has not shown that it can spend from the account."""
