"""One complete, valid world in memory: every person's key, every statement, every signature.

Deterministic from a seed. A test takes the world, makes exactly one change, and asks for exactly one refusal:

    world = build_world()
    envelope = world.approve(world.intent(Asset.BTC, amount=Sats(1)))     # maker and approvers signed
    envelope = world.approve(world.intent(Asset.BTC), by=[world.approvers[0]])  # one approver short
"""

import hashlib
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from coincurve import PrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from signers.statements.account import (
    Account,
    AccountKey,
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
from signers.statements.envelope import Envelope, sign
from signers.statements.identifiers import (
    GENESIS,
    BlockHash,
    CompressedKey,
    DestinationId,
    Digest,
    EcdsaSignature,
    EntityId,
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
from signers.statements.intent import Intent, IntentKind, NonceAnchor, OutpointAnchor, Release
from signers.statements.merkle import MerkleTree
from signers.statements.network import Network
from signers.statements.policy import (
    Policy,
)
from signers.statements.price import Price
from signers.statements.receipt import Act, JournalHead, Receipt
from signers.statements.report import AssetPosition, ChainPoint, Report, ReportBatch, ValueStatus
from signers.statements.statement import Statement
from tests.founding import (
    BTC,
    DAY,
    ETH,
    NOW,
    Person,
    SignerParty,
    ethereum_address,
    founding_account,
    founding_policy,
    founding_signer,
    policy_keys,
    prove_possession,
    seeded,
)

__all__ = [
    "BTC",
    "DAY",
    "ETH",
    "NOW",
    "Person",
    "Prove",
    "SignerParty",
    "World",
    "build_world",
    "ethereum_address",
    "placeholder_proof",
    "policy_keys",
    "prove_possession",
    "seeded",
]

Prove = Callable[[str, Destination, PrivateKey], Proof]
"""From ownership message, destination and the destination's key to the proof in an allowlist entry."""


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

    def allowlist_entry(self, asset: Asset, /, **changes: Any) -> AllowlistEntry:
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

    def allowlist_envelope(self, asset: Asset, /, **changes: Any) -> Envelope:
        """Signed by the pledgor and all approvers."""
        return self.approve(self.allowlist_entry(asset, **changes))

    def intent(self, asset: Asset, /, **changes: Any) -> Intent:
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

    def intent_envelope(self, asset: Asset, /, **changes: Any) -> Envelope:
        """Signed by the pledgor and all approvers."""
        return self.approve(self.intent(asset, **changes))

    def release(self, intent: Intent, /, **changes: Any) -> Release:
        """Of exactly this intent."""
        release = Release(
            network=intent.network,
            account=intent.account,
            intent=intent.intent,
            intent_digest=intent.digest,
            expires_at=intent.expires_at,
        )
        return replace(release, **changes)

    def release_envelope(self, intent: Intent, /, **changes: Any) -> Envelope:
        """Signed by the secured party."""
        return self.sign(self.release(intent, **changes), self.secured_party)

    # Evidence.

    def price(self, publisher: Person, asset: Asset, /, **changes: Any) -> Price:
        """About 100,000 a bitcoin and 4,000 an ether, a few seconds old."""
        units = (100_000 if asset is Asset.BTC else 4_000) * 10**8
        price = Price(
            network=self.network,
            publisher=publisher.entity,
            asset=asset,
            currency=self.policy.prices.currency,
            price=Value(str(units)),
            sequence=1,
            at=Seconds(self.now - 5),
        )
        return replace(price, **changes)

    def prices(self, asset: Asset, /, **changes: Any) -> tuple[Envelope, ...]:
        """One by each publisher."""
        return tuple(self.sign(self.price(p, asset, **changes), p) for p in self.publishers)

    def encumbrance(self, before: Encumbrance | None = None, /, **changes: Any) -> Encumbrance:
        """A reserve of a tenth of a bitcoin, next in the chain after `before`."""
        kind = changes.get("kind", EncumbranceKind.RESERVE)
        encumbrance = Encumbrance(
            network=self.network,
            account=self.account.account,
            sequence=1 if before is None else before.sequence + 1,
            previous=GENESIS if before is None else before.digest,
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

    def receipt(self, signer: SignerParty, intent: Intent, act: Act, /, **changes: Any) -> Receipt:
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

    def journal_head(self, subject: SignerParty, witness: SignerParty, /, **changes: Any) -> JournalHead:
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

    def report(self, **changes: Any) -> Report:
        """Half a bitcoin free, a tenth posted, priced; no ether."""
        price = self.price(self.publishers[0], Asset.BTC)
        position = AssetPosition(
            asset=Asset.BTC,
            confirmed=Sats(60_000_000),
            pending=Sats(0),
            reserved=Sats(0),
            posted=Sats(10_000_000),
            withdrawing=Sats(0),
            leaving=Sats(0),
            free=Sats(50_000_000),
            shortfall=Sats(0),
            status=ValueStatus.OK,
            price=price.price,
            price_at=price.at,
            price_sources=3,
            price_set=price.digest,
            haircut_bps=6000,
            market_value=Value(str(60_000 * 10**8)),
            lending_value=Value(str(24_000 * 10**8)),
            capital_value=Value("0"),
            seen_at=ChainPoint(height=210, block_hash=BlockHash(self.derived("block").hex())),
        )
        report = Report(
            network=self.network,
            account=self.account.account,
            account_sequence=7,
            at=self.now,
            currency=self.policy.prices.currency,
            policy_digest=self.policy.digest,
            encumbrance_head=self.encumbrance().digest,
            encumbrance_sequence=1,
            ethereum_custody=self.account.ethereum.custody,
            halted=False,
            positions=(position,),
        )
        return replace(report, **changes)

    def report_batch(self, *reports: Report, **changes: Any) -> Envelope:
        """The first batch, over these reports in this order, signed by custody's attestation key."""
        batch = ReportBatch(
            network=self.network,
            sequence=1,
            previous=GENESIS,
            root=MerkleTree([report.payload() for report in reports]).root,
            size=len(reports),
            at=self.now,
        )
        return self.sign(replace(batch, **changes), self.attestation)

    def account_key(self, signer: SignerParty, asset: Asset, /, **changes: Any) -> AccountKey:
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
        "signers": tuple(founding_signer(seed, index) for index in (1, 2, 3)),
    }
    policy = replace(founding_policy(people, network, now), **(policy_changes or {}))
    account = replace(founding_account(people, network, now, policy), **(account_changes or {}))
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
