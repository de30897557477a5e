"""Two signers and a malicious custody cannot produce two payouts of one intent that could both confirm."""

from dataclasses import replace
from itertools import combinations

import pytest

from signers.statements.amounts import Asset, Sats, Wei
from signers.statements.identifiers import IntentId
from signers.statements.intent import Anchor, Intent, NonceAnchor
from tests.signers.fakes import anchor_of
from tests.signers.model.custody import Enemy
from tests.signers.stage import FEES, Stage

OTHER = IntentId("0190a0a0-0000-4000-8000-00000000000b")
PAIRS = list(combinations(range(3), 2))
HOLDER = 0


@pytest.fixture
def enemy(stage: Stage) -> Enemy:
    return Enemy(stage)


async def announce_everywhere(enemy: Enemy, intent: Intent) -> None:
    for index in range(3):
        assert await enemy.announce(index, intent)


def second_anchor(stage: Stage, asset: Asset) -> Anchor:
    """Another coin of the account, or the nonce after the next."""
    if asset is Asset.BTC:
        return anchor_of(stage.coins[1])
    return NonceAnchor(chain_id=stage.world.network.chain_id, nonce=1)


async def ask_everyone(enemy: Enemy, intent: Intent) -> list[bool]:
    """Every signer, for the attempt that spends the intent's own anchor."""
    stage = enemy.stage
    coins = tuple(coin for coin in stage.coins if anchor_of(coin) == intent.anchor)
    request = stage.signing(intent, enemy.relayed(intent), coins=coins)
    return [await enemy.sign(index, request) for index in range(3)]


async def test_a_transaction_withheld_from_each_pair(stage: Stage, enemy: Enemy) -> None:
    """Each pair signs its own attempt, with other coins beside the anchor, and custody publishes none."""
    intent = stage.intent(Asset.BTC)
    await announce_everywhere(enemy, intent)
    stage.pass_timelock(Asset.BTC)
    sets = [stage.coins[:1], stage.coins[:2], [stage.coins[0], stage.coins[2]]]
    for number, (pair, coins) in enumerate(zip(PAIRS, sets, strict=True), start=1):
        for index in pair:
            request = stage.signing(
                intent, enemy.relayed(intent), coins=tuple(coins), fee_units=1_000 * number
            )
            assert await enemy.sign(index, request)
    spendable = enemy.spendable()
    assert len(spendable) == 3
    assert all(each.intent.anchor in each.uses for each in spendable)
    assert not list(enemy.pairs_that_could_both_confirm())


async def test_a_transfer_withheld_at_every_fee(stage: Stage, enemy: Enemy) -> None:
    """The holder signs each, since each may replace the other: all of them use the one nonce."""
    intent = stage.intent(Asset.ETH)
    await announce_everywhere(enemy, intent)
    stage.pass_timelock(Asset.ETH)
    for number in (1, 2, 3):
        request = stage.signing(intent, enemy.relayed(intent), fee_units=FEES[Asset.ETH] * number)
        assert await enemy.sign(HOLDER, request)
    assert len(enemy.spendable()) == 3
    assert not list(enemy.pairs_that_could_both_confirm())


async def test_attempts_without_the_anchor_are_signed_by_nobody(stage: Stage, enemy: Enemy) -> None:
    intent = stage.intent(Asset.BTC)
    await announce_everywhere(enemy, intent)
    stage.pass_timelock(Asset.BTC)
    for index in range(3):
        request = stage.signing(intent, enemy.relayed(intent), coins=(stage.coins[1],))
        assert not await enemy.sign(index, request)


async def test_two_faces_of_one_intent(stage: Stage, enemy: Enemy) -> None:
    """One id, two payouts, each shown to other signers: neither is announced everywhere, none is signed."""
    shown = stage.intent(Asset.BTC)
    hidden = replace(shown, anchor=anchor_of(stage.coins[1]))
    await show(enemy, shown, hidden, asset=Asset.BTC)


async def test_two_faces_of_one_intent_on_one_nonce(stage: Stage, enemy: Enemy) -> None:
    shown = stage.intent(Asset.ETH)
    await show(enemy, shown, replace(shown, amount=Wei(1)), asset=Asset.ETH)


