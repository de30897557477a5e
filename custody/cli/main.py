"""`bailee`: noun, then verb. Exit code 0 done, 1 refused or not verified, 2 asked wrongly."""

from importlib.metadata import version
from typing import Annotated, Final

import typer

from custody.cli import (
    account_commands,
    destination_commands,
    key_commands,
    lien_commands,
    policy_commands,
    price_commands,
    read_commands,
    withdrawal_commands,
)
from custody.cli.context import command

NOUNS: Final = {
    "key": key_commands.app,
    "policy": policy_commands.app,
    "account": account_commands.app,
    "destination": destination_commands.app,
    "price": price_commands.app,
    "deposit": read_commands.deposits,
    "lien": lien_commands.app,
    "withdrawal": withdrawal_commands.app,
    "report": read_commands.reports,
    "postings": read_commands.postings,
    "receipt": read_commands.receipts,
    "statement": read_commands.statements,
}


def build() -> typer.Typer:
    """The whole command."""
    app = typer.Typer(
        name="bailee",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        help="Pledged BTC and ETH in custody. Verifies what it is told, decodes what it signs.",
    )
    for noun, commands in NOUNS.items():
        app.add_typer(commands, name=noun)
    command(app, "watch")(read_commands.watch)
    app.callback()(_options)
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(version("bailee"))
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Nothing but `--version` stands before the noun."""


def main() -> None:
    """The console script."""
    build()()


if __name__ == "__main__":
    main()
