"""`bailee policy`: written, signed and merged offline; shown only against the pinned digest."""

from pathlib import Path
from typing import Annotated

import typer

from custody.cli.arguments import OutOption
from custody.cli.context import Context, command
from custody.cli.documents import read_envelope, read_policy_terms, write_envelope
from custody.cli.faults import UsageError
from custody.cli.statement_view import policy_summary, statement_json
from custody.client import VerificationError
from signers.statements.envelope import Envelope, public_key_of, sign
from signers.statements.policy import Policy, Role

app = typer.Typer(no_args_is_help=True, help="The rules that custody and every signer enforce.")

PolicyFile = Annotated[Path, typer.Argument(metavar="FILE", help="A policy envelope.")]
Pinned = Annotated[
    str | None, typer.Option("--digest", help="Sign only if the policy has this digest; asks nobody.")
]


@command(app, "draft")
async def draft(
    context: Context,
    terms: Annotated[Path, typer.Argument(metavar="TERMS", help="TOML of the terms.")],
    out: Annotated[Path, typer.Option("--out", help="Where the unsigned policy goes.")],
) -> None:
    """Make an unsigned policy from readable terms; prints its digest, which everybody pins."""
    policy = read_policy_terms(terms)
    write_envelope(out, policy.envelope())
    _print(context, policy)


@command(app, "sign")
async def sign_policy(
    context: Context,
    file: PolicyFile,
    out: Annotated[
        Path | None, typer.Option("--out", help="Where the signed policy goes; FILE itself.")
    ] = None,
    digest: Pinned = None,
) -> None:
    """Add an admin's signature, offline, after showing what it says."""
    envelope = read_envelope(file)
    policy = Policy.read(envelope, network=context.network)
    context.confirm(policy_summary(policy), policy.digest, pinned=digest, verb="Sign")
    key = context.key()
    admins = {k.public_key for k in policy.keys if k.role is Role.ADMIN and k.revoked_at is None}
    if public_key_of(key) not in admins:
        raise VerificationError("this key is no admin's key of the policy; nothing was signed")
    signed = sign(key, envelope)
    write_envelope(out or file, signed)
    _print_signatures(context, signed, out or file)


@command(app, "merge")
async def merge(
    context: Context,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Envelopes of the same policy.")],
    out: Annotated[Path, typer.Option("--out", help="Where the merged policy goes.")],
) -> None:
    """Gather the signatures of several copies of one policy."""
    first, *others = (read_envelope(file) for file in files)
    try:
        merged = first.with_signatures_of(others)
    except ValueError as error:
        raise UsageError(str(error)) from error
    write_envelope(out, merged)
    _print_signatures(context, merged, out)


@command(app, "show")
async def show(
    context: Context,
    file: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="A policy envelope; else policy_file, else the service's."),
    ] = None,
    out: OutOption = None,
) -> None:
    """Show the policy, if it is the pinned one and its admins signed it."""
    source: Path | None = file or context.profile.get("policy_file")
    if source is not None:
        envelope = read_envelope(source)
    else:
        async with context.connect() as link:
            envelope = link.policy
    policy = context.pinned_policy(envelope.to_json()).policy
    if out is not None:
        write_envelope(out, envelope)
    _print(context, policy)


def _print(context: Context, policy: Policy) -> None:
    context.output.document(statement_json(policy), {"digest": policy.digest, **policy_summary(policy)})


def _print_signatures(context: Context, envelope: Envelope, file: Path) -> None:
    signatures = [str(signature.keyid) for signature in envelope.signatures]
    context.output.document(
        {"file": str(file), "digest": envelope.digest, "signatures": signatures},
        {"file": file, "digest": envelope.digest, "signatures": ", ".join(signatures) or "none"},
    )
