"""Liens: what they hold, what resolves them, and what the secured party must have signed."""

from dataclasses import replace
from typing import Any

import pytest

from custody.application import liens
from custody.domain.account import Halt
from custody.domain.errors import (
    AccountHalted,
    AccountNotActive,
    AccountNotFound,
    AlreadyExists,
    CollateralInsufficient,
    NotFound,
    PricesStale,
    PrincipalNotAllowed,
    StateConflict,
    StatementMalformed,
    StatementMismatch,
    StatementSignature,
    StatementStale,
)
from custody.domain.lien import Lien, LienState
from custody.domain.price import PriceSet
from custody.domain.principal import Principal
from signers.statements.amounts import Asset, Sats, Wei, amount_of
from signers.statements.encumbrance import Encumbrance, EncumbranceKind
from signers.statements.identifiers import AccountId, Digest, LienId, Seconds
from signers.statements.network import Network
from signers.statements.refusals import Tag
from tests.unit.custody.scenario import Custody, active, unchanged

RESERVE, POST, VOID = EncumbranceKind
COIN = 10**8


@pytest.fixture
def custody() -> Custody:
    return active()


def ask(custody: Custody, statement: Encumbrance, principal: Principal | None = None, **changes: Any) -> Lien:
    """Reserve with this statement, signed by the secured party unless changed."""
    command = custody.lien_command(liens.ReserveLien, statement, **changes)
    return custody.do(
        liens.reserve,
        command,
        principal=principal or custody.engine,
        prices=custody.prices(),
        disputed=custody.disputed,
    )


