import base64
import json
import socket
import ssl
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hvac.exceptions import Forbidden, InvalidRequest, VaultDown, VaultError

from deploy.localnet.localnet import Localnet
from deploy.localnet.openbao import ATTESTATION_KEY, STATEMENT_KEY, TRANSIT_MOUNT, WRAP_KEY, OpenBao
from deploy.localnet.ports import LOOPBACK
from tests.system.search import found
from tests.system.spellings import of_deliverer

pytestmark = pytest.mark.system
PLAINTEXT = base64.b64encode(b"an account key").decode()
CONTEXT = base64.b64encode(b"account, chain, key id").decode()
OTHER_CONTEXT = base64.b64encode(b"another account").decode()
NUMBERS = [0, 1, 2, 3]


def log_in(openbao: OpenBao, tmp_path: Path) -> Any:
    """A client that logged in as the process of this trust domain does."""
    delivered = tmp_path / "secret-id"
    openbao.deliver_secret_id(delivered)
    secret_id = unwrap(openbao, delivered)
    client = openbao.client()
    client.auth.approle.login(role_id=openbao.access.role_id, secret_id=secret_id)
    return client


def sealed(openbao: OpenBao) -> bool:
    return openbao.is_sealed


def unwrap(openbao: OpenBao, delivered: Path) -> str:
    unwrapped = openbao.client(token=delivered.read_text(encoding="ascii")).sys.unwrap()
    return str(unwrapped["data"]["secret_id"])


@pytest.fixture
def signer_vault(localnet: Localnet) -> OpenBao:
    return localnet.openbao[1]


@pytest.fixture
def signer(signer_vault: OpenBao, tmp_path: Path) -> Any:
    return log_in(signer_vault, tmp_path)


@pytest.fixture
def custody(localnet: Localnet, tmp_path: Path) -> Any:
    return log_in(localnet.openbao[0], tmp_path)


def test_the_servers_are_four_and_share_no_secret(localnet: Localnet) -> None:
    contents = [json.loads(bao.secrets_file.read_text()) for bao in localnet.openbao]
    assert len({content["root_token"] for content in contents}) == 4
    shares = [share for content in contents for share in content["unseal_shares"]]
    assert len(set(shares)) == len(shares) == 4 * 3


def test_unsealing_takes_two_of_three_shares(signer_vault: OpenBao) -> None:
    seal = signer_vault.client().sys.read_seal_status()
    assert (seal["t"], seal["n"], seal["sealed"]) == (2, 3, False)


@pytest.mark.parametrize("down", ["kill", "stop", "seal"])
def test_it_is_sealed_after_every_start_and_keeps_its_keys(
    signer_vault: OpenBao, signer: Any, down: str
) -> None:
    wrapped = signer.secrets.transit.encrypt_data(WRAP_KEY, PLAINTEXT, associated_data=CONTEXT)
    getattr(signer_vault, down)()
    if down != "seal":
        signer_vault.start()
    assert sealed(signer_vault)
    with pytest.raises(VaultDown):
        signer.auth.token.lookup_self()
    signer_vault.unseal()
    assert not sealed(signer_vault)
    ciphertext = wrapped["data"]["ciphertext"]
    answer = signer.secrets.transit.decrypt_data(WRAP_KEY, ciphertext, associated_data=CONTEXT)
    assert answer["data"]["plaintext"] == PLAINTEXT


def test_one_share_does_not_unseal(signer_vault: OpenBao) -> None:
    signer_vault.restart()
    share = json.loads(signer_vault.secrets_file.read_text())["unseal_shares"][0]
    for _ in range(2):
        signer_vault.client().sys.submit_unseal_key(share)
    assert sealed(signer_vault)
    signer_vault.unseal()


def test_it_speaks_tls_1_3_only(signer_vault: OpenBao) -> None:
    port = int(signer_vault.url.rpartition(":")[2])
    authority = str(signer_vault.access.authority_file)
    context = ssl.create_default_context(cafile=authority)
    assert ssl.get_server_certificate((LOOPBACK, port), ca_certs=authority)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError), _connection(context, port):
        pass


def _connection(context: ssl.SSLContext, port: int) -> ssl.SSLSocket:
    return context.wrap_socket(
        socket.create_connection((LOOPBACK, port), timeout=10), server_hostname=LOOPBACK
    )


