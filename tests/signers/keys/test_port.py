from dataclasses import replace

import pytest

from signers.keys.port import KeyRef, RecoverableSignature
from signers.statements.secp256k1 import HALF_ORDER, ORDER

REF = KeyRef(account="pledge-1", chain="BTC", key_id="key-1")
SIGNATURE = RecoverableSignature(r=1, s=1, recovery_id=0)


@pytest.mark.parametrize("identifier", ["", "a b", "é", "a\n", "-a", "a" * 129, "a\x00", "A٣"])
@pytest.mark.parametrize("field", ["account", "key_id"])
def test_an_identifier_outside_its_alphabet_is_refused(field: str, identifier: str) -> None:
    with pytest.raises(ValueError, match=field):
        replace(REF, **{field: identifier})  # type: ignore[arg-type] # the field's name is a parameter


def test_a_chain_outside_the_product_is_refused() -> None:
    with pytest.raises(ValueError, match="BTC, ETH"):
        KeyRef(account="pledge-1", chain="LTC", key_id="key-1")  # type: ignore[arg-type] # the point


@pytest.mark.parametrize(
    "change",
    [
        {"r": 0},
        {"r": ORDER},
        {"s": 0},
        {"s": HALF_ORDER + 1},
        {"recovery_id": -1},
        {"recovery_id": 4},
    ],
)
def test_a_signature_out_of_range_is_refused(change: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="low-S"):
        replace(SIGNATURE, **change)


def test_the_encodings_of_a_signature() -> None:
    signature = RecoverableSignature(r=0x80, s=1, recovery_id=1)
    assert signature.der().hex() == "300702020080020101"
    assert signature.compact() == (0x80).to_bytes(32, "big") + (1).to_bytes(32, "big")
