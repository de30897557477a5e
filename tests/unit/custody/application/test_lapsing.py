"""A withdrawal lapses while no signer can have acted on it, or once it is proven that none ever can."""

from collections.abc import Callable

import pytest

from custody.application import receipts, withdrawals
from custody.domain.outflow import Withdrawal
from custody.domain.withdrawal import OPEN
from custody.domain.withdrawal import WithdrawalState as S
from signers.statements.amounts import Asset
from signers.statements.identifiers import Seconds
from signers.statements.receipt import Act
from signers.statements.refusals import Tag
from tests.unit.custody.application.on_the_way import (
    COIN,
    FUNDING,
    announcing,
    requested,
    signed,
    signing,
    timelocked,
)
from tests.unit.custody.scenario import Custody, active


@pytest.fixture
def custody() -> Custody:
    return active()


def expire(custody: Custody, present: Withdrawal) -> int:
    custody.now = present.expires_at
    return custody.run(lambda uow: withdrawals.expire_due(uow, now=custody.now))


@pytest.mark.parametrize("prepare", [requested, lambda c: c.plan(requested(c), FUNDING)])
def test_what_nobody_signed_in_time_lapses(
    custody: Custody, prepare: Callable[[Custody], Withdrawal]
) -> None:
    present = prepare(custody)
    custody.now = Seconds(present.expires_at - 1)
    assert custody.run(lambda uow: withdrawals.expire_due(uow, now=custody.now)) == 0
    assert expire(custody, present) == 1
    assert custody.present(present).state is S.EXPIRED
    assert custody.balances(Asset.BTC).available == COIN


def test_what_a_signer_may_have_journaled_does_not_lapse_by_time(custody: Custody) -> None:
    present = announcing(custody)
    assert expire(custody, present) == 0


def test_a_signers_word_that_it_expired_unannounced_ends_it(custody: Custody) -> None:
    present = announcing(custody)
    custody.do(receipts.record_announcement, custody.answer(present, 0, Act.ANNOUNCED))
    custody.refuse(present, 1, Tag.INTENT_EXPIRED)
    assert expire(custody, present) == 1
    assert custody.present(present).state is S.EXPIRED


def test_a_signer_that_announced_proves_nothing_by_refusing_later(custody: Custody) -> None:
    present = announcing(custody)
    custody.do(receipts.record_announcement, custody.answer(present, 0, Act.ANNOUNCED))
    custody.refuse(present, 0, Tag.INTENT_EXPIRED)
    assert expire(custody, present) == 0


@pytest.mark.parametrize("prepare", [timelocked, signing, signed])
def test_what_all_signers_announced_never_lapses(
    custody: Custody, prepare: Callable[[Custody], Withdrawal]
) -> None:
    present = prepare(custody)
    assert expire(custody, present) == 0
    assert custody.present(present).state in OPEN
