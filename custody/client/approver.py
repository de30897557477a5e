"""An approver: decodes what it is asked to sign on its own machine, then approves or leaves it."""

from bailee.custody.v1 import (
    approval_service_pb2,
    approval_service_pb2_grpc,
    destination_pb2,
    withdrawal_pb2,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from custody.client.connection import Connection, new_request_id
from custody.client.errors import VerificationError
from custody.client.reader import Reader, destination_name, withdrawal_name
from custody.client.signing_party import read_intent
from custody.client.trust import TrustRoot
from signers.statements.allowlist import AllowlistEntry
from signers.statements.envelope import Envelope, sign
from signers.statements.identifiers import Digest
from signers.statements.intent import Intent
from signers.statements.refusals import Refusal


class Approver(Reader):
    """A key of the policy, and the person behind it."""

    def __init__(self, connection: Connection, trust: TrustRoot, *, key: Ed25519PrivateKey) -> None:
        super().__init__(connection, trust)
        self._key = key
        self._approvals = approval_service_pb2_grpc.ApprovalServiceStub(connection.channel)  # type: ignore[no-untyped-call, unused-ignore]

    async def intent(self, account: str, withdrawal: str) -> Intent:
        """The intent, decoded here, its destination checked against the pledgor's signed allowlist entry.

        Raises:
            VerificationError: do not approve it.
        """
        resource = await self.withdrawal(account, withdrawal)
        intent = read_intent(resource.intent, trust=self.trust, account=account)
        entry, _ = await self.allowlist_entry(account, intent.destination_id)
        if entry.destination != intent.destination:
            raise VerificationError(
                "the intent pays to another destination than the allowlist entry it names"
            )
        return intent

    async def allowlist_entry(self, account: str, destination_id: str) -> tuple[AllowlistEntry, Envelope]:
        """The entry, decoded here, and its envelope with the pledgor's signature checked.

        Raises:
            VerificationError: the pledgor of the account has not signed it.
        """
        statement = await self.verified_account(account)
        resource = await self.destination(account, destination_id)
        try:
            envelope = Envelope.from_json(resource.envelope)
            entry = AllowlistEntry.read(envelope, network=self.trust.network)
        except Refusal as error:
            raise VerificationError(f"allowlist entry: {error}") from error
        if (entry.account, entry.destination_id) != (account, destination_id):
            raise VerificationError("the entry is of another account or name")
        if not envelope.signed_by(statement.pledgor.public_key):
            raise VerificationError("the pledgor has not signed this destination")
        return entry, envelope

    async def approve_withdrawal(
        self, account: str, withdrawal: str, *, intent_digest: Digest
    ) -> withdrawal_pb2.Withdrawal:
        """Approve exactly the intent that was looked at.

        Args:
            account: its id.
            withdrawal: its id.
            intent_digest: of the intent that `intent` returned and a person read.

        Raises:
            VerificationError: the service now shows another intent; nothing was signed.
        """
        intent = await self.intent(account, withdrawal)
        if intent.digest != intent_digest:
            raise VerificationError(f"the intent is now {intent.digest}, not {intent_digest}")
        current = await self.withdrawal(account, withdrawal)
        request = approval_service_pb2.ApproveWithdrawalRequest(
            name=withdrawal_name(account, withdrawal),
            request_id=new_request_id(),
            etag=current.etag,
            envelope=sign(self._key, intent.envelope()).to_json(),
        )
        approved: withdrawal_pb2.Withdrawal = await self.connection.call(
            self._approvals.ApproveWithdrawal, request
        )
        return approved

    async def approve_destination(
        self, account: str, destination_id: str, *, entry_digest: Digest
    ) -> destination_pb2.Destination:
        """Approve exactly the allowlist entry that was looked at.

        Raises:
            VerificationError: the service now shows another entry; nothing was signed.
        """
        entry, _ = await self.allowlist_entry(account, destination_id)
        if entry.digest != entry_digest:
            raise VerificationError(f"the entry is now {entry.digest}, not {entry_digest}")
        current = await self.destination(account, destination_id)
        request = approval_service_pb2.ApproveDestinationRequest(
            name=destination_name(account, destination_id),
            request_id=new_request_id(),
            etag=current.etag,
            envelope=sign(self._key, entry.envelope()).to_json(),
        )
        approved: destination_pb2.Destination = await self.connection.call(
            self._approvals.ApproveDestination, request
        )
        return approved
