"""What one caller can hold of the service: calls that wait, streams, and calls that never send a message."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from bailee.custody.v1 import collateral_service_pb2 as rpc
from grpc import aio
from grpc_health.v1 import health_pb2  # type: ignore[import-untyped]

from custody.rpc.interceptors import CHECKS_PER_CERTIFICATE_MAX
from custody.rpc.occupancy import Occupancy
from custody.rpc.refusals import Overloaded
from tests.unit.custody.rpc.deployment import LIMITS, STRANGER, Deployment, Refused
from tests.unit.custody.rpc.rows import ACCOUNT, METHODS, ROWS

HEALTH = "/grpc.health.v1.Health"
SERVING = health_pb2.HealthCheckRequest().SerializeToString()


async def silence() -> AsyncIterator[bytes]:
    """A caller that opens a call and never says what it wants."""
    await asyncio.Event().wait()
    yield b""


async def refusal(call: Any) -> Refused:
    with pytest.raises(aio.AioRpcError) as caught:
        await (call.read() if hasattr(call, "read") else call)
    return Refused.read(caught.value)


@asynccontextmanager
async def one_too_many(calls: Sequence[Any]) -> AsyncIterator[Refused]:
    """Calls that stay open, but for one: the refusal of that one, while the others are held."""
    refused = [asyncio.ensure_future(refusal(call)) for call in calls]
    try:
        done, open_ = await asyncio.wait(refused, timeout=20, return_when=asyncio.FIRST_COMPLETED)
        assert (len(done), len(open_)) == (1, len(calls) - 1)
        yield done.pop().result()
    finally:
        for call in calls:
            call.cancel()
        await asyncio.gather(*refused, return_exceptions=True)


def reading(service: Deployment, word: str) -> Any:
    """A read of what a caller has not written: it waits until its deadline."""
    never = rpc.GetCollateralReportRequest(name=f"{ACCOUNT}/collateralReport", min_account_sequence=2**53 - 1)
    call: Any = service.channel(word).unary_unary("/bailee.custody.v1.CollateralService/GetCollateralReport")
    return call(never.SerializeToString(), timeout=50)


async def answered(service: Deployment, word: str) -> None:
    name = "CollateralService/GetAccount"
    await service.call(word, name, ROWS[name].request(service.scenario), seconds=20)


async def test_a_caller_holds_so_many_waiting_reads_and_keeps_nobody_else_out(deployment: Deployment) -> None:
    waiting = [reading(deployment, "pledgor") for _ in range(LIMITS.calls_per_caller_max + 1)]
    async with one_too_many(waiting) as refused:
        assert (refused.code, refused.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
        assert refused.retry_after_ms == 1000
        await answered(deployment, "secured")


async def test_streams_of_health_count_like_every_other_call(deployment: Deployment) -> None:
    watch: Any = deployment.channel("pledgor").unary_stream(f"{HEALTH}/Watch")
    streams = [watch(SERVING) for _ in range(LIMITS.calls_per_caller_max)]
    for stream in streams:
        assert await stream.read()
    async with one_too_many([*streams, reading(deployment, "pledgor")]) as refused:
        assert refused.reason == "OVERLOADED"


async def test_health_streams_to_principals_only(deployment: Deployment) -> None:
    watch: Any = deployment.channel(STRANGER).unary_stream(f"{HEALTH}/Watch")
    refused = await refusal(watch(SERVING))
    assert (refused.code, refused.reason) == (grpc.StatusCode.UNAUTHENTICATED, "CERTIFICATE_REQUIRED")


async def test_whoever_tls_let_in_checks_health_and_holds_little(deployment: Deployment) -> None:
    check: Any = deployment.channel(STRANGER).unary_unary(f"{HEALTH}/Check")
    for _ in range(CHECKS_PER_CERTIFICATE_MAX + 1):
        assert await check(SERVING, timeout=5)
    silent: Any = deployment.channel(STRANGER).stream_unary(f"{HEALTH}/Check")
    checks = [silent(silence()) for _ in range(CHECKS_PER_CERTIFICATE_MAX + 1)]
    async with one_too_many(checks) as refused:
        assert refused.reason == "OVERLOADED"


@pytest.mark.parametrize("name", METHODS)
async def test_who_may_not_call_is_told_before_it_has_said_anything(
    name: str, deployment: Deployment
) -> None:
    """Otherwise any certificate of the authority could hold every place there is, and say nothing."""
    call: Any = deployment.channel(STRANGER).stream_unary(f"/bailee.custody.v1.{name}")
    assert (await refusal(call(silence()))).reason == "CERTIFICATE_REQUIRED"
    call = deployment.channel(ROWS[name].caller).stream_unary(f"/bailee.custody.v1.{name}")
    assert (await refusal(call(silence()))).reason == "DEADLINE_REQUIRED"


async def test_a_call_without_a_message(deployment: Deployment) -> None:
    call: Any = deployment.channel("pledgor").stream_unary("/bailee.custody.v1.CollateralService/GetAccount")
    refused = await refusal(call([], timeout=5))
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")


def test_what_is_given_back_can_be_held_again() -> None:
    occupancy = Occupancy("calls")
    for _ in range(3):
        with (
            occupancy.one_of("a", most=1),
            occupancy.one_of("b", most=1),
            pytest.raises(Overloaded, match="a holds 1 calls already"),
            occupancy.one_of("a", most=1),
        ):
            pass
    assert not occupancy._held
