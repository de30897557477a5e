"""A custody service in memory, honest unless told otherwise, behind real gRPC and real mutual TLS.

A test takes it, changes exactly one thing that it says, and asks the SDK for exactly one refusal.
"""

import copy
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
from bailee.custody.v1 import (
    account_pb2,
    account_service_pb2_grpc,
    amount_pb2,
    approval_service_pb2_grpc,
    collateral_report_pb2,
    collateral_service_pb2,
    collateral_service_pb2_grpc,
    deposit_pb2,
    destination_pb2,
    lien_pb2,
    lien_service_pb2_grpc,
    policy_pb2,
    policy_service_pb2_grpc,
    posting_pb2,
    price_pb2,
    price_service_pb2,
    price_service_pb2_grpc,
    withdrawal_pb2,
    withdrawal_service_pb2_grpc,
)
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from custody.client.connection import Credentials
from deploy.localnet.certificates import CertificateAuthority
from signers.statements.allowlist import AllowlistEntry, BitcoinDestination, Destination
from signers.statements.amounts import Amount, Asset, amount_of
from signers.statements.encumbrance import Encumbrance, EncumbranceKind
from signers.statements.envelope import Envelope
from signers.statements.identifiers import GENESIS, BlockHash, Digest, Seconds, Value
from signers.statements.intent import Intent, OutpointAnchor
from signers.statements.merkle import MerkleTree
from signers.statements.price import Price
from signers.statements.receipt import Act
from signers.statements.report import AssetPosition, ChainPoint, Report, ReportBatch, ValueStatus
from signers.statements.valuation import lending_value, market_value, price_set
from tests.factories import BTC, ETH, Person, SignerParty, World

SERVER_NAME = "custody.bailee"
WITHDRAWAL = "w-one"
HELD = {Asset.BTC: 2 * BTC, Asset.ETH: 10 * ETH}
_ASSETS = {Asset.BTC: amount_pb2.ASSET_BTC, Asset.ETH: amount_pb2.ASSET_ETH}
_ACTS = {
    Act.ANNOUNCED: withdrawal_pb2.Withdrawal.Receipt.ACT_ANNOUNCED,
    Act.SIGNED: withdrawal_pb2.Withdrawal.Receipt.ACT_SIGNED,
    Act.REFUSED: withdrawal_pb2.Withdrawal.Receipt.ACT_REFUSED,
}


class Refused(Exception):  # noqa: N818 - the field's word
    """The service answers with a google.rpc.Status."""

    def __init__(
        self,
        code: int,
        reason: str,
        *,
        metadata: dict[str, str] | None = None,
        domain: str = "bailee",
        message: str = "",
    ) -> None:
        super().__init__(reason)
        info = error_details_pb2.ErrorInfo(reason=reason, domain=domain, metadata=metadata or {})
        detail = any_pb2.Any()
        detail.Pack(info)
        self.status = status_pb2.Status(code=code, message=message or reason.lower(), details=[detail])


def failed(reason: str, **more: Any) -> Refused:
    """A refusal that the service decided."""
    return Refused(code_pb2.FAILED_PRECONDITION, reason, **more)


def to_amount(amount: Amount) -> amount_pb2.Amount:
    return amount_pb2.Amount(asset=_ASSETS[amount.asset], units=str(amount.units))


def chain_address(destination: Destination) -> amount_pb2.ChainAddress:
    """As the service writes it, with text that no client may show."""
    if isinstance(destination, BitcoinDestination):
        raw = destination.script_pubkey.raw
        return amount_pb2.ChainAddress(bitcoin_script_pubkey=raw, display="forged")
    return amount_pb2.ChainAddress(ethereum_address=destination.address.raw, display="forged")


