"""Onboarding: every step, in order, and every way it is refused."""

from dataclasses import replace
from typing import Any

import pytest

from custody.application import accounts, onboarding
from custody.domain.account import AccountState, OwnershipProof
from custody.domain.errors import (
    AccountNotFound,
    AlreadyExists,
    EtagStale,
    FieldInvalid,
    PolicyForbids,
    PrincipalNotAllowed,
    StateConflict,
    StatementMalformed,
    StatementMismatch,
    StatementSignature,
)
from custody.domain.identifiers import Etag
from custody.domain.principal import Role
from signers.statements.account import Party
from signers.statements.amounts import Asset
from signers.statements.envelope import Envelope
from signers.statements.identifiers import AccountId, EthereumAddress, Seconds
from signers.statements.refusals import Tag
from tests.factories import World, build_world
from tests.unit.custody.scenario import Custody, unchanged


@pytest.fixture
def custody() -> Custody:
    custody = Custody()
    custody.pin()
    return custody


def test_an_account_goes_from_nothing_to_active(custody: Custody) -> None:
    assert custody.create_account().state is AccountState.CREATING_KEYS
    custody.make_keys()
    prepared = custody.prepare()
    assert prepared.state is AccountState.AWAITING_SIGNATURES
    assert prepared.script_pubkey == custody.world.account.bitcoin.script_pubkey
    custody.sign_by_parties()
    assert custody.account.state == "cosigning"
    custody.cosign()
    assert custody.account.state == "proving-ownership"
    assert custody.ask(lambda uow: uow.watched()) == []
    custody.prove()
    active = custody.do(onboarding.activate, onboarding.ActivateAccount(account=custody.account_id))
    assert active.state is AccountState.ACTIVE
    (watched,) = custody.ask(lambda uow: uow.watched())
    assert watched.ethereum_address == custody.world.account.ethereum.address


def test_every_step_counts_once_in_the_sequence(custody: Custody) -> None:
    custody.onboard()
    changes = custody.ask(lambda uow: uow.changes(custody.account_id, after=0, limit=100))
    assert [change.sequence for change in changes] == list(range(1, custody.account.sequence + 1))


def test_every_driver_step_may_be_repeated(custody: Custody) -> None:
    custody.create_account()
    for action in (custody.make_keys, custody.prepare):
        action()
        before = custody.dump()
        action()
        assert custody.dump() == before
    custody.sign_by_parties()
    for action in (custody.cosign, custody.prove):
        action()
        before = custody.dump()
        action()
        assert custody.dump() == before


# create


def test_only_the_custodian_opens_accounts(custody: Custody) -> None:
    world = custody.world
    command = accounts.CreateAccount(
        request_id=custody.fresh(),
        account=world.account.account,
        pledgor=world.pledgor.party,
        secured_party=world.secured_party.party,
        custodian=world.custodian.party,
        enforcement=world.account.enforcement,
    )
    unchanged(
        custody,
        lambda: custody.do(accounts.create, command, principal=custody.pledgor),
        PrincipalNotAllowed,
    )


def test_an_id_is_taken_once(custody: Custody) -> None:
    custody.create_account()
    unchanged(custody, custody.create_account, AlreadyExists)


def test_the_parties_are_three_entities(custody: Custody) -> None:
    same = replace(custody.world.secured_party.party, entity=custody.world.pledgor.entity)
    unchanged(custody, lambda: custody.create_account(secured_party=same), FieldInvalid)


def test_the_parties_have_three_keys(custody: Custody) -> None:
    same = replace(custody.world.secured_party.party, public_key=custody.world.pledgor.public_key)
    unchanged(custody, lambda: custody.create_account(secured_party=same), FieldInvalid)


def test_a_party_key_is_not_another_entitys_in_the_policy(custody: Custody) -> None:
    world = custody.world
    shared = Party(entity=world.pledgor.entity, public_key=world.approvers[0].public_key)
    error = unchanged(custody, lambda: custody.create_account(pledgor=shared), PolicyForbids)
    assert error.tag is Tag.POLICY_SHARED_KEY


