"""`bailee key`: people's keys, on this machine alone."""

from pathlib import Path
from typing import Annotated

import typer

from custody.cli.context import Context, command
from custody.client import new_key
from signers.statements.envelope import public_key_of
from signers.statements.identifiers import Ed25519Key

app = typer.Typer(no_args_is_help=True, help="Your keys: encrypted files that only you can read.")

KeyFile = Annotated[Path, typer.Argument(metavar="FILE", help="The key file.")]


@command(app, "new")
async def new(context: Context, file: KeyFile) -> None:
    """Make an Ed25519 key, encrypted with a passphrase; prints the public key to hand out."""
    passphrase = context.passphrase(f"Passphrase of {file} (12 bytes or more): ", confirm=True)
    _print(context, file, new_key(file, passphrase))


@command(app, "show")
async def show(context: Context, file: KeyFile) -> None:
    """Print the public key of a key file; asks for its passphrase."""
    _print(context, file, public_key_of(context.key(file)))


def _print(context: Context, file: Path, key: Ed25519Key) -> None:
    context.output.document(
        {"file": str(file), "public_key": str(key), "key_id": str(key.key_id)},
        {"file": file, "public key": key, "key id": key.key_id},
    )
