"""A ledger with one of everything, made by the use cases themselves; nodes and signers are the only fakes."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, cast

from custody.application import (
    accounts,
    deposits,
    destinations,
    liens,
    onboarding,
    planning,
    policy,
    prices,
    withdrawals,
)
from custody.application import reports as reporting
from custody.application.ports.store import Store
from custody.domain.account import Halt, OwnershipProof
from custody.domain.chain_view import BlockRef
from custody.domain.deposit import (
    BitcoinBlock,
    BitcoinDelta,
    BitcoinMovement,
    BitcoinOutput,
    EthereumBlock,
    EthereumDelta,
    EthereumMovement,
    Outpoint,
    VerifiedBalance,
)
from custody.domain.identifiers import Etag, RequestId, WithdrawalId
from custody.domain.principal import Principal, Role
from signers.statements.account import Party
from signers.statements.amounts import Asset, Sats, Wei
from signers.statements.encumbrance import Encumbrance
from signers.statements.envelope import Envelope
from signers.statements.identifiers import (
    AccountId,
    BlockHash,
    DestinationId,
    EntityId,
    IntentId,
    LienId,
    Seconds,
    TxId,
)
from signers.statements.intent import OutpointAnchor
from tests.factories import BTC, DAY, ETH, World, build_world

NEIGHBOUR = AccountId("acct-neighbour")
BROKER_TWO = EntityId("broker-two")
WITHDRAWAL = WithdrawalId("withdrawal-one")
LIEN = LienId("lien-1")
DEPOSIT_TX = TxId("d1" * 32)
TIP_HEIGHT = 110


def request_id() -> RequestId:
    return RequestId(str(uuid.uuid4()))


def block(height: int, branch: str = "a") -> BlockRef:
    return BlockRef(height, BlockHash(f"{branch}{height:063x}"))


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """The world, and the principals that call."""

    world: World
    store: Store
    now: Seconds
    encumbrances: list[Encumbrance] = field(default_factory=list)
    seen: dict[str, object] = field(default_factory=dict)
    disputed: set[Asset] = field(default_factory=set)
    """Chains whose nodes disagree or are silent."""

    @property
    def account(self) -> AccountId:
        return self.world.account.account

    @property
    def principals(self) -> dict[str, Principal]:
        """By a short word: who a test says it calls as."""
        world = self.world
        roles = {
            "custodian": (world.custodian.entity, Role.CUSTODIAN),
            "pledgor": (world.pledgor.entity, Role.PLEDGOR),
            "secured": (world.secured_party.entity, Role.SECURED_PARTY),
            "approver": (world.approvers[1].entity, Role.APPROVER),
            "second-approver": (world.approvers[2].entity, Role.APPROVER),
            "publisher": (world.publishers[0].entity, Role.PUBLISHER),
            "auditor": (None, Role.AUDITOR),
            "neighbour": (BROKER_TWO, Role.SECURED_PARTY),
        }
        return {
            word: Principal(name=f"{word}.test", entity=entity, roles=frozenset({role}))
            for word, (entity, role) in roles.items()
        }

    # What a caller has read before it decides.

    def account_etag(self) -> str:
        standing = self.store.projection.account(self.account)
        assert standing is not None
        return standing.etag

    async def look(self) -> None:
        """Read what callers would have read: etags and the intent."""
        found = await self.store.read(
            lambda view: (
                view.withdrawal(self.account, WITHDRAWAL),
                view.destinations(self.account, after=None, limit=10),
            )
        )
        withdrawal, allowed = found
        if withdrawal is not None and withdrawal.intent is not None:
            self.seen["intent"] = withdrawal.intent
            self.seen["withdrawal etag"] = withdrawal.etag
        for destination in allowed:
            self.seen[destination.destination_id] = destination.etag

    def intent_envelope(self) -> Envelope:
        return cast("Envelope", self.seen["intent"])

    def withdrawal_etag(self) -> str:
        return cast("str", self.seen["withdrawal etag"])

    def destination_etag(self, destination_id: DestinationId) -> str:
        return cast("str", self.seen[destination_id])

    # Steps, in the order in which `build` takes them.

    async def run(
        self,
        use_case: Callable[..., Any],
        command: object,
        *,
        word: str = "",
        at: Seconds | None = None,
        **more: Any,
    ) -> Any:
        """Execute one command, as a principal where the use case asks for one."""
        if word:
            more["principal"] = self.principals[word]
        now = self.now if at is None else at
        return await self.store.execute(lambda uow: use_case(uow, command, now=now, **more))

    async def pin_policy(self) -> None:
        world = self.world
        pinned = policy.PinPolicy(
            envelope=world.policy_envelope, digest=world.policy.digest, network=world.network
        )
        await self.run(policy.pin, pinned)

    async def open_account(self) -> None:
        await self._create(self.account, self.world.pledgor.party, self.world.secured_party.party)

    async def open_neighbour(self) -> None:
        """Another tenant's account."""
        other = build_world(seed="neighbour")
        secured_party = replace(other.secured_party.party, entity=BROKER_TWO)
        await self._create(NEIGHBOUR, other.stranger.party, secured_party)

    async def _create(self, account: AccountId, pledgor: Party, secured_party: Party) -> None:
        command = accounts.CreateAccount(
            request_id=request_id(),
            account=account,
            pledgor=pledgor,
            secured_party=secured_party,
            custodian=self.world.custodian.party,
            enforcement=self.world.account.enforcement,
        )
        await self.run(accounts.create, command, word="custodian")

    async def prepare_statement(self) -> None:
        world = self.world
        for signer in world.signers:
            for asset in (Asset.BTC, Asset.ETH) if signer is world.signers[0] else (Asset.BTC,):
                key = onboarding.RecordAccountKey(
                    account=self.account, envelope=world.cosign(world.account_key(signer, asset), signer)
                )
                await self.run(onboarding.record_account_key, key)
        statement = onboarding.PrepareStatement(account=self.account, statement=world.account)
        await self.run(onboarding.statement_prepared, statement)

    async def sign_account(self, *words: str) -> None:
        people = {
            "pledgor": self.world.pledgor,
            "secured": self.world.secured_party,
            "custodian": self.world.custodian,
        }
        for word in words:
            command = accounts.SignAccount(
                request_id=request_id(),
                account=self.account,
                etag=Etag(self.account_etag()),
                envelope=self.world.sign(self.world.account, people[word]),
            )
            await self.run(accounts.sign, command, word=word)

    async def activate(self) -> None:
        world = self.world
        for signer in world.signers:
            cosigned = onboarding.RecordCosignature(
                account=self.account, envelope=world.cosign(world.account, signer)
            )
            await self.run(onboarding.record_cosignature, cosigned)
        for signer in world.signers:
            holder = signer is world.signers[0]
            proof = OwnershipProof(
                signer=signer.signer, bitcoin=b"\x30\x01", ethereum=b"\x1b" * 65 if holder else None
            )
            await self.run(
                onboarding.record_ownership_proof,
                onboarding.RecordOwnershipProof(account=self.account, proof=proof),
            )
        await self.run(onboarding.activate, onboarding.ActivateAccount(account=self.account))

    def destination_id(self, asset: Asset) -> DestinationId:
        return self.world.allowlist_entry(asset).destination_id

    async def allow(
        self, asset: Asset, *, approvals: int = 2, destination_id: DestinationId | None = None
    ) -> None:
        """A destination, approved so long ago that it has cooled off."""
        before = Seconds(self.now - 2 * DAY)
        entry = self.world.allowlist_entry(asset)
        if destination_id is not None:
            entry = replace(entry, destination_id=destination_id)
        created = destinations.CreateDestination(
            request_id=request_id(),
            account=self.account,
            destination_id=entry.destination_id,
            envelope=self.world.sign(entry, self.world.pledgor),
        )
        made = await self.run(destinations.create, created, word="pledgor", at=before)
        words = ("approver", "second-approver")[:approvals]
        for person, word in zip(self.world.approvers[1:], words, strict=False):
            approved = destinations.ApproveDestination(
                request_id=request_id(),
                account=self.account,
                destination_id=entry.destination_id,
                etag=made.etag,
                envelope=self.world.sign(entry, person),
            )
            await self.run(destinations.approve, approved, word=word, at=before)

    async def deposit_bitcoin(self) -> None:
        """Five bitcoin seen at height 101, with everything up to `TIP_HEIGHT` on top: credited."""
        paid = BitcoinMovement(
            txid=DEPOSIT_TX, outputs=(BitcoinOutput(index=0, account=self.account, amount=Sats(5 * BTC)),)
        )
        blocks = tuple(
            BitcoinBlock(
                block=block(height), parent=block(height - 1), movements=(paid,) if height == 101 else ()
            )
            for height in range(100, TIP_HEIGHT + 1)
        )
        await self.run(deposits.apply, BitcoinDelta(expected_tip=None, base=None, blocks=blocks))

    async def reorganise_bitcoin(self) -> None:
        """The deposit's block, and all above it, give way to others."""
        blocks = tuple(
            BitcoinBlock(block=block(height, "b"), parent=block(height - 1, "a" if height == 101 else "b"))
            for height in range(101, TIP_HEIGHT + 2)
        )
        delta = BitcoinDelta(expected_tip=block(TIP_HEIGHT), base=block(100), blocks=blocks)
        await self.run(deposits.apply, delta)

    async def deposit_ethereum(self) -> None:
        """Twenty ether in a block below the finalised one: credited."""
        amount = Wei(20 * ETH)
        seen = EthereumMovement(account=self.account, received=amount)
        blocks = tuple(
            EthereumBlock(
                block=block(height, "e"),
                parent=block(height - 1, "e"),
                movements=(seen,) if height == 201 else (),
            )
            for height in range(200, 211)
        )
        delta = EthereumDelta(
            expected_tip=None,
            base=None,
            blocks=blocks,
            finalised=block(205, "e"),
            balances=(VerifiedBalance(account=self.account, balance=amount, nonce=0),),
        )
        await self.run(deposits.apply, delta)

    async def publish_prices(self) -> None:
        for asset in Asset:
            command = prices.PublishPrices(request_id=request_id(), envelopes=self.world.prices(asset))
            await self.run(prices.publish, command, word="publisher")

    async def reserve(self, lien: LienId = LIEN, units: int = BTC // 10) -> None:
        previous = self.encumbrances[-1] if self.encumbrances else None
        said = self.world.encumbrance(previous, lien=lien, amount=Sats(units))
        command = liens.ReserveLien(
            request_id=request_id(),
            account=self.account,
            lien=lien,
            envelope=self.world.sign(said, self.world.secured_party),
        )
        prices = self.store.projection.prices()
        await self.run(liens.reserve, command, word="secured", prices=prices, disputed=frozenset())
        self.encumbrances.append(said)

    async def request_withdrawal(self) -> None:
        command = withdrawals.CreateWithdrawal(
            request_id=request_id(),
            account=self.account,
            withdrawal=WITHDRAWAL,
            destination_id=self.destination_id(Asset.BTC),
            amount=Sats(BTC // 2),
            fee_cap=Sats(50_000),
        )
        await self.run(withdrawals.create, command, word="pledgor")

    async def plan_withdrawal(self) -> None:
        command = planning.PlanWithdrawal(
            account=self.account,
            withdrawal=WITHDRAWAL,
            intent=IntentId(str(uuid.uuid4())),
            anchor=OutpointAnchor(txid=DEPOSIT_TX, index=0),
            coins=(Outpoint(DEPOSIT_TX, 0),),
        )
        await self.run(planning.plan, command)

    async def publish_reports(self) -> None:
        """Value every account and sign the batch, as the report publisher does."""
        found, head = await self.store.read(
            lambda view: (reporting.collect(view, now=self.now), view.batch_head())
        )
        batch, leaves = reporting.next_batch(found, head, policy=self.world.policy, now=self.now)
        signed = self.world.sign(batch, self.world.attestation)
        await self.run(reporting.record_batch, reporting.RecordBatch(envelope=signed, reports=leaves))

    async def halt(self, halt: Halt) -> None:
        await self.run(accounts.halt, self.account, why=halt)

    async def build(self) -> None:
        """One of everything."""
        await self.pin_policy()
        await self.open_account()
        await self.open_neighbour()
        await self.prepare_statement()
        await self.sign_account("pledgor", "secured", "custodian")
        await self.activate()
        for asset in Asset:
            await self.allow(asset)
        await self.deposit_bitcoin()
        await self.deposit_ethereum()
        await self.publish_prices()
        await self.reserve()
        await self.request_withdrawal()
        await self.plan_withdrawal()
        await self.publish_reports()