@pytest.mark.parametrize("machine", ["custody", "signer"])
def test_a_machines_key_is_no_partys(custody: Custody, machine: str) -> None:
    world = custody.world
    key = world.attestation.public_key if machine == "custody" else world.signers[2].public_key
    party = Party(entity=world.pledgor.entity, public_key=key)
    error = unchanged(custody, lambda: custody.create_account(pledgor=party), PolicyForbids)
    assert error.tag is Tag.POLICY_SHARED_KEY


def test_without_a_policy_nothing_begins() -> None:
    custody = Custody()
    unchanged(custody, custody.create_account, StateConflict)


# keys and statement


def key_command(custody: Custody, envelope: Envelope) -> onboarding.RecordAccountKey:
    return onboarding.RecordAccountKey(account=custody.account_id, envelope=envelope)


def record_key(custody: Custody, envelope: Envelope) -> Any:
    return custody.do(onboarding.record_account_key, key_command(custody, envelope))


def test_a_key_is_signed_by_the_signer_it_names(custody: Custody) -> None:
    custody.create_account()
    world = custody.world
    key = world.account_key(world.signers[0], Asset.BTC)
    forged = world.cosign(key, world.signers[1])
    error = unchanged(custody, lambda: record_key(custody, forged), StatementSignature)
    assert error.tag is Tag.ACCOUNT_KEYS


def test_a_key_is_of_this_account(custody: Custody) -> None:
    custody.create_account()
    elsewhere = Custody(build_world(seed="elsewhere"))
    other = elsewhere.world
    account = AccountId("acct-two")
    key, proof = custody.world.possession(
        custody.world.signers[0].bitcoin_key,
        signer=custody.world.signers[0].signer,
        asset=Asset.BTC,
        account=account,
    )
    statement = replace(
        custody.world.account_key(custody.world.signers[0], Asset.BTC),
        account=account,
        public_key=key,
        proof=proof,
    )
    envelope = custody.world.cosign(statement, custody.world.signers[0])
    unchanged(custody, lambda: record_key(custody, envelope), StatementMismatch)
    assert other.account.account == custody.account_id


def test_a_signers_key_never_changes(custody: Custody) -> None:
    custody.create_account()
    world = custody.world
    signer = world.signers[0]
    record_key(custody, world.cosign(world.account_key(signer, Asset.BTC), signer))
    public, proof = world.possession(world.signers[1].bitcoin_key, signer=signer.signer, asset=Asset.BTC)
    other = replace(world.account_key(signer, Asset.BTC), public_key=public, proof=proof)
    unchanged(custody, lambda: record_key(custody, world.cosign(other, signer)), StatementMismatch)


def test_another_statement_is_no_key(custody: Custody) -> None:
    custody.create_account()
    unchanged(custody, lambda: record_key(custody, custody.world.policy_envelope), StatementMalformed)


def prepare(custody: Custody, world: World) -> Any:
    command = onboarding.PrepareStatement(account=custody.account_id, statement=world.account)
    return custody.do(onboarding.statement_prepared, command)


def test_the_statement_names_only_keys_on_record(custody: Custody) -> None:
    custody.create_account()
    error = unchanged(custody, lambda: prepare(custody, custody.world), StatementMismatch)
    assert error.tag is Tag.ACCOUNT_KEYS


def test_the_statement_says_the_terms_of_the_account(custody: Custody) -> None:
    custody.create_account()
    custody.make_keys()
    enforcement = replace(custody.world.account.enforcement, ethereum=EthereumAddress("e3" * 20))
    other = replace(custody.world.account, enforcement=enforcement)
    error = unchanged(
        custody, lambda: prepare(custody, replace(custody.world, account=other)), StatementMismatch
    )
    assert error.tag is Tag.ACCOUNT_CONFLICT


def test_a_statement_is_fixed_once(custody: Custody) -> None:
    custody.create_account()
    custody.make_keys()
    custody.prepare()
    later = replace(custody.world.account, created_at=Seconds(custody.now - 1))
    unchanged(custody, lambda: prepare(custody, replace(custody.world, account=later)), StateConflict)


# sign


@pytest.fixture
def prepared(custody: Custody) -> Custody:
    custody.create_account()
    custody.make_keys()
    custody.prepare()
    return custody


