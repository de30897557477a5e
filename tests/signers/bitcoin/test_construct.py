"""What is built from intent, coins and fee, and what is refused instead."""

from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest
from bitcoin.core import CTransaction, CTxOut, b2lx
from bitcoin.core.script import CScript

from signers.bitcoin.coins import (
    INPUTS_MAX,
    PREVIOUS_BYTES_MAX,
    PREVIOUS_BYTES_TOTAL_MAX,
    Coin,
    dust_limit,
)
from signers.bitcoin.construct import build_payout
from signers.statements.allowlist import BitcoinDestination
from signers.statements.amounts import Sats, Wei
from signers.statements.identifiers import AccountId, ScriptPubKey
from signers.statements.network import Network
from signers.statements.refusals import Refusal, Tag
from tests.signers.bitcoin import material
from tests.signers.bitcoin.material import PAYEE, Payment, coin, outpoint_anchor, payment

P2WSH = bytes.fromhex("0020" + "11" * 32)


def test_baseline_pays_exactly_what_is_said() -> None:
    baseline = payment()
    built = build_payout(**baseline.arguments)
    decoded = CTransaction.deserialize(built.transaction)
    outputs = {bytes(out.scriptPubKey): out.nValue for out in decoded.vout}
    assert outputs == {PAYEE.raw: 60_000_000, baseline.material.script: 80_000_000 - 60_000_000 - 2_000}
    assert built.txid == b2lx(decoded.GetTxid())
    assert (decoded.nVersion, decoded.nLockTime) == (2, 0)
    assert {txin.nSequence for txin in decoded.vin} == {0xFFFFFFFD}


def test_every_order_of_the_coins_builds_the_same_bytes() -> None:
    baseline = payment()
    more = (
        *baseline.coins,
        coin(baseline.material.script, 5_000, seed=3),
        coin(baseline.material.script, 6_000, seed=4),
    )
    built = {build_payout(**baseline.but(coins=coins).arguments).transaction for coins in permutations(more)}
    assert len(built) == 1


def test_witnesses_of_a_previous_transaction_do_not_matter() -> None:
    baseline = payment()
    stripped = tuple(
        replace(each, previous_transaction=_without_witness(each.previous_transaction))
        for each in baseline.coins
    )
    assert stripped != baseline.coins
    assert build_payout(**baseline.but(coins=stripped).arguments) == build_payout(**baseline.arguments)


def _without_witness(data: bytes) -> bytes:
    whole = CTransaction.deserialize(data)
    return bytes(CTransaction(whole.vin, whole.vout, whole.nLockTime, whole.nVersion).serialize())


def test_no_change_output_where_nothing_is_left() -> None:
    baseline = payment()
    exact = baseline.but_intent(amount=Sats(79_998_000))
    built = build_payout(**exact.arguments)
    (only,) = CTransaction.deserialize(built.transaction).vout
    assert (bytes(only.scriptPubKey), only.nValue) == (PAYEE.raw, 79_998_000)


def test_the_smallest_change_is_not_dust() -> None:
    baseline = payment()
    built = build_payout(**baseline.but_intent(amount=Sats(79_998_000 - 330)).arguments)
    outputs = {
        bytes(out.scriptPubKey): out.nValue for out in CTransaction.deserialize(built.transaction).vout
    }
    assert outputs[baseline.material.script] == 330


def _stranger_coin(baseline: Payment) -> tuple[Coin, ...]:
    return (*baseline.coins, coin(material.make("client-two").script, 7_000, seed=9))


def _of_another_value(handed: Coin) -> Coin:
    """A lie about the amount: what a hardware wallet once believed."""
    previous = CTransaction.deserialize(handed.previous_transaction)
    outputs = [*previous.vout]
    outputs[handed.index] = CTxOut(90_000_000, outputs[handed.index].scriptPubKey)
    lie = CTransaction(previous.vin, outputs, previous.nLockTime, previous.nVersion)
    return replace(handed, previous_transaction=lie.serialize())


def test_another_amount_is_another_coin() -> None:
    """The own node has no such coin, and a signature for it spends nothing."""
    baseline = payment()
    honest = build_payout(**baseline.arguments).spent
    coins = (baseline.coins[0], _of_another_value(baseline.coins[1]))
    lie = build_payout(**baseline.but(coins=coins).arguments).spent
    assert len({each.outpoint for each in (*honest, *lie)}) == 3


def _padded(baseline: Payment) -> tuple[Coin, ...]:
    first = baseline.coins[0]
    return (replace(first, previous_transaction=first.previous_transaction + b"\x00"), *baseline.coins[1:])


def _long(baseline: Payment, size: int, *, seed: int) -> Coin:
    """A coin of the account whose transaction is exactly that long: an output carries the rest."""
    short = CTransaction.deserialize(coin(baseline.material.script, 1_000, seed=seed).previous_transaction)
    head = len(short.serialize()) + 8 + 5  # the amount of one more output, and its length on 5 bytes
    filler = CTxOut(0, CScript(b"\x6a" + bytes(size - head - 1)))
    return Coin(
        previous_transaction=CTransaction(short.vin, [*short.vout, filler], witness=short.wit).serialize(),
        index=0,
    )


def _too_long(baseline: Payment) -> tuple[Coin, ...]:
    return (*baseline.coins, _long(baseline, PREVIOUS_BYTES_MAX + 1, seed=20))


