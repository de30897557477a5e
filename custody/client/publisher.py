"""A price publisher: signs what it observed. Anyone may carry the signed prices to the service."""

import time
from collections.abc import Callable, Mapping

from bailee.custody.v1 import price_pb2, price_service_pb2, price_service_pb2_grpc
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from custody.client.connection import Connection, new_request_id
from custody.client.trust import TrustRoot
from signers.statements.amounts import Asset
from signers.statements.envelope import sign
from signers.statements.identifiers import EntityId, Seconds, Value
from signers.statements.price import Price


class Publisher:
    """A key of the policy with the role `publisher`.

    Args:
        connection: to the service.
        trust: the policy, whose currency the prices are in.
        entity: who publishes, as the policy names it.
        key: the publisher's key.
        clock: Unix time.
    """

    def __init__(
        self,
        connection: Connection,
        trust: TrustRoot,
        *,
        entity: EntityId,
        key: Ed25519PrivateKey,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.connection = connection
        self._trust = trust
        self._entity = entity
        self._key = key
        self._clock = clock
        self._sequence = 0
        self._prices = price_service_pb2_grpc.PriceServiceStub(connection.channel)  # type: ignore[no-untyped-call, unused-ignore]

    async def publish(self, prices: Mapping[Asset, int], *, at: float | None = None) -> list[price_pb2.Price]:
        """Sign and hand in one price per asset.

        Args:
            prices: 1e-8 of the policy's currency per coin.
            at: Unix time of the observation; now where absent.
        """
        observed = self._clock() if at is None else at
        # Microseconds rise across restarts without a file; a clock set back is refused by the service.
        self._sequence = max(self._sequence + 1, int(observed * 1e6))
        request = price_service_pb2.PublishPricesRequest(
            request_id=new_request_id(),
            envelopes=[
                sign(self._key, self._price(asset, value, int(observed)).envelope()).to_json()
                for asset, value in prices.items()
            ],
        )
        response = await self.connection.call(self._prices.PublishPrices, request)
        return list(response.prices)

    def _price(self, asset: Asset, value: int, at: int) -> Price:
        return Price(
            network=self._trust.network,
            publisher=self._entity,
            asset=asset,
            currency=self._trust.policy.prices.currency,
            price=Value(str(value)),
            sequence=self._sequence,
            at=Seconds(at),
        )
