"""What everybody signs: coins that cover it, the anchor among them, the intent that says what was asked."""

from dataclasses import replace
from typing import Any

import pytest

from custody.application import planning
from custody.domain.deposit import Outpoint
from custody.domain.errors import FieldInvalid, NotFound, StateConflict
from custody.domain.identifiers import WithdrawalId
from custody.domain.withdrawal import Withdrawal
from signers.statements.amounts import Asset, Wei
from signers.statements.identifiers import IntentId
from signers.statements.intent import NonceAnchor, OutpointAnchor
from tests.unit.custody.application.on_the_way import COIN, FUNDING, requested
from tests.unit.custody.scenario import Custody, active, txid, unchanged


@pytest.fixture
def custody() -> Custody:
    return active()


def plan(custody: Custody, present: Withdrawal, **changes: Any) -> Withdrawal:
    command = planning.PlanWithdrawal(
        account=custody.account_id,
        withdrawal=present.withdrawal,
        intent=IntentId(str(custody.fresh())),
        anchor=OutpointAnchor(txid=FUNDING.txid, index=FUNDING.index),
        coins=(FUNDING,),
    )
    return custody.do(planning.plan, replace(command, **changes))


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
    assert [coin.outpoint for coin in custody.ask(planning.spendable, custody.account_id)] == [FUNDING]
    unchanged(custody, lambda: plan(custody, present, coins=(FUNDING, fresh)), StateConflict)


def test_an_ethereum_plan_uses_the_next_nonce(custody: Custody) -> None:
    present = custody.request(Wei(10**18), Wei(10**16))
    wrong = NonceAnchor(chain_id=31_337, nonce=1)
    unchanged(custody, lambda: plan(custody, present, anchor=wrong, coins=()), FieldInvalid)
    other = NonceAnchor(chain_id=1, nonce=0)
    unchanged(custody, lambda: plan(custody, present, anchor=other, coins=()), FieldInvalid)
    assert custody.plan(present).anchor == NonceAnchor(chain_id=31_337, nonce=0)
