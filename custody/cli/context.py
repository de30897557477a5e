"""What every command gets: its profile, its output, and a verified connection when it asks for one."""

import asyncio
import functools
import getpass
import inspect
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from custody.cli.faults import EXPECTED, NotConfirmedError, UsageError, fault_of
from custody.cli.output import Output
from custody.cli.profile import SETTINGS, Profile
from custody.client import (
    Approver,
    Connection,
    Credentials,
    Custodian,
    MarginEngine,
    Pledgor,
    Publisher,
    Reader,
    SigningRecord,
    TrustRoot,
    VerificationError,
    load_key,
    read_policy,
)
from custody.client.signing_party import SigningParty
from signers.statements.envelope import Envelope
from signers.statements.identifiers import Digest
from signers.statements.network import Network

_PASSPHRASE_BYTES_MAX: Final = 1024
_PANEL: Final = "Profile (overrides the file)"

P = TypeVar("P", bound=SigningParty)


@dataclass(frozen=True, kw_only=True)
class Link:
    """A connection, the policy it is judged by, and what this client remembers."""

    connection: Connection
    trust: TrustRoot
    policy: Envelope
    """What `trust` was loaded from."""
    record: SigningRecord
    context: "Context"

    def reader(self) -> Reader:
        """Whoever the certificate names."""
        return Reader(self.connection, self.trust, record=self.record)

    def party(self, kind: type[P]) -> P:
        """A party of accounts, with its key."""
        key = self.context.key()
        entity = self.context.profile.need("entity")
        return kind(self.connection, self.trust, entity=entity, key=key, record=self.record)

    def pledgor(self) -> Pledgor:
        """The pledgor."""
        return self.party(Pledgor)

    def margin_engine(self) -> MarginEngine:
        """The secured party."""
        return self.party(MarginEngine)

    def custodian(self) -> Custodian:
        """The custodian's operator."""
        return self.party(Custodian)

    def approver(self) -> Approver:
        """An approver of the policy."""
        return Approver(self.connection, self.trust, key=self.context.key(), record=self.record)

    def publisher(self) -> Publisher:
        """A price publisher."""
        entity = self.context.profile.need("entity")
        return Publisher(self.connection, self.trust, entity=entity, key=self.context.key())


class Context:
    """One command's surroundings. Settings are read when they are needed: offline commands need few."""

    def __init__(self, profile: Profile, output: Output) -> None:
        self.profile = profile
        self.output = output

    @property
    def network(self) -> Network:
        """The chains it is about."""
        return self.profile.network

    def key(self, path: Path | None = None) -> Ed25519PrivateKey:
        """The profile's key, or the one of a file."""
        file = path or self.profile.need("key_file")
        return load_key(file, self.passphrase(f"Passphrase of {file}: "))

    def passphrase(self, prompt: str, *, confirm: bool = False) -> bytes:
        """From the passphrase file, or asked for; never an argument or the environment, which others can see.

        Raises:
            UsageError: the file is open to others, or there is nobody to ask.
        """
        file: Path | None = self.profile.get("passphrase_file")
        if file is not None:
            return _read_passphrase(file)
        if not _somebody_is_there():
            raise UsageError("nobody is there to ask for a passphrase: give --passphrase-file")
        entered = getpass.getpass(prompt)
        if confirm and getpass.getpass("Again: ") != entered:
            raise UsageError("the two passphrases differ")
        return entered.encode()

    def pinned_policy(self, envelope: bytes) -> TrustRoot:
        """A policy envelope, verified against the digest that the profile pins."""
        digest: Digest = self.profile.need("policy_digest")
        return TrustRoot.load(envelope, network=self.network, policy_digest=digest)

    def _policy_file(self) -> bytes | None:
        file: Path | None = self.profile.get("policy_file")
        return None if file is None else file.read_bytes()

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Link]:
        """Connect, and verify the policy before anything else is believed."""
        need = self.profile.need
        credentials = Credentials(
            authority=need("authority"),
            certificate=need("certificate"),
            private_key=need("private_key"),
            server_name=self.profile.get("server_name") or "",
        )
        need("policy_digest")
        async with Connection(need("server"), credentials) as connection:
            envelope = self._policy_file() or (await read_policy(connection)).envelope
            trust = self.pinned_policy(envelope)
            policy = Envelope.from_json(envelope)
            with SigningRecord(self.profile.record_file, root=trust.policy_digest) as record:
                yield Link(connection=connection, trust=trust, policy=policy, record=record, context=self)

    def confirm(self, summary: dict[str, object], digest: Digest, *, pinned: str | None, verb: str) -> None:
        """Let a person read what will be signed, or compare it with the digest that a script pins.

        Raises:
            VerificationError: it is not what was pinned.
            NotConfirmedError: the person said no.
            UsageError: nothing is pinned and nobody is there to ask.
        """
        if not self.output.as_json:
            self.output.pairs({**summary, "digest": digest}, to_error=True)
        if pinned is not None:
            if pinned != digest:
                raise VerificationError(f"it is {digest}, not {pinned}")
            return
        if not _somebody_is_there():
            raise UsageError("nobody is there to confirm: pin what you sign with --digest")
        if not typer.confirm(f"{verb} exactly this?", default=False, err=True):
            raise NotConfirmedError("nothing was signed")


