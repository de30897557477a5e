"""The pledgor: proposes destinations, and asks for its coins back."""

import asyncio
import time

from bailee.custody.v1 import (
    account_service_pb2,
    destination_pb2,
    withdrawal_pb2,
    withdrawal_service_pb2,
    withdrawal_service_pb2_grpc,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from custody.client.connection import Connection, new_request_id
from custody.client.errors import VerificationError
from custody.client.reader import account_name, destination_name, withdrawal_name
from custody.client.signing_party import SigningParty, read_intent, to_amount
from custody.client.trust import TrustRoot
from signers.statements.allowlist import AllowlistEntry, Destination
from signers.statements.amounts import Amount
from signers.statements.envelope import Envelope
from signers.statements.identifiers import AccountId, DestinationId, EntityId, Proof, Seconds
from signers.statements.intent import Intent

_POLL_SECONDS = 0.1


class Pledgor(SigningParty):
    """The party whose coins they are."""

    def __init__(
        self, connection: Connection, trust: TrustRoot, *, entity: EntityId, key: Ed25519PrivateKey
    ) -> None:
        super().__init__(connection, trust, entity=entity, key=key)
        self._withdrawals = withdrawal_service_pb2_grpc.WithdrawalServiceStub(connection.channel)  # type: ignore[no-untyped-call, unused-ignore]

    async def propose_destination(
        self, account: str, destination_id: str, destination: Destination, *, proof: Proof
    ) -> destination_pb2.Destination:
        """Sign an allowlist entry and hand it in.

        Args:
            account: its id.
            destination_id: the name by which withdrawals will call it.
            destination: where to.
            proof: the destination's signature over `ownership_message` (BIP-322 or EIP-191).
        """
        now = int(time.time())
        entry = AllowlistEntry(
            network=self.trust.network,
            account=AccountId(account),
            destination_id=DestinationId(destination_id),
            destination=destination,
            proof=proof,
            created_at=Seconds(now),
            usable_at=Seconds(now + self.trust.policy.allowlist_cooling_seconds),
        )
        request = account_service_pb2.CreateDestinationRequest(
            parent=account_name(account),
            destination_id=destination_id,
            request_id=new_request_id(),
            envelope=self.signed(entry),
        )
        created: destination_pb2.Destination = await self.connection.call(
            self._accounts.CreateDestination, request
        )
        return created

    async def request_withdrawal(
        self,
        account: str,
        withdrawal: str,
        *,
        destination_id: str,
        amount: Amount,
        fee_cap: Amount,
        request_id: str = "",
    ) -> withdrawal_pb2.Withdrawal:
        """Ask for an outflow; amount and fee cap are held from now on."""
        request = withdrawal_service_pb2.CreateWithdrawalRequest(
            parent=account_name(account),
            withdrawal_id=withdrawal,
            request_id=request_id or new_request_id(),
            withdrawal=withdrawal_pb2.Withdrawal(
                amount=to_amount(amount),
                fee_cap=to_amount(fee_cap),
                destination=destination_name(account, destination_id),
            ),
        )
        created: withdrawal_pb2.Withdrawal = await self.connection.call(
            self._withdrawals.CreateWithdrawal, request
        )
        return created

    async def sign_withdrawal(
        self,
        account: str,
        withdrawal: str,
        *,
        destination_id: str,
        amount: Amount,
        fee_cap: Amount,
        patience_seconds: float = 30.0,
    ) -> withdrawal_pb2.Withdrawal:
        """Wait for the intent, compare it with what was asked, and sign it.

        Raises:
            VerificationError: the intent is not what was asked; nothing was signed.
            TimeoutError: there was no intent in time.
        """
        async with asyncio.timeout(patience_seconds):
            resource = await self.withdrawal(account, withdrawal)
            while not resource.intent:
                await asyncio.sleep(_POLL_SECONDS)
                resource = await self.withdrawal(account, withdrawal)
        intent = read_intent(resource.intent, trust=self.trust, account=account)
        listed = await self._listed(account, destination_id)
        asked = (self.entity, DestinationId(destination_id), listed, amount, fee_cap)
        says = (intent.maker, intent.destination_id, intent.destination, intent.amount, intent.fee_cap)
        if says != asked:
            raise VerificationError(f"the intent says {says}, where {asked} was asked")
        return await self._sign(account, withdrawal, resource.etag, intent)

    async def _listed(self, account: str, destination_id: str) -> Destination:
        """The destination as this pledgor itself signed it, not as custody shows it."""
        resource = await self.destination(account, destination_id)
        envelope = Envelope.from_json(resource.envelope)
        entry = AllowlistEntry.read(envelope, network=self.trust.network)
        own = envelope.signed_by(self.party.public_key)
        if not own or (entry.account, entry.destination_id) != (account, destination_id):
            raise VerificationError(f"{destination_id} is no destination that this pledgor signed")
        return entry.destination

    async def _sign(
        self, account: str, withdrawal: str, etag: str, intent: Intent
    ) -> withdrawal_pb2.Withdrawal:
        request = withdrawal_service_pb2.SignWithdrawalRequest(
            name=withdrawal_name(account, withdrawal),
            request_id=new_request_id(),
            etag=etag,
            envelope=self.signed(intent),
        )
        signed: withdrawal_pb2.Withdrawal = await self.connection.call(
            self._withdrawals.SignWithdrawal, request
        )
        return signed
