"""Calls that come at once: each is decided by what the ones before it have written down."""

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest

from signers.journal import AnchorFinal, Entry, Record
from signers.rules import watch
from signers.rules.announce import announce
from signers.rules.decision import Declined
from signers.rules.sign import sign
from signers.statements.amounts import Asset, Sats
from signers.statements.identifiers import IntentId, Seconds
from signers.statements.refusals import Tag
from tests.factories import BTC
from tests.signers.stage import Stage

IDS = [IntentId(f"0190a0a0-0000-4000-8000-00000000000{letter}") for letter in "abcd"]


def slowed(monkeypatch: pytest.MonkeyPatch, node: object, method: str) -> None:
    """The node lets every other task run before it answers."""
    ask = getattr(node, method)

    async def slow(*arguments: Any, **named: Any) -> object:
        for _ in range(50):
            await asyncio.sleep(0)
        return await ask(*arguments, **named)

    monkeypatch.setattr(node, method, slow)


async def outcome(call: Awaitable[object]) -> Tag | None:
    """The rule that refused, if any did."""
    try:
        await call
    except Declined as declined:
        return declined.refusal.tag
    return None


async def test_announcements_at_once_stay_within_the_limit(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four replacements on one anchor, each of which fits by itself."""
    slowed(monkeypatch, stage.bitcoin, "confirmed_output")
    intents = [stage.intent(Asset.BTC, intent=each, amount=Sats(10 * BTC)) for each in IDS]
    outcomes = await asyncio.gather(
        *(outcome(announce(stage[0], stage.announcement(intent))) for intent in intents)
    )
    assert outcomes == [None, Tag.VELOCITY, Tag.VELOCITY, Tag.VELOCITY]


async def test_attempts_at_once_stay_within_the_fee_budget(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    intent, receipts = await stage.announced(Asset.BTC)
    slowed(monkeypatch, stage.bitcoin, "confirmed_output")
    fees = (30_000, 30_001)
    outcomes = await asyncio.gather(
        *(outcome(sign(stage[0], stage.signing(intent, receipts, fee_units=fee))) for fee in fees)
    )
    assert outcomes == [None, Tag.FEE_BUDGET]


async def test_the_watch_and_an_announcement_write_an_anchors_end_down_once(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stage.announced(Asset.BTC)
    stage.bitcoin.spend(stage.coins[0])
    stage.bitcoin.mine(count=stage.world.policy.terms_of(Asset.BTC).finality_depth)
    slowed(monkeypatch, stage.bitcoin, "anchor_spent_at_finality")
    written: list[Entry] = []
    append = stage[0].journal.append

    def watched(entry: Entry, *, at: Seconds) -> Record:
        written.append(entry)
        return append(entry, at=at)

    monkeypatch.setattr(stage[0].journal, "append", watched)
    second = stage.intent(Asset.BTC, intent=IDS[0], anchor=stage.anchor(1))
    announced, _ = await asyncio.gather(
        outcome(announce(stage[0], stage.announcement(second))), watch.tick(stage[0])
    )
    assert announced is None
    assert len([entry for entry in written if isinstance(entry, AnchorFinal)]) == 1
