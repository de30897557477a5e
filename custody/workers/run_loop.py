"""Run a worker until told to stop: tick, and wait when there is nothing to do or nobody answers."""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

import structlog

from custody.application.ports.attestation import AttestationUnavailable
from custody.application.ports.chains import ChainError, WrongNetwork
from custody.application.ports.signers import SignerError
from custody.domain.errors import CustodyError, StoreUnavailable
from signers.statements.identifiers import Seconds

PAUSE_SECONDS_MAX: Final = 60.0
_log = structlog.get_logger(__name__)

Clock = Callable[[], Seconds]
"""Unix time. Workers take it at every step; tests hand in their own."""


class Worker(Protocol):
    """What `run` needs of a worker."""

    @property
    def name(self) -> str:
        """For logs."""
        ...

    async def tick(self) -> bool:
        """One bounded step; whether it did something, so that the next one should follow at once."""
        ...


async def run(worker: Worker, *, interval_seconds: float, stop: asyncio.Event) -> None:
    """Tick until `stop`.

    What the outside world does (no answer, a refusal, a race that a use case turned down) is logged and
    tried again after a growing pause. Anything else is a fault of this program and ends it: a worker that
    goes on after an unknown state is worse than one that is restarted.

    Args:
        worker: what to run.
        interval_seconds: the pause when there is nothing to do, and the first one after a failure.
        stop: set it to end after the step under way.

    Raises:
        WrongNetwork: a node is of another chain.
        StoreUnavailable: the store has stopped.
    """
    failures = 0
    while not stop.is_set():
        try:
            busy = await worker.tick()
        except (WrongNetwork, StoreUnavailable):
            raise
        except (ChainError, SignerError, AttestationUnavailable, CustodyError) as error:
            failures += 1
            _log.warning("failed", worker=worker.name, error=type(error).__name__, detail=str(error))
            await _pause(stop, pause_seconds(failures, base_seconds=interval_seconds))
            continue
        failures = 0
        if not busy:
            await _pause(stop, interval_seconds)
        else:
            await asyncio.sleep(0)


def pause_seconds(failures: int, *, base_seconds: float) -> float:
    """How long to wait after that many failures in a row: doubling, bounded."""
    return min(PAUSE_SECONDS_MAX, base_seconds * (1 << min(failures, 16)))


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return
