"""CollateralService: every read, and the stream."""
# ruff: noqa: N802 - RPCs are named by the proto

from collections.abc import AsyncGenerator
from typing import Final

from bailee.custody.v1 import (
    account_pb2,
    collateral_report_pb2,
    destination_pb2,
    lien_pb2,
    withdrawal_pb2,
)
from bailee.custody.v1 import collateral_service_pb2 as rpc
from bailee.custody.v1.collateral_service_pb2_grpc import CollateralServiceServicer

from custody.application import reads
from custody.application.access import account_of
from custody.application.ports.store import Snapshot
from custody.domain.identifiers import DepositId, WithdrawalId
from custody.rpc.backend import Backend
from custody.rpc.calls import Call
from custody.rpc.codec import accounts, ledger, names, withdrawals
from custody.rpc.pagination import page_size
from custody.rpc.watch import Watch
from signers.statements.amounts import Asset
from signers.statements.identifiers import AccountId, DestinationId, LienId

ANSWER_SECONDS: Final = 0.1
"""What is kept of a deadline to say that it was not reached."""


class CollateralService(CollateralServiceServicer):
    """A principal sees its own accounts, and can change nothing here."""

    def __init__(self, backend: Backend) -> None:
        """Serve this backend."""
        self._backend = backend

    async def GetAccount(self, request: rpc.GetAccountRequest, context: Call) -> account_pb2.Account:
        """Read one account."""
        account = names.parse_account(request.name, field="name")
        found, policy = await self._backend.read(
            lambda view: reads.account(view, account, principal=context.principal)
        )
        return accounts.account(found.account, found.onboarding, policy)

    async def ListAccounts(self, request: rpc.ListAccountsRequest, context: Call) -> rpc.ListAccountsResponse:
        """List the accounts in the caller's scope."""
        cursor, limit = self._backend.tokens.decode(request, context), page_size(request)
        after = AccountId(cursor) if cursor else None
        page, policy = await self._backend.read(
            lambda view: reads.accounts(view, principal=context.principal, after=after, limit=limit)
        )
        messages, token = self._backend.page(
            page,
            message=lambda found: accounts.account(found.account, found.onboarding, policy),
            key=lambda found: found.account.account,
            cursor=str,
            request=request,
            call=context,
        )
        return rpc.ListAccountsResponse(accounts=messages, next_page_token=token)

    async def GetDestination(
        self, request: rpc.GetDestinationRequest, context: Call
    ) -> destination_pb2.Destination:
        """Read one destination."""
        account, destination = names.parse_destination(request.name, field="name")
        found, policy = await self._backend.read(
            lambda view: reads.destination(view, account, destination, principal=context.principal)
        )
        return accounts.destination(found, network=policy.policy.network, now=self._backend.clock())

    async def ListDestinations(
        self, request: rpc.ListDestinationsRequest, context: Call
    ) -> rpc.ListDestinationsResponse:
        """List the allowlist of one account."""
        account = names.parse_account(request.parent, field="parent")
        cursor, limit = self._backend.tokens.decode(request, context), page_size(request)
        after = DestinationId(cursor) if cursor else None
        page, policy = await self._backend.read(
            lambda view: reads.destinations(
                view, account, principal=context.principal, after=after, limit=limit
            )
        )
        network, now = policy.policy.network, self._backend.clock()
        messages, token = self._backend.page(
            page,
            message=lambda found: accounts.destination(found, network=network, now=now),
            key=lambda found: found.destination_id,
            cursor=str,
            request=request,
            call=context,
        )
        return rpc.ListDestinationsResponse(destinations=messages, next_page_token=token)

    async def ListDeposits(self, request: rpc.ListDepositsRequest, context: Call) -> rpc.ListDepositsResponse:
        """List the deposits of one account."""
        account = names.parse_account(request.parent, field="parent")
        cursor, limit = self._backend.tokens.decode(request, context), page_size(request)
        after = DepositId(cursor) if cursor else None
        (page, tips), _ = await self._backend.read(
            lambda view: (
                reads.deposits(view, account, principal=context.principal, after=after, limit=limit),
                _tips(view),
            )
        )
        messages, token = self._backend.page(
            page,
            message=lambda found: ledger.deposit(found, tip_height=tips[found.amount.asset]),
            key=lambda found: found.deposit_id,
            cursor=str,
            request=request,
            call=context,
        )
        return rpc.ListDepositsResponse(deposits=messages, next_page_token=token)

    async def GetLien(self, request: rpc.GetLienRequest, context: Call) -> lien_pb2.Lien:
        """Read one lien."""
        account, lien = names.parse_lien(request.name, field="name")
        found, _ = await self._backend.read(
            lambda view: reads.lien(view, account, lien, principal=context.principal)
        )
        return ledger.lien(found)

    async def ListLiens(self, request: rpc.ListLiensRequest, context: Call) -> rpc.ListLiensResponse:
        """List the liens of one account."""
        account = names.parse_account(request.parent, field="parent")
        cursor, limit = self._backend.tokens.decode(request, context), page_size(request)
        after = LienId(cursor) if cursor else None
        page, _ = await self._backend.read(
            lambda view: reads.liens(view, account, principal=context.principal, after=after, limit=limit)
        )
        messages, token = self._backend.page(
            page,
            message=ledger.lien,
            key=lambda found: found.lien,
            cursor=str,
            request=request,
            call=context,
        )
        return rpc.ListLiensResponse(liens=messages, next_page_token=token)

    async def GetWithdrawal(
        self, request: rpc.GetWithdrawalRequest, context: Call
    ) -> withdrawal_pb2.Withdrawal:
        """Read one withdrawal."""
        account, withdrawal = names.parse_withdrawal(request.name, field="name")
        (found, tips), policy = await self._backend.read(
            lambda view: (
                reads.withdrawal(view, account, withdrawal, principal=context.principal),
                _tips(view),
            )
        )
        return withdrawals.withdrawal(found, network=policy.policy.network, tip_height=tips[found.asset])

    async def ListWithdrawals(
        self, request: rpc.ListWithdrawalsRequest, context: Call
    ) -> rpc.ListWithdrawalsResponse:
        """List the withdrawals of one account."""
        account = names.parse_account(request.parent, field="parent")
        cursor, limit = self._backend.tokens.decode(request, context), page_size(request)
        after = WithdrawalId(cursor) if cursor else None
        (page, tips), policy = await self._backend.read(
            lambda view: (
                reads.withdrawals(view, account, principal=context.principal, after=after, limit=limit),
                _tips(view),
            )
        )
        network = policy.policy.network
        messages, token = self._backend.page(
            page,
            message=lambda found: withdrawals.withdrawal(
                found, network=network, tip_height=tips[found.asset]
            ),
            key=lambda found: found.withdrawal,
            cursor=str,
            request=request,
            call=context,
        )
        return rpc.ListWithdrawalsResponse(withdrawals=messages, next_page_token=token)

    async def ListPostings(self, request: rpc.ListPostingsRequest, context: Call) -> rpc.ListPostingsResponse:
        """List the ledger statement of one account."""
        account = names.parse_account(request.parent, field="parent")
        cursor, limit = self._backend.tokens.decode(request, context), page_size(request)
        sequence, _, index = (cursor or "").partition("-")
        after = (int(sequence), int(index)) if cursor else None
        page, _ = await self._backend.read(
            lambda view: reads.postings(view, account, principal=context.principal, after=after, limit=limit)
        )
        messages, token = self._backend.page(
            page,
            message=ledger.posting,
            key=lambda found: (found.sequence, found.index),
            cursor=lambda key: f"{key[0]}-{key[1]}",
            request=request,
            call=context,
        )
        return rpc.ListPostingsResponse(postings=messages, next_page_token=token)

    async def ListPrices(self, request: rpc.ListPricesRequest, context: Call) -> rpc.ListPricesResponse:
        """List the latest price of every publisher and asset."""
        cursor, limit = self._backend.tokens.decode(request, context), page_size(request)
        known = sorted(
            self._backend.store.projection.prices().prices, key=lambda p: names.price(p.publisher, p.asset)
        )
        rest = tuple(p for p in known if cursor is None or names.price(p.publisher, p.asset) > cursor)
        items = rest[:limit]
        following = names.price(items[-1].publisher, items[-1].asset) if len(rest) > limit else None
        messages, token = self._backend.page(
            reads.Page(items, following),
            message=ledger.price,
            key=lambda price: names.price(price.publisher, price.asset),
            cursor=str,
            request=request,
            call=context,
        )
        return rpc.ListPricesResponse(prices=messages, next_page_token=token)

    async def GetCollateralReport(
        self, request: rpc.GetCollateralReportRequest, context: Call
    ) -> collateral_report_pb2.CollateralReport:
        """Read the latest signed report of one account: from memory, its message made once per batch."""
        account = names.parse_account(request.name, field="name")
        known = self._backend.store.projection
        account_of(known, account, principal=context.principal).require_active()
        report = known.report(account)
        if report is None or report.account_sequence < request.min_account_sequence:
            patience = context.remaining_seconds() - ANSWER_SECONDS if request.min_account_sequence else 0.0
            report = await self._backend.feed.report_covering(
                account, request.min_account_sequence, seconds=max(0.0, patience)
            )
        return self._backend.reports.message(report)

    async def WatchCollateral(
        self, request: rpc.WatchCollateralRequest, context: Call
    ) -> AsyncGenerator[rpc.WatchCollateralResponse, None]:
        """Stream signed reports."""
        watch = Watch(
            store=self._backend.store,
            feed=self._backend.feed,
            reports=self._backend.reports,
            clock=self._backend.clock,
            principal=context.principal,
        )
        asked = [names.parse_account(name, field="accounts") for name in request.accounts]
        async for event in watch.events(asked):
            yield event


def _tips(view: Snapshot) -> dict[Asset, int]:
    """The recorded heights, which confirmations are counted from."""
    tips = {asset: view.tip(asset) for asset in Asset}
    return {asset: tip.height if tip else 0 for asset, tip in tips.items()}
