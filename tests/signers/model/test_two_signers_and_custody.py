"""Two signers and a malicious custody cannot produce two payouts of one intent that could both confirm."""

from dataclasses import replace
from itertools import combinations

import pytest

from signers.statements.amounts import Asset, Sats
from signers.statements.identifiers import IntentId
from signers.statements.intent import Intent
from signers.statements.receipt import Act, Receipt
from tests.signers.fakes import anchor_of
from tests.signers.model.custody import Enemy
from tests.signers.stage import Stage

OTHER = IntentId("0190a0a0-0000-4000-8000-00000000000b")
PAIRS = list(combinations(range(3), 2))


@pytest.fixture
def enemy(stage: Stage) -> Enemy:
    return Enemy(stage)


async def announce_everywhere(enemy: Enemy, intent: Intent) -> None:
    for index in range(3):
        assert await enemy.announce(index, intent)


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
    assert all(each.anchor in each.inputs for each in spendable)
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
    for index in (0, 1):
        assert await enemy.announce(index, shown)
    assert await enemy.announce(2, hidden)
    assert not await enemy.announce(2, shown)
    assert not await enemy.announce(0, hidden)
    stage.pass_timelock(Asset.BTC)
    for intent, coin in ((shown, stage.coins[0]), (hidden, stage.coins[1])):
        for index in range(3):
            request = stage.signing(intent, enemy.relayed(intent), coins=(coin,))
            assert not await enemy.sign(index, request)
    assert not enemy.spendable()


async def test_a_second_intent_beside_a_withheld_transaction(stage: Stage, enemy: Enemy) -> None:
    """Custody reports the first as failed and asks again under another id and anchor: nobody announces."""
    first = stage.intent(Asset.BTC)
    await announce_everywhere(enemy, first)
    stage.pass_timelock(Asset.BTC)
    for index in (0, 1):
        assert await enemy.sign(index, stage.signing(first, enemy.relayed(first)))
    stage.advance(20 * 3600)
    again = stage.intent(Asset.BTC, intent=OTHER, anchor=anchor_of(stage.coins[1]))
    for index in range(3):
        assert not await enemy.announce(index, again)
    replaced = stage.intent(Asset.BTC, intent=OTHER, amount=Sats(1_000_000))
    await announce_everywhere(enemy, replaced)
    stage.pass_timelock(Asset.BTC)
    for index in (1, 2):
        assert await enemy.sign(index, stage.signing(replaced, enemy.relayed(replaced)))
    first_out, second_out = enemy.spendable()
    assert first_out.inputs & second_out.inputs


async def test_one_signer_owned_by_the_enemy_with_its_vault(stage: Stage, enemy: Enemy) -> None:
    """It signs receipts for everything and every transaction; the two honest ones still bind the coins."""
    owned = stage.world.signers[2]
    shown = stage.intent(Asset.BTC)
    hidden = stage.intent(Asset.BTC, intent=OTHER, anchor=anchor_of(stage.coins[1]))
    for index in (0, 1):
        assert await enemy.announce(index, shown)
    forged = {
        intent.digest: stage.world.cosign(_announced(stage, intent), owned) for intent in (shown, hidden)
    }
    enemy.receipts[shown.digest][owned.signer] = forged[shown.digest]
    # The second payout needs one honest signer beside the owned one; none has announced it.
    for index in (0, 1):
        assert not await enemy.announce(index, hidden)
    enemy.receipts[hidden.digest] = {owned.signer: forged[hidden.digest]}
    stage.pass_timelock(Asset.BTC)
    for index in (0, 1):
        assert await enemy.sign(index, stage.signing(shown, enemy.relayed(shown)))
        request = stage.signing(hidden, enemy.relayed(hidden), coins=(stage.coins[1],))
        assert not await enemy.sign(index, request)


def _announced(stage: Stage, intent: Intent) -> Receipt:
    return stage.world.receipt(stage.world.signers[2], intent, Act.ANNOUNCED)
