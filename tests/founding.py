"""What a world begins with: people, their keys, the root policy and the account, from a seed."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from coincurve import PrivateKey, PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from eth_hash.auto import keccak

from signers.statements import multisig
from signers.statements.account import (
    Account,
    BitcoinCosigner,
    BitcoinTerms,
    Enforcement,
    EthereumTerms,
    Party,
    possession_challenge,
)
from signers.statements.amounts import Amount, Asset, Sats, Wei
from signers.statements.envelope import public_key_of
from signers.statements.identifiers import (
    GENESIS,
    AccountId,
    CompressedKey,
    Currency,
    EcdsaSignature,
    Ed25519Key,
    EntityId,
    EthereumAddress,
    Label,
    ScriptPubKey,
    Seconds,
    SignerId,
)
from signers.statements.network import Network
from signers.statements.policy import (
    AssetTerms,
    Limit,
    Policy,
    PolicyKey,
    PriceTerms,
    Role,
    SignerTerms,
    Tier,
)

NOW = Seconds(1_790_000_000)
DAY = 24 * 3600
BTC, ETH = 10**8, 10**18


@dataclass(frozen=True, kw_only=True)
class Person:
    """An entity with one Ed25519 key."""

    entity: EntityId
    key: Ed25519PrivateKey

    @property
    def public_key(self) -> Ed25519Key:
        return public_key_of(self.key)

    @property
    def party(self) -> Party:
        return Party(entity=self.entity, public_key=self.public_key)


@dataclass(frozen=True, kw_only=True)
class SignerParty:
    """A signer: its statement key, and its secp256k1 keys of the world's account."""

    signer: SignerId
    statement_key: Ed25519PrivateKey
    bitcoin_key: PrivateKey
    ethereum_key: PrivateKey
    """Only the holder's stands in the account."""

    @property
    def public_key(self) -> Ed25519Key:
        return public_key_of(self.statement_key)

    def account_key(self, asset: Asset) -> PrivateKey:
        return self.bitcoin_key if asset is Asset.BTC else self.ethereum_key


def seeded(seed: str, name: str) -> bytes:
    """32 bytes that depend on both alone."""
    return hashlib.sha256(f"{seed}/{name}".encode()).digest()


def ethereum_address(key: PublicKey) -> EthereumAddress:
    """The last 20 bytes of the Keccak-256 of the uncompressed key without its prefix."""
    return EthereumAddress(keccak(key.format(compressed=False)[1:])[-20:].hex())


def prove_possession(
    key: PrivateKey,
    *,
    network: Network,
    account: AccountId,
    signer: SignerId,
    asset: Asset,
    public_key: CompressedKey | None = None,
) -> tuple[CompressedKey, EcdsaSignature]:
    """A secp256k1 key as statements name it, with its proof of possession."""
    public = CompressedKey(key.public_key.format().hex())
    challenge = possession_challenge(
        network=network, account=account, signer=signer, asset=asset, public_key=public_key or public
    )
    return public, EcdsaSignature(key.sign_recoverable(challenge, hasher=None)[:64].hex())


def founding_signer(seed: str, index: int) -> SignerParty:
    name = f"signer-{index}"
    return SignerParty(
        signer=SignerId(name),
        statement_key=Ed25519PrivateKey.from_private_bytes(seeded(seed, f"statement {name}")),
        bitcoin_key=PrivateKey(seeded(seed, f"bitcoin {name}")),
        ethereum_key=PrivateKey(seeded(seed, f"ethereum {name}")),
    )


def policy_keys(people: Iterable[Person], role: Role, *, revoked_at: int | None = None) -> list[PolicyKey]:
    """These people's keys as a policy names them."""
    when = None if revoked_at is None else Seconds(revoked_at)
    return [PolicyKey(entity=p.entity, public_key=p.public_key, role=role, revoked_at=when) for p in people]


