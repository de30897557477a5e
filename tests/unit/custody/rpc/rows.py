"""One valid request for every RPC there is: what every test of a refusal makes its one change to."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from bailee.custody.v1 import account_service_pb2 as account_rpc
from bailee.custody.v1 import amount_pb2
from bailee.custody.v1 import approval_service_pb2 as approval_rpc
from bailee.custody.v1 import collateral_service_pb2 as read_rpc
from bailee.custody.v1 import lien_service_pb2 as lien_rpc
from bailee.custody.v1 import policy_service_pb2 as policy_rpc
from bailee.custody.v1 import price_service_pb2 as price_rpc
from bailee.custody.v1 import withdrawal_service_pb2 as withdrawal_rpc
from bailee.custody.v1.account_pb2 import Account
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from custody.domain.account import Halt
from custody.rpc.codec import names
from signers.statements.amounts import Asset, Sats
from signers.statements.encumbrance import EncumbranceKind
from signers.statements.envelope import Envelope
from signers.statements.identifiers import DestinationId, LienId
from signers.statements.intent import Intent
from tests.factories import BTC, Person
from tests.unit.custody.rpc.scenario import LIEN, WITHDRAWAL, Scenario, request_id
from tests.unit.proto import descriptors as api

ACCOUNT = "accounts/acct-client-one"
PENDING_DESTINATION = DestinationId("second-wallet")
SECOND_LIEN = LienId("lien-2")


@dataclass(frozen=True, kw_only=True)
class Row:
    """An RPC, who may call it, and a request that succeeds on the scenario of `stage`."""

    callers: frozenset[str]
    """Words of the scenario's principals who are not refused for who they are."""
    caller: str
    request: Callable[[Scenario], Message]
    stage: "Stage"
    other: Callable[[Scenario, Message], None] | None = None
    """Writes: makes it another valid body, to be refused under the same request id."""


Stage = Callable[[Scenario], Awaitable[None]]


async def complete(scenario: Scenario) -> None:
    """One of everything."""
    await scenario.build()


async def awaiting_signatures(scenario: Scenario) -> None:
    """An account whose statement nobody has signed."""
    await scenario.pin_policy()
    await scenario.open_account()
    await scenario.open_neighbour()
    await scenario.prepare_statement()


async def with_pending_destination(scenario: Scenario) -> None:
    """One of everything, and a destination that nobody has approved."""
    await scenario.build()
    await scenario.allow(Asset.BTC, approvals=0, destination_id=PENDING_DESTINATION)


async def halted(scenario: Scenario) -> None:
    """One of everything, and an account of which ledger and chain have differed."""
    await scenario.build()
    await scenario.halt(Halt.RECONCILIATION)


# Who asks.

PARTIES = ("pledgor", "secured", "custodian")
READERS = (*PARTIES, "approver", "second-approver", "auditor")
EVERYBODY = (*READERS, "publisher", "neighbour")


def row(
    request: Callable[[Scenario], Message],
    *callers: str,
    stage: Stage = complete,
    other: Callable[[Scenario, Message], None] | None = None,
) -> Row:
    return Row(callers=frozenset(callers), caller=callers[0], request=request, stage=stage, other=other)


# What is asked. Every request id is fresh.


def _party(message: Account.Party, person: Person) -> None:
    message.entity = person.entity
    message.public_key = person.public_key.raw


def create_account(scenario: Scenario) -> account_rpc.CreateAccountRequest:
    request = account_rpc.CreateAccountRequest(request_id=request_id(), account_id="acct-brand-new")
    _party(request.account.pledgor, scenario.world.pledgor)
    _party(request.account.secured_party, scenario.world.secured_party)
    request.account.enforcement.bitcoin_script_pubkey = b"\x00\x14" + b"\xe1" * 20
    request.account.enforcement.ethereum_address = b"\xe2" * 20
    return request


def sign_account(scenario: Scenario) -> account_rpc.SignAccountRequest:
    return account_rpc.SignAccountRequest(
        name=ACCOUNT,
        request_id=request_id(),
        etag=scenario.account_etag(),
        envelope=scenario.world.sign(scenario.world.account, scenario.world.pledgor).to_json(),
    )


def lift_halt(scenario: Scenario) -> account_rpc.LiftHaltRequest:
    return account_rpc.LiftHaltRequest(
        name=ACCOUNT,
        request_id=request_id(),
        etag=scenario.account_etag(),
        halt=Account.HALT_RECONCILIATION,
    )


def create_destination(scenario: Scenario) -> account_rpc.CreateDestinationRequest:
    entry = scenario.world.allowlist_entry(Asset.BTC, destination_id=DestinationId("brand-new-wallet"))
    return account_rpc.CreateDestinationRequest(
        parent=ACCOUNT,
        destination_id=entry.destination_id,
        request_id=request_id(),
        envelope=scenario.world.sign(entry, scenario.world.pledgor).to_json(),
    )


