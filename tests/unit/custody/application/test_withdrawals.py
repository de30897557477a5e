"""Asking for an outflow, agreeing to it, taking it back."""

from dataclasses import replace
from typing import Any

import pytest

from custody.application import consents, withdrawals
from custody.domain.account import Halt
from custody.domain.deposit import Outpoint
from custody.domain.errors import (
    AccountHalted,
    AccountNotFound,
    AlreadyExists,
    ApproverNotEligible,
    CollateralInsufficient,
    DestinationNotUsable,
    EtagStale,
    FieldInvalid,
    NotFound,
    PolicyForbids,
    PricesStale,
    PrincipalNotAllowed,
    StateConflict,
    StatementMismatch,
    StatementSignature,
    StatementStale,
    WithdrawalOpen,
)
from custody.domain.identifiers import Etag, WithdrawalId
from custody.domain.price import PriceSet
from custody.domain.principal import Principal, Role
from custody.domain.withdrawal import Capacity, Withdrawal
from custody.domain.withdrawal_states import WithdrawalState
from signers.statements.amounts import Amount, Asset, Sats, Wei
from signers.statements.envelope import Envelope
from signers.statements.identifiers import DestinationId, Digest, Seconds
from signers.statements.refusals import Tag
from tests.factories import Person
from tests.unit.custody.scenario import Custody, active, txid, unchanged

