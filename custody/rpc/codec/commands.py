"""From requests to commands."""

from bailee.custody.v1 import account_pb2
from bailee.custody.v1 import account_service_pb2 as account_rpc
from bailee.custody.v1 import approval_service_pb2 as approval_rpc
from bailee.custody.v1 import lien_service_pb2 as lien_rpc
from bailee.custody.v1 import price_service_pb2 as price_rpc
from bailee.custody.v1 import withdrawal_service_pb2 as withdrawal_rpc

from custody.application.accounts import CreateAccount, LiftHalt, SignAccount
from custody.application.consents import ApproveWithdrawal, ReleaseWithdrawal, SignWithdrawal
from custody.application.destinations import ApproveDestination, CreateDestination
from custody.application.liens import PostLien, ReserveLien, VoidLien
from custody.application.prices import PublishPrices
from custody.application.withdrawals import CancelWithdrawal, CreateWithdrawal
from custody.domain.errors import FieldInvalid
from custody.domain.identifiers import Etag, RequestId, WithdrawalId
from custody.rpc.codec import names
from custody.rpc.codec.accounts import HALTS_IN
from custody.rpc.codec.values import parse_amount, parse_envelope, parse_public_key
from signers.statements.account import Enforcement, Party
from signers.statements.identifiers import (
    AccountId,
    DestinationId,
    EntityId,
    EthereumAddress,
    LienId,
    ScriptPubKey,
)


def create_account(request: account_rpc.CreateAccountRequest, *, custodian: Party) -> CreateAccount:
    """The custodian is a matter of this deployment, never of the caller."""
    account = request.account
    return CreateAccount(
        request_id=RequestId(request.request_id),
        account=AccountId(request.account_id),
        pledgor=_party(account.pledgor, field="account.pledgor"),
        secured_party=_party(account.secured_party, field="account.secured_party"),
        custodian=custodian,
        enforcement=Enforcement(
            bitcoin=ScriptPubKey(account.enforcement.bitcoin_script_pubkey.hex()),
            ethereum=EthereumAddress(account.enforcement.ethereum_address.hex()),
        ),
    )


def _party(message: account_pb2.Account.Party, *, field: str) -> Party:
    return Party(
        entity=EntityId(message.entity),
        public_key=parse_public_key(message.public_key, field=f"{field}.public_key"),
    )


def sign_account(request: account_rpc.SignAccountRequest) -> SignAccount:
    """One party's signature."""
    return SignAccount(
        request_id=RequestId(request.request_id),
        account=names.parse_account(request.name, field="name"),
        etag=parse_etag(request.etag),
        envelope=parse_envelope(request.envelope, field="envelope"),
    )


def lift_halt(request: account_rpc.LiftHaltRequest) -> LiftHalt:
    """One halt of an account."""
    return LiftHalt(
        request_id=RequestId(request.request_id),
        account=names.parse_account(request.name, field="name"),
        etag=parse_etag(request.etag),
        halt=HALTS_IN[request.halt],
    )


def create_destination(request: account_rpc.CreateDestinationRequest) -> CreateDestination:
    """The pledgor's entry."""
    return CreateDestination(
        request_id=RequestId(request.request_id),
        account=names.parse_account(request.parent, field="parent"),
        destination_id=DestinationId(request.destination_id),
        envelope=parse_envelope(request.envelope, field="envelope"),
    )


def approve_destination(request: approval_rpc.ApproveDestinationRequest) -> ApproveDestination:
    """One approver's signature over an entry."""
    account, destination = names.parse_destination(request.name, field="name")
    return ApproveDestination(
        request_id=RequestId(request.request_id),
        account=account,
        destination_id=destination,
        etag=parse_etag(request.etag),
        envelope=parse_envelope(request.envelope, field="envelope"),
    )


def reserve_lien(request: lien_rpc.ReserveLienRequest) -> ReserveLien:
    """The encumbrance `reserve`."""
    return ReserveLien(
        request_id=RequestId(request.request_id),
        account=names.parse_account(request.parent, field="parent"),
        lien=LienId(request.lien_id),
        envelope=parse_envelope(request.envelope, field="envelope"),
    )


