"""The localnet's policy: short delays, small quorums, and the same rules as anywhere else."""

from collections.abc import Mapping, Sequence
from typing import Final

from deploy.localnet.people import Person
from signers.statements.amounts import Amount, Asset, Sats, Wei
from signers.statements.envelope import Envelope, sign
from signers.statements.identifiers import GENESIS, Currency, Ed25519Key, EntityId, Label, Seconds, SignerId
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

BITCOIN: Final = 10**8
ETHER: Final = 10**18
TIMELOCK_SECONDS: Final = Seconds(4)
COOLING_SECONDS: Final = Seconds(2)
_DAY_SECONDS: Final = Seconds(24 * 3600)
_ROLES: Final = {"admin": Role.ADMIN, "approver": Role.APPROVER, "feed": Role.PUBLISHER}


def signed_policy(
    *, people: Mapping[str, Person], signers: Sequence[Ed25519Key], attestation: Ed25519Key
) -> Envelope:
    """Version 1, signed by all its admins.

    Args:
        people: the cast, by name.
        signers: statement keys of signer-1, signer-2, signer-3.
        attestation: custody's key that signs report batches.
    """
    envelope = _policy(people=people, signers=signers, attestation=attestation).envelope()
    for name, person in people.items():
        if name.startswith("admin."):
            envelope = sign(person.key(), envelope)
    return envelope


def _policy(
    *, people: Mapping[str, Person], signers: Sequence[Ed25519Key], attestation: Ed25519Key
) -> Policy:
    return Policy(
        network=Network.REGTEST,
        version=1,
        previous=GENESIS,
        admin_quorum=2,
        keys=tuple(
            PolicyKey(
                entity=person.entity,
                public_key=person.public_key,
                role=_ROLES[name.split(".")[0]],
                revoked_at=None,
            )
            for name, person in people.items()
            if name.split(".")[0] in _ROLES
        ),
        signers=tuple(_signer(number, key) for number, key in enumerate(signers, start=1)),
        custody_attestation_key=attestation,
        tiers=(
            _tier(Sats(1 * BITCOIN), approvers=2),
            _tier(Sats(100 * BITCOIN), approvers=3),
            _tier(Wei(20 * ETHER), approvers=2),
            _tier(Wei(2_000 * ETHER), approvers=3),
        ),
        limits=(
            Limit(window_seconds=_DAY_SECONDS, total=Sats(50 * BITCOIN), fee_cap=Sats(100_000)),
            Limit(window_seconds=_DAY_SECONDS, total=Wei(1_000 * ETHER), fee_cap=Wei(ETHER // 50)),
        ),
        allowlist_approvers=2,
        allowlist_cooling_seconds=COOLING_SECONDS,
        intent_lifetime_max_seconds=_DAY_SECONDS,
        prices=PriceTerms(
            currency=Currency("HKD"), publishers_min=3, age_max_seconds=Seconds(60), spread_max_bps=200
        ),
        assets=(
            AssetTerms(asset=Asset.BTC, haircut_bps=6000, confirmations=6, finality_depth=6),
            AssetTerms(asset=Asset.ETH, haircut_bps=6500, confirmations=0, finality_depth=0),
        ),
    )


def _signer(number: int, key: Ed25519Key) -> SignerTerms:
    return SignerTerms(
        signer=SignerId(f"signer-{number}"),
        operator=EntityId(f"signer-operator-{number}"),
        cloud=Label(f"cloud-{number}"),
        vault_holders=(Label(f"share-holder-{number}-a"), Label(f"share-holder-{number}-b")),
        public_key=key,
    )


def _tier(up_to: Amount, *, approvers: int) -> Tier:
    return Tier(up_to=up_to, approvers=approvers, timelock_seconds=TIMELOCK_SECONDS, timelock_blocks=1)
