"""A signer whose receipts are none holds up nobody but itself."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from custody.domain.withdrawal_states import WithdrawalState
from signers.statements.amounts import Asset
from signers.statements.envelope import Envelope
from signers.statements.identifiers import Digest
from signers.statements.receipt import Receipt
from tests.unit.custody.workers.payout import (
    announced,
    assert_paid_once,
    funded,
    journey,
)
from tests.unit.custody.workers.stage import Stage


def unsigned(_: Stage, receipt: Envelope) -> Envelope:
    return Envelope(receipt.payload_type, receipt.payload)


def of_another_intent(stage: Stage, receipt: Envelope) -> Envelope:
    told = Receipt.read(receipt, network=stage.world.network)
    return stage.world.cosign(replace(told, intent_digest=Digest("ab" * 32)), stage.world.signers[0])


def malformed(_: Stage, receipt: Envelope) -> Envelope:
    return Envelope(receipt.payload_type, b"{}")


def anothers(stage: Stage, receipt: Envelope) -> Envelope:
    """The second signer's, as soon as that has announced."""
    announced = stage.signers.each[stage.world.signers[1].signer].announced
    return next(iter(announced.values()), unsigned(stage, receipt))


@pytest.mark.parametrize("asset", Asset)
@pytest.mark.parametrize("misstate", [unsigned, of_another_intent, malformed, anothers])
async def test_a_signer_that_announces_with_no_receipt_holds_up_no_other(
    asset: Asset, misstate: Callable[[Stage, Envelope], Envelope]
) -> None:
    stage = await funded(asset)
    await stage.watch()
    await stage.drive()
    stage.custody.agree(stage.present(asset))
    first, *others = (party.signer for party in stage.world.signers)
    stage.signers.each[first].misstates = lambda receipt: misstate(stage, receipt)
    await stage.drive()
    for _ in range(3):
        stage.pass_time(10)
        await stage.drive()
    assert [answer.signer for answer in stage.present(asset).announcements] == others
    stage.signers.each[first].misstates = None
    stage.pass_time(100)
    await stage.drive()
    assert stage.state(asset) is WithdrawalState.TIMELOCKED


async def test_the_second_signer_is_brought_the_first_one_s_half() -> None:
    """With it, it has the consensus rules judge the whole before its own half leaves (trust: rule 5)."""
    stage = await funded(Asset.BTC)
    await journey(stage, Asset.BTC)
    first, second, third = (stage.signers.each[party.signer].shown for party in stage.world.signers)
    assert (first, second, third) == ([()], [(stage.world.signers[0].signer,)], [])


@pytest.mark.parametrize("misstate", [unsigned, of_another_intent, malformed, anothers])
async def test_a_signer_that_signs_with_no_receipt_does_not_stop_the_other_two(
    misstate: Callable[[Stage, Envelope], Envelope],
) -> None:
    stage = await funded(Asset.BTC)
    await announced(stage, Asset.BTC)
    first, *others = (party.signer for party in stage.world.signers)
    stage.signers.each[first].misstates = lambda receipt: misstate(stage, receipt)
    stage.pass_time(700)
    await stage.drive()
    assert [partial.signer for partial in stage.present(Asset.BTC).attempts[0].partials] == others
    await stage.settle(Asset.BTC)
    assert_paid_once(stage, Asset.BTC)


@pytest.mark.parametrize("misstate", [unsigned, of_another_intent, malformed])
async def test_a_holder_that_signs_with_no_receipt_sends_nothing_until_it_gives_one(
    misstate: Callable[[Stage, Envelope], Envelope],
) -> None:
    stage = await funded(Asset.ETH)
    await announced(stage, Asset.ETH)
    holder = stage.world.account.ethereum.holder
    stage.signers.each[holder].misstates = lambda receipt: misstate(stage, receipt)
    stage.pass_time(700)
    await stage.drive()
    assert stage.state(Asset.ETH) is WithdrawalState.SIGNING
    stage.signers.each[holder].misstates = None
    stage.pass_time(10)
    await stage.drive()
    await stage.settle(Asset.ETH)
    assert_paid_once(stage, Asset.ETH)
