"""A journal that the peers have not confirmed, or that turns out to be old: nothing is decided on it."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from signers.peers.port import PeerUnavailable
from signers.rules.announce import announce
from signers.rules.decision import Declined
from signers.rules.onboarding import cosign_account, create_account_key, prove_ownership
from signers.rules.sign import sign
from signers.rules.signer import Signer
from signers.statements.amounts import Asset
from signers.statements.envelope import Envelope
from signers.statements.identifiers import GENESIS, Digest, Nonce, SignerId
from signers.statements.receipt import JournalHead
from signers.statements.refusals import Tag
from tests.signers.marks import refused, refuses
from tests.signers.stage import Stage

# What a peer answers.


def answers(stage: Stage, monkeypatch: pytest.MonkeyPatch, *, signed_by: int = 1, **changes: Any) -> SignerId:
    """A signer that starts anew, and signer 2, which answers that it never saw a record of it."""
    world = stage.world
    stage[0].journal.close()
    stage.start(0)

    async def answer(_: SignerId, *, subject: SignerId, nonce: Nonce) -> Envelope:
        head = JournalHead(
            network=world.network,
            subject=subject,
            witness=stage[1].id,
            nonce=nonce,
            sequence=0,
            head=GENESIS,
        )
        return world.cosign(replace(head, **changes), world.signers[signed_by])

    monkeypatch.setattr(stage.wires, "journal_head", answer)
    return stage[1].id


async def test_baseline_of_an_answer(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    peer = answers(stage, monkeypatch)
    await stage[0].reconciliation.ask(peer)
    assert peer not in stage[0].reconciliation.silent


@pytest.mark.parametrize(
    "changes",
    [
        {"signed_by": 2},
        {"nonce": Nonce("ab" * 32)},
        {"subject": SignerId("signer-3")},
        {"witness": SignerId("signer-3")},
    ],
    ids=lambda changes: next(iter(changes)),
)
async def test_an_answer_that_is_not_the_peers_word_on_this_journal_and_nonce(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    peer = answers(stage, monkeypatch, **changes)
    with pytest.raises(PeerUnavailable):
        await stage[0].reconciliation.ask(peer)
    assert peer in stage[0].reconciliation.silent


@pytest.mark.parametrize("beyond", [0, 1])
async def test_a_peer_that_has_seen_another_record_or_a_later_one(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, beyond: int
) -> None:
    sequence = stage[0].journal.sequence + beyond
    peer = answers(stage, monkeypatch, sequence=sequence, head=Digest("ab" * 32))
    await stage[0].reconciliation.ask(peer)
    assert str(sequence) in stage[0].reconciliation.behind


# What waits for it.


async def create_key(signer: Signer, stage: Stage) -> object:
    return await create_account_key(signer, stage.world.account.account, Asset.BTC)


async def cosign(signer: Signer, stage: Stage) -> object:
    return await cosign_account(signer, stage.account_envelope(), stage.vouched_keys())


async def prove(signer: Signer, stage: Stage) -> object:
    account = stage.world.account
    return await prove_ownership(signer, account.account, account.digest)


async def announce_again(signer: Signer, stage: Stage) -> object:
    return await announce(signer, stage.announcement(stage.intent(Asset.BTC)))


async def sign_again(signer: Signer, stage: Stage) -> object:
    return await sign(signer, stage.signing(stage.intent(Asset.BTC), ()))


@pytest.mark.parametrize("ask", [create_key, cosign, prove, announce_again, sign_again])
@refuses(Tag.JOURNAL_BEHIND)
async def test_nothing_is_even_repeated_before_the_peers_have_confirmed_the_journal(
    stage: Stage, ask: Callable[[Signer, Stage], Awaitable[object]]
) -> None:
    await stage.announced(Asset.BTC)
    await sign_again(stage[0], stage)
    told = [await ask(stage[0], stage)]
    stage[0].journal.close()
    signer = stage.start(0)
    with refused(Tag.JOURNAL_BEHIND):
        await ask(signer, stage)
    await stage.reconcile(0)
    told.append(await ask(signer, stage))
    assert told[0] == told[1]


# What turns out meanwhile.


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