def post_lien(request: lien_rpc.PostLienRequest) -> PostLien:
    """The encumbrance `post`."""
    account, lien = names.parse_lien(request.name, field="name")
    return PostLien(
        request_id=RequestId(request.request_id),
        account=account,
        lien=lien,
        envelope=parse_envelope(request.envelope, field="envelope"),
    )


def void_lien(request: lien_rpc.VoidLienRequest) -> VoidLien:
    """The encumbrance `void`."""
    account, lien = names.parse_lien(request.name, field="name")
    return VoidLien(
        request_id=RequestId(request.request_id),
        account=account,
        lien=lien,
        envelope=parse_envelope(request.envelope, field="envelope"),
    )


def publish_prices(request: price_rpc.PublishPricesRequest) -> PublishPrices:
    """Prices as their publishers signed them."""
    return PublishPrices(
        request_id=RequestId(request.request_id),
        envelopes=tuple(
            parse_envelope(data, field=f"envelopes[{index}]") for index, data in enumerate(request.envelopes)
        ),
    )


def create_withdrawal(request: withdrawal_rpc.CreateWithdrawalRequest) -> CreateWithdrawal:
    """Ask for an outflow.

    Raises:
        FieldInvalid: a destination of another account.
    """
    account = names.parse_account(request.parent, field="parent")
    asked = request.withdrawal
    owner, destination = names.parse_destination(asked.destination, field="withdrawal.destination")
    if owner != account:
        raise FieldInvalid("a destination of another account", field="withdrawal.destination")
    return CreateWithdrawal(
        request_id=RequestId(request.request_id),
        account=account,
        withdrawal=WithdrawalId(request.withdrawal_id),
        destination_id=destination,
        amount=parse_amount(asked.amount, field="withdrawal.amount"),
        fee_cap=parse_amount(asked.fee_cap, field="withdrawal.fee_cap"),
    )


def sign_withdrawal(request: withdrawal_rpc.SignWithdrawalRequest) -> SignWithdrawal:
    """The maker's signature."""
    account, withdrawal = names.parse_withdrawal(request.name, field="name")
    return SignWithdrawal(
        request_id=RequestId(request.request_id),
        account=account,
        withdrawal=withdrawal,
        etag=parse_etag(request.etag),
        envelope=parse_envelope(request.envelope, field="envelope"),
    )


def release_withdrawal(request: withdrawal_rpc.ReleaseWithdrawalRequest) -> ReleaseWithdrawal:
    """The secured party's consent."""
    account, withdrawal = names.parse_withdrawal(request.name, field="name")
    return ReleaseWithdrawal(
        request_id=RequestId(request.request_id),
        account=account,
        withdrawal=withdrawal,
        etag=parse_etag(request.etag),
        envelope=parse_envelope(request.envelope, field="envelope"),
    )


def approve_withdrawal(request: approval_rpc.ApproveWithdrawalRequest) -> ApproveWithdrawal:
    """One approver's signature over an intent."""
    account, withdrawal = names.parse_withdrawal(request.name, field="name")
    return ApproveWithdrawal(
        request_id=RequestId(request.request_id),
        account=account,
        withdrawal=withdrawal,
        etag=parse_etag(request.etag),
        envelope=parse_envelope(request.envelope, field="envelope"),
    )


def cancel_withdrawal(request: withdrawal_rpc.CancelWithdrawalRequest) -> CancelWithdrawal:
    """The end of a withdrawal that nobody announced."""
    account, withdrawal = names.parse_withdrawal(request.name, field="name")
    return CancelWithdrawal(
        request_id=RequestId(request.request_id),
        account=account,
        withdrawal=withdrawal,
        etag=parse_etag(request.etag),
    )


def parse_etag(text: str) -> Etag:
    """What the caller decided on.

    Raises:
        FieldInvalid: no etag that this service gave.
    """
    try:
        return Etag(text)
    except ValueError as error:
        raise FieldInvalid("not an etag of this service", field="etag") from error
