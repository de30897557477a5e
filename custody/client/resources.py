"""What the service says it has, each under the name it was asked for. Nothing of it is verified here."""

from typing import Any, Final

from bailee.custody.v1 import (
    account_pb2,
    collateral_service_pb2,
    collateral_service_pb2_grpc,
    deposit_pb2,
    destination_pb2,
    lien_pb2,
    posting_pb2,
    price_pb2,
    withdrawal_pb2,
)

from custody.client.connection import Connection
from custody.client.errors import VerificationError
from custody.client.names import account_name, destination_name, lien_name, withdrawal_name

PAGE_SIZE: Final = 500
PAGES_MAX: Final = 2_000
"""A listing ends here: a service that never stops paging must not fill the caller's memory."""


class Resources:
    """What the caller's certificate lets it see, as the service tells it.

    Args:
        connection: to the service.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._reads = collateral_service_pb2_grpc.CollateralServiceStub(connection.channel)  # type: ignore[no-untyped-call, unused-ignore]

    async def account(self, account: str) -> account_pb2.Account:
        """One account."""
        request = collateral_service_pb2.GetAccountRequest(name=account_name(account))
        resource: account_pb2.Account = await self._get(self._reads.GetAccount, request)
        return resource

    async def withdrawal(self, account: str, withdrawal: str) -> withdrawal_pb2.Withdrawal:
        """One withdrawal."""
        request = collateral_service_pb2.GetWithdrawalRequest(name=withdrawal_name(account, withdrawal))
        resource: withdrawal_pb2.Withdrawal = await self._get(self._reads.GetWithdrawal, request)
        return resource

    async def destination(self, account: str, destination: str) -> destination_pb2.Destination:
        """One destination."""
        request = collateral_service_pb2.GetDestinationRequest(name=destination_name(account, destination))
        resource: destination_pb2.Destination = await self._get(self._reads.GetDestination, request)
        return resource

    async def lien(self, account: str, lien: str) -> lien_pb2.Lien:
        """One lien."""
        request = collateral_service_pb2.GetLienRequest(name=lien_name(account, lien))
        resource: lien_pb2.Lien = await self._get(self._reads.GetLien, request)
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

    async def _get(self, method: Any, request: Any) -> Any:
        """One resource, under the name that was asked for."""
        resource = await self.connection.call(method, request)
        if resource.name != request.name:
            raise VerificationError(f"{resource.name} where {request.name} was asked for")
        return resource

    async def _pages(self, field: str, method: Any, request: Any) -> list[Any]:
        request.page_size = PAGE_SIZE
        items: list[Any] = []
        for _ in range(PAGES_MAX):
            page = await self.connection.call(method, request)
            items.extend(getattr(page, field))
            if not page.next_page_token:
                return items
            request.page_token = page.next_page_token
        raise VerificationError(f"the listing of {field} does not end")
