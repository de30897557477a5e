"""Signatures: made only of what was verified, checked twice, joined in any pair, judged by Core's rules."""

from dataclasses import replace
from itertools import combinations

import pytest
from bitcoin.core import CMutableTransaction, CTransaction, CTxInWitness, CTxWitness
from bitcoin.core.script import CScriptWitness
from hypothesis import given
from hypothesis import strategies as st

from signers.bitcoin.consensus import require_spendable
from signers.bitcoin.construct import build_payout
from signers.bitcoin.sign import (
    ImplementationsDisagree,
    PartialSignatures,
    combine,
    read_witness_signature,
    sign_payout,
    verify_partial,
    verify_signed,
    witness_signature,
)
from signers.bitcoin.verify import verify_payout
from signers.statements.amounts import Sats
from signers.statements.identifiers import EcdsaSignature
from signers.statements.refusals import Refusal, Tag
from tests.signers.bitcoin import material
from tests.signers.bitcoin.material import Key, payment

BASELINE = payment()
BUILT = build_payout(**BASELINE.arguments)
VERIFIED = verify_payout(BUILT.transaction, **BASELINE.arguments)
KEYS = BASELINE.material.cosigners
ORDER = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141


def partial_of(key: Key) -> PartialSignatures:
    return PartialSignatures(
        public_key=key.public, signatures=tuple(key.compact(digest) for digest in VERIFIED.sighashes)
    )


PARTIALS = tuple(partial_of(key) for key in KEYS)
SIGNED = combine(VERIFIED, PARTIALS[0], PARTIALS[1])


async def test_a_signer_signs_every_input() -> None:
    partial = await sign_payout(payout=BUILT, verified=VERIFIED, key=KEYS[0].public, sign=KEYS[0].sign)
    assert partial == PARTIALS[0]


@pytest.mark.parametrize(("first", "second"), [*combinations(range(3), 2), (2, 0)])
def test_every_pair_spends(first: int, second: int) -> None:
    signed = combine(VERIFIED, PARTIALS[first], PARTIALS[second])
    assert CTransaction.deserialize(signed).GetTxid()[::-1].hex() == VERIFIED.txid


async def test_a_key_of_another_account_is_not_even_asked() -> None:
    stranger = material.make("client-two").cosigners[0]
    asked: list[bytes] = []

    async def sign(digest: bytes) -> EcdsaSignature:
        asked.append(digest)
        return stranger.compact(digest)

    with pytest.raises(Refusal) as refused:
        await sign_payout(payout=BUILT, verified=VERIFIED, key=stranger.public, sign=sign)
    assert (refused.value.tag, asked) == (Tag.ACCOUNT_KEYS, [])


async def test_a_wrong_signature_of_the_own_key_does_not_leave() -> None:
    with pytest.raises(Refusal) as refused:
        await sign_payout(payout=BUILT, verified=VERIFIED, key=KEYS[0].public, sign=KEYS[1].sign)
    assert refused.value.tag is Tag.SIGNATURE_INVALID


@pytest.mark.parametrize(
    "payout",
    [
        replace(BUILT, sighashes=(bytes(32), *BUILT.sighashes[1:])),
        build_payout(**BASELINE.but(fee=Sats(2_001)).arguments),
    ],
    ids=["another hash", "another transaction"],
)
async def test_nothing_is_signed_where_the_implementations_disagree(payout: object) -> None:
    with pytest.raises(ImplementationsDisagree):
        await sign_payout(payout=payout, verified=VERIFIED, key=KEYS[0].public, sign=KEYS[0].sign)  # type: ignore[arg-type] # parametrised


def _high_s(signature: EcdsaSignature) -> EcdsaSignature:
    r, s = signature[:64], int(signature[64:], 16)
    return EcdsaSignature(f"{r}{ORDER - s:064x}")


FIRST, SECOND = PARTIALS[0].signatures
WRONG = {
    "of another key": PARTIALS[1].signatures,
    "in another order": (SECOND, FIRST),
    "one too few": (FIRST,),
    "one too many": (FIRST, SECOND, SECOND),
    "high S": (_high_s(FIRST), SECOND),
    "zero": (EcdsaSignature("00" * 64), SECOND),
    "above the order": (EcdsaSignature("ff" * 64), SECOND),
}


