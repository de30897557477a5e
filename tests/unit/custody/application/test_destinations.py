"""The allowlist: the pledgor's word, the quorum's, and time."""

from dataclasses import replace
from typing import Any

import pytest

from custody.application import destinations
from custody.domain.destination import AllowedDestination, DestinationState
from custody.domain.errors import (
    AccountNotActive,
    AccountNotFound,
    AlreadyExists,
    ApproverNotEligible,
    EtagStale,
    NotFound,
    PrincipalNotAllowed,
    StateConflict,
    StatementMismatch,
    StatementSignature,
    StatementStale,
)
from custody.domain.identifiers import Etag
from custody.domain.principal import Principal, Role
from signers.statements.allowlist import BitcoinDestination, Destination, EthereumDestination
from signers.statements.amounts import Asset
from signers.statements.envelope import Envelope
from signers.statements.identifiers import AccountId, DestinationId, Seconds
from signers.statements.refusals import Tag
from tests.factories import DAY, Person
from tests.unit.custody.scenario import Custody, unchanged


@pytest.fixture
def custody() -> Custody:
    custody = Custody()
    custody.onboard()
    return custody


def create(
    custody: Custody, principal: Principal | None = None, signer: Person | None = None, **changes: Any
) -> AllowedDestination:
    entry = custody.world.allowlist_entry(Asset.BTC, **changes)
    command = destinations.CreateDestination(
        request_id=custody.fresh(),
        account=custody.account_id,
        destination_id=DestinationId("client-wallet-btc"),
        envelope=custody.world.sign(entry, signer or custody.world.pledgor),
    )
    return custody.do(destinations.create, command, principal=principal or custody.pledgor)


def approve(
    custody: Custody,
    present: AllowedDestination,
    *signers: Person,
    principal: Principal | None = None,
    **changes: Any,
) -> AllowedDestination:
    entry = Envelope(present.envelope.payload_type, present.envelope.payload)
    command = destinations.ApproveDestination(
        request_id=custody.fresh(),
        account=custody.account_id,
        destination_id=present.destination_id,
        etag=present.etag,
        envelope=custody.world.sign(entry, *(signers or (custody.world.approvers[0],))),
    )
    return custody.do(
        destinations.approve,
        replace(command, **changes),
        principal=principal or custody.approver(0),
    )


def test_an_entry_is_proposed_approved_and_cools_off(custody: Custody) -> None:
    found = create(custody)
    assert (found.state(now=custody.now), found.missing_approvals) == (
        DestinationState.PENDING_APPROVAL,
        2,
    )
    found = custody.approve_destination(found, 0)
    assert (found.missing_approvals, found.usable_at) == (1, None)
    found = custody.approve_destination(found, 1)
    # The factories' entry says an hour ago; the policy's cooling-off runs from the last approval.
    assert found.usable_at == custody.now + DAY
    assert found.state(now=custody.now) is DestinationState.COOLING
    assert found.state(now=Seconds(custody.now + DAY)) is DestinationState.USABLE


def test_two_approvers_at_once_do_not_abort_each_other(custody: Custody) -> None:
    found = create(custody)
    custody.approve_destination(found, 0)
    assert custody.approve_destination(found, 1).missing_approvals == 0


def test_the_custodian_proposes_nothing(custody: Custody) -> None:
    unchanged(custody, lambda: create(custody, custody.custodian), PrincipalNotAllowed)


def test_a_stranger_sees_no_account(custody: Custody) -> None:
    unchanged(custody, lambda: create(custody, custody.stranger), AccountNotFound)


@pytest.mark.parametrize("asset", Asset)
def test_a_destination_is_not_the_account_itself(custody: Custody, asset: Asset) -> None:
    """What is paid out there never leaves: the books would say that it did."""
    account = custody.world.account
    own: Destination = (
        BitcoinDestination(script_pubkey=account.bitcoin.script_pubkey)
        if asset is Asset.BTC
        else EthereumDestination(address=account.ethereum.address)
    )
    unchanged(custody, lambda: create(custody, destination=own), StatementMismatch)


def test_an_account_on_its_way_has_no_allowlist() -> None:
    custody = Custody()
    custody.pin()
    custody.create_account()
    unchanged(custody, lambda: create(custody), AccountNotActive)


