"""A network with one account of pledged coins, from which payouts are made while parts of it crash."""

import asyncio
import itertools
import threading
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, TypeVar

from grpc import StatusCode

from custody.client import BaileeError
from deploy.localnet import Localnet
from deploy.localnet.demo.payout import APPROVERS, Payout, Settled, agree, approve, look, request
from deploy.localnet.demo.stage import PATIENCE_SECONDS, Stage
from deploy.localnet.service_process import ServiceProcess
from signers.statements.amounts import Asset, Sats, Wei

T = TypeVar("T")
_RETRY_SECONDS: Final = 0.1
_DELIVERY_SECONDS: Final = 0.01
_UNANSWERED: Final = (StatusCode.UNAVAILABLE, StatusCode.DEADLINE_EXCEEDED)


@dataclass
class Scene:
    """The stage, and what has left the account so far."""

    stage: Stage
    settled: dict[Asset, list[Settled]] = field(default_factory=lambda: {asset: [] for asset in Asset})
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def net(self) -> Localnet:
        return self.stage.net

    def payouts(self) -> tuple[Payout, Payout]:
        """One of each asset, of amounts that no other has."""
        number = next(self._numbers)
        return (
            Payout(name=f"payout-{number}-btc", amount=Sats(1_000_000 + number)),
            Payout(name=f"payout-{number}-eth", amount=Wei(10**17 + number)),
        )


async def insist(call: Callable[[], Awaitable[T]]) -> T:
    """Ask a service that is being restarted, or has just been without prices, until it answers.

    Raises:
        TimeoutError: it does not.
    """
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            try:
                return await call()
            except BaileeError as error:
                if error.code not in _UNANSWERED and error.reason != "PRICES_STALE":
                    raise
            await asyncio.sleep(_RETRY_SECONDS)


async def ask_for(stage: Stage, payout: Payout) -> None:
    """The pledgor's request. Asked again it is the same one."""
    request_id = str(uuid.uuid4())
    await insist(lambda: request(stage, payout, request_id=request_id))


async def consent(stage: Stage, payout: Payout) -> None:
    """Everybody signs, the last approver last."""
    await insist(lambda: agree(stage, payout))
    for entity in APPROVERS:
        await _approve(stage, payout, entity)


async def _approve(stage: Stage, payout: Payout, entity: str) -> None:
    """As a person would who heard nothing: look whether it was noted, and else approve again."""

    async def once() -> None:
        try:
            await approve(stage, payout, entity)
        except BaileeError:
            noted = await look(stage, payout)
            if entity not in {signature.entity for signature in noted.signatures}:
                raise

    await insist(once)


@contextmanager
def custody_composed(net: Localnet, *arguments: str) -> Iterator[ServiceProcess]:
    """Custody is down, to be started as `tests.system.crash.custody`; afterwards it is the product's own."""
    custody = net.custody
    custody.stop()
    custody.run_as("tests.system.crash.custody", *arguments)
    try:
        yield custody
    finally:
        custody.stop()
        custody.run_as("custody.main")
        custody.start()


@contextmanager
def deliveries(service: ServiceProcess) -> Iterator[None]:
    """A fresh SecretID lies ready for every next life."""
    done = threading.Event()

    def deliver() -> None:
        while not done.wait(_DELIVERY_SECONDS):
            if not service.secret_id_file.exists():
                service.deliver()

    deliverer = threading.Thread(target=deliver, name="deliverer")
    deliverer.start()
    try:
        yield
    finally:
        done.set()
        deliverer.join()
        service.secret_id_file.unlink(missing_ok=True)
