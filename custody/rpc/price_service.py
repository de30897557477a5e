"""PriceService: bring in what publishers signed."""
# ruff: noqa: N802 - RPCs are named by the proto

from bailee.custody.v1 import price_service_pb2
from bailee.custody.v1.price_service_pb2_grpc import PriceServiceServicer

from custody.application import prices
from custody.rpc.backend import Backend
from custody.rpc.calls import Call
from custody.rpc.codec import commands, ledger


class PriceService(PriceServiceServicer):
    """For the publishers that the policy pins, or whoever carries their prices."""

    def __init__(self, backend: Backend) -> None:
        """Serve this backend."""
        self._backend = backend

    async def PublishPrices(
        self, request: price_service_pb2.PublishPricesRequest, context: Call
    ) -> price_service_pb2.PublishPricesResponse:
        """Take signed prices, all or none."""
        command = commands.publish_prices(request)
        now = self._backend.clock()
        published = await self._backend.execute(
            lambda uow: prices.publish(uow, command, principal=context.principal, now=now)
        )
        return price_service_pb2.PublishPricesResponse(prices=[ledger.price(each) for each in published])
