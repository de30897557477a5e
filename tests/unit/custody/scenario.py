"""A custody in memory over the one valid world: its use cases on SQLite, its chains under the test's hand."""

import hashlib
import sqlite3
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from custody.adapters.sqlite.migrations import migrate
from custody.adapters.sqlite.snapshot import SqliteSnapshot
from custody.adapters.sqlite.unit_of_work import SqliteUnitOfWork
from custody.application import (
    accounts,
    attempts,
    consents,
    deposits,
    destinations,
    liens,
    onboarding,
    planning,
    policy,
    prices,
    receipts,
    withdrawals,
)
from custody.application.ports.store import SignedPolicy, UnitOfWork
from custody.domain.account import Halt, OwnershipProof, PledgeAccount
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
from custody.domain.destination import AllowedDestination
from custody.domain.errors import CustodyError
from custody.domain.identifiers import RequestId, TransactionId, WithdrawalId
from custody.domain.ledger import Balances
from custody.domain.lien import Lien
from custody.domain.price import PriceSet
from custody.domain.principal import Principal, Role
from custody.domain.withdrawal import PartialSignatures, Withdrawal
from signers.statements.amounts import Amount, Asset, Sats, Wei
from signers.statements.encumbrance import Encumbrance, EncumbranceKind
from signers.statements.envelope import Envelope
from signers.statements.identifiers import BlockHash, IntentId, LienId, Seconds, Value
from signers.statements.intent import Intent, NonceAnchor, OutpointAnchor
from signers.statements.price import Price
from signers.statements.receipt import Act
from signers.statements.refusals import Tag
from tests.factories import World, build_world

T = TypeVar("T")

EXTERNAL_TX = "external"


def request_id(name: str) -> RequestId:
    """A UUID4 that depends on the name alone."""
    digest = hashlib.sha256(name.encode()).digest()
    return RequestId(str(uuid.UUID(bytes=digest[:16], version=4)))


def txid(name: str) -> TransactionId:
    return TransactionId(hashlib.sha256(f"tx {name}".encode()).hexdigest())


@dataclass
class Chain:
    """Blocks by height; a branch's name makes the hashes of two forks differ."""

    asset: Asset
    blocks: list[BlockRef] = field(default_factory=list)
    branch: int = 0

    @property
    def tip(self) -> BlockRef | None:
        return self.blocks[-1] if self.blocks else None

    def next(self) -> tuple[BlockRef, BlockRef]:
        """A new block and its parent."""
        height = self.blocks[-1].height + 1 if self.blocks else 100
        parent = self.blocks[-1] if self.blocks else BlockRef(99, BlockHash("00" * 32))
        seed = f"{self.asset} {self.branch} {height}"
        block = BlockRef(height, BlockHash(hashlib.sha256(seed.encode()).hexdigest()))
        self.blocks.append(block)
        return block, parent

    def fork(self, depth: int) -> BlockRef | None:
        """Drop the newest blocks; what remains is the ancestor."""
        self.branch += 1
        if depth:
            del self.blocks[-depth:]
        return self.tip


