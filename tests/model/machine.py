"""The state of the machine, and what must hold after every step.

`rules_*` add the steps. Whatever a rule asks of custody, it says first what the answer must be, from the
chains and from what was granted before, never from custody's own books.
"""

import asyncio
import shutil
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

from bitcoin.core import COutPoint
from hypothesis import event
from hypothesis.stateful import RuleBasedStateMachine, invariant

from custody.application import reports
from custody.domain.account import Halt
from custody.domain.errors import CustodyError, RequestIdReused
from custody.domain.identifiers import WithdrawalId
from custody.domain.ledger import CauseKind, Posting, recompute
from custody.domain.principal import Principal
from custody.domain.withdrawal import Withdrawal
from custody.domain.withdrawal_states import WithdrawalState
from signers.statements.amounts import UNITS_PER_COIN, Asset
from signers.statements.identifiers import Seconds
from signers.statements.report import ValueStatus
from tests.model.bitcoin_truth import BitcoinTruth
from tests.model.claims import Claims, Spend, attempts, bitcoin_spends, books, ethereum_spends
from tests.model.ethereum_truth import EthereumTruth
from tests.model.world import CONFIRMATIONS, FINALITY, UNIT, WORLD, House

T = TypeVar("T")

PRICE_AGE_MAX_SECONDS = 60


@dataclass(frozen=True)
class Answered:
    """A request that succeeded: asked again, it must answer the same and do nothing."""

    use_case: Callable[..., Any]
    command: Any
    other: Any
    """The same request with another body."""
    principal: Principal
    named: Mapping[str, Any]
    answer: Any


