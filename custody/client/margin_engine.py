"""The secured party's system: liens that hold, releases that only it can grant."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from bailee.custody.v1 import (
    lien_pb2,
    lien_service_pb2,
    lien_service_pb2_grpc,
    withdrawal_pb2,
    withdrawal_service_pb2,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from custody.client.connection import Connection, new_request_id
from custody.client.encumbrance_chain import CHAIN_RACES_MAX, EncumbranceChain, Head
from custody.client.errors import BaileeError
from custody.client.names import account_name, lien_name, withdrawal_name
from custody.client.releases import has_left, is_unsignable
from custody.client.signing_party import SigningParty
from custody.client.signing_record import SignedEncumbrance, SignedRelease, SigningRecord
from custody.client.trust import TrustRoot
from signers.statements.amounts import Amount
from signers.statements.encumbrance import Encumbrance, EncumbranceKind
from signers.statements.identifiers import Digest, EntityId, LienId, Seconds
from signers.statements.intent import Anchor, Intent, Release

RESERVATION_SECONDS: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class _Change:
    """What is wanted of a lien."""

    kind: EncumbranceKind
    lien: LienId
    amount: Amount
    expires_at: Seconds | None

    def is_asked_by(self, statement: Encumbrance) -> bool:
        return (statement.kind, statement.lien, statement.amount) == (self.kind, self.lien, self.amount)


class MarginEngine(SigningParty):
    """The party that lends.

    Give it a record on disk: without one, a restart forgets which encumbrances and releases were signed, and
    a service that lies about the chain's head can have it forked.
    """

    ROLE = "secured_party"

    def __init__(
        self,
        connection: Connection,
        trust: TrustRoot,
        *,
        entity: EntityId,
        key: Ed25519PrivateKey,
        record: SigningRecord | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(connection, trust, entity=entity, key=key, record=record, clock=clock)
        self._liens = lien_service_pb2_grpc.LienServiceStub(self.connection.channel)  # type: ignore[no-untyped-call, unused-ignore]
        # A chain has one next place: two statements under way would be two statements of one sequence.
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def reserve(
        self, account: str, lien: str, amount: Amount, *, seconds: int = RESERVATION_SECONDS
    ) -> lien_pb2.Lien:
        """Reserve units before an order is acknowledged; lapses by itself after `seconds`.

        Raises:
            BaileeError: `COLLATERAL_INSUFFICIENT` and the rest of ReserveLien's reasons. Where it is not
                `decided`, ask again with the same arguments: it has one effect.
            VerificationError: what the service says of the chain contradicts what this party signed.
        """
        expires_at = Seconds(self.now() + seconds)
        return await self._encumber(account, EncumbranceKind.RESERVE, lien, amount, expires_at=expires_at)

    async def post(self, account: str, lien: str, amount: Amount) -> lien_pb2.Lien:
        """Make a reservation stand, wholly or in part; the rest of it is freed. Raises as `reserve`."""
        return await self._encumber(account, EncumbranceKind.POST, lien, amount)

    async def void(self, account: str, lien: str, amount: Amount | None = None) -> lien_pb2.Lien:
        """Give a lien back, whole. Raises as `reserve`.

        Args:
            account: its id.
            lien: its id.
            amount: what it still holds; what this party's latest statement about it says, where absent.
        """
        if amount is None:
            resource = await self.lien(account, lien)
            amount = self._chain(account).own(resource.envelope)[0].amount
        return await self._encumber(account, EncumbranceKind.VOID, lien, amount)

    async def settle_releases(self, account: str) -> list[SignedRelease]:
        """Find out which releases have ended, and stop counting them.

        Custody's word ends none. A release ends where the signers themselves refused its intent as expired,
        or where a withdrawal released on the same anchor has settled and its coins are counted nowhere.

        Returns:
            The releases that are still outstanding.

        Raises:
            VerificationError: a report, receipt or posting that does not verify.
        """
        outstanding = self.record.outstanding(account)
        if not outstanding:
            return []
        statement = await self.verified_account(account)
        shown = [(each, await self.withdrawal(account, each.withdrawal)) for each in outstanding]
        report = await self.report(account)
        settled = any(resource.state == withdrawal_pb2.Withdrawal.STATE_SETTLED for _, resource in shown)
        ledger = await self.postings(account) if settled else []
        spent: set[Anchor] = set()
        for release, resource in shown:
            if has_left(release, resource, report, ledger):
                spent.add(release.intent.anchor)
            elif is_unsignable(
                release,
                self._receipts(resource, release.intent),
                could_sign=statement.could_sign(release.intent.asset),
                now=self.now(),
            ):
                self.record.end_release(release.intent.digest)
        for release in outstanding:
            if release.intent.anchor in spent:
                self.record.end_release(release.intent.digest)
        return self.record.outstanding(account)

    def end_release(self, account: str, *, intent_digest: Digest) -> None:
        """Stop counting a release by this party's own knowledge.

        Only where its own node shows, at finality, the anchor spent by another transaction than its payout.

        Raises:
            LookupError: no release of this intent is outstanding; nothing has changed.
        """
        if intent_digest not in {each.intent.digest for each in self.record.outstanding(account)}:
            raise LookupError(f"no release of {intent_digest} is outstanding for {account}")
        self.record.end_release(intent_digest)

    async def release(
        self, account: str, withdrawal: str, *, intent_digest: Digest, seconds: int | None = None
    ) -> withdrawal_pb2.Withdrawal:
        """Consent to exactly the intent that was looked at. One withdrawal has one intent.

        Args:
            account: its id.
            withdrawal: its id.
            intent_digest: what was looked at.
            seconds: how long the consent lasts, where not as long as the intent. Signers sign only while it
                does, so it has to outlast the approvals and the timelock.

        Raises:
            VerificationError: the service now shows another intent, or this key released another one for this
                withdrawal; nothing was signed.
        """
        resource, intent = await self._agreed(account, withdrawal, intent_digest=intent_digest)
        self.trust.require_signable(intent, now=self.now())
        release = self._released(intent, withdrawal, seconds=seconds)
        request = withdrawal_service_pb2.ReleaseWithdrawalRequest(
            name=resource.name,
            request_id=new_request_id(),
            etag=resource.etag,
            envelope=self._key.sign(release),
        )
        released: withdrawal_pb2.Withdrawal = await self.connection.call(
            self._withdrawals.ReleaseWithdrawal, request
        )
        return released

    def _released(self, intent: Intent, withdrawal: str, *, seconds: int | None) -> Release:
        """The release, counted before it is signed: from then on it can be used."""
        expires_at = intent.expires_at if seconds is None else Seconds(self.now() + seconds)
        release = Release(
            network=self.trust.network,
            account=intent.account,
            intent=intent.intent,
            intent_digest=intent.digest,
            expires_at=expires_at,
        )
        self._key.bind(withdrawal_name(intent.account, withdrawal), intent)
        self.record.release(
            SignedRelease(intent=intent, withdrawal=withdrawal, expires_at=release.expires_at)
        )
        return release

    def _chain(self, account: str) -> EncumbranceChain:
        return self._chain_of(account, self.party.public_key)

    async def _encumber(
        self,
        account: str,
        kind: EncumbranceKind,
        lien: str,
        amount: Amount,
        *,
        expires_at: Seconds | None = None,
    ) -> lien_pb2.Lien:
        await self.require_own_account(account)
        change = _Change(kind=kind, lien=LienId(lien), amount=amount, expires_at=expires_at)
        async with self._turns[account]:
            return await self._extend(self._chain(account), change)

    async def _extend(self, chain: EncumbranceChain, change: _Change) -> lien_pb2.Lien:
        """Continue the account's chain; where another process of this party was first, sign after it."""
        for _ in range(CHAIN_RACES_MAX):
            settled = await self._settle_pending(chain)
            if settled is not None and change.is_asked_by(settled[0]):
                return settled[1]
            head = chain.known() or await self._follow(chain)
            statement = self._statement(chain, change, head)
            signed = SignedEncumbrance(
                sequence=statement.sequence,
                digest=statement.digest,
                envelope=self._key.sign(statement),
                request_id=new_request_id(),
                account_sequence=0,
            )
            if not self.record.begin(chain.key, chain.account, signed):
                continue
            try:
                return await self._send(chain, statement, signed)
            except BaileeError as error:
                if not _chain_moved(error):
                    raise
            await self._follow(chain)
        raise chain.moved()

    def _statement(self, chain: EncumbranceChain, change: _Change, head: Head) -> Encumbrance:
        return Encumbrance(
            network=chain.network,
            account=chain.account,
            sequence=head.sequence + 1,
            previous=head.digest,
            kind=change.kind,
            lien=change.lien,
            amount=change.amount,
            expires_at=change.expires_at,
        )

    async def _settle_pending(self, chain: EncumbranceChain) -> tuple[Encumbrance, lien_pb2.Lien] | None:
        """Send what has no outcome yet once more, as it was; the service refuses it or has done it."""
        pending = self.record.pending(chain.key, chain.account)
        if pending is None:
            return None
        statement, _ = chain.own(pending.envelope)
        try:
            return statement, await self._send(chain, statement, pending)
        except BaileeError as error:
            if not error.decided:
                raise
            if _chain_moved(error):
                await self._follow(chain)
            return None

    async def _send(
        self, chain: EncumbranceChain, statement: Encumbrance, signed: SignedEncumbrance
    ) -> lien_pb2.Lien:
        """Send one statement and write down what became of it."""
        try:
            resource: lien_pb2.Lien = await self.connection.call(*self._request(chain, statement, signed))
        except BaileeError as error:
            if error.decided:
                self.record.refuse(chain.key, chain.account, signed.digest)
            raise
        chain.require_accepted(resource, statement)
        self.record.accept(
            chain.key, chain.account, signed.digest, account_sequence=resource.account_sequence
        )
        return resource

    def _request(
        self, chain: EncumbranceChain, statement: Encumbrance, signed: SignedEncumbrance
    ) -> tuple[Any, Any]:
        request_id, envelope = signed.request_id, signed.envelope
        name = lien_name(chain.account, statement.lien)
        match statement.kind:
            case EncumbranceKind.RESERVE:
                return self._liens.ReserveLien, lien_service_pb2.ReserveLienRequest(
                    parent=account_name(chain.account),
                    lien_id=statement.lien,
                    request_id=request_id,
                    envelope=envelope,
                )
            case EncumbranceKind.POST:
                return self._liens.PostLien, lien_service_pb2.PostLienRequest(
                    name=name, request_id=request_id, envelope=envelope
                )
            case EncumbranceKind.VOID:
                return self._liens.VoidLien, lien_service_pb2.VoidLienRequest(
                    name=name, request_id=request_id, envelope=envelope
                )


def _chain_moved(error: BaileeError) -> bool:
    """The statement does not continue the chain on record; without a head in the data, it has expired."""
    return error.reason == "STATEMENT_STALE" and "digest" in error.metadata
