"""What the rules ask of a chain: this signer's own node, and the two implementations that build and judge."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from signers.bitcoin import node as bitcoin_node
from signers.bitcoin.coins import Coin
from signers.ethereum import node as ethereum_node
from signers.journal import Point
from signers.keys.port import KeyRef
from signers.statements.account import Account
from signers.statements.allowlist import AllowlistEntry
from signers.statements.amounts import Amount, Asset
from signers.statements.identifiers import AccountId, Digest, Seconds, SignerId
from signers.statements.intent import Intent, OutpointAnchor

T = TypeVar("T")

_KEY_ID: Final = "1"


def key_ref(account: AccountId, asset: Asset) -> KeyRef:
    """The name of an account's one key on one chain."""
    return KeyRef(account=account, chain=asset.value, key_id=_KEY_ID)


class NodeUnavailable(Exception):  # noqa: N818 - named for what is the case
    """This signer's own node does not answer, or is not usable yet. Nothing is decided without it."""


async def answered(question: Awaitable[T]) -> T:
    """What a node answers, or the rules' own word for there being no answer."""
    try:
        return await question
    except (bitcoin_node.NodeUnavailable, ethereum_node.NodeUnavailable) as error:
        raise NodeUnavailable(str(error)) from error


class AttemptNotSigned(Exception):  # noqa: N818 - named for what is the case
    """The two implementations disagree, or the key gave no valid signature. Nothing left this process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tip:
    """The best block of the own node."""

    point: Point
    time: Seconds
    """What the block itself says."""
    median_time_past: Seconds
    """BTC: the median of the last eleven blocks (BIP-113). ETH: the block's time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerSignatures:
    """What another signer has signed of the same attempt."""

    signer: SignerId
    signatures: tuple[bytes, ...]
    """DER and the byte SIGHASH_ALL, one per input."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What an attempt is built from."""

    intent: Intent
    account: Account
    fee: Amount
    coins: tuple[Coin, ...] = ()
    peers: tuple[PeerSignatures, ...] = ()


class Draft(Protocol):
    """An attempt that one implementation built and the other accepted; not signed."""

    @property
    def transaction(self) -> bytes:
        """The exact unsigned transaction."""

    @property
    def digest(self) -> Digest:
        """SHA-256 of `transaction`."""

    @property
    def inputs(self) -> tuple[OutpointAnchor, ...]:
        """BTC: what it spends. ETH: nothing."""


class Chain(Protocol):
    """One chain, as this signer sees it.

    Every method that asks the node raises `NodeUnavailable` where it does not answer.
    """

    async def tip(self) -> Tip:
        """The best block.

        Raises:
            Refusal: `chain-id` where the node is on another chain, or not fit for a signer.
        """

    async def require_anchor(self, intent: Intent, account: Account) -> None:
        """The anchor is the account's and not spent.

        Raises:
            Refusal: `anchor-mismatch`, `anchor-spent`, `chain-id` or `nonce`.
        """

    async def anchor_is_final(
        self, intent: Intent, account: Account, *, depth: int, since_height: int
    ) -> bool:
        """Whether the anchor is spent beyond recall; `False` also while that is not known yet.

        Args:
            intent: an announced one.
            account: its account.
            depth: confirmations from which a spend is final, where the chain itself does not say.
            since_height: a height at which the anchor was not spent.
        """

    async def anchor_is_open(self, intent: Intent, account: Account) -> bool:
        """Whether the anchor is there and not spent."""

    def require_ownership(self, entry: AllowlistEntry) -> None:
        """The destination's owner signed the ownership message.

        Raises:
            Refusal: `allowlist-proof`.
        """

    def require_address(self, account: Account) -> None:
        """The account's address follows from its keys.

        Raises:
            Refusal: `account-keys`.
        """

    def build(self, order: Order) -> Draft:
        """Build the attempt and have the second implementation accept it. Asks nobody.

        Raises:
            Refusal: whatever makes it not a payout of the intent.
        """

    async def require_coins(self, draft: Draft) -> None:
        """Every coin of the draft is what the own node says it is.

        Raises:
            Refusal: `prevout-lie`.
        """

    async def sign(self, draft: Draft) -> tuple[bytes, ...]:
        """Sign the draft and verify the result.

        Returns:
            BTC: one signature per input, DER and SIGHASH_ALL. ETH: the one signed transaction.

        Raises:
            Refusal: `account-mode` (another signer holds the key) or `signature-invalid`.
            AttemptNotSigned: no valid signature came of it.
        """

    async def prove_ownership(self, account: Account) -> bytes | None:
        """This signer's signature over the ownership message of the account; `None` where it holds no key."""
