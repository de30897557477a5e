"""Releases are counted until they end, and nobody's bare word ends one."""

from typing import Any

import pytest
from bailee.custody.v1 import withdrawal_pb2

from custody.client import (
    BaileeError,
    MarginEngine,
    VerificationError,
)
from custody.client.releases import deducted
from signers.statements.amounts import Asset, Sats
from signers.statements.envelope import Envelope
from signers.statements.identifiers import Digest, Seconds, TxId
from signers.statements.intent import Intent, OutpointAnchor, Release
from signers.statements.receipt import Act
from signers.statements.refusals import Tag
from tests.factories import BTC, DAY, World
from tests.unit.custody.client.fake_service import WITHDRAWAL, FakeCustody, later


def withdrawal(custody: FakeCustody) -> withdrawal_pb2.Withdrawal:
    return custody.withdrawals[f"{custody.name}/withdrawals/{WITHDRAWAL}"]


@pytest.fixture
async def released(engine: MarginEngine, account: str, world: World) -> MarginEngine:
    await engine.release(account, WITHDRAWAL, intent_digest=world.intent(Asset.BTC).digest, seconds=600)
    return engine


async def test_a_release_is_of_the_intent_alone(
    released: MarginEngine, custody: FakeCustody, world: World
) -> None:
    (sent,) = custody.sent("ReleaseWithdrawal")
    release = Release.parse(Envelope.from_json(sent.envelope).payload)
    assert release.intent_digest == world.intent(Asset.BTC).digest
    assert release.expires_at == later(world, 600)


async def test_a_release_lasts_as_long_as_its_intent_so_that_it_outlives_the_timelock(
    engine: MarginEngine, custody: FakeCustody, account: str, world: World
) -> None:
    await engine.release(account, WITHDRAWAL, intent_digest=world.intent(Asset.BTC).digest)
    (sent,) = custody.sent("ReleaseWithdrawal")
    release = Release.parse(Envelope.from_json(sent.envelope).payload)
    assert release.expires_at == world.intent(Asset.BTC).expires_at


