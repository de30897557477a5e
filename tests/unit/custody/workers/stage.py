"""A whole custody for worker tests: real use cases, SQL and workers; the outside in memory."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from custody.adapters.verification import Accounts, Payouts
from custody.application import onboarding
from custody.domain.deposit import Outpoint
from custody.domain.identifiers import WithdrawalId
from custody.domain.withdrawal import Withdrawal
from custody.domain.withdrawal_states import WithdrawalState
from custody.workers.bitcoin_watcher import BitcoinWatcher
from custody.workers.chain_health import ChainHealth
from custody.workers.ethereum_watcher import EthereumWatcher
from custody.workers.onboarding_driver import OnboardingDriver
from custody.workers.withdrawal_driver import WithdrawalDriver
from signers.statements.amounts import Amount, Asset, Sats, Wei
from signers.statements.identifiers import Seconds
from signers.statements.intent import Anchor, NonceAnchor
from tests.factories import BTC, ETH, World, build_world
from tests.unit.custody.scenario import Custody
from tests.unit.custody.workers.fake_bitcoin import FakeBitcoin
from tests.unit.custody.workers.fake_ethereum import FakeEthereum
from tests.unit.custody.workers.fake_signers import FakeSigners
from tests.unit.custody.workers.memory_store import MemoryStore

CONFIRMATIONS, FINALITY_DEPTH = 2, 3


class Killed(BaseException):
    """The process died here. Nothing may catch it."""


@dataclass
class Kill:
    """Counts the moments before and after every call at a port; dies at one of them."""

    at: int | None = None
    passed: int = 0

    def moment(self) -> None:
        self.passed += 1
        if self.passed - 1 == self.at:
            raise Killed


class Mortal:
    """A port of which each asynchronous call is a place to die: before it, and after it happened."""

    def __init__(self, port: Any, kill: Kill) -> None:
        self._port = port
        self._kill = kill

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._port, name)
        if not callable(value) or name.startswith("_"):
            return value
        return self._guarded(value)

    def _guarded(self, call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def guarded(*arguments: Any, **named: Any) -> Any:
            self._kill.moment()
            answer = await call(*arguments, **named)
            self._kill.moment()
            return answer

        return guarded


def small_world() -> World:
    """The valid world with short depths."""
    world = build_world()
    terms = tuple(
        replace(each, confirmations=CONFIRMATIONS, finality_depth=FINALITY_DEPTH)
        if each.asset is Asset.BTC
        else each
        for each in world.policy.assets
    )
    return build_world(policy_changes={"assets": terms})


class Stage:
    """Custody, chains and signers; `start` makes the workers, as after a start of the process.

    Args:
        custody: on a database and in a world of the test's own, if not in memory with short depths.
        active: whether its account is.
    """

    def __init__(self, custody: Custody | None = None, *, active: bool = True) -> None:
        self.custody = custody or Custody(small_world())
        self.world = self.custody.world
        self.store = MemoryStore(self.custody)
        self.bitcoin = FakeBitcoin()
        self.ethereum = FakeEthereum()
        self.signers = FakeSigners(self.world, self.clock, is_final=self.is_final)
        self.start()
        if active:
            self._activate()

    def clock(self) -> Seconds:
        return self.custody.now

    def is_final(self, anchor: Anchor) -> bool:
        """Whether a transaction that uses it stands as deep as the policy calls final."""
        if isinstance(anchor, NonceAnchor):
            return self.ethereum.final_nonce(self.world.account.ethereum.address) > anchor.nonce
        depth = self.bitcoin.spent_depth(Outpoint(anchor.txid, anchor.index))
        return depth >= self.world.policy.terms_of(Asset.BTC).finality_depth

    def start(self, kill: Kill | None = None) -> None:
        """New workers over the same store and the same outside."""
        mortal = kill or Kill()
        store: Any = Mortal(self.store, mortal)
        bitcoin: Any = Mortal(self.bitcoin, mortal)
        ethereum: Any = Mortal(self.ethereum, mortal)
        signers: Any = Mortal(self.signers, mortal)
        self.health = ChainHealth()
        common: dict[str, Any] = {"store": store, "clock": self.clock}
        self.bitcoin_watcher = BitcoinWatcher(chain=bitcoin, health=self.health, **common)
        self.ethereum_watcher = EthereumWatcher(chain=ethereum, health=self.health, **common)
        self.driver = WithdrawalDriver(
            bitcoin=bitcoin,
            ethereum=ethereum,
            signers=signers,
            verifier=Payouts(),
            health=self.health,
            **common,
        )
        self.onboarding = OnboardingDriver(signers=signers, verifier=Accounts(), **common)

    def _activate(self) -> None:
        custody = self.custody
        custody.pin()
        custody.create_account()
        custody.make_keys()
        custody.prepare()
        custody.sign_by_parties()
        custody.cosign()
        custody.prove()
        custody.do(onboarding.activate, onboarding.ActivateAccount(account=custody.account_id))
        for asset in Asset:
            custody.allow(asset)

    # What time and the world do.

    async def watch(self) -> None:
        """Both watchers until they have nothing to do."""
        for watcher in (self.bitcoin_watcher, self.ethereum_watcher):
            for _ in range(50):
                if not await watcher.tick():
                    break

    async def drive(self, ticks: int = 40) -> None:
        """The driver until it has nothing to do."""
        for _ in range(ticks):
            if not await self.driver.tick():
                break

    def pass_time(self, seconds: int) -> None:
        """Time in which both watchers go on seeing what they saw, where they saw it."""
        seen = set(Asset) - self.health.disputed(now=self.custody.now)
        self.be_silent(seconds)
        for asset in seen:
            self.health.agree(asset, now=self.custody.now)

    def be_silent(self, seconds: int) -> None:
        """Time in which nobody hears of either chain."""
        self.custody.now = Seconds(self.custody.now + seconds)

    async def fund(self) -> None:
        """A coin of each, credited."""
        await self.watch()
        self.bitcoin.pay(self.world.account.bitcoin.script_pubkey.raw, BTC)
        self.ethereum.pay(self.world.account.ethereum.address, 2 * ETH)
        self.bitcoin.mine(CONFIRMATIONS)
        self.ethereum.mine(self.ethereum.final_behind + 1)
        await self.watch()
        self.custody.publish_prices()

    def request(self, asset: Asset) -> Withdrawal:
        """Half a coin out."""
        amounts: dict[Asset, tuple[Amount, Amount]] = {
            Asset.BTC: (Sats(BTC // 2), Sats(50_000)),
            Asset.ETH: (Wei(ETH // 2), Wei(ETH // 100)),
        }
        amount, cap = amounts[asset]
        return self.custody.request(amount, cap, withdrawal=WithdrawalId(f"out-{asset.value.lower()}"))

    def present(self, asset: Asset) -> Withdrawal:
        """The withdrawal of that asset as it stands."""
        account, name = self.custody.account_id, WithdrawalId(f"out-{asset.value.lower()}")
        found: Withdrawal | None = self.custody.ask(lambda uow: uow.withdrawal(account, name))
        assert found is not None
        return found

    def state(self, asset: Asset) -> WithdrawalState:
        return self.present(asset).state

    async def settle(self, asset: Asset) -> None:
        """Blocks, until the payout is final."""
        chain = self.bitcoin if asset is Asset.BTC else self.ethereum
        for _ in range(6):
            chain.mine()
            await self.watch()
