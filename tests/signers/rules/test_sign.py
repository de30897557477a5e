"""Signing: the valid baseline, and one change for each refusal."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from bitcoin.core import CTransaction

from signers.bitcoin.coins import PREVIOUS_BYTES_MAX, Coin
from signers.rules import anchors, watch
from signers.rules.announce import announce
from signers.rules.chains import PeerSignatures
from signers.rules.decision import Declined
from signers.rules.sign import SignedAttempt, sign
from signers.statements.amounts import Asset, Sats, Wei
from signers.statements.envelope import Envelope
from signers.statements.identifiers import AccountId, IntentId, Seconds, SignerId
from signers.statements.intent import Intent, NonceAnchor
from signers.statements.network import Network
from signers.statements.receipt import Act, Receipt
from signers.statements.refusals import Refusal, Tag
from tests.factories import BTC, DAY
from tests.signers.fakes import anchor_of
from tests.signers.marks import refused, refuses
from tests.signers.stage import FEES, Stage

OTHER = IntentId("0190a0a0-0000-4000-8000-00000000000b")


async def test_baseline_bitcoin_any_two_signers_make_a_transaction_that_bitcoin_core_accepts(
    stage: Stage,
) -> None:
    intent, receipts = await stage.announced(Asset.BTC)
    request = stage.signing(intent, receipts)
    first = await sign(stage[0], request)
    others = PeerSignatures(signer=stage[0].id, signatures=first.signatures)
    for signer in (stage[1], stage[2]):
        # With a peer's signatures the signer has libbitcoinkernel judge the finished transaction.
        signed = await sign(signer, replace(request, peer_signatures=(others,)))
        assert signed.transaction == first.transaction
        assert signed.signatures != first.signatures
    decoded = CTransaction.deserialize(first.transaction)
    paid = {bytes(out.scriptPubKey): out.nValue for out in decoded.vout}
    assert paid == {
        stage.world.destination(Asset.BTC).script_pubkey.raw: BTC // 2,  # type: ignore[union-attr] # BTC's
        stage.world.account.bitcoin.script_pubkey.raw: BTC - BTC // 2 - FEES[Asset.BTC],
    }


async def test_baseline_ethereum(stage: Stage) -> None:
    intent, receipts = await stage.announced(Asset.ETH)
    signed = await sign(stage[0], stage.signing(intent, receipts))
    assert len(signed.signatures) == 1
    receipt = Receipt.read(signed.receipt, network=Network.REGTEST)
    assert (receipt.act, receipt.ethereum_custody) == (Act.SIGNED, "single-holder")


async def test_an_attempt_is_journaled_before_any_key_is_touched(stage: Stage) -> None:
    intent, receipts = await stage.announced(Asset.BTC)
    written: list[bool] = []
    views = stage[0].journal.views
    stage.keys[0].before_signing = lambda: written.append(bool(views.intents[intent.digest].attempts))
    await sign(stage[0], stage.signing(intent, receipts))
    assert written == [True]


@pytest.mark.parametrize("asset", Asset)
async def test_a_signatures_receipt_names_everything_that_it_rests_on(stage: Stage, asset: Asset) -> None:
    intent, receipts = await stage.announced(asset)
    signed = await sign(stage[0], stage.signing(intent, ()))
    announced = Receipt.read(receipts[0], network=Network.REGTEST)
    assert set(Receipt.read(signed.receipt, network=Network.REGTEST).inputs) == {
        *announced.inputs,
        *(receipt.digest for receipt in receipts),
    }


@pytest.mark.parametrize("asset", Asset)
async def test_asked_again_it_answers_the_same_bytes(stage: Stage, asset: Asset) -> None:
    intent, receipts = await stage.announced(asset)
    first = await sign(stage[0], stage.signing(intent, receipts))
    await stage.restart(0)
    if asset is Asset.BTC:
        stage.bitcoin.spend(stage.coins[0])
    again = await sign(stage[0], stage.signing(intent, receipts))
    assert as_bytes(again) == as_bytes(first)


def as_bytes(signed: SignedAttempt) -> tuple[bytes, tuple[bytes, ...], bytes]:
    return signed.transaction, signed.signatures, signed.receipt.to_json()


async def test_a_crash_between_journal_and_signature_ends_in_the_one_signature(stage: Stage) -> None:
    intent, receipts = await stage.announced(Asset.BTC)
    request = stage.signing(intent, receipts)

    def crash() -> None:
        raise RuntimeError("killed")

    stage.keys[0].before_signing = crash
    with pytest.raises(RuntimeError):
        await sign(stage[0], request)
    stage.keys[0].before_signing = lambda: None
    await stage.restart(0)
    (attempt,) = stage[0].journal.views.intents[intent.digest].attempts
    assert attempt.signed is None
    signed = await sign(stage[0], request)
    (attempt,) = stage[0].journal.views.intents[intent.digest].attempts
    assert attempt.signatures == signed.signatures


async def test_a_fee_bump_is_another_attempt_of_the_same_payout(stage: Stage) -> None:
    intent, receipts = await stage.announced(Asset.BTC)
    low = await sign(stage[0], stage.signing(intent, receipts))
    high = await sign(stage[0], stage.signing(intent, receipts, fee_units=5_000))
    assert low.transaction != high.transaction
    inputs = [
        {(txin.prevout.hash, txin.prevout.n) for txin in CTransaction.deserialize(each.transaction).vin}
        for each in (low, high)
    ]
    assert inputs[0] & inputs[1]


# Everyone knows, and time has passed.


@refuses(Tag.ANNOUNCE_MISSING)
async def test_an_intent_that_was_not_announced_here(stage: Stage) -> None:
    intent = stage.intent(Asset.BTC)
    announcement = stage.announcement(intent)
    receipts = tuple([await announce(signer, announcement) for signer in (stage[1], stage[2])])
    stage.pass_timelock(Asset.BTC)
    with refused(Tag.ANNOUNCE_MISSING):
        await sign(stage[0], stage.signing(intent, receipts))


@refuses(Tag.ANNOUNCE_INCOMPLETE)
async def test_one_signer_has_not_announced(stage: Stage) -> None:
    intent = stage.intent(Asset.BTC)
    announcement = stage.announcement(intent)
    receipts = tuple([await announce(signer, announcement) for signer in (stage[0], stage[1])])
    stage.pass_timelock(Asset.BTC)
    with refused(Tag.ANNOUNCE_INCOMPLETE):
        await sign(stage[0], stage.signing(intent, receipts))


@refuses(Tag.ANNOUNCE_INCOMPLETE)
async def test_a_receipt_about_another_intent(stage: Stage) -> None:
    intent, receipts = await stage.announced(Asset.BTC)
    world = stage.world
    other = stage.intent(Asset.BTC, amount=Sats(1_000_000))
    forged = world.cosign(world.receipt(world.signers[2], other, Act.ANNOUNCED), world.signers[2])
    with refused(Tag.ANNOUNCE_INCOMPLETE):
        await sign(stage[0], stage.signing(intent, (*receipts[:2], forged)))


@pytest.mark.parametrize(
    ("act", "changes"),
    [
        (Act.SIGNED, {}),
        (Act.REFUSED, {"tags": (Tag.VELOCITY,)}),
        (Act.ANNOUNCED, {"account": AccountId("acct-other")}),
    ],
    ids=["signed", "refused", "account"],
)
@refuses(Tag.ANNOUNCE_INCOMPLETE)
async def test_a_receipt_that_is_no_announcement_of_the_intent(
    stage: Stage, act: Act, changes: dict[str, Any]
) -> None:
    """The third signer itself says so, and it has not announced."""
    intent, world = stage.intent(Asset.BTC), stage.world
    receipts = [await announce(signer, stage.announcement(intent)) for signer in stage.signers[:2]]
    stage.pass_timelock(Asset.BTC)
    told = world.receipt(world.signers[2], intent, act, **changes)
    with refused(Tag.ANNOUNCE_INCOMPLETE):
        await sign(stage[0], stage.signing(intent, (*receipts, world.cosign(told, world.signers[2]))))


@refuses(Tag.ANNOUNCE_INCOMPLETE)
async def test_a_receipt_that_custody_signed_itself(stage: Stage) -> None:
    intent, receipts = await stage.announced(Asset.BTC)
    world = stage.world
    forged = world.cosign(world.receipt(world.signers[2], intent, Act.ANNOUNCED), world.signers[1])
    with refused(Tag.ANNOUNCE_INCOMPLETE):
        await sign(stage[0], stage.signing(intent, (*receipts[:2], forged)))


async def test_receipts_that_custody_withholds_are_fetched_from_the_peers(stage: Stage) -> None:
    intent, _ = await stage.announced(Asset.BTC)
    await sign(stage[0], stage.signing(intent, ()))


async def test_one_signer_down_after_it_announced_does_not_stop_the_others(stage: Stage) -> None:
    intent, receipts = await stage.announced(Asset.BTC)
    stage.wires.down.add(stage[2].id)
    request = stage.signing(intent, receipts)
    first, second = await sign(stage[0], request), await sign(stage[1], request)
    assert first.transaction == second.transaction


@refuses(Tag.JOURNAL_CONFLICT)
async def test_a_peer_whose_journal_has_two_histories(stage: Stage) -> None:
    intent, receipts = await stage.announced(Asset.BTC)
    world, peer = stage.world, stage.world.signers[1]
    seen = Receipt.read(receipts[1], network=Network.REGTEST)
    await sign(stage[0], stage.signing(intent, receipts))
    second, _ = await stage.announced(Asset.ETH)
    forked = world.receipt(peer, second, Act.ANNOUNCED, journal_sequence=seen.journal_sequence)
    with refused(Tag.JOURNAL_CONFLICT):
        await sign(stage[0], stage.signing(second, (world.cosign(forked, peer),)))


@refuses(Tag.JOURNAL_BEHIND)
async def test_a_receipt_of_our_own_that_our_journal_does_not_know(stage: Stage) -> None:
    saved = await stage.saved(0)
    intent, receipts = await stage.announced(Asset.BTC)
    stage.restore(0, saved)
    # No peer has seen the lost announcement yet: only custody's copy of the receipt gives it away.
    await stage.reconcile(0)
    with refused(Tag.JOURNAL_BEHIND):
        await sign(stage[0], stage.signing(intent, receipts))
    with refused(Tag.JOURNAL_BEHIND):
        await announce(stage[0], stage.announcement(intent))


@pytest.mark.parametrize("asset", Asset)
@refuses(Tag.TIMELOCK_RUNNING)
async def test_seconds_are_still_to_pass(stage: Stage, asset: Asset) -> None:
    intent = stage.intent(asset)
    receipts = await stage.announce_everywhere(stage.announcement(intent))
    tier = stage.world.policy.tier_of(intent.amount)
    stage.advance(tier.timelock_seconds - 1)
    (stage.bitcoin if asset is Asset.BTC else stage.ethereum).mine(count=tier.timelock_blocks)
    with refused(Tag.TIMELOCK_RUNNING):
        await sign(stage[0], stage.signing(intent, receipts))
    stage.advance(1)
    await sign(stage[0], stage.signing(intent, receipts))


@pytest.mark.parametrize("asset", Asset)
@refuses(Tag.TIMELOCK_RUNNING)
async def test_blocks_are_still_to_come(stage: Stage, asset: Asset) -> None:
    intent, chain = stage.intent(asset), stage.bitcoin if asset is Asset.BTC else stage.ethereum
    receipts = await stage.announce_everywhere(stage.announcement(intent))
    tier = stage.world.policy.tier_of(intent.amount)
    stage.clock[0] = Seconds(stage.clock[0] + tier.timelock_seconds)
    chain.mine(count=tier.timelock_blocks - 1)
    with refused(Tag.TIMELOCK_RUNNING):
        await sign(stage[0], stage.signing(intent, receipts))
    chain.mine()
    await sign(stage[0], stage.signing(intent, receipts))


# The authority to sign ends; what was signed does not.


@pytest.mark.parametrize("asset", Asset)
@pytest.mark.parametrize(
    ("intent_seconds", "release_seconds"), [(7200, DAY), (DAY, 7200)], ids=["intent", "release"]
)
@refuses(Tag.AUTHORITY_EXPIRED)
async def test_a_first_attempt_once_intent_or_release_has_expired(
    stage: Stage, asset: Asset, intent_seconds: int, release_seconds: int
) -> None:
    intent, receipts = await announced_until(stage, asset, intent=intent_seconds, release=release_seconds)
    stage.advance(7200 - (stage.clock[0] - stage.world.now))
    with refused(Tag.AUTHORITY_EXPIRED):
        await sign(stage[0], stage.signing(intent, receipts))


@pytest.mark.parametrize(
    "request_with",
    [
        {"coins": ()},
        {"coins": (Coin(previous_transaction=bytes(PREVIOUS_BYTES_MAX + 1), index=0),)},
        {"fee_units": 10**9},
        {"announce_receipts": ()},
    ],
    ids=["without inputs", "with inputs too long", "above the fee cap", "without receipts"],
)
@refuses(Tag.AUTHORITY_EXPIRED)
async def test_what_is_over_is_refused_as_over_whatever_it_is_asked_with(
    stage: Stage, request_with: dict[str, Any]
) -> None:
    """Custody counts on that word, and may be unable to ask for anything that could be signed."""
    intent, receipts = await announced_until(stage, Asset.BTC, intent=7200, release=7200)
    stage.advance(7200 - (stage.clock[0] - stage.world.now))
    stage.bitcoin.spend(stage.coins[0])
    with refused(Tag.AUTHORITY_EXPIRED):
        await sign(stage[0], stage.signing(intent, receipts, **request_with))
    assert not stage[0].journal.views.intents[intent.digest].attempts


@refuses(Tag.TRANSACTION_SHAPE)
async def test_what_was_attempted_in_time_is_never_refused_as_over(stage: Stage) -> None:
    intent, receipts = await announced_until(stage, Asset.BTC, intent=7200, release=7200)
    await sign(stage[0], stage.signing(intent, receipts))
    stage.advance(7200)
    with refused(Tag.TRANSACTION_SHAPE):
        await sign(stage[0], stage.signing(intent, receipts, coins=()))


@pytest.mark.parametrize("asset", Asset)
@refuses(Tag.ANNOUNCE_INCOMPLETE, Tag.AUTHORITY_EXPIRED)
async def test_an_attempt_on_an_unsigned_announcement_is_refused_as_too_late_once_it_is(
    stage: Stage, asset: Asset
) -> None:
    """So custody asks about what has ended: whatever time it is and peers say, no signature comes of it."""
    intent, receipts = await announced_until(stage, asset, intent=7200, release=7200)
    request = stage.signing(intent, (Envelope(receipts[0].payload_type, receipts[0].payload),))
    with refused(Tag.ANNOUNCE_INCOMPLETE):
        await sign(stage[0], request)
    stage.advance(7200 - (stage.clock[0] - stage.world.now))
    with refused(Tag.AUTHORITY_EXPIRED):
        await sign(stage[0], request)


@pytest.mark.parametrize("asset", Asset)
async def test_what_was_attempted_in_time_is_bumped_after_expiry(stage: Stage, asset: Asset) -> None:
    intent, receipts = await announced_until(stage, asset, intent=7200, release=7200)
    stage.advance(7200 - 1 - (stage.clock[0] - stage.world.now))
    await sign(stage[0], stage.signing(intent, receipts))
    stage.advance(30 * DAY)
    await sign(stage[0], stage.signing(intent, receipts, fee_units=2 * FEES[asset]))


async def test_an_attempt_written_in_time_is_signed_after_a_crash_that_outlasts_the_intent(
    stage: Stage,
) -> None:
    intent, receipts = await announced_until(stage, Asset.BTC, intent=7200, release=7200)

    def crash() -> None:
        raise RuntimeError("killed")

    stage.keys[0].before_signing = crash
    with pytest.raises(RuntimeError):
        await sign(stage[0], stage.signing(intent, receipts))
    stage.keys[0].before_signing = lambda: None
    stage.advance(7200)
    await stage.restart(0)
    await sign(stage[0], stage.signing(intent, receipts))


@refuses(Tag.AUTHORITY_EXPIRED)
async def test_what_another_signer_attempted_in_time_binds_and_entitles_to_nothing(stage: Stage) -> None:
    intent, receipts = await announced_until(stage, Asset.BTC, intent=7200, release=7200)
    first = await sign(stage[0], stage.signing(intent, receipts))
    stage.advance(7200)
    peer = PeerSignatures(signer=stage[0].id, signatures=first.signatures)
    with refused(Tag.AUTHORITY_EXPIRED):
        await sign(stage[1], stage.signing(intent, receipts, peer_signatures=(peer,)))
    assert stage[1].journal.views.intents[intent.digest].live


@refuses(Tag.AUTHORITY_EXPIRED)
async def test_a_refusal_as_expired_is_final_though_the_clock_is_set_back(stage: Stage) -> None:
    intent, receipts = await announced_until(stage, Asset.BTC, intent=7200, release=7200)
    stage.advance(7200 - (stage.clock[0] - stage.world.now))
    for seconds in (0, 10):
        stage.clock[0] = Seconds(stage.clock[0] - seconds)
        with refused(Tag.AUTHORITY_EXPIRED):
            await sign(stage[0], stage.signing(intent, receipts))


async def announced_until(
    stage: Stage, asset: Asset, *, intent: int, release: int
) -> tuple[Intent, tuple[Envelope, ...]]:
    """Announced everywhere, the timelock over; intent and release last this long from the world's now."""
    until = [Seconds(stage.world.now + each) for each in (intent, release)]
    asked = stage.intent(asset, expires_at=until[0])
    released = stage.world.release_envelope(asked, expires_at=until[1])
    receipts = await stage.announce_everywhere(stage.announcement(asked, release=released))
    stage.pass_timelock(asset)
    return asked, receipts


