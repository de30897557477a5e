"""One complete, valid world in memory: every person's key, every statement, every signature.

Deterministic from a seed. A test takes the world, makes exactly one change, and asks for exactly one refusal:

    world = build_world()
    envelope = world.approve(world.intent(Asset.BTC, amount=Sats(1)))     # maker and approvers signed
    envelope = world.approve(world.intent(Asset.BTC), by=[world.approvers[0]])  # one approver short
"""

import hashlib
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from coincurve import PrivateKey, PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from eth_hash.auto import keccak

from signers.statements import multisig
from signers.statements.account import (
    Account,
    AccountKey,
    BitcoinCosigner,
    BitcoinTerms,
    Enforcement,
    EthereumTerms,
    Party,
    possession_challenge,
)
from signers.statements.allowlist import (
    AllowlistEntry,
    BitcoinDestination,
    Destination,
    EthereumDestination,
    ownership_message,
)
from signers.statements.amounts import Amount, Asset, Sats, Wei
from signers.statements.encumbrance import Encumbrance, EncumbranceKind
from signers.statements.envelope import Envelope, public_key_of, sign
from signers.statements.identifiers import (
    GENESIS,
    AccountId,
    CompressedKey,
    Currency,
    DestinationId,
    Digest,
    EcdsaSignature,
    Ed25519Key,
    EntityId,
    EthereumAddress,
    IntentId,
    Label,
    LienId,
    Nonce,
    Proof,
    ScriptPubKey,
    Seconds,
    SignerId,
    TxId,
    Value,
)
from signers.statements.intent import Intent, IntentKind, NonceAnchor, OutpointAnchor, Release
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
from signers.statements.price import Price
from signers.statements.receipt import Act, JournalHead, Receipt
from signers.statements.statement import Statement

NOW = Seconds(1_790_000_000)
DAY = 24 * 3600
BTC, ETH = 10**8, 10**18

Prove = Callable[[str, Destination, PrivateKey], Proof]
"""From ownership message, destination and the destination's key to the proof in an allowlist entry."""


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


def placeholder_proof(message: str, destination: Destination, key: PrivateKey) -> Proof:
    """Shape-valid only: nothing verifies it."""
    return Proof(hashlib.sha256(message.encode()).hexdigest())


