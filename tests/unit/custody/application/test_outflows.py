"""The driver's steps: planned, announced, attempted, sent, and ended only where that is safe."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from custody.application import accounts, outflows, withdrawals
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
    StatementStale,
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


def test_an_older_attempt_may_still_confirm(custody: Custody) -> None:
    first = custody.broadcast(signed(custody))
    payout = custody.payout(first)
    attempt(custody, first, fee=Sats(20_000))
    custody.mine(payout)
    found = custody.present(first)
    assert found.state is S.CONFIRMING
    assert found.confirmation is not None
    assert (found.confirmation.attempt, found.confirmation.fee) == (1, Sats(10_000))


def test_nothing_is_sent_before_it_is_on_record(custody: Custody) -> None:
    present = signing(custody)
    unchanged(custody, lambda: custody.broadcast(present), StateConflict)


# expiry


def expire(custody: Custody, present: Withdrawal, *, late: int = 0) -> int:
    custody.now = Seconds(present.expires_at + late)
    return custody.run(lambda uow: outflows.expire_due(uow, now=custody.now))


@pytest.mark.parametrize(
    "prepare", [requested, lambda c: c.plan(requested(c), FUNDING), announcing, timelocked]
)
def test_what_no_signer_was_asked_to_sign_in_time_lapses(
    custody: Custody, prepare: Callable[[Custody], Withdrawal]
) -> None:
    present = prepare(custody)
    assert expire(custody, present, late=-1) == 0
    assert expire(custody, present) == 1
    assert custody.present(present).state is S.EXPIRED
    assert custody.balances(Asset.BTC).available == COIN


def test_no_signer_is_asked_for_the_first_time_once_the_intent_has_expired(custody: Custody) -> None:
    present = timelocked(custody)
    custody.now = present.expires_at
    unchanged(custody, lambda: custody.attempt(present, Sats(10_000)), StatementStale)


def test_what_was_asked_of_signers_lapses_once_none_of_them_will_sign(custody: Custody) -> None:
    present = signing(custody)
    for index in range(3):
        assert expire(custody, present) == 0
        custody.refuse(present, index, Tag.AUTHORITY_EXPIRED)
    assert expire(custody, present) == 1
    assert custody.present(present).state is S.EXPIRED
    assert custody.balances(Asset.BTC).available == COIN


def test_a_signer_that_refuses_for_another_reason_may_still_sign(custody: Custody) -> None:
    present = signing(custody)
    for index, tag in enumerate([Tag.AUTHORITY_EXPIRED, Tag.AUTHORITY_EXPIRED, Tag.STALE_TIP]):
        custody.refuse(present, index, tag)
    assert expire(custody, present) == 0


def test_a_signer_that_signed_is_not_believed_that_it_did_not(custody: Custody) -> None:
    present = custody.signed_part(signing(custody), 0)
    for index in range(3):
        custody.refuse(present, index, Tag.AUTHORITY_EXPIRED)
    assert expire(custody, present) == 0


def test_of_ether_the_holder_alone_could_have_signed(custody: Custody) -> None:
    planned = custody.plan(custody.request(Wei(10**18), Wei(10**16)))
    present = custody.attempt(custody.announce(custody.agree(planned)), Wei(21_000 * 10**9))
    for index in (1, 2):
        custody.refuse(present, index, Tag.AUTHORITY_EXPIRED)
    assert expire(custody, present) == 0
    custody.refuse(present, 0, Tag.AUTHORITY_EXPIRED)
    assert expire(custody, present) == 1


def test_what_is_signed_never_lapses(custody: Custody) -> None:
    present = signed(custody)
    assert expire(custody, present) == 0
    assert custody.present(present).state in OPEN


def test_the_anchor_of_a_lapsed_intent_is_spent_first(custody: Custody) -> None:
    lapsed = timelocked(custody)
    custody.fund_bitcoin(2 * COIN, "larger")
    assert expire(custody, lapsed) == 1
    larger = Outpoint(txid("larger"), 0)
    present = custody.request(Sats(COIN // 2), Sats(50_000), withdrawal=WithdrawalId("w-2"))
    error = unchanged(custody, lambda: custody.plan(present, larger, FUNDING), FieldInvalid)
    assert error.tag is Tag.ANCHOR_BUSY
    assert custody.plan(present, FUNDING, larger).anchor == lapsed.anchor


def planned_and_cancelled(custody: Custody, anchor: Outpoint) -> None:
    asked = custody.request(Sats(COIN // 4), Sats(50_000), withdrawal=WithdrawalId("w-2"))
    planned = custody.plan(asked, anchor)
    cancel = withdrawals.CancelWithdrawal(
        request_id=custody.fresh(), account=custody.account_id, withdrawal=asked.withdrawal, etag=planned.etag
    )
    custody.now = Seconds(custody.now + 1)
    custody.do(withdrawals.cancel, cancel, principal=custody.pledgor)


def test_a_withdrawal_cancelled_meanwhile_does_not_hide_the_lapsed_one(custody: Custody) -> None:
    expire(custody, timelocked(custody))
    planned_and_cancelled(custody, FUNDING)
    assert custody.ask(outflows.bound_anchor, custody.account_id) == FUNDING


def test_an_anchor_that_a_reorganisation_hid_for_a_while_binds_again(custody: Custody) -> None:
    expire(custody, timelocked(custody))
    funding = custody.ask(lambda uow: uow.coin(FUNDING))
    tip = custody.bitcoin.tip
    assert funding is not None
    assert funding.block is not None
    assert tip is not None
    depth = tip.height - funding.block.height + 1
    custody.reorg(depth, [(custody.arrival("other", COIN),), *[()] * depth])
    planned_and_cancelled(custody, Outpoint(txid("other"), 0))
    custody.fund_bitcoin(COIN)
    assert custody.ask(outflows.bound_anchor, custody.account_id) == FUNDING
