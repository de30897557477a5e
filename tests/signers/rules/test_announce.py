"""Announcing: the valid baseline, and one change for each refusal."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from signers.journal import AllowlistEntrySeen
from signers.rules import watch
from signers.rules.announce import announce
from signers.rules.chains import NodeUnavailable
from signers.rules.decision import Declined
from signers.rules.signer import Clockwork
from signers.statements import canonical
from signers.statements.allowlist import BitcoinDestination, ownership_message
from signers.statements.amounts import Asset, Sats, Wei
from signers.statements.envelope import Envelope
from signers.statements.identifiers import (
    AccountId,
    DestinationId,
    Digest,
    EntityId,
    IntentId,
    Proof,
    ScriptPubKey,
    Seconds,
)
from signers.statements.intent import Intent, NonceAnchor, Release
from signers.statements.network import Network
from signers.statements.receipt import Act, Receipt
from signers.statements.refusals import Tag
from tests.factories import BTC, DAY, ETH, Person
from tests.signers.fakes import anchor_of, real_proof
from tests.signers.marks import refused, refuses
from tests.signers.stage import Stage

OTHER = IntentId("0190a0a0-0000-4000-8000-00000000000b")


@pytest.mark.parametrize("asset", Asset)
async def test_baseline(stage: Stage, asset: Asset) -> None:
    intent = stage.intent(asset)
    envelope = await announce(stage[0], stage.announcement(intent))
    receipt = Receipt.read(envelope, network=Network.REGTEST)
    assert envelope.signed_by(stage.world.signers[0].public_key)
    assert (receipt.act, receipt.intent_digest, receipt.tags) == (Act.ANNOUNCED, intent.digest, ())
    assert receipt.journal_head == stage[0].journal.head_at(receipt.journal_sequence)
    assert receipt.ethereum_custody == ("single-holder" if asset is Asset.ETH else None)
    world = stage.world
    release, entry = world.release_envelope(intent), world.allowlist_envelope(asset)
    stood_on = {intent.digest, release.digest, entry.digest, world.policy.digest, world.account.digest}
    assert set(receipt.inputs) == stood_on


@pytest.mark.parametrize("role", ["pledgor", "secured_party", "custodian"])
async def test_any_party_may_ask_and_none_counts_for_its_own_quorum(stage: Stage, role: str) -> None:
    """docs/threat-model.md: the pledgor's word is the allowlist entry, not each outflow."""
    maker: Person = getattr(stage.world, role)
    approvers = [each for each in stage.world.approvers if each.entity != maker.entity]
    intent = stage.intent(Asset.BTC, maker=maker.entity)
    approved = stage.world.approve(intent, by=approvers, maker=maker)
    await announce(stage[0], stage.announcement(intent, intent=approved))


async def test_asked_again_it_answers_the_same_bytes_whatever_has_become_of_the_intent(stage: Stage) -> None:
    announcement = stage.announcement(stage.intent(Asset.BTC))
    first = await announce(stage[0], announcement)
    stage.advance(2 * DAY)
    await stage.restart(0)
    assert (await announce(stage[0], announcement)).to_json() == first.to_json()


async def test_a_refusal_is_journaled_once_and_its_receipt_repeats(stage: Stage) -> None:
    announcement = stage.announcement(stage.intent(Asset.BTC), release=None)
    receipts = []
    for _ in range(2):
        with pytest.raises(Declined) as declined:
            await announce(stage[0], announcement)
        assert declined.value.receipt is not None
        receipts.append(declined.value.receipt.to_json())
    receipt = Receipt.read(Envelope.from_json(receipts[0]), network=Network.REGTEST)
    assert receipts[0] == receipts[1]
    assert (receipt.act, receipt.tags) == (Act.REFUSED, (Tag.RELEASE_MISSING,))
    assert len([key for key in stage[0].journal.views.refusals if key[2] is Tag.RELEASE_MISSING]) == 1


