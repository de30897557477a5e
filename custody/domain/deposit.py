"""Deposits, the coins they leave at a Bitcoin address, and what a watcher reports of each chain."""

from dataclasses import dataclass
from enum import StrEnum
from typing import final

from custody.domain.chain_view import BlockRef
from custody.domain.errors import StateConflict
from custody.domain.identifiers import DepositId, TransactionId, WithdrawalId
from signers.statements.amounts import Amount, Sats, Wei
from signers.statements.identifiers import AccountId, Seconds


@final
class DepositState(StrEnum):
    """How certain a deposit is."""

    PENDING = "pending"
    """In a block; counted for nothing yet."""
    CREDITED = "credited"
    """BTC: deep enough by the policy. ETH: in a finalised block, by a verified balance."""
    REVERSED = "reversed"
    """A reorganisation removed its block; a reversing posting took back what it had done."""


@final
class DepositEvent(StrEnum):
    """What happens to a deposit."""

    SEEN = "seen"
    CREDITED = "credited"
    REVERSED = "reversed"


DEPOSIT_TRANSITIONS = {
    (DepositState.PENDING, DepositEvent.CREDITED): DepositState.CREDITED,
    (DepositState.PENDING, DepositEvent.REVERSED): DepositState.REVERSED,
    (DepositState.CREDITED, DepositEvent.REVERSED): DepositState.REVERSED,
    # The very block came back: a node changed branches twice.
    (DepositState.REVERSED, DepositEvent.SEEN): DepositState.PENDING,
}


def next_deposit_state(state: DepositState, event: DepositEvent) -> DepositState:
    """Where the event leads.

    Raises:
        StateConflict: nowhere.
    """
    try:
        return DEPOSIT_TRANSITIONS[state, event]
    except KeyError:
        raise StateConflict(f"a {state} deposit is not {event}", data={"state": state.value}) from None


@dataclass(frozen=True, slots=True, order=True)
class Outpoint:
    """An output of a Bitcoin transaction."""

    txid: TransactionId
    index: int

    def __str__(self) -> str:
        return f"{self.txid}:{self.index}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deposit:
    """One observation of an arrival in one block."""

    account: AccountId
    deposit_id: DepositId
    amount: Amount
    state: DepositState
    outpoint: Outpoint | None
    """BTC: the output. ETH: `None`, a deposit is the change of a balance that no transaction need explain."""
    block: BlockRef
    created_at: Seconds
    updated_at: Seconds
    credited_at: Seconds | None = None
    reversed_at: Seconds | None = None


@final
class CoinOrigin(StrEnum):
    """Why an output stands at our script."""

    DEPOSIT = "deposit"
    CHANGE = "change"


@dataclass(frozen=True, slots=True, kw_only=True)
class Coin:
    """An output at an account's script."""

    outpoint: Outpoint
    account: AccountId
    amount: Sats
    origin: CoinOrigin
    block: BlockRef | None
    """Where it stands; `None` after a reorganisation removed it."""
    spent_by: TransactionId | None = None
    spent_at: BlockRef | None = None
    """The block that spends it; `None` while it is unspent."""
    planned_for: WithdrawalId | None = None
    """The open withdrawal whose intent spends it."""

    @property
    def standing(self) -> bool:
        """Whether it is on the chain and unspent."""
        return self.block is not None and self.spent_at is None


@dataclass(frozen=True, slots=True, kw_only=True)
class BitcoinOutput:
    """An output of a transaction that pays one of our scripts."""

    index: int
    account: AccountId
    amount: Sats


@dataclass(frozen=True, slots=True, kw_only=True)
class BitcoinMovement:
    """A transaction that pays to or spends from one of our scripts."""

    txid: TransactionId
    spends: tuple[Outpoint, ...] = ()
    """Inputs that may spend coins of ours; outpoints that are no coin of ours are ignored."""
    outputs: tuple[BitcoinOutput, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BitcoinBlock:
    """What one block does to us, in the block's order."""

    block: BlockRef
    parent: BlockRef
    movements: tuple[BitcoinMovement, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BitcoinDelta:
    """From the recorded tip to the node's.

    Blocks above `base` are undone first, then `blocks` are added. The depth at which deposits are credited
    and withdrawals settle follows from the policy and the new tip.
    """

    expected_tip: BlockRef | None
    """The recorded tip it was computed from; `None` before anything was recorded."""
    base: BlockRef | None
    """Progress: `expected_tip`. Reorganisation: the ancestor. `None` at the first block ever."""
    blocks: tuple[BitcoinBlock, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutedOutflow:
    """A transaction of an account of ours that a block executed. Failed ones too: they cost their fee."""

    transaction_id: TransactionId
    nonce: int
    amount: Wei
    """What left with it; 0 where it failed."""
    fee: Wei
    """Gas used × effective gas price (EIP-1559)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EthereumMovement:
    """How one account's balance changed over one block (or range of blocks that ends with it)."""

    account: AccountId
    received: Wei
    """Balance after - balance before + own outflows with their fees in between."""
    outflows: tuple[ExecutedOutflow, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EthereumBlock:
    """What one block does to us. While catching up, a block may stand for the range since the one before."""

    block: BlockRef
    parent: BlockRef
    movements: tuple[EthereumMovement, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedBalance:
    """An account's state at the finalised block, proven against that block's state root (EIP-1186)."""

    account: AccountId
    balance: Wei
    nonce: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EthereumDelta:
    """From the recorded head to the node's, and what is final by now."""

    expected_tip: BlockRef | None
    base: BlockRef | None
    blocks: tuple[EthereumBlock, ...]
    finalised: BlockRef | None
    """One of the recorded blocks or of `blocks`; `None` while nothing that we recorded is final."""
    balances: tuple[VerifiedBalance, ...] = ()
    """At `finalised`. An account without one keeps its deposits pending."""


ChainDelta = BitcoinDelta | EthereumDelta


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalisedBalance:
    """The last verified state of an account's Ethereum address that was brought into the ledger."""

    account: AccountId
    block: BlockRef
    balance: Wei
    nonce: int
    """How many transactions the account has sent: the next one's nonce."""
