"""One valid transaction, one mutation, exactly one refusal; and nothing but the original passes."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from bitcoin.core import (
    CMutableTransaction,
    CMutableTxIn,
    CMutableTxOut,
    COutPoint,
    CTransaction,
    CTxInWitness,
    CTxWitness,
    lx,
)
from bitcoin.core.script import CScript, CScriptWitness
from hypothesis import given
from hypothesis import strategies as st

from signers.bitcoin.coins import (
    ConfirmedOutput,
    SpentOutput,
    require_confirmed,
)
from signers.bitcoin.construct import build_payout
from signers.bitcoin.verify import verify_payout
from signers.statements.amounts import Sats
from signers.statements.identifiers import AccountId
from signers.statements.refusals import Refusal, Tag
from tests.signers.bitcoin import material
from tests.signers.bitcoin.material import PAYEE, STRANGER, Payment, coin, payment, txid_of

BASELINE = payment()
BUILT = build_payout(**BASELINE.arguments)
OWN = BASELINE.material.script


def test_baseline_is_accepted() -> None:
    verified = verify_payout(BUILT.transaction, **BASELINE.arguments)
    assert verified.transaction == BUILT.transaction
    assert verified.txid == BUILT.txid
    assert verified.spent == BUILT.spent
    assert verified.sighashes == BUILT.sighashes


def _out(tx: CMutableTransaction, script: bytes) -> CMutableTxOut:
    return next(out for out in tx.vout if bytes(out.scriptPubKey) == script)


def _pay_stranger(tx: CMutableTransaction) -> None:
    _out(tx, PAYEE.raw).scriptPubKey = CScript(STRANGER.raw)


def _pay_less(tx: CMutableTransaction) -> None:
    _out(tx, PAYEE.raw).nValue -= 1
    _out(tx, OWN).nValue += 1


def _pay_more(tx: CMutableTransaction) -> None:
    _out(tx, PAYEE.raw).nValue += 1
    _out(tx, OWN).nValue -= 1


def _change_to_stranger(tx: CMutableTransaction) -> None:
    _out(tx, OWN).scriptPubKey = CScript(STRANGER.raw)


def _change_to_payee(tx: CMutableTransaction) -> None:
    _out(tx, OWN).scriptPubKey = CScript(PAYEE.raw)


def _skim(tx: CMutableTransaction) -> None:
    _out(tx, OWN).nValue -= 50_000
    tx.vout.append(CMutableTxOut(50_000, CScript(STRANGER.raw)))


def _split_change(tx: CMutableTransaction) -> None:
    _out(tx, OWN).nValue -= 50_000
    tx.vout.insert(0, CMutableTxOut(50_000, CScript(OWN)))


def _change(units: int) -> Callable[[CMutableTransaction], None]:
    def mutate(tx: CMutableTransaction) -> None:
        _out(tx, OWN).nValue += units

    return mutate


def _create_money(tx: CMutableTransaction) -> None:
    _out(tx, OWN).nValue = 20_000_001


def _negative_output(tx: CMutableTransaction) -> None:
    _out(tx, OWN).nValue = -1


def _respend(tx: CMutableTransaction) -> None:
    foreign = coin(material.make("client-two").script, 30_000_000, seed=2)
    tx.vin[_index_of_second(tx)].prevout = COutPoint(lx(txid_of(foreign)), 0)


def _null_prevout(tx: CMutableTransaction) -> None:
    tx.vin[_index_of_second(tx)].prevout = COutPoint()


def _index_of_second(tx: CMutableTransaction) -> int:
    anchor = COutPoint(lx(BASELINE.intent.anchor.txid), 0)  # type: ignore[union-attr] # it is an outpoint
    return next(index for index, txin in enumerate(tx.vin) if txin.prevout != anchor)


def _drop_anchor(tx: CMutableTransaction) -> None:
    del tx.vin[1 - _index_of_second(tx)]


def _twice(tx: CMutableTransaction) -> None:
    second = tx.vin[_index_of_second(tx)]
    tx.vin.append(CMutableTxIn(second.prevout, nSequence=second.nSequence))
    _out(tx, OWN).nValue += 30_000_000


def _one_sequence(tx: CMutableTransaction) -> None:
    tx.vin[1].nSequence = 0xFFFFFFFE


def _script_sig(tx: CMutableTransaction) -> None:
    tx.vin[0].scriptSig = CScript([b"\x01"])


def _witness(tx: CMutableTransaction) -> None:
    tx.wit = CTxWitness([CTxInWitness(CScriptWitness([b"x"])), CTxInWitness()])


def _set(name: str, value: int) -> Callable[[CMutableTransaction], None]:
    return lambda tx: setattr(tx, name, value)


MUTATIONS: list[tuple[str, Callable[[CMutableTransaction], Any], Tag]] = [
    ("payout to another script", _pay_stranger, Tag.DESTINATION),
    ("a satoshi less", _pay_less, Tag.AMOUNT),
    ("a satoshi more", _pay_more, Tag.AMOUNT),
    ("change to another script", _change_to_stranger, Tag.CHANGE_NOT_OURS),
    ("change to the payee", _change_to_payee, Tag.CHANGE_NOT_OURS),
    ("a third output to a stranger", _skim, Tag.CHANGE_NOT_OURS),
    ("change in two outputs", _split_change, Tag.TRANSACTION_SHAPE),
    ("a fee above the cap", _change(-3_001), Tag.FEE_CAP),
    ("a fee above what was stated", _change(-1), Tag.AMOUNT),
    ("a fee below what was stated", _change(1), Tag.AMOUNT),
    ("more out than in", _create_money, Tag.AMOUNT),
    ("a negative output", _negative_output, Tag.AMOUNT),
    ("an input of another account", _respend, Tag.INPUT_NOT_OURS),
    ("a null input", _null_prevout, Tag.INPUT_NOT_OURS),
    ("without the anchor", _drop_anchor, Tag.ANCHOR_MISMATCH),
    ("an input twice", _twice, Tag.TRANSACTION_SHAPE),
    ("inputs in another order", lambda tx: tx.vin.reverse(), Tag.TRANSACTION_SHAPE),
    ("outputs in another order", lambda tx: tx.vout.reverse(), Tag.TRANSACTION_SHAPE),
    ("version 1", _set("nVersion", 1), Tag.TRANSACTION_SHAPE),
    ("a lock time", _set("nLockTime", 1), Tag.TRANSACTION_SHAPE),
    ("an input that is not replaceable", _one_sequence, Tag.TRANSACTION_SHAPE),
    ("an input script", _script_sig, Tag.TRANSACTION_SHAPE),
    ("a witness", _witness, Tag.TRANSACTION_SHAPE),
]


def mutated(mutate: Callable[[CMutableTransaction], Any]) -> bytes:
    transaction = CMutableTransaction.from_tx(CTransaction.deserialize(BUILT.transaction))
    mutate(transaction)
    return bytes(transaction.serialize())


@pytest.mark.parametrize(("mutate", "tag"), [row[1:] for row in MUTATIONS], ids=[row[0] for row in MUTATIONS])
def test_one_mutation_of_the_transaction_is_refused(
    mutate: Callable[[CMutableTransaction], Any], tag: Tag
) -> None:
    with pytest.raises(Refusal) as refused:
        verify_payout(mutated(mutate), **BASELINE.arguments)
    assert refused.value.tag is tag


def _a_coin_more(baseline: Payment) -> Payment:
    return baseline.but(coins=(*baseline.coins, coin(OWN, 9_000, seed=3)))


def _lie(baseline: Payment) -> Payment:
    """Bytes with another hash are another coin, and the input's was not handed over."""
    previous = CMutableTransaction.from_tx(CTransaction.deserialize(baseline.coins[1].previous_transaction))
    previous.vout[baseline.coins[1].index].nValue += 1
    lie = replace(baseline.coins[1], previous_transaction=previous.serialize())
    return baseline.but(coins=(baseline.coins[0], lie))


