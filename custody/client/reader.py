"""Reads that every kind of client has, each verified where there is something to verify."""

from collections.abc import AsyncIterator
from typing import Any

from bailee.custody.v1 import (
    account_pb2,
    collateral_service_pb2,
    collateral_service_pb2_grpc,
    deposit_pb2,
    destination_pb2,
    lien_pb2,
    policy_pb2,
    policy_service_pb2,
    policy_service_pb2_grpc,
    posting_pb2,
    price_pb2,
    withdrawal_pb2,
)

from custody.client.connection import Connection
from custody.client.trust import TrustRoot
from signers.statements.account import Account
from signers.statements.identifiers import AccountId
from signers.statements.report import Report

PAGE_SIZE = 500


class Reader:
    """What the caller's certificate lets it see."""

    def __init__(self, connection: Connection, trust: TrustRoot) -> None:
        self.connection = connection
        self.trust = trust
        self._reads = collateral_service_pb2_grpc.CollateralServiceStub(connection.channel)  # type: ignore[no-untyped-call, unused-ignore]

    async def account(self, account: str) -> account_pb2.Account:
        """The account as the service has it; nothing in it is verified."""
        request = collateral_service_pb2.GetAccountRequest(name=account_name(account))
        resource: account_pb2.Account = await self.connection.call(self._reads.GetAccount, request)
        return resource

    async def verified_account(self, account: str) -> Account:
        """The account statement, signatures and addresses verified.

        Raises:
            VerificationError: do not send coins there.
        """
        return self.trust.verify_account(await self.account(account))

    async def report(self, account: str, *, min_account_sequence: int = 0) -> Report:
        """The latest report, verified up to custody's signature.

        Args:
            account: its id.
            min_account_sequence: wait until the report covers this sequence, to read one's own write.

        Raises:
            VerificationError: it does not verify.
            BaileeError: `SEQUENCE_NOT_REACHED` within the deadline.
        """
        request = collateral_service_pb2.GetCollateralReportRequest(
            name=f"{account_name(account)}/collateralReport", min_account_sequence=min_account_sequence
        )
        return self.trust.verify_report(await self.connection.call(self._reads.GetCollateralReport, request))

    async def watch(
        self, *accounts: str, deadline_seconds: float = 3600.0
    ) -> AsyncIterator[collateral_service_pb2.WatchCollateralResponse]:
        """A snapshot, then changes, and heartbeats while nothing happens. Every report in it is verified."""
        request = collateral_service_pb2.WatchCollateralRequest(accounts=[account_name(a) for a in accounts])
        stream = self.connection.stream(
            self._reads.WatchCollateral, request, deadline_seconds=deadline_seconds
        )
        async for event in stream:
            body = getattr(event, event.WhichOneof("event"))
            if "report" in body.DESCRIPTOR.fields_by_name and body.HasField("report"):
                self.trust.verify_report(body.report)
            yield event

    async def withdrawal(self, account: str, withdrawal: str) -> withdrawal_pb2.Withdrawal:
        """One withdrawal."""
        request = collateral_service_pb2.GetWithdrawalRequest(name=withdrawal_name(account, withdrawal))
        resource: withdrawal_pb2.Withdrawal = await self.connection.call(self._reads.GetWithdrawal, request)
        return resource

    async def destination(self, account: str, destination: str) -> destination_pb2.Destination:
        """One destination."""
        request = collateral_service_pb2.GetDestinationRequest(name=destination_name(account, destination))
        resource: destination_pb2.Destination = await self.connection.call(
            self._reads.GetDestination, request
        )
        return resource

    async def lien(self, account: str, lien: str) -> lien_pb2.Lien:
        """One lien."""
        request = collateral_service_pb2.GetLienRequest(name=lien_name(account, lien))
        resource: lien_pb2.Lien = await self.connection.call(self._reads.GetLien, request)
        return resource

    async def accounts(self) -> list[account_pb2.Account]:
        """Every account in scope."""
        return await self._pages(
            "accounts", self._reads.ListAccounts, collateral_service_pb2.ListAccountsRequest()
        )

    async def destinations(self, account: str) -> list[destination_pb2.Destination]:
        """Every destination of an account."""
        request = collateral_service_pb2.ListDestinationsRequest(parent=account_name(account))
        return await self._pages("destinations", self._reads.ListDestinations, request)

    async def deposits(self, account: str) -> list[deposit_pb2.Deposit]:
        """Every deposit of an account."""
        request = collateral_service_pb2.ListDepositsRequest(parent=account_name(account))
        return await self._pages("deposits", self._reads.ListDeposits, request)

    async def liens(self, account: str) -> list[lien_pb2.Lien]:
        """Every lien of an account."""
        request = collateral_service_pb2.ListLiensRequest(parent=account_name(account))
        return await self._pages("liens", self._reads.ListLiens, request)

    async def withdrawals(self, account: str) -> list[withdrawal_pb2.Withdrawal]:
        """Every withdrawal of an account."""
        request = collateral_service_pb2.ListWithdrawalsRequest(parent=account_name(account))
        return await self._pages("withdrawals", self._reads.ListWithdrawals, request)

    async def postings(self, account: str) -> list[posting_pb2.Posting]:
        """The whole ledger of an account, in order."""
        request = collateral_service_pb2.ListPostingsRequest(parent=account_name(account))
        return await self._pages("postings", self._reads.ListPostings, request)

    async def prices(self) -> list[price_pb2.Price]:
        """The latest price of every publisher and asset."""
        return await self._pages("prices", self._reads.ListPrices, collateral_service_pb2.ListPricesRequest())

    async def _pages(self, field: str, method: Any, request: Any) -> list[Any]:
        request.page_size = PAGE_SIZE
        items: list[Any] = []
        while True:
            page = await self.connection.call(method, request)
            items.extend(getattr(page, field))
            if not page.next_page_token:
                return items
            request.page_token = page.next_page_token


async def read_policy(connection: Connection, name: str = "current") -> policy_pb2.Policy:
    """The policy envelope that custody carries, to be verified by `TrustRoot.load`."""
    stub = policy_service_pb2_grpc.PolicyServiceStub(connection.channel)  # type: ignore[no-untyped-call, unused-ignore]
    request = policy_service_pb2.GetPolicyRequest(name=f"policies/{name}")
    policy: policy_pb2.Policy = await connection.call(stub.GetPolicy, request)
    return policy


def account_name(account: str) -> str:
    """The resource name of an account id."""
    return f"accounts/{AccountId(account)}"


def destination_name(account: str, destination: str) -> str:
    """The resource name of a destination of an account."""
    return f"{account_name(account)}/destinations/{destination}"


def lien_name(account: str, lien: str) -> str:
    """The resource name of a lien of an account."""
    return f"{account_name(account)}/liens/{lien}"


def withdrawal_name(account: str, withdrawal: str) -> str:
    """The resource name of a withdrawal of an account."""
    return f"{account_name(account)}/withdrawals/{withdrawal}"
