"""An account's keys are each its own, each proven, and the script is theirs."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from coincurve import PrivateKey, PublicKey

from signers.statements import multisig
from signers.statements.account import (
    Account,
    BitcoinCosigner,
    BitcoinTerms,
    possession_challenge,
    proves_possession,
)
from signers.statements.amounts import Asset
from signers.statements.identifiers import (
    AccountId,
    CompressedKey,
    EcdsaSignature,
    EntityId,
    ScriptPubKey,
    SignerId,
)
from signers.statements.network import Network
from signers.statements.refusals import Tag
from tests.factories import World
from tests.unit.statements.refusing import refused

SECP256K1_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
CHALLENGE = bytes(range(32))
KEY = PrivateKey(b"\x05" * 32)
PUBLIC = CompressedKey(KEY.public_key.format().hex())
NEGATED = CompressedKey(("03" if PUBLIC.startswith("02") else "02") + PUBLIC[2:])
PROOF = EcdsaSignature(KEY.sign_recoverable(CHALLENGE, hasher=None)[:64].hex())


def cosigned(world: World, index: int, **changes: Any) -> BitcoinTerms:
    """The account's Bitcoin terms with one cosigner changed, and the script that follows from it."""
    cosigners = list(world.account.bitcoin.cosigners)
    cosigners[index] = replace(cosigners[index], **changes)
    return BitcoinTerms(
        cosigners=tuple(cosigners),
        script_pubkey=multisig.script_pubkey([cosigner.public_key for cosigner in cosigners]),
    )


def proven(world: World, index: int = 0, **changes: Any) -> dict[str, Any]:
    """Changes to a cosigner: a proof by its own key of something else."""
    signer = world.signers[index]
    told = {"signer": signer.signer, "asset": Asset.BTC, **changes}
    _, proof = world.possession(signer.bitcoin_key, **told)
    return {"bitcoin": cosigned(world, index, proof=proof)}


def shared_key(world: World) -> dict[str, Any]:
    """The ETH key of the holder is also its BTC key, honestly proven for both."""
    holder = world.signers[0]
    key, proof = world.possession(holder.ethereum_key, signer=holder.signer, asset=Asset.BTC)
    return {"bitcoin": cosigned(world, 0, public_key=key, proof=proof)}


def entity_twice(world: World) -> dict[str, Any]:
    return {"custodian": replace(world.account.custodian, entity=world.pledgor.entity)}


def key_twice(world: World) -> dict[str, Any]:
    return {"custodian": replace(world.account.custodian, public_key=world.pledgor.public_key)}


def proof_by_another_key(world: World) -> dict[str, Any]:
    other = world.account.bitcoin.cosigners[1].proof
    return {"bitcoin": cosigned(world, 0, proof=other)}


def outsider_holds(world: World) -> dict[str, Any]:
    outsider = SignerId("signer-four")
    key, proof = world.possession(world.signers[0].ethereum_key, signer=outsider, asset=Asset.ETH)
    return {"ethereum": replace(world.account.ethereum, holder=outsider, public_key=key, proof=proof)}


def ethereum_proof_of_bitcoin(world: World) -> dict[str, Any]:
    holder = world.signers[0]
    _, proof = world.possession(holder.ethereum_key, signer=holder.signer, asset=Asset.BTC)
    return {"ethereum": replace(world.account.ethereum, proof=proof)}


REFUSED: list[tuple[str, Callable[[World], dict[str, Any]], str]] = [
    ("one entity as two parties", entity_twice, "three entities"),
    ("one key for two parties", key_twice, "three keys"),
    ("the ETH key among the BTC keys", shared_key, "its own"),
    ("an ETH holder outside the signers", outsider_holds, "one of the signers"),
    ("another key's proof", proof_by_another_key, "signer-1 has not proven"),
    ("a proof by another signer", lambda w: proven(w, signer=SignerId("signer-2")), "not proven"),
    ("a proof for another account", lambda w: proven(w, account=AccountId("acct-two")), "not proven"),
    ("a proof for another asset", lambda w: proven(w, asset=Asset.ETH), "not proven"),
    ("a proof for another network", lambda w: proven(w, network=Network.TESTNET), "not proven"),
    ("a proof for another key", lambda w: proven(w, public_key=PUBLIC), "not proven"),
    ("the ETH proof is of BTC", ethereum_proof_of_bitcoin, "signer-1 has not proven"),
    ("another account's name", lambda w: {"account": AccountId("acct-two")}, "not proven"),
    ("another network's name", lambda w: {"network": Network.TESTNET}, "not proven"),
]


@pytest.mark.parametrize(("change", "says"), [pytest.param(c, s, id=name) for name, c, s in REFUSED])
def test_one_change_makes_it_no_account(
    world: World, change: Callable[[World], dict[str, Any]], says: str
) -> None:
    changes = change(world)
    with pytest.raises(ValueError, match=says):
        replace(world.account, **changes)


def test_what_is_no_account_is_malformed_when_read(world: World) -> None:
    payload = world.account.payload()
    with refused(Tag.STATEMENT_MALFORMED):
        Account.parse(payload.replace(b'"acct-client-one"', b'"acct-client-two"'))


def test_the_script_is_of_the_cosigners(world: World) -> None:
    with pytest.raises(ValueError, match="not that of the cosigners"):
        replace(world.account.bitcoin, script_pubkey=ScriptPubKey("0020" + "ab" * 32))


@pytest.mark.parametrize("count", [0, 1, 2])
def test_three_keys_no_fewer(world: World, count: int) -> None:
    with pytest.raises(ValueError, match="exactly three distinct keys"):
        replace(world.account.bitcoin, cosigners=world.account.bitcoin.cosigners[:count])


