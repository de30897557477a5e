"""What ended unpaid is asked about until every signer that could have signed it says that it never will."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from custody.application import consents, last_words, withdrawals
from custody.application.last_words import CLOCKS_APART_SECONDS, RecordLastWord
from custody.application.ports.signers import SignerUnavailable
from custody.client.releases import is_unsignable
from custody.client.signing_record import SignedRelease
from custody.domain.errors import StateConflict, StatementMismatch, StatementSignature
from custody.domain.identifiers import RequestId
from custody.domain.withdrawal import Withdrawal
from custody.domain.withdrawal_states import WithdrawalState
from custody.workers.expiry import Expiry
from custody.workers.last_words import ROUND_SECONDS, LastWords
from signers.statements.amounts import Asset
from signers.statements.envelope import Envelope
from signers.statements.receipt import Act, Receipt
from signers.statements.refusals import Tag
from tests.unit.custody.workers.stage import Stage

S = WithdrawalState
REQUEST = RequestId("00000000-0000-4000-8000-000000000001")


class Asked:
    """The signers, and what they were asked with."""

    def __init__(self, stage: Stage) -> None:
        self._signers = stage.signers
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._signers, name)

        async def ask(signer: Any, **named: Any) -> Any:
            self.calls.append((name, {"signer": signer, **named}))
            return await method(signer, **named)

        return ask


class Play:
    """A stage with the worker on it.

    Args:
        stage: with a withdrawal planned.
    """

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.asked = Asked(stage)
        self.worker = LastWords(
            store=stage.store,
            signers=self.asked,
            clock=stage.clock,
        )

    async def ask(self, *, rounds: int = 1) -> None:
        for _ in range(rounds):
            await self.worker.tick()
            self.stage.pass_time(ROUND_SECONDS)

    async def run_out(self, present: Withdrawal, *, seconds: int = CLOCKS_APART_SECONDS + 1) -> None:
        """So many seconds after the intent's end; custody has ended what it could."""
        self.stage.pass_time(present.expires_at + seconds - self.stage.custody.now)
        await Expiry(store=self.stage.store, clock=self.stage.clock).tick()


async def planned(asset: Asset) -> tuple[Play, Withdrawal]:
    stage = Stage()
    await stage.fund()
    stage.request(asset)
    await stage.drive()
    return Play(stage), stage.present(asset)


async def cancelled(asset: Asset) -> tuple[Play, Withdrawal]:
    """Released, approved by nobody, cancelled: no signer has heard of it."""
    play, present = await planned(asset)
    custody = play.stage.custody
    released = custody.consent(
        consents.ReleaseWithdrawal, present, custody.world.release_envelope(custody.intent(present))
    )
    custody.do(
        consents.release, released, principal=custody.engine, prices=custody.prices(), disputed=frozenset()
    )
    command = withdrawals.CancelWithdrawal(
        request_id=REQUEST,
        account=present.account,
        withdrawal=present.withdrawal,
        etag=play.stage.present(asset).etag,
    )
    custody.do(withdrawals.cancel, command, principal=custody.pledgor)
    return play, play.stage.present(asset)


async def announced(asset: Asset, *, by: int) -> tuple[Play, Withdrawal]:
    """Agreed by everybody, and announced by so many signers."""
    play, present = await planned(asset)
    play.stage.custody.agree(present)
    for party in play.stage.world.signers[by:]:
        play.stage.signers.refuse(party.signer, Tag.STALE_TIP)
    await play.stage.drive()
    for signer in play.stage.signers.each.values():
        signer.refuses = None
    present = play.stage.present(asset)
    assert len(present.announcements) == by
    return play, present


def last(present: Withdrawal) -> dict[str, Tag]:
    return {
        answer.signer: tag for answer in present.refusals for tag in answer.tags if tag in last_words.LAST
    }


