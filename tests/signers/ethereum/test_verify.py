"""One valid transaction, one mutation, exactly one refusal; and nothing but the original passes."""

from collections.abc import Callable
from typing import Any

import pytest
import rlp
from eth_account import Account as EthAccount
from hypothesis import given
from hypothesis import strategies as st

from signers.ethereum.construct import build_payout
from signers.ethereum.keccak import keccak
from signers.ethereum.sign import ImplementationsDisagree, assemble, require_signature, sign_payout
from signers.ethereum.verify import verify_payout, verify_signed
from signers.statements.amounts import Wei
from signers.statements.refusals import Refusal, Tag
from tests.signers.bitcoin import material as btc
from tests.signers.ethereum.material import GWEI, MATERIAL, Payment, payment

BASELINE = payment()
BUILT = build_payout(**BASELINE.arguments)
VERIFIED = verify_payout(BUILT.payload, **BASELINE.arguments)
KEY = MATERIAL.holder
SIGNATURE = KEY.recoverable(BUILT.digest)
SIGNED = assemble(BUILT, SIGNATURE)
ORDER = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141

CHAIN_ID, NONCE, TIP, FEE, GAS, TO, VALUE, DATA, ACCESS_LIST = range(9)


def test_baselines_are_accepted() -> None:
    assert VERIFIED.digest == BUILT.digest
    verify_signed(SIGNED, **BASELINE.arguments)
    assert EthAccount.recover_transaction(SIGNED).lower() == "0x" + MATERIAL.account.ethereum.address


async def test_the_signer_makes_that_transaction() -> None:
    signed = await sign_payout(
        payout=BUILT, verified=VERIFIED, sign=KEY.sign_recoverably, **BASELINE.arguments
    )
    assert signed == SIGNED


def encode(fields: list[Any]) -> bytes:
    return b"\x02" + bytes(rlp.encode(fields))


def sign(fields: list[Any], key: btc.Key = KEY) -> bytes:
    """A transaction of these fields with a right signature: only the fields are wrong."""
    signature = key.recoverable(keccak(encode(fields)))
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
    return encode([*fields, signature[64], r, s])


MUTATIONS: list[tuple[str, int, Any, Tag]] = [
    ("another chain", CHAIN_ID, 1, Tag.CHAIN_ID),
    ("no chain", CHAIN_ID, 0, Tag.CHAIN_ID),
    ("the nonce before", NONCE, 6, Tag.NONCE),
    ("the nonce after", NONCE, 8, Tag.NONCE),
    ("another payee", TO, b"\x99" * 20, Tag.DESTINATION),
    ("no payee: a new contract", TO, b"", Tag.DESTINATION),
    ("a wei less", VALUE, 10**18 - 1, Tag.AMOUNT),
    ("a wei more", VALUE, 10**18 + 1, Tag.AMOUNT),
    ("a fee above the cap", FEE, 40 * GWEI + 1, Tag.FEE_CAP),
    ("a fee above what was stated", FEE, 32 * GWEI + 1, Tag.AMOUNT),
    ("a fee below what was stated", FEE, 32 * GWEI - 1, Tag.AMOUNT),
    ("another tip", TIP, 4 * GWEI + 1, Tag.TRANSACTION_SHAPE),
    ("more gas", GAS, 21_001, Tag.TRANSACTION_SHAPE),
    ("less gas", GAS, 20_999, Tag.TRANSACTION_SHAPE),
    ("data", DATA, b"\x00", Tag.TRANSACTION_SHAPE),
    ("an access list", ACCESS_LIST, [[b"\x11" * 20, []]], Tag.TRANSACTION_SHAPE),
]


