"""An intent that ran out unsigned: seen, ended, and no obstacle to the account's next payout."""

import pytest

from custody.application import withdrawals
from custody.application.ports.chains import TransactionNotFound
from custody.domain.identifiers import WithdrawalId
from custody.domain.withdrawal import Withdrawal
from custody.domain.withdrawal_states import WithdrawalState
from custody.workers.expiry import Expiry
from custody.workers.pauses import PAUSE_SECONDS_MAX
from signers.statements.amounts import Asset, Sats, Wei
from signers.statements.identifiers import BlockHash, SignerId, TxId
from signers.statements.refusals import Tag
from tests.factories import BTC, ETH
from tests.unit.custody.workers.stage import CONFIRMATIONS, Stage

S = WithdrawalState


async def announcing(stage: Stage, asset: Asset) -> Withdrawal:
    """Everybody has signed the first withdrawal; the signers hear of it next."""
    await stage.fund()
    stage.request(asset)
    await stage.drive()
    return stage.custody.agree(stage.present(asset))


async def lapse(stage: Stage) -> None:
    await Expiry(store=stage.store, clock=stage.clock).tick()


async def pay_again(stage: Stage, asset: Asset) -> Withdrawal:
    """The account's next withdrawal, from request to settlement."""
    amount, cap = (Sats(BTC // 4), Sats(50_000)) if asset is Asset.BTC else (Wei(ETH // 4), Wei(ETH // 100))
    asked = stage.custody.request(amount, cap, withdrawal=WithdrawalId("out-again"))
    await stage.drive()
    stage.custody.publish_prices()
    stage.custody.agree(stage.custody.present(asked))
    await stage.drive()
    stage.pass_time(700)
    await stage.drive()
    await stage.settle(asset)
    return stage.custody.present(asked)


async def larger_coin(stage: Stage) -> None:
    """What a selection by size alone would take first."""
    stage.bitcoin.pay(stage.world.account.bitcoin.script_pubkey.raw, 3 * BTC)
    stage.bitcoin.mine(CONFIRMATIONS)
    await stage.watch()


@pytest.mark.parametrize("asset", Asset)
@pytest.mark.parametrize("answered", [1, 3])
async def test_an_account_pays_on_the_anchor_of_an_intent_that_lapsed(asset: Asset, answered: int) -> None:
    stage = Stage()
    first = await announcing(stage, asset)
    for party in stage.world.signers[answered:]:
        stage.signers.refuse(party.signer, Tag.STALE_TIP)
    await stage.drive()
    assert len(stage.present(asset).announcements) == answered
    await larger_coin(stage)
    for signer in stage.signers.each.values():
        signer.refuses = None
    stage.pass_time(first.expires_at - stage.custody.now)
    await lapse(stage)
    assert stage.state(asset) is S.EXPIRED
    paid = await pay_again(stage, asset)
    assert paid.state is S.SETTLED
    assert paid.anchor == first.anchor


async def test_an_announcement_whose_answer_was_lost_binds_as_well() -> None:
    stage = Stage()
    first = await announcing(stage, Asset.BTC)
    await stage.signers.announce(
        stage.world.signers[0].signer,
        intent=stage.world.approve(stage.custody.intent(first)),
        release=stage.world.release_envelope(stage.custody.intent(first)),
        allowlist_entry=stage.world.allowlist_envelope(Asset.BTC),
    )
    await larger_coin(stage)
    stage.pass_time(first.expires_at - stage.custody.now)
    await lapse(stage)
    assert not stage.present(Asset.BTC).announcements
    assert (await pay_again(stage, Asset.BTC)).state is S.SETTLED


@pytest.mark.parametrize("asset", Asset)
async def test_signers_that_refuse_as_too_late_are_recorded_and_end_it(asset: Asset) -> None:
    """Asked in time by custody's clock, too late by theirs."""
    stage = Stage()
    first = await announcing(stage, asset)
    await stage.drive()
    for signer in stage.signers.each.values():
        signer.ends_at = dict.fromkeys(signer.ends_at, stage.clock())
    stage.pass_time(700)
    await stage.drive()
    present = stage.present(asset)
    could = withdrawals.could_sign(stage.world.account, asset)
    assert present.state is S.SIGNING
    assert {(each.signer, each.tags) for each in present.refusals} == {
        (signer, (Tag.AUTHORITY_EXPIRED,)) for signer in could
    }
    for signer in stage.signers.each.values():
        signer.ends_at.clear()
    stage.pass_time(PAUSE_SECONDS_MAX)
    await stage.drive()  # would fail at a signer that is asked again
    await lapse(stage)
    assert stage.state(asset) is S.EXPIRED
    paid = await pay_again(stage, asset)
    assert (paid.state, paid.anchor) == (S.SETTLED, first.anchor)


async def gone(txid: TxId, *, block: BlockHash | None = None) -> bytes:
    """What nodes answer once the transaction has left the chain."""
    raise TransactionNotFound(f"{txid} in {block}")


async def signing_and_gone(stage: Stage, *, corrupting: int) -> Withdrawal:
    """An attempt is on record, signed at most as rubbish by so many; then a coin of it leaves the chain."""
    first = await announcing(stage, Asset.BTC)
    await stage.drive()
    for signer in stage.signers.each.values():
        signer.refuses = Tag.STALE_TIP
    for party in stage.world.signers[:corrupting]:
        stage.signers.each[party.signer].refuses = None
        stage.signers.each[party.signer].corrupts = True
    stage.pass_time(700)
    await stage.drive()
    for signer in stage.signers.each.values():
        signer.refuses = None
    stage.bitcoin.raw_transaction = gone  # type: ignore[method-assign] # as the chain is by now
    return first


def said(stage: Stage, tag: Tag) -> set[SignerId]:
    refusals = stage.present(Asset.BTC).refusals
    return {answer.signer for answer in refusals if tag in answer.tags}


async def test_an_attempt_that_cannot_be_asked_for_any_more_ends_once_it_is_over() -> None:
    """A coin of it left the chain: no request can be made, and only the signers' word gives the hold back."""
    stage = Stage()
    first = await signing_and_gone(stage, corrupting=0)
    held = stage.custody.balances(Asset.BTC).withdrawing
    stage.pass_time(PAUSE_SECONDS_MAX)
    await stage.drive()
    assert held > 0
    assert not said(stage, Tag.TRANSACTION_SHAPE), "no signer is asked in vain while it could sign"
    stage.pass_time(first.expires_at - stage.custody.now)
    await stage.drive()
    assert said(stage, Tag.AUTHORITY_EXPIRED) == set(stage.signers.each)
    assert not any(signer.attempted for signer in stage.signers.each.values())
    await lapse(stage)
    assert stage.state(Asset.BTC) is S.EXPIRED
    assert stage.custody.balances(Asset.BTC).withdrawing == 0
    assert (await pay_again(stage, Asset.ETH)).state is S.SETTLED


async def test_who_signed_is_not_asked_without_inputs() -> None:
    stage = Stage()
    first = await signing_and_gone(stage, corrupting=2)
    stage.pass_time(first.expires_at - stage.custody.now)
    await stage.drive()
    for _ in range(3):
        stage.pass_time(PAUSE_SECONDS_MAX)
        await stage.drive()
    assert not said(stage, Tag.TRANSACTION_SHAPE)
    await lapse(stage)
    assert stage.state(Asset.BTC) is S.SIGNING


async def test_no_attempt_begins_that_signers_cannot_be_asked_for() -> None:
    """So what runs out is over at once, without anybody's word."""
    stage = Stage()
    first = await announcing(stage, Asset.BTC)
    await stage.drive()
    stage.bitcoin.raw_transaction = gone  # type: ignore[method-assign] # as above
    stage.pass_time(700)
    await stage.drive()
    assert stage.state(Asset.BTC) is S.TIMELOCKED
    assert not stage.present(Asset.BTC).attempts
    stage.pass_time(first.expires_at - stage.custody.now)
    await lapse(stage)
    assert stage.state(Asset.BTC) is S.EXPIRED


async def test_what_one_signer_signed_stays_held() -> None:
    """Its signature may be in the hands of another one that says it never signed."""
    stage = Stage()
    first = await announcing(stage, Asset.BTC)
    await stage.drive()
    late = stage.world.signers[1:]
    for party in late:
        stage.signers.each[party.signer].ends_at = {first.intent_digest: stage.clock()}  # type: ignore[dict-item] # planned
    stage.pass_time(700)
    await stage.drive()
    await lapse(stage)
    present = stage.present(Asset.BTC)
    assert present.state is S.SIGNING
    assert present.forgone == {party.signer for party in late}
