"""What a signer does between calls."""

import asyncio

import pytest

from signers.rules import watch
from signers.rules.announce import announce
from signers.rules.receipts import missing
from signers.rules.reconciliation import HEADS_SECONDS
from signers.rules.sign import sign
from signers.statements.amounts import Asset
from signers.statements.envelope import Envelope
from signers.statements.identifiers import Digest, Nonce, SignerId
from signers.statements.refusals import Tag
from tests.signers.marks import refused, refuses
from tests.signers.stage import Stage


async def test_receipts_are_gathered_from_the_peers(stage: Stage) -> None:
    intent = stage.intent(Asset.BTC)
    await announce(stage[0], stage.announcement(intent))
    await announce(stage[1], stage.announcement(intent))
    assert await watch.tick(stage[0])
    history = stage[0].journal.views.intents[intent.digest]
    assert missing(stage[0], history) == (stage[2].id,)
    await announce(stage[2], stage.announcement(intent))
    assert await watch.tick(stage[0])
    assert not missing(stage[0], history)


async def test_a_peer_that_lies_about_an_intent_hides_nothing_else(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    liar, honest = stage[1].id, stage[2].id
    lied_about, other = stage.intent(Asset.BTC), stage.intent(Asset.ETH)
    for intent in (lied_about, other):
        await stage.announce_everywhere(stage.announcement(intent))
    truth = stage.wires.announce_receipt

    async def lie(peer: SignerId, intent_digest: Digest) -> Envelope | None:
        if (peer, intent_digest) == (liar, lied_about.digest):
            return stage.world.policy_envelope  # signed, and no receipt
        return await truth(peer, intent_digest)

    monkeypatch.setattr(stage.wires, "announce_receipt", lie)
    assert await watch.tick(stage[0])
    views = stage[0].journal.views
    assert set(views.peer_receipts) == {
        (honest, lied_about.digest),
        (honest, other.digest),
        (liar, other.digest),
    }
    stage.bitcoin.spend(stage.coins[0])
    stage.bitcoin.mine(count=stage.world.policy.terms_of(Asset.BTC).finality_depth)
    assert await watch.tick(stage[0])
    assert [history.digest for history in views.live()] == [other.digest]


async def test_a_peer_that_never_answers_delays_no_other(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    hanging = stage[1].id
    intent = stage.intent(Asset.BTC)
    await stage.announce_everywhere(stage.announcement(intent))
    truth = stage.wires.announce_receipt

    async def hang(peer: SignerId, intent_digest: Digest) -> Envelope | None:
        if peer == hanging:
            await asyncio.Event().wait()
        return await truth(peer, intent_digest)

    monkeypatch.setattr(stage.wires, "announce_receipt", hang)
    monkeypatch.setattr(watch, "PEER_SECONDS_MAX", 0.1)
    assert await watch.tick(stage[0])
    history = stage[0].journal.views.intents[intent.digest]
    assert missing(stage[0], history) == (hanging,)


async def test_an_anchor_that_is_spent_for_good_is_written_down_once(stage: Stage) -> None:
    intent = stage.intent(Asset.BTC)
    await announce(stage[0], stage.announcement(intent))
    stage.bitcoin.spend(stage.coins[0])
    stage.bitcoin.mine(count=stage.world.policy.terms_of(Asset.BTC).finality_depth)
    await watch.tick(stage[0])
    assert not stage[0].journal.views.intents[intent.digest].live
    sequence = stage[0].journal.sequence
    await watch.tick(stage[0])
    assert stage[0].journal.sequence == sequence


async def test_time_is_remembered_now_and_then(stage: Stage) -> None:
    await watch.tick(stage[0])
    mark, sequence = stage[0].journal.views.high_water, stage[0].journal.sequence
    assert mark == stage.clock[0]
    stage.advance(watch.HIGH_WATER_SECONDS - 1)
    await watch.tick(stage[0])
    assert stage[0].journal.sequence == sequence
    stage.advance(1)
    await watch.tick(stage[0])
    assert stage[0].journal.views.high_water == stage.clock[0]


async def test_a_clock_that_is_wrong_is_not_remembered(stage: Stage) -> None:
    await watch.tick(stage[0])
    mark = stage[0].journal.views.high_water
    stage.clock[0] = type(mark)(stage.clock[0] + 10 * 3600)
    assert await watch.tick(stage[0])
    assert stage[0].journal.views.high_water == mark


@refuses(Tag.JOURNAL_BEHIND)
async def test_a_silent_peer_keeps_everything_refused_and_nothing_is_written(stage: Stage) -> None:
    stage[0].journal.close()
    signer = stage.start(0)
    stage.wires.down.add(stage[2].id)
    sequence = signer.journal.sequence
    assert not await watch.tick(signer)
    with refused(Tag.JOURNAL_BEHIND):
        await announce(signer, stage.announcement(stage.intent(Asset.BTC)))
    assert signer.journal.sequence == sequence
    stage.wires.down.clear()
    assert await watch.tick(signer)
    await announce(signer, stage.announcement(stage.intent(Asset.BTC)))


async def test_a_journal_rolled_back_to_an_announcement_is_noticed_by_the_peers(stage: Stage) -> None:
    """It forgets attempts and fees, of which no announce receipt tells."""
    intent, receipts = await stage.announced(Asset.BTC)
    for signer in stage.signers:
        await watch.tick(signer)
    saved = await stage.saved(0)
    await sign(stage[0], stage.signing(intent, receipts))
    stage.advance(HEADS_SECONDS)
    await watch.tick(stage[1])
    stage.restore(0, saved)
    assert not await watch.tick(stage[0])
    assert stage[0].reconciliation.behind


async def test_signers_that_follow_each_other_come_to_rest(stage: Stage) -> None:
    """That a peer's journal grew is no reason for one's own to grow, and for the peer's again."""
    await stage.announced(Asset.BTC)
    for _ in range(2):
        stage.advance(HEADS_SECONDS)
        for signer in stage.signers:
            await watch.tick(signer)
    before = [signer.journal.sequence for signer in stage.signers]
    stage.advance(HEADS_SECONDS)
    for signer in stage.signers:
        await watch.tick(signer)
    assert [signer.journal.sequence for signer in stage.signers] == before


async def test_a_peer_writes_no_more_into_this_journal_than_a_head_a_minute(stage: Stage) -> None:
    await watch.tick(stage[0])
    before = stage[0].journal.sequence
    await announce(stage[1], stage.announcement(stage.intent(Asset.BTC)))
    stage.advance(HEADS_SECONDS - 1)
    await watch.tick(stage[0])
    assert stage[0].journal.sequence == before
    stage.advance(1)
    await watch.tick(stage[0])
    assert stage[0].journal.sequence == before + 1


async def test_a_peer_that_tells_two_histories_of_its_journal_raises_an_alarm(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world, peer = stage.world, stage.world.signers[1]
    await watch.tick(stage[0])
    known = stage[0].journal.views.peer_heads[peer.signer]
    truth = stage.wires.journal_head

    async def lie(asked: SignerId, *, subject: SignerId, nonce: Nonce) -> Envelope:
        if asked != peer.signer:
            return await truth(asked, subject=subject, nonce=nonce)
        return world.cosign(world.journal_head(peer, peer, nonce=nonce, sequence=known.sequence), peer)

    monkeypatch.setattr(stage.wires, "journal_head", lie)
    stage.advance(HEADS_SECONDS)
    assert await watch.tick(stage[0])
    assert stage[0].journal.views.peer_heads[peer.signer] == known
    (alarm,) = [each for each in caplog.records if each.levelname == "CRITICAL"]
    assert f"has two records {known.sequence}" in alarm.getMessage()


@refuses(Tag.JOURNAL_BEHIND)
async def test_a_rolled_back_journal_is_noticed_by_the_peers(stage: Stage) -> None:
    saved = await stage.saved(0)
    intent = stage.intent(Asset.BTC)
    for signer in stage.signers:
        await announce(signer, stage.announcement(intent))
    await watch.tick(stage[1])
    signer = stage.restore(0, saved)
    assert not await watch.tick(signer)
    assert signer.reconciliation.behind
    with refused(Tag.JOURNAL_BEHIND):
        await announce(signer, stage.announcement(intent))
