"""Attempts: on record before anybody is asked, all of them on one anchor and within one cap."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from custody.application import attempts, receipts, withdrawals
from custody.domain.account import Halt
from custody.domain.deposit import Outpoint
from custody.domain.errors import AccountHalted, FieldInvalid, PolicyForbids, StateConflict
from custody.domain.withdrawal import Withdrawal
from custody.domain.withdrawal_states import WithdrawalState as S
from signers.statements.amounts import Sats, Wei
from signers.statements.receipt import Act
from signers.statements.refusals import Tag
from tests.unit.custody.application.on_the_way import (
    FUNDING,
    announcing,
    requested,
    signed,
    signing,
    timelocked,
)
from tests.unit.custody.scenario import Custody, active, txid, unchanged


@pytest.fixture
def custody() -> Custody:
    return active()


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
    assert custody.ask(withdrawals.to_drive) == [present]
    assert custody.ask(lambda uow: uow.withdrawal_of(txid("payout"))) == present


def repeat_announcement(custody: Custody) -> Any:
    present = announcing(custody)
    command = custody.answer(present, 0, Act.ANNOUNCED)
    return lambda: custody.do(receipts.record_announcement, command)


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


def attempt(custody: Custody, present: Withdrawal, **changes: Any) -> Withdrawal:
    command = attempts.BeginAttempt(
        account=custody.account_id,
        withdrawal=present.withdrawal,
        fee=Sats(10_000),
        inputs=(FUNDING,),
    )
    return custody.do(attempts.begin_attempt, replace(command, **changes))


def test_no_attempt_before_every_signer_announced(custody: Custody) -> None:
    present = announcing(custody)
    unchanged(custody, lambda: attempt(custody, present), StateConflict)


def test_no_attempt_of_a_halted_account(custody: Custody) -> None:
    present = timelocked(custody)
    custody.halt(Halt.RECONCILIATION)
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