def baseline(custody: Custody, **changes: Any) -> Encumbrance:
    return replace(custody.statement(RESERVE, "lien-1", Sats(COIN // 10)), **changes)


def test_a_reservation_holds_free_units(custody: Custody) -> None:
    lien = ask(custody, baseline(custody))
    assert (lien.state, lien.encumbrance_sequence) == (LienState.RESERVED, 1)
    books = custody.balances(Asset.BTC)
    assert (books.available, books.reserved) == (COIN * 9 // 10, COIN // 10)
    assert custody.account.sequence == lien.account_sequence
    assert custody.ask(lambda uow: uow.lien(custody.account_id, lien.lien)) == lien


def test_a_posted_lien_keeps_part_and_frees_the_rest(custody: Custody) -> None:
    custody.reserve("lien-1", Sats(1000))
    assert custody.post("lien-1", Sats(400)).amount == Sats(400)
    books = custody.balances(Asset.BTC)
    assert (books.reserved, books.posted, books.available) == (0, 400, COIN - 400)


@pytest.mark.parametrize("posted", [False, True])
def test_a_voided_lien_gives_everything_back(custody: Custody, posted: bool) -> None:
    custody.reserve("lien-1", Sats(1000))
    if posted:
        custody.post("lien-1", Sats(1000))
    assert custody.void("lien-1", Sats(1000)).state is LienState.VOIDED
    assert custody.balances(Asset.BTC).available == COIN


def test_a_reservation_lapses_by_itself_and_extends_no_chain(custody: Custody) -> None:
    lien = custody.reserve("lien-1", Sats(1000))
    assert custody.run(lambda uow: liens.expire_due(uow, now=Seconds(lien.expires_at - 1))) == 0
    assert custody.run(lambda uow: liens.expire_due(uow, now=lien.expires_at)) == 1
    found = custody.ask(lambda uow: uow.lien(custody.account_id, lien.lien))
    assert (found.state, found.ended_at) == (LienState.EXPIRED, lien.expires_at)
    assert custody.balances(Asset.BTC).available == COIN
    assert custody.account.encumbrance_sequence == 1


def test_a_posted_lien_does_not_lapse(custody: Custody) -> None:
    lien = custody.reserve("lien-1", Sats(1000))
    custody.post("lien-1", Sats(1000))
    assert custody.run(lambda uow: liens.expire_due(uow, now=lien.expires_at)) == 0


def test_liens_are_chained(custody: Custody) -> None:
    first = custody.reserve("lien-1", Sats(1000))
    second = custody.reserve("lien-2", Wei(1000))
    account = custody.account
    assert (account.encumbrance_sequence, account.encumbrance_head) == (2, second.digest)
    assert Encumbrance.parse(second.envelope.payload).previous == first.digest


# Refusals: the baseline above, and one change each.


def test_another_tenants_account_looks_like_none(custody: Custody) -> None:
    unchanged(custody, lambda: ask(custody, baseline(custody), custody.stranger), AccountNotFound)


def test_an_account_that_is_none(custody: Custody) -> None:
    unchanged(
        custody, lambda: ask(custody, baseline(custody), account=AccountId("acct-none")), AccountNotFound
    )


def test_the_pledgor_grants_no_liens(custody: Custody) -> None:
    unchanged(custody, lambda: ask(custody, baseline(custody), custody.pledgor), PrincipalNotAllowed)


def test_nothing_is_lent_before_the_addresses_are_proven() -> None:
    custody = Custody()
    custody.pin()
    custody.create_account()
    unchanged(custody, lambda: ask(custody, baseline(custody)), AccountNotActive)


def test_nothing_is_lent_against_a_halted_account(custody: Custody) -> None:
    custody.halt(Halt.RECONCILIATION)
    unchanged(custody, lambda: ask(custody, baseline(custody)), AccountHalted)


def test_one_unit_more_than_is_free(custody: Custody) -> None:
    error = unchanged(
        custody,
        lambda: ask(custody, baseline(custody, amount=Sats(COIN + 1))),
        CollateralInsufficient,
    )
    assert error.data == {
        "asset": "BTC",
        "free_units": str(COIN),
        "asked_units": str(COIN + 1),
    }
    assert ask(custody, baseline(custody, amount=Sats(COIN))).amount == Sats(COIN)


def test_pending_units_are_lent_against_at_nothing(custody: Custody) -> None:
    custody.mine(custody.arrival("more", 1), count=5)
    unchanged(
        custody,
        lambda: ask(custody, baseline(custody, amount=Sats(COIN + 1))),
        CollateralInsufficient,
    )


def test_stale_prices_lend_nothing(custody: Custody) -> None:
    statement = baseline(custody)
    custody.now = Seconds(custody.now + 61)
    error = unchanged(custody, lambda: ask(custody, statement), PricesStale)
    assert error.data == {"status": "stale"}


def test_without_prices_nothing_is_lent(custody: Custody) -> None:
    command = custody.lien_command(liens.ReserveLien, baseline(custody))
    unchanged(
        custody,
        lambda: custody.do(
            liens.reserve, command, principal=custody.engine, prices=PriceSet(), disputed=frozenset()
        ),
        PricesStale,
    )


@pytest.mark.parametrize("asset", Asset)
def test_a_disputed_chain_lends_nothing(custody: Custody, asset: Asset) -> None:
    """It alone: the other asset is lent against as before."""
    custody.disputed = frozenset({asset})
    amounts = {each: amount_of(each, 1000) for each in Asset}
    error = unchanged(custody, lambda: ask(custody, baseline(custody, amount=amounts[asset])), PricesStale)
    assert error.data == {"status": "disputed"}
    (other,) = set(Asset) - {asset}
    assert ask(custody, baseline(custody, amount=amounts[other])).amount == amounts[other]


@pytest.mark.parametrize("asset", Asset)
def test_liens_that_stand_resolve_while_their_chain_is_disputed(custody: Custody, asset: Asset) -> None:
    custody.reserve("lien-1", amount_of(asset, 1000))
    custody.reserve("lien-2", amount_of(asset, 1000))
    custody.disputed = frozenset(Asset)
    assert custody.post("lien-1", amount_of(asset, 400)).state is LienState.POSTED
    assert custody.void("lien-2", amount_of(asset, 1000)).state is LienState.VOIDED


def test_what_was_reserved_is_answered_again_while_its_chain_is_disputed(custody: Custody) -> None:
    command = custody.lien_command(liens.ReserveLien, baseline(custody))
    terms: dict[str, Any] = {"principal": custody.engine, "prices": custody.prices()}
    first = custody.do(liens.reserve, command, disputed=frozenset(), **terms)
    assert custody.do(liens.reserve, command, disputed=frozenset(Asset), **terms) == first


def test_an_id_is_taken_once(custody: Custody) -> None:
    custody.reserve("lien-1", Sats(1000))
    unchanged(custody, lambda: ask(custody, baseline(custody)), AlreadyExists)


@pytest.mark.parametrize(
    "changes",
    [
        {"account": AccountId("acct-two")},
        {"lien": LienId("lien-2")},
        {"network": Network.TESTNET},
        {"kind": VOID, "expires_at": None},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_statement_about_something_else(custody: Custody, changes: dict[str, Any]) -> None:
    statement = baseline(custody, **changes)
    unchanged(custody, lambda: ask(custody, statement, lien=LienId("lien-1")), StatementMismatch)


def test_another_statement_is_no_encumbrance(custody: Custody) -> None:
    error = unchanged(
        custody,
        lambda: ask(custody, baseline(custody), envelope=custody.world.policy_envelope),
        StatementMalformed,
    )
    assert error.tag is Tag.STATEMENT_TYPE


def test_not_signed(custody: Custody) -> None:
    statement = baseline(custody)
    unchanged(
        custody,
        lambda: ask(custody, statement, envelope=statement.envelope()),
        StatementSignature,
    )


def test_signed_by_the_pledgor(custody: Custody) -> None:
    statement = baseline(custody)
    envelope = custody.world.sign(statement, custody.world.pledgor)
    error = unchanged(custody, lambda: ask(custody, statement, envelope=envelope), StatementSignature)
    assert error.tag is Tag.SIGNATURE_INVALID


def test_signed_by_another_as_well(custody: Custody) -> None:
    statement = baseline(custody)
    envelope = custody.world.sign(statement, custody.world.secured_party, custody.world.pledgor)
    unchanged(custody, lambda: ask(custody, statement, envelope=envelope), StatementSignature)


def test_the_signature_is_of_another_statement(custody: Custody) -> None:
    statement = baseline(custody)
    other = custody.world.sign(baseline(custody, amount=Sats(1)), custody.world.secured_party)
    envelope = replace(statement.envelope(), signatures=other.signatures)
    unchanged(custody, lambda: ask(custody, statement, envelope=envelope), StatementSignature)


def test_a_gap_in_the_chain_says_where_it_stands(custody: Custody) -> None:
    head = custody.reserve("lien-0", Sats(1000)).digest
    gap = baseline(custody, sequence=3)
    error = unchanged(custody, lambda: ask(custody, gap), StatementStale)
    assert error.data == {"sequence": "1", "digest": head}


def test_another_predecessor(custody: Custody) -> None:
    custody.reserve("lien-0", Sats(1000))
    other = baseline(custody, previous=Digest("ab" * 32))
    unchanged(custody, lambda: ask(custody, other), StatementStale)


def test_a_reservation_that_has_expired(custody: Custody) -> None:
    unchanged(custody, lambda: ask(custody, baseline(custody, expires_at=custody.now)), StatementStale)


def test_a_lien_that_is_none(custody: Custody) -> None:
    unchanged(custody, lambda: custody.post("lien-9", Sats(1)), NotFound)


def test_a_lien_is_posted_once(custody: Custody) -> None:
    custody.reserve("lien-1", Sats(1000))
    custody.post("lien-1", Sats(1000))
    unchanged(custody, lambda: custody.post("lien-1", Sats(1000)), StateConflict)


def test_a_lien_is_voided_once(custody: Custody) -> None:
    custody.reserve("lien-1", Sats(1000))
    custody.void("lien-1", Sats(1000))
    unchanged(custody, lambda: custody.void("lien-1", Sats(1000)), StateConflict)


def test_a_lapsed_reservation_is_not_posted_even_before_it_is_swept(custody: Custody) -> None:
    lien = custody.reserve("lien-1", Sats(1000))
    custody.now = lien.expires_at
    unchanged(custody, lambda: custody.post("lien-1", Sats(1000)), StateConflict)


def test_more_is_not_posted_than_was_reserved(custody: Custody) -> None:
    custody.reserve("lien-1", Sats(1000))
    error = unchanged(custody, lambda: custody.post("lien-1", Sats(1001)), StatementMismatch)
    assert error.tag is Tag.AMOUNT


def test_another_asset_is_not_posted(custody: Custody) -> None:
    custody.reserve("lien-1", Sats(1000))
    unchanged(custody, lambda: custody.post("lien-1", Wei(1000)), StatementMismatch)


def test_a_void_says_what_still_stands(custody: Custody) -> None:
    custody.reserve("lien-1", Sats(1000))
    unchanged(custody, lambda: custody.void("lien-1", Sats(999)), StatementMismatch)
