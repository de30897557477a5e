"""Names and fixed-width values: one spelling each, and no key that verifies what nobody signed."""

import copy
import pickle
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from signers.statements import identifiers
from signers.statements.identifiers import (
    GENESIS,
    AccountId,
    Currency,
    Digest,
    Ed25519Key,
    EntityId,
    EthereumAddress,
    IntentId,
    ScriptPubKey,
    Text,
    Value,
)
from tests.unit.statements.examples import examples

P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P
ORDER = 2**252 + 27742317777372353535851937790883648493

Point = tuple[int, int]


def add(one: Point, other: Point) -> Point:
    """RFC 8032, section 5.1.4, in affine coordinates."""
    (x1, y1), (x2, y2) = one, other
    k = D * x1 * x2 * y1 * y2 % P
    return (x1 * y2 + x2 * y1) * pow(1 + k, -1, P) % P, (y1 * y2 + x1 * x2) * pow(1 - k, -1, P) % P


def times(count: int, point: Point) -> Point:
    result: Point = (0, 1)
    while count:
        if count & 1:
            result = add(result, point)
        point, count = add(point, point), count >> 1
    return result


def decompressed(y: int) -> Point | None:
    """The point with this y and an even x, if there is one (RFC 8032, section 5.1.3)."""
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if (x * x - square) % P:
        return None
    return (P - x if x & 1 else x), y


def encoded(y: int, sign: int = 0) -> bytes:
    return (y | sign << 255).to_bytes(32, "little")


def torsion() -> set[bytes]:
    """The encodings of the eight points of small order, found by multiplying a point by the prime order."""
    for y in range(2, 100):
        point = decompressed(y)
        generator = times(ORDER, point) if point else (0, 1)
        if times(4, generator) != (0, 1):
            return {encoded(p[1], p[0] & 1) for p in (times(n, generator) for n in range(8))}
    raise AssertionError("no generator of the torsion")


TORSION = torsion()


def test_there_are_eight_keys_of_small_order_and_all_are_refused() -> None:
    assert len(TORSION) == 8
    assert bytes(32) in TORSION
    for raw in TORSION:
        with pytest.raises(ValueError, match="weak or non-canonical"):
            Ed25519Key(raw.hex())


def test_the_library_verifies_what_nobody_signed_under_a_key_of_small_order() -> None:
    # Why they are refused: under the neutral element s·B = R is a signature of anything.
    base = decompressed(4 * pow(5, -1, P) % P)
    assert base is not None
    s = 12345
    x, y = times(s, base)
    forged = encoded(y, x & 1) + s.to_bytes(32, "little")
    Ed25519PublicKey.from_public_bytes(encoded(1)).verify(forged, b"anything")
    Ed25519PublicKey.from_public_bytes(encoded(P + 1)).verify(forged, b"anything")


@pytest.mark.parametrize("sign", [0, 1])
@pytest.mark.parametrize("y", [*range(P, 2**255)])
def test_a_second_spelling_of_a_key_is_refused(y: int, sign: int) -> None:
    with pytest.raises(ValueError, match="weak or non-canonical"):
        Ed25519Key(encoded(y, sign).hex())


@pytest.mark.parametrize("y", [0, 1, P - 1])
def test_the_sign_of_x_makes_no_weak_key_a_new_one(y: int) -> None:
    with pytest.raises(ValueError, match="weak or non-canonical"):
        Ed25519Key(encoded(y, 1).hex())


NAMES = ["ab", "a" * 41, "Abc", "1bc", "-bc", "a_c", "a.c", "a c", "abc\n", "\nabc", "äbc", "abc\u0660", ""]
HEX = ["", "0", "AB" * 32, "0x" + "ab" * 31, "ab" * 31, "ab" * 33, "gg" * 32, " " + "ab" * 32, "\u0661" * 64]


@pytest.mark.parametrize("text", NAMES)
@pytest.mark.parametrize("cls", [AccountId, EntityId])
def test_a_name_has_one_spelling(cls: type[Text], text: str) -> None:
    with pytest.raises(ValueError, match="is not a valid"):
        cls(text)


@pytest.mark.parametrize("text", HEX)
@pytest.mark.parametrize("cls", [Digest, Ed25519Key])
def test_hexadecimal_has_one_spelling(cls: type[Text], text: str) -> None:
    with pytest.raises(ValueError, match="is not a valid"):
        cls(text)


@pytest.mark.parametrize("text", ["", "01", "+1", "-1", "1.0", "1e3", "1_0", " 1", "\u0661", "9" * 39])
def test_a_value_of_money_has_one_spelling(text: str) -> None:
    with pytest.raises(ValueError, match="is not a valid"):
        Value(text)


def test_further_types_refuse_their_second_spelling() -> None:
    for cls, text in (
        (Currency, "usd"),
        (Currency, "USDT"),
        (EthereumAddress, "0x" + "ab" * 20),
        (EthereumAddress, "AB" * 20),
        (ScriptPubKey, ""),
        (ScriptPubKey, "abc"),
        (IntentId, "00000000-0000-4000-8000-00000000000G"),
    ):
        with pytest.raises(ValueError, match="is not a valid"):
            cls(text)


@pytest.mark.parametrize("value", [None, 1, b"abc", ["abc"], True])
def test_only_a_string_becomes_one(value: Any) -> None:
    with pytest.raises(TypeError):
        AccountId(value)


def test_text_is_its_letters_and_keeps_its_type_across_processes() -> None:
    account = AccountId("acct-one")
    assert account == "acct-one"
    assert hash(account) == hash("acct-one")
    for again in (pickle.loads(pickle.dumps(account)), copy.deepcopy(account)):
        assert type(again) is AccountId
        assert again == account


def test_every_type_of_text_is_bounded() -> None:
    for cls in vars(identifiers).values():
        if isinstance(cls, type) and issubclass(cls, Text) and cls is not Text:
            for letter in "aA0=":
                assert not cls.pattern.fullmatch(letter * 5000), cls


def test_genesis_is_no_digest_of_anything_known() -> None:
    assert set(GENESIS) == {"0"}


@given(one=st.integers(0, 10**38 - 1), other=st.integers(0, 10**38 - 1))
@examples(100)
def test_values_compare_as_numbers(one: int, other: int) -> None:
    a, b = Value(str(one)), Value(str(other))
    assert ((a < b), (a <= b), (a > b), (a >= b), (a == b)) == (
        (one < other),
        (one <= other),
        (one > other),
        (one >= other),
        (one == other),
    )
    assert sorted([a, b]) == [Value(str(n)) for n in sorted([one, other])]


def test_a_value_compares_with_no_plain_text() -> None:
    for compare in (Value.__lt__, Value.__le__, Value.__gt__, Value.__ge__):
        with pytest.raises(TypeError):
            compare(Value("9"), "10")
