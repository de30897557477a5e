"""An approver: decodes what it is asked to sign on its own machine, then approves or leaves it."""

import time
from collections.abc import Callable

from bailee.custody.v1 import (
    approval_service_pb2,
    approval_service_pb2_grpc,
    destination_pb2,
    withdrawal_pb2,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from custody.client.connection import Connection, new_request_id
from custody.client.copies import check_destination
from custody.client.errors import VerificationError
from custody.client.reader import Reader
from custody.client.recorded_key import RecordedKey
from custody.client.signing_record import SigningRecord
from custody.client.trust import TrustRoot
from signers.statements.identifiers import Digest, EntityId
from signers.statements.policy import Role


class Approver(Reader):
    """A key of the policy, and the person behind it.

    Args:
        connection: to the service.
        trust: the policy that everything is verified from.
        key: an approver's key of that policy.
        record: what was signed and seen; of this process only where absent.
        clock: Unix time.
    """

    def __init__(
        self,
        connection: Connection,
        trust: TrustRoot,
        *,
        key: Ed25519PrivateKey,
        record: SigningRecord | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(connection, trust, record=record, clock=clock)
        self._key = RecordedKey(key, self.record)
        self.public_key = self._key.public_key
        self._approvals = approval_service_pb2_grpc.ApprovalServiceStub(connection.channel)  # type: ignore[no-untyped-call, unused-ignore]

    @property
    def entity(self) -> EntityId:
        """The entity that the policy names for this key.

        Raises:
            VerificationError: the policy has no such approver, or no longer.
        """
        for key in self.trust.policy.keys:
            stands = key.revoked_at is None or self.now() < key.revoked_at
            if key.role is Role.APPROVER and key.public_key == self.public_key and stands:
                return key.entity
        raise VerificationError("this key is no approver's key of the policy")

    async def approve_withdrawal(
        self, account: str, withdrawal: str, *, intent_digest: Digest
    ) -> withdrawal_pb2.Withdrawal:
        """Approve exactly the intent that was looked at. One withdrawal has one intent.

        Args:
            account: its id.
            withdrawal: its id.
            intent_digest: of the intent that `intent` returned and a person read.

        Raises:
            VerificationError: the service now shows another intent, this key signed another one, or its
                entity asked for it; nothing was signed.
        """
        resource, intent = await self._agreed(account, withdrawal, intent_digest=intent_digest)
        if intent.maker == self.entity:
            raise VerificationError(f"{intent.maker} asked for it and may not approve it")
        self.trust.require_signable(intent, now=self.now())
        request = approval_service_pb2.ApproveWithdrawalRequest(
            name=resource.name,
            request_id=new_request_id(),
            etag=resource.etag,
            envelope=self._key.sign_about(resource.name, intent),
        )
        approved: withdrawal_pb2.Withdrawal = await self.connection.call(
            self._approvals.ApproveWithdrawal, request
        )
        return approved

    async def approve_destination(
        self, account: str, destination_id: str, *, entry_digest: Digest
    ) -> destination_pb2.Destination:
        """Approve exactly the allowlist entry that was looked at. One id names one destination.

        Raises:
            VerificationError: the service now shows another entry, this key signed another one, or its
                entity is the pledgor; nothing was signed.
        """
        statement = await self.verified_account(account)
        resource = await self.destination(account, destination_id)
        entry, _ = self.trust.verify_destination(resource, statement, destination_id=destination_id)
        if entry.digest != entry_digest:
            raise VerificationError(f"the entry is now {entry.digest}, not {entry_digest}")
        if statement.pledgor.entity == self.entity:
            raise VerificationError(f"{self.entity} asked for it and may not approve it")
        request = approval_service_pb2.ApproveDestinationRequest(
            name=resource.name,
            request_id=new_request_id(),
            etag=resource.etag,
            envelope=self._key.sign_about(resource.name, entry),
        )
        approved: destination_pb2.Destination = await self.connection.call(
            self._approvals.ApproveDestination, request
        )
        check_destination(approved, entry)
        return approved
