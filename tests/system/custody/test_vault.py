"""Custody's attestation key in a real OpenBao: one login with a delivered SecretID, signatures verified."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from custody.adapters.vault import LoginFailed, VaultAttestor, VaultSettings
from custody.application.ports.attestation import AttestationUnavailable
from deploy.localnet.certificates import CertificateAuthority
from deploy.localnet.openbao import OpenBao
from deploy.localnet.ports import LOOPBACK, Ports
from deploy.localnet.processes import Supervisor
from deploy.localnet.toolchain import Toolchain
from signers.statements.identifiers import GENESIS, Digest, Ed25519Key, Seconds
from signers.statements.network import Network
from signers.statements.report import ReportBatch

pytestmark = pytest.mark.system

BATCH = ReportBatch(
    network=Network.REGTEST,
    sequence=1,
    previous=GENESIS,
    root=Digest("ab" * 32),
    size=1,
    at=Seconds(1_790_000_000),
)


@pytest.fixture(scope="module")
def openbao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBao]:
    folder = tmp_path_factory.mktemp("openbao")
    for name in ("certificates", "private", "deliverer", "logs", "openbao-0"):
        (folder / name).mkdir()
    authority = CertificateAuthority(folder=folder / "certificates", private_folder=folder / "private")
    with Ports() as ports, Supervisor() as supervisor:
        tools = Toolchain(supervisor=supervisor, log_folder=folder / "logs", on_fetch=lambda _tool: None)
        made = OpenBao(
            number=0,
            command=tools.openbao(),
            folder=folder / "openbao-0",
            deliverer_folder=folder / "deliverer",
            log_folder=folder / "logs",
            port=ports.port("openbao-0"),
            cluster_port=ports.port("openbao-0-cluster"),
            certificate=authority.issue("openbao-0.bailee", server=True, by_address=True),
            supervisor=supervisor,
        )
        made.start()
        made.set_up()
        yield made


@pytest.fixture
def settings(openbao: OpenBao, tmp_path: Path) -> VaultSettings:
    access = openbao.access
    secret_id = tmp_path / "wrapped-secret-id"
    openbao.deliver_secret_id(secret_id)
    return VaultSettings(
        url=access.url,
        authority_file=access.authority_file,
        role_id=access.role_id,
        role=access.role,
        wrapped_secret_id_file=secret_id,
        transit_mount=access.transit_mount,
        attestation_key=access.signing_key,
        public_key=Ed25519Key(access.signing_public_key.hex()),
    )


@contextmanager
def shaking_hands(context: ssl.SSLContext) -> Iterator[tuple[str, list[str]]]:
    """A server's address, and the TLS version of the handshake once it was agreed on."""
    agreed: list[str] = []
    with socket.create_server((LOOPBACK, 0)) as listening:

        def shake_hands() -> None:
            with suppress(OSError):
                connection, _ = listening.accept()
                with connection, context.wrap_socket(connection, server_side=True) as shaken:
                    agreed.append(str(shaken.version()))

        thread = threading.Thread(target=shake_hands, daemon=True)
        thread.start()
        yield f"{LOOPBACK}:{listening.getsockname()[1]}", agreed
        thread.join(timeout=10)


async def test_a_batch_is_signed_by_the_policys_key(settings: VaultSettings) -> None:
    attestor = VaultAttestor(settings)
    await attestor.log_in()
    envelope = await attestor.sign_batch(BATCH)
    assert envelope.digest == BATCH.digest
    assert envelope.signed_by(settings.public_key)
    assert not settings.wrapped_secret_id_file.exists()
    await attestor.close()


async def test_a_signature_of_another_key_than_the_policys_is_none(settings: VaultSettings) -> None:
    attestor = VaultAttestor(replace(settings, public_key=Ed25519Key("11" * 32)))
    await attestor.log_in()
    with pytest.raises(AttestationUnavailable, match="not of the key"):
        await attestor.sign_batch(BATCH)
    await attestor.close()


async def test_without_a_delivered_secret_id_there_is_no_login(settings: VaultSettings) -> None:
    settings.wrapped_secret_id_file.unlink()
    attestor = VaultAttestor(settings)
    with pytest.raises(LoginFailed):
        await attestor.log_in()
    with pytest.raises(AttestationUnavailable):
        await attestor.sign_batch(BATCH)


async def test_a_secret_id_that_somebody_unwrapped_before_is_an_alarm(
    settings: VaultSettings, openbao: OpenBao
) -> None:
    openbao.client(token=settings.wrapped_secret_id_file.read_text()).sys.unwrap()
    with pytest.raises(LoginFailed):
        await VaultAttestor(settings).log_in()


async def test_a_token_that_wraps_something_else_is_refused(
    settings: VaultSettings, openbao: OpenBao
) -> None:
    client: Any = openbao.administrator()
    response = client.auth.token.create(wrap_ttl="60s", policies=["default"])
    settings.wrapped_secret_id_file.write_text(response["wrap_info"]["token"])
    with pytest.raises(LoginFailed, match="not made for this role"):
        await VaultAttestor(settings).log_in()


