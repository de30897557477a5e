"""Signing: the valid baseline, and one change for each refusal."""

from signers.rules.sign import sign
from signers.statements.amounts import Asset
from tests.signers.stage import Stage


async def test_baseline_bitcoin(stage: Stage) -> None:
    intent, receipts = await stage.announced(Asset.BTC)
    signed = [await sign(signer, stage.signing(intent, receipts)) for signer in stage.signers]
    assert len({each.transaction for each in signed}) == 1
    assert len({each.signatures for each in signed}) == 3


async def test_baseline_ethereum(stage: Stage) -> None:
    intent, receipts = await stage.announced(Asset.ETH)
    signed = await sign(stage[0], stage.signing(intent, receipts))
    assert len(signed.signatures) == 1
