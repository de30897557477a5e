import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typer.testing import CliRunner

from custody.cli.addresses import bitcoin_text, ethereum_text
from custody.cli.main import build
from deploy.localnet.certificates import CertificateAuthority
from signers.statements.envelope import Envelope
from signers.statements.identifiers import Seconds
from tests.factories import Person, World, build_world
from tests.unit.custody.client.fake_service import SERVER_NAME, FakeCustody, new_authority, serve

ACCOUNT = "acct-client-one"

PASSPHRASE = b"correct horse battery"


@dataclass(frozen=True)
class Run:
    """How a command ended."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)

    @property
    def error(self) -> Any:
        return json.loads(self.stderr)["error"]


Bailee = Callable[..., Run]
Profiles = Callable[[Person], Path]
Play = Callable[..., Run]


@pytest.fixture
def world() -> World:
    """The real clock's: the command has no other, and prices age by it."""
    return build_world(now=Seconds(int(time.time())))


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    return new_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def key_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    _private(folder / "passphrase", PASSPHRASE + b"\n")
    return folder


@pytest.fixture
def custody(world: World) -> FakeCustody:
    return FakeCustody(world)


@pytest.fixture
def target(custody: FakeCustody, authority: CertificateAuthority) -> Iterator[str]:
    with serve(custody, authority) as address:
        yield address


@pytest.fixture
def profile(
    target: str, authority: CertificateAuthority, world: World, key_folder: Path, tmp_path: Path
) -> Profiles:
    """Writes the profile of a person of the world."""

    def write(person: Person) -> Path:
        certificate = authority.issue("client.test")
        settings = {
            "server": target,
            "server_name": SERVER_NAME,
            "authority": certificate.authority_file,
            "certificate": certificate.certificate_file,
            "private_key": certificate.key_file,
            "network": world.network,
            "policy_digest": world.policy.digest,
            "entity": person.entity,
            "key_file": key_file(key_folder, person.key),
            "passphrase_file": key_folder / "passphrase",
            "record_file": "record.db",
        }
        file = tmp_path / f"{person.public_key[:8]}.toml"
        file.write_text("".join(f'{name} = "{value}"\n' for name, value in settings.items()))
        return file

    return write


@pytest.fixture
def agreement_file(world: World, tmp_path: Path) -> Path:
    account, lines = world.account, []
    for role in ("pledgor", "secured_party", "custodian"):
        party = getattr(account, role)
        lines += [f"[{role}]", f'entity = "{party.entity}"', f'public_key = "{party.public_key}"']
    lines += [
        "[enforcement]",
        f'bitcoin = "{bitcoin_text(account.enforcement.bitcoin, world.network)}"',
        f'ethereum = "{ethereum_text(account.enforcement.ethereum)}"',
    ]
    file = tmp_path / "agreement.toml"
    file.write_text("\n".join(lines))
    return file


@pytest.fixture
def bailee(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bailee:
    """Runs the command; nobody sits at the terminal, and nothing of this machine's user is read."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("BAILEE_PROFILE", raising=False)
    app, runner = build(), CliRunner()

    def run(*arguments: object) -> Run:
        result = runner.invoke(app, [str(argument) for argument in arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Run(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture
def play(bailee: Bailee, profile: Profiles) -> Play:
    """Runs a command as a person."""

    def run(person: Person, *arguments: object, json: bool = True) -> Run:
        flags = ("--profile", profile(person), *(("--json",) if json else ()))
        return bailee(*arguments, *flags)

    return run


def key_file(folder: Path, key: Ed25519PrivateKey) -> Path:
    """The person's key, with the library's few rounds: two hundred commands load one."""
    file = folder / key.public_key().public_bytes_raw().hex()[:16]
    if not file.exists():
        how = serialization.BestAvailableEncryption(PASSPHRASE)
        pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how)
        _private(file, pem)
    return file


def _private(file: Path, content: bytes) -> None:
    file.touch(mode=0o600)
    file.write_bytes(content)


def statement(request: Any, kind: type[Any]) -> Any:
    """What a request of a client carries, read as a statement of this kind."""
    return kind.parse(Envelope.from_json(request.envelope).payload)