def test_a_delivered_secret_id_is_wrapped_and_private(signer_vault: OpenBao, tmp_path: Path) -> None:
    delivered = tmp_path / "secret-id"
    signer_vault.deliver_secret_id(delivered)
    assert stat.S_IMODE(delivered.stat().st_mode) == 0o600
    lookup = signer_vault.administrator().adapter.post(
        "/v1/sys/wrapping/lookup", json={"token": delivered.read_text(encoding="ascii")}
    )
    assert lookup["data"]["creation_path"] == "auth/approle/role/signer-1/secret-id"
    assert unwrap(signer_vault, delivered)  # looking did not use it up


def test_a_delivered_secret_id_unwraps_once(signer_vault: OpenBao, tmp_path: Path) -> None:
    delivered = tmp_path / "secret-id"
    signer_vault.deliver_secret_id(delivered)
    assert unwrap(signer_vault, delivered)
    with pytest.raises(InvalidRequest, match="wrapping token is not valid"):
        unwrap(signer_vault, delivered)


def test_a_secret_id_logs_in_once(signer_vault: OpenBao, tmp_path: Path) -> None:
    delivered = tmp_path / "secret-id"
    signer_vault.deliver_secret_id(delivered)
    secret_id = unwrap(signer_vault, delivered)
    approle = signer_vault.client().auth.approle
    role_id = signer_vault.access.role_id
    assert approle.login(role_id=role_id, secret_id=secret_id, use_token=False)["auth"]["client_token"]
    with pytest.raises(InvalidRequest):
        approle.login(role_id=role_id, secret_id=secret_id, use_token=False)


def test_a_secret_id_of_one_trust_domain_is_none_of_another(localnet: Localnet, tmp_path: Path) -> None:
    delivered = tmp_path / "secret-id"
    localnet.openbao[1].deliver_secret_id(delivered)
    with pytest.raises(VaultError):
        unwrap(localnet.openbao[2], delivered)


def test_a_token_is_periodic_renewable_and_has_one_policy(signer: Any) -> None:
    token = signer.auth.token.lookup_self()["data"]
    assert token["policies"] == ["signer-1"]
    assert (token["renewable"], token["period"] > 0, token["orphan"]) == (True, True, True)
    assert signer.auth.token.renew_self()["auth"]["lease_duration"] == token["period"]


def test_a_signer_wraps_and_unwraps_under_its_context(signer: Any) -> None:
    transit = signer.secrets.transit
    wrapped = transit.encrypt_data(WRAP_KEY, PLAINTEXT, associated_data=CONTEXT)["data"]["ciphertext"]
    unwrapped = transit.decrypt_data(WRAP_KEY, wrapped, associated_data=CONTEXT)["data"]["plaintext"]
    assert unwrapped == PLAINTEXT
    with pytest.raises(InvalidRequest):
        transit.decrypt_data(WRAP_KEY, wrapped, associated_data=OTHER_CONTEXT)


@pytest.mark.parametrize("number", NUMBERS)
def test_a_process_signs_with_the_announced_key(localnet: Localnet, tmp_path: Path, number: int) -> None:
    openbao = localnet.openbao[number]
    access = openbao.access
    client = log_in(openbao, tmp_path)
    answer = client.secrets.transit.sign_data(access.signing_key, base64.b64encode(b"message").decode())
    signature = base64.b64decode(answer["data"]["signature"].removeprefix("vault:v1:"), validate=True)
    public_key = Ed25519PublicKey.from_public_bytes(access.signing_public_key)
    public_key.verify(signature, b"message")
    with pytest.raises(InvalidSignature):
        public_key.verify(signature, b"another")


