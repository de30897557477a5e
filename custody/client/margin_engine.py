"""The secured party's system: liens that hold, releases that only it can grant."""

import time
from dataclasses import dataclass

from bailee.custody.v1 import (
    lien_pb2,
    lien_service_pb2,
    lien_service_pb2_grpc,
    withdrawal_pb2,
    withdrawal_service_pb2,
    withdrawal_service_pb2_grpc,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from custody.client.connection import Connection, new_request_id
from custody.client.errors import BaileeError, VerificationError
from custody.client.reader import account_name, lien_name, withdrawal_name
from custody.client.signing_party import SigningParty, read_intent
from custody.client.trust import TrustRoot
from signers.statements.amounts import Amount
from signers.statements.encumbrance import Encumbrance, EncumbranceKind
from signers.statements.identifiers import GENESIS, AccountId, Digest, EntityId, LienId, Seconds
from signers.statements.intent import Intent, Release

RESERVATION_SECONDS = 300
RELEASE_SECONDS = 3600
_CHAIN_RACES_MAX = 16


@dataclass(frozen=True, slots=True)
class _Head:
    """Where an account's chain of encumbrances stands."""

    sequence: int
    digest: Digest


class MarginEngine(SigningParty):
    """The party that lends."""

    def __init__(
        self, connection: Connection, trust: TrustRoot, *, entity: EntityId, key: Ed25519PrivateKey
    ) -> None:
        super().__init__(connection, trust, entity=entity, key=key)
        self._heads: dict[str, _Head] = {}
        self._liens = lien_service_pb2_grpc.LienServiceStub(connection.channel)  # type: ignore[no-untyped-call, unused-ignore]
        self._withdrawals = withdrawal_service_pb2_grpc.WithdrawalServiceStub(connection.channel)  # type: ignore[no-untyped-call, unused-ignore]

    async def reserve(
        self, account: str, lien: str, amount: Amount, *, seconds: int = RESERVATION_SECONDS
    ) -> lien_pb2.Lien:
        """Reserve units before an order is acknowledged; lapses by itself after `seconds`.

        Raises:
            BaileeError: `COLLATERAL_INSUFFICIENT` and the rest of ReserveLien's reasons.
        """
        return await self._encumber(EncumbranceKind.RESERVE, account, lien, amount, seconds=seconds)

    async def post(self, account: str, lien: str, amount: Amount) -> lien_pb2.Lien:
        """Make a reservation stand, wholly or in part; the rest of it is freed."""
        return await self._encumber(EncumbranceKind.POST, account, lien, amount)

    async def void(self, account: str, lien: str, amount: Amount) -> lien_pb2.Lien:
        """Give a lien back, whole: `amount` is what it still holds."""
        return await self._encumber(EncumbranceKind.VOID, account, lien, amount)

    async def intent(self, account: str, withdrawal: str) -> Intent:
        """The intent to decide on, decoded here.

        Raises:
            VerificationError: do not release it.
        """
        resource = await self.withdrawal(account, withdrawal)
        return read_intent(resource.intent, trust=self.trust, account=account)

    async def release(
        self, account: str, withdrawal: str, *, intent_digest: Digest, seconds: int = RELEASE_SECONDS
    ) -> withdrawal_pb2.Withdrawal:
        """Consent to exactly the intent that was looked at.

        Raises:
            VerificationError: the service now shows another intent; nothing was signed.
        """
        resource = await self.withdrawal(account, withdrawal)
        intent = read_intent(resource.intent, trust=self.trust, account=account)
        if intent.digest != intent_digest:
            raise VerificationError(f"the intent is now {intent.digest}, not {intent_digest}")
        release = Release(
            network=self.trust.network,
            account=intent.account,
            intent=intent.intent,
            intent_digest=intent.digest,
            expires_at=Seconds(int(time.time()) + seconds),
        )
        request = withdrawal_service_pb2.ReleaseWithdrawalRequest(
            name=withdrawal_name(account, withdrawal),
            request_id=new_request_id(),
            etag=resource.etag,
            envelope=self.signed(release),
        )
        released: withdrawal_pb2.Withdrawal = await self.connection.call(
            self._withdrawals.ReleaseWithdrawal, request
        )
        return released

    async def _encumber(
        self, kind: EncumbranceKind, account: str, lien: str, amount: Amount, *, seconds: int = 0
    ) -> lien_pb2.Lien:
        """Continue the account's chain; where another process of this party was first, sign after it."""
        for _ in range(_CHAIN_RACES_MAX):
            head = self._heads.get(account) or await self._read_head(account)
            statement = Encumbrance(
                network=self.trust.network,
                account=AccountId(account),
                sequence=head.sequence + 1,
                previous=head.digest,
                kind=kind,
                lien=LienId(lien),
                amount=amount,
                expires_at=Seconds(int(time.time()) + seconds) if kind is EncumbranceKind.RESERVE else None,
            )
            try:
                resource = await self._send(kind, account, lien, self.signed(statement))
            except BaileeError as error:
                self._heads.pop(account, None)
                if error.reason != "STATEMENT_STALE":
                    raise
                continue
            self._heads[account] = _Head(statement.sequence, statement.digest)
            return resource
        raise VerificationError(
            f"the encumbrance chain of {account} moved {_CHAIN_RACES_MAX} times meanwhile"
        )

    async def _send(self, kind: EncumbranceKind, account: str, lien: str, envelope: bytes) -> lien_pb2.Lien:
        request_id = new_request_id()
        resource: lien_pb2.Lien
        match kind:
            case EncumbranceKind.RESERVE:
                reserve = lien_service_pb2.ReserveLienRequest(
                    parent=account_name(account), lien_id=lien, request_id=request_id, envelope=envelope
                )
                resource = await self.connection.call(self._liens.ReserveLien, reserve)
            case EncumbranceKind.POST:
                post = lien_service_pb2.PostLienRequest(
                    name=lien_name(account, lien), request_id=request_id, envelope=envelope
                )
                resource = await self.connection.call(self._liens.PostLien, post)
            case EncumbranceKind.VOID:
                void = lien_service_pb2.VoidLienRequest(
                    name=lien_name(account, lien), request_id=request_id, envelope=envelope
                )
                resource = await self.connection.call(self._liens.VoidLien, void)
        return resource

    async def _read_head(self, account: str) -> _Head:
        resource = await self.account(account)
        digest = Digest(resource.encumbrance_digest) if resource.encumbrance_digest else GENESIS
        return _Head(resource.encumbrance_sequence, digest)
