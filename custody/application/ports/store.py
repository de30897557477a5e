"""The store: durable commands, consistent reads, and the changes that others wait for.

A command is a synchronous function of a `UnitOfWork`; it may be run again and does nothing but read and write
through it. `execute` returns once the command is durable. An adapter runs commands one at a time or as if.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol, TypeVar, final

from custody.domain.account import AccountState, Onboarding, PledgeAccount, Watched
from custody.domain.chain_view import BlockRef
from custody.domain.deposit import Coin, Deposit, FinalisedBalance, Outpoint
from custody.domain.destination import AllowedDestination
from custody.domain.identifiers import DepositId, RequestId, TransactionId, WithdrawalId
from custody.domain.ledger import Balances, Cause, Entry, Posting
from custody.domain.lien import Lien
from custody.domain.price import PriceSet, PublishedPrice
from custody.domain.withdrawal import Withdrawal
from custody.domain.withdrawal_states import WithdrawalState
from signers.statements.amounts import Asset
from signers.statements.envelope import Envelope
from signers.statements.identifiers import (
    AccountId,
    DestinationId,
    Digest,
    EntityId,
    EthereumAddress,
    LienId,
    ScriptPubKey,
    Seconds,
)
from signers.statements.policy import Policy
from signers.statements.report import ReportBatch

T = TypeVar("T")

ROWS_MAX: Final = 1000
"""The most rows one query returns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedPolicy:
    """The policy in force, with its signatures."""

    policy: Policy
    envelope: Envelope
    digest: Digest
    pinned_at: Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedReport:
    """A report, its path, and the signed root: what a reader verifies."""

    account: AccountId
    report: bytes
    """Canonical bytes of the report statement: the leaf."""
    account_sequence: int
    batch: Envelope
    """The report-batch statement, signed by custody's attestation key."""
    leaf_index: int
    tree_size: int
    path: tuple[Digest, ...]
    at: Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchHead:
    """The latest batch, which the next one names."""

    sequence: int
    digest: Digest


@dataclass(frozen=True, slots=True)
class RequestKey:
    """One caller's use of one method: what an effect happens at most once for. It never expires."""

    principal: str
    method: str
    request_id: RequestId


@dataclass(frozen=True, slots=True)
class Outcome:
    """A success on record."""

    fingerprint: Digest
    """SHA-256 of the RFC 8785 form of the command."""
    result: object
    """What the use case returned, exactly as it was then."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where the stream of changes stands: opaque, comparable with nothing but itself."""

    token: str


@dataclass(frozen=True, slots=True)
class Retraction:
    """The sequences of one account, both included, whose reports counted what a chain has taken back."""

    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A committed change of one account. `sequence` is the account's, without gaps."""

    position: Position
    account: AccountId
    sequence: int
    cause: Cause
    at: Seconds
    retraction: Retraction | None = None
    """Of a change that takes something back."""


@dataclass(frozen=True, slots=True)
class ReportPublished:
    """A new signed report of one account."""

    report: SignedReport


@dataclass(frozen=True, slots=True)
class PricesPublished:
    """Prices came in."""

    prices: tuple[PublishedPrice, ...]


Notice = Change | ReportPublished | PricesPublished


@final
class Scope(StrEnum):
    """Which accounts a listing is about, beside one entity's."""

    EVERY = "every"


