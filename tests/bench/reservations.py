"""Durable reservations through gRPC, beside the same use case at `Store.execute`."""

import statistics
from collections.abc import Mapping

from bailee.custody.v1.lien_service_pb2 import ReserveLienRequest

from custody.application import liens
from custody.application.liens import ReserveLien
from custody.domain.price import PriceSet
from custody.rpc.codec import names
from signers.statements.identifiers import Seconds
from tests.bench.accounts import ENGINE, Book
from tests.bench.calls import Service, busy, percentile_ms, processor_us
from tests.bench.stored import Command, seconds_to_execute, settled, stored

EACH = 20
"""Reservations of each account in one round."""
ROUNDS = 5


async def measure(book: Book, service: Service) -> Mapping[str, object]:
    """Reservations per second of each, signed beforehand, and their ratio.

    As many are in flight as there are accounts: the encumbrances of one account are a chain.
    """
    chains = [book.reservations(account, EACH * ROUNDS) for account in book.accounts]
    calls = []
    for at in range(0, EACH * ROUNDS, EACH):
        requests = [[_request(each) for each in chain[at : at + EACH]] for chain in chains]
        calls.append(await service.load("LienService/ReserveLien", requests))
    async with stored(book) as store:
        now, prices = book.custody.now, store.projection.prices()
        commands = [iter([_command(each, now=now, prices=prices) for each in chain]) for chain in chains]
        with settled():
            seconds = await seconds_to_execute(store, commands)
    figure = statistics.median(load.per_second for load in calls)
    floor = len(chains) * EACH * ROUNDS / seconds
    return {
        "name": f"durable reservations through gRPC, {len(chains)} in flight on as many accounts",
        "figure": round(figure),
        "floor": round(floor),
        "unit": "per second; floor: the same use case, signature and request id included, at Store.execute",
        "ratio": round(figure / floor, 3),
        "p50_ms": percentile_ms(calls, 0.50),
        "p99_ms": percentile_ms(calls, 0.99),
        "server_us": processor_us(calls),
        "server_busy": busy(calls),
    }


def _command(command: ReserveLien, *, now: Seconds, prices: PriceSet) -> Command:
    return lambda uow: liens.reserve(
        uow, command, principal=ENGINE, now=now, prices=prices, disputed=frozenset()
    )


def _request(command: ReserveLien) -> bytes:
    request = ReserveLienRequest(
        parent=names.account(command.account),
        lien_id=command.lien,
        request_id=command.request_id,
        envelope=command.envelope.to_json(),
    )
    return request.SerializeToString()
