"""Committed changes on their way to those who wait: streams, and reads of one's own writes.

One subscription to the store serves everybody. Each stream has a mailbox that holds at most one event per
account: a reader that is slow gets the latest one, and costs no memory beyond that.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from custody.application.ports.store import (
    Change,
    Notice,
    Position,
    PricesPublished,
    Projection,
    ReportPublished,
    Retraction,
    SignedReport,
    Store,
)
from custody.domain.errors import CustodyError, SubscriberTooSlow
from custody.domain.ledger import CauseKind
from custody.rpc.occupancy import Occupancy
from custody.rpc.refusals import Overloaded, SequenceNotReached, Stopping
from signers.statements.identifiers import AccountId

NOTICES_MAX: Final = 65_536
"""How far the feed itself may fall behind the store before every stream starts over."""

STREAMS_PER_PRINCIPAL_MAX: Final = 16

_RETRACTS: Final = frozenset({CauseKind.DEPOSIT_REVERSED, CauseKind.WITHDRAWAL_REOPENED})


def merge(earlier: Change | None, later: Change | None) -> Change | None:
    """Two events of one account as one; `None` is nothing but a new report.

    What retracts a report is never stood for by what does not; of two that do, everything they retract.
    """
    if earlier is None or later is None:
        return later or earlier
    cause = (
        later.cause if later.cause.kind in _RETRACTS or earlier.cause.kind not in _RETRACTS else earlier.cause
    )
    return replace(later, cause=cause, retraction=_both(earlier.retraction, later.retraction))


def _both(one: Retraction | None, other: Retraction | None) -> Retraction | None:
    if one is None or other is None:
        return one or other
    return Retraction(min(one.first, other.first), max(one.last, other.last))


class Mailbox:
    """The events of one stream, the account that waits longest first."""

    def __init__(self, wants: Callable[[AccountId], bool]) -> None:
        """Take what is about accounts that `wants` wants."""
        self._wants = wants
        self._pending: dict[AccountId, Change | None] = {}
        self._arrived = asyncio.Event()
        self._ended: CustodyError | None = None

    def put(self, account: AccountId, change: Change | None) -> None:
        """Keep a change, or that there is a new report."""
        if not self._wants(account):
            return
        self._pending[account] = merge(self._pending.get(account), change)
        self._arrived.set()

    def end(self, error: CustodyError) -> None:
        """Let the reader fail with this."""
        self._ended = error
        self._arrived.set()

    async def take(self, *, seconds: float) -> tuple[AccountId, Change | None] | None:
        """The next event; `None` when none came in this time.

        Raises:
            CustodyError: the stream was ended.
        """
        try:
            async with asyncio.timeout(seconds):
                await self._arrived.wait()
        except TimeoutError:
            return None
        if self._ended is not None:
            raise self._ended
        account = next(iter(self._pending))
        change = self._pending.pop(account)
        if not self._pending:
            self._arrived.clear()
        return account, change


class Feed:
    """Everybody's ear on the store."""

    def __init__(self, store: Store) -> None:
        """Listen to nothing before `run`."""
        self._store = store
        self._mailboxes: set[Mailbox] = set()
        self._streams = Occupancy("streams")
        self._reports: dict[AccountId, set[asyncio.Event]] = {}
        self._stopping = False
        self.position: Position = store.projection.position
        """Of the last change that was heard of."""

    @property
    def projection(self) -> Projection:
        """The store's."""
        return self._store.projection

    async def run(self) -> None:
        """Listen until the store stops; one of the tasks that the process lives by.

        Raises:
            StoreUnavailable: the store has stopped.
        """
        while True:
            async with self._store.subscribe(bound=NOTICES_MAX) as subscription:
                self._start_over()
                try:
                    async for notice in subscription:
                        self._deliver(notice)
                except SubscriberTooSlow:
                    continue
                return

    def stop(self) -> None:
        """End every stream and refuse new ones."""
        self._stopping = True
        self._end_all(Stopping("the service is stopping"))

    @contextmanager
    def mailbox(self, principal: str, wants: Callable[[AccountId], bool]) -> Iterator[Mailbox]:
        """A mailbox for one stream of one principal.

        Raises:
            Overloaded: the principal holds as many streams as it may.
            Stopping: the service is going away.
        """
        if self._stopping:
            raise Stopping("the service is stopping")
        mailbox = Mailbox(wants)
        with self._streams.one_of(principal, most=STREAMS_PER_PRINCIPAL_MAX):
            self._mailboxes.add(mailbox)
            try:
                yield mailbox
            finally:
                self._mailboxes.discard(mailbox)

    async def report_covering(self, account: AccountId, sequence: int, *, seconds: float) -> SignedReport:
        """The account's report once it covers the sequence.

        Raises:
            SequenceNotReached: it does not within this time.
        """
        arrived = asyncio.Event()
        waiting = self._reports.setdefault(account, set())
        waiting.add(arrived)
        try:
            async with asyncio.timeout(seconds):
                while True:
                    report = self.projection.report(account)
                    if report is not None and report.account_sequence >= sequence:
                        return report
                    arrived.clear()
                    await arrived.wait()
        except TimeoutError:
            report = self.projection.report(account)
            reached = report.account_sequence if report else 0
            raise SequenceNotReached(
                f"the latest report covers {reached}, asked for is {sequence}",
                data={"account_sequence": str(reached)},
            ) from None
        finally:
            waiting.discard(arrived)
            if not waiting:
                self._reports.pop(account, None)

    def _deliver(self, notice: Notice) -> None:
        match notice:
            case Change():
                self.position = notice.position
                self._put(notice.account, notice)
            case ReportPublished():
                account = notice.report.account
                self._put(account, None)
                for arrived in self._reports.get(account, ()):
                    arrived.set()
            case PricesPublished():
                pass  # the reports that follow from them are what a stream is about

    def _put(self, account: AccountId, change: Change | None) -> None:
        for mailbox in self._mailboxes:
            mailbox.put(account, change)

    def _start_over(self) -> None:
        """Whoever listened to an earlier subscription may have missed something."""
        self._end_all(Overloaded("the service fell behind; start over"))
        for waiting in self._reports.values():
            for arrived in waiting:
                arrived.set()

    def _end_all(self, error: CustodyError) -> None:
        for mailbox in self._mailboxes:
            mailbox.end(error)
