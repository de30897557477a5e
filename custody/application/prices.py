"""Prices: what the policy's publishers signed. Custody carries them and makes none."""

from dataclasses import dataclass
from typing import Final

from custody.application.access import policy_in_force
from custody.application.idempotency import once
from custody.application.ports.store import UnitOfWork
from custody.application.signed import read, require_single_signature
from custody.domain.errors import FieldInvalid, StatementMismatch, StatementSignature, StatementStale
from custody.domain.identifiers import RequestId
from custody.domain.price import PriceSet, PublishedPrice
from custody.domain.principal import Principal
from signers.statements.amounts import Asset
from signers.statements.envelope import Envelope
from signers.statements.identifiers import Ed25519Key, EntityId, Seconds
from signers.statements.policy import Policy, Role
from signers.statements.price import Price
from signers.statements.refusals import Tag
from signers.statements.valuation import Quote, is_fresh, quote

ENVELOPES_MAX: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishPrices:
    """Take signed prices, all or none."""

    request_id: RequestId
    envelopes: tuple[Envelope, ...]


def publish(
    uow: UnitOfWork, command: PublishPrices, *, principal: Principal, now: Seconds
) -> tuple[PublishedPrice, ...]:
    """Record prices. Who brings them does not matter, only who signed them.

    Raises:
        FieldInvalid: none, or more than `ENVELOPES_MAX`.
        StatementMalformed: not a price.
        StatementMismatch: another network or currency, or the same publisher and asset twice.
        StatementSignature: not signed by a key that the policy pins for this publisher.
        StatementStale: a sequence that does not rise, or a time in the future or beyond the policy's age.
    """
    return once(
        uow,
        principal=principal,
        method="prices.publish",
        request_id=command.request_id,
        command=command,
        effect=lambda: _publish(uow, command, now=now),
    )


def _publish(uow: UnitOfWork, command: PublishPrices, *, now: Seconds) -> tuple[PublishedPrice, ...]:
    if not 0 < len(command.envelopes) <= ENVELOPES_MAX:
        raise FieldInvalid(f"1 to {ENVELOPES_MAX} prices at once", field="envelopes")
    policy = policy_in_force(uow).policy
    known = {(price.publisher, price.asset): price for price in uow.prices().prices}
    taken: dict[tuple[EntityId, Asset], PublishedPrice] = {}
    for envelope in command.envelopes:
        said = _read(envelope, policy=policy, now=now)
        key = (said.publisher, said.asset)
        if key in taken:
            raise StatementMismatch(f"two prices of {said.asset} by {said.publisher}", field="envelopes")
        taken[key] = _succeed(said, envelope, known.get(key), now=now)
    for price in taken.values():
        uow.save_price(price)
    return tuple(taken.values())


def _read(envelope: Envelope, *, policy: Policy, now: Seconds) -> Price:
    said = read(Price, envelope, network=policy.network, field="envelopes")
    if said.currency != policy.prices.currency:
        raise StatementMismatch(f"in {said.currency}, not {policy.prices.currency}", field="envelopes")
    key = _publisher_key(said.publisher, envelope, policy=policy, now=now)
    require_single_signature(
        envelope, key, tag=Tag.SIGNATURE_INVALID, whose=said.publisher, field="envelopes"
    )
    if not is_fresh(said.at, policy.prices, now=now):
        raise StatementStale(f"of {said.at}, it is {now}", field="envelopes", data={"at": str(said.at)})
    return said


def _publisher_key(publisher: EntityId, envelope: Envelope, *, policy: Policy, now: Seconds) -> Ed25519Key:
    hints = {signature.keyid for signature in envelope.signatures}
    for key in policy.keys:
        pinned = key.role is Role.PUBLISHER and key.entity == publisher
        stands = key.revoked_at is None or now < key.revoked_at
        if pinned and stands and key.public_key.key_id in hints:
            return key.public_key
    raise StatementSignature(
        f"the policy pins no such key for {publisher}", field="envelopes", tag=Tag.APPROVAL_KEY_UNKNOWN
    )


def _succeed(
    said: Price, envelope: Envelope, before: PublishedPrice | None, *, now: Seconds
) -> PublishedPrice:
    if before is not None and (said.sequence <= before.sequence or said.at < before.at):
        raise StatementStale(
            f"sequence {said.sequence} of {said.at} after {before.sequence} of {before.at}",
            field="envelopes",
            data={"sequence": str(before.sequence)},
        )
    return PublishedPrice(
        publisher=said.publisher,
        asset=said.asset,
        currency=said.currency,
        price=said.price,
        sequence=said.sequence,
        at=said.at,
        digest=envelope.digest,
        envelope=envelope,
        created_at=before.created_at if before else now,
        updated_at=now,
    )


def standing(prices: PriceSet, *, policy: Policy, now: Seconds) -> PriceSet:
    """The prices whose publishers the policy still pins: a revoked one says nothing about today."""
    publishers = {
        key.entity
        for key in policy.keys
        if key.role is Role.PUBLISHER and (key.revoked_at is None or now < key.revoked_at)
    }
    return PriceSet(tuple(price for price in prices.prices if price.publisher in publishers))


def quoted(prices: PriceSet, asset: Asset, *, policy: Policy, now: Seconds) -> Quote:
    """What the asset is worth by these prices."""
    return quote(standing(prices, policy=policy, now=now).of(asset), policy.prices, now=now)
