"""What makers, the secured party, approvers, signers and the driver do about withdrawals."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from bitcoin.core import COutPoint
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from custody.application import consents, withdrawals
from custody.application.ports.chains import FeeRate
from custody.domain.errors import (
    AccountHalted,
    CollateralInsufficient,
    CustodyError,
    EtagStale,
    PricesStale,
    StateConflict,
    StatementStale,
    WithdrawalOpen,
)
from custody.domain.identifiers import WithdrawalId
from custody.domain.withdrawal import Capacity, Withdrawal
from custody.domain.withdrawal_states import LAPSABLE, OPEN, WithdrawalState
from custody.workers.fees import RELAY_RATE, payout_vsize
from signers.statements.amounts import Asset, amount_of
from signers.statements.refusals import Tag
from tests.model.claims import OutflowClaim
from tests.model.rules_chains import ASSETS, SIZES, ChainRules
from tests.model.world import CONFIRMATIONS, FINALITY, WORLD, some

LEAST = 600
"""Of the rules' units: above dust."""
UNITS = st.integers(LEAST, 60_000)
CAPS = {Asset.BTC: st.integers(3_000, 40_000), Asset.ETH: st.integers(100, 2_000)}
AWAITING = WithdrawalState.AWAITING_SIGNATURES
CANCELLABLE = {WithdrawalState.REQUESTED, AWAITING}