@dataclass(frozen=True, kw_only=True)
class World:
    """Everybody and everything. `replace` it, or pass changes to one of its builders, to mutate one thing."""

    seed: str
    network: Network
    now: Seconds
    pledgor: Person
    secured_party: Person
    custodian: Person
    attestation: Person
    """Custody's attestation key."""
    admins: tuple[Person, ...]
    """Three entities; two of them sign a policy."""
    approvers: tuple[Person, ...]
    """Three entities, none of them the pledgor; two are needed for a small amount, three for a large one."""
    second_device: Person
    """Another standing approver key of the entity of `approvers[0]`."""
    revoked: Person
    """An old approver key of the entity of `approvers[1]`, revoked thirty days before `now`."""
    pledgor_approver: Person
    """A standing approver key of the pledgor's entity: it may not approve what the pledgor asked for."""
    stranger: Person
    """In no policy and no account."""
    publishers: tuple[Person, ...]
    signers: tuple[SignerParty, ...]
    """The first holds the ETH key."""
    destination_keys: Mapping[Asset, PrivateKey]
    prove: Prove
    policy: Policy
    account: Account

    # Envelopes of the two statements everything else stands on.

    @property
    def policy_envelope(self) -> Envelope:
        """Signed by the admins' quorum."""
        return self.sign(self.policy, *self.admins[: self.policy.admin_quorum])

    @property
    def account_envelope(self) -> Envelope:
        """Signed by the three parties and the three signers."""
        parties = self.sign(self.account, self.pledgor, self.secured_party, self.custodian)
        return self.cosign(parties, *self.signers)

    # Signing.

    def sign(self, statement: Statement | Envelope, *people: Person) -> Envelope:
        """The envelope with these people's signatures added."""
        envelope = statement if isinstance(statement, Envelope) else statement.envelope()
        for person in people:
            envelope = sign(person.key, envelope)
        return envelope

    def cosign(self, statement: Statement | Envelope, *signers: SignerParty) -> Envelope:
        """The envelope with these signers' signatures added."""
        envelope = statement if isinstance(statement, Envelope) else statement.envelope()
        for signer in signers:
            envelope = sign(signer.statement_key, envelope)
        return envelope

    def approve(
        self,
        statement: Intent | AllowlistEntry | Envelope,
        *,
        by: Sequence[Person] | None = None,
        maker: Person | None = None,
        make: bool = True,
    ) -> Envelope:
        """Signed by the maker (else the pledgor; nobody if not `make`), then by all approvers or `by`."""
        first = () if not make else (maker or self.pledgor,)
        return self.sign(statement, *first, *(self.approvers if by is None else by))

    # Outflows.

    def destination(self, asset: Asset) -> Destination:
        """The client's own: P2WPKH, or an externally owned account."""
        public = self.destination_keys[asset].public_key
        if asset is Asset.ETH:
            return EthereumDestination(address=ethereum_address(public))
        hashed = hashlib.new("ripemd160", hashlib.sha256(public.format()).digest()).hexdigest()
        return BitcoinDestination(script_pubkey=ScriptPubKey("0014" + hashed))

    def allowlist_entry(self, asset: Asset, **changes: Any) -> AllowlistEntry:
        """Usable since an hour before `now`."""
        destination_id = DestinationId(f"client-wallet-{asset.value.lower()}")
        destination = self.destination(asset)
        message = ownership_message(
            network=self.network,
            account=self.account.account,
            destination_id=destination_id,
            destination=destination,
        )
        entry = AllowlistEntry(
            network=self.network,
            account=self.account.account,
            destination_id=destination_id,
            destination=destination,
            proof=self.prove(message, destination, self.destination_keys[asset]),
            created_at=Seconds(self.now - 2 * DAY),
            usable_at=Seconds(self.now - 3600),
        )
        return replace(entry, **changes)

    def allowlist_envelope(self, asset: Asset, **changes: Any) -> Envelope:
        """Signed by the pledgor and all approvers."""
        return self.approve(self.allowlist_entry(asset, **changes))

    def intent(self, asset: Asset, **changes: Any) -> Intent:
        """A withdrawal of half a coin within the first tier, asked by the pledgor at `now`."""
        entry = self.allowlist_entry(asset)
        amounts: tuple[Amount, Amount] = (
            (Sats(BTC // 2), Sats(50_000)) if asset is Asset.BTC else (Wei(ETH // 2), Wei(ETH // 100))
        )
        intent = Intent(
            network=self.network,
            intent=IntentId(str(uuid.UUID(bytes=self.derived(f"intent {asset}")[:16], version=4))),
            account=self.account.account,
            kind=IntentKind.WITHDRAWAL,
            maker=self.pledgor.entity,
            destination_id=entry.destination_id,
            destination=entry.destination,
            amount=amounts[0],
            fee_cap=amounts[1],
            anchor=(
                OutpointAnchor(txid=TxId(self.derived("anchor").hex()), index=0)
                if asset is Asset.BTC
                else NonceAnchor(chain_id=self.network.chain_id, nonce=0)
            ),
            policy_digest=self.policy.digest,
            created_at=self.now,
            expires_at=Seconds(self.now + DAY),
        )
        return replace(intent, **changes)

    def intent_envelope(self, asset: Asset, **changes: Any) -> Envelope:
        """Signed by the pledgor and all approvers."""
        return self.approve(self.intent(asset, **changes))

    def release(self, intent: Intent, **changes: Any) -> Release:
        """Of exactly this intent."""
        release = Release(
            network=intent.network,
            account=intent.account,
            intent=intent.intent,
            intent_digest=intent.digest,
            expires_at=intent.expires_at,
        )
        return replace(release, **changes)

    def release_envelope(self, intent: Intent, **changes: Any) -> Envelope:
        """Signed by the secured party."""
        return self.sign(self.release(intent, **changes), self.secured_party)

    # Evidence.

    def prices(self, asset: Asset, **changes: Any) -> tuple[Envelope, ...]:
        """One by each publisher, a few seconds old."""
        units = (100_000 if asset is Asset.BTC else 4_000) * 10**8
        return tuple(
            self.sign(
                replace(
                    Price(
                        network=self.network,
                        publisher=publisher.entity,
                        asset=asset,
                        currency=self.policy.prices.currency,
                        price=Value(str(units + index * 10**8)),
                        sequence=1,
                        at=Seconds(self.now - 5 + index),
                    ),
                    **changes,
                ),
                publisher,
            )
            for index, publisher in enumerate(self.publishers)
        )

    def encumbrance(self, previous: Encumbrance | None = None, **changes: Any) -> Encumbrance:
        """A reserve of a tenth of a bitcoin, next in the chain after `previous`."""
        kind = changes.get("kind", EncumbranceKind.RESERVE)
        encumbrance = Encumbrance(
            network=self.network,
            account=self.account.account,
            sequence=1 if previous is None else previous.sequence + 1,
            previous=GENESIS if previous is None else previous.digest,
            kind=kind,
            lien=LienId("lien-1"),
            amount=Sats(BTC // 10),
            expires_at=Seconds(self.now + DAY) if kind is EncumbranceKind.RESERVE else None,
        )
        return replace(encumbrance, **changes)

    def encumbrances(self) -> tuple[Envelope, ...]:
        """Reserve and post the first lien, then reserve and void a second."""
        second, smaller = LienId("lien-2"), Sats(BTC // 20)
        steps: list[Encumbrance] = [self.encumbrance()]
        steps.append(self.encumbrance(steps[-1], kind=EncumbranceKind.POST))
        steps.append(self.encumbrance(steps[-1], lien=second, amount=smaller))
        steps.append(self.encumbrance(steps[-1], lien=second, amount=smaller, kind=EncumbranceKind.VOID))
        return tuple(self.sign(step, self.secured_party) for step in steps)

    def receipt(self, signer: SignerParty, intent: Intent, act: Act, **changes: Any) -> Receipt:
        """That `signer` did `act`. A refusal needs its `tags` among the changes."""
        transaction = Digest(self.derived(f"transaction {signer.signer}").hex())
        fields: dict[str, Any] = {
            "network": intent.network,
            "signer": signer.signer,
            "act": act,
            "account": intent.account,
            "intent_digest": intent.digest,
            "tags": (),
            "inputs": (self.policy.digest, self.account.digest, intent.digest),
            "transaction": transaction if act is Act.SIGNED else None,
            "ethereum_custody": self.account.ethereum.custody if intent.asset is Asset.ETH else None,
            "journal_sequence": 2 if act is Act.SIGNED else 1,
            "journal_head": Digest(self.derived(f"head {signer.signer} {act}").hex()),
            "at": self.now,
        }
        return Receipt(**{**fields, **changes})

    def announce_receipts(self, intent: Intent) -> tuple[Envelope, ...]:
        """Each signer's word that it announced this intent."""
        return tuple(self.cosign(self.receipt(s, intent, Act.ANNOUNCED), s) for s in self.signers)

    def journal_head(self, subject: SignerParty, witness: SignerParty, **changes: Any) -> JournalHead:
        """What `witness` has seen of the journal of `subject`."""
        head = JournalHead(
            network=self.network,
            subject=subject.signer,
            witness=witness.signer,
            nonce=Nonce(self.derived("nonce").hex()),
            sequence=1,
            head=Digest(self.derived(f"head {subject.signer}").hex()),
        )
        return replace(head, **changes)

    def account_key(self, signer: SignerParty, asset: Asset, **changes: Any) -> AccountKey:
        """The signer's fresh key with its proof, as `CreateAccountKey` would answer."""
        key, proof = self.possession(signer.account_key(asset), signer=signer.signer, asset=asset)
        fresh = AccountKey(
            network=self.network,
            account=self.account.account,
            signer=signer.signer,
            asset=asset,
            public_key=key,
            proof=proof,
        )
        return replace(fresh, **changes)

    def possession(
        self, key: PrivateKey, *, signer: SignerId, asset: Asset, **changes: Any
    ) -> tuple[CompressedKey, EcdsaSignature]:
        """Public key and proof; `changes` prove something else instead (network, account, public_key)."""
        told = {"network": self.network, "account": self.account.account, **changes}
        return prove_possession(key, **{"signer": signer, "asset": asset, **told})

    def derived(self, name: str) -> bytes:
        """32 bytes that depend on the seed and the name alone."""
        return seeded(self.seed, name)


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


def build_world(
    *,
    seed: str = "world",
    network: Network = Network.REGTEST,
    now: Seconds = NOW,
    prove: Prove = placeholder_proof,
    policy_changes: Mapping[str, Any] | None = None,
    account_changes: Mapping[str, Any] | None = None,
) -> World:
    """The valid world of a seed. Changes to the root policy and the account are signed like the rest."""

    def person(entity: str, role: str) -> Person:
        key = Ed25519PrivateKey.from_private_bytes(seeded(seed, f"{role} {entity}"))
        return Person(entity=EntityId(entity), key=key)

    people: dict[str, Any] = {
        "pledgor": person("client-one", "party"),
        "secured_party": person("broker-one", "party"),
        "custodian": person("custodian-one", "party"),
        "attestation": person("custodian-one", "attestation"),
        "admins": tuple(person(name, "admin") for name in ("custodian-one", "broker-one", "client-one")),
        "approvers": tuple(
            person(name, "approver") for name in ("custodian-one", "trustee-one", "reviewer-one")
        ),
        "second_device": person("custodian-one", "second approver"),
        "revoked": person("trustee-one", "revoked approver"),
        "pledgor_approver": person("client-one", "approver"),
        "stranger": person("stranger-one", "stranger"),
        "publishers": tuple(
            person(name, "publisher") for name in ("prices-one", "prices-two", "prices-three")
        ),
        "signers": tuple(_signer(seed, index) for index in (1, 2, 3)),
    }
    policy = replace(_policy(people, network, now), **(policy_changes or {}))
    account = replace(_account(people, network, now, policy), **(account_changes or {}))
    return World(
        seed=seed,
        network=network,
        now=now,
        destination_keys={asset: PrivateKey(seeded(seed, f"destination {asset}")) for asset in Asset},
        prove=prove,
        policy=policy,
        account=account,
        **people,
    )


def _signer(seed: str, index: int) -> SignerParty:
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


def _policy(people: Mapping[str, Any], network: Network, now: Seconds) -> Policy:
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


def _account(people: Mapping[str, Any], network: Network, now: Seconds, policy: Policy) -> Account:
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