class FakeCustody:
    """What the service knows and says; tests write to it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.name = f"accounts/{world.account.account}"
        self.calls: list[tuple[str, Any]] = []
        self.lock = threading.Lock()
        self.failures: dict[str, list[Exception]] = {}
        """Raised instead of an effect, per method, one per call."""
        self.meanwhile: dict[str, list[Callable[[], object]]] = {}
        """What happens after a method has read and before its answer arrives, one per call."""
        self.lost: dict[str, int] = {}
        """How many answers of a method get lost after their effect."""
        self.sequence = 7
        self.batches: dict[int, Digest] = {}
        """The latest batch made of each number: what the next one names as its predecessor."""
        self.head: tuple[int, str] = (0, GENESIS)
        self.liens: dict[str, lien_pb2.Lien] = {}
        self.outcomes: dict[str, lien_pb2.Lien] = {}
        self.account = self._account()
        self.policy = policy_pb2.Policy(
            name="policies/current", version=1, envelope=world.policy_envelope.to_json()
        )
        self.destinations = {entry.name: entry for entry in map(self._destination, Asset)}
        self.withdrawals = {f"{self.name}/withdrawals/{WITHDRAWAL}": self.withdrawal(world.intent(Asset.BTC))}
        self.postings = [
            self.posting(number, book, taker, amount_of(asset, HELD[asset]))
            for asset in Asset
            for number, (book, taker) in enumerate(
                (("external", "pending"), ("pending", "available")), start=1
            )
        ]
        self.prices = [self.price(envelope) for asset in Asset for envelope in world.prices(asset)]
        self.report = self.make_report()
        self.events: list[collateral_service_pb2.WatchCollateralResponse] = []
        self.end_stream: Callable[[grpc.ServicerContext], None] = lambda _context: None
        """What follows the events; the stream ends in order where this returns."""

    def _account(self) -> account_pb2.Account:
        account, envelope = self.world.account, self.world.account_envelope
        parties: dict[str, Any] = {
            role: account_pb2.Account.Party(
                entity=getattr(account, role).entity, public_key=getattr(account, role).public_key.raw
            )
            for role in ("pledgor", "secured_party", "custodian")
        }
        return account_pb2.Account(
            name=self.name,
            state=account_pb2.Account.STATE_ACTIVE,
            statement=envelope.payload,
            statement_digest=envelope.digest,
            envelope=envelope.to_json(),
            bitcoin_address=amount_pb2.ChainAddress(
                bitcoin_script_pubkey=account.bitcoin.script_pubkey.raw, display="forged"
            ),
            bitcoin_descriptor="forged",
            ethereum_address=amount_pb2.ChainAddress(
                ethereum_address=account.ethereum.address.raw, display="forged"
            ),
            account_sequence=self.sequence,
            etag="account-etag",
            **parties,
        )

    def _destination(self, asset: Asset) -> destination_pb2.Destination:
        entry = self.world.allowlist_entry(asset)
        envelope = self.world.approve(entry, by=self.world.approvers[:1])
        return destination_pb2.Destination(
            name=f"{self.name}/destinations/{entry.destination_id}",
            asset=_ASSETS[asset],
            address=chain_address(entry.destination),
            state=destination_pb2.Destination.STATE_PENDING_APPROVAL,
            envelope=envelope.to_json(),
            statement_digest=entry.digest,
            approving_entities=[self.world.approvers[0].entity],
            missing_approvals=1,
            etag="destination-etag",
        )

    def withdrawal(
        self, intent: Intent, *, name: str = WITHDRAWAL, acts: Sequence[Act] = (Act.ANNOUNCED,) * 3
    ) -> withdrawal_pb2.Withdrawal:
        """A withdrawal of this intent; each signer in turn did its act."""
        return withdrawal_pb2.Withdrawal(
            name=f"{self.name}/withdrawals/{name}",
            amount=to_amount(intent.amount),
            fee_cap=to_amount(intent.fee_cap),
            destination=f"{self.name}/destinations/{intent.destination_id}",
            destination_address=chain_address(intent.destination),
            maker_entity=intent.maker,
            anchor=(
                f"{intent.anchor.txid}:{intent.anchor.index}"
                if isinstance(intent.anchor, OutpointAnchor)
                else str(intent.anchor.nonce)
            ),
            state=withdrawal_pb2.Withdrawal.STATE_AWAITING_SIGNATURES,
            intent=intent.payload(),
            intent_envelope=self.world.approve(intent).to_json(),
            intent_digest=intent.digest,
            receipts=[
                self.receipt(signer, intent, act)
                for signer, act in zip(self.world.signers, acts, strict=False)
            ],
            account_sequence=self.sequence,
            etag="withdrawal-etag",
        )

    def show_intent(self, intent: Intent) -> None:
        """The withdrawal is of this intent now, in every place."""
        self.withdrawals[f"{self.name}/withdrawals/{WITHDRAWAL}"] = self.withdrawal(intent)

    def show_entry(self, entry: AllowlistEntry, *, by: Person) -> None:
        """The destination is this one now, in every place, signed by somebody."""
        shown = self.destinations[f"{self.name}/destinations/{entry.destination_id}"]
        shown.envelope, shown.statement_digest = self.world.sign(entry, by).to_json(), entry.digest
        shown.address.CopyFrom(chain_address(entry.destination))

    def receipt(
        self, signer: SignerParty, intent: Intent, act: Act, **changes: Any
    ) -> withdrawal_pb2.Withdrawal.Receipt:
        """A signer's own word; a refusal needs its `tags` among the changes."""
        receipt = self.world.receipt(signer, intent, act, **changes)
        return withdrawal_pb2.Withdrawal.Receipt(
            signer=signer.signer,
            act=_ACTS[act],
            tag=receipt.tags[0] if receipt.tags else "",
            envelope=self.world.cosign(receipt, signer).to_json(),
        )

    def price(self, envelope: Envelope) -> price_pb2.Price:
        price = Price.parse(envelope.payload)
        return price_pb2.Price(
            name=f"prices/{price.publisher}-{price.asset.lower()}",
            asset=_ASSETS[price.asset],
            publisher=price.publisher,
            units=price.price,
            envelope=envelope.to_json(),
            statement_digest=price.digest,
        )

    # The ledger.

    def posting(
        self, sequence: int, debit: str, credit: str, amount: Amount, resource: str = ""
    ) -> posting_pb2.Posting:
        return posting_pb2.Posting(
            name=f"{self.name}/postings/{sequence}-{debit}",
            account_sequence=sequence,
            amount=to_amount(amount),
            debit=debit,
            credit=credit,
            resource=resource,
        )

    def settle(self, name: str, *, fee: int = 1_000) -> None:
        """A withdrawal leaves: first held, then paid with its fee; a report no longer counts it."""
        withdrawal = self.withdrawals[f"{self.name}/withdrawals/{name}"]
        intent = Intent.parse(withdrawal.intent)
        asset, cost = intent.asset, amount_of(intent.asset, fee)
        moved = (
            ("available", "withdrawing", intent.amount + intent.fee_cap),
            ("withdrawing", "external", intent.amount),
            ("withdrawing", "network_fees", cost),
            ("withdrawing", "available", intent.fee_cap - cost),
        )
        for debit, credit, amount in moved:
            self.sequence += 1
            self.postings.append(self.posting(self.sequence, debit, credit, amount, withdrawal.name))
        withdrawal.state = withdrawal_pb2.Withdrawal.STATE_SETTLED
        withdrawal.account_sequence = self.sequence
        rest = HELD[asset] - intent.amount.units - fee
        positions = tuple(
            self.holding(each, rest) if each is asset else self.position(each) for each in Asset
        )
        self.report = self.make_report(batch=6, positions=positions)

    def holding(self, asset: Asset, units: int) -> AssetPosition:
        """A position of so much, all free."""
        held, like = amount_of(asset, units), self.position(asset)
        assert like.price is not None
        return replace(
            like,
            confirmed=held,
            free=held,
            market_value=market_value(held, like.price),
            lending_value=lending_value(held, like.price, haircut_bps=like.haircut_bps),
        )

    # Reports.

    def position(self, asset: Asset, **changes: Any) -> AssetPosition:
        prices = [Price.parse(envelope.payload) for envelope in self.world.prices(asset)]
        prices.sort(key=lambda price: price.publisher)
        median = sorted(price.price.units for price in prices)[1]
        held, value = amount_of(asset, HELD[asset]), Value(str(median))
        haircut = self.world.policy.terms_of(asset).haircut_bps
        nothing = amount_of(asset, 0)
        reserved = self.under_lien(asset, lien_pb2.Lien.STATE_RESERVED)
        posted = self.under_lien(asset, lien_pb2.Lien.STATE_POSTED)
        position = AssetPosition(
            asset=asset,
            confirmed=held,
            pending=nothing,
            reserved=reserved,
            posted=posted,
            withdrawing=nothing,
            free=held - reserved - posted,
            shortfall=nothing,
            leaving=nothing,
            status=ValueStatus.OK,
            price=value,
            price_at=min(price.at for price in prices),
            price_sources=3,
            price_set=price_set(prices),
            haircut_bps=haircut,
            market_value=market_value(held, value),
            lending_value=lending_value(held, value, haircut_bps=haircut),
            capital_value=Value("0"),
            seen_at=ChainPoint(height=100, block_hash=BlockHash("ab" * 32)),
        )
        return replace(position, **changes)

    def under_lien(self, asset: Asset, state: lien_pb2.Lien.State) -> Amount:
        amounts = [lien.amount for lien in self.liens.values() if lien.state == state]
        return amount_of(asset, sum(int(a.units) for a in amounts if a.asset == _ASSETS[asset]))

    def make_report(
        self,
        *,
        batch: int = 5,
        positions: tuple[AssetPosition, ...] | None = None,
        batch_changes: dict[str, Any] | None = None,
        **changes: Any,
    ) -> collateral_report_pb2.CollateralReport:
        """The middle one of three leaves, signed by the attestation key."""
        world = self.world
        report = Report(
            network=world.network,
            account=world.account.account,
            account_sequence=self.sequence,
            at=world.now,
            currency=world.policy.prices.currency,
            policy_digest=world.policy.digest,
            encumbrance_head=Digest(self.head[1]),
            encumbrance_sequence=self.head[0],
            ethereum_custody="single-holder",
            halted=False,
            positions=positions or tuple(self.position(asset) for asset in Asset),
        )
        report = replace(report, **changes)
        leaves = [b"before", report.payload(), b"behind"]
        tree = MerkleTree(leaves)
        statement = ReportBatch(
            network=world.network,
            sequence=batch,
            previous=GENESIS if batch == 1 else self.batches.get(batch - 1, Digest("cd" * 32)),
            root=tree.root,
            size=3,
            at=world.now,
        )
        statement = replace(statement, **(batch_changes or {}))
        self.batches[batch] = statement.digest
        return collateral_report_pb2.CollateralReport(
            name=f"{self.name}/collateralReport",
            report=leaves[1],
            batch=world.sign(statement, world.attestation).to_json(),
            merkle_path=[node.raw for node in tree.path(1)],
            leaf_index=1,
            tree_size=3,
            account_sequence=report.account_sequence,
        )

    def report_at(self, at: Seconds, **changes: Any) -> collateral_report_pb2.CollateralReport:
        """A report that was made then, of prices of that time, whatever anybody signed."""
        positions = tuple(self.position(asset, price_at=at) for asset in Asset)
        return self.make_report(**{"at": at, "batch_changes": {"at": at}, "positions": positions, **changes})

    # Encumbrances.

    def encumber(self, request: Any) -> lien_pb2.Lien:
        """What a lien service does: one place after another, one effect per request id."""
        if request.request_id in self.outcomes:
            return self.outcomes[request.request_id]
        envelope = Envelope.from_json(request.envelope)
        statement = Encumbrance.read(envelope, network=self.world.network)
        if (statement.sequence, statement.previous) != (self.head[0] + 1, self.head[1]):
            raise failed("STATEMENT_STALE", metadata={"sequence": str(self.head[0]), "digest": self.head[1]})
        name = f"{self.name}/liens/{statement.lien}"
        if statement.kind is EncumbranceKind.RESERVE and name in self.liens:
            raise Refused(code_pb2.ALREADY_EXISTS, "RESOURCE_ALREADY_EXISTS")
        if statement.amount.units > HELD[statement.amount.asset]:
            raise failed(
                "COLLATERAL_INSUFFICIENT", metadata={"free_units": str(HELD[statement.amount.asset])}
            )
        self.sequence += 1
        self.head = (statement.sequence, envelope.digest)
        self.account.encumbrance_sequence, self.account.encumbrance_digest = self.head
        states = {
            EncumbranceKind.RESERVE: lien_pb2.Lien.STATE_RESERVED,
            EncumbranceKind.POST: lien_pb2.Lien.STATE_POSTED,
            EncumbranceKind.VOID: lien_pb2.Lien.STATE_VOIDED,
        }
        lien = lien_pb2.Lien(
            name=name,
            amount=to_amount(statement.amount),
            state=states[statement.kind],
            envelope=request.envelope,
            statement_digest=envelope.digest,
            encumbrance_sequence=statement.sequence,
            account_sequence=self.sequence,
        )
        self.liens[name] = self.outcomes[request.request_id] = lien
        return lien

    # The API's methods by name.

    def answer(self, method: str, request: Any) -> Any:
        with self.lock:
            self.calls.append((method, request))
            if self.failures.get(method):
                raise self.failures[method].pop(0)
            reply = copy.deepcopy(getattr(self, _handler(method))(request))
            if self.meanwhile.get(method):
                self.meanwhile[method].pop(0)()
            if self.lost.get(method, 0):
                self.lost[method] -= 1
                raise Refused(code_pb2.DEADLINE_EXCEEDED, "", domain="", message="lost on the way")
            return reply

    def _on_get_policy(self, request: Any) -> Any:
        return self.policy

    def _on_get_account(self, request: Any) -> Any:
        return self.account

    def _on_list_accounts(self, request: Any) -> Any:
        return collateral_service_pb2.ListAccountsResponse(accounts=[self.account])

    def _on_get_destination(self, request: Any) -> Any:
        return _found(self.destinations, request.name)

    def _on_list_destinations(self, request: Any) -> Any:
        return collateral_service_pb2.ListDestinationsResponse(destinations=self.destinations.values())

    def _on_get_withdrawal(self, request: Any) -> Any:
        return _found(self.withdrawals, request.name)

    def _on_list_withdrawals(self, request: Any) -> Any:
        return collateral_service_pb2.ListWithdrawalsResponse(withdrawals=self.withdrawals.values())

    def _on_get_lien(self, request: Any) -> Any:
        return _found(self.liens, request.name)

    def _on_list_liens(self, request: Any) -> Any:
        return collateral_service_pb2.ListLiensResponse(liens=self.liens.values())

    def _on_list_deposits(self, request: Any) -> Any:
        deposit = deposit_pb2.Deposit(
            name=f"{self.name}/deposits/d-one",
            amount=amount_pb2.Amount(asset=amount_pb2.ASSET_BTC, units=str(2 * BTC)),
            state=deposit_pb2.Deposit.STATE_CREDITED,
            transaction_id="ef" * 32,
            output_index=0,
            confirmations=6,
        )
        return collateral_service_pb2.ListDepositsResponse(deposits=[deposit])

    def _on_list_postings(self, request: Any) -> Any:
        return collateral_service_pb2.ListPostingsResponse(postings=self.postings)

    def _on_list_prices(self, request: Any) -> Any:
        return collateral_service_pb2.ListPricesResponse(prices=self.prices)

    def _on_get_collateral_report(self, request: Any) -> Any:
        return self.report

    def _on_publish_prices(self, request: Any) -> Any:
        prices = [self.price(Envelope.from_json(envelope)) for envelope in request.envelopes]
        return price_service_pb2.PublishPricesResponse(prices=prices)

    def _on_reserve_lien(self, request: Any) -> Any:
        return self.encumber(request)

    def _on_post_lien(self, request: Any) -> Any:
        return self.encumber(request)

    def _on_void_lien(self, request: Any) -> Any:
        return self.encumber(request)

    def _on_create_account(self, request: Any) -> Any:
        return self.account

    def _on_sign_account(self, request: Any) -> Any:
        return self.account

    _on_lift_halt = _on_sign_account

    def _on_create_destination(self, request: Any) -> Any:
        envelope = Envelope.from_json(request.envelope)
        entry = AllowlistEntry.parse(envelope.payload)
        return destination_pb2.Destination(
            name=f"{request.parent}/destinations/{request.destination_id}",
            asset=_ASSETS[entry.destination.asset],
            address=chain_address(entry.destination),
            state=destination_pb2.Destination.STATE_PENDING_APPROVAL,
            envelope=request.envelope,
            statement_digest=envelope.digest,
        )

    def _on_approve_destination(self, request: Any) -> Any:
        return _found(self.destinations, request.name)

    def _on_create_withdrawal(self, request: Any) -> Any:
        return self.withdrawals[f"{self.name}/withdrawals/{WITHDRAWAL}"]

    def _on_sign_withdrawal(self, request: Any) -> Any:
        return _found(self.withdrawals, request.name)

    _on_release_withdrawal = _on_approve_withdrawal = _on_cancel_withdrawal = _on_sign_withdrawal

    def sent(self, method: str) -> list[Any]:
        """The requests of a method, in order."""
        return [request for name, request in self.calls if name == method]


