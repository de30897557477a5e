"""Coins in transactions so long that signers could not be shown them together."""

from custody.application import withdrawals
from custody.domain.deposit import Outpoint
from custody.domain.identifiers import WithdrawalId
from custody.domain.withdrawal_states import WithdrawalState
from signers.statements.amounts import Asset, Sats
from signers.statements.identifiers import TxId
from tests.factories import BTC
from tests.unit.custody.adapters.blocks import transaction
from tests.unit.custody.workers.stage import CONFIRMATIONS, Stage

LONG = 900_000
"""Six such transactions fit into a request to a signer, seven do not."""
LONG_COIN, SHORT_COIN = BTC * 12 // 100, BTC // 10


async def funded_at_length(stage: Stage) -> None:
    """One coin in a short transaction, and seven larger ones in long ones."""
    await stage.watch()
    script = stage.world.account.bitcoin.script_pubkey.raw
    stage.bitcoin.pay(script, SHORT_COIN)
    for number in range(7):
        source = [Outpoint(TxId(f"{number + 1:064x}"), 0)]
        filler = (b"\x6a" + bytes(LONG), 0)
        stage.bitcoin.put(transaction(spends=source, outputs=[(script, LONG_COIN), filler]))
        stage.bitcoin.mine()
    stage.bitcoin.mine(CONFIRMATIONS)
    stage.ethereum.mine(stage.ethereum.final_behind + 1)
    await stage.watch()
    stage.custody.publish_prices()


async def test_coins_that_signers_could_not_be_shown_together_are_not_chosen_together() -> None:
    stage = Stage()
    await funded_at_length(stage)
    asked = stage.custody.request(Sats(BTC * 8 // 10), Sats(50_000), withdrawal=WithdrawalId("out-btc"))
    await stage.drive()
    chosen = [stage.custody.ask(lambda uow, at=at: uow.coin(at)) for at in stage.custody.present(asked).coins]
    assert sorted(coin.amount.units for coin in chosen) == [SHORT_COIN, *[LONG_COIN] * 6]
    stage.custody.agree(stage.present(Asset.BTC))
    await stage.drive()
    stage.pass_time(700)
    await stage.drive()
    assert stage.state(Asset.BTC) is WithdrawalState.BROADCAST


async def test_what_no_coins_that_signers_can_be_shown_cover_is_not_planned() -> None:
    """Nor ever attempted: it can be cancelled, and it lapses."""
    stage = Stage()
    await funded_at_length(stage)
    stage.custody.request(Sats(BTC * 9 // 10), Sats(50_000), withdrawal=WithdrawalId("out-btc"))
    await stage.drive()
    assert stage.state(Asset.BTC) is WithdrawalState.REQUESTED
    stage.pass_time(stage.present(Asset.BTC).expires_at - stage.custody.now)
    stage.custody.run(lambda uow: withdrawals.expire_due(uow, now=stage.clock()))
    assert stage.state(Asset.BTC) is WithdrawalState.EXPIRED
    assert stage.custody.balances(Asset.BTC).withdrawing == 0
