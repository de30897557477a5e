"""An intent that ran out unsigned: seen, ended, and no obstacle to the account's next payout."""

import pytest

from custody.application import withdrawals
from custody.domain.identifiers import WithdrawalId
from custody.domain.withdrawal import Withdrawal
from custody.domain.withdrawal_states import WithdrawalState
from custody.workers.expiry import Expiry
from custody.workers.pauses import PAUSE_SECONDS_MAX
from signers.statements.amounts import Asset, Sats, Wei
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
