"""The custodian's operator: opens accounts and cancels withdrawals that nobody announced."""

from bailee.custody.v1 import (
    account_pb2,
    account_service_pb2,
    withdrawal_pb2,
    withdrawal_service_pb2,
    withdrawal_service_pb2_grpc,
)

from custody.client.connection import new_request_id
from custody.client.reader import withdrawal_name
from custody.client.signing_party import SigningParty
from signers.statements.account import Enforcement, Party


class Custodian(SigningParty):
    """The party that holds the coins."""

    async def create_account(
        self,
        account: str,
        *,
        pledgor: Party,
        secured_party: Party,
        enforcement: Enforcement,
        request_id: str = "",
    ) -> account_pb2.Account:
        """Begin a pledge account: the signers create its keys, then its statement waits for the parties."""
        request = account_service_pb2.CreateAccountRequest(
            request_id=request_id or new_request_id(),
            account_id=account,
            account=account_pb2.Account(
                pledgor=_party(pledgor),
                secured_party=_party(secured_party),
                enforcement=account_pb2.Account.Enforcement(
                    bitcoin_script_pubkey=enforcement.bitcoin.raw, ethereum_address=enforcement.ethereum.raw
                ),
            ),
        )
        created: account_pb2.Account = await self.connection.call(self._accounts.CreateAccount, request)
        return created

    async def cancel_withdrawal(self, account: str, withdrawal: str) -> withdrawal_pb2.Withdrawal:
        """End a withdrawal that no signer has announced."""
        current = await self.withdrawal(account, withdrawal)
        stub = withdrawal_service_pb2_grpc.WithdrawalServiceStub(self.connection.channel)  # type: ignore[no-untyped-call, unused-ignore]
        request = withdrawal_service_pb2.CancelWithdrawalRequest(
            name=withdrawal_name(account, withdrawal), request_id=new_request_id(), etag=current.etag
        )
        cancelled: withdrawal_pb2.Withdrawal = await self.connection.call(stub.CancelWithdrawal, request)
        return cancelled


def _party(party: Party) -> account_pb2.Account.Party:
    return account_pb2.Account.Party(entity=party.entity, public_key=party.public_key.raw)