@pytest.mark.parametrize("mode", [0o640, 0o604])
async def test_a_secret_id_that_others_could_read_is_refused_and_kept(
    settings: VaultSettings, mode: int
) -> None:
    settings.wrapped_secret_id_file.chmod(mode)
    with pytest.raises(LoginFailed, match="mode 0600"):
        await VaultAttestor(settings).log_in()
    assert settings.wrapped_secret_id_file.exists()


async def test_a_secret_id_behind_a_symbolic_link_is_refused(settings: VaultSettings) -> None:
    file = settings.wrapped_secret_id_file
    file.symlink_to(file.rename(file.with_suffix(".moved")))
    with pytest.raises(LoginFailed):
        await VaultAttestor(settings).log_in()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"policies": ["default", "root"]}, "root policy"),
        ({"renewable": False}, "not renewable"),
        ({"lease_duration": 0}, "not renewable"),
    ],
)
async def test_a_token_that_custody_must_not_run_on_is_refused(
    settings: VaultSettings, change: dict[str, Any], says: str
) -> None:
    """OpenBao itself gives no role the root policy; a forged or future one might."""
    attestor = VaultAttestor(settings)
    method = attestor._client.auth.approle
    log_in = method.login

    def changed(**arguments: Any) -> Any:
        answer = log_in(**arguments)
        return answer | {"auth": answer["auth"] | change}

    method.login = changed
    with pytest.raises(LoginFailed, match=says):
        await attestor.log_in()


@pytest.mark.parametrize(
    ("key", "options", "configuration", "says"),
    [
        ("rsa", {"key_type": "rsa-2048"}, {}, "is rsa-2048, not ed25519"),
        ("loose", {"key_type": "ed25519", "exportable": True}, {}, "is exportable"),
        ("copied", {"key_type": "ed25519", "allow_plaintext_backup": True}, {}, "plaintext backup"),
        ("passing", {"key_type": "ed25519"}, {"deletion_allowed": True}, "deletion allowed"),
        ("derived", {"key_type": "ed25519", "derived": True}, {}, "is derived"),
    ],
)
async def test_a_key_that_could_leave_openbao_stops_the_start(
    settings: VaultSettings,
    openbao: OpenBao,
    key: str,
    options: dict[str, Any],
    configuration: dict[str, Any],
    says: str,
) -> None:
    administrator: Any = openbao.administrator()
    administrator.secrets.transit.create_key(key, **options)
    if configuration:
        administrator.secrets.transit.update_key_configuration(key, **configuration)
    rule = f'path "{settings.transit_mount}/keys/{key}" {{ capabilities = ["read"] }}'
    administrator.sys.create_or_update_policy(key, rule)
    administrator.auth.approle.create_or_update_approle(
        key, token_policies=[key], token_period="1h", token_type="service"
    )
    wrapped = administrator.auth.approle.generate_secret_id(role_name=key, wrap_ttl="60s")
    settings.wrapped_secret_id_file.write_text(wrapped["wrap_info"]["token"])
    role_id = administrator.auth.approle.read_role_id(key)["data"]["role_id"]
    unfit = replace(settings, role=key, role_id=role_id, attestation_key=key)
    with pytest.raises(LoginFailed, match=says):
        await VaultAttestor(unfit).log_in()


async def test_a_key_whose_properties_custody_may_not_read_stops_the_start(settings: VaultSettings) -> None:
    with pytest.raises(LoginFailed, match="Forbidden"):
        await VaultAttestor(replace(settings, attestation_key="somebody-else-s")).log_in()


async def test_nothing_below_tls_1_3_is_spoken(settings: VaultSettings, tmp_path: Path) -> None:
    """A server with a genuine certificate that offers TLS 1.2 at most."""
    authority = CertificateAuthority(folder=tmp_path, private_folder=tmp_path)
    certificate = authority.issue("openbao-old.bailee", server=True, by_address=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate_file, certificate.key_file)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with shaking_hands(context) as (address, agreed):
        old = replace(settings, url=f"https://{address}", authority_file=certificate.authority_file)
        with pytest.raises(LoginFailed):
            await VaultAttestor(old).log_in()
    assert agreed == []


async def test_the_environment_steers_nothing(
    settings: VaultSettings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VAULT_TOKEN", "of-somebody-else")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/dev/null")
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "tls-secrets"))
    attestor = VaultAttestor(settings)
    await attestor.log_in()
    await attestor.close()
    assert not (tmp_path / "tls-secrets").exists()


async def test_a_sealed_vault_signs_nothing_until_it_is_unsealed(
    settings: VaultSettings, openbao: OpenBao
) -> None:
    attestor = VaultAttestor(settings)
    await attestor.log_in()
    openbao.seal()
    with pytest.raises(AttestationUnavailable):
        await attestor.sign_batch(BATCH)
    openbao.unseal()
    assert (await attestor.sign_batch(BATCH)).signed_by(settings.public_key)
    await attestor.close()


async def test_a_revoked_token_ends_the_renewal(settings: VaultSettings, openbao: OpenBao) -> None:
    attestor = VaultAttestor(settings)
    await attestor.log_in()
    openbao.administrator().auth.token.revoke(attestor._client.token)
    attestor._lease_seconds = 1
    await attestor.renew_until_lost()
    with pytest.raises(AttestationUnavailable):
        await attestor.sign_batch(BATCH)