@pytest.mark.parametrize(
    ("field", "value", "tag"), [row[1:] for row in MUTATIONS], ids=[row[0] for row in MUTATIONS]
)
def test_one_mutation_is_refused(field: int, value: Any, tag: Tag) -> None:
    fields: list[Any] = list(BUILT.fields)
    fields[field] = value
    with pytest.raises(Refusal) as unsigned:
        verify_payout(encode(fields), **BASELINE.arguments)
    with pytest.raises(Refusal) as signed:
        verify_signed(sign(fields), **BASELINE.arguments)
    assert (unsigned.value.tag, signed.value.tag) == (tag, tag)


def _integer(signature: bytes) -> tuple[int, int, int]:
    return signature[64], int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")


PARITY, R, S = _integer(SIGNATURE)
SHAPES: dict[str, tuple[bytes, Tag]] = {
    "another key's signature": (sign(BUILT.fields, btc.Key.named("stranger")), Tag.SIGNATURE_INVALID),
    "the other parity": (encode([*BUILT.fields, 1 - PARITY, R, S]), Tag.SIGNATURE_INVALID),
    "high S": (encode([*BUILT.fields, 1 - PARITY, R, ORDER - S]), Tag.SIGNATURE_INVALID),
    "no signature": (encode([*BUILT.fields, 0, 0, 0]), Tag.TRANSACTION_SHAPE),
    "numbers above the order": (encode([*BUILT.fields, 0, ORDER + 1, 1]), Tag.SIGNATURE_INVALID),
    "a parity of 2": (encode([*BUILT.fields, 2, R, S]), Tag.SIGNATURE_INVALID),
    "a legacy signature value": (encode([*BUILT.fields, 27 + PARITY, R, S]), Tag.SIGNATURE_INVALID),
    "type 1": (b"\x01" + SIGNED[1:], Tag.TRANSACTION_SHAPE),
    "no type": (SIGNED[1:], Tag.TRANSACTION_SHAPE),
    "nothing": (b"", Tag.TRANSACTION_SHAPE),
    "the type alone": (b"\x02", Tag.TRANSACTION_SHAPE),
    "unsigned": (BUILT.payload, Tag.TRANSACTION_SHAPE),
    "bytes behind": (SIGNED + b"\x00", Tag.TRANSACTION_SHAPE),
    "a leading zero": (
        encode([BUILT.fields[0], b"\x00\x07", *BUILT.fields[2:], PARITY, R, S]),
        Tag.TRANSACTION_SHAPE,
    ),
    "a field more": (encode([*BUILT.fields, PARITY, R, S, 0]), Tag.TRANSACTION_SHAPE),
    "too long": (
        encode([*BUILT.fields[:7], bytes(600), [], PARITY, R, S]),
        Tag.TRANSACTION_SHAPE,
    ),
}


@pytest.mark.parametrize(("transaction", "tag"), SHAPES.values(), ids=SHAPES.keys())
def test_another_signature_or_encoding_is_refused(transaction: bytes, tag: Tag) -> None:
    with pytest.raises(Refusal) as refused:
        verify_signed(transaction, **BASELINE.arguments)
    assert refused.value.tag is tag


UNSIGNED: dict[str, bytes] = {
    "nothing": b"",
    "the type alone": b"\x02",
    "signed": SIGNED,
    "no list": b"\x02" + bytes(rlp.encode(b"x")),
    "a list for a number": encode([[], *BUILT.fields[1:]]),
    "a string for the access list": encode([*BUILT.fields[:8], b""]),
    "a leading zero": encode([BUILT.fields[0], b"\x00\x07", *BUILT.fields[2:]]),
    "bytes behind": BUILT.payload + b"\x00",
}


@pytest.mark.parametrize("payload", UNSIGNED.values(), ids=UNSIGNED.keys())
def test_another_encoding_of_the_payload_is_refused(payload: bytes) -> None:
    with pytest.raises(Refusal) as refused:
        verify_payout(payload, **BASELINE.arguments)
    assert refused.value.tag is Tag.TRANSACTION_SHAPE


