"""What pledgor, secured party and custodian have in common: a key of the account statement."""

import time
from collections.abc import Callable
from typing import ClassVar, Literal

from bailee.custody.v1 import (
    account_pb2,
    account_service_pb2,
    account_service_pb2_grpc,
    withdrawal_pb2,
    withdrawal_service_pb2,
    withdrawal_service_pb2_grpc,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from custody.client.agreement import Agreement
from custody.client.connection import Connection, new_request_id
from custody.client.errors import VerificationError
from custody.client.reader import Reader
from custody.client.recorded_key import RecordedKey
from custody.client.signing_record import SigningRecord
from custody.client.trust import TrustRoot
from signers.statements.account import Account, Party
from signers.statements.envelope import Envelope
from signers.statements.identifiers import EntityId
from signers.statements.refusals import Refusal
from signers.statements.report import Report


class SigningParty(Reader):
    """A party of control agreements: reads, and signs with its own key.

    Args:
        connection: to the service.
        trust: the policy that everything is verified from.
        entity: who this is.
        key: the party's key of the account statement.
        record: what was signed and seen; of this process only where absent.
        clock: Unix time.
    """

    ROLE: ClassVar[Literal["pledgor", "secured_party", "custodian"]]
    """Its place in the account statement."""

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
        super().__init__(connection, trust, record=record, clock=clock)
        self.entity = entity
        self._key = RecordedKey(key, self.record)
        self.party = Party(entity=entity, public_key=self._key.public_key)
        self._own_accounts: set[str] = set()
        self._accounts = account_service_pb2_grpc.AccountServiceStub(connection.channel)  # type: ignore[no-untyped-call, unused-ignore]
        self._withdrawals = withdrawal_service_pb2_grpc.WithdrawalServiceStub(connection.channel)  # type: ignore[no-untyped-call, unused-ignore]

    async def verified_account(self, account: str) -> Account:
        """As `Reader.verified_account`; also, this party stands in it, in its own place and with its own key.

        Raises:
            VerificationError: do not send coins there, and do not sign anything for it.
        """
        statement = await super().verified_account(account)
        self.require_own_place(statement)
        self._own_accounts.add(account)
        return statement

    async def sign_account(self, account: str, *, agreement: Agreement) -> account_pb2.Account:
        """Sign the account statement, if it says what the parties agreed. One account has one statement.

        Args:
            account: its id.
            agreement: the parties with their keys and the enforcement addresses, not taken from custody.

        Raises:
            VerificationError: it says something else, or this key signed another one; nothing was signed.
        """
        resource = await self.account(account)
        statement = self._proposed(resource, account)
        agreement.require(statement)
        request = account_service_pb2.SignAccountRequest(
            name=resource.name,
            request_id=new_request_id(),
            etag=resource.etag,
            envelope=self._key.sign_about(resource.name, statement),
        )
        signed: account_pb2.Account = await self.connection.call(self._accounts.SignAccount, request)
        return signed

    async def cancel_withdrawal(self, account: str, withdrawal: str) -> withdrawal_pb2.Withdrawal:
        """End a withdrawal that no signer has announced. For its maker and the custodian."""
        current = await self.withdrawal(account, withdrawal)
        request = withdrawal_service_pb2.CancelWithdrawalRequest(
            name=current.name, request_id=new_request_id(), etag=current.etag
        )
        cancelled: withdrawal_pb2.Withdrawal = await self.connection.call(
            self._withdrawals.CancelWithdrawal, request
        )
        return cancelled

    async def require_own_account(self, account: str) -> None:
        """Verify the account's statement, unless this client has done so.

        Raises:
            VerificationError: it does not verify, or this party does not stand in it with its own key.
        """
        if account not in self._own_accounts:
            await self.verified_account(account)

    def require_own_place(self, statement: Account) -> None:
        """Raise `VerificationError` unless this party stands in its place, with its own key."""
        if getattr(statement, self.ROLE) != self.party:
            raise VerificationError(f"the statement's {self.ROLE} is not {self.entity} with its own key")

    async def _accept(self, report: Report) -> None:
        await self.require_own_account(report.account)
        await super()._accept(report)

    def _proposed(self, resource: account_pb2.Account, account: str) -> Account:
        if not resource.statement:
            raise VerificationError("there is no statement to sign yet")
        try:
            statement = Account.read(Envelope(Account.TYPE, resource.statement), network=self.trust.network)
        except Refusal as error:
            raise VerificationError(f"account statement: {error}") from error
        self.trust.check_terms(statement, account=account)
        self.require_own_place(statement)
        return statement
