"""What is committed, in memory, and who hears of it.

The writer's thread replaces values in the projection before it resolves a command, so a caller whose command
has returned reads its own writes here. Subscribers are served on the event loop, in the order of commit.
"""

# ruff: noqa: D102 - the methods are documented by the port

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence

from custody.application.ports.store import (
    Change,
    Notice,
    Position,
    ReportPublished,
    SignedPolicy,
    SignedReport,
)
from custody.domain.account import PledgeAccount
from custody.domain.errors import CustodyError, SubscriberTooSlow
from custody.domain.price import PriceSet, PublishedPrice
from signers.statements.amounts import Asset
from signers.statements.identifiers import AccountId, EntityId


class SqliteProjection:
    """Implements `Projection`. Written by the writer's thread alone; reading is one dictionary access."""

    def __init__(self) -> None:
        self._accounts: dict[AccountId, PledgeAccount] = {}
        self._reports: dict[AccountId, SignedReport] = {}
        self._prices: dict[tuple[EntityId, Asset], PublishedPrice] = {}
        self._price_set = PriceSet()
        self._policy: SignedPolicy | None = None
        self._position = Position("s0")

    def account(self, account: AccountId) -> PledgeAccount | None:
        return self._accounts.get(account)

    def accounts(self) -> Sequence[PledgeAccount]:
        return [self._accounts[name] for name in sorted(self._accounts)]

    def report(self, account: AccountId) -> SignedReport | None:
        return self._reports.get(account)

    def prices(self) -> PriceSet:
        return self._price_set

    def policy(self) -> SignedPolicy | None:
        return self._policy

    @property
    def position(self) -> Position:
        return self._position

    def pin(self, policy: SignedPolicy | None) -> None:
        """A policy is in force."""
        self._policy = policy

    def put_accounts(self, accounts: Iterable[PledgeAccount]) -> None:
        """Accounts as they stand now."""
        for account in accounts:
            self._accounts[account.account] = account

    def put_reports(self, reports: Iterable[SignedReport]) -> None:
        """The latest reports."""
        for report in reports:
            self._reports[report.account] = report

    def put_prices(self, prices: Sequence[PublishedPrice]) -> None:
        """The latest prices of some publishers."""
        if prices:
            self._prices.update({(price.publisher, price.asset): price for price in prices})
            self._price_set = PriceSet(tuple(self._prices.values()))

    def advance(self, position: Position) -> None:
        """Everything up to here is in."""
        self._position = position

    def take(self, notices: Iterable[Notice]) -> None:
        """Take over what a command's notices carry, and where they end."""
        for notice in notices:
            if isinstance(notice, Change):
                self._position = notice.position
            elif isinstance(notice, ReportPublished):
                self.put_reports([notice.report])
            else:
                self.put_prices(notice.prices)


class SqliteSubscription:
    """Implements `Subscription`: a bounded queue on the event loop."""

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._waiting: deque[Notice] = deque()
        self._arrived = asyncio.Event()
        self._end: CustodyError | None = None

    def offer(self, notices: Sequence[Notice]) -> None:
        """Queue notices, or end the subscription when more wait than its bound."""
        if self._end is not None:
            return
        if len(self._waiting) + len(notices) > self._bound:
            self.end(SubscriberTooSlow(f"more than {self._bound} notices wait"))
            return
        self._waiting.extend(notices)
        self._arrived.set()

    def end(self, reason: CustodyError) -> None:
        """Nothing more comes; what waits is dropped, for the reader must start over anyway."""
        self._end = reason
        self._waiting.clear()
        self._arrived.set()

    async def __aiter__(self) -> AsyncIterator[Notice]:
        while True:
            while self._waiting:
                yield self._waiting.popleft()
            if self._end is not None:
                raise self._end
            self._arrived.clear()
            await self._arrived.wait()
