"""Proofs of ownership: an account's by its pairs of signers, a destination's by its owner; the BIP's vectors.

Vectors: https://github.com/bitcoin/bips/tree/master/bip-0322 (basic and generated).
"""

import json
import os
from dataclasses import replace
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from bip322core import build_to_sign, build_to_spend, message_hash
from bip322core.core import decode_address
from hypothesis import given
from hypothesis import strategies as st

from signers.bitcoin.bip322 import (
    ownership_challenge,
    sign_ownership,
    verify_destination_proof,
    verify_proof,
)
from signers.bitcoin.sign import PartialSignatures
from signers.statements.account import Account
from signers.statements.allowlist import (
    AllowlistEntry,
    BitcoinDestination,
    EthereumDestination,
    ownership_message,
)
from signers.statements.identifiers import (
    AccountId,
    DestinationId,
    EcdsaSignature,
    EthereumAddress,
    Proof,
    ScriptPubKey,
    Seconds,
)
from signers.statements.network import Network
from signers.statements.refusals import Refusal, Tag
from tests.signers.bitcoin import material, owners

MATERIAL = material.make()
ACCOUNT = MATERIAL.account
CHALLENGE = ownership_challenge(ACCOUNT)
HALVES = tuple(
    PartialSignatures(public_key=key.public, signatures=(key.compact(CHALLENGE.sighash),))
    for key in MATERIAL.cosigners
)
PROOF = owners.account_proof(ACCOUNT, HALVES[0], HALVES[1])


def verify(account: Account, proof: Proof) -> None:
    """Of the account's own message, as custody verifies it before it shows an address."""
    shown = verify_proof(
        account.bitcoin.script_pubkey.raw, account.bitcoin_ownership_message, proof, tag=Tag.SIGNATURE_INVALID
    )
    assert shown.form == "smp"


async def test_a_signer_builds_and_signs_the_message_of_the_statement() -> None:
    key = MATERIAL.cosigners[0]
    assert await sign_ownership(ACCOUNT, key=key.public, sign=key.sign) == HALVES[0]
    for part in (ACCOUNT.network, ACCOUNT.account, ACCOUNT.digest, ACCOUNT.bitcoin.script_pubkey):
        assert f" {part}" in ACCOUNT.bitcoin_ownership_message


async def test_a_key_of_another_account_is_not_even_asked() -> None:
    stranger = material.make("client-two").cosigners[0]
    asked: list[bytes] = []

    async def sign(digest: bytes) -> EcdsaSignature:
        asked.append(digest)
        return stranger.compact(digest)

    with pytest.raises(Refusal) as refused:
        await sign_ownership(ACCOUNT, key=stranger.public, sign=sign)
    assert (refused.value.tag, asked) == (Tag.ACCOUNT_KEYS, [])


async def test_a_wrong_half_does_not_leave() -> None:
    with pytest.raises(Refusal) as refused:
        await sign_ownership(ACCOUNT, key=MATERIAL.cosigners[0].public, sign=MATERIAL.cosigners[1].sign)
    assert refused.value.tag is Tag.SIGNATURE_INVALID


@pytest.mark.parametrize(("first", "second"), [*combinations(range(3), 2), (2, 0)])
def test_every_pair_proves(first: int, second: int) -> None:
    verify(ACCOUNT, owners.account_proof(ACCOUNT, HALVES[first], HALVES[second]))


def test_one_half_twice_is_no_pair() -> None:
    with pytest.raises(Refusal) as refused:
        verify(ACCOUNT, owners.account_proof(ACCOUNT, HALVES[1], HALVES[1]))
    assert refused.value.tag is Tag.SIGNATURE_INVALID


def test_a_proof_of_another_account_or_statement_is_refused() -> None:
    others = (
        material.make("client-two").account,
        replace(ACCOUNT, created_at=Seconds(ACCOUNT.created_at + 1)),
    )
    for other in others:
        with pytest.raises(Refusal) as refused:
            verify(other, PROOF)
        assert refused.value.tag is Tag.SIGNATURE_INVALID


@given(st.data())
def test_no_altered_proof_is_accepted(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(PROOF) - 1))
    letter = data.draw(st.sampled_from("ABCXYZabcxyz0189+/="))
    altered = Proof(PROOF[:at] + letter + PROOF[at + 1 :])
    if altered == PROOF:
        return
    with pytest.raises(Refusal) as refused:
        verify(ACCOUNT, altered)
    assert refused.value.tag is Tag.SIGNATURE_INVALID


def entry(owner: owners.Owner) -> AllowlistEntry:
    """An entry that still lacks its proof."""
    return AllowlistEntry(
        network=Network.REGTEST,
        account=AccountId("client-one"),
        destination_id=DestinationId("treasury"),
        destination=BitcoinDestination(script_pubkey=owner.script),
        proof=Proof("smpAA=="),
        created_at=material.NOW,
        usable_at=material.NOW,
    )


def message_of(made: AllowlistEntry) -> str:
    return ownership_message(
        network=made.network,
        account=made.account,
        destination_id=made.destination_id,
        destination=made.destination,
    )


def proven(owner: owners.Owner) -> AllowlistEntry:
    made = entry(owner)
    return replace(made, proof=owner.simple(message_of(made)))


@pytest.mark.parametrize("owner", owners.NATIVE.values(), ids=owners.NATIVE.keys())
def test_a_simple_proof_of_a_native_script_is_accepted(owner: owners.Owner) -> None:
    made = proven(owner)
    verify_destination_proof(made)
    verify_destination_proof(replace(made, proof=Proof(made.proof.removeprefix("smp"))))


