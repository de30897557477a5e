"""The policy: who may approve what, after how long, within which limits. Signed by its own admins' quorum."""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, final

from signers.statements.amounts import Amount, Asset
from signers.statements.identifiers import Currency, Digest, Ed25519Key, EntityId, Label, Seconds, SignerId
from signers.statements.refusals import Refusal, Tag
from signers.statements.statement import Statement, payload_type

HAIRCUT_FLOOR_BPS = 6000
"""60 %: SFC circular 26EC5 (11 Feb 2026). A policy can only raise it."""

PUBLISHERS_MIN = 3
SIGNERS = 3
SIGNER_THRESHOLD = 2


@final
class Role(StrEnum):
    """What a key of the policy may sign."""

    ADMIN = "policy-admin"
    APPROVER = "approver"
    PUBLISHER = "publisher"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyKey:
    """One key of one entity."""

    entity: EntityId
    public_key: Ed25519Key
    role: Role
    revoked_at: Seconds | None
    """From this time on its signatures count for nothing; `None` while it stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignerTerms:
    """One signer, and who could reach into it."""

    signer: SignerId
    operator: EntityId
    cloud: Label
    vault_holders: tuple[Label, ...]
    """Who holds unseal shares of its Vault."""
    public_key: Ed25519Key
    """Its statement key: receipts, co-signatures, journal heads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """What an outflow of up to `up_to` needs."""

    up_to: Amount
    """The largest amount of this tier, inclusive. Above the last tier of its asset nothing may leave."""
    approvers: int
    """Distinct entities, the maker's not counted."""
    timelock_seconds: Seconds
    timelock_blocks: int
    """Both must pass between a signer's announcement and its signature."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """How much of one asset may leave one account in a while."""

    window_seconds: Seconds
    total: Amount
    """Announced amounts plus their fee caps within any such window."""
    fee_cap: Amount
    """The most all attempts of one intent may pay the network together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceTerms:
    """When a price can be lent against (collateral.md)."""

    currency: Currency
    publishers_min: int
    age_max_seconds: Seconds
    spread_max_bps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetTerms:
    """How one asset counts."""

    asset: Asset
    haircut_bps: int
    """Share of market value not lent against, in basis points."""
    confirmations: int
    """Blocks until a deposit is credited (BTC). ETH credits at finality and says 0."""
    finality_depth: int
    """Blocks after which a settled outflow is beyond recall (BTC). ETH follows its chain and says 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy(Statement):
    """One version of the rules. Anything it does not allow is refused.

    Raises:
        Refusal: `policy-shared-key` where one public key stands under two entities, or a machine's under a
            person's: a custody host that approves would be a quorum's member.
        ValueError: anything else that would make the rules mean less than they say.
    """

    TYPE: ClassVar[str] = payload_type("policy")

    version: int
    """Strictly rising from 1."""
    previous: Digest
    """The policy before; `GENESIS` for version 1."""
    admin_quorum: int
    """Distinct admin entities that sign a policy."""
    keys: tuple[PolicyKey, ...]
    signers: tuple[SignerTerms, ...]
    custody_attestation_key: Ed25519Key
    tiers: tuple[Tier, ...]
    """Per asset in rising order."""
    limits: tuple[Limit, ...]
    """Exactly one per asset."""
    allowlist_approvers: int
    allowlist_cooling_seconds: Seconds
    intent_lifetime_max_seconds: Seconds
    prices: PriceTerms
    assets: tuple[AssetTerms, ...]

    def __post_init__(self) -> None:
        self._check_keys()
        self._check_signers()
        self._check_outflows()
        self._check_collateral()

    def _check_keys(self) -> None:
        owners: dict[Ed25519Key, EntityId] = {}
        for key in self.keys:
            if owners.setdefault(key.public_key, key.entity) != key.entity:
                raise Refusal(
                    Tag.POLICY_SHARED_KEY, f"one key under {owners[key.public_key]} and {key.entity}"
                )
        if len({(key.public_key, key.role) for key in self.keys}) != len(self.keys):
            raise ValueError("a key stands twice under one role")
        machines = self.machine_keys
        if len(machines) != len(self.signers) + 1 or machines & owners.keys():
            raise Refusal(Tag.POLICY_SHARED_KEY, "a machine's key stands twice, or among people's keys")
        if not 0 < self.admin_quorum <= len(self.entities(Role.ADMIN)):
            raise ValueError("admin_quorum is not reachable by the admins' entities")

    def _check_signers(self) -> None:
        if len(self.signers) != SIGNERS:
            raise ValueError(f"a policy names exactly {SIGNERS} signers")
        reach: list[list[str]] = [
            [s.signer for s in self.signers],
            [s.public_key for s in self.signers],
            [s.operator for s in self.signers],
            [s.cloud for s in self.signers],
            [name for s in self.signers for name in {str(s.operator), *s.vault_holders}],
        ]
        if any(len(set(names)) != len(names) for names in reach):
            raise ValueError("an operator, cloud, Vault holder, key or name stands behind two signers")
        if any(not s.vault_holders for s in self.signers):
            raise ValueError("a signer names no Vault holder")

    def _check_outflows(self) -> None:
        if self.version < 1 or (self.version == 1) is not (int(self.previous, 16) == 0):
            raise ValueError("versions start at 1, and only version 1 has no predecessor")
        assets = [terms.asset for terms in self.assets]
        if sorted(limit.total.asset for limit in self.limits) != sorted(assets):
            raise ValueError("limits has one entry per asset")
        if any(limit.fee_cap.asset is not limit.total.asset for limit in self.limits):
            raise ValueError("a limit speaks of one asset")
        if any(limit.window_seconds < 1 for limit in self.limits):
            raise ValueError("a window of no length limits nothing")
        for asset in assets:
            steps = [tier.up_to.units for tier in self.tiers if tier.up_to.asset is asset]
            if not steps or sorted(set(steps)) != steps:
                raise ValueError(f"tiers of {asset} rise strictly and are not empty")
        approvers = len(self.entities(Role.APPROVER))
        needed = [self.allowlist_approvers, *(tier.approvers for tier in self.tiers)]
        if not all(0 < count <= approvers for count in needed):
            raise ValueError("a quorum is not reachable by the approvers' entities")
        if not 0 < self.intent_lifetime_max_seconds <= 30 * 24 * 3600:
            raise ValueError("an intent lives for more than nothing and at most 30 days")
        if any(tier.timelock_seconds >= self.intent_lifetime_max_seconds for tier in self.tiers):
            raise ValueError("an intent outlives the timelock of every tier, or none could be signed by it")

    def _check_collateral(self) -> None:
        assets = [terms.asset for terms in self.assets]
        if not assets or len(set(assets)) != len(assets):
            raise ValueError("assets has one entry per asset")
        if any(not HAIRCUT_FLOOR_BPS <= terms.haircut_bps <= 10_000 for terms in self.assets):
            raise ValueError(f"a haircut is {HAIRCUT_FLOOR_BPS}..10000 basis points")
        depths = [(t.confirmations, t.finality_depth) for t in self.assets if t.asset is Asset.BTC]
        if any(not 0 < confirmations <= finality for confirmations, finality in depths):
            raise ValueError("BTC credits after at least one block, and is final no earlier")
        publishers = len(self.entities(Role.PUBLISHER))
        if not PUBLISHERS_MIN <= self.prices.publishers_min <= publishers:
            raise ValueError(f"prices need at least {PUBLISHERS_MIN} publishers of distinct entities")

    def entities(self, role: Role) -> frozenset[EntityId]:
        """The entities with a key of that role that is not revoked."""
        return frozenset(key.entity for key in self.keys if key.role is role and key.revoked_at is None)

    @property
    def machine_keys(self) -> frozenset[Ed25519Key]:
        """Custody's and the signers' own: no person's, and no party's."""
        return frozenset({self.custody_attestation_key, *(signer.public_key for signer in self.signers)})

    @property
    def eligible(self) -> frozenset[Asset]:
        """What it has terms for."""
        return frozenset(terms.asset for terms in self.assets)

    def terms_of(self, asset: Asset) -> AssetTerms:
        """How `asset` counts.

        Raises:
            LookupError: it is not eligible.
        """
        for terms in self.assets:
            if terms.asset is asset:
                return terms
        raise LookupError(f"{asset} is not eligible under this policy")

    def limit_of(self, asset: Asset) -> Limit:
        """How much of `asset` may leave one account in a while."""
        for limit in self.limits:
            if limit.total.asset is asset:
                return limit
        raise LookupError(f"{asset} has no limit under this policy")

    def tier_of(self, amount: Amount) -> Tier:
        """What an outflow of `amount` needs.

        Raises:
            Refusal: `policy-tier` above the last tier.
        """
        for tier in self.tiers:
            if tier.up_to.asset is amount.asset and amount.units <= tier.up_to.units:
                return tier
        raise Refusal(Tag.POLICY_TIER, f"no tier allows {amount}")

    def signer(self, signer: SignerId) -> SignerTerms:
        """The terms of one signer.

        Raises:
            LookupError: the policy does not name it.
        """
        for terms in self.signers:
            if terms.signer == signer:
                return terms
        raise LookupError(f"{signer} is not a signer of this policy")