@refuses(Tag.INTENT_EXPIRED)
async def test_a_clock_set_back_does_not_revive_what_has_expired(stage: Stage) -> None:
    short = stage.intent(Asset.BTC, expires_at=Seconds(stage.world.now + 3600))
    stage.advance(3600)
    await announce(stage[0], stage.announcement(stage.intent(Asset.ETH)))
    stage.clock[0] = Seconds(stage.clock[0] - 3600)
    with refused(Tag.INTENT_EXPIRED):
        await announce(stage[0], stage.announcement(short))


@refuses(Tag.INTENT_EXPIRED)
async def test_an_attempt_remembers_the_time_as_well(stage: Stage) -> None:
    short = stage.intent(Asset.ETH, expires_at=Seconds(stage.world.now + 3600))
    intent, receipts = await stage.announced(Asset.BTC)
    stage.advance(stage.world.now + 3600 - stage.clock[0])
    await sign(stage[0], stage.signing(intent, receipts))
    stage.clock[0] = Seconds(stage.clock[0] - 1)
    with refused(Tag.INTENT_EXPIRED):
        await announce(stage[0], stage.announcement(short))


# What the transaction may be.


@refuses(Tag.ANCHOR_SPENT)
async def test_the_anchor_was_spent_meanwhile(stage: Stage) -> None:
    intent, receipts = await stage.announced(Asset.BTC)
    stage.bitcoin.spend(stage.coins[0])
    with refused(Tag.ANCHOR_SPENT):
        await sign(stage[0], stage.signing(intent, receipts))