def is_over(play: Play, present: Withdrawal) -> bool:
    """Whether the secured party's SDK stops counting the release, by what custody relays."""
    intent = play.stage.custody.intent(present)
    answers = (*present.announcements, *present.signed_receipts, *present.refusals)
    return is_unsignable(
        SignedRelease(intent=intent, withdrawal=present.withdrawal, expires_at=intent.expires_at),
        [Receipt.parse(answer.envelope.payload) for answer in answers],
        could_sign=play.stage.world.account.could_sign(present.asset),
        now=play.stage.clock(),
    )


@pytest.mark.parametrize("asset", Asset)
async def test_what_was_cancelled_is_refused_by_every_signer_that_could_sign(asset: Asset) -> None:
    play, present = await cancelled(asset)
    await play.run_out(present)
    assert not is_over(play, play.stage.present(asset))
    await play.ask()
    ended = play.stage.present(asset)
    could = play.stage.world.account.could_sign(asset)
    assert last(ended) == dict.fromkeys(could, Tag.INTENT_EXPIRED)
    assert ended.state is S.CANCELLED
    assert is_over(play, ended)


@pytest.mark.parametrize("asset", Asset)
@pytest.mark.parametrize("by", [0, 1, 2, 3])
async def test_what_lapsed_is_refused_by_those_who_announced_and_those_who_did_not(
    asset: Asset, by: int
) -> None:
    play, present = await announced(asset, by=by)
    await play.run_out(present)
    await play.ask()
    ended = play.stage.present(asset)
    knew = {party.signer for party in play.stage.world.signers[:by]}
    assert last(ended) == {
        signer: Tag.AUTHORITY_EXPIRED if signer in knew else Tag.INTENT_EXPIRED
        for signer in play.stage.world.account.could_sign(asset)
    }
    assert ended.state is S.EXPIRED
    assert is_over(play, ended)


async def test_an_announcement_whose_answer_was_lost_is_kept_and_then_its_end() -> None:
    play, present = await announced(Asset.BTC, by=0)
    intent = play.stage.custody.intent(present)
    first = play.stage.world.signers[0].signer
    await play.stage.signers.announce(
        first,
        intent=play.stage.world.approve(intent),
        release=play.stage.world.release_envelope(intent),
        allowlist_entry=play.stage.world.allowlist_envelope(Asset.BTC),
    )
    await play.run_out(present)
    await play.ask()
    heard = play.stage.present(Asset.BTC)
    assert [answer.signer for answer in heard.announcements] == [first]
    assert first not in last(heard)
    await play.ask()
    assert last(play.stage.present(Asset.BTC))[first] is Tag.AUTHORITY_EXPIRED


@pytest.mark.parametrize("by", [0, 3])
async def test_no_question_could_be_answered_by_more_than_a_refusal(by: int) -> None:
    """Were custody's clock far ahead of the signers', nothing would come of it."""
    play, present = await announced(Asset.BTC, by=by)
    await play.run_out(present)
    await play.ask()
    assert len(play.asked.calls) == 3
    for method, named in play.asked.calls:
        if method == "announce":
            assert not named["intent"].signatures
        else:
            assert [receipt.signatures for receipt in named["announce_receipts"]] == [()]


async def test_who_has_said_it_is_not_asked_again() -> None:
    play, present = await cancelled(Asset.BTC)
    await play.run_out(present)
    await play.ask(rounds=3)
    assert len(play.asked.calls) == 3


async def test_nobody_is_asked_while_the_intent_may_be_current_to_a_signer() -> None:
    play, present = await cancelled(Asset.BTC)
    await play.run_out(present, seconds=CLOCKS_APART_SECONDS)
    await play.ask()
    assert play.asked.calls == []


async def test_nobody_is_asked_about_what_was_not_released() -> None:
    play, present = await planned(Asset.BTC)
    await play.run_out(present)
    assert play.stage.state(Asset.BTC) is S.EXPIRED
    assert play.stage.custody.ask(last_words.unheard, now=play.stage.clock()) == []


