"""Onboarding by the driver: from an account without keys to an active one, and killed at every moment."""

from dataclasses import replace

import pytest

from custody.adapters.ownership import verify_ownership
from custody.application.ports.verification import OwnershipUnproven
from custody.domain.account import AccountState
from signers.statements.account import Account
from signers.statements.identifiers import Seconds
from tests.unit.custody.workers.fake_signers import ownership_part
from tests.unit.custody.workers.stage import Kill, Killed, Stage

MOMENTS_MAX = 200


def begun() -> Stage:
    stage = Stage(active=False)
    stage.custody.pin()
    stage.custody.create_account()
    return stage


async def drive(stage: Stage) -> None:
    for _ in range(40):
        if not await stage.onboarding.tick():
            break


async def journey(stage: Stage) -> None:
    await drive(stage)
    if stage.custody.account.state is AccountState.AWAITING_SIGNATURES:
        sign_by_parties(stage)
    await drive(stage)


def state(stage: Stage) -> AccountState:
    return stage.custody.account.state


def sign_by_parties(stage: Stage) -> None:
    """The parties sign the statement that the driver made."""
    custody, world = stage.custody, stage.world
    onboarding = custody.ask(lambda uow: uow.onboarding(custody.account_id))
    assert onboarding.statement is not None
    stage.signers.proven = Account.read(onboarding.statement, network=world.network)
    people = (
        (custody.pledgor, world.pledgor),
        (custody.engine, world.secured_party),
        (custody.custodian, world.custodian),
    )
    for principal, person in people:
        if not onboarding.statement.signed_by(person.public_key):
            bare = type(onboarding.statement)(onboarding.statement.payload_type, onboarding.statement.payload)
            custody.sign_account(principal, world.sign(bare, person))


async def test_keys_statement_cosignatures_proofs_active() -> None:
    stage = begun()
    await drive(stage)
    assert stage.custody.account.state is AccountState.AWAITING_SIGNATURES
    sign_by_parties(stage)
    await drive(stage)
    account = stage.custody.account
    assert account.state is AccountState.ACTIVE
    assert account.script_pubkey == stage.world.account.bitcoin.script_pubkey
    assert account.ethereum_address == stage.world.account.ethereum.address


async def test_killed_before_and_after_every_call_it_becomes_active_with_the_same_keys() -> None:
    for moment in range(MOMENTS_MAX):
        stage = begun()
        kill = Kill(at=moment)
        stage.start(kill)
        try:
            await journey(stage)
        except Killed:
            stage.start()
            await journey(stage)
        assert stage.custody.account.state is AccountState.ACTIVE
        assert stage.custody.account.script_pubkey == stage.world.account.bitcoin.script_pubkey
        if kill.passed <= moment:
            assert moment > 40
            return
    pytest.fail(f"more than {MOMENTS_MAX} moments")


async def test_no_address_is_watched_before_every_pair_has_proven() -> None:
    stage = begun()
    corrupt = stage.world.signers[2].signer
    stage.signers.each[corrupt].corrupts = True
    await journey(stage)
    assert state(stage) is AccountState.PROVING_OWNERSHIP
    assert not stage.custody.ask(lambda uow: uow.watched())
    stage.signers.each[corrupt].corrupts = False
    for _ in range(4):
        stage.pass_time(400)
        await drive(stage)
    assert state(stage) is AccountState.ACTIVE


@pytest.fixture
def stage() -> Stage:
    return Stage(active=False)


def test_honest_proofs_are_accepted(stage: Stage) -> None:
    account = stage.world.account
    verify_ownership(account, [ownership_part(account, party) for party in stage.world.signers])


@pytest.mark.parametrize("index", [0, 1, 2])
def test_one_corrupt_part_is_refused_whichever_it_is(stage: Stage, index: int) -> None:
    """Two of three pairs then fail; the one that works is not enough to show an address."""
    account = stage.world.account
    parts = [
        ownership_part(account, party, corrupt=n == index) for n, party in enumerate(stage.world.signers)
    ]
    with pytest.raises(OwnershipUnproven, match=stage.world.signers[index].signer):
        verify_ownership(account, parts)


def test_a_missing_part_is_refused(stage: Stage) -> None:
    account = stage.world.account
    parts = [ownership_part(account, party) for party in stage.world.signers[:2]]
    with pytest.raises(OwnershipUnproven, match="not one of each"):
        verify_ownership(account, parts)


def test_a_part_given_twice_is_refused(stage: Stage) -> None:
    account = stage.world.account
    parts = [ownership_part(account, party) for party in stage.world.signers]
    with pytest.raises(OwnershipUnproven, match="not one of each"):
        verify_ownership(account, [*parts, parts[0]])


def test_a_proof_over_another_account_is_refused(stage: Stage) -> None:
    account = stage.world.account
    other = replace(account, created_at=Seconds(account.created_at + 1))
    parts = [ownership_part(other, party) for party in stage.world.signers]
    with pytest.raises(OwnershipUnproven):
        verify_ownership(account, parts)


def test_an_ethereum_signature_of_another_key_is_refused(stage: Stage) -> None:
    account, parties = stage.world.account, stage.world.signers
    parts = [ownership_part(account, party) for party in parties]
    stolen = replace(parties[0], ethereum_key=parties[1].ethereum_key)
    parts[0] = replace(parts[0], ethereum=ownership_part(account, stolen).ethereum)
    with pytest.raises(OwnershipUnproven, match="another address"):
        verify_ownership(account, parts)


def test_no_ethereum_signature_is_refused(stage: Stage) -> None:
    account = stage.world.account
    parts = [ownership_part(account, party) for party in stage.world.signers]
    parts[0] = replace(parts[0], ethereum=None)
    with pytest.raises(OwnershipUnproven, match="has not signed"):
        verify_ownership(account, parts)


async def test_the_ethereum_key_is_asked_of_its_holder() -> None:
    stage = begun()
    await drive(stage)
    onboarding = stage.custody.ask(lambda uow: uow.onboarding(stage.custody.account_id))
    statement = Account.read(onboarding.statement, network=stage.world.network)
    assert statement.ethereum.holder == stage.world.account.ethereum.holder
