"""The custodian's operator: opens accounts, lifts halts, cancels withdrawals that nobody announced."""

from bailee.custody.v1 import account_pb2, account_service_pb2

from custody.client.agreement import Agreement
from custody.client.connection import new_request_id
from custody.client.signing_party import SigningParty
from signers.statements.account import Party


class Custodian(SigningParty):
    """The party that holds the coins."""

    ROLE = "custodian"

    async def create_account(
        self, account: str, *, agreement: Agreement, request_id: str = ""
    ) -> account_pb2.Account:
        """Begin a pledge account: the signers create its keys, then its statement waits for the parties."""
        enforcement = agreement.enforcement
        request = account_service_pb2.CreateAccountRequest(
            request_id=request_id or new_request_id(),
            account_id=account,
            account=account_pb2.Account(
                pledgor=_party(agreement.pledgor),
                secured_party=_party(agreement.secured_party),
                enforcement=account_pb2.Account.Enforcement(
                    bitcoin_script_pubkey=enforcement.bitcoin.raw, ethereum_address=enforcement.ethereum.raw
                ),
            ),
        )
        created: account_pb2.Account = await self.connection.call(self._accounts.CreateAccount, request)
        return created

    async def lift_halt(self, account: str, halt: str) -> account_pb2.Account:
        """Lift one halt that was looked at. The account opens once it was compared with both chains.

        Args:
            account: its id.
            halt: the API's name of it, such as `HALT_UNKNOWN_SPEND`.
        """
        current = await self.account(account)
        request = account_service_pb2.LiftHaltRequest(
            name=current.name, request_id=new_request_id(), etag=current.etag, halt=halt
        )
        lifted: account_pb2.Account = await self.connection.call(self._accounts.LiftHalt, request)
        return lifted


def _party(party: Party) -> account_pb2.Account.Party:
    return account_pb2.Account.Party(entity=party.entity, public_key=party.public_key.raw)
