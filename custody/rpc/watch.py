"""The stream of WatchCollateral: a snapshot, then every change, and a sign of life in between."""

import functools
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from bailee.custody.v1 import cause_pb2
from bailee.custody.v1.account_pb2 import Account
from bailee.custody.v1.collateral_service_pb2 import WatchCollateralResponse
from google.protobuf.timestamp_pb2 import Timestamp

from custody.application.access import account_of, visible
from custody.application.ports.store import Change, SignedReport, Snapshot, Store
from custody.domain.account import PledgeAccount
from custody.domain.principal import Principal
from custody.rpc.codec import accounts as codec
from custody.rpc.codec import ledger, names, values
from custody.rpc.feed import Feed, Mailbox
from custody.rpc.reports import Reports
from signers.statements.identifiers import AccountId, Seconds

HEARTBEAT_SECONDS: Final = 10.0
_SNAPSHOT_ACCOUNTS: Final = 64
"""How many accounts one query of the snapshot reads."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a stream has last said of an account."""

    sequence: int
    report: SignedReport | None


class Watch:
    """One stream."""

    def __init__(
        self,
        *,
        store: Store,
        feed: Feed,
        reports: Reports,
        clock: Callable[[], Seconds],
        principal: Principal,
    ) -> None:
        """A stream for this principal."""
        self._store = store
        self._feed = feed
        self._reports = reports
        self._clock = clock
        self._principal = principal
        self._told: dict[AccountId, Told] = {}

    async def events(self, asked: Sequence[AccountId]) -> AsyncGenerator[WatchCollateralResponse, None]:
        """The stream, until the caller or the service ends it.

        The mailbox opens before the snapshot is read, so that nothing falls between the two; what the
        snapshot knew already is dropped by its sequence.

        Args:
            asked: the accounts; all in scope, also those that open later, where it is empty.

        Raises:
            AccountNotFound: one of them is not in the caller's scope.
            CustodyError: `OVERLOADED` or `STOPPING`.
        """
        for account in asked:
            account_of(self._store.projection, account, principal=self._principal, field="accounts")
        wanted = frozenset(asked)
        wants = wanted.__contains__ if wanted else self._in_scope
        with self._feed.mailbox(self._principal.name, wants) as mailbox:
            async for snapshot in self._snapshot(asked):
                yield snapshot
            yield self._heartbeat()
            async for event in self._changes(mailbox):
                yield event

    def _in_scope(self, account: AccountId) -> bool:
        return visible(self._store.projection.account(account), self._principal)

    async def _snapshot(self, asked: Sequence[AccountId]) -> AsyncGenerator[WatchCollateralResponse, None]:
        every = asked or [each.account for each in self._store.projection.accounts()]
        wanted = [account for account in every if self._in_scope(account)]
        for start in range(0, len(wanted), _SNAPSHOT_ACCOUNTS):
            part = wanted[start : start + _SNAPSHOT_ACCOUNTS]
            for account, message in await self._store.read(functools.partial(_accounts, wanted=part)):
                report = self._store.projection.report(account.account)
                self._told[account.account] = Told(account.sequence, report)
                yield WatchCollateralResponse(
                    snapshot=WatchCollateralResponse.Snapshot(
                        account=message, report=self._reports.message(report) if report else None
                    ),
                    position=self._feed.position.token,
                    account_sequence=account.sequence,
                )

    async def _changes(self, mailbox: Mailbox) -> AsyncGenerator[WatchCollateralResponse, None]:
        while True:
            taken = await mailbox.take(seconds=HEARTBEAT_SECONDS)
            event = self._heartbeat() if taken is None else self._event(*taken)
            if event is not None:
                yield event

    def _event(self, account: AccountId, change: Change | None) -> WatchCollateralResponse | None:
        """What is to be said; `None` where it was said already."""
        told = self._told.get(account, Told(0, None))
        report = self._store.projection.report(account)
        if change is not None and change.sequence <= told.sequence:
            change = None
        if change is None and (report is None or report is told.report):
            return None
        message = WatchCollateralResponse.Change(
            account=names.account(account),
            cause=cause_pb2.CAUSE_REPORT,
            resource=names.report(account),
            report=self._reports.message(report) if report else None,
        )
        if change is not None:
            message.cause = ledger.CAUSES[change.cause.kind]
            message.resource = names.caused(account, change.cause)
            message.commit_time.CopyFrom(Timestamp(seconds=change.at))
            message.skipped = change.sequence - told.sequence - 1
            if change.retraction is not None:
                message.retraction.first_account_sequence = change.retraction.first
                message.retraction.last_account_sequence = change.retraction.last
        elif report is not None:
            message.commit_time.CopyFrom(Timestamp(seconds=report.at))
            if told.report is not None and report.account_sequence == told.report.account_sequence:
                message.cause = cause_pb2.CAUSE_PRICE
        sequence = change.sequence if change is not None else told.sequence
        self._told[account] = Told(sequence, report)
        return WatchCollateralResponse(
            change=message, position=self._feed.position.token, account_sequence=sequence
        )

    def _heartbeat(self) -> WatchCollateralResponse:
        return WatchCollateralResponse(
            heartbeat=WatchCollateralResponse.Heartbeat(server_time=values.time(self._clock())),
            position=self._feed.position.token,
        )


def _accounts(view: Snapshot, wanted: Sequence[AccountId]) -> list[tuple[PledgeAccount, Account]]:
    policy = view.policy()
    found = [(view.account(account), view.onboarding(account)) for account in wanted]
    return [
        (account, codec.account(account, onboarding, policy))
        for account, onboarding in found
        if account is not None and policy is not None
    ]
