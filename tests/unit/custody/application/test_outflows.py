"""The driver's steps: planned, announced, attempted, sent, and ended only where that is safe."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from custody.application import accounts, outflows
from custody.domain.account import Halt
from custody.domain.deposit import Outpoint
from custody.domain.errors import (
    AccountHalted,
    FieldInvalid,
    NotFound,
    PolicyForbids,
    StateConflict,
    StatementMismatch,
    StatementSignature,
)
from custody.domain.identifiers import WithdrawalId
from custody.domain.outflow import Withdrawal
from custody.domain.withdrawal import OPEN, WithdrawalState
from signers.statements.amounts import Asset, Sats, Wei
from signers.statements.identifiers import Digest, IntentId, Seconds, SignerId
from signers.statements.intent import NonceAnchor, OutpointAnchor
from signers.statements.receipt import Act
from signers.statements.refusals import Tag
from tests.unit.custody.scenario import Custody, active, txid, unchanged

COIN = 10**8
FUNDING = Outpoint(txid("funding"), 0)
S = WithdrawalState


@pytest.fixture
def custody() -> Custody:
    return active()


def requested(custody: Custody) -> Withdrawal:
    return custody.request(Sats(COIN // 2), Sats(50_000))


def announcing(custody: Custody) -> Withdrawal:
    return custody.agree(custody.plan(requested(custody), FUNDING))


def timelocked(custody: Custody) -> Withdrawal:
    return custody.announce(announcing(custody))


def signing(custody: Custody) -> Withdrawal:
    return custody.attempt(timelocked(custody), Sats(10_000))


def signed(custody: Custody) -> Withdrawal:
    return custody.finish(signing(custody))


def test_a_withdrawal_goes_from_request_to_broadcast(custody: Custody) -> None:
    present = requested(custody)
    states = [present.state]
    for step in (
        lambda w: custody.plan(w, FUNDING),
        custody.agree,
        custody.announce,
        lambda w: custody.attempt(w, Sats(10_000)),
        custody.finish,
        custody.broadcast,
    ):
        present = step(present)
        states.append(present.state)
    assert states == [
        S.REQUESTED,
        S.AWAITING_SIGNATURES,
        S.ANNOUNCING,
        S.TIMELOCKED,
        S.SIGNING,
        S.SIGNED,
        S.BROADCAST,
    ]
    assert custody.ask(outflows.to_drive) == [present]
    assert custody.ask(lambda uow: uow.withdrawal_of(txid("payout"))) == present


def repeat_announcement(custody: Custody) -> Any:
    present = announcing(custody)
    command = custody.answer(present, 0, Act.ANNOUNCED)
    return lambda: custody.do(outflows.record_announcement, command)


def repeat_refusal(custody: Custody) -> Any:
    present = announcing(custody)
    return lambda: custody.refuse(present, 0, Tag.VELOCITY)


def repeat_attempt(custody: Custody) -> Any:
    present = timelocked(custody)
    return lambda: custody.attempt(present, Sats(10_000))


def repeat_signatures(custody: Custody) -> Any:
    present = signing(custody)
    return lambda: custody.signed_part(present, 0)


def repeat_transaction(custody: Custody) -> Any:
    present = signing(custody)
    return lambda: custody.finish(present)


def repeat_broadcast(custody: Custody) -> Any:
    present = signed(custody)
    return lambda: custody.broadcast(present)


@pytest.mark.parametrize(
    "prepare",
    [
        repeat_announcement,
        repeat_refusal,
        repeat_attempt,
        repeat_signatures,
        repeat_transaction,
        repeat_broadcast,
    ],
)
def test_a_step_taken_twice_is_taken_once(
    custody: Custody, prepare: Callable[[Custody], Callable[[], Withdrawal]]
) -> None:
    step = prepare(custody)
    first = step()
    before = custody.dump()
    assert step() == first
    assert custody.dump() == before


# plan


def plan(custody: Custody, present: Withdrawal, **changes: Any) -> Withdrawal:
    command = outflows.PlanWithdrawal(
        account=custody.account_id,
        withdrawal=present.withdrawal,
        intent=IntentId(str(custody.fresh())),
        anchor=OutpointAnchor(txid=FUNDING.txid, index=FUNDING.index),
        coins=(FUNDING,),
    )
    return custody.do(outflows.plan, replace(command, **changes))


def test_the_intent_says_what_was_asked(custody: Custody) -> None:
    present = requested(custody)
    intent = custody.intent(plan(custody, present))
    assert (intent.amount, intent.fee_cap) == (present.amount, present.fee_cap)
    assert intent.destination == custody.world.destination(Asset.BTC)
    assert intent.policy_digest == custody.world.policy.digest
    assert intent.expires_at == custody.now + custody.world.policy.intent_lifetime_max_seconds


def test_a_plan_is_made_once(custody: Custody) -> None:
    present = requested(custody)
    plan(custody, present)
    unchanged(custody, lambda: plan(custody, present), StateConflict)


def test_a_withdrawal_that_is_none(custody: Custody) -> None:
    present = replace(requested(custody), withdrawal=WithdrawalId("w-9"))
    unchanged(custody, lambda: plan(custody, present), NotFound)


@pytest.mark.parametrize(
    "changes",
    [
        {"anchor": OutpointAnchor(txid=txid("funding"), index=1)},
        {"anchor": NonceAnchor(chain_id=31_337, nonce=0)},
        {"coins": ()},
        {"coins": (FUNDING, FUNDING)},
        {"coins": tuple(Outpoint(txid("funding"), index) for index in range(65))},
    ],
    ids=["other-output", "nonce", "no-coins", "coin-twice", "too-many"],
)
def test_a_plan_that_anchors_nowhere(custody: Custody, changes: dict[str, Any]) -> None:
    present = requested(custody)
    unchanged(custody, lambda: plan(custody, present, **changes), FieldInvalid)


def test_coins_that_do_not_cover_the_hold(custody: Custody) -> None:
    custody.fund_bitcoin(1000, "small")
    small = Outpoint(txid("small"), 0)
    present = requested(custody)
    anchor = OutpointAnchor(txid=small.txid, index=0)
    unchanged(custody, lambda: plan(custody, present, coins=(small,), anchor=anchor), FieldInvalid)


def test_a_coin_that_is_not_credited(custody: Custody) -> None:
    custody.mine(custody.arrival("fresh", COIN), count=5)
    fresh = Outpoint(txid("fresh"), 0)
    present = requested(custody)
    assert [coin.outpoint for coin in custody.ask(outflows.spendable, custody.account_id)] == [FUNDING]
    unchanged(custody, lambda: plan(custody, present, coins=(FUNDING, fresh)), StateConflict)


def test_an_ethereum_plan_uses_the_next_nonce(custody: Custody) -> None:
    present = custody.request(Wei(10**18), Wei(10**16))
    wrong = NonceAnchor(chain_id=31_337, nonce=1)
    unchanged(custody, lambda: plan(custody, present, anchor=wrong, coins=()), FieldInvalid)
    other = NonceAnchor(chain_id=1, nonce=0)
    unchanged(custody, lambda: plan(custody, present, anchor=other, coins=()), FieldInvalid)
    assert custody.plan(present).anchor == NonceAnchor(chain_id=31_337, nonce=0)


# the signers' answers


def announce(custody: Custody, present: Withdrawal, **changes: Any) -> Withdrawal:
    told = {"index": 0, "act": Act.ANNOUNCED, **changes}
    return custody.do(outflows.record_announcement, custody.answer(present, **told))


def test_the_timelock_runs_once_every_signer_announced(custody: Custody) -> None:
    present = announcing(custody)
    assert announce(custody, present).state is S.ANNOUNCING
    custody.now = Seconds(custody.now + 5)
    assert announce(custody, present, index=1).timelock_ends_at is None
    done = announce(custody, present, index=2)
    assert (done.state, done.timelock_ends_at) == (S.TIMELOCKED, custody.now + 600)


@pytest.mark.parametrize(
    "changes",
    [
        {"intent_digest": Digest("ab" * 32)},
        {"act": Act.SIGNED},
        {"signer": SignerId("signer-9")},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_receipt_of_something_else(custody: Custody, changes: dict[str, Any]) -> None:
    present = announcing(custody)
    signer = custody.world.signers[0]
    receipt = custody.world.receipt(signer, custody.intent(present), changes.pop("act", Act.ANNOUNCED))
    envelope = custody.world.cosign(replace(receipt, **changes), signer)
    command = replace(custody.answer(present, 0, Act.ANNOUNCED), envelope=envelope)
    unchanged(custody, lambda: custody.do(outflows.record_announcement, command), StatementMismatch)


def test_a_receipt_is_signed_by_the_signer_it_names(custody: Custody) -> None:
    present = announcing(custody)
    receipt = custody.world.receipt(custody.world.signers[0], custody.intent(present), Act.ANNOUNCED)
    envelope = custody.world.cosign(receipt, custody.world.signers[1])
    command = replace(custody.answer(present, 0, Act.ANNOUNCED), envelope=envelope)
    unchanged(custody, lambda: custody.do(outflows.record_announcement, command), StatementSignature)


def test_a_refusal_changes_no_state(custody: Custody) -> None:
    refused = custody.refuse(announcing(custody), 0, Tag.VELOCITY)
    assert refused.state is S.ANNOUNCING
    assert [(r.signer, r.tags) for r in refused.refusals] == [("signer-1", (Tag.VELOCITY,))]


# attempts


def attempt(custody: Custody, present: Withdrawal, **changes: Any) -> Withdrawal:
    command = outflows.BeginAttempt(
        account=custody.account_id,
        withdrawal=present.withdrawal,
        fee=Sats(10_000),
        inputs=(FUNDING,),
    )
    return custody.do(outflows.begin_attempt, replace(command, **changes))


def test_no_attempt_before_every_signer_announced(custody: Custody) -> None:
    present = announcing(custody)
    unchanged(custody, lambda: attempt(custody, present), StateConflict)


def test_no_attempt_of_a_halted_account(custody: Custody) -> None:
    present = timelocked(custody)
    custody.do(accounts.halt, accounts.HaltAccount(account=custody.account_id, halt=Halt.RECONCILIATION))
    unchanged(custody, lambda: attempt(custody, present), AccountHalted)


@pytest.mark.parametrize(
    ("changes", "tag"),
    [
        ({"inputs": ()}, Tag.ANCHOR_MISMATCH),
        ({"inputs": (FUNDING, Outpoint(txid("other"), 0))}, Tag.INPUT_NOT_OURS),
        ({"fee": Wei(1)}, None),
        ({"fee": Sats(0)}, None),
    ],
    ids=["no-anchor", "not-set-aside", "other-asset", "no-fee"],
)
def test_an_attempt_that_is_none(custody: Custody, changes: dict[str, Any], tag: Tag | None) -> None:
    present = timelocked(custody)
    error = unchanged(custody, lambda: attempt(custody, present, **changes), FieldInvalid)
    assert error.tag is tag


def test_all_attempts_together_stay_within_the_cap(custody: Custody) -> None:
    present = custody.broadcast(signed(custody))
    error = unchanged(custody, lambda: attempt(custody, present, fee=Sats(40_001)), PolicyForbids)
    assert error.tag is Tag.FEE_CAP
    bumped = attempt(custody, present, fee=Sats(40_000))
    assert (bumped.state, [a.number for a in bumped.attempts]) == (S.SIGNING, [1, 2])


@pytest.mark.parametrize("state", [S.SIGNED, S.BROADCAST])
def test_another_attempt_begins_once_the_one_before_is_on_record(custody: Custody, state: S) -> None:
    present = signed(custody)
    if state is S.BROADCAST:
        present = custody.broadcast(present)
    bumped = attempt(custody, present, fee=Sats(10_001))
    assert bumped.state is S.SIGNING
    assert [(a.number, a.fee, a.raw is None) for a in bumped.attempts] == [
        (1, Sats(10_000), False),
        (2, Sats(10_001), True),
    ]


@pytest.mark.parametrize("fee", [10_000, 9_999])
def test_another_attempt_pays_a_higher_fee(custody: Custody, fee: int) -> None:
    present = custody.broadcast(signed(custody))
    unchanged(custody, lambda: attempt(custody, present, fee=Sats(fee)), FieldInvalid)


def test_no_attempt_leaves_another_unfinished(custody: Custody) -> None:
    """Whoever signed it may publish it: then the ledger must know its transaction."""
    present = signing(custody)
    unchanged(custody, lambda: attempt(custody, present, fee=Sats(20_000)), StateConflict)


def test_a_reorganisation_leads_back_to_the_attempt_that_is_not_finished(custody: Custody) -> None:
    first = custody.broadcast(signed(custody))
    attempt(custody, first, fee=Sats(20_000))
    custody.mine(custody.payout(first))
    custody.reorg(1, [(), ()])
    opened = custody.present(first)
    assert opened.state is S.BROADCAST
    unchanged(custody, lambda: attempt(custody, opened, fee=Sats(20_001)), StateConflict)
    resumed = attempt(custody, opened, fee=Sats(20_000))
    assert (resumed.state, [a.number for a in resumed.attempts]) == (S.SIGNING, [1, 2])


@pytest.mark.parametrize("sent", [True, False], ids=["sent", "refused-for-its-fee"])
def test_an_older_attempt_may_still_confirm(custody: Custody, *, sent: bool) -> None:
    first = custody.broadcast(signed(custody)) if sent else signed(custody)
    payout = custody.payout(first)
    second = attempt(custody, first, fee=Sats(20_000))
    custody.broadcast(custody.finish(second, "second"))
    custody.mine(payout)
    found = custody.present(first)
    assert found.state is S.CONFIRMING
    assert found.confirmation is not None
    assert (found.confirmation.attempt, found.confirmation.fee) == (1, Sats(10_000))
    assert not custody.account.halted


def test_nothing_is_sent_before_it_is_on_record(custody: Custody) -> None:
    present = signing(custody)
    unchanged(custody, lambda: custody.broadcast(present), StateConflict)


# expiry


def expire(custody: Custody, present: Withdrawal) -> int:
    custody.now = present.expires_at
    return custody.run(lambda uow: outflows.expire_due(uow, now=custody.now))


@pytest.mark.parametrize("prepare", [requested, lambda c: c.plan(requested(c), FUNDING)])
def test_what_nobody_signed_in_time_lapses(
    custody: Custody, prepare: Callable[[Custody], Withdrawal]
) -> None:
    present = prepare(custody)
    custody.now = Seconds(present.expires_at - 1)
    assert custody.run(lambda uow: outflows.expire_due(uow, now=custody.now)) == 0
    assert expire(custody, present) == 1
    assert custody.present(present).state is S.EXPIRED
    assert custody.balances(Asset.BTC).available == COIN


def test_what_a_signer_may_have_journaled_does_not_lapse_by_time(custody: Custody) -> None:
    present = announcing(custody)
    assert expire(custody, present) == 0


def test_a_signers_word_that_it_expired_unannounced_ends_it(custody: Custody) -> None:
    present = announcing(custody)
    announce(custody, present, index=0)
    custody.refuse(present, 1, Tag.INTENT_EXPIRED)
    assert expire(custody, present) == 1
    assert custody.present(present).state is S.EXPIRED


def test_a_signer_that_announced_proves_nothing_by_refusing_later(custody: Custody) -> None:
    present = announcing(custody)
    announce(custody, present, index=0)
    custody.refuse(present, 0, Tag.INTENT_EXPIRED)
    assert expire(custody, present) == 0


@pytest.mark.parametrize("prepare", [timelocked, signing, signed])
def test_what_all_signers_announced_never_lapses(
    custody: Custody, prepare: Callable[[Custody], Withdrawal]
) -> None:
    present = prepare(custody)
    assert expire(custody, present) == 0
    assert custody.present(present).state in OPEN
