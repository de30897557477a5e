"""Where the demo plays: the localnet, and everybody's client on it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from grpc import StatusCode

from custody.client import (
    Approver,
    BaileeError,
    Connection,
    Custodian,
    MarginEngine,
    Pledgor,
    Publisher,
    Reader,
    TrustRoot,
    read_policy,
)
from deploy.localnet.demo.record import Recorder
from deploy.localnet.demo.wallets import BitcoinWallet, EthereumWallet
from deploy.localnet.localnet import Localnet
from deploy.localnet.people import Person
from signers.statements.account import Account
from signers.statements.amounts import Asset
from signers.statements.network import Network

T = TypeVar("T")

ACCOUNT: Final = "client-one-broker-one"
PRICES_HKD: Final = {Asset.BTC: 780_000, Asset.ETH: 27_000}
_PRICE_SCALE: Final = 10**8
_PRICE_PERIOD_SECONDS: Final = 10.0
_PRICE_RETRY_SECONDS: Final = 1.0
_POLL_SECONDS: Final = 0.1
PATIENCE_SECONDS: Final = 60.0


@dataclass(kw_only=True)
class Stage:
    """Everything a journey needs."""

    net: Localnet
    record: Recorder
    trust: TrustRoot
    custodian: Custodian
    pledgor: Pledgor
    margin_engine: MarginEngine
    approvers: dict[str, Approver]
    publishers: tuple[Publisher, ...]
    auditor: Reader
    account: Account = field(init=False)
    """Set by the onboarding, as the three after it."""
    bitcoin_address: str = field(init=False)
    ethereum_address: str = field(init=False)
    wallets: dict[Asset, BitcoinWallet | EthereumWallet] = field(init=False)

    async def publish_prices(self) -> None:
        """Every publisher says what it sees: a little apart, as markets are."""
        for offset, publisher in enumerate(self.publishers):
            prices = {asset: (hkd + offset) * _PRICE_SCALE for asset, hkd in PRICES_HKD.items()}
            await publisher.publish(prices)

    async def mine(self, asset: Asset, blocks: int = 1) -> None:
        """Mine on the asset's chain."""
        chain = self.net.bitcoind if asset is Asset.BTC else self.net.anvil
        await asyncio.to_thread(chain.mine, blocks)


async def until(
    read: Callable[[], Awaitable[T]],
    holds: Callable[[T], bool],
    *,
    what: str,
    seconds: float = PATIENCE_SECONDS,
) -> T:
    """Read until what was read holds. Whoever does not answer for a while is asked again.

    Raises:
        TimeoutError: it never did; says what was waited for and what was read last.
    """
    seen: object = "nothing"
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while True:
                try:
                    value = seen = await read()
                except BaileeError as error:
                    if error.code is not StatusCode.UNAVAILABLE:
                        raise
                    seen = error
                else:
                    if holds(value):
                        return value
                await asyncio.sleep(_POLL_SECONDS)
    raise TimeoutError(f"waited {seconds:.0f} s for {what}; last seen: {seen}")


async def refused(call: Awaitable[object]) -> BaileeError:
    """The error that the service answers with.

    Raises:
        AssertionError: it did not refuse.
    """
    try:
        await call
    except BaileeError as error:
        return error
    raise AssertionError("the service accepted what it must refuse")


def state(resource: Any) -> str:
    """The name of a resource's state, as the API says it without its prefix."""
    return str(type(resource).State.Name(resource.state)).removeprefix("STATE_")


@asynccontextmanager
async def set_stage(net: Localnet, record: Recorder) -> AsyncIterator[Stage]:
    """Connect everybody, and let the publishers publish from now on."""
    async with AsyncExitStack() as stack:

        async def connect(name: str) -> tuple[Connection, Person]:
            person = net.people[name]
            connection = await stack.enter_async_context(Connection(net.custody.target, person.credentials))
            return connection, person

        auditor, _ = await connect("auditor.auditor-one")
        # The digest comes from the admins; custody only carries the envelope.
        carried = await read_policy(auditor)
        trust = TrustRoot.load(carried.envelope, network=Network.REGTEST, policy_digest=net.policy.digest)

        async def party(kind: type[T], name: str) -> T:
            connection, person = await connect(name)
            return kind(connection, trust, entity=person.entity, key=person.key())  # type: ignore[call-arg]

        approvers = {}
        for entity in ("custodian-one", "trustee-one", "administrator-one"):
            connection, person = await connect(f"approver.{entity}")
            approvers[entity] = Approver(connection, trust, key=person.key())
        stage = Stage(
            net=net,
            record=record,
            trust=trust,
            custodian=await party(Custodian, "operations.custodian-one"),
            pledgor=await party(Pledgor, "pledgor.client-one"),
            margin_engine=await party(MarginEngine, "margin-engine.broker-one"),
            approvers=approvers,
            publishers=tuple(
                [await party(Publisher, f"feed.{feed}") for feed in ("feed-one", "feed-two", "feed-three")]
            ),
            auditor=Reader(auditor, trust),
        )
        await stage.publish_prices()
        feeds = asyncio.create_task(_keep_publishing(stage))
        try:
            yield stage
        finally:
            feeds.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await feeds


async def _keep_publishing(stage: Stage) -> None:
    pause_seconds = _PRICE_PERIOD_SECONDS
    while True:
        await asyncio.sleep(pause_seconds)
        # A price that does not arrive makes values stale, which the service must survive; so must the demo.
        try:
            await stage.publish_prices()
        except BaileeError:
            pause_seconds = _PRICE_RETRY_SECONDS
        else:
            pause_seconds = _PRICE_PERIOD_SECONDS
