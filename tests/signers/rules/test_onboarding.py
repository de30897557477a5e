"""Keys, co-signature and proof of ownership: the valid baseline, and one change for each refusal."""

from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from coincurve import PrivateKey

from signers.bitcoin.bip322 import verify_proof
from signers.bitcoin.sign import PartialSignatures, read_witness_signature
from signers.ethereum.eip191 import verify_account_proof
from signers.rules import onboarding
from signers.rules.announce import announce
from signers.rules.onboarding import (
    HeldElsewhere,
    Ownership,
    cosign_account,
    create_account_key,
    prove_ownership,
)
from signers.statements import multisig
from signers.statements.account import Account, AccountKey, BitcoinCosigner, BitcoinTerms
from signers.statements.amounts import Asset
from signers.statements.envelope import Envelope
from signers.statements.identifiers import (
    AccountId,
    Digest,
    EthereumAddress,
    Proof,
    Seconds,
    SignerId,
)
from signers.statements.network import Network
from signers.statements.refusals import Tag
from tests.factories import DAY, Person, World, build_world
from tests.signers.bitcoin.owners import account_proof
from tests.signers.fakes import real_proof
from tests.signers.marks import refused, refuses
from tests.signers.stage import Stage


@pytest.fixture
async def fresh(tmp_path: Path) -> AsyncIterator[Stage]:
    """Three signers that know no account yet."""
    stage = await Stage.set_up(tmp_path, onboarded=False)
    yield stage
    stage.close()


async def test_keys_are_vouched_for_and_repeat(fresh: Stage) -> None:
    world = fresh.world
    envelope = await create_account_key(fresh[1], world.account.account, Asset.BTC)
    assert isinstance(envelope, Envelope)
    statement = AccountKey.read(envelope, network=Network.REGTEST)
    assert envelope.signed_by(world.signers[1].public_key)
    assert statement.public_key == world.account.bitcoin.cosigners[1].public_key
    await fresh.restart(1)
    assert await create_account_key(fresh[1], world.account.account, Asset.BTC) == envelope


async def test_only_the_holder_makes_an_ether_key(fresh: Stage) -> None:
    account = fresh.world.account.account
    assert isinstance(await create_account_key(fresh[0], account, Asset.ETH), Envelope)
    elsewhere = HeldElsewhere(holder=fresh[0].id)
    assert await create_account_key(fresh[1], account, Asset.ETH) == elsewhere


async def test_cosigning_repeats(fresh: Stage) -> None:
    keys = await fresh.account_keys()
    first = await cosign_account(fresh[0], fresh.account_envelope(), keys)
    await fresh.restart(0)
    again = await cosign_account(fresh[0], fresh.account_envelope(), keys)
    assert first == again
    assert first.signed_by(fresh.world.signers[0].public_key)
    assert len(first.signatures) == 1


async def test_every_pair_proves_ownership_and_the_proof_repeats(stage: Stage) -> None:
    account = stage.world.account
    proofs = [await prove_ownership(signer, account.account, account.digest) for signer in stage.signers]
    halves = [
        PartialSignatures(
            public_key=account.bitcoin.cosigners[index].public_key,
            signatures=(read_witness_signature(proof.bitcoin),),
        )
        for index, proof in enumerate(proofs)
    ]
    message, script = account.bitcoin_ownership_message, account.bitcoin.script_pubkey.raw
    for pair in combinations(halves, 2):
        verify_proof(script, message, account_proof(account, *pair), tag=Tag.SIGNATURE_INVALID)
    assert [proof.ethereum is None for proof in proofs] == [False, True, True]
    assert proofs[0].ethereum is not None
    verify_account_proof(account, Proof(proofs[0].ethereum.hex()))
    await stage.restart(0)
    again: Ownership = await prove_ownership(stage[0], account.account, account.digest)
    assert again == proofs[0]


def signed_by_parties(world: World, account: Account) -> Envelope:
    return world.sign(account, world.pledgor, world.secured_party, world.custodian)


