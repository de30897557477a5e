"""`bailee account`: pledge accounts. Addresses are printed only after everything behind them verified."""

from pathlib import Path
from typing import Annotated, Any

import typer

from custody.cli.arguments import AccountArgument, OutOption
from custody.cli.context import Context, Link, command
from custody.cli.documents import read_agreement, write_envelope
from custody.cli.faults import UsageError
from custody.cli.resources import entity_of, last_id, state_of
from custody.cli.statement_view import account_summary, statement_json
from custody.client import Agreement, Custodian, MarginEngine, Pledgor, as_json
from custody.client.signing_party import SigningParty
from signers.statements import multisig
from signers.statements.account import Account
from signers.statements.envelope import Envelope
from signers.statements.identifiers import EntityId

app = typer.Typer(no_args_is_help=True, help="Pledge accounts.")

AgreementOption = Annotated[
    Path, typer.Option("--agreement", help="TOML of what the three parties agreed, keys and addresses.")
]
_UNVERIFIED = ("bitcoin_address", "bitcoin_descriptor", "ethereum_address")
"""A script must not find an address that nobody verified: `account verify` prints them."""


@command(app, "create")
async def create(context: Context, account: AccountArgument, agreement: AgreementOption) -> None:
    """Begin an account (custodian): the signers create its keys, then the parties sign."""
    agreed = read_agreement(agreement, context.network)
    async with context.connect() as link:
        _print(context, await link.custodian().create_account(account, agreement=agreed))


@command(app, "show")
async def show(context: Context, account: AccountArgument) -> None:
    """Show where an account stands and who has yet to sign."""
    async with context.connect() as link:
        _print(context, await link.reader().account(account))


@command(app, "list")
async def list_accounts(context: Context) -> None:
    """List the accounts that you may see."""
    async with context.connect() as link:
        documents = [_document(resource) for resource in await link.reader().accounts()]
    if context.output.as_json:
        context.output.result({"accounts": documents})
        return
    context.output.table(
        ("account", "state", "pledgor", "secured party", "missing signatures"),
        [
            (
                last_id(document["name"]),
                state_of(document),
                entity_of(document, "pledgor"),
                entity_of(document, "secured_party"),
                ", ".join(document["missing_signatures"]),
            )
            for document in documents
        ],
    )


@command(app, "sign")
async def sign(context: Context, account: AccountArgument, agreement: AgreementOption) -> None:
    """Sign the account statement, if it says what was agreed (each party once)."""
    agreed = read_agreement(agreement, context.network)
    async with context.connect() as link:
        party = _party(link, agreed, context.profile.need("entity"))
        _print(context, await party.sign_account(account, agreement=agreed))


@command(app, "verify")
async def verify(
    context: Context,
    account: AccountArgument,
    agreement: Annotated[
        Path | None, typer.Option("--agreement", help="Also compare it with what the parties agreed.")
    ] = None,
    out: OutOption = None,
) -> None:
    """Verify every signature behind an account, then print its addresses.

    Whose keys they are only the parties know: give the agreement before you send coins.
    """
    agreed = None if agreement is None else read_agreement(agreement, context.network)
    async with context.connect() as link:
        resource = await link.reader().account(account)
        statement = link.trust.verify_account(resource, account=account)
    if agreed is not None:
        agreed.require(statement)
    if out is not None:
        write_envelope(out, Envelope.from_json(resource.envelope))
    if context.output.as_json:
        context.output.result({**statement_json(statement), "addresses": _addresses(statement)})
        return
    context.output.pairs(
        {
            **account_summary(statement),
            "descriptor": multisig.descriptor(statement.bitcoin.keys),
            "verified": "every signature, and that it says what was agreed"
            if agreed
            else "every signature; compare the parties' keys with the agreement, or give --agreement",
        }
    )


def _party(link: Link, agreed: Agreement, entity: EntityId) -> SigningParty:
    kinds: dict[EntityId, type[SigningParty]] = {
        agreed.pledgor.entity: Pledgor,
        agreed.secured_party.entity: MarginEngine,
        agreed.custodian.entity: Custodian,
    }
    if entity not in kinds:
        raise UsageError(f"entity {entity} is no party of the agreement: {', '.join(sorted(kinds))}")
    return link.party(kinds[entity])


def _addresses(statement: Account) -> dict[str, str]:
    shown = account_summary(statement)
    return {
        "bitcoin": str(shown["bitcoin address"]),
        "ethereum": str(shown["ethereum address"]),
        "descriptor": multisig.descriptor(statement.bitcoin.keys),
    }


def _document(resource: Any) -> dict[str, Any]:
    return {name: value for name, value in as_json(resource).items() if name not in _UNVERIFIED}


def _print(context: Context, resource: Any) -> None:
    document = _document(resource)
    if context.output.as_json:
        context.output.result(document)
        return
    unsigned = "none" if document["statement_digest"] else "nothing to sign yet"
    context.output.pairs(
        {
            "account": last_id(document["name"]),
            "state": state_of(document),
            "halted": document["halt_reason"] or "no",
            "pledgor": entity_of(document, "pledgor"),
            "secured party": entity_of(document, "secured_party"),
            "missing signatures": ", ".join(document["missing_signatures"]) or unsigned,
            "statement digest": document["statement_digest"] or "none yet",
            "sequence": document["account_sequence"],
            "addresses": "by `bailee account verify`",
        }
    )
