"""Who fills its own slots keeps nobody else out: honest signers reach each other whatever custody does."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

import grpc
import pytest
from bailee.signer.v1 import signer_pb2 as pb
from bailee.signer.v1 import signer_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped] # no types

from signers.service.edge import CALLS_PER_CALLER_MAX
from tests.signers.service.test_edge import SECONDS, announce_request, details, fails
from tests.signers.service.wire import CUSTODY, Wired


async def peers_answer(wired: Wired) -> None:
    """Signer 1 asks signer 2 for the head of its journal, over the wire."""
    await asyncio.wait_for(wired.over_the_wire(0).reconciliation.ask(wired.stage[1].id), SECONDS)


async def never() -> AsyncIterator[Any]:
    """The messages of a call that says nothing."""
    await asyncio.Event().wait()
    yield


def silent_calls(channel: grpc.aio.Channel, method: str, count: int) -> list[Any]:
    """Calls whose message never comes. On the wire a call of one message begins like a stream of them."""
    call: Any = channel.stream_unary(f"/bailee.signer.v1.{method}")
    return [call(never(), timeout=100) for _ in range(count)]


async def end(calls: Iterable[Any]) -> None:
    for call in calls:
        call.cancel()
    await asyncio.sleep(0)


async def test_custody_whose_calls_wait_keeps_no_peer_out(
    wired: Wired, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wired.stage.bitcoin, "tip", asyncio.Event().wait)
    custody = wired.custody(1)
    calls = [
        asyncio.ensure_future(custody.Announce(announce_request(wired), timeout=100))
        for _ in range(CALLS_PER_CALLER_MAX + 1)
    ]
    (one_too_many,), waiting = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
    error = one_too_many.exception()
    assert isinstance(error, grpc.aio.AioRpcError)
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert details(error)[0].reason == "too-many-calls"
    await peers_answer(wired)
    await end(waiting)


async def test_a_slot_is_free_again_once_its_call_ends(wired: Wired) -> None:
    custody = wired.custody(1)
    unknown = pb.GetReceiptRequest(intent_digest="ab" * 32, act=pb.ACT_SIGNED)
    for _ in range(CALLS_PER_CALLER_MAX + 1):
        await fails(custody.GetReceipt(unknown, timeout=SECONDS))
    await custody.Announce(announce_request(wired), timeout=SECONDS)


async def test_calls_that_never_say_anything_end_at_the_door(wired: Wired) -> None:
    channel = wired.channel(1, wired.authority.issue(CUSTODY))
    calls = silent_calls(channel, "PeerService/GetJournalHead", 100)
    for call in calls:
        assert (await fails(call)).code() is grpc.StatusCode.PERMISSION_DENIED
    await peers_answer(wired)


async def test_calls_that_never_say_anything_take_the_callers_own_slots(wired: Wired) -> None:
    channel = wired.channel(1, wired.authority.issue(CUSTODY))
    calls = silent_calls(channel, "SignerService/Announce", 100)
    await exhausted(wired.custody(1).Announce, announce_request(wired))
    await peers_answer(wired)
    await end(calls)


async def test_one_peer_keeps_no_other_out(wired: Wired) -> None:
    channel = wired.channel(1, wired.authority.issue("signer-3.bailee"))
    calls = silent_calls(channel, "PeerService/GetReceipt", 100)
    head = signer_pb2_grpc.PeerServiceStub(channel).GetJournalHead
    await exhausted(head, pb.GetJournalHeadRequest(signer_id="signer-3", nonce=b"\x01" * 32))
    await peers_answer(wired)
    await end(calls)


async def test_one_certificate_keeps_no_other_from_asking_for_health(wired: Wired) -> None:
    """Else whoever has any certificate could have this process restarted."""
    channel = wired.channel(1, wired.authority.issue("margin-engine.broker-one"))
    call: Any = channel.stream_unary("/grpc.health.v1.Health/Check")
    calls = [call(never(), timeout=100) for _ in range(100)]
    await exhausted(health_pb2_grpc.HealthStub(channel).Check, health_pb2.HealthCheckRequest())
    monitor = wired.channel(1, wired.authority.issue("monitor.bailee"))
    await health_pb2_grpc.HealthStub(monitor).Check(health_pb2.HealthCheckRequest(), timeout=SECONDS)
    await end(calls)


async def test_health_is_asked_and_not_watched(wired: Wired) -> None:
    for name in (CUSTODY, "monitor.bailee"):
        stub = health_pb2_grpc.HealthStub(wired.channel(1, wired.authority.issue(name)))
        watching = stub.Watch(health_pb2.HealthCheckRequest(), timeout=SECONDS)
        assert await watching.code() is grpc.StatusCode.UNIMPLEMENTED
        await stub.Check(health_pb2.HealthCheckRequest(), timeout=SECONDS)


async def exhausted(method: Any, request: object) -> grpc.aio.AioRpcError:
    """The call finds no slot, once those before it have arrived."""
    while True:
        try:
            await method(request, timeout=0.2)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
                return error
