"""`bailee withdrawal`: outflows. What is signed is decoded on this machine and pinned by its digest."""

from typing import Annotated, Any, Final

import typer

from custody.cli.addresses import destination_text
from custody.cli.arguments import AccountArgument, DigestOption, OutOption, WithdrawalArgument
from custody.cli.context import Context, command
from custody.cli.documents import write_envelope
from custody.cli.faults import UsageError
from custody.cli.quantities import amount_text, parse_amount
from custody.cli.resources import Resource, amount_of_resource, document_of, last_id, state_of
from custody.cli.statement_view import intent_summary, statement_json, when
from custody.client import TrustRoot, VerificationError
from signers.statements.envelope import Envelope
from signers.statements.intent import Intent
from signers.statements.policy import Policy
from signers.statements.receipt import Receipt

app = typer.Typer(no_args_is_help=True, help="Withdrawals: coins that leave.")

_PATIENCE_SECONDS: Final = 30.0

DestinationOption = Annotated[
    str | None, typer.Option("--destination", help="The destination's id, as it was asked.")
]
AmountOption = Annotated[str | None, typer.Option("--amount", help="What arrives, as it was asked: 0.5BTC.")]
FeeCapOption = Annotated[str | None, typer.Option("--fee-cap", help="The most all attempts may cost.")]


@command(app, "request")
async def request(
    context: Context,
    account: AccountArgument,
    withdrawal: WithdrawalArgument,
    *,
    destination: Annotated[str, typer.Option("--destination", help="A usable destination's id.")],
    amount: Annotated[str, typer.Option("--amount", help="What arrives, with its unit: 0.5BTC.")],
    fee_cap: Annotated[str, typer.Option("--fee-cap", help="The most all attempts may cost: 20000sat.")],
) -> None:
    """Ask for an outflow (pledgor); amount and fee cap are held from now on."""
    asked, cap = parse_amount(amount), parse_amount(fee_cap)
    async with context.connect() as link:
        resource = await link.pledgor().request_withdrawal(
            account, withdrawal, destination_id=destination, amount=asked, fee_cap=cap
        )
    _print(context, link.trust, account, resource)


@command(app, "sign")
async def sign(
    context: Context,
    account: AccountArgument,
    withdrawal: WithdrawalArgument,
    *,
    destination: DestinationOption = None,
    amount: AmountOption = None,
    fee_cap: FeeCapOption = None,
    digest: DigestOption = None,
) -> None:
    """Sign the intent as its maker (pledgor): compared with what was asked, or with --digest, or by you."""
    asked = (destination, amount, fee_cap)
    if any(asked) and not all(asked):
        raise UsageError("--destination, --amount and --fee-cap stand together")
    async with context.connect() as link:
        pledgor = link.pledgor()
        if destination and amount and fee_cap:
            resource = await pledgor.sign_withdrawal(
                account,
                withdrawal,
                destination_id=destination,
                amount=parse_amount(amount),
                fee_cap=parse_amount(fee_cap),
                patience_seconds=_PATIENCE_SECONDS,
            )
        else:
            planned = await pledgor.planned(account, withdrawal, patience_seconds=_PATIENCE_SECONDS)
            intent = await pledgor.intent_of(planned, account=account)
            _confirm(context, intent, link.trust.policy, pinned=digest, verb="Sign")
            resource = await pledgor.sign_intent(account, withdrawal, intent_digest=intent.digest)
    _print(context, link.trust, account, resource)


@command(app, "release")
async def release(
    context: Context, account: AccountArgument, withdrawal: WithdrawalArgument, digest: DigestOption = None
) -> None:
    """Consent to the outflow (secured party), decoded on this machine."""
    async with context.connect() as link:
        engine = link.margin_engine()
        intent = await engine.intent(account, withdrawal)
        _confirm(context, intent, link.trust.policy, pinned=digest, verb="Release")
        resource = await engine.release(account, withdrawal, intent_digest=intent.digest)
    _print(context, link.trust, account, resource)


@command(app, "settle")
async def settle(context: Context, account: AccountArgument) -> None:
    """Find out which releases have ended (secured party), and list those that still count against lending."""
    async with context.connect() as link:
        outstanding = await link.margin_engine().settle_releases(account)
        network = link.trust.policy.network
    context.output.listing(
        "outstanding",
        outstanding,
        {
            "withdrawal": lambda each: each.withdrawal,
            "most that can leave": lambda each: amount_text(each.held),
            "released until": lambda each: when(each.expires_at),
            "destination": lambda each: destination_text(each.intent.destination, network),
            "intent digest": lambda each: each.intent.digest,
        },
        document=lambda each: {
            "withdrawal": each.withdrawal,
            "intent_digest": each.intent.digest,
            "asset": each.held.asset.value,
            "held_units": str(each.held.units),
            "expires_at": each.expires_at,
        },
    )