class LedgerMachine(RuleBasedStateMachine):
    """One account, two chains, everybody who may ask for something."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="bailee-ledger-machine-"))
        self.runner = asyncio.Runner()
        self.house = House(self.folder)
        self.custody = self.house.custody
        account = WORLD.account
        self.bitcoin = BitcoinTruth(account.bitcoin.script_pubkey.raw, CONFIRMATIONS, FINALITY)
        self.ethereum = EthereumTruth(account.ethereum.address)
        self.claims = Claims()
        self.answered: list[Answered] = []
        self.priced_at = Seconds(0)
        self.prices_apart = False
        self.level_bps = 10_000
        self.finality_broken = False
        self.reached: Counter[str] = Counter()
        self.names = 0

    def teardown(self) -> None:
        for each in sorted(self.reached):
            event(each)
        self.close()

    def close(self) -> None:
        """Leave nothing behind."""
        self.custody.connection.close()
        self.runner.close()
        shutil.rmtree(self.folder)

    def begin(self) -> None:
        """Some of each, credited; fresh prices."""
        self.publish_prices()
        self.run(self.house.settle_in())
        for _ in range(4):
            self.house.bitcoin.pay(self.bitcoin.script, 60_000)
        self.house.ethereum.pay(self.ethereum.address, 240_000 * UNIT[Asset.ETH])
        self.watch()
        self.house.bitcoin.mine(CONFIRMATIONS)
        self.house.ethereum.mine(4)
        self.watch()

    # What rules use.

    def run(self, step: Awaitable[T]) -> T:
        async def waited() -> T:
            return await step

        return self.runner.run(waited())

    def name(self, kind: str) -> str:
        self.names += 1
        return f"{kind}-{self.names}"

    def note(self, label: str) -> None:
        """Something worth seeing was reached."""
        self.reached[label] += 1

    def watch(self) -> None:
        """Custody follows both chains to where they are."""
        final = self.run(self.house.ethereum.finalised()).height
        self.run(self.house.watch())
        self.bitcoin.look(self.house.bitcoin)
        self.ethereum.look(self.house.ethereum, final=final)

    def pass_time(self, seconds: int) -> None:
        self.house.pass_time(seconds)

    def publish_prices(self, *, level_bps: int = 10_000, apart: bool = False) -> None:
        """Every publisher's price of each asset; `apart`: they do not agree."""
        self.level_bps, self.prices_apart = level_bps, apart
        self.custody.publish_prices(level_bps=level_bps, apart=apart)
        self.priced_at = Seconds(self.custody.now - 1)

    @property
    def priced(self) -> bool:
        """Whether something can be lent against or released."""
        return self.custody.now - self.priced_at <= PRICE_AGE_MAX_SECONDS and not self.prices_apart

    def ask(
        self,
        use_case: Callable[..., T],
        command: Any,
        *,
        refusal: type[CustodyError] | None,
        principal: Principal,
        other: Any,
        **named: Any,
    ) -> T | None:
        """A request whose answer is foreseen: this refusal and no trace of it, or success."""
        before = self.custody.dump() if refusal is not None else None
        try:
            answer = self.custody.do(use_case, command, principal=principal, **named)
        except CustodyError as error:
            if type(error) is not refusal:
                raise AssertionError(f"{error.reason} where {refusal} was foreseen") from error
            assert self.custody.dump() == before
            self.note(f"refused: {refusal.reason}")
            return None
        assert refusal is None, f"granted where {refusal} was foreseen"
        self.answered.append(Answered(use_case, command, other, principal, named, answer))
        return answer

    def ask_again(self, each: Answered) -> None:
        """The same again has no effect and the same answer; another body under its id is refused."""
        before = self.custody.dump()
        again = self.custody.do(each.use_case, each.command, principal=each.principal, **each.named)
        assert again == each.answer
        try:
            self.custody.do(each.use_case, each.other, principal=each.principal, **each.named)
        except RequestIdReused:
            pass
        else:
            raise AssertionError("another body had an effect")
        assert self.custody.dump() == before

    # What the chains say.

    def spends(self, asset: Asset) -> list[Spend]:
        """What left by the latest view."""
        if asset is Asset.BTC:
            return bitcoin_spends(self.bitcoin, self.claims, self.house.signers)
        return ethereum_spends(self.ethereum, self.claims, self.house.signers, final=self.final)

    @property
    def final(self) -> int:
        """The Ethereum block up to which the ledger counts; `finality_is_the_chains_own` holds it down."""
        found = self.custody.ask(lambda uow: uow.finalised())
        assert found is not None
        return int(found.height)

    def expected(self, asset: Asset) -> Mapping[str, int]:
        """Every book, from the chain and the claims."""
        if asset is Asset.BTC:
            credited = sum(each.units for each in self.bitcoin.arrivals if each.credited)
            pending = sum(each.units for each in self.bitcoin.arrivals if not each.credited)
        else:
            credited = self.ethereum.came(above=-1, up_to=self.final)
            pending = self.ethereum.came(above=self.final)
        return books(asset, self.claims, credited=credited, pending=pending, spends=self.spends(asset))

    @property
    def halts(self) -> frozenset[Halt]:
        """What must halt the account."""
        short = any(self.expected(asset)["reorg_shortfall"] for asset in Asset)
        found = {Halt.REORG_SHORTFALL} if short else set()
        return frozenset(found | ({Halt.FINALITY_REORG} if self.finality_broken else set()))

    def free(self, asset: Asset) -> int:
        """What a new lien or withdrawal may take."""
        return 0 if self.halts else self.expected(asset)["available"]

    def withdrawals(self) -> list[Withdrawal]:
        return list(
            self.custody.ask(lambda uow: uow.withdrawals(self.custody.account_id, after=None, limit=999))
        )

    def withdrawal(self, name: WithdrawalId) -> Withdrawal:
        (found,) = (each for each in self.withdrawals() if each.withdrawal == name)
        return found

    @invariant()
    def everything_holds(self) -> None:
        """What is true after every step, whatever it was."""
        self.books_follow_from_the_chains_and_the_claims()
        self.books_are_what_their_postings_add_up_to()
        self.the_account_is_halted_for_what_is_wrong_and_for_nothing_else()
        self.the_ledger_holds_the_coins_that_the_chain_holds()
        self.finality_is_the_chains_own()
        self.one_intent_one_payout()
        self.attempts_of_an_intent_stay_within_its_cap()
        self.states_are_what_the_chains_say()
        self.changes_are_numbered_without_gaps()
        self.the_report_says_so()

    def books_follow_from_the_chains_and_the_claims(self) -> None:
        for asset in Asset:
            found = asdict(self.custody.balances(asset))
            del found["asset"]
            assert found == self.expected(asset), asset

    def books_are_what_their_postings_add_up_to(self) -> None:
        """`recompute` refuses a sum that is not zero and a book below nothing, at every entry on the way."""
        account, postings, after = self.custody.account_id, list[Posting](), None
        while page := self.custody.ask(
            lambda uow, after=after: uow.postings(account, after=after, limit=1000)
        ):
            postings += page
            after = (page[-1].sequence, page[-1].index)
        for asset in Asset:
            ours = [each for each in postings if each.amount.asset is asset]
            assert recompute(asset, ours) == self.custody.balances(asset)

    def the_account_is_halted_for_what_is_wrong_and_for_nothing_else(self) -> None:
        assert self.custody.account.halts == self.halts

    def the_ledger_holds_the_coins_that_the_chain_holds(self) -> None:
        standing = self.custody.ask(lambda uow: uow.coins(self.custody.account_id))
        found = {
            COutPoint(bytes.fromhex(each.outpoint.txid)[::-1], each.outpoint.index): each.amount.units
            for each in standing
        }
        assert found == self.bitcoin.coins

    def finality_is_the_chains_own(self) -> None:
        final = self.custody.ask(lambda uow: uow.finalised())
        assert final is not None
        assert self.ethereum.holds(final)
        assert self.ethereum.final_at_least() <= final.height <= self.ethereum.node_final

    def one_intent_one_payout(self) -> None:
        for asset in Asset:
            paid = [each.withdrawal for each in self.spends(asset)]
            assert len(paid) == len(set(paid))

    def attempts_of_an_intent_stay_within_its_cap(self) -> None:
        for each in self.withdrawals():
            assert sum(attempt.fee.units for attempt in each.attempts) <= each.fee_cap.units
            transactions = [attempt.transaction_id for attempt in each.attempts[:-1]]
            assert None not in transactions, "an attempt that signers know of was left behind"
        recorded = {a.transaction_id for each in self.withdrawals() for a in each.attempts}
        sent = {*self.house.bitcoin.sent, *self.house.ethereum.sent}
        assert sent <= recorded & attempts(self.house.signers).keys()

    def states_are_what_the_chains_say(self) -> None:
        spends = {each.withdrawal: each for asset in Asset for each in self.spends(asset)}
        for each in self.withdrawals():
            spend = spends.get(each.withdrawal)
            if spend is None:
                assert each.state not in (WithdrawalState.CONFIRMING, WithdrawalState.SETTLED)
                continue
            expected = WithdrawalState.SETTLED if spend.settled else WithdrawalState.CONFIRMING
            assert each.state is expected
            self.note(f"{each.asset} {each.state}")

    def changes_are_numbered_without_gaps(self) -> None:
        count = self.custody.account.sequence
        last = self.custody.ask(
            lambda uow: uow.changes(self.custody.account_id, after=max(0, count - 50), limit=1000)
        )
        assert [each.sequence for each in last] == list(range(max(0, count - 50) + 1, count + 1))
        for each in last:
            takes_back = each.cause.kind in {CauseKind.DEPOSIT_REVERSED, CauseKind.WITHDRAWAL_REOPENED}
            assert (each.retraction is not None) is takes_back
            if each.retraction is not None:
                assert 0 < each.retraction.first <= each.retraction.last == each.sequence - 1

    def the_report_says_so(self) -> None:
        (report,) = self.custody.ask(reports.collect, now=self.custody.now)
        assert report.halted is bool(self.halts)
        for position in report.positions:
            terms = WORLD.policy.terms_of(position.asset)
            whole = self.expected(position.asset)
            stands = sum(whole[book] for book in ("available", "reserved", "posted", "withdrawing"))
            leaving = sum(each.paid + each.fee for each in self.spends(position.asset) if not each.settled)
            confirmed = max(0, stands + whole["reorg_shortfall"] - leaving)
            price = (100_000 if position.asset is Asset.BTC else 4_000) * 10**8 * self.level_bps // 10_000
            worth = Fraction(confirmed * price, UNITS_PER_COIN[position.asset])
            assert (position.confirmed.units, position.leaving.units) == (confirmed, leaving)
            assert (position.status is ValueStatus.OK) is self.priced
            lent = worth * (10_000 - terms.haircut_bps) / 10_000 if self.priced else 0
            assert position.lending_value.units == int(lent)
