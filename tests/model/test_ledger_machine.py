"""Any interleaving of liens, withdrawals, deposits and reorganisations, against a model of a few lines.

The model knows what is on the chain, what is held and what was paid; everything else must follow. After every
step: the books balance and equal their postings, nobody is negative but by a shortfall, what is held never
exceeds what came in except by exactly that shortfall, and the ledger says what the address holds.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from custody.application import liens, outflows, reads, withdrawals
from custody.domain.deposit import BitcoinMovement
from custody.domain.errors import (
    AccountHalted,
    CollateralInsufficient,
    FieldInvalid,
    RequestIdReused,
    StateConflict,
    WithdrawalOpen,
)
from custody.domain.identifiers import WithdrawalId
from custody.domain.ledger import recompute
from custody.domain.lien import LienState
from custody.domain.withdrawal import OPEN, SPENDABLE, WithdrawalState
from signers.statements.amounts import Asset, Sats
from signers.statements.identifiers import Seconds
from tests.factories import build_world
from tests.unit.custody.scenario import Custody

DEPTH_MAX = 20
CONFIRMATIONS = 6
FINALITY = 12
UNITS = st.integers(600, 50_000)


def cheap_world() -> Any:
    """The valid world, with a finality that a reorganisation of the test's depth can undo."""
    world = build_world()
    terms = tuple(
        replace(each, finality_depth=FINALITY) if each.asset is Asset.BTC else each
        for each in world.policy.assets
    )
    return build_world(policy_changes={"assets": terms})


WORLD = cheap_world()


@dataclass
class Model:
    """What is true outside."""

    blocks: list[tuple[BitcoinMovement, ...]] = field(default_factory=list)
    """Every block since onboarding, by what it holds."""
    liens: dict[str, int] = field(default_factory=dict)
    reserved: set[str] = field(default_factory=set)

    @property
    def lent(self) -> int:
        return sum(self.liens.values())

    def credited(self) -> int:
        """Arrivals deep enough."""
        deep = len(self.blocks) - CONFIRMATIONS + 1
        return sum(self._arrived(block) for block in self.blocks[: max(0, deep)])

    @staticmethod
    def _arrived(block: Sequence[BitcoinMovement]) -> int:
        return sum(output.amount.units for each in block if not each.spends for output in each.outputs)