async def test_what_was_released_is_not_lent_against(
    released: MarginEngine, account: str, custody: FakeCustody
) -> None:
    report = await released.report(account)
    before = sum(position.lending_value.units for position in report.positions)
    # Half a bitcoin and the fee cap of 50,000 sat, at 100,000 and 40 %.
    gone = (BTC // 2 + 50_000) * 100_000 * 4000 // 10_000
    assert released.lending_value(report, await released.verified_prices()).units == before - gone


async def test_a_release_counts_even_where_its_answer_got_lost(
    engine: MarginEngine, custody: FakeCustody, account: str, world: World
) -> None:
    custody.lost["ReleaseWithdrawal"] = 1
    with pytest.raises(BaileeError):
        await engine.release(account, WITHDRAWAL, intent_digest=world.intent(Asset.BTC).digest)
    assert [release.held for release in engine.record.outstanding(account)] == [Sats(BTC // 2 + 50_000)]


async def still_counted(engine: MarginEngine, custody: FakeCustody, *, days: int = 0) -> int:
    """How many releases are outstanding, so many days later by the engine's clock."""
    world = custody.world
    engine._clock = lambda: float(world.now + days * DAY)
    if days:
        custody.report = custody.report_at(later(world, days * DAY), batch=7)
    return len(await engine.settle_releases(world.account.account))


async def test_coins_that_left_and_are_counted_nowhere_end_a_release(
    released: MarginEngine, custody: FakeCustody, account: str, world: World
) -> None:
    custody.settle(WITHDRAWAL)
    assert await still_counted(released, custody) == 0
    report, prices = await released.report(account), await released.verified_prices()
    assert released.lending_value(report, prices) == str(sum(p.lending_value.units for p in report.positions))


STATES = withdrawal_pb2.Withdrawal


@pytest.mark.parametrize(
    "state",
    [STATES.STATE_SETTLED, STATES.STATE_CANCELLED, STATES.STATE_EXPIRED, STATES.STATE_AWAITING_SIGNATURES],
)
async def test_custody_s_word_on_a_withdrawal_ends_no_release(
    released: MarginEngine, custody: FakeCustody, world: World, state: STATES.State
) -> None:
    """Every signer has announced it: it can be signed for as long as its anchor is unspent."""
    withdrawal(custody).state = state
    assert await still_counted(released, custody, days=9) == 1


async def test_a_settlement_whose_coins_the_report_still_counts_ends_none(
    released: MarginEngine, custody: FakeCustody, world: World
) -> None:
    custody.settle(WITHDRAWAL)
    custody.report = custody.make_report(batch=7)
    assert await still_counted(released, custody) == 1


async def test_a_settlement_whose_coins_no_posting_moves_ends_none(
    released: MarginEngine, custody: FakeCustody, world: World
) -> None:
    custody.settle(WITHDRAWAL)
    custody.postings = [posting for posting in custody.postings if not posting.resource]
    assert await still_counted(released, custody) == 1


async def test_a_settlement_that_paid_less_ends_none(
    released: MarginEngine, custody: FakeCustody, world: World
) -> None:
    """An Ethereum transaction that failed, says custody: the coins are there, and only a node knows why."""
    custody.settle(WITHDRAWAL)
    payout = next(posting for posting in custody.postings if posting.credit == "external")
    payout.amount.units = str(int(payout.amount.units) - 1)
    assert await still_counted(released, custody) == 1


async def test_a_settlement_taken_back_by_a_reorganisation_ends_none(
    released: MarginEngine, custody: FakeCustody, world: World
) -> None:
    custody.settle(WITHDRAWAL)
    paid = world.intent(Asset.BTC).amount
    resource = withdrawal(custody).name
    custody.postings.append(custody.posting(custody.sequence, "external", "withdrawing", paid, resource))
    assert await still_counted(released, custody) == 1


async def test_a_settlement_that_the_report_does_not_cover_ends_none(
    released: MarginEngine, custody: FakeCustody, world: World
) -> None:
    """A deposit came in meanwhile: the ledger has more than the report, which still counts the coins."""
    custody.postings.append(custody.posting(8, "external", "available", Sats(BTC)))
    custody.settle(WITHDRAWAL)
    custody.report = custody.make_report(batch=7, account_sequence=7)
    assert await still_counted(released, custody) == 1


async def test_a_settlement_of_another_intent_ends_none(
    released: MarginEngine, custody: FakeCustody, world: World
) -> None:
    custody.settle(WITHDRAWAL)
    withdrawal(custody).intent_digest = "ab" * 32
    assert await still_counted(released, custody) == 1


async def test_a_posting_of_no_amount_is_no_ledger(
    released: MarginEngine, custody: FakeCustody, world: World
) -> None:
    custody.settle(WITHDRAWAL)
    custody.postings[0].amount.units = "-1"
    with pytest.raises(VerificationError, match="is no amount"):
        await still_counted(released, custody)


# The signers' own word that an intent ran out.


def refuse(
    custody: FakeCustody,
    *signers: int,
    tag: Tag = Tag.INTENT_EXPIRED,
    after: int = 0,
    announced: bool = False,
    asset: Asset = Asset.BTC,
) -> None:
    """These signers refused the intent, so many seconds after it expired; all had announced it, or none."""
    intent = custody.world.intent(asset)
    shown = withdrawal(custody)
    shown.state = STATES.STATE_EXPIRED
    del shown.refusals[:]
    if not announced:
        del shown.receipts[:]
    for signer in signers:
        at = Seconds(intent.expires_at + after)
        refusal = custody.receipt(
            custody.world.signers[signer], intent, Act.REFUSED, tags=(tag,), at=at, journal_sequence=9
        )
        shown.refusals.append(refusal)


async def test_an_intent_that_two_signers_refused_as_expired_is_signed_by_none(
    released: MarginEngine, custody: FakeCustody, world: World
) -> None:
    refuse(custody, 0, 2)
    assert await still_counted(released, custody, days=2) == 0


async def test_one_signer_s_refusal_is_not_enough(
    released: MarginEngine, custody: FakeCustody, world: World
) -> None:
    """It may be the one that was taken over, and the other two have announced."""
    refuse(custody, 1, 1)
    assert await still_counted(released, custody, days=2) == 1


async def test_an_announced_intent_that_every_signer_refused_as_too_late_is_signed_by_none(
    released: MarginEngine, custody: FakeCustody, world: World
) -> None:
    refuse(custody, 0, 1, 2, tag=Tag.AUTHORITY_EXPIRED, announced=True)
    assert await still_counted(released, custody, days=2) == 0


async def test_two_signers_that_will_not_sign_are_not_enough(
    released: MarginEngine, custody: FakeCustody, world: World
) -> None:
    """The third may have signed in time, and the one of the two that lies adds its own."""
    refuse(custody, 0, 2, tag=Tag.AUTHORITY_EXPIRED, announced=True)
    assert await still_counted(released, custody, days=2) == 1


@pytest.mark.parametrize(("who", "counted"), [("the holder", 0), ("the others", 1)])
async def test_an_outflow_of_ether_is_the_holder_s_to_forgo(
    engine: MarginEngine, custody: FakeCustody, account: str, world: World, who: str, counted: int
) -> None:
    custody.show_intent(world.intent(Asset.ETH))
    await engine.release(account, WITHDRAWAL, intent_digest=world.intent(Asset.ETH).digest)
    holds = [party.signer == world.account.ethereum.holder for party in world.signers]
    speaking = [number for number, holder in enumerate(holds) if holder is (who == "the holder")]
    refuse(custody, *speaking, tag=Tag.AUTHORITY_EXPIRED, announced=True, asset=Asset.ETH)
    assert await still_counted(engine, custody, days=2) == counted


async def test_a_signer_that_signed_does_not_say_that_it_never_will(
    released: MarginEngine, custody: FakeCustody, world: World
) -> None:
    refuse(custody, 0, 1, 2, tag=Tag.AUTHORITY_EXPIRED, announced=True)
    signed = custody.receipt(world.signers[1], world.intent(Asset.BTC), Act.SIGNED)
    withdrawal(custody).receipts.append(signed)
    assert await still_counted(released, custody, days=2) == 1


async def test_one_that_never_announced_never_signs_either(
    released: MarginEngine, custody: FakeCustody, world: World
) -> None:
    refuse(custody, 0, 1, tag=Tag.AUTHORITY_EXPIRED)
    late = [*withdrawal(custody).refusals]
    refuse(custody, 2)
    withdrawal(custody).refusals.extend(late)
    assert await still_counted(released, custody, days=2) == 0


async def test_a_signer_that_also_announced_refused_nothing(
    released: MarginEngine, custody: FakeCustody, world: World
) -> None:
    refuse(custody, 0, 2)
    announced = custody.receipt(world.signers[2], world.intent(Asset.BTC), Act.ANNOUNCED)
    withdrawal(custody).receipts.append(announced)
    assert await still_counted(released, custody, days=2) == 1


@pytest.mark.parametrize("change", [{"tag": Tag.ALLOWLIST_COOLING}, {"after": -1}])
async def test_a_refusal_that_may_pass_ends_none(
    released: MarginEngine, custody: FakeCustody, world: World, change: dict[str, Any]
) -> None:
    refuse(custody, 0, 2, **change)
    assert await still_counted(released, custody, days=2) == 1


async def test_a_refusal_before_the_intent_ran_out_by_this_clock_ends_none(
    released: MarginEngine, custody: FakeCustody, world: World
) -> None:
    refuse(custody, 0, 2)
    assert await still_counted(released, custody, days=1) == 1


async def test_a_refusal_that_no_signer_signed_is_evidence_of_a_lie(
    released: MarginEngine, custody: FakeCustody, world: World
) -> None:
    refuse(custody, 0, 2)
    refusals = withdrawal(custody).refusals
    forged = Envelope.from_json(refusals[0].envelope)
    unsigned = Envelope(forged.payload_type, forged.payload)
    refusals[0].envelope = world.cosign(unsigned, world.signers[1]).to_json()
    with pytest.raises(VerificationError, match="has not signed"):
        await still_counted(released, custody, days=2)


# This party's own knowledge.


async def test_a_release_that_its_party_ends_is_counted_no_more(
    released: MarginEngine, account: str, world: World
) -> None:
    released.end_release(account, intent_digest=world.intent(Asset.BTC).digest)
    assert released.record.outstanding(account) == []


@pytest.mark.parametrize("change", [{"account": "acct-other"}, {"intent_digest": Digest("ab" * 32)}])
async def test_what_is_not_outstanding_is_not_ended(
    released: MarginEngine, account: str, world: World, change: dict[str, Any]
) -> None:
    named = {"account": account, "intent_digest": world.intent(Asset.BTC).digest, **change}
    with pytest.raises(LookupError, match="no release of"):
        released.end_release(**named)
    assert len(released.record.outstanding(account)) == 1


# An anchor is spent once.


async def release_another(engine: MarginEngine, custody: FakeCustody, world: World, **changes: Any) -> Intent:
    """A second withdrawal, after the first was cancelled."""
    withdrawal(custody).state = STATES.STATE_CANCELLED
    intent = world.intent(
        Asset.BTC, **{"intent": "11111111-1111-4111-8111-111111111111", "amount": Sats(BTC), **changes}
    )
    custody.withdrawals[f"{custody.name}/withdrawals/w-two"] = custody.withdrawal(intent, name="w-two")
    await engine.release(world.account.account, "w-two", intent_digest=intent.digest)
    return intent


async def test_of_two_releases_on_one_anchor_the_larger_counts(
    released: MarginEngine, custody: FakeCustody, world: World
) -> None:
    await release_another(released, custody, world)
    outstanding = released.record.outstanding(world.account.account)
    assert deducted(outstanding) == {Asset.BTC: BTC + 50_000}


async def test_two_releases_on_two_anchors_both_count(
    released: MarginEngine, custody: FakeCustody, world: World
) -> None:
    await release_another(released, custody, world, anchor=OutpointAnchor(txid=TxId("ab" * 32), index=1))
    outstanding = released.record.outstanding(world.account.account)
    assert deducted(outstanding) == {Asset.BTC: BTC + BTC // 2 + 100_000}


async def test_a_release_ends_with_its_anchor_whichever_spent_it(
    released: MarginEngine, custody: FakeCustody, world: World
) -> None:
    await release_another(released, custody, world)
    custody.settle("w-two")
    assert await still_counted(released, custody) == 0


async def test_another_anchor_s_settlement_ends_none(
    released: MarginEngine, custody: FakeCustody, world: World
) -> None:
    await release_another(released, custody, world, anchor=OutpointAnchor(txid=TxId("ab" * 32), index=1))
    custody.settle("w-two")
    assert await still_counted(released, custody) == 1


async def test_nothing_is_read_where_nothing_is_outstanding(
    engine: MarginEngine, custody: FakeCustody, account: str
) -> None:
    assert await engine.settle_releases(account) == []
    assert custody.calls == []
