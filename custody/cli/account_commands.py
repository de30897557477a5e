"""`bailee account`: pledge accounts. Addresses are printed only after everything behind them verified."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from custody.cli.arguments import AccountArgument, OutOption
from custody.cli.context import Context, Link, command
from custody.cli.documents import read_agreement, write_envelope
from custody.cli.faults import UsageError
from custody.cli.resources import document_of, entity_of, last_id, state_of
from custody.cli.statement_view import account_summary, statement_json
from custody.client import Agreement, Custodian, MarginEngine, Pledgor, VerificationError
from custody.client.names import account_name
from custody.client.signing_party import SigningParty
from signers.statements import multisig
from signers.statements.account import Account
from signers.statements.identifiers import EntityId

app = typer.Typer(no_args_is_help=True, help="Pledge accounts.")


class LiftableHalt(StrEnum):
    """Halts that a person lifts; the others end with their cause."""

    UNKNOWN_SPEND = "unknown-spend"
    FINALITY_REORG = "finality-reorg"
    RECONCILIATION = "reconciliation"


HaltArgument = Annotated[LiftableHalt, typer.Argument(metavar="HALT", help="As `account show` names it.")]
AgreementOption = Annotated[
    Path, typer.Option("--agreement", help="TOML of what the three parties agreed, keys and addresses.")
]
AgreementCompared = Annotated[
    Path | None, typer.Option("--agreement", help="TOML of the agreement, to compare every key with.")
]
_KINDS: Final[tuple[type[SigningParty], ...]] = (Pledgor, MarginEngine, Custodian)
_COMPARED: Final = {
    "agreement": "as in the agreement",
    "signed-statement": "as in the statement that was signed here",
    "own-key": "your own stands in your place, and signed this statement",
}
_UNVERIFIED = ("bitcoin_address", "bitcoin_descriptor", "ethereum_address", "enforcement")
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
        accounts = [_document(resource) for resource in await link.reader().accounts()]
    context.output.listing(
        "accounts",
        accounts,
        {
            "account": lambda account: last_id(account["name"]),
            "state": state_of,
            "pledgor": lambda account: entity_of(account, "pledgor"),
            "secured party": lambda account: entity_of(account, "secured_party"),
            "missing signatures": lambda account: ", ".join(account["missing_signatures"]),
        },
    )


@command(app, "sign")
async def sign(context: Context, account: AccountArgument, agreement: AgreementOption) -> None:
    """Sign the account statement, if it says what was agreed (each party once)."""
    agreed = read_agreement(agreement, context.network)
    async with context.connect() as link:
        party = _party(link, agreed, context.profile.need("entity"))
        _print(context, await party.sign_account(account, agreement=agreed))


@command(app, "lift-halt")
async def lift_halt(context: Context, account: AccountArgument, halt: HaltArgument) -> None:
    """Lift a halt you have looked at (custodian); the account opens if ledger and chains then agree."""
    async with context.connect() as link:
        _print(context, await link.custodian().lift_halt(account, f"HALT_{halt.name}"))


@command(app, "verify")
async def verify(
    context: Context, account: AccountArgument, agreement: AgreementCompared = None, out: OutOption = None
) -> None:
    """Verify every signature behind an account and whose keys stand in it, then print its addresses."""
    agreed = None if agreement is None else read_agreement(agreement, context.network)
    async with context.connect() as link:
        statement, envelope = await link.reader().account_statement(account)
        compared = _compare(link, statement, agreed)
    if out is not None:
        write_envelope(out, envelope)
    context.output.document(
        {**statement_json(statement), "addresses": _addresses(statement), "compared_with": compared},
        {
            **account_summary(statement),
            "descriptor": multisig.descriptor(statement.bitcoin.keys),
            "verified": "every signature; the parties' keys: "
            + (", ".join(map(_COMPARED.__getitem__, compared)) or "COMPARED WITH NOTHING: give --agreement"),
        },
    )


def _compare(link: Link, statement: Account, agreed: Agreement | None) -> list[str]:
    """Compare whose keys stand in a statement with all that is known here.

    Every signature can be right and the account still a stranger's: custody can open one under anybody's name
    with keys of its own.

    Returns:
        With what, by the names of `_COMPARED`; nothing for a reader that is no party and has no agreement.

    Raises:
        VerificationError: other keys, or the profile's entity is none of the parties.
    """
    compared = []
    if agreed is not None:
        agreed.require(statement)
        compared.append("agreement")
    if link.record.signed_about(account_name(statement.account)):  # `verified_account` compared it
        compared.append("signed-statement")
    entity = link.context.profile.get("entity")
    if not compared and entity is not None:
        _own_place(link, statement, entity)
        compared.append("own-key")
    return compared


def _own_place(link: Link, statement: Account, entity: EntityId) -> None:
    roles = {getattr(statement, kind.ROLE).entity: kind for kind in _KINDS}
    if entity not in roles:
        raise VerificationError(f"{entity} is no party of {statement.account}: compare it by --agreement")
    link.party(roles[entity]).require_own_place(statement)


def _party(link: Link, agreed: Agreement, entity: EntityId) -> SigningParty:
    kinds = {getattr(agreed, kind.ROLE).entity: kind for kind in _KINDS}
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
    return document_of(resource, without=_UNVERIFIED)


def _print(context: Context, resource: Any) -> None:
    document = _document(resource)
    unsigned = "none" if document["statement_digest"] else "nothing to sign yet"
    context.output.document(
        document,
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
        },
    )