COIN = 10**8
HALF, FEE_CAP = Sats(COIN // 2), Sats(50_000)
COINS = (Outpoint(txid("funding"), 0),)


@pytest.fixture
def custody() -> Custody:
    return active()


@pytest.fixture
def planned(custody: Custody) -> tuple[Custody, Withdrawal]:
    return custody, custody.plan(custody.request(Sats(COIN // 2), Sats(50_000)), *COINS)


Planned = tuple[Custody, Withdrawal]


def create(
    custody: Custody,
    amount: Amount = HALF,
    fee_cap: Amount = FEE_CAP,
    principal: Principal | None = None,
    **changes: Any,
) -> Withdrawal:
    command = custody.withdrawal_command(amount, fee_cap, **changes)
    return custody.do(withdrawals.create, command, principal=principal or custody.pledgor)


def test_a_request_holds_amount_and_fee_cap(custody: Custody) -> None:
    made = create(custody)
    assert (made.state, made.maker) == (WithdrawalState.REQUESTED, custody.world.pledgor.entity)
    books = custody.balances(Asset.BTC)
    assert (books.withdrawing, books.available) == (COIN // 2 + 50_000, COIN // 2 - 50_000)


def test_one_of_each_asset_may_be_open(custody: Custody) -> None:
    create(custody)
    second = create(custody, Wei(10**18), Wei(10**16), withdrawal=WithdrawalId("w-2"))
    assert second.asset is Asset.ETH


def test_a_second_one_of_the_asset_waits(custody: Custody) -> None:
    create(custody, Sats(1000), Sats(100))
    second = WithdrawalId("w-2")
    error = unchanged(
        custody, lambda: create(custody, Sats(1000), Sats(100), withdrawal=second), WithdrawalOpen
    )
    assert error.data == {"withdrawal": "w-1"}


def test_an_id_is_taken_once(custody: Custody) -> None:
    create(custody, Sats(1000), Sats(100))
    unchanged(custody, lambda: create(custody, Sats(1000), Sats(100)), AlreadyExists)


def test_a_stranger_sees_no_account(custody: Custody) -> None:
    unchanged(custody, lambda: create(custody, principal=custody.stranger), AccountNotFound)


def test_an_approver_asks_for_nothing(custody: Custody) -> None:
    unchanged(custody, lambda: create(custody, principal=custody.approver(1)), PrincipalNotAllowed)


def test_nothing_leaves_a_halted_account(custody: Custody) -> None:
    custody.halt(Halt.UNKNOWN_SPEND)
    unchanged(custody, lambda: create(custody), AccountHalted)


@pytest.mark.parametrize(
    ("amount", "fee_cap"),
    [
        (Sats(545), Sats(100)),
        (Wei(0), Wei(100)),
        (Sats(1000), Sats(0)),
        (Sats(1000), Wei(100)),
    ],
    ids=["dust", "nothing", "no-fee", "fee-of-another-asset"],
)
def test_amounts_that_cannot_be_paid(custody: Custody, amount: Amount, fee_cap: Amount) -> None:
    unchanged(custody, lambda: create(custody, amount, fee_cap), FieldInvalid)


@pytest.mark.parametrize(
    ("amount", "fee_cap", "tag"),
    [
        (Sats(10 * COIN + 1), Sats(100), Tag.POLICY_TIER),
        (Sats(1000), Sats(100_001), Tag.FEE_CAP),
    ],
    ids=["above-every-tier", "fee-cap"],
)
def test_what_the_policy_forbids(custody: Custody, amount: Amount, fee_cap: Amount, tag: Tag) -> None:
    error = unchanged(custody, lambda: create(custody, amount, fee_cap), PolicyForbids)
    assert error.tag is tag


def test_one_unit_more_than_is_free(custody: Custody) -> None:
    unchanged(custody, lambda: create(custody, Sats(COIN - 99), Sats(100)), CollateralInsufficient)
    assert create(custody, Sats(COIN - 100), Sats(100)).held == Sats(COIN)


def test_what_a_lien_holds_does_not_leave(custody: Custody) -> None:
    custody.reserve("lien-1", Sats(COIN // 2))
    unchanged(custody, lambda: create(custody), CollateralInsufficient)


def test_a_destination_that_is_none(custody: Custody) -> None:
    other = DestinationId("elsewhere")
    error = unchanged(custody, lambda: create(custody, destination_id=other), DestinationNotUsable)
    assert error.tag is Tag.ALLOWLIST_UNKNOWN


def test_a_destination_of_another_asset(custody: Custody) -> None:
    other = DestinationId("client-wallet-eth")
    unchanged(custody, lambda: create(custody, destination_id=other), DestinationNotUsable)


def test_a_destination_that_cools_off(custody: Custody) -> None:
    custody.now = Seconds(custody.world.now + 10)
    error = unchanged(custody, lambda: create(custody), DestinationNotUsable)
    assert error.data["state"] == "cooling"


# Agreeing.


def sign(at: Planned, *people: Person, principal: Principal | None = None, **changes: Any) -> Withdrawal:
    custody, present = at
    envelope = custody.world.sign(custody.intent(present), *(people or (custody.world.pledgor,)))
    command = replace(custody.consent(consents.SignWithdrawal, present, envelope), **changes)
    return custody.do(consents.sign, command, principal=principal or custody.pledgor)


def approve(at: Planned, *people: Person, principal: Principal | None = None, **changes: Any) -> Withdrawal:
    custody, present = at
    envelope = custody.world.sign(custody.intent(present), *(people or (custody.world.approvers[0],)))
    command = replace(custody.consent(consents.ApproveWithdrawal, present, envelope), **changes)
    return custody.do(consents.approve, command, principal=principal or custody.approver(0))


def release(
    at: Planned,
    envelope: Envelope | None = None,
    principal: Principal | None = None,
    prices: PriceSet | None = None,
    disputed: frozenset[Asset] = frozenset(),
    **changes: Any,
) -> Withdrawal:
    custody, present = at
    given = envelope or custody.world.release_envelope(custody.intent(present))
    command = replace(custody.consent(consents.ReleaseWithdrawal, present, given), **changes)
    return custody.do(
        consents.release,
        command,
        principal=principal or custody.engine,
        prices=custody.prices() if prices is None else prices,
        disputed=disputed,
    )


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1)])
def test_everybody_signs_in_any_order(planned: Planned, order: tuple[int, ...]) -> None:
    custody, present = planned
    steps = (
        lambda: sign(planned),
        lambda: release(planned),
        lambda: approve(planned),
        lambda: approve(planned, custody.world.approvers[1], principal=custody.approver(1)),
    )
    assert [(m.capacity, m.count) for m in present.missing] == [
        (Capacity.MAKER, 1),
        (Capacity.SECURED_PARTY, 1),
        (Capacity.APPROVER, 2),
    ]
    done = [steps[index]() for index in order][-1]
    assert (done.state, done.missing) == (WithdrawalState.ANNOUNCING, ())
    assert len(done.signatures) == 4
    assert done.intent is not None
    assert len(done.intent.signatures) == 3


def test_a_larger_amount_needs_another_entity(custody: Custody) -> None:
    custody.fund_bitcoin(5 * COIN, "more")
    coins = (Outpoint(txid("more"), 0),)
    present = custody.plan(custody.request(Sats(2 * COIN), Sats(50_000)), *coins)
    assert custody.agree(present).state is WithdrawalState.AWAITING_SIGNATURES
    at = (custody, present)
    done = approve(at, custody.world.approvers[2], principal=custody.approver(2))
    assert done.state is WithdrawalState.ANNOUNCING


def test_the_maker_signs_itself(planned: Planned) -> None:
    custody = planned[0]
    unchanged(custody, lambda: sign(planned, principal=custody.engine), PrincipalNotAllowed)


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.PLEDGOR])
def test_another_role_of_the_makers_entity_is_not_the_maker(planned: Planned, role: Role) -> None:
    custody = planned[0]
    other = replace(custody.pledgor, roles=frozenset({role}))
    unchanged(custody, lambda: sign(planned, principal=other), PrincipalNotAllowed)
    unchanged(custody, lambda: cancel(planned, other), PrincipalNotAllowed)


def test_the_makers_signature_is_the_makers(planned: Planned) -> None:
    custody = planned[0]
    error = unchanged(custody, lambda: sign(planned, custody.world.secured_party), StatementSignature)
    assert error.tag is Tag.MAKER_MISSING


def test_an_intent_with_another_payout(planned: Planned) -> None:
    custody, present = planned
    other = replace(custody.intent(present), amount=Sats(COIN // 4))
    envelope = custody.world.sign(other, custody.world.pledgor)
    error = unchanged(custody, lambda: sign(planned, envelope=envelope), StatementMismatch)
    assert error.tag is Tag.APPROVAL_WRONG_INTENT


def test_a_stale_etag(planned: Planned) -> None:
    unchanged(planned[0], lambda: sign(planned, etag=Etag("0" * 32)), EtagStale)


def test_a_withdrawal_that_is_none(planned: Planned) -> None:
    other = WithdrawalId("w-9")
    unchanged(planned[0], lambda: sign(planned, withdrawal=other), NotFound)


def test_nobody_signs_before_there_is_an_intent(custody: Custody) -> None:
    present = custody.request(Sats(COIN // 2), Sats(50_000))
    envelope = custody.world.intent_envelope(Asset.BTC)
    command = custody.consent(consents.SignWithdrawal, present, envelope)
    unchanged(custody, lambda: custody.do(consents.sign, command, principal=custody.pledgor), StateConflict)


def test_nobody_signs_what_has_expired(planned: Planned) -> None:
    custody, present = planned
    custody.now = present.expires_at
    error = unchanged(custody, lambda: sign(planned), StatementStale)
    assert error.tag is Tag.INTENT_EXPIRED


def test_nobody_signs_for_a_halted_account(planned: Planned) -> None:
    custody = planned[0]
    custody.halt(Halt.UNKNOWN_SPEND)
    unchanged(custody, lambda: sign(planned), AccountHalted)


def test_nobody_but_approvers_approves(planned: Planned) -> None:
    custody = planned[0]
    unchanged(custody, lambda: approve(planned, principal=custody.custodian), PrincipalNotAllowed)


def test_an_entity_approves_once(planned: Planned) -> None:
    custody = planned[0]
    approve(planned)
    error = unchanged(custody, lambda: approve(planned, custody.world.second_device), ApproverNotEligible)
    assert error.tag is Tag.POLICY_DUPLICATE_ENTITY


def test_the_makers_entity_does_not_check_itself(planned: Planned) -> None:
    custody = planned[0]
    principal = Principal(
        name="desk.client-one", entity=custody.world.pledgor.entity, roles=frozenset({Role.APPROVER})
    )
    error = unchanged(
        custody,
        lambda: approve(planned, custody.world.pledgor_approver, principal=principal),
        ApproverNotEligible,
    )
    assert error.tag is Tag.POLICY_MAKER_CHECKER


def test_an_approver_sends_its_own_signature(planned: Planned) -> None:
    custody = planned[0]
    unchanged(custody, lambda: approve(planned, custody.world.approvers[1]), ApproverNotEligible)


@pytest.mark.parametrize(
    ("who", "tag"), [("revoked", Tag.APPROVAL_KEY_REVOKED), ("stranger", Tag.APPROVAL_KEY_UNKNOWN)]
)
def test_a_key_that_counts_for_nothing(planned: Planned, who: str, tag: Tag) -> None:
    custody = planned[0]
    error = unchanged(custody, lambda: approve(planned, getattr(custody.world, who)), StatementSignature)
    assert error.tag is tag


def test_an_approval_of_another_intent(planned: Planned) -> None:
    custody, present = planned
    other = replace(custody.intent(present), fee_cap=Sats(49_999))
    envelope = custody.world.sign(other, custody.world.approvers[0])
    unchanged(custody, lambda: approve(planned, envelope=envelope), StatementMismatch)


def test_only_the_secured_party_releases(planned: Planned) -> None:
    custody = planned[0]
    unchanged(custody, lambda: release(planned, principal=custody.pledgor), PrincipalNotAllowed)


def test_a_release_without_prices(planned: Planned) -> None:
    unchanged(planned[0], lambda: release(planned, prices=PriceSet()), PricesStale)


def test_a_release_while_its_chain_is_disputed(planned: Planned) -> None:
    error = unchanged(planned[0], lambda: release(planned, disputed=frozenset({Asset.BTC})), PricesStale)
    assert error.data == {"status": "disputed"}
    assert release(planned, disputed=frozenset({Asset.ETH})).release is not None


def test_an_ether_release_while_its_chain_is_disputed(custody: Custody) -> None:
    requested = create(custody, Wei(10**18), Wei(10**16))
    planned = (custody, custody.plan(requested))
    unchanged(custody, lambda: release(planned, disputed=frozenset({Asset.ETH})), PricesStale)
    assert release(planned, disputed=frozenset({Asset.BTC})).release is not None


def test_everybody_else_signs_while_its_chain_is_disputed(planned: Planned) -> None:
    """Their signatures lend nothing and send nothing: the driver waits until the nodes agree."""
    planned[0].disputed = frozenset(Asset)
    assert sign(planned).missing != planned[1].missing


def test_a_release_of_another_intent(planned: Planned) -> None:
    custody, present = planned
    other = custody.world.release_envelope(custody.intent(present), intent_digest=Digest("ab" * 32))
    error = unchanged(custody, lambda: release(planned, other), StatementMismatch)
    assert error.tag is Tag.RELEASE_WRONG_INTENT


def test_a_release_that_has_expired(planned: Planned) -> None:
    custody, present = planned
    late = custody.world.release_envelope(custody.intent(present), expires_at=custody.now)
    error = unchanged(custody, lambda: release(planned, late), StatementStale)
    assert error.tag is Tag.RELEASE_EXPIRED


def test_a_release_by_another(planned: Planned) -> None:
    custody, present = planned
    other = custody.world.sign(custody.world.release(custody.intent(present)), custody.world.pledgor)
    error = unchanged(custody, lambda: release(planned, other), StatementSignature)
    assert error.tag is Tag.RELEASE_SIGNATURE


# Cancelling.


def cancel(at: Planned, principal: Principal | None = None, **changes: Any) -> Withdrawal:
    custody, present = at
    command = withdrawals.CancelWithdrawal(
        request_id=custody.fresh(),
        account=custody.account_id,
        withdrawal=present.withdrawal,
        etag=present.etag,
    )
    command = replace(command, **changes)
    return custody.do(withdrawals.cancel, command, principal=principal or custody.pledgor)


@pytest.mark.parametrize("who", ["pledgor", "custodian"])
def test_a_cancelled_withdrawal_gives_its_hold_and_coins_back(planned: Planned, who: str) -> None:
    custody, _ = planned
    assert cancel(planned, getattr(custody, who)).state is WithdrawalState.CANCELLED
    assert custody.balances(Asset.BTC).available == COIN
    again = custody.request(Sats(COIN // 2), Sats(50_000), withdrawal=WithdrawalId("w-2"))
    assert custody.plan(again, *COINS).coins == COINS


def test_the_secured_party_cancels_nothing(planned: Planned) -> None:
    unchanged(planned[0], lambda: cancel(planned, planned[0].engine), PrincipalNotAllowed)


def test_a_cancellation_decides_on_what_stands(planned: Planned) -> None:
    unchanged(planned[0], lambda: cancel(planned, etag=Etag("0" * 32)), EtagStale)


def test_what_goes_to_the_signers_is_not_cancelled(planned: Planned) -> None:
    custody, present = planned
    announcing = custody.agree(present)
    unchanged(custody, lambda: cancel((custody, announcing)), StateConflict)