@refuses(Tag.ACCOUNT_PARTIES)
async def test_a_party_has_not_signed(fresh: Stage) -> None:
    world = fresh.world
    envelope = world.sign(world.account, world.pledgor, world.custodian)
    with refused(Tag.ACCOUNT_PARTIES):
        await cosign_account(fresh[0], envelope, await fresh.account_keys())


@refuses(Tag.ACCOUNT_KEYS)
async def test_a_signer_has_not_vouched_for_its_key(fresh: Stage) -> None:
    keys = await fresh.account_keys()
    with refused(Tag.ACCOUNT_KEYS):
        await cosign_account(fresh[0], fresh.account_envelope(), keys[:-1])


@refuses(Tag.ACCOUNT_KEYS)
async def test_a_key_that_custody_vouches_for(fresh: Stage) -> None:
    world, keys = fresh.world, await fresh.account_keys()
    forged = world.cosign(world.account_key(world.signers[2], Asset.BTC), world.signers[1])
    with refused(Tag.ACCOUNT_KEYS):
        await cosign_account(fresh[0], fresh.account_envelope(), [*keys[:-1], forged])


@refuses(Tag.ACCOUNT_KEYS)
async def test_an_own_key_that_was_not_made_here(
    fresh: Stage, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = await Stage.set_up(tmp_path_factory.mktemp("other"), world=fresh.world, onboarded=False)
    keys = await other.account_keys()
    with refused(Tag.ACCOUNT_KEYS):
        await cosign_account(fresh[0], fresh.account_envelope(), keys)
    other.close()


@refuses(Tag.ACCOUNT_KEYS)
async def test_an_address_that_is_not_the_keys(fresh: Stage) -> None:
    account = fresh.world.account
    wrong = replace(account, ethereum=replace(account.ethereum, address=EthereumAddress("66" * 20)))
    with refused(Tag.ACCOUNT_KEYS):
        await cosign_account(fresh[0], signed_by_parties(fresh.world, wrong), await fresh.account_keys())


@refuses(Tag.ACCOUNT_POLICY)
async def test_an_account_under_another_policy(fresh: Stage) -> None:
    account = replace(fresh.world.account, policy_digest=Digest("ab" * 32))
    with refused(Tag.ACCOUNT_POLICY):
        await cosign_account(fresh[0], signed_by_parties(fresh.world, account), await fresh.account_keys())


@refuses(Tag.ACCOUNT_POLICY)
async def test_a_key_of_someone_else_in_a_signers_place(fresh: Stage) -> None:
    """Every key of a signer that stands in the account is vouched for; one signer's does not stand there."""
    world, stranger = fresh.world, SignerId("stranger-one")
    key, proof = world.possession(PrivateKey(b"\x07" * 32), signer=stranger, asset=Asset.BTC)
    *others, _ = world.account.bitcoin.cosigners
    cosigners = (*others, BitcoinCosigner(signer=stranger, public_key=key, proof=proof))
    script = multisig.script_pubkey([each.public_key for each in cosigners])
    account = replace(world.account, bitcoin=BitcoinTerms(cosigners=cosigners, script_pubkey=script))
    with refused(Tag.ACCOUNT_POLICY):
        await cosign_account(fresh[0], signed_by_parties(world, account), await fresh.account_keys())


@refuses(Tag.ACCOUNT_CONFLICT)
async def test_other_terms_for_an_account_that_is_cosigned(stage: Stage) -> None:
    account = replace(stage.world.account, created_at=Seconds(stage.world.account.created_at + 1))
    with refused(Tag.ACCOUNT_CONFLICT):
        await cosign_account(stage[0], signed_by_parties(stage.world, account), await stage.account_keys())


@refuses(Tag.ACCOUNT_CONFLICT)
async def test_proof_for_another_statement(stage: Stage) -> None:
    with refused(Tag.ACCOUNT_CONFLICT):
        await prove_ownership(stage[0], stage.world.account.account, Digest("ab" * 32))


@refuses(Tag.ACCOUNT_UNKNOWN)
async def test_proof_before_the_account_is_cosigned(fresh: Stage) -> None:
    with refused(Tag.ACCOUNT_UNKNOWN):
        await prove_ownership(fresh[0], fresh.world.account.account, fresh.world.account.digest)


@refuses(Tag.ACCOUNT_MODE)
async def test_mainnet_lets_no_single_signer_hold_an_ether_key(tmp_path: Path) -> None:
    world = build_world(network=Network.MAINNET, prove=real_proof)
    stage = await Stage.set_up(tmp_path, world=world, onboarded=False)
    with refused(Tag.ACCOUNT_MODE):
        await create_account_key(stage[0], world.account.account, Asset.ETH)
    with refused(Tag.ACCOUNT_MODE):
        await cosign_account(stage[0], stage.account_envelope(), ())
    stage.close()


@refuses(Tag.ACCOUNT_MODE)
async def test_an_ether_key_at_another_holder_than_set_up(fresh: Stage) -> None:
    world = fresh.world
    key, proof = world.possession(
        world.signers[1].ethereum_key, signer=world.signers[1].signer, asset=Asset.ETH
    )
    terms = replace(world.account.ethereum, holder=world.signers[1].signer, public_key=key, proof=proof)
    account = replace(world.account, ethereum=terms)
    with refused(Tag.ACCOUNT_MODE):
        await cosign_account(fresh[0], signed_by_parties(world, account), await fresh.account_keys())


@refuses(Tag.POLICY_SHARED_KEY)
async def test_a_partys_key_stands_in_the_policy_under_another_entity(fresh: Stage) -> None:
    world = fresh.world
    shared = replace(world.account.secured_party, public_key=world.approvers[1].public_key)
    account = replace(world.account, secured_party=shared)
    envelope = world.sign(account, world.pledgor, world.approvers[1], world.custodian)
    with refused(Tag.POLICY_SHARED_KEY):
        await cosign_account(fresh[0], envelope, await fresh.account_keys())


@pytest.mark.parametrize("role", ["pledgor", "secured_party", "custodian"])
@pytest.mark.parametrize("machine", ["custody", "signer"])
@refuses(Tag.POLICY_SHARED_KEY)
async def test_a_machines_key_stands_in_the_account_as_a_partys(
    fresh: Stage, role: str, machine: str
) -> None:
    world = fresh.world
    key = world.attestation.key if machine == "custody" else world.signers[2].statement_key
    party = Person(entity=getattr(world, role).entity, key=key)
    changes: dict[str, Any] = {role: party.party}
    account = replace(world.account, **changes)
    people = {"pledgor": world.pledgor, "secured_party": world.secured_party, "custodian": world.custodian}
    envelope = world.sign(account, *{**people, role: party}.values())
    with refused(Tag.POLICY_SHARED_KEY):
        await cosign_account(fresh[0], envelope, await fresh.account_keys())


@refuses(Tag.JOURNAL_BEHIND)
async def test_no_key_is_made_before_the_journal_is_confirmed(fresh: Stage) -> None:
    fresh[0].journal.close()
    signer = fresh.start(0)
    before = signer.journal.sequence
    with refused(Tag.JOURNAL_BEHIND):
        await create_account_key(signer, fresh.world.account.account, Asset.BTC)
    assert signer.journal.sequence == before


async def test_custody_cannot_have_keys_made_without_end(
    fresh: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await create_account_key(fresh[0], AccountId("acct-one"), Asset.BTC)
    monkeypatch.setattr(onboarding, "ACCOUNT_KEYS_MAX", 1)
    await create_account_key(fresh[0], AccountId("acct-one"), Asset.BTC)
    with pytest.raises(onboarding.CapacityReached):
        await create_account_key(fresh[0], AccountId("acct-two"), Asset.BTC)


async def test_without_a_cooling_off_in_the_policy_a_new_entry_is_usable_at_once(tmp_path: Path) -> None:
    world = build_world(prove=real_proof, policy_changes={"allowlist_cooling_seconds": Seconds(0)})
    stage = await Stage.set_up(tmp_path, world=world)
    entry = world.allowlist_envelope(Asset.BTC, created_at=Seconds(world.now - DAY))
    await announce(stage[0], stage.announcement(stage.intent(Asset.BTC), allowlist_entry=entry))
    assert stage[0].journal.views.allowlist_first_seen[entry.digest] == stage.clock[0]
    stage.close()
