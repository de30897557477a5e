"""`Sign`: one attempt of an intent that was announced to every signer, after its timelock."""

from __future__ import annotations

from dataclasses import dataclass

from signers.bitcoin.coins import Coin
from signers.journal import Attempted, Hex, IntentHistory, Record, Signed
from signers.rules import limits, moment, receipts
from signers.rules.anchors import account_of
from signers.rules.chains import Chain, Draft, Order, PeerSignatures
from signers.rules.decision import Matter, decline, signature_receipt
from signers.rules.moment import Moment
from signers.rules.signer import Signer
from signers.statements.amounts import Amount, Asset, amount_of
from signers.statements.envelope import Envelope
from signers.statements.identifiers import Digest
from signers.statements.intent import Release
from signers.statements.refusals import Refusal, Tag, refuse_unless


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningRequest:
    """What custody asks. The transaction is not its to say: this signer builds it."""

    intent_digest: Digest
    fee_units: int
    coins: tuple[Coin, ...]
    announce_receipts: tuple[Envelope, ...]
    peer_signatures: tuple[PeerSignatures, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedAttempt:
    """What this signer signed."""

    asset: Asset
    transaction: bytes
    """Unsigned, as it was built here."""
    signatures: tuple[bytes, ...]
    """BTC: one per input, DER and SIGHASH_ALL. ETH: the one signed transaction."""
    receipt: Envelope


async def sign(signer: Signer, request: SigningRequest) -> SignedAttempt:
    """Build an attempt, write it down, sign it. Asked again: the identical signature and receipt.

    Raises:
        Declined: a rule refused.
        NodeUnavailable: the own node does not answer.
        AttemptNotSigned: the implementations disagree, or no valid signature came of it.
    """
    history = signer.journal.views.intents.get(request.intent_digest)
    matter = _matter(request, history)
    try:
        signer.require_ready()
        announced = _require_announced(signer, request, history)
        async with signer.locks.of(announced.intent.account):
            draft, record = await _signed(signer, request)
    except Refusal as refusal:
        raise await decline(signer, matter, refusal) from refusal
    assert isinstance(record.entry, Signed)  # noqa: S101 - `_signed` returns no other record
    receipt = signature_receipt(signer, announced, record)
    signatures = tuple(signature.raw for signature in record.entry.signatures)
    return SignedAttempt(
        asset=announced.intent.asset,
        transaction=draft.transaction,
        signatures=signatures,
        receipt=await signer.sealed(receipt),
    )


def _matter(request: SigningRequest, history: IntentHistory | None) -> Matter:
    inputs = {request.intent_digest, *(receipt.digest for receipt in request.announce_receipts)}
    return Matter(
        account=None if history is None else history.intent.account,
        asset=None if history is None else history.intent.asset,
        intent_digest=request.intent_digest,
        inputs=tuple(sorted(inputs)),
    )


async def _signed(signer: Signer, request: SigningRequest) -> tuple[Draft, Record]:
    history = signer.journal.views.intents[request.intent_digest]
    account = account_of(signer, history)
    chain = signer.chains[history.intent.asset]
    if not history.attempts:
        # Before anything is built: this word ends the intent, and custody may have no inputs left to show.
        require_authority(history, await moment.trusted(signer, chain, history.intent.asset))
    fee = _fee(request, history)
    draft = chain.build(
        Order(
            intent=history.intent,
            account=account,
            fee=fee,
            coins=request.coins,
            peers=request.peer_signatures,
        )
    )
    if (done := _signature_of(history, draft.digest)) is not None:
        return draft, done
    now = await moment.trusted(signer, chain, history.intent.asset)
    require_authority(history, now)
    await receipts.require_announced_everywhere(signer, history, request.announce_receipts)
    require_timelock_over(signer, history, now)
    await chain.require_anchor(history.intent, account)
    await chain.require_coins(draft)
    limits.require_fee_budget(history, draft.digest, fee)
    _write_attempt(signer, history, draft, fee, now)
    return draft, await _sign_attempt(signer, history, chain, draft)


def _fee(request: SigningRequest, history: IntentHistory) -> Amount:
    try:
        return amount_of(history.intent.asset, request.fee_units)
    except ValueError as error:
        raise Refusal(Tag.FEE_CAP, str(error)) from error


def _signature_of(history: IntentHistory, transaction_digest: Digest) -> Record | None:
    attempt = history.attempt(transaction_digest)
    return None if attempt is None else attempt.signed


def _require_announced(
    signer: Signer, request: SigningRequest, history: IntentHistory | None
) -> IntentHistory:
    """The intent was announced to this signer.

    Raises:
        Refusal: `announce-missing`, or `journal-behind` where our own receipt says that it was.
    """
    if history is None:
        receipts.require_not_forgotten(signer, request.announce_receipts, request.intent_digest)
        raise Refusal(Tag.ANNOUNCE_MISSING, f"intent {request.intent_digest} was not announced here")
    return history


def require_authority(history: IntentHistory, now: Moment) -> None:
    """This signer's first attempt comes while intent and release stand: what custody let lie is over.

    Later attempts are fee bumps: what was attempted in time can confirm at any time, so they take no more.
    The tag says more than that it is late: announced here, never attempted, and never to be.

    Raises:
        Refusal: `authority-expired`.
    """
    release = Release.parse(history.entry.release.envelope.payload)
    ends_at = min(history.intent.expires_at, release.expires_at)
    refuse_unless(
        bool(history.attempts) or now.at < ends_at,
        Tag.AUTHORITY_EXPIRED,
        f"nothing was attempted before {ends_at}, it is {now.at}",
    )


def require_timelock_over(signer: Signer, history: IntentHistory, now: Moment) -> None:
    """Time and blocks since the announcement, both: a clock can be set and blocks can come fast.

    Raises:
        Refusal: `timelock-running`.
    """
    tier = signer.policy.tier_of(history.intent.amount)
    ends_at = history.record.at + tier.timelock_seconds
    ends_height = history.entry.seen_at.height + tier.timelock_blocks
    refuse_unless(
        now.at >= ends_at and now.tip.point.height >= ends_height,
        Tag.TIMELOCK_RUNNING,
        f"until {ends_at} and block {ends_height}; it is {now.at} at block {now.tip.point.height}",
    )


def _write_attempt(signer: Signer, history: IntentHistory, draft: Draft, fee: Amount, now: Moment) -> None:
    """Before any key is touched: a signature that the journal does not know of could be given twice."""
    if history.attempt(draft.digest) is not None:
        return
    attempted = Attempted(
        intent_digest=history.digest,
        transaction_digest=draft.digest,
        transaction=Hex(draft.transaction.hex()),
        fee=fee,
        inputs=draft.inputs,
    )
    signer.journal.append(attempted, at=now.at)


async def _sign_attempt(signer: Signer, history: IntentHistory, chain: Chain, draft: Draft) -> Record:
    signatures = await chain.sign(draft)
    signed = Signed(
        intent_digest=history.digest,
        transaction_digest=draft.digest,
        signatures=tuple(Hex(signature.hex()) for signature in signatures),
    )
    return signer.journal.append(signed, at=signer.now())
