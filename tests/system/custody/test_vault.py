"""Custody's attestation key in a real OpenBao: one login with a delivered SecretID, signatures verified."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from custody.adapters.vault import LoginFailed, VaultAttestor, VaultSettings
from custody.application.ports.attestation import AttestationUnavailable
from deploy.localnet.certificates import CertificateAuthority
from deploy.localnet.openbao import OpenBao
from deploy.localnet.ports import Ports
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