@command(app, "approve")
async def approve(
    context: Context, account: AccountArgument, withdrawal: WithdrawalArgument, digest: DigestOption = None
) -> None:
    """Approve the outflow (approver), decoded on this machine."""
    async with context.connect() as link:
        approver = link.approver()
        intent = await approver.intent(account, withdrawal)
        _confirm(context, intent, link.trust.policy, pinned=digest, verb="Approve")
        resource = await approver.approve_withdrawal(account, withdrawal, intent_digest=intent.digest)
    _print(context, link.trust, account, resource)


@command(app, "cancel")
async def cancel(context: Context, account: AccountArgument, withdrawal: WithdrawalArgument) -> None:
    """End a withdrawal that no signer has announced (pledgor or custodian)."""
    async with context.connect() as link:
        statement = await link.reader().verified_account(account)
        custodian = statement.custodian.entity == context.profile.need("entity")
        party = link.custodian() if custodian else link.pledgor()
        resource = await party.cancel_withdrawal(account, withdrawal)
    _print(context, link.trust, account, resource)


@command(app, "show")
async def show(
    context: Context, account: AccountArgument, withdrawal: WithdrawalArgument, out: OutOption = None
) -> None:
    """Show one withdrawal; its intent is decoded here, and who has yet to sign."""
    async with context.connect() as link:
        reader = link.reader()
        resource = await reader.withdrawal(account, withdrawal)
        intent = await reader.intent_of(resource, account=account) if resource.intent else None
    document = _document(link.trust, account, resource)
    if out is not None:
        write_envelope(out, _signed_intent(resource.intent_envelope, intent))
    summary = {} if intent is None else intent_summary(intent, link.trust.policy)
    digest = "none yet" if intent is None else intent.digest
    context.output.document(
        {"withdrawal": document, "intent": None if intent is None else statement_json(intent)},
        {"withdrawal": document["name"], **summary, "digest": digest, **_progress(document)},
    )


@command(app, "list")
async def list_withdrawals(context: Context, account: AccountArgument) -> None:
    """List an account's withdrawals."""
    async with context.connect() as link:
        shown = await link.reader().withdrawals(account)
        withdrawals = [_document(link.trust, account, resource) for resource in shown]
    context.output.listing(
        "withdrawals",
        withdrawals,
        {
            "withdrawal": lambda each: last_id(each["name"]),
            "amount": lambda each: amount_of_resource(each.get("amount")),
            "destination": lambda each: last_id(each["destination"]),
            "state": state_of,
            "intent digest": lambda each: each["intent_digest"],
        },
    )


def print_receipts(context: Context, receipts: list[Receipt]) -> None:
    """The signers' own words, each verified by its signer's key."""
    context.output.listing(
        "receipts",
        receipts,
        {
            "signer": lambda receipt: receipt.signer,
            "act": lambda receipt: receipt.act,
            "tags": lambda receipt: ", ".join(receipt.tags),
            "at": lambda receipt: when(receipt.at),
            "journal": lambda receipt: receipt.journal_sequence,
            "SHA-256 of the unsigned payload": lambda receipt: receipt.transaction or "-",
        },
        document=statement_json,
    )


def _signed_intent(envelope: bytes, intent: Intent | None) -> Envelope:
    """The intent with the signatures collected, to hand on.

    Raises:
        UsageError: there is no intent yet.
        VerificationError: they are signatures over another one.
    """
    if intent is None:
        raise UsageError("the withdrawal has no intent yet")
    signed = Envelope.from_json(envelope)
    if signed.digest != intent.digest:
        raise VerificationError(f"signatures over {signed.digest} beside the intent {intent.digest}")
    return signed


def _confirm(context: Context, intent: Intent, policy: Policy, *, pinned: str | None, verb: str) -> None:
    context.confirm(intent_summary(intent, policy), intent.digest, pinned=pinned, verb=verb)


def _progress(document: Resource) -> dict[str, object]:
    missing = [each["description"] or each["role"] for each in document["missing_signatures"]]
    attempts = [f"{each['transaction_id']} {state_of(each)}" for each in document["attempts"]]
    refusals = [f"{each['signer']}: {each['tag']}" for each in document["refusals"]]
    return {
        "state": state_of(document),
        "missing signatures": "; ".join(missing) or "none",
        "transactions": ", ".join(attempts) or "none yet",
        "refused by signers": ", ".join(refusals) or "nobody",
        "sequence": document["account_sequence"],
    }


def _document(trust: TrustRoot, account: str, resource: Any) -> dict[str, Any]:
    """What the service says of a withdrawal, which says what its intent says, where there is one.

    Without the address that the service writes: the intent has it as everybody signed it.
    """
    trust.verify_withdrawal(resource, account=account)
    return document_of(resource, without=("destination_address",))


def _print(context: Context, trust: TrustRoot, account: str, resource: Any) -> None:
    document = _document(trust, account, resource)
    context.output.document(
        document,
        {
            "withdrawal": document["name"],
            "amount": amount_of_resource(document.get("amount")),
            "fee at most": amount_of_resource(document.get("fee_cap")),
            "destination": last_id(document["destination"]),
            "intent digest": document["intent_digest"] or "none yet",
            **_progress(document),
        },
    )
