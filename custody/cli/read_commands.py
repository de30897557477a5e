"""The commands that only read: deposits, postings, reports, receipts, statements, and the stream."""

from pathlib import Path
from typing import Annotated, Any

import typer

from custody.cli.arguments import AccountArgument, WithdrawalArgument
from custody.cli.context import Context, command
from custody.cli.documents import read_envelope
from custody.cli.quantities import value_text
from custody.cli.report_view import Findings, report_json, report_pairs
from custody.cli.resources import Resource, amount_of_resource, last_id, state_of
from custody.cli.statement_view import (
    CheckedSignature,
    check_signatures,
    known_keys,
    read_any,
    statement_json,
    summary_of,
    when,
)
from custody.cli.withdrawal_commands import print_receipts
from custody.client import CollateralEvent, EventKind, VerificationError, as_json
from signers.statements.account import Account
from signers.statements.policy import Policy
from signers.statements.quorum import missing_parties, missing_signers
from signers.statements.report import Report

deposits = typer.Typer(no_args_is_help=True, help="Coins seen at an account's addresses.")
postings = typer.Typer(no_args_is_help=True, help="The ledger, to reconcile with.")
reports = typer.Typer(no_args_is_help=True, help="Signed reports: what the collateral is worth.")
receipts = typer.Typer(no_args_is_help=True, help="What the signers said, by their own keys.")
statements = typer.Typer(no_args_is_help=True, help="Any signed statement, offline.")


@command(deposits, "list")
async def list_deposits(context: Context, account: AccountArgument) -> None:
    """List an account's deposits."""
    async with context.connect() as link:
        rows = [as_json(resource) for resource in await link.reader().deposits(account)]
    context.output.listing(
        "deposits",
        rows,
        {
            "deposit": lambda row: last_id(row["name"]),
            "amount": lambda row: amount_of_resource(row.get("amount")),
            "state": state_of,
            "confirmations": lambda row: row["confirmations"],
            "transaction": _outpoint,
            "block": lambda row: f"{row['block_height']} {row['block_hash']}",
        },
    )


@command(postings, "list")
async def list_postings(context: Context, account: AccountArgument) -> None:
    """List the whole ledger of an account, oldest first."""
    async with context.connect() as link:
        rows = [as_json(resource) for resource in await link.reader().postings(account)]
    context.output.listing(
        "postings",
        rows,
        {
            "sequence": lambda row: row["account_sequence"],
            "amount": lambda row: amount_of_resource(row.get("amount")),
            "from": lambda row: row["debit"],
            "to": lambda row: row["credit"],
            "cause": lambda row: state_of(row, "cause", prefix="CAUSE_"),
            "resource": lambda row: row["resource"],
            "time": lambda row: row.get("create_time", "-"),
        },
    )


@command(reports, "show")
async def show_report(
    context: Context,
    account: AccountArgument,
    min_sequence: Annotated[
        int, typer.Option("--min-sequence", min=0, help="Wait until the report covers this account sequence.")
    ] = 0,
) -> None:
    """Show the latest report of an account, what was verified of it, and what it lends now."""
    async with context.connect() as link:
        reader = link.reader()
        report = await reader.report(account, min_account_sequence=min_sequence)
        prices = await reader.verified_prices()
        findings = Findings(
            evidence=reader.evidence(report, prices), lending_values=reader.lending_values(report, prices)
        )
    context.output.document(report_json(report, findings), report_pairs(report, findings))


@command(receipts, "show")
async def show_receipts(context: Context, account: AccountArgument, withdrawal: WithdrawalArgument) -> None:
    """Show the signers' receipts of a withdrawal, refusals included, each verified."""
    async with context.connect() as link:
        print_receipts(context, await link.reader().receipts(account, withdrawal))