@refuses(Tag.NONCE)
async def test_the_nonce_was_used_meanwhile(stage: Stage) -> None:
    intent, receipts = await stage.announced(Asset.ETH)
    stage.ethereum.mine(stage.world.account.ethereum.address)
    with refused(Tag.NONCE):
        await sign(stage[0], stage.signing(intent, receipts))


@refuses(Tag.ANCHOR_MISMATCH)
async def test_an_attempt_that_does_not_spend_the_anchor(stage: Stage) -> None:
    intent, receipts = await stage.announced(Asset.BTC)
    with refused(Tag.ANCHOR_MISMATCH):
        await sign(stage[0], stage.signing(intent, receipts, coins=(stage.coins[1],)))


@refuses(Tag.INPUT_NOT_OURS)
async def test_a_coin_of_another_account(stage: Stage) -> None:
    intent, receipts = await stage.announced(Asset.BTC)
    foreign = stage.bitcoin.fund(bytes.fromhex("0020" + "99" * 32), BTC, seed=9)
    with refused(Tag.INPUT_NOT_OURS):
        await sign(stage[0], stage.signing(intent, receipts, coins=(stage.coins[0], foreign)))


@refuses(Tag.PREVOUT_LIE)
async def test_a_previous_transaction_with_another_amount(stage: Stage) -> None:
    intent, receipts = await stage.announced(Asset.BTC)
    lying = stage.coins[1].previous_transaction.replace(
        BTC.to_bytes(8, "little"), (2 * BTC).to_bytes(8, "little")
    )
    coins = (stage.coins[0], Coin(previous_transaction=lying, index=0))
    with refused(Tag.PREVOUT_LIE):
        await sign(stage[0], stage.signing(intent, receipts, coins=coins))