async def test_nobody_is_asked_about_what_is_still_open() -> None:
    play, present = await announced(Asset.BTC, by=3)
    play.stage.pass_time(present.expires_at + CLOCKS_APART_SECONDS + 1 - play.stage.custody.now)
    await play.ask()
    assert play.asked.calls == []


async def test_a_signer_that_does_not_answer_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    play, present = await cancelled(Asset.BTC)
    await play.run_out(present)
    silent = play.stage.world.signers[1].signer
    announce = play.stage.signers.announce

    async def down(signer: Any, **named: Any) -> Envelope:
        if signer == silent:
            raise SignerUnavailable(signer, "down")
        return await announce(signer, **named)

    with monkeypatch.context() as patch:
        patch.setattr(play.stage.signers, "announce", down)
        await play.ask()
    assert silent not in last(play.stage.present(Asset.BTC))
    assert len(last(play.stage.present(Asset.BTC))) == 2
    await play.ask()
    assert silent in last(play.stage.present(Asset.BTC))


async def test_a_refusal_that_may_pass_is_not_kept_and_the_signer_asked_again() -> None:
    play, present = await cancelled(Asset.BTC)
    await play.run_out(present)
    stale = play.stage.world.signers[0].signer
    play.stage.signers.refuse(stale, Tag.STALE_TIP)
    await play.ask()
    assert stale not in {answer.signer for answer in play.stage.present(Asset.BTC).refusals}
    play.stage.signers.each[stale].refuses = None
    await play.ask()
    assert last(play.stage.present(Asset.BTC))[stale] is Tag.INTENT_EXPIRED


# What is written down.


def word(play: Play, present: Withdrawal, tag: Tag = Tag.INTENT_EXPIRED, *, by: int = 0) -> RecordLastWord:
    world = play.stage.world
    receipt = world.receipt(
        world.signers[0],
        play.stage.custody.intent(present),
        Act.REFUSED,
        tags=(tag,),
        at=play.stage.clock(),
    )
    return RecordLastWord(
        account=present.account,
        withdrawal=present.withdrawal,
        act=Act.REFUSED,
        envelope=world.cosign(receipt, world.signers[by]),
    )


async def test_a_signature_that_should_not_be_is_kept_for_the_secured_party_to_see() -> None:
    play, present = await announced(Asset.BTC, by=3)
    await play.run_out(present)
    world = play.stage.world
    receipt = world.receipt(
        world.signers[0], play.stage.custody.intent(present), Act.SIGNED, at=play.stage.clock()
    )
    command = replace(word(play, present), act=Act.SIGNED, envelope=world.cosign(receipt, world.signers[0]))
    play.stage.custody.do(last_words.record, command)
    await play.ask()
    ended = play.stage.present(Asset.BTC)
    assert [answer.signer for answer in ended.signed_receipts] == [world.signers[0].signer]
    assert len(play.asked.calls) == 2
    assert not is_over(play, ended)


async def test_the_same_word_is_kept_once() -> None:
    play, present = await cancelled(Asset.BTC)
    first = play.stage.custody.do(last_words.record, word(play, present))
    again = play.stage.custody.do(last_words.record, word(play, present))
    assert len(first.refusals) == 1
    assert again == first


async def test_what_is_open_has_no_last_word() -> None:
    play, present = await announced(Asset.BTC, by=3)
    with pytest.raises(StateConflict):
        play.stage.custody.do(last_words.record, word(play, present))


async def test_a_refusal_that_may_pass_is_no_last_word() -> None:
    play, present = await cancelled(Asset.BTC)
    with pytest.raises(StatementMismatch, match="may pass"):
        play.stage.custody.do(last_words.record, word(play, present, Tag.STALE_TIP))


async def test_a_word_that_its_signer_has_not_signed_is_not_kept() -> None:
    play, present = await cancelled(Asset.BTC)
    with pytest.raises(StatementSignature):
        play.stage.custody.do(last_words.record, word(play, present, by=1))
