"""A journal that the peers have not confirmed, or that turns out to be old: nothing is decided on it."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from signers.rules.announce import announce
from signers.rules.decision import Declined
from signers.rules.sign import sign
from signers.rules.signer import Signer
from signers.statements.amounts import Asset
from signers.statements.refusals import Tag
from tests.signers.marks import refused, refuses
from tests.signers.stage import Stage


async def rolled_back(stage: Stage) -> tuple[Signer, Callable[[], Awaitable[None]]]:
    """A signer whose journal forgot an announcement, which no peer knows; and what makes it find out."""
    saved = await stage.saved(0)
    intent, receipts = await stage.announced(Asset.BTC)
    stage.restore(0, saved)
    await stage.reconcile(0)
    signer = stage[0]

    async def find_out() -> None:
        with refused(Tag.JOURNAL_BEHIND):
            await sign(signer, stage.signing(intent, receipts))

    return signer, find_out


def held_up(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> tuple[asyncio.Event, asyncio.Event]:
    """The Ethereum node answers for its tip only once the second event is set."""
    asked, answered, tip = asyncio.Event(), asyncio.Event(), stage.ethereum.tip

    async def slow() -> object:
        asked.set()
        await answered.wait()
        return await tip()

    monkeypatch.setattr(stage.ethereum, "tip", slow)
    return asked, answered


@refuses(Tag.JOURNAL_BEHIND)
async def test_a_call_that_waits_while_the_journal_proves_old_decides_nothing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    signer, find_out = await rolled_back(stage)
    asked, answered = held_up(stage, monkeypatch)
    waiting = asyncio.create_task(announce(signer, stage.announcement(stage.intent(Asset.ETH))))
    await asked.wait()
    await find_out()
    before = signer.journal.sequence
    answered.set()
    with refused(Tag.JOURNAL_BEHIND):
        await waiting
    assert signer.journal.sequence == before


async def test_a_refusal_that_comes_out_meanwhile_is_not_written_down(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    signer, find_out = await rolled_back(stage)
    asked, answered = held_up(stage, monkeypatch)
    unreleased = stage.announcement(stage.intent(Asset.ETH), release=None)
    waiting = asyncio.create_task(announce(signer, unreleased))
    await asked.wait()
    await find_out()
    before = signer.journal.sequence
    answered.set()
    with suppress(Declined):
        await waiting
    declined = waiting.exception()
    assert isinstance(declined, Declined)
    assert (declined.refusal.tag, declined.receipt) == (Tag.RELEASE_MISSING, None)
    assert signer.journal.sequence == before