def test_an_id_is_taken_once(custody: Custody) -> None:
    create(custody)
    unchanged(custody, lambda: create(custody), AlreadyExists)


@pytest.mark.parametrize(
    "changes",
    [{"account": AccountId("acct-two")}, {"destination_id": DestinationId("elsewhere")}],
    ids=lambda changes: next(iter(changes)),
)
def test_an_entry_of_something_else(custody: Custody, changes: dict[str, Any]) -> None:
    error = unchanged(custody, lambda: create(custody, **changes), StatementMismatch)
    assert error.tag is Tag.ALLOWLIST_UNKNOWN


def test_an_entry_is_the_pledgors(custody: Custody) -> None:
    signer = custody.world.custodian
    error = unchanged(custody, lambda: create(custody, signer=signer), StatementSignature)
    assert error.tag is Tag.ALLOWLIST_SIGNATURE


@pytest.mark.parametrize(
    "changes",
    [
        lambda now: {"created_at": Seconds(now + 121), "usable_at": Seconds(now + 121 + DAY)},
        lambda now: {"created_at": now, "usable_at": Seconds(now + DAY - 1)},
    ],
    ids=["made-later", "cools-too-little"],
)
def test_an_entry_keeps_the_policys_time(custody: Custody, changes: Any) -> None:
    error = unchanged(custody, lambda: create(custody, **changes(custody.now)), StatementStale)
    assert error.tag is Tag.ALLOWLIST_COOLING


def test_only_approvers_approve(custody: Custody) -> None:
    found = create(custody)
    unchanged(custody, lambda: approve(custody, found, principal=custody.custodian), PrincipalNotAllowed)


def test_an_entry_that_is_none(custody: Custody) -> None:
    found = create(custody)
    other = DestinationId("elsewhere")
    unchanged(custody, lambda: approve(custody, found, destination_id=other), NotFound)


def test_a_stale_etag(custody: Custody) -> None:
    found = create(custody)
    unchanged(custody, lambda: approve(custody, found, etag=Etag("0" * 32)), EtagStale)


def test_an_approved_entry_is_not_approved_again(custody: Custody) -> None:
    found = create(custody)
    custody.approve_destination(found, 0)
    done = custody.approve_destination(found, 1)
    unchanged(custody, lambda: custody.approve_destination(done, 2), StateConflict)


def test_the_same_entity_twice(custody: Custody) -> None:
    found = create(custody)
    custody.approve_destination(found, 0)
    error = unchanged(
        custody, lambda: approve(custody, found, custody.world.second_device), ApproverNotEligible
    )
    assert error.tag is Tag.POLICY_DUPLICATE_ENTITY


def test_the_pledgors_entity_does_not_approve_for_itself(custody: Custody) -> None:
    found = create(custody)
    principal = Principal(
        name="desk.client-one",
        entity=custody.world.pledgor.entity,
        roles=frozenset({Role.APPROVER}),
    )
    error = unchanged(
        custody,
        lambda: approve(custody, found, custody.world.pledgor_approver, principal=principal),
        ApproverNotEligible,
    )
    assert error.tag is Tag.POLICY_MAKER_CHECKER


def test_an_approver_sends_its_own_signature(custody: Custody) -> None:
    found = create(custody)
    unchanged(custody, lambda: approve(custody, found, custody.world.approvers[1]), ApproverNotEligible)


@pytest.mark.parametrize(
    ("who", "tag"), [("revoked", Tag.APPROVAL_KEY_REVOKED), ("stranger", Tag.APPROVAL_KEY_UNKNOWN)]
)
def test_a_key_that_counts_for_nothing(custody: Custody, who: str, tag: Tag) -> None:
    found = create(custody)
    error = unchanged(
        custody, lambda: approve(custody, found, getattr(custody.world, who)), StatementSignature
    )
    assert error.tag is tag


def test_an_approval_of_another_entry(custody: Custody) -> None:
    found = create(custody)
    other = custody.world.sign(custody.world.allowlist_entry(Asset.ETH), custody.world.approvers[0])
    unchanged(custody, lambda: approve(custody, found, envelope=other), StatementMismatch)
