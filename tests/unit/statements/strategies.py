"""Any valid statement of each type."""

import functools
import string
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from coincurve import PrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from signers.statements.account import Account, AccountKey, Enforcement, Party
from signers.statements.allowlist import AllowlistEntry, BitcoinDestination, EthereumDestination
from signers.statements.amounts import Amount, Asset, Sats, Wei, amount_of
from signers.statements.canonical import INTEGER_MAX
from signers.statements.encumbrance import Encumbrance, EncumbranceKind
from signers.statements.envelope import public_key_of
from signers.statements.identifiers import (
    GENESIS,
    SECONDS_MAX,
    AccountId,
    BlockHash,
    Currency,
    DestinationId,
    Digest,
    Ed25519Key,
    EntityId,
    EthereumAddress,
    IntentId,
    LienId,
    Nonce,
    Proof,
    ScriptPubKey,
    Seconds,
    SignerId,
    TxId,
    Value,
)
from signers.statements.intent import INDEX_MAX, Intent, IntentKind, NonceAnchor, OutpointAnchor, Release
from signers.statements.network import Network
from signers.statements.policy import AssetTerms, Limit, Policy, PriceTerms, Tier
from signers.statements.price import Price
from signers.statements.receipt import Act, JournalHead, Receipt
from signers.statements.refusals import Tag
from signers.statements.report import AssetPosition, ChainPoint, Report, ReportBatch, ValueStatus
from signers.statements.statement import Statement
from tests.factories import World, build_world, prove_possession, seeded

Draw = Callable[[SearchStrategy[Any]], Any]

networks = st.sampled_from(Network)
assets = st.sampled_from(Asset)
counts = st.integers(0, INTEGER_MAX)
times = st.integers(0, SECONDS_MAX).map(Seconds)


@functools.cache
def _ed25519_key(seed: int) -> Ed25519Key:
    return public_key_of(Ed25519PrivateKey.from_private_bytes(seeded("strategies", str(seed))))


def hexadecimal(count: int) -> SearchStrategy[str]:
    return st.binary(min_size=count, max_size=count).map(bytes.hex)


names = st.builds(
    str.__add__,
    st.sampled_from(string.ascii_lowercase),
    st.text(string.ascii_lowercase + string.digits + "-", min_size=2, max_size=39),
)
account_ids = names.map(AccountId)
entities = names.map(EntityId)
signer_ids = names.map(SignerId)
digests = hexadecimal(32).map(Digest)
values = st.integers(0, 10**38 - 1).map(str).map(Value)
currencies = st.text(string.ascii_uppercase, min_size=3, max_size=3).map(Currency)
ed25519_keys = st.integers(0, 99).map(_ed25519_key)
destinations = {
    Asset.BTC: st.binary(min_size=1, max_size=83).map(
        lambda raw: BitcoinDestination(script_pubkey=ScriptPubKey(raw.hex()))
    ),
    Asset.ETH: hexadecimal(20).map(lambda text: EthereumDestination(address=EthereumAddress(text))),
}
anchors = {
    Asset.BTC: st.builds(OutpointAnchor, txid=hexadecimal(32).map(TxId), index=st.integers(0, INDEX_MAX)),
    Asset.ETH: st.builds(NonceAnchor, chain_id=counts, nonce=counts),
}


@functools.cache
def _world(seed: int, network: Network) -> World:
    return build_world(seed=str(seed), network=network)


worlds = st.builds(_world, st.integers(0, 3), networks)


def amounts(asset: Asset, *, least: int = 0, most: int | None = None) -> SearchStrategy[Amount]:
    maximum = {Asset.BTC: Sats.maximum, Asset.ETH: Wei.maximum}[asset]
    return st.integers(least, maximum if most is None else most).map(lambda units: amount_of(asset, units))


@st.composite
def accounts(draw: Draw) -> Account:
    account: Account = draw(worlds).account
    parties = draw(st.lists(entities, min_size=3, max_size=3, unique=True))
    keys = draw(st.lists(ed25519_keys, min_size=3, max_size=3, unique=True))
    pledgor, secured, custodian = (
        Party(entity=entity, public_key=key) for entity, key in zip(parties, keys, strict=True)
    )
    return replace(
        account,
        pledgor=pledgor,
        secured_party=secured,
        custodian=custodian,
        policy_digest=draw(digests),
        enforcement=Enforcement(
            bitcoin=draw(destinations[Asset.BTC]).script_pubkey,
            ethereum=draw(destinations[Asset.ETH]).address,
        ),
        created_at=draw(times),
    )


