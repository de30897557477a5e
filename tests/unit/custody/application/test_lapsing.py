"""A withdrawal lapses once no signer will sign it any more; the next one spends its anchor."""

from collections.abc import Callable

import pytest

from custody.application import planning, withdrawals
from custody.domain.deposit import Outpoint
from custody.domain.errors import FieldInvalid, StatementStale
from custody.domain.identifiers import WithdrawalId
from custody.domain.withdrawal import Withdrawal
from custody.domain.withdrawal_states import OPEN
from custody.domain.withdrawal_states import WithdrawalState as S
from signers.statements.amounts import Asset, Sats, Wei
from signers.statements.identifiers import Seconds
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
from tests.unit.custody.scenario import Custody, active, txid, unchanged


@pytest.fixture
def custody() -> Custody:
    return active()


def expire(custody: Custody, present: Withdrawal, *, late: int = 0) -> int:
    custody.now = Seconds(present.expires_at + late)
    return custody.run(lambda uow: withdrawals.expire_due(uow, now=custody.now))


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
    assert custody.ask(planning.bound_anchor, custody.account_id) == FUNDING


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
    assert custody.ask(planning.bound_anchor, custody.account_id) == FUNDING