ARGUMENTS: list[tuple[str, Callable[[Payment], Payment], Tag]] = [
    ("a stated fee above the cap", lambda p: p.but(fee=Wei(p.intent.fee_cap.units + 1)), Tag.FEE_CAP),
    ("another stated fee", lambda p: p.but(fee=Wei(21_000 * 33 * GWEI)), Tag.AMOUNT),
    ("another nonce", lambda p: p.but_intent(anchor=btc.nonce_anchor(8)), Tag.NONCE),
    ("another amount", lambda p: p.but_intent(amount=Wei(1)), Tag.AMOUNT),
]


@pytest.mark.parametrize(("mutate", "tag"), [row[1:] for row in ARGUMENTS], ids=[row[0] for row in ARGUMENTS])
def test_one_mutation_of_the_arguments_is_refused(mutate: Callable[[Payment], Payment], tag: Tag) -> None:
    with pytest.raises(Refusal) as refused:
        verify_signed(SIGNED, **mutate(BASELINE).arguments)
    assert refused.value.tag is tag


WRONG = {
    "of another key": btc.Key.named("stranger").recoverable(BUILT.digest),
    "of another hash": KEY.recoverable(bytes(32)),
    "too short": SIGNATURE[:64],
    "too long": SIGNATURE + b"\x00",
    "with the other parity": SIGNATURE[:64] + bytes([1 - PARITY]),
    "with a legacy value": SIGNATURE[:64] + bytes([27 + PARITY]),
    "high S": SIGNATURE[:32] + (ORDER - S).to_bytes(32, "big") + bytes([1 - PARITY]),
    "zero": bytes(65),
}


@pytest.mark.parametrize("signature", WRONG.values(), ids=WRONG.keys())
async def test_a_wrong_signature_does_not_leave(signature: bytes) -> None:
    async def wrong(_: bytes) -> bytes:
        return signature

    with pytest.raises(Refusal) as refused:
        await sign_payout(payout=BUILT, verified=VERIFIED, sign=wrong, **BASELINE.arguments)
    assert refused.value.tag is Tag.SIGNATURE_INVALID


async def test_nothing_is_signed_where_builder_and_judge_disagree() -> None:
    other = build_payout(**BASELINE.but(fee=Wei(21_000 * 33 * GWEI)).arguments)
    with pytest.raises(ImplementationsDisagree):
        await sign_payout(payout=other, verified=VERIFIED, sign=KEY.sign_recoverably, **BASELINE.arguments)


@given(st.integers(0, 8 * 65 - 1))
def test_no_signature_with_a_flipped_bit_is_accepted(bit: int) -> None:
    altered = bytearray(SIGNATURE)
    altered[bit // 8] ^= 1 << bit % 8
    with pytest.raises(Refusal) as refused:
        require_signature(KEY.public, bytes(altered), BUILT.digest)
    assert refused.value.tag is Tag.SIGNATURE_INVALID


def _alter(data: st.DataObject, original: bytes) -> bytes:
    altered = bytearray(original)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(altered) - 1))
        match data.draw(st.sampled_from(["flip", "drop", "insert", "cut"])):
            case "flip":
                altered[at] ^= data.draw(st.integers(1, 255))
            case "drop":
                del altered[at]
            case "insert":
                altered.insert(at, data.draw(st.integers(0, 255)))
            case "cut":
                del altered[max(at, 1) :]
        if not altered:
            break
    return bytes(altered)


@given(st.data())
def test_no_altered_bytes_are_accepted(data: st.DataObject) -> None:
    signed, payload = _alter(data, SIGNED), _alter(data, BUILT.payload)
    if signed != SIGNED:
        with pytest.raises(Refusal):
            verify_signed(signed, **BASELINE.arguments)
    if payload != BUILT.payload:
        with pytest.raises(Refusal):
            verify_payout(payload, **BASELINE.arguments)


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_refused(data: bytes) -> None:
    for candidate in (data, b"\x02" + data):
        with pytest.raises(Refusal):
            verify_signed(candidate, **BASELINE.arguments)
        with pytest.raises(Refusal):
            verify_payout(candidate, **BASELINE.arguments)