@refuses(Tag.PREVOUT_LIE)
async def test_bytes_that_are_no_transaction(stage: Stage) -> None:
    intent, receipts = await stage.announced(Asset.BTC)
    coins = (stage.coins[0], Coin(previous_transaction=b"\x00" * 80, index=0))
    with refused(Tag.PREVOUT_LIE):
        await sign(stage[0], stage.signing(intent, receipts, coins=coins))


@refuses(Tag.AMOUNT)
async def test_coins_that_do_not_suffice(stage: Stage) -> None:
    intent, receipts = await stage.announced(Asset.BTC, amount=Sats(BTC))
    with refused(Tag.AMOUNT):
        await sign(stage[0], stage.signing(intent, receipts))


@refuses(Tag.AMOUNT)
async def test_more_ether_than_the_account_holds(stage: Stage) -> None:
    intent, receipts = await stage.announced(Asset.ETH)
    stage.ethereum.balances[stage.world.account.ethereum.address] = Wei(intent.amount.units)
    with refused(Tag.AMOUNT):
        await sign(stage[0], stage.signing(intent, receipts))


@pytest.mark.parametrize("asset", Asset)
@refuses(Tag.FEE_CAP)
async def test_a_fee_above_the_cap(stage: Stage, asset: Asset) -> None:
    intent, receipts = await stage.announced(asset)
    with refused(Tag.FEE_CAP):
        await sign(stage[0], stage.signing(intent, receipts, fee_units=intent.fee_cap.units + 1))


