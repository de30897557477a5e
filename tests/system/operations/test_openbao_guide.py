"""An OpenBao prepared by the operator guide's own lines is what a signer needs, and no more."""

import base64
import os
import re
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hvac
import pytest
from hvac.exceptions import Forbidden

from deploy.localnet.ports import LOOPBACK, Ports
from deploy.localnet.processes import ProcessSpec, Supervisor
from deploy.localnet.toolchain import Toolchain
from tests.guides import ROOT

pytestmark = pytest.mark.system

GUIDE = (ROOT / "docs" / "guides" / "operator.md").read_text(encoding="utf-8")
ROOT_TOKEN = "of-a-test"
SECONDS = 30.0


def blocks(title: str) -> list[str]:
    """The indented blocks of a section."""
    section = GUIDE.partition(f"## {title}\n")[2].partition("\n## ")[0]
    found = re.findall(r"(?:^    .*\n|^\n(?=    ))+", section, re.MULTILINE)
    return [re.sub(r"^    ", "", block, flags=re.MULTILINE).strip() for block in found]


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """An empty server."""
    with Ports() as ports, Supervisor() as supervisor:
        port = ports.port("openbao")
        (program,) = Toolchain(
            supervisor=supervisor, log_folder=tmp_path, on_fetch=lambda _tool: None
        ).openbao()
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin" / "bao").symlink_to(program)
        options = (f"-dev-listen-address={LOOPBACK}:{port}", f"-dev-root-token-id={ROOT_TOKEN}")
        server = supervisor.process(
            ProcessSpec(
                name="openbao",
                command=(program, "server", "-dev", "-dev-no-store-token", *options),
                log_file=tmp_path / "openbao.log",
                folder=tmp_path,
            )
        )
        server.start()
        url = f"http://{LOOPBACK}:{port}"
        server.wait_until(
            lambda: bool(hvac.Client(url).sys.is_initialized()), what="up", deadline_seconds=SECONDS
        )
        yield url


def shell(script: str, *, folder: Path, address: str, token: str) -> None:
    """Run a block of the guide, `bao` on the path."""
    subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env={
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
            "HOME": str(folder),
            "BAO_ADDR": address,
            "BAO_TOKEN": token,
        },
        check=True,
        capture_output=True,
        timeout=SECONDS,
    )


def client(address: str, token: str = "") -> Any:
    made = hvac.Client(address, token=token)
    made.session.trust_env = False
    return made


def test_a_signer_logs_in_once_and_may_do_its_work_only(address: str, tmp_path: Path) -> None:
    commands, rules = blocks("Prepare an OpenBao")
    of_process, _, of_deliverer = rules.partition("\n\n")
    (tmp_path / "signer.hcl").write_text(of_process)
    (tmp_path / "deliverer.hcl").write_text(of_deliverer)
    shell(commands, folder=tmp_path, address=address, token=ROOT_TOKEN)
    role_id = client(address, ROOT_TOKEN).auth.approle.read_role_id("signer-1")["data"]["role_id"]

    made = client(address, ROOT_TOKEN).auth.token.create(policies=["deliverer"], no_default_policy=True)
    deliverer = made["auth"]["client_token"]
    (deliver,) = blocks("Start, and deliver a SecretID")
    shell(deliver, folder=tmp_path, address=address, token=deliverer)
    file = tmp_path / "wrapped-secret-id"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600

    secret_id = client(address, file.read_text().strip()).sys.unwrap()["data"]["secret_id"]
    auth = client(address).auth.approle.login(role_id=role_id, secret_id=secret_id)["auth"]
    assert (auth["policies"], auth["renewable"], auth["lease_duration"]) == (["signer"], True, 3600)
    with pytest.raises(hvac.exceptions.VaultError):
        client(address).auth.approle.login(role_id=role_id, secret_id=secret_id)

    transit = client(address, auth["client_token"]).secrets.transit
    text = base64.b64encode(b"a key").decode()
    assert transit.sign_data("statements", hash_input=text)["data"]["signature"]
    wrapped = transit.encrypt_data("account-keys", plaintext=text)["data"]["ciphertext"]
    assert transit.decrypt_data("account-keys", ciphertext=wrapped)["data"]["plaintext"] == text
    for refused in (
        lambda: transit.export_key("account-keys", key_type="encryption-key"),
        lambda: transit.create_key("another", key_type="ed25519"),
        client(address, auth["client_token"]).sys.list_policies,
        lambda: client(address, deliverer).secrets.transit.sign_data("statements", hash_input=text),
        # Unwrapped, anyone on the way could have read it.
        lambda: client(address, deliverer).auth.approle.generate_secret_id("signer-1"),
    ):
        with pytest.raises(Forbidden):
            refused()
