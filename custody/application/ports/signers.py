"""What custody asks of the signers. They trust none of it: each checks every statement itself."""
# ruff: noqa: N818 - the conditions are named by what happened, as the domain's refusals are

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from custody.domain.account import OwnershipProof
from custody.domain.withdrawal import PartialSignatures
from signers.statements.amounts import Asset, Sats, Wei
from signers.statements.envelope import Envelope
from signers.statements.identifiers import AccountId, Digest, SignerId
from signers.statements.refusals import Tag

PREVIOUS_BYTES_TOTAL_MAX = 6_000_000
"""Of all previous transactions of one attempt: what a signer takes (signer.proto)."""


@dataclass(frozen=True, slots=True)
class CreatedKey:
    """A signer's fresh key: its account-key statement."""

    envelope: Envelope


@dataclass(frozen=True, slots=True)
class HeldBy:
    """Single-holder Ethereum: this signer made no key, the named one holds it."""

    holder: SignerId


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviousOutput:
    """An output to spend, with the whole transaction that made it: a bare amount could lie about the fee."""

    transaction: bytes
    """Serialised without witnesses."""
    index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BitcoinAttempt:
    """A Bitcoin transaction as a signer constructed it, and its signatures."""

    unsigned: bytes
    """Without witnesses. Every signer constructs the same."""
    partial: PartialSignatures
    receipt: Envelope


@dataclass(frozen=True, slots=True, kw_only=True)
class EthereumAttempt:
    """A signed EIP-1559 transaction as nodes take it: 0x02, then the RLP list."""

    raw: bytes
    receipt: Envelope


class Signers(Protocol):
    """The signers of the policy, by id. Every call is idempotent: asked again, a signer answers the same.

    Every method raises:
        SignerRefused: a rule said no.
        SignerUnavailable: no answer in time; the call may or may not have been journaled.
        SignerAnswerInvalid: the answer is not what the protocol says.
    """

    async def create_account_key(
        self, signer: SignerId, *, account: AccountId, asset: Asset
    ) -> CreatedKey | HeldBy:
        """A fresh key of the account, or who holds it."""
        ...

    async def cosign_account(
        self, signer: SignerId, *, account: Envelope, account_keys: Sequence[Envelope]
    ) -> Envelope:
        """The account statement with that signer's signature only."""
        ...

    async def prove_ownership(
        self, signer: SignerId, *, account: AccountId, account_digest: Digest
    ) -> OwnershipProof:
        """That signer's part of the ownership proofs, not yet verified."""
        ...

    async def announce(
        self, signer: SignerId, *, intent: Envelope, release: Envelope, allowlist_entry: Envelope
    ) -> Envelope:
        """The receipt that the signer journaled the intent; its timelock runs from there."""
        ...

    async def sign_bitcoin(
        self,
        signer: SignerId,
        *,
        intent_digest: Digest,
        fee: Sats,
        inputs: Sequence[PreviousOutput],
        announce_receipts: Sequence[Envelope],
        partials: Sequence[PartialSignatures] = (),
    ) -> BitcoinAttempt:
        """That signer's signatures over one attempt. Without inputs it signs nothing, and says why not."""
        ...

    async def sign_ethereum(
        self, signer: SignerId, *, intent_digest: Digest, fee: Wei, announce_receipts: Sequence[Envelope]
    ) -> EthereumAttempt:
        """The holder's signed attempt. `fee` is the most it may cost, a multiple of 21,000 gas."""
        ...


class SignerError(Exception):
    """A signer gave no usable answer.

    Attributes:
        signer: which.
    """

    def __init__(self, signer: SignerId, detail: str) -> None:
        super().__init__(f"{signer}: {detail}")
        self.signer = signer
        self.detail = detail


class SignerRefused(SignerError):
    """A signer's rule said no.

    Attributes:
        tag: the rule.
        receipt: the signed refusal; `None` where the signer gave none with it.
    """

    def __init__(self, signer: SignerId, tag: Tag, detail: str, receipt: Envelope | None) -> None:
        super().__init__(signer, f"{tag.value}: {detail}")
        self.tag = tag
        self.receipt = receipt


class SignerUnavailable(SignerError):
    """No answer in time, or the signer says that its Vault, node or peer does not answer. Ask again later."""


class SignerAnswerInvalid(SignerError):
    """The signer answered outside the protocol, or took the request for one. Asking again helps nobody."""
