"""The loop around a worker: what it survives, what ends it, how it waits."""

import asyncio
from collections.abc import Sequence

import pytest

from custody.application.ports.attestation import AttestationUnavailable
from custody.application.ports.chains import ChainUnavailable, WrongNetwork
from custody.application.ports.signers import SignerUnavailable
from custody.domain.errors import StoreUnavailable, TipMoved
from custody.workers.pauses import PAUSE_SECONDS_MAX, PAUSE_SECONDS_MIN, Pauses
from custody.workers.run_loop import pause_seconds, run
from signers.statements.identifiers import Seconds, SignerId


class Scripted:
    """A worker that does what the test wrote down, then stops the loop."""

    name = "scripted"

    def __init__(self, stop: asyncio.Event, steps: Sequence[bool | Exception]) -> None:
        self.stop = stop
        self.steps = list(steps)
        self.ticks = 0

    async def tick(self) -> bool:
        self.ticks += 1
        step = self.steps.pop(0)
        if not self.steps:
            self.stop.set()
        if isinstance(step, Exception):
            raise step
        return step


@pytest.mark.parametrize(
    "fault",
    [
        ChainUnavailable(answered=0, needed=1, causes=["down"]),
        SignerUnavailable(SignerId("signer-1"), "down"),
        AttestationUnavailable("sealed"),
        TipMoved("elsewhere"),
    ],
)
async def test_what_the_world_does_is_survived(fault: Exception) -> None:
    stop = asyncio.Event()
    worker = Scripted(stop, [fault, True, fault, False])
    await run(worker, interval_seconds=0.001, stop=stop)
    assert worker.ticks == 4


@pytest.mark.parametrize("fault", [WrongNetwork("testnet"), StoreUnavailable("stopped"), KeyError("a bug")])
async def test_what_must_end_the_process_ends_it(fault: Exception) -> None:
    stop = asyncio.Event()
    with pytest.raises(type(fault)):
        await run(Scripted(stop, [True, fault]), interval_seconds=0.001, stop=stop)


async def test_a_pause_ends_when_the_loop_is_stopped() -> None:
    stop = asyncio.Event()
    worker = Scripted(asyncio.Event(), [False, False])
    running = asyncio.create_task(run(worker, interval_seconds=1000, stop=stop))
    await asyncio.sleep(0.01)
    stop.set()
    await asyncio.wait_for(running, 1)
    assert worker.ticks == 1


def test_pauses_of_the_loop_double_and_are_bounded() -> None:
    assert [pause_seconds(n, base_seconds=1) for n in (1, 2, 3, 100)] == [2, 4, 8, 60]


def test_pauses_of_a_subject_double_are_bounded_and_end_with_a_success() -> None:
    pauses, now = Pauses(), Seconds(1000)
    assert pauses.due("a", now=now)
    waited = []
    for _ in range(12):
        pauses.failed("a", now=now)
        start = now
        while not pauses.due("a", now=now):
            now = Seconds(now + 1)
        waited.append(now - start)
    assert waited[:3] == [PAUSE_SECONDS_MIN, 2 * PAUSE_SECONDS_MIN, 4 * PAUSE_SECONDS_MIN]
    assert waited[-1] == PAUSE_SECONDS_MAX
    assert pauses.due("b", now=now)
    pauses.worked("a")
    pauses.failed("a", now=now)
    assert pauses.due("a", now=Seconds(now + PAUSE_SECONDS_MIN))
