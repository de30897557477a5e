"""Any interleaving of requests, crashes, restarts, blocks and reorganisations: one intent, one payout.

On both chains at once, against a custody that is an enemy and may own one signer.
"""

import asyncio
import contextlib
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from bitcoin.core import CTransaction
from hypothesis import event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from signers.bitcoin.coins import anchor_outpoint
from signers.rules import watch
from signers.statements.amounts import Amount, Asset, Sats, Wei
from signers.statements.identifiers import IntentId, Seconds
from signers.statements.intent import Anchor, Intent, NonceAnchor
from tests.factories import DAY, ETH, World, build_world
from tests.signers.fakes import anchor_of, real_proof
from tests.signers.model.custody import Enemy, Spendable
from tests.signers.stage import Stage

SIGNERS = st.sampled_from(range(3))
ASSETS = st.sampled_from(list(Asset))
EITHER = st.integers(0, 1)
WHICH = st.integers(0, 2)
IDS = [IntentId(f"0190a0a0-0000-4000-8000-00000000000{letter}") for letter in "abc"]
"""Of intents on both chains: one id means one payout, whatever leaves."""
AMOUNTS: dict[Asset, list[Amount]] = {
    Asset.BTC: [Sats(30_000_000), Sats(40_000_000)],
    Asset.ETH: [Wei(ETH // 2), Wei(ETH // 4)],
}
FEES = {Asset.BTC: [1_000, 2_000, 30_000], Asset.ETH: [21_000 * gwei * 10**9 for gwei in (2, 3, 300)]}
"""Of the last, one is within an intent's cap and two are not."""
FEE = st.integers(0, 2)
OWNED = st.sampled_from([None, None, 1, 2])
"""Never the first: whoever owns the holder of the Ethereum key needs nobody (single-holder)."""


FINALITY = 12
"""Of Bitcoin: less than a reorganisation here is deep."""


def shallow_world() -> World:
    """The valid world, with a finality that can be undone."""
    terms = tuple(
        replace(each, finality_depth=FINALITY) if each.asset is Asset.BTC else each
        for each in build_world().policy.assets
    )
    return build_world(prove=real_proof, policy_changes={"assets": terms})


WORLD = shallow_world()


class Killed(Exception):  # noqa: N818 - what a kill looks like to the test
    """The process died while it signed."""


class OnePayout(RuleBasedStateMachine):
    """Three rule engines and an enemy for a custody."""

    @initialize(begun=st.none() | ASSETS, owned=OWNED)
    def set_up(self, begun: Asset | None, owned: int | None) -> None:
        self.runner = asyncio.Runner()
        self.folder = Path(tempfile.mkdtemp(prefix="bailee-one-payout-"))
        self.stage = self.runner.run(Stage.set_up(self.folder, world=WORLD))
        self.enemy = Enemy(self.stage, owned=owned)
        self.began = self.stage.clock[0]
        self.executed: list[tuple[int, Spendable]] = []
        """Ethereum's payouts, by height: the chain of these tests keeps only nonces."""
        if begun is not None:
            self.pay(begun, 0, 0, 0, (0, 1), 0)

    def teardown(self) -> None:
        if hasattr(self, "stage"):
            for each in self.enemy.spendable():
                event(f"{each.intent.asset} spendable")
                event(f"{each.intent.asset} mined" if self.is_mined(each) else f"{each.intent.asset} kept")
            self.stage.close()
            self.runner.close()
            shutil.rmtree(self.folder)

    def intent(self, asset: Asset, which: int, amount: int, anchor: int) -> Intent:
        return self.stage.intent(
            asset,
            intent=IDS[which],
            amount=AMOUNTS[asset][amount],
            anchor=self.anchor(asset, anchor),
            expires_at=Seconds(self.began + 6 * DAY),
        )

    def anchor(self, asset: Asset, index: int) -> Anchor:
        if asset is Asset.BTC:
            return anchor_of(self.stage.coins[index])
        return NonceAnchor(chain_id=self.stage.world.network.chain_id, nonce=index)

    @rule(asset=ASSETS, signer=SIGNERS, which=WHICH, amount=EITHER, anchor=EITHER)
    def announce(self, asset: Asset, signer: int, which: int, amount: int, anchor: int) -> None:
        """An honest signer takes a new intent only on what is unspent, and binds itself to one anchor."""
        intent = self.intent(asset, which, amount, anchor)
        views = self.stage[signer].journal.views
        new = intent.digest not in views.intents
        bound = {each.intent.anchor for each in views.of_account(intent.account, asset)}
        taken = self.runner.run(self.enemy.announce(signer, intent))
        if taken and new and signer != self.enemy.owned:
            assert not self.is_spent(intent.anchor)
            assert all(self.is_final(each) for each in bound - {intent.anchor})

    def is_spent(self, anchor: Anchor) -> bool:
        if isinstance(anchor, NonceAnchor):
            address = self.stage.world.account.ethereum.address
            return self.runner.run(self.stage.ethereum.next_nonce(address)) != anchor.nonce
        return self.runner.run(self.stage.bitcoin.confirmed_output(anchor_outpoint(anchor))) is None

    def is_final(self, anchor: Anchor) -> bool:
        if isinstance(anchor, NonceAnchor):
            address = self.stage.world.account.ethereum.address
            return self.runner.run(self.stage.ethereum.anchor_spent_at_finality(address, nonce=anchor.nonce))
        return self.runner.run(
            self.stage.bitcoin.anchor_spent_at_finality(anchor_outpoint(anchor), depth=FINALITY)
        )

    @rule(asset=ASSETS, which=WHICH, amount=EITHER, anchor=EITHER)
    def announce_everywhere(self, asset: Asset, which: int, amount: int, anchor: int) -> None:
        for signer in range(3):
            self.announce(asset, signer, which, amount, anchor)
        self.time_passes(10)

    @precondition(lambda self: self.enemy.intents)
    @rule(
        data=st.data(),
        signers=st.permutations(range(3)),
        fee=FEE,
        coins=st.sampled_from([{0}, {1}, {0, 1}, {0, 2}, {1, 2}, {0, 1, 2}]),
        killed=st.booleans(),
        forged=st.booleans(),
    )
    def sign(
        self,
        data: st.DataObject,
        signers: list[int],
        fee: int,
        coins: set[int],
        *,
        killed: bool,
        forged: bool,
    ) -> None:
        intent = data.draw(st.sampled_from(list(self.enemy.intents.values())))
        spent = tuple(self.stage.coins[index] for index in sorted(coins))
        request = self.stage.signing(
            intent,
            self.enemy.relayed(intent, forged=forged),
            coins=spent if intent.asset is Asset.BTC else (),
            fee_units=FEES[intent.asset][fee],
        )
        for signer in signers[:2]:
            if killed and signer != self.enemy.owned:
                self.stage.keys[signer].before_signing = self._kill
                with contextlib.suppress(Killed):
                    self.runner.run(self.enemy.sign(signer, request))
                self.stage.keys[signer].before_signing = lambda: None
                self.restart(signer)
            self.runner.run(self.enemy.sign(signer, request))

    @rule(
        asset=ASSETS,
        which=WHICH,
        amount=EITHER,
        anchor=EITHER,
        pair=st.sampled_from([(0, 1), (0, 2), (1, 2)]),
        fee=FEE,
    )
    def pay(
        self, asset: Asset, which: int, amount: int, anchor: int, pair: tuple[int, int], fee: int
    ) -> None:
        """What an honest custody would do from beginning to end, but for the publishing."""
        self.announce_everywhere(asset, which, amount, anchor)
        intent = self.intent(asset, which, amount, anchor)
        if intent.digest not in self.enemy.intents:
            return
        coins = (self.stage.coins[anchor],) if asset is Asset.BTC else ()
        request = self.stage.signing(
            intent, self.enemy.relayed(intent), coins=coins, fee_units=FEES[asset][fee]
        )
        for signer in pair:
            self.runner.run(self.enemy.sign(signer, request))

    @staticmethod
    def _kill() -> None:
        raise Killed

    @rule(signer=SIGNERS)
    def restart(self, signer: int) -> None:
        self.runner.run(self.stage.restart(signer))

    @rule(signer=SIGNERS)
    def follow(self, signer: int) -> None:
        self.runner.run(watch.tick(self.stage[signer]))

    @rule(blocks=st.sampled_from([1, 2, 110]))
    def time_passes(self, blocks: int) -> None:
        """Enough for every timelock's seconds; with the more blocks, for what was mined to be final."""
        self.stage.advance(700)
        self.stage.bitcoin.mine(count=blocks)
        self.stage.ethereum.mine(count=blocks)

    @precondition(lambda self: self.enemy.spendable())
    @rule(data=st.data())
    def publish(self, data: st.DataObject) -> None:
        """Custody gets a transaction mined, unless what it uses is used."""
        each = data.draw(st.sampled_from(self.enemy.spendable()))
        used = {anchor for other in self.enemy.spendable() if self.is_mined(other) for anchor in other.uses}
        if each.uses & used:
            return
        if isinstance(each.intent.anchor, NonceAnchor):
            address = self.stage.world.account.ethereum.address
            if each.intent.anchor.nonce == self.runner.run(self.stage.ethereum.next_nonce(address)):
                self.stage.ethereum.mine(address)
                self.executed.append((len(self.stage.ethereum.blocks) - 1, each))
        else:
            self.stage.bitcoin.mine(CTransaction.deserialize(each.transaction))

    @rule(asset=ASSETS, depth=st.integers(1, 20))
    def reorganise(self, asset: Asset, depth: int) -> None:
        if asset is Asset.BTC:
            self.stage.bitcoin.reorganise(depth)
        else:
            lowest = len(self.stage.ethereum.blocks) - depth
            self.stage.ethereum.reorganise(depth)
            self.executed = [(height, each) for height, each in self.executed if height < lowest]

    def is_mined(self, each: Spendable) -> bool:
        if each.intent.asset is Asset.ETH:
            return any(executed == each for _, executed in self.executed)
        wanted = CTransaction.deserialize(each.transaction).GetTxid()
        blocks = self.stage.bitcoin.blocks
        return any(made.GetTxid() == wanted for _, _, transactions in blocks for made in transactions)

    @invariant()
    def one_intent_one_payout(self) -> None:
        if not hasattr(self, "enemy"):
            return
        assert not list(self.enemy.pairs_that_could_both_confirm())
        paid = [each.intent.intent for each in self.enemy.spendable() if self.is_mined(each)]
        assert len(paid) == len(set(paid))

    @invariant()
    def every_spendable_transaction_uses_its_anchor(self) -> None:
        if hasattr(self, "enemy"):
            assert all(each.intent.anchor in each.uses for each in self.enemy.spendable())

    @invariant()
    def one_id_means_one_payout_at_every_signer(self) -> None:
        if not hasattr(self, "enemy"):
            return
        meant: dict[IntentId, Intent] = {}
        for each in self.enemy.spendable():
            assert meant.setdefault(each.intent.intent, each.intent) == each.intent

    @invariant()
    def fees_stay_within_the_budget(self) -> None:
        if hasattr(self, "stage"):
            for signer in self.stage.signers:
                for history in signer.journal.views.intents.values():
                    assert history.fees_units <= history.intent.fee_cap.units


OnePayout.TestCase.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)
TestOnePayout = OnePayout.TestCase