class Snapshot(Protocol):
    """One consistent view. Listings rise by key, start after a given one, and hold at most `limit` rows."""

    def policy(self) -> SignedPolicy | None:
        """The policy in force; `None` before one was pinned."""

    def account(self, account: AccountId) -> PledgeAccount | None:
        """The account. In a unit of work its row stays locked until the end."""

    def onboarding(self, account: AccountId) -> Onboarding | None:
        """What was gathered while onboarding it."""

    def accounts(
        self, scope: EntityId | Scope, *, after: AccountId | None, limit: int
    ) -> Sequence[PledgeAccount]:
        """Accounts of which the entity is pledgor or secured party, by id."""

    def accounts_in(self, states: Collection[AccountState]) -> Sequence[PledgeAccount]:
        """Accounts in these states, by id; all of them."""

    def account_at(self, script_pubkey: ScriptPubKey, ethereum_address: EthereumAddress) -> AccountId | None:
        """The account whose script or address it is, in whatever state; `None` if nobody's."""

    def watched(self) -> Sequence[Watched]:
        """Where the coins of active accounts arrive; all of them."""

    def balances(self, account: AccountId, asset: Asset) -> Balances:
        """The books; all zero where nothing was ever posted."""

    def postings(self, account: AccountId, *, after: tuple[int, int] | None, limit: int) -> Sequence[Posting]:
        """Postings by sequence and index."""

    def changes(self, account: AccountId, *, after: int, limit: int) -> Sequence[Change]:
        """Changes by sequence."""

    def sequences_of(self, account: AccountId, cause: Cause) -> Sequence[int]:
        """The sequences of an account's changes of exactly this cause, rising; all of them."""

    def destination(self, account: AccountId, destination: DestinationId) -> AllowedDestination | None:
        """One allowlist entry."""

    def destinations(
        self, account: AccountId, *, after: DestinationId | None, limit: int
    ) -> Sequence[AllowedDestination]:
        """An allowlist, by id."""

    def lien(self, account: AccountId, lien: LienId) -> Lien | None:
        """One lien."""

    def liens(self, account: AccountId, *, after: LienId | None, limit: int) -> Sequence[Lien]:
        """An account's liens, by id."""

    def lapsed_liens(self, *, now: Seconds, limit: int) -> Sequence[Lien]:
        """Reservations whose expiry has come, the oldest first."""

    def deposit(self, account: AccountId, deposit: DepositId) -> Deposit | None:
        """One deposit."""

    def deposits(self, account: AccountId, *, after: DepositId | None, limit: int) -> Sequence[Deposit]:
        """An account's deposits, by id."""

    def pending_deposits(
        self, asset: Asset, *, up_to: int, account: AccountId | None = None
    ) -> Sequence[Deposit]:
        """Pending deposits in blocks of at most this height, by height; of one account or of all."""

    def deposits_above(self, asset: Asset, height: int) -> Sequence[Deposit]:
        """Deposits that stand (pending or credited) in higher blocks, the highest first."""

    def coin(self, outpoint: Outpoint) -> Coin | None:
        """One output at a script of ours."""

    def coins(self, account: AccountId) -> Sequence[Coin]:
        """The standing coins of an account: on the chain and unspent; all of them, by outpoint."""

    def coins_above(self, height: int) -> Sequence[Coin]:
        """Coins created or spent in higher blocks."""

    def blocks(self, asset: Asset) -> Sequence[BlockRef]:
        """The recorded window of a chain in rising order; the last one is the tip."""

    def tip(self, asset: Asset) -> BlockRef | None:
        """The recorded tip (BTC) or head (ETH)."""

    def finalised(self) -> BlockRef | None:
        """The recorded finalised block of Ethereum."""

    def finalised_balance(self, account: AccountId) -> FinalisedBalance | None:
        """The last verified balance that the ledger agreed with."""

    def withdrawal(self, account: AccountId, withdrawal: WithdrawalId) -> Withdrawal | None:
        """One withdrawal."""

    def withdrawals(
        self, account: AccountId, *, after: WithdrawalId | None, limit: int
    ) -> Sequence[Withdrawal]:
        """An account's withdrawals, by id."""

    def withdrawals_in(
        self, states: Collection[WithdrawalState], *, asset: Asset | None = None
    ) -> Sequence[Withdrawal]:
        """Withdrawals of all accounts in these states, the longest unchanged first; all of them."""

    def withdrawals_confirmed_above(self, asset: Asset, height: int) -> Sequence[Withdrawal]:
        """Withdrawals whose confirmation stands in a higher block."""

    def open_withdrawal(self, account: AccountId, asset: Asset) -> Withdrawal | None:
        """The open withdrawal of an account and asset, the oldest if a reorganisation opened one again."""

    def withdrawal_of(self, transaction_id: TransactionId) -> Withdrawal | None:
        """The withdrawal that has an attempt of this transaction."""

    def prices(self) -> PriceSet:
        """The latest price of every publisher and asset."""

    def report(self, account: AccountId) -> SignedReport | None:
        """The latest signed report of an account."""

    def batch_head(self) -> BatchHead | None:
        """The latest batch of reports."""

    def outcome(self, key: RequestKey) -> Outcome | None:
        """What this request did before."""