class WithdrawalRules(ChainRules):
    """From the request to the payout, by people who are slow and signers who are not always there."""

    @initialize(busy=st.sets(ASSETS), blocks=st.sampled_from([0, 1, 15]))
    def set_out(self, busy: set[Asset], blocks: int) -> None:
        """From nothing, or from payouts under way."""
        self.begin()
        for asset in sorted(busy):
            self.send(asset, 30_000, 4_000, blocks=blocks)

    @rule(asset=ASSETS, units=UNITS, size=SIZES, data=st.data())
    def request(self, asset: Asset, units: int, size: str, data: st.DataObject) -> None:
        self.ask_for(asset, units, data.draw(CAPS[asset]), size=size)

    def ask_for(self, asset: Asset, units: int, fee_units: int, *, size: str = "some") -> WithdrawalId | None:
        """A withdrawal, if it is granted; what is free, or more, is amount and fee cap together."""
        cap, amount = some(asset, fee_units), some(asset, units)
        if size != "some":
            whole = self.free(asset) + (size == "more")
            amount = amount_of(asset, max(whole - cap.units, some(asset, LEAST).units))
        name = WithdrawalId(self.name("w"))
        refusal: type[CustodyError] | None = None
        if self.halts:
            refusal = AccountHalted
        elif self._open(asset):
            refusal = WithdrawalOpen
        elif (amount + cap).units > self.free(asset):
            refusal = CollateralInsufficient
        command = self.custody.withdrawal_command(amount, cap, withdrawal=name)
        made = self.ask(
            withdrawals.create,
            command,
            refusal=refusal,
            principal=self.custody.pledgor,
            other=replace(command, amount=amount + some(asset, 1)),
        )
        if made is None:
            return None
        self.claims.outflows[name] = OutflowClaim(amount, cap)
        return name

    def _open(self, asset: Asset) -> bool:
        settled = {each.withdrawal for each in self.spends(asset) if each.settled}
        claims = self.claims.outflows.items()
        return any(each.amount.asset is asset and name not in settled for name, each in claims)

    # People.

    @rule(data=st.data(), count=st.integers(1, 4))
    def people_sign(self, data: st.DataObject, count: int) -> None:
        """In any order, and some of them not at all."""
        for _ in range(count):
            waiting = [each for each in self.withdrawals() if each.state is AWAITING]
            if waiting:
                present = data.draw(st.sampled_from(waiting))
                self.sign_one(present, data.draw(st.sampled_from(self.missing(present))))

    def everybody_signs(self) -> None:
        for each in self.withdrawals():
            present = each
            while present.state is AWAITING and (signed := self.sign_one(present, self.missing(present)[0])):
                present = signed

    def missing(self, present: Withdrawal) -> list[Capacity]:
        return [each.capacity for each in present.missing]

    def sign_one(self, present: Withdrawal, capacity: Capacity) -> Withdrawal | None:
        """One signature that is missing; refused if the account is halted or the intent has run out."""
        intent = self.custody.intent(present)
        refusal: type[CustodyError] | None = None
        if self.halts:
            refusal = AccountHalted
        elif self.custody.now >= intent.expires_at:
            refusal = StatementStale
        elif capacity is Capacity.SECURED_PARTY and not self.priced:
            refusal = PricesStale
        use_case: Callable[..., Withdrawal]
        made: type[Any]
        named: dict[str, Any] = {}
        if capacity is Capacity.MAKER:
            use_case, made, principal = consents.sign, consents.SignWithdrawal, self.custody.pledgor
            envelope = WORLD.sign(intent, WORLD.pledgor)
        elif capacity is Capacity.SECURED_PARTY:
            use_case, made, principal = consents.release, consents.ReleaseWithdrawal, self.custody.engine
            envelope = WORLD.release_envelope(intent)
            named = {"prices": self.custody.prices(), "disputed": self.custody.disputed}
        else:
            signed = {each.entity for each in present.signatures}
            index = 0 if WORLD.approvers[0].entity not in signed else 1
            use_case, made, principal = (
                consents.approve,
                consents.ApproveWithdrawal,
                self.custody.approver(index),
            )
            envelope = WORLD.sign(intent, WORLD.approvers[index])
        command = self.custody.consent(made, present, envelope)
        claim = self.claims.outflows[present.withdrawal]
        self.claims.outflows[present.withdrawal] = replace(claim, intent=intent.intent)
        return self.ask(
            use_case,
            command,
            refusal=refusal,
            principal=principal,
            other=replace(command, withdrawal=WithdrawalId("another")),
            **named,
        )

    @precondition(lambda self: self.claims.outflows)
    @rule(data=st.data(), stale=st.booleans())
    def cancel(self, data: st.DataObject, *, stale: bool) -> None:
        name = data.draw(st.sampled_from(sorted(self.claims.outflows)))
        present = self.withdrawal(name)
        refusal: type[CustodyError] | None = None
        if stale:
            refusal = EtagStale
        elif present.state not in CANCELLABLE:
            refusal = StateConflict
        command = withdrawals.CancelWithdrawal(
            request_id=self.custody.fresh(),
            account=self.custody.account_id,
            withdrawal=name,
            etag=type(present.etag)("0" * 32) if stale else present.etag,
        )
        done = self.ask(
            withdrawals.cancel,
            command,
            refusal=refusal,
            principal=self.custody.pledgor,
            other=replace(command, withdrawal=WithdrawalId("another")),
        )
        if done is not None:
            del self.claims.outflows[name]
            self.note("cancelled")

    # Machines.

    @rule(seconds=st.sampled_from([0, 10, 700, 3700]), ticks=st.integers(1, 6))
    def drive(self, seconds: int, ticks: int) -> None:
        self.pass_time(seconds)
        self.run(self.house.drive(ticks))
        for each in self.withdrawals():
            if len(each.attempts) > 1:
                self.note(f"{each.asset} fee bumped")

    @rule(
        asset=ASSETS,
        units=UNITS,
        data=st.data(),
        blocks=st.sampled_from([0, 1, 15]),
        unwilling=st.sampled_from([None, None, 0, 1, 2]),
    )
    def pay_out(
        self, asset: Asset, units: int, data: st.DataObject, blocks: int, unwilling: int | None
    ) -> None:
        """From request to broadcast and into so many blocks, or as far as one unwilling signer lets it."""
        self.send(asset, units, data.draw(CAPS[asset]), blocks=blocks, unwilling=unwilling)

    def send(
        self, asset: Asset, units: int, fee_units: int, *, blocks: int = 0, unwilling: int | None = None
    ) -> WithdrawalId | None:
        """As `pay_out`."""
        name = self.ask_for(asset, units, fee_units)
        if name is None:
            return None
        for index in range(3):
            self.a_signer_changes_its_mind(index, Tag.VELOCITY if index == unwilling else None)
        self.run(self.house.drive())
        self.publish_prices()
        self.everybody_signs()
        for seconds in (400, 700):
            self.run(self.house.drive())
            self.pass_time(seconds)
        self.run(self.house.drive())
        if blocks:
            chain = self.house.bitcoin if asset is Asset.BTC else self.house.ethereum
            chain.mine(blocks)
            self.watch()
        return name

    @rule(
        ticks=st.integers(1, 4),
        rate=st.sampled_from([4000, 8000]),
        evict=st.booleans(),
        mined=st.booleans(),
    )
    def a_fee_is_too_low(self, ticks: int, rate: int, *, evict: bool, mined: bool) -> None:
        """What was offered is too little by now, or is refused: so many steps of another attempt.

        And perhaps an earlier one is mined meanwhile.
        """
        if evict:
            self.fees_change(rate, 3)
        self.house.bitcoin.rate = FeeRate(rate)
        self.house.ethereum.quote = replace(self.house.ethereum.quote, base_fee_per_gas_wei=3 * 10**9)
        kept = list(self.house.bitcoin.sent)
        self.drive(3700, ticks)
        if mined:
            self.house.bitcoin.add([self.house.bitcoin.known[each] for each in kept])
            self.mine(Asset.ETH, 1)

    @rule(index=st.integers(0, 2), tag=st.sampled_from([None, None, Tag.STALE_TIP, Tag.VELOCITY]))
    def a_signer_changes_its_mind(self, index: int, tag: Tag | None) -> None:
        self.house.signers.each[WORLD.signers[index].signer].refuses = tag

    @rule(rate=st.sampled_from([1000, 3000]))
    def let_everything_finish(self, rate: int = 1000) -> None:
        """Nobody refuses, fees stay as they are, chains are quiet: then whatever can still be paid is."""
        for signer in self.house.signers.each.values():
            signer.refuses = None
        self.fees_change(rate, 1)
        self.mine(Asset.ETH, CONFIRMATIONS, look=False)
        self.mine(Asset.BTC, CONFIRMATIONS)
        for _ in range(4):
            self.run(self.house.drive())
            self.publish_prices()
            self.everybody_signs()
            for seconds in (400, 700, 3700):
                self.run(self.house.drive())
                self.pass_time(seconds)
            self.run(self.house.drive())
            self.sweep()
            self.mine(Asset.ETH, FINALITY, look=False)
            self.mine(Asset.BTC, FINALITY)
        if self.halts:
            return
        for each in self.withdrawals():
            if each.state in OPEN:
                gone, dear = self.coins_are_gone(each), self.is_beyond_its_cap(each, FeeRate(rate))
                assert gone or dear, f"{each.withdrawal} stays {each.state}"
                self.note("coins gone for good" if gone else "beyond its cap")
        self.note("everything finished")

    def coins_are_gone(self, present: Withdrawal) -> bool:
        """Whether something it must spend is on the chain no more."""
        wanted = {COutPoint(bytes.fromhex(each.txid)[::-1], each.index) for each in present.coins}
        return not wanted <= self.bitcoin.coins.keys()

    def is_beyond_its_cap(self, present: Withdrawal, rate: FeeRate) -> bool:
        """Whether the latest attempt pays too little and the rest of the cap buys no other."""
        if present.asset is Asset.ETH or present.destination.kind != "bitcoin":
            return False
        vsize = payout_vsize(inputs=len(present.coins), destination=present.destination.script_pubkey)
        offered = present.attempt.fee.units if present.attempt else 0
        spent = sum(each.fee.units for each in present.attempts)
        wanted = max(rate.fee(vsize).units, offered + RELAY_RATE.fee(vsize).units if offered else 0)
        return offered < rate.fee(vsize).units and spent + wanted > present.fee_cap.units

    @rule(swept=st.booleans(), ticks=st.integers(0, 3))
    def intents_run_out(self, *, swept: bool = True, ticks: int = 3) -> None:
        """A week passes. What no signer can have acted on ends, once it is swept."""
        before = self.withdrawals()
        self.pass_time(WORLD.policy.intent_lifetime_max_seconds)
        self.run(self.house.drive(ticks))
        if not swept:
            return
        self.sweep()
        for each in before:
            if each.state in CANCELLABLE and self.withdrawal(each.withdrawal).state not in CANCELLABLE:
                self.note("withdrawal lapsed")

    def sweep(self) -> None:
        """The expiry worker, and what it must have ended."""
        before = [each for each in self.withdrawals() if each.state in OPEN]
        self.run(self.house.expiry.tick())
        now = self.custody.now
        lapsed = [
            name for name, each in self.claims.liens.items() if each.expires_at <= now and not each.posted
        ]
        for name in lapsed:
            del self.claims.liens[name]
            self.note("lien lapsed")
        for each in before:
            unasked = each.expires_at <= now and each.state in LAPSABLE and not each.attempts
            forgone = each.state is WithdrawalState.SIGNING and _nobody_will_sign(each)
            if unasked or forgone:
                del self.claims.outflows[each.withdrawal]
                assert self.withdrawal(each.withdrawal).state is WithdrawalState.EXPIRED


def _nobody_will_sign(present: Withdrawal) -> bool:
    """Every signer that could has said that it never signed and, as it is too late, never will."""
    account = WORLD.account
    cosigners = {each.signer for each in account.bitcoin.cosigners}
    could = cosigners if present.asset is Asset.BTC else {account.ethereum.holder}
    never = {each.signer for each in present.refusals if Tag.AUTHORITY_EXPIRED in each.tags}
    return could <= never - {each.signer for each in present.signed_receipts}
