"""What pledgor, secured party and custodian have in common: a key of the account statement."""

from bailee.custody.v1 import account_pb2, account_service_pb2, account_service_pb2_grpc, amount_pb2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from custody.client.connection import Connection, new_request_id
from custody.client.errors import VerificationError
from custody.client.reader import Reader, account_name
from custody.client.trust import TrustRoot
from signers.statements.account import Account, Party
from signers.statements.amounts import Amount, Asset
from signers.statements.envelope import Envelope, public_key_of, sign
from signers.statements.identifiers import EntityId
from signers.statements.intent import Intent
from signers.statements.refusals import Refusal
from signers.statements.statement import Statement

_ASSETS = {Asset.BTC: amount_pb2.ASSET_BTC, Asset.ETH: amount_pb2.ASSET_ETH}


class SigningParty(Reader):
    """A party of control agreements: reads, and signs with its own key."""

    def __init__(
        self, connection: Connection, trust: TrustRoot, *, entity: EntityId, key: Ed25519PrivateKey
    ) -> None:
        super().__init__(connection, trust)
        self.entity = entity
        self.party = Party(entity=entity, public_key=public_key_of(key))
        self._key = key
        self._accounts = account_service_pb2_grpc.AccountServiceStub(connection.channel)  # type: ignore[no-untyped-call, unused-ignore]

    async def proposed_account(self, account: str) -> Account:
        """The account statement that waits for signatures, its terms checked and this party found in it.

        Raises:
            VerificationError: do not sign it.
        """
        resource = await self.account(account)
        return self._proposed(resource, account)

    async def sign_account(self, account: str, *, counterparties: set[EntityId]) -> account_pb2.Account:
        """Sign the account statement, if it says what this party agreed to.

        Args:
            account: its id.
            counterparties: the two other parties. Others in the statement are refused.

        Raises:
            VerificationError: it says something else; nothing was signed.
        """
        resource = await self.account(account)
        statement = self._proposed(resource, account)
        others = {party.entity for party in statement.parties} - {self.entity}
        if others != counterparties:
            raise VerificationError(f"the other parties are {sorted(others)}, not {sorted(counterparties)}")
        request = account_service_pb2.SignAccountRequest(
            name=account_name(account),
            request_id=new_request_id(),
            etag=resource.etag,
            envelope=self.signed(statement),
        )
        signed: account_pb2.Account = await self.connection.call(self._accounts.SignAccount, request)
        return signed

    def signed(self, statement: Statement) -> bytes:
        """The statement in an envelope with this party's signature alone."""
        return sign(self._key, statement.envelope()).to_json()

    def _proposed(self, resource: account_pb2.Account, account: str) -> Account:
        if not resource.statement:
            raise VerificationError("there is no statement to sign yet")
        try:
            statement = Account.read(Envelope(Account.TYPE, resource.statement), network=self.trust.network)
        except Refusal as error:
            raise VerificationError(f"account statement: {error}") from error
        self.trust.check_terms(statement)
        if statement.account != account or self.party not in statement.parties:
            raise VerificationError(
                "the statement is of another account, or names another key for this party"
            )
        return statement


def read_intent(payload: bytes, *, trust: TrustRoot, account: str) -> Intent:
    """The intent as it will be signed, of this account and under the policy that is trusted.

    Raises:
        VerificationError: do not sign it.
    """
    try:
        intent = Intent.read(Envelope(Intent.TYPE, payload), network=trust.network)
    except Refusal as error:
        raise VerificationError(f"intent: {error}") from error
    if intent.account != account:
        raise VerificationError(f"an intent of {intent.account}, not of {account}")
    if intent.policy_digest != trust.policy_digest:
        raise VerificationError("the intent stands under another policy")
    return intent


def to_amount(amount: Amount) -> amount_pb2.Amount:
    """An amount as the API writes it."""
    return amount_pb2.Amount(asset=_ASSETS[amount.asset], units=str(amount.units))
