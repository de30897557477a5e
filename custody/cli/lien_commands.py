"""`bailee lien`: what the secured party holds."""

from typing import Annotated, Any

import typer

from custody.cli.arguments import AccountArgument, AmountArgument, LienArgument
from custody.cli.context import Context, Link, command
from custody.cli.quantities import parse_amount
from custody.cli.resources import amount_of_resource, last_id, state_of
from custody.client import as_json
from custody.client.margin_engine import RESERVATION_SECONDS

app = typer.Typer(no_args_is_help=True, help="Liens: what the secured party holds.")


@command(app, "reserve")
async def reserve(
    context: Context,
    account: AccountArgument,
    lien: LienArgument,
    amount: AmountArgument,
    seconds: Annotated[
        int, typer.Option("--seconds", min=1, max=86_400, help="When it lapses by itself.")
    ] = RESERVATION_SECONDS,
) -> None:
    """Hold free units for a while (secured party)."""
    units = parse_amount(amount)
    async with context.connect() as link:
        await _print(link, account, await link.margin_engine().reserve(account, lien, units, seconds=seconds))


@command(app, "post")
async def post(
    context: Context, account: AccountArgument, lien: LienArgument, amount: AmountArgument
) -> None:
    """Make a reservation stand, wholly or in part; the rest of it is freed (secured party)."""
    units = parse_amount(amount)
    async with context.connect() as link:
        await _print(link, account, await link.margin_engine().post(account, lien, units))


@command(app, "void")
async def void(
    context: Context,
    account: AccountArgument,
    lien: LienArgument,
    amount: Annotated[
        str | None,
        typer.Argument(metavar="AMOUNT", help="What it still holds; by its latest statement if absent."),
    ] = None,
) -> None:
    """Give a lien back, whole (secured party)."""
    units = None if amount is None else parse_amount(amount)
    async with context.connect() as link:
        await _print(link, account, await link.margin_engine().void(account, lien, units))


@command(app, "show")
async def show(context: Context, account: AccountArgument, lien: LienArgument) -> None:
    """Show one lien, as the secured party signed it."""
    async with context.connect() as link:
        await _print(link, account, await link.reader().lien(account, lien))


@command(app, "list")
async def list_liens(context: Context, account: AccountArgument) -> None:
    """List an account's liens, each as the secured party signed it."""
    async with context.connect() as link:
        liens = await _documents(link, account, *await link.reader().liens(account))
    context.output.listing(
        "liens",
        liens,
        {
            "lien": lambda lien: last_id(lien["name"]),
            "amount": lambda lien: amount_of_resource(lien.get("amount")),
            "state": state_of,
            "encumbrance": lambda lien: lien["encumbrance_sequence"],
            "digest": lambda lien: lien["statement_digest"],
        },
    )


async def _documents(link: Link, account: str, *resources: Any) -> list[dict[str, Any]]:
    """What the service says of liens, which says what the secured party signed."""
    statement = await link.reader().verified_account(account)
    for resource in resources:
        link.trust.verify_lien(resource, statement)
    return [as_json(resource) for resource in resources]


async def _print(link: Link, account: str, resource: Any) -> None:
    (lien,) = await _documents(link, account, resource)
    link.context.output.document(
        lien,
        {
            "lien": lien["name"],
            "amount": amount_of_resource(lien.get("amount")),
            "state": state_of(lien),
            "encumbrance": lien["encumbrance_sequence"],
            "digest": lien["statement_digest"],
            "account sequence": lien["account_sequence"],
        },
    )
