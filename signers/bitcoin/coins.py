"""The coins that a payout spends, and the fixed form of every payout."""

from dataclasses import dataclass
from typing import Final

from signers.statements.account import Account
from signers.statements.amounts import Asset, Sats
from signers.statements.identifiers import CompressedKey, TxId
from signers.statements.intent import INDEX_MAX, Intent, OutpointAnchor
from signers.statements.refusals import Refusal, Tag, refuse_unless

VERSION: Final = 2
LOCK_TIME: Final = 0
SEQUENCE: Final = 0xFFFFFFFD
"""Signals replaceability (BIP-125) and switches relative lock times off (BIP-68)."""

INPUTS_MAX: Final = 64
"""A 2-of-3 input weighs 418 units at most, so this stays well below the 400,000 that nodes relay."""

PREVIOUS_BYTES_MAX: Final = 1_000_000
"""Of one previous transaction. A block has no room for more without witnesses, and the id ignores those."""

PREVIOUS_BYTES_TOTAL_MAX: Final = 6_000_000
"""Of all previous transactions of one payout, so that a request with them and all receipts is one message."""

SIGHASH_ALL: Final = 1
"""Every signature covers every input and every output."""

_DUST_RATE_SATS_PER_BYTE: Final = 3
_SPEND_WITNESS_BYTES: Final = 67
_SPEND_LEGACY_BYTES: Final = 148


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Outpoint:
    """One output of one transaction. Sorts as BIP-69 sorts inputs."""

    txid: TxId
    index: int

    def __post_init__(self) -> None:
        if not 0 <= self.index <= INDEX_MAX:
            raise ValueError(f"an output index is 0..{INDEX_MAX}")

    def __str__(self) -> str:
        return f"{self.txid}:{self.index}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Coin:
    """A coin as custody hands it over. Nothing of it is believed.

    Its id is computed from the bytes, and binds the amount: one that is merely told lets a liar take the
    difference as fee (CVE-2020-14199). What was altered is another coin, which no chain has.
    """

    previous_transaction: bytes
    """The complete transaction that made the coin, with or without witnesses."""
    index: int
    """Which of its outputs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpentOutput:
    """What an input spends, read from the previous transaction whose hash is the outpoint's id."""

    outpoint: Outpoint
    value: Sats
    script: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmedOutput:
    """An unspent output of the best chain of the signer's own node."""

    value: Sats
    script: bytes
    height: int


def require_terms(intent: Intent, account: Account, fee: Sats) -> OutpointAnchor:
    """The anchor of an intent that can be paid from this account in bitcoin, at this fee.

    Raises:
        Refusal: `statement-network`, `account-unknown` (the intent is another account's), `anchor-mismatch`
            (no outpoint), `destination` (the account itself, which no payout needs) or `fee-cap`.
    """
    refuse_unless(
        intent.network is account.network, Tag.STATEMENT_NETWORK, f"{intent.network}, {account.network}"
    )
    refuse_unless(intent.account == account.account, Tag.ACCOUNT_UNKNOWN, f"an intent of {intent.account}")
    if not isinstance(intent.anchor, OutpointAnchor) or intent.asset is not Asset.BTC:
        raise Refusal(Tag.ANCHOR_MISMATCH, f"an intent of {intent.asset} spends no outpoint")
    refuse_unless(
        destination_script(intent) != account.bitcoin.script_pubkey.raw,
        Tag.DESTINATION,
        "the destination is the account itself",
    )
    cap = intent.fee_cap
    refuse_unless(isinstance(cap, Sats) and fee <= cap, Tag.FEE_CAP, f"{fee} above {cap}")
    return intent.anchor


def anchor_outpoint(anchor: OutpointAnchor) -> Outpoint:
    """Where the anchor is."""
    return Outpoint(txid=anchor.txid, index=anchor.index)


def destination_script(intent: Intent) -> bytes:
    """The output script that the intent pays.

    Raises:
        Refusal: `destination` where it is no script.
    """
    if intent.destination.kind != "bitcoin":
        raise Refusal(Tag.DESTINATION, f"{intent.destination.kind} is not a script")
    return intent.destination.script_pubkey.raw


def amount_of_intent(intent: Intent) -> Sats:
    """What the intent pays."""
    if not isinstance(intent.amount, Sats):
        raise Refusal(Tag.AMOUNT, f"{intent.amount} is not bitcoin")
    return intent.amount


def require_bounded(coins: tuple[Coin, ...]) -> None:
    """Refuse what would cost too much to look at.

    Raises:
        Refusal: `transaction-shape` (no inputs, or too many) or `prevout-lie` (too long to be a transaction).
    """
    refuse_unless(
        0 < len(coins) <= INPUTS_MAX, Tag.TRANSACTION_SHAPE, f"{len(coins)} inputs, 1..{INPUTS_MAX}"
    )
    sizes = [len(coin.previous_transaction) for coin in coins]
    refuse_unless(
        max(sizes) <= PREVIOUS_BYTES_MAX and sum(sizes) <= PREVIOUS_BYTES_TOTAL_MAX,
        Tag.PREVOUT_LIE,
        f"previous transactions of {max(sizes)} and together {sum(sizes)} bytes",
    )


def require_confirmed(spent: SpentOutput, seen: ConfirmedOutput | None) -> None:
    """Refuse a coin that the signer's own node does not have, or has otherwise.

    Raises:
        Refusal: `prevout-lie`.
    """
    refuse_unless(
        seen is not None and (seen.value, seen.script) == (spent.value, spent.script),
        Tag.PREVOUT_LIE,
        f"{spent.outpoint} is not an unspent output of the own node",
    )


def dust_limit(script: bytes) -> Sats:
    """The smallest value of an output with this script that nodes relay.

    Source: Bitcoin Core, policy/policy.cpp, GetDustThreshold at the default -dustrelayfee of 3 sat per byte:
    what it costs to make and to spend the output.
    """
    spend_bytes = _SPEND_WITNESS_BYTES if _is_witness_program(script) else _SPEND_LEGACY_BYTES
    output_bytes = 8 + 1 + len(script)
    return Sats(_DUST_RATE_SATS_PER_BYTE * (output_bytes + spend_bytes))


def _is_witness_program(script: bytes) -> bool:
    """BIP-141: a version opcode and one push of 2 to 40 bytes."""
    return (
        4 <= len(script) <= 42
        and (script[0] == 0 or 0x51 <= script[0] <= 0x60)
        and script[1] == len(script) - 2
    )


def account_script(account: Account) -> bytes:
    """Where change returns, and what every input must have been locked with."""
    return account.bitcoin.script_pubkey.raw


def script_keys(account: Account) -> tuple[CompressedKey, ...]:
    """The account's keys in the order of its script (BIP-67)."""
    return tuple(sorted(account.bitcoin.keys))