@st.composite
def account_keys(draw: Draw) -> AccountKey:
    said = {
        "network": draw(networks),
        "account": draw(account_ids),
        "signer": draw(signer_ids),
        "asset": draw(assets),
    }
    secret = PrivateKey(draw(st.integers(1, 2**128)).to_bytes(32, "big"))
    public_key, proof = prove_possession(secret, **said)
    return AccountKey(**said, public_key=public_key, proof=proof)


@st.composite
def allowlist_entries(draw: Draw) -> AllowlistEntry:
    created_at, usable_at = sorted((draw(times), draw(times)))
    return AllowlistEntry(
        network=draw(networks),
        account=draw(account_ids),
        destination_id=DestinationId(draw(names)),
        destination=draw(destinations[draw(assets)]),
        proof=Proof(draw(st.text(string.ascii_letters + string.digits + "+/=", min_size=1, max_size=99))),
        created_at=created_at,
        usable_at=usable_at,
    )


@st.composite
def encumbrances(draw: Draw) -> Encumbrance:
    kind = draw(st.sampled_from(EncumbranceKind))
    first = draw(st.booleans())
    return Encumbrance(
        network=draw(networks),
        account=draw(account_ids),
        sequence=1 if first else draw(st.integers(2, INTEGER_MAX)),
        previous=GENESIS if first else draw(digests.filter(lambda digest: digest != GENESIS)),
        kind=kind,
        lien=LienId(draw(names)),
        amount=draw(amounts(draw(assets), least=1)),
        expires_at=draw(times) if kind is EncumbranceKind.RESERVE else None,
    )


@st.composite
def intents(draw: Draw) -> Intent:
    asset = draw(assets)
    amount = draw(amounts(asset, least=1, most=10**15))
    created_at = draw(st.integers(0, SECONDS_MAX - 1))
    return Intent(
        network=draw(networks),
        intent=IntentId(str(draw(st.uuids(version=4)))),
        account=draw(account_ids),
        kind=draw(st.sampled_from(IntentKind)),
        maker=draw(entities),
        destination_id=DestinationId(draw(names)),
        destination=draw(destinations[asset]),
        amount=amount,
        fee_cap=draw(amounts(asset, least=1, most=10**15)),
        anchor=draw(anchors[asset]),
        policy_digest=draw(digests),
        created_at=Seconds(created_at),
        expires_at=Seconds(draw(st.integers(created_at + 1, SECONDS_MAX))),
    )


@st.composite
def journal_heads(draw: Draw) -> JournalHead:
    seen = draw(st.booleans())
    return JournalHead(
        network=draw(networks),
        subject=draw(signer_ids),
        witness=draw(signer_ids),
        nonce=Nonce(draw(hexadecimal(32))),
        sequence=draw(st.integers(1, INTEGER_MAX)) if seen else 0,
        head=draw(digests.filter(lambda digest: digest != GENESIS)) if seen else GENESIS,
    )


@st.composite
def policies(draw: Draw) -> Policy:
    policy: Policy = draw(worlds).policy
    first = draw(st.booleans())
    lifetime = draw(st.integers(1, 30 * 24 * 3600))
    kept = [key for key in policy.keys if key.revoked_at is None]
    revoked = [replace(key, revoked_at=draw(times)) for key in policy.keys if key.revoked_at is not None]
    return replace(
        policy,
        version=1 if first else draw(st.integers(2, INTEGER_MAX)),
        previous=GENESIS if first else draw(digests.filter(lambda digest: digest != GENESIS)),
        admin_quorum=draw(st.integers(1, 3)),
        keys=tuple(draw(st.permutations([*kept, *revoked]))),
        tiers=tuple(tier for asset in Asset for tier in draw(_tiers(asset, lifetime=lifetime))),
        limits=tuple(
            Limit(
                window_seconds=draw(st.integers(1, SECONDS_MAX)),
                total=draw(amounts(asset)),
                fee_cap=draw(amounts(asset)),
            )
            for asset in Asset
        ),
        allowlist_approvers=draw(st.integers(1, 3)),
        allowlist_cooling_seconds=draw(times),
        intent_lifetime_max_seconds=Seconds(lifetime),
        prices=PriceTerms(
            currency=draw(currencies),
            publishers_min=3,
            age_max_seconds=draw(times),
            spread_max_bps=draw(counts),
        ),
        assets=(
            AssetTerms(
                asset=Asset.BTC,
                haircut_bps=draw(st.integers(6000, 10_000)),
                confirmations=draw(st.integers(1, 99)),
                finality_depth=draw(st.integers(99, INTEGER_MAX)),
            ),
            AssetTerms(asset=Asset.ETH, haircut_bps=6500, confirmations=0, finality_depth=0),
        ),
    )


