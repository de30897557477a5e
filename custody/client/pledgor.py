"""The pledgor: proposes destinations, and asks for its coins back."""

import asyncio
from typing import Final

from bailee.custody.v1 import account_service_pb2, destination_pb2, withdrawal_pb2, withdrawal_service_pb2

from custody.client.amounts import to_amount
from custody.client.connection import new_request_id
from custody.client.copies import check_destination
from custody.client.errors import VerificationError
from custody.client.names import account_name, destination_name
from custody.client.signing_party import SigningParty
from signers.statements.allowlist import AllowlistEntry, Destination
from signers.statements.amounts import Amount
from signers.statements.identifiers import AccountId, DestinationId, Digest, Proof, Seconds
from signers.statements.intent import Intent

_POLL_SECONDS: Final = 0.1


class Pledgor(SigningParty):
    """The party whose coins they are."""

    ROLE = "pledgor"

    async def propose_destination(
        self, account: str, destination_id: str, destination: Destination, *, proof: Proof
    ) -> destination_pb2.Destination:
        """Sign an allowlist entry and hand it in. One id names one destination for ever.

        Args:
            account: its id.
            destination_id: the name by which withdrawals will call it.
            destination: where to.
            proof: the destination's signature over `ownership_message` (BIP-322 or EIP-191).

        Raises:
            VerificationError: this key signed another destination under this name. Custody could show
                either later: take another name.
        """
        await self.verified_account(account)
        entry = self._entry(account, destination_id, destination, proof)
        request = account_service_pb2.CreateDestinationRequest(
            parent=account_name(account),
            destination_id=destination_id,
            request_id=new_request_id(),
            envelope=self._key.sign_about(destination_name(account, destination_id), entry),
        )
        created: destination_pb2.Destination = await self.connection.call(
            self._accounts.CreateDestination, request
        )
        check_destination(created, entry)
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
        resource = await self.planned(account, withdrawal, patience_seconds=patience_seconds)
        intent = await self.intent_of(resource, account=account)
        asked = (DestinationId(destination_id), amount, fee_cap)
        says = (intent.destination_id, intent.amount, intent.fee_cap)
        if says != asked:
            raise VerificationError(f"the intent says {says}, where {asked} was asked")
        return await self._sign(resource, intent)

    async def planned(
        self, account: str, withdrawal: str, *, patience_seconds: float = 30.0
    ) -> withdrawal_pb2.Withdrawal:
        """Wait until the withdrawal has its intent.

        Returns:
            The withdrawal as it is then; `intent_of` decodes and verifies it.

        Raises:
            TimeoutError: there was none in time.
        """
        async with asyncio.timeout(patience_seconds):
            while True:
                resource = await self.withdrawal(account, withdrawal)
                if resource.intent:
                    return resource
                await asyncio.sleep(_POLL_SECONDS)

    async def sign_intent(
        self, account: str, withdrawal: str, *, intent_digest: Digest
    ) -> withdrawal_pb2.Withdrawal:
        """Sign exactly the intent that was looked at. One withdrawal has one intent.

        Raises:
            VerificationError: the service now shows another intent, or this key signed another one for this
                withdrawal; nothing was signed.
        """
        return await self._sign(*await self._agreed(account, withdrawal, intent_digest=intent_digest))

    async def _sign(self, resource: withdrawal_pb2.Withdrawal, intent: Intent) -> withdrawal_pb2.Withdrawal:
        """Sign an intent that was verified as that of this resource."""
        if intent.maker != self.entity:
            raise VerificationError(f"the intent's maker is {intent.maker}")
        self._require_own_destination(intent)
        self.trust.require_signable(intent, now=self.now())
        request = withdrawal_service_pb2.SignWithdrawalRequest(
            name=resource.name,
            request_id=new_request_id(),
            etag=resource.etag,
            envelope=self._key.sign_about(resource.name, intent),
        )
        signed: withdrawal_pb2.Withdrawal = await self.connection.call(
            self._withdrawals.SignWithdrawal, request
        )
        return signed

    def _entry(
        self, account: str, destination_id: str, destination: Destination, proof: Proof
    ) -> AllowlistEntry:
        """The entry to sign: the very same one where it was signed before and its answer got lost."""
        signed = self._signed_entry(account, destination_id)
        if signed is not None and (signed.destination, signed.proof) == (destination, proof):
            return signed
        now = self.now()
        return AllowlistEntry(
            network=self.trust.network,
            account=AccountId(account),
            destination_id=DestinationId(destination_id),
            destination=destination,
            proof=proof,
            created_at=now,
            usable_at=Seconds(now + self.trust.policy.allowlist_cooling_seconds),
        )

    def _signed_entry(self, account: str, destination_id: str) -> AllowlistEntry | None:
        bound = self._key.bound(destination_name(account, destination_id))
        return None if bound is None else AllowlistEntry.read(bound, network=self.trust.network)

    def _require_own_destination(self, intent: Intent) -> None:
        """The destination is the one that this key signed here; nothing is known of other machines."""
        signed = self._signed_entry(intent.account, intent.destination_id)
        if signed is not None and signed.destination != intent.destination:
            raise VerificationError(f"{intent.destination_id} is not the destination that this key signed")