@command(statements, "show")
async def show_statement(
    context: Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An envelope of any type.")],
    account_file: Annotated[
        Path | None, typer.Option("--account-file", help="The account statement, for the parties' keys.")
    ] = None,
) -> None:
    """Decode a statement and check its signatures by policy_file and --account-file. Offline.

    Ends with 1 unless there are signatures and every one is by a key that these name.
    """
    envelope = read_envelope(file)
    statement = read_any(envelope)
    policy = _pinned_policy(context)
    account = _account(account_file, policy)
    signatures = check_signatures(envelope, known_keys(policy, account, statement))
    if context.output.as_json:
        context.output.result(
            {**statement_json(statement), "signatures": [_signature(s) for s in signatures]}
        )
    else:
        context.output.pairs(
            {"type": statement.TYPE, "digest": statement.digest, **summary_of(statement, policy)}
        )
        context.output.table(
            ("signature", "by", "valid"), [(s.keyid, s.whose or "unknown", s.valid) for s in signatures]
        )
    if not signatures:
        raise VerificationError("the statement is not signed")
    if not all(signature.valid for signature in signatures):
        raise VerificationError("a signature is not by a key that is known here")


async def watch(
    context: Context,
    accounts: Annotated[
        list[str] | None, typer.Argument(metavar="ACCOUNT...", help="Ids; every account in scope if absent.")
    ] = None,
    seconds: Annotated[
        float, typer.Option("--seconds", min=0.1, max=86_400, help="How long to watch.")
    ] = 3600.0,
    snapshot: Annotated[bool, typer.Option("--snapshot", help="End after the snapshot.")] = False,
) -> None:
    """Watch collateral: a snapshot, then every change, each report verified. One JSON document per line."""
    async with context.connect() as link:
        async for event in link.reader().watch(*(accounts or ()), deadline_seconds=seconds):
            if context.output.as_json:
                context.output.line(_event(event))
            else:
                context.output.text(_event_text(event))
            if snapshot and event.kind is EventKind.HEARTBEAT:
                return


def _outpoint(deposit: Resource) -> str:
    return f"{deposit['transaction_id']}:{deposit['output_index']}" if "output_index" in deposit else "-"


def _pinned_policy(context: Context) -> Policy | None:
    file: Path | None = context.profile.get("policy_file")
    return None if file is None else context.pinned_policy(read_envelope(file).to_json()).policy


def _account(file: Path | None, policy: Policy | None) -> Account | None:
    """The account statement, if its parties and signers all signed it: its keys are believed."""
    if file is None:
        return None
    if policy is None:
        raise VerificationError("an account statement is verified by the policy: set policy_file")
    envelope = read_envelope(file)
    account = Account.read(envelope, network=policy.network)
    absent = [*missing_parties(envelope, account), *missing_signers(envelope, policy)]
    if absent or account.policy_digest != policy.digest:
        raise VerificationError(f"{file}: not a complete account statement under the pinned policy")
    return account


def _signature(signature: CheckedSignature) -> dict[str, Any]:
    return {"keyid": signature.keyid, "by": signature.whose, "valid": signature.valid}


def _event(event: CollateralEvent) -> dict[str, Any]:
    return {
        "kind": event.kind.value,
        "account": event.account,
        "cause": event.cause,
        "resource": event.resource,
        "report": None if event.report is None else report_json(event.report),
        "account_sequence": event.account_sequence,
        "skipped": event.skipped,
        "retracted": event.retracted,
        "position": event.position,
        "at": event.at,
    }


def _event_text(event: CollateralEvent) -> str:
    if event.kind is EventKind.HEARTBEAT:
        return f"{when(event.at)}  alive"
    retracted = "" if event.retracted is None else "  retracts #{}–#{}".format(*event.retracted)
    return (
        f"{event.account}  #{event.account_sequence} {event.cause or event.kind.value}{retracted}"
        f"  {_values_text(event.report) if event.report else 'no report yet'}"
    )


def _values_text(report: Report) -> str:
    return "; ".join(
        f"{p.confirmed} confirmed, {p.free} free, lends {value_text(p.lending_value, report.currency)}"
        f" ({p.status})"
        for p in report.positions
    )