def _handler(method: str) -> str:
    """`GetAccount` is answered by `_on_get_account`."""
    return "_on_" + re.sub(r"(?<!^)(?=[A-Z])", "_", method).lower()


def _found(resources: dict[str, Any], name: str) -> Any:
    if name not in resources:
        raise Refused(code_pb2.NOT_FOUND, "RESOURCE_NOT_FOUND")
    return resources[name]


class _Servicer:
    """Every method of every service, by name."""

    def __init__(self, custody: FakeCustody) -> None:
        self._custody = custody

    def __getattr__(self, method: str) -> Any:
        if method == "WatchCollateral":
            return self._watch
        return lambda request, context: self._unary(method, request, context)

    def _unary(self, method: str, request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return self._custody.answer(method, request)
        except Refused as refused:
            context.abort_with_status(rpc_status.to_status(refused.status))

    def _watch(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        self._custody.calls.append(("WatchCollateral", request))
        yield from self._custody.events
        self._custody.end_stream(context)


@contextmanager
def serve(custody: FakeCustody, authority: CertificateAuthority) -> Iterator[str]:
    """Serve it on loopback; only certificates of the authority get in.

    Yields:
        HOST:PORT.
    """
    certificate = authority.issue(SERVER_NAME, server=True)
    credentials = grpc.ssl_server_credentials(
        [(certificate.key_file.read_bytes(), certificate.certificate_file.read_bytes())],
        root_certificates=certificate.authority_file.read_bytes(),
        require_client_auth=True,
    )
    server = grpc.server(ThreadPoolExecutor(4))
    servicer: Any = _Servicer(custody)
    for module, service in (
        (account_service_pb2_grpc, "AccountService"),
        (approval_service_pb2_grpc, "ApprovalService"),
        (collateral_service_pb2_grpc, "CollateralService"),
        (lien_service_pb2_grpc, "LienService"),
        (policy_service_pb2_grpc, "PolicyService"),
        (price_service_pb2_grpc, "PriceService"),
        (withdrawal_service_pb2_grpc, "WithdrawalService"),
    ):
        getattr(module, f"add_{service}Servicer_to_server")(servicer, server)
    port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(grace=0).wait()


def credentials_of(
    authority: CertificateAuthority, name: str, *, server_name: str = SERVER_NAME
) -> Credentials:
    """A client's files."""
    certificate = authority.issue(name)
    return Credentials(
        authority=certificate.authority_file,
        certificate=certificate.certificate_file,
        private_key=certificate.key_file,
        server_name=server_name,
    )


def new_authority(folder: Path) -> CertificateAuthority:
    """An authority with its own folder."""
    private = folder / "private"
    private.mkdir()
    return CertificateAuthority(folder=folder, private_folder=private)


def later(world: World, seconds: int) -> Seconds:
    """The world's time, moved."""
    return Seconds(world.now + seconds)