def test_a_party_signs_with_its_own_key(prepared: Custody) -> None:
    world = prepared.world
    envelope = world.sign(world.account, world.secured_party)
    unchanged(prepared, lambda: prepared.sign_account(prepared.pledgor, envelope), StatementSignature)


def test_a_party_signs_alone(prepared: Custody) -> None:
    world = prepared.world
    envelope = world.sign(world.account, world.pledgor, world.secured_party)
    unchanged(prepared, lambda: prepared.sign_account(prepared.pledgor, envelope), StatementSignature)


def test_a_party_signs_what_is_on_record(prepared: Custody) -> None:
    other = replace(prepared.world.account, created_at=Seconds(prepared.now - 1))
    envelope = prepared.world.sign(other, prepared.world.pledgor)
    unchanged(prepared, lambda: prepared.sign_account(prepared.pledgor, envelope), StatementMismatch)


def test_a_stranger_sees_no_account(prepared: Custody) -> None:
    envelope = prepared.world.sign(prepared.world.account, prepared.world.pledgor)
    unchanged(prepared, lambda: prepared.sign_account(prepared.stranger, envelope), AccountNotFound)


def test_who_may_see_may_not_therefore_sign(prepared: Custody) -> None:
    auditor = replace(prepared.stranger, roles=frozenset({Role.AUDITOR}))
    envelope = prepared.world.sign(prepared.world.account, prepared.world.pledgor)
    unchanged(prepared, lambda: prepared.sign_account(auditor, envelope), PrincipalNotAllowed)


def test_a_stale_etag_is_refused(prepared: Custody) -> None:
    envelope = prepared.world.sign(prepared.world.account, prepared.world.pledgor)
    command = accounts.SignAccount(
        request_id=prepared.fresh(),
        account=prepared.account_id,
        etag=Etag("0" * 32),
        envelope=envelope,
    )
    unchanged(
        prepared,
        lambda: prepared.do(accounts.sign, command, principal=prepared.pledgor),
        EtagStale,
    )


def test_nobody_signs_once_all_have(prepared: Custody) -> None:
    prepared.sign_by_parties()
    envelope = prepared.world.sign(prepared.world.account, prepared.world.pledgor)
    unchanged(prepared, lambda: prepared.sign_account(prepared.pledgor, envelope), StateConflict)


# co-signatures, proofs, active


def test_only_the_policys_signers_cosign(prepared: Custody) -> None:
    prepared.sign_by_parties()
    envelope = prepared.world.sign(prepared.world.account, prepared.world.stranger)
    command = onboarding.RecordCosignature(account=prepared.account_id, envelope=envelope)
    unchanged(prepared, lambda: prepared.do(onboarding.record_cosignature, command), StatementSignature)


def test_signers_cosign_after_the_parties(prepared: Custody) -> None:
    unchanged(prepared, prepared.cosign, StateConflict)


def test_an_account_with_a_proof_missing_is_not_active(prepared: Custody) -> None:
    prepared.sign_by_parties()
    prepared.cosign()
    for signer in prepared.world.signers[:2]:
        proof = OwnershipProof(signer=signer.signer, bitcoin=b"der", ethereum=b"rsv")
        command = onboarding.RecordOwnershipProof(account=prepared.account_id, proof=proof)
        prepared.do(onboarding.record_ownership_proof, command)
    activate = onboarding.ActivateAccount(account=prepared.account_id)
    unchanged(prepared, lambda: prepared.do(onboarding.activate, activate), StatementSignature)


def test_an_account_without_the_holders_proof_is_not_active(prepared: Custody) -> None:
    prepared.sign_by_parties()
    prepared.cosign()
    for signer in prepared.world.signers:
        proof = OwnershipProof(signer=signer.signer, bitcoin=b"der", ethereum=None)
        command = onboarding.RecordOwnershipProof(account=prepared.account_id, proof=proof)
        prepared.do(onboarding.record_ownership_proof, command)
    activate = onboarding.ActivateAccount(account=prepared.account_id)
    unchanged(prepared, lambda: prepared.do(onboarding.activate, activate), StatementSignature)


def test_no_account_is_active_before_it_proves(prepared: Custody) -> None:
    activate = onboarding.ActivateAccount(account=prepared.account_id)
    unchanged(prepared, lambda: prepared.do(onboarding.activate, activate), StateConflict)