def approve_destination(scenario: Scenario) -> approval_rpc.ApproveDestinationRequest:
    entry = scenario.world.allowlist_entry(Asset.BTC, destination_id=PENDING_DESTINATION)
    return approval_rpc.ApproveDestinationRequest(
        name=names.destination(scenario.account, PENDING_DESTINATION),
        request_id=request_id(),
        etag=scenario.destination_etag(PENDING_DESTINATION),
        envelope=scenario.world.sign(entry, scenario.world.approvers[1]).to_json(),
    )


def encumbrance(scenario: Scenario, kind: EncumbranceKind, lien: LienId, units: int) -> Envelope:
    said = scenario.world.encumbrance(scenario.encumbrances[-1], kind=kind, lien=lien, amount=Sats(units))
    return scenario.world.sign(said, scenario.world.secured_party)


def reserve_lien(scenario: Scenario) -> lien_rpc.ReserveLienRequest:
    return lien_rpc.ReserveLienRequest(
        parent=ACCOUNT,
        lien_id=SECOND_LIEN,
        request_id=request_id(),
        envelope=encumbrance(scenario, EncumbranceKind.RESERVE, SECOND_LIEN, BTC // 20).to_json(),
    )


def post_lien(scenario: Scenario) -> lien_rpc.PostLienRequest:
    return lien_rpc.PostLienRequest(
        name=names.lien(scenario.account, LIEN),
        request_id=request_id(),
        envelope=encumbrance(scenario, EncumbranceKind.POST, LIEN, BTC // 10).to_json(),
    )


def void_lien(scenario: Scenario) -> lien_rpc.VoidLienRequest:
    return lien_rpc.VoidLienRequest(
        name=names.lien(scenario.account, LIEN),
        request_id=request_id(),
        envelope=encumbrance(scenario, EncumbranceKind.VOID, LIEN, BTC // 10).to_json(),
    )


def publish_prices(scenario: Scenario) -> price_rpc.PublishPricesRequest:
    later = scenario.world.prices(Asset.BTC, sequence=2, at=scenario.now)
    return price_rpc.PublishPricesRequest(
        request_id=request_id(), envelopes=[envelope.to_json() for envelope in later]
    )


def create_withdrawal(scenario: Scenario) -> withdrawal_rpc.CreateWithdrawalRequest:
    request = withdrawal_rpc.CreateWithdrawalRequest(
        parent=ACCOUNT, withdrawal_id="withdrawal-two", request_id=request_id()
    )
    request.withdrawal.amount.CopyFrom(amount_pb2.Amount(asset=amount_pb2.ASSET_ETH, units=str(10**17)))
    request.withdrawal.fee_cap.CopyFrom(amount_pb2.Amount(asset=amount_pb2.ASSET_ETH, units=str(10**16)))
    request.withdrawal.destination = names.destination(scenario.account, scenario.destination_id(Asset.ETH))
    return request


def sign_withdrawal(scenario: Scenario) -> withdrawal_rpc.SignWithdrawalRequest:
    return withdrawal_rpc.SignWithdrawalRequest(
        name=names.withdrawal(scenario.account, WITHDRAWAL),
        request_id=request_id(),
        etag=scenario.withdrawal_etag(),
        envelope=scenario.world.sign(scenario.intent_envelope(), scenario.world.pledgor).to_json(),
    )


def release_withdrawal(scenario: Scenario) -> withdrawal_rpc.ReleaseWithdrawalRequest:
    intent = Intent.read(scenario.intent_envelope(), network=scenario.world.network)
    return withdrawal_rpc.ReleaseWithdrawalRequest(
        name=names.withdrawal(scenario.account, WITHDRAWAL),
        request_id=request_id(),
        etag=scenario.withdrawal_etag(),
        envelope=scenario.world.release_envelope(intent).to_json(),
    )


def approve_withdrawal(scenario: Scenario) -> approval_rpc.ApproveWithdrawalRequest:
    signed = scenario.world.sign(scenario.intent_envelope(), scenario.world.approvers[1])
    return approval_rpc.ApproveWithdrawalRequest(
        name=names.withdrawal(scenario.account, WITHDRAWAL),
        request_id=request_id(),
        etag=scenario.withdrawal_etag(),
        envelope=signed.to_json(),
    )


def cancel_withdrawal(scenario: Scenario) -> withdrawal_rpc.CancelWithdrawalRequest:
    return withdrawal_rpc.CancelWithdrawalRequest(
        name=names.withdrawal(scenario.account, WITHDRAWAL),
        request_id=request_id(),
        etag=scenario.withdrawal_etag(),
    )


# Another body that would be valid on its own.


def another_envelope(scenario: Scenario, request: Message) -> None:
    """The same statement, signed again beside it by nobody who matters: other bytes."""
    envelope = Envelope.from_json(request.envelope)  # type: ignore[attr-defined]
    changed = replace(envelope, signatures=(*envelope.signatures, *envelope.signatures))
    request.envelope = changed.to_json()  # type: ignore[attr-defined]


def another_id(field: str) -> Callable[[Scenario, Message], None]:
    def change(scenario: Scenario, request: Message) -> None:
        setattr(request, field, getattr(request, field) + "-b")

    return change


def another_amount(scenario: Scenario, request: Message) -> None:
    request.withdrawal.amount.units += "0"  # type: ignore[attr-defined]


def another_etag(scenario: Scenario, request: Message) -> None:
    request.etag = "0" * 32  # type: ignore[attr-defined]


def another_halt(scenario: Scenario, request: Message) -> None:
    request.halt = Account.HALT_UNKNOWN_SPEND  # type: ignore[attr-defined]


def fewer_envelopes(scenario: Scenario, request: Message) -> None:
    del request.envelopes[-1]  # type: ignore[attr-defined]


def reading(make: Callable[[Scenario], Message], *callers: str) -> Row:
    return row(make, *(callers or READERS))


ROWS: dict[str, Row] = {
    "AccountService/CreateAccount": row(create_account, "custodian", other=another_id("account_id")),
    "AccountService/SignAccount": row(
        sign_account, "pledgor", stage=awaiting_signatures, other=another_envelope
    ),
    "AccountService/LiftHalt": row(lift_halt, "custodian", stage=halted, other=another_halt),
    "AccountService/CreateDestination": row(
        create_destination, "pledgor", other=another_id("destination_id")
    ),
    "ApprovalService/ApproveDestination": row(
        approve_destination, "approver", stage=with_pending_destination, other=another_envelope
    ),
    "ApprovalService/ApproveWithdrawal": row(approve_withdrawal, "approver", other=another_envelope),
    "LienService/ReserveLien": row(reserve_lien, "secured", other=another_id("lien_id")),
    "LienService/PostLien": row(post_lien, "secured", other=another_envelope),
    "LienService/VoidLien": row(void_lien, "secured", other=another_envelope),
    "PriceService/PublishPrices": row(
        publish_prices, "publisher", *READERS, "neighbour", other=fewer_envelopes
    ),
    "WithdrawalService/CreateWithdrawal": row(create_withdrawal, *PARTIES, other=another_amount),
    "WithdrawalService/SignWithdrawal": row(sign_withdrawal, "pledgor", other=another_envelope),
    "WithdrawalService/ReleaseWithdrawal": row(release_withdrawal, "secured", other=another_envelope),
    "WithdrawalService/CancelWithdrawal": row(cancel_withdrawal, "pledgor", "custodian", other=another_etag),
    "CollateralService/GetAccount": reading(lambda _: read_rpc.GetAccountRequest(name=ACCOUNT)),
    "CollateralService/ListAccounts": reading(lambda _: read_rpc.ListAccountsRequest(), *EVERYBODY),
    "CollateralService/GetDestination": reading(
        lambda s: read_rpc.GetDestinationRequest(
            name=names.destination(s.account, s.destination_id(Asset.BTC))
        )
    ),
    "CollateralService/ListDestinations": reading(lambda _: read_rpc.ListDestinationsRequest(parent=ACCOUNT)),
    "CollateralService/ListDeposits": reading(lambda _: read_rpc.ListDepositsRequest(parent=ACCOUNT)),
    "CollateralService/GetLien": reading(lambda s: read_rpc.GetLienRequest(name=names.lien(s.account, LIEN))),
    "CollateralService/ListLiens": reading(lambda _: read_rpc.ListLiensRequest(parent=ACCOUNT)),
    "CollateralService/GetWithdrawal": reading(
        lambda s: read_rpc.GetWithdrawalRequest(name=names.withdrawal(s.account, WITHDRAWAL))
    ),
    "CollateralService/ListWithdrawals": reading(lambda _: read_rpc.ListWithdrawalsRequest(parent=ACCOUNT)),
    "CollateralService/ListPostings": reading(lambda _: read_rpc.ListPostingsRequest(parent=ACCOUNT)),
    "CollateralService/ListPrices": reading(lambda _: read_rpc.ListPricesRequest(), *EVERYBODY),
    "CollateralService/GetCollateralReport": reading(
        lambda _: read_rpc.GetCollateralReportRequest(name=f"{ACCOUNT}/collateralReport")
    ),
    "CollateralService/WatchCollateral": reading(
        lambda _: read_rpc.WatchCollateralRequest(accounts=[ACCOUNT])
    ),
    "PolicyService/GetPolicy": reading(
        lambda _: policy_rpc.GetPolicyRequest(name="policies/current"), *EVERYBODY
    ),
}
"""By service and method; a test holds the keys equal to the RPCs of the protos."""

METHODS: dict[str, MethodDescriptor] = {
    f"{method.containing_service.name}/{method.name}": method
    for method in api.methods()
    if method.full_name.startswith(api.CUSTODY)
}
"""Every RPC of custody, from the protos on disk."""

WRITES = [name for name, method in METHODS.items() if not api.is_read(method)]