def _too_long_together(baseline: Payment) -> tuple[Coin, ...]:
    size = PREVIOUS_BYTES_TOTAL_MAX // 8
    return (*baseline.coins, *(_long(baseline, size, seed=seed) for seed in range(20, 28)))


COINS: list[tuple[str, Any, Tag]] = [
    ("another account's coin", _stranger_coin, Tag.INPUT_NOT_OURS),
    (
        "another amount of the anchor",
        lambda b: (_of_another_value(b.coins[0]), b.coins[1]),
        Tag.ANCHOR_MISMATCH,
    ),
    ("an output that does not exist", lambda b: (replace(b.coins[0], index=7), b.coins[1]), Tag.PREVOUT_LIE),
    ("a negative index", lambda b: (replace(b.coins[0], index=-1), b.coins[1]), Tag.PREVOUT_LIE),
    ("bytes after the transaction", _padded, Tag.PREVOUT_LIE),
    ("no transaction", lambda b: (*b.coins, Coin(previous_transaction=b"", index=0)), Tag.PREVOUT_LIE),
    ("too long a transaction", _too_long, Tag.PREVOUT_LIE),
    ("too long together", _too_long_together, Tag.PREVOUT_LIE),
    ("the anchor left out", lambda b: (coin(b.material.script, 90_000_000, seed=8),), Tag.ANCHOR_MISMATCH),
    ("a coin twice", lambda b: (*b.coins, b.coins[1]), Tag.TRANSACTION_SHAPE),
    ("no coin", lambda _: (), Tag.TRANSACTION_SHAPE),
    ("too many coins", lambda b: (b.coins[0],) * (INPUTS_MAX + 1), Tag.TRANSACTION_SHAPE),
    ("too little", lambda b: (b.coins[0],), Tag.AMOUNT),
]


def test_a_previous_transaction_of_the_longest_size_is_read() -> None:
    baseline = payment()
    longest = _long(baseline, PREVIOUS_BYTES_MAX, seed=20)
    assert len(longest.previous_transaction) == PREVIOUS_BYTES_MAX
    assert len(build_payout(**baseline.but(coins=(*baseline.coins, longest)).arguments).spent) == 3


@pytest.mark.parametrize(("mutate", "tag"), [row[1:] for row in COINS], ids=[row[0] for row in COINS])
def test_coins_are_refused(mutate: Any, tag: Tag) -> None:
    baseline = payment()
    with pytest.raises(Refusal) as refused:
        build_payout(**baseline.but(coins=mutate(baseline)).arguments)
    assert refused.value.tag is tag


TERMS: list[tuple[str, Any, Tag]] = [
    ("fee above the cap", lambda b: b.but(fee=Sats(5_001)), Tag.FEE_CAP),
    ("cap below the fee", lambda b: b.but_intent(fee_cap=Sats(1_999)), Tag.FEE_CAP),
    ("more than the coins", lambda b: b.but_intent(amount=Sats(79_998_001)), Tag.AMOUNT),
    ("change of dust", lambda b: b.but_intent(amount=Sats(79_998_000 - 329)), Tag.AMOUNT),
    ("payout of dust", lambda b: b.but_intent(amount=Sats(293)), Tag.AMOUNT),
    ("another account", lambda b: b.but_intent(account=AccountId("client-two")), Tag.ACCOUNT_UNKNOWN),
    ("another network", lambda b: b.but_intent(network=Network.TESTNET), Tag.STATEMENT_NETWORK),
    (
        "another outpoint",
        lambda b: b.but_intent(anchor=outpoint_anchor(coin(b.material.script, 1, seed=5))),
        Tag.ANCHOR_MISMATCH,
    ),
    (
        "the account itself",
        lambda b: b.but_intent(
            destination=BitcoinDestination(script_pubkey=b.material.account.bitcoin.script_pubkey)
        ),
        Tag.DESTINATION,
    ),
    (
        "an intent of ether",
        lambda b: b.but(
            intent=material.intent(
                b.material, anchor=material.nonce_anchor(0), amount=Wei(1), fee_cap=Wei(1_000_000)
            )
        ),
        Tag.ANCHOR_MISMATCH,
    ),
]


@pytest.mark.parametrize(("mutate", "tag"), [row[1:] for row in TERMS], ids=[row[0] for row in TERMS])
def test_terms_are_refused(mutate: Any, tag: Tag) -> None:
    with pytest.raises(Refusal) as refused:
        build_payout(**mutate(payment()).arguments)
    assert refused.value.tag is tag


@pytest.mark.parametrize(
    ("script", "limit"),
    [
        ("0014" + "11" * 20, 294),
        ("0020" + "11" * 32, 330),
        ("5120" + "11" * 32, 330),
        ("76a914" + "11" * 20 + "88ac", 546),
        ("a914" + "11" * 20 + "87", 540),
    ],
)
def test_dust_limits_are_those_of_bitcoin_core(script: str, limit: int) -> None:
    assert dust_limit(ScriptPubKey(script).raw) == Sats(limit)


def test_the_most_inputs_stay_within_what_nodes_relay() -> None:
    baseline = payment()
    coins = tuple(coin(baseline.material.script, 4_000_000, seed=seed) for seed in range(INPUTS_MAX))
    many = baseline.but(coins=coins, fee=Sats(0)).but_intent(anchor=outpoint_anchor(coins[0]))
    unsigned = len(build_payout(**many.arguments).transaction)
    witness = 1 + 1 + 2 * (1 + 72) + 1 + 105
    assert 4 * unsigned + 2 + INPUTS_MAX * witness < 400_000
