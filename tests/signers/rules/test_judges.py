"""The second implementation, shown something else than the intent: what a broken builder would make."""

from collections.abc import Callable

import pytest
import rlp

from signers.bitcoin.coins import Coin
from signers.bitcoin.construct import build_payout as build_bitcoin
from signers.bitcoin.verify import verify_payout as judge_bitcoin
from signers.ethereum.construct import UnsignedPayout
from signers.ethereum.construct import build_payout as build_ethereum
from signers.ethereum.verify import verify_payout as judge_ethereum
from signers.statements.allowlist import BitcoinDestination
from signers.statements.amounts import Asset, Sats, Wei
from signers.statements.refusals import Tag
from tests.factories import BTC, World, build_world
from tests.signers.fakes import FakeBitcoinNode, anchor_of
from tests.signers.marks import refused, refuses

FEE = Sats(2_000)
FEE_WEI = Wei(21_000 * 10**9)
STRANGER = bytes.fromhex("0020" + "99" * 32)


@pytest.fixture(scope="module")
def world() -> World:
    return build_world()


@pytest.fixture(scope="module")
def coin(world: World) -> Coin:
    node = FakeBitcoinNode(now=lambda: world.now)
    return node.fund(world.account.bitcoin.script_pubkey.raw, BTC, seed=1)


def judge_changed(world: World, coin: Coin, change: Callable[[bytes], bytes]) -> None:
    intent = world.intent(Asset.BTC, anchor=anchor_of(coin))
    built = build_bitcoin(intent=intent, account=world.account, coins=(coin,), fee=FEE)
    changed = change(built.transaction)
    assert changed != built.transaction or change(b"") == b""
    judge_bitcoin(changed, intent=intent, account=world.account, coins=(coin,), fee=FEE)


def payee(world: World) -> bytes:
    destination = world.destination(Asset.BTC)
    assert isinstance(destination, BitcoinDestination)
    return destination.script_pubkey.raw


def test_baseline_bitcoin(world: World, coin: Coin) -> None:
    judge_changed(world, coin, lambda transaction: transaction)


@refuses(Tag.DESTINATION)
def test_another_destination(world: World, coin: Coin) -> None:
    with refused(Tag.DESTINATION):
        judge_changed(world, coin, lambda tx: tx.replace(payee(world), b"\x00\x14" + b"\x66" * 20))


@refuses(Tag.AMOUNT)
def test_another_amount(world: World, coin: Coin) -> None:
    less = (BTC // 2 - 1).to_bytes(8, "little")
    with refused(Tag.AMOUNT):
        judge_changed(world, coin, lambda tx: tx.replace((BTC // 2).to_bytes(8, "little"), less))


@refuses(Tag.CHANGE_NOT_OURS)
def test_change_to_someone_else(world: World, coin: Coin) -> None:
    script = world.account.bitcoin.script_pubkey.raw
    with refused(Tag.CHANGE_NOT_OURS):
        judge_changed(world, coin, lambda tx: tx.replace(script, STRANGER))


@refuses(Tag.TRANSACTION_SHAPE)
def test_a_lock_time(world: World, coin: Coin) -> None:
    with refused(Tag.TRANSACTION_SHAPE):
        judge_changed(world, coin, lambda tx: tx[:-4] + b"\x01\x00\x00\x00")


def judge_fields(world: World, index: int, value: object) -> None:
    """Judge the baseline payout of ether with one field of its RLP changed."""
    intent = world.intent(Asset.ETH)
    built: UnsignedPayout = build_ethereum(intent=intent, account=world.account, fee=FEE_WEI)
    fields: list[object] = list(built.fields)
    if index >= 0:
        fields[index] = value
    payload = b"\x02" + rlp.encode(fields)
    judge_ethereum(payload, intent=intent, account=world.account, fee=FEE_WEI)


def test_baseline_ethereum(world: World) -> None:
    judge_fields(world, -1, None)


@pytest.mark.parametrize(
    ("index", "value", "tag"),
    [
        pytest.param(0, 1, Tag.CHAIN_ID, id="chain"),
        pytest.param(1, 7, Tag.NONCE, id="nonce"),
        pytest.param(3, 10**15, Tag.FEE_CAP, id="fee"),
        pytest.param(5, b"\x66" * 20, Tag.DESTINATION, id="destination"),
        pytest.param(6, 1, Tag.AMOUNT, id="amount"),
        pytest.param(7, b"\xa9\x05\x9c\xbb", Tag.TRANSACTION_SHAPE, id="calldata"),
        pytest.param(8, [[b"\x11" * 20, []]], Tag.TRANSACTION_SHAPE, id="access-list"),
    ],
)
@refuses(Tag.CHAIN_ID, Tag.NONCE, Tag.FEE_CAP, Tag.DESTINATION, Tag.AMOUNT, Tag.TRANSACTION_SHAPE)
def test_another_field(world: World, index: int, value: object, tag: Tag) -> None:
    with refused(tag):
        judge_fields(world, index, value)
