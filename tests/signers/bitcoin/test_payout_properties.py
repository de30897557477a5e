"""Whatever is built is accepted by the other implementation, to the satoshi; both read coins alike."""

from typing import Any

import pytest
from bitcoin.core import CTransaction
from hypothesis import assume, given
from hypothesis import strategies as st

from signers.bitcoin.coins import Coin, SpentOutput, destination_script, dust_limit
from signers.bitcoin.construct import _open, build_payout
from signers.bitcoin.decode import read_coin
from signers.bitcoin.verify import verify_payout
from signers.statements.allowlist import BitcoinDestination
from signers.statements.amounts import Sats
from signers.statements.identifiers import ScriptPubKey
from signers.statements.refusals import Refusal, Tag
from tests.signers.bitcoin import material
from tests.signers.bitcoin.material import Payment, coin, outpoint_anchor

ACCOUNT = material.make()
VALUES = st.integers(330, 500_000_000)
SCRIPTS = st.one_of(
    st.binary(min_size=20, max_size=20).map(lambda program: "0014" + program.hex()),
    st.binary(min_size=32, max_size=32).map(lambda program: "0020" + program.hex()),
    st.binary(min_size=32, max_size=32).map(lambda program: "5120" + program.hex()),
    st.binary(min_size=20, max_size=20).map(lambda program: "76a914" + program.hex() + "88ac"),
    st.binary(min_size=20, max_size=20).map(lambda program: "a914" + program.hex() + "87"),
).map(ScriptPubKey)


@st.composite
def payments(draw: st.DrawFn) -> tuple[Payment, int]:
    """A payment, and what its coins hold beyond amount and fee."""
    values = draw(st.lists(VALUES, min_size=1, max_size=6))
    coins = tuple(
        coin(ACCOUNT.script, value, seed=seed, witness=draw(st.booleans()))
        for seed, value in enumerate(values)
    )
    total = sum(values)
    amount = draw(st.integers(1, total))
    fee = draw(st.integers(0, min(total - amount, 100_000)))
    payment = Payment(
        material=ACCOUNT,
        intent=material.intent(
            ACCOUNT,
            anchor=outpoint_anchor(draw(st.sampled_from(coins))),
            amount=Sats(amount),
            fee_cap=Sats(fee + draw(st.integers(1, 1_000))),
            destination=BitcoinDestination(script_pubkey=draw(SCRIPTS)),
        ),
        coins=tuple(draw(st.permutations(coins))),
        fee=Sats(fee),
    )
    return payment, total - amount - fee


@given(payments())
def test_what_is_built_is_accepted_and_exact(case: tuple[Payment, int]) -> None:
    payment, left = case
    limit = dust_limit(destination_script(payment.intent))
    if 0 < left < 330 or payment.intent.amount.units < limit.units:
        with pytest.raises(Refusal) as refused:
            build_payout(**payment.arguments)
        assert refused.value.tag is Tag.AMOUNT
        return
    built = build_payout(**payment.arguments)
    verified = verify_payout(built.transaction, **payment.arguments)
    outputs = [
        (out.nValue, bytes(out.scriptPubKey)) for out in CTransaction.deserialize(built.transaction).vout
    ]
    due = [(payment.intent.amount.units, destination_script(payment.intent)), (left, ACCOUNT.script)]
    assert sorted(outputs) == sorted(each for each in due if each[0])
    assert sum(each.value.units for each in verified.spent) - sum(value for value, _ in outputs) == (
        payment.fee.units
    )
    assert verified.sighashes == built.sighashes
    assert len(set(verified.sighashes)) == len(payment.coins)


@given(payments(), payments())
def test_a_payout_is_accepted_under_its_own_terms_alone(
    a: tuple[Payment, int], b: tuple[Payment, int]
) -> None:
    assume(a[0].intent != b[0].intent)
    try:
        built = build_payout(**a[0].arguments)
    except Refusal:
        return
    if _built_or_none(b[0]) == built.transaction:
        return
    with pytest.raises(Refusal):
        verify_payout(built.transaction, **b[0].arguments)


def _built_or_none(payment: Payment) -> bytes | None:
    try:
        return build_payout(**payment.arguments).transaction
    except Refusal:
        return None


def _read(reader: Any, handed: Coin) -> SpentOutput | Tag:
    try:
        found: SpentOutput = reader(handed)
    except Refusal as refusal:
        return refusal.tag
    return found


@given(st.data())
def test_both_implementations_read_a_mutilated_previous_transaction_alike(data: st.DataObject) -> None:
    """A difference between two parsers is where a lie would live."""
    original = coin(ACCOUNT.script, 5_000, 6_000, witness=data.draw(st.booleans()))
    altered = bytearray(original.previous_transaction)
    for _ in range(data.draw(st.integers(0, 3))):
        at = data.draw(st.integers(0, len(altered) - 1))
        match data.draw(st.sampled_from(["flip", "drop", "insert", "big"])):
            case "flip":
                altered[at] ^= data.draw(st.integers(1, 255))
            case "drop":
                del altered[at]
            case "insert":
                altered.insert(at, data.draw(st.integers(0, 255)))
            case "big":
                altered[at] = data.draw(st.sampled_from([0xFD, 0xFE, 0xFF]))
    handed = Coin(previous_transaction=bytes(altered), index=data.draw(st.integers(0, 2)))
    assert _read(_open, handed) == _read(read_coin, handed)


@given(st.binary(max_size=300), st.integers(0, 3))
def test_both_implementations_read_arbitrary_bytes_alike(data: bytes, index: int) -> None:
    handed = Coin(previous_transaction=data, index=index)
    assert _read(_open, handed) == _read(read_coin, handed)