async def test_refusals_do_not_fill_the_disk(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    views = stage[0].journal.views
    for _ in range(views.refused_at.maxlen or 0):
        views.refused_at.append(stage.clock[0])
    before = stage[0].journal.sequence
    with pytest.raises(Declined) as declined:
        await announce(stage[0], stage.announcement(stage.intent(Asset.BTC), release=None))
    assert declined.value.receipt is None
    assert stage[0].journal.sequence == before


async def test_refusals_do_not_fill_the_memory(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest is forgotten: judged anew, it is refused as before, with a receipt of its own."""
    monkeypatch.setattr("signers.journal.views.REFUSALS_KEPT_MAX", 2)

    async def receipt_of(amount: int) -> bytes:
        intent = stage.intent(Asset.BTC, amount=Sats(amount))
        with pytest.raises(Declined) as declined:
            await announce(stage[0], stage.announcement(intent, release=None))
        assert declined.value.receipt is not None
        return declined.value.receipt.to_json()

    first, second, third = [await receipt_of(amount) for amount in (1_000_001, 1_000_002, 1_000_003)]
    await stage.restart(0)
    assert (await receipt_of(1_000_002), await receipt_of(1_000_003)) == (second, third)
    again = await receipt_of(1_000_001)
    assert again != first
    assert Receipt.read(Envelope.from_json(again), network=Network.REGTEST).tags == (Tag.RELEASE_MISSING,)
    kept = stage[0].journal.views
    assert (len(kept.refusals), len(kept.last_refusal)) == (2, 2)


async def test_a_node_that_is_down_decides_nothing(stage: Stage) -> None:
    stage.bitcoin.down = True
    before = stage[0].journal.sequence
    with pytest.raises(NodeUnavailable):
        await announce(stage[0], stage.announcement(stage.intent(Asset.BTC)))
    assert stage[0].journal.sequence == before


# What a statement must be.


def rewritten(stage: Stage, change: Callable[[dict[str, Any]], bytes]) -> Envelope:
    """The baseline intent with other payload bytes, signed by everyone all the same."""
    intent = stage.intent(Asset.BTC)
    return stage.world.approve(Envelope(Intent.TYPE, change(json.loads(intent.payload()))))


@refuses(Tag.STATEMENT_MALFORMED)
async def test_a_field_that_is_not_known(stage: Stage) -> None:
    envelope = rewritten(stage, lambda fields: canonical.encode({**fields, "note": "hello"}))
    with refused(Tag.STATEMENT_MALFORMED):
        await announce(stage[0], stage.announcement(stage.intent(Asset.BTC), intent=envelope))


@refuses(Tag.STATEMENT_NON_CANONICAL)
async def test_another_spelling_of_the_same_intent(stage: Stage) -> None:
    envelope = rewritten(stage, lambda fields: canonical.encode(fields) + b"\n")
    with refused(Tag.STATEMENT_NON_CANONICAL):
        await announce(stage[0], stage.announcement(stage.intent(Asset.BTC), intent=envelope))


@refuses(Tag.STATEMENT_DUPLICATE_KEY)
async def test_a_field_twice(stage: Stage) -> None:
    envelope = rewritten(
        stage, lambda fields: canonical.encode(fields).replace(b'"account"', b'"account":"acct-x","account"')
    )
    with refused(Tag.STATEMENT_DUPLICATE_KEY):
        await announce(stage[0], stage.announcement(stage.intent(Asset.BTC), intent=envelope))


@refuses(Tag.STATEMENT_TYPE)
async def test_an_intent_under_another_type(stage: Stage) -> None:
    intent = stage.intent(Asset.BTC)
    envelope = stage.world.approve(Envelope(Release.TYPE, intent.payload()))
    with refused(Tag.STATEMENT_TYPE):
        await announce(stage[0], stage.announcement(intent, intent=envelope))


@refuses(Tag.STATEMENT_NETWORK)
async def test_an_intent_of_another_network(stage: Stage) -> None:
    with refused(Tag.STATEMENT_NETWORK):
        await announce(stage[0], stage.announcement(stage.intent(Asset.BTC, network=Network.TESTNET)))


# Who must have agreed.


@refuses(Tag.POLICY_DIGEST)
async def test_approved_under_another_policy(stage: Stage) -> None:
    intent = stage.intent(Asset.BTC, policy_digest=Digest("ab" * 32))
    with refused(Tag.POLICY_DIGEST):
        await announce(stage[0], stage.announcement(intent))


@refuses(Tag.POLICY_TIER)
async def test_more_than_the_highest_tier(stage: Stage) -> None:
    with refused(Tag.POLICY_TIER):
        await announce(stage[0], stage.announcement(stage.intent(Asset.BTC, amount=Sats(10 * BTC + 1))))


@refuses(Tag.POLICY_QUORUM)
async def test_one_entity_too_few(stage: Stage) -> None:
    intent = stage.intent(Asset.BTC)
    envelope = stage.world.approve(intent, by=stage.world.approvers[:1])
    with refused(Tag.POLICY_QUORUM):
        await announce(stage[0], stage.announcement(intent, intent=envelope))


@refuses(Tag.POLICY_QUORUM)
async def test_a_larger_amount_needs_more_entities(stage: Stage) -> None:
    intent = stage.intent(Asset.BTC, amount=Sats(BTC + 1))
    envelope = stage.world.approve(intent, by=stage.world.approvers[:2])
    with refused(Tag.POLICY_QUORUM):
        await announce(stage[0], stage.announcement(intent, intent=envelope))


@refuses(Tag.POLICY_MAKER_CHECKER)
async def test_the_maker_approves(stage: Stage) -> None:
    intent = stage.intent(Asset.BTC)
    envelope = stage.world.approve(intent, by=[*stage.world.approvers, stage.world.pledgor_approver])
    with refused(Tag.POLICY_MAKER_CHECKER):
        await announce(stage[0], stage.announcement(intent, intent=envelope))


@refuses(Tag.POLICY_DUPLICATE_ENTITY)
async def test_one_entity_approves_with_two_keys(stage: Stage) -> None:
    intent = stage.intent(Asset.BTC)
    envelope = stage.world.approve(intent, by=[*stage.world.approvers, stage.world.second_device])
    with refused(Tag.POLICY_DUPLICATE_ENTITY):
        await announce(stage[0], stage.announcement(intent, intent=envelope))


@refuses(Tag.APPROVAL_KEY_UNKNOWN)
async def test_a_stranger_approves(stage: Stage) -> None:
    intent = stage.intent(Asset.BTC)
    envelope = stage.world.approve(intent, by=[*stage.world.approvers, stage.world.stranger])
    with refused(Tag.APPROVAL_KEY_UNKNOWN):
        await announce(stage[0], stage.announcement(intent, intent=envelope))


@refuses(Tag.APPROVAL_KEY_REVOKED)
async def test_a_revoked_key_approves(stage: Stage) -> None:
    intent = stage.intent(Asset.BTC)
    envelope = stage.world.approve(intent, by=[*stage.world.approvers, stage.world.revoked])
    with refused(Tag.APPROVAL_KEY_REVOKED):
        await announce(stage[0], stage.announcement(intent, intent=envelope))


@refuses(Tag.APPROVAL_WRONG_INTENT)
async def test_an_approval_of_another_intent(stage: Stage) -> None:
    intent = stage.intent(Asset.BTC)
    shown = stage.world.approve(replace(intent, amount=Sats(1)), make=False)
    transplanted = shown.signatures[0]
    envelope = stage.world.approve(intent, by=stage.world.approvers[1:]).with_signature(transplanted)
    with refused(Tag.APPROVAL_WRONG_INTENT):
        await announce(stage[0], stage.announcement(intent, intent=envelope))


@refuses(Tag.MAKER_MISSING)
async def test_nobody_asked(stage: Stage) -> None:
    intent = stage.intent(Asset.BTC)
    with refused(Tag.MAKER_MISSING):
        await announce(stage[0], stage.announcement(intent, intent=stage.world.approve(intent, make=False)))


@refuses(Tag.MAKER_MISSING)
async def test_the_maker_is_no_party(stage: Stage) -> None:
    intent = stage.intent(Asset.BTC, maker=EntityId("stranger-one"))
    envelope = stage.world.approve(intent, make=False)
    with refused(Tag.MAKER_MISSING):
        await announce(stage[0], stage.announcement(intent, intent=envelope))


@refuses(Tag.RELEASE_MISSING)
async def test_no_release(stage: Stage) -> None:
    with refused(Tag.RELEASE_MISSING):
        await announce(stage[0], stage.announcement(stage.intent(Asset.BTC), release=None))


@refuses(Tag.RELEASE_SIGNATURE)
async def test_a_release_by_someone_else(stage: Stage) -> None:
    intent = stage.intent(Asset.BTC)
    release = stage.world.sign(stage.world.release(intent), stage.world.custodian)
    with refused(Tag.RELEASE_SIGNATURE):
        await announce(stage[0], stage.announcement(intent, release=release))


@refuses(Tag.RELEASE_WRONG_INTENT)
async def test_a_release_of_another_intent(stage: Stage) -> None:
    intent = stage.intent(Asset.BTC)
    release = stage.world.release_envelope(replace(intent, amount=Sats(1)))
    with refused(Tag.RELEASE_WRONG_INTENT):
        await announce(stage[0], stage.announcement(intent, release=release))


@pytest.mark.parametrize(
    "changes", [{"account": AccountId("acct-other")}, {"intent": OTHER}], ids=["account", "intent"]
)
@refuses(Tag.RELEASE_WRONG_INTENT)
async def test_a_release_that_names_another(stage: Stage, changes: dict[str, Any]) -> None:
    """The digest is the intent's, and what is beside it is not."""
    intent = stage.intent(Asset.BTC)
    release = stage.world.release_envelope(intent, **changes)
    with refused(Tag.RELEASE_WRONG_INTENT):
        await announce(stage[0], stage.announcement(intent, release=release))


@refuses(Tag.RELEASE_EXPIRED)
async def test_a_release_that_has_expired(stage: Stage) -> None:
    intent = stage.intent(Asset.BTC)
    release = stage.world.release_envelope(intent, expires_at=stage.clock[0])
    with refused(Tag.RELEASE_EXPIRED):
        await announce(stage[0], stage.announcement(intent, release=release))


# Which account, and where to.


@refuses(Tag.ACCOUNT_UNKNOWN)
async def test_an_account_that_was_not_cosigned(stage: Stage) -> None:
    with refused(Tag.ACCOUNT_UNKNOWN):
        await announce(stage[0], stage.announcement(stage.intent(Asset.BTC, account=AccountId("acct-other"))))


@refuses(Tag.ALLOWLIST_UNKNOWN)
async def test_another_destination_than_the_entry(stage: Stage) -> None:
    intent = stage.intent(Asset.BTC, destination=stage.intent(Asset.BTC).destination)
    elsewhere = replace(intent, destination_id=DestinationId("other-wallet"))
    with refused(Tag.ALLOWLIST_UNKNOWN):
        await announce(stage[0], stage.announcement(elsewhere))


@refuses(Tag.ALLOWLIST_UNKNOWN)
async def test_custody_asks_for_another_script(stage: Stage) -> None:
    other = BitcoinDestination(script_pubkey=ScriptPubKey("0014" + "66" * 20))
    with refused(Tag.ALLOWLIST_UNKNOWN):
        await announce(stage[0], stage.announcement(stage.intent(Asset.BTC, destination=other)))


@refuses(Tag.ALLOWLIST_UNKNOWN)
async def test_an_entry_of_another_account(stage: Stage) -> None:
    """The same destination under the same id, signed by the same people and proven: for another account."""
    entry, other = stage.world.allowlist_entry(Asset.BTC), AccountId("acct-other")
    message = ownership_message(
        network=entry.network,
        account=other,
        destination_id=entry.destination_id,
        destination=entry.destination,
    )
    proof = real_proof(message, entry.destination, stage.world.destination_keys[Asset.BTC])
    envelope = stage.world.allowlist_envelope(Asset.BTC, account=other, proof=proof)
    seen = AllowlistEntrySeen(
        entry_digest=envelope.digest, account=other, destination_id=entry.destination_id
    )
    stage[0].journal.append(seen, at=Seconds(stage.clock[0] - 2 * DAY))
    with refused(Tag.ALLOWLIST_UNKNOWN):
        await announce(stage[0], stage.announcement(stage.intent(Asset.BTC), allowlist_entry=envelope))


@refuses(Tag.ALLOWLIST_SIGNATURE)
async def test_an_entry_that_the_pledgor_has_not_signed(stage: Stage) -> None:
    entry = stage.world.approve(stage.world.allowlist_entry(Asset.BTC), make=False)
    with refused(Tag.ALLOWLIST_SIGNATURE):
        await announce(stage[0], stage.announcement(stage.intent(Asset.BTC), allowlist_entry=entry))


@refuses(Tag.ALLOWLIST_SIGNATURE)
async def test_an_entry_without_its_quorum(stage: Stage) -> None:
    entry = stage.world.approve(stage.world.allowlist_entry(Asset.BTC), by=stage.world.approvers[:1])
    with refused(Tag.ALLOWLIST_SIGNATURE):
        await announce(stage[0], stage.announcement(stage.intent(Asset.BTC), allowlist_entry=entry))


@refuses(Tag.ALLOWLIST_COOLING)
async def test_an_entry_seen_for_the_first_time_however_old_it_says_it_is(stage: Stage) -> None:
    back_dated = stage.world.allowlist_envelope(Asset.BTC, created_at=Seconds(stage.world.now - 30 * DAY))
    intent = stage.intent(Asset.BTC, expires_at=Seconds(stage.world.now + 5 * DAY))
    announcement = stage.announcement(intent, allowlist_entry=back_dated)
    with refused(Tag.ALLOWLIST_COOLING):
        await announce(stage[0], announcement)
    stage.advance(stage.world.policy.allowlist_cooling_seconds - 1)
    with refused(Tag.ALLOWLIST_COOLING):
        await announce(stage[0], announcement)
    stage.advance(1)
    await announce(stage[0], announcement)


@refuses(Tag.ALLOWLIST_COOLING)
async def test_an_entry_that_is_not_usable_yet(stage: Stage) -> None:
    later = stage.world.allowlist_envelope(Asset.BTC, usable_at=Seconds(stage.world.now + 3 * DAY))
    intent = stage.intent(Asset.BTC, expires_at=Seconds(stage.world.now + 5 * DAY))
    stage_two = stage.announcement(intent, allowlist_entry=later)
    with refused(Tag.ALLOWLIST_COOLING):
        await announce(stage[0], stage_two)
    stage.advance(2 * DAY)
    with refused(Tag.ALLOWLIST_COOLING):
        await announce(stage[0], stage_two)


@refuses(Tag.ALLOWLIST_SIGNATURE)
async def test_an_entry_that_lacks_signatures_does_not_begin_to_cool(stage: Stage) -> None:
    entry = stage.world.allowlist_entry(Asset.BTC, created_at=Seconds(stage.world.now - 30 * DAY))
    unsigned = stage.world.approve(entry, make=False)
    with refused(Tag.ALLOWLIST_SIGNATURE):
        await announce(stage[0], stage.announcement(stage.intent(Asset.BTC), allowlist_entry=unsigned))
    assert entry.digest not in stage[0].journal.views.allowlist_first_seen


@pytest.mark.parametrize("asset", Asset)
@refuses(Tag.ALLOWLIST_PROOF)
async def test_a_destination_that_nobody_has_proven(stage: Stage, asset: Asset) -> None:
    unproven = stage.world.allowlist_envelope(asset, proof=Proof("00" * 65))
    with refused(Tag.ALLOWLIST_PROOF):
        await announce(stage[0], stage.announcement(stage.intent(asset), allowlist_entry=unproven))


# When, and how much.


@refuses(Tag.INTENT_EXPIRED)
async def test_an_intent_that_has_expired(stage: Stage) -> None:
    intent = stage.intent(Asset.BTC)
    release = stage.world.release_envelope(intent, expires_at=Seconds(intent.expires_at + DAY))
    stage.advance(intent.expires_at - stage.clock[0])
    with refused(Tag.INTENT_EXPIRED):
        await announce(stage[0], stage.announcement(intent, release=release))


@refuses(Tag.MAKER_MISSING, Tag.INTENT_EXPIRED)
async def test_an_intent_that_nobody_signed_is_refused_as_expired_once_it_is(stage: Stage) -> None:
    """So custody asks about what has ended: whatever the time, no announcement comes of it."""
    intent = stage.intent(Asset.BTC)
    announcement = replace(stage.announcement(intent), intent=intent.envelope())
    with refused(Tag.MAKER_MISSING):
        await announce(stage[0], announcement)
    stage.advance(intent.expires_at - stage.clock[0])
    with refused(Tag.INTENT_EXPIRED):
        await announce(stage[0], announcement)


@refuses(Tag.INTENT_EXPIRED)
async def test_a_refusal_as_expired_is_final_though_the_clock_is_set_back(stage: Stage) -> None:
    intent = stage.intent(Asset.BTC)
    release = stage.world.release_envelope(intent, expires_at=Seconds(intent.expires_at + DAY))
    announcement = stage.announcement(intent, release=release)
    stage.advance(intent.expires_at - stage.clock[0])
    for seconds in (0, 10):
        stage.clock[0] = Seconds(stage.clock[0] - seconds)
        with refused(Tag.INTENT_EXPIRED):
            await announce(stage[0], announcement)


@refuses(Tag.INTENT_EXPIRED)
async def test_an_intent_made_for_longer_than_the_policy_allows(stage: Stage) -> None:
    longest = stage.world.policy.intent_lifetime_max_seconds
    with refused(Tag.INTENT_EXPIRED):
        await announce(
            stage[0],
            stage.announcement(stage.intent(Asset.BTC, expires_at=Seconds(stage.world.now + longest + 1))),
        )


@refuses(Tag.INTENT_EXPIRED)
async def test_an_intent_of_the_future(stage: Stage) -> None:
    later = Seconds(stage.world.now + DAY)
    with refused(Tag.INTENT_EXPIRED):
        await announce(
            stage[0],
            stage.announcement(stage.intent(Asset.BTC, created_at=later, expires_at=Seconds(later + DAY))),
        )


@pytest.mark.parametrize(("asset", "unit"), [(Asset.BTC, Sats), (Asset.ETH, Wei)])
@refuses(Tag.VELOCITY)
async def test_more_than_may_leave_in_the_window(stage: Stage, asset: Asset, unit: type[Sats | Wei]) -> None:
    limit = stage.world.policy.limit_of(asset).total.units
    cap = stage.intent(asset).fee_cap.units
    coin = BTC if asset is Asset.BTC else ETH
    first = stage.intent(asset, amount=unit(10 * coin if asset is Asset.BTC else 100 * coin))
    await announce(stage[0], stage.announcement(first))
    left = limit - first.amount.units - 2 * cap
    with refused(Tag.VELOCITY):
        await announce(stage[0], stage.announcement(stage.intent(asset, intent=OTHER, amount=unit(left + 1))))
    await announce(stage[0], stage.announcement(stage.intent(asset, intent=OTHER, amount=unit(left))))


@refuses(Tag.VELOCITY)
async def test_what_has_left_for_good_counts_within_the_window(stage: Stage) -> None:
    first = stage.intent(Asset.BTC, amount=Sats(10 * BTC))
    await announce(stage[0], stage.announcement(first))
    stage.bitcoin.spend(stage.coins[0])
    stage.bitcoin.mine(count=stage.world.policy.terms_of(Asset.BTC).finality_depth)
    await watch.tick(stage[0])
    assert not stage[0].journal.views.live()
    second = stage.intent(Asset.BTC, intent=OTHER, amount=Sats(2 * BTC), anchor=stage.anchor(1))
    with refused(Tag.VELOCITY):
        await announce(stage[0], stage.announcement(second))


async def test_what_left_the_window_no_longer_counts(stage: Stage) -> None:
    await announce(stage[0], stage.announcement(stage.intent(Asset.BTC, amount=Sats(10 * BTC))))
    stage.advance(stage.world.policy.limit_of(Asset.BTC).window_seconds)
    again = stage.intent(
        Asset.BTC,
        intent=OTHER,
        amount=Sats(10 * BTC),
        created_at=stage.clock[0],
        expires_at=Seconds(stage.clock[0] + DAY),
    )
    await announce(stage[0], stage.announcement(again))


@refuses(Tag.FEE_CAP)
async def test_a_higher_fee_cap_than_the_policy_allows(stage: Stage) -> None:
    with refused(Tag.FEE_CAP):
        await announce(stage[0], stage.announcement(stage.intent(Asset.BTC, fee_cap=Sats(100_001))))


@pytest.mark.parametrize("hours", [3, -3])
@refuses(Tag.CLOCK_SKEW)
async def test_clock_and_chain_disagree(stage: Stage, hours: int) -> None:
    old = stage.intent(Asset.BTC, created_at=Seconds(stage.world.now - DAY))
    stage.clock[0] = Seconds(stage.clock[0] + hours * 3600)
    with refused(Tag.CLOCK_SKEW):
        await announce(stage[0], stage.announcement(old))


@pytest.mark.parametrize("asset", Asset)
@refuses(Tag.STALE_TIP)
async def test_a_node_that_is_cut_off(stage: Stage, asset: Asset) -> None:
    hour = Seconds(3600)
    clockwork = Clockwork(skew_max_seconds=Seconds(7200), tip_age_max_seconds=dict.fromkeys(Asset, hour))
    signer = replace(stage[0], clockwork=clockwork)
    stage.clock[0] = Seconds(stage.clock[0] + hour + 1)
    with refused(Tag.STALE_TIP):
        await announce(signer, stage.announcement(stage.intent(asset)))


# One intent, one payout.


@refuses(Tag.ANCHOR_BUSY)
async def test_a_second_intent_on_another_anchor(stage: Stage) -> None:
    await announce(stage[0], stage.announcement(stage.intent(Asset.BTC)))
    second = stage.intent(Asset.BTC, intent=OTHER, anchor=anchor_of(stage.coins[1]))
    with refused(Tag.ANCHOR_BUSY):
        await announce(stage[0], stage.announcement(second))


@refuses(Tag.ANCHOR_BUSY)
async def test_expiry_ends_nothing(stage: Stage) -> None:
    await announce(stage[0], stage.announcement(stage.intent(Asset.BTC)))
    stage.advance(10 * DAY)
    second = stage.intent(
        Asset.BTC,
        intent=OTHER,
        anchor=anchor_of(stage.coins[1]),
        created_at=stage.clock[0],
        expires_at=Seconds(stage.clock[0] + DAY),
    )
    with refused(Tag.ANCHOR_BUSY):
        await announce(stage[0], stage.announcement(second))


@refuses(Tag.RELEASE_WRONG_INTENT)
async def test_a_replacement_on_the_same_anchor_needs_its_own_approvals(stage: Stage) -> None:
    first = stage.intent(Asset.BTC)
    await announce(stage[0], stage.announcement(first))
    second = stage.intent(Asset.BTC, intent=OTHER, amount=Sats(1_000_000))
    with refused(Tag.RELEASE_WRONG_INTENT):
        release = stage.world.release_envelope(first)
        await announce(stage[0], stage.announcement(second, release=release))
    await announce(stage[0], stage.announcement(second))


async def test_other_assets_of_the_account_are_free(stage: Stage) -> None:
    await announce(stage[0], stage.announcement(stage.intent(Asset.BTC)))
    await announce(stage[0], stage.announcement(stage.intent(Asset.ETH)))


@refuses(Tag.JOURNAL_CONFLICT)
async def test_the_same_intent_with_another_payout(stage: Stage) -> None:
    await announce(stage[0], stage.announcement(stage.intent(Asset.BTC)))
    with refused(Tag.JOURNAL_CONFLICT):
        await announce(stage[0], stage.announcement(stage.intent(Asset.BTC, amount=Sats(1_000_000))))


@refuses(Tag.ANCHOR_MISMATCH)
async def test_an_anchor_of_someone_else(stage: Stage) -> None:
    foreign = stage.bitcoin.fund(bytes.fromhex("0020" + "99" * 32), BTC, seed=9)
    with refused(Tag.ANCHOR_MISMATCH):
        await announce(stage[0], stage.announcement(stage.intent(Asset.BTC, anchor=anchor_of(foreign))))


@refuses(Tag.ANCHOR_SPENT)
async def test_an_anchor_that_is_spent(stage: Stage) -> None:
    stage.bitcoin.spend(stage.coins[0])
    with refused(Tag.ANCHOR_SPENT):
        await announce(stage[0], stage.announcement(stage.intent(Asset.BTC)))


@refuses(Tag.CHAIN_ID)
async def test_an_intent_for_another_chain(stage: Stage) -> None:
    with refused(Tag.CHAIN_ID):
        await announce(
            stage[0], stage.announcement(stage.intent(Asset.ETH, anchor=NonceAnchor(chain_id=1, nonce=0)))
        )


@pytest.mark.parametrize("asset", Asset)
@refuses(Tag.CHAIN_ID)
async def test_the_own_node_is_on_another_chain(stage: Stage, asset: Asset) -> None:
    """Also one that was down when the signer started, so that nothing could be asked of it then."""
    stage.bitcoin.unfit = asset is Asset.BTC
    stage.ethereum.chain = 1 if asset is Asset.ETH else stage.ethereum.chain
    with refused(Tag.CHAIN_ID):
        await announce(stage[0], stage.announcement(stage.intent(asset)))


@pytest.mark.parametrize("nonce", [0, 2])
@refuses(Tag.NONCE)
async def test_another_nonce_than_the_next(stage: Stage, nonce: int) -> None:
    stage.ethereum.mine(stage.world.account.ethereum.address)
    with refused(Tag.NONCE):
        await announce(
            stage[0],
            stage.announcement(stage.intent(Asset.ETH, anchor=NonceAnchor(chain_id=31_337, nonce=nonce))),
        )


@refuses(Tag.JOURNAL_BEHIND)
async def test_nothing_is_decided_before_every_peer_has_confirmed_the_journal(stage: Stage) -> None:
    stage[0].journal.close()
    signer = stage.start(0)
    await signer.reconciliation.ask(signer.peer_ids[0])
    before = signer.journal.sequence
    with refused(Tag.JOURNAL_BEHIND):
        await announce(signer, stage.announcement(stage.intent(Asset.BTC)))
    assert signer.journal.sequence == before
    await signer.reconciliation.ask(signer.peer_ids[1])
    await announce(signer, stage.announcement(stage.intent(Asset.BTC)))
