"""Reading a signed collateral report, beside an echo through the same TLS, interceptor and event loop."""

import statistics
from collections.abc import Mapping

from bailee.custody.v1.collateral_service_pb2 import GetCollateralReportRequest
from google.protobuf.wrappers_pb2 import StringValue

from custody.rpc.codec import names
from tests.bench.accounts import Book
from tests.bench.calls import Load, Service, busy, percentile_ms, processor_us

CALLS = 40
"""Per round and stream; there is a stream for every account."""
ROUNDS = 5


async def measure(book: Book, service: Service) -> Mapping[str, object]:
    """Calls per second of each, turn and turn about, and the median of their ratios."""
    asked = [names.report(account) for account in book.accounts]
    read = [[GetCollateralReportRequest(name=name).SerializeToString()] * CALLS for name in asked]
    said = [[StringValue(value=name).SerializeToString()] * CALLS for name in asked]
    reads: list[Load] = []
    echoes: list[Load] = []
    for _ in range(1 + ROUNDS):
        echoes.append(await service.load("EchoService/Echo", said))
        reads.append(await service.load("CollateralService/GetCollateralReport", read))
    del echoes[0], reads[0]  # both warmed up
    ratios = [ours.per_second / floor.per_second for ours, floor in zip(reads, echoes, strict=True)]
    return {
        "name": f"unary report read, {len(asked)} in flight",
        "figure": round(statistics.median(load.per_second for load in reads)),
        "floor": round(statistics.median(load.per_second for load in echoes)),
        "unit": "per second, median; floor: an echo on the same server",
        "ratio": round(statistics.median(ratios), 3),
        "p50_ms": percentile_ms(reads, 0.50),
        "p99_ms": percentile_ms(reads, 0.99),
        "floor_p50_ms": percentile_ms(echoes, 0.50),
        "floor_p99_ms": percentile_ms(echoes, 0.99),
        "server_us": processor_us(reads),
        "floor_server_us": processor_us(echoes),
        "server_busy": busy(reads),
    }
