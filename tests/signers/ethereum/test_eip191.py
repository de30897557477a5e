"""Proofs of ownership by signed message: the account's by its holder, a destination's by its owner."""

from dataclasses import replace
from typing import Any

import pytest
from eth_account import Account as EthAccount
from eth_account.messages import _hash_eip191_message, encode_defunct
from hypothesis import given
from hypothesis import strategies as st

from signers.ethereum.address import address_of
from signers.ethereum.eip191 import (
    message_digest,
    sign_ownership,
    verify_account_proof,
    verify_destination_proof,
)
from signers.statements.allowlist import (
    AllowlistEntry,
    BitcoinDestination,
    EthereumDestination,
    ownership_message,
)
from signers.statements.identifiers import AccountId, DestinationId, EthereumAddress, Proof, Seconds
from signers.statements.network import Network
from signers.statements.refusals import Refusal, Tag
from tests.signers.bitcoin import material as btc
from tests.signers.ethereum.material import MATERIAL

ACCOUNT = MATERIAL.account
OWNER = btc.Key.named("owner of the destination")
ORDER = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141


@given(st.text(max_size=200))
def test_the_hash_agrees_with_eth_account(message: str) -> None:
    assert message_digest(message) == _hash_eip191_message(encode_defunct(text=message))


async def test_the_holder_proves_the_account() -> None:
    proof = await sign_ownership(ACCOUNT, sign=MATERIAL.holder.sign_recoverably)
    assert len(proof) == 130
    verify_account_proof(ACCOUNT, proof)
    for part in (ACCOUNT.network, ACCOUNT.account, ACCOUNT.digest, ACCOUNT.ethereum.address):
        assert f" {part}" in ACCOUNT.ethereum_ownership_message


async def test_a_wrong_signature_does_not_leave() -> None:
    with pytest.raises(Refusal) as refused:
        await sign_ownership(ACCOUNT, sign=OWNER.sign_recoverably)
    assert refused.value.tag is Tag.SIGNATURE_INVALID


async def test_a_proof_of_another_account_or_statement_is_refused() -> None:
    proof = await sign_ownership(ACCOUNT, sign=MATERIAL.holder.sign_recoverably)
    later = replace(ACCOUNT, created_at=Seconds(ACCOUNT.created_at + 1))
    for other in (btc.make("client-two").account, later):
        with pytest.raises(Refusal) as refused:
            verify_account_proof(other, proof)
        assert refused.value.tag is Tag.SIGNATURE_INVALID


def signed(key: btc.Key, message: str) -> Proof:
    """As a wallet of the owner would, by eth-account."""
    return Proof(EthAccount.sign_message(encode_defunct(text=message), key.private.secret).signature.hex())


def entry(proof: str = "00") -> AllowlistEntry:
    return AllowlistEntry(
        network=Network.REGTEST,
        account=AccountId("client-one"),
        destination_id=DestinationId("treasury"),
        destination=EthereumDestination(address=address_of(OWNER.public)),
        proof=Proof(proof),
        created_at=btc.NOW,
        usable_at=btc.NOW,
    )


MESSAGE = ownership_message(
    network=Network.REGTEST,
    account=AccountId("client-one"),
    destination_id=DestinationId("treasury"),
    destination=entry().destination,
)
PROOF = signed(OWNER, MESSAGE)
BASELINE = entry(PROOF)


def test_the_owners_signature_is_accepted() -> None:
    verify_destination_proof(BASELINE)
    verify_destination_proof(entry("0x" + PROOF))


def _high_s() -> str:
    r, s, v = PROOF[:64], int(PROOF[64:128], 16), int(PROOF[128:], 16)
    return f"{r}{ORDER - s:064x}{55 - v:02x}"


UNPROVEN: dict[str, dict[str, Any]] = {
    "another account": {"account": AccountId("client-two")},
    "another destination id": {"destination_id": DestinationId("elsewhere")},
    "another network": {"network": Network.TESTNET},
    "another address": {"destination": EthereumDestination(address=EthereumAddress("77" * 20))},
    "a script of the other chain": {"destination": BitcoinDestination(script_pubkey=btc.PAYEE)},
    "another's signature": {"proof": signed(MATERIAL.holder, MESSAGE)},
    "high S": {"proof": Proof(_high_s())},
    "the other recovery value": {"proof": Proof(PROOF[:128] + ("1c" if PROOF.endswith("1b") else "1b"))},
    "a recovery value of 0": {"proof": Proof(PROOF[:128] + "00")},
    "upper case": {"proof": Proof(PROOF.upper())},
    "too short": {"proof": Proof(PROOF[:-2])},
    "zero": {"proof": Proof("00" * 64 + "1b")},
    "not hexadecimal": {"proof": Proof("smpAA==")},
}


@pytest.mark.parametrize("changes", UNPROVEN.values(), ids=UNPROVEN.keys())
def test_one_mutation_of_an_entry_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(Refusal) as refused:
        verify_destination_proof(replace(BASELINE, **changes))
    assert refused.value.tag is Tag.ALLOWLIST_PROOF


@given(st.integers(0, 8 * 65 - 1))
def test_no_proof_with_a_flipped_bit_is_accepted(bit: int) -> None:
    altered = f"{int(PROOF, 16) ^ (1 << bit):0130x}"
    with pytest.raises(Refusal):
        verify_destination_proof(entry(altered))