@pytest.mark.parametrize("asset", Asset)
@refuses(Tag.FEE_BUDGET)
async def test_two_attempts_together_above_the_cap(stage: Stage, asset: Asset) -> None:
    intent, receipts = await stage.announced(asset)
    step = 1 if asset is Asset.BTC else 21_000  # ETH: a whole price for each unit of gas
    half = intent.fee_cap.units // 2 // step * step
    await sign(stage[0], stage.signing(intent, receipts, fee_units=half))
    with refused(Tag.FEE_BUDGET):
        await sign(stage[0], stage.signing(intent, receipts, fee_units=half + 2 * step))


@refuses(Tag.FEE_BUDGET)
async def test_an_unsigned_attempt_counts_too(stage: Stage) -> None:
    intent, receipts = await stage.announced(Asset.BTC)

    def crash() -> None:
        raise RuntimeError("killed")

    stage.keys[0].before_signing = crash
    with pytest.raises(RuntimeError):
        await sign(stage[0], stage.signing(intent, receipts, fee_units=40_000))
    stage.keys[0].before_signing = lambda: None
    with refused(Tag.FEE_BUDGET):
        await sign(stage[0], stage.signing(intent, receipts, fee_units=40_001))


@refuses(Tag.TRANSACTION_SHAPE)
async def test_the_same_coin_twice(stage: Stage) -> None:
    intent, receipts = await stage.announced(Asset.BTC)
    with refused(Tag.TRANSACTION_SHAPE):
        await sign(stage[0], stage.signing(intent, receipts, coins=(stage.coins[0], stage.coins[0])))