@pytest.mark.parametrize("owner", owners.EVERY.values(), ids=owners.EVERY.keys())
def test_a_full_proof_of_every_script_is_accepted(owner: owners.Owner) -> None:
    made = entry(owner)
    verify_destination_proof(replace(made, proof=owner.full(message_of(made))))


@pytest.mark.parametrize("owner", owners.KEYLESS.values(), ids=owners.KEYLESS.keys())
def test_a_script_that_asks_for_no_signature_proves_nobody(owner: owners.Owner) -> None:
    made = entry(owner)
    for proof in (owner.simple(message_of(made)), owner.full(message_of(made))):
        with pytest.raises(Refusal) as refused:
            verify_destination_proof(replace(made, proof=proof))
        assert refused.value.tag is Tag.ALLOWLIST_PROOF
        assert "no signature" in refused.value.detail


BASELINE = proven(owners.P2WPKH)
LATER = owners.P2WPKH.full(message_of(BASELINE), lock_time=500)
AGED = owners.P2WPKH.full(message_of(BASELINE), sequence=5)
UNPROVEN: dict[str, dict[str, Any]] = {
    "another account": {"account": AccountId("client-two")},
    "another destination id": {"destination_id": DestinationId("elsewhere")},
    "another network": {"network": Network.TESTNET},
    "another script": {"destination": BitcoinDestination(script_pubkey=owners.P2WSH.script)},
    "an address of the other chain": {"destination": EthereumDestination(address=EthereumAddress("77" * 20))},
    "no signature": {"proof": Proof("smpAA==")},
    "not base64": {"proof": Proof("smp=")},
    "another's signature": {"proof": proven(owners.P2WSH).proof},
    "a proof that holds from a later height": {"proof": LATER},
    "a proof that holds from a later age": {"proof": AGED},
    "nobody's script": {"destination": BitcoinDestination(script_pubkey=ScriptPubKey("6a"))},
    "a script of a version without meaning": {
        "destination": BitcoinDestination(script_pubkey=ScriptPubKey("5202abcd"))
    },
}


@pytest.mark.parametrize("changes", UNPROVEN.values(), ids=UNPROVEN.keys())
def test_one_mutation_of_an_entry_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(Refusal) as refused:
        verify_destination_proof(replace(BASELINE, **changes))
    assert refused.value.tag is Tag.ALLOWLIST_PROOF


def test_a_later_proof_is_valid_but_says_so() -> None:
    shown = verify_proof(owners.P2WPKH.script.raw, message_of(BASELINE), LATER, tag=Tag.ALLOWLIST_PROOF)
    assert (shown.form, shown.lock_time) == ("ful", 500)


@given(st.binary(max_size=120))
def test_arbitrary_proofs_are_refused(data: bytes) -> None:
    for text in ("smp" + data.hex(), "ful" + data.hex(), "pof" + data.hex(), data.hex()):
        with pytest.raises(Refusal):
            verify_proof(owners.P2WPKH.script.raw, "message", text, tag=Tag.ALLOWLIST_PROOF)


def _vector_folder() -> Path:
    root = Path(__file__).resolve().parents[3]
    return Path(os.environ.get("BAILEE_SHARED", root.parent / "shared")) / "vectors" / "bip-0322"


@cache
def _vectors() -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for name in ("basic", "generated"):
        path = _vector_folder() / f"{name}-test-vectors.json"
        if not path.is_file():
            return {}
        for kind, rows in json.loads(path.read_text()).items():
            found.setdefault(kind, []).extend(rows)
    return found


needs_vectors = pytest.mark.skipif(
    not _vectors(),
    reason="no BIP-322 vectors beside the repository; name their folder in BAILEE_SHARED",
)


@needs_vectors
def test_the_vectors_are_all_there() -> None:
    counts = {kind: len(rows) for kind, rows in _vectors().items()}
    assert counts == {"tx_hashes": 3, "simple": 8, "full": 10, "proof_of_funds": 3, "error": 36}


@needs_vectors
@pytest.mark.parametrize("row", _vectors().get("tx_hashes", []), ids=lambda row: row["message"][:20])
def test_vector_hashes(row: dict[str, Any]) -> None:
    message, script = row["message"].encode(), decode_address(row["address"])
    to_spend = build_to_spend(message, script)
    assert message_hash(message).hex() == row["message_hash"]
    assert to_spend.txid().hex() == row["to_spend_tx_hash"]
    assert build_to_sign(to_spend.txid()).txid().hex() == row["to_sign_tx_hash"]


VALID = [
    (form, row)
    for kind, form in (("simple", "smp"), ("full", "ful"), ("proof_of_funds", "pof"))
    for row in _vectors().get(kind, [])
]


@needs_vectors
@pytest.mark.parametrize(("form", "row"), VALID, ids=[f"{form}-{row['type']}" for form, row in VALID])
def test_valid_vectors(form: str, row: dict[str, Any]) -> None:
    for signature in row["bip322_signatures"]:
        shown = verify_proof(
            decode_address(row["address"]), row["message"], signature, tag=Tag.SIGNATURE_INVALID
        )
        assert shown.form == form
        assert (shown.lock_time, shown.sequence) == (row.get("lock_time", 0), row.get("sequence", 0))


@needs_vectors
@pytest.mark.parametrize("row", _vectors().get("error", []), ids=lambda row: row["description"])
def test_invalid_vectors(row: dict[str, Any]) -> None:
    with pytest.raises(Refusal) as refused:
        verify_proof(
            decode_address(row["address"]), row["message"], row["signature"], tag=Tag.SIGNATURE_INVALID
        )
    assert refused.value.tag is Tag.SIGNATURE_INVALID
