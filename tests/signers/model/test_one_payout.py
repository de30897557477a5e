"""Any interleaving of requests, crashes, restarts, blocks and reorganisations: one intent, one payout."""

import asyncio
import contextlib
import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from signers.rules import watch
from signers.statements.amounts import Asset, Sats
from signers.statements.identifiers import IntentId, Seconds
from signers.statements.intent import Intent
from tests.factories import DAY
from tests.signers.fakes import anchor_of
from tests.signers.model.custody import Enemy
from tests.signers.stage import Stage

SIGNERS = st.sampled_from(range(3))
IDS = [IntentId(f"0190a0a0-0000-4000-8000-00000000000{letter}") for letter in "ab"]
AMOUNTS = [Sats(30_000_000), Sats(40_000_000)]


class Killed(Exception):  # noqa: N818 - what a kill looks like to the test
    """The process died while it signed."""


class OnePayout(RuleBasedStateMachine):
    """Three rule engines and an enemy for a custody."""

    @initialize(begun=st.booleans())
    def set_up(self, begun: bool) -> None:
        self.runner = asyncio.Runner()
        self.folder = Path(tempfile.mkdtemp(prefix="bailee-one-payout-"))
        self.stage = self.runner.run(Stage.set_up(self.folder))
        self.enemy = Enemy(self.stage)
        self.began = self.stage.clock[0]
        if begun:
            self.pay(0, 0, 0, (0, 1), 1_000)

    def teardown(self) -> None:
        if hasattr(self, "stage"):
            self.stage.close()
            self.runner.close()
            shutil.rmtree(self.folder)

    def intent(self, which: int, amount: int, anchor: int) -> Intent:
        return self.stage.intent(
            Asset.BTC,
            intent=IDS[which],
            amount=AMOUNTS[amount],
            anchor=anchor_of(self.stage.coins[anchor]),
            expires_at=Seconds(self.began + 6 * DAY),
        )

    @rule(signer=SIGNERS, which=st.integers(0, 1), amount=st.integers(0, 1), anchor=st.integers(0, 1))
    def announce(self, signer: int, which: int, amount: int, anchor: int) -> None:
        self.runner.run(self.enemy.announce(signer, self.intent(which, amount, anchor)))

    @rule(which=st.integers(0, 1), amount=st.integers(0, 1), anchor=st.integers(0, 1))
    def announce_everywhere(self, which: int, amount: int, anchor: int) -> None:
        for signer in range(3):
            self.announce(signer, which, amount, anchor)
        self.time_passes(1)

    @precondition(lambda self: self.enemy.intents)
    @rule(
        data=st.data(),
        signers=st.permutations(range(3)),
        fee=st.sampled_from([1_000, 2_000, 30_000]),
        coins=st.sampled_from([{0}, {1}, {0, 1}, {0, 2}, {1, 2}, {0, 1, 2}]),
        killed=st.booleans(),
    )
    def sign(self, data: st.DataObject, signers: list[int], fee: int, coins: set[int], killed: bool) -> None:
        intent = data.draw(st.sampled_from(list(self.enemy.intents.values())))
        request = self.stage.signing(
            intent,
            self.enemy.relayed(intent),
            coins=tuple(self.stage.coins[index] for index in sorted(coins)),
            fee_units=fee,
        )
        for signer in signers[:2]:
            if killed:
                self.stage.keys[signer].before_signing = self._kill
                with contextlib.suppress(Killed):
                    self.runner.run(self.enemy.sign(signer, request))
                self.stage.keys[signer].before_signing = lambda: None
                self.restart(signer)
            self.runner.run(self.enemy.sign(signer, request))

    @rule(
        which=st.integers(0, 1),
        amount=st.integers(0, 1),
        anchor=st.integers(0, 1),
        pair=st.sampled_from([(0, 1), (0, 2), (1, 2)]),
        fee=st.sampled_from([1_000, 2_000, 30_000]),
    )
    def pay(self, which: int, amount: int, anchor: int, pair: tuple[int, int], fee: int) -> None:
        """What an honest custody would do from beginning to end, but for the publishing."""
        self.announce_everywhere(which, amount, anchor)
        intent = self.intent(which, amount, anchor)
        coins = (self.stage.coins[anchor],)
        request = self.stage.signing(intent, self.enemy.relayed(intent), coins=coins, fee_units=fee)
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

    @rule(blocks=st.sampled_from([1, 110]))
    def time_passes(self, blocks: int) -> None:
        self.stage.advance(700)
        self.stage.bitcoin.mine(count=blocks)

    @precondition(lambda self: self.enemy.spendable())
    @rule(data=st.data())
    def publish(self, data: st.DataObject) -> None:
        """Custody gets a transaction mined, unless what it spends is spent."""
        each = data.draw(st.sampled_from(self.enemy.spendable()))
        if not each.inputs & self.spent():
            self.stage.bitcoin.mine(each.transaction)

    @rule(depth=st.integers(1, 20))
    def reorganise(self, depth: int) -> None:
        self.stage.bitcoin.reorganise(depth)

    def spent(self) -> set[tuple[str, int]]:
        mined = {id(each) for _, _, transactions in self.stage.bitcoin.blocks for each in transactions}
        return {
            outpoint
            for each in self.enemy.spendable()
            if id(each.transaction) in mined or self.is_mined(each.transaction.GetTxid())
            for outpoint in each.inputs
        }

    def is_mined(self, txid: bytes) -> bool:
        return any(
            each.GetTxid() == txid
            for _, _, transactions in self.stage.bitcoin.blocks
            for each in transactions
        )

    @invariant()
    def one_intent_one_payout(self) -> None:
        if not hasattr(self, "enemy"):
            return
        assert not list(self.enemy.pairs_that_could_both_confirm())
        paid = [
            each.intent.intent for each in self.enemy.spendable() if self.is_mined(each.transaction.GetTxid())
        ]
        assert len(paid) == len(set(paid))

    @invariant()
    def every_spendable_transaction_spends_its_anchor(self) -> None:
        if hasattr(self, "enemy"):
            assert all(each.anchor in each.inputs for each in self.enemy.spendable())

    @invariant()
    def one_id_means_one_payout_at_every_signer(self) -> None:
        if not hasattr(self, "enemy"):
            return
        for each in self.enemy.spendable():
            same_id = {
                other.intent.digest
                for other in self.enemy.spendable()
                if other.intent.intent == each.intent.intent
            }
            assert len(same_id) == 1

    @invariant()
    def fees_stay_within_the_budget(self) -> None:
        if hasattr(self, "stage"):
            for signer in self.stage.signers:
                for history in signer.journal.views.intents.values():
                    assert history.fees_units <= history.intent.fee_cap.units


OnePayout.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestOnePayout = OnePayout.TestCase