@refuses(Tag.TRANSACTION_SHAPE)
async def test_coins_for_a_payout_of_ether(stage: Stage) -> None:
    intent, receipts = await stage.announced(Asset.ETH)
    with refused(Tag.TRANSACTION_SHAPE):
        await sign(stage[0], stage.signing(intent, receipts, coins=(stage.coins[0],)))


@pytest.mark.parametrize("asset", Asset)
@refuses(Tag.SIGNATURE_INVALID)
async def test_a_key_that_is_not_the_accounts(stage: Stage, asset: Asset) -> None:
    """What a damaged store or a swapped key would sign with: nothing of it leaves."""
    intent, receipts = await stage.announced(asset)
    stage.keys[0].replace(asset, stage.world.signers[1].bitcoin_key)
    with refused(Tag.SIGNATURE_INVALID):
        await sign(stage[0], stage.signing(intent, receipts))
    (attempt,) = stage[0].journal.views.intents[intent.digest].attempts
    assert attempt.signed is None


RUBBISH: dict[str, Callable[[bytes], bytes]] = {
    "another hash type": lambda signature: signature[:-1] + b"\x02",
    "no hash type": lambda signature: signature[:-1],
    "a long form of the length": lambda signature: b"\x30\x81" + signature[1:],
    "a byte behind": lambda signature: signature[:-1] + b"\x00\x01",
    "nothing": lambda signature: b"",
}