Attempt = Callable[[Any], Any]
PUBLIC_FIELDS = {"certificate_chain", "creation_time", "hybrid_public_key", "name", "public_key"}
BEYOND_A_SIGNER: dict[str, Attempt] = {
    "list keys": lambda vault: vault.secrets.transit.list_keys(),
    "create a key": lambda vault: vault.secrets.transit.create_key("another"),
    "rotate": lambda vault: vault.secrets.transit.rotate_key(WRAP_KEY),
    "delete": lambda vault: vault.secrets.transit.delete_key(WRAP_KEY),
    "reconfigure": lambda vault: vault.secrets.transit.update_key_configuration(WRAP_KEY, exportable=True),
    "export the wrap key": lambda vault: vault.secrets.transit.export_key(WRAP_KEY, "encryption-key"),
    "export the statement key": lambda vault: vault.secrets.transit.export_key(STATEMENT_KEY, "signing-key"),
    "back up": lambda vault: vault.secrets.transit.backup_key(WRAP_KEY),
    "sign with the wrap key": lambda vault: vault.secrets.transit.sign_data(WRAP_KEY, PLAINTEXT),
    "encrypt with the statement key": lambda vault: vault.secrets.transit.encrypt_data(
        STATEMENT_KEY, PLAINTEXT
    ),
    "encrypt with a new key": lambda vault: vault.secrets.transit.encrypt_data("another", PLAINTEXT),
    "make a data key": lambda vault: vault.secrets.transit.generate_data_key(WRAP_KEY, "plaintext"),
    "make a SecretID": lambda vault: vault.auth.approle.generate_secret_id("signer-1"),
    "change its role": lambda vault: vault.auth.approle.create_or_update_approle("signer-1"),
    "make a token": lambda vault: vault.auth.token.create(policies=["root"]),
    "change its policy": lambda vault: vault.sys.create_or_update_policy("signer-1", 'path "*" {}'),
    "mount": lambda vault: vault.sys.enable_secrets_engine("kv"),
    "seal": lambda vault: vault.sys.seal(),
    "turn auditing off": lambda vault: vault.sys.disable_audit_device("main"),
}
BEYOND_CUSTODY: dict[str, Attempt] = {
    "export": lambda vault: vault.secrets.transit.export_key(ATTESTATION_KEY, "signing-key"),
    "delete": lambda vault: vault.secrets.transit.delete_key(ATTESTATION_KEY),
    "encrypt": lambda vault: vault.secrets.transit.encrypt_data(ATTESTATION_KEY, PLAINTEXT),
    "back up": lambda vault: vault.secrets.transit.backup_key(ATTESTATION_KEY),
    "rotate": lambda vault: vault.secrets.transit.rotate_key(ATTESTATION_KEY),
}


def test_what_a_process_reads_of_its_keys_is_public(signer: Any, custody: Any) -> None:
    """It reads them at its start, to refuse a key that could leave."""
    for vault, name in ((signer, WRAP_KEY), (signer, STATEMENT_KEY), (custody, ATTESTATION_KEY)):
        told = vault.secrets.transit.read_key(name)["data"]
        assert not told["exportable"]
        assert not told["allow_plaintext_backup"]
        assert not told["deletion_allowed"]
        for version in told["keys"].values():
            assert isinstance(version, int) or set(version) <= PUBLIC_FIELDS


@pytest.mark.parametrize("attempt", BEYOND_A_SIGNER.values(), ids=BEYOND_A_SIGNER)
def test_a_signer_may_not(signer: Any, attempt: Attempt) -> None:
    with pytest.raises(Forbidden):
        attempt(signer)


@pytest.mark.parametrize("attempt", BEYOND_CUSTODY.values(), ids=BEYOND_CUSTODY)
def test_custody_may_not(custody: Any, attempt: Attempt) -> None:
    with pytest.raises(Forbidden):
        attempt(custody)


def test_a_token_of_one_signer_is_none_at_another(localnet: Localnet, signer: Any) -> None:
    with pytest.raises(Forbidden):
        localnet.openbao[2].client(token=signer.token).auth.token.lookup_self()


@pytest.mark.parametrize("number", NUMBERS)
def test_not_even_the_root_token_exports_a_key(localnet: Localnet, number: int) -> None:
    openbao = localnet.openbao[number]
    transit = openbao.administrator().secrets.transit
    for name, kind in (
        (openbao.access.wrap_key, "encryption-key"),
        (openbao.access.signing_key, "signing-key"),
    ):
        if name is None:
            continue
        key = transit.read_key(name)["data"]
        assert (key["exportable"], key["allow_plaintext_backup"], key["deletion_allowed"]) == (False,) * 3
        with pytest.raises(InvalidRequest, match="not exportable"):
            transit.export_key(name, kind)
        with pytest.raises(VaultError, match="exporting is disallowed"):
            transit.backup_key(name)


def test_every_request_is_audited(signer_vault: OpenBao, signer: Any) -> None:
    signer.secrets.transit.encrypt_data(WRAP_KEY, PLAINTEXT, associated_data=CONTEXT)
    paths = [
        json.loads(line)["request"].get("path") for line in signer_vault.audit_file.read_text().splitlines()
    ]
    assert f"{TRANSIT_MOUNT}/encrypt/{WRAP_KEY}" in paths


def test_secrets_are_in_no_log_environment_or_command_line(localnet: Localnet, signer: Any) -> None:
    signer.secrets.transit.encrypt_data(WRAP_KEY, PLAINTEXT, associated_data=CONTEXT)
    needles = {"token": signer.token.encode(), "plaintext": PLAINTEXT.encode()}
    for bao in localnet.openbao:
        needles |= of_deliverer(bao.secrets_file)
    for name, user in localnet.bitcoind.users.items():
        needles[f"{name}'s RPC password"] = user.password_file.read_bytes()
    assert found(localnet, needles, apart=("deliverer", "credentials")) == []