def _somebody_is_there() -> bool:
    return sys.stdin.isatty()


def _read_passphrase(file: Path) -> bytes:
    if file.stat().st_mode & 0o077:
        raise UsageError(f"{file} is open to others than its owner: chmod 600")
    with file.open("rb") as opened:
        passphrase = opened.read(_PASSPHRASE_BYTES_MAX + 1)
    if len(passphrase) > _PASSPHRASE_BYTES_MAX:
        raise UsageError(f"{file} is longer than {_PASSPHRASE_BYTES_MAX} bytes")
    return passphrase.removesuffix(b"\n")


def _common() -> list[inspect.Parameter]:
    """The options that every command has: the profile, a flag for each of its settings, and `--json`."""
    parameters = [
        _option("json_output", bool, False, "--json", help="Print JSON for programs."),
        _option(
            "profile_file",
            Path | None,
            None,
            "--profile",
            help="TOML file of settings (environment: BAILEE_PROFILE).",
            rich_help_panel=_PANEL,
        ),
    ]
    for name, setting in SETTINGS.items():
        flag = f"--{name.replace('_', '-')}"
        parameters.append(_option(name, str | None, None, flag, help=setting.allowed, rich_help_panel=_PANEL))
    return parameters


def _option(name: str, kind: Any, default: Any, flag: str, **more: Any) -> inspect.Parameter:
    annotation = Annotated[kind, typer.Option(flag, show_default=False, **more)]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


Command = Callable[..., Awaitable[None]]


def command(app: typer.Typer, name: str) -> Callable[[Command], Command]:
    """Register an async function `(context, …)` as a command, with the common options and one way to end."""

    def register(function: Command) -> Command:
        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]

        @functools.wraps(function)
        def run(**given: Any) -> None:
            output = Output(as_json=given.pop("json_output"))
            try:
                settings = {setting: given.pop(setting) for setting in SETTINGS}
                profile = Profile.load(given.pop("profile_file"), settings)
                asyncio.run(_awaited(function(Context(profile, output), **given)))
            except BrokenPipeError:
                raise  # whoever read the output has enough of it: typer ends quietly
            except EXPECTED as error:
                fault = fault_of(error)
                output.fault(fault)
                raise typer.Exit(fault.exit_code) from error

        parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own] + _common()
        # What typer reads instead of the signature of `run`.
        run.__dict__["__signature__"] = inspect.Signature(parameters)
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        app.command(name)(run)
        return function

    return register


async def _awaited(work: Awaitable[None]) -> None:
    await work