@st.composite
def _tiers(draw: Draw, asset: Asset, *, lifetime: int) -> list[Tier]:
    steps = sorted(draw(st.sets(st.integers(0, 10**15), min_size=1, max_size=4)))
    return [
        Tier(
            up_to=amount_of(asset, step),
            approvers=draw(st.integers(1, 3)),
            timelock_seconds=Seconds(draw(st.integers(0, lifetime - 1))),
            timelock_blocks=draw(counts),
        )
        for step in steps
    ]


@st.composite
def receipts(draw: Draw) -> Receipt:
    act = draw(st.sampled_from(Act))
    return Receipt(
        network=draw(networks),
        signer=draw(signer_ids),
        act=act,
        account=draw(account_ids),
        intent_digest=draw(digests),
        tags=tuple(draw(st.lists(st.sampled_from(Tag), min_size=1))) if act is Act.REFUSED else (),
        inputs=tuple(draw(st.lists(digests, max_size=5))),
        transaction=draw(digests) if act is Act.SIGNED else None,
        ethereum_custody=draw(st.sampled_from([None, "single-holder"])),
        journal_sequence=draw(counts),
        journal_head=draw(digests),
        at=draw(times),
    )


@st.composite
def positions(draw: Draw, asset: Asset) -> AssetPosition:
    status = draw(st.sampled_from(ValueStatus))
    priced = draw(st.booleans())
    quantities = {
        name: draw(amounts(asset))
        for name in (
            "confirmed",
            "pending",
            "reserved",
            "posted",
            "withdrawing",
            "leaving",
            "free",
            "shortfall",
        )
    }
    return AssetPosition(
        asset=asset,
        **quantities,
        status=status,
        price=draw(values) if priced else None,
        price_at=draw(times) if priced else None,
        price_sources=draw(counts),
        price_set=draw(digests),
        haircut_bps=draw(counts),
        market_value=draw(values),
        lending_value=draw(values) if status is ValueStatus.OK else Value("0"),
        capital_value=draw(values),
        seen_at=ChainPoint(height=draw(counts), block_hash=BlockHash(draw(hexadecimal(32)))),
    )


@st.composite
def reports(draw: Draw) -> Report:
    return Report(
        network=draw(networks),
        account=draw(account_ids),
        account_sequence=draw(counts),
        at=draw(times),
        currency=draw(currencies),
        policy_digest=draw(digests),
        encumbrance_head=draw(digests),
        encumbrance_sequence=draw(counts),
        ethereum_custody="single-holder",
        halted=draw(st.booleans()),
        positions=tuple(draw(positions(asset)) for asset in draw(st.sets(assets))),
    )


statements: dict[type[Statement], SearchStrategy[Any]] = {
    Account: accounts(),
    AccountKey: account_keys(),
    AllowlistEntry: allowlist_entries(),
    Encumbrance: encumbrances(),
    Intent: intents(),
    JournalHead: journal_heads(),
    Policy: policies(),
    Price: st.builds(
        Price,
        network=networks,
        publisher=entities,
        asset=assets,
        currency=currencies,
        price=values.filter(lambda value: value.units > 0),
        sequence=counts,
        at=times,
    ),
    Receipt: receipts(),
    Release: st.builds(
        Release,
        network=networks,
        account=account_ids,
        intent=st.uuids(version=4).map(str).map(IntentId),
        intent_digest=digests,
        expires_at=times,
    ),
    Report: reports(),
    ReportBatch: st.builds(
        ReportBatch,
        network=networks,
        sequence=counts,
        previous=digests,
        root=digests,
        size=counts,
        at=times,
    ),
}
"""One strategy for each type."""

any_statement = st.one_of(*statements.values())