def test_two_equal_keys_are_no_account(world: World) -> None:
    one, _, three = world.account.bitcoin.cosigners
    with pytest.raises(ValueError, match="exactly three distinct keys"):
        replace(world.account.bitcoin, cosigners=(one, replace(one, signer=SignerId("signer-2")), three))


def test_one_signer_holds_one_key(world: World) -> None:
    with pytest.raises(ValueError, match="exactly one key"):
        cosigned(world, 1, signer=world.signers[0].signer)


def test_a_cosigners_key_is_found_by_its_signer(world: World) -> None:
    terms = world.account.bitcoin
    assert tuple(terms.key_of(each.signer) for each in terms.cosigners) == terms.keys
    with pytest.raises(LookupError, match="signer-9"):
        terms.key_of(SignerId("signer-9"))


def test_a_party_is_found_by_its_entity(world: World) -> None:
    for person in (world.pledgor, world.secured_party, world.custodian):
        assert world.account.party(person.entity) == person.party
    with pytest.raises(LookupError):
        world.account.party(EntityId("stranger-one"))


@pytest.mark.parametrize("asset", list(Asset))
def test_a_fresh_key_comes_with_its_proof(world: World, asset: Asset) -> None:
    fresh = world.account_key(world.signers[1], asset)
    assert fresh.public_key == world.signers[1].account_key(asset).public_key.format().hex()
    other = world.account_key(world.signers[2], asset)
    for changes in (
        {"signer": other.signer},
        {"account": AccountId("acct-two")},
        {"network": Network.MAINNET},
        {"asset": Asset.ETH if asset is Asset.BTC else Asset.BTC},
        {"public_key": other.public_key},
        {"proof": other.proof},
    ):
        with pytest.raises(ValueError, match="proof of possession"):
            replace(fresh, **changes)


# Proof of possession itself.


def test_possession_is_proven_by_the_key_over_the_challenge() -> None:
    assert proves_possession(PUBLIC, PROOF, CHALLENGE)
    assert not proves_possession(PUBLIC, PROOF, bytes(32))
    other = CompressedKey(PrivateKey(b"\x06" * 32).public_key.format().hex())
    assert not proves_possession(other, PROOF, CHALLENGE)
    assert not proves_possession(NEGATED, PROOF, CHALLENGE)


def test_a_high_s_proves_nothing() -> None:
    # (r, n - s) is the same signature's second spelling (BIP-62, BIP-146).
    s = SECP256K1_ORDER - int(PROOF[64:], 16)
    assert not proves_possession(PUBLIC, EcdsaSignature(PROOF[:64] + f"{s:064x}"), CHALLENGE)


@pytest.mark.parametrize(
    "proof",
    [
        "00" * 64,
        "ff" * 64,
        "00" * 32 + PROOF[64:],
        PROOF[:64] + "00" * 32,
        f"{SECP256K1_ORDER:064x}" + PROOF[64:],
        PROOF[:64] + f"{SECP256K1_ORDER:064x}",
    ],
)
def test_numbers_out_of_range_prove_nothing(proof: str) -> None:
    assert not proves_possession(PUBLIC, EcdsaSignature(proof), CHALLENGE)


@pytest.mark.parametrize("key", ["02" + "ff" * 32, "02" + "00" * 32, "02" + f"{5:064x}"])
def test_a_key_off_the_curve_proves_nothing(key: str) -> None:
    # 0 and 5 are the x of no point of y^2 = x^3 + 7.
    assert not proves_possession(CompressedKey(key), PROOF, CHALLENGE)


def test_a_key_recovered_from_any_signature_is_no_key_of_anyone(world: World) -> None:
    # The attack: take any r and s, and recover a key that they verify under for a challenge known beforehand.
    said: dict[str, Any] = {
        "network": world.network,
        "account": AccountId("acct-one"),
        "signer": SignerId("signer-1"),
    }
    beforehand = possession_challenge(**said, asset=Asset.BTC, public_key=PUBLIC)
    recovered = PublicKey.from_signature_and_message(PROOF.raw + b"\x00", beforehand, hasher=None)
    claimed = CompressedKey(recovered.format().hex())
    assert proves_possession(claimed, PROOF, beforehand)
    assert not proves_possession(
        claimed, PROOF, possession_challenge(**said, asset=Asset.BTC, public_key=claimed)
    )


def test_every_part_of_the_challenge_counts() -> None:
    base: dict[str, Any] = {
        "network": Network.REGTEST,
        "account": AccountId("acct-one"),
        "signer": SignerId("signer-1"),
        "asset": Asset.BTC,
        "public_key": PUBLIC,
    }
    changes: list[dict[str, Any]] = [
        {"network": Network.MAINNET},
        {"account": AccountId("acct-two")},
        {"signer": SignerId("signer-2")},
        {"asset": Asset.ETH},
        {"public_key": NEGATED},
    ]
    challenges = {possession_challenge(**{**base, **change}) for change in [{}, *changes]}
    assert len(challenges) == len(changes) + 1
    assert {len(challenge) for challenge in challenges} == {32}


def test_cosigners_may_stand_in_any_order(world: World) -> None:
    reversed_terms = replace(
        world.account.bitcoin, cosigners=tuple(reversed(world.account.bitcoin.cosigners))
    )
    assert replace(world.account, bitcoin=reversed_terms).bitcoin.script_pubkey == (
        world.account.bitcoin.script_pubkey
    )
    assert all(isinstance(cosigner, BitcoinCosigner) for cosigner in reversed_terms.cosigners)
