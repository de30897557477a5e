"""Bitcoin paid to a script that its parties hold already, before custody has made the account active."""

from typing import Any

from custody.application import onboarding
from custody.domain.account import AccountState
from custody.workers.bitcoin_watcher import BitcoinWatcher
from custody.workers.chain_health import ChainHealth
from custody.workers.reconciler import Reconciler
from signers.statements.amounts import Asset
from tests.contract.chains.bitcoin_chains import BitcoinHarness
from tests.factories import BTC
from tests.unit.custody.scenario import Custody
from tests.unit.custody.workers.fake_ethereum import FakeEthereum
from tests.unit.custody.workers.memory_store import MemoryStore
from tests.unit.custody.workers.stage import CONFIRMATIONS, small_world


class _Custody(Custody):
    """A custody whose account waits for its parties' signatures, and what follows Bitcoin for it."""

    def __init__(self, bitcoin: BitcoinHarness) -> None:
        super().__init__(small_world())
        self.chains: dict[str, Any] = {"bitcoin": bitcoin.chain, "ethereum": FakeEthereum()}
        self.pin()
        self.create_account()
        self.make_keys()
        self.prepare()

    def begin(self) -> None:
        """The workers of a new process."""
        common: dict[str, Any] = {"store": MemoryStore(self), "clock": lambda: self.now}
        self.watcher = BitcoinWatcher(chain=self.chains["bitcoin"], health=ChainHealth(), **common)
        self.reconciler = Reconciler(interval_seconds=0, **self.chains, **common)

    async def watch(self) -> None:
        while await self.watcher.tick():
            pass

    def activate(self) -> None:
        self.sign_by_parties()
        self.cosign()
        self.prove()
        self.do(onboarding.activate, onboarding.ActivateAccount(account=self.account_id))


async def test_it_waits_is_credited_once_the_account_is_active_and_agrees_with_the_chain(
    bitcoin: BitcoinHarness,
) -> None:
    custody = _Custody(bitcoin)
    script = custody.world.account.bitcoin.script_pubkey.raw
    custody.begin()
    await custody.watch()
    assert custody.account.state is AccountState.AWAITING_SIGNATURES
    bitcoin.pay(script, BTC)
    bitcoin.mine()
    await custody.watch()
    assert custody.balances(Asset.BTC).pending == BTC
    bitcoin.reorg(1)  # it waits again, and stands in another block later
    custody.begin()
    await custody.watch()
    assert custody.balances(Asset.BTC).pending == 0
    bitcoin.mine(CONFIRMATIONS)
    await custody.watch()
    books = custody.balances(Asset.BTC)
    assert (books.pending, books.available) == (BTC, 0), "deep enough, and nobody has proven the keys"
    custody.begin()
    custody.activate()
    await custody.reconciler.tick()
    assert not custody.account.halts
    bitcoin.mine()
    await custody.watch()
    books = custody.balances(Asset.BTC)
    assert (books.pending, books.available) == (0, BTC)
    await custody.reconciler.tick()
    assert not custody.account.halts