class UnitOfWork(Snapshot, Protocol):
    """A snapshot that can be written to. Everything written is durable together, or not at all."""

    def pin_policy(self, policy: SignedPolicy) -> None:
        """Put a policy in force."""

    def add_account(self, account: PledgeAccount) -> None:
        """Add an account; its first `append` follows in the same command."""

    def append(self, account: PledgeAccount, entry: Entry, *, balances: Balances | None = None) -> None:
        """Write one change of an account: the account itself, the entry's postings, the books, the event.

        Args:
            account: as it shall be from now on, its sequence one further than on record.
            entry: what changed and what moves. All movements are of one asset.
            balances: the books before, if the caller has just read them.

        Raises:
            LedgerViolation: the movements are not allowed, or the account was not read as it stands.
        """

    def save_onboarding(self, onboarding: Onboarding) -> None:
        """Write what was gathered."""

    def save_destination(self, destination: AllowedDestination) -> None:
        """Add or replace an allowlist entry."""

    def save_lien(self, lien: Lien) -> None:
        """Add or replace a lien, and add its statement to the account's chain of encumbrances."""

    def save_deposit(self, deposit: Deposit) -> None:
        """Add or replace a deposit."""

    def save_coin(self, coin: Coin) -> None:
        """Add or replace a coin."""

    def add_blocks(self, asset: Asset, blocks: Sequence[BlockRef]) -> None:
        """Extend the recorded chain and drop what falls out of the window."""

    def drop_blocks_above(self, asset: Asset, height: int) -> None:
        """Forget the recorded blocks above a height."""

    def save_finalised(self, block: BlockRef) -> None:
        """Record Ethereum's finalised block."""

    def save_finalised_balance(self, balance: FinalisedBalance) -> None:
        """Record a verified balance."""

    def save_withdrawal(self, withdrawal: Withdrawal) -> None:
        """Add or replace a withdrawal, and index the transactions of its attempts."""

    def save_price(self, price: PublishedPrice) -> None:
        """Add or replace a publisher's price of an asset."""

    def save_batch(self, batch: ReportBatch, envelope: Envelope, reports: Sequence[SignedReport]) -> None:
        """Write a signed batch; its reports become the latest of their accounts."""

    def save_outcome(self, key: RequestKey, outcome: Outcome) -> None:
        """Record a success."""


class Subscription(Protocol):
    """Committed notices from the moment of subscribing, in order, none skipped, none doubled."""

    def __aiter__(self) -> AsyncIterator[Notice]:
        """Iterate until the subscription is closed.

        Raises:
            SubscriberTooSlow: more notices wait than its bound.
            StoreUnavailable: the store has stopped.
        """


class Projection(Protocol):
    """The latest committed state, in memory. For answers and prices; never for a decision on balances."""

    def account(self, account: AccountId) -> PledgeAccount | None:
        """The account."""

    def accounts(self) -> Sequence[PledgeAccount]:
        """Every account, by id."""

    def report(self, account: AccountId) -> SignedReport | None:
        """Its latest signed report."""

    def prices(self) -> PriceSet:
        """The latest prices."""

    def policy(self) -> SignedPolicy | None:
        """The policy in force."""

    @property
    def position(self) -> Position:
        """Where the stream of changes stands."""


class Store(Protocol):
    """Durable commands over units of work."""

    def execute(self, command: Callable[[UnitOfWork], T], *, validate_only: bool = False) -> Awaitable[T]:
        """Run a command, wait until it is durable, and give what it returned.

        Args:
            command: synchronous and re-runnable; what it raises undoes it alone and is raised here.
            validate_only: undo it after it succeeded; the value is what it would have been.

        Raises:
            StoreUnavailable: the store has stopped. The command may or may not be durable only if the commit
                itself failed; asking again with the same request id finds out.
        """

    def read(self, query: Callable[[Snapshot], T]) -> Awaitable[T]:
        """Run a query over one consistent view of what is committed."""

    @property
    def projection(self) -> Projection:
        """The latest committed state; it never lags behind a command that `execute` has returned."""

    def subscribe(self, *, bound: int = 4096) -> AbstractAsyncContextManager[Subscription]:
        """Hear of every change committed from now on.

        Args:
            bound: how many notices may wait before the subscriber is ended as too slow.
        """

    async def stopped(self) -> None:
        """Return once the store was closed.

        Raises:
            StoreUnavailable: it broke. Whoever runs the process awaits this and stops it (fail-stop).
        """

    async def close(self) -> None:
        """Finish what was accepted and stop."""