def founding_policy(people: Mapping[str, Any], network: Network, now: Seconds) -> Policy:
    standing = [*people["approvers"], people["second_device"], people["pledgor_approver"]]
    return Policy(
        network=network,
        version=1,
        previous=GENESIS,
        admin_quorum=2,
        keys=(
            *policy_keys(people["admins"], Role.ADMIN),
            *policy_keys(standing, Role.APPROVER),
            *policy_keys([people["revoked"]], Role.APPROVER, revoked_at=now - 30 * DAY),
            *policy_keys(people["publishers"], Role.PUBLISHER),
        ),
        signers=tuple(
            SignerTerms(
                signer=signer.signer,
                operator=EntityId(f"operator-{index}"),
                cloud=Label(f"cloud-{index}"),
                vault_holders=(Label(f"holder-{index}-a"), Label(f"holder-{index}-b")),
                public_key=signer.public_key,
            )
            for index, signer in enumerate(people["signers"], start=1)
        ),
        custody_attestation_key=people["attestation"].public_key,
        tiers=(
            _tier(Sats(1 * BTC), approvers=2, seconds=600, blocks=1),
            _tier(Sats(10 * BTC), approvers=3, seconds=3600, blocks=6),
            _tier(Wei(10 * ETH), approvers=2, seconds=600, blocks=10),
            _tier(Wei(100 * ETH), approvers=3, seconds=3600, blocks=60),
        ),
        limits=(
            Limit(window_seconds=Seconds(DAY), total=Sats(12 * BTC), fee_cap=Sats(100_000)),
            Limit(window_seconds=Seconds(DAY), total=Wei(120 * ETH), fee_cap=Wei(ETH // 20)),
        ),
        allowlist_approvers=2,
        allowlist_cooling_seconds=Seconds(DAY),
        intent_lifetime_max_seconds=Seconds(7 * DAY),
        prices=PriceTerms(
            currency=Currency("USD"), publishers_min=3, age_max_seconds=Seconds(60), spread_max_bps=200
        ),
        assets=(
            AssetTerms(asset=Asset.BTC, haircut_bps=6000, confirmations=6, finality_depth=100),
            AssetTerms(asset=Asset.ETH, haircut_bps=6500, confirmations=0, finality_depth=0),
        ),
    )


def _tier(up_to: Amount, *, approvers: int, seconds: int, blocks: int) -> Tier:
    return Tier(up_to=up_to, approvers=approvers, timelock_seconds=Seconds(seconds), timelock_blocks=blocks)


def founding_account(people: Mapping[str, Any], network: Network, now: Seconds, policy: Policy) -> Account:
    account = AccountId("acct-client-one")
    cosigners = []
    for signer in people["signers"]:
        key, proof = prove_possession(
            signer.bitcoin_key, network=network, account=account, signer=signer.signer, asset=Asset.BTC
        )
        cosigners.append(BitcoinCosigner(signer=signer.signer, public_key=key, proof=proof))
    holder = people["signers"][0]
    key, proof = prove_possession(
        holder.ethereum_key, network=network, account=account, signer=holder.signer, asset=Asset.ETH
    )
    return Account(
        network=network,
        account=account,
        pledgor=people["pledgor"].party,
        secured_party=people["secured_party"].party,
        custodian=people["custodian"].party,
        policy_digest=policy.digest,
        bitcoin=BitcoinTerms(
            cosigners=tuple(cosigners),
            script_pubkey=multisig.script_pubkey([cosigner.public_key for cosigner in cosigners]),
        ),
        ethereum=EthereumTerms(
            custody="single-holder",
            holder=holder.signer,
            public_key=key,
            proof=proof,
            address=ethereum_address(holder.ethereum_key.public_key),
        ),
        enforcement=Enforcement(
            bitcoin=ScriptPubKey("0014" + "e1" * 20), ethereum=EthereumAddress("e2" * 20)
        ),
        created_at=Seconds(now - 60 * DAY),
    )