@pytest.mark.parametrize("spoilt", RUBBISH.values(), ids=RUBBISH.keys())
async def test_rubbish_of_a_peer_stops_no_other(stage: Stage, spoilt: Callable[[bytes], bytes]) -> None:
    """Strict DER and SIGHASH_ALL (BIP-66) are all that consensus takes."""
    intent, receipts = await stage.announced(Asset.BTC)
    peers = await sign(stage[1], stage.signing(intent, receipts))
    rubbish = PeerSignatures(signer=stage[1].id, signatures=tuple(map(spoilt, peers.signatures)))
    alone = await sign(stage[0], stage.signing(intent, receipts, peer_signatures=(rubbish,)))
    assert alone.transaction == peers.transaction


async def test_signatures_of_another_attempt_or_of_a_stranger_count_for_nothing(stage: Stage) -> None:
    intent, receipts = await stage.announced(Asset.BTC)
    other = await sign(stage[1], stage.signing(intent, receipts, fee_units=3_000))
    rubbish = tuple(
        PeerSignatures(signer=signer, signatures=other.signatures)
        for signer in (stage[1].id, SignerId("stranger"))
    )
    signed = await sign(stage[0], stage.signing(intent, receipts, peer_signatures=rubbish))
    assert signed.transaction != other.transaction


