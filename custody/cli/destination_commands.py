"""`bailee destination`: where an account's coins may go."""

from pathlib import Path
from typing import Annotated, Any

import typer

from custody.cli.addresses import destination_raw, destination_text, parse_destination
from custody.cli.arguments import (
    AccountArgument,
    AddressArgument,
    DestinationArgument,
    DigestOption,
    OutOption,
)
from custody.cli.context import Context, command
from custody.cli.documents import write_envelope
from custody.cli.faults import UsageError
from custody.cli.resources import Resource, document_of, last_id, state_of
from custody.cli.statement_view import entry_summary, statement_json
from signers.statements.allowlist import BitcoinDestination, ownership_message
from signers.statements.identifiers import AccountId, DestinationId, Proof

app = typer.Typer(no_args_is_help=True, help="The allowlist: where coins may go.")

_PROOF_BYTES_MAX = 8192


@command(app, "prove-message")
async def prove_message(
    context: Context, account: AccountArgument, destination: DestinationArgument, address: AddressArgument
) -> None:
    """Print the exact message that the address's owner signs (BIP-322 or EIP-191). Offline."""
    where = parse_destination(address, context.network)
    message = ownership_message(
        network=context.network,
        account=AccountId(account),
        destination_id=DestinationId(destination),
        destination=where,
    )
    scheme = "BIP-322" if isinstance(where, BitcoinDestination) else "EIP-191"
    if context.output.as_json:
        context.output.result({"message": message, "scheme": scheme, "raw": destination_raw(where)})
    else:
        context.output.text(message)


@command(app, "propose")
async def propose(
    context: Context,
    account: AccountArgument,
    destination: DestinationArgument,
    address: AddressArgument,
    *,
    proof: Annotated[
        str | None, typer.Option("--proof", help="The owner's signature over the message.")
    ] = None,
    proof_file: Annotated[
        Path | None, typer.Option("--proof-file", help="A file with that signature.")
    ] = None,
) -> None:
    """Sign an allowlist entry and hand it in (pledgor)."""
    where = parse_destination(address, context.network)
    signature = _proof(proof, proof_file)
    async with context.connect() as link:
        resource = await link.pledgor().propose_destination(account, destination, where, proof=signature)
    _print(context, resource)


@command(app, "approve")
async def approve(
    context: Context, account: AccountArgument, destination: DestinationArgument, digest: DigestOption = None
) -> None:
    """Approve an allowlist entry (approver), decoded on this machine."""
    async with context.connect() as link:
        approver = link.approver()
        entry, _ = await approver.allowlist_entry(account, destination)
        context.confirm(entry_summary(entry), entry.digest, pinned=digest, verb="Approve")
        resource = await approver.approve_destination(account, destination, entry_digest=entry.digest)
    _print(context, resource)


@command(app, "show")
async def show(
    context: Context, account: AccountArgument, destination: DestinationArgument, out: OutOption = None
) -> None:
    """Show one destination: what the pledgor signed, and who has approved."""
    async with context.connect() as link:
        reader = link.reader()
        statement, shown = (
            await reader.verified_account(account),
            await reader.destination(account, destination),
        )
        entry, envelope = link.trust.verify_destination(shown, statement, destination_id=destination)
    resource = _document(shown)
    if out is not None:
        write_envelope(out, envelope)
    context.output.document(
        {"destination": resource, "entry": statement_json(entry)},
        {**entry_summary(entry), "digest": entry.digest, **_progress(resource)},
    )


@command(app, "list")
async def list_destinations(context: Context, account: AccountArgument) -> None:
    """List an account's destinations, each as its pledgor signed it."""
    async with context.connect() as link:
        reader = link.reader()
        statement = await reader.verified_account(account)
        rows = []
        for resource in await reader.destinations(account):
            name = last_id(resource.name)
            entry, _ = link.trust.verify_destination(resource, statement, destination_id=name)
            rows.append((entry, _document(resource)))
    context.output.listing(
        "destinations",
        rows,
        {
            "destination": lambda row: row[0].destination_id,
            "asset": lambda row: row[0].destination.asset,
            "to": lambda row: destination_text(row[0].destination, row[0].network),
            "state": lambda row: state_of(row[1]),
            "approved by": lambda row: ", ".join(row[1]["approving_entities"]),
        },
        document=lambda row: {**row[1], "entry": statement_json(row[0])},
    )


def _proof(text: str | None, file: Path | None) -> Proof:
    if (text is None) is (file is None):
        raise UsageError("give the owner's signature by --proof or by --proof-file")
    if file is not None:
        with file.open(encoding="ascii") as opened:
            text = opened.read(_PROOF_BYTES_MAX)
    return Proof((text or "").strip().removeprefix("0x"))


def _document(resource: Any) -> dict[str, Any]:
    """Without the address that the service writes: the entry has it as the pledgor signed it."""
    return document_of(resource, without=("address",))


def _progress(resource: Resource) -> dict[str, object]:
    return {
        "state": state_of(resource),
        "approved by": ", ".join(resource["approving_entities"]) or "nobody",
        "missing approvals": resource["missing_approvals"],
    }


def _print(context: Context, shown: Any) -> None:
    resource = _document(shown)
    context.output.document(
        resource,
        {
            "destination": resource["name"],
            "digest": resource["statement_digest"],
            **_progress(resource),
        },
    )