@pytest.mark.parametrize("signatures", WRONG.values(), ids=WRONG.keys())
def test_a_wrong_partial_signature_is_refused(signatures: tuple[EcdsaSignature, ...]) -> None:
    with pytest.raises(Refusal) as refused:
        verify_partial(replace(PARTIALS[0], signatures=signatures), VERIFIED)
    assert refused.value.tag is Tag.SIGNATURE_INVALID


@given(st.integers(0, 511))
def test_no_partial_signature_with_a_flipped_bit_is_accepted(bit: int) -> None:
    altered = EcdsaSignature(f"{int(FIRST, 16) ^ (1 << bit):0128x}")
    with pytest.raises(Refusal) as refused:
        verify_partial(replace(PARTIALS[0], signatures=(altered, SECOND)), VERIFIED)
    assert refused.value.tag is Tag.SIGNATURE_INVALID


@given(st.integers(0, 2))
def test_a_signature_survives_the_form_that_peers_use(which: int) -> None:
    for signature in PARTIALS[which].signatures:
        assert read_witness_signature(witness_signature(signature)) == signature


DER = witness_signature(FIRST)
OTHER_FORMS = {
    "nothing": b"",
    "another hash type": DER[:-1] + b"\x02",
    "no hash type": DER[:-1],
    "a byte behind": DER + b"\x01",
    "compact": FIRST.raw + b"\x01",
    "a negative number": bytes.fromhex("3006020181020101") + b"\x01",
    "a number with a zero too many": bytes.fromhex("300702020001020101") + b"\x01",
    "a number of 33 bytes": bytes.fromhex("302602210100" + "00" * 31 + "020101") + b"\x01",
    "a long form of the length": b"\x30\x81" + DER[1:],
}


@pytest.mark.parametrize("data", OTHER_FORMS.values(), ids=OTHER_FORMS.keys())
def test_another_form_of_a_signature_is_refused(data: bytes) -> None:
    with pytest.raises(Refusal) as refused:
        read_witness_signature(data)
    assert refused.value.tag is Tag.SIGNATURE_INVALID


@given(st.binary(max_size=80))
def test_arbitrary_bytes_are_a_signature_in_one_spelling_or_refused(data: bytes) -> None:
    try:
        signature = read_witness_signature(data)
    except Refusal:
        return
    assert witness_signature(signature) == data


def test_one_key_twice_is_no_pair() -> None:
    with pytest.raises(Refusal) as refused:
        combine(VERIFIED, PARTIALS[0], PARTIALS[0])
    assert refused.value.tag is Tag.ACCOUNT_KEYS


def test_a_key_of_another_account_is_no_pair() -> None:
    with pytest.raises(Refusal) as refused:
        combine(VERIFIED, PARTIALS[0], partial_of(material.make("client-two").cosigners[0]))
    assert refused.value.tag is Tag.ACCOUNT_KEYS


def _restacked(*edits: tuple[int, int, bytes]) -> bytes:
    """The signed transaction with items of its witness stacks replaced: (input, item, bytes)."""
    transaction = CMutableTransaction.from_tx(CTransaction.deserialize(SIGNED))
    stacks = [list(each.scriptWitness.stack) for each in transaction.wit.vtxinwit]
    for txin, item, value in edits:
        stacks[txin][item] = value
    transaction.wit = CTxWitness([CTxInWitness(CScriptWitness(stack)) for stack in stacks])
    return bytes(transaction.serialize())


STACK = list(CTransaction.deserialize(SIGNED).wit.vtxinwit[0].scriptWitness.stack)