async def test_one_id_on_two_chains(stage: Stage, enemy: Enemy) -> None:
    """What people saw as one payout would otherwise leave twice."""
    bitcoin = stage.intent(Asset.BTC)
    await show(enemy, bitcoin, stage.intent(Asset.ETH, intent=bitcoin.intent), asset=Asset.BTC)


async def show(enemy: Enemy, shown: Intent, hidden: Intent, *, asset: Asset) -> None:
    """One face to two signers, the holder among them, and the other to the third."""
    for index in (HOLDER, 1):
        assert await enemy.announce(index, shown)
    assert await enemy.announce(2, hidden)
    assert not await enemy.announce(2, shown)
    assert not await enemy.announce(HOLDER, hidden)
    enemy.stage.pass_timelock(asset)
    for intent in (shown, hidden):
        assert await ask_everyone(enemy, intent) == [False] * 3
    assert not enemy.spendable()


@pytest.mark.parametrize("asset", Asset)
async def test_a_second_intent_beside_a_withheld_transaction(
    stage: Stage, enemy: Enemy, asset: Asset
) -> None:
    """Custody reports the first as failed and asks again under another id and anchor: nobody announces."""
    first = stage.intent(asset)
    await announce_everywhere(enemy, first)
    stage.pass_timelock(asset)
    assert (await ask_everyone(enemy, first))[HOLDER]
    stage.advance(20 * 3600)
    again = stage.intent(asset, intent=OTHER, anchor=second_anchor(stage, asset))
    for index in range(3):
        assert not await enemy.announce(index, again)
    amount = Sats(1_000_000) if asset is Asset.BTC else Wei(1_000_000)
    replaced = stage.intent(asset, intent=OTHER, amount=amount)
    await announce_everywhere(enemy, replaced)
    stage.pass_timelock(asset)
    assert (await ask_everyone(enemy, replaced))[HOLDER]
    first_out, second_out = enemy.spendable()
    assert first_out.uses & second_out.uses


@pytest.mark.parametrize("asset", Asset)
async def test_one_signer_owned_by_the_enemy_with_its_vault(stage: Stage, asset: Asset) -> None:
    """It signs receipts for everything and every transaction; the two honest ones still bind the coins."""
    enemy = Enemy(stage, owned=2)
    shown = stage.intent(asset)
    hidden = stage.intent(asset, intent=OTHER, anchor=second_anchor(stage, asset))
    await announce_everywhere(enemy, shown)
    # The second payout needs one honest signer beside the owned one; none has announced it.
    assert [await enemy.announce(index, hidden) for index in range(3)] == [False, False, True]
    stage.pass_timelock(asset)
    await ask_everyone(enemy, shown)
    assert await ask_everyone(enemy, hidden) == [False, False, asset is Asset.BTC]
    assert {each.intent.digest for each in enemy.spendable()} == {shown.digest}


@pytest.mark.parametrize("asset", Asset)
async def test_receipts_forged_for_the_signers_it_does_not_own(stage: Stage, asset: Asset) -> None:
    """One id with two faces, each shown to one honest signer; the owned one lends its signature to both."""
    enemy = Enemy(stage, owned=2)
    shown = stage.intent(asset)
    hidden = replace(shown, amount=Sats(1_000_000) if asset is Asset.BTC else Wei(1_000_000))
    assert await enemy.announce(HOLDER, shown)
    assert await enemy.announce(1, hidden)
    for intent in (shown, hidden):
        assert await enemy.announce(2, intent)
    stage.pass_timelock(asset)
    coins = (stage.coins[0],) if asset is Asset.BTC else ()
    for intent in (shown, hidden):
        request = stage.signing(intent, enemy.relayed(intent, forged=True), coins=coins)
        assert [await enemy.sign(index, request) for index in (HOLDER, 1)] == [False, False]
        await enemy.sign(2, request)
    assert not enemy.spendable()


async def test_the_holder_of_the_ethereum_key_needs_nobody(stage: Stage) -> None:
    """Single-holder, as every receipt says: this theft succeeds, and mainnet refuses the arrangement."""
    enemy = Enemy(stage, owned=HOLDER)
    first = stage.intent(Asset.ETH)
    second = replace(first, anchor=second_anchor(stage, Asset.ETH))
    for intent in (first, second):
        enemy.intents[intent.digest] = intent
        assert await enemy.sign(HOLDER, stage.signing(intent, ()))
    assert list(enemy.pairs_that_could_both_confirm())