class LedgerMachine(RuleBasedStateMachine):
    """One account of one asset under everything at once."""

    def __init__(self) -> None:
        super().__init__()
        self.custody = Custody(WORLD)
        self.model = Model()
        self.names = 0
        self.repeatable: list[tuple[Any, Any, Any, Any]] = []
        """Use case, command, principal and answer of what succeeded."""

    def name(self, kind: str) -> str:
        self.names += 1
        return f"{kind}-{self.names}"

    @initialize()
    def onboard(self) -> None:
        self.custody.onboard()
        self.custody.allow(Asset.BTC)
        self.custody.publish_prices()
        funding = [(self.custody.arrival(self.name("deposit"), 40_000),) for _ in range(5)]
        self._mined([*funding, *[()] * CONFIRMATIONS])

    # The chain.

    @rule(units=st.lists(UNITS, max_size=2), count=st.integers(1, 8))
    def mine(self, units: list[int], count: int) -> None:
        arrivals = tuple(self.custody.arrival(self.name("deposit"), each) for each in units)
        self._mined([arrivals, *[()] * (count - 1)])

    @rule(count=st.integers(1, 13))
    def mine_what_waits(self, count: int) -> None:
        """The mempool: payouts that were broadcast get into a block."""
        waiting = self.custody.ask(lambda uow: uow.withdrawals_in(SPENDABLE))
        payouts = tuple(
            self.custody.payout(each, each.withdrawal)
            for each in waiting
            if each.attempt is not None and each.attempt.transaction_id is not None and self._intact(each)
        )
        self._mined([payouts, *[()] * (count - 1)])

    def _intact(self, withdrawal: Any) -> bool:
        coins = [self.custody.ask(lambda uow, o=o: uow.coin(o)) for o in withdrawal.coins]
        return all(coin is not None and coin.standing for coin in coins)

    def _mined(self, blocks: Sequence[tuple[BitcoinMovement, ...]]) -> None:
        self.custody.apply_bitcoin(self.custody.bitcoin.tip, blocks)
        self.model.blocks += blocks

    @precondition(lambda self: self.model.blocks)
    @rule(depth=st.integers(1, DEPTH_MAX), longer=st.integers(0, 3))
    def lose_blocks(self, depth: int, longer: int) -> None:
        """A branch without any of what the lost blocks held."""
        depth = min(depth, len(self.model.blocks))
        blocks = [()] * (depth + longer)
        self.custody.reorg(depth, blocks)
        self.model.blocks[-depth:] = blocks

    @precondition(lambda self: self.model.blocks)
    @rule(depth=st.integers(1, DEPTH_MAX))
    def replay_blocks(self, depth: int) -> None:
        """The same transactions in other blocks: nothing may be different from before."""
        depth = min(depth, len(self.model.blocks))
        before = self._standing()
        self.custody.reorg(depth, self.model.blocks[-depth:])
        assert self._standing() == before

    def _standing(self) -> Any:
        """Everything that must not depend on which blocks hold the transactions."""
        account, custody = self.custody.account_id, self.custody
        found = custody.ask(lambda uow: uow.withdrawals(account, after=None, limit=999))
        coins = custody.ask(lambda uow: uow.coins(account))
        deposits = custody.ask(lambda uow: uow.deposits(account, after=None, limit=999))
        return (
            custody.balances(Asset.BTC),
            custody.account.halts,
            [(each.withdrawal, each.state) for each in found],
            [(coin.outpoint, coin.amount, coin.origin) for coin in coins],
            sorted((str(d.outpoint), d.amount, d.state) for d in deposits if d.reversed_at is None),
        )

    # Liens.

    @rule(units=UNITS)
    def reserve(self, units: int) -> None:
        free = self._free()
        name = self.name("lien")
        try:
            self.custody.reserve(name, Sats(units))
        except CollateralInsufficient:
            assert units > free
        except AccountHalted:
            assert self.custody.account.halted
        else:
            assert units <= free
            self.model.liens[name] = units
            self.model.reserved.add(name)

    @rule(depth=st.integers(7, DEPTH_MAX))
    def lend_everything_and_lose_its_ground(self, depth: int) -> None:
        """What a deep fork removes while it is lent is a shortfall, until it is there again."""
        if free := self._free():
            self.reserve(free)
        self.lose_blocks(depth, 1)

    @precondition(lambda self: self.model.reserved)
    @rule(data=st.data())
    def post(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.model.reserved)))
        kept = data.draw(st.integers(1, self.model.liens[name]))
        self.custody.post(name, Sats(kept))
        self.model.reserved.remove(name)
        self.model.liens[name] = kept

    @precondition(lambda self: self.model.liens)
    @rule(data=st.data())
    def void(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.model.liens)))
        lien = self.custody.void(name, Sats(self.model.liens.pop(name)))
        self.model.reserved.discard(name)
        assert lien.state is LienState.VOIDED

    @precondition(lambda self: self.model.reserved)
    @rule()
    def let_reservations_lapse(self) -> None:
        self.custody.now = Seconds(self.custody.now + 3600)
        swept = self.custody.run(lambda uow: liens.expire_due(uow, now=self.custody.now))
        assert swept == len(self.model.reserved)
        for name in self.model.reserved:
            del self.model.liens[name]
        self.model.reserved.clear()
        self.custody.publish_prices()

    # Withdrawals.

    @rule(units=UNITS, fee=st.integers(1, 5000))
    def request(self, units: int, fee: int) -> None:
        free = self._free()
        name = WithdrawalId(self.name("w"))
        command = self.custody.withdrawal_command(Sats(units), Sats(fee), withdrawal=name)
        opened = self.custody.ask(lambda uow: uow.open_withdrawal(self.custody.account_id, Asset.BTC))
        try:
            made = self.custody.do(withdrawals.create, command, principal=self.custody.pledgor)
        except CollateralInsufficient:
            assert units + fee > free
        except WithdrawalOpen:
            assert opened is not None
        except AccountHalted:
            assert self.custody.account.halted
        else:
            assert units + fee <= free
            assert opened is None
            self.repeatable.append((withdrawals.create, command, self.custody.pledgor, made))

    @rule(units=UNITS, fee=st.integers(1, 5000), blocks=st.sampled_from([0, 1, FINALITY]))
    def request_and_pay(self, units: int, fee: int, blocks: int) -> None:
        self.request(units, fee)
        self.drive(fee)
        if blocks:
            self.mine_what_waits(blocks)

    @rule(fee=st.integers(1, 2000))
    def drive(self, fee: int) -> None:
        """Take what was requested as far as a broadcast."""
        for present in self.custody.ask(outflows.to_drive):
            if present.state is WithdrawalState.REQUESTED:
                self._pay(present, fee)

    def _pay(self, present: Any, fee: int) -> None:
        coins = self.custody.ask(outflows.spendable, self.custody.account_id)
        fee = min(fee, present.fee_cap.units)
        try:
            present = self.custody.plan(present, *[coin.outpoint for coin in coins[:60]])
            present = self.custody.announce(self.custody.agree(present))
            present = self.custody.attempt(present, Sats(fee))
        except (AccountHalted, FieldInvalid, StateConflict, IndexError):
            return
        self.custody.broadcast(self.custody.finish(present, present.withdrawal))

    @rule()
    def cancel(self) -> None:
        for present in self.custody.ask(outflows.to_drive):
            command = withdrawals.CancelWithdrawal(
                request_id=self.custody.fresh(),
                account=self.custody.account_id,
                withdrawal=present.withdrawal,
                etag=present.etag,
            )
            try:
                done = self.custody.do(withdrawals.cancel, command, principal=self.custody.pledgor)
            except StateConflict:
                continue
            self.repeatable.append((withdrawals.cancel, command, self.custody.pledgor, done))

    # One key, one effect.

    @precondition(lambda self: self.repeatable)
    @rule(data=st.data())
    def ask_again(self, data: st.DataObject) -> None:
        use_case, command, principal, answer = data.draw(st.sampled_from(self.repeatable))
        before = self.custody.dump()
        assert self.custody.do(use_case, command, principal=principal) == answer
        try:
            other = replace(command, withdrawal=WithdrawalId("another"))
            self.custody.do(use_case, other, principal=principal)
        except RequestIdReused:
            pass
        else:
            raise AssertionError("another body had an effect")
        assert self.custody.dump() == before

    # What always holds.

    def _free(self) -> int:
        return 0 if self.custody.account.halted else self.custody.balances(Asset.BTC).available

    @invariant()
    def balances_are_what_the_postings_add_up_to(self) -> None:
        postings: list[Any] = []
        after = None
        while page := self.custody.ask(
            lambda uow, after=after: uow.postings(self.custody.account_id, after=after, limit=1000)
        ):
            postings += page
            after = (page[-1].sequence, page[-1].index)
        # `recompute` refuses a sum that is not zero and a book below nothing, after every entry on the way.
        assert recompute(Asset.BTC, postings) == self.custody.balances(Asset.BTC)

    @invariant()
    def nothing_is_held_twice(self) -> None:
        """In = credited - paid; held = liens + holds; free or shortfall is exactly the difference."""
        books = self.custody.balances(Asset.BTC)
        found = self.custody.ask(lambda uow: uow.withdrawals(self.custody.account_id, after=None, limit=999))
        holds = sum(each.held.units for each in found if each.state in OPEN)
        paid = sum(
            each.confirmation.paid.units + each.confirmation.fee.units
            for each in found
            if each.state is WithdrawalState.SETTLED and each.confirmation is not None
        )
        credited = self.custody.ask(lambda uow: uow.deposits(self.custody.account_id, after=None, limit=999))
        came_in = sum(d.amount.units for d in credited if d.state == "credited")
        assert came_in >= self.model.credited()
        net = came_in - paid - self.model.lent - holds
        assert (books.available, books.shortfall) == (max(0, net), max(0, -net))
        assert books.reserved + books.posted == self.model.lent
        assert books.withdrawing == holds
        assert bool(books.shortfall) == self.custody.account.halted

    @invariant()
    def the_ledger_says_what_the_address_holds(self) -> None:
        for found in self.custody.ask(reads.reconciliations, Asset.BTC):
            assert found.expected_units == sum(coin.amount.units for coin in found.coins)

    def teardown(self) -> None:
        self.custody.connection.close()


TestLedger = LedgerMachine.TestCase
TestLedger.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