class Custody:
    """Runs use cases one by one, each in a transaction of its own.

    Args:
        world: whose custody it is.
        database: a file that survives this object; in memory unless given.
    """

    def __init__(self, world: World | None = None, *, database: Path | None = None) -> None:
        self.world = world or build_world()
        self.now = self.world.now
        self.database = database
        self.policy: SignedPolicy | None = None
        self.open()
        self.bitcoin = Chain(Asset.BTC)
        self.ethereum = Chain(Asset.ETH)
        self.encumbrance: Encumbrance | None = None
        self.requests = 0
        self.disputed: frozenset[Asset] = frozenset()
        """Chains whose nodes disagree or are silent."""

    # Running.

    def open(self) -> None:
        """What a process has of its database once it has opened it."""
        self.connection = sqlite3.connect(self.database or ":memory:", isolation_level=None)
        self.connection.executescript("PRAGMA synchronous = OFF; PRAGMA journal_mode = MEMORY")
        migrate(self.connection)
        self.policy = self.ask(SqliteSnapshot.policy)

    def run(self, command: Callable[[UnitOfWork], T]) -> T:
        """Run one command; what it raises undoes it."""
        uow = SqliteUnitOfWork(self.connection, self.policy)
        self.connection.execute("BEGIN")
        try:
            value = command(uow)
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")
        self.policy = uow.pinned
        return value

    def do(self, use_case: Callable[..., T], command: object, **arguments: Any) -> T:
        """Run a use case at the present time."""
        return self.run(lambda uow: use_case(uow, command, now=self.now, **arguments))

    def ask(self, query: Callable[..., T], *arguments: Any, **named: Any) -> T:
        """Run a query."""
        return query(SqliteUnitOfWork(self.connection, self.policy), *arguments, **named)

    def dump(self) -> list[str]:
        """Every row of every table, to compare two moments with."""
        return list(self.connection.iterdump())

    def fresh(self) -> RequestId:
        self.requests += 1
        return request_id(f"request {self.requests}")

    # Who calls.

    @property
    def custodian(self) -> Principal:
        return Principal(
            name="ops.custodian-one",
            entity=self.world.custodian.entity,
            roles=frozenset({Role.CUSTODIAN}),
        )

    @property
    def pledgor(self) -> Principal:
        return Principal(
            name="app.client-one", entity=self.world.pledgor.entity, roles=frozenset({Role.PLEDGOR})
        )

    @property
    def engine(self) -> Principal:
        return Principal(
            name="margin-engine.broker-one",
            entity=self.world.secured_party.entity,
            roles=frozenset({Role.SECURED_PARTY}),
        )

    @property
    def stranger(self) -> Principal:
        return Principal(
            name="margin-engine.stranger-one",
            entity=self.world.stranger.entity,
            roles=frozenset({Role.SECURED_PARTY, Role.PLEDGOR}),
        )

    def approver(self, index: int) -> Principal:
        person = self.world.approvers[index]
        return Principal(name=f"desk.{person.entity}", entity=person.entity, roles=frozenset({Role.APPROVER}))

    @property
    def account_id(self) -> Any:
        return self.world.account.account

    @property
    def account(self) -> PledgeAccount:
        found = self.ask(SqliteUnitOfWork.account, self.account_id)
        assert found is not None
        return found

    def balances(self, asset: Asset) -> Balances:
        return self.ask(SqliteUnitOfWork.balances, self.account_id, asset)

    def prices(self) -> PriceSet:
        return self.ask(SqliteUnitOfWork.prices)

    # Journeys.

    def pin(self) -> SignedPolicy:
        command = policy.PinPolicy(
            envelope=self.world.policy_envelope,
            digest=self.world.policy.digest,
            network=self.world.network,
        )
        return self.do(policy.pin, command)

    def create_account(self, **changes: Any) -> PledgeAccount:
        world = self.world
        command = accounts.CreateAccount(
            request_id=self.fresh(),
            account=world.account.account,
            pledgor=world.pledgor.party,
            secured_party=world.secured_party.party,
            custodian=world.custodian.party,
            enforcement=world.account.enforcement,
        )
        return self.do(accounts.create, replace(command, **changes), principal=self.custodian).account

    def make_keys(self) -> None:
        world = self.world
        for signer in world.signers:
            held = (Asset.BTC, Asset.ETH) if signer is world.signers[0] else (Asset.BTC,)
            for asset in held:
                envelope = world.cosign(world.account_key(signer, asset), signer)
                command = onboarding.RecordAccountKey(account=self.account_id, envelope=envelope)
                self.do(onboarding.record_account_key, command)

    def prepare(self) -> PledgeAccount:
        command = onboarding.PrepareStatement(account=self.account_id, statement=self.world.account)
        return self.do(onboarding.statement_prepared, command)

    def sign_account(self, principal: Principal, envelope: Envelope) -> PledgeAccount:
        command = accounts.SignAccount(
            request_id=self.fresh(),
            account=self.account_id,
            etag=self.account.etag,
            envelope=envelope,
        )
        return self.do(accounts.sign, command, principal=principal).account

    def sign_by_parties(self) -> None:
        world = self.world
        for principal, person in (
            (self.pledgor, world.pledgor),
            (self.engine, world.secured_party),
            (self.custodian, world.custodian),
        ):
            self.sign_account(principal, world.sign(world.account, person))

    def cosign(self) -> None:
        for signer in self.world.signers:
            envelope = self.world.cosign(self.world.account, signer)
            command = onboarding.RecordCosignature(account=self.account_id, envelope=envelope)
            self.do(onboarding.record_cosignature, command)

    def prove(self) -> None:
        for index, signer in enumerate(self.world.signers):
            proof = OwnershipProof(
                signer=signer.signer, bitcoin=b"der", ethereum=b"rsv" if index == 0 else None
            )
            command = onboarding.RecordOwnershipProof(account=self.account_id, proof=proof)
            self.do(onboarding.record_ownership_proof, command)

    def onboard(self) -> PledgeAccount:
        """From nothing to an active account, with both chains on record."""
        self.pin()
        self.create_account()
        self.make_keys()
        self.prepare()
        self.sign_by_parties()
        self.cosign()
        self.prove()
        command = onboarding.ActivateAccount(account=self.account_id)
        account = self.do(onboarding.activate, command)
        self.mine()
        self.advance_ethereum()
        return account

    def publish_prices(self, *, level_bps: int = 10_000, apart: bool = False) -> None:
        """Fresh prices of both assets by all publishers.

        Args:
            level_bps: of the world's prices.
            apart: the first publisher's is half of what the others say.
        """
        for asset in Asset:
            envelopes = tuple(
                self.world.sign(self._price(envelope, level_bps // (2 if apart and not index else 1)), who)
                for index, (envelope, who) in enumerate(
                    zip(self.world.prices(asset), self.world.publishers, strict=True)
                )
            )
            command = prices.PublishPrices(request_id=self.fresh(), envelopes=envelopes)
            self.do(prices.publish, command, principal=self.stranger)

    def _price(self, envelope: Envelope, level_bps: int) -> Price:
        price = Price.parse(envelope.payload)
        return replace(
            price,
            price=Value(str(price.price.units * level_bps // 10_000)),
            sequence=self.requests + 1,
            at=Seconds(self.now - 1),
        )

    def halt(self, why: Halt) -> PledgeAccount:
        """Stop the account."""
        return self.do(accounts.halt, self.account_id, why=why)

    # Bitcoin.

    def mine(self, *movements: BitcoinMovement, count: int = 1) -> None:
        """Blocks of which the first holds the movements."""
        self.apply_bitcoin(self.bitcoin.tip, [movements, *[()] * (count - 1)])

    def reorg(self, depth: int, blocks: Sequence[Sequence[BitcoinMovement]]) -> None:
        """Replace the newest `depth` blocks."""
        expected = self.bitcoin.tip
        base = self.bitcoin.fork(depth)
        self.apply_bitcoin(base, blocks, expected=expected)

    def apply_bitcoin(
        self,
        base: BlockRef | None,
        blocks: Sequence[Sequence[BitcoinMovement]],
        expected: BlockRef | None = None,
    ) -> None:
        added = []
        for movements in blocks:
            block, parent = self.bitcoin.next()
            added.append(BitcoinBlock(block=block, parent=parent, movements=tuple(movements)))
        delta = BitcoinDelta(expected_tip=expected or base, base=base, blocks=tuple(added))
        self.do(deposits.apply, delta)

    def arrival(self, name: str, units: int) -> BitcoinMovement:
        """Somebody pays the account."""
        output = BitcoinOutput(index=0, account=self.account_id, amount=Sats(units))
        return BitcoinMovement(txid=txid(name), outputs=(output,))

    def fund_bitcoin(self, units: int, name: str = "funding") -> Outpoint:
        """A credited deposit."""
        self.mine(self.arrival(name, units), count=6)
        return Outpoint(txid(name), 0)

    # Ethereum.

    def advance_ethereum(
        self,
        *movements: EthereumMovement,
        count: int = 1,
        balance: int | None = None,
        nonce: int = 0,
        finalised: int | None = None,
    ) -> None:
        """Blocks of which the first holds the movements; with a balance, the last one is final."""
        base = self.ethereum.tip
        added = []
        for index in range(count):
            block, parent = self.ethereum.next()
            moved = movements if index == 0 else ()
            added.append(EthereumBlock(block=block, parent=parent, movements=moved))
        final = self.ethereum.blocks[finalised if finalised is not None else -1]
        verified = () if balance is None else (self.verified(balance, nonce),)
        delta = EthereumDelta(
            expected_tip=base,
            base=base,
            blocks=tuple(added),
            finalised=final if balance is not None or base is None else None,
            balances=verified,
        )
        self.do(deposits.apply, delta)

    def verified(self, balance: int, nonce: int = 0) -> VerifiedBalance:
        return VerifiedBalance(account=self.account_id, balance=Wei(balance), nonce=nonce)

    def received(self, units: int) -> EthereumMovement:
        return EthereumMovement(account=self.account_id, received=Wei(units))

    def fund_ethereum(self, units: int) -> None:
        self.advance_ethereum(self.received(units), balance=units)

    # Liens.

    def statement(self, kind: EncumbranceKind, lien: str, amount: Amount, **changes: Any) -> Encumbrance:
        """The next encumbrance of the account's chain."""
        expires = Seconds(self.now + 3600) if kind is EncumbranceKind.RESERVE else None
        told = {"kind": kind, "lien": LienId(lien), "amount": amount, "expires_at": expires, **changes}
        return self.world.encumbrance(self.encumbrance, **told)

    def lien_command(self, cls: type[T], statement: Encumbrance, **changes: Any) -> T:
        told = {
            "request_id": self.fresh(),
            "account": self.account_id,
            "lien": statement.lien,
            "envelope": self.world.sign(statement, self.world.secured_party),
        }
        return cls(**{**told, **changes})

    def reserve(self, lien: str, amount: Amount, **changes: Any) -> Lien:
        statement = self.statement(EncumbranceKind.RESERVE, lien, amount, **changes)
        command = self.lien_command(liens.ReserveLien, statement)
        done = self.do(
            liens.reserve, command, principal=self.engine, prices=self.prices(), disputed=self.disputed
        )
        self.encumbrance = statement
        return done

    def post(self, lien: str, amount: Amount) -> Lien:
        statement = self.statement(EncumbranceKind.POST, lien, amount)
        done = self.do(liens.post, self.lien_command(liens.PostLien, statement), principal=self.engine)
        self.encumbrance = statement
        return done

    def void(self, lien: str, amount: Amount) -> Lien:
        statement = self.statement(EncumbranceKind.VOID, lien, amount)
        done = self.do(liens.void, self.lien_command(liens.VoidLien, statement), principal=self.engine)
        self.encumbrance = statement
        return done

    # Destinations and withdrawals.

    def allow(self, asset: Asset) -> AllowedDestination:
        """An approved destination that has cooled off."""
        entry = self.world.allowlist_entry(asset)
        command = destinations.CreateDestination(
            request_id=self.fresh(),
            account=self.account_id,
            destination_id=entry.destination_id,
            envelope=self.world.sign(entry, self.world.pledgor),
        )
        found = self.do(destinations.create, command, principal=self.pledgor)
        for index in (0, 1):
            found = self.approve_destination(found, index)
        self.now = Seconds(max(self.now, found.usable_at or 0))
        return found

    def approve_destination(self, found: AllowedDestination, index: int) -> AllowedDestination:
        entry = Envelope(found.envelope.payload_type, found.envelope.payload)
        command = destinations.ApproveDestination(
            request_id=self.fresh(),
            account=self.account_id,
            destination_id=found.destination_id,
            etag=found.etag,
            envelope=self.world.sign(entry, self.world.approvers[index]),
        )
        return self.do(destinations.approve, command, principal=self.approver(index))

    def withdrawal_command(self, amount: Amount, fee_cap: Amount, **changes: Any) -> Any:
        entry = self.world.allowlist_entry(amount.asset)
        command = withdrawals.CreateWithdrawal(
            request_id=self.fresh(),
            account=self.account_id,
            withdrawal=WithdrawalId("w-1"),
            destination_id=entry.destination_id,
            amount=amount,
            fee_cap=fee_cap,
        )
        return replace(command, **changes)

    def request(self, amount: Amount, fee_cap: Amount, **changes: Any) -> Withdrawal:
        command = self.withdrawal_command(amount, fee_cap, **changes)
        return self.do(withdrawals.create, command, principal=self.pledgor)

    def plan(self, withdrawal: Withdrawal, *coins: Outpoint) -> Withdrawal:
        anchor: OutpointAnchor | NonceAnchor
        if withdrawal.asset is Asset.BTC:
            anchor = OutpointAnchor(txid=coins[0].txid, index=coins[0].index)
        else:
            last = self.ask(SqliteUnitOfWork.finalised_balance, self.account_id)
            anchor = NonceAnchor(chain_id=self.world.network.chain_id, nonce=last.nonce if last else 0)
        command = planning.PlanWithdrawal(
            account=self.account_id,
            withdrawal=withdrawal.withdrawal,
            intent=IntentId(str(self.fresh())),
            anchor=anchor,
            coins=tuple(coins),
        )
        return self.do(planning.plan, command)

    def consent(self, cls: type[T], withdrawal: Withdrawal, envelope: Envelope, **changes: Any) -> T:
        told = {
            "request_id": self.fresh(),
            "account": self.account_id,
            "withdrawal": withdrawal.withdrawal,
            "etag": withdrawal.etag,
            "envelope": envelope,
        }
        return cls(**{**told, **changes})

    def intent(self, withdrawal: Withdrawal) -> Intent:
        assert withdrawal.intent is not None
        return Intent.parse(withdrawal.intent.payload)

    def agree(self, withdrawal: Withdrawal, *, approvers: Sequence[int] = (0, 1)) -> Withdrawal:
        """Maker, secured party, approvers."""
        world, intent = self.world, self.intent(withdrawal)
        signed = self.consent(consents.SignWithdrawal, withdrawal, world.sign(intent, world.pledgor))
        done = self.do(consents.sign, signed, principal=self.pledgor)
        released = self.consent(consents.ReleaseWithdrawal, withdrawal, world.release_envelope(intent))
        done = self.do(
            consents.release,
            released,
            principal=self.engine,
            prices=self.prices(),
            disputed=self.disputed,
        )
        for index in approvers:
            envelope = world.sign(intent, world.approvers[index])
            approved = self.consent(consents.ApproveWithdrawal, withdrawal, envelope)
            done = self.do(consents.approve, approved, principal=self.approver(index))
        return done

    def answer(self, withdrawal: Withdrawal, index: int, act: Act, **changes: Any) -> Any:
        signer = self.world.signers[index]
        receipt = self.world.receipt(signer, self.intent(withdrawal), act, at=self.now, **changes)
        return receipts.RecordAnswer(
            account=self.account_id,
            withdrawal=withdrawal.withdrawal,
            envelope=self.world.cosign(receipt, signer),
        )

    def announce(self, withdrawal: Withdrawal) -> Withdrawal:
        for index in range(3):
            command = self.answer(withdrawal, index, Act.ANNOUNCED)
            withdrawal = self.do(receipts.record_announcement, command)
        return withdrawal

    def refuse(self, withdrawal: Withdrawal, index: int, tag: Tag) -> Withdrawal:
        command = self.answer(withdrawal, index, Act.REFUSED, tags=(tag,))
        return self.do(receipts.record_refusal, command)

    def attempt(self, withdrawal: Withdrawal, fee: Amount) -> Withdrawal:
        command = attempts.BeginAttempt(
            account=self.account_id,
            withdrawal=withdrawal.withdrawal,
            fee=fee,
            inputs=withdrawal.coins,
        )
        return self.do(attempts.begin_attempt, command)

    def signed_part(self, withdrawal: Withdrawal, index: int) -> Withdrawal:
        signer = self.world.signers[index]
        assert withdrawal.attempt is not None
        command = attempts.RecordSignatures(
            account=self.account_id,
            withdrawal=withdrawal.withdrawal,
            attempt=withdrawal.attempt.number,
            partial=PartialSignatures(signer=signer.signer, signatures=(b"signature",)),
            receipt=self.answer(withdrawal, index, Act.SIGNED).envelope,
        )
        return self.do(attempts.record_signatures, command)

    def finish(self, withdrawal: Withdrawal, name: str = "payout") -> Withdrawal:
        assert withdrawal.attempt is not None
        command = attempts.RecordTransaction(
            account=self.account_id,
            withdrawal=withdrawal.withdrawal,
            attempt=withdrawal.attempt.number,
            transaction_id=txid(name),
            raw=name.encode(),
        )
        return self.do(attempts.record_transaction, command)

    def broadcast(self, withdrawal: Withdrawal) -> Withdrawal:
        assert withdrawal.attempt is not None
        command = attempts.MarkBroadcast(
            account=self.account_id,
            withdrawal=withdrawal.withdrawal,
            attempt=withdrawal.attempt.number,
        )
        return self.do(attempts.mark_broadcast, command)

    def present(self, withdrawal: Withdrawal) -> Withdrawal:
        found = self.ask(SqliteUnitOfWork.withdrawal, self.account_id, withdrawal.withdrawal)
        assert found is not None
        return found

    def payout(self, withdrawal: Withdrawal, name: str = "payout") -> BitcoinMovement:
        """The attempt's transaction as a block shows it: the coins go, the change returns."""
        assert withdrawal.attempt is not None
        coins = [self.ask(SqliteUnitOfWork.coin, outpoint) for outpoint in withdrawal.coins]
        total = sum(coin.amount.units for coin in coins if coin is not None)
        change = total - withdrawal.amount.units - withdrawal.attempt.fee.units
        outputs = (BitcoinOutput(index=1, account=self.account_id, amount=Sats(change)),)
        return BitcoinMovement(txid=txid(name), spends=withdrawal.coins, outputs=outputs if change else ())

    def to_broadcast(
        self,
        amount: Amount,
        fee_cap: Amount,
        fee: Amount,
        *coins: Outpoint,
        name: str = "payout",
        **changes: Any,
    ) -> Withdrawal:
        """From request to broadcast."""
        withdrawal = self.request(amount, fee_cap, **changes)
        withdrawal = self.plan(withdrawal, *coins)
        withdrawal = self.agree(withdrawal)
        withdrawal = self.announce(withdrawal)
        withdrawal = self.attempt(withdrawal, fee)
        withdrawal = self.signed_part(withdrawal, 0)
        withdrawal = self.signed_part(withdrawal, 1)
        return self.broadcast(self.finish(withdrawal, name))


def active() -> Custody:
    """An active account, fresh prices, a usable destination of each asset, one coin of each credited."""
    custody = Custody()
    custody.onboard()
    for asset in Asset:
        custody.allow(asset)
    custody.publish_prices()
    custody.fund_bitcoin(10**8)
    custody.fund_ethereum(2 * 10**18)
    return custody


def unchanged(custody: Custody, action: Callable[[], Any], error: type[CustodyError]) -> CustodyError:
    """The action is refused with exactly this error and leaves no trace."""
    before = custody.dump()
    with pytest.raises(error) as refused:
        action()
    assert type(refused.value) is error
    assert custody.dump() == before
    return refused.value