def _not_ours(baseline: Payment) -> Payment:
    """The script of an input is read from its previous transaction, not taken on trust."""
    return baseline.but(material=material.make("client-two")).but_intent(account=AccountId("client-two"))


ARGUMENTS: list[tuple[str, Callable[[Payment], Payment], Tag]] = [
    ("a stated fee above the cap", lambda b: b.but(fee=Sats(5_001)), Tag.FEE_CAP),
    ("another stated fee", lambda b: b.but(fee=Sats(2_001)), Tag.AMOUNT),
    ("a coin that is not spent", _a_coin_more, Tag.TRANSACTION_SHAPE),
    ("a coin that was not handed over", lambda b: b.but(coins=b.coins[:1]), Tag.INPUT_NOT_OURS),
    ("a previous transaction with another amount", _lie, Tag.INPUT_NOT_OURS),
    ("another account's script", _not_ours, Tag.INPUT_NOT_OURS),
]


@pytest.mark.parametrize(("mutate", "tag"), [row[1:] for row in ARGUMENTS], ids=[row[0] for row in ARGUMENTS])
def test_one_mutation_of_the_arguments_is_refused(mutate: Callable[[Payment], Payment], tag: Tag) -> None:
    with pytest.raises(Refusal) as refused:
        verify_payout(BUILT.transaction, **mutate(BASELINE).arguments)
    assert refused.value.tag is tag


@given(st.data())
def test_no_altered_bytes_are_accepted(data: st.DataObject) -> None:
    altered = bytearray(BUILT.transaction)
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
                del altered[at:]
        if not altered:
            break
    if altered == BUILT.transaction:
        return
    with pytest.raises(Refusal):
        verify_payout(bytes(altered), **BASELINE.arguments)


@given(st.binary(max_size=400))
def test_arbitrary_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(Refusal):
        verify_payout(data, **BASELINE.arguments)


SEEN = ConfirmedOutput(value=BUILT.spent[0].value, script=BUILT.spent[0].script, height=7)


def test_a_coin_of_the_own_node_is_accepted() -> None:
    require_confirmed(BUILT.spent[0], SEEN)


@pytest.mark.parametrize(
    "seen",
    [None, replace(SEEN, value=Sats(1)), replace(SEEN, script=STRANGER.raw)],
    ids=["absent", "value", "script"],
)
def test_a_coin_the_own_node_does_not_have_is_refused(seen: ConfirmedOutput | None) -> None:
    spent: SpentOutput = BUILT.spent[0]
    with pytest.raises(Refusal) as refused:
        require_confirmed(spent, seen)
    assert refused.value.tag is Tag.PREVOUT_LIE