@refuses(Tag.SIGNATURE_INVALID)
async def test_the_finished_transaction_is_judged_before_the_second_half_leaves(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    intent, receipts = await stage.announced(Asset.BTC)
    first = await sign(stage[0], stage.signing(intent, receipts))
    valid = PeerSignatures(signer=stage[0].id, signatures=first.signatures)

    def unspendable(*_: object) -> None:
        raise Refusal(Tag.SIGNATURE_INVALID, "libbitcoinkernel says no")

    monkeypatch.setattr("signers.bitcoin.sign.require_spendable", unspendable)
    with refused(Tag.SIGNATURE_INVALID):
        await sign(stage[1], stage.signing(intent, receipts, peer_signatures=(valid,)))
    monkeypatch.undo()
    await sign(stage[1], stage.signing(intent, receipts, peer_signatures=(valid,)))


@refuses(Tag.ACCOUNT_MODE)
async def test_ether_asked_of_a_signer_that_does_not_hold_the_key(stage: Stage) -> None:
    intent, receipts = await stage.announced(Asset.ETH)
    with refused(Tag.ACCOUNT_MODE):
        await sign(stage[1], stage.signing(intent, receipts))
    assert not stage[1].journal.views.intents[intent.digest].attempts


async def test_a_refusal_to_sign_is_signed(stage: Stage) -> None:
    intent, receipts = await stage.announced(Asset.BTC)
    with pytest.raises(Declined) as declined:
        await sign(stage[0], stage.signing(intent, receipts, coins=(stage.coins[1],)))
    assert declined.value.receipt is not None
    receipt = Receipt.read(declined.value.receipt, network=Network.REGTEST)
    assert (receipt.act, receipt.tags, receipt.intent_digest) == (
        Act.REFUSED,
        (Tag.ANCHOR_MISMATCH,),
        intent.digest,
    )


# When an intent ends.


@refuses(Tag.ANCHOR_BUSY)
async def test_an_intent_ends_when_its_anchor_is_spent_at_finality_and_not_before(stage: Stage) -> None:
    intent, receipts = await stage.announced(Asset.BTC)
    signed = await sign(stage[0], stage.signing(intent, receipts))
    depth = stage.world.policy.terms_of(Asset.BTC).finality_depth
    stage.bitcoin.mine(CTransaction.deserialize(signed.transaction))
    stage.bitcoin.mine(count=depth - 2)
    second = stage.intent(Asset.BTC, intent=OTHER, anchor=anchor_of(stage.coins[1]))
    with refused(Tag.ANCHOR_BUSY):
        await announce(stage[0], stage.announcement(second))
    stage.bitcoin.mine()
    await announce(stage[0], stage.announcement(second))


@refuses(Tag.ANCHOR_BUSY)
async def test_a_reorganisation_re_opens_an_intent(stage: Stage) -> None:
    intent, receipts = await stage.announced(Asset.BTC)
    signed = await sign(stage[0], stage.signing(intent, receipts))
    depth = stage.world.policy.terms_of(Asset.BTC).finality_depth
    stage.bitcoin.mine(CTransaction.deserialize(signed.transaction))
    stage.bitcoin.mine(count=depth)
    second = stage.intent(Asset.BTC, intent=OTHER, anchor=anchor_of(stage.coins[1]))
    await announce(stage[0], stage.announcement(second))
    stage.bitcoin.reorganise(depth + 1)
    third = replace(second, intent=IntentId("0190a0a0-0000-4000-8000-00000000000c"))
    with refused(Tag.ANCHOR_BUSY):
        await announce(stage[0], stage.announcement(third))


@pytest.mark.parametrize("asset", Asset)
@pytest.mark.parametrize("beyond", [0, 1])
async def test_a_reorganisation_is_looked_for_two_weeks_back_and_one(
    stage: Stage, asset: Asset, beyond: int
) -> None:
    """BTC 2,016 blocks, ETH 50,400: not for ever, and for long."""
    blocks = {Asset.BTC: 2016, Asset.ETH: 50_400}[asset] + beyond
    chain = stage.bitcoin if asset is Asset.BTC else stage.ethereum
    intent, _ = await stage.announced(asset)
    if asset is Asset.BTC:
        stage.bitcoin.spend(stage.coins[0])
        stage.bitcoin.mine(count=stage.world.policy.terms_of(asset).finality_depth)
    else:
        stage.ethereum.mine(stage.world.account.ethereum.address)
        stage.ethereum.mine(count=stage.ethereum.finality_depth)
    await watch.tick(stage[0])
    assert not stage[0].journal.views.live()
    spent_at = len(chain.blocks) - 1
    chain.reorganise(stage.world.policy.terms_of(Asset.BTC).finality_depth + 1)
    chain.mine(count=spent_at + blocks - (len(chain.blocks) - 1))
    account, tip = stage.world.account, await stage[0].chains[asset].tip()
    await anchors.observe(stage[0], stage[0].journal.views.intents[intent.digest], account, tip.point)
    assert bool(stage[0].journal.views.live()) is (beyond == 0)


@refuses(Tag.ANCHOR_BUSY)
async def test_a_nonce_ends_its_intent_when_it_is_finalised(stage: Stage) -> None:
    address = stage.world.account.ethereum.address
    await stage.announced(Asset.ETH)
    stage.ethereum.mine(address)
    anchor = NonceAnchor(chain_id=31_337, nonce=1)
    second = stage.announcement(stage.intent(Asset.ETH, intent=OTHER, anchor=anchor))
    with refused(Tag.ANCHOR_BUSY):
        await announce(stage[0], second)
    stage.ethereum.mine(count=stage.ethereum.finality_depth)
    await announce(stage[0], second)