COMPLETE: dict[str, tuple[bytes, Tag]] = {
    "no witness": (BUILT.transaction, Tag.SIGNATURE_INVALID),
    "a corrupt signature": (
        _restacked((0, 1, STACK[1][:10] + bytes([STACK[1][10] ^ 1]) + STACK[1][11:])),
        Tag.SIGNATURE_INVALID,
    ),
    "signatures in another order": (
        _restacked((0, 1, STACK[2]), (0, 2, STACK[1])),
        Tag.SIGNATURE_INVALID,
    ),
    "a signature that covers no outputs": (
        _restacked((0, 1, STACK[1][:-1] + b"\x02")),
        Tag.TRANSACTION_SHAPE,
    ),
    "a dummy that is not empty": (_restacked((0, 0, b"\x01")), Tag.TRANSACTION_SHAPE),
    "another script": (_restacked((0, 3, b"\x51")), Tag.TRANSACTION_SHAPE),
}


def test_the_complete_baseline_is_accepted() -> None:
    verify_signed(SIGNED, VERIFIED)


@pytest.mark.parametrize(("transaction", "tag"), COMPLETE.values(), ids=COMPLETE.keys())
def test_one_mutation_of_the_complete_transaction_is_refused(transaction: bytes, tag: Tag) -> None:
    with pytest.raises(Refusal) as refused:
        verify_signed(transaction, VERIFIED)
    assert refused.value.tag is tag


def test_another_signed_transaction_is_refused() -> None:
    other = BASELINE.but(fee=Sats(2_001))
    built = build_payout(**other.arguments)
    verified = verify_payout(built.transaction, **other.arguments)
    partials = [
        PartialSignatures(
            public_key=key.public, signatures=tuple(key.compact(digest) for digest in verified.sighashes)
        )
        for key in KEYS[:2]
    ]
    with pytest.raises(Refusal) as refused:
        verify_signed(combine(verified, *partials), VERIFIED)
    assert refused.value.tag is Tag.TRANSACTION_SHAPE


def test_consensus_sees_a_lying_amount() -> None:
    lie = (replace(VERIFIED.spent[0], value=Sats(1)), *VERIFIED.spent[1:])
    with pytest.raises(Refusal) as refused:
        require_spendable(SIGNED, lie)
    assert refused.value.tag is Tag.SIGNATURE_INVALID


@pytest.mark.parametrize("spent", [VERIFIED.spent[:1], (*VERIFIED.spent, VERIFIED.spent[0])])
def test_consensus_wants_one_spent_output_for_each_input(spent: tuple[object, ...]) -> None:
    with pytest.raises(Refusal) as refused:
        require_spendable(SIGNED, spent)  # type: ignore[arg-type] # parametrised
    assert refused.value.tag is Tag.SIGNATURE_INVALID


@given(st.binary(max_size=200))
def test_consensus_reads_no_transaction_in_arbitrary_bytes(data: bytes) -> None:
    with pytest.raises(Refusal):
        require_spendable(data, VERIFIED.spent)


@given(st.integers(0, 8 * len(SIGNED) - 1))
def test_no_complete_transaction_with_a_flipped_bit_is_accepted(bit: int) -> None:
    altered = bytearray(SIGNED)
    altered[bit // 8] ^= 1 << bit % 8
    with pytest.raises(Refusal):
        verify_signed(bytes(altered), VERIFIED)


def test_attempts_conflict_in_whatever_pairs_sign_them() -> None:
    """Two pairs, two fees, other coins: both transactions are valid, and both spend the anchor."""
    low, high = (
        BASELINE,
        BASELINE.but(
            fee=Sats(4_000), coins=(*BASELINE.coins, material.coin(BASELINE.material.script, 40_000, seed=7))
        ),
    )
    spent = []
    for attempt, pair in ((low, KEYS[:2]), (high, KEYS[1:])):
        built = build_payout(**attempt.arguments)
        verified = verify_payout(built.transaction, **attempt.arguments)
        partials = [
            PartialSignatures(
                public_key=key.public, signatures=tuple(key.compact(digest) for digest in verified.sighashes)
            )
            for key in pair
        ]
        combine(verified, *partials)
        spent.append({each.outpoint for each in verified.spent})
    assert material.outpoint_anchor(BASELINE.coins[0]).txid in {each.txid for each in spent[0] & spent[1]}
